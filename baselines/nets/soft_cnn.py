"""The discriminator of TextGAN (Zhang et al. 2017): one set of convolutional features for three purposes.

It reads embeddings rather than ids, so that a gradient can go on into a sentence that is a mixture of tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.nets.cnn import ConvFeatures


class TanhFeatures(ConvFeatures):
    """tanh of each filter's largest response over time, in (-1, 1); from ids or from embeddings."""

    def initialise(self, rng: torch.Generator) -> None:
        """So that a response has a standard deviation of about a half, where tanh isn't flat."""
        with torch.no_grad():
            self.embedding.weight.normal_(0, 0.5, generator=rng)
            self.embedding.weight[self.pad] = 0
            for weight in self.weights:
                weight.normal_(0, len(weight) ** -0.5, generator=rng)
            self.bias.zero_()

    def forward(self, ids: Tensor) -> Tensor:
        """ids [batch, time], `pad` after the end -> features [batch, filters]."""
        return self.pool(*self.read(ids))

    def pool(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """embedded [batch, time, embedding], lengths [batch]; zeros after the end -> features [batch, filters]."""
        missing = max(0, max(self.widths) - embedded.shape[1])
        embedded = nn.functional.pad(embedded, (0, 0, 0, missing))
        pooled = [self.responses(embedded, lengths, i).amax(1) for i in range(len(self.widths))]
        return torch.tanh(torch.cat(pooled, 1) + self.bias)


class MatchingDiscriminator(nn.Module):
    """Features f, the log-odds of "real", and the latent code of which a text was made, both from f.

    Attributes:
        features: the CNN.
    """

    def __init__(self, features: TanhFeatures, hidden: int, recovery: int, latent: int) -> None:
        super().__init__()
        self.features = features
        self.judge = nn.Sequential(nn.Linear(features.size, hidden), nn.Sigmoid(), nn.Linear(hidden, 1))
        reader = (nn.Linear(features.size, recovery), nn.Sigmoid(), nn.Linear(recovery, latent), nn.Tanh())
        self.recover = nn.Sequential(*reader)

    def initialise(self, rng: torch.Generator) -> None:
        self.features.initialise(rng)
        for layer in (*self.judge, *self.recover):
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, generator=rng)
                nn.init.zeros_(layer.bias)

    def log_odds(self, features: Tensor) -> Tensor:
        """features [batch, filters] -> [batch]."""
        scores: Tensor = self.judge(features)
        return scores.squeeze(1)

    def code(self, features: Tensor) -> Tensor:
        """features [batch, filters] -> [batch, latent], in (-1, 1)."""
        found: Tensor = self.recover(features)
        return found
