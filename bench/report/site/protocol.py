"""The page of protocols: each number in words, the data, the machines, and the command that makes each row again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import metrics
from bench.config import Grid
from bench.report import wording
from bench.report.layout import REFERENCE_ROWS, Column, Table
from bench.report.site.board import row_id
from bench.report.site.commands import command
from bench.report.site.facts import Facts
from metrics.base import MetricError
from metrics.explain import about, in_words


@dataclass(frozen=True)
class Measure:
    """Metrics of which the same is true, and the ways in which they were measured: signature, where, in words."""

    names: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    signatures: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Way:
    """A row's command, or that of the rows which come together; `cells` counts their seeds."""

    ids: tuple[str, ...]
    label: str
    command: str
    cells: int


def measures(tables: Iterable[Table]) -> list[Measure]:
    """Every metric of the tables, those alike together, each signature once with the tasks that have it."""
    places: dict[Column, list[str]] = {}
    for table in tables:
        for column in table.columns:
            where = ", ".join(word for word in (table.task, table.decoding) if word)
            known = places.setdefault(_bare(column), [])
            known += [where] * (where not in known)
    families: dict[tuple[tuple[str, str], ...], list[Column]] = {}
    for column in places:
        families.setdefault(_facts(column), []).append(column)
    return [
        Measure(
            tuple(dict.fromkeys(wording.display_name(column.metric) for column in columns)),
            facts,
            tuple((column.signature, "; ".join(places[column]), _words(column.signature)) for column in columns),
        )
        for facts, columns in families.items()
    ]


def _bare(column: Column) -> Column:
    """Without what another table may say otherwise of the same measurement."""
    return Column(column.metric, column.signature, column.metric, column.higher_is_better, primary=False)


def _facts(column: Column) -> tuple[tuple[str, str], ...]:
    try:
        metric = metrics.metric(column.metric)
    except (MetricError, KeyError, ImportError):
        return (("measures", f"{column.metric}: a metric of its own, which this installation doesn't know"),)
    return _pairs(about(metric, column.higher_is_better))


def _words(signature: str) -> tuple[tuple[str, str], ...]:
    return _pairs(in_words(signature)) if signature else ()


def _pairs(lines: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """`measures: ...` as a name and what is said of it."""
    return tuple((name, text) for name, _, text in (line.partition(": ") for line in lines))


def ways(cells: Sequence[Facts], grid: Grid | None, out: str) -> list[tuple[str, list[Way]]]:
    """By task the command of each row: a method with one configuration on one data set, all its seeds."""
    rows: dict[tuple[str, int, str, str, str], list[Facts]] = {}
    for cell in cells:
        rows.setdefault(cell.name[:5], []).append(cell)
    several = _several(rows)
    found: dict[str, list[Way]] = {}
    for name in sorted(rows, key=lambda name: (name[0], name[2], name[3] not in REFERENCE_ROWS, name[3], name[4])):
        task, _, data, baseline, config_hash = name
        label = f"{baseline} #{config_hash}" if (task, data, baseline) in several else baseline
        way = Way((row_id(*name),), label, command(rows[name], grid, out), len(rows[name]))
        ways_of_task = found.setdefault(f"{task}: {data}", [])
        if ways_of_task and ways_of_task[-1].command == way.command:  # the references
            last = ways_of_task.pop()
            way = Way(last.ids + way.ids, f"{last.label}, {label}", way.command, last.cells + way.cells)
        ways_of_task.append(way)
    return list(found.items())


def _several(rows: Iterable[tuple[str, int, str, str, str]]) -> set[tuple[str, str, str]]:
    """Methods that stand in one table with more than one configuration."""
    names = [(task, data, baseline) for task, _, data, baseline, _ in rows]
    return {name for name in names if names.count(name) > 1}


def environments(cells: Sequence[Facts]) -> tuple[list[str], list[tuple[str, list[tuple[int, str]]]]]:
    """What each package and setting was: by name, every value with how many cells had it. First: which are equal."""
    found: dict[str, dict[str, int]] = {}
    for cell in cells:
        around: Mapping[str, str] = cell.model.get("environment", {})
        for name, value in {**around, "device": cell.model.get("device", "")}.items():
            counts = found.setdefault(name, {})
            counts[str(value) or "-"] = counts.get(str(value) or "-", 0) + 1
    table = [(name, [(count, value) for value, count in counts.items()]) for name, counts in found.items()]
    return [name for name, counts in found.items() if len(counts) > 1], table


def data_sets(cells: Sequence[Facts]) -> list[dict[str, Any]]:
    """Each data set once: where it came from, its fingerprint, splits, vocabulary and warnings."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for cell in cells:
        about, spec = cell.about, cell.spec
        key = (spec.task, about["data"])
        if key in found:
            continue
        vocabulary = about.get("vocabulary") or {}
        found[key] = {
            "task": spec.task,
            "label": about["data"],
            "origin": about["origin"],
            "fingerprint": spec.fingerprint,
            "vocabulary": vocabulary if "size" in vocabulary else {},
            "counts": list(about.get("counts", {}).items()),
            "warnings": list(about.get("warnings", ())),
        }
    return list(found.values())
