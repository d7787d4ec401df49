"""Rows that we did not train, in tables: beside the others, marked, never best, tested against nothing."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from bench.report.layout import build
from bench.report.ranking import judge, verdicts
from bench.report.tables import terminal, write_tables
from tests import score_rows
from tests.score_rows import row


def theirs(**fields: object) -> list:
    """Samples of `mle`, as it were, from elsewhere."""
    found = [each for each in score_rows.translation() if each.baseline == "beamer"]
    return [each.model_copy(update={"baseline": "theirs", "track": "external", **fields}) for each in found]


def test_it_stands_among_the_methods_and_is_never_best() -> None:
    rows = [each for each in score_rows.translation() if each.baseline == "mle"]
    higher = [each.model_copy(update={"value": each.value + 5}) for each in theirs()]
    tables = build([*rows, *higher])
    assert {table.track for table in tables} == {"scratch"}
    for table in tables:
        judged = judge(table)
        assert [line.label for line in judged.lines] == ["theirs (external)", "mle"]
        assert judged.best == {}
        assert verdicts(table) == [], "one method is left, and nothing to test it against"


def test_another_method_is_best_all_the_same() -> None:
    rows = [each for each in score_rows.translation() if each.baseline != "odd"]
    alone, beside = build(rows), build([*rows, *theirs()])
    for table, wider in zip(alone, beside, strict=True):
        assert table.columns == wider.columns, "equal signatures share a column"
        names = {column: judge(table).lines[place].label for column, place in judge(table).best.items()}
        assert {column: judge(wider).lines[place].label for column, place in judge(wider).best.items()} == names
        assert verdicts(table) == verdicts(wider)


def test_another_measurement_has_a_column_of_its_own() -> None:
    """The run's own comes first, whatever the names."""
    rows = [each for each in score_rows.translation() if each.baseline == "mle"]
    fewer = [each.model_copy(update={"baseline": "aaa", "signature": f"{each.signature}|hyps:3"}) for each in theirs()]
    for table in build([*rows, *fewer]):
        for metric in ("sacrebleu", "chrf"):
            first, second = (column for column in table.columns if column.metric == metric)
            by_name = {line.baseline: line for line in table.lines}
            assert first in by_name["mle"].values
            assert second in by_name["aaa"].values
            assert math.isnan(by_name["aaa"].mean(first))


def test_it_is_in_the_tables_of_every_track(tmp_path: Path) -> None:
    pretrained = score_rows.cell("gpt", 0, 0.5, 0.5, 3.0, track="pretrained")
    external = [row(baseline="theirs", track="external", config_hash="e")]
    rows = [*score_rows.poetry(), *pretrained, *external]
    tables = build(rows)
    assert [table.track for table in tables] == ["scratch", "pretrained"]
    assert all("theirs (external)" in {line.label for line in table.lines} for table in tables)
    assert "theirs (external)" in terminal(rows, 120)
    paths = write_tables(rows, tmp_path, "t")
    wide = list(csv.DictReader(paths.leaderboard_csv.open()))
    assert {each["track"] for each in wide if each["method"] == "theirs"} == {"external"}
    (alone,) = build([*score_rows.reference("real", 0.5, 0.5), *external])
    assert {line.label for line in alone.lines} == {"real", "theirs (external)"}
