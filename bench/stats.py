"""Intervals and comparisons: over test items by bootstrap, over seeds by Student's t.

Two variances are kept apart. How far a value would move with other test items is asked of one run's per-item
statistics; how far it would move with another seed is asked of several runs. Non-finite input is the caller's to leave
out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_DRAWS_AT_ONCE = 1 << 20  # 8 MB of indices: several resamples a matrix product, little memory


def bootstrap_interval(
    stats: Floats,
    reduce: Callable[[Floats], Floats],
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap over items (Efron and Tibshirani, 1993, chapter 13).

    Items are never scored again: how often each is drawn, times its statistics, gives the resample's sums.

    Args:
        stats: [items, k] sufficient statistics.
        reduce: values [...] from sums [..., k].
        rng: the stream that is drawn from.
        resamples: how many.
        level: of the interval.

    Returns:
        (low, high); NaN with fewer than two items, or where no resample gives a finite value.
    """
    if stats.ndim != 2:
        raise ValueError(f"statistics are [items, k]; these have shape {stats.shape}")
    n = len(stats)
    if n < 2:
        return math.nan, math.nan
    if bool(np.all(stats == stats[0])):
        value = float(reduce(stats.sum(axis=0)))
        return value, value
    values = np.asarray(reduce(_resampled_sums(stats, rng, resamples)), dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resampled_sums(stats: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    """[resamples, k]. Counting uniform draws gives multinomial weights, an order faster than a binomial an item."""
    n, at_once = len(stats), max(1, _DRAWS_AT_ONCE // len(stats))
    parts = []
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        draws = rng.integers(0, n, size=(rows, n))
        draws += np.arange(rows)[:, None] * n
        weights = np.bincount(draws.ravel(), minlength=rows * n).reshape(rows, n)
        parts.append(weights.astype(np.float64) @ stats)
    return np.concatenate(parts)


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


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given (Holm, 1979); NaN (no test was made) stays NaN and isn't counted."""
    order = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted, highest = [math.nan] * len(p_values), 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        adjusted[i] = highest
    return adjusted


def t_two_sided(t: float, df: float) -> float:
    """P(|T| >= |t|) under Student's t with `df` degrees of freedom (Abramowitz and Stegun 26.7.1)."""
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(df / 2, 0.5, df / (df + t * t), t * t / (df + t * t))


def t_cdf(t: float, df: float) -> float:
    tail = t_two_sided(t, df) / 2
    return tail if t < 0 else 1 - tail


def t_quantile(p: float, df: float) -> float:
    """The t below which a share `p` of Student's t lies.

    Newton from 0 on the upper tail, which is convex there: every step stays below the root, so none can run away.
    """
    if not 0 < p < 1 or df <= 0:
        raise ValueError(f"a quantile needs 0 < p < 1 and df > 0, not p={p}, df={df}")
    if p < 0.5:
        return -t_quantile(1 - p, df)
    tail, t = 1 - p, 0.0
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    for _ in range(500):
        density = math.exp(log_scale - (df + 1) / 2 * math.log1p(t * t / df))
        step = (t_two_sided(t, df) / 2 - tail) / density
        t += step
        if abs(step) <= 1e-14 * max(1.0, t):
            break
    return t


def _incomplete_beta(a: float, b: float, x: float, y: float) -> float:
    """Regularised I_x(a, b) with y = 1 - x given apart, so that neither end loses digits."""
    if x <= 0:
        return 0.0
    if y <= 0:
        return 1.0
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(y)
    front = math.exp(scale)
    # the fraction converges fast on one side of the mean only; the other side is its mirror image
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, y) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Continued fraction of the incomplete beta (Abramowitz and Stegun 26.5.8), by the modified Lentz method."""
    tiny = 1e-300
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1), tiny)
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d, tiny)
            c = _not_zero(1 + term / c, tiny)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _not_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
