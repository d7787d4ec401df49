"""From what `--data` says to a source of rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tasks.base import DataError, Source
from tasks.sources import EmbeddedSource, FileSource, TextSource, split_files


def open_source(data: str | None = None, *, fields: Mapping[str, str] | None = None) -> Source:
    """Finds the kind of source that `data` names.

    Args:
        data: None or `embedded` for the embedded corpora; `hub`, or `hub:ID[:CONFIG]@REVISION`; a folder of sets, or
            of one set; a `.txt` or `.jsonl` file, or a folder of such.
        fields: names for fields that the rows call otherwise, as `{"text": "caption"}`.

    Raises:
        DataError: nothing there, or nothing that can be read.
    """
    renames = dict(fields or {})
    if data is None or data == "embedded":
        return EmbeddedSource(renames)
    if data == "hub" or data.startswith("hub:"):
        from tasks.hub import HubSource

        return HubSource.parse(data, renames)
    path = Path(data).expanduser()
    if not path.exists():
        raise DataError(f"no data at {path}: give a folder of sets, a .txt or .jsonl file, or hub")
    if path.is_file() or (split_files(path) and "train" in split_files(path)):
        return TextSource(path, renames)
    if not FileSource(path, renames).datasets():
        raise DataError(
            f"{path} holds no set: expected SET/train.jsonl[.gz], valid, test in it, or train.txt; see docs/data.md"
        )
    return FileSource(path, renames)
