"""ScratchGAN's discriminator (de Masson d'Autume et al. 2019): a recurrent reader with an opinion after every token.

What it says of a token depends on that token and those before it, never on a later one.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FORGET_BIAS = 1.0


class LayerNormLSTM(nn.Module):
    """An LSTM whose gates are normalised together before their non-linearities (Ba et al. 2016).

    gates = norm(W x + U h), one mean and deviation over all four gates; the norm's own offset is the bias.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.from_inputs = nn.Linear(inputs, 4 * hidden, bias=False)
        self.from_hidden = nn.Linear(hidden, 4 * hidden, bias=False)
        self.norm = nn.LayerNorm(4 * hidden)

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs [batch, time, in] -> outputs [batch, time, hidden], from a state of zeros."""
        h = c = inputs.new_zeros(len(inputs), self.hidden)
        outputs = []
        for part in self.from_inputs(inputs).unbind(1):
            gates = self.norm(torch.addmm(part, h, self.from_hidden.weight.t()))
            write, keep, show, candidate = gates.chunk(4, 1)
            c = torch.addcmul(torch.sigmoid(keep + FORGET_BIAS) * c, torch.sigmoid(write), torch.tanh(candidate))
            h = torch.sigmoid(show) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, 1)


class TokenDiscriminator(nn.Module):
    """log-odds, after each token, that the sequence up to it is real.

    Args:
        n_inputs: ids that are read, padding included.
        pad: its id; places behind a sequence's end get numbers that no caller should count.
        embedding, hidden: sizes.
        positions: waves of the position signal; 0 for none.
        max_length: what the slowest wave spans, whatever the length of a batch.
        dropout: on the embedding table: a number dropped is dropped wherever its token stands in the batch.
    """

    signal: Tensor

    def __init__(
        self, n_inputs: int, pad: int, embedding: int, hidden: int, positions: int, max_length: int, dropout: float
    ) -> None:
        super().__init__()
        self.pad = pad
        self.embedding = nn.Embedding(n_inputs, embedding, padding_idx=pad)
        self.register_buffer("signal", position_signal(max_length, positions), persistent=False)
        self.project = nn.Linear(embedding + positions, hidden)
        self.lstm = LayerNormLSTM(hidden, hidden)
        self.output = nn.Linear(hidden, 1)
        self.dropout = nn.Dropout(dropout)

    def initialise(self, rng: torch.Generator, scale: float) -> None:
        """Embeddings from N(0, scale), matrices uniform after Glorot and Bengio (2010), biases 0, the norm's gain 1."""
        with torch.no_grad():
            for name, parameter in sorted(self.named_parameters()):
                if name == "embedding.weight":
                    parameter.normal_(0.0, scale, generator=rng)
                    parameter[self.pad] = 0.0
                elif parameter.ndim == 2:
                    nn.init.xavier_uniform_(parameter, generator=rng)
                else:
                    parameter.fill_(1.0 if name == "lstm.norm.weight" else 0.0)

    def forward(self, ids: Tensor) -> Tensor:
        """ids [batch, time], `pad` after the end -> log-odds [batch, time]."""
        embedded = F.embedding(ids, self.dropout(self.embedding.weight), self.pad)
        signal = self.signal[: ids.shape[1]].expand(len(ids), -1, -1)
        scores: Tensor = self.output(self.lstm(self.project(torch.cat([embedded, signal], 2))))
        return scores.squeeze(2)


def position_signal(time: int, waves: int) -> Tensor:
    """[time, waves]: cosines with periods of 4 to 2 `time` tokens, spaced evenly in their logarithm, phases apart.

    The official code's: cos(pi (t / p + shift)), p from 2 to `time`, shift from 0 to 2.
    """
    periods = torch.exp(torch.linspace(math.log(2.0), math.log(max(2, time)), waves))
    shifts = torch.linspace(0.0, 2.0, waves)
    return torch.cos(math.pi * (torch.arange(time).unsqueeze(1) / periods + shifts))
