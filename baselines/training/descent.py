"""One step of one player down a loss that both players' weights are in."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, net: nn.Module, clip: float) -> Tensor:
    """Moves the weights of `net` alone, computing no other gradient; gives the gradient's norm before clipping."""
    weights = list(net.parameters())
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss, inputs=weights)
    norm = nn.utils.clip_grad_norm_(weights, clip)
    optimizer.step()
    return norm
