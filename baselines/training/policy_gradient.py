"""REINFORCE on sampled sequences with a reward for every token (Yu et al. 2017, eq. 8; Williams 1992)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from baselines.nets.base import AutoregressiveNet
from baselines.training.loss import cross_entropy, log_probs

Scale = Literal["sequence", "sum"]
BaselineKind = Literal["none", "moving_average"]
# Of modules that hold a rate themselves: recurrent layers, and attention and layers as `transformers` has them.
RATES = ("dropout", "activation_dropout", "layerdrop")


class RewardBaseline:
    """What is taken from every reward: nothing, as in the paper, or a moving average of the mean reward."""

    def __init__(self, kind: BaselineKind, decay: float) -> None:
        self.kind, self.decay = kind, decay
        self.value: float | None = None

    def advantage(self, rewards: Tensor, emitted: Tensor) -> Tensor:
        """rewards [batch, time], emitted [batch, time] -> what weighs each token's log-probability; 0 where masked.

        The first batch is compared with its own mean; after that a batch with the average before it, so that a reward
        does not sit in its own baseline.
        """
        if self.kind == "none":
            return rewards * emitted
        mean = float((rewards * emitted).sum() / emitted.sum())
        before = mean if self.value is None else self.value
        self.value = self.decay * before + (1 - self.decay) * mean
        return (rewards - before) * emitted


def discounted(rewards: Tensor, inside: Tensor, gamma: float) -> Tensor:
    """R_t = sum over s >= t of gamma^(s - t) r_s: rewards [batch, time] -> returns [batch, time], of the same type.

    inside: [batch, time]; places outside give no reward and have return 0, but s - t counts them.
    """
    place = torch.arange(rewards.shape[1], device=rewards.device)
    ahead = place[:, None] - place  # [s, t]
    weights = torch.where(ahead >= 0, torch.pow(gamma, ahead.clamp(min=0).to(rewards.dtype)), 0.0)
    returns: Tensor = rewards.masked_fill(~inside, 0.0) @ weights
    return returns.masked_fill(~inside, 0.0)


def policy_gradient_step(
    net: AutoregressiveNet,
    optimizer: torch.optim.Optimizer,
    features: Tensor,
    tokens: Tensor,
    advantages: Tensor,
    emitted: Tensor,
    *,
    scale: Scale,
    clip: float,
) -> dict[str, Tensor]:
    """One step up E[sum_t log p(y_t | y_<t) Q(t)].

    Args:
        features: [batch, time, features], teacher-forced on the sampled tokens, with gradient.
        tokens: the sampled tokens [batch, time].
        advantages: [batch, time].
        emitted: [batch, time], True up to and with `</s>`; other places give no loss and no gradient.
        scale: `sequence`: summed over time, averaged over the batch (the paper's expectation over sequences); `sum`:
            summed over both (the official code). With Adam they differ only in how often `clip` bites.
        clip: largest global norm of the gradient.

    Returns:
        loss, gradient (its norm before clipping) and entropy (mean -log p of the sampled tokens, nats).
    """
    optimizer.zero_grad(set_to_none=True)
    places = emitted.flatten().nonzero().squeeze(1)
    weights = advantages.flatten()[places] / (len(tokens) if scale == "sequence" else 1)
    chosen, targets = features.flatten(0, 1)[places], tokens.flatten()[places]
    entropy = -log_probs(chosen.detach(), net.output, targets).mean()
    loss = cross_entropy(chosen, net.output, targets, weights)
    torch.autograd.backward(loss)
    gradient = nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimizer.step()
    return {"loss": loss.detach(), "gradient": gradient, "entropy": entropy}


@contextmanager
def without_dropout(net: nn.Module) -> Iterator[None]:
    """Training mode with every dropout rate at 0: the policy whose gradient is wanted is the one that sampled.

    Evaluation mode would do, but cuDNN's recurrent layers only give gradients in training mode.
    """
    changed: list[tuple[Any, str, float]] = []
    training = net.training
    for module in net.modules():
        for name in ("p",) if isinstance(module, nn.Dropout) else RATES:
            rate = getattr(module, name, None)
            if isinstance(rate, float):
                changed.append((module, name, rate))
                setattr(module, name, 0.0)
    net.train()
    try:
        yield
    finally:
        net.train(training)
        for module, name, rate in changed:
            setattr(module, name, rate)
