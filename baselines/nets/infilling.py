"""In-filling: an encoder that reads a text with blanks, a decoder that writes the whole text (Fedus et al. 2018).

The generator and the discriminator of MaskGAN have the same body; both start from a language model's weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from baselines.nets.base import Memory, State
from baselines.nets.lstm import LSTMStack, RecurrentNet


class VariationalDropout(nn.Dropout):
    """Dropout with one mask for all time steps of a sequence (Gal and Ghahramani 2016): [batch, time, width].

    Without a time axis every call draws a mask of its own, as `nn.Dropout` does.
    """

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.p == 0 or values.dim() < 3:
            return super().forward(values)
        return values * super().forward(torch.ones_like(values[:, :1]))


class InfillingNet(RecurrentNet):
    """p(y_t | y_<t, m(x)) for a text x of which the encoder reads m(x): x with blanks.

    Without memory, `()`, it is p(y_t | y_<t, nothing but blanks): the encoder reads `blank_length` of them, whatever
    the length of y, so that lengths are the decoder's to choose. All rows share that reading: it is made once.

    The attention is Luong's (multiplicative, context to the output alone), put together by a linear layer as in the
    authors' code. Encoder and decoder share the embeddings; a blank has a vector of its own.

    Args:
        blank_length: how many blanks the encoder reads where nothing is given.
        embedding, hidden, layers, dropout, tied: as in `LSTMLanguageModel`; dropout on embeddings and on outputs keeps
            its mask over time, that between layers does not.
    """

    def __init__(
        self,
        vocab_size: int,
        blank_length: int,
        embedding: int,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        tied: bool = False,
    ) -> None:
        super().__init__(vocab_size, embedding, hidden, dropout, tied)
        self.blank_length, self.blank_id = blank_length, vocab_size + 2
        self.dropout = VariationalDropout(dropout)
        self.lstm = LSTMStack(embedding, hidden, layers, dropout)
        self.encoder = LSTMStack(embedding, hidden, layers, dropout)
        self.blank = nn.Parameter(torch.zeros(embedding))
        self.bridge = nn.Linear(hidden, 2 * layers * hidden)
        self.key = nn.Linear(hidden, hidden, bias=False)
        self.combine = nn.Linear(2 * hidden, hidden, bias=False)
        self._shared: Memory | None = None

    @torch.no_grad()
    def start_from(self, language_model: Mapping[str, Tensor]) -> None:
        """Takes over the weights of an `LSTMLanguageModel` of the same sizes, in encoder and decoder.

        What is new begins without a say: the network gives the very probabilities of the language model, whatever the
        encoder reads. Keys begin as the encoder's states, scaled by 1 / sqrt(hidden).
        """
        encoder = {f"encoder.{name[5:]}": part for name, part in language_model.items() if name.startswith("lstm.")}
        missing, unexpected = self.load_state_dict({**language_model, **encoder}, strict=False)
        if unexpected or set(missing) - set(_NEW):
            raise ValueError(f"not a language model of this shape: {missing}, {unexpected}")
        hidden = self.lstm.hidden_size
        for name in ("blank", "bridge.weight", "bridge.bias"):
            self.get_parameter(name).zero_()
        self.key.weight.copy_(torch.eye(hidden) / hidden**0.5)
        self.combine.weight.copy_(torch.cat([torch.eye(hidden), torch.zeros(hidden, hidden)], 1))

    def encode(self, sources: Tensor, lengths: Tensor) -> Memory:
        """Reads texts with `blank_id` at each blank: annotations, keys, which places count, the last annotation."""
        lengths = lengths.clamp(min=1)  # attention needs a place
        words = self.embed(sources.clamp(max=self.blank_id - 1))
        embedded = torch.where((sources == self.blank_id).unsqueeze(-1), self.blank, words)
        annotations = self.encoder.unroll(self.dropout(embedded), self.encoder.zeros(len(sources)))
        annotations = self.dropout(annotations)
        inside = torch.arange(sources.shape[1], device=sources.device) < lengths[:, None]
        last = annotations[torch.arange(len(sources), device=sources.device), lengths - 1]
        return annotations, self.key(annotations), inside, last

    def initial_state(self, batch: int, memory: Memory = ()) -> State:
        return self._start(batch, memory or self._nothing_given())

    def step(self, tokens: Tensor, state: State, memory: Memory = ()) -> tuple[Tensor, State]:
        state = self.lstm.advance(self.token_gates(tokens), state)
        features = self._features(state[-2].unsqueeze(1), memory or self._nothing_given())
        return features.squeeze(1), state

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        memory = memory or self._nothing_given()
        hidden = self.lstm.unroll(self.dropout(self.embed(inputs)), self._start(len(inputs), memory))
        return self._features(hidden, memory)

    @contextmanager
    def fixed_weights(self) -> Iterator[None]:
        outer = self._shared
        with super().fixed_weights():
            try:
                with torch.no_grad():
                    self._shared = self._read_blanks()
                yield
            finally:
                self._shared = outer

    def _nothing_given(self) -> Memory:
        """The memory that all rows share when all is blank: its tensors have no batch dimension."""
        if self._shared is None or torch.is_grad_enabled() or (self.training and self.dropout.p > 0):
            return self._read_blanks()
        return self._shared

    def _read_blanks(self) -> Memory:
        blanks = torch.full((1, self.blank_length), self.blank_id, device=self.blank.device)
        memory = self.encode(blanks, torch.full_like(blanks[:, 0], self.blank_length))
        return tuple(part.squeeze(0) for part in memory)

    def _start(self, batch: int, memory: Memory) -> State:
        found = self.bridge(memory[3]).expand(batch, -1).chunk(2 * self.lstm.num_layers, -1)
        return tuple(torch.tanh(part) if i % 2 == 0 else part for i, part in enumerate(found))

    def _features(self, hidden: Tensor, memory: Memory) -> Tensor:
        """hidden [batch, time, hidden] -> what the output layer reads, of the same shape."""
        annotations, keys, inside, _ = memory
        scores = (hidden @ keys.transpose(-1, -2)).masked_fill(~inside.unsqueeze(-2), float("-inf"))
        context = torch.softmax(scores, -1) @ annotations
        features: Tensor = self.dropout(self.combine(torch.cat([hidden, context], -1)))
        return features


_NEW = ("blank", "bridge.weight", "bridge.bias", "key.weight", "combine.weight")


class TokenDiscriminator(nn.Module):
    """For each token of a filled text: the log-odds that it is real, and what reward was to be expected there.

    The body reads m(x) as the generator does, and the text token by token. The log-odds at t come after token t was
    read; the value at t before that, so that the baseline of an action doesn't depend on it. The value's head gives
    no gradient to the body.
    """

    def __init__(self, body: InfillingNet) -> None:
        super().__init__()
        self.body = body  # its output layer is only read where it is tied to the embeddings
        self.judge = nn.Linear(body.lstm.hidden_size, 1)
        self.value = nn.Linear(body.lstm.hidden_size, 2)  # where part is blank, where all is
        for parameter in (*self.judge.parameters(), *self.value.parameters()):
            nn.init.zeros_(parameter)  # undecided at first

    def read(self, tokens: Tensor, bos: int, memory: Memory) -> Tensor:
        """tokens [batch, time], the body's memory -> features [batch, 1 + time, hidden], after `bos` and each token."""
        return cast(Tensor, self.body(torch.cat([torch.full_like(tokens[:, :1], bos), tokens], 1), memory))

    def logits(self, features: Tensor) -> Tensor:
        """Log-odds of "real" [batch, time]."""
        return cast(Tensor, self.judge(features[:, 1:])).squeeze(-1)

    def values(self, features: Tensor, all_blank: bool) -> Tensor:
        """Expected returns [batch, time]; they grow with what is blank, so each kind of text has its own output."""
        return cast(Tensor, self.value(features[:, :-1].detach()))[..., int(all_blank)]
