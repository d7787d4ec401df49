"""RNNSearch-style encoder-decoder: bidirectional LSTM, additive attention (Bahdanau et al., 2015, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.nets.base import Memory, State
from baselines.nets.lstm import LSTMStack, RecurrentNet


class BidirectionalEncoder(nn.Module):
    """Source tokens -> annotations; what stands after a source's end has no influence on it.

    The backward direction reads each source turned round within its own length, so both directions are one dense
    `nn.LSTM` call, and padding is only ever read after the last token.
    """

    def __init__(self, vocab_size: int, embedding: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding)
        self.rightward = LSTMStack(embedding, hidden)
        self.leftward = LSTMStack(embedding, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sources: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """sources [batch, time], lengths [batch] -> annotations [batch, time, 2 hidden], ends [batch, 2 hidden]."""
        place = torch.arange(sources.shape[1], device=sources.device)
        mirrored = lengths[:, None] - 1 - place
        mirrored = torch.where(mirrored >= 0, mirrored, place)  # [batch, time]
        embedded = self.dropout(self.embedding(sources))
        right = self.rightward.unroll(embedded, self.rightward.zeros(len(sources)))
        left = self.leftward.unroll(_along_time(embedded, mirrored), self.leftward.zeros(len(sources)))
        last = (lengths - 1)[:, None]
        ends = torch.cat([_along_time(right, last), _along_time(left, last)], -1).squeeze(1)
        return torch.cat([right, _along_time(left, mirrored)], -1), ends


class AttentionSeq2Seq(RecurrentNet):
    """p(y_t | y_<t, x) with an LSTM decoder that attends to the encoder's annotations.

    Args:
        source_size: rows of the source embedding (`Vocabulary.n_inputs`).
        encoder: hidden units of each direction.
        attention: width of the additive scores.
        readout: width of the features that the output layer reads.
        tied: one matrix for target embedding and output layer; needs `embedding == readout`.
        input_feeding: the context, found with the *previous* decoder state, is read by the decoder (Bahdanau's order).
            Otherwise it is found with the present state and goes to the output alone (Luong et al., 2015, without input
            feeding): all time steps are then one LSTM call and one attention call.
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
        input_feeding: bool = False,
    ) -> None:
        super().__init__(vocab_size, embedding, readout, dropout, tied)
        self.input_feeding = input_feeding
        self.encoder = BidirectionalEncoder(source_size, embedding, encoder, dropout)
        self.bridge = nn.Linear(2 * encoder, 2 * layers * hidden)
        self.lstm = LSTMStack(embedding + (2 * encoder if input_feeding else 0), hidden, layers, dropout)
        self.key = nn.Linear(2 * encoder, attention)
        self.query = nn.Linear(hidden, attention, bias=False)
        self.score = nn.Linear(attention, 1, bias=False)
        self.readout = nn.Linear(hidden + 2 * encoder, readout)

    def encode(self, sources: Tensor, lengths: Tensor) -> Memory:
        """The annotations, their keys, which places count, and both ends of the encoder's states."""
        lengths = lengths.clamp(min=1)  # an empty source is read as one padding token: attention needs a place
        annotations, ends = self.encoder(sources, lengths)
        inside = torch.arange(sources.shape[1], device=sources.device) < lengths[:, None]
        return annotations, self.key(annotations), inside, ends

    def initial_state(self, batch: int, memory: Memory) -> State:  # noqa: ARG002 - the memory knows the batch
        parts = self.bridge(memory[3]).chunk(2 * self.lstm.num_layers, -1)
        return tuple(torch.tanh(part) if i % 2 == 0 else part for i, part in enumerate(parts))

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        return self._advance(self.token_gates(tokens), state, memory)

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        state = self.initial_state(len(inputs), memory)
        embedded = self.dropout(self.embed(inputs))
        if not self.input_feeding:
            hidden = self.lstm.unroll(embedded, state)
            return self._features(hidden, self._attend(hidden, memory))
        features = []
        for gates in self.lstm.input_gates(embedded).unbind(1):
            feature, state = self._advance(gates, state, memory)
            features.append(feature)
        return torch.stack(features, 1)

    def _advance(self, gates: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """gates [batch, 4 hidden] of the token read -> features [batch, readout], the next state."""
        if self.input_feeding:
            context = self._attend(state[-2].unsqueeze(1), memory).squeeze(1)
            state = self.lstm.advance(gates + self.lstm.input_gates(context, self.embedding_size), state)
        else:
            state = self.lstm.advance(gates, state)
            context = self._attend(state[-2].unsqueeze(1), memory).squeeze(1)
        return self._features(state[-2], context), state

    def _attend(self, hidden: Tensor, memory: Memory) -> Tensor:
        """hidden [batch, time, hidden] -> contexts [batch, time, 2 encoder]."""
        annotations, keys, inside, _ = memory
        mixed = (self.query(hidden).unsqueeze(2) + keys.unsqueeze(1)).tanh_()  # [batch, time, source time, attention]
        scores = self.score(mixed).squeeze(-1).masked_fill(~inside.unsqueeze(1), float("-inf"))
        return torch.bmm(torch.softmax(scores, -1), annotations)

    def _features(self, hidden: Tensor, context: Tensor) -> Tensor:
        features: Tensor = self.dropout(torch.tanh(self.readout(torch.cat([hidden, context], -1))))
        return features


def _along_time(values: Tensor, places: Tensor) -> Tensor:
    """values [batch, time, width] at places [batch, time'] -> [batch, time', width]."""
    return values.gather(1, places.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
