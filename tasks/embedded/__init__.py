"""Small corpora made by grammars written for this project: the data when no real data is at hand.

Each is a pure function of its grammar and seed; `HASHES` says what comes out, and a test asserts it. Numbers measured
on them belong to the quickstart and the tests, and never share a table with numbers measured on real text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from types import MappingProxyType

from tasks.base import DataError
from tasks.embedded import captions, dialogue, poetry, speech, summarization, translation
from tasks.embedded.grammar import SPLITS, Row, Splits, canonical_hash

__all__ = ["DATASETS", "HASHES", "SPLITS", "VERSION", "content_hash", "rows"]

# Goes up whenever the text of any dataset changes.
VERSION = 1
_BUILDERS: Mapping[str, Callable[[], Splits]] = MappingProxyType({
    "poetry": partial(poetry.build, 5),
    "poetry7": partial(poetry.build, 7),
    "speech": speech.build,
    "translation": translation.build,
    "summarization": summarization.build,
    "dialogue": dialogue.build,
    "captions": captions.build,
})  # fmt: skip
DATASETS: tuple[str, ...] = tuple(_BUILDERS)
HASHES: Mapping[str, str] = MappingProxyType({
    "poetry": "656e970aa452a13dafcf43f00e62b5995406c494e14a41bf05bb30bcc7eea341",
    "poetry7": "a24775f43b2f43cb5af7ced97217bc8771a6c83134f90b5ee95b3fc158934f20",
    "speech": "dd1c996e3602408944f57796de858006fd7a4ed931d8e1289293250ff5b7b5fc",
    "translation": "588c1fd2668df9aaaf2dfe9c8fd031dee3ce939ff6cb3cc42e5ddfa5a22028f1",
    "summarization": "0e06e69de923ef1f7e5c5f26912c76dc9e4b6ad39c8cba399844a00de2072f14",
    "dialogue": "f11027ff385e85d542835deb2ecea87c29a23d9278aa2a861ccedd679566a12e",
    "captions": "f10dc32b1db8afffebca42cc20425d1aa85d2ac2c181c71dbe9e910aca3303fa",
})  # fmt: skip


@cache
def _splits(dataset: str) -> Splits:
    if dataset not in _BUILDERS:
        raise DataError(f"embedded: no dataset '{dataset}'; there are {', '.join(DATASETS)}")
    return _BUILDERS[dataset]()


def rows(dataset: str, split: str) -> list[Row]:
    """The rows of one split, with the fields of the real files.

    Args:
        dataset: one of `DATASETS`. `poetry` has 5 characters a line, `poetry7` has 7.
        split: train, valid or test.

    Returns:
        `{"text"}` for poetry, speech and captions; `{"src", "tgt"}` and, outside of train, `"refs"` (the target first)
        for translation; `{"article", "highlights"}` for summarization; `{"context", "response"}` for dialogue. The
        rows are the caller's own to change.

    Raises:
        DataError: no such dataset or split.
    """
    splits = _splits(dataset)
    if split not in splits:
        raise DataError(f"embedded {dataset}: no split '{split}'; there are {', '.join(SPLITS)}")
    return [
        {key: list(value) if isinstance(value, list) else value for key, value in row.items()} for row in splits[split]
    ]


def content_hash(dataset: str) -> str:
    """sha256 of all splits of a dataset as it is generated now; equal to `HASHES[dataset]`."""
    return canonical_hash(_splits(dataset))
