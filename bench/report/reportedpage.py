"""How papers' numbers beside ours are shown: a page of Markdown, and plain text for a terminal.

A paper's number has one row, and all values of ours that carry its names stand in it, one column for each way in which
they were measured. What makes the measurements others stands below, once for each: theirs by number, ours by letter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.report import layout, wording
from bench.report.layout import grouped
from bench.report.markdown import escape, fence, table_row
from bench.report.reported import PARTS, Pair, Reported, dataset, left_out, note, ours, theirs, write_pairs
from bench.store import write_text

_LEGEND = """\
Numbers of papers beside ours. **They are different measurements**: other data, other references, often another scorer.
So nothing is subtracted and nothing is ranked; read each row as "so much was reported there, so much came out here".
What differs stands below the numbers, theirs by number and ours by letter. Ours are means over seeds ± half of the 95 %
interval over seeds, with the number of seeds in brackets.\
"""


class Theirs(NamedTuple):
    """A paper's measurement, as far as its source tells."""

    paper: str
    parts: tuple[str, ...]
    conditions: str


class Ours(NamedTuple):
    """A measurement of ours; the signature tells all, the name and the parts are for a reader."""

    signature: str
    name: str
    parts: tuple[str, ...]


class Measurements:
    """Those of a task, in the order of its tables: theirs are `1`, `2`, ..., ours `a`, `b`, ..."""

    def __init__(self, found: Sequence[Pair]) -> None:
        papers = dict.fromkeys(_theirs(pair.reported) for pair in found)
        in_order = [pair for of_metric in grouped(found, _metric) for pair in of_metric]
        self.theirs = {each: str(i) for i, each in enumerate(papers, 1)}
        self.ours = {each: _letter(i) for i, each in enumerate(dict.fromkeys(map(_ours, in_order)))}
        both: list[Theirs | Ours] = [*self.theirs, *self.ours]
        self.told = [i for i in range(len(PARTS)) if any(each.parts[i] for each in both)]
        """Places of the parts that any of them has."""

    def alike(self) -> list[tuple[tuple[str, ...], str]]:
        """Parts of ours, each with the letters of all that have them: metrics of the same texts."""
        groups = grouped(self.ours, lambda our: our.parts)
        return [(group[0].parts, ", ".join(self.ours[our] for our in group)) for group in groups]


def write_reported(found: Sequence[Pair], numbers: Sequence[Reported], directory: Path) -> tuple[Path, Path]:
    """Writes `reported.md` and `reported.csv`."""
    paths = directory / "reported.md", directory / "reported.csv"
    write_text(paths[0], markdown(found, numbers))
    write_pairs(found, paths[1])
    return paths


def markdown(found: Sequence[Pair], numbers: Sequence[Reported]) -> str:
    """The whole file, a section for each task."""
    parts = ["# Reported against reproduced", _LEGEND]
    for here in grouped(found, _task):
        task, known = _task(here[0]), Measurements(here)
        parts += [f"## {escape(task)}", *(f"Of all rows: {escape(each)}." for each in note(task))]
        for of_metric in grouped(here, _metric):
            parts += [f"### {escape(_metric(of_metric[0]))}", _table(of_metric, known)]
        parts += ["### What differs", _what_differs(known)]
        parts += ["Signatures of ours:", fence([f"({letter}) {each.signature}" for each, letter in known.ours.items()])]
        lacking = _lacking(here, [number for number in numbers if number.our_task == task])
        parts += [f"Reported, and beside no value of this run: {escape(lacking)}."] if lacking else []
    return "\n\n".join([*parts, escape(memory_note())]) + "\n"


def _table(here: Sequence[Pair], known: Measurements) -> str:
    measured = list(dict.fromkeys(map(_ours, here)))
    head = ["system", "theirs", "metric", "reported", "confidence"]
    head += [f"ours ({known.ours[each]}): {escape(each.name)}" for each in measured]
    rows = [table_row(head), table_row([":--", "--:", ":--", "--:", ":--", *([":--"] * len(measured))])]
    for beside in grouped(here, _number):
        number = _number(beside[0])
        values = [escape("; ".join(_value(pair) for pair in beside if _ours(pair) == each)) or "-" for each in measured]
        cells = [number.system, known.theirs[_theirs(number)], number.metric, number.value, _confidence(number)]
        rows.append(table_row([*map(escape, cells), *values]))
    return "\n".join(rows)


def _what_differs(known: Measurements) -> str:
    head = ["measurement", *(PARTS[i] for i in known.told), "conditions and source"]
    rows = [table_row(head), table_row([":--"] * len(head))]
    for each, number in known.theirs.items():
        parts = [each.parts[i] or "not stated" for i in known.told]
        rows.append(table_row(list(map(escape, [f"theirs {number}: {each.paper}", *parts, each.conditions]))))
    for all_parts, letters in known.alike():
        parts = [all_parts[i] or "none" for i in known.told]
        rows.append(table_row(list(map(escape, [f"ours ({letters})", *parts, ""]))))
    return "\n".join(rows)


def text(found: Sequence[Pair], numbers: Sequence[Reported]) -> str:
    """The same for a terminal: plain text, some lines a number."""
    lines = ["reported against reproduced: different measurements, neither subtracted nor ranked"]
    for here in grouped(found, _task):
        task, known = _task(here[0]), Measurements(here)
        lines += ["", task, *(f" of all rows: {each}" for each in note(task))]
        for beside in grouped(here, _number):
            number = _number(beside[0])
            about = f"{number.metric} {number.value} ({_confidence(number)})"
            lines.append(" " + wording.clean(f"{number.system} [{known.theirs[_theirs(number)]}]: {about}"))
            for measured in dict.fromkeys(map(_ours, beside)):
                values = "; ".join(_value(pair) for pair in beside if _ours(pair) == measured)
                lines.append(f"   ours ({known.ours[measured]}): " + wording.clean(f"{values}; {measured.name}"))
        lines += ["", " what differs"]
        for each, count in known.theirs.items():
            told = _told(each.parts, known, "not stated")
            lines += [f" [{count}] " + wording.clean(f"{each.paper}: {told}"), "     " + wording.clean(each.conditions)]
        for parts, letters in known.alike():
            lines.append(f" ({letters}) " + wording.clean(_told(parts, known, "none")))
        lacking = _lacking(here, [number for number in numbers if number.our_task == task])
        lines += ["", wording.clean(f"{task}: reported, and beside no value of this run: {lacking}")] if lacking else []
    return "\n".join([*lines, "", wording.clean(memory_note())])


def _told(parts: Sequence[str], known: Measurements, otherwise: str) -> str:
    return "; ".join(f"{PARTS[i]} {parts[i] or otherwise}" for i in known.told)


def memory_note() -> str:
    counts = left_out()
    listed = "; ".join(f"{paper} {count}" for paper, count in sorted(counts.items()))
    return f"Left out, since they are known from memory alone: {sum(counts.values())} numbers ({listed})."


def _lacking(found: Sequence[Pair], numbers: Sequence[Reported]) -> str:
    """Numbers that no value of the run stands beside, by method and data."""
    shown = {pair.reported for pair in found}
    counts: dict[str, int] = {}
    for number in numbers:
        if number not in shown:
            name = f"{' or '.join(number.method.split())} ({number.dataset})"
            counts[name] = counts.get(name, 0) + 1
    return "; ".join(f"{name}: {count} number{'s' * (count > 1)}" for name, count in counts.items())


def _task(pair: Pair) -> str:
    return pair.reported.our_task


def _metric(pair: Pair) -> str:
    return pair.reported.our_metric


def _number(pair: Pair) -> Reported:
    return pair.reported


def _theirs(number: Reported) -> Theirs:
    paper = number.paper if number.year in number.paper else f"{number.paper} {number.year}"
    parts = theirs(number)
    told = "; ".join(part for part in (number.conditions, f"source: {number.source_where}") if part)
    return Theirs(paper, tuple(parts[name] for name in PARTS), told)


def _ours(pair: Pair) -> Ours:
    track = "" if pair.table.track == layout.SCRATCH else f"{pair.table.track} track"
    name = ", ".join(part for part in (dataset(pair.table), pair.table.split, pair.decoding, track) if part)
    parts = ours(pair)
    return Ours(pair.ours.signature, name, tuple(parts[part] for part in PARTS))


def _value(pair: Pair) -> str:
    value, places = pair.ours, wording.decimals([pair.ours.mean])
    half = f" ±{wording.number(value.half, places)}" if math.isfinite(value.half) else ""
    return f"{pair.line.label} {wording.number(value.mean, places)}{half} ({len(value.by_seed)})"


def _confidence(number: Reported) -> str:
    return number.confidence.replace("-", " ")


def _letter(place: int) -> str:
    return chr(ord("a") + place) if place < 26 else str(place + 1)
