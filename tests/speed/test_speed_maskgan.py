"""Time of MaskGAN's steps at the paper's size: V=5000, T=20, batch 128, two layers of 650 units.

Run with `pytest tests/speed/test_speed_maskgan.py --benchmark-only -s`. One round of each: on a CPU a step is seconds.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from baselines.maskgan import Game, MaskGAN, MaskGANConfig
from baselines.neural import build_net
from baselines.training.maskmle import make_puzzle, maskmle_step
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


def new_game(share: float) -> Game:
    corpus, method = synthetic_corpus(), MaskGAN(MaskGANConfig.model_validate({"mask": {"full_share": share}}))
    generator = method.build(corpus)
    generator.net.start_from(build_net(corpus, method.config.mle.net).state_dict())
    return Game(corpus, method.config, generator, FakeRun())


def timed(benchmark: Any, what: str, work: Any) -> None:
    start = time.process_time()
    benchmark.pedantic(work, rounds=1)
    taken = time.process_time() - start
    benchmark.extra_info["cpu_s"] = taken
    print(f"\n{what}: {taken:.3g} CPU seconds")


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["half-blank", "all-blank"])
@pytest.mark.parametrize("side", ["generator_step", "discriminator_step"])
def test_a_step_of_the_game(benchmark: Any, side: str, share: float) -> None:
    timed(benchmark, f"{side}, share of blanks {0.5 + share / 2:g}", getattr(new_game(share), side))


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["half-blank", "all-blank"])
def test_a_step_of_maskmle(benchmark: Any, share: float) -> None:
    game = new_game(share)
    generator, config = game.generator, game.config
    texts = game.corpus.splits["train"].targets.take(range(config.maskmle.batch))
    puzzle = make_puzzle(generator, texts, config.mask, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(generator.net.parameters(), 1e-3, fused=True)
    timed(benchmark, "maskmle", lambda: maskmle_step(generator, optimizer, puzzle, config.maskmle))


def test_filling(benchmark: Any) -> None:
    """1000 texts, half of each blank, as a user asks for it."""
    game = new_game(0.0)
    texts = game.corpus.splits["train"].targets.take([row % 256 for row in range(1000)])
    blanks = (torch.arange(len(texts.flat)) % TIME < TIME // 2).numpy()
    rng = torch.Generator().manual_seed(0)
    timed(benchmark, "filling 1000 texts", lambda: game.generator.infill(texts, blanks, rng=rng))
