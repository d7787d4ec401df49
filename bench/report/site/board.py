"""The leaderboard as the page shows it: the same tables, order and marks as `leaderboard.md`, with links to cells."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bench.config import content_hash
from bench.report import wording
from bench.report.layout import FINAL, NO_SEED, Column, Line, Table, Value, shown
from bench.report.markdown import Footnotes
from bench.report.ranking import Judgement, judge, verdicts
from bench.report.site.facts import Name, stage_name
from bench.report.site.render import slug
from bench.report.terminal import TELLING

BEST = "best, distinguishable from the second at 5 %"
NEAREST = "of the methods nearest to real text"
LOST = "below the oracle's entropy: lost diversity, not a better model"
ABOVE = "above real text by more than its interval: a defect and no merit"
MOST = 7  # columns that a wide table shows at first: what its rows cost stands beside them
MARKS = {BEST: "*", NEAREST: "~", LOST: "!"}  # as on the terminal


@dataclass(frozen=True)
class Head:
    """A metric's column.

    Attributes:
        good: which end is, or "" where it is real text that counts.
        shows: the groups of columns it is in.
        half: letters of its longest half interval, so that means stand under means.
        marked: a value in it has a mark or a note.
    """

    title: str
    about: str
    signature: str
    good: str
    shows: str
    words: str
    half: int
    marked: bool


@dataclass(frozen=True)
class Entry:
    """A value as text. `raw` is what it is sorted by, empty where there is none; `note` counts the table's notes."""

    mean: str
    half: str
    raw: str
    style: str = ""
    mark: str = ""
    words: str = ""
    note: int = 0


@dataclass(frozen=True)
class Cell:
    """A seed of a row: where its page is, if it has one."""

    seed: str
    href: str
    status: str = "done"


@dataclass(frozen=True)
class Row:
    """One line of a table; `kind`: reference, method, before (an earlier stage of the method above) or floor."""

    kind: str
    method: str
    label: str
    stage: str
    command: str
    cells: tuple[Cell, ...]
    entries: tuple[Entry, ...]
    costs: tuple[tuple[str, str], ...]
    failures: tuple[str, ...]
    place: int


@dataclass(frozen=True)
class Board:
    """One table. `groups`: rows that are sorted among themselves; `details`: what is shown of a value on demand."""

    id: str
    title: str
    split: str
    decoding: str
    items: int
    heads: tuple[Head, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    marks: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    footnotes: tuple[str, ...]
    failures: tuple[tuple[str, tuple[Cell, ...], str, str], ...]
    details: Mapping[str, Any]
    families: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """The boards of one task, data set and track."""

    id: str
    task: str
    data: str
    provenance: str
    boards: tuple[Board, ...]


def sections(tables: Sequence[Table], pages: Mapping[Name, str]) -> list[Section]:
    """All tables that people read.

    Args:
        pages: the address of a cell's page, by what its rows share.
    """
    found = []
    numbered = enumerate(shown(tables), start=1)
    for place, (_, group) in enumerate(groupby(numbered, key=lambda pair: pair[1].section), start=1):
        members = list(group)
        first = members[0][1]
        boards = tuple(_board(f"t{number}", table, pages) for number, table in members)
        data = first.data or "data unknown"
        found.append(Section(f"s{place}", first.task, data, first.provenance, boards))
    return found


def _board(name: str, table: Table, pages: Mapping[Name, str]) -> Board:
    judgement = judge(table)
    notes = _footnotes(table, judgement)
    places = {column: wording.column_decimals(table, column) for column in table.columns}
    ranked = [(rank, line) for rank, line in enumerate(judgement.lines)]
    rows = [row for rank, line in ranked for row in _rows(table, line, rank, judgement, places, notes, pages)]
    lines = [each for _, line in ranked for each in (line, *line.earlier)]
    families = [family for family, _ in wording.families(table.columns) if family]
    used = {entry.words for row in rows for entry in row.entries}
    texts = [wording.verdict_text(verdict, places[verdict.column]) for verdict in verdicts(table)]
    texts += wording.judgement_notes(table, judgement) + wording.signature_notes(table)
    return Board(
        id=name,
        title=", ".join(word for word in (table.split, table.decoding) if word),
        split=table.split,
        decoding=table.decoding,
        items=table.items,
        heads=_heads(table, rows),
        groups=tuple((kind, tuple(members)) for kind, members in groupby(rows, key=_group)),
        marks=tuple((mark, words) for words, mark in MARKS.items() if any(words in each for each in used)),
        notes=tuple(text if text.endswith(".") else f"{text}." for text in texts),
        footnotes=tuple(notes.texts),
        failures=tuple(_failures(table, [line for _, line in ranked], pages)),
        details=_details(table, lines, judgement),
        families=tuple(families),
    )


def _footnotes(table: Table, judgement: Judgement) -> Footnotes:
    """Why values are missing, numbered as in `leaderboard.md`, which goes by family."""
    notes = Footnotes()
    for _, members in wording.families(table.columns):
        for line in judgement.lines:
            for stage in (line, *line.earlier):
                for column in members:
                    value = stage.values.get(column)
                    if value is not None and value.reasons:
                        notes.mark(_reason(value))
    return notes


def _reason(value: Value) -> str:
    return wording.reasons_text(value.reasons, len(value.reasons) + len(value.by_seed))


def _group(row: Row) -> str:
    return "method" if row.kind == "before" else row.kind


def _heads(table: Table, rows: Sequence[Row]) -> tuple[Head, ...]:
    """The columns, with those that say most (`key`) where the table is wide."""
    groups = wording.families(table.columns)
    key = _key(table.columns) if len(groups) > 1 else set(table.columns)
    family_of = {column: family for family, members in groups for column in members}
    found = []
    for place, column in enumerate(table.columns):
        entries = [row.entries[place] for row in rows]
        about = ", ".join(word for word in (wording.unit(column), wording.direction(table, column)) if word)
        shows = ["key"] * (column in key) + [slug(family_of[column])] * bool(family_of[column])
        good = {True: "high", False: "low", None: ""}[column.higher_is_better]
        words = {True: "higher is better", False: "lower is better", None: "nearer to real text is better"}
        title = wording.display_name(column.label)
        half, marked = max(len(each.half) for each in entries), any(each.mark or each.note for each in entries)
        way = words[column.higher_is_better]
        found.append(Head(title, about, column.signature, good, " ".join(shows), way, half, marked))
    return tuple(found)


def _key(columns: Sequence[Column]) -> set[Column]:
    """The primary, and the first of each family that a narrow table shows before others."""
    chosen = [column for column in columns if column.primary]
    for start in TELLING:
        chosen += [column for column in columns if column.metric.startswith(start)][:1]
    for column in columns:
        family = re.sub(r"-\d+$", "", column.metric)
        if all(re.sub(r"-\d+$", "", each.metric) != family for each in chosen):
            chosen.append(column)
    return set(list(dict.fromkeys(chosen))[:MOST])


def _rows(
    table: Table,
    line: Line,
    rank: int,
    judgement: Judgement,
    places: Mapping[Column, int],
    notes: Footnotes,
    pages: Mapping[Name, str],
) -> list[Row]:
    kind = "method"
    if line.is_reference:
        methods = [place for place, each in enumerate(judgement.lines) if not each.is_reference]
        kind = "floor" if methods and rank > methods[0] else "reference"
    known = any(cell.href for cell in _cells(table, line, pages))
    command = row_id(table.task, table.task_version, table.data, line.baseline, line.config_hash) if known else ""
    found = []
    for stage in (line, *line.earlier):
        entries = tuple(
            _entry(stage, column, places[column], _words(column, rank, judgement) if stage is line else [], notes)
            for column in table.columns
        )
        found.append(
            Row(
                kind=kind if stage is line else "before",
                method=line.baseline,
                label=wording.reference_name(line, table) if line.is_reference else wording.clean(line.label),
                stage=wording.clean(stage_name(stage.stage)),
                command=command,
                cells=tuple(_cells(table, stage, pages)),
                entries=entries,
                costs=_costs(stage),
                failures=tuple(wording.failure_text(failure) for failure in stage.failures),
                place=rank,
            )
        )
    return found


def _words(column: Column, rank: int, judgement: Judgement) -> list[str]:
    """What the judgement says of one value."""
    said = [BEST] * (judgement.best.get(column) == rank)
    said += [NEAREST] * (rank in judgement.nearest.get(column, ()))
    said += [LOST] * ((column, rank) in judgement.lost_diversity)
    return said


def _entry(line: Line, column: Column, places: int, said: Sequence[str], notes: Footnotes) -> Entry:
    value = line.values.get(column)
    if value is None:
        return Entry("-", "", "")
    note = int(notes.mark(_reason(value)).strip("()")) if value.reasons else 0
    half = f"±{wording.number(value.half, places)}" if math.isfinite(value.half) else ""
    style = "best" if BEST in said else "near" if NEAREST in said else ""
    return Entry(
        mean=wording.number(value.mean, places),
        half=half,
        raw="" if math.isnan(value.mean) else repr(value.mean),
        style=style,
        mark="".join(MARKS[word] for word in said),
        words="; ".join(said),
        note=note,
    )


def _cells(table: Table, line: Line, pages: Mapping[Name, str]) -> list[Cell]:
    failed = [(seed, failure.status) for failure in line.failures for seed in failure.seeds]
    return [
        _cell(table, line, seed, status, pages)
        for seed, status in sorted([*((seed, "done") for seed in line.seeds), *failed])
    ]


def _cell(table: Table, line: Line, seed: int, status: str, pages: Mapping[Name, str]) -> Cell:
    name = (table.task, table.task_version, table.data, line.baseline, line.config_hash, seed)
    known: int | None = None if seed == NO_SEED else seed
    href = pages.get((*name[:-1], known), "")
    return Cell("-" if known is None else str(known), href, "not run" if status == "missing" else status)


def _costs(line: Line) -> tuple[tuple[str, str], ...]:
    """Seconds, memory, parameters and the device, each with what it is sorted by."""
    costs = line.costs
    memory = "-" if math.isnan(costs.peak_memory_mb) else f"{costs.peak_memory_mb:,.0f}"
    return (
        (wording.seconds(costs.train_seconds), "" if math.isnan(costs.train_seconds) else repr(costs.train_seconds)),
        (memory, "" if math.isnan(costs.peak_memory_mb) else repr(costs.peak_memory_mb)),
        (f"{costs.parameters:,}" if costs.parameters else "-", str(costs.parameters or "")),
        (wording.clean(costs.device) or "-", wording.clean(costs.device)),
    )


def _failures(
    table: Table, lines: Sequence[Line], pages: Mapping[Name, str]
) -> list[tuple[str, tuple[Cell, ...], str, str]]:
    """The cells without a result, those of one method that ended alike together: how they ended, and why."""
    return [
        (
            wording.clean(line.label),
            tuple(_cell(table, line, seed, failure.status, pages) for seed in failure.seeds),
            "not run" if failure.status == "missing" else failure.status,
            wording.clean(failure.reason) or "no reason was recorded",
        )
        for line in lines
        for failure in line.failures
    ]


def row_id(task: str, task_version: int, data: str, baseline: str, config_hash: str) -> str:
    """Of a row's command on the page of protocols: the same for its every stage, split and decoding."""
    return f"row-{content_hash([task, task_version, data, baseline, config_hash])[:10]}"


def _details(table: Table, lines: Sequence[Line], judgement: Judgement) -> dict[str, Any]:
    """What a value's panel shows: columns' signatures once, and for each line and column the values by seed."""
    ranks = {line.label: rank for rank, line in enumerate(judgement.lines)}

    def panel(line: Line, column: Column) -> dict[str, Any] | None:
        value = line.values.get(column)
        if value is None:
            return None
        found: dict[str, Any] = {
            "seeds": [["" if seed == NO_SEED else seed, f"{each:.6g}"] for seed, each in value.by_seed.items()],
            "items": value.items,
        }
        if value.reasons:
            found["why"] = _reason(value)
        if value.signature and value.signature != column.signature:
            found["signature"] = value.signature
        if line.stage == FINAL and (column, ranks[line.label]) in judgement.above_real:
            found["said"] = ABOVE
        return found

    signatures = [column.signature for column in table.columns]
    return {"signatures": signatures, "rows": [[panel(line, column) for column in table.columns] for line in lines]}
