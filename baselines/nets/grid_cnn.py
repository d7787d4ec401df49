"""A 2-d CNN over the grid of a source's words by a target's words (Wu et al. 2017, arXiv 1704.06933, section 2.2).

The grid z_ij = [x_i ; y_j] is never made. Its first convolution is a sum of a part that depends on i alone and a part
that depends on j alone: two convolutions along a sentence, added where they cross. So is the largest value of a 2x2
block: the larger of two rows plus the larger of two columns. What is made first is the grid after its first pooling.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["relu", "sigmoid"]
Count = TypeVar("Count", int, Tensor)
_ACTIVATIONS = {"relu": torch.relu_, "sigmoid": torch.sigmoid_}


class GridCNN(nn.Module):
    """Log-odds that a target is a human's, given its source: 3x3, pool, 3x3, pool, two hidden layers, one number.

    A sentence has a zero word before and after it, so the grid has a border of [0 ; y_j] and [x_i ; 0], and its
    convolution needs no padding of its own. Padding has no influence: words after a sentence's end are zero, cells
    outside a pair's own grid are zero after either layer, and a pair is judged alone (no batch normalisation).
    The last grid is laid into the corner of the largest one there can be, whose every cell has weights of its own.

    Args:
        sources, targets: the words, each with a table of its own; a table without gradient stays as it is.
        filters: of the two convolutions.
        hidden: units of the two hidden layers.
        max_source, max_target: tokens of the longest sentences.
        dropout: before either hidden layer.
    """

    def __init__(
        self,
        sources: nn.Embedding,
        targets: nn.Embedding,
        *,
        filters: tuple[int, int],
        hidden: tuple[int, int],
        max_source: int,
        max_target: int,
        activation: Activation = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.sources, self.targets = sources, targets
        self.extent = (_halved(_halved(max_source)), _halved(_halved(max_target)))
        self.activation = _ACTIVATIONS[activation]
        width = sources.embedding_dim + targets.embedding_dim
        self.weight = nn.Parameter(torch.empty(filters[0], width, 3, 3))  # the first layer's, as a `Conv2d` has it
        self.bias = nn.Parameter(torch.zeros(filters[0]))
        self.second = nn.Conv2d(*filters, 3, padding=1)
        self.flat = nn.Linear(self.extent[0] * self.extent[1] * filters[1], hidden[0])
        self.inner = nn.Linear(*hidden)
        self.output = nn.Linear(hidden[1], 1)
        self.dropout = nn.Dropout(dropout)

    def initialise(self, rng: torch.Generator) -> None:
        """He et al. (2015)'s uniform weights, biases 0, from one stream on the CPU; the tables are left alone."""
        with torch.no_grad():
            for part in (self, self.second, self.flat, self.inner, self.output):
                bound = (6 / part.weight[0].numel()) ** 0.5
                part.weight.copy_(torch.empty(part.weight.shape).uniform_(-bound, bound, generator=rng))
                assert part.bias is not None
                part.bias.zero_()

    def forward(self, sources: Tensor, source_lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
        """Sources [batch, source time], targets [batch, time], lengths [batch] -> log-odds of "human" [batch]."""
        return self.judge(self.read_sources(sources, source_lengths), source_lengths, targets, target_lengths)

    def read_sources(self, sources: Tensor, lengths: Tensor) -> Tensor:
        """The sources' part of the pooled first layer [batch, source time / 2, filters], for as many targets as wanted.

        An empty source is read as one padding token, as the generator reads it.
        """
        kernel = self.weight[:, : self.sources.embedding_dim].sum(3)
        return _pooled_part(self.sources(sources), lengths.clamp(min=1), kernel)

    def judge(self, read: Tensor, source_lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
        """Log-odds [batch] of targets beside what `read_sources` gave."""
        kernel = self.weight[:, self.sources.embedding_dim :].sum(2)
        part = _pooled_part(self.targets(targets), target_lengths, kernel) + self.bias
        grid = self.activation(read.unsqueeze(2) + part.unsqueeze(1))  # [batch, source time / 2, time / 2, filters]
        grid = self.activation(self.second(grid.permute(0, 3, 1, 2)))
        rows = _inside(grid.shape[2], _halved(source_lengths.clamp(min=1)))
        columns = _inside(grid.shape[3], _halved(target_lengths))
        grid = grid.masked_fill(~(rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1), 0.0)
        return self._read_grid(F.max_pool2d(grid, 2, ceil_mode=True))

    def _read_grid(self, grid: Tensor) -> Tensor:
        """grid [batch, filters, source time / 4, time / 4] -> log-odds [batch]."""
        rows, columns = grid.shape[2:]
        weight = self.flat.weight.view(len(self.flat.weight), grid.shape[1], *self.extent)[:, :, :rows, :columns]
        hidden = torch.relu(F.linear(self.dropout(grid.flatten(1)), weight.flatten(1), self.flat.bias))
        hidden = torch.relu(self.inner(self.dropout(hidden)))
        logits: Tensor = self.output(hidden).squeeze(1)
        return logits


def _pooled_part(words: Tensor, lengths: Tensor, kernel: Tensor) -> Tensor:
    """One sentence's part of the first layer: words [batch, time, word], kernel [filters, word, 3].

    Returns:
        The larger of each two places [batch, time / 2, filters]; minus infinity where neither is in the sentence, which
        either activation makes 0.
    """
    inside = _inside(words.shape[1], lengths).unsqueeze(2)
    part = F.conv1d(words.masked_fill(~inside, 0.0).transpose(1, 2), kernel, padding=1).transpose(1, 2)
    part = part.masked_fill(~inside, float("-inf"))
    part = F.pad(part, (0, 0, 0, part.shape[1] % 2), value=float("-inf"))
    return part.view(len(part), -1, 2, part.shape[2]).amax(2)


def _inside(time: int, lengths: Tensor) -> Tensor:
    """Which of `time` places are within `lengths` [batch]: [batch, time]."""
    return torch.arange(time, device=lengths.device) < lengths.unsqueeze(1)


def _halved(length: Count) -> Count:
    """Places left by a pooling of two: half of them, rounded up."""
    return (length + 1) // 2
