"""Convolutional attentive encoder and LSTM decoder: the generator of MIXER's row (Ranzato et al., 2016).

The encoder goes back to Rush et al. (2015): no recurrence reads the source. Each of its words gets an embedding of its
place; a convolution over a few neighbours makes the key by which it is found, and the context is a mean of the words.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.attention import AttentiveDecoder, softmax_inside
from baselines.nets.base import Memory, State
from baselines.nets.lstm import LSTMStack


class ConvSeq2Seq(AttentiveDecoder):
    """p(y_t | y_<t, x); the decoder starts from a state of zeros.

    Args:
        source_size: rows of the source embedding (`Vocabulary.n_inputs`).
        max_source_length: places that have an embedding; what stands behind shares the last one.
        window: source words that a key is made of, centred at the word.
        readout: width of the features that the output layer reads.
        input_feeding: the paper's order of attention and step; see `AttentiveDecoder`.
        scale_scores: dot products of state and key are divided by the root of their width; the paper's are not.
    """

    def __init__(
        self,
        source_size: int,
        vocab_size: int,
        max_source_length: int,
        embedding: int,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        tied: bool = False,
        window: int = 5,
        readout: int = 128,
        input_feeding: bool = False,
        scale_scores: bool = False,
    ) -> None:
        super().__init__(vocab_size, embedding, readout, dropout, tied)
        self.input_feeding, self.window = input_feeding, window
        self.scale = embedding**-0.5 if scale_scores else 1.0
        self.source_embedding = nn.Embedding(source_size, embedding)
        self.place_embedding = nn.Embedding(max_source_length, embedding)
        self.convolution = nn.Linear(
            window * embedding, embedding, bias=False
        )  # the same for all keys would not be seen
        self.lstm = LSTMStack(embedding + (embedding if input_feeding else 0), hidden, layers, dropout)
        self.query = nn.Linear(hidden, embedding, bias=False)
        self.readout = nn.Linear(hidden + embedding, readout)

    def encode(self, sources: Tensor, lengths: Tensor) -> Memory:
        """The words [batch, time, embedding], their keys [batch, time, embedding], and which places count."""
        lengths = lengths.clamp(min=1)  # an empty source is read as one padding token: attention needs a place
        places = torch.arange(sources.shape[1], device=sources.device)
        inside = places < lengths[:, None]
        words = self.dropout(self.source_embedding(sources))
        placed = words + self.place_embedding(places.clamp(max=self.place_embedding.num_embeddings - 1))
        placed = placed * inside.unsqueeze(-1)  # zeros beyond both ends of the source, however wide the batch is
        before = (self.window - 1) // 2
        around = F.pad(placed, (0, 0, before, self.window - 1 - before)).unfold(1, self.window, 1)
        return words, self.convolution(around.transpose(2, 3).flatten(2)), inside

    def initial_state(self, batch: int, memory: Memory) -> State:  # noqa: ARG002
        return self.lstm.zeros(batch)

    def attend(self, hidden: Tensor, memory: Memory) -> Tensor:
        words, keys, inside = memory
        scores = torch.bmm(self.query(hidden) * self.scale, keys.transpose(1, 2))
        return torch.bmm(self.noted(softmax_inside(scores, inside.unsqueeze(1))), words)
