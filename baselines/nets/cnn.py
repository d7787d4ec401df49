"""The convolutional discriminator of SeqGAN (Yu et al. 2017, section 3.2): max-over-time features, highway, log-odds.

Every width is one matrix product over unfolded embeddings: on a CPU that is about twice as fast as a 2-d convolution
over an image one token wide, with the same values and gradients.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvFeatures(nn.Module):
    """Features of a token sequence: for each filter its largest response over time (Kim 2014).

    A window counts when it lies wholly inside its sequence. The first window always counts, so that a sequence shorter
    than a filter is still seen, with zeros after its end.

    Attributes:
        widths: filter widths, tokens.
        counts: filters of each width.
        variable_length: sequences may end before the padded time; when False no mask is computed.
    """

    def __init__(
        self,
        n_inputs: int,
        pad: int,
        embedding: int,
        widths: tuple[int, ...],
        counts: tuple[int, ...],
        *,
        variable_length: bool,
    ) -> None:
        super().__init__()
        self.pad, self.widths, self.counts, self.variable_length = pad, widths, counts, variable_length
        self.embedding = nn.Embedding(n_inputs, embedding, padding_idx=pad)
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(width * embedding, count)) for width, count in zip(widths, counts, strict=True)
        )
        self.bias = nn.Parameter(torch.empty(sum(counts)))

    @property
    def size(self) -> int:
        return sum(self.counts)

    def initialise(self, rng: torch.Generator) -> None:
        """U(-1, 1) embeddings, truncated N(0, 0.1) filters, biases 0.1: the official code's."""
        with torch.no_grad():
            self.embedding.weight.uniform_(-1, 1, generator=rng)
            self.embedding.weight[self.pad] = 0
            for weight in self.weights:
                nn.init.trunc_normal_(weight, std=0.1, a=-0.2, b=0.2, generator=rng)
            self.bias.fill_(0.1)

    def forward(self, ids: Tensor) -> Tensor:
        """ids [batch, time], `pad` after the end -> features [batch, filters]."""
        embedded, lengths = self.read(ids)
        pooled = [self.responses(embedded, lengths, i).amax(1) for i in range(len(self.widths))]
        return F.relu(torch.cat(pooled, 1) + self.bias)

    def read(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings [batch, time, embedding], time at least the widest filter, and lengths [batch]."""
        lengths = (ids != self.pad).sum(1)
        ids = F.pad(ids, (0, max(0, max(self.widths) - ids.shape[1])), value=self.pad)
        return self.embedding(ids), lengths

    def responses(self, embedded: Tensor, lengths: Tensor, index: int) -> Tensor:
        """What the filters of one width give at every start [batch, windows, filters], before bias; -inf: no window."""
        width = self.widths[index]
        windows = embedded.shape[1] - width + 1
        unfolded = _Unfold.apply(embedded, width)  # type: ignore[no-untyped-call, unused-ignore]
        scores: Tensor = unfolded @ self.weights[index]
        if self.variable_length:
            scores = scores.masked_fill(outside(windows, width, lengths).unsqueeze(2), -torch.inf)
        return scores


class _Unfold(torch.autograd.Function):
    """Embeddings [batch, time, embedding] -> windows of `width` side by side [batch, windows, width * embedding].

    The gradient is one addition in place for each offset; PyTorch's own for slices makes a zeroed copy of all for each.
    """

    @staticmethod
    def forward(ctx: Any, embedded: Tensor, width: int) -> Tensor:
        ctx.shape = embedded.shape
        windows = embedded.shape[1] - width + 1
        return torch.cat([embedded[:, j : j + windows] for j in range(width)], 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override, unused-ignore]
        windows, size = gradient.shape[1], ctx.shape[2]
        folded = gradient.new_zeros(ctx.shape)
        for j, part in enumerate(torch.split(gradient, size, 2)):
            folded[:, j : j + windows] += part
        return folded, None


def outside(windows: int, width: int, lengths: Tensor) -> Tensor:
    """True where a window does not count: [batch, windows], for sequences of `lengths` [batch]."""
    starts = torch.arange(windows, device=lengths.device)
    return (starts > 0) & (starts + width > lengths.unsqueeze(1))


class Highway(nn.Module):
    """One highway layer (Srivastava et al. 2015): t * relu(W_h x) + (1 - t) * x, t = sigmoid(W_t x)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.both = nn.Linear(size, 2 * size)  # W_h and W_t in one product

    def initialise(self, rng: torch.Generator) -> None:
        with torch.no_grad():
            for weight in self.both.weight.chunk(2):
                nn.init.xavier_uniform_(weight, generator=rng)
            self.both.bias.zero_()  # the official code leaves the gate's bias at 0, not at -2

    def forward(self, x: Tensor) -> Tensor:
        change, gate = self.both(x).chunk(2, -1)
        return torch.lerp(x, F.relu(change), torch.sigmoid(gate))


class ConvDiscriminator(nn.Module):
    """log-odds that a sequence, or a (source, target) pair, is real.

    A pair is read by two towers of the same shape whose features stand side by side before the highway layer. With one
    tower this is the paper's network; without `highway` its features go to the output layer as they are.
    """

    def __init__(self, target: ConvFeatures, source: ConvFeatures | None, keep: float, *, highway: bool = True) -> None:
        super().__init__()
        self.target, self.source = target, source
        size = target.size + (source.size if source is not None else 0)
        self.highway: Highway | nn.Identity = Highway(size) if highway else nn.Identity()
        self.dropout = nn.Dropout(1 - keep)
        self.output = nn.Linear(size, 2)  # two classes under a softmax, as the official code has it: [generated, real]

    def initialise(self, rng: torch.Generator) -> None:
        """All weights from one stream, so that equal seeds give equal networks."""
        self.target.initialise(rng)
        if self.source is not None:
            self.source.initialise(rng)
        if isinstance(self.highway, Highway):
            self.highway.initialise(rng)
        with torch.no_grad():
            nn.init.trunc_normal_(self.output.weight, std=0.1, a=-0.2, b=0.2, generator=rng)
            self.output.bias.fill_(0.1)

    def forward(self, targets: Tensor, sources: Tensor | None = None) -> Tensor:
        """targets [batch, time], sources [batch, source time] -> log-odds of "real" [batch]."""
        features = self.target(targets)
        if self.source is not None:
            features = torch.cat([features, self.source(sources)], 1)
        return self.head(features)

    def head(self, features: Tensor) -> Tensor:
        """Features [batch, filters] -> log-odds of "real" [batch]."""
        scores: Tensor = self.output(self.dropout(self.highway(features)))
        return scores[:, 1] - scores[:, 0]

    def penalty(self) -> Tensor:
        """Half the squared norm of the output layer; nothing else is regularised."""
        squares: Tensor = self.output.weight.square().sum() + self.output.bias.square().sum()
        return squares / 2
