"""LSTM language model: one `nn.LSTM` call for teacher forcing, a fast single step of its weights for sampling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.base import AutoregressiveNet, Memory, State
from baselines.nets.gru import GRUStack

Init = Literal["glorot", "uniform", "normal"]


class LSTMStack(nn.LSTM):
    """`nn.LSTM` (batch first) that can also go one step at a time. A state is (h, c) of each layer, [batch, hidden]."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, input_size: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__(input_size, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)

    def zeros(self, batch: int) -> State:
        zero = self.weight_hh_l0.new_zeros(batch, self.hidden_size)
        return (zero,) * (2 * self.num_layers)

    def top(self, state: State) -> Tensor:
        """The output [batch, hidden] of a state."""
        return state[-2]

    def start(self, values: Tensor) -> State:
        """A first state from values [batch, layers * 2 hidden] of any size."""
        parts = values.chunk(2 * self.num_layers, -1)
        return tuple(torch.tanh(part) if i % 2 == 0 else part for i, part in enumerate(parts))

    def unroll(self, inputs: Tensor, state: State) -> Tensor:
        """inputs [batch, time, in] -> top layer's outputs [batch, time, hidden]."""
        outputs: Tensor = self(inputs, (torch.stack(state[0::2]), torch.stack(state[1::2])))[0]
        return outputs

    def input_gates(self, inputs: Tensor, start: int = 0) -> Tensor:
        """What inputs [..., part of in] from column `start` on add to the gates [..., 4 hidden] of the lowest layer.

        The biases are added with the part that starts at column 0.
        """
        weight = self.weight_ih_l0[:, start : start + inputs.shape[-1]]
        return F.linear(inputs, weight, self.bias_ih_l0 + self.bias_hh_l0 if start == 0 else None)

    def advance(self, gates: Tensor, state: State) -> State:
        """One step, from the input's part of the lowest layer's gates [batch, 4 hidden]; `state[-2]` is the output."""
        new: list[Tensor] = []
        for layer in range(self.num_layers):
            if layer > 0:
                below = F.dropout(new[-2], self.dropout, self.training)
                bias = getattr(self, f"bias_ih_l{layer}") + getattr(self, f"bias_hh_l{layer}")
                gates = F.linear(below, getattr(self, f"weight_ih_l{layer}"), bias)
            h, c = state[2 * layer], state[2 * layer + 1]
            gates = torch.addmm(gates, h, getattr(self, f"weight_hh_l{layer}").t())
            new.extend(self._cell(gates, c))
        return tuple(new)

    def _cell(self, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        # The sigmoid also runs over the candidate's quarter, unused: one contiguous pass is faster than two.
        i, f, _, o = torch.sigmoid(gates).chunk(4, -1)
        candidate = torch.tanh(gates[:, 2 * self.hidden_size : 3 * self.hidden_size])
        c = torch.addcmul(f * c, i, candidate)
        return o * torch.tanh(c), c


class RecurrentNet(AutoregressiveNet):
    """What the recurrent networks share: reading tokens, and the table that makes a single step cheap.

    Inside `fixed_weights()`, a token's part of the gates is a row of `embedding @ W_ih + b`, computed once on entry.

    Attributes:
        lstm: the decoder's cells, by the name that stored weights have, whatever their kind.
    """

    lstm: LSTMStack | GRUStack

    def __init__(self, vocab_size: int, embedding: int, features: int, dropout: float, tied: bool) -> None:
        super().__init__()
        if tied and embedding != features:
            raise ValueError(f"tied embeddings need one size: embedding {embedding}, output layer {features}")
        self.vocab_size, self.embedding_size, self.tied = vocab_size, embedding, tied
        # Tied: tokens that can be emitted share the output layer's rows; only `bos` and `pad` have rows of their own.
        self.embedding = nn.Embedding(2 if tied else vocab_size + 2, embedding)
        self.output = nn.Linear(features, vocab_size)
        self.dropout = nn.Dropout(dropout)
        self._table: Tensor | None = None

    def embed(self, tokens: Tensor) -> Tensor:
        """tokens [...] -> embeddings [..., embedding], before dropout.

        Tied rows have the size that suits the output layer; sqrt(embedding) makes inputs of them (Vaswani et al., 2017,
        section 3.4).
        """
        if not self.tied:
            return F.embedding(tokens, self.embedding.weight)
        words = F.embedding(tokens.clamp(max=self.vocab_size - 1), self.output.weight)
        special = F.embedding((tokens - self.vocab_size).clamp(min=0), self.embedding.weight)
        rows = torch.where((tokens < self.vocab_size).unsqueeze(-1), words, special)
        return rows * math.sqrt(self.embedding_size)

    def first_output(self, batch: int, memory: Memory) -> Tensor:
        """The cells' output [batch, hidden] before a token is read."""
        return self.lstm.top(self.initial_state(batch, memory))

    def token_gates(self, tokens: Tensor) -> Tensor:
        """The tokens' part of the gates: tokens [batch] -> [batch, gates * hidden]."""
        if self._table is None or torch.is_grad_enabled() or (self.training and self.dropout.p > 0):
            return self.lstm.input_gates(self.dropout(self.embed(tokens)))
        return F.embedding(tokens, self._table)

    @contextmanager
    def fixed_weights(self) -> Iterator[None]:
        rows = torch.arange(self.vocab_size + 2, device=self.output.weight.device)
        outer = self._table
        try:
            with torch.no_grad():
                self._table = self.lstm.input_gates(self.embed(rows))
            yield
        finally:
            self._table = outer


class LSTMLanguageModel(RecurrentNet):
    """p(y_t | y_<t): embedding, LSTM, linear output.

    Args:
        embedding, hidden, layers: sizes.
        dropout: on embeddings, between layers and before the output (Zaremba et al., 2014).
        tied: one matrix for embedding and output (Press and Wolf, 2017); needs `embedding == hidden`.
    """

    def __init__(
        self, vocab_size: int, embedding: int, hidden: int, layers: int = 1, dropout: float = 0.0, tied: bool = False
    ) -> None:
        super().__init__(vocab_size, embedding, hidden, dropout, tied)
        self.lstm = LSTMStack(embedding, hidden, layers, dropout)

    def initial_state(self, batch: int, memory: Memory = ()) -> State:  # noqa: ARG002 - a free model has no memory
        return self.lstm.zeros(batch)

    def step(self, tokens: Tensor, state: State, memory: Memory = ()) -> tuple[Tensor, State]:  # noqa: ARG002
        state = self.lstm.advance(self.token_gates(tokens), state)
        return self.dropout(state[-2]), state

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        state = self.initial_state(len(inputs), memory)
        features: Tensor = self.dropout(self.lstm.unroll(self.dropout(self.embed(inputs)), state))
        return features


def initialise(net: RecurrentNet, scheme: Init, scale: float, rng: torch.Generator) -> None:
    """Draws all weights anew, on the CPU (so that they don't depend on the device), in the order of their names.

    `glorot`: matrices uniform as in Glorot and Bengio (2010), each gate of an LSTM as one of its own; embeddings from
    N(0, scale), the output layer (with tied embeddings, these too) from N(0, 1 / sqrt(features)); biases 0, a forget
    gate's 1 (Jozefowicz et al., 2015).
    `uniform`: weights from U(-scale, scale), biases as with `glorot`.
    `normal`: weights and biases from N(0, scale), the second of the two biases that an `nn.LSTM` has 0 (SeqGAN's code
    has one).
    A GRU is treated like an LSTM, but has no forget gate.
    """
    grus = [(name, module) for name, module in net.named_modules() if isinstance(module, nn.GRU)]
    three = {f"{name}.{own}" for name, gru in grus for own, _ in gru.named_parameters()}  # gates; an LSTM has four
    with torch.no_grad():
        for name, parameter in sorted(net.named_parameters()):
            fresh = torch.zeros(parameter.shape)
            if scheme == "normal":
                if "bias_hh" not in name:
                    fresh.normal_(0.0, scale, generator=rng)
            elif "bias" in name:
                if "bias_ih" in name and name not in three:
                    fresh.view(4, -1)[1] = 1.0
            elif scheme == "uniform":
                fresh.uniform_(-scale, scale, generator=rng)
            else:
                _glorot(fresh, name, scale, net.tied, 3 if name in three else 4, rng)
            parameter.copy_(fresh)


def _glorot(fresh: Tensor, name: str, scale: float, tied: bool, gates: int, rng: torch.Generator) -> None:
    if name == "output.weight" or (tied and name == "embedding.weight"):
        fresh.normal_(0.0, fresh.shape[1] ** -0.5, generator=rng)
    elif "embedding" in name:
        fresh.normal_(0.0, scale, generator=rng)
    else:
        rows = fresh.shape[0] // gates if "_ih_" in name or "_hh_" in name else fresh.shape[0]
        bound = (6 / (rows + fresh.shape[1])) ** 0.5
        fresh.uniform_(-bound, bound, generator=rng)
