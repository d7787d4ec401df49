"""What may share a table, a column or a line, and what stands where a value is missing."""

from __future__ import annotations

import random
import re

import pytest

from bench.errors import UserError
from bench.report import layout, read_results, terminal, write_tables
from bench.report.ranking import verdicts
from tests.score_rows import NAN, cell, failure, poetry, reference, row, translation
from tests.tables import GOLDEN, HEADING, by_label, oracle, render, the_table


def test_leaderboard_is_the_golden_one():
    """Its bytes; to renew it after a wanted change, write what `render` gives to the file and read the difference."""
    entropy = oracle({"real": (5.74,), "mle": (9.04, 9.05), "collapsed": (4.10, 4.11), "uniform": (11.4,)})
    assert render(poetry() + translation() + entropy) == GOLDEN.read_text(encoding="utf-8")


def test_embedded_and_real_data_share_no_table():
    real = [each.model_copy(update={"data": "poetry.v1/jueju5#99", "origin": "files"}) for each in poetry()]
    tables = layout.build(poetry() + real)
    assert sorted((table.origin, table.data) for table in tables) == [
        ("embedded", "poetry.v1/embedded#3fa91c20"),
        ("files", "poetry.v1/jueju5#99"),
    ]
    assert render(poetry() + real).count("\n## ") == 2


def test_other_signatures_stand_in_other_columns_and_the_field_is_named():
    rows = cell("mle", 0, 0.4, 0.4, 3.0) + cell("other", 0, 0.9, 0.4, 3.0)
    rows = [
        each.model_copy(update={"signature": each.signature.replace("refs:500", "refs:10000")})
        if each.baseline == "other" and each.metric == "bleu-2"
        else each
        for each in rows
    ]
    table = the_table(rows)
    assert [column.label for column in table.columns] == [
        "bleu-2 [a]",
        "bleu-2 [b]",
        "bleu-3",
        "self-bleu-2",
        "nll-test",
    ]
    first, second = table.columns[:2]
    assert set(by_label(table)["mle"].values) & {first, second} == {first}
    assert set(by_label(table)["other"].values) & {first, second} == {second}
    assert verdicts(table) == []
    for text in (render(rows), terminal(rows, 200)):
        assert "differ in refs (500 / 10000)" in text.replace("\\", "")


def test_no_two_signatures_ever_meet_in_a_comparison():
    rng = random.Random(5)
    rows = []
    for name in "abcdef":
        for seed in range(3):
            signature = f"bleu|refs:{rng.choice([1, 2])}|v:1"
            rows.append(row(baseline=name, seed=seed, value=rng.random(), higher_is_better=True, signature=signature))
    wanted = {(each.baseline, each.seed): each.signature for each in rows}
    table = the_table(rows)
    for line in table.lines:
        for column, value in line.values.items():
            assert {wanted[line.baseline, seed] for seed in value.by_seed} == {column.signature}


def test_real_text_has_no_temperature_and_still_stands_in_the_column():
    table = the_table(poetry())
    lines = by_label(table)
    assert {column.label for column in lines["real"].values} == {"bleu-2", "bleu-3", "self-bleu-2"}
    other = [
        each.model_copy(update={"signature": each.signature.replace("hyps:500", "hyps:9")})
        for each in reference("real", 0.5, 0.5)
    ]
    assert len(the_table(cell("mle", 0, 0.4, 0.4, 3.0) + other).columns) == 4 + 3
    method = [each.model_copy(update={"baseline": "sneaky"}) for each in reference("real", 0.5, 0.5)]
    assert len(the_table(cell("mle", 0, 0.4, 0.4, 3.0) + method).columns) == 4 + 3


def test_two_configurations_of_a_method_are_two_lines():
    rows = [row(seed=seed, config_hash=name, value=0.1 * seed) for name in ("aaaa", "bbbb") for seed in (0, 1)]
    assert sorted(by_label(the_table(rows))) == ["mle #aaaa", "mle #bbbb"]


def test_two_values_for_one_seed_are_refused_and_equal_ones_are_one():
    again = row(cell="poetry.mle.s0.old")
    assert by_label(the_table([row(), again]))["mle"].seeds == (0,)
    with pytest.raises(UserError, match=r"is 0\.5 in cell .* and 0\.6 in cell poetry.mle.s0.old; remove"):
        layout.build([row(), again.model_copy(update={"value": 0.6})])


def test_each_decoding_has_a_table_and_likelihood_stands_in_all():
    likelihood = {
        "metric": "nll-test",
        "decoding": "",
        "value": 2.0,
        "higher_is_better": False,
        "signature": "nll-test|v:1",
    }
    about = {"task": "translation", "data": "translation.v1/multi30k#77aa00ff", "origin": "files", "primary": False}
    rows = [*translation(), row(**about, **likelihood)]
    tables = layout.build(rows)
    assert [table.decoding for table in tables] == ["greedy", "beam5@1"]
    assert all("nll-test" in [column.label for column in table.columns] for table in tables)


def test_other_temperatures_are_points_of_a_curve_and_have_no_table():
    def swept(metric, value, t):
        signature = f"{metric}|T:{t}|v:1"
        primary = metric == "bleu-2"
        return row(metric=metric, value=value, decoding=f"sample@{t}", signature=signature, primary=primary)

    rows = [
        swept(metric, value, t)
        for t in ("0.7", "1", "1.3")
        for metric, value in (("bleu-2", 0.5), ("self-bleu-2", 0.25))
    ]
    rows += [swept("distinct-1", 0.5, "1")]
    rows += [row(metric="frontier-area-2", decoding="", signature="frontier-area|T:0.7,1,1.3|v:1", primary=False)]
    tables = layout.build(rows)
    assert len(tables) == 3
    assert [table.decoding for table in layout.shown(tables)] == ["sample@1"]
    curve = render(rows).partition("quality and diversity by temperature")[2]
    assert "| method | T | BLEU-2 | Self-BLEU-2 |" in curve
    assert [line.split(" | ")[1] for line in curve.splitlines() if line.startswith("| mle")] == ["0.7", "1", "1.3"]
    assert "| mle | 0.7 | .500 | .250 |" in curve
    assert "distinct" not in curve.partition("```")[0]


def test_what_a_method_draws_by_its_own_rule_has_a_table_of_its_own():
    """All metrics at one more temperature: a table, and no second curve; text that no model made stands in it too."""
    rows = [
        row(metric=metric, decoding=f"sample@{t}", signature=f"{metric}|T:{t}|v:1", primary=metric == "bleu-2")
        for t in ("0.666667", "1")
        for metric in ("bleu-2", "self-bleu-2", "distinct-1")
    ]
    rows += [row(baseline="real", config_hash="", decoding="", signature="bleu-2|v:1")]
    tables = layout.build(rows)
    assert [table.decoding for table in layout.shown(tables)] == ["sample@0.666667", "sample@1"]
    assert all({line.baseline for line in table.lines} == {"mle", "real"} for table in tables)
    assert render(rows).count("quality and diversity by temperature") == 1


def test_pretrained_weights_are_never_ranked_with_weights_from_scratch():
    rows = [row(seed=seed, value=0.4 + seed / 100) for seed in (0, 1)]
    rows += [row(baseline="gpt", config_hash="p", track="pretrained", seed=seed, value=0.9) for seed in (0, 1)]
    rows += [row(baseline="real", config_hash="", decoding="", value=0.5)]
    scratch, pretrained = layout.build(rows)
    assert [line.baseline for line in scratch.lines] == ["mle", "real"]
    assert [line.baseline for line in pretrained.lines] == ["gpt", "real"]
    assert "pretrained track" in render(rows)
    assert render(rows).count("\n## ") == 2


def test_every_stage_that_was_kept_has_its_line():
    rows = [row(stage=stage, value=value) for stage, value in (("final", 0.3), ("maskmle", 0.2), ("pretrain", 0.1))]
    (line,) = the_table(rows).lines
    assert [each.stage for each in (line, *line.earlier)] == ["final", "maskmle", "pretrain"]
    text, _ = render(rows).split("**before and after")
    table = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| mle")]
    assert table == ["| mle", "| mle, after MaskMLE", "| mle, after pre-training"]


def test_one_temperature_is_no_curve():
    assert "by temperature" not in render([row(decoding="sample@1")])


def test_a_wide_table_is_cut_by_what_its_columns_say_and_costs_stand_once():
    names = [f"{family}-{n}" for family in ("bleu", "self-bleu") for n in (2, 3, 4, 5)] + ["frechet", "length", "mine"]
    text = render([row(metric=name, signature=f"{name}|v:1", primary=name == "bleu-2") for name in names])
    parts = re.split(r"^\*([a-z ]+)\*$", text, flags=re.MULTILINE)
    assert parts[1::2] == ["quality", "diversity and novelty", "distance from real text", "form"]
    assert [part.count("BLEU-5 ") for part in parts[2::2]] == [1, 1, 0, 0]
    assert "mine" in parts[8].partition("```")[0]
    assert text.count("train s") == 1


def test_extra_test_sets_have_tables_of_their_own_after_the_test_split():
    rows = [row(split="test_ntrex", signature="b"), row()]
    assert [table.split for table in layout.build(rows)] == ["test", "test_ntrex"]


def test_failed_cells_are_rows_with_reasons_and_counts():
    text = render(poetry())
    assert "| maligan | - | - | - | - | 0 of 3 |" in text
    assert "3 failed (seeds 0, 1, 2): RuntimeError" in text
    assert "| 2 of 3 | 41 | cpu | 310 | 52,000 | 1 diverged (seed 2): reward is nan at adversarial step 412 |" in text
    assert "1 unsupported (seed 0): needs a source" in text
    shown = terminal(poetry(), 80)
    assert "maligan        3 failed (seeds 0, 1, 2): RuntimeError" in shown
    assert "1 diverged (seed 2): reward is nan at adversarial step 412" in shown


def test_a_task_whose_cells_all_failed_still_has_its_table():
    rows = [failure("mle", 0, "failed", "out of memory")]
    assert "1 failed (seed 0): out of memory" in render(rows)
    assert "out of memory" in terminal(rows, 80)


def test_missing_values_are_never_zero_and_have_a_reason():
    rows = [
        row(seed=0, value=NAN, status="missing", reason="no exact likelihood", n=0, signature="bleu|v:1"),
        row(seed=1),
    ]
    alone = render(rows[:1])
    assert "| mle | - (1) | 1 |" in alone
    assert "- (1) no exact likelihood" in alone
    assert "| mle | .500 (1) | 2 |" in render(rows)
    assert "- (1) no exact likelihood (seed 0)" in render(rows)
    assert "-: BLEU-2 of mle: no exact likelihood (seed 0)" in terminal(rows, 100)


def test_no_rows_give_no_tables(tmp_path):
    paths = write_tables([], tmp_path, HEADING)
    assert "no results yet" in paths.leaderboard_md.read_text()
    assert read_results(paths.results) == []
    assert terminal([], 80) == ""


def test_at_80_columns_the_primary_metric_stands_and_what_is_left_out_is_named():
    rows = []
    for each in poetry():
        rows.append(each)
        if each.metric == "bleu-3":
            rows += [each.model_copy(update={"metric": f"bleu-{n}", "signature": f"bleu|n:{n}|T:1"}) for n in (4, 5)]
    text = terminal(rows, 80)
    head = next(line for line in text.split("\n") if line.startswith(" method"))
    assert "BLEU-2" in head
    assert "Self-BLEU-2" in head
    assert "NLL-test" in head
    assert "train s" in head
    left_out = next(line for line in text.split("\n") if "more in leaderboard.md" in line)
    for n in (3, 4, 5):
        assert (f" BLEU-{n} " in head) != (f"BLEU-{n}" in left_out)


def test_pre_training_stands_below_its_method():
    lines = terminal(poetry(), 100).split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith(" seqgan"))
    assert "1 diverged" in lines[at + 1] or "pre-trained" in lines[at + 1]
    assert any(line.startswith("   pre-trained  .472 ±.025") for line in lines[at : at + 3])
    assert "| seqgan, after pre-training | .472 ±.025 |" in render(poetry())
