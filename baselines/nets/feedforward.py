"""Feed-forward language model (Bengio, Ducharme, Vincent and Jauvin 2003, JMLR 3:1137-1155)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.base import AutoregressiveNet, Memory, State


class FeedForwardLanguageModel(AutoregressiveNet):
    """p(y_t | y_{t-n+1} .. y_{t-1}) = softmax(b + U tanh(d + H x) + W x), x the embeddings of the n - 1 tokens joined.

    Before a sentence there is `bos`, as often as the context needs it. Features are tanh(d + H x), and behind them x
    where there are direct connections; so the output layer is (U, W) with bias b, one matrix.

    Args:
        order: n, the token predicted included.
        embedding: numbers a token (the paper's m).
        hidden: tanh units (h).
        direct: whether x reaches the output without the hidden layer (W).
        dropout: on x and on the features; the paper has none.
    """

    def __init__(
        self, vocab_size: int, order: int, embedding: int, hidden: int, direct: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.vocab_size, self.context, self.direct = vocab_size, order - 1, direct
        self.embedding = nn.Embedding(vocab_size + 2, embedding)
        self.hidden = nn.Linear(self.context * embedding, hidden)
        self.output = nn.Linear(hidden + direct * self.context * embedding, vocab_size)
        self.dropout = nn.Dropout(dropout)

    def initial_state(self, batch: int, memory: Memory = ()) -> State:  # noqa: ARG002 - a free model has no memory
        """The tokens read last [batch, context]: all `bos`."""
        return (self._bos(batch, self.context),)

    def step(self, tokens: Tensor, state: State, memory: Memory = ()) -> tuple[Tensor, State]:  # noqa: ARG002
        window = torch.cat([state[0][:, 1:], tokens[:, None]], 1)
        return self._features(window), (window,)

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:  # noqa: ARG002
        padded = torch.cat([self._bos(len(inputs), self.context - 1), inputs], 1)
        return self._features(padded.unfold(1, self.context, 1))

    def initialise(self, rng: torch.Generator) -> None:
        """Draws all weights anew, on the CPU (so that they don't depend on the device).

        Embeddings from N(0, 0.5), the output layer from N(0, 1 / sqrt(features)), the hidden layer as in Glorot and
        Bengio (2010), biases 0: as for the LSTM's `glorot`.
        """
        fan_out, fan_in = self.hidden.weight.shape
        bound = (6 / (fan_in + fan_out)) ** 0.5
        with torch.no_grad():
            for weight, scale in ((self.embedding.weight, 0.5), (self.output.weight, self.output.in_features**-0.5)):
                weight.copy_(torch.empty(weight.shape).normal_(0.0, scale, generator=rng))
            self.hidden.weight.copy_(torch.empty(fan_out, fan_in).uniform_(-bound, bound, generator=rng))
            self.hidden.bias.zero_()
            self.output.bias.zero_()

    def _features(self, windows: Tensor) -> Tensor:
        """windows [..., context], oldest token first -> features [..., features]."""
        x = self.dropout(F.embedding(windows, self.embedding.weight).flatten(-2))
        h = self.dropout(torch.tanh(self.hidden(x)))
        return torch.cat([h, x], -1) if self.direct else h

    def _bos(self, batch: int, tokens: int) -> Tensor:
        return torch.full((batch, tokens), self.vocab_size, device=self.output.weight.device)
