"""Sentence BLEU of token ids against all training lines at once, for rewards: many sequences, the same references.

For each n-gram of the references a table holds its largest count in any one of them (BLEU's clipping), so a sequence
costs one search for each of its n-grams, however many references there are. Values are those of NLTK's `sentence_bleu`
with `SmoothingFunction().method1` and equal weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tasks.base import Ragged

EPSILON = 0.1  # what method 1 (Chen and Cherry, 2014; NLTK's constant) takes for the matches of an order that has none
ROWS = 4096  # sequences scored at once: what is made of them stays in the cache


@dataclass(frozen=True)
class Order:
    """The distinct n-grams of one order that the references hold. A gram's number is its place here.

    A gram's key is (number of its first n - 1 tokens) * radix + its last token, so keys never leave 64 bits. The last
    place belongs to all grams that no reference holds; what such a gram begins is in no table either.

    Attributes:
        keys: [grams + 1], ascending; the last is larger than any key.
        most: [grams + 1], the largest count in any one reference; the last is 0.
    """

    keys: Tensor
    most: Tensor

    def find(self, keys: Tensor) -> Tensor:
        """Numbers of the grams with these keys, of their shape."""
        place = torch.searchsorted(self.keys, keys)
        return torch.where(self.keys[place] == keys, place, len(self.keys) - 1)


class BleuReward:
    """BLEU against fixed references.

    Args:
        references: at least one; each may be empty.
        vocab: ids from this number on are padding.
        eos: left out of sequences and references, as BLEU of text has it; nothing but padding may follow it.
        orders: length of the longest n-grams.
        device: where tables and sequences are.
    """

    def __init__(
        self, references: Ragged, *, vocab: int, eos: int | None, orders: int, device: torch.device | None = None
    ) -> None:
        self.vocab, self.eos = vocab, eos
        lines = torch.from_numpy(np.repeat(np.arange(len(references)), references.lengths)).to(device)
        tokens = torch.from_numpy(references.flat).to(device, torch.long)
        words = self._words(tokens)
        lengths = torch.zeros(len(references), dtype=torch.long, device=device).index_add_(0, lines, words.long())
        self.closest = _closest(lengths)
        self.orders = _tables(tokens[words], lines[words], self.radix, orders)

    @property
    def radix(self) -> int:
        """Tokens and one more, which stands for everything that is none."""
        return self.vocab + 1

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens [rows, time], padded -> BLEU [rows], float64."""
        parts = [self._score(part) for part in torch.split(tokens, ROWS)]
        return torch.cat(parts)

    def _words(self, tokens: Tensor) -> Tensor:
        words = tokens < self.vocab
        return words if self.eos is None else words & (tokens != self.eos)

    def _score(self, tokens: Tensor) -> Tensor:
        words = self._words(tokens)
        tokens = torch.where(words, tokens, self.vocab)
        number, matches = tokens, []
        for n, order in enumerate(self.orders):
            key = tokens if n == 0 else number[:, :-1] * self.radix + tokens[:, n:]
            number = order.find(key)
            matches.append(_clipped(number, order.most))
        return self._bleu(torch.stack(matches, 1), words.sum(1))

    def _bleu(self, matches: Tensor, lengths: Tensor) -> Tensor:
        """From clipped matches [rows, orders] and lengths [rows]."""
        shorter = torch.arange(len(self.orders), device=lengths.device)
        grams = (lengths[:, None] - shorter).clamp(min=1)
        precision = torch.where(matches > 0, matches.double(), EPSILON) / grams
        closest = self.closest[lengths.clamp(max=len(self.closest) - 1)]
        brevity = (1 - closest / lengths.double()).clamp(max=0).exp()  # of an empty sequence: no number, and not used
        return torch.where(matches[:, 0] > 0, brevity * precision.log().mean(1).exp(), 0.0)


def _clipped(number: Tensor, most: Tensor) -> Tensor:
    """Matches [rows] of the grams numbered [rows, places], each counted at most `most` times a row."""
    if number.shape[1] == 0:
        return number.new_zeros(len(number))
    number = number.sort(1).values
    place = torch.arange(number.shape[1], device=number.device)
    again = torch.zeros_like(number, dtype=torch.bool)
    torch.eq(number[:, 1:], number[:, :-1], out=again[:, 1:])
    first = torch.where(again, 0, place).cummax(1).values  # where the run of equal grams began
    return (place - first < most[number]).sum(1)


def _tables(tokens: Tensor, lines: Tensor, radix: int, orders: int) -> list[Order]:
    """From all tokens end to end [tokens] and the reference each stands in [tokens]."""
    tables = []
    count = int(lines[-1]) + 1 if len(lines) else 1
    start, key = torch.arange(len(tokens), device=tokens.device), tokens
    for n in range(orders):
        keys, number = torch.unique(key, return_inverse=True)
        pairs, counts = torch.unique(number * count + lines[start], return_counts=True)
        most = torch.zeros_like(keys).scatter_reduce_(0, pairs // count, counts, "amax")
        tables.append(Order(_and(keys, torch.iinfo(torch.long).max), _and(most, 0)))
        inside = start + n + 1 < len(tokens)
        start, number = start[inside], number[inside]
        inside = lines[start + n + 1] == lines[start]
        start, number = start[inside], number[inside]
        key = number * radix + tokens[start + n + 1]
    return tables


def _and(values: Tensor, last: int) -> Tensor:
    return torch.cat([values, values.new_full((1,), last)])


def _closest(available: Tensor) -> Tensor:
    """For lengths 0, 1, ... the nearest of `available` [references]; of two as near, the shorter.

    Ends with the longest reference's length, which is the nearest for all beyond it.
    """
    available = torch.unique(available)
    lengths = torch.arange(int(available[-1]) + 1, device=available.device)
    return available[(lengths[:, None] - available).abs().argmin(1)]
