"""Reported against reproduced: papers' numbers beside ours, with all that makes them other measurements.

`reported.csv` beside this file holds the papers' numbers with where each was found and how sure that is. A number that
is known from memory alone never appears; how many there were is told. Two numbers that stand side by side here are
never subtracted or ranked: their data and protocols differ, and what differs is said in words.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from bench.errors import UserError
from bench.report import layout, wording
from bench.report.layout import Column, Line, Table, Value
from bench.report.longfile import write_csv
from bench.report.markdown import escape, fence, table_row
from bench.schema import ScoreRow
from bench.store import write_text
from metrics.signature import parse

NUMBERS = Path(__file__).with_name("reported.csv")
LEFT_OUT = Path(__file__).with_name("reported_left_out.csv")
FROM_MEMORY = "from-memory"
REPLACED = "replace-unk"

# a field of a paper's protocol: what it is called, and the fields of our signatures that tell ours
PROTOCOL: dict[str, tuple[str, tuple[str, ...]]] = {
    "references": ("references", ("refs", "nrefs")),
    "tokens": ("tokenisation", ("tok", "case", "stem")),
    "smoothing": ("smoothing", ("smooth",)),
    "decoding": ("decoding", ("dec", "T")),
}
# what a signature can't say of our data; told once for a task
NOTES = {
    "oracle": "our oracle has weights of its own, near to those of SeqGAN's but not the same",
    "translation": "ours learn from short everyday sentences, in words, or in subwords, which are never unknown",
}


@dataclass(frozen=True)
class Reported:
    """One number of a paper: a row of `reported.csv` (the columns stand in this order).

    Attributes:
        value: as printed, which may be `~8.75`: it is shown and never computed with.
        confidence: `found-in-text` (in the paper or its authors' files), or `stated-in-slides`.
        method: our names for the system, parted by blanks.
        our_data: our sets that may stand beside it, parted by blanks; empty: all of the task.
        our_decoding: `replace-unk`, or empty for decodings without it.
        scale: of the value, as `0-100`.
        references: with `tokens`, `smoothing` and `decoding` the protocol as far as the source states it; else empty.
    """

    paper: str
    year: str
    arxiv: str
    task: str
    dataset: str
    split: str
    system: str
    metric: str
    value: str
    conditions: str
    source_where: str
    confidence: str
    method: str
    our_task: str
    our_metric: str
    our_data: str
    our_decoding: str
    scale: str
    references: str
    tokens: str
    smoothing: str
    decoding: str


COLUMNS = tuple(field.name for field in fields(Reported))
OURS = (
    *("ours_method", "ours_config_hash", "ours_mean", "ours_half_width", "ours_seeds", "ours_items", "ours_data"),
    *("ours_split", "ours_decoding", "ours_track", "ours_signature", "differs"),
)


@dataclass(frozen=True)
class Pair:
    """A paper's number and one of ours that carries the same names."""

    reported: Reported
    table: Table
    line: Line
    column: Column
    ours: Value

    @property
    def decoding(self) -> str:
        """Empty for a value that doesn't depend on it."""
        found = parse(self.ours.signature)
        return self.table.decoding if "dec" in found or "T" in found else ""


def read_reported(path: Path = NUMBERS) -> list[Reported]:
    """All numbers of the file but those from memory.

    Raises:
        UserError: other columns.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise UserError(f"{path} has other columns than it should: {', '.join(COLUMNS)}.")
        found = [Reported(**{name: row[name] or "" for name in COLUMNS}) for row in rows]
    return [each for each in found if each.confidence != FROM_MEMORY]


def left_out(path: Path = LEFT_OUT, reason: str = "from memory") -> dict[str, int]:
    """Numbers that are in no row, by paper."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["paper"]: int(row["rows"]) for row in csv.DictReader(file) if row["reason"] == reason}


def pairs(rows: Iterable[ScoreRow], numbers: Sequence[Reported]) -> list[Pair]:
    """In the order of the papers' numbers. Embedded data, which are made up, stand beside no paper's."""
    tables = [table for table in layout.shown(layout.build(rows)) if table.origin != "embedded"]
    found: dict[tuple[object, ...], Pair] = {}
    for number in numbers:
        for table in tables:
            if not _same_task(number, table):
                continue
            for pair in _all(number, table):
                if _same_names(pair):
                    about = (pair.line.label, table.track, table.split, table.data, pair.decoding, pair.ours.signature)
                    found.setdefault((number, *about), pair)
    return list(found.values())


def _all(number: Reported, table: Table) -> list[Pair]:
    return [Pair(number, table, line, column, value) for line in table.lines for column, value in line.values.items()]


def _same_task(number: Reported, table: Table) -> bool:
    return table.task == number.our_task and (not number.our_data or dataset(table) in number.our_data.split())


def _same_names(pair: Pair) -> bool:
    number = pair.reported
    if pair.line.baseline not in number.method.split() or pair.column.metric != number.our_metric:
        return False
    return bool(pair.ours.by_seed) and (REPLACED in pair.decoding) == (number.our_decoding == REPLACED)


def dataset(table: Table) -> str:
    """`sum_arxiv` of `summarization.v1/sum_arxiv#acf3d589`."""
    return table.data.rpartition("#")[0].partition("/")[2] or table.data


def differences(pair: Pair) -> list[str]:
    """What is known to make the two other measurements, and what the paper's source doesn't state."""
    number, ours = pair.reported, parse(pair.ours.signature)
    theirs = ", ".join(text for text in (number.dataset, number.split) if text not in ("", "-"))
    own = f"{dataset(pair.table)}, {pair.table.split} ({pair.ours.items} items)"
    told = [f"data: theirs {theirs or 'not stated'}, ours {own}"]
    scale = our_scale(pair)
    if number.scale and scale and number.scale != scale:
        told.append(f"scale: theirs {number.scale}, ours {scale}")
    unknown = []
    for name, (word, keys) in PROTOCOL.items():
        own = " ".join(f"{key}:{ours[key]}" for key in keys if key in ours)
        stated = getattr(number, name)
        if stated:
            told.append(f"{word}: theirs {stated}, ours {own or 'none'}")
        elif own:
            unknown.append(f"{word} (ours {own})")
    if unknown:
        told.append(f"theirs not stated: {', '.join(unknown)}")
    return told


def _note(task: str) -> list[str]:
    return [NOTES[task]] if task in NOTES else []


def our_scale(pair: Pair) -> str:
    unit = wording.unit(pair.column)
    return unit if unit or pair.column.metric.startswith(("nll", "ppl")) else "0-1"


def write_reported(found: Sequence[Pair], numbers: Sequence[Reported], directory: Path) -> tuple[Path, Path]:
    """Writes `reported.md` and `reported.csv`."""
    paths = directory / "reported.md", directory / "reported.csv"
    write_text(paths[0], markdown(found, numbers))
    write_csv(paths[1], [*COLUMNS, *OURS], map(_record, found))
    return paths


def _record(pair: Pair) -> list[object]:
    line, table, ours = pair.line, pair.table, pair.ours
    about = [line.baseline, line.config_hash, ours.mean, ours.half, len(ours.by_seed), ours.items, table.data]
    differs = [*differences(pair), *_note(table.task)]
    where = [table.split, pair.decoding, table.track, ours.signature, "; ".join(differs)]
    return [*(getattr(pair.reported, name) for name in COLUMNS), *about, *where]


_LEGEND = """\
Numbers of papers beside ours. **They are different measurements**: other data, other references, often another scorer.
So nothing is subtracted and nothing is ranked; read each row as "so much was reported there, so much came out here".
Ours are means over seeds ± half of the 95 % interval over seeds; the letter names the signature below the table.\
"""


def markdown(found: Sequence[Pair], numbers: Sequence[Reported]) -> str:
    """The whole file, a section for each task."""
    parts = ["# Reported against reproduced", _LEGEND]
    for task in dict.fromkeys(pair.reported.our_task for pair in found):
        here = [pair for pair in found if pair.reported.our_task == task]
        parts += [f"## {escape(task)}", *(f"Of all rows: {escape(note)}." for note in _note(task)), *_section(here)]
        lacking = _lacking(here, [number for number in numbers if number.our_task == task])
        parts += [f"Reported, and beside no value of this run: {escape(lacking)}."] if lacking else []
    return "\n\n".join([*parts, escape(memory_note())]) + "\n"


def _section(here: Sequence[Pair]) -> list[str]:
    head = [
        "system",
        "metric",
        "reported",
        "confidence",
        "their data and conditions",
        "ours",
        "our data",
        "what differs",
    ]
    signatures = {text: _letter(i) for i, text in enumerate(dict.fromkeys(pair.ours.signature for pair in here))}
    rows = [table_row(head), table_row([":--", ":--", "--:", ":--", ":--", ":--", ":--", ":--"])]
    for pair in here:
        cells = [_system(pair.reported), pair.reported.metric, pair.reported.value, _confidence(pair.reported)]
        cells += [_conditions(pair.reported), f"{_ours(pair)} ({signatures[pair.ours.signature]})", _our_data(pair)]
        rows.append(table_row([escape(cell) for cell in [*cells, "; ".join(differences(pair))]]))
    return ["\n".join(rows), fence([f"({letter}) {text}" for text, letter in signatures.items()])]


def text(found: Sequence[Pair], numbers: Sequence[Reported]) -> str:
    """The same for a terminal: plain text, some lines a pair."""
    lines = ["reported against reproduced: different measurements, neither subtracted nor ranked"]
    last: Reported | None = None
    for pair in found:
        if last is None or last.our_task != pair.reported.our_task:
            task = pair.reported.our_task
            lines += ["", task, *(f" of all rows: {note}" for note in _note(task))]
        if last != pair.reported:
            about = f"{pair.reported.metric} {pair.reported.value} ({_confidence(pair.reported)})"
            lines.append(wording.clean(f" {_system(pair.reported)}: {about}"))
            lines.append("   " + wording.clean(_conditions(pair.reported)))
        last = pair.reported
        lines.append("   " + wording.clean(f"ours: {_ours(pair)}; {_our_data(pair)}"))
        lines += ["     " + wording.clean(difference) for difference in differences(pair)]
    for task in dict.fromkeys(pair.reported.our_task for pair in found):
        lacking = _lacking(found, [number for number in numbers if number.our_task == task])
        lines += ["", wording.clean(f"{task}: reported, and beside no value of this run: {lacking}")] if lacking else []
    return "\n".join([*lines, "", wording.clean(memory_note())])


def nothing(rows: Sequence[ScoreRow], numbers: Sequence[Reported]) -> str:
    """Why no number of this run stands beside a paper's."""
    made_up = {row.task for row in rows if row.origin == "embedded"}
    if made_up and made_up == {row.task for row in rows}:
        return (
            "nothing to put beside a paper's number: all cells are of embedded data, which are made up. Use --data DIR."
        )
    known = {(number.our_task, name) for number in numbers for name in number.method.split()}
    names = ", ".join(sorted(f"{task}/{method}" for task, method in known))
    return (
        f"nothing to put beside a paper's number: there are numbers for {names}, and this run has no value of them on "
        "like data."
    )


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


def _system(number: Reported) -> str:
    paper = number.paper if number.year in number.paper else f"{number.paper} {number.year}"
    return f"{number.system}: {paper}"


def _confidence(number: Reported) -> str:
    return number.confidence.replace("-", " ")


def _conditions(number: Reported) -> str:
    told = [number.dataset, number.split if number.split != "-" else "", number.conditions]
    return "; ".join(part for part in [*told, f"source: {number.source_where}"] if part)


def _ours(pair: Pair) -> str:
    ours, places = pair.ours, wording.decimals([pair.ours.mean])
    half = f" ±{wording.number(ours.half, places)}" if math.isfinite(ours.half) else ""
    count = len(ours.by_seed)
    return f"{pair.line.label} {wording.number(ours.mean, places)}{half}, {count} seed{'s' * (count > 1)}"


def _our_data(pair: Pair) -> str:
    track = "" if pair.table.track == layout.SCRATCH else f"{pair.table.track} track"
    return ", ".join(part for part in (dataset(pair.table), pair.table.split, pair.decoding, track) if part)


def _letter(place: int) -> str:
    return chr(ord("a") + place) if place < 26 else str(place + 1)
