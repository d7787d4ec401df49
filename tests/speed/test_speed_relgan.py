"""Speed of RelGAN's steps at the paper's size: V=5000, T=20, batch 64, memory 512, 64 representations, 1200 filters.

Run with `pytest tests/speed/test_speed_relgan.py --benchmark-only -s`.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from baselines.nets.relational import RelationalLanguageModel, initialise
from baselines.relgan import Game, RelGAN
from tasks.base import Corpus, Ragged, Split, Vocabulary
from tests.fakes import FakeRun
from tests.toys import ToyCodec, _corpus

pytestmark = pytest.mark.speed

VOCAB, TIME = 5000, 20


def synthetic_corpus(lines: int = 256) -> Corpus:
    codec = ToyCodec(Vocabulary(tuple(map(str, range(VOCAB))), None, None))
    ids = torch.randint(VOCAB, (lines, TIME), generator=torch.Generator().manual_seed(3))
    split = Split((), Ragged.from_lists(ids.tolist()))
    return _corpus("free", codec, None, dict.fromkeys(("train", "valid", "test"), split), TIME)


def new_game() -> Game:
    method, corpus = RelGAN(), synthetic_corpus()
    generator = method.build(corpus)
    assert isinstance(generator.net, RelationalLanguageModel)
    initialise(generator.net, torch.Generator().manual_seed(1))
    return Game(corpus, method.config, generator, FakeRun())


@pytest.mark.parametrize("step", ["generator_step", "discriminator_step"])
def test_step(benchmark: Any, step: str) -> None:
    game = new_game()
    benchmark.pedantic(getattr(game, step), args=(10.0,), rounds=2, warmup_rounds=0)


def test_sampling(benchmark: Any) -> None:
    """10,000 sequences."""
    generator, rng = new_game().generator, torch.Generator().manual_seed(0)
    benchmark.pedantic(lambda: generator.sample(10_000, temperature=1.0, rng=rng), rounds=2)
