"""Values of all actions at many places, without [places, vocab] ever being held: what an actor expects of its critic.

Both are given as features and an output layer, as in `loss.py`; gradients by the actor are found in the forward pass,
chunk by chunk. Bahdanau et al. 2017 (arXiv 1607.07086), section 3.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from baselines.sampling import chunk_rows
from baselines.training.loss import MIN_ROWS


@torch.no_grad()
def expected_values(features: Tensor, output: nn.Linear, judged: Tensor, critic: nn.Linear) -> Tensor:
    """sum_a p(a) Q(a) at each place [places], no gradient.

    Args:
        features: [places, features] of the actor, and `output`, its layer: p is the softmax of what it gives.
        judged: [places, critic features], and `critic`, its layer: what it gives is Q.
    """
    size = max(MIN_ROWS, chunk_rows(len(output.weight), features.device))
    parts = [features.new_zeros(0)]
    for x, q in zip(torch.split(features, size), torch.split(judged, size), strict=True):
        weights, mass = _exponents(torch.addmm(output.bias, x, output.weight.t()))
        parts.append(weights.mul_(critic(q)).sum(1) / mass.squeeze(1))
    return torch.cat(parts)


def expected_value_sum(features: Tensor, output: nn.Linear, judged: Tensor, critic: nn.Linear) -> Tensor:
    """The sum over places of sum_a p(a) Q(a), with its gradient by the actor's features and layer; Q is a constant."""
    arguments = (features, output.weight, output.bias, judged.detach(), critic.weight.detach(), critic.bias.detach())
    found: Tensor = _ExpectedValue.apply(*arguments)  # type: ignore[no-untyped-call, unused-ignore]
    return found


def chosen_values(judged: Tensor, critic: nn.Linear, actions: Tensor) -> Tensor:
    """Q of one action at each place: [places, features], [places] -> [places], with gradient."""
    return (judged * critic.weight[actions]).sum(1) + critic.bias[actions]


def value_spread(judged: Tensor, critic: nn.Linear) -> Tensor:
    """sum_a (Q(a) - mean of Q over actions)^2, summed over places, with gradient.

    Q(a) less the mean is linear in the features, so the sum of its squares is a quadratic form: one small matrix stands
    for the whole vocabulary, and no place costs more than the square of the features.
    """
    layer = torch.cat([critic.weight, critic.bias.unsqueeze(1)], 1)
    layer = layer - layer.mean(0)
    with_one = torch.cat([judged, judged.new_ones(len(judged), 1)], 1)
    return ((with_one @ (layer.t() @ layer)) * with_one).sum()


def _exponents(logits: Tensor) -> tuple[Tensor, Tensor]:
    """exp(logits), the largest of each row taken off, in their memory, and its sums [rows, 1]."""
    exponents = logits.sub_(logits.amax(1, keepdim=True)).exp_()
    return exponents, exponents.sum(1, keepdim=True)


class _ExpectedValue(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, judged: Tensor, critic: Tensor, shift: Tensor
    ) -> Tensor:
        total = features.new_zeros(())
        grad_features = torch.empty_like(features)
        # One more column than the weight has: the bias is the weight of a feature that is always 1.
        grad_layer = weight.new_zeros(weight.shape[0], weight.shape[1] + 1)
        size = max(MIN_ROWS, chunk_rows(weight.shape[0], features.device))
        for start in range(0, len(features), size):
            chunk = slice(start, start + size)
            x = features[chunk]
            weights, mass = _exponents(torch.addmm(bias, x, weight.t()))
            values = torch.addmm(shift, judged[chunk], critic.t())
            mean = (weights * values).sum(1, keepdim=True) / mass
            total += mean.sum()
            # d mean / d logits is p(a) (Q(a) - mean); the small matrices are divided by the mass, not the large one.
            weights.mul_(values.sub_(mean))
            torch.div(weights @ weight, mass, out=grad_features[chunk])
            grad_layer.addmm_(weights.t(), torch.cat([x / mass, 1 / mass], 1))
        ctx.save_for_backward(grad_features, grad_layer)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_features, grad_layer = ctx.saved_tensors
        return grad_features * grad, grad_layer[:, :-1] * grad, grad_layer[:, -1] * grad, None, None, None
