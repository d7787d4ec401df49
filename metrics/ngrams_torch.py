"""The counting of `metrics.ngrams` on a torch device, for a million sentences and more: the same sorts and integers.

Everything is a whole number until it is back in NumPy, so the device can't change a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metrics.base import MetricError

if TYPE_CHECKING:
    from torch import Tensor


def clipped_counts(
    tokens: npt.NDArray[Any],
    sentence: npt.NDArray[Any],
    first: npt.NDArray[Any],
    items: int,
    orders: int,
    *,
    pool: bool,
    device: str,
) -> npt.NDArray[np.int64]:
    """Clipped counts [items, orders], element by element those of NumPy.

    Args:
        tokens: [positions] token ids of all sentences.
        sentence: [positions] the number of each token's sentence, ascending.
        first: [positions] tells order-1 grams apart.
        items: sentences below this number are counted.
        pool: the sentences from number `items` on are the references; else each sentence has all the others.
        device: as torch names it: `cuda`, `cuda:1`, `cpu`.

    Raises:
        MetricError: no such device.
    """
    import torch

    word, inside, keys = (_moved(part, device) for part in (tokens, sentence, first))
    counts = torch.zeros((items, orders), dtype=torch.int64, device=device)
    vocabulary = int(tokens.max(initial=0)) + 1
    positions = torch.arange(len(word), device=device)
    for order in range(orders):
        if len(keys) == 0:
            break
        runs, element_gram, where = _group(keys, positions, inside)
        clipped, alive = _clip_by_pool(runs, items) if pool else _clip_by_others(runs)
        counted = runs.sentence < items
        counts[:, order].index_add_(0, runs.sentence[counted], clipped[counted])
        if order + 1 == orders:
            break
        grams = _renumber(len(word), element_gram, where, alive)
        goes_on = (grams[:-1] >= 0) & (grams[1:] >= 0) & (inside[:-1] == inside[1:])
        positions = goes_on.nonzero().squeeze(1)
        # a gram of the next order: this order's gram, and the token that follows it
        keys = grams[positions] * vocabulary + word[positions + order + 1]
    found: npt.NDArray[np.int64] = counts.cpu().numpy()
    return found


def _moved(numbers: npt.NDArray[Any], device: str) -> Tensor:
    import torch

    try:
        return torch.from_numpy(numbers).to(device).long()  # 32 bits are enough on the way there
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts; all else is a RuntimeError
        raise MetricError(
            f'device "{device}" can\'t be used: {str(error).splitlines()[0]}. Without a device, NumPy counts.'
        ) from None


@dataclass(frozen=True)
class _Runs:
    """One entry for each sentence that holds a gram, ordered by gram, then sentence; as in `metrics.ngrams`.

    Attributes:
        gram, sentence, count: [runs].
        first: [grams] a gram's first run.
    """

    gram: Tensor
    sentence: Tensor
    count: Tensor
    first: Tensor

    def most(self, count: Tensor) -> Tensor:
        """The largest of `count` [runs] that each gram has, at least 0: [grams]."""
        return count.new_zeros(len(self.first)).scatter_reduce_(0, self.gram, count, "amax")


def _group(keys: Tensor, positions: Tensor, sentence: Tensor) -> tuple[_Runs, Tensor, Tensor]:
    """Runs of equal (key, sentence); and, sorted by key, the gram number and the position of every element."""
    import torch

    keys, order = torch.sort(keys, stable=True)  # a sentence's positions stay together
    where = positions[order]
    inside = sentence[where]
    new_gram = _changes(keys)
    element_gram = new_gram.cumsum(0) - 1
    start = (new_gram | _changes(inside)).nonzero().squeeze(1)
    count = torch.diff(start, append=start.new_tensor([len(keys)]))
    runs = _Runs(element_gram[start], inside[start], count, new_gram[start].nonzero().squeeze(1))
    return runs, element_gram, where


def _changes(values: Tensor) -> Tensor:
    """Where a value is not the one before it; true of the first."""
    import torch

    changed = torch.ones_like(values, dtype=torch.bool)
    changed[1:] = values[1:] != values[:-1]
    return changed


def _renumber(size: int, element_gram: Tensor, where: Tensor, alive: Tensor) -> Tensor:
    """Gram number at each position, without gaps; -1 where no gram of this order can go on."""
    number = (alive.cumsum(0) - 1).masked_fill_(~alive, -1)
    grams = where.new_full((size,), -1)
    grams[where] = number[element_gram]
    return grams


def _clip_by_pool(runs: _Runs, items: int) -> tuple[Tensor, Tensor]:
    is_reference = runs.sentence >= items
    most = runs.most(runs.count * is_reference)
    return runs.count.minimum(most[runs.gram]), (most > 0) & ~is_reference[runs.first]


def _clip_by_others(runs: _Runs) -> tuple[Tensor, Tensor]:
    import torch

    most = runs.most(runs.count)
    is_most = runs.count == most[runs.gram]
    holders = torch.zeros_like(most).index_add_(0, runs.gram, is_most.long())
    second = runs.most(runs.count * ~is_most)
    elsewhere = torch.where(holders == 1, second, most)[runs.gram]
    # who alone holds the most is given the second, all the others the most
    elsewhere = torch.where(is_most, elsewhere, most[runs.gram])
    return runs.count.minimum(elsewhere), torch.diff(runs.first, append=runs.first.new_tensor([len(runs.gram)])) > 1
