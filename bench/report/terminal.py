"""The tables at the end of a run, as wide as the terminal: what doesn't fit is named and left to the file."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from bench.report import wording
from bench.report.layout import Column, Line, Table, shown
from bench.report.ranking import Judgement, judge, verdicts

FILE = "leaderboard.md"
LONGEST_NAME = 24
MOST_REASONS = 3
GAP = "  "


# families that a narrow table shows before others
TELLING = ("self-bleu", "nll-test", "frontier-area", "adver-suc", "unique", "frechet", "reverse-lm", "distinct")


@dataclass(frozen=True)
class Field:
    """One column of text, all lines of it, and whether it must be there."""

    titles: tuple[str, str]
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        return max(map(display_width, (*self.titles, *self.cells)))


def render(tables: Sequence[Table], width: int) -> str:
    """One table a task and data set: its test split in its first decoding. No line is wider than `width`."""
    readable = shown(tables)
    chosen: dict[tuple[str, int, str, str, str], Table] = {}
    for table in readable:
        chosen.setdefault(table.section, table)
    blocks = [_block(table, width) for table in chosen.values()]
    others = [table for table in readable if table not in chosen.values()]
    if others:
        names = dict.fromkeys(" ".join(w for w in (t.task, t.split, t.decoding) if w) for t in others)
        blocks.append(wrap(f"also in {FILE}: {', '.join(names)}", width, ""))
    lines = [line for block in blocks for line in (*block, "")]
    return "\n".join(clip(line.rstrip(), width) for line in lines)


def _block(table: Table, width: int) -> list[str]:
    judgement = judge(table)
    rows: list[tuple[Line, int | None]] = []  # the place in the ranking; None after pre-training
    for rank, line in enumerate(judgement.lines):
        rows.append((line, rank))
        rows += [(stage, None) for stage in line.earlier]
    names = Field(("method", ""), tuple(_name(line, place) for line, place in rows))
    metric_fields = [_metric_field(table, column, judgement, rows) for column in table.columns]
    cost = Field(
        ("train s", ""),
        tuple("" if place is None else wording.seconds(line.costs.train_seconds) for line, place in rows),
    )
    kept, with_cost = _fitting(table.columns, metric_fields, cost, width - 1 - names.width)
    fields = [field for field, keep in zip(metric_fields, kept, strict=True) if keep] + [cost] * with_cost
    out = [_heading(table)]
    out += [
        " " + _join(names, fields, title, 0) for title in range(2) if title == 0 or any(f.titles[1] for f in fields)
    ]
    for i, (line, _) in enumerate(rows):
        if line.values or line.before is not None:
            out.append(" " + _join(names, fields, None, i))
            out += [f"   {wording.failure_text(failure)}" for failure in line.failures]
        else:
            out += _failed(names, i, line)
    left_out = [column.label for column, keep in zip(table.columns, kept, strict=True) if not keep]
    return out + _notes(table, judgement, rows, left_out, width)


def _heading(table: Table) -> str:
    words = [
        table.data or "data unknown",
        table.provenance,
        table.split,
        table.decoding,
        f"{table.items} items" * bool(table.items),
    ]
    return f"{wording.clean(table.task)} ({wording.clean(', '.join(word for word in words if word))})"


def _name(line: Line, place: int | None) -> str:
    return clip(f"  {wording.stage(line)}" if place is None else wording.clean(line.label), LONGEST_NAME)


def _metric_field(table: Table, column: Column, judgement: Judgement, rows: Sequence[tuple[Line, int | None]]) -> Field:
    """Means stand under means, intervals under intervals, marks at the end."""
    places = wording.column_decimals(table, column)
    means, halves, marks = [], [], []
    for line, place in rows:
        value = line.values.get(column)
        means.append("-" if value is None else wording.number(value.mean, places))
        finite = value is not None and math.isfinite(value.half)
        halves.append(f" ±{wording.number(value.half, places)}" if value is not None and finite else "")
        marks.append(_mark(column, place, judgement))
    wide = [max(map(len, texts), default=0) for texts in (means, halves, marks)]
    cells = tuple(
        mean.rjust(wide[0]) + half.ljust(wide[1]) + mark.ljust(wide[2])
        for mean, half, mark in zip(means, halves, marks, strict=True)
    )
    about = " ".join(word for word in (wording.direction(table, column), wording.unit(column)) if word)
    return Field((wording.clean(wording.display_name(column.label)), wording.clean(about)), cells)


def _mark(column: Column, place: int | None, judgement: Judgement) -> str:
    if place is None:
        return ""
    if judgement.best.get(column) == place:
        return "*"
    if (column, place) in judgement.lost_diversity:
        return "!"
    return "~" if place in judgement.nearest.get(column, ()) else ""


def _fitting(columns: Sequence[Column], fields: Sequence[Field], cost: Field, room: int) -> tuple[list[bool], bool]:
    """Which metrics fit: the primary, then one of each family, those that say most first, training time, the rest."""
    families: dict[str, list[int]] = {}
    for i, column in enumerate(columns):
        families.setdefault(re.sub(r"-\d+$", "", column.metric), []).append(i)
    first = [i for i, column in enumerate(columns) if column.primary]
    first += [families[name][0] for name in sorted(families, key=_rank) if families[name][0] not in first]
    rest = [i for i in range(len(columns)) if i not in first]
    kept, with_cost = [False] * len(columns), False
    for choice in (*first, None, *rest):
        needs = len(GAP) + (cost if choice is None else fields[choice]).width
        if needs > room:
            continue
        room -= needs
        if choice is None:
            with_cost = True
        else:
            kept[choice] = True
    return kept, with_cost


def _rank(family: str) -> int:
    return TELLING.index(family) if family in TELLING else len(TELLING)


def _join(names: Field, fields: Sequence[Field], title: int | None, row: int) -> str:
    parts = [pad(names.cells[row] if title is None else names.titles[title], names.width)]
    for field in fields:
        text = field.cells[row] if title is None else field.titles[title]
        parts.append(pad(text, field.width, right=title is None or field.titles[0] == "train s"))
    return GAP.join(parts)


def _failed(names: Field, row: int, line: Line) -> list[str]:
    texts = [wording.failure_text(failure) for failure in line.failures] or ["no values"]
    first = f" {pad(names.cells[row], names.width)}{GAP}{texts[0]}"
    return [first, *(f" {' ' * names.width}{GAP}{text}" for text in texts[1:])]


def _notes(
    table: Table, judgement: Judgement, rows: Sequence[tuple[Line, int | None]], left_out: Sequence[str], width: int
) -> list[str]:
    texts = [
        wording.verdict_text(verdict, wording.column_decimals(table, verdict.column)) for verdict in verdicts(table)
    ]
    marks = [("*", bool(judgement.best), "best, distinguishable from the second (p < .05)")]
    marks.append(("~", bool(judgement.nearest), "nearest to real text"))
    used = [f"{mark} {meaning}" for mark, there, meaning in marks if there]
    texts += ["; ".join(used)] * bool(used)
    texts += [("! " if "NLL-oracle" in note else "") + note for note in wording.judgement_notes(table, judgement)]
    texts += wording.signature_notes(table)
    texts += _missing(rows)
    texts += [f"more in {FILE}: {', '.join(map(wording.display_name, left_out))}"] * bool(left_out)
    return [line for text in texts for line in wrap(text, width - 1, "   ", " ")]


def _missing(rows: Sequence[tuple[Line, int | None]]) -> list[str]:
    """Why values are missing: the first few reasons, and how many more there are."""
    found: dict[str, list[str]] = {}
    for line, _ in rows:
        for column, value in line.values.items():
            if value.reasons:
                reason = wording.reasons_text(value.reasons, len(value.reasons) + len(value.by_seed))
                found.setdefault(reason, []).append(f"{wording.display_name(column.label)} of {line.label}")
    texts = [f"-: {', '.join(dict.fromkeys(names))}: {reason}" for reason, names in found.items()]
    more = len(texts) - MOST_REASONS
    return texts[:MOST_REASONS] + [f"-: {more} more reasons in {FILE}"] * (more > 0)


def display_width(text: str) -> int:
    """Columns on a terminal: wide characters take two, combining ones none."""
    return sum(_char_width(mark) for mark in text)


def _char_width(mark: str) -> int:
    if unicodedata.combining(mark):
        return 0
    return 2 if unicodedata.east_asian_width(mark) in "WF" else 1


def pad(text: str, width: int, right: bool = False) -> str:
    space = " " * max(0, width - display_width(text))
    return space + text if right else text + space


def clip(text: str, width: int) -> str:
    """At most `width` columns; what was cut off shows as `…`."""
    if display_width(text) <= width:
        return text
    out, used = "", 0
    for mark in text:
        if used + _char_width(mark) > width - 1:
            break
        out, used = out + mark, used + _char_width(mark)
    return (out + "…")[: max(0, width)]


def wrap(text: str, width: int, hanging: str, first: str = "") -> list[str]:
    """Lines of whole words; a word that is too long alone is cut."""
    lines, line = [], first
    for word in wording.clean(text).split():
        if line.strip() and display_width(line) + 1 + display_width(word) > width:
            lines.append(line)
            line = hanging
        line += word if not line.strip() else f" {word}"
    return [clip(each, width) for each in (*lines, line)]
