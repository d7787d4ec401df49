"""Reads a run directory's cells into rows; the store is the only truth about what is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.schema import ScoreRow, row_head
from bench.store import CellStore, RunStore, read_json

NAN = float("nan")


def collect(store: RunStore, directories: Sequence[str] | None = None) -> list[ScoreRow]:
    """Rows of all cells, or of the named ones: values of the finished, one row with the reason for each other."""
    rows: list[ScoreRow] = []
    for cell in store.cells():
        if directories is not None and cell.path.name not in directories:
            continue
        result = cell.result
        if result is not None:
            rows += [ScoreRow(**row) for row in result["rows"]]
        else:
            rows += failure(cell)
    return rows


def failure(cell: CellStore) -> list[ScoreRow]:
    """The row of a cell that has no result; none for one that is merely unfinished."""
    error, about = cell.error, read_json(cell.file("cell.json"))
    if error is None or about is None:
        return []
    model: dict[str, Any] = read_json(cell.file("model.json")) or {}
    return [
        ScoreRow(
            **row_head(about, cell.path.name),
            stage="final",
            split="test",
            decoding="",
            metric=about["primary"],
            value=NAN,
            ci_low=NAN,
            ci_high=NAN,
            n=0,
            higher_is_better=None,
            primary=True,
            signature="",
            status=error["status"],
            reason=error["reason"],
            train_seconds=model.get("train_seconds", NAN),
            device=model.get("device", ""),
            peak_memory_mb=model.get("peak_memory_mb", NAN),
            parameters=model.get("parameters", 0),
        )
    ]
