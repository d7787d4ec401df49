"""What may be called best, and what a table says it can not tell."""

from __future__ import annotations

import math
import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference_stats

from bench.report import layout, terminal, wording
from bench.report.ranking import judge, verdicts
from bench.report.wording import number
from tests.score_rows import cell, poetry, reference, row
from tests.tables import oracle, render, the_table


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 6), st.booleans(), st.booleans())
def test_bold_is_what_scipy_can_tell_from_the_second(seed, n, higher, paired):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.5, 0.02, n), rng.normal(0.5 + rng.normal(0, 0.05), 0.02, n)
    rows = [row(baseline="a", seed=i, value=v, higher_is_better=higher) for i, v in enumerate(first)]
    rows += [row(baseline="b", seed=i + (not paired), value=v, higher_is_better=higher) for i, v in enumerate(second)]
    p = (
        reference_stats.ttest_rel(first, second)
        if paired
        else reference_stats.ttest_ind(first, second, equal_var=False)
    ).pvalue
    bold = re.findall(r"^\| (\w+) \| \*\*", render(rows), flags=re.M)
    winner = "a" if (first.mean() > second.mean()) == higher else "b"
    assert bold == ([winner] if p < 0.05 else [])


def test_holm_counts_all_comparisons_of_the_table():
    rows = []
    for metric in ("m1", "m2", "m3"):
        about = {"metric": metric, "signature": metric, "primary": metric == "m1", "higher_is_better": True}
        for seed, noise in enumerate((0.0, 0.011, -0.004)):
            rows.append(row(**about, baseline="a", seed=seed, value=0.51 + noise))
            rows.append(row(**about, baseline="b", seed=seed, value=0.47 - noise))
    p = reference_stats.ttest_rel([0.51, 0.521, 0.506], [0.47, 0.459, 0.474]).pvalue
    assert 0.05 / 3 < p < 0.05
    assert "**.5" not in render(rows)
    assert "**.5" in render([each for each in rows if each.metric == "m1"])


def test_one_seed_is_never_best_and_says_so():
    rows = [row(baseline="a", value=0.9, higher_is_better=True), row(value=0.1, higher_is_better=True)]
    assert "**.9" not in render(rows)
    assert "no test of a against mle on BLEU-2: it takes 2 seeds of each; use --seeds 5" in render(rows)


def test_free_text_is_ordered_by_nearness_to_real_text_and_never_bold():
    rows = reference("real", 0.50, 0.50)
    for seed, noise in enumerate((0.0, 0.001, 0.002)):
        rows += cell("high", seed, 0.90 + noise, 0.9, 3.0)
        rows += cell("near", seed, 0.48 + noise, 0.4, 3.5)
    (table,) = layout.build(rows)
    assert [line.label for line in judge(table).lines] == ["real", "near", "high"]
    text = render(rows)
    assert "**.9" not in text
    assert "| near | *.481 ±.002* |" in text
    assert "Above real text, which is a defect and no merit: BLEU-2: high; BLEU-3: high; Self-BLEU-2: high." in text


def test_without_people_in_the_table_a_definition_may_say_what_they_have():
    """No evaluator tells people's replies from people's: adversarial success of .5, and the nearer to it the better."""
    about = {"task": "dialogue", "metric": "adver-suc", "signature": "adver-suc|eval:logistic|v:1"}
    about |= {"higher_is_better": None}
    values = {"mle": 0.20, "odd": 0.95, "far": 0.01, "near": 0.42, "above": 0.52}
    rows = [row(**about, baseline=name, seed=seed, value=value + 0.001 * seed)
            for name, value in values.items() for seed in (0, 1)]  # fmt: skip
    (table,) = layout.build(rows)
    assert [line.label for line in judge(table).lines] == ["above", "near", "mle", "odd", "far"]
    text = render(rows)
    assert "adver-suc (→ real)" in text
    assert "| above | *.520" in text
    (table,) = layout.build([each.model_copy(update={"metric": "adver-human-human"}) for each in rows])
    assert not judge(table).nearest  # a control ranks no method


def test_below_the_entropy_is_lost_diversity_and_never_best():
    rows = oracle(
        {"real": (5.74,), "mle": (9.04, 9.05), "good": (7.0, 7.01), "collapsed": (4.10, 4.11), "uniform": (11.4,)}
    )
    table = the_table(rows)
    assert [line.label for line in judge(table).lines] == ["real", "good", "mle", "collapsed", "uniform"]
    text = render(rows)
    assert re.search(r"\| collapsed \| 4\.1\d ±\.06 \(lost diversity\)", text)
    assert re.search(r"\| good \| \*\*7", text)
    entropy = oracle({"entropy": (6.9,), "real": (7.1,), "mle": (7.0, 7.0)})
    assert "lost diversity" not in render(entropy)


def test_references_stand_first_and_last_and_take_no_part():
    table = the_table(poetry())
    labels = [line.label for line in judge(table).lines]
    assert labels[0] == "real"
    assert labels[-1] == "shuffled"
    better = poetry() + [row(baseline="uniform", seed=seed, value=0.5, config_hash="n") for seed in range(3)]
    assert "uniform" not in [label for verdict in verdicts(the_table(better)) for label, *_ in verdict.others]


def test_the_line_on_what_can_not_be_told_is_true():
    a, b = (0.471, 0.480, 0.466), (0.474, 0.476, 0.473)
    rows = [
        row(baseline=name, seed=i, value=v) for name, values in (("mle", a), ("gan", b)) for i, v in enumerate(values)
    ]
    (verdict,) = verdicts(the_table(rows))
    difference = verdict.smallest_differences["gan"]
    shifted = np.array(b) + difference - (np.mean(b) - np.mean(a))
    assert reference_stats.ttest_rel(shifted, a).pvalue == pytest.approx(0.05, rel=1e-6)
    wanted = "n.s.: gan is not distinguishable from mle on BLEU-2 with 3 seeds "
    wanted += f"(a difference of {number(difference, 3)} would be)"
    assert wanted in terminal(rows, 200)
    assert wanted + "; use --seeds 5" in terminal(rows, 200)


def test_several_that_can_not_be_told_apart_are_one_line():
    rng = random.Random(3)
    rows = [row(baseline=name, seed=i, value=0.5 + 0.02 * rng.random()) for name in ("mle", "a", "b") for i in range(5)]
    text = terminal(rows, 200)
    assert "n.s.: no method is distinguishable from mle on BLEU-2 with 5 seeds" in text
    assert "use --seeds" not in text


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ({"a": 0.023}, "a difference of .023 would be"),
        ({"a": 0.0001}, "a difference of under .001 would be"),
        ({"a": 0.023, "b": 0.41}, "a difference of .023 to .410 would be, by method"),
        ({"a": 0.0001, "b": 0.41, "c": 17.8}, "a difference of under .001 to .410 would be, by method, of c none"),
        ({"c": 17.8}, "no difference would be: these seeds are too few or too far apart"),
    ],
)
def test_no_difference_is_named_that_the_metric_can_not_have(differences, said):
    assert wording._smallest(differences, wording._range("bleu-2"), 3) == said
    assert wording._range("nll-test") == wording._range("unheard-of") == math.inf


def test_seeds_of_one_method_that_lie_far_apart_say_nothing_of_the_others():
    values = {"mle": (0.5, 0.51), "near": (0.5, 0.52), "wild": (0.1, 0.9)}
    rows = [row(baseline=name, seed=i, value=v) for name, both in values.items() for i, v in enumerate(both)]
    (verdict,) = verdicts(the_table(rows))
    smallest = verdict.smallest_differences
    assert smallest["wild"] > 1 > smallest["near"]
    assert f"(a difference of {number(smallest['near'], 3)} would be, of wild none)" in terminal(rows, 200)
