"""Where rows come from: our embedded corpora, files in a folder, one's own text, or the Hugging Face hub.

All are a `Source`: named sets of named splits of rows; a row remembers its file and line for the messages of errors.
Tasks ask for rows and never know which kind they got.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.base import DataError, Origin, Row

SUFFIXES = (".jsonl", ".jsonl.gz", ".txt", ".txt.gz")
_SHUFFLE_SEED = 20170213  # of the split made from one text file; part of what docs/data.md promises


@dataclass(frozen=True)
class EmbeddedSource:
    """The small corpora that come with the program; one set a task, named as the task."""

    fields: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = "embedded"

    def datasets(self) -> tuple[str, ...]:
        from tasks import embedded

        return tuple(embedded.DATASETS)

    def resolve(self, task: str, dataset: str) -> str:
        name = "poetry7" if dataset == "poetry_jueju7" else task
        if name not in self.datasets():
            raise DataError(f"no embedded data for {task} (there is: {', '.join(self.datasets())}); give --data")
        return name

    def splits(self, dataset: str) -> tuple[str, ...]:  # noqa: ARG002
        from tasks import embedded

        return tuple(embedded.SPLITS)

    def rows(self, dataset: str, split: str, limit: int | None = None) -> list[Row]:
        from tasks import embedded

        name = f"embedded/{dataset}/{split}"
        rows = embedded.rows(dataset, split)[:limit]
        return [Row(_renamed(row, self.fields), name, i) for i, row in enumerate(rows, 1)]

    def warnings(self, dataset: str) -> tuple[str, ...]:  # noqa: ARG002
        return ()


@dataclass(frozen=True)
class FileSource:
    """A folder of sets: `<set>/{train,valid,test,test_*}.jsonl[.gz]`, with `meta.json` checked where there is one."""

    root: Path
    fields: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = "files"

    def datasets(self) -> tuple[str, ...]:
        folders = sorted(path for path in self.root.iterdir() if path.is_dir())
        return tuple(folder.name for folder in folders if split_files(folder))

    def resolve(self, task: str, dataset: str) -> str:
        if dataset not in self.datasets():
            there = ", ".join(self.datasets()) or "nothing"
            raise DataError(
                f"{task}: no set {dataset!r} in {self.root} (there is: {there}); choose another set or --data"
            )
        return dataset

    def splits(self, dataset: str) -> tuple[str, ...]:
        return tuple(split_files(self.root / dataset))

    def rows(self, dataset: str, split: str, limit: int | None = None) -> list[Row]:
        files = split_files(self.root / dataset)
        if split not in files:
            raise DataError(f"{dataset}: no split {split!r} (there is: {', '.join(files) or 'nothing'}) in {self.root}")
        _check_hash(files[split])
        return read_rows(files[split], f"{dataset}/{files[split].name}", self.fields, limit)

    def warnings(self, dataset: str) -> tuple[str, ...]:  # noqa: ARG002
        return ()


@dataclass(frozen=True)
class TextSource:
    """One's own set, for whichever task is asked: a file, or a folder with `train` and perhaps `valid` and `test`.

    A single file is split here: duplicate lines are dropped, the rest is shuffled with a fixed seed and cut 90 / 5 / 5.
    """

    path: Path
    fields: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = "files"

    @property
    def name(self) -> str:
        return self.path.name.split(".")[0]

    def datasets(self) -> tuple[str, ...]:
        return (self.name,)

    def resolve(self, task: str, dataset: str) -> str:  # noqa: ARG002
        return self.name

    def splits(self, dataset: str) -> tuple[str, ...]:  # noqa: ARG002
        return ("train", "valid", "test") if self.path.is_file() else tuple(split_files(self.path))

    def rows(self, dataset: str, split: str, limit: int | None = None) -> list[Row]:
        if self.path.is_file():
            rows = dict(zip(("train", "valid", "test"), self._cut()[0], strict=True))
            return rows[split][:limit]
        files = split_files(self.path)
        if split not in files:
            raise DataError(f"{dataset}: no split {split!r} (there is: {', '.join(files)}) in {self.path}")
        _check_hash(files[split])
        return read_rows(files[split], f"{self.name}/{files[split].name}", self.fields, limit)

    def warnings(self, dataset: str) -> tuple[str, ...]:  # noqa: ARG002
        if not self.path.is_file():
            return ()
        parts, dropped = self._cut()
        counts = " / ".join(str(len(part)) for part in parts)
        told = f"one file, split by seed {_SHUFFLE_SEED} into {counts} rows; {dropped} duplicates dropped"
        return (f"{self.path.name}: {told}",)

    def _cut(self) -> tuple[tuple[list[Row], list[Row], list[Row]], int]:
        stat = self.path.stat()
        rows, dropped = _distinct_shuffled(self.path, stat.st_mtime_ns, stat.st_size, tuple(self.fields.items()))
        held_out = max(1, len(rows) // 20)
        if len(rows) < 3:
            raise DataError(
                f"{self.path.name} has {len(rows)} distinct rows: too few to split into train, valid and test"
            )
        return (list(rows[2 * held_out :]), list(rows[:held_out]), list(rows[held_out : 2 * held_out])), dropped


@lru_cache(maxsize=4)
def _distinct_shuffled(
    path: Path, _mtime: int, _size: int, fields: tuple[tuple[str, str], ...]
) -> tuple[Sequence[Row], int]:
    rows = read_rows(path, path.name, dict(fields))
    first = {json.dumps(row.fields, sort_keys=True, ensure_ascii=False): row for row in reversed(rows)}
    kept = sorted(first.values(), key=lambda row: row.line)
    random.Random(_SHUFFLE_SEED).shuffle(kept)
    return kept, len(rows) - len(kept)


def read_rows(path: Path, name: str, fields: Mapping[str, str] | None = None, limit: int | None = None) -> list[Row]:
    """Reads a `.jsonl` (an object a line) or `.txt` file (a text a line, as field `text`), gzipped or not.

    Blank lines of a text are skipped; blank lines of JSON lines are errors.

    Args:
        name: what messages call the file.

    Raises:
        DataError: not UTF-8, not JSON, not an object, or broken gzip; with file and line.
    """
    plain = path.name.removesuffix(".gz").endswith(".txt")
    rows: list[Row] = []
    for number, line in _lines(path, name):
        if limit is not None and len(rows) >= limit:
            break
        if not plain:
            rows.append(Row(_renamed(_parse(line, name, number), fields or {}), name, number))
        elif line.strip():
            rows.append(Row({"text": line}, name, number))
    return rows


def _lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
    opener = gzip.open if path.name.endswith(".gz") else open
    number = 0
    try:
        with opener(path, "rb") as file:
            for number, raw in enumerate(file, 1):
                raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
                yield number, raw.rstrip(b"\r\n").decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{name} line {number}: not UTF-8 (byte {error.start}). Convert it: iconv -t UTF-8") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{name} line {number + 1}: broken gzip ({error}). Fetch or pack the file again") from None


def _parse(line: str, name: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        what = "empty line" if not line.strip() else f"not JSON ({error.msg} at column {error.colno})"
        raise DataError(f"{name} line {number}: {what}. Each line must be one JSON object") from None
    if not isinstance(row, dict):
        raise DataError(
            f"{name} line {number}: a JSON {type(row).__name__}, not an object. Each line must be one object"
        )
    return row


def _renamed(row: dict[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """`fields` maps our name to the row's; a row without that field is left as it is, for the check to speak of."""
    found = {ours: row[theirs] for ours, theirs in fields.items() if theirs in row}
    return {**row, **found} if found else row


def split_files(folder: Path) -> dict[str, Path]:
    """Files of splits by name; where a split is there twice, the first of `SUFFIXES` counts."""
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for suffix in SUFFIXES:
        for path in sorted(folder.glob(f"*{suffix}")):
            found.setdefault(path.name.removesuffix(suffix), path)
    order = ("train", "valid", "test")
    extra = sorted(name for name in found if name.startswith(("test_", "train_")))
    return {name: found[name] for name in (*order, *extra) if name in found}


def _check_hash(path: Path) -> None:
    """Compares a file with the `meta.json` beside it, where there is one that names it."""
    meta = path.parent / "meta.json"
    if not meta.exists():
        return
    try:
        listed = {entry["file"]: entry["sha256"] for entry in json.loads(meta.read_text("utf-8"))["files"]}
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{meta}: expected files: [file, sha256, ...]. Mend or remove it") from None
    expected = listed.get(path.name)
    if expected is None:
        return
    stat = path.stat()
    actual = sha256_of(path, stat.st_mtime_ns, stat.st_size)
    if actual != expected:
        raise DataError(
            f"{path.parent.name}/{path.name}: sha256 is {actual}, meta.json says {expected}. "
            "The file was changed or cut short: fetch it again, or remove meta.json if the change is yours"
        )


@lru_cache(maxsize=1024)
def sha256_of(path: Path, _mtime: int, _size: int) -> str:
    """Hash of a file's bytes; taken once for one state of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
