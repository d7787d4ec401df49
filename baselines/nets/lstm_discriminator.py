"""A discriminator that reads a text from left to right and judges it after its last token."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.nets.lstm import LSTMStack


class LSTMDiscriminator(nn.Module):
    """log-odds that a sequence is real, from the top layer's output at its last token.

    It reads ids, or embeddings: a gradient can go on into what they were made of.
    """

    def __init__(self, n_inputs: int, pad: int, embedding: int, hidden: int, layers: int = 1) -> None:
        super().__init__()
        self.pad = pad
        self.embedding = nn.Embedding(n_inputs, embedding, padding_idx=pad)
        self.lstm = LSTMStack(embedding, hidden, layers)
        self.output = nn.Linear(hidden, 1)

    def initialise(self, rng: torch.Generator) -> None:
        """Embeddings N(0, 0.5), matrices as in Glorot and Bengio (2010), biases 0, a forget gate's 1."""
        with torch.no_grad():
            for name, parameter in sorted(self.named_parameters()):
                if name == "embedding.weight":
                    parameter.normal_(0, 0.5, generator=rng)
                    parameter[self.pad] = 0
                elif "bias" in name:
                    parameter.zero_()
                    if "bias_ih" in name:
                        parameter.view(4, -1)[1] = 1.0
                else:
                    rows = len(parameter) // 4 if name.startswith("lstm") else len(parameter)
                    bound = (6 / (rows + parameter.shape[1])) ** 0.5
                    parameter.uniform_(-bound, bound, generator=rng)

    def forward(self, ids: Tensor) -> Tensor:
        """ids [batch, time], `pad` after the end -> log-odds [batch]."""
        return self.judge(self.embedding(ids), (ids != self.pad).sum(1))

    def judge(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """embedded [batch, time, embedding], lengths [batch] (at least 1) -> log-odds [batch]."""
        outputs = self.lstm.unroll(embedded, self.lstm.zeros(len(embedded)))
        last = outputs[torch.arange(len(outputs), device=outputs.device), lengths - 1]
        scores: Tensor = self.output(last)
        return scores.squeeze(1)
