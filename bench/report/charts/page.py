"""The page of a task: its charts as data for `charts.js`, their captions in words, and links to the stills."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.report.charts import palette
from bench.report.charts.model import Chart, Gap, Record, sections
from bench.report.charts.parts import DATA, PICK, Specs
from bench.report.charts.runtime import write_runtime
from bench.report.charts.stills import still_name, write_stills
from bench.report.charts.tasks import charts_of_sections
from bench.report.site.render import file_name, write_page
from bench.report.stages import Stages, stages_of
from bench.schema import ScoreRow
from bench.store import RunStore

GROUPS = {
    "frontier": "Quality against diversity",
    "decodings": "Quality by decoding",
    "stages": "Before and after the adversarial stage",
    "curves": "Learning curves",
    "cost": "Cost against quality",
    "chances": "Which method is likelier to be better",
    "form": "Lengths, novelty and variety",
    "all": "Charts",
}
WORTH_A_NAME = 60  # characters of JSON from which a part that comes again is written once


def write_task_pages(
    store: RunStore, rows: Sequence[ScoreRow], out: Path, nav: Sequence[tuple[str, str]]
) -> list[Path]:
    """Writes `tasks/<task>.html` for every task with values, their stills into `charts/`, and the runtime.

    Args:
        store: the run's directory.
        rows: all of its rows.
        out: the site's top.
        nav: (address from the top, label) of the site's pages.
    """
    tasks = sorted({row.task for row in rows if row.metric and row.status == "done"})
    if not tasks:
        return []
    written = [write_runtime(out / "assets")]
    specs = Specs(palette.labels_of(rows))
    for task in tasks:
        parts_of_task = sections(rows, task)
        charts, gaps = charts_of_sections(store, parts_of_task, specs)
        prefix = f"{task}."
        written += write_stills(charts, out / "charts", prefix)
        place = f"tasks/{file_name(task)}.html"
        told = [(section.label, stages_of(section.main)) for section in parts_of_task]
        changes = [(label, found) for label, found in told if found is not None]
        values = page_values(charts, gaps, specs.labels, prefix, changes)
        run = store.path.resolve().name
        written.append(
            write_page(out / place, "task.html.j2", root="../", nav=nav, run=run, here=place, task=task, **values)
        )
    return written


def page_values(
    charts: Sequence[Chart],
    gaps: Sequence[Gap],
    labels: Sequence[str],
    prefix: str,
    changes: Sequence[tuple[str, Stages]] = (),
) -> dict[str, Any]:
    """What the template asks for: groups in order, methods with their looks, and all data for the script.

    Args:
        changes: what methods' last stages did, with the section's label.
    """
    numbers: dict[int, int] = {}
    data: list[Any] = []
    told = []
    for chart in charts:
        if id(chart.records) not in numbers:
            numbers[id(chart.records)] = len(data)
            data.append(columns_of(chart.records))
        told.append(_told(chart, numbers[id(chart.records)], prefix))
    named, table = interned([each["spec"] for each in told])
    for each, spec in zip(told, named, strict=True):
        each["spec"] = spec
    owners = {each["data"]: each["files"] for each in reversed(told)}  # the CSV of the first chart with these data
    for each in told:
        each["csv"] = owners[each["data"]]
    present = {record["method"] for chart in charts for record in chart.records if record.get("kind") != "reference"}
    return {
        "groups": _groups(told, gaps),
        "changes": changes,
        "methods": _looks(labels, present),
        "payload": {"charts": told, "data": data, "parts": table, "names": {"data": DATA, "pick": PICK}},
        "colors": {"light": list(palette.LIGHT), "dark": list(palette.DARK)},
    }


def _told(chart: Chart, data: int, prefix: str) -> dict[str, Any]:
    spec = {key: value for key, value in chart.spec.items() if key not in ("config", "title")}
    own = {name: rows for name, rows in spec.pop("datasets").items() if name != DATA}
    return {
        "name": chart.name,
        "group": chart.group,
        "choices": dict(chart.choices),
        "title": chart.title,
        "caption": chart.caption,
        "spec": {**spec, "datasets": own},
        "data": data,
        "files": still_name(chart, prefix),
        "still": chart.still,
    }


def _groups(told: Sequence[dict[str, Any]], gaps: Sequence[Gap]) -> list[dict[str, Any]]:
    """In the order of GROUPS: a heading, its first chart for readers without the script, and what is missing."""
    made = []
    for name, heading in GROUPS.items():
        own = [chart for chart in told if chart["group"] == name]
        missing = [gap for gap in gaps if gap.group == name]
        if own or missing:
            stills = [chart for chart in own if chart["still"]]
            made.append({"name": name, "heading": heading, "charts": own, "stills": stills, "gaps": missing})
    return made


def _looks(labels: Sequence[str], present: set[str]) -> list[dict[str, Any]]:
    shapes, dashes = palette.shape_range(labels), palette.dash_range(labels)
    return [
        {"label": label, "place": place % len(palette.LIGHT), "shape": shapes[place], "dashed": dashes[place] != [1, 0]}
        for place, label in enumerate(labels)
        if label in present
    ]


def columns_of(records: Sequence[Record]) -> dict[str, Any]:
    """Column by column, which is a third of the size; a column of few different values as those and their places."""
    names = list(dict.fromkeys(name for record in records for name in record))
    return {name: _column([record.get(name) for record in records]) for name in names}


def _column(values: list[Any]) -> Any:
    short = [float(f"{value:.8g}") if isinstance(value, float) else value for value in values]
    distinct = list(dict.fromkeys(short))
    if 2 * len(distinct) > len(short):
        return short
    places = {value: place for place, value in enumerate(distinct)}
    return {"of": distinct, "at": [places[value] for value in short]}


def interned(trees: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The trees with each larger part that comes more than once written as {"$": place in the table}."""
    counts: dict[str, int] = {}

    def count(tree: Any) -> None:
        text = json.dumps(tree)
        counts[text] = counts.get(text, 0) + 1
        if counts[text] == 1 and isinstance(tree, dict | list):
            for each in tree.values() if isinstance(tree, dict) else tree:
                count(each)

    table: list[Any] = []
    places: dict[str, int] = {}

    def name(tree: Any) -> Any:
        if not isinstance(tree, dict | list):
            return tree
        text = json.dumps(tree)
        if counts.get(text, 0) < 2 or len(text) < WORTH_A_NAME:
            return named(tree)
        if text not in places:
            table.append(named(tree))
            places[text] = len(table) - 1
        return {"$": places[text]}

    def named(tree: Any) -> Any:
        return {key: name(each) for key, each in tree.items()} if isinstance(tree, dict) else [name(e) for e in tree]

    for tree in trees:
        count(tree)
    return [name(tree) for tree in trees], table
