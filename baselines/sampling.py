"""Drawing tokens: inverse CDF from seeded uniforms, one random number a draw and a few passes over the logits.

The uniforms come from a CPU generator and are moved, so that draws do not depend on the device. `torch.multinomial`
draws vocab random numbers a row, which is what sampling then spends its time on.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.copying import CopyOutput

CACHE_ELEMENTS = 1 << 19  # logits worked on at once on a CPU: 2 MiB of float32, about a core's own cache
SAFE_EXPONENT = 50.0  # exp of it, summed over any vocabulary, is far from either end of float32


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
    vocab = logits.shape[1]
    width = block_width(vocab)
    blocks = -(-vocab // width)
    weights = F.pad(logits, (0, blocks * width - vocab), value=float("-inf"))
    weights = weights.sub_(logits.amax(1, keepdim=True)).exp_()
    return _search(weights.view(-1, blocks, width), uniforms).clamp_(max=vocab - 1)


class TokenSampler:
    """Draws tokens from features with one output layer and temperature, many times.

    The layer is laid out once: padded to whole blocks with weight exp(-inf), its bias as the weight of a feature that
    is always 1. So a draw is one product and one exponential in the same memory, with a maximum only where a logit
    could leave the range of exp; adding the bias and padding row by row would cost as much as the product. It holds
    the weights as they were when it was made.
    """

    def __init__(self, output: nn.Linear, temperature: float = 1.0) -> None:
        self.copying = output if isinstance(output, CopyOutput) else None
        self.temperature = temperature
        if self.copying is not None:
            temperature = 1.0  # of the whole distribution, not of what the layer gives
        self.vocab, features = output.weight.shape
        self.width = block_width(self.vocab)
        self.blocks = -(-self.vocab // self.width)
        with torch.no_grad():
            self.layer = output.weight.new_zeros(features + 1, self.blocks * self.width)
            self.layer[:features, : self.vocab] = output.weight.t() / temperature
            self.layer[features, : self.vocab] = output.bias / temperature
            self.longest = float(torch.linalg.vector_norm(self.layer[:, : self.vocab], dim=0).max())
            self.layer[features, self.vocab :] = float("-inf")

    @torch.no_grad()
    def __call__(self, features: Tensor, uniforms: Tensor) -> Tensor:
        """Ids [rows, draws] from features [rows, features] and uniforms [rows, draws], a cache's worth at a time."""
        size = chunk_rows(self.layer.shape[1], features.device)
        memory = self.layer.new_empty(min(size, len(features)), self.layer.shape[1])
        parts = [uniforms.new_zeros((0, uniforms.shape[1]), dtype=torch.int64)]
        read = features if self.copying is None else self.copying.readout(features)
        with_one = torch.cat([read, read.new_ones(len(read), 1)], 1)
        bounded = self._bounded(with_one)
        chunks = (torch.split(tensor, size) for tensor in (with_one, uniforms, features))
        for part, uniform, whole in zip(*chunks, strict=True):
            weights = torch.mm(part, self.layer, out=memory[: len(part)])
            if not bounded:
                weights.sub_(weights.amax(1, keepdim=True))
            weights.exp_()
            if self.copying is not None:
                weights = self._with_copies(self.copying, weights, whole)
            parts.append(_search(weights.view(-1, self.blocks, self.width), uniform).clamp_(max=self.vocab - 1))
        return torch.cat(parts)

    def _with_copies(self, output: CopyOutput, weights: Tensor, features: Tensor) -> Tensor:
        """exp of the logits [rows, columns] -> weights of the distribution that copies, at the temperature."""
        weights = output.mixed(weights.div_(weights.sum(1, keepdim=True)), output.shares(features))
        if output.forbidden is not None:
            weights[:, output.forbidden] = 0.0
        if self.temperature != 1:
            weights = weights.div_(weights.amax(1, keepdim=True)).pow_(1 / self.temperature)
        return weights

    def _bounded(self, features: Tensor) -> bool:
        """Whether exp of every logit is in range as it is: |x . w| <= |x| |w|. Not asked of a GPU, which would wait."""
        if features.device.type != "cpu" or len(features) == 0:
            return False
        return float(torch.linalg.vector_norm(features, dim=1).max()) * self.longest < SAFE_EXPONENT


def block_width(vocab: int) -> int:
    """About sqrt(vocab), in whole vector registers."""
    return max(16, 16 * round(math.isqrt(vocab) / 16))


def _search(weights: Tensor, uniforms: Tensor) -> Tensor:
    """Inverse CDF on unnormalised weights [rows, blocks, width], uniforms [rows, draws] -> ids [rows, draws].

    Two levels: the sum of each block, then the tokens of the one block hit. No CDF over the whole vocabulary is made.
    """
    rows, blocks, width = weights.shape
    block_cdf = weights.sum(2).cumsum(1)
    target = _below(uniforms * block_cdf[:, -1:], block_cdf[:, -1:])
    block = torch.searchsorted(block_cdf, target, right=True).clamp_(max=blocks - 1)
    before = torch.where(block > 0, block_cdf.gather(1, (block - 1).clamp_(min=0)), 0.0)
    inner_cdf = weights[torch.arange(rows, device=weights.device)[:, None], block].cumsum(2)  # [rows, draws, width]
    rest = _below((target - before).unsqueeze(2), inner_cdf[:, :, -1:])
    inner = torch.searchsorted(inner_cdf, rest, right=True).squeeze(2).clamp_(max=width - 1)
    return block * width + inner


def _below(values: Tensor, total: Tensor) -> Tensor:
    """Values brought under the total mass, which rounding can reach: the token found then always has mass."""
    return torch.minimum(values, torch.nextafter(total, torch.zeros_like(total)))
