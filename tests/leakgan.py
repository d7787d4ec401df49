"""LeakGAN at its smallest, for the tests of its networks and of its training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from baselines.leakgan import Game, LeakGAN, LeakGANConfig
from baselines.merging import merge
from tasks.base import Corpus
from tests.fakes import FakeRun
from tests.fresh import fresh_seed
from tests.toys import free_corpus

TINY: dict[str, Any] = {
    "embedding": 8,
    "hidden": 8,
    "goal_size": 3,
    "horizon": 2,
    "rollout_every": 2,
    "discriminator": {"embedding": 6, "widths": (1, 2, 3), "filters": (6, 6, 6)},
    "batch": 8,
    "interleave": 2,
    "d_pretrain_steps": 1,
    "d_pretrain_epochs": 1,
    "mle_epochs": 1,
    "epoch_steps": 2,
    "rounds": 3,
    "d_steps": 2,
    "d_epochs": 1,
    "mle_every": 2,
    "samples": 20,
    "rollouts": 2,
    "valid_every": 2,
}
CORPORA = {"free": free_corpus(40), "fixed": free_corpus(40, fixed_length=6)}


def tiny(**settings: Any) -> LeakGAN:
    return LeakGAN(LeakGANConfig.model_validate(merge(TINY, settings)))


def new_game(corpus: Corpus, run: FakeRun | None = None, **settings: Any) -> Game:
    """In float64, with weights large enough for its distributions to be far from uniform."""
    method = tiny(init_scale=0.7, **settings)
    game = Game(corpus, method.config, *method.networks(corpus), run or FakeRun(fresh_seed()))
    game.initialise()
    game.net.double()
    game.discriminator.double()
    return game


def sequences(corpus: Corpus, rows: int = 7) -> Tensor:
    """Random tokens [rows, time], with ends where the corpus has them."""
    rng = torch.Generator().manual_seed(fresh_seed())
    time = corpus.fixed_length or corpus.max_target_length
    tokens = torch.randint(1, corpus.vocab.size, (rows, time), generator=rng)
    if corpus.fixed_length is None:
        lengths = torch.randint(1, time + 1, (rows, 1), generator=rng)
        tokens[torch.arange(time) >= lengths] = corpus.vocab.pad
    return tokens
