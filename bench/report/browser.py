"""The sample browser: a page a task with samples of all methods side by side, and what of them was in training text.

The page's data are classic scripts beside it (`samples/<task>/N.js`), one for each decoding or temperature, which the
page loads when it shows them: a page opened from disk may not fetch. They hold the first samples of each set in the
order in which they were drawn, as many of every set as fit the budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.report.excerpts import Drawn, read_cell
from bench.report.layout import FAILURES, FLOOR_ROWS, REFERENCE_ROWS
from bench.report.sampledata import (
    LONGEST,
    SOURCES,
    Column,
    Group,
    Key,
    columns_of,
    files_of,
    fitting,
    group_of,
    sets_of,
    sources_of,
)
from bench.schema import ScoreRow
from bench.store import RunStore, write_text

SHOWN = 50  # samples of a set, at most
BUDGET = 6_000_000  # bytes of a page's data, at most
CHECKED = 4  # methods shown at first
STAGES: Mapping[str, str] = {"final": "final", "pretrain": "after pre-training", "maskmle": "after MaskMLE"}

Nav = Sequence[tuple[str, str]]


def write_sample_pages(
    store: RunStore, rows: Sequence[ScoreRow], out: Path, nav: Nav, *, nearest: bool = True
) -> list[Path]:
    """Writes `samples/<task>.html` and its data for each task of which the run has samples.

    Args:
        rows: the run's values; they tell why a cell has no samples.
        out: the site's top.
        nav: the site's pages, relative to its top.
        nearest: look up each sample's nearest training sentence, which loads the tasks' data.

    Raises:
        UserError: a cell's samples can't be read.
    """
    by_task: dict[str, list[Drawn]] = {}
    for cell in store.cells():
        drawn = read_cell(cell, SHOWN)
        if drawn is not None and drawn.excerpts:
            by_task.setdefault(drawn.spec.task, []).append(drawn)
    shared = {"root": "../", "nav": nav, "run": store.path.resolve().name}
    return [
        _write_page(task, sorted(found, key=lambda one: one.rank), _without(task, rows, found), nearest, out, shared)
        for task, found in by_task.items()
    ]


def _write_page(
    task: str,
    found: Sequence[Drawn],
    without: Sequence[tuple[str, str]],
    nearest: bool,
    out: Path,
    shared: Mapping[str, Any],
) -> Path:
    from bench.report.site.render import file_name, write_page

    name = file_name(task)
    labels = list(dict.fromkeys(one.data for one in found))
    groups = [group_of([one for one in found if one.data == label], nearest) for label in labels]
    columns = columns_of(found, labels)
    sets, sources = sets_of(columns, groups), sources_of(columns)
    shown = fitting(sets, sources, SHOWN, BUDGET)
    files = files_of(columns, sets, sources, shown)
    _write_files(out / "samples" / name, list(files.values()))
    return write_page(
        out / "samples" / f"{name}.html",
        "samples.html.j2",
        **shared,
        here=f"samples/{name}.html",
        task=task,
        groups=groups,
        methods=_methods(columns),
        checked=_checked(columns),
        stages=list(dict.fromkeys((one.stage, STAGES.get(one.stage, one.stage)) for one in columns)),
        seeds=sorted({column.drawn.spec.seed for column in columns if not _is_reference(column)}),
        splits=list(dict.fromkeys(one.split for column in columns for one in column.excerpts)),
        shown=shown,
        totals=sorted({one.total for column in columns for one in column.excerpts}),
        reduced=any(one.total > shown for column in columns for one in column.excerpts) and shown < SHOWN,
        limits={"shown": SHOWN, "megabytes": BUDGET / 1e6, "characters": LONGEST},
        whole=[(f"cells/{one.cell}/samples.jsonl", sum(each.total for each in one.excerpts)) for one in found],
        without=without,
        data=_page_data(name, columns, groups, list(files)),
    )


def _is_reference(column: Column) -> bool:
    return column.drawn.spec.baseline in REFERENCE_ROWS


def _methods(columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Labels, and what a reference row is."""
    return [
        (column.label, REFERENCE_ROWS.get(column.drawn.spec.baseline, ""))
        for column in {column.label: column for column in columns}.values()
    ]


def _checked(columns: Sequence[Column]) -> list[str]:
    """What is shown at first: real text and the plain method, then adversarial ones, then others; no floors."""

    def rank(column: Column) -> tuple[int, bool]:
        return min(column.drawn.rank[0], 2), not column.drawn.adversarial

    able = [column for column in columns if column.drawn.spec.baseline not in FLOOR_ROWS]
    return list(dict.fromkeys(column.label for column in sorted(able or columns, key=rank)))[:CHECKED]


def _without(task: str, rows: Sequence[ScoreRow], found: Sequence[Drawn]) -> list[tuple[str, str]]:
    """Cells that failed before they had samples, and why."""
    there = {one.cell for one in found}
    return [
        (f"{row.baseline}, seed {row.seed}", f"{row.status}: {row.reason}")
        for row in {row.cell: row for row in rows if row.task == task and row.status in FAILURES}.values()
        if row.cell not in there
    ]


def _page_data(folder: str, columns: Sequence[Column], groups: Sequence[Group], files: Sequence[Key]) -> dict[str, Any]:
    """What the page's script knows before it loads a file."""
    from bench.report.site.render import address, file_name

    return {
        "folder": address(folder),
        "groups": [
            {
                "kind": group.kind,
                "lines": len(group.training) if group.training else 0,
                "why": group.why,
                "decodings": _decodings([column for column in columns if column.group == place], group.kind),
            }
            for place, group in enumerate(groups)
        ],
        "columns": [
            {
                "label": column.label,
                "stage": column.stage,
                "said": STAGES.get(column.stage, column.stage),
                "seed": column.drawn.spec.seed,
                "group": column.group,
                "reference": REFERENCE_ROWS.get(column.drawn.spec.baseline, ""),
                "href": f"../cells/{address(file_name(column.drawn.cell))}.html",
                "sets": {f"{one.split}|{one.decoding}": one.total for one in column.excerpts},
                "skipped": {f"{one[1]}|{one[2]}": one[3] for one in column.drawn.skipped if one[0] == column.stage},
            }
            for column in columns
        ],
        "files": {f"{group}|{split}|{decoding}": number for number, (group, split, decoding) in enumerate(files)},
        "sources": SOURCES,
    }


def _decodings(columns: Sequence[Column], kind: str) -> dict[str, list[list[Any]]]:
    """By split, [decoding, temperature]: free tasks by temperature, others as they were drawn, without a temperature.

    Reference rows have no decoding and stand beside all.
    """
    found: dict[str, dict[str, float]] = {}
    for column in columns:
        for one in column.excerpts:
            if one.decoding:
                temperature = _temperature(one.decoding) if kind == "free" else math.nan
                found.setdefault(one.split, {})[one.decoding] = temperature
            else:
                found.setdefault(one.split, {})
    return {
        split: [
            [decoding, value]
            for decoding, value in sorted(each.items(), key=lambda pair: pair[1] if kind == "free" else 0)
        ]
        for split, each in found.items()
    }


def _temperature(decoding: str) -> float:
    from baselines.base import Decoding

    return Decoding.parse(decoding).temperature


def _write_files(folder: Path, contents: Sequence[Mapping[str, Any]]) -> None:
    """The scripts that the page loads; those of an earlier report that had more are taken away."""
    from bench.report.site.render import inline_json

    for number, content in enumerate(contents):
        write_text(folder / f"{number}.js", f"gantletSamples({number},{inline_json(content)});\n")
    for path in folder.glob("*.js"):
        if path.stem.isdecimal() and int(path.stem) >= len(contents):
            path.unlink()
