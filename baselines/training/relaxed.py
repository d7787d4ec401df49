"""Sentences that a gradient can go through: a generator's tokens as weights over the vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.decoding import Limits
from baselines.nets.z_lstm import LatentLSTM

Relax = Callable[[Tensor], Tensor]  # logits [batch, vocab] -> weights [batch, vocab] that sum to 1


@dataclass(frozen=True)
class Relaxed:
    """Generated sentences.

    Attributes:
        weights: [batch, time, vocab]; what stands after a sentence's end means nothing.
        tokens: [batch, time], the largest weights' tokens, `pad` after `</s>`.
        inside: [batch, time], True up to and with `</s>`.
        hard: the sentence's value is `tokens`, and `weights` are only what the gradient goes through.
    """

    weights: Tensor
    tokens: Tensor
    inside: Tensor
    hard: bool

    @property
    def lengths(self) -> Tensor:
        """[batch], `</s>` included."""
        return self.inside.sum(1)

    def embed(self, table: Tensor) -> Tensor:
        """table [vocab, embedding] -> [batch, time, embedding]; zeros, and no gradient, after the end."""
        return mix(self.weights, self.tokens, table, self.hard) * self.inside.unsqueeze(2)

    def detach(self) -> Relaxed:
        return Relaxed(self.weights.detach(), self.tokens, self.inside, self.hard)


def mix(weights: Tensor, tokens: Tensor, table: Tensor, hard: bool) -> Tensor:
    """Embeddings [..., embedding] of weights [..., vocab]: their mean, or with `hard` that of `tokens` [...].

    With `hard` value and gradients are those of a straight-through one-hot vector times the table, without two of its
    three matrix products.
    """
    if not hard:
        return weights @ table
    mixed: Tensor = _Through.apply(weights, tokens.clamp(max=len(table) - 1), table)  # type: ignore[no-untyped-call, unused-ignore]
    return mixed


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, tokens: Tensor, table: Tensor) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(tokens, table)
        return F.embedding(tokens, table)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:  # type: ignore[override, unused-ignore]
        tokens, table = ctx.saved_tensors
        to_weights = gradient @ table.t() if ctx.needs_input_grad[0] else None
        to_table = None
        if ctx.needs_input_grad[2]:
            to_table = torch.zeros_like(table).index_add_(0, tokens.flatten(), gradient.flatten(0, -2))
        return to_weights, None, to_table


def unroll(net: LatentLSTM, z: Tensor, relax: Relax, limits: Limits, pad: int, *, hard: bool) -> Relaxed:
    """A sentence for each code z [batch, latent]; every place reads what stands at the one before."""
    table = net.table()
    token = torch.full((len(z),), limits.bos, device=z.device)
    ended = torch.zeros_like(token, dtype=torch.bool)
    features, state = net.step(token, net.initial_state(len(z), (z,)), (z,))
    weights, tokens, inside = list[Tensor](), list[Tensor](), list[Tensor]()
    for time in range(limits.max_length):
        if time > 0:
            features, state = net.read(mix(weights[-1], token, table, hard), state)
        weights.append(relax(net.output(features)))
        token = weights[-1].argmax(1)
        tokens.append(token.masked_fill(ended, pad))
        inside.append(~ended)
        if limits.eos is not None:
            ended = ended | (token == limits.eos)
            if z.device.type == "cpu" and bool(ended.all()):  # a GPU would wait for the answer
                break
    return Relaxed(torch.stack(weights, 1), torch.stack(tokens, 1), torch.stack(inside, 1), hard)
