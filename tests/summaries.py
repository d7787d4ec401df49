"""A small summarization GAN, its summaries, and the word on a pair by a reading of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from baselines.merging import merge
from baselines.nets.attention import AttentionSeq2Seq
from baselines.nets.lstm import initialise
from baselines.summarization_gan import Game, SummarizationGAN
from tasks.base import Corpus
from tests.fakes import FakeRun
from tests.fresh import fresh_seed
from tests.games import lists
from tests.toys import conditional_corpus

TINY: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 8, "hidden": 8, "encoder": 6, "attention": 6, "readout": 8, "dropout": 0.2},
        "epochs": 1,
    },
    "discriminator": {"hidden": 6},
    "d_pretrain_steps": 2,
    "rounds": 3,
    "d_steps": 2,
    "batch": 8,
    "rollouts": 2,
    "rollout_every": 2,
    "valid_every": 2,
}
CORPUS = conditional_corpus(60)
PAD = CORPUS.vocab.pad
NET = TINY["mle"]["net"]


def tiny(**settings: Any) -> SummarizationGAN:
    return SummarizationGAN(SummarizationGAN.Config.model_validate(merge(TINY, settings)))


def players(seed: int | None = None, corpus: Corpus = CORPUS, **settings: Any) -> Game:
    """A game of random networks, in float64; samples often reach the limit and often do not."""
    method, seed = tiny(**settings), fresh_seed() if seed is None else seed
    generator = method.build(corpus)
    assert isinstance(generator.net, AttentionSeq2Seq)
    initialise(generator.net, "uniform", 1.0, torch.Generator().manual_seed(seed))
    game = Game(corpus, method.config, generator, FakeRun(seed))
    for part in (generator, game.discriminator):
        part.double()
    with torch.no_grad():
        for i, parameter in enumerate(game.discriminator.parameters()):
            parameter.uniform_(-1, 1, generator=torch.Generator().manual_seed(seed + i))
        game.net.output.bias[0] += 1.0
    uniforms = game._uniforms
    game._uniforms = lambda *shape: uniforms(*shape).double()  # type: ignore[method-assign]
    return game


def articles(game: Game, sources: tuple[Tensor, Tensor]) -> list[list[int]]:
    pad = game.generator.collator.source_pad
    assert pad is not None
    return lists(sources[0], pad)


def human(game: Game, article: list[int], summary: list[int]) -> float:
    """P(human) of one pair alone; nothing is padded."""
    logit = game.discriminator(torch.tensor([article]), torch.tensor([len(article)]), torch.tensor([summary]))
    return float(logit.detach().sigmoid())
