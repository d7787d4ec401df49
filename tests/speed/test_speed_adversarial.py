"""The evaluator of replies: one fit, as a ratio against the same minimum by L-BFGS, entries added one by one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from metrics.evaluator import L2, Sparse, fit
from metrics.ngrams import Bools

pytestmark = pytest.mark.speed


def replies(count: int, width: int, entries: int) -> tuple[Sparse, Bools]:
    """As wide as those of real chat: pairs of words with Zipf's frequencies, of which few tell the kinds apart."""
    rng = np.random.default_rng(0)
    labels = rng.random(count) < 0.5
    rows = np.repeat(np.arange(count), entries)
    columns = (width ** rng.random(len(rows))).astype(np.int64) - 1
    columns = np.where(labels[rows] & (rng.random(len(rows)) < 0.02), columns // 2, columns)
    return Sparse(rows, columns, np.full(len(rows), 2 * entries**-0.5), count, width), labels


def by_entries(examples: Sparse, labels: Bools) -> Any:
    """Weights of the same fit, of all rows."""
    sign = np.where(labels, 1.0, -1.0)
    importance = (len(labels) / (2.0 * np.array([(~labels).sum(), labels.sum()])))[labels.astype(int)]
    steep = np.bincount(examples.columns, examples.values**2 * importance[examples.rows], examples.width) / 4.0
    scale = 1.0 / np.sqrt(steep + L2)

    def loss(point: Any) -> Any:
        weights = scale * point
        margin = sign * np.bincount(examples.rows, examples.values * weights[examples.columns], examples.height)
        pull = -sign * importance * np.exp(-np.logaddexp(0.0, margin))
        gradient = np.bincount(examples.columns, examples.values * pull[examples.rows], examples.width) + L2 * weights
        return importance @ np.logaddexp(0.0, -margin) + L2 / 2 * weights @ weights, scale * gradient

    limits = {"ftol": 0.0, "gtol": 1e-6, "maxiter": 5000, "maxfun": 5000}
    return scale * minimize(loss, np.zeros(examples.width), jac=True, method="L-BFGS-B", options=limits).x


def test_fit(benchmark: Any) -> None:
    examples, labels = replies(20_000, 54_000, 45)
    seen = np.ones(len(labels), np.bool_)

    def timed(function: Any, *arguments: Any) -> Any:
        begun = time.process_time()
        return function(*arguments), time.process_time() - begun

    benchmark.pedantic(fit, (examples, labels, seen), rounds=1)
    weights, seconds = timed(fit, examples, labels, seen)
    expected, reference = timed(by_entries, examples, labels)
    assert weights == pytest.approx(expected, abs=1e-5)
    benchmark.extra_info |= {"seconds": seconds, "reference": reference, "ratio": reference / seconds}
    print(f"\nfit: {seconds:.2f} s, entries one by one: {reference:.2f} s, ratio {reference / seconds:.1f}")
