"""Language model with a relational memory (Santoro et al. 2018, arXiv 1806.01822), RelGAN's generator.

A few memory slots attend to themselves and to the token just read; gates decide what of that is kept. What depends on
the token alone (its key, its value, its part of the gates) is found for all tokens at once, before the loop over time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.base import AutoregressiveNet, Memory, State

FORGET_BIAS = 1.0  # Santoro et al.'s released code; its input gate has none


class RelationalMemory(nn.Module):
    """One step of the memory: multi-head attention, a two-layer perceptron, gates.

    Args:
        inputs: size of what is read.
        slots: memory slots.
        heads, head_size: of the attention; a slot holds `heads * head_size` numbers.
        key_size: of queries and keys, each head.
    """

    def __init__(self, inputs: int, slots: int, heads: int, head_size: int, key_size: int) -> None:
        super().__init__()
        self.slots, self.heads, self.head_size, self.key_size = slots, heads, head_size, key_size
        self.size = heads * head_size
        self.project = nn.Linear(inputs, self.size)
        self.attend = nn.Linear(self.size, heads * (2 * key_size + head_size), bias=False)  # keys, values, queries
        self.attend_norm = nn.LayerNorm(heads * (2 * key_size + head_size))
        self.skip_norm = nn.LayerNorm(self.size)
        self.mlp = nn.Sequential(nn.Linear(self.size, self.size), nn.ReLU(), nn.Linear(self.size, self.size))
        self.mlp_norm = nn.LayerNorm(self.size)
        self.input_gates = nn.Linear(self.size, 2 * self.size, bias=False)  # write, keep
        self.memory_gates = nn.Linear(self.size, 2 * self.size, bias=False)

    def zeros(self, batch: int) -> Tensor:
        """The first memory [batch, slots, size]: rows of the identity, so that slots differ."""
        eye = torch.eye(self.slots, self.size, device=self.project.weight.device, dtype=self.project.weight.dtype)
        return eye.expand(batch, -1, -1)

    def read(self, inputs: Tensor) -> Tensor:
        """inputs [..., in] -> what they bring to a step [..., keys + values + gates]: no memory is needed for it."""
        projected = self.project(inputs)
        keys_and_values = self.attend_norm(self.attend(projected))[..., : -self.heads * self.key_size]
        return torch.cat([keys_and_values, self.input_gates(projected)], -1)

    def forward(self, read: Tensor, memory: Tensor) -> Tensor:
        """read [batch, keys + values + gates], memory [batch, slots, size] -> the next memory."""
        both = self.heads * self.key_size + self.size  # keys and values
        attend = self.attend_norm(self.attend(memory))
        seen = torch.cat([attend[:, :, :both], read[:, None, :both]], 1)  # by each slot: all slots and the input
        # Only the slots ask: what the input's own row would become is thrown away by the paper's network too.
        changed = self.skip_norm(memory + self._attention(attend[:, :, both:], seen))
        changed = self.mlp_norm(changed + self.mlp(changed))
        gates = read[:, None, both:] + self.memory_gates(torch.tanh(memory))
        write, keep = gates[:, :, : self.size], gates[:, :, self.size :]
        kept = torch.sigmoid(keep + FORGET_BIAS) * memory
        return torch.addcmul(kept, torch.sigmoid(write), torch.tanh(changed))

    def _attention(self, query: Tensor, seen: Tensor) -> Tensor:
        """query [batch, slots, keys], seen [batch, slots + 1, keys + values] -> [batch, slots, values]."""
        keys = self.heads * self.key_size
        batch, slots = query.shape[:2]
        query = query.view(batch, slots, self.heads, -1).transpose(1, 2)
        key = seen[:, :, :keys].view(batch, slots + 1, self.heads, -1).permute(0, 2, 3, 1)
        value = seen[:, :, keys:].view(batch, slots + 1, self.heads, -1).transpose(1, 2)
        weights = F.softmax(query @ key * self.key_size**-0.5, -1)
        return (weights @ value).transpose(1, 2).reshape(batch, slots, self.size)


class RelationalLanguageModel(AutoregressiveNet):
    """p(y_t | y_<t): embedding, relational memory, linear output over all slots.

    A state is the memory [batch, slots, size].
    """

    def __init__(
        self, vocab_size: int, embedding: int, slots: int, heads: int, head_size: int, key_size: int | None = None
    ) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(vocab_size + 2, embedding)
        self.core = RelationalMemory(embedding, slots, heads, head_size, key_size or head_size)
        self.output = nn.Linear(slots * self.core.size, vocab_size)
        self._table: Tensor | None = None

    def initial_state(self, batch: int, memory: Memory = ()) -> State:  # noqa: ARG002 - a free model has no memory
        return (self.core.zeros(batch),)

    def step(self, tokens: Tensor, state: State, memory: Memory = ()) -> tuple[Tensor, State]:  # noqa: ARG002
        if self._table is None or torch.is_grad_enabled():
            read = self.core.read(self.embedding(tokens))
        else:
            read = F.embedding(tokens, self._table)
        after = self.core(read, state[0])
        return after.flatten(1), (after,)

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        (state,) = self.initial_state(len(inputs), memory)
        features = []
        for read in self.core.read(self.embedding(inputs)).unbind(1):
            state = self.core(read, state)
            features.append(state.flatten(1))
        return torch.stack(features, 1)

    @contextmanager
    def fixed_weights(self) -> Iterator[None]:
        outer = self._table
        try:
            with torch.no_grad():
                self._table = self.core.read(self.embedding.weight)
            yield
        finally:
            self._table = outer


def initialise(net: RelationalLanguageModel, rng: torch.Generator) -> None:
    """Draws all weights anew, on the CPU, in the order of their names; the scheme is that of RelGAN's code.

    Matrices from a normal of deviation 1 / sqrt(inputs) cut off at two deviations (a token's one-hot counts as its
    embedding's input), biases 0, norms 1.
    """
    with torch.no_grad():
        for name, parameter in sorted(net.named_parameters()):
            fresh = torch.zeros(parameter.shape)
            if parameter.ndim == 2:
                scale = (net.vocab_size if name == "embedding.weight" else parameter.shape[1]) ** -0.5
                nn.init.trunc_normal_(fresh, std=scale, a=-2 * scale, b=2 * scale, generator=rng)
            elif name.endswith("norm.weight"):
                fresh.fill_(1.0)
            parameter.copy_(fresh)
