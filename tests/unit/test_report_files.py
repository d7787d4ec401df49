"""Files of a run: `results.csv` and `leaderboard.csv` hold everything, exactly, whole or not at all."""

from __future__ import annotations

import csv
import math
import os
import random
import re
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference_stats

from bench.errors import UserError
from bench.report import read_results, write_tables
from bench.report.longfile import write_results
from bench.report.widefile import FIXED_COLUMNS, METRIC_COLUMNS
from bench.schema import COLUMNS
from tests.score_rows import poetry, row, translation
from tests.tables import HEADING, ROOT, hostile, same


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=15, deadline=None)
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
