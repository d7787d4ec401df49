"""Smoothed sentence BLEU of sampled ids against the one target of their source: rewards of sequence-level training.

Whole batches at once, and the BLEU of every prefix with it: whether the n-gram that ends at a place counts depends on
what stands before that place alone, so the clipped matches of all prefixes are one running sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Smoothing = Literal["none", "add_one", "add_one_all"]

CPU_ELEMENTS = 1 << 20  # comparisons of two places held at once: a MiB, about a core's own cache
DEVICE_ELEMENTS = 1 << 27


@dataclass(frozen=True)
class PairBleu:
    """BLEU of sequences, each against a target of its own, with equal weights of the orders.

    Attributes:
        vocab: ids from this number on are padding.
        eos: not counted, nor is padding; the tokens counted stand next to one another.
        unk: counts, but matches nothing: in the text that is scored in the end, it is no word of the reference.
        orders: length of the longest n-grams.
        smoothing: `add_one`: one more match and one more n-gram for orders above 1 (Lin and Och, 2004; NLTK's
            `method2`); `add_one_all`: for order 1 too; `none`: 0 where an order has no match. An order that a sequence
            is too short for has one n-gram and no match, as NLTK has it.
    """

    vocab: int
    eos: int | None
    orders: int = 4
    smoothing: Smoothing = "add_one"
    unk: int | None = None

    @torch.no_grad()
    def __call__(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """tokens [rows, time], targets [rows, target time], both padded -> BLEU [rows], float64."""
        found = self.prefixes(tokens, targets)
        return found[:, -1] if found.shape[1] else found.new_zeros(len(found))

    @torch.no_grad()
    def prefixes(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """BLEU of the first 1, 2, ... places: [rows, time], float64; it stays as it is where padding follows."""
        places = tokens.shape[1] * (tokens.shape[1] + targets.shape[1])
        most = CPU_ELEMENTS if tokens.device.type == "cpu" else DEVICE_ELEMENTS
        size = max(1, most // max(1, places))
        pairs = zip(torch.split(tokens, size), torch.split(targets, size), strict=True)
        return torch.cat([self._prefixes(some, gold) for some, gold in pairs])

    def _words(self, tokens: Tensor) -> Tensor:
        words = tokens < self.vocab
        return words if self.eos is None else words & (tokens != self.eos)

    def _prefixes(self, tokens: Tensor, targets: Tensor) -> Tensor:
        words, gold_words = self._words(tokens), self._words(targets)
        lengths = words.cumsum(1)
        logs = torch.zeros_like(lengths, dtype=torch.float64)
        named = gold_words if self.unk is None else gold_words & (targets != self.unk)
        same_token = _equal(tokens, targets) & words.unsqueeze(2) & named.unsqueeze(1)
        again_token = _equal(tokens, tokens) & (words.unsqueeze(2) & words.unsqueeze(1)).tril()
        same, again = same_token, again_token  # of n-grams ending there: [rows, time, target time], [rows, time, time]
        for n in range(1, self.orders + 1):
            # The k-th time that an n-gram stands in the sequence counts while the target has it at least k times.
            counts = (again.sum(2) <= same.sum(2)) & again.diagonal(dim1=1, dim2=2)
            logs += self._log_precision(counts.cumsum(1), lengths, n)
            same, again = _longer(same, same_token), _longer(again, again_token)
        return self._bleu(logs / self.orders, lengths, gold_words.sum(1, keepdim=True))

    def _log_precision(self, matches: Tensor, lengths: Tensor, n: int) -> Tensor:
        extra = int(self.smoothing == "add_one_all" or (self.smoothing == "add_one" and n > 1))
        grams = (lengths - (n - 1)).clamp(min=1)
        return ((matches + extra).double() / (grams + extra)).log()

    def _bleu(self, logs: Tensor, lengths: Tensor, gold: Tensor) -> Tensor:
        brevity = (1 - gold / lengths.clamp(min=1).double()).clamp(max=0)
        return torch.where(lengths > 0, (brevity + logs).exp(), 0.0)


def _equal(left: Tensor, right: Tensor) -> Tensor:
    return left.unsqueeze(2) == right.unsqueeze(1)


def _longer(same: Tensor, same_token: Tensor) -> Tensor:
    """Whether the grams that end at two places are equal, from those one token shorter that end a place earlier."""
    longer = torch.zeros_like(same)
    longer[:, 1:, 1:] = same[:, :-1, :-1] & same_token[:, 1:, 1:]
    return longer
