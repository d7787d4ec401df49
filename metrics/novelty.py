"""How much of the samples stands, word for word, in other text: in train, or in an item's own source.

Everything here comes from one measurement: at each token of a sample, how many tokens from there on stand together in
one of the other texts. Texts are put in the order of their tokens, from every position on (a suffix array, built by
doubling: Manber and Myers 1993); the longest match is then with a neighbour, before or after. Growth is that of a sort.
"""

from __future__ import annotations

import numpy as np

from metrics import texts
from metrics.base import Floats, Material, MeanMetric, Metric, Workspace, ratio
from metrics.ngrams import Bools, Ints, Sentences
from metrics.tokenize import canonical, tokenizer

NOVEL_ORDERS = 3
DENSE_BITS = 30  # two numbers of so many bits still are one number of 64


class LongestCopy(MeanMetric):
    """`longest-copy`: tokens in the longest run of a sample that stands in one training text, mean over samples."""

    needs = frozenset({"samples", "train"})
    summary = "mean tokens in a sample's longest run that is in train"
    limits = (0.0, float("inf"))
    unit = "tokens"
    source = "McCoy et al. 2023 (RAVEN) and Lee et al. 2022 count such runs"
    blind = "a copy with every second word changed; grows with train and with the samples' length"

    def values(self, work: Workspace) -> Floats:
        samples = work.shared(texts.samples)
        longest = np.zeros(len(samples), dtype=np.int64)
        np.maximum.at(longest, _sentence(samples), work.shared(in_train))
        return longest.astype(np.float64)

    def fields(self, material: Material) -> dict[str, str]:
        return _train_fields(material)


class CopiedShare(Metric):
    """`copied-share-n`: share of the samples' tokens that lie in a run of n or more tokens that is in train."""

    needs = frozenset({"samples", "train"})
    summary = "share of tokens within n-grams that are in train"
    source = "Lee et al. 2022 (Deduplicating Training Data), for whole runs"
    blind = "a copy with every n-th word changed; grows with train: real text copies too"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.n = int(name.rpartition("-")[2])

    def per_item(self, work: Workspace) -> Floats:
        samples = work.shared(texts.samples)
        inside = _covered(work.shared(in_train), self.n)
        copied = np.bincount(_sentence(samples), weights=inside, minlength=len(samples))
        return np.stack([copied, samples.lengths.astype(np.float64)], axis=1)

    def reduce(self, sums: Floats) -> Floats:
        return ratio(sums)

    def undefined(self, work: Workspace) -> str:  # noqa: ARG002
        return "no sample has a token"

    def fields(self, material: Material) -> dict[str, str]:
        return {"n": str(self.n), "per": "tokens", **_train_fields(material)}


class Novel(Metric):
    """`novel-n`: share of the samples' n-grams that are not in their own source.

    Every occurrence counts (not every different n-gram once): it is a share of running text, and repetition is measured
    elsewhere. All n-grams of all items together: a long answer weighs as much as its n-grams.
    """

    needs = frozenset({"samples", "sources"})
    summary = "share of n-grams that are not in the item's own source"
    source = "See et al. 2017 (Get To The Point), on how abstractive summaries are"
    blind = "whether what is new is true; random words are the newest"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.n = int(name.rpartition("-")[2])

    def missing(self, material: Material) -> str:
        bare = next((i for i, item in enumerate(material.sources or ()) if len(item) == 0), None)
        return super().missing(material) or ("" if bare is None else f"item {bare} has no source")

    def per_item(self, work: Workspace) -> Floats:
        samples = work.shared(texts.samples)
        sentence, begins = _sentence(samples), _left(samples) >= self.n
        new = begins & (work.shared(in_own_source) < self.n)
        counts = [np.bincount(sentence, weights=each, minlength=len(samples)) for each in (new, begins)]
        return np.stack(counts, axis=1)

    def reduce(self, sums: Floats) -> Floats:
        return ratio(sums)

    def undefined(self, work: Workspace) -> str:  # noqa: ARG002
        return f"no sample has {self.n} tokens" if self.n > 1 else "no sample has a token"

    def fields(self, material: Material) -> dict[str, str]:
        hyps = str(len(material.samples))
        return {"n": str(self.n), "hyps": hyps, "src": "own", "per": "occurrences", "tok": canonical(material.tokens)}


def in_train(work: Workspace) -> Ints:
    """At each token of the samples: how many from there on stand together in a training text."""
    return runs_in(work.shared(texts.samples), work.shared(texts.train))


def in_own_source(work: Workspace) -> Ints:
    """The same for the item's own source, counted up to what `novel-n` asks."""
    samples, items = work.shared(texts.samples), work.material.sources or ()
    cut = tokenizer(work.material.tokens)
    sources = work.shared(texts.encoder).encode(cut(text) for item in items for text in item)
    owner = np.repeat(np.arange(len(items)), [len(item) for item in items])
    return runs_in(samples, sources, NOVEL_ORDERS, owner)


def runs_in(samples: Sentences, others: Sentences, most: int | None = None, owner: Ints | None = None) -> Ints:
    """At each token of the samples, how many from there on stand together in one of the other texts.

    Args:
        most: counted no further than this.
        owner: [others] the only sample that each text is compared with; None: all of them.

    Returns:
        [tokens of the samples]; no run reaches over the end of a text.
    """
    tokens = np.concatenate([samples.flat, others.flat]).astype(np.int64)
    left = np.concatenate([_left(samples), _left(others)])
    if owner is not None:
        # with the item in every token, tokens of different items never are equal
        item = np.concatenate([_sentence(samples), owner[_sentence(others)]])
        tokens = np.unique(item * (int(tokens.max(initial=0)) + 1) + tokens, return_inverse=True)[1]
    ranks = _ranks(tokens, left, int(left.max(initial=0)) if most is None else most)
    count = len(samples.flat)
    before, after = _neighbours(ranks[-1], count)
    place = np.arange(count)
    found = np.maximum(_common(ranks, left, place, before), _common(ranks, left, place, after))
    return found if most is None else np.minimum(found, most)


def _ranks(tokens: Ints, left: Ints, most: int) -> list[Ints]:
    """Numbers in the order of the next 1, 2, 4 ... tokens of each position, equal where these are.

    The end of a text comes before any token. The last numbers tell apart what differs within `most` tokens.
    """
    ranks, different = [tokens], 0
    while 2 ** (len(ranks) - 1) < most:
        step = 2 ** (len(ranks) - 1)
        if int(ranks[-1].max(initial=0)).bit_length() > DENSE_BITS:
            ranks[-1] = _dense(ranks[-1])
            before, different = different, int(ranks[-1].max())
            if different == before:
                return ranks  # as many as there were: what is still equal is so up to the end of both texts
        rank, goes_on = ranks[-1], np.flatnonzero(left > step)
        key = rank * (int(rank.max(initial=0)) + 2)
        key[goes_on] += rank[goes_on + step] + 1
        ranks.append(key)
    return [*ranks[:-1], _dense(ranks[-1])]


def _dense(keys: Ints) -> Ints:
    """The same order without gaps, from 0."""
    return np.unique(keys, return_inverse=True)[1]


def _neighbours(rank: Ints, count: int) -> tuple[Ints, Ints]:
    """For each of the first `count` positions, the nearest other position before and after it in rank; -1 for none."""
    size = int(rank.max(initial=-1)) + 1
    holder = np.full(size, -1)
    holder[rank[count:]] = np.arange(count, len(rank))
    number = np.arange(size)
    before = np.maximum.accumulate(np.where(holder >= 0, number, -1))
    after = np.minimum.accumulate(np.where(holder >= 0, number, size)[::-1])[::-1]
    holder = np.append(holder, -1)  # -1 and `size` both lead here
    return holder[before[rank[:count]]], holder[after[rank[:count]]]


def _common(ranks: list[Ints], left: Ints, one: Ints, other: Ints) -> Ints:
    """How many tokens are equal from position `one` and `other` on, within their texts; 0 where `other` is -1."""
    ends = np.where(other < 0, 0, np.minimum(left[one], left[other]))
    length = np.zeros(len(one), dtype=np.int64)
    for level in reversed(range(len(ranks))):
        open_ = np.flatnonzero(length < ends)
        rank, reached = ranks[level], length[open_]
        same = rank[one[open_] + reached] == rank[other[open_] + reached]
        # equal in the last numbers: equal in all that counts. Texts that end together are equal in more than they have
        length[open_[same]] += ends[open_[same]] if level == len(ranks) - 1 else 2**level
    return np.minimum(length, ends)


def _covered(runs: Ints, n: int) -> Bools:
    """Which tokens lie in a run of n or more."""
    start = np.flatnonzero(runs >= n)
    change = np.bincount(start, minlength=len(runs) + 1) - np.bincount(start + runs[start], minlength=len(runs) + 1)
    covered: Bools = np.cumsum(change)[:-1] > 0
    return covered


def _sentence(sentences: Sentences) -> Ints:
    """Which sentence each token belongs to."""
    return np.repeat(np.arange(len(sentences)), sentences.lengths)


def _left(sentences: Sentences) -> Ints:
    """How many tokens its sentence still has at each token, itself counted."""
    return np.repeat(sentences.offsets[1:], sentences.lengths) - np.arange(len(sentences.flat))


def _train_fields(material: Material) -> dict[str, str]:
    counts = {"hyps": str(len(material.samples)), "train": str(len(material.train or ()))}
    return {**counts, "tok": canonical(material.tokens)}
