"""An n-gram language model: interpolated modified Kneser-Ney.

Kneser and Ney 1995; Chen and Goodman 1999, section 4.1.6. For a word w after a history h of k - 1 tokens (h' is h
without its oldest token):

    P_k(w | h) = (a(hw) - D_k(a(hw))) / sum_v a(hv)  +  back(h) P_{k-1}(w | h'),    P_0 = 1 / symbols
    back(h)    = sum over seen hv of D_k(a(hv)) / sum_v a(hv);    1 where h was never seen

a(g) is how often the n-gram g occurs if it has the highest order or begins with `<s>`, and else how many different
tokens stand before it (the adjusted count of Heafield et al. 2013, section 3). The discounts of an order are those of
Chen and Goodman, from how many n-grams of it have a = 1, 2, 3 and 4. The symbols are the words and `</s>`: none has
probability 0, and after any history they sum to 1. Text whose length is no matter of chance has no `</s>`: see `Ends`.

Each order is one sorted array of keys, an n-gram's key being the number of its history and its last token; so training
is a sort an order, and scoring a binary search. Only numpy, and no random number: it can move to another package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from metrics.ngrams import Bools, Ints, Sentences

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
# `</s>` is token `words`. It is added after every sentence; or the sentences hold their own, where they have one; or
# there is none, and its probability is 0.
Ends = Literal["added", "given", "none"]

ORDER = 4
FALLBACK = (
    0.75  # every discount of an order whose counts of counts don't give three in their bounds: ours, a usual choice
)


@dataclass(frozen=True)
class Level:
    """The n-grams of one order.

    Attributes:
        keys: [grams] ascending; number of the history among the grams of the order below, times base, plus last token.
        mass: [grams + 1] what the gram itself gives to its probability; last a 0, for grams never seen.
        back: [histories] the weight of the order below.
    """

    keys: Ints
    mass: Floats
    back: Floats

    def followers(self, histories: Ints, words: int) -> tuple[Ints, Ints]:
        """The grams that begin with each history, ascending, history by history; and the row [grams] of the history."""
        base = words + 2
        first = np.searchsorted(self.keys, histories * base)
        count = np.searchsorted(self.keys, (histories + 1) * base) - first
        owner = np.repeat(np.arange(len(histories)), count)
        return np.arange(len(owner)) - np.repeat(np.cumsum(count) - count - first, count), owner


@dataclass(frozen=True)
class KneserNey:
    """A trained model.

    Attributes:
        words: size of the closed vocabulary: tokens are 0 .. words - 1, one of which may stand for all unknown words.
        levels: orders 1, 2, ...
        ends: what becomes of `</s>`, in training and scoring.
    """

    words: int
    levels: tuple[Level, ...]
    ends: Ends = "added"

    @property
    def symbols(self) -> int:
        """How many tokens can follow a history."""
        return self.words + (self.ends != "none")

    def log_probs(self, sentences: Sentences) -> Floats:
        """ln P of every token [tokens + sentences]: those of a sentence, then its `</s>`; then the next sentence's.

        Unless `ends` is `added`, of the sentences' tokens alone [tokens].
        """
        tokens, place = _lay_out(sentences, self.words, self.ends)
        chance = np.where(tokens < self.symbols, 1.0 / self.symbols, 0.0)
        ending = np.zeros(len(tokens), np.int64)
        for order, level in enumerate(self.levels, start=1):
            at = np.flatnonzero(place >= order - 1)
            history = ending[at - 1] if order > 1 else ending[at]
            at, history = at[history >= 0], history[history >= 0]  # where it was never seen, the order below stands
            gram = _find(level.keys, history * (self.words + 2) + tokens[at])
            chance[at] = level.back[history] * chance[at] + level.mass[gram]
            ending = _spread(gram, at, len(tokens))
        with np.errstate(divide="ignore"):  # where there is no `</s>`, its logarithm is that of 0
            logs: Floats = np.log(chance[place > 0])
        return logs

    def distributions(self, histories: Ints) -> Floats:
        """P of every symbol [rows, symbols] after each history [rows, order], as `beginnings` and `read` number them.

        Plain and dense: what a sampler that is faster can be held against.
        """
        chance = np.full((len(histories), self.symbols), 1.0 / self.symbols)
        for order, level in enumerate(self.levels):
            history = histories[:, order]
            rows = np.flatnonzero(history >= 0)
            chance[rows] *= level.back[history[rows], None]
            gram, owner = level.followers(history[rows], self.words)
            token = level.keys[gram] % (self.words + 2)
            inside = token < self.symbols
            chance[rows[owner[inside]], token[inside]] += level.mass[gram[inside]]
        return chance

    def beginnings(self, rows: int) -> Ints:
        """The histories at the beginning of sentences [rows, order], where only `<s>` was read.

        Column k is the number of the gram of the k tokens read last, among the grams of order k; -1 where it was never
        seen (or where fewer were read). Column 0 is the empty gram.
        """
        nothing = np.full((rows, max(1, len(self.levels))), -1, np.int64)
        nothing[:, 0] = 0
        return self.read(nothing, np.full(rows, self.words + 1))

    def read(self, histories: Ints, tokens: Ints) -> Ints:
        """The histories after one more token a row."""
        after = np.zeros_like(histories)
        for order, level in enumerate(self.levels[:-1]):
            gram = _find(level.keys, histories[:, order] * (self.words + 2) + tokens)
            after[:, order + 1] = np.where(histories[:, order] >= 0, gram, -1)
        return after

    def nll(self, sentences: Sentences) -> tuple[Floats, Ints]:
        """Of each sentence: -ln P in nats [sentences], and its tokens, `</s>` being one [sentences]."""
        if len(sentences) == 0:
            return np.zeros(0), np.zeros(0, np.int64)
        assert self.ends == "added", "sentences are summed with the `</s>` that ends them"
        starts = sentences.offsets[:-1] - sentences.offsets[0] + np.arange(len(sentences))
        sums: Floats = -np.add.reduceat(self.log_probs(sentences), starts)
        return sums, sentences.lengths + 1


def train(sentences: Sentences, words: int, order: int = ORDER, ends: Ends = "added") -> KneserNey:
    """The model of these sentences.

    Args:
        sentences: token ids below `words`; with `ends` = `given`, `words` is `</s>`.
        words: size of the vocabulary, the token for unknown words included.
        order: longest n-gram.
        ends: whether `</s>` is added after every sentence.
    """
    tokens, place = _lay_out(sentences, words, ends)
    ending = np.zeros(len(tokens), np.int64)
    keys: list[Ints] = []  # by order: the different grams, as in Level
    counts: list[Ints] = []  # how often each occurs
    opening: list[Bools] = []  # does it begin with <s>
    left: list[Ints] = []  # how many different tokens stand before it
    for n in range(1, order + 1):
        at = np.flatnonzero(place >= n - 1)
        history = ending[at - 1] if n > 1 else ending[at]
        found = np.unique_all(history * (words + 2) + tokens[at])
        first = at[found.indices]
        if n > 1:  # each different gram of this order is one more token before a gram of the order below
            left.append(np.bincount(ending[first], minlength=len(keys[-1])))
        keys.append(found.values)
        counts.append(found.counts)
        opening.append(place[first] == n - 1)
        ending = _spread(found.inverse_indices, at, len(tokens))
    adjusted = [np.where(o, c, few) for o, c, few in zip(opening, counts, [*left, counts[-1]], strict=True)]
    adjusted[0] = np.where(keys[0] == words + 1, 0, adjusted[0])  # <s> is read, never predicted
    histories = [1, *map(len, keys[:-1])]
    return KneserNey(words, tuple(_level(*of, words) for of in zip(keys, adjusted, histories, strict=True)), ends)


def discounts(adjusted: Ints) -> Floats:
    """What is taken off a count of 0, 1, 2, and 3 or more [4]; a count of 0 loses nothing.

    With n_k grams of count k and Y = n_1 / (n_1 + 2 n_2): D_k = k - (k + 1) Y n_{k+1} / n_k (Chen and Goodman
    1999). Where one of n_1, n_2, n_3 is 0, or a D_k not above 0, as little text can have it, all three are 0.75.
    """
    number = np.bincount(adjusted[adjusted <= 4], minlength=5)[1:].astype(np.float64)
    if (number[:3] == 0).any():
        return np.array([0.0, FALLBACK, FALLBACK, FALLBACK])
    y = number[0] / (number[0] + 2.0 * number[1])
    k = np.arange(1.0, 4.0)
    three = k - (k + 1.0) * y * number[1:] / number[:3]
    return np.array([0.0, *(three if (three > 0).all() else [FALLBACK] * 3)])


def _level(keys: Ints, adjusted: Ints, histories: int, words: int) -> Level:
    history = keys // (words + 2)
    off = discounts(adjusted)[np.minimum(adjusted, 3)]
    total = np.bincount(history, weights=adjusted, minlength=histories)
    lost = np.bincount(history, weights=off, minlength=histories)
    back = np.divide(lost, total, out=np.ones(histories), where=total > 0)
    mass = (adjusted - off) / np.maximum(total, 1.0)[history]
    return Level(keys, np.append(mass, 0.0), back)


def _lay_out(sentences: Sentences, words: int, ends: Ends = "added") -> tuple[Ints, Ints]:
    """`<s>`, the tokens and `</s>` (where it is added) of all sentences; and each one's place in its sentence.

    `</s>` is token `words`, `<s>` token `words + 1`.
    """
    added = int(ends == "added")
    lengths = sentences.lengths + 1 + added
    starts = np.cumsum(lengths) - lengths
    place = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
    tokens = np.full(len(place), words, np.int64)
    tokens[starts] = words + 1
    inside = (place > 0) & (place < np.repeat(lengths, lengths) - added)
    tokens[inside] = sentences.flat[sentences.offsets[0] : sentences.offsets[-1]]
    return tokens, place


def _spread(gram: Ints, at: Ints, size: int) -> Ints:
    """The gram that ends at each position; -1 where none does."""
    ending = np.full(size, -1, np.int64)
    ending[at] = gram
    return ending


def _find(keys: Ints, wanted: Ints) -> Ints:
    """Where each wanted key stands; -1 if nowhere."""
    if len(keys) == 0:
        return np.full(len(wanted), -1, np.int64)
    where = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[where] == wanted, where, -1)
