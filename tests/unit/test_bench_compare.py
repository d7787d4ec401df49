"""`compare`: differences that scipy would give, refusals that name the field, and verdicts by direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as reference

from bench.compare import Place, findings, lines, methods, sides
from bench.errors import UserError
from tests.fresh import fresh_seed
from tests.score_rows import failure, row

PLACE = Place("poetry", "test", "sample@1", "sacrebleu")


def runs(values, method="mle", **more):
    about = {"metric": "sacrebleu", "signature": "sacrebleu|hyps:10|refs:500|v:1", "higher_is_better": True,
             "decoding": "sample@1", **more}  # fmt: skip
    return [row(baseline=method, seed=seed, value=value, **about) for seed, value in enumerate(values)]


def only(first, second, names=("mle", "mle")):
    (found,) = findings(sides(first, names[0]), sides(second, names[1]))
    return found


def test_paired_by_seed_as_scipy_has_it():
    rng = np.random.default_rng(fresh_seed())
    a, b = rng.normal(0, 1, 6), rng.normal(0.5, 1, 6)
    found = only(runs(a), runs(b))
    expected = reference.ttest_rel(b, a)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval()))
    assert found.comparison.difference == pytest.approx(b.mean() - a.mean())


def test_unequal_seeds_are_compared_by_welch():
    a, b = [1.0, 2.0, 4.0], [2.0, 3.5, 5.0, 6.0]
    found = findings(sides(runs(a), "mle"), sides(runs(b), "mle"))[0]
    assert found.p == pytest.approx(reference.ttest_ind(b, a, equal_var=False).pvalue)


def test_other_signatures_are_refused_and_the_field_is_named():
    found = only(runs([1, 2, 3]), runs([7, 8, 9], signature="sacrebleu|hyps:10|refs:10000|v:1"))
    assert found.verdict == "not comparable"
    assert found.comparison is None
    assert math.isnan(found.p)
    assert "not the same measurement: refs (500 / 10000) differ" in lines([found])[0]


@pytest.mark.parametrize(
    ("direction", "real", "verdict"),
    [(True, None, "better"), (False, None, "worse"), (None, 9.0, "nearer to real"), (None, 1.0, "further from real"),
     (None, None, "can't tell")],
)  # fmt: skip
def test_verdicts_follow_the_direction(direction, real, verdict):
    base, new = ([value + shift for value in (1.0, 1.01, 0.99)] for shift in (0, 5))
    rows = runs([real], "real", decoding="", higher_is_better=direction) if real is not None else []
    found = only(runs(base, higher_is_better=direction) + rows, runs(new, higher_is_better=direction) + rows)
    assert found.verdict == verdict


def test_a_difference_within_noise_says_how_many_seeds_it_would_take():
    found = only(runs([1.0, 2.0, 3.0]), runs([2.0, 1.5, 3.5]))
    assert found.verdict == "can't tell"
    assert found.seeds_needed > 3
    assert f"{found.seeds_needed} would separate" in lines([found])[0]
    single = only(runs([1.0]), runs([2.0]))
    assert single.verdict == "can't tell"
    assert "it takes 2 of each" in lines([single])[0]


def test_holm_counts_every_comparison_made():
    rng = np.random.default_rng(fresh_seed())
    first, second = [], []
    for i in range(4):
        values = rng.normal(0, 1, 5)
        first += runs(values, metric=f"m-{i}", signature=f"m-{i}|v:1")
        second += runs(values + rng.normal(1, 0.5, 5), metric=f"m-{i}", signature=f"m-{i}|v:1")
    found = findings(sides(first, "mle"), sides(second, "mle"))
    raw = sorted(each.comparison.p for each in found)
    assert min(each.p for each in found) == pytest.approx(min(1, 4 * raw[0]))


def test_runs_without_a_result_are_counted():
    lost = [failure("mle", 3, "diverged", "NaN")]
    found = only(runs([1, 2, 3]) + lost, runs([1, 2, 4]))
    assert "1 and 0 runs without a result" in lines([found])[0]
    # of 4 x 3 pairs: 6 of 9 are wins or half ones, and every run beats the one that was lost
    pairs = [(b > a) + 0.5 * (b == a) for a in (1, 2, 3, -math.inf) for b in (1, 2, 4)]
    assert found.better == pytest.approx(sum(pairs) / 12)


def test_mistakes():
    with pytest.raises(UserError, match='no results of "mlee"'):
        sides(runs([1]), "mlee")
    two = runs([1], config_hash="aa") + runs([2], config_hash="bb")
    with pytest.raises(UserError, match="several configurations"):
        sides(two, "mle")


def test_only_final_values_and_no_reference_rows():
    rows = runs([1, 2]) + runs([9, 9], stage="pretrain") + runs([5], "real", decoding="")
    assert sides(rows, "mle")[PLACE].by_seed == {0: 1, 1: 2}
    assert methods(rows) == ["mle"]
