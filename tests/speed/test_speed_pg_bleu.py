"""Speed of BLEU as a reward, at the paper's size: V=5000, T=20, batch 64, 16 rollouts, 10,000 lines of train.

Run with `pytest tests/speed/test_speed_pg_bleu.py --benchmark-only -s`. Times are CPU seconds of one thread.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from torch import Tensor

from baselines.neural import NeuralGenerator
from baselines.pg_bleu import Climber, PGBleuConfig
from baselines.training.bleu_reward import BleuReward
from tests.fakes import FakeRun
from tests.speed.test_speed_seqgan import BATCH, ROLLOUTS, TIME, VOCAB, language_model, synthetic_corpus

pytestmark = pytest.mark.speed

LINES = 10_000


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def test_reward(benchmark: Any) -> None:
    """All rollouts of a step; NLTK scores five of them, against the same lines."""
    train = synthetic_corpus(LINES).splits["train"].targets
    reward = BleuReward(train, vocab=VOCAB, eos=None, orders=4)
    rows = torch.from_numpy(train.padded(VOCAB + 1)).repeat(2, 1)[: BATCH * (TIME - 1) * ROLLOUTS]
    rows = torch.where(torch.rand(rows.shape) < 0.7, rows, torch.randint(VOCAB, rows.shape))
    references, few, smooth = [line.tolist() for line in rows[:LINES]], 5, SmoothingFunction().method1

    def slow() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for line in rows[:few].tolist():
                sentence_bleu(references, line, smoothing_function=smooth)

    reward(rows)
    theirs = seconds(slow) / few * len(rows)
    ours = benchmark.pedantic(lambda: seconds(lambda: reward(rows)), rounds=3)
    benchmark.extra_info |= {"nltk_s": theirs, "ours_s": ours}
    print(f"\n{len(rows)} rollouts: NLTK {theirs:.4g} s (from {few}), ours {ours:.3g} s, ratio {theirs / ours:.3g}")


def test_generator_step(benchmark: Any) -> None:
    """A whole step, and the share of it that BLEU takes."""
    corpus = synthetic_corpus(LINES)
    learner = Climber(corpus, PGBleuConfig(), NeuralGenerator(language_model(), corpus), FakeRun())
    plain, spent = learner.bleu, [0.0]

    def timed(tokens: Tensor) -> Tensor:
        start = time.process_time()
        values = plain(tokens)
        spent[0] += time.process_time() - start
        return values

    learner.generator_step()
    learner.bleu = timed  # type: ignore[assignment]
    whole = seconds(learner.generator_step)
    bleu = spent[0]
    benchmark.pedantic(learner.generator_step, rounds=2)
    benchmark.extra_info |= {"step_s": whole, "bleu_s": bleu}
    print(f"\ngenerator step {whole:.3g} s, of which BLEU {bleu:.3g} s ({bleu / whole:.0%})")
