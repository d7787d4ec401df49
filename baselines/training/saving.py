"""State for checkpoints: optimisers by parameter, without what the configuration says anyway; two players as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

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


class Players(Protocol):
    """Generator and discriminator with an optimiser each."""

    net: Any
    discriminator: Any
    g_optimizer: Any
    d_optimizer: Any


def players_state(game: Players) -> dict[str, Any]:
    """Weights and moments of both."""
    return {
        "net": game.net.state_dict(),
        "discriminator": game.discriminator.state_dict(),
        "g_moments": moments(game.net, game.g_optimizer),
        "d_moments": moments(game.discriminator, game.d_optimizer),
    }


def set_players(game: Players, saved: Mapping[str, Any]) -> None:
    """Puts back what `players_state` gave."""
    game.net.load_state_dict(saved["net"])
    game.discriminator.load_state_dict(saved["discriminator"])
    set_moments(game.net, game.g_optimizer, saved["g_moments"])
    set_moments(game.discriminator, game.d_optimizer, saved["d_moments"])
