"""RNNSearch-style encoder-decoder: bidirectional encoder, additive attention (Bahdanau et al., 2015, section 3)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from baselines.nets.base import Memory, State
from baselines.nets.gru import GRUStack
from baselines.nets.lstm import LSTMStack, RecurrentNet

Cell = Literal["lstm", "gru"]
NUMBERS = 2**28  # of additive attention held at a time: 1 GiB


class BidirectionalEncoder(nn.Module):
    """Source tokens -> annotations; what stands after a source's end has no influence on it.

    The backward direction reads each source turned round within its own length, so both directions are one dense
    call of `nn.LSTM` or `nn.GRU`, and padding is only ever read after the last token.
    """

    def __init__(self, vocab_size: int, embedding: int, hidden: int, dropout: float, cell: Cell = "lstm") -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding)
        self.rightward = stack(cell, embedding, hidden)
        self.leftward = stack(cell, embedding, hidden)
        self.dropout = nn.Dropout(dropout)

    def embed(self, sources: Tensor) -> Tensor:
        """sources [batch, time] -> embeddings [batch, time, embedding], before dropout."""
        embedded: Tensor = self.embedding(sources)
        return embedded

    def forward(self, sources: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """sources [batch, time], lengths [batch] -> annotations [batch, time, 2 hidden], ends [batch, 2 hidden]."""
        place = torch.arange(sources.shape[1], device=sources.device)
        mirrored = lengths[:, None] - 1 - place
        mirrored = torch.where(mirrored >= 0, mirrored, place)  # [batch, time]
        embedded = self.dropout(self.embed(sources))
        right = self.rightward.unroll(embedded, self.rightward.zeros(len(sources)))
        left = self.leftward.unroll(along_time(embedded, mirrored), self.leftward.zeros(len(sources)))
        last = (lengths - 1)[:, None]
        ends = torch.cat([along_time(right, last), along_time(left, last)], -1).squeeze(1)
        return torch.cat([right, along_time(left, mirrored)], -1), ends


class AttentiveDecoder(RecurrentNet):
    """A recurrent decoder that attends to what `encode` gave.

    Whoever inherits makes the parts, and says how the first state comes about and what is attended to.

    Attributes:
        input_feeding: the context, found with the *previous* decoder state, is read by the decoder (Bahdanau's order).
            Otherwise it is found with the present state and goes to the output alone (Luong et al., 2015, without input
            feeding): all time steps are then one call of the cells and one attention call.
        readout: state and context -> features.
    """

    input_feeding: bool
    readout: nn.Linear
    _notes: list[Tensor] | None = None
    _unrolled = 1  # time steps that one backward pass goes through, each with an attention call of its own

    @abstractmethod
    def attend(self, hidden: Tensor, memory: Memory) -> Tensor:
        """hidden [batch, time, hidden] -> contexts [batch, time, context]; passes its weights through `noted`."""

    def noted(self, weights: Tensor) -> Tensor:
        """Attention weights [batch, time, source time] as they are; where someone asked for them, they are kept."""
        if self._notes is not None:
            self._notes.append(weights)
        return weights

    def step_with_weights(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor] | None:
        with self._noting() as notes:
            features, state = self.step(tokens, state, memory)
        return (features, state, notes[0].squeeze(1)) if notes else None

    def alignments(self, inputs: Tensor, memory: Memory) -> Tensor | None:
        with self._noting() as notes:
            self(inputs, memory)
        return torch.cat(notes, 1) if notes else None

    @contextmanager
    def _noting(self) -> Iterator[list[Tensor]]:
        outer, self._notes = self._notes, []
        try:
            yield self._notes
        finally:
            self._notes = outer

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        return self._advance(self.token_gates(tokens), state, memory)

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        state = self.initial_state(len(inputs), memory)
        embedded = self.dropout(self.embed(inputs))
        if not self.input_feeding:
            hidden = self.lstm.unroll(embedded, state)
            return self._features(hidden, self.attend(hidden, memory))
        features = []
        self._unrolled = inputs.shape[1]
        try:
            for gates in self.lstm.input_gates(embedded).unbind(1):
                feature, state = self._advance(gates, state, memory)
                features.append(feature)
        finally:
            self._unrolled = 1
        return torch.stack(features, 1)

    def _advance(self, gates: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """gates [batch, gates * hidden] of the token read -> features [batch, readout], the next state."""
        if self.input_feeding:
            context = self.attend(self.lstm.top(state).unsqueeze(1), memory).squeeze(1)
            state = self.lstm.advance(gates + self.lstm.input_gates(context, self.embedding_size), state)
        else:
            state = self.lstm.advance(gates, state)
            context = self.attend(self.lstm.top(state).unsqueeze(1), memory).squeeze(1)
        return self._features(self.lstm.top(state), context), state

    def _features(self, hidden: Tensor, context: Tensor) -> Tensor:
        features: Tensor = self.dropout(torch.tanh(self.readout(torch.cat([hidden, context], -1))))
        return features


class AttentionSeq2Seq(AttentiveDecoder):
    """p(y_t | y_<t, x) with a decoder that attends to the encoder's annotations.

    Args:
        source_size: rows of the source embedding (`Vocabulary.n_inputs`).
        encoder: hidden units of each direction.
        attention: width of the additive scores.
        readout: width of the features that the output layer reads.
        tied: one matrix for target embedding and output layer; needs `embedding == readout`.
        input_feeding: Bahdanau's order of attention and step; see `AttentiveDecoder`.
        cell: of encoder and decoder.
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
        cell: Cell = "lstm",
    ) -> None:
        super().__init__(vocab_size, embedding, readout, dropout, tied)
        self.input_feeding = input_feeding
        self.encoder = BidirectionalEncoder(source_size, embedding, encoder, dropout, cell)
        self.bridge = nn.Linear(2 * encoder, (2 if cell == "lstm" else 1) * layers * hidden)
        self.lstm = stack(cell, embedding + (2 * encoder if input_feeding else 0), hidden, layers, dropout)
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
        return self.lstm.start(self.bridge(memory[3]))

    def attend(self, hidden: Tensor, memory: Memory) -> Tensor:
        annotations, keys, inside, _ = memory
        scores = additive_scores(self.query(hidden), keys, self.score, self._unrolled)
        scores = scores.masked_fill(~inside.unsqueeze(1), float("-inf"))
        return torch.bmm(self.noted(torch.softmax(scores, -1)), annotations)


def stack(cell: Cell, input_size: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> LSTMStack | GRUStack:
    """Recurrent layers of the named kind."""
    made: type[LSTMStack] | type[GRUStack] = LSTMStack if cell == "lstm" else GRUStack
    return made(input_size, hidden, layers, dropout)


def additive_scores(queries: Tensor, keys: Tensor, score: nn.Linear, unrolled: int = 1) -> Tensor:
    """v . tanh(query + key) for each step and place (Bahdanau et al., 2015, appendix A.1.2).

    No more than `NUMBERS` are held at a time (or a step's): steps are looked at in turns, and what a gradient would
    need of more is computed again in the backward pass.

    Args:
        queries: [batch, time, attention].
        keys: [batch, source time, attention].
        score: v, as a layer of one output.
        unrolled: how many steps one backward pass goes through, where they are not all in this call.

    Returns:
        [batch, time, source time].
    """

    def scores_of(some: Tensor) -> Tensor:
        found: Tensor = score((some.unsqueeze(2) + keys.unsqueeze(1)).tanh_())
        return found

    most = max(1, NUMBERS // max(1, keys.numel()))
    parts = torch.split(queries, most, 1)
    if torch.is_grad_enabled() and max(unrolled, queries.shape[1]) > most:
        scores = [checkpoint(scores_of, some, use_reentrant=False, preserve_rng_state=False) for some in parts]
    else:
        scores = [scores_of(some) for some in parts]
    return torch.cat(scores, 1).squeeze(-1)


def softmax_inside(scores: Tensor, inside: Tensor) -> Tensor:
    """Weights over the last dimension that are 0 outside; all 0, with gradient 0, where nothing is inside."""
    weights = torch.softmax(scores.masked_fill(~inside, torch.finfo(scores.dtype).min), -1)
    return weights * inside


def along_time(values: Tensor, places: Tensor) -> Tensor:
    """values [batch, time, width] at places [batch, time'] -> [batch, time', width]."""
    return values.gather(1, places.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
