"""A difference with its standard error, and what that error was taken over: seeds, test items, or both.

Over seeds it is Student's t: paired where both sides have the same seeds, Welch's where they have not, and with equal
spreads assumed where one side has a single run. Over items it is the paired bootstrap, which draws the same items for
both sides. Where both are known, the squares of the two errors are added and the degrees of freedom are those of the
seeds: the spread between seeds holds some of the items' noise already, so this is rather too careful than too bold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bench.stats import Comparison, compare, t_power, t_quantile, t_two_sided
from bench.stats.resampling import Floats, Reduce, resampled_sums

RESAMPLES = 1000
MOST_NEEDED = 1_000_000
_ROUNDING = 1e-9  # of the tolerance: a difference this little beyond it was rounded there


@dataclass(frozen=True)
class Evidence:
    """How large a difference is and how surely.

    Attributes:
        difference: mean of the new less mean of the base.
        error: its standard error; NaN where nothing tells it.
        df: degrees of freedom.
        over: `seeds`, `items`, `both`; empty where there is no error.
        paired: seed by seed.
        seeds: of the base and of the new.
        items: test items that both sides answered; 0 where they aren't known.
        item_error: the part of the error that more seeds would not take away.
    """

    difference: float
    error: float
    df: float
    over: str
    paired: bool
    seeds: tuple[int, int]
    items: int = 0
    item_error: float = 0.0

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        if not math.isfinite(self.error):
            return math.nan, math.nan
        half = t_quantile((1 + level) / 2, self.df) * self.error if self.error else 0.0
        return self.difference - half, self.difference + half

    def p_beyond(self, tolerance: float) -> float:
        """Two-sided, of the hypothesis that the true difference is no larger than the tolerance."""
        if not math.isfinite(self.error):
            return math.nan
        excess = abs(self.difference) - tolerance * (1 + _ROUNDING)
        if excess <= 0:
            return 1.0
        return t_two_sided(excess / self.error, self.df) if self.error else 0.0

    def within(self, tolerance: float, level: float = 0.95) -> bool:
        """The whole interval is."""
        low, high = self.interval(level)
        return -tolerance * (1 + _ROUNDING) <= low and high <= tolerance * (1 + _ROUNDING)

    def needed(self, effect: float, alpha: float, power: float = 0.8) -> int | None:
        """The fewest of what it was taken over with which an effect of this size is found; None: no number of them."""
        if not (math.isfinite(self.error) and self.error > 0 and effect > 0 and 0 < alpha < power):
            return None
        normal = NormalDist()
        variance = (effect / (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power))) ** 2
        one, fixed = self._variances()
        if variance <= fixed or one / (variance - fixed) > MOST_NEEDED:
            return None

        def enough(n: int) -> bool:
            error = math.sqrt(one / n + fixed) or math.ulp(1.0)
            return t_power(effect / error, float(n - 1) if self._one_spread else 2.0 * (n - 1), alpha) >= power

        return _fewest(enough, max(2, math.floor(one / (variance - fixed))))

    @property
    def _one_spread(self) -> bool:
        return self.paired or self.over == "items"

    def _variances(self) -> tuple[float, float]:
        """The squared error with one of what it was taken over, and the part that no number of them takes away."""
        if self.over == "items":
            return self.error**2 * self.items, 0.0
        have = self.seeds[0] if self.paired else 2 / (1 / self.seeds[0] + 1 / self.seeds[1])
        return max(self.error**2 - self.item_error**2, 0.0) * have, self.item_error**2


def _fewest(enough: Callable[[int], bool], low: int) -> int:
    """`low` or more: with a known spread, as the normal distribution has it, it would be `low`."""
    if enough(low):
        return low
    step = 1
    while not enough(low + step):
        low, step = low + step, step * 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def identical(base: Mapping[int, float], new: Mapping[int, float]) -> bool:
    """Bit by bit what the base has at the same seed, for every seed of the new; the base may have more."""
    return bool(new) and all(base.get(seed) == value for seed, value in new.items())


def over_seeds(
    base: Mapping[int, float],
    new: Mapping[int, float],
    widths: tuple[Mapping[int, float], Mapping[int, float]] = ({}, {}),
    *,
    exact: bool = False,
) -> Evidence:
    """Student's t.

    Args:
        base: values by seed.
        new: values by seed.
        widths: of both, half widths of the values' own intervals over items: what stands in where seeds show no spread
            at all, as those of a rare event may by chance (none copied in two runs).
        exact: the methods give the same with every seed, so that no spread means certainty.
    """
    found = compare(new, base)
    seeds = len(base), len(new)
    if min(seeds) == 1 and max(seeds) > 1:
        found = _against_one(base, new)
    error, df = found.error, found.df
    if error == 0 and found.difference != 0 and not exact:
        error = _from_widths(widths)
        df = found.df if found.paired else float(sum(seeds) - 2)
    return Evidence(found.difference, error, df, "seeds" if math.isfinite(error) else "", found.paired, seeds)


def _against_one(base: Mapping[int, float], new: Mapping[int, float]) -> Comparison:
    """One run against several, with the spread of the several for both (Student's test)."""
    a, b = np.array(list(base.values())), np.array(list(new.values()))
    several = a if len(a) > 1 else b
    error = float(several.std(ddof=1)) * math.sqrt(1 / len(a) + 1 / len(b))
    return Comparison(float(b.mean() - a.mean()), error, float(len(several) - 1), math.nan, False, (len(b), len(a)))


def _from_widths(widths: Sequence[Mapping[int, float]]) -> float:
    """Standard error of the difference by the values' own 95 % intervals; NaN where they say nothing."""
    squares = 0.0
    for side in widths:
        if not side or not all(math.isfinite(width) for width in side.values()):
            return math.nan
        squares += sum((width / 1.96) ** 2 for width in side.values()) / len(side) ** 2
    return math.sqrt(squares) or math.nan


@dataclass(frozen=True)
class ItemErrors:
    """Standard errors over items, of the difference and of the difference in distance from real text."""

    items: int
    difference: float
    distance: float


def item_errors(
    base: Sequence[Floats], new: Sequence[Floats], reduce: Reduce, rng: np.random.Generator, real: float = math.nan
) -> ItemErrors | None:
    """Paired bootstrap: one draw of items serves every run of both sides. None where the items are not the same.

    Args:
        base: [items, k] statistics of each run.
        new: of the other side's runs.
        reduce: values [...] from sums [..., k].
        rng: the stream that is drawn from.
        real: the value of real text.
    """
    runs = [*base, *new]
    if not base or not new or len({stats.shape for stats in runs}) != 1 or len(runs[0]) < 2:
        return None
    k = runs[0].shape[1]
    sums = resampled_sums(np.concatenate(runs, axis=1), rng, RESAMPLES)
    values = np.stack([reduce(sums[:, i * k : (i + 1) * k]) for i in range(len(runs))])
    values = values[:, np.all(np.isfinite(values), axis=0)]
    if values.shape[1] < RESAMPLES / 2:
        return None

    def spread(each: Floats) -> float:
        return float((each[len(base) :].mean(axis=0) - each[: len(base)].mean(axis=0)).std(ddof=1))

    return ItemErrors(len(runs[0]), spread(values), spread(np.abs(values - real)) if math.isfinite(real) else math.nan)


def joined(seeds: Evidence, items: int, item_error: float, over: str = "auto") -> Evidence:
    """With the items' error beside the seeds' (`auto`), or instead of it (`items`).

    Where seeds show no spread (deterministic methods) or there is one run a side, items are all there is.
    """
    alone = over == "items" or not seeds.over or seeds.error == 0
    error = item_error if alone else math.hypot(seeds.error, item_error)
    df = float(items - 1) if alone else seeds.df
    return Evidence(
        seeds.difference, error, df, "items" if alone else "both", seeds.paired, seeds.seeds, items, item_error
    )
