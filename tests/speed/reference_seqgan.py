"""SeqGAN's generator and discriminator steps written straightforwardly: what the fast ones are held against.

Completions run one prefix and one rollout at a time, each from the first token on; tokens are drawn by
`torch.multinomial`; the discriminator reads whole sequences with `conv2d`. Weights are copied from the fast networks,
so that on the same draws the results are the same. Fixed length and free tasks only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.cnn import ConvDiscriminator
from baselines.nets.lstm import LSTMLanguageModel


class ReferenceGenerator(nn.Module):
    def __init__(self, net: LSTMLanguageModel) -> None:
        super().__init__()
        vocab, hidden = net.output.weight.shape
        size = net.embedding.embedding_dim
        dtype = net.output.weight.dtype
        self.vocab = vocab
        self.embedding = nn.Embedding(vocab + 2, size, dtype=dtype)
        self.lstm = nn.LSTM(size, hidden, batch_first=True, dtype=dtype)
        self.output = nn.Linear(hidden, vocab, dtype=dtype)
        self.embedding.load_state_dict(net.embedding.state_dict())
        self.lstm.load_state_dict(net.lstm.state_dict())
        self.output.load_state_dict(net.output.state_dict())

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [batch, time, vocab] of every token given those before it."""
        read = torch.cat([torch.full_like(tokens[:, :1], self.vocab), tokens[:, :-1]], 1)
        return self.output(self.lstm(self.embedding(read))[0])

    @torch.no_grad()
    def complete(self, prefix: Tensor, time: int, uniforms: Tensor | None = None) -> Tensor:
        """prefix [batch, t] -> [batch, time]; with `uniforms` [batch, time] by inverse CDF on them."""
        batch = len(prefix)
        tokens = torch.cat([torch.full((batch, 1), self.vocab), prefix], 1)
        features, state = self.lstm(self.embedding(tokens))
        for place in range(prefix.shape[1], time):
            probabilities = torch.softmax(self.output(features[:, -1]), 1)
            if uniforms is None:
                drawn = torch.multinomial(probabilities, 1)
            else:
                total = probabilities.cumsum(1)
                drawn = torch.searchsorted(total, uniforms[:, place, None] * total[:, -1:], right=True)
            tokens = torch.cat([tokens, drawn], 1)
            features, state = self.lstm(self.embedding(drawn), state)
        return tokens[:, 1:]


class ReferenceDiscriminator(nn.Module):
    def __init__(self, net: ConvDiscriminator) -> None:
        super().__init__()
        embedding = net.target.embedding.weight
        size, dtype = embedding.shape[1], embedding.dtype
        self.embedding = nn.Embedding.from_pretrained(
            embedding.detach().clone(), freeze=False, padding_idx=net.target.pad
        )
        self.convolutions = nn.ModuleList()
        biases = net.target.bias.split(net.target.counts)
        for width, count, weight, bias in zip(
            net.target.widths, net.target.counts, net.target.weights, biases, strict=True
        ):
            convolution = nn.Conv2d(1, count, (width, size), dtype=dtype)
            convolution.weight.data.copy_(weight.t().reshape(count, 1, width, size))
            convolution.bias.data.copy_(bias)
            self.convolutions.append(convolution)
        features = net.target.size
        self.change, self.gate = (nn.Linear(features, features, dtype=dtype) for _ in range(2))
        for layer, weight, bias in zip(
            (self.change, self.gate), net.highway.both.weight.chunk(2), net.highway.both.bias.chunk(2), strict=True
        ):
            layer.weight.data.copy_(weight)
            layer.bias.data.copy_(bias)
        self.dropout = nn.Dropout(net.dropout.p)
        self.output = nn.Linear(features, 2, dtype=dtype)
        self.output.load_state_dict(net.output.state_dict())

    def forward(self, tokens: Tensor) -> Tensor:
        """Log-odds of "real" [batch]."""
        embedded = self.embedding(tokens).unsqueeze(1)
        pooled = []
        for convolution in self.convolutions:
            responses = F.relu(convolution(embedded)).squeeze(3)
            pooled.append(F.max_pool1d(responses, responses.shape[2]).squeeze(2))
        features = torch.cat(pooled, 1)
        gate = torch.sigmoid(self.gate(features))
        features = gate * F.relu(self.change(features)) + (1 - gate) * features
        scores = self.output(self.dropout(features))
        return scores[:, 1] - scores[:, 0]


@torch.no_grad()
def reference_rewards(
    generator: ReferenceGenerator,
    discriminator: ReferenceDiscriminator,
    tokens: Tensor,
    n: int,
    uniforms: Tensor | None = None,
) -> Tensor:
    """Q(t) [batch, time]; `uniforms` [batch, time - 1, n, time] fixes the draws of every prefix and rollout."""
    batch, time = tokens.shape
    rewards = torch.zeros(batch, time, dtype=generator.output.weight.dtype)
    for t in range(1, time):
        for i in range(n):
            drawn = None if uniforms is None else uniforms[:, t - 1, i]
            rewards[:, t - 1] += torch.sigmoid(discriminator(generator.complete(tokens[:, :t], time, drawn))) / n
    rewards[:, -1] = torch.sigmoid(discriminator(tokens))
    return rewards


def reference_generator_step(
    generator: ReferenceGenerator,
    discriminator: ReferenceDiscriminator,
    optimizer: torch.optim.Optimizer,
    batch: int,
    time: int,
    n: int,
    clip: float,
) -> Tensor:
    tokens = generator.complete(torch.zeros(batch, 0, dtype=torch.long), time)
    rewards = reference_rewards(generator, discriminator, tokens, n)
    log_probs = torch.log_softmax(generator(tokens), 2).gather(2, tokens.unsqueeze(2)).squeeze(2)
    loss = -(log_probs * rewards).sum() / batch
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(generator.parameters(), clip)
    optimizer.step()
    return rewards


def reference_discriminator_update(
    discriminator: ReferenceDiscriminator, optimizer: torch.optim.Optimizer, tokens: Tensor, real: Tensor, l2: float
) -> None:
    penalty = sum(part.square().sum() for part in discriminator.output.parameters()) / 2
    loss = F.binary_cross_entropy_with_logits(discriminator(tokens), real) + l2 * penalty
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
