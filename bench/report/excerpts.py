"""The first samples of each set that a run's cells drew, and the training text they learned from, to be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

from bench.config import CellSpec
from bench.errors import UserError
from bench.report.layout import FLOOR_ROWS, TOP_ROWS
from bench.store import CellStore, read_json

_LONE = re.compile("[\ud800-\udfff]")  # half a character: UTF-8 can't hold it
REDO = "Delete samples.json beside it and run the grid again: the samples are drawn anew, nothing is trained."


@dataclass(frozen=True)
class Excerpt:
    """The first samples of one set, and how many the whole set has."""

    stage: str
    split: str
    decoding: str
    total: int
    texts: tuple[str, ...]
    sources: tuple[tuple[str, ...], ...] = ()
    references: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Drawn:
    """What one cell drew.

    Attributes:
        data: `Corpus.label`, which names the very rows.
        skipped: (stage, split, decoding, reason) of sets that the method couldn't draw.
    """

    cell: str
    spec: CellSpec
    data: str
    kind: str
    adversarial: bool
    excerpts: tuple[Excerpt, ...]
    skipped: tuple[tuple[str, str, str, str], ...] = field(default=())

    @property
    def rank(self) -> tuple[int, str, str, int]:
        """Real text, the plain method, the others by name, floors."""
        name = self.spec.baseline
        group = 0 if name in TOP_ROWS else 3 if name in FLOOR_ROWS else 1 if name == "mle" else 2
        return group, name, self.spec.config_hash, self.spec.seed


def read_cell(cell: CellStore, most: int) -> Drawn | None:
    """The first `most` samples of each set; None for a cell that has drawn none yet.

    Raises:
        UserError: the file isn't what `samples.json` says of it.
    """
    about, listed = read_json(cell.file("cell.json")), read_json(cell.file("samples.json"))
    if about is None or listed is None:
        return None
    path = cell.file("samples.jsonl")
    try:
        with path.open("rb") as file:
            excerpts = tuple(_excerpts(file, listed["sets"], most))
    except FileNotFoundError:
        raise UserError(f"{path} is missing. {REDO}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({type(error).__name__}: {error}). {REDO}") from None
    skipped = tuple((one["stage"], one["split"], one["decoding"], one["reason"]) for one in listed.get("skipped", ()))
    spec = CellSpec(**about["spec"])
    return Drawn(cell.path.name, spec, about["data"], about["kind"], about["adversarial"], excerpts, skipped)


def _excerpts(file: IO[bytes], sets: Sequence[dict[str, Any]], most: int) -> Iterator[Excerpt]:
    """Sets stand in the file one after another, as long as `samples.json` says; the most of it need not be parsed."""
    for one in sets:
        key, total = (one["stage"], one["split"], one["decoding"]), int(one["samples"])
        lines = list(islice(file, total))
        if len(lines) < total:
            raise ValueError(f"{len(lines)} samples of {total} for {' '.join(key)}")
        records = [json.loads(line) for line in lines[:most]]
        for place, record in enumerate(records):
            if (record["stage"], record["split"], record["decoding"], record["index"]) != (*key, place):
                raise ValueError(f"sample {place} of {' '.join(key)} is not in its place")
        yield Excerpt(
            *key,
            total,
            tuple(_text(record["text"]) for record in records),
            tuple(tuple(map(_text, record["source"])) for record in records if "source" in record),
            tuple(tuple(map(_text, record["references"])) for record in records if "references" in record),
        )


def _text(value: Any) -> str:
    """A string that UTF-8 can hold."""
    if not isinstance(value, str):
        raise TypeError(f"a text is {type(value).__name__}, not a string")
    return value if value.isascii() else _LONE.sub("\ufffd", value)


def training_texts(spec: CellSpec) -> tuple[tuple[str, ...], str]:
    """The texts that the cell's method learned to write; or none, and why not."""
    from bench.registry import make_task
    from tasks.opening import open_source

    try:
        task = make_task(spec.task, spec.task_options, spec.plugins)
        source = open_source(spec.data, fields=spec.fields)
        corpus = task.load(source, spec.limit, allow_overlap=spec.allow_overlap)
    except Exception as error:  # whatever became of the data, or of the task, the samples can still be read
        return (), f"the training text can't be read any more ({(str(error) or type(error).__name__).splitlines()[0]})"
    if corpus.fingerprint != spec.fingerprint:
        return (), f"the data at {spec.data} have changed since the run (or the program that reads them has)"
    return tuple(example.target for example in corpus.splits["train"].examples), ""
