"""A step of each player of Transformer-GAN, at the sizes of `small` and of `paper`."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from baselines.base import Baseline
from baselines.merging import merge
from baselines.training.writers import OwnTokens
from baselines.transformer_gan import Game, TransformerGAN, TransformerGANConfig
from tasks.base import Corpus, Ragged, Split, Vocabulary
from tests.fakes import FakeRun
from tests.toys import ToyCodec, _corpus

pytest.importorskip("transformers")
pytestmark = [pytest.mark.speed, pytest.mark.filterwarnings("ignore:.*enable_nested_tensor")]

VOCAB, SOURCE, TARGET = 15_000, 30, 15


def corpus_of(lines: int = 256) -> Corpus:
    """Random words; sources and targets of different lengths, as translation has them."""
    rng = np.random.default_rng(3)
    codec = ToyCodec(Vocabulary(("</s>", *map(str, range(1, VOCAB)))))

    def rows(longest: int) -> Ragged:
        lengths = rng.integers(longest // 2, longest, lines)
        return Ragged.from_lists([[*rng.integers(1, VOCAB, length), 0] for length in lengths])

    splits = {name: Split((), rows(TARGET), rows(SOURCE)) for name in ("train", "valid", "test")}
    made = _corpus("conditional", codec, codec, splits, None)
    return dataclasses.replace(made, max_source_length=SOURCE, max_target_length=TARGET)


def new_game(budget: str, **settings: Any) -> Game:
    corpus, cls = corpus_of(), TransformerGAN
    preset: Any = merge(cls.preset(budget, "translation", "conditional"), settings)
    method: Baseline = cls(TransformerGANConfig.model_validate(preset))
    generator: Any = method.build(corpus)
    return Game(method.config, OwnTokens(generator, corpus), FakeRun())


def cpu_seconds(work: Callable[[], Any], times: int = 3) -> float:
    work()
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


@pytest.mark.parametrize("budget", ["small", "paper"])
@pytest.mark.parametrize("step", ["policy_step", "likelihood_step", "discriminator_step"])
def test_a_step(benchmark: Any, budget: str, step: str) -> None:
    """`paper` with a batch of 8: its 64 take a CPU minutes."""
    game = new_game(budget, **({"batch": 8} if budget == "paper" else {}))
    taken = cpu_seconds(getattr(game, step))
    benchmark.pedantic(getattr(game, step), rounds=1)
    benchmark.extra_info["cpu_s"] = taken
    print(f"\n{budget}, {step}: {taken:.3g} CPU s, batch {game.config.batch}")
