"""The verb report: each run's tables anew and its site, or with --reported the papers' numbers beside its own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UserError
from bench.store import RunStore

if TYPE_CHECKING:
    from bench.schema import ScoreRow


def report_verb(asked: argparse.Namespace) -> int:
    """Each run has its own tables and its own site: RUN/report, or below --out."""
    places = _places([Path(run) for run in asked.runs], Path(asked.out) if asked.out else None)
    if asked.tables and (asked.reported or asked.out):
        raise UserError("--tables makes the run's tables and no site; leave out --reported and --out.")
    if asked.reported:
        if asked.out:
            raise UserError("--reported writes beside the run's tables and makes no site; leave out --out.")
        for run in asked.runs:
            print_reported(Path(run))
        return 0
    for run in asked.runs:
        if not RunStore(Path(run)).cells_path.is_dir():
            raise UserError(f"{run} is not a run directory (it has no cells/).")
    for run, out in zip(asked.runs, places, strict=True):
        report(RunStore(Path(run)), None if asked.tables else out)
    return 0


def _places(runs: list[Path], out: Path | None) -> list[Path]:
    """Where each run's site goes: of several with one --out, below it by the run's name."""
    if out is None:
        return [run / "report" for run in runs]
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; name a folder.")
    if len(runs) == 1:
        return [out]
    names = [run.resolve().name for run in runs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f'two runs are called "{twice}": report them one by one, each with an --out of its own.')
    return [out / name for name in names]


def report(store: RunStore, out: Path | None) -> None:
    """The tables, printed and written as after a run, and the site below `out`, if one is wanted."""
    from bench.report.collect import collect
    from bench.report.site import write_site
    from bench.verbs.run import print_tables

    print_tables(store)
    rows = [] if out is None else collect(store)
    if rows and out is not None:
        print(f"page     {write_site(store, rows, out)}")


def print_reported(run: Path) -> None:
    """Writes `reported.md` and `reported.csv` beside the leaderboard, and prints the same.

    Raises:
        UserError: no run directory, and none with a results.csv.
    """
    from bench.report import reported, reportedpage

    if not run.is_dir() or not ((run / "cells").is_dir() or (run / "results.csv").is_file()):
        raise UserError(f"{run} is not a run directory (it has neither cells/ nor results.csv).")
    rows, numbers = _rows(run), reported.read_reported()
    found = reported.pairs(rows, numbers)
    if not found:
        print(f"{run}: {reported.nothing(rows, numbers)}")
        return
    page, table = reportedpage.write_reported(found, numbers, run)
    print(reportedpage.text(found, numbers))
    print(f"\nreported {page}  {table}")


def _rows(run: Path) -> list[ScoreRow]:
    from bench.report.collect import collect
    from bench.report.longfile import read_results

    rows = collect(RunStore(run)) if (run / "cells").is_dir() else read_results(run / "results.csv")
    if not rows:
        raise UserError(f"{run} has no values yet.")
    return rows
