"""Comparisons over seeds by Student's t, corrected for their number, and how many seeds a difference needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.stats.resampling import Floats
from bench.stats.student_t import t_power, t_quantile, t_two_sided


def mean_interval(values: Sequence[float] | Floats, level: float = 0.95) -> tuple[float, float]:
    """Mean and half width of its Student-t interval, as over seeds; the half width of fewer than two values is NaN."""
    sample = np.asarray(values, dtype=np.float64)
    n = len(sample)
    if n == 0:
        return math.nan, math.nan
    mean = float(sample.mean())
    if n == 1 or not math.isfinite(mean):
        return mean, math.nan
    error = float(sample.std(ddof=1)) / math.sqrt(n)
    return mean, t_quantile((1 + level) / 2, n - 1) * error


@dataclass(frozen=True)
class Comparison:
    """Two methods on one metric, over seeds.

    Attributes:
        difference: mean of the first less mean of the second.
        error: standard error of the difference; NaN where there are too few seeds to have one.
        df: degrees of freedom.
        p: two-sided; NaN where it can't be computed.
        paired: seed by seed, or Welch.
        n: seeds of each.
    """

    difference: float
    error: float
    df: float
    p: float
    paired: bool
    n: tuple[int, int]

    def smallest_difference(self, alpha: float = 0.05) -> float:
        """How large a difference would have to be, with this spread and these seeds, to be told apart at `alpha`."""
        if not math.isfinite(self.error):
            return math.nan
        return t_quantile(1 - alpha / 2, self.df) * self.error

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        half = self.smallest_difference(1 - level)
        return self.difference - half, self.difference + half


def compare(first: Mapping[int, float], second: Mapping[int, float]) -> Comparison:
    """Values by seed: paired where both have the same seeds (they share data order and pre-training), else Welch."""
    if first.keys() == second.keys():
        seeds = sorted(first)
        return paired([first[seed] for seed in seeds], [second[seed] for seed in seeds])
    return welch(list(first.values()), list(second.values()))


def paired(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Student's paired test; `first[i]` belongs with `second[i]`."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if len(a) != len(b):
        raise ValueError(f"a paired test needs as many values on both sides, not {len(a)} and {len(b)}")
    n, differences = len(a), a - b
    difference = float(differences.mean()) if n else math.nan
    error = float(differences.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return _comparison(difference, error, float(n - 1), True, (n, n))


def welch(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Welch's test (1947): the two spreads need not be equal."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    difference = float(a.mean() - b.mean()) if len(a) and len(b) else math.nan
    if len(a) < 2 or len(b) < 2:
        return _comparison(difference, math.nan, math.nan, False, (len(a), len(b)))
    squares = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    total = sum(squares)
    shares = [square / total for square in squares] if total > 0 else [0.5, 0.5]
    df = 1 / (shares[0] ** 2 / (len(a) - 1) + shares[1] ** 2 / (len(b) - 1))
    return _comparison(difference, math.sqrt(total), df, False, (len(a), len(b)))


def _comparison(difference: float, error: float, df: float, is_paired: bool, n: tuple[int, int]) -> Comparison:
    if math.isnan(error) or math.isnan(difference):
        p = math.nan
    elif error == 0:
        p = 1.0 if difference == 0 else 0.0
    else:
        p = t_two_sided(difference / error, df)
    return Comparison(difference, error, df, p, is_paired, n)


def seeds_needed(
    difference: float, spread: float | tuple[float, float], alpha: float = 0.05, power: float = 0.8
) -> int:
    """The fewest seeds (of each method) with which a two-sided t-test finds a true difference of this size.

    The power is that of the noncentral t, not of the normal approximation, which asks for too few where few are enough.

    Args:
        difference: true difference of the means; its sign makes no difference.
        spread: standard deviation of the differences seed by seed (paired test); or those of the two methods (Welch's).
        alpha: level of the test; divided by the number of comparisons for Holm's worst case.
        power: how often the test is to find it.

    Raises:
        ValueError: no number of seeds tells it apart, or an argument makes no sense.
    """
    spreads = spread if isinstance(spread, tuple) else (spread,)
    if not 0 < alpha < power < 1:
        raise ValueError(f"seeds need 0 < alpha < power < 1, not alpha={alpha}, power={power}")
    if not (math.isfinite(difference) and all(s >= 0 and math.isfinite(s) for s in spreads)) or difference == 0:
        raise ValueError(f"no number of seeds tells {difference} apart with a spread of {spread}")
    enough = 2
    while _power(difference, spreads, enough, alpha) < power:
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if _power(difference, spreads, middle, alpha) < power:
            too_few = middle
        else:
            enough = middle
    return enough


def _power(difference: float, spreads: Sequence[float], n: int, alpha: float) -> float:
    """Of the paired test (one spread) or of Welch's with as many seeds on both sides (two)."""
    squares = [s * s / n for s in spreads]
    total = sum(squares)
    if total == 0:
        return 1.0
    df = (n - 1) / sum((square / total) ** 2 for square in squares)
    return t_power(difference / math.sqrt(total), df, alpha)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given (Holm, 1979); NaN (no test was made) stays NaN and isn't counted."""
    order = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted, highest = [math.nan] * len(p_values), 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        adjusted[i] = highest
    return adjusted
