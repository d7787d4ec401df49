"""Gumbel-softmax (Jang et al. 2017, arXiv 1611.01144; Maddison et al. 2017, arXiv 1611.00712) and its annealing.

The noise is made of uniforms that the caller draws, so that a step's randomness is in the run's own streams.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Schedule = Literal["no", "lin", "exp", "log", "sigmoid", "quad", "sqrt"]
STEEPNESS = 20.0  # of the sigmoid schedule, over the whole training


def gumbel_noise(uniforms: Tensor) -> Tensor:
    """Standard Gumbel numbers from uniforms in [0, 1], of the same shape; finite at both ends.

    A uniform of 0 stands for all below the smallest that `torch.rand` gives otherwise, and counts as half of that.
    """
    eps = torch.finfo(uniforms.dtype).eps
    return -torch.log(-torch.log(uniforms.clamp(eps / 4, 1 - eps / 2)))


def gumbel_softmax(logits: Tensor, temperature: float, uniforms: Tensor, hard: bool = False) -> Tensor:
    """A relaxed draw from softmax(logits): softmax((logits + noise) / temperature).

    Args:
        logits: [..., vocab], unnormalised natural log-probabilities; -inf is never drawn.
        temperature: towards 0 the draw comes near to one-hot, and its gradient's variance grows.
        uniforms: [..., vocab] in [0, 1).
        hard: straight-through: the value is the one-hot token exactly, whose distribution is softmax(logits) at any
            temperature; the gradient is the relaxed draw's.

    Returns:
        Weights [..., vocab] that sum to 1.
    """
    perturbed = logits + gumbel_noise(uniforms)
    soft = F.softmax(perturbed / temperature, -1)
    return straight_through(soft, perturbed.argmax(-1)) if hard else soft


def straight_through(soft: Tensor, tokens: Tensor) -> Tensor:
    """One-hot `tokens` [...] as the value, the gradient of `soft` [..., vocab]."""
    one_hot = torch.zeros_like(soft).scatter_(-1, tokens.unsqueeze(-1), 1.0)
    return one_hot + (soft - soft.detach())  # the bracket is exactly 0, whatever the rounding


def anneal(step: int, total: int, start: float, end: float, kind: Schedule) -> float:
    """The value at `step` of `total`: `start` at step 0, `end` at the last (total - 1) and after it.

    `no` is `end` throughout. `exp` goes by equal factors (both ends positive). The forms are those that RelGAN compares
    (Nie et al. 2019, appendix; its code: `get_fixed_temperature`), each brought to its ends exactly.
    """
    share = 1.0 if total <= 1 else min(max(step / (total - 1), 0.0), 1.0)
    if kind == "no" or share == 1.0:
        return end
    if share == 0.0:
        return start
    if kind == "exp":
        return float(start * (end / start) ** share)
    return start + (end - start) * _progress(share, total, kind)


def _progress(share: float, total: int, kind: Schedule) -> float:
    """How much of the way is gone, 0 to 1, at a share of the steps."""
    if kind == "log":
        return math.log1p(share * (total - 1)) / math.log(total)
    if kind == "sigmoid":
        low, high = _sigmoid(-STEEPNESS / 2), _sigmoid(STEEPNESS / 2)
        return (_sigmoid(STEEPNESS * (share - 0.5)) - low) / (high - low)
    return {"lin": share, "quad": share**2, "sqrt": math.sqrt(share)}[kind]


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
