"""Two attention layers, one for each half of the source ("DBAM"): our reading, since no such paper could be found.

What is known is a sentence: an encoder with positional encodings, one attention layer over the first half of its states
and another over the second. Everything else is as in the encoder-decoder of `nets.attention`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.attention import AttentiveDecoder, BidirectionalEncoder, additive_scores, along_time, softmax_inside
from baselines.nets.base import Memory, State
from baselines.nets.lstm import LSTMStack


class PositionedEncoder(BidirectionalEncoder):
    """Sinusoids of the place (Vaswani et al., 2017, section 3.5) are added to the embeddings."""

    def embed(self, sources: Tensor) -> Tensor:
        return super().embed(sources) + sinusoids(sources.shape[1], self.embedding.weight)


class HalfAttention(nn.Module):
    """Additive attention (Bahdanau et al., 2015) over places of which possibly none counts."""

    def __init__(self, annotations: int, hidden: int, attention: int) -> None:
        super().__init__()
        self.key = nn.Linear(annotations, attention)
        self.query = nn.Linear(hidden, attention, bias=False)
        self.score = nn.Linear(attention, 1, bias=False)

    def forward(self, hidden: Tensor, keys: Tensor, inside: Tensor) -> Tensor:
        """hidden [batch, time, hidden] -> weights [batch, time, places]: all 0 where no place counts."""
        return softmax_inside(additive_scores(self.query(hidden), keys, self.score), inside.unsqueeze(1))


class DBAM(AttentiveDecoder):
    """p(y_t | y_<t, x) with a bidirectional LSTM encoder, and a decoder that looks into each half of the source.

    Arguments as `AttentionSeq2Seq`. Of an odd number of words the middle one belongs to the first half.
    """

    def __init__(
        self,
        source_size: int,
        vocab_size: int,
        embedding: int,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        tied: bool = False,
        encoder: int = 128,
        attention: int = 128,
        readout: int = 128,
    ) -> None:
        super().__init__(vocab_size, embedding, readout, dropout, tied)
        self.input_feeding = False
        self.encoder = PositionedEncoder(source_size, embedding, encoder, dropout)
        self.bridge = nn.Linear(2 * encoder, 2 * layers * hidden)
        self.lstm = LSTMStack(embedding, hidden, layers, dropout)
        self.first = HalfAttention(2 * encoder, hidden, attention)
        self.second = HalfAttention(2 * encoder, hidden, attention)
        self.readout = nn.Linear(hidden + 4 * encoder, readout)

    def encode(self, sources: Tensor, lengths: Tensor) -> Memory:
        """Of each half the annotations, their keys and which places count; both ends of the encoder's states; which
        places of the whole source count."""
        lengths = lengths.clamp(min=1)
        annotations, ends = self.encoder(sources, lengths)
        middle = (lengths + 1) // 2
        places = torch.arange((sources.shape[1] + 1) // 2, device=sources.device)
        first = annotations[:, : len(places)]
        # where a row's second half begins depends on its length; what would lie beyond the batch's width isn't inside
        second = along_time(annotations, (middle[:, None] + places).clamp(max=sources.shape[1] - 1))
        counts = (places < middle[:, None], places < (lengths - middle)[:, None])
        whole = torch.arange(sources.shape[1], device=sources.device) < lengths[:, None]
        return first, self.first.key(first), counts[0], second, self.second.key(second), counts[1], ends, whole

    def initial_state(self, batch: int, memory: Memory) -> State:  # noqa: ARG002 - the memory knows the batch
        return self.lstm.start(self.bridge(memory[6]))

    def attend(self, hidden: Tensor, memory: Memory) -> Tensor:
        first, second = self.first(hidden, *memory[1:3]), self.second(hidden, *memory[4:6])
        if self._notes is not None:
            self.noted(_over_the_whole(first, second, memory[7]))
        return torch.cat([torch.bmm(first, memory[0]), torch.bmm(second, memory[3])], -1)


def _over_the_whole(first: Tensor, second: Tensor, inside: Tensor) -> Tensor:
    """Weights of the halves [batch, time, places] -> of the source [batch, time, source time], of which each half has
    its half."""
    middle = (inside.sum(1) + 1) // 2
    places = torch.arange(second.shape[2], device=inside.device) + middle[:, None]
    # what lies beyond the source's end has weight 0, wherever it is put
    places = places.clamp(max=inside.shape[1] - 1)[:, None].expand_as(second)
    weights = F.pad(first, (0, inside.shape[1] - first.shape[2])).scatter_add(2, places, second)
    return weights / weights.sum(-1, keepdim=True)


def sinusoids(places: int, like: Tensor) -> Tensor:
    """Encodings [places, width of `like`]: sines at even columns, cosines at odd ones."""
    width = like.shape[1]
    rates = torch.exp(torch.arange(0, width, 2, device=like.device) * (-math.log(10_000) / width))
    angles = torch.arange(places, device=like.device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :width].to(like.dtype)
