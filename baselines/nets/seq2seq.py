"""Encoder-decoder without attention: all of the source in one state of fixed size (Sutskever et al., 2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from baselines.nets.base import Memory, State
from baselines.nets.lstm import LSTMStack, RecurrentNet


class Seq2Seq(RecurrentNet):
    """p(y_t | y_<t, x): the decoder starts from the state in which the encoder ends; both are LSTMs of one size.

    Args:
        source_size: rows of the source embedding (`Vocabulary.n_inputs`).
        readout: width of the features that the output layer reads.
        reverse_source: the encoder reads the source from its end (section 3.3): its first words come close to the
            target's first.
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
        readout: int = 128,
        reverse_source: bool = False,
    ) -> None:
        super().__init__(vocab_size, embedding, readout, dropout, tied)
        self.reverse_source = reverse_source
        self.source_embedding = nn.Embedding(source_size, embedding)
        self.encoder = LSTMStack(embedding, hidden, layers, dropout)
        self.lstm = LSTMStack(embedding, hidden, layers, dropout)
        self.readout = nn.Linear(hidden, readout)

    def encode(self, sources: Tensor, lengths: Tensor) -> Memory:
        """The state after each source's last word: (h, c) of each layer, [batch, hidden].

        `nn.LSTM` gives the cells' contents at the end of a padded row alone, so rows are packed; a GPU is waited for
        once, since their lengths must be known.
        """
        lengths = lengths.clamp(min=1)  # an empty source is read as one padding token
        if self.reverse_source:
            place = torch.arange(sources.shape[1], device=sources.device)
            mirrored = lengths[:, None] - 1 - place
            sources = sources.gather(1, torch.where(mirrored >= 0, mirrored, place))
        embedded = self.dropout(self.source_embedding(sources))
        packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, (h, c) = self.encoder(packed)
        return tuple(part for pair in zip(h.unbind(), c.unbind(), strict=True) for part in pair)

    def initial_state(self, batch: int, memory: Memory) -> State:  # noqa: ARG002 - the memory knows the batch
        return memory

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:  # noqa: ARG002
        state = self.lstm.advance(self.token_gates(tokens), state)
        return self._features(self.lstm.top(state)), state

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        return self._features(self.lstm.unroll(self.dropout(self.embed(inputs)), memory))

    def _features(self, hidden: Tensor) -> Tensor:
        features: Tensor = self.dropout(torch.tanh(self.readout(hidden)))
        return features
