"""What is given to be scored: texts, and what else its file says of each (references, sources, its number)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.outside.inputs import BREAK, FORMATS, STDIN, format_of, named, read_lines
from bench.outside.records import Record, field_of, read_records, text_in, texts_in, value_in

TEXT_FIELDS = ("text", "generated", "output", "prediction")
REFERENCE_FIELDS = ("references", "reference", "target", "text")
SOURCE_FIELDS = ("source", "sources", "text")
NUMBER_FIELDS = ("index", "id")
IN_FILE_ORDER = "none"
OUR_OWN = frozenset({"stage", "split", "decoding", "index", "text"})  # fields of a cell's samples.jsonl
SHOWN = 5  # of the numbers that a complaint names

Texts = Path | Sequence[str]


@dataclass(frozen=True)
class Columns:
    """Names of fields, where they are asked for; None: guessed, or not there."""

    text: str | None = None
    references: str | None = None
    sources: str | None = None
    number: str | None = None  # `none`: rows stand in order


@dataclass(frozen=True)
class Given:
    """Samples in the order of their file.

    Attributes:
        name: the file's, for messages and signatures.
        numbers: what row i calls itself, and where it stands; None where rows have no number.
        decoding: how they were drawn, where that was said.
        lines: they come from lines of a .txt, which can't hold a line break.
    """

    name: str
    texts: list[str]
    references: list[tuple[str, ...]] | None = None
    sources: list[tuple[str, ...]] | None = None
    numbers: list[tuple[int, str]] | None = None
    decoding: str = ""
    lines: bool = False

    @property
    def digest(self) -> str:
        return content_digest(self.texts)

    def in_order(self, count: int) -> Given:
        """Put in the order of their numbers, which are those of `count` items, from 0 or from 1.

        Raises:
            UserError: some are missing, twice there or too many; they are named.
        """
        if self.numbers is None:
            return self
        order = _order(self.numbers, count, self.name)

        def sort(values: list[Any] | None) -> Any:
            return None if values is None else [values[place] for place in order]

        return replace(
            self, texts=sort(self.texts), references=sort(self.references), sources=sort(self.sources), numbers=None
        )

    def like(self, references: Sequence[str]) -> Given:
        """Where references have line breaks, ` / ` in a line of a .txt is one."""
        if not self.lines or not any("\n" in text for text in references):
            return self
        return replace(self, texts=[text.replace(BREAK, "\n") for text in self.texts])


def read_given(samples: Texts, columns: Columns, form: str | None = None, decoding: str | None = None) -> Given:
    """The samples of a file, of standard input (`-`), or of a list.

    Args:
        form: of FORMATS; None: by the file's name.
        decoding: of a cell's `samples.jsonl`, which of them; of any other file, how they were drawn.

    Raises:
        UserError: no such file, other fields, or bytes that are no text.
    """
    if not isinstance(samples, Path):
        return Given("the list", texts_of(samples, "the list"), decoding=decoding or "")
    if form is not None and form not in FORMATS:
        raise UserError(f'no format "{form}"; there are: {", ".join(FORMATS)}.')
    name, found = named(samples), format_of(samples, form)
    if found == "txt":
        return _of_lines(samples, columns, form is not None, decoding)
    records = read_records(samples, found)
    if not records:
        return Given(name, [])
    if records[0].values.keys() >= OUR_OWN:
        records, decoding = _one_set(records, decoding, name)
    field = field_of(records, columns.text, TEXT_FIELDS, "--text-field")
    return Given(
        name,
        [text_in(record, field, "--text-field") for record in records],
        _optional(records, columns.references, "--references-field"),
        _optional(records, columns.sources, "--sources-field"),
        _numbers(records, columns.number),
        decoding or "",
    )


def read_texts(texts: Texts, guesses: Sequence[str], asked: str | None, flag: str) -> list[tuple[str, ...]]:
    """References, sources or training text: one or several texts a row."""
    if not isinstance(texts, Path):
        return [(text,) for text in texts_of(texts, "the list")]
    form = format_of(texts)
    if form == "txt":
        return [(line,) for line in read_lines(texts)]
    records = read_records(texts, form)
    field = field_of(records, asked, guesses, flag) if records else ""
    return [texts_in(record, field, flag) for record in records]


def texts_of(values: Sequence[Any], name: str) -> list[str]:
    """A list from Python, checked."""
    if isinstance(values, str | bytes):
        raise UserError(f"{name}: one text; give a list of texts, or the path of a file.")
    wrong = next((place for place, value in enumerate(values) if not isinstance(value, str)), None)
    if wrong is not None:
        raise UserError(f"{name}, item {wrong}: {type(values[wrong]).__name__}, not text.")
    return list(values)


def content_digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).hexdigest()


def _of_lines(path: Path, columns: Columns, sure: bool, decoding: str | None) -> Given:
    lines, name = read_lines(path), named(path)
    asked = {"text": columns.text, "references": columns.references, "sources": columns.sources}
    flag = next((key for key, value in asked.items() if value is not None), None)
    if flag is not None:
        raise UserError(f"--{flag}-field: {name} is lines of text without fields; is it --format jsonl or csv?")
    if not sure and lines and _is_object(lines[0]):
        raise UserError(
            f"{name} line 1 is a JSON object: pass --format jsonl, or --format txt to score the lines as they are."
        )
    return Given(name, lines, decoding=decoding or "", lines=True)


def _is_object(line: str) -> bool:
    if not line.startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _one_set(records: Sequence[Record], decoding: str | None, name: str) -> tuple[list[Record], str]:
    """Of a cell's samples: those of its final model on the test split, drawn in one way."""
    final = [each for each in records if (each.values["stage"], each.values["split"]) == ("final", "test")]
    there = list(dict.fromkeys(str(record.values["decoding"]) for record in final))
    if decoding is None and len(there) == 1:
        return final, there[0]
    if decoding not in there:
        what = "samples of several decodings" if decoding is None else f'no samples of decoding "{decoding}"'
        listed = ", ".join(each or '"" (real text)' for each in there) or "none of the final model on test"
        raise UserError(f"{name} has {what}; it has: {listed}. Choose one: --decoding {there[0] if there else 'NAME'}.")
    return [record for record in final if record.values["decoding"] == decoding], str(decoding)


def _optional(records: Sequence[Record], field: str | None, flag: str) -> list[tuple[str, ...]] | None:
    return None if field is None else [texts_in(record, field, flag) for record in records]


def _numbers(records: Sequence[Record], asked: str | None) -> list[tuple[int, str]] | None:
    """What rows call themselves; None where they don't, or where a name that was guessed holds other things."""
    if asked == IN_FILE_ORDER:
        return None
    field = asked or next((name for name in NUMBER_FIELDS if name in records[0].values), None)
    if field is None:
        return None
    numbers = []
    for record in records:
        number = _whole(value_in(record, field, "--id-field"))
        if number is None and asked is None:
            return None
        if number is None:
            raise UserError(f'{record.place}: field "{field}" is no whole number: it puts no rows in order.')
        numbers.append((number, record.place))
    return numbers


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _order(numbers: Sequence[tuple[int, str]], count: int, name: str) -> list[int]:
    places: dict[int, int] = {}
    for place, (number, where) in enumerate(numbers):
        if number in places:
            raise UserError(f"{where}: number {number} stands twice (also in {numbers[places[number]][1]}).")
        places[number] = place
    start = 0 if 0 in places else 1
    wanted = range(start, start + count)
    missing = [number for number in wanted if number not in places]
    others = [number for number in places if number not in wanted]
    if missing or others:
        raise UserError(
            f"{name}: rows are to be numbered {wanted[0]} to {wanted[-1]}, one for each source; "
            f"{_listed(missing, 'missing')}{'; ' if missing and others else ''}{_listed(others, 'unknown')}. "
            "To take them in the order of the file: --id-field none."
        )
    return [places[number] for number in wanted]


def _listed(numbers: Sequence[int], what: str) -> str:
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"{what}: {', '.join(map(str, numbers[:SHOWN]))}{more}" if numbers else ""


def data_field(texts: Texts, rows: Sequence[tuple[str, ...]]) -> Mapping[str, str]:
    """References of equal number are not the same references: their name and hash go into the signature."""
    if not isinstance(texts, Path):
        return {"data": f"list#{content_digest([list(row) for row in rows])[:8]}"}
    if texts == STDIN:
        return {"data": f"stdin#{content_digest([list(row) for row in rows])[:8]}"}
    name = texts.name.encode("utf-8", "backslashreplace").decode()
    return {"data": f"{name}#{hashlib.sha256(texts.read_bytes()).hexdigest()[:8]}"}
