"""Files with fields: JSON lines, a JSON list, tables. Every complaint names the file, the line and the field."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.outside.inputs import named, read_text

KINDS = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number", str: "text"}


@dataclass(frozen=True)
class Record:
    """One row and where it stands."""

    place: str
    values: Mapping[str, Any]


def read_records(path: Path, form: str) -> list[Record]:
    """The rows of a `jsonl`, `json`, `csv` or `tsv` file, in its order; blank lines are no rows.

    Raises:
        UserError: not there, not text, or not what its form asks for.
    """
    text, name = read_text(path), named(path)
    if form == "jsonl":
        return list(_json_lines(text, name))
    if form == "json":
        return list(_json_list(text, name))
    return list(_table(text, name, "\t" if form == "tsv" else ","))


def _json_lines(text: str, name: str) -> Iterator[Record]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _record(_parsed(line, f"{name} line {number}"), f"{name} line {number}")


def _json_list(text: str, name: str) -> Iterator[Record]:
    value = _parsed(text, name) if text.strip() else []
    if not isinstance(value, list):
        keys = f" with {', '.join(map(str, value))}" if isinstance(value, dict) else ""
        raise UserError(f"{name} is {_kind(value)}{keys}, not a list. Give the list of samples alone.")
    for number, item in enumerate(value, 1):
        yield _record(item, f"{name} item {number}")


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = f" in its line {error.lineno}," if error.lineno > 1 else ""
        raise UserError(f"{place}: not JSON ({error.msg},{line} at column {error.colno}).") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: JSON that can't be read ({error}).") from None


def _record(value: Any, place: str) -> Record:
    if isinstance(value, str):
        return Record(place, {"text": value})
    if not isinstance(value, dict):
        raise UserError(f"{place}: {_kind(value)}, neither text nor an object with fields.")
    return Record(place, value)


def _table(text: str, name: str, delimiter: str) -> Iterator[Record]:
    """RFC 4180: quotes may hold delimiters and line breaks, which are kept; the first row names the columns."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    with _cells_of_any_size():
        try:
            header = next((row for row in lines if row), [])
            _check_header(header, name, delimiter)
            began = lines.line_num + 1
            for row in lines:
                if row and len(row) != len(header):
                    raise UserError(
                        f"{name} line {began}: {len(row)} cells, and {len(header)} columns are named in the first row. "
                        'A cell with a delimiter, a quote or a line break stands in quotes ("), quotes in it doubled.'
                    )
                if row:
                    yield Record(f"{name} line {began}", dict(zip(header, row, strict=True)))
                began = lines.line_num + 1
        except csv.Error as error:
            raise UserError(f"{name} line {lines.line_num}: {error}, so this is not a whole table.") from None


def _check_header(header: Sequence[str], name: str, delimiter: str) -> None:
    twice = next((column for column in header if header.count(column) > 1), None)
    if twice is not None:
        raise UserError(f'{name} line 1: two columns are named "{twice}". Rename one.')
    others = {";": "semicolons", "\t": "tabs (name it .tsv, or pass --format tsv)", ",": "commas"}
    found = [words for mark, words in others.items() if mark != delimiter and mark in (header or [""])[0]]
    if len(header) == 1 and found:
        parted = "commas" if delimiter == "," else "tabs"
        raise UserError(
            f'{name} line 1: one column, "{header[0]}"; cells seem to be parted by {found[0]}, not {parted}.'
        )


@contextmanager
def _cells_of_any_size() -> Iterator[None]:
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def field_of(records: Sequence[Record], asked: str | None, guesses: Sequence[str], flag: str) -> str:
    """As asked, else the first of the guesses that the first row has.

    Raises:
        UserError: it has none of them.
    """
    if asked is not None:
        return asked
    first = records[0]
    found = next((name for name in guesses if name in first.values), None)
    if found is None:
        texts = [key for key, value in first.values.items() if isinstance(value, str)]
        raise UserError(
            f"{first.place}: no field is named {', '.join(guesses[:-1])} or {guesses[-1]} "
            f"(the row has: {_keys(first)}). Say which it is: {flag} {(texts or ['NAME'])[0]}."
        )
    return found


def text_in(record: Record, field: str, flag: str) -> str:
    """The field's text.

    Raises:
        UserError: the row lacks it, or it is no text.
    """
    return _text(value_in(record, field, flag), record.place, field)


def texts_in(record: Record, field: str, flag: str) -> tuple[str, ...]:
    """The field's texts: a list of them, or one."""
    value = value_in(record, field, flag)
    if not isinstance(value, list):
        return (_text(value, record.place, field),)
    if not value:
        raise UserError(f'{record.place}: field "{field}" is an empty list.')
    return tuple(_text(each, record.place, field) for each in value)


def value_in(record: Record, field: str, flag: str) -> Any:
    if field not in record.values:
        raise UserError(
            f'{record.place}: no field "{field}" (the row has: {_keys(record)}). Rename it, or pass {flag} NAME.'
        )
    return record.values[field]


def _text(value: Any, place: str, field: str) -> str:
    if not isinstance(value, str):
        raise UserError(f'{place}: field "{field}" is {_kind(value)}, not text.')
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f'{place}: field "{field}" holds half of a surrogate pair, which is no text.') from None
    return value


def _keys(record: Record) -> str:
    return ", ".join(map(str, record.values)) or "nothing"


def _kind(value: Any) -> str:
    return "null" if value is None else KINDS.get(type(value), type(value).__name__)
