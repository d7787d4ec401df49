"""Intervals over seeds, interquartile mean and probability of improvement: scipy, brute force, simulation."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from bench import stats
from tests.fresh import fresh_seed

numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=14)


def ratio(sums):
    return sums[..., 0] / sums[..., 1]


def mean(values):
    return values.mean(axis=-1)


@given(numbers)
def test_interquartile_mean_is_scipys(values):
    assert stats.interquartile_mean(values) == pytest.approx(reference.trim_mean(values, 0.25), abs=1e-9)


def test_interquartile_means_go_along_the_last_axis():
    values = np.random.default_rng(fresh_seed()).normal(size=(2, 3, 11))
    assert stats.interquartile_means(values) == pytest.approx(reference.trim_mean(values, 0.25, axis=-1))


def test_a_diverged_run_counts_as_the_worst():
    values = [3.0, 1.0, 2.0, 5.0, 4.0, 2.5]
    assert stats.interquartile_mean(values, diverged=2, worst=0.0) == stats.interquartile_mean([*values, 0.0, 0.0])
    assert stats.interquartile_mean(values, diverged=2, worst=0.0) < stats.interquartile_mean(values)
    assert stats.interquartile_mean(values, diverged=2, worst=-math.inf) == pytest.approx(np.mean([1, 2, 2.5, 3]))
    assert stats.interquartile_mean(values, diverged=3, worst=-math.inf) == -math.inf
    assert stats.interquartile_mean([], diverged=3, worst=math.inf) == math.inf
    assert math.isnan(stats.interquartile_mean([]))
    with pytest.raises(ValueError, match="say by `worst`"):
        stats.interquartile_mean(values, diverged=1)
    with pytest.raises(ValueError, match="not left out"):
        stats.interquartile_mean([1.0, math.nan])


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=9),
    st.lists(st.integers(0, 5), min_size=1, max_size=9),
    st.booleans(),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_probability_of_improvement_is_mann_and_whitneys(first, second, higher, diverged):
    found = stats.probability_of_improvement(
        first, second, np.random.default_rng(0), higher_is_better=higher, diverged=diverged, resamples=5
    )
    worst = -1 if higher else 6
    x, y = first + [worst] * diverged[0], second + [worst] * diverged[1]
    u = reference.mannwhitneyu(x, y).statistic / (len(x) * len(y))
    assert found.probability == pytest.approx(u if higher else 1 - u)
    assert found.n == (len(x), len(y))


def test_interval_of_a_probability_is_a_resample_of_runs():
    rng = np.random.default_rng(fresh_seed())
    x, y = rng.integers(0, 6, size=6).astype(float), rng.integers(0, 5, size=9).astype(float)
    found = stats.probability_of_improvement(x, y, np.random.default_rng(3), resamples=300)
    again = np.random.default_rng(3)
    rows = x[again.integers(0, 6, size=(300, 6))], y[again.integers(0, 9, size=(300, 9))]
    values = [reference.mannwhitneyu(a, b).statistic / 54 for a, b in zip(*rows, strict=True)]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_probability_of_improvement_covers_the_truth():
    rng = np.random.default_rng(fresh_seed())
    truth, covered = reference.norm.cdf(0.5 / math.sqrt(2)), 0
    for _ in range(300):
        found = stats.probability_of_improvement(
            rng.normal(0.5, 1, size=20), rng.normal(0, 1, size=20), rng, resamples=300
        )
        covered += found.low <= truth <= found.high
    assert 0.86 <= covered / 300 <= 0.995


def test_probability_of_improvement_of_few_runs():
    rng = np.random.default_rng(0)
    one = stats.probability_of_improvement([1.0], [0.0, 2.0], rng)
    assert one.probability == 0.5
    assert math.isnan(one.low)
    assert math.isnan(stats.probability_of_improvement([], [1.0], rng).probability)
    both = stats.probability_of_improvement([], [], rng, diverged=(3, 3))
    assert (both.probability, both.low, both.high) == (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="not left out"):
        stats.probability_of_improvement([math.nan], [1.0], rng)


def test_stratified_bootstrap_is_a_plain_resample_in_each_stratum():
    rng = np.random.default_rng(fresh_seed())
    values = {"b": rng.normal(5, 1, size=4), "a": rng.normal(0, 1, size=3)}
    ours = stats.stratified_bootstrap(values, mean, np.random.default_rng(1), resamples=200)
    again = np.random.default_rng(1)
    a, b = again.integers(0, 3, size=(200, 3)), again.integers(0, 4, size=(200, 4))
    pooled = [np.concatenate([values["a"][i], values["b"][j]]).mean() for i, j in zip(a, b, strict=True)]
    assert ours == pytest.approx(tuple(np.quantile(pooled, [0.025, 0.975])))
    turned = dict(reversed(values.items()))
    assert stats.stratified_bootstrap(turned, mean, np.random.default_rng(1), resamples=200) == ours


@pytest.mark.parametrize("statistic", [mean, stats.interquartile_means])
def test_stratified_bootstrap_covers_the_truth(statistic):
    rng = np.random.default_rng(fresh_seed())
    covered = 0
    for _ in range(300):
        values = {f"task {t}": rng.normal(0, 1, size=20) for t in range(3)}
        low, high = stats.stratified_bootstrap(values, statistic, rng, resamples=300)
        covered += low <= 0 <= high
    assert 0.85 <= covered / 300 <= 0.995


def test_strata_do_not_mix():
    """However far apart the tasks are, the interval has the width of the seeds within them."""
    rng = np.random.default_rng(fresh_seed())
    near = {str(t): rng.normal(0, 1, size=8) for t in range(4)}
    far = {name: values + 1000 * float(name) for name, values in near.items()}
    widths = [
        high - low for low, high in (stats.stratified_bootstrap(v, mean, np.random.default_rng(2)) for v in (near, far))
    ]
    assert widths[1] == pytest.approx(widths[0], rel=1e-6)


def test_stratified_bootstrap_counts_diverged_runs():
    rng = np.random.default_rng(fresh_seed())
    well = rng.normal(10, 1, size=(3, 6))
    values = {str(t): stats.with_diverged(row, 1, 0.0) for t, row in enumerate(well)}
    low, high = stats.stratified_bootstrap(values, mean, rng)
    dropped = stats.stratified_bootstrap({str(t): row for t, row in enumerate(well)}, mean, rng)
    assert low < well.mean() * 6 / 7 < high
    assert low + 0.5 < dropped[0]
    infinite = {str(t): stats.with_diverged(row, 1, -math.inf) for t, row in enumerate(well)}
    low, high = stats.stratified_bootstrap(infinite, stats.interquartile_means, rng)
    assert low == -math.inf  # 6 of 21 or more, which the quarter cut off does not hold, are drawn one time in 12
    assert math.isfinite(high)
    assert stats.stratified_bootstrap({"a": [-math.inf] * 3}, mean, rng) == (-math.inf, -math.inf)
    half = {"a": [-math.inf, -math.inf, 1.0, 1.0]}
    assert stats.stratified_bootstrap(half, mean, rng)[0] == -math.inf
    with pytest.raises(ValueError, match="not left out"):
        stats.stratified_bootstrap({"a": [1.0, math.nan]}, mean, rng)
    for few in ({}, {"a": [1.0]}, {"a": [1.0, 2.0], "b": [1.0]}):
        assert all(math.isnan(x) for x in stats.stratified_bootstrap(few, mean, rng))


def seeds_of(rng, seeds, n, *, same_items, between=0.1, noise=0.5):
    """A run a seed whose mean is 0 over all runs and items: value = seed + item + noise."""
    easy = rng.normal(0, 1, size=(1 if same_items else seeds, n))
    values = rng.normal(0, between, size=(seeds, 1)) + easy + rng.normal(0, noise, size=(seeds, n))
    return [np.stack([row, np.ones(n)], axis=1) for row in values]


def test_hierarchical_bootstrap_is_the_plain_double_resample():
    rng = np.random.default_rng(fresh_seed())
    runs = [rng.normal([1, 5], 1, size=(20, 2)) for _ in range(3)]
    ours = stats.hierarchical_bootstrap(runs, ratio, np.random.default_rng(5), same_items=True, resamples=100)
    again = np.random.default_rng(5)
    drawn, rows = again.integers(0, 3, size=(100, 3)), again.integers(0, 20, size=(100, 20))
    values = [np.mean([ratio(runs[s][row].sum(axis=0)) for s in seeds]) for seeds, row in zip(drawn, rows, strict=True)]
    assert ours == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


@pytest.mark.slow
def test_hierarchical_bootstrap_of_own_items_has_the_double_resamples_spread():
    rng = np.random.default_rng(fresh_seed())
    runs = [rng.normal([1, 5], 1, size=(n, 2)) for n in (10, 20, 30)]
    ours = stats.hierarchical_bootstrap(runs, ratio, rng, same_items=False, resamples=6000)
    values = []
    for _ in range(6000):
        drawn = [runs[s] for s in rng.integers(0, 3, size=3)]
        values.append(np.mean([ratio(run[rng.integers(0, len(run), len(run))].sum(axis=0)) for run in drawn]))
    low, high = np.quantile(values, [0.025, 0.975])
    assert ours == pytest.approx((low, high), abs=0.12 * (high - low))


@pytest.mark.slow
@pytest.mark.parametrize("same_items", [True, False])
def test_hierarchical_bootstrap_covers_the_truth(same_items):
    rng = np.random.default_rng(fresh_seed())
    covered, only_seeds = 0, 0
    for _ in range(300):
        runs = seeds_of(rng, 5, 50, same_items=same_items)
        low, high = stats.hierarchical_bootstrap(runs, ratio, rng, same_items=same_items, resamples=300)
        covered += low <= 0 <= high
        middle, half = stats.mean_interval([run[:, 0].mean() for run in runs])
        only_seeds += abs(middle) <= half
    assert covered / 300 >= 0.87
    if same_items:
        assert only_seeds / 300 < 0.80  # what the seeds can't tell: that the test set was an easy one


def test_hierarchical_bootstrap_without_one_of_the_variances_is_the_other():
    rng = np.random.default_rng(fresh_seed())
    run = seeds_of(rng, 1, 80, same_items=True)[0]
    ours = stats.hierarchical_bootstrap([run, run, run], ratio, rng, same_items=True, resamples=4000)
    items = stats.bootstrap_interval(run, ratio, rng, resamples=4000)
    assert ours == pytest.approx(items, abs=0.1 * (items[1] - items[0]))
    values = rng.normal(size=6)
    flat = [np.tile([value, 1.0], (30, 1)) for value in values]
    for same_items in (True, False):
        ours = stats.hierarchical_bootstrap(flat, ratio, rng, same_items=same_items, resamples=4000)
        seeds = stats.stratified_bootstrap({"a": values}, mean, rng, resamples=4000)
        assert ours == pytest.approx(seeds, abs=0.1 * (seeds[1] - seeds[0]))


def test_hierarchical_bootstrap_counts_diverged_seeds():
    rng = np.random.default_rng(fresh_seed())
    runs = [np.tile([value, 1.0], (9, 1)) for value in (2.0, 2.5, 3.0)]
    failed = np.tile([0.0, 1.0], (9, 1))
    for same_items in (True, False):
        ours = stats.hierarchical_bootstrap(
            runs, ratio, np.random.default_rng(1), same_items=same_items, diverged=1, worst=0.0
        )
        counted = stats.hierarchical_bootstrap([*runs, failed], ratio, np.random.default_rng(1), same_items=same_items)
        assert ours == pytest.approx(counted)
        dead = stats.hierarchical_bootstrap([], ratio, rng, same_items=same_items, diverged=2, worst=-math.inf)
        assert dead == (-math.inf, -math.inf)
        with pytest.raises(ValueError, match="say by `worst`"):
            stats.hierarchical_bootstrap(runs, ratio, rng, same_items=same_items, diverged=1)


def test_hierarchical_bootstrap_of_too_little():
    rng = np.random.default_rng(0)
    for few in ([], [np.ones((5, 2))], [np.ones((1, 2))] * 3):
        assert all(math.isnan(x) for x in stats.hierarchical_bootstrap(few, ratio, rng, same_items=True))
    with pytest.raises(ValueError, match="same items in all seeds"):
        stats.hierarchical_bootstrap([np.ones((5, 2)), np.ones((6, 2))], ratio, rng, same_items=True)


def test_global_generators_are_untouched():
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global state is what is tested
    rng = np.random.default_rng(1)
    a, b = rng.normal([1, 5], 1, size=(2, 20, 2))
    stats.bootstrap_interval(a, ratio, rng)
    stats.paired_bootstrap(a, b, ratio, rng)
    stats.approximate_randomisation(a, b, ratio, rng, 100)
    stats.stratified_bootstrap({"a": [1.0, 2.0]}, mean, rng)
    stats.hierarchical_bootstrap([a, b], ratio, rng, same_items=True)
    stats.probability_of_improvement([1.0, 2.0], [0.0, 3.0], rng)
    after = random.getstate(), np.random.get_state()  # noqa: NPY002
    assert after[0] == before[0]
    assert all(np.array_equal(x, y) for x, y in zip(before[1], after[1], strict=True))
