"""A run's report as a static site: pages that open from disk and ask for no network.

`write_site` is the door; charts and samples have rooms of their own (`bench.report.charts`, `bench.report.browser`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.registry import know_metrics_of
from bench.report import latex, layout, markdown
from bench.report.layout import Table
from bench.report.longfile import write_results
from bench.report.site import board, cells, facts, protocol
from bench.report.site.facts import Facts
from bench.report.site.render import address, file_name, write_assets, write_page
from bench.report.widefile import write_wide
from bench.schema import ScoreRow
from bench.store import RunStore, write_text

__all__ = ["write_site"]

Nav = list[tuple[str, str]]


def write_site(store: RunStore, rows: Sequence[ScoreRow], out: Path) -> Path:
    """Writes the whole site below `out` and gives its first page, which is written last.

    Raises:
        UserError: `out` is the run directory, whose own folders it would mix with; or as `write_tables`.
    """
    from bench.report.browser import write_sample_pages  # both build on this package's templates
    from bench.report.charts import write_task_pages

    if out.resolve() == store.path.resolve():
        raise UserError(f"--out {out} is the run directory itself; give another, as {out / 'report'}.")
    tables, known, grid = layout.build(rows), facts.facts_of(store), facts.grid_of_run(store)
    know_metrics_of(cell.spec.plugins for cell in known)
    run = store.path.resolve().name
    nav = navigation(rows, known)
    shared: dict[str, Any] = {"run": run, "nav": nav, "root": ""}
    write_assets(out)
    write_results(rows, out / "results.csv")
    write_wide(tables, out / "leaderboard.csv")
    write_text(out / "leaderboard.md", markdown.render(tables, run))
    write_text(out / "leaderboard.tex", latex.render(tables, run))
    write_task_pages(store, rows, out, nav)
    write_sample_pages(store, rows, out, nav)
    cells.write_cells(known, rows, grid, out, shared)
    _protocol(known, grid, tables, out, shared)
    return _index(known, tables, out, shared)


def navigation(rows: Sequence[ScoreRow], known: Sequence[Facts]) -> Nav:
    """The site's pages: charts of every task with values, samples of every task with some."""
    valued = {row.task for row in rows if row.metric and row.status == "done"}
    sampled = {cell.spec.task for cell in known if _size(cell, "samples.json") and _size(cell, "samples.jsonl")}
    nav = [("index.html", "Leaderboard")]
    nav += [(f"tasks/{address(file_name(task))}.html", task) for task in sorted(valued)]
    nav += [(f"samples/{address(file_name(task))}.html", task) for task in sorted(sampled)]
    return [*nav, ("protocol.html", "Protocol")]


def _size(cell: Facts, name: str) -> int:
    path = cell.store.file(name)
    return path.stat().st_size if path.is_file() else 0


def _index(known: Sequence[Facts], tables: Sequence[Table], out: Path, shared: dict[str, Any]) -> Path:
    found = board.sections(tables, cells.pages(known))
    boards = [each for section in found for each in section.boards]
    links = dict(shared["nav"])
    return write_page(
        out / "index.html",
        "index.html.j2",
        **shared,
        here="index.html",
        description=f"Leaderboard of {shared['run']}: {', '.join(dict.fromkeys(each.task for each in found))}",
        sections=found,
        decodings=list(dict.fromkeys(each.decoding for each in boards if each.decoding)),
        splits=list(dict.fromkeys(each.split for each in boards)),
        families=list(dict.fromkeys(family for each in boards for family in each.families)),
        staged=any(row.kind == "before" for each in boards for _, rows in each.groups for row in rows),
        statuses=sorted(Counter(cell.status for cell in known).items(), key=lambda pair: pair[0] != "done"),
        unfinished=[(cell.spec.slug, cells.pages([cell])[cell.name]) for cell in known if cell.status == "unfinished"],
        pages={
            section.task: [
                (href, label)
                for folder, label in (("tasks", "charts"), ("samples", "samples"))
                if (href := f"{folder}/{address(file_name(section.task))}.html") in links
            ]
            for section in found
        },
    )


def _protocol(known: Sequence[Facts], grid: Any, tables: Sequence[Table], out: Path, shared: dict[str, Any]) -> None:
    differing, environment = protocol.environments([cell for cell in known if cell.model])
    write_page(
        out / "protocol.html",
        "protocol.html.j2",
        **shared,
        here="protocol.html",
        measures=protocol.measures(layout.shown(tables)),
        ways=protocol.ways(known, grid, f"results/runs/{shared['run']}-again"),
        differing=differing,
        environment=environment,
        data_sets=protocol.data_sets(known),
    )
