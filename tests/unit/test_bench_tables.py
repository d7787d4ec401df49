"""Tables: what may share a column, what may be called best, and that no text can break them."""

from __future__ import annotations

import csv
import math
import os
import random
import re
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from scipy import stats as reference_stats

from bench.errors import UserError
from bench.report import layout, markdown, read_results, terminal, write_tables
from bench.report.longfile import write_results
from bench.report.ranking import judge, verdicts
from bench.report.terminal import display_width
from bench.report.widefile import FIXED_COLUMNS, METRIC_COLUMNS
from bench.report.wording import decimals, number
from bench.schema import COLUMNS, ScoreRow
from tests.score_rows import NAN, cell, failure, poetry, reference, row, translation

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "leaderboard.md"
HEADING = "made-up\nFor the tests; `python run_bench.py run`."

hostile = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    [
        "a|b",
        "**x**",
        "_x_",
        "<script>",
        "[a](b)",
        "`code",
        "```\n# x",
        "line\r\nline",
        "\x1b[31mred",
        "~~x~~",
        "||",
        "\\|",
        "&amp;",
        "$x$",
        "中文" * 30,
    ]
)


def same(left: list[ScoreRow], right: list[ScoreRow]) -> bool:
    def plain(each: ScoreRow) -> list[object]:
        return [
            "nan" if isinstance(value, float) and math.isnan(value) else value for value in each.model_dump().values()
        ]

    return list(map(plain, left)) == list(map(plain, right))


def oracle(values: dict[str, tuple[float, ...]]) -> list[ScoreRow]:
    about = {"task": "oracle", "data": "oracle.v1/20#0a", "origin": "synthetic", "metric": "nll-oracle"}
    signature = "nll-oracle|unit:nats/token|items:500|oracle:00ff|v:1"
    return [
        row(**about, baseline=name, seed=seed, value=value, higher_is_better=False, signature=signature)
        for name, by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]


def the_table(rows: list[ScoreRow]) -> layout.Table:
    (table,) = layout.build(rows)
    return table


def by_label(table: layout.Table) -> dict[str, layout.Line]:
    return {line.label: line for line in table.lines}


def render(rows: list[ScoreRow]) -> str:
    return markdown.render(layout.build(rows), HEADING)


# --- results.csv ---------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.data())
def test_results_file_is_read_back_exactly(tmp_path_factory, data):
    numbers = st.floats(allow_nan=True, allow_infinity=True)
    rows = [
        row(
            **{name: data.draw(hostile) for name in ("metric", "signature", "reason", "device", "split", "decoding")},
            **{name: data.draw(numbers) for name in ("value", "ci_low", "ci_high", "train_seconds", "peak_memory_mb")},
            seed=data.draw(st.none() | st.integers(0, 2**63)),
            higher_is_better=data.draw(st.sampled_from([None, True, False])),
            status=data.draw(st.sampled_from(["done", "failed", "missing"])),
            primary=data.draw(st.booleans()),
            cell="c",
        )
        for _ in range(data.draw(st.integers(0, 4)))
    ]
    path = tmp_path_factory.mktemp("rows") / "results.csv"
    layout_order = sorted(rows, key=lambda each: -1 if each.seed is None else each.seed)
    write_results(rows, path)
    assert same(read_results(path), layout_order)


def test_results_file_has_the_columns_of_the_schema_and_one_record_a_row(tmp_path):
    paths = write_tables(poetry(), tmp_path, HEADING)
    with paths.results.open(newline="") as file:
        records = list(csv.reader(file))
    assert tuple(records[0]) == COLUMNS
    assert len(records) == 1 + len(poetry())
    assert same(sorted(read_results(paths.results), key=str), sorted(poetry(), key=str))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("baseline", "method", 1), "lacking baseline; unknown method"),
        (lambda text: text.replace(",0.5,", ",half,", 1), 'record 1, column value: "half" is no number'),
        (lambda text: text.replace(",done,", ",nearly,", 1), "record 1, column status"),
        (lambda text: text + "a,b\n", "record 2 has 2 fields"),
        (lambda text: text + '"open', "can't be read"),
    ],
)
def test_a_spoilt_results_file_is_a_users_error_that_says_where(tmp_path, change, message):
    path = write_tables([row()], tmp_path, HEADING).results
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=re.escape(message)):
        read_results(path)


def test_a_missing_results_file_is_a_users_error(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_results(tmp_path / "results.csv")


def test_files_appear_whole_or_not_at_all(tmp_path, monkeypatch):
    paths = write_tables([row(value=0.25)], tmp_path, HEADING)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_tables([row(value=0.75)], tmp_path, HEADING)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert sorted(before) == sorted(path.name for path in (paths.results, paths.leaderboard_csv, paths.leaderboard_md))


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_bytes_do_not_depend_on_which_cell_ended_first(tmp_path_factory, seed):
    rows = poetry() + translation()
    cells = [list(group) for _, group in groupby(rows, key=lambda each: each.cell)]
    random.Random(seed).shuffle(cells)
    mixed = [each for part in cells for each in part]
    first, second = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    write_tables(rows, first, HEADING)
    write_tables(mixed, second, HEADING)
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


# --- what stands together ------------------------------------------------------------------------------------------


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


def test_other_temperatures_are_for_curves_and_have_no_table():
    rows = [row(decoding=f"sample@{t}", signature=f"bleu|T:{t}|v:1") for t in ("0.7", "1", "1.3")]
    tables = layout.build(rows)
    assert len(tables) == 3
    assert [table.decoding for table in layout.shown(tables)] == ["sample@1"]
    assert "(sample@0.7, sample@1.3) are in leaderboard.csv" in render(rows)


def test_extra_test_sets_have_tables_of_their_own_after_the_test_split():
    rows = [row(split="test_ntrex", signature="b"), row()]
    assert [table.split for table in layout.build(rows)] == ["test", "test_ntrex"]


# --- what is missing -----------------------------------------------------------------------------------------------


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


# --- what is best --------------------------------------------------------------------------------------------------


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
    better = poetry() + [row(baseline="ngram", seed=seed, value=0.5, config_hash="n") for seed in range(3)]
    assert "ngram" not in [label for verdict in verdicts(the_table(better)) for label, *_ in verdict.others]


def test_the_line_on_what_can_not_be_told_is_true():
    a, b = (0.471, 0.480, 0.466), (0.474, 0.476, 0.473)
    rows = [
        row(baseline=name, seed=i, value=v) for name, values in (("mle", a), ("gan", b)) for i, v in enumerate(values)
    ]
    (verdict,) = verdicts(the_table(rows))
    difference = verdict.smallest_difference
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


# --- text that nothing can break -----------------------------------------------------------------------------------


PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def parsed(text: str) -> list:
    return PARSER.parse(text)


@settings(max_examples=50, deadline=None)
@given(hostile, hostile, hostile)
def test_hostile_text_is_only_text_in_markdown(reason, name, device):
    """Read by a markdown parser, the notes cell is the reason itself, and nothing else came of it."""
    rows = [failure("x" + name, 0, "failed", reason), row(device=device)]
    tokens = parsed(render(rows))
    cells = [tokens[i + 1] for i, token in enumerate(tokens) if token.type == "td_open"]
    widths = {len(layout_row) for layout_row in _rows_of(tokens)}
    assert len(widths) == 1
    kinds = {child.type for each in cells for child in each.children or []}
    assert kinds <= {"text", "text_special", "entity"}
    failed = next(line for line in _rows_of(tokens)[1:] if _plain(line[0]).startswith("x"))
    cleaned = markdown.wording.clean(reason)
    assert _plain(failed[-1]) == ("1 failed (seed 0)" + (f": {cleaned}" if cleaned else "")).strip()
    assert sum(token.type == "heading_open" for token in tokens) == 2


def _rows_of(tokens: list) -> list[list]:
    rows: list[list] = []
    for i, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        if token.type in ("td_open", "th_open"):
            rows[-1].append(tokens[i + 1])
    return rows


def _plain(inline) -> str:
    return "".join(child.content for child in inline.children)


@settings(max_examples=50, deadline=None)
@given(hostile)
def test_no_signature_closes_its_code_block(text):
    tokens = parsed(render([row(signature="bleu|x:" + text)]))
    fences = [token for token in tokens if token.type == "fence"]
    assert [fence.content for fence in fences] == [markdown.wording.clean("bleu|x:" + text) + "\n"]


@settings(max_examples=50, deadline=None)
@given(st.integers(20, 160), hostile, hostile)
def test_no_terminal_line_is_too_wide_or_moves_the_cursor(width, name, reason):
    rows = poetry() + translation() + [failure(name or "x", 0, "failed", reason), *cell("z" + name, 0, 0.4, 0.4, 3.0)]
    text = terminal(rows, width)
    assert max(display_width(line) for line in text.split("\n")) <= width
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


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


def test_wide_file_has_a_row_for_each_stage_and_means_that_numpy_has(tmp_path):
    paths = write_tables(poetry(), tmp_path, HEADING)
    with paths.leaderboard_csv.open(newline="") as file:
        records = list(csv.DictReader(file))
    found = {(each["method"], each["stage"]): each for each in records}
    assert len(found) == len(records) == 7
    values = [each.value for each in poetry() if (each.baseline, each.metric) == ("mle", "bleu-2")]
    mle = found["mle", "final"]
    assert float(mle["bleu-2"]) == pytest.approx(np.mean(values))
    half = reference_stats.t.ppf(0.975, 2) * np.std(values, ddof=1) / math.sqrt(3)
    assert float(mle["bleu-2 half_width"]) == pytest.approx(half)
    assert mle["bleu-2 seeds"] == "3"
    assert "|T:1|" in mle["bleu-2 signature"]
    assert "|T:1|" not in found["real", "final"]["bleu-2 signature"]
    assert found["maligan", "final"]["bleu-2"] == ""
    assert found["seqgan", "final"]["seeds_failed"] == "1"
    assert found["real", "final"]["train_seconds"] == ""


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (0.4821, 3, ".482"),
        (-0.0001, 3, ".000"),
        (-0.5, 2, "-.50"),
        (12.345, 1, "12.3"),
        (1.0, 3, "1.000"),
        (3e9, 2, "3.000e+09"),
        (NAN, 3, "-"),
        (math.inf, 3, "inf"),
        (-math.inf, 3, "-inf"),
    ],
)
def test_numbers(value, places, text):
    assert number(value, places) == text


def test_a_columns_digits_follow_its_largest_value():
    assert [decimals(v) for v in ([0.5, 1.0], [9.9], [0.5, 34.0], [1234.5], [0.004], [0.0], [NAN], [])] == [
        3,
        3,
        2,
        1,
        5,
        3,
        3,
        3,
    ]


# --- the documentation ---------------------------------------------------------------------------------------------


def documented(section: str) -> list[str]:
    """First column of the table below a heading of results/README.md."""
    text = (ROOT / "results" / "README.md").read_text(encoding="utf-8").split(f"## `{section}`")[1].split("\n## ")[0]
    return [
        name
        for line in text.split("\n")
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split("|")[1])
    ]


def test_documented_columns_are_those_of_the_code():
    assert tuple(documented("results.csv")) == COLUMNS
    assert tuple(documented("leaderboard.csv")) == FIXED_COLUMNS + METRIC_COLUMNS
