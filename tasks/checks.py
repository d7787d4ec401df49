"""What rows must be before a task uses them: the fields asked, of the right type, not empty, not in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.base import DataError, Example, Row


def text_of(row: Row, name: str) -> str:
    """The text in field `name`."""
    value = _value(row, name)
    if not isinstance(value, str):
        raise DataError(f'{row.place}: field "{name}" is {_kind(value)}, not text. Mend the row')
    return _not_empty(row, name, value)


def texts_of(row: Row, name: str) -> tuple[str, ...]:
    """The texts in field `name`: a list of them, or one."""
    value = _value(row, name)
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DataError(f'{row.place}: field "{name}" is {_kind(value)}, not a list of texts. Mend the row')
    if not value:
        raise DataError(f'{row.place}: field "{name}" is an empty list. Remove the row')
    return tuple(_not_empty(row, name, text) for text in value)


def optional_texts_of(row: Row, name: str) -> tuple[str, ...]:
    """As `texts_of`; none where the row lacks the field."""
    return texts_of(row, name) if row.fields.get(name) is not None else ()


def _value(row: Row, name: str) -> object:
    if name in row.fields:
        return row.fields[name]
    texts = [other for other, value in row.fields.items() if isinstance(value, str | list)]
    suggestion = texts[0] if len(texts) == 1 else "NAME"
    has = ", ".join(row.fields) or "no fields"
    raise DataError(
        f'{row.place}: field "{name}" is missing (row has: {has}). Rename it, or pass --field {name}={suggestion}.'
    )


def _not_empty(row: Row, name: str, text: str) -> str:
    if not text.strip():
        raise DataError(f'{row.place}: field "{name}" is empty. Remove the row')
    return text


def _kind(value: object) -> str:
    names = {"NoneType": "null", "bool": "a truth value", "int": "a number", "float": "a number", "dict": "an object"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")


def key_of(example: Example) -> tuple[str, ...]:
    """What makes two rows the same: their text, white space folded; with its source where there is one."""
    return tuple(" ".join(text.split()) for text in (example.target, *example.source))


def overlap(task: str, keys: Mapping[str, Sequence[tuple[str, ...]]], *, allow: bool) -> list[str]:
    """Looks for rows of one split in another.

    Args:
        keys: of each split, its rows' `key_of`.

    Returns:
        A warning for each pair of splits that share rows, where that is allowed.

    Raises:
        DataError: rows are shared, and `allow` is not set.
    """
    told: list[str] = []
    seen = {name: set(rows) for name, rows in keys.items()}
    names = sorted(keys, key=lambda name: (name != "train", name != "valid"))
    for place, other in enumerate(names):
        for name in names[place + 1 :]:
            if seen[other].isdisjoint(seen[name]):
                continue
            shared = [row for row in keys[name] if row in seen[other]]
            what = f'{len(shared)} lines of {task}/{name} are also in {other} (first: "{_short(shared[0])}")'
            if not allow:
                raise DataError(
                    f"{what}. Scores would be inflated; remove them, "
                    "or pass --allow-overlap to go on with a mark in the table."
                )
            told.append(what)
    return told


def _short(key: tuple[str, ...]) -> str:
    text = " <- ".join(key)
    return text if len(text) <= 80 else text[:77] + "..."
