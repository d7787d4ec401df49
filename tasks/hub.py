"""Sets from the Hugging Face hub, written through to the layout of files, so that they are fetched once and hashed.

Needs the extra `[hub]` (library `datasets`). The same path reads a local folder of parquet files.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tasks.base import DataError, Origin, Row
from tasks.cache import cache_folder
from tasks.sources import FileSource

_FORM = re.compile(r"hub:(?P<id>[^@:]+)(?::(?P<config>[^@]+))?(?:@(?P<revision>[^@]+))?")
_SPLITS = {"train": "train", "validation": "valid", "valid": "valid", "dev": "valid", "test": "test"}


@dataclass(frozen=True)
class HubSet:
    """A set on the hub at one commit.

    Attributes:
        revision: the full commit hash; None only for a local folder.
        max_train: rows of train that are taken, from its start; None for all.
    """

    id: str
    config: str | None
    revision: str | None
    max_train: int | None = None

    @property
    def local(self) -> bool:
        return Path(self.id).expanduser().is_dir()


# WMT14 has 40.8 (fr-en) and 4.5 (de-en) million pairs; a million is what fits a machine's memory beside a model.
CANONICAL: Mapping[str, HubSet] = {
    "sum_cnndm": HubSet("abisee/cnn_dailymail", "3.0.0", "96df5e686bee6baa90b8bee7c28b81fa3fa6223d"),
    "mt_en_fr": HubSet("wmt/wmt14", "fr-en", "b199e406369ec1b7634206d3ded5ba45de2fe696", 1_000_000),
    "mt_de_en": HubSet("wmt/wmt14", "de-en", "b199e406369ec1b7634206d3ded5ba45de2fe696", 1_000_000),
}


@dataclass(frozen=True)
class HubSource:
    """The canonical public sets by our names, or one set (`chosen`) for whichever task is asked."""

    chosen: HubSet | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    cache: Path = field(default_factory=cache_folder)
    origin: Origin = "hub"

    @classmethod
    def parse(cls, text: str, fields: Mapping[str, str] | None = None) -> HubSource:
        """`hub`, `hub:ID[:CONFIG]@REVISION`, or `hub:FOLDER` with parquet files."""
        if text == "hub":
            return cls(None, fields or {})
        match = _FORM.fullmatch(text)
        if match is None:
            raise DataError(f"{text!r} is not hub:ID[:CONFIG]@REVISION, as hub:abisee/cnn_dailymail:3.0.0@96df5e6...")
        chosen = HubSet(match["id"], match["config"], match["revision"])
        if chosen.revision is None and not chosen.local:
            raise DataError(f"{text}: name the revision, hub:ID@REVISION (the commit hash on its page): sets change")
        return cls(chosen, fields or {})

    def datasets(self) -> tuple[str, ...]:
        return tuple(CANONICAL) if self.chosen is None else (self.chosen.id,)

    def resolve(self, task: str, dataset: str) -> str:
        if self.chosen is None and dataset not in CANONICAL:
            there = ", ".join(CANONICAL)
            raise DataError(
                f"{task}: no pinned hub set for {dataset!r} (there is: {there}); give hub:ID@REVISION or --data"
            )
        return dataset

    def splits(self, dataset: str) -> tuple[str, ...]:
        return self._files(dataset).splits(dataset)

    def rows(self, dataset: str, split: str, limit: int | None = None) -> list[Row]:
        return self._files(dataset).rows(dataset, split, limit)

    def warnings(self, dataset: str) -> tuple[str, ...]:
        meta = json.loads((self._files(dataset).root / dataset / "meta.json").read_text("utf-8"))
        cut = meta.get("max_train")
        return (f"{dataset}: the first {cut} rows of train at most are taken from the hub",) if cut else ()

    def _files(self, dataset: str) -> FileSource:
        """The set as files; fetched and written first where it is not there yet."""
        wanted = self.chosen or CANONICAL[dataset]
        root = self.cache / "hub" / _slug(wanted)
        if not (root / dataset / "meta.json").exists():
            _write_through(wanted, dataset, root)
        return FileSource(root, self.fields, "hub")


def _slug(wanted: HubSet) -> str:
    state = ""
    if wanted.local:
        folder = Path(wanted.id).expanduser().resolve()
        stats = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*.parquet"))]
        state = hashlib.sha256(repr(stats).encode()).hexdigest()[:16]
    first = f"first{wanted.max_train}" if wanted.max_train else None
    parts = (wanted.id, wanted.config, wanted.revision or state, first)
    return re.sub(r"[^A-Za-z0-9.@_-]+", "-", "@".join(part for part in parts if part)).strip("-")


def _write_through(wanted: HubSet, dataset: str, root: Path) -> None:
    """All splits into a folder beside the final one, which is then moved into place: half a set is never seen."""
    loaded = _load(wanted)
    root.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{dataset}-", dir=root))
    try:
        files: list[dict[str, Any]] = []
        for theirs, ours in _SPLITS.items():
            if theirs in loaded and not any(entry["split"] == ours for entry in files):
                rows = islice(loaded[theirs], wanted.max_train if ours == "train" else None)
                files.append({"split": ours, **_write(part / f"{ours}.jsonl.gz", _converted(rows, dataset))})
        if not files:
            raise DataError(f"hub {wanted.id}: no train, validation or test split (there is: {', '.join(loaded)})")
        source = {"id": wanted.id, "config": wanted.config, "revision": wanted.revision, "max_train": wanted.max_train}
        (part / "meta.json").write_text(json.dumps({"task": dataset, **source, "files": files}, indent=1), "utf-8")
        try:
            os.rename(part, root / dataset)
        except OSError:
            if not (root / dataset / "meta.json").exists():  # else another process was first, with the same rows
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _load(wanted: HubSet) -> Mapping[str, Iterable[dict[str, Any]]]:
    try:
        import datasets
    except ImportError as error:
        raise DataError("the hub needs the library `datasets`: pip install 'gantlet[hub]'") from error
    name = str(Path(wanted.id).expanduser().resolve()) if wanted.local else wanted.id
    try:
        loaded: Mapping[str, Iterable[dict[str, Any]]] = datasets.load_dataset(
            name, wanted.config, revision=wanted.revision, streaming=True
        )
    except Exception as error:  # the library raises many kinds: connection, missing set, script-based set
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"hub {wanted.id}: cannot be loaded ({type(error).__name__}: {reason})") from error
    return loaded


def _converted(rows: Iterable[dict[str, Any]], dataset: str) -> Iterator[dict[str, Any]]:
    """Flattens the hub's form of translations, `{"translation": {"en": ..., "fr": ...}}`, for `mt_en_fr`."""
    pair = re.fullmatch(r"mt_([a-z]{2})_([a-z]{2})", dataset)
    for row in rows:
        both = row.get("translation")
        if pair and isinstance(both, dict) and pair[1] in both and pair[2] in both:
            yield {"src": both[pair[1]], "tgt": both[pair[2]]}
        else:
            yield row


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    count = 0
    # mtime=0: the same rows give the same bytes, and so the same hash.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        for row in rows:
            count += 1
            file.write(json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n")
    with path.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    return {"file": path.name, "rows": count, "bytes": path.stat().st_size, "sha256": sha256}
