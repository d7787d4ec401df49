"""Optimiser state for checkpoints: tensors by parameter, without what the configuration says anyway."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Moments = list[dict[str, Tensor]]


def moments(net: nn.Module, optimizer: torch.optim.Optimizer) -> Moments:
    """What the optimiser keeps of each parameter, in the parameters' order; {} before its first step."""
    return [dict(optimizer.state[parameter]) for parameter in net.parameters()]


def set_moments(net: nn.Module, optimizer: torch.optim.Optimizer, saved: Moments) -> None:
    """Puts back what `moments` gave, on the parameters' device."""
    for parameter, kept in zip(net.parameters(), saved, strict=True):
        if kept:
            optimizer.state[parameter] = {name: value.to(parameter.device) for name, value in kept.items()}
