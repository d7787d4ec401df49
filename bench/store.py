"""Run directories: where cells' files are, and the only truth about what is done.

Every file is written beside its place and renamed into it, so that a reader never sees half of one. `result.json` is a
cell's last file: it exists = the cell is done. A failure (`error.json`) is never taken for a result.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.config import CellSpec
from bench.errors import UserError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` on a temporary file beside `path`, flushes it to disk, and renames it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """JSON with a fixed layout; NaN is refused (callers write null)."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The file's content, or None when it isn't there.

    Raises:
        UserError: it is there but can't be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise UserError(f"{path} can't be read ({error}). Delete it; the cell will be done again.") from None


class CellStore:
    """One cell's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def file(self, name: str) -> Path:
        return self.path / name

    @property
    def result(self) -> Any:
        return read_json(self.file("result.json"))

    @property
    def error(self) -> Any:
        return read_json(self.file("error.json"))

    @property
    def spec(self) -> CellSpec | None:
        stored = read_json(self.file("cell.json"))
        return CellSpec(**stored["spec"]) if stored else None

    def is_done(self, spec: CellSpec) -> bool:
        """Scored, and with the samples that `spec` asks for."""
        result = self.result
        return result is not None and result.get("scoring_key") == spec.scoring_key

    def fail(self, status: str, reason: str, details: str = "") -> None:
        """Records a failure; the next run tries the cell again."""
        write_json(self.file("error.json"), {"status": status, "reason": reason, "details": details})

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """True when this process got the cell, False when another has it. A killed holder's lock is free at once."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.file(".lock"))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


class RunStore:
    """A run directory: `cells/`, `pretrained/`, the grid and the tables."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def cells_path(self) -> Path:
        return self.path / "cells"

    def cell(self, spec: CellSpec) -> CellStore:
        return CellStore(self.cells_path / spec.directory)

    def pretrained(self, key: str) -> Path:
        return self.path / "pretrained" / key[:16]

    def cells(self) -> list[CellStore]:
        """All cells that have begun, in the order of their names."""
        if not self.cells_path.is_dir():
            return []
        return [CellStore(path) for path in sorted(self.cells_path.iterdir()) if (path / "cell.json").exists()]

    def other_versions(self, spec: CellSpec) -> list[CellStore]:
        """Cells of the same task, baseline and seed that were made under another key."""
        found = self.cells_path.glob(f"{spec.slug}.*") if self.cells_path.is_dir() else []
        return [CellStore(path) for path in found if path.name != spec.directory and (path / "cell.json").exists()]

    def remove(self, cell: CellStore) -> None:
        with cell.locked() as mine:
            if not mine:
                raise UserError(f"{cell.path} is being worked on by another run; wait for it, or choose another --out.")
            shutil.rmtree(cell.path)


def difference(old: CellSpec, new: CellSpec) -> str:
    """The first thing that makes two specs of one cell different, in words."""
    if old.baseline_version != new.baseline_version:
        return f"{old.baseline} v{old.baseline_version}, this is v{new.baseline_version}"
    if old.task_version != new.task_version:
        return f"{old.task} v{old.task_version}, this is v{new.task_version}"
    if old.fingerprint != new.fingerprint:
        return f"other data for {old.task} (#{old.fingerprint[:8]}, this is #{new.fingerprint[:8]})"
    if old.plugin_hash != new.plugin_hash:
        return f"another content of the plug-in file of {old.baseline}"
    path, before, after = _first_difference(
        {"config": old.config, "options": old.task_options}, {"config": new.config, "options": new.task_options}
    )
    return f"{old.baseline} on {old.task} with {path}={before!r}, this is {after!r}" if path else "another setting"


def _first_difference(old: Any, new: Any, path: str = "") -> tuple[str, Any, Any]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            found = _first_difference(old.get(key), new.get(key), f"{path}.{key}" if path else key)
            if found[0]:
                return found
        return "", None, None
    return (path, old, new) if old != new else ("", None, None)
