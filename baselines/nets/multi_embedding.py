"""RelGAN's discriminator (Nie et al. 2019, section 2.3): many small embeddings, one opinion from each.

Every embedding of the sequence is read by the same convolutions and judged by the same layers; a sequence has as many
log-odds as there are embeddings. It reads tokens, or weights over the vocabulary, through which gradients flow.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.cnn import Highway, outside


class MultiEmbeddingDiscriminator(nn.Module):
    """log-odds that a sequence is real, one from each embedded representation.

    A window counts when it lies wholly inside its sequence; the first always counts, with zeros after the end.

    Args:
        vocab_size: tokens that can be emitted; ids from `vocab_size` on are padding.
        embedding: numbers a token, of all representations together; `representations` divides it.
        widths, filters: of the convolutions; tokens, and how many of each width.
        readout: units of the layer before the last; it has no non-linearity (the official code's).
        dropout: after the highway layer.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding: int,
        representations: int,
        widths: tuple[int, ...],
        filters: tuple[int, ...],
        readout: int,
        dropout: float,
    ) -> None:
        super().__init__()
        if embedding % representations:
            raise ValueError(f"{representations} representations can't share {embedding} numbers a token evenly")
        self.vocab_size, self.representations, self.widths = vocab_size, representations, widths
        self.embedding = nn.Parameter(torch.empty(vocab_size, embedding))
        each = embedding // representations
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(width * each, count)) for width, count in zip(widths, filters, strict=True)
        )
        self.bias = nn.Parameter(torch.empty(sum(filters)))
        self.highway = Highway(sum(filters))
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(sum(filters), readout)
        self.output = nn.Linear(readout, 1)

    def initialise(self, rng: torch.Generator) -> None:
        """The official code's: all from normals cut off at two deviations, biases 0.

        Deviations: sqrt(2 / window) for a filter, 1 / sqrt(inputs) for a layer, 1 / sqrt(vocab) for embeddings.
        """
        with torch.no_grad():
            _truncated(self.embedding, self.vocab_size**-0.5, rng)
            for weight in self.weights:
                _truncated(weight, (2 / weight.shape[0]) ** 0.5, rng)
            self.bias.zero_()
            for layer in (self.highway.both, self.readout, self.output):
                _truncated(layer.weight, layer.in_features**-0.5, rng)
                layer.bias.zero_()

    def forward(self, sequence: Tensor, lengths: Tensor) -> Tensor:
        """Log-odds [batch, representations].

        Args:
            sequence: tokens [batch, time], or weights over the vocabulary [batch, time, vocab].
            lengths: [batch], `</s>` included; what stands behind is not looked at.
        """
        inside = torch.arange(sequence.shape[1], device=lengths.device) < lengths.unsqueeze(1)
        if sequence.is_floating_point():
            embedded = sequence @ self.embedding
        else:
            embedded = F.embedding(sequence.clamp(max=self.vocab_size - 1), self.embedding)
        features = self.features(embedded * inside.unsqueeze(2), lengths)
        scores: Tensor = self.output(self.readout(self.dropout(self.highway(features))))
        return scores.squeeze(2)

    def features(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """embedded [batch, time, embedding], 0 after the end -> [batch, representations, filters]."""
        embedded = F.pad(embedded, (0, 0, 0, max(0, max(self.widths) - embedded.shape[1])))
        views = embedded.view(*embedded.shape[:2], self.representations, -1)  # [batch, time, representations, each]
        pooled = []
        for width, weight in zip(self.widths, self.weights, strict=True):
            windows = views.shape[1] - width + 1
            unfolded = torch.cat([views[:, j : j + windows] for j in range(width)], 3)
            hidden = outside(windows, width, lengths)[:, :, None, None]
            pooled.append((unfolded @ weight).masked_fill_(hidden, -torch.inf).max(1).values)
        return F.relu(torch.cat(pooled, 2) + self.bias)


def _truncated(weight: Tensor, scale: float, rng: torch.Generator) -> None:
    nn.init.trunc_normal_(weight, std=scale, a=-2 * scale, b=2 * scale, generator=rng)
