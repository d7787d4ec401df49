"""Rows of results as pandas tables, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from pydantic import ValidationError

from bench.errors import UserError, complaint
from bench.schema import COLUMNS, ScoreRow

RUN = "run"  # the column that says which of several runs a row is of
KINDS = {int: "int64", float: "float64", bool: "bool", str: "str", int | None: "Int64", bool | None: "boolean"}
DTYPES = {name: KINDS.get(ScoreRow.model_fields[name].annotation, "str") for name in COLUMNS}  # type: ignore[arg-type]


def to_frame(rows: Iterable[ScoreRow]) -> pd.DataFrame:
    """The columns of `results.csv`, in their order; types as DTYPES has them, whatever the rows hold."""
    return typed([{name: getattr(row, name) for name in DTYPES} for row in rows], DTYPES)


def typed(records: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> pd.DataFrame:
    """A table of these columns and types, of no rows too; None is NA, or NaN in a column of floats."""
    array: Any = pd.array
    return pd.DataFrame({name: array([each[name] for each in records], dtype=kind) for name, kind in kinds.items()})


def to_rows(frame: pd.DataFrame) -> list[ScoreRow]:
    """What `to_frame` was given; other columns are left aside.

    Raises:
        UserError: a column is missing, or holds what it can't.
    """
    lacking = [name for name in COLUMNS if name not in frame.columns]
    if lacking:
        raise UserError(f"the table lacks {', '.join(lacking)}; give one that load_results made, with all its columns.")
    records = frame.loc[:, list(COLUMNS)].astype(object).to_dict("records")
    try:
        return [ScoreRow(**{str(name): _plain(value) for name, value in record.items()}) for record in records]
    except ValidationError as error:
        raise complaint(error, "the table", COLUMNS) from None


def _plain(value: Any) -> Any:
    """NA is None, which becomes NaN where the column holds numbers."""
    if value is pd.NA or value is None:
        return None
    return value.item() if hasattr(value, "item") else value
