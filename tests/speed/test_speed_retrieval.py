"""Looking up at the size of the dialogue set, and the same search without cutting it short."""

from __future__ import annotations

import time

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from baselines.retrieval import Index
from tasks.base import Ragged

ROWS, WORDS, TIME = 308_755, 15_000, 40  # sources of dialogue_selfdialogue, their vocabulary, tokens of a long context

pytestmark = pytest.mark.speed


def contexts(rng: np.random.Generator, n: int) -> Ragged:
    """Words as frequent as in text, drawn one by one: the worst case, since no row is near to any other."""
    chance = np.cumsum(1 / np.arange(1, WORDS + 1))
    lengths = rng.integers(TIME // 2, TIME * 3 // 2, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ragged(np.searchsorted(chance, rng.random(offsets[-1]) * chance[-1]).astype(np.int32), offsets)


def test_index(benchmark: BenchmarkFixture) -> None:
    train = contexts(np.random.default_rng(0), ROWS)
    benchmark.pedantic(lambda: Index(train, WORDS, [0, 1]), rounds=1)


@pytest.mark.parametrize("kind", ["no row near", "a row near"])
def test_queries(benchmark: BenchmarkFixture, kind: str) -> None:
    """A hundred queries, and what they take when no search is cut short."""
    rng = np.random.default_rng(0)
    train, test = contexts(rng, ROWS), contexts(rng, 100)
    queries = [test[i] for i in range(100)]
    if kind == "a row near":
        queries = [np.concatenate([train[50 * i][: TIME // 2], test[i][:5]]) for i in range(100)]
    index = Index(train, WORDS, [0, 1])
    found = benchmark.pedantic(lambda: [index.nearest(query) for query in queries], rounds=1)
    index.mean_length = 1e9
    began = time.process_time()
    assert [index.nearest(query) for query in queries] == found
    whole = time.process_time() - began
    took = benchmark.stats.stats.min
    print(f"\n{kind}: {10 * took:.2f} ms a query, {10 * whole:.2f} ms without cutting short")
