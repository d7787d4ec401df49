"""Batches of sequences: of about equal length, in a seeded order, padded only as far as needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tasks.base import Corpus, Ragged

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Sequences for teacher forcing.

    Attributes:
        inputs: [batch, time], `bos` and then the targets but the last.
        targets: [batch, time], padded.
        inside: [batch, time], which targets count.
        sources: [batch, source time], padded, with their lengths [batch]; None for a free task.
    """

    inputs: Tensor
    targets: Tensor
    inside: Tensor
    sources: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Collator:
    """Makes rows of a split into tensors on a device."""

    bos: int
    target_pad: int
    source_pad: int | None

    @classmethod
    def of(cls, corpus: Corpus) -> Collator:
        return cls(corpus.vocab.bos, corpus.vocab.pad, corpus.source_vocab.pad if corpus.source_vocab else None)

    def batch(self, targets: Ragged, sources: Ragged | None, device: torch.device) -> Batch:
        """All rows given, as one batch."""
        padded = torch.from_numpy(targets.padded(self.target_pad)).to(device, non_blocking=True)
        pair = None if sources is None else self.sources(sources, device)
        return Batch(shifted(padded, self.bos), padded, padded != self.target_pad, pair)

    def sources(self, sources: Ragged, device: torch.device) -> tuple[Tensor, Tensor]:
        """Sources [batch, time] (at least one place wide) and lengths [batch]."""
        assert self.source_pad is not None, "a corpus without a source vocabulary has no sources"
        padded = sources.padded(self.source_pad, max(1, int(sources.lengths.max(initial=0))))
        lengths = torch.from_numpy(sources.lengths)
        return torch.from_numpy(padded).to(device, non_blocking=True), lengths.to(device, non_blocking=True)


def shifted(tokens: Tensor, bos: int) -> Tensor:
    """What is read to predict each token [batch, time]: `bos`, then the tokens but the last."""
    return torch.cat([torch.full_like(tokens[:, :1], bos), tokens[:, :-1]], 1)


def bucketed(targets: Ragged, sources: Ragged | None, batch: int, seed: int, pool: int = 50) -> list[Rows]:
    """All rows once, in batches of about equal length and seeded order.

    The rows are shuffled, each `pool` batches' worth of them is sorted by length (target first, then source), cut into
    batches, and all batches are shuffled. There are always `ceil(rows / batch)` of them.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(targets))
    source_lengths = np.zeros(len(targets), np.int64) if sources is None else sources.lengths
    batches: list[Rows] = []
    for start in range(0, len(order), pool * batch):
        block = order[start : start + pool * batch]
        block = block[np.lexsort((source_lengths[block], targets.lengths[block]))]
        batches.extend(block[i : i + batch] for i in range(0, len(block), batch))
    return [batches[i] for i in rng.permutation(len(batches))]
