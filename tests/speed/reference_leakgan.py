"""LeakGAN's generator and rewards written straightforwardly: what the fast ones are held against.

At every step the discriminator reads the whole partial sentence again, padded to full length, with `conv2d`; the worker
makes O_t [batch, vocab, goal size] and multiplies it with its direction; tokens are drawn by `torch.multinomial`; every
rollout of every prefix starts from the first token. Weights are copied from the fast networks, so that on the same
draws the results are the same. Fixed length only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.cnn import ConvDiscriminator
from baselines.nets.leaked import LeakedLM


class ReferenceJudge(nn.Module):
    """The discriminator, on whole sentences and on prefixes of `length` tokens."""

    def __init__(self, net: ConvDiscriminator, time: int) -> None:
        super().__init__()
        self.time, self.pad = time, net.target.pad
        embedding = net.target.embedding.weight
        size, dtype = embedding.shape[1], embedding.dtype
        self.embedding = nn.Embedding.from_pretrained(embedding.detach().clone())
        self.convolutions = nn.ModuleList()
        parts = zip(
            net.target.widths,
            net.target.counts,
            net.target.weights,
            net.target.bias.split(net.target.counts),
            strict=True,
        )
        for width, count, weight, bias in parts:
            convolution = nn.Conv2d(1, count, (width, size), dtype=dtype)
            convolution.weight.data.copy_(weight.t().reshape(count, 1, width, size))
            convolution.bias.data.copy_(bias)
            self.convolutions.append(convolution)
        self.highway, self.output = net.highway, net.output

    def features(self, tokens: Tensor, length: int) -> Tensor:
        """Of the first `length` tokens; windows that reach beyond them don't count, the first one always does."""
        tokens = F.pad(tokens[:, :length], (0, self.time - length), value=self.pad)
        embedded = self.embedding(tokens).unsqueeze(1)
        pooled = []
        for convolution in self.convolutions:
            responses = F.relu(convolution(embedded)).squeeze(3)
            pooled.append(responses[:, :, : max(1, length - convolution.kernel_size[0] + 1)].amax(2))
        found: Tensor = self.highway(torch.cat(pooled, 1))
        return found

    def forward(self, tokens: Tensor) -> Tensor:
        """Probability of "real" [batch]."""
        scores = self.output(self.features(tokens, self.time))
        return torch.sigmoid(scores[:, 1] - scores[:, 0])


class ReferenceLeak(nn.Module):
    def __init__(self, net: LeakedLM, judge: ReferenceJudge) -> None:
        super().__init__()
        assert isinstance(net.readout, nn.Identity)
        self.judge, self.time, self.horizon = judge, judge.time, net.horizon
        self.vocab, self.goal_size = net.vocab_size, len(net.blend.weight)
        dtype, hidden = net.output.weight.dtype, net.lstm.hidden_size
        self.embedding, self.goal, self.blend = net.embedding, net.goal, net.blend
        self.worker, self.manager = net.lstm, net.manager
        self.output = nn.Linear(hidden, self.vocab * self.goal_size, dtype=dtype)
        weight = net.output.weight.detach()
        products = weight[:, : hidden * self.goal_size].view(self.vocab, hidden, self.goal_size)
        self.output.weight.data.copy_(products.transpose(1, 2).reshape(-1, hidden))
        self.output.bias.data.copy_(weight[:, hidden * self.goal_size :].reshape(-1))

    @torch.no_grad()
    def complete(self, prefix: Tensor, uniforms: Tensor | None = None) -> Tensor:
        """prefix [batch, t] -> [batch, time]; with `uniforms` [batch, time] by inverse CDF on them."""
        tokens = torch.full((len(prefix), 1), self.vocab)
        worker = manager = None
        goals: list[Tensor] = []
        for place in range(self.time):
            logits, worker, manager = self._step(tokens, worker, manager, goals)
            if place < prefix.shape[1]:
                drawn = prefix[:, place : place + 1]
            elif uniforms is None:
                drawn = torch.multinomial(torch.softmax(logits, 1), 1)
            else:
                total = torch.softmax(logits, 1).cumsum(1)
                drawn = torch.searchsorted(total, uniforms[:, place, None] * total[:, -1:], right=True)
            tokens = torch.cat([tokens, drawn], 1)
        return tokens[:, 1:]

    @torch.no_grad()
    def logits(self, tokens: Tensor) -> Tensor:
        """Of every token given those before it: [batch, time, vocab]."""
        read = torch.full((len(tokens), 1), self.vocab)
        worker = manager = None
        goals: list[Tensor] = []
        found = []
        for place in range(tokens.shape[1]):
            logits, worker, manager = self._step(read, worker, manager, goals)
            found.append(logits)
            read = torch.cat([read, tokens[:, place : place + 1]], 1)
        return torch.stack(found, 1)

    def _step(self, tokens: Tensor, worker, manager, goals):  # type: ignore[no-untyped-def]
        """tokens [batch, 1 + t], the begin mark first."""
        feature = self.judge.features(tokens[:, 1:], tokens.shape[1] - 1)
        goal, manager = self.manager(feature.unsqueeze(1), manager)
        goals.append(F.normalize(self.goal(goal.squeeze(1)), dim=1))
        direction = F.normalize(self.blend(torch.stack(goals[-self.horizon :]).sum(0)), dim=1)
        hidden, worker = self.worker(self.embedding(tokens[:, -1:]), worker)
        output = self.output(hidden.squeeze(1)).view(-1, self.vocab, self.goal_size)
        return torch.bmm(output, direction.unsqueeze(2)).squeeze(2), worker, manager


@torch.no_grad()
def reference_scores(
    generator: ReferenceLeak, tokens: Tensor, n: int, every: int, uniforms: Tensor | None = None
) -> Tensor:
    """D's mean over n rollouts of the prefixes of every, 2 every, ... tokens, D itself at the end: [batch, time].

    `uniforms` [batch, time - 1, n, time] fixes the draws of every prefix and rollout.
    """
    batch, time = tokens.shape
    scores = torch.zeros(batch, time, dtype=generator.output.weight.dtype)
    for t in range(every, time, every):
        for i in range(n):
            drawn = None if uniforms is None else uniforms[:, t - 1, i]
            scores[:, t - 1] += generator.judge(generator.complete(tokens[:, :t], drawn)) / n
    scores[:, -1] = generator.judge(tokens)
    return scores
