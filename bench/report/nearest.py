"""The training sentence nearest to a sample, and what of the sample stands in it: exact, without looking at every pair.

Two texts are compared as sequences of words without case (a Chinese or Japanese character is a word, so is each mark of
punctuation, and `<unk>`). Their similarity is `2 L / (m + n)`: m and n are their numbers of words and L is the length
of their longest common subsequence, the most words that both hold in one order. The nearest sentence is the one with
the highest similarity, the first of them where several are level.

It is found exactly: L is at most the number of words that two texts share in any order, which an inverted index counts
for all sentences at once; only sentences whose bound reaches the best similarity found so far are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Han, kana and their extensions: written without spaces, so a character is the smallest thing that can be copied
_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"<unk>|[{_ALONE}]|[^\W{_ALONE}]+(?:['’][^\W{_ALONE}]+)*|[^\w\s]")
_DENSE = 256  # so many of the commonest words are counted by adding a row of all sentences
_FIRST, _CHUNK = 64, 2048  # sentences compared at a time: to begin with, and after that
_BITS = 64

Lines = npt.NDArray[np.int64]
Runs = tuple[int, ...]


@dataclass(frozen=True)
class Nearest:
    """What is known of a sample's nearest training sentence.

    Attributes:
        line: its place in the training split, from 0.
        copied: words of the sample that stand in it in the same order.
        words: all words of the sample.
        similarity: `2 copied / (words + words of the sentence)`.
    """

    line: int
    copied: int
    words: int
    similarity: float


def words(text: str) -> list[str]:
    """The words of a text as they are compared."""
    return [word.lower() for word in _WORD.findall(text)]


class TrainingText:
    """The training split's texts, indexed by word."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self._ids: dict[str, int] = {}
        lengths = np.zeros(len(texts), np.int64)
        self._flat = np.fromiter(self._numbered(texts, lengths), np.int32)
        self._lengths, self._sizes = lengths, lengths.astype(np.float64)
        self._starts = np.cumsum(lengths) - lengths
        self._index()

    def __len__(self) -> int:
        return len(self.texts)

    def _numbered(self, texts: Sequence[str], lengths: Lines) -> Iterator[int]:
        ids = self._ids
        for place, text in enumerate(texts):
            found = words(text)
            lengths[place] = len(found)
            for word in found:
                yield ids.setdefault(word, len(ids))

    def _index(self) -> None:
        """Which sentences hold a word at least once, twice, ...: a posting list for each (word, how often)."""
        lines = np.repeat(np.arange(len(self)), self._lengths)
        order = np.argsort(lines * max(len(self._ids), 1) + self._flat, kind="stable")
        lines, flat = lines[order], self._flat[order]
        new = np.ones(len(flat), bool)
        new[1:] = (lines[1:] != lines[:-1]) | (flat[1:] != flat[:-1])
        heads = np.flatnonzero(new)
        times = np.arange(len(flat)) - np.repeat(heads, np.diff([*heads, len(flat)]))
        keys = times * max(len(self._ids), 1) + flat
        by_key = np.argsort(keys, kind="stable")
        found, starts = np.unique(keys[by_key], return_index=True)
        self._postings = lines[by_key].astype(np.int32)
        ends = np.append(starts, len(keys))[1:]
        spans = zip(starts.tolist(), ends.tolist(), strict=True)
        self._spans = dict(zip(found.tolist(), spans, strict=True))
        self._dense = {}
        for place in np.argsort(starts - ends, kind="stable")[:_DENSE]:
            row = np.zeros(len(self), np.uint16)
            row[self._postings[starts[place] : ends[place]]] = 1
            self._dense[int(found[place])] = row

    def nearest(self, text: str) -> Nearest | None:
        """The most similar sentence, or None where no sentence shares a word with `text`."""
        query = [self._ids.get(word, -1) for word in words(text)]
        shared = self._shared(query)
        if not shared.any():
            return None
        bound = shared / (self._sizes + len(query))  # of half the similarity
        rows, masks = self._masks(query)
        first = np.flatnonzero(bound >= 0.9 * bound.max())[:_FIRST]
        best, line = self._best(first, len(query), rows, masks)
        bound[first] = -1
        left = np.flatnonzero(bound >= best)
        left = left[np.argsort(-bound[left], kind="stable")]
        for begin in range(0, len(left), _CHUNK):
            chunk = left[begin : begin + _CHUNK]
            chunk = chunk[(bound[chunk] > best) | ((bound[chunk] == best) & (chunk < line))]
            if len(chunk):
                height, place = self._best(chunk, len(query), rows, masks)
                if (height, -place) > (best, -line):
                    best, line = height, place
        copied = round(best * (len(query) + int(self._lengths[line])))
        return Nearest(line, copied, len(query), 2 * best)

    def _shared(self, query: Sequence[int]) -> npt.NDArray[np.uint16]:
        """How many words each sentence shares with the query, whatever their order."""
        counted = np.zeros(len(self), np.uint16)
        times: dict[int, int] = {}
        for word in query:
            if word < 0:
                continue
            key = times.get(word, 0) * len(self._ids) + word
            times[word] = times.get(word, 0) + 1
            if key in self._dense:
                counted += self._dense[key]
            elif key in self._spans:
                begin, end = self._spans[key]
                counted[self._postings[begin:end]] += 1
        return counted

    def _masks(self, query: Sequence[int]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]:
        """Where each word stands in the query, as bits: `masks[:, rows[word]]`; row 0 for words it lacks."""
        rows = np.zeros(len(self._ids), np.int32)
        distinct = sorted({word for word in query if word >= 0})
        rows[distinct] = np.arange(1, len(distinct) + 1)
        masks = np.zeros((-(-len(query) // _BITS), len(distinct) + 1), np.uint64)
        for place, word in enumerate(query):
            if word >= 0:
                masks[place // _BITS, rows[word]] |= np.uint64(1 << place % _BITS)
        return rows, masks

    def _best(self, lines: Lines, m: int, rows: Any, masks: Any) -> tuple[float, int]:
        """Half of the highest similarity among `lines`, and the first line that has it."""
        longest_first = lines[np.argsort(-self._lengths[lines], kind="stable")]
        common = self._common(longest_first, rows, masks)
        similar = common / (self._sizes[longest_first] + m)
        best = similar.max()
        return float(best), int(longest_first[similar == best].min())

    def _common(self, lines: Lines, rows: Any, masks: Any) -> Lines:
        """Lengths of the longest common subsequences with the query, the longest lines given first.

        A bit of `state` is a word of the query, one is cleared for each step by which the subsequence grows: adding
        the matching bits to the state carries each over to the next that is still set. All lines move on together.
        """
        starts, lengths = self._starts[lines], self._lengths[lines]
        state = np.full((len(masks), len(lines)), np.iinfo(np.uint64).max, np.uint64)
        for step in range(int(lengths.max(initial=0))):
            live = int(np.searchsorted(-lengths, -step))
            row = rows[self._flat[starts[:live] + step]]
            carry = None
            for bits, mask in zip(state, masks, strict=True):
                old = bits[:live]
                matched = old & mask[row]
                grown = old + matched
                over = grown < matched
                if carry is not None:
                    grown += carry
                    over |= grown < carry
                carry = over.astype(np.uint64)
                bits[:live] = grown | (old ^ matched)
        cleared: Lines = np.bitwise_count(~state).sum(axis=0, dtype=np.int64)
        return cleared


def difference(sample: str, sentence: str) -> tuple[Runs, Runs]:
    """What of each text is not in the other, as lengths of text in turn plain and marked, plain first.

    The plain words are a longest common subsequence of both. White space between two marked words is marked.
    """
    pairs = _pairs(words(sample), words(sentence))
    return _runs(sample, {i for i, _ in pairs}), _runs(sentence, {j for _, j in pairs})


def _pairs(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Places of a longest common subsequence in both, from the end."""
    masks: dict[str, int] = {}
    for place, word in enumerate(first):
        masks[word] = masks.get(word, 0) | 1 << place
    full = (1 << len(first)) - 1
    states = [full]
    for word in second:
        matched = states[-1] & masks.get(word, 0)
        states.append((states[-1] + matched | states[-1] ^ matched) & full)
    i, j, pairs = len(first), len(second), []
    while i and j:
        if first[i - 1] == second[j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif _length(states[j - 1], i) == _length(states[j], i):
            j -= 1
        else:
            i -= 1
    return pairs


def _length(state: int, upto: int) -> int:
    """Of the longest common subsequence with the first `upto` words: the bits that were cleared."""
    return upto - (state & (1 << upto) - 1).bit_count()


def _runs(text: str, plain: set[int]) -> Runs:
    runs, end, marked = [0], 0, False
    for place, match in enumerate(_WORD.finditer(text)):
        own = place not in plain
        start = match.start()
        if own == marked:
            runs[-1] += match.end() - end
        elif own:
            runs[-1] += start - end
            runs.append(match.end() - start)
        else:
            runs.append(match.end() - end)
        end, marked = match.end(), own
    return tuple(runs) if len(runs) > 1 else ()
