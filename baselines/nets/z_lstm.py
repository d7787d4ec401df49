"""Networks with a latent code: an LSTM that writes a text from it, and an autoencoder that finds one for a text."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.base import AutoregressiveNet, Memory, State
from baselines.nets.lstm import LSTMStack, RecurrentNet
from baselines.nets.soft_cnn import TanhFeatures

Prior = Literal["uniform", "normal"]


def draw_latent(n: int, size: int, prior: Prior, rng: torch.Generator) -> Tensor:
    """Codes [n, size] from U(-1, 1) or N(0, 1), on the CPU."""
    if prior == "uniform":
        return 2 * torch.rand(n, size, generator=rng) - 1
    return torch.randn(n, size, generator=rng)


class LatentLSTM(RecurrentNet):
    """p(y_t | y_<t, z): the first state is tanh(C z + b), and z is read beside every token (Zhang et al. 2017).

    A memory is (z,), z [batch, latent]. A state ends in z's part of the lowest layer's gates, computed once a sequence.
    """

    def __init__(
        self,
        vocab_size: int,
        latent: int,
        embedding: int,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        tied: bool = False,
    ) -> None:
        super().__init__(vocab_size, embedding, hidden, dropout, tied)
        self.latent = latent
        self.lstm = LSTMStack(embedding + latent, hidden, layers, dropout)
        self.start = nn.Linear(latent, layers * hidden)

    def initial_state(self, batch: int, memory: Memory) -> State:  # noqa: ARG002 - the codes say how many
        (z,) = memory
        return (*self._first(z), self.lstm.input_gates(z, self.embedding_size))

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:  # noqa: ARG002
        return self._advance(self.token_gates(tokens), state)

    def read(self, embedded: Tensor, state: State) -> tuple[Tensor, State]:
        """`step` for what is not a token: embedded [batch, embedding] (rows of `table`, or a mixture of them)."""
        return self._advance(self.lstm.input_gates(self.dropout(embedded)), state)

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        (z,) = memory
        codes = z.unsqueeze(1).expand(-1, inputs.shape[1], -1)
        read = torch.cat([self.dropout(self.embed(inputs)), codes], 2)
        features: Tensor = self.dropout(self.lstm.unroll(read, self._first(z)))
        return features

    def table(self) -> Tensor:
        """The embeddings of all tokens that can be emitted [vocab, embedding], with gradient."""
        weight: Tensor = self.output.weight if self.tied else self.embedding.weight
        return weight * self.embedding_size**0.5 if self.tied else weight[: self.vocab_size]

    def _first(self, z: Tensor) -> State:
        hidden = torch.tanh(self.start(z)).chunk(self.lstm.num_layers, 1)
        return tuple(part for h in hidden for part in (h.contiguous(), torch.zeros_like(h)))

    def _advance(self, gates: Tensor, state: State) -> tuple[Tensor, State]:
        new = self.lstm.advance(gates + state[-1], state[:-1])
        return self.dropout(new[-2]), (*new, state[-1])


class _Wrapped(AutoregressiveNet):
    """A `LatentLSTM` that gets its codes from elsewhere: for training it with what is written for any network."""

    def __init__(self, decoder: LatentLSTM) -> None:
        super().__init__()
        self.decoder, self.output, self.vocab_size = decoder, decoder.output, decoder.vocab_size

    def initial_state(self, batch: int, memory: Memory) -> State:
        return self.decoder.initial_state(batch, memory)

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        return self.decoder.step(tokens, state, memory)

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        features: Tensor = self.decoder(inputs, memory)
        return features


class FromPrior(_Wrapped):
    """Every sequence gets a code of its own from the prior, which knows nothing of the text: E_z log p(y | z)."""

    def __init__(self, decoder: LatentLSTM, prior: Prior, rng: torch.Generator) -> None:
        super().__init__(decoder)
        self.prior, self.rng = prior, rng

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        if not memory:
            z = draw_latent(len(inputs), self.decoder.latent, self.prior, self.rng)
            memory = (z.to(inputs.device, non_blocking=True),)
        return super().forward(inputs, memory)


class Autoencoder(_Wrapped):
    """The target is its own source: CNN features, a linear layer, each place of the code brought to the prior's law.

    For that the batch is normalised (by running averages outside training); for U(-1, 1) the normal distribution
    function follows. Without it codes of texts lie where the prior hardly ever draws.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, encoder: TanhFeatures, decoder: LatentLSTM, prior: Prior) -> None:
        super().__init__(decoder)
        self.encoder, self.prior = encoder, prior
        self.code = nn.Linear(encoder.size, decoder.latent)
        self.register_buffer("mean", torch.zeros(decoder.latent))
        self.register_buffer("variance", torch.ones(decoder.latent))

    def encode(self, sources: Tensor, lengths: Tensor) -> Memory:  # noqa: ARG002 - the padding says them
        batch = self.training and len(sources) > 1  # one row has no variance
        code = F.batch_norm(self.code(self.encoder(sources)), self.mean, self.variance, training=batch)
        return (torch.erf(code / 2**0.5) if self.prior == "uniform" else code,)
