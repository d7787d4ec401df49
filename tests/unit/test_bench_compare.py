"""`compare`: differences that scipy would give, refusals that name the field, verdicts by direction and tolerance."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats as reference

from bench.comparing.as_text import text
from bench.comparing.table import Options, Results, compare_results, tolerances
from bench.errors import UserError
from tests.fresh import fresh_seed
from tests.score_rows import failure, row


def runs(values, method="mle", seeds=None, **more):
    about = {"metric": "sacrebleu", "signature": "sacrebleu|hyps:10|refs:500|v:1", "higher_is_better": True,
             "decoding": "sample@1", **more}  # fmt: skip
    return [row(baseline=method, seed=seed, value=value, **about)
            for seed, value in zip(seeds or range(len(values)), values, strict=True)]  # fmt: skip


def compared(first, second, **asked):
    return compare_results(Results("base", first), Results("new", second), Options(**asked))


def only(first, second, **asked):
    (found,) = compared(first, second, **asked).findings
    return found


def test_paired_by_seed_as_scipy_has_it():
    rng = np.random.default_rng(fresh_seed())
    a, b = rng.normal(0, 1, 6), rng.normal(0.5, 1, 6)
    found = only(runs(a), runs(b))
    expected = reference.ttest_rel(b, a)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval()))
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert found.evidence.over == "seeds"


def test_unequal_seeds_are_compared_by_welch():
    a, b = [1.0, 2.0, 4.0], [2.0, 3.5, 5.0, 6.0]
    assert only(runs(a), runs(b)).p == pytest.approx(reference.ttest_ind(b, a, equal_var=False).pvalue)


def test_one_run_against_several_has_their_spread():
    rng = np.random.default_rng(fresh_seed())
    a = rng.normal(0, 1, 5)
    found = only(runs(a), runs([a.mean() + 0.7]))
    # Student's test with pooled variance, of which a single value adds nothing to the pool
    assert found.p == pytest.approx(reference.ttest_ind([a.mean() + 0.7], a).pvalue)


def test_other_signatures_are_refused_and_the_field_is_named():
    table = compared(runs([1, 2, 3]), runs([7, 8, 9], signature="sacrebleu|hyps:10|refs:10000|v:1"))
    (found,) = table.findings
    assert found.verdict == "not comparable"
    assert found.evidence is None
    assert math.isnan(found.p)
    assert table.exit_code == 2
    assert "not the same measurement: refs (500 / 10000) differ" in text(table)


@pytest.mark.parametrize(
    ("field", "said"),
    [({"data": "poetry.v1/mine#0"}, "data"), ({"track": "pretrained"}, "weights of elsewhere"),
     ({"signature": "sacrebleu|hyps:10|refs:500|v:2"}, "run_bench.py score RUN"),
     ({"signature": "sacrebleu|hyps:20|refs:500|v:1"}, "--samples")],
)  # fmt: skip
def test_a_refusal_says_how_to_mend_it(field, said):
    table = compared(runs([1, 2]), runs([1, 2], **field))
    assert table.exit_code == 2
    assert said in text(table)


def test_cells_that_were_only_partly_scored_anew_are_not_comparable():
    mixed = [*runs([1, 2]), *runs([3], seeds=[2], signature="sacrebleu|hyps:10|refs:500|v:2")]
    assert only(runs([1, 2, 3]), mixed).verdict == "not comparable"


@pytest.mark.parametrize(
    ("direction", "real", "verdict", "code"),
    [(True, None, "better", 0), (False, None, "worse", 1), (None, 9.0, "nearer to real", 0),
     (None, 1.0, "further from real", 1), (None, None, "differs", 0)],
)  # fmt: skip
def test_verdicts_follow_the_direction(direction, real, verdict, code):
    base, new = [1.0, 1.01, 0.99], [6.0, 6.02, 6.01]
    rows = runs([real], "real", decoding="", higher_is_better=direction) if real is not None else []
    table = compared(runs(base, higher_is_better=direction) + rows, runs(new, higher_is_better=direction) + rows)
    assert [each.verdict for each in table.findings] == [verdict]
    assert table.exit_code == code


def test_what_passes_from_below_real_text_to_above_it_is_judged_by_distance():
    real = runs([5.0], "real", decoding="", higher_is_better=None)
    base, new = [3.0, 3.02, 2.99], [7.03, 6.98, 7.01]
    found = only(runs(base, higher_is_better=None) + real, runs(new, higher_is_better=None) + real)
    away = reference.ttest_rel(np.abs(np.array(new) - 5), np.abs(np.array(base) - 5))
    assert found.p == pytest.approx(away.pvalue)
    assert found.verdict == "can't tell"
    assert found.interval[0] > 3.9  # the values themselves differ, and that is shown
    assert "distance from real text" in text(compared(runs(base, higher_is_better=None) + real,
                                                      runs(new, higher_is_better=None) + real))  # fmt: skip


@pytest.mark.parametrize(("new", "verdict"), [(0.4, "nearer to real"), (0.1, "further from real")])
def test_what_people_have_by_definition_is_a_yardstick_without_them(new, verdict):
    """Adversarial success of .5, from below or above."""
    about = {"metric": "adver-suc", "signature": "adver-suc|eval:logistic|v:1", "higher_is_better": None}
    noise = [0.0, 0.001, 0.003]
    for sign in (-1, 1):
        base, other = ([0.5 + sign * (0.5 - value + each) for each in noise] for value in (0.25, new))
        assert only(runs(base, **about), runs(other[::-1], **about)).verdict == verdict


def test_real_text_of_another_measurement_is_no_yardstick():
    real = runs([9.0], "real", decoding="", higher_is_better=None, signature="sacrebleu|hyps:10|refs:77|v:1")
    base, new = (runs([v + shift for v in (1.0, 1.01, 0.99)], higher_is_better=None) for shift in (0, 5.001))
    assert only(base + real, new + real).harm is None


def test_a_difference_within_noise_says_how_many_seeds_it_would_take():
    table = compared(runs([1.0, 2.0, 3.0]), runs([2.0, 1.5, 3.5]))
    (found,) = table.findings
    assert found.verdict == "can't tell"
    assert found.needed > 3
    assert f"can't tell (over 3 paired seeds; {found.needed} seeds would separate a difference of this size" in text(
        table
    )
    single = compared(runs([1.0]), runs([2.0]))
    assert single.findings[0].verdict == "can't tell"
    assert "it takes 2 of each" in text(single)
    assert "no interval" in text(single)


class TestTolerance:
    base = (0.50, 0.51, 0.49, 0.50)

    def verdict(self, shift, noise, tolerance, **more):
        new = [value + shift + wobble * noise for value, wobble in zip(self.base, (1, -1, 1, -1), strict=True)]
        asked = {"tolerances": tolerances([tolerance])} if tolerance else {}
        return only(runs(self.base, **more), runs(new, **more), **asked)

    def test_worse_is_worse_by_more_than_the_tolerance(self):
        assert self.verdict(-0.03, 0.001, "").verdict == "worse"
        assert self.verdict(-0.03, 0.001, "0.01").verdict == "worse"
        assert self.verdict(-0.03, 0.001, "0.029").verdict == "can't tell"
        assert self.verdict(-0.03, 0.001, "0.05").verdict == "same"
        assert self.verdict(0.03, 0.001, "0.01").verdict == "better"

    def test_same_is_the_whole_interval_within_the_tolerance(self):
        found = self.verdict(0.001, 0.002, "0.01")
        assert found.verdict == "same"
        assert max(map(abs, found.interval)) < 0.01
        wide = self.verdict(0.001, 0.02, "0.01")
        assert wide.verdict == "can't tell"
        assert max(map(abs, wide.interval)) > 0.01

    def test_without_a_tolerance_only_what_is_equal_is_the_same(self):
        assert self.verdict(0.0, 0.0, "").verdict == "same"
        assert self.verdict(0.0, 1e-9, "").verdict == "can't tell"

    def test_p_is_of_the_part_beyond_the_tolerance(self):
        found = self.verdict(-0.03, 0.001, "0.028")
        beyond = [a + 0.03 - 0.002 + w * 0.001 - a - 0.03 + 0.0 for a, w in zip(self.base, (1, -1, 1, -1), strict=True)]
        assert found.p == pytest.approx(reference.ttest_1samp(beyond, 0).pvalue)

    def test_a_share_is_of_the_base(self):
        assert self.verdict(-0.02, 0.0001, "10%").verdict == "same"
        assert self.verdict(-0.02, 0.0001, "1%").verdict == "worse"

    def test_rounding_alone_does_not_exceed_it(self):
        found = only(runs([0.5, 0.5]), runs([0.49, 0.49]), tolerances=tolerances(["0.01"]))
        assert found.verdict == "same"

    def test_how_many_seeds_would_show_it_to_be_the_same(self):
        found = self.verdict(0.001, 0.02, "0.01")
        assert found.needed > 4
        more = self.verdict(0.001, 0.02, "0.02")
        assert 2 <= more.needed < found.needed


class TestStrict:
    def test_what_cannot_be_told_fails_unless_worse_is_ruled_out(self):
        noisy = runs([1.0, 2.0, 3.0]), runs([2.0, 1.5, 3.5])
        assert compared(*noisy).exit_code == 0
        assert compared(*noisy, strict=True).exit_code == 1
        assert compared(*noisy, strict=True, tolerances=tolerances(["9"])).exit_code == 0
        # better, though by how much beyond the tolerance is open: the interval ends above -0.01
        gained = runs([0.50, 0.51, 0.49]), runs([0.52, 0.531, 0.512])
        table = compared(*gained, strict=True, tolerances=tolerances(["0.02"]))
        assert [each.verdict for each in table.findings] == ["can't tell"]
        assert table.findings[0].clears
        assert table.exit_code == 0


def metric_rows(values, i, **more):
    return runs(values, metric=f"m-{i}", signature=f"m-{i}|v:1", **more)


def test_holm_counts_every_comparison_of_the_table():
    rng = np.random.default_rng(fresh_seed())
    first, second = [], []
    for i, method in ((0, "mle"), (1, "mle"), (0, "seqgan"), (1, "seqgan")):
        values = rng.normal(0, 1, 5)
        first += metric_rows(values, i, method=method)
        second += metric_rows(values + rng.normal(1, 0.5, 5), i, method=method)
    table = compared(first, second)
    raw = sorted(each.harm.p_beyond(0) for each in table.findings)
    assert table.among == 4
    assert min(each.p for each in table.findings) == pytest.approx(min(1, 4 * raw[0]))


def test_a_method_that_ran_bit_by_bit_the_same_takes_no_power():
    first, second = runs([1.0, 1.1, 0.9]), runs([1.3, 1.1, 1.2])
    still = [each for i in range(20) for each in metric_rows([0.5, 0.6, 0.7], i, method="seqgan")]
    table = compared(first + still, second + still)
    assert table.among == 1
    assert table.findings[0].p == pytest.approx(only(first, second).p)
    assert [each.verdict for each in table.findings[1:]] == ["same"] * 20


def test_fewer_seeds_that_are_bit_by_bit_the_same_are_the_same():
    found = only(runs([0.1, 0.2, 0.3, 0.4, 0.5]), runs([0.1, 0.2]))
    assert (found.verdict, found.difference, found.exactly) == ("same", 0.0, True)
    assert (
        only(runs([0.0, 0.1]), runs([0.0, 0.9, 0.8])).verdict == "can't tell"
    )  # the base knows nothing of these seeds


class TestNoSpread:
    def test_equal_values_by_chance_are_no_certainty(self):
        """One copied sentence in both runs against none: rare events coincide."""
        about = {"metric": "copied", "signature": "copied|v:1", "higher_is_better": False}
        rare = [{**about, "ci_low": 0.0, "ci_high": 0.0}, {**about, "ci_low": 0.0, "ci_high": 0.003}]
        noise = runs([0.5, 0.6]), runs([0.55, 0.6])  # another metric, which shows that seeds matter
        table = compared(runs([0.0, 0.0], **rare[0]) + noise[0], runs([0.001, 0.001], **rare[1]) + noise[1])
        assert table.findings[0].verdict == "can't tell"
        assert table.findings[0].interval[0] < 0 < table.findings[0].interval[1]
        assert table.exit_code == 0

    def test_a_method_that_takes_no_notice_of_seeds_is_certain(self):
        found = only(runs([0.5, 0.5]), runs([0.49, 0.49]))
        assert (found.verdict, found.p) == ("worse", 0.0)


class TestLost:
    def test_a_method_that_is_not_there(self):
        both = runs([1, 2]) + runs([1, 2], "seqgan")
        table = compared(both, runs([1, 2]))
        assert [(each.method, each.verdict) for each in table.findings] == [("mle", "same"), ("seqgan", "lost")]
        assert table.exit_code == 1
        assert "lost (not in new)" in text(table)
        back = compared(runs([1, 2]), both)
        assert [each.verdict for each in back.findings] == ["same", "new"]
        assert back.exit_code == 0

    @pytest.mark.parametrize("status", ["failed", "diverged", "unsupported"])
    def test_all_its_cells_failed(self, status):
        table = compared(runs([1, 2]), [failure("mle", seed, status, "NaN in the loss") for seed in (0, 1)])
        assert [each.verdict for each in table.findings] == ["lost"]
        assert f"{status}: NaN in the loss (seeds 0, 1)" in text(table)
        assert table.exit_code == 1

    def test_one_more_of_its_cells_failed(self):
        lost = [failure("mle", 2, "diverged", "NaN")]
        table = compared(runs([1, 2, 3]), runs([1, 2]) + lost)
        assert [each.verdict for each in table.findings] == ["lost", "same"]
        assert table.exit_code == 1
        as_before = compared(runs([1, 2]) + lost, [*runs([1, 2]), failure("mle", 3, "failed", "memory")])
        assert as_before.exit_code == 0

    def test_a_value_that_is_not_there(self):
        nan = runs([math.nan, math.nan], metric="chrf", signature="chrf|v:1", reason="samples: empty")
        table = compared(runs([1, 2]) + runs([1, 2], metric="chrf", signature="chrf|v:1"), runs([1, 2]) + nan)
        assert {each.name: each.verdict for each in table.findings}["chrf sample@1"] == "lost"
        assert "samples: empty" in text(table)
        assert compared(runs([1, 2]) + nan, runs([1, 2]) + nan).exit_code == 0

    def test_a_decoding_that_is_not_there(self):
        beam = runs([1, 2], decoding="beam5@1")
        assert compared(runs([1, 2]) + beam, runs([1, 2])).exit_code == 1

    def test_what_never_had_a_result_is_not_lost_but_named(self):
        failed = [failure("seqgan", 0, "failed", "memory")]
        table = compared(runs([1, 2]) + failed, runs([1, 2]))
        assert table.exit_code == 0
        assert "seqgan on poetry has no result on either side" in text(table)

    def test_another_method_lacks_a_value_without_having_lost_it(self):
        rows = runs([1, 2]) + runs([1, 2], metric="nll-test", signature="nll|v:1") + runs([1, 3], "gan")
        table = compared(rows, rows, method="gan", to="mle")
        assert {each.verdict for each in table.findings} == {"can't tell"}
        assert "gan has no value" in text(table)


def test_worse_goes_before_not_comparable():
    base = metric_rows([5, 5.1, 4.9], 0) + metric_rows([1, 2, 3], 1)
    new = metric_rows([1, 1.1, 0.91], 0) + runs([1, 2, 3], metric="m-1", signature="m-1|v:2")
    assert compared(base, new).exit_code == 1
    assert compared(base, metric_rows([5, 5.1, 4.9], 0) + new[3:]).exit_code == 2


def test_runs_without_a_result_count_in_the_probability():
    lost = [failure("mle", 3, "diverged", "NaN")]
    table = compared(runs([1, 2, 3]) + lost, runs([1, 2, 4]))
    assert "1 and 0 runs without a result" in text(table)
    # of 4 x 3 pairs: 6 of 9 are wins or half ones, and every run beats the one that was lost
    pairs = [(b > a) + 0.5 * (b == a) for a in (1, 2, 3, -math.inf) for b in (1, 2, 4)]
    assert table.findings[0].probability == pytest.approx(sum(pairs) / 12)


class TestChosen:
    rows = (runs([1, 2]) + metric_rows([3, 4], 0, primary=False) + runs([5, 6], task="speech")
            + runs([7, 8], "seqgan") + runs([0, 1], stage="pretrain") + runs([5], "real", decoding=""))  # fmt: skip

    def names(self, **asked):
        found = compared(self.rows, self.rows, **asked).findings
        return [(each.task, each.method, each.place.metric) for each in found]

    def test_only_final_values_and_no_reference_rows(self):
        assert len(self.names()) == 4

    def test_tasks_metrics_methods_and_the_primary(self):
        assert self.names(tasks=["speech"]) == [("speech", "mle", "sacrebleu")]
        assert self.names(metrics=["m-0"]) == [("poetry", "mle", "m-0")]
        assert len(self.names(primary_only=True)) == 3
        assert self.names(method="seqgan", to="mle", primary_only=True) == [("poetry", "seqgan", "sacrebleu")]

    def test_points_of_the_frontier_are_counted_and_left_out(self):
        swept = runs([1, 2], metric="bleu-2", decoding="sample@0.7", signature="bleu-2|T:0.7|v:1")
        table = compared(self.rows + swept, self.rows + swept)
        assert len(table.findings) == 4
        assert "1 value" in text(table)
        assert "--frontier" in text(table)
        assert len(compared(self.rows + swept, self.rows + swept, frontier=True).findings) == 5

    def test_samples_at_one_odd_temperature_are_no_frontier(self):
        swept = runs([1, 2], metric="bleu-2", decoding="sample@0.7", signature="bleu-2|T:0.7|v:1")
        assert len(compared(swept, swept).findings) == 1


def test_mistakes():
    rows = runs([1])
    with pytest.raises(UserError, match=r'no results of "mlee". Did you mean mle?'):
        compared(rows, rows, method="mlee")
    with pytest.raises(UserError, match=r'no values of task "poerty". Did you mean poetry?'):
        compared(rows, rows, tasks=["poerty"])
    with pytest.raises(UserError, match=r'no values of metric "sacrebleuu". Did you mean sacrebleu?'):
        compared(rows, rows, metrics=["sacrebleuu"])
    with pytest.raises(UserError, match="several configurations"):
        compared(rows, runs([1], config_hash="aa") + runs([2], config_hash="bb"))
    with pytest.raises(UserError, match=r"several sets of values .data"):
        compared(rows, rows + runs([2], seeds=[1], data="poetry.v1/other#00"))
    with pytest.raises(UserError, match="remove the cell that is out of date"):
        compared(rows, rows + runs([2]))
    with pytest.raises(UserError, match="no task and method in common"):
        compared(rows + runs([1], "seqgan", task="speech"), rows, method="mle", to="seqgan")
    with pytest.raises(UserError, match="alpha"):
        compared(rows, rows, alpha=5)


def test_notes_tell_of_other_configurations_and_of_real_text_that_moved():
    real = runs([0.5], "real", decoding="")
    table = compared(runs([1, 2]) + real, runs([1, 2], config_hash="ff") + runs([0.6], "real", decoding=""))
    assert any("another configuration" in note for note in table.notes)
    assert any("real text's own values moved (poetry sacrebleu)" in note for note in table.notes)
    assert not compared(runs([1, 2]) + real, runs([1, 2]) + real).notes


def test_wanting_less_certainty_narrows_intervals():
    rows = runs([1.0, 2.0, 3.0]), runs([2.0, 1.5, 3.5])
    wide, narrow = only(*rows), only(*rows, alpha=0.2)
    assert narrow.interval[0] > wide.interval[0]
    assert dataclasses.replace(wide, level=0.8).interval == pytest.approx(narrow.interval)


def test_the_more_tests_a_table_has_the_more_seeds_it_takes():
    rows = runs([1.0, 2.0, 3.0]), runs([2.0, 1.5, 3.5])
    others = [
        [each for i in range(9) for each in metric_rows(values, i)] for values in ([0.1, 0.2, 0.3], [0.3, 0.1, 0.2])
    ]
    assert compared(rows[0] + others[0], rows[1] + others[1]).findings[0].needed > only(*rows).needed
