"""The text that people bring to be scored, from bytes to lines: files, what is inside a `.gz`, standard input."""

from __future__ import annotations

import codecs
import gzip
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from bench.errors import UserError

STDIN = Path("-")
FORMATS = ("txt", "jsonl", "json", "csv", "tsv")
SUFFIXES: Mapping[str, str] = MappingProxyType(
    {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv"}
)
BREAK = " / "  # how a line of a .txt writes a line break inside one text, as the verb `sample` prints it


def named(path: Path) -> str:
    return "stdin" if path == STDIN else str(path)


def format_of(path: Path, asked: str | None = None) -> str:
    """As asked, else by the name's ending (before `.gz`); what has no known one is lines of text."""
    if asked is not None:
        return asked
    inner = path.with_suffix("") if path.suffix == ".gz" else path
    return SUFFIXES.get(inner.suffix.lower(), "txt")


def read_lines(path: Path) -> list[str]:
    """The file's lines (of a `.gz`, those inside); a byte-order mark and carriage returns at line ends go.

    Raises:
        UserError: not there, broken, or not UTF-8 with line feeds (the line and its byte are named).
    """
    text = read_text(path)
    _refuse_carriage_returns(text, path)
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]


def read_text(path: Path) -> str:
    """All of the file, decoded; a byte-order mark goes.

    Raises:
        UserError: not there, broken, or not UTF-8 (the line and its byte are named).
    """
    content = _content(path).removeprefix(codecs.BOM_UTF8)
    _refuse_other_text(content, path)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line, byte = _position(content, error.start)
        raise UserError(f"{named(path)} line {line}: not UTF-8 (byte {byte}). Convert it, as with iconv.") from None


def _content(path: Path) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read()
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is not a whole gzip file ({error}). Fetch or make it again.") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}.") from None


def _refuse_other_text(content: bytes, path: Path) -> None:
    """What could be read as UTF-8 lines, and would be scored as something that nobody wrote."""
    if content.startswith(b"\x1f\x8b"):
        remedy = "Unpack it." if path == STDIN else f"Unpack it, or name it {path.name}.gz."
        raise UserError(f"{named(path)} line 1: gzip, not text (byte 1). {remedy}")
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
    if content.startswith(marks) or 4 * content.count(0) > len(content):  # in UTF-16, half of plain English is zeros
        line, byte = _position(content, 0 if content.startswith(marks) else content.index(0))
        raise UserError(
            f"{named(path)} line {line}: UTF-16 or UTF-32, not UTF-8 (byte {byte}). "
            "Convert it, as with iconv -f UTF-16."
        )


def _refuse_carriage_returns(text: str, path: Path) -> None:
    if "\n" not in text and "\r" in text[:-1]:
        byte = len(text[: text.index("\r")].encode()) + 1
        raise UserError(
            f"{named(path)} line 1: a carriage return (byte {byte}), and no line feed in all the file. "
            "Where they end lines, convert them, as with tr '\\r' '\\n'."
        )


def _position(content: bytes, at: int) -> tuple[int, int]:
    """Line and byte of a place, both counted from 1."""
    return content.count(b"\n", 0, at) + 1, at - content.rfind(b"\n", 0, at)
