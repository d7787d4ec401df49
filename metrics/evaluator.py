"""A small judge that learns to tell two kinds of examples apart: logistic regression on sparse features, cross-fitted.

Deterministic and only numpy. The loss has one minimum, which is found to more digits than a judgement takes: neither
the order of the examples nor any start matters, nor in which order a machine adds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from metrics.base import Floats
from metrics.ngrams import Bools, Ints

FOLDS = 5
RARE = FOLDS  # a text said at most so often is seen in training or in testing, never in both
L2 = 2.0
STEPS = 200
TOLERANCE = 1e-5  # of the gradient's length: logits are then right to 1e-6
TIE = 1e-6  # a logit nearer to 0 than this says nothing

Product = Callable[[Floats], Floats]  # a matrix, as what it makes of a vector


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
        return self._by_row(vector)

    def transposed_times(self, vector: Floats) -> Floats:
        """[height] -> [width]."""
        return self._by_column(vector)

    @cached_property
    def _by_row(self) -> _Sums:
        return _Sums(self.rows, self.columns, self.values, self.height)

    @cached_property
    def _by_column(self) -> _Sums:
        return _Sums(self.columns, self.rows, self.values, self.width)

    def only(self, rows: Bools) -> Sparse:
        """The same with all other rows empty."""
        kept = rows[self.rows]
        return Sparse(self.rows[kept], self.columns[kept], self.values[kept], self.height, self.width)


class _Sums:
    """The product with a vector, many times over: entries lie in the order of what they add to."""

    def __init__(self, to: Ints, of: Ints, values: Floats, size: int) -> None:
        order = np.argsort(to, kind="stable")
        self.of, self.values, self.size = of[order], values[order], size
        self.to, self.starts = np.unique(to[order], return_index=True)
        self.terms = np.empty(len(order))

    def __call__(self, vector: Floats) -> Floats:
        result = np.zeros(self.size)
        np.take(vector, self.of, out=self.terms, mode="clip")
        self.terms *= self.values
        result[self.to] = np.add.reduceat(self.terms, self.starts)
        return result


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
    steep = np.bincount(examples.columns, examples.values**2 * importance[examples.rows], examples.width) / 4.0
    scale = 1.0 / np.sqrt(steep + l2)

    def scaled(point: Floats) -> tuple[float, Floats]:
        value, gradient = loss(scale * point, examples, labels, importance, l2)
        return value, scale * gradient

    def bent_at(point: Floats) -> Product:
        human = np.exp(-np.logaddexp(0.0, -examples.times(scale * point)))
        weight = importance * human * (1.0 - human)

        def bent(direction: Floats) -> Floats:
            step = scale * direction
            along: Floats = examples.transposed_times(weight * examples.times(step)) + l2 * step
            return scale * along

        return bent

    return scale * minimum(scaled, bent_at, np.zeros(examples.width))


def loss(weights: Floats, examples: Sparse, labels: Bools, importance: Floats, l2: float) -> tuple[float, Floats]:
    """Logistic loss, summed over examples by importance, plus l2/2 |weights|^2; and its gradient [width]."""
    margin = np.where(labels, 1.0, -1.0) * examples.times(weights)
    value = _dot(importance, np.logaddexp(0.0, -margin)) + l2 / 2.0 * _dot(weights, weights)
    pull = np.where(labels, -1.0, 1.0) * importance * np.exp(-np.logaddexp(0.0, margin))
    return value, examples.transposed_times(pull) + l2 * weights


def minimum(
    function: Callable[[Floats], tuple[float, Floats]], hessian: Callable[[Floats], Product], start: Floats
) -> Floats:
    """Where a smooth, strictly convex function is least: Newton's method (Nocedal and Wright 2006, algorithm 7.1).

    Args:
        function: (value, gradient) at a point.
        hessian: of a point, what its Hessian makes of a direction.
    """
    point = start
    value, gradient = function(point)
    for _ in range(STEPS):
        size = _dot(gradient, gradient) ** 0.5
        if size <= TOLERANCE:
            break
        step = _solved(hessian(point), -gradient, min(0.5, size**0.5) * size)
        slope = _dot(step, gradient)
        while True:
            new_value, new_gradient = function(point + step)
            if new_value <= value + 1e-4 * slope or -slope <= 1e-13 * abs(value):  # less than sums are right to
                break
            step, slope = step / 2.0, slope / 2.0
        point, value, gradient = point + step, new_value, new_gradient
    return point


def _solved(product: Product, right: Floats, tolerance: float) -> Floats:
    """x where product(x) = right, but for a rest of that length: conjugate gradients (algorithm 5.2)."""
    found, rest = np.zeros_like(right), right
    direction, size = rest, _dot(rest, rest)
    for _ in range(len(right)):
        bent = product(direction)
        length = size / _dot(direction, bent)
        found = found + length * direction
        rest = rest - length * bent
        before, size = size, _dot(rest, rest)
        if size**0.5 <= tolerance:
            break
        direction = rest + size / before * direction
    return found


def _dot(one: Floats, other: Floats) -> float:
    """Not by BLAS: its threads, where it has some, wait for each other longer than so short a sum takes."""
    return float(np.add.reduce(one * other))
