"""D on Monte-Carlo rollouts, without doing any work twice.

All rollouts of a prefix share the prefix. So the windows wholly inside it are scored once (a running maximum over the
sampled sequence), the part inside it of a window that leaves it is added up once, and only the rolled-out positions are
looked up for each rollout. A convolution over a fixed embedding table is a sum of rows of the products
`embedding @ filter column`, so that a rolled-out position costs one addition a filter instead of `embedding` of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.nets.cnn import ConvDiscriminator, ConvFeatures, outside

ROWS = 512  # rollouts scored at once: their window scores stay in the cache


class Cut(NamedTuple):
    """Windows of one width that are not wholly inside a prefix: which positions each adds up, on either side."""

    first: int  # start of the first such window
    windows: int
    inner: Tensor  # [pairs] position inside the prefix
    inner_column: Tensor  # [pairs] its place in the window
    inner_starts: Tensor  # [windows] where each window's pairs begin
    outer: Tensor  # the same for positions at or after the prefix's end
    outer_column: Tensor
    outer_starts: Tensor


def cut(time: int, width: int, prefix: int, device: torch.device) -> Cut:
    first = max(0, prefix - width + 1)
    starts = range(first, time - width + 1)
    lists: list[list[int]] = [[], [], [], [], [], []]
    for start in starts:
        split = min(max(prefix - start, 0), width)
        lists[2].append(len(lists[0]))
        lists[5].append(len(lists[3]))
        lists[0] += range(start, start + split)
        lists[1] += range(split)
        lists[3] += range(start + split, start + width)
        lists[4] += range(split, width)
    return Cut(first, len(starts), *(torch.tensor(part, dtype=torch.long, device=device) for part in lists))


def sums(table: Tensor, ids: Tensor, position: Tensor, column: Tensor, starts: Tensor, width: int) -> Tensor:
    """Sums of table rows over each window's pairs: ids [rows, time] -> [rows, windows, filters]."""
    rows, pairs, windows = len(ids), len(position), len(starts)
    if pairs == 0:
        return table.new_zeros(rows, windows, table.shape[1])
    index = ids.index_select(1, position) * width + column
    offsets = torch.arange(0, rows * pairs, pairs, device=ids.device).unsqueeze(1) + starts
    return F.embedding_bag(index.view(-1), table, offsets.view(-1), mode="sum").view(rows, windows, -1)


@torch.no_grad()
def rollout_features(net: ConvFeatures, tokens: Tensor, rollouts: Tensor, items: Sequence[Tensor], n: int) -> Tensor:
    """What `net` gives for every rollout, equal to `net(rollouts)`.

    Args:
        tokens: the sampled sequences [batch, time], at least as wide as the rollouts.
        rollouts: their completions [rows, time], ordered by (prefix length 1, 2, ..., item, rollout).
        items: for each prefix length the items rolled out from it.
        n: rollouts of an item.

    Returns:
        Features [rows, filters].
    """
    tokens = tokens[:, : rollouts.shape[1]]
    embedded, lengths = net.read(tokens)
    missing = embedded.shape[1] - tokens.shape[1]
    tokens, rollouts = (F.pad(ids, (0, missing), value=net.pad) for ids in (tokens, rollouts))
    out = rollouts.new_empty(len(rollouts), net.size, dtype=embedded.dtype)
    largest = max(width * count for width, count in zip(net.widths, net.counts, strict=True))
    buffer = embedded.new_empty(len(net.embedding.weight) * largest)  # one table at a time, in memory touched once
    for i, columns in enumerate(torch.split(out, list(net.counts), 1)):
        inside = net.responses(embedded, lengths, i).cummax(1).values  # [batch, windows, filters]
        table = filter_table(net, i, buffer)
        done = 0
        for prefix, chosen in enumerate(items, 1):
            rows = slice(done, done + len(chosen) * n)
            done = rows.stop
            if len(chosen) == 0:
                continue
            within = inside[chosen, prefix - net.widths[i]] if prefix >= net.widths[i] else None
            _score(net, i, prefix, table, tokens[chosen], rollouts[rows], within, columns[rows])
    return F.relu(out.add_(net.bias), inplace=True)


def filter_table(net: ConvFeatures, index: int, buffer: Tensor) -> Tensor:
    """The product of every token's embedding and every column of the filters: [vocab * width, filters]."""
    vocab, embedding = net.embedding.weight.shape
    width, count = net.widths[index], net.counts[index]
    columns = net.weights[index].view(width, embedding, count).permute(1, 0, 2).reshape(embedding, width * count)
    out = buffer[: vocab * width * count].view(vocab, width * count)
    return torch.mm(net.embedding.weight, columns, out=out).view(vocab * width, count)


def _score(
    net: ConvFeatures,
    index: int,
    prefix: int,
    table: Tensor,
    tokens: Tensor,
    rollouts: Tensor,
    within: Tensor | None,
    out: Tensor,
) -> None:
    """One prefix length, one width: writes the largest responses [items * n, filters] to `out`."""
    items, time, width = len(tokens), tokens.shape[1], net.widths[index]
    n = len(rollouts) // items
    places = cut(time, width, prefix, tokens.device)
    shared = sums(table, tokens, places.inner, places.inner_column, places.inner_starts, width)
    step = max(1, ROWS // n)
    for a in range(0, items, step):
        rows = slice(a * n, min(a + step, items) * n)
        part = sums(table, rollouts[rows], places.outer, places.outer_column, places.outer_starts, width)
        part = part.view(-1, n, places.windows, part.shape[-1])
        if len(places.inner):
            part += shared[a : a + step].unsqueeze(1)
        if net.variable_length:
            lengths = (rollouts[rows] != net.pad).sum(1)
            masked = outside(time - width + 1, width, lengths)[:, places.first :]
            part.masked_fill_(masked.view(-1, n, places.windows, 1), -torch.inf)
        best = part.amax(2)
        if within is not None:
            best = torch.maximum(best, within[a : a + step].unsqueeze(1))
        out[rows] = best.flatten(0, 1)


@torch.no_grad()
def rollout_probabilities(
    net: ConvDiscriminator,
    tokens: Tensor,
    rollouts: Tensor,
    items: Sequence[Tensor],
    n: int,
    sources: Tensor | None = None,
) -> Tensor:
    """D of every rollout [rows]; arguments as in `rollout_features`, `sources` [batch, source time] for pairs.

    A source is read once, however many rollouts answer it.
    """
    features = rollout_features(net.target, tokens, rollouts, items, n)
    if net.source is None:
        return torch.cat([net.head(part).sigmoid() for part in torch.split(features, 4096)])
    rows = torch.cat([chosen.repeat_interleave(n) for chosen in items])
    read = net.source(sources)
    pairs = zip(torch.split(features, 4096), torch.split(rows, 4096), strict=True)
    return torch.cat([net.head(torch.cat([part, read[which]], 1)).sigmoid() for part, which in pairs])
