"""A page for each cell: what it was asked to do, on what, how it ended, and every value with its signature."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config import Grid
from bench.report import wording
from bench.report.layout import FINAL
from bench.report.site import curves
from bench.report.site.commands import command, leaves, literal
from bench.report.site.facts import Facts, Name, stage_name
from bench.report.site.render import address, file_name, write_page
from bench.schema import ScoreRow


@dataclass(frozen=True)
class Value:
    """One value of one cell, as text; the interval is over items."""

    metric: str
    mean: str
    interval: str
    n: int
    signature: str
    reason: str


def pages(cells: Sequence[Facts]) -> dict[Name, str]:
    """Where each cell's page is, from the site's top."""
    return {cell.name: f"cells/{address(file_name(cell.directory))}.html" for cell in cells}


def write_cells(
    cells: Sequence[Facts], rows: Sequence[ScoreRow], grid: Grid | None, out: Path, shared: Mapping[str, Any]
) -> list[Path]:
    """All pages. `shared`: what every page of the site needs."""
    by_cell: dict[str, list[ScoreRow]] = {}
    for row in rows:
        by_cell.setdefault(row.cell, []).append(row)
    again = f"results/runs/{shared['run']}-again"
    return [
        write_page(
            out / "cells" / f"{file_name(cell.directory)}.html",
            "cell.html.j2",
            **{**shared, "root": "../", "here": "cells/"},
            cell=cell,
            title=cell.spec.slug,
            facts=facts(cell),
            command=command([cell], grid, again),
            groups=values(by_cell.get(cell.directory, ())),
            stages=curves.curve(cell.store.file("log.jsonl")),
            tail=curves.tail(cell.store.file("log.jsonl")),
            config=[(key, literal(value)) for key, value in leaves(cell.spec.config)],
            options=[(key, literal(value)) for key, value in leaves(cell.spec.task_options)],
            environment=list(cell.model.get("environment", {}).items()),
            counts=list(cell.about.get("counts", {}).items()),
            warnings=list(cell.about.get("warnings", ())),
        )
        for cell in cells
    ]


def facts(cell: Facts) -> list[tuple[str, str]]:
    """The head of a cell's page; what isn't known is "-"."""
    spec, about, model = cell.spec, cell.about, cell.model
    memory, parameters = model.get("peak_memory_mb"), model.get("parameters")
    return [
        ("task", f"{spec.task}, version {spec.task_version} ({about.get('kind', 'kind unknown')})"),
        ("data", f"{about['data']} ({about['origin']})"),
        ("method", f"{spec.baseline}, version {spec.baseline_version}"),
        ("seed", str(spec.seed)),
        ("budget", spec.budget),
        ("track", about.get("track", "scratch")),
        ("configuration", f"#{spec.config_hash}"),
        ("training time", f"{wording.seconds(model.get('train_seconds', math.nan))} s" if model else "-"),
        ("device", model.get("device") or "-"),
        ("peak memory", f"{memory:,.0f} MB" if memory else "-"),
        ("parameters", f"{parameters:,}" if parameters else "-"),
        ("folder", f"cells/{cell.directory}"),
    ]


def values(rows: Sequence[ScoreRow]) -> list[tuple[str, list[Value]]]:
    """By stage, split and decoding, in the order of the rows."""
    scored = [row for row in rows if row.status in ("done", "missing") and row.metric]
    groups: dict[tuple[str, str, str], list[Value]] = {}
    for row in sorted(scored, key=lambda row: (row.stage != FINAL, row.split != "test")):
        groups.setdefault((row.stage, row.split, row.decoding), []).append(_value(row))
    return [(_title(*place), members) for place, members in groups.items()]


def _title(stage: str, split: str, decoding: str) -> str:
    words = (split, decoding or "what depends on no decoding", stage_name(stage))
    return wording.clean(", ".join(word for word in words if word))


def _value(row: ScoreRow) -> Value:
    low, high = row.ci_low, row.ci_high
    interval = f"{number(low)} to {number(high)}" if math.isfinite(low) and math.isfinite(high) else "-"
    mean = number(row.value)
    return Value(wording.display_name(row.metric), mean, interval, row.n, row.signature, wording.clean(row.reason))


def number(value: float) -> str:
    """Four decimals, so that points stand under each other; four digits of what is too large or small for them."""
    if not math.isfinite(value):
        return wording.number(value, 4)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"
