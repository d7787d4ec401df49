"""A small judge that learns to tell two kinds of examples apart: logistic regression on sparse features, cross-fitted.

Deterministic. The loss has one minimum, which is found to more digits than a judgement takes: neither the order of the
examples nor any start matters, nor in which order a machine adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit

from metrics.base import Floats
from metrics.ngrams import Bools, Ints

FOLDS = 5
RARE = FOLDS  # a text said at most so often is seen in training or in testing, never in both
L2 = 2.0
TOLERANCE = 1e-6  # of the gradient: logits are then right to 1e-7
TIE = 1e-6  # a logit nearer to 0 than this says nothing


@dataclass(frozen=True)
class Sparse:
    """A matrix [height, width] as its entries: equal places add up.

    Attributes:
        rows, columns, values: [entries].
    """

    rows: Ints
    columns: Ints
    values: Floats
    height: int
    width: int

    def times(self, vector: Floats) -> Floats:
        """[width] -> [height]."""
        product: Floats = self._by_row @ vector
        return product

    def transposed_times(self, vector: Floats) -> Floats:
        """[height] -> [width]."""
        product: Floats = self._by_column @ vector
        return product

    # a fit multiplies hundreds of times; each sum goes through its entries in the order they have here
    @cached_property
    def _by_row(self) -> Any:
        return _compressed(self.rows, self.columns, self.values, (self.height, self.width))

    @cached_property
    def _by_column(self) -> Any:
        return _compressed(self.columns, self.rows, self.values, (self.width, self.height))

    def only(self, rows: Bools) -> Sparse:
        """The same with all other rows empty."""
        kept = rows[self.rows]
        return Sparse(self.rows[kept], self.columns[kept], self.values[kept], self.height, self.width)


def cross_fitted_errors(examples: Sparse, labels: Bools, fold: Ints, text: Ints) -> Floats:
    """How wrong each example is judged by a judge trained without its fold: 0, 1, or 0.5 where it can't say [examples].

    Args:
        labels: [examples] which of the two kinds.
        fold: [examples] 0 .. FOLDS - 1.
        text: [examples] equal where the text to be judged is. A judge that has seen a text under one label would take
            it for the same in testing, which is memory and not judgement (a text that is once of each kind would even
            be judged wrong always); so what is to be tested is left out of training, whatever its labels. A text that
            is said more than `RARE` times stays: to be said so often is a trait of its kind.
    """
    logits = np.zeros(examples.height)
    rare = np.bincount(text)[text] <= RARE
    for f in range(FOLDS):
        tested = fold == f
        seen = ~tested & ~(rare & np.isin(text, text[tested]))
        weights = fit(examples.only(seen), labels, seen)
        logits[tested] = examples.only(tested).times(weights)[tested]
    wrong: Floats = np.where((logits > 0) == labels, 0.0, 1.0)
    return np.where(np.abs(logits) < TIE, 0.5, wrong)


def fit(examples: Sparse, labels: Bools, seen: Bools, l2: float = L2) -> Floats:
    """Weights [width] of a logistic regression on the rows that are `seen`; all 0 unless both labels are among them."""
    count = np.array([(seen & ~labels).sum(), (seen & labels).sum()], np.float64)
    if not count.all():
        return np.zeros(examples.width)
    # both labels weigh the same, so that being the commoner one is no reason to be guessed
    importance = np.where(seen, (count.sum() / (2.0 * count))[labels.astype(np.int64)], 0.0)
    # measured in steps of 1 / sqrt(largest curvature), a feature that all have and one that two have are alike steep
    steep = _summed(examples.columns, examples.values**2 * importance[examples.rows], examples.width) / 4.0
    scale = 1.0 / np.sqrt(steep + l2)

    found = minimize(
        lambda point: _both(loss(scale * point, examples, labels, importance, l2), scale),
        np.zeros(examples.width),
        method="trust-ncg",  # Nocedal and Wright 2006, section 7.1
        jac=True,
        hessp=_Curvature(examples, importance, scale, l2),
        options={"gtol": TOLERANCE},
    )
    weights: Floats = scale * found.x
    return weights


def loss(weights: Floats, examples: Sparse, labels: Bools, importance: Floats, l2: float) -> tuple[float, Floats]:
    """Logistic loss, summed over examples by importance, plus l2/2 |weights|^2; and its gradient [width]."""
    margin = np.where(labels, 1.0, -1.0) * examples.times(weights)
    value = float(importance @ np.logaddexp(0.0, -margin) + l2 / 2.0 * (weights @ weights))
    pull = np.where(labels, -1.0, 1.0) * importance * np.exp(-np.logaddexp(0.0, margin))
    return value, examples.transposed_times(pull) + l2 * weights


def _both(value_and_gradient: tuple[float, Floats], scale: Floats) -> tuple[float, Floats]:
    value, gradient = value_and_gradient
    return value, scale * gradient


class _Curvature:
    """The loss' Hessian at a point, times a direction, both in units of `scale`; of one point many are asked for."""

    def __init__(self, examples: Sparse, importance: Floats, scale: Floats, l2: float) -> None:
        self.examples, self.importance, self.scale, self.l2 = examples, importance, scale, l2
        self.point, self.weight = np.full(examples.width, np.nan), importance

    def __call__(self, point: Floats, direction: Floats) -> Floats:
        if not np.array_equal(point, self.point):
            human = expit(self.examples.times(self.scale * point))
            self.point, self.weight = point.copy(), self.importance * human * (1.0 - human)
        step = self.scale * direction
        bent: Floats = self.examples.transposed_times(self.weight * self.examples.times(step)) + self.l2 * step
        return self.scale * bent


def _compressed(rows: Ints, columns: Ints, values: Floats, shape: tuple[int, int]) -> Any:
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    return csr_array((values[order], columns[order], starts), shape=shape)


def _summed(places: Ints, values: Floats, size: int) -> Floats:
    sums: Floats = np.bincount(places, weights=values, minlength=size).astype(np.float64, copy=False)
    return sums
