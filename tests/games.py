"""What games of a policy and a discriminator over pairs are asked for in more than one test."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.training.rollout import Sampled, sample_with_states
from baselines.training.sequence_policy import AdversarialPolicy


def drawn(game: AdversarialPolicy) -> tuple[Sampled, tuple[Tensor, ...], tuple[Tensor, Tensor]]:
    """What the generator writes for a batch of sources; the memory of these; the sources."""
    sources = game._source_batch()
    assert sources is not None
    game.net.eval()
    with torch.no_grad():
        memory = game.net.encode(*sources)
        return sample_with_states(game.net, memory, game._uniforms(game._time), **game._ends), memory, sources


def lists(ids: Tensor, pad: int) -> list[list[int]]:
    """Rows without their padding."""
    return [[i for i in row if i != pad] for row in ids.tolist()]
