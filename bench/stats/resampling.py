"""Resampling of test items by sums: intervals of one value, and paired tests of two.

A metric's statistics are [items, k], and `reduce` gives its value from sums of them. A resample is how often each item
is drawn, times the statistics: nothing is cut into tokens or scored again, and no item is looped over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Reduce = Callable[[Floats], Floats]

_DRAWS_AT_ONCE = 1 << 20  # 8 MB of indices: several resamples a matrix product, little memory
_ROUNDING = 1e-11  # of the values: differences this near are ties that were summed in another order


def bootstrap_interval(
    stats: Floats, reduce: Reduce, rng: np.random.Generator, resamples: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap over items (Efron and Tibshirani, 1993, chapter 13).

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
    if len(stats) < 2:
        return math.nan, math.nan
    if bool(np.all(stats == stats[0])):
        value = float(reduce(stats.sum(axis=0)))
        return value, value
    values = np.asarray(reduce(resampled_sums(stats, rng, resamples)), dtype=np.float64)
    return percentiles(values[np.isfinite(values)], level)


@dataclass(frozen=True)
class ItemComparison:
    """Two systems on the same items: how far the test items alone can tell them apart. It knows nothing of seeds.

    Attributes:
        difference: value of the first less value of the second, on all items.
        low: of the difference's percentile bootstrap interval over items.
        high: of the same.
        p: of the hypothesis that the two don't differ; NaN where it can't be computed.
        n: items.
        error: standard error of the difference: the spread of its bootstrap resamples.
    """

    difference: float
    low: float
    high: float
    p: float
    n: int
    error: float

    def smallest_difference(self, alpha: float = 0.05, power: float = 0.5) -> float:
        """How large a true difference has to be for a two-sided test at `alpha` on these items to find it.

        (z(1 - alpha/2) + z(power)) standard errors, by the normal approximation. At a power of one half this is where
        the test begins to reject, as in `Comparison.smallest_difference`; a difference to be found four times out of
        five (0.8) has to be 1.43 times as large at 5 %.
        """
        return (_normal_quantile(1 - alpha / 2) + _normal_quantile(power)) * self.error


def paired_bootstrap(
    first: Floats,
    second: Floats,
    reduce: Reduce,
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
    two_sided: bool = False,
) -> ItemComparison:
    """Paired bootstrap over items (Koehn, 2004): each resample draws the same items for both systems.

    p is sacreBLEU's (Post, 2018; from Moses' script): with d the difference and d* those of the resamples, the share of
    |d*| - mean |d*| that reach |d|. That is one tail of d*, so it is half of what a two-sided test says: of two equal
    systems it calls 10 to 12 % different at p < 0.05. `two_sided` counts |d* - mean d*| that reach |d| instead. Ties
    count as reached, unlike in sacreBLEU, where a system compared with itself has the smallest p there is.

    Args:
        first: [items, k] sufficient statistics.
        second: [items, k] of the other system, item by item.
        reduce: values [...] from sums [..., k].
        rng: the stream that is drawn from.
        resamples: how many; resamples in which a value is undefined are left out.
        level: of the interval.
        two_sided: both tails.
    """
    observed, slack = _observed(first, second, reduce)
    drawn = _drawn_differences(first, second, reduce, rng, resamples)
    if math.isnan(observed) or len(drawn) == 0:
        return ItemComparison(observed, math.nan, math.nan, math.nan, len(first), math.nan)
    centred = np.abs(drawn - drawn.mean()) if two_sided else np.abs(drawn) - np.abs(drawn).mean()
    p = _share_reached(centred, abs(observed) - slack)
    return ItemComparison(observed, *percentiles(drawn, level), p, len(first), float(drawn.std()))


def approximate_randomisation(
    first: Floats,
    second: Floats,
    reduce: Reduce,
    rng: np.random.Generator,
    trials: int = 10_000,
    resamples: int = 1000,
    level: float = 0.95,
) -> ItemComparison:
    """Two-sided paired randomisation test (Noreen, 1989; Riezler and Maxwell, 2005).

    If the systems don't differ, it is chance which of an item's two outputs is whose: each trial swaps the outputs of
    each item with probability one half, and p is the share of trials whose absolute difference reaches the one seen,
    (c + 1) / (trials + 1). A trial in which a value is undefined counts as reached. Interval and standard error are
    those of the paired bootstrap: swapping gives none.

    Args:
        first: [items, k] sufficient statistics.
        second: [items, k] of the other system, item by item.
        reduce: values [...] from sums [..., k].
        rng: the stream that is drawn from; swaps before resamples.
        trials: how many swaps.
        resamples: how many bootstrap resamples for the interval; 0: none, and no standard error.
        level: of the interval.
    """
    observed, slack = _observed(first, second, reduce)
    if math.isnan(observed) or len(first) < 2:
        return ItemComparison(observed, math.nan, math.nan, math.nan, len(first), math.nan)
    swapped = _swapped_sums(second - first, rng, trials)
    swings = np.abs(reduce(first.sum(axis=0) + swapped) - reduce(second.sum(axis=0) - swapped))
    p = _share_reached(np.where(np.isfinite(swings), swings, math.inf), abs(observed) - slack)
    drawn = _drawn_differences(first, second, reduce, rng, resamples)
    error = float(drawn.std()) if len(drawn) else math.nan
    return ItemComparison(observed, *percentiles(drawn, level), p, len(first), error)


def _observed(first: Floats, second: Floats, reduce: Reduce) -> tuple[float, float]:
    """The difference of the values (NaN if undefined), and how far rounding can move it."""
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"a paired test needs [items, k] of the same items, not {first.shape} and {second.shape}")
    if len(first) == 0:
        return math.nan, 0.0
    a, b = float(reduce(first.sum(axis=0))), float(reduce(second.sum(axis=0)))
    difference = a - b if math.isfinite(a) and math.isfinite(b) else math.nan
    return difference, _ROUNDING * (abs(a) + abs(b))


def _drawn_differences(
    first: Floats, second: Floats, reduce: Reduce, rng: np.random.Generator, resamples: int
) -> Floats:
    """[up to resamples]: those that are finite; none with fewer than two items."""
    if len(first) < 2 or resamples == 0:
        return np.zeros(0)
    sums = resampled_sums(np.concatenate([first, second], axis=1), rng, resamples)
    values = reduce(sums[:, : first.shape[1]]) - reduce(sums[:, first.shape[1] :])
    return np.asarray(values[np.isfinite(values)], dtype=np.float64)


def _swapped_sums(differences: Floats, rng: np.random.Generator, trials: int) -> Floats:
    """[trials, k]: sums over the items that each trial swaps."""
    n = len(differences)
    parts = [
        rng.integers(2, size=(rows, n), dtype=np.bool_).astype(np.float64) @ differences for rows in _rows(trials, n)
    ]
    return np.concatenate(parts)


def _share_reached(values: Floats, bar: float) -> float:
    """(c + 1) / (r + 1), so that p is never 0 and the test never too bold (Davison and Hinkley, 1997, section 4.2)."""
    return (int(np.count_nonzero(values >= bar)) + 1) / (len(values) + 1)


def _normal_quantile(p: float) -> float:
    return NormalDist().inv_cdf(p)


def resampled_sums(stats: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    """Sums [resamples, k], one resample or more, of items [items, k] drawn with replacement."""
    return np.concatenate([weights @ stats for weights in draws(len(stats), rng, resamples)])


def draws(n: int, rng: np.random.Generator, resamples: int) -> Iterator[Floats]:
    """How often each of n is drawn, in blocks [some resamples, n].

    Counting uniform draws gives multinomial weights, an order faster than a binomial an item.
    """
    for rows in _rows(resamples, n):
        places = rng.integers(0, n, size=(rows, n))
        places += np.arange(rows)[:, None] * n
        yield np.bincount(places.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _rows(resamples: int, n: int) -> list[int]:
    """How many resamples of n items are made at once."""
    at_once = max(1, _DRAWS_AT_ONCE // n)
    return [min(at_once, resamples - start) for start in range(0, resamples, at_once)]


def percentiles(values: Floats, level: float) -> tuple[float, float]:
    """The middle share `level` of the values; NaN of none. Where some are infinite, the next value outwards."""
    if len(values) == 0:
        return math.nan, math.nan
    tail = (1 - level) / 2
    if np.all(np.isfinite(values)):
        low, high = np.quantile(values, [tail, 1 - tail])
        return float(low), float(high)
    return float(np.quantile(values, tail, method="lower")), float(np.quantile(values, 1 - tail, method="higher"))
