"""Speed of ScratchGAN's steps at the official code's size: batch 512, T=20, V=5000, two layers of 512.

Run with `pytest tests/speed/test_speed_scratchgan.py --benchmark-only -s`.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from baselines.nets.lstm import RecurrentNet, initialise
from baselines.scratchgan import Game, ScratchGAN
from tasks.base import Corpus, Ragged, Split, Vocabulary
from tests.fakes import FakeRun
from tests.toys import ToyCodec, _corpus

pytestmark = pytest.mark.speed

VOCAB, TIME = 5000, 20


def synthetic_corpus(lines: int = 1024) -> Corpus:
    codec = ToyCodec(Vocabulary(tuple(map(str, range(VOCAB))), None, None))
    ids = torch.randint(VOCAB, (lines, TIME), generator=torch.Generator().manual_seed(3))
    split = Split((), Ragged.from_lists(ids.tolist()))
    return _corpus("free", codec, None, dict.fromkeys(("train", "valid", "test"), split), TIME)


@pytest.mark.parametrize("step", ["generator_step", "discriminator_step"])
def test_step(benchmark: Any, step: str) -> None:
    method, corpus = ScratchGAN(), synthetic_corpus()
    generator = method.build(corpus)
    assert isinstance(generator.net, RecurrentNet)
    initialise(generator.net, "glorot", 0.5, torch.Generator().manual_seed(1))
    game = Game(corpus, method.config, generator, FakeRun())
    benchmark.pedantic(getattr(game, step), rounds=2, warmup_rounds=0)
