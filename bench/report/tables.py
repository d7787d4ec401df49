"""The tables of a run, written and read: the door to this room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.report import layout, markdown
from bench.report import terminal as screen
from bench.report.layout import REFERENCE_ROWS
from bench.report.longfile import read_results, write_results
from bench.report.widefile import write_wide
from bench.schema import ScoreRow
from bench.store import write_text

__all__ = ["REFERENCE_ROWS", "Paths", "read_results", "terminal", "write_tables"]


@dataclass(frozen=True)
class Paths:
    """Where the tables of a run were written."""

    results: Path
    leaderboard_csv: Path
    leaderboard_md: Path


def write_tables(rows: Sequence[ScoreRow], directory: Path, heading: str) -> Paths:
    """Writes the three files; each appears whole or not at all. The long one comes first and holds everything.

    Args:
        rows: all values, and a row with status `failed`, `diverged`, `unsupported` or `missing` for each cell without.
        heading: title of `leaderboard.md`; lines after the first are markdown below it.

    Raises:
        UserError: two cells give different values for the same method, configuration and seed.
    """
    paths = Paths(directory / "results.csv", directory / "leaderboard.csv", directory / "leaderboard.md")
    write_results(rows, paths.results)
    tables = layout.build(rows)
    write_wide(tables, paths.leaderboard_csv)
    write_text(paths.leaderboard_md, markdown.render(tables, heading))
    return paths


def terminal(rows: Iterable[ScoreRow], width: int) -> str:
    """The tables for a terminal of `width` columns, one a task and data set; plain text.

    Raises:
        UserError: as `write_tables`.
    """
    return screen.render(layout.build(rows), width)
