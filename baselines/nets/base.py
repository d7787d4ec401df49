"""What every autoregressive network offers to training, decoding and rollouts.

One interface for free and conditional models: a free one has no memory. Networks give *features*, and the output layer
is separate, so that a loss can run in chunks and never hold [batch, time, vocab] for backward.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]  # each [batch, ...]: rows can be picked, repeated and reordered by index along dimension 0
Memory = tuple[Tensor, ...]  # each [batch, ...]: what the encoder gives; () for a free model


class AutoregressiveNet(nn.Module, ABC):
    """p(y_t | y_<t, x) over `vocab_size` tokens; reads ids `0 .. vocab_size + 1` (`bos` and `pad` are the last two).

    Attributes:
        output: the output layer, features -> logits [..., vocab].
    """

    vocab_size: int
    output: nn.Linear

    def encode(self, sources: Tensor, lengths: Tensor) -> Memory:  # noqa: ARG002
        """Reads sources [batch, source time] (padded), lengths [batch]. A free model has nothing to read."""
        return ()

    @abstractmethod
    def initial_state(self, batch: int, memory: Memory) -> State:
        """The state before `bos` is read."""

    @abstractmethod
    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Reads one token a row: tokens [batch] -> features [batch, features], the next state."""

    @abstractmethod
    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        """Teacher forcing: inputs [batch, time], starting with `bos` -> features [batch, time, features].

        Equal to `step` token by token.
        """

    def step_with_weights(
        self,
        tokens: Tensor,  # noqa: ARG002
        state: State,  # noqa: ARG002
        memory: Memory,  # noqa: ARG002
    ) -> tuple[Tensor, State, Tensor] | None:
        """Like `step`, with the attention weights [batch, source time] that the features were made with.

        Each row sums to 1 over its own source; padding has 0. None: the network has no attention to its source.
        """
        return None

    def alignments(self, inputs: Tensor, memory: Memory) -> Tensor | None:
        """Under teacher forcing: inputs [batch, time] -> weights as above [batch, time, source time], or None.

        Those at `time` belong to the token that is predicted there, which is the next one read.
        """
        state = self.initial_state(len(inputs), memory)
        weights = []
        for token in inputs.unbind(1):
            found = self.step_with_weights(token, state, memory)
            if found is None:
                return None
            state = found[1]
            weights.append(found[2])
        return torch.stack(weights, 1)

    @contextmanager
    def fixed_weights(self) -> Iterator[None]:
        """The caller's word that no weight changes inside and no gradient is wanted.

        `step` may then use what depends on the weights alone, computed once.
        """
        yield

    def states(self, inputs: Tensor, memory: Memory) -> tuple[Tensor, State]:
        """Like `forward`, with the state after each token kept: tensors [time, batch, ...].

        Rollouts start from these, so that no prefix is run a second time.
        """
        state = self.initial_state(len(inputs), memory)
        features, states = [], []
        for token in inputs.unbind(1):
            feature, state = self.step(token, state, memory)
            features.append(feature)
            states.append(state)
        return torch.stack(features, 1), tuple(torch.stack(parts) for parts in zip(*states, strict=True))


def pick(tensors: tuple[Tensor, ...], rows: Tensor) -> tuple[Tensor, ...]:
    """The named rows of every tensor of a state or memory."""
    return tuple(tensor.index_select(0, rows) for tensor in tensors)
