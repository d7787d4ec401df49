"""An article at the size of CNN/DailyMail's: what its graph costs, and the walk by iteration in place of a system."""

from __future__ import annotations

import time

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from baselines.lexrank import centrality

SENTENCES = 40

pytestmark = pytest.mark.speed


def iterated(alike: np.ndarray, jump: float, tolerance: float) -> np.ndarray:
    """The paper's power method."""
    walk = alike / alike.sum(1, keepdims=True)
    central = np.full(len(alike), 1 / len(alike))
    while True:
        following = jump / len(alike) + (1 - jump) * walk.T @ central
        if np.abs(following - central).sum() < tolerance:
            return following
        central = following


def test_centrality(benchmark: BenchmarkFixture) -> None:
    rng = np.random.default_rng(0)
    graphs = []
    for _ in range(300):
        vectors = rng.random((SENTENCES, 30)) * (rng.random((SENTENCES, 30)) < 0.2)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        graphs.append(vectors @ vectors.T + 1e-12)
    ours = benchmark.pedantic(lambda: [centrality(graph, None, 0.15) for graph in graphs], rounds=3)
    solved = benchmark.stats.stats.min
    began = time.process_time()
    theirs = [iterated(graph, 0.15, 1e-12) for graph in graphs]
    power = time.process_time() - began
    print(f"solved {solved / 300 * 1e6:.0f} us, power method {power / 300 * 1e6:.0f} us an article")
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
