"""Which data sets are there, what is in them, and which task takes which."""

from __future__ import annotations

import gzip
import hashlib
import json
import typing
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bench.registry import task_registry
from tasks.base import DataError, Origin, Row
from tasks.opening import open_source
from tasks.sources import FileSource, TextSource, sha256_of, split_files

Tell = Callable[[str], None]


@dataclass(frozen=True)
class SplitFile:
    """A split's file; rows and hash are None where they were not looked at, `wrong` says what is the matter."""

    split: str
    file: str
    bytes: int
    rows: int | None
    sha256: str | None
    wrong: str = ""


@dataclass(frozen=True)
class DataSet:
    """A set. `hash` is over its splits' names and hashes; `tasks` are the tasks (with the option) that take it."""

    name: str
    files: tuple[SplitFile, ...]
    hash: str | None
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """A set that a task takes, by default or with an option such as `pair=de-en`."""

    task: str
    dataset: str
    option: str
    licence: str

    @property
    def words(self) -> str:
        return f"{self.task} ({self.option})" if self.option else self.task


class _Asked(Exception):
    """Carries the name of the set that a task asked for."""


class _Listening:
    """A source that has nothing, and hears which set is asked for."""

    origin: Origin = "files"

    def datasets(self) -> tuple[str, ...]:
        return ()

    def resolve(self, task: str, dataset: str) -> NoReturn:  # noqa: ARG002
        raise _Asked(dataset)

    def splits(self, dataset: str) -> NoReturn:
        raise _Asked(dataset)

    def rows(self, dataset: str, split: str, limit: int | None = None) -> list[Row]:  # noqa: ARG002
        raise _Asked(dataset)

    def warnings(self, dataset: str) -> tuple[str, ...]:  # noqa: ARG002
        return ()


def wanted_sets() -> list[Wanted]:
    """Every set that a task takes: that of its defaults, then those of its options. The tasks are asked themselves."""
    found: dict[tuple[str, str], Wanted] = {}
    for name in task_registry().names:
        if name == "oracle":  # draws its own
            continue
        task = task_registry()[name]
        choices: list[tuple[str, dict[str, Any]]] = [("", {})]
        for option, about in task.Options.model_fields.items():
            if typing.get_origin(about.annotation) is typing.Literal:
                choices += [(f"{option}={value}", {option: value}) for value in typing.get_args(about.annotation)]
        for option, values in choices:
            dataset = _asked_for(task, values)
            if dataset is not None:
                found.setdefault((name, dataset), Wanted(name, dataset, option, task.provenance.licence))
    return list(found.values())


def _asked_for(task: Any, options: dict[str, Any]) -> str | None:
    try:
        task(task.Options(**options)).load(_Listening())
    except _Asked as asked:
        return str(asked)
    except (DataError, ValueError):
        return None
    return None


def look(data: str, quick: bool, tell: Tell) -> list[DataSet]:
    """The sets of a folder, or one's own text as one.

    Raises:
        DataError: nothing there.
    """
    source = open_source(data)
    wanted = wanted_sets()
    if isinstance(source, TextSource):
        files = {"all": source.path} if source.path.is_file() else split_files(source.path)
        takers = tuple(task_registry().names)
        return [_set(source.name, files, tuple(name for name in takers if name != "oracle"), quick, tell)]
    if not isinstance(source, FileSource):
        return []
    return [
        _set(name, split_files(source.root / name), _takers(name, wanted), quick, tell) for name in source.datasets()
    ]


def _takers(dataset: str, wanted: Sequence[Wanted]) -> tuple[str, ...]:
    return tuple(one.words for one in wanted if one.dataset == dataset)


def _set(name: str, files: dict[str, Path], takers: tuple[str, ...], quick: bool, tell: Tell) -> DataSet:
    listed = _listed(next(iter(files.values())).parent) if files else {}
    found = tuple(_file(split, path, listed.get(path.name), quick, tell) for split, path in files.items())
    hashes = [f"{one.split} {one.sha256}" for one in found if one.sha256]
    whole = hashlib.sha256("\n".join(hashes).encode()).hexdigest() if len(hashes) == len(found) else None
    return DataSet(name, found, whole, takers)


def _file(split: str, path: Path, listed: dict[str, Any] | None, quick: bool, tell: Tell) -> SplitFile:
    size = path.stat().st_size
    if quick:
        return SplitFile(split, path.name, size, (listed or {}).get("rows"), None)
    if size > 100 * 2**20:
        tell(f"reading {path} ({size / 2**20:.0f} MB)")
    digest = sha256_of(path, path.stat().st_mtime_ns, size)
    rows, wrong = _rows(path)
    if listed and listed.get("sha256") not in (None, digest):
        wrong = wrong or "sha256 is not the one in meta.json: fetch the file again, or mend meta.json"
    return SplitFile(split, path.name, size, rows, digest, wrong)


def _rows(path: Path) -> tuple[int | None, str]:
    opener = gzip.open if path.name.endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            return sum(1 for line in file if line.strip()), ""
    except (OSError, EOFError, zlib.error) as error:
        return None, f"can't be read ({error}): fetch or pack the file again"


def _listed(folder: Path) -> dict[str, dict[str, Any]]:
    """What `meta.json` says of each file; nothing where there is none or it is of another form."""
    try:
        content = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        return {entry["file"]: dict(entry) for entry in content["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def lacking(sets: Sequence[DataSet], wanted: Sequence[Wanted]) -> list[Wanted]:
    """What tasks take by default and isn't there."""
    there = {one.name for one in sets}
    return [one for one in wanted if not one.option and one.dataset not in there]
