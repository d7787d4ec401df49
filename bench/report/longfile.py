"""`results.csv`: one row a value, all columns, exact both ways."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import UserError
from bench.schema import COLUMNS, ScoreRow
from bench.store import write_atomically

_OPTIONAL = ("seed", "higher_is_better")


def cell_order(row: ScoreRow) -> tuple[str, int, str, str, str, int]:
    """Files come out the same whichever cell ended first; inside a cell its own order of metrics stays."""
    seed = -1 if row.seed is None else row.seed
    return row.task, row.task_version, row.data, row.baseline, row.config_hash, seed


def write_results(rows: Iterable[ScoreRow], path: Path) -> None:
    """Sorted by cell; floats with all their digits, NaN and None empty."""
    ordered = sorted(rows, key=cell_order)
    write_csv(path, COLUMNS, ([getattr(row, name) for name in COLUMNS] for row in ordered))


def read_results(path: Path) -> list[ScoreRow]:
    """The rows that `write_results` wrote.

    Raises:
        UserError: no such file, other columns, or a field that can't be what its column asks for.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = tuple(next(lines, ()))
            if header != COLUMNS:
                raise UserError(
                    f"{path} has other columns than results.csv has ({_odd(header)}); see results/README.md."
                )
            return [_row(fields, f"{path} record {number}") for number, fields in enumerate(lines, start=1)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} can't be read as results.csv ({error}); make it anew with the verb report.") from None


def write_csv(path: Path, header: Sequence[str], records: Iterable[Sequence[object]]) -> None:
    """RFC 4180 but for the plain newline; every field with a line end of any kind is quoted."""
    lines = [",".join(map(_field, record)) for record in (header, *records)]
    text = "\n".join(lines) + "\n"
    write_atomically(path, lambda part: part.write_bytes(text.encode()) and None)


def _field(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def _row(fields: list[str], where: str) -> ScoreRow:
    if len(fields) != len(COLUMNS):
        raise UserError(f"{where} has {len(fields)} fields instead of {len(COLUMNS)}; make the file anew.")
    values: dict[str, Any] = dict(zip(COLUMNS, fields, strict=True))
    for name in COLUMNS:
        kind = ScoreRow.model_fields[name].annotation
        if values[name] == "" and (name in _OPTIONAL or kind is float):
            values[name] = None
        elif kind is float:
            values[name] = _number(values[name], where, name)
    try:
        return ScoreRow(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{where}, column {first['loc'][0]}: {first['msg']}; make the file anew.") from None


def _number(text: str, where: str, column: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f'{where}, column {column}: "{text}" is no number; make the file anew.') from None


def _odd(header: Sequence[str]) -> str:
    lacking = [name for name in COLUMNS if name not in header]
    extra = [name for name in header if name not in COLUMNS]
    found = [f"lacking {', '.join(lacking)}"] * bool(lacking) + [f"unknown {', '.join(extra)}"] * bool(extra)
    return "; ".join(found) or "in another order"
