"""One side of a comparison, as it was named: a run directory, a folder with a `results.csv`, or the file itself."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.registry import know_metrics_of
from bench.schema import ScoreRow, row_head
from bench.stats.resampling import Floats
from bench.store import CellStore, RunStore, read_json


@dataclass(frozen=True)
class Results:
    """The rows of one side, and where per-item statistics are to be found.

    Attributes:
        name: as the user wrote it.
        rows: values, and a row for each cell without a result.
        cells: the folder of the cells; None where there is only a table, which has no items.
    """

    name: str
    rows: Sequence[ScoreRow]
    cells: Path | None = None

    def kind(self, cell: str) -> str:
        """`free` or `conditional`; empty where that can't be known."""
        about = read_json(self.cells / cell / "cell.json") if self.cells else None
        return str(about.get("kind", "")) if isinstance(about, dict) else ""

    def items(self, cell: str, key: str) -> Floats | None:
        """Statistics [items, k] of one value of a cell (`stage|split|decoding|metric`), or None where it has none.

        Raises:
            UserError: the file is broken.
        """
        path = self.cells / cell / "items.npz" if self.cells else None
        if path is None or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return np.asarray(arrays[key], dtype=np.float64) if key in arrays else None
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            where = self.cells.parent if self.cells else path
            raise UserError(f"{path} can't be read ({error}). Make it anew: run_bench.py score {where}") from None


def read(path: str) -> Results:
    """Reads a side.

    Raises:
        UserError: nothing there, no results.csv, or no value in it.
    """
    from bench.report.longfile import read_results

    place = Path(path)
    try:
        is_run, is_folder, is_there = (place / "cells").is_dir(), place.is_dir(), place.exists()
    except OSError as error:  # a name that no file can have
        raise UserError(f"{path}: {error.strerror}.") from None
    if not is_there:
        raise UserError(f"{path}: no such run directory or results.csv.")
    if is_run:
        store = RunStore(place)
        know_metrics_of(read_json(cell.file("cell.json")).get("spec", {}).get("plugins", ()) for cell in store.cells())
        found = Results(path, rows_of_run(store), place / "cells")
    else:
        if is_folder and not (place / "results.csv").is_file():
            raise UserError(f"{path} has neither cells/ nor a results.csv: it is no run directory and no reference.")
        found = Results(path, read_results(place / "results.csv" if is_folder else place))
    if not found.rows:
        raise UserError(f"{path} has no values yet.")
    return found


def rows_of_run(store: RunStore) -> list[ScoreRow]:
    """What `results.csv` has, and a row for each cell that was begun and not ended."""
    from bench.report.collect import collect

    rows = collect(store)
    return rows + [_unfinished(cell) for cell in store.cells() if cell.result is None and cell.error is None]


def _unfinished(cell: CellStore) -> ScoreRow:
    about: dict[str, Any] = read_json(cell.file("cell.json"))
    return ScoreRow(
        **row_head(about, cell.path.name), stage="final", split="test", decoding="", metric="", value=math.nan,
        ci_low=math.nan, ci_high=math.nan, n=0, higher_is_better=None, primary=False, signature="", status="missing",
        reason="begun and not ended", train_seconds=math.nan, device="", peak_memory_mb=math.nan, parameters=0,
    )  # fmt: skip
