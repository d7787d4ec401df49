"""Speed of the n-gram model: counting, and drawing 10,000 samples, against the dense distribution.

Run with `pytest tests/speed/test_speed_ngram.py --benchmark-only -s -m speed`. Times are CPU seconds of one thread.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch

from baselines.ngram import NgramGenerator, Sampler
from tasks.base import Corpus, Ragged, Split, Vocabulary
from tests.toys import ToyCodec, _corpus

pytestmark = pytest.mark.speed

VOCAB, LENGTH, LINES, SAMPLES = 5000, 20, 10_000, 10_000


def zipf_corpus() -> Corpus:
    """Lines of 20 tokens; half of them follow from the token before, the others are Zipf's."""
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, VOCAB + 1)
    ids = rng.choice(VOCAB, (LINES, LENGTH), p=weights / weights.sum())
    for place in range(1, LENGTH):
        follows = rng.random(LINES) < 0.5
        ids[follows, place] = (ids[follows, place - 1] * 7 + rng.integers(0, 5, int(follows.sum()))) % VOCAB
    split = Split((), Ragged.from_padded(ids, np.full(LINES, LENGTH)))
    codec = ToyCodec(Vocabulary(tuple(map(str, range(VOCAB))), None, None))
    return _corpus("free", codec, None, dict.fromkeys(("train", "valid", "test"), split), LENGTH)


@pytest.fixture(scope="module")
def generator() -> NgramGenerator:
    corpus = zipf_corpus()
    made = NgramGenerator(corpus)
    made.learn(corpus.splits["train"].targets, 5)
    return made


def test_counting(benchmark: Any) -> None:
    corpus = zipf_corpus()
    benchmark.pedantic(lambda: NgramGenerator(corpus).learn(corpus.splits["train"].targets, 5), rounds=3)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.3])
def test_sampling(benchmark: Any, generator: NgramGenerator, temperature: float) -> None:
    """The reference works out P for every word, of a tenth of the histories after five tokens."""
    rng = torch.Generator().manual_seed(0)
    benchmark.pedantic(lambda: generator.sample(SAMPLES, temperature=temperature, rng=rng), rounds=2)
    model, ids = generator.model, generator.sample(SAMPLES // 10, rng=rng).padded(0)
    histories = model.beginnings(len(ids))
    for place in range(5):
        histories = model.read(histories, ids[:, place])
    uniforms = np.random.default_rng(0).random(len(ids))
    sampler = Sampler(model, temperature)
    taken = []
    for work in (lambda: dense(generator, histories, temperature, uniforms), lambda: sampler(histories, uniforms)):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    benchmark.extra_info |= {"dense_s": taken[0], "ours_s": taken[1], "ratio": taken[0] / taken[1]}
    print(f"\n1,000 draws at T = {temperature}: dense {taken[0]:.3g} s, ours {taken[1]:.3g} s")
    assert taken[0] > taken[1]


def dense(generator: NgramGenerator, histories: Any, temperature: float, uniforms: Any) -> Any:
    weights = generator.model.distributions(histories) ** (1 / temperature)
    cdf = weights.cumsum(1)
    return (cdf <= uniforms[:, None] * cdf[:, -1:]).sum(1)
