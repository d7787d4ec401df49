"""Looking up at the size of the dialogue set, and the same search without cutting it short."""

from __future__ import annotations

import time

import numpy as np
import pytest

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


def test_index_and_queries() -> None:
    rng = np.random.default_rng(0)
    train, test = contexts(rng, ROWS), contexts(rng, 100)
    near = [np.concatenate([train[50 * i][: TIME // 2], test[i][:5]]) for i in range(100)]
    began = time.process_time()
    index = Index(train, WORDS, [0, 1])
    seconds = {"index": time.process_time() - began}
    found = {}
    for name, mean_length in (("cut short", index.mean_length), ("whole", 1e9)):
        index.mean_length = mean_length
        for kind, queries in (("no row near", [test[i] for i in range(100)]), ("a row near", near)):
            began = time.process_time()
            found[name, kind] = [index.nearest(query) for query in queries]
            seconds[f"{kind}, {name}, ms a query"] = (time.process_time() - began) * 10
    print({name: round(value, 2) for name, value in seconds.items()})
    for kind in ("no row near", "a row near"):
        assert found["cut short", kind] == found["whole", kind]
    assert seconds["a row near, cut short, ms a query"] < seconds["a row near, whole, ms a query"]
