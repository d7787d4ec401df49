"""What a chart is, and which of a task's rows may stand in one picture together."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.report import layout
from bench.report.layout import FINAL, Column, Line, Table
from bench.report.wording import clean, display_name
from bench.schema import ScoreRow
from metrics.signature import differences

Record = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """One picture, with the data it is drawn from.

    Attributes:
        name: safe in a file's name; unique in its task.
        group: charts of one group answer one question and share a place on the page.
        choices: what tells it from the others of its group, as {"n-gram order": "2"}.
        title: a line.
        caption: how to read it, and what was left out, in words.
        spec: Vega-Lite as a dictionary, with the data; it names no address.
        records: the data, a flat mapping a mark.
        still: written as a picture file by the verb `report`; the others can be saved from the page.
    """

    name: str
    group: str
    choices: Mapping[str, str]
    title: str
    caption: str
    spec: dict[str, Any]
    records: Sequence[Record]
    still: bool = False


@dataclass(frozen=True)
class Gap:
    """A chart that could not be drawn, and why."""

    group: str
    title: str
    reason: str


@dataclass(frozen=True)
class Section:
    """What may be compared in one task: one version, one data set, one track.

    Attributes:
        label: tells it from the task's other sections; empty where there is one.
        suffix: the same for a chart's name.
        main: the table that people read first: samples at T = 1, or the first decoding.
        tables: all of its tables on the test split.
        rows: what they were made of.
    """

    task: str
    label: str
    suffix: str
    main: Table
    tables: tuple[Table, ...]
    rows: tuple[ScoreRow, ...]

    @property
    def decodings(self) -> list[Table]:
        """The tables that people read, one a decoding."""
        return layout.shown(self.tables)

    def title(self, text: str) -> str:
        return f"{clean(self.task)}: {text}" + (f" ({self.label})" if self.label else "")

    def name(self, text: str) -> str:
        return safe(text) + self.suffix


@dataclass(frozen=True)
class Measured:
    """One metric measured in one way.

    Attributes:
        left_out: sentences about methods that measured it in another way.
    """

    column: Column
    left_out: tuple[str, ...] = field(default=())


def sections(rows: Sequence[ScoreRow], task: str) -> list[Section]:
    """The task's sections, the one with most methods first."""
    own = [plain(row) for row in rows if row.task == task]
    groups: dict[Any, list[Table]] = {}
    for table in layout.build(own):
        groups.setdefault(table.section, []).append(table)
    ordered = sorted(groups.values(), key=lambda group: -max(len(methods(table)) for table in group))
    made = []
    for number, group in enumerate(ordered):
        tables = tuple(table for table in group if table.split == group[0].split)
        first = tables[0]
        here = tuple(row for row in own if (row.task_version, row.data) == (first.task_version, first.data))
        label = clean(f"{first.data}, {first.provenance}") if len(ordered) > 1 else ""
        made.append(Section(task, label, f"-{number + 1}" if number else "", layout.shown(tables)[0], tables, here))
    return made


def plain(row: ScoreRow) -> ScoreRow:
    """Names on one line without control characters: Vega reads them as parts of expressions, which such would end."""
    names = {name: clean(getattr(row, name)) for name in ("baseline", "stage", "decoding", "metric")}
    changed = {name: text for name, text in names.items() if text != getattr(row, name)}
    return row.model_copy(update=changed) if changed else row


def methods(table: Table) -> list[Line]:
    return [line for line in table.lines if not line.is_reference]


def references(table: Table, column: Column) -> list[Record]:
    """What real text, and the floors, have on a column; those with one value share a mark."""
    made: dict[float, Record] = {}
    for line in table.lines:
        if line.is_reference and has(line, column):
            value = line.values[column]
            known = made.get(value.mean)
            label = f"{known['method']}, {line.label}" if known else line.label
            made[value.mean] = {
                "kind": "reference", "method": label, "value": value.mean, "signature": value.signature,
            }  # fmt: skip
    return list(made.values())


def stages_of(line: Line) -> list[Line]:
    """A method's stages, the first first."""
    return [*reversed(line.earlier), line]


def measured(table: Table, metric: str) -> Measured | None:
    """The way in which most methods have this metric; None where no method has it at all."""

    def names(column: Column) -> list[str]:
        return [line.label for line in methods(table) if any(has(each, column) for each in stages_of(line))]

    columns = [column for column in table.columns if column.metric == metric and names(column)]
    if not columns:
        return None
    chosen = max(columns, key=lambda column: len(names(column)))
    others = [column for column in columns if column is not chosen]
    return Measured(chosen, tuple(otherwise(names(each), chosen.signature, each.signature) for each in others))


def otherwise(names: Sequence[str], signature: str, other: str) -> str:
    """A sentence about methods whose numbers are another measurement."""
    fields = ", ".join(f"{key} {one} / {two}" for key, (one, two) in differences(signature, other).items())
    return f"Left out, as not the same measurement ({clean(fields)}): {', '.join(map(clean, names))}."


def has(line: Line, column: Column) -> bool:
    return math.isfinite(line.mean(column))


def metrics_of(table: Table) -> list[str]:
    """Metrics by name, the primary first, then its Self-BLEU, then likelihoods; the others as the table has them."""
    names = list(dict.fromkeys(column.metric for column in table.columns))
    primary = {column.metric for column in table.primary}

    def rank(name: str) -> int:
        if name in primary:
            return 0
        if name.removeprefix("self-") in primary:
            return 1
        return 2 if name.startswith("nll") else 3

    return sorted(names, key=rank)


def mean_record(line: Line, column: Column) -> Record:
    """A method's mean on a column: value, interval over seeds, seeds, signature."""
    value = line.values[column]
    return {
        "method": line.label,
        "value": value.mean,
        "low": finite(value.mean - value.half),
        "high": finite(value.mean + value.half),
        "seeds": len(value.by_seed),
        "signature": value.signature,
    }


def seed_records(line: Line, column: Column) -> list[Record]:
    value = line.values[column]
    return [
        {"method": line.label, "seed": seed, "value": each, "signature": value.signature}
        for seed, each in value.by_seed.items()
    ]


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def axis_title(column: Column) -> str:
    """The metric's name with the direction in which it is good."""
    name = clean(display_name(column.metric))
    if column.higher_is_better is None:
        return name
    return f"{name} ({'higher' if column.higher_is_better else 'lower'} is better)"


def failure_words(table: Table) -> str:
    """The methods that have no value at all, so that nobody misses them unawares."""
    gone = [line for line in methods(table) if line.failures and not line.values]
    some = [line for line in methods(table) if line.failures and line.values]
    pairs = (("No result", gone), ("Runs without a result", some))
    said = [(head, [f"{clean(line.label)} ({_statuses(line)})" for line in lines]) for head, lines in pairs]
    return " ".join(f"{head}: {', '.join(words)}." for head, words in said if words)


def _statuses(line: Line) -> str:
    return ", ".join(f"{len(failure.seeds)} {failure.status}" for failure in line.failures)


def missing_words(table: Table, column: Column) -> str:
    """The methods with results but none on this column, with the reason that their rows give."""
    lacking = [line for line in methods(table) if line.values and not has(line, column)]
    if not lacking:
        return ""
    known: dict[str, list[str]] = {}
    for line in lacking:
        value = line.values.get(column)
        reasons = sorted({clean(reason) for reason in value.reasons.values()}) if value else []
        known.setdefault("; ".join(reasons) or "not measured", []).append(clean(line.label))
    return " ".join(f"No {display_name(column.metric)}: {', '.join(names)} ({why})." for why, names in known.items())


def is_final(row: ScoreRow) -> bool:
    return row.stage == FINAL and not layout.is_failure(row) and math.isfinite(row.value)


def safe(text: str) -> str:
    """Lower-case letters, digits, dots and dashes; never empty."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "chart"


def sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)
