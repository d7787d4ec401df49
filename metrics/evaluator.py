"""A small judge that learns to tell two kinds of examples apart: logistic regression on sparse features, cross-fitted.

Deterministic and only numpy. The loss has one minimum, so neither the order of the examples nor any start matters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metrics.base import Floats
from metrics.ngrams import Bools, Ints

FOLDS = 5
RARE = FOLDS  # a text said at most so often is seen in training or in testing, never in both
L2 = 2.0
MEMORY = 10  # pairs of steps and gradients that L-BFGS keeps (Nocedal and Wright 2006, algorithm 7.5)
STEPS = 200
TOLERANCE = 1e-2  # of the gradient
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
        return _summed(self.rows, self.values * vector[self.columns], self.height)

    def transposed_times(self, vector: Floats) -> Floats:
        """[height] -> [width]."""
        return _summed(self.columns, self.values * vector[self.rows], self.width)

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

    def scaled(point: Floats) -> tuple[float, Floats]:
        value, gradient = loss(scale * point, examples, labels, importance, l2)
        return value, scale * gradient

    return scale * minimum(scaled, np.zeros(examples.width))


def loss(weights: Floats, examples: Sparse, labels: Bools, importance: Floats, l2: float) -> tuple[float, Floats]:
    """Logistic loss, summed over examples by importance, plus l2/2 |weights|^2; and its gradient [width]."""
    margin = np.where(labels, 1.0, -1.0) * examples.times(weights)
    value = float(importance @ np.logaddexp(0.0, -margin) + l2 / 2.0 * (weights @ weights))
    pull = np.where(labels, -1.0, 1.0) * importance * np.exp(-np.logaddexp(0.0, margin))
    return value, examples.transposed_times(pull) + l2 * weights


def minimum(function: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Where a smooth, strictly convex function that gives (value, gradient) is least, by L-BFGS with backtracking."""
    point = start
    value, gradient = function(point)
    pairs: list[tuple[Floats, Floats]] = []
    for _ in range(STEPS):
        if np.abs(gradient).max(initial=0.0) <= TOLERANCE:
            break
        direction = -_times_inverse_hessian(gradient, pairs)
        slope = float(direction @ gradient)
        length = 1.0 if pairs else 1.0 / max(1.0, float(np.linalg.norm(gradient)))
        while True:
            step = length * direction
            new_value, new_gradient = function(point + step)
            if new_value <= value + 1e-4 * length * slope or length < 1e-10:
                break
            length /= 2.0
        change = new_gradient - gradient
        if step @ change > 0:
            pairs = [*pairs[-(MEMORY - 1) :], (step, change)]
        point, value, gradient = point + step, new_value, new_gradient
    return point


def _times_inverse_hessian(gradient: Floats, pairs: list[tuple[Floats, Floats]]) -> Floats:
    """The two-loop recursion (Nocedal and Wright 2006, algorithm 7.4)."""
    result = gradient.copy()
    kept: list[float] = []
    for step, change in reversed(pairs):
        kept.append(float(step @ result) / float(step @ change))
        result -= kept[-1] * change
    if pairs:
        step, change = pairs[-1]
        result *= float(step @ change) / float(change @ change)
    for (step, change), alpha in zip(pairs, reversed(kept), strict=True):
        result += (alpha - float(change @ result) / float(step @ change)) * step
    return result


def _summed(places: Ints, values: Floats, size: int) -> Floats:
    sums: Floats = np.bincount(places, weights=values, minlength=size).astype(np.float64, copy=False)
    return sums
