"""Clipped n-gram matches, exact, in the time of a few sorts.

BLEU needs, for each n-gram of a hypothesis, its largest count in any one reference; Self-BLEU the same with the
hypothesis itself left out. Comparing every hypothesis with every reference is quadratic. Here each order is one sort of
all n-grams of all sentences, which brings equal n-grams together, sentence by sentence. A gram's largest and
second-largest count then answer for every sentence at once: the one that alone holds the largest is given the second.

An n-gram can only match if both the (n-1)-grams in it did, so each order goes on with the positions that still may.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Index = npt.NDArray[np.signedinteger[Any]]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
MAX_ORDER = 5


@dataclass(frozen=True)
class Sentences:
    """Token ids of many sentences, end to end: sentence `i` is `flat[offsets[i]:offsets[i + 1]]`."""

    flat: npt.NDArray[np.int32]
    offsets: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        return np.diff(self.offsets)

    def row_keys(self) -> list[bytes]:
        """One hashable key a sentence: equal exactly where the tokens are."""
        data, width = self.flat.tobytes(), self.flat.itemsize
        ends = (self.offsets * width).tolist()
        return [data[start:end] for start, end in pairwise(ends)]


class Encoder:
    """Gives each distinct token a number, the same for all the sentences it is ever given."""

    def __init__(self) -> None:
        self._ids: defaultdict[str, int] = defaultdict()
        self._ids.default_factory = self._ids.__len__

    @property
    def tokens(self) -> list[str]:
        """The tokens known so far, in the order of their numbers."""
        return list(self._ids)

    def encode(self, sentences: Iterable[Sequence[str]]) -> Sentences:
        """Token ids of tokenised sentences (any iterable: they are never all in memory)."""
        flat, offsets = array("i"), array("q", [0])
        for tokens in sentences:
            flat.extend(map(self._ids.__getitem__, tokens))
            offsets.append(len(flat))
        ids = np.frombuffer(flat, np.int32) if flat else np.zeros(0, np.int32)
        return Sentences(ids, np.frombuffer(offsets, np.int64))


@dataclass(frozen=True)
class Matches:
    """What BLEU is made from, for each hypothesis.

    Attributes:
        counts: [items, orders] n-grams of the hypothesis that the references hold, each counted at most as often as
            the one reference that has most of it.
        lengths: [items] tokens.
        closest: [items] length of the reference nearest in length; of two as near, the shorter.
    """

    counts: Ints
    lengths: Ints
    closest: Ints


def pool_matches(
    hypotheses: Sentences, references: Sentences, orders: int = MAX_ORDER, device: str | None = None
) -> Matches:
    """Every hypothesis against the same references (at least one).

    Args:
        device: where to count, as torch names it; None is NumPy. The values are the same.
    """
    tokens, sentence = _join(hypotheses, references)
    counts = _count(tokens, sentence, tokens, len(hypotheses), orders, pool=True, device=device)
    return Matches(counts, hypotheses.lengths, _closest(hypotheses.lengths, np.unique(references.lengths)))


def others_matches(sentences: Sentences, orders: int = MAX_ORDER, device: str | None = None) -> Matches:
    """Every sentence against all the others (at least one other); an equal sentence elsewhere counts as another."""
    tokens, sentence = _join(sentences)
    counts = _count(tokens, sentence, tokens, len(sentences), orders, pool=False, device=device)
    return Matches(counts, sentences.lengths, _closest_other(sentences.lengths))


def item_matches(
    hypotheses: Sentences, references: Sentences, owner: Ints, orders: int = MAX_ORDER, device: str | None = None
) -> Matches:
    """Each hypothesis against its own references.

    Args:
        owner: [references] which hypothesis each reference belongs to, ascending; every hypothesis has at least one.
    """
    tokens, sentence = _join(hypotheses, references)
    item = np.concatenate([np.arange(len(hypotheses)), owner])[sentence]
    # with the item in the first key, grams of different items never meet: the pool's rule is the item's
    first = item * (int(tokens.max(initial=0)) + 1) + tokens.astype(np.int64)
    counts = _count(tokens, sentence, first, len(hypotheses), orders, pool=True, device=device)
    return Matches(counts, hypotheses.lengths, _closest_own(hypotheses.lengths, references.lengths, owner))


def distinct(sentences: Sentences, order: int) -> tuple[int, int]:
    """How many different n-grams there are, and how many in all; none reaches over the end of its sentence."""
    tokens, sentence = _join(sentences)
    vocabulary = int(tokens.max(initial=0)) + 1
    grams, start = tokens.astype(np.int64), np.arange(len(tokens))
    for n in range(2, order + 1):
        inside = start + n - 1 < sentences.offsets[1:][sentence[start]]
        start = start[inside]
        grams = np.unique(grams[inside] * vocabulary + tokens[start + n - 1], return_inverse=True)[1]
    return len(np.unique(grams)), len(grams)


@dataclass(frozen=True)
class _Runs:
    """Grams of one order: one entry for each sentence that holds the gram, ordered by gram, then sentence.

    Attributes:
        gram, sentence, count: [runs].
        first: [grams] a gram's first run.
    """

    gram: Index
    sentence: Index
    count: Index
    first: Index


# from the runs: the clipped counts [runs] (0 for references), and which grams [grams] the next order may build on
_Clip = Callable[[_Runs], tuple[Index, Bools]]


def _join(*parts: Sentences) -> tuple[Index, Index]:
    """Tokens and sentence numbers of all positions [positions]; in 32 bits where that is enough, to save memory."""
    tokens = np.concatenate([part.flat for part in parts])
    lengths = np.concatenate([part.lengths for part in parts])
    width = np.int32 if max(len(tokens), len(lengths)) < 2**31 else np.int64
    return tokens.astype(width, copy=False), np.repeat(np.arange(len(lengths), dtype=width), lengths)


def _count(
    tokens: Index, sentence: Index, first: Index, items: int, orders: int, *, pool: bool, device: str | None
) -> Ints:
    """Clipped counts [items, orders]; `first` [positions] tells order-1 grams apart."""
    if device is not None:
        from metrics.ngrams_torch import clipped_counts

        return clipped_counts(tokens, sentence, first, items, orders, pool=pool, device=device)
    clip = _clip_by_pool(items) if pool else _clip_by_others
    counts = np.zeros((items, orders), dtype=np.int64)
    vocabulary = int(tokens.max(initial=0)) + 1
    positions, keys = np.arange(len(tokens), dtype=tokens.dtype), first.astype(np.int64)
    for order in range(orders):
        if len(keys) == 0:
            break
        counts[:, order], grams = _one_order(keys, positions, sentence, items, clip)
        if order + 1 == orders:
            break
        del keys, positions  # what is large goes as soon as it can: this is the place that sets the peak
        positions = np.flatnonzero((grams[:-1] >= 0) & (grams[1:] >= 0) & (sentence[:-1] == sentence[1:]))
        positions = positions.astype(tokens.dtype)
        # a gram of the next order: this order's gram, and the token that follows it
        keys = grams[positions].astype(np.int64)
        del grams
        keys *= vocabulary
        keys += tokens[positions + (order + 1)]
    return counts


def _one_order(keys: Ints, positions: Index, sentence: Index, items: int, clip: _Clip) -> tuple[Floats, Index]:
    """Clipped counts [items]; at each position the number of a gram that may go on, without gaps, else -1."""
    runs, element_gram, where = _group(keys, positions, sentence)
    clipped, alive = clip(runs)
    number = np.cumsum(alive, dtype=where.dtype) - 1
    number[~alive] = -1
    grams = np.full(len(sentence), -1, dtype=where.dtype)
    grams[where] = number[element_gram]
    del element_gram, where
    counts: Floats = np.bincount(runs.sentence, weights=clipped, minlength=items)[:items].astype(np.float64)
    return counts, grams


def _group(keys: Ints, positions: Index, sentence: Index) -> tuple[_Runs, Index, Index]:
    """Runs of equal (key, sentence); and, sorted by key, the gram number and the position of every element.

    The keys are sorted where they lie.
    """
    keys, where = _sort(keys, positions)
    inside = sentence[where]
    new_gram, new_run = np.ones(len(keys), np.bool_), np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=new_gram[1:])
    np.not_equal(inside[1:], inside[:-1], out=new_run[1:])
    new_run |= new_gram
    element_gram = np.cumsum(new_gram, dtype=positions.dtype)
    element_gram -= 1
    start = np.flatnonzero(new_run).astype(positions.dtype)
    count = np.empty_like(start)
    np.subtract(start[1:], start[:-1], out=count[:-1])
    count[-1] = len(keys) - start[-1]
    first = np.flatnonzero(new_gram[start]).astype(positions.dtype)
    return _Runs(element_gram[start], inside[start], count, first), element_gram, where


def _sort(keys: Ints, positions: Index) -> tuple[Ints, Index]:
    """Keys in order and their positions, ascending within a key (so that a sentence's positions stay together)."""
    bits = int(positions[-1]).bit_length()
    if int(keys.max()).bit_length() + bits <= 63:
        # one sort of plain integers is several times faster than sorting an index
        keys <<= bits
        keys |= positions
        keys.sort()
        where = np.bitwise_and(keys, (1 << bits) - 1, dtype=keys.dtype).astype(positions.dtype)
        keys >>= bits
        return keys, where
    order = np.argsort(keys, kind="stable")
    return keys[order], positions[order]


def _clip_by_pool(items: int) -> _Clip:
    """Sentences from number `items` on are the references."""

    def clip(runs: _Runs) -> tuple[Index, Bools]:
        is_reference = runs.sentence >= items
        most = np.maximum.reduceat(runs.count * is_reference, runs.first)
        clipped = np.minimum(runs.count, most[runs.gram])
        clipped[is_reference] = 0
        return clipped, (most > 0) & ~is_reference[runs.first]

    return clip


def _clip_by_others(runs: _Runs) -> tuple[Index, Bools]:
    most = np.maximum.reduceat(runs.count, runs.first)
    is_most = runs.count == most[runs.gram]
    holders = np.add.reduceat(is_most, runs.first, dtype=runs.count.dtype)
    second = np.maximum.reduceat(runs.count * ~is_most, runs.first)
    elsewhere = np.where(holders == 1, second, most)[runs.gram]
    # who alone holds the most is given the second, all the others the most
    elsewhere = np.where(is_most, elsewhere, most[runs.gram])
    return np.minimum(runs.count, elsewhere), np.diff(runs.first, append=len(runs.gram)) > 1


def _closest(lengths: Ints, available: Ints) -> Ints:
    """For each length the nearest of `available` (ascending, without repeats); of two as near, the shorter."""
    right = np.searchsorted(available, lengths).clip(max=len(available) - 1)
    left = (right - 1).clip(min=0)
    nearer_left = np.abs(available[left] - lengths) <= np.abs(available[right] - lengths)
    nearest: Ints = np.where(nearer_left, available[left], available[right])
    return nearest


def _closest_other(lengths: Ints) -> Ints:
    """The nearest length among the other sentences."""
    available, place, count = np.unique(lengths, return_inverse=True, return_counts=True)
    if len(available) == 1:
        return lengths
    left, right = (place - 1).clip(min=0), (place + 1).clip(max=len(available) - 1)
    far = np.iinfo(np.int64).max
    down = np.where(place > 0, lengths - available[left], far)
    up = np.where(place < len(available) - 1, available[right] - lengths, far)
    neighbour = np.where(down <= up, available[left], available[right])
    return np.where(count[place] > 1, lengths, neighbour)


def _closest_own(lengths: Ints, reference_lengths: Ints, owner: Ints) -> Ints:
    """The nearest length among an item's own references."""
    if len(lengths) == 0:
        return lengths
    width = int(reference_lengths.max(initial=0)) + 1
    rank = np.abs(reference_lengths - lengths[owner]) * width + reference_lengths
    best: Ints = np.minimum.reduceat(rank, np.searchsorted(owner, np.arange(len(lengths))))
    return best % width
