"""Drawing tokens: inverse CDF from seeded uniforms, one random number a draw and a few passes over the logits.

The uniforms come from a CPU generator and are moved, so that draws do not depend on the device. `torch.multinomial`
draws vocab random numbers a row, which is what sampling then spends its time on.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CACHE_ELEMENTS = 1 << 19  # logits worked on at once on a CPU: 2 MiB of float32, about a core's own cache


def chunk_rows(columns: int, device: torch.device) -> int:
    """How many rows of `columns` to work on at once: what fits a core's cache, or a quarter GiB on a GPU."""
    return max(1, (CACHE_ELEMENTS if device.type == "cpu" else 1 << 26) // columns)


def draw(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Tokens by inverse CDF.

    Args:
        logits: [rows, vocab], unnormalised natural log-probabilities; -inf is never drawn.
        uniforms: [rows, draws] in [0, 1]; all draws of a row share its distribution.

    Returns:
        Ids [rows, draws].
    """
    rows, vocab = logits.shape
    width = max(1, math.isqrt(vocab))
    blocks = -(-vocab // width)
    # Two levels: the sum of each block, then the tokens of the one block hit. No CDF over the whole vocabulary is made.
    weights = F.pad(logits, (0, blocks * width - vocab), value=float("-inf"))
    weights = weights.sub_(logits.amax(1, keepdim=True)).exp_().view(rows, blocks, width)
    block_cdf = weights.sum(2).cumsum(1)
    target = _below(uniforms * block_cdf[:, -1:], block_cdf[:, -1:])
    block = torch.searchsorted(block_cdf, target, right=True).clamp_(max=blocks - 1)
    before = torch.where(block > 0, block_cdf.gather(1, (block - 1).clamp_(min=0)), 0.0)
    inner_cdf = weights[torch.arange(rows, device=logits.device)[:, None], block].cumsum(2)  # [rows, draws, width]
    rest = _below((target - before).unsqueeze(2), inner_cdf[:, :, -1:])
    inner = torch.searchsorted(inner_cdf, rest, right=True).squeeze(2).clamp_(max=width - 1)
    return (block * width + inner).clamp_(max=vocab - 1)


def draw_next(output: nn.Linear, features: Tensor, uniforms: Tensor, temperature: float = 1.0) -> Tensor:
    """Tokens from features, a cache's worth of logits at a time.

    Args:
        output: the output layer.
        features: [rows, features].
        uniforms: [rows, draws].

    Returns:
        Ids [rows, draws].
    """
    size = chunk_rows(output.out_features, features.device)
    parts = []
    for part, uniform in zip(features.split(size), uniforms.split(size), strict=True):
        logits = output(part)
        parts.append(draw(logits if temperature == 1.0 else logits / temperature, uniform))
    return torch.cat(parts) if parts else uniforms.new_zeros(uniforms.shape, dtype=torch.int64)


def _below(values: Tensor, total: Tensor) -> Tensor:
    """Values brought under the total mass, which rounding can reach: the token found then always has mass."""
    return torch.minimum(values, torch.nextafter(total, torch.zeros_like(total)))
