"""Reported against reproduced: papers' numbers beside ours, with all that makes them other measurements.

`reported.csv` beside this file holds the papers' numbers with where each was found and how sure that is. A number that
is known from memory alone never appears; how many there were is told. Two numbers that stand side by side here are
never subtracted or ranked: their data and protocols differ, and what differs is said in words.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from bench.errors import UserError
from bench.report import layout, wording
from bench.report.layout import Column, Line, Table, Value
from bench.report.longfile import write_csv
from bench.schema import ScoreRow
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
PARTS = ("data", "scale", *(word for word, _ in PROTOCOL.values()))
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


def theirs(number: Reported) -> dict[str, str]:
    """What makes the paper's measurement, by the names of `PARTS`; empty: its source doesn't state it."""
    data = ", ".join(text for text in (number.dataset, number.split) if text not in ("", "-"))
    return {"data": data, "scale": number.scale} | {word: getattr(number, name) for name, (word, _) in PROTOCOL.items()}


def ours(pair: Pair) -> dict[str, str]:
    """What makes our measurement, by the names of `PARTS`; empty: it has no such thing."""
    found = parse(pair.ours.signature)
    told = {"data": f"{dataset(pair.table)}, {pair.table.split} ({pair.ours.items} items)", "scale": our_scale(pair)}
    for word, keys in PROTOCOL.values():
        told[word] = " ".join(f"{key}:{found[key]}" for key in keys if key in found)
    return told


def differences(pair: Pair) -> list[str]:
    """What is known to make the two other measurements, and what the paper's source doesn't state."""
    their, our = theirs(pair.reported), ours(pair)
    told = [f"data: theirs {their['data'] or 'not stated'}, ours {our['data']}"]
    if their["scale"] and our["scale"] and their["scale"] != our["scale"]:
        told.append(f"scale: theirs {their['scale']}, ours {our['scale']}")
    protocol = [word for word, _ in PROTOCOL.values()]
    told += [f"{word}: theirs {their[word]}, ours {our[word] or 'none'}" for word in protocol if their[word]]
    unknown = [f"{word} (ours {our[word]})" for word in protocol if our[word] and not their[word]]
    return [*told, f"theirs not stated: {', '.join(unknown)}"] if unknown else told


def note(task: str) -> list[str]:
    return [NOTES[task]] if task in NOTES else []


def our_scale(pair: Pair) -> str:
    unit = wording.unit(pair.column)
    return unit if unit or pair.column.metric.startswith(("nll", "ppl")) else "0-1"


def write_pairs(found: Sequence[Pair], path: Path) -> None:
    """Writes `reported.csv`: one row a pair, with all that is known of both."""
    write_csv(path, [*COLUMNS, *OURS], map(_record, found))


def _record(pair: Pair) -> list[object]:
    line, table, value = pair.line, pair.table, pair.ours
    about = [line.baseline, line.config_hash, value.mean, value.half, len(value.by_seed), value.items, table.data]
    differs = [*differences(pair), *note(table.task)]
    where = [table.split, pair.decoding, table.track, value.signature, "; ".join(differs)]
    return [*(getattr(pair.reported, name) for name in COLUMNS), *about, *where]


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
