"""One side of a corpus (its targets, or its sources) as ids: every distinct line is cut once, the rest is arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
import numpy.typing as npt

from tasks.base import Ragged
from tasks.text import BREAK, Codec, Subwords, Tokeniser, subword_vocabulary, train_subwords, vocabulary_of

Long = Literal["cut", "drop"]
Lengths = npt.NDArray[np.int64]
_SUBWORDS = 8000


@dataclass(frozen=True)
class Side:
    """How the target, or the source, becomes ids.

    Attributes:
        tokeniser: None for byte-level BPE, learned from train.
        max_tokens: `</s>` included.
        long: what becomes of longer rows: cut, or dropped from train (rows of other splits are never dropped).
        keep: which end of a cut row stays; a dialogue's last words matter most.
        lines: line breaks of the text are tokens.
        max_lines: of more lines the last are kept, and the row counts as cut; goes with `keep="end"`, so that what is
            left of a row is one of its ends.
    """

    tokeniser: Tokeniser | None
    max_tokens: int
    max_vocab: int | None = None
    min_count: int = 1
    long: Long = "cut"
    keep: Literal["start", "end"] = "start"
    lines: bool = False
    max_lines: int | None = None
    lower: bool = False

    def __post_init__(self) -> None:
        if self.max_lines is not None and self.keep == "start":
            raise ValueError('max_lines keeps the last lines: give keep="end" too')


class SideText:
    """The texts of one side, by split, cut into tokens; then numbered, once it is known which rows of train stay.

    Tokens have provisional numbers, in order of first sight. The codec's ids come from them by one look-up table.
    """

    def __init__(self, side: Side, texts: Mapping[str, Sequence[str]]) -> None:
        self.side = side
        self.extra = (BREAK,) if side.lines else ()
        self.tokeniser = side.tokeniser or self._learn(texts["train"])
        places: dict[str, int] = _numbering()
        # Of each row the numbers of its lines.
        numbered = {name: self._numbered(rows, places) for name, rows in texts.items()}
        self._rows = {name: Ragged.from_lists(self._last_lines(rows)) for name, rows in numbered.items()}
        most = side.max_lines or np.inf
        self._lost_lines = {name: np.array([len(row) > most for row in rows]) for name, rows in numbered.items()}
        tokens: dict[str, int] = _numbering()
        cut = [self.tokeniser.tokenise(line) for line in places]
        self._lines = _ragged(map(tokens.__getitem__, chain.from_iterable(cut)), [len(line) for line in cut])
        self._tokens = list(tokens)

    def _learn(self, train: Sequence[str]) -> Subwords:
        size = (self.side.max_vocab or _SUBWORDS) - 2 - len(self.extra)
        return train_subwords(train, size, self.side.min_count, self.side.lower)

    def _numbered(self, texts: Sequence[str], places: Mapping[str, int]) -> list[list[int]]:
        if self.side.lines:
            return [[places[line] for line in text.split("\n")] for text in texts]
        return [[places[text]] for text in texts]

    def _last_lines(self, rows: list[list[int]]) -> list[list[int]]:
        return rows if self.side.max_lines is None else [row[-self.side.max_lines :] for row in rows]

    def lengths(self, split: str) -> Lengths:
        """Tokens of each row, breaks between lines included, `</s>` not."""
        rows = self._rows[split]
        ends = np.concatenate([[0], np.cumsum(self._lines.lengths[rows.flat] + 1)])
        return np.diff(ends[rows.offsets]) - 1

    def keep_of_train(self, rows: npt.NDArray[np.int64]) -> None:
        self._rows["train"] = self._rows["train"].take(rows)
        self._lost_lines["train"] = self._lost_lines["train"][rows]

    def codec(self) -> Codec:
        """The codec that the rows of train ask for."""
        separator = 2 if self.extra else None
        if isinstance(self.tokeniser, Subwords):
            return Codec(subword_vocabulary(self.tokeniser, self.extra), self.tokeniser, separator)
        times = np.bincount(self._rows["train"].flat, minlength=len(self._lines))
        weights = np.repeat(times, self._lines.lengths)
        # Sums in floats are exact up to 2^53.
        counts = np.bincount(self._lines.flat, weights, minlength=len(self._tokens)).astype(np.int64)
        seen = dict(zip(self._tokens, counts.tolist(), strict=True))
        vocab = vocabulary_of(seen, self.side.max_vocab, max(1, self.side.min_count), self.extra)
        return Codec(vocab, self.tokeniser, separator)

    def ids(self, codec: Codec, split: str, role: Literal["target", "source", "fixed"]) -> tuple[Ragged, int]:
        """Ids of a split's rows and how many of them were cut.

        A cut target has no `</s>` (the model must not learn that texts end there); a source always ends in it; rows of
        fixed length never do.
        """
        rows, eos = self._rows[split], codec.vocab.eos or 0
        table = np.array(codec.ids(self._tokens), dtype=np.int32).reshape(-1)
        lines = _with_end(Ragged(table[self._lines.flat], self._lines.offsets), codec.separator or 0)
        flat = lines.take(rows.flat)
        joined = Ragged(flat.flat, flat.offsets[rows.offsets])
        joined.flat[joined.offsets[1:] - 1] = eos
        if role == "fixed":
            joined = _shortened(joined, joined.lengths - 1, "start")
        most = self.side.max_tokens
        long = joined.lengths > most
        if long.any():
            joined = _shortened(joined, np.minimum(joined.lengths, most), self.side.keep)
            if role == "source":
                joined.flat[joined.offsets[1:] - 1] = eos
        return joined, int(np.count_nonzero(long | self._lost_lines[split]))


def _numbering() -> dict[str, int]:
    """A dict that numbers what it is asked for, in order of first sight."""
    places: defaultdict[str, int] = defaultdict()
    places.default_factory = places.__len__
    return places


def _ragged(flat: Iterable[int], lengths: Sequence[int]) -> Ragged:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Ragged(np.fromiter(flat, dtype=np.int32, count=int(offsets[-1])), offsets)


def _with_end(rows: Ragged, end: int) -> Ragged:
    """Each row with one more token after it."""
    offsets = rows.offsets + np.arange(len(rows) + 1)
    flat = np.full(int(offsets[-1]), end, dtype=np.int32)
    inside = np.ones(len(flat), dtype=bool)
    inside[offsets[1:] - 1] = False
    flat[inside] = rows.flat
    return Ragged(flat, offsets)


def _shortened(rows: Ragged, lengths: Lengths, keep: Literal["start", "end"]) -> Ragged:
    """The first, or last, `lengths` tokens of each row."""
    starts = rows.offsets[:-1] if keep == "start" else rows.offsets[1:] - lengths
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    source = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    return Ragged(rows.flat[source], offsets)
