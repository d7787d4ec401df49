"""A Transformer encoder that reads a source and a candidate as one text and gives one number (Devlin et al., 2019).

Read is [first] source [separator] candidate, as BERT reads a pair of sentences: each place is the sum of a word, a
place and a segment. Layers are `torch.nn.TransformerEncoder`'s, with the norm before each part, which needs no warm-up.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EMBEDDING_STD = 0.5  # ours: of the order of what a layer adds


class PairTransformer(nn.Module):
    """Log-odds that a candidate belongs to real data, given its source, from what stands at the first place.

    Padding has no influence: nothing attends to it, and places are counted in each segment from its own beginning, so
    that the padding between a short source and its candidate shifts nothing.

    Args:
        sources, targets: ids that may be read on either side; each side has a table of its own.
        max_source, max_target: tokens that are read; of a longer text its beginning.
        width, layers, heads: sizes; the inner layers are four times as wide.
        dropout: on embeddings, on attention weights and after each part of a layer.
    """

    def __init__(
        self,
        sources: int,
        targets: int,
        *,
        max_source: int,
        max_target: int,
        width: int,
        layers: int,
        heads: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.max_source, self.max_target = max_source, max_target
        self.sources, self.targets = nn.Embedding(sources, width), nn.Embedding(targets, width)
        self.marks = nn.Embedding(2, width)  # [first] and [separator]; both belong to the source's segment
        self.segments = nn.Embedding(2, width)
        self.places = nn.Embedding(max(max_source, max_target), width)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.output = nn.Linear(width, 1)

    def forward(self, sources: Tensor, source_lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
        """Ids [batch, time], padded with any ids, and lengths [batch] -> log-odds of "real" [batch]."""
        sources, targets = sources[:, : self.max_source], targets[:, : self.max_target]
        source, target = self._segment(self.sources(sources), 0), self._segment(self.targets(targets), 1)
        first, separator = (self.marks.weight + self.segments.weight[0]).unbind()
        read = torch.cat([_row(first, len(sources)), source, _row(separator, len(sources)), target], 1)
        always = torch.ones(len(sources), 1, dtype=torch.bool, device=sources.device)
        inside = torch.cat([always, _inside(sources, source_lengths), always, _inside(targets, target_lengths)], 1)
        found = self.layers(self.dropout(read), src_key_padding_mask=~inside)
        logits: Tensor = self.output(found[:, 0]).squeeze(1)
        return logits

    def initialise(self, rng: torch.Generator) -> None:
        """Draws all weights anew, on the CPU (so that they don't depend on the device), in the order of their names.

        Matrices as Glorot and Bengio (2010), of attention's joint one each third; embeddings N(0, 0.5); biases 0,
        gains 1.
        """
        tables = {id(module.weight) for module in self.modules() if isinstance(module, nn.Embedding)}
        with torch.no_grad():
            for name, parameter in sorted(self.named_parameters()):
                fresh = torch.zeros(parameter.shape)
                if id(parameter) in tables:
                    fresh.normal_(0.0, EMBEDDING_STD, generator=rng)
                elif parameter.dim() > 1:
                    for part in fresh.chunk(3 if "in_proj" in name else 1):
                        nn.init.xavier_uniform_(part, generator=rng)
                elif "norm" in name and name.endswith("weight"):
                    fresh.fill_(1.0)
                parameter.copy_(fresh)

    def _segment(self, words: Tensor, number: int) -> Tensor:
        """Words [batch, time, width] with their places and their segment."""
        return words + self.places.weight[: words.shape[1]] + self.segments.weight[number]


def _row(mark: Tensor, batch: int) -> Tensor:
    return mark.expand(batch, 1, -1)


def _inside(ids: Tensor, lengths: Tensor) -> Tensor:
    """Which places of ids [batch, time] count."""
    return torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
