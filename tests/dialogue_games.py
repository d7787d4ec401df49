"""A small dialogue GAN, the responses that it writes, and the word on a pair by a reading one by one."""

from __future__ import annotations

import math
from typing import Any

import torch

from baselines.dialogue_gan import (
    DialogueGAN,
    DialogueRegsMC,
    DialogueRegsPartial,
    DialogueReinforce,
    Game,
)
from baselines.merging import merge
from baselines.nets.lstm import RecurrentNet, initialise
from tasks.base import Corpus
from tests.dialogues import roughen, verdict
from tests.fakes import FakeRun

TINY: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 8, "hidden": 8, "encoder": 6, "attention": 6, "readout": 8, "dropout": 0.2},
        "epochs": 1,
    },
    "discriminator": {"embedding": 6, "hidden": 6},
    "d_pretrain_steps": 2,
    "rounds": 3,
    "d_steps": 2,
    "batch": 8,
    "rollouts": 2,
    "valid_every": 2,
}
ROWS: tuple[type[DialogueGAN], ...] = (DialogueReinforce, DialogueRegsMC, DialogueRegsPartial)


def tiny(row: type[DialogueGAN] = DialogueReinforce, **settings: Any) -> DialogueGAN:
    return row(row.Config.model_validate(merge(TINY, settings)))


def players(corpus: Corpus, row: type[DialogueGAN] = DialogueReinforce, seed: int = 0, **settings: Any) -> Game:
    """A game of random networks, in float64."""
    method = tiny(row, **settings)
    generator = method.build(corpus)
    net = generator.net
    assert isinstance(net, RecurrentNet)
    initialise(net, "uniform", 1.0, torch.Generator().manual_seed(seed))
    game = Game(corpus, method.config, generator, FakeRun(seed))
    for part in (generator, game.critic):
        part.double()
    roughen(game.discriminator, seed)
    uniforms = game._uniforms
    game._uniforms = lambda *shape: uniforms(*shape).double()  # type: ignore[method-assign]
    return game


def human(game: Game, source: list[int], response: list[int]) -> float:
    """P(human), by the reading one by one."""
    return 1 / (1 + math.exp(-float(verdict(game.discriminator, source, response).detach())))
