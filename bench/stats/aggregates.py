"""What several runs say together, where a mean and Student's t are not enough: by resampling seeds.

A diverged run is a result. It is counted as the worst there can be and never dropped: a method that fails one time in
three would otherwise look as good as its two lucky runs. What "worst" is depends on the metric, so it is always given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.stats.resampling import Floats, Reduce, draws, percentiles, resampled_sums


def with_diverged(values: Sequence[float] | Floats, diverged: int, worst: float) -> Floats:
    """The values of the runs that ended well, and `worst` for each that diverged.

    Args:
        values: of the runs that ended well; NaN is refused.
        diverged: how many runs have no value because they diverged.
        worst: the value they are given: an end of the metric's range, or an infinity (-inf where higher is better).
    """
    sample = np.asarray(values, dtype=np.float64)
    if np.isnan(sample).any():
        raise ValueError("a value is NaN: a run without a value is counted by `diverged`, not left out")
    if diverged and math.isnan(worst):
        raise ValueError(f"{diverged} runs diverged: say by `worst` which value they count as")
    return np.concatenate([sample, np.full(diverged, worst)])


def interquartile_mean(values: Sequence[float] | Floats, diverged: int = 0, worst: float = math.nan) -> float:
    """Mean of the middle half: a quarter of the values, rounded down, goes at each end (Agarwal et al., 2021).

    One diverged run among four or more is cut off with the worst quarter; beyond a quarter, `worst` moves the mean, and
    an infinite one makes it infinite. NaN of no values.
    """
    sample = with_diverged(values, diverged, worst)
    return float(interquartile_means(sample)) if len(sample) else math.nan


def interquartile_means(values: Floats) -> Floats:
    """The same for each last row, [..., n] -> [...]: a statistic for `stratified_bootstrap`."""
    n = values.shape[-1]
    return np.asarray(np.sort(values, axis=-1)[..., n // 4 : n - n // 4].mean(axis=-1))


@dataclass(frozen=True)
class Improvement:
    """How likely a run of the first method is better than a run of the second.

    Attributes:
        probability: of being better, ties counted half.
        low: of its percentile bootstrap interval over seeds; NaN where a side has fewer than two runs.
        high: of the same.
        n: runs of each, the diverged ones counted.
    """

    probability: float
    low: float
    high: float
    n: tuple[int, int]


def probability_of_improvement(
    first: Sequence[float],
    second: Sequence[float],
    rng: np.random.Generator,
    *,
    higher_is_better: bool = True,
    diverged: tuple[int, int] = (0, 0),
    resamples: int = 2000,
    level: float = 0.95,
) -> Improvement:
    """P(X > Y) + P(X = Y) / 2 over all pairs of runs (Mann and Whitney's U / (n m); Agarwal et al., 2021).

    Only ranks count, so diverged runs need no value: they lose to every run that ended well and tie with each other.

    Args:
        first: values of the first method's runs.
        second: of the second's; not paired.
        rng: the stream that is drawn from.
        higher_is_better: what better means.
        diverged: how many runs of each diverged.
        resamples: how many; the runs of both methods are resampled.
        level: of the interval.
    """
    worst = -math.inf if higher_is_better else math.inf
    x, y = with_diverged(first, diverged[0], worst), with_diverged(second, diverged[1], worst)
    n = len(x), len(y)
    if min(n) == 0:
        return Improvement(math.nan, math.nan, math.nan, n)
    better = x[:, None] > y if higher_is_better else x[:, None] < y
    wins = better + 0.5 * (x[:, None] == y)
    if min(n) < 2:
        return Improvement(float(wins.mean()), math.nan, math.nan, n)
    ours, theirs = (np.concatenate(list(draws(size, rng, resamples))) for size in n)
    drawn = ((ours @ wins) * theirs).sum(axis=1) / (n[0] * n[1])
    return Improvement(float(wins.mean()), *percentiles(drawn, level), n)


def stratified_bootstrap(
    values_by_stratum: Mapping[str, Sequence[float]],
    statistic: Callable[[Floats], Floats],
    rng: np.random.Generator,
    resamples: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval over seeds of a statistic of several tasks (Agarwal et al., 2021).

    The seeds of each stratum are resampled among themselves, so no resample has more of an easy task. With few seeds it
    is too narrow, whatever the number of tasks; `mean_interval` is the one to ask about one task.

    Args:
        values_by_stratum: task (or metric) -> values by seed, on scales that can be pooled; diverged runs with their
            worst value (`with_diverged`). NaN is refused.
        statistic: values [...] from all strata's values, end to end, [..., n]; as `interquartile_means`.
        rng: the stream that is drawn from.
        resamples: how many.
        level: of the interval.

    Returns:
        (low, high); NaN where a stratum has fewer than two values.
    """
    samples = [with_diverged(values_by_stratum[name], 0, math.nan) for name in sorted(values_by_stratum)]
    if not samples or min(map(len, samples)) < 2:
        return math.nan, math.nan
    drawn = [sample[rng.integers(0, len(sample), size=(resamples, len(sample)))] for sample in samples]
    return percentiles(np.asarray(statistic(np.concatenate(drawn, axis=1)), dtype=np.float64), level)


def hierarchical_bootstrap(
    stats_by_seed: Sequence[Floats],
    reduce: Reduce,
    rng: np.random.Generator,
    *,
    same_items: bool,
    diverged: int = 0,
    worst: float = math.nan,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a mean over seeds that holds both variances: other seeds, and other test items.

    Each resample draws seeds, then items. Where the seeds were scored on the same items (a test set), one draw of items
    serves all seeds of a resample, as items that happen to be easy are easy for all (Owen, 2007, for rows and columns).
    Where each seed has items of its own (samples of a free task), each drawn seed has its own draw (Davison and
    Hinkley, 1997, section 3.8). The noise within a seed is counted by both draws, so the interval is rather too wide
    than too narrow, unless there are few seeds.

    Args:
        stats_by_seed: [items, k] sufficient statistics of each seed.
        reduce: values [...] from sums [..., k].
        rng: the stream that is drawn from; seeds before items.
        same_items: row i is the same item in all seeds.
        diverged: how many seeds diverged; they are drawn like the others and have the value `worst`.
        worst: see `with_diverged`.
        resamples: how many; those in which a value is undefined are left out.
        level: of the interval.

    Returns:
        (low, high); NaN with fewer than two seeds, or two items in one.
    """
    if same_items and len({stats.shape for stats in stats_by_seed}) > 1:
        raise ValueError(f"the same items in all seeds, but shapes {[stats.shape for stats in stats_by_seed]}")
    failed = with_diverged([], diverged, worst)
    seeds = len(stats_by_seed) + diverged
    if seeds < 2 or min(map(len, stats_by_seed), default=2) < 2:
        return math.nan, math.nan
    drawn = rng.integers(0, seeds, size=(resamples, seeds))
    values = np.full((resamples, seeds), failed[0] if diverged else math.nan)
    if same_items and stats_by_seed:
        values = _values_of_same_items(stats_by_seed, reduce, rng, drawn, values)
    else:
        for seed, stats in enumerate(stats_by_seed):
            here = drawn == seed
            if here.any():
                values[here] = reduce(resampled_sums(stats, rng, int(here.sum())))
    means = values.mean(axis=1)
    return percentiles(means[~np.isnan(means)], level)


def _values_of_same_items(
    stats_by_seed: Sequence[Floats], reduce: Reduce, rng: np.random.Generator, drawn: np.ndarray, values: Floats
) -> Floats:
    """Of each resample's seeds [resamples, seeds], all on one draw of items; diverged ones keep what they have."""
    k = stats_by_seed[0].shape[1]
    sums = resampled_sums(np.concatenate(list(stats_by_seed), axis=1), rng, len(drawn))
    for seed in range(len(stats_by_seed)):
        values[:, seed] = reduce(sums[:, seed * k : (seed + 1) * k])
    return np.take_along_axis(values, drawn, axis=1)
