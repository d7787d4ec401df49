"""Encoder with intra-attention, decoder that attends to the source and to its own earlier states: a reconstruction.

The generator of Xu et al.'s adversarial summarizer (ICTAI 2018) is described as attention in encoder and decoder; its
equations were not found. Here the encoder is a bidirectional GRU whose annotations attend to each other, and the
decoder a GRU with additive attention to the annotations (Bahdanau et al., 2015) and intra-decoder attention (Paulus et
al., 2018, section 2.2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.nets.attention import AttentionSeq2Seq, softmax_inside
from baselines.nets.base import Memory, State


class DualAttention(AttentionSeq2Seq):
    """p(y_t | y_<t, x); arguments as `AttentionSeq2Seq`, always of GRUs and without input feeding.

    A state is h of each layer [batch, hidden], then the position of the next token [batch] and the top layer's earlier
    states [batch, max_length, hidden], of which the places before the position count.

    Args:
        max_length: how many tokens the decoder can read, `bos` included.
    """

    def __init__(
        self,
        source_size: int,
        vocab_size: int,
        max_length: int,
        embedding: int,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        tied: bool = False,
        encoder: int = 128,
        attention: int = 128,
        readout: int = 128,
    ) -> None:
        sizes = (embedding, hidden, layers, dropout, tied, encoder, attention, readout)
        super().__init__(source_size, vocab_size, *sizes, input_feeding=False, cell="gru")
        self.max_length = max_length
        self.among = nn.Linear(2 * encoder, 2 * encoder, bias=False)  # of an annotation with the others
        self.blend = nn.Linear(4 * encoder, 2 * encoder)
        self.earlier = nn.Linear(hidden, hidden, bias=False)  # of a decoder state with those before it
        self.readout = nn.Linear(2 * hidden + 2 * encoder, readout)

    def encode(self, sources: Tensor, lengths: Tensor) -> Memory:
        """The annotations, each blended with what it attends to; keys, places that count and both ends as ever."""
        lengths = lengths.clamp(min=1)
        plain, ends = self.encoder(sources, lengths)
        inside = torch.arange(sources.shape[1], device=sources.device) < lengths[:, None]
        scores = torch.bmm(self.among(plain), plain.transpose(1, 2)) / plain.shape[-1] ** 0.5
        around = torch.bmm(softmax_inside(scores, inside.unsqueeze(1)), plain)
        annotations = torch.tanh(self.blend(torch.cat([plain, around], -1)))
        return annotations, self.key(annotations), inside, ends

    def first_output(self, batch: int, memory: Memory) -> Tensor:
        return self.lstm.top(super().initial_state(batch, memory))

    def initial_state(self, batch: int, memory: Memory) -> State:
        position = torch.zeros(batch, dtype=torch.int64, device=self.output.weight.device)
        earlier = self.output.weight.new_zeros(batch, self.max_length, self.lstm.hidden_size)
        return (*super().initial_state(batch, memory), position, earlier)

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        *cells, position, earlier = state
        cells = list(self.lstm.advance(self.token_gates(tokens), tuple(cells)))
        hidden = self.lstm.top(tuple(cells)).unsqueeze(1)
        before = torch.arange(self.max_length, device=position.device) < position[:, None]
        features = self._features(
            hidden, self.attend(hidden, memory), self._look_back(hidden, earlier, before[:, None])
        )
        earlier = earlier.scatter(1, position[:, None, None].expand_as(hidden), hidden)
        return features.squeeze(1), (*cells, position + 1, earlier)

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        cells = super().initial_state(len(inputs), memory)
        hidden = self.lstm.unroll(self.dropout(self.embed(inputs)), cells)
        time = inputs.shape[1]
        before = torch.ones(time, time, dtype=torch.bool, device=inputs.device).tril(-1)
        return self._features(hidden, self.attend(hidden, memory), self._look_back(hidden, hidden, before))

    def _look_back(self, hidden: Tensor, earlier: Tensor, before: Tensor) -> Tensor:
        """hidden [batch, time, hidden] over earlier [batch, places, hidden]; 0 for the first, that has none before."""
        scores = torch.bmm(self.earlier(hidden), earlier.transpose(1, 2)) / hidden.shape[-1] ** 0.5
        return torch.bmm(softmax_inside(scores, before), earlier)

    def _features(self, *parts: Tensor) -> Tensor:
        features: Tensor = self.dropout(torch.tanh(self.readout(torch.cat(parts, -1))))
        return features
