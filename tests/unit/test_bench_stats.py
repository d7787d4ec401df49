"""Intervals and tests against scipy, brute force and simulation."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from bench import stats
from tests.fresh import fresh_seed


def ratio(sums):
    return sums[..., 0] / sums[..., 1]


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 7.3, 9, 19, 31.7, 99, 1000, 123456.5])
@pytest.mark.parametrize("p", [1e-6, 0.001, 0.025, 0.3, 0.5, 0.6, 0.9, 0.975, 0.995, 0.99999])
def test_t_quantile_is_scipys(df, p):
    assert stats.t_quantile(p, df) == pytest.approx(reference.t.ppf(p, df), rel=1e-8, abs=1e-8)


@given(st.floats(-200, 200), st.floats(0.5, 5000))
def test_t_cdf_and_two_sided_p_are_scipys(t, df):
    assert stats.t_cdf(t, df) == pytest.approx(reference.t.cdf(t, df), abs=1e-9)
    assert stats.t_two_sided(t, df) == pytest.approx(2 * reference.t.sf(abs(t), df), rel=1e-6, abs=1e-300)


@pytest.mark.parametrize(("p", "df"), [(0.0, 3), (1.0, 3), (0.5, 0)])
def test_t_quantile_refuses_what_has_no_answer(p, df):
    with pytest.raises(ValueError, match="quantile needs"):
        stats.t_quantile(p, df)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12))
def test_mean_interval_is_scipys(values):
    mean, half = stats.mean_interval(values)
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert mean == pytest.approx(np.mean(values), abs=1e-9)
    assert half == pytest.approx(reference.t.ppf(0.975, len(values) - 1) * error, rel=1e-6, abs=1e-12)


def test_mean_interval_of_one_or_no_value_has_no_width():
    mean, half = stats.mean_interval([0.25])
    assert mean == 0.25
    assert math.isnan(half)
    assert all(math.isnan(x) for x in stats.mean_interval([]))


@pytest.mark.slow
def test_mean_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for sample in rng.normal(3.0, 2.0, size=(2000, 3)):
        mean, half = stats.mean_interval(sample)
        covered += abs(mean - 3.0) <= half
    assert 0.935 <= covered / 2000 <= 0.965


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=3, max_size=9))
def test_paired_is_scipys(pairs):
    first, second = zip(*pairs, strict=True)
    differences = np.subtract(first, second)
    if differences.std() < 1e-6:
        return
    ours, theirs = stats.paired(first, second), reference.ttest_rel(first, second)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    low, high = theirs.confidence_interval(0.95)
    assert ours.interval() == pytest.approx((low, high), rel=1e-6, abs=1e-9)


@given(
    st.lists(st.floats(-100, 100), min_size=2, max_size=9).filter(lambda v: np.std(v) > 1e-3),
    st.lists(st.floats(-100, 100), min_size=2, max_size=9).filter(lambda v: np.std(v) > 1e-3),
)
def test_welch_is_scipys(first, second):
    ours, theirs = stats.welch(first, second), reference.ttest_ind(first, second, equal_var=False)
    assert ours.df == pytest.approx(theirs.df, rel=1e-9)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)


def test_compare_pairs_equal_seeds_and_only_those():
    first, second = {0: 0.50, 1: 0.60, 2: 0.70}, {2: 0.68, 0: 0.49, 1: 0.585}
    same = stats.compare(first, second)
    assert same.paired
    assert same.p == pytest.approx(reference.ttest_rel([0.5, 0.6, 0.7], [0.49, 0.585, 0.68]).pvalue)
    other = stats.compare(first, {2: 0.68, 3: 0.49, 1: 0.585})
    assert not other.paired
    assert other.p > 5 * same.p


def test_smallest_difference_is_where_p_crosses_alpha():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=4), rng.normal(size=4)
    comparison = stats.paired(first, second)
    for alpha in (0.05, 0.01):
        shift = comparison.smallest_difference(alpha) - comparison.difference
        assert stats.paired(first + shift, second).p == pytest.approx(alpha, rel=1e-6)


def test_comparisons_without_spread_or_without_seeds():
    assert stats.paired([0.5, 0.5], [0.5, 0.5]).p == 1.0
    assert stats.paired([0.75, 0.75], [0.5, 0.5]).p == 0.0
    assert stats.welch([0.75, 0.75], [0.5, 0.5]).p == 0.0
    for few in (stats.compare({0: 1.0}, {0: 2.0}), stats.compare({0: 1.0}, {1: 2.0, 2: 3.0}), stats.compare({}, {})):
        assert math.isnan(few.p)
        assert math.isnan(few.smallest_difference())
    with pytest.raises(ValueError, match="as many values"):
        stats.paired([1.0], [1.0, 2.0])


@pytest.mark.parametrize("df", [1, 2, 2.6, 4, 8, 29.5, 400])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
def test_power_is_that_of_the_noncentral_t(df, alpha):
    critical = reference.t.ppf(1 - alpha / 2, df)
    for shift in (0.0, 0.4, 1.0, 2.5, 5.0, 12.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = reference.nct.sf(critical, df, shift) + reference.nct.cdf(-critical, df, shift)
        if math.isfinite(theirs):  # scipy gives up in places
            assert stats.t_power(shift, df, alpha) == pytest.approx(theirs, abs=1e-6)
            assert stats.t_power(-shift, df, alpha) == pytest.approx(theirs, abs=1e-6)


def test_power_becomes_the_normals():
    assert stats.t_power(2.8, 0.999e6) == pytest.approx(stats.t_power(2.8, 1.001e6), abs=1e-6)
    normal = reference.norm.sf(1.959963985 - 2.8) + reference.norm.cdf(-1.959963985 - 2.8)
    assert stats.t_power(2.8, 1e12) == pytest.approx(normal, abs=1e-8)


@pytest.mark.parametrize("size", [0.4, 1.0, 1.5, 3.0, 20.0])
@pytest.mark.parametrize(("alpha", "power"), [(0.05, 0.8), (0.005, 0.9)])
def test_seeds_needed_is_the_first_number_with_the_power(size, alpha, power):
    def theirs(n):
        critical = reference.t.ppf(1 - alpha / 2, n - 1)
        return reference.nct.sf(critical, n - 1, size * math.sqrt(n))

    n = stats.seeds_needed(-0.1 * size, 0.1, alpha, power)
    assert theirs(n) >= power - 1e-9
    assert n == 2 or theirs(n - 1) < power


@pytest.mark.parametrize("spread", [1.0, (1.0, 1.0), (0.4, 1.2)])
def test_seeds_needed_find_the_difference_as_often_as_they_say(spread):
    rng = np.random.default_rng(fresh_seed())
    n, sets = stats.seeds_needed(1.2, spread), 600
    if isinstance(spread, tuple):
        pairs = rng.normal(1.2, spread[0], size=(sets, n)), rng.normal(0, spread[1], size=(sets, n))
        found = [stats.welch(a, b).p <= 0.05 for a, b in zip(*pairs, strict=True)]
    else:
        shared, differences = rng.normal(0, 3, size=(sets, n)), rng.normal(1.2, spread, size=(sets, n))
        found = [stats.paired(s + d, s).p <= 0.05 for s, d in zip(shared, differences, strict=True)]
    assert 0.72 <= np.mean(found) <= 0.92


def test_seeds_needed_at_the_ends():
    assert stats.seeds_needed(1.0, 0.0) == 2
    assert stats.seeds_needed(1.0, (0.0, 0.0)) == 2
    normal = ((1.959963985 + 0.841621234) / 1e-5) ** 2
    assert stats.seeds_needed(1e-5, 1.0) == pytest.approx(normal, rel=1e-5)  # which leaves the far tail out
    for difference, spread in ((0.0, 1.0), (math.nan, 1.0), (1.0, math.nan), (1.0, (1.0, -1.0))):
        with pytest.raises(ValueError, match="no number of seeds"):
            stats.seeds_needed(difference, spread)
    with pytest.raises(ValueError, match="alpha < power"):
        stats.seeds_needed(1.0, 1.0, power=0.01)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_the_step_down_by_hand(p_values):
    adjusted = stats.holm(p_values)
    for alpha in (0.01, 0.05, 0.3):
        rejected, m = set(), len(p_values)
        for rank, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
            if p_values[i] * (m - rank) > alpha:
                break
            rejected.add(i)
        assert {i for i in range(m) if adjusted[i] <= alpha} == rejected


def test_holm_leaves_untested_ones_out():
    adjusted = stats.holm([0.02, math.nan, 0.04])
    assert adjusted[0] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)


def test_bootstrap_agrees_with_scipys():
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 20, size=400)
    items = np.stack([rng.binomial(lengths, 0.4), lengths], axis=1).astype(float)
    low, high = stats.bootstrap_interval(items, ratio, np.random.default_rng(4), resamples=4000)
    theirs = reference.bootstrap(
        (items[:, 0], items[:, 1]),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.1 * (theirs.high - theirs.low))


def test_bootstrap_is_a_plain_resample_of_items():
    items = np.random.default_rng(6).normal([1, 5], 1, size=(50, 2))
    ours = stats.bootstrap_interval(items, ratio, np.random.default_rng(7), resamples=200)
    draws = np.random.default_rng(7).integers(0, 50, size=(200, 50))
    values = [ratio(items[row].sum(axis=0)) for row in draws]
    assert ours == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), rel=1e-12)


def test_bootstrap_in_several_chunks_is_one_stream():
    items = np.random.default_rng(8).normal(size=(200_000, 1))

    def total(sums):
        return sums[..., 0]

    ours = stats.bootstrap_interval(items, total, np.random.default_rng(9), resamples=12)
    rng = np.random.default_rng(9)
    values = [items[rng.integers(0, 200_000, size=200_000)].sum() for _ in range(12)]
    assert ours == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), rel=1e-9)


def test_bootstrap_of_constant_items_has_no_width():
    items = np.full((7, 2), 0.1)
    assert stats.bootstrap_interval(items, ratio, np.random.default_rng(0)) == (1.0, 1.0)


@pytest.mark.parametrize("n", [0, 1])
def test_bootstrap_of_too_few_items_is_nan(n):
    assert all(math.isnan(x) for x in stats.bootstrap_interval(np.ones((n, 2)), ratio, np.random.default_rng(0)))


def test_bootstrap_leaves_undefined_resamples_out():
    items = np.array([[1.0, 0.0], [1.0, 2.0], [2.0, 2.0]])
    with np.errstate(all="ignore"):
        low, high = stats.bootstrap_interval(items, ratio, np.random.default_rng(0))
        assert math.isfinite(low)
        assert math.isfinite(high)
        nothing = stats.bootstrap_interval(items * [1, 0], ratio, np.random.default_rng(0))
    assert all(math.isnan(x) for x in nothing)


def test_bootstrap_asks_for_items_by_statistics():
    with pytest.raises(ValueError, match="items, k"):
        stats.bootstrap_interval(np.ones(5), ratio, np.random.default_rng(0))
