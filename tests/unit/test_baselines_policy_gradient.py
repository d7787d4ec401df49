"""REINFORCE: its value, its sign, its masks, its baseline."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.nets.lstm import LSTMLanguageModel, initialise
from baselines.training.policy_gradient import (
    RewardBaseline,
    Scale,
    discounted,
    policy_gradient_step,
    without_dropout,
)
from tests.fresh import fresh_seed

VOCAB, BOS, PAD = 9, 9, 10


def language_model(dropout: float = 0.0, layers: int = 1) -> LSTMLanguageModel:
    net = LSTMLanguageModel(VOCAB, 4, 5, layers=layers, dropout=dropout).double()
    initialise(net, "normal", 0.5, torch.Generator().manual_seed(0))
    return net


def shifted(tokens: Tensor) -> Tensor:
    return torch.cat([torch.full_like(tokens[:, :1], BOS), tokens[:, :-1]], 1)


def log_probs(net: LSTMLanguageModel, tokens: Tensor) -> Tensor:
    logits = net.output(net(shifted(tokens)))
    return torch.log_softmax(logits, -1).gather(2, tokens.clamp(max=VOCAB - 1).unsqueeze(2)).squeeze(2)


def step(
    net: LSTMLanguageModel,
    tokens: Tensor,
    advantages: Tensor,
    scale: Scale = "sequence",
    clip: float = 1e9,
    lr: float = 0.1,
) -> dict[str, Tensor]:
    optimizer, features, emitted = torch.optim.SGD(net.parameters(), lr), net(shifted(tokens)), tokens != PAD
    return policy_gradient_step(net, optimizer, features, tokens, advantages, emitted, scale=scale, clip=clip)


@pytest.mark.parametrize(("scale", "divisor"), [("sequence", 4), ("sum", 1)])
def test_loss_and_gradient_are_the_definition(scale: Scale, divisor: int) -> None:
    torch.manual_seed(0)
    net, twin = language_model(), language_model()
    tokens = torch.randint(VOCAB, (4, 5)).masked_fill(torch.arange(5) >= torch.tensor([[5], [2], [4], [1]]), PAD)
    rewards = torch.rand(4, 5).double()
    emitted = tokens != PAD
    expected = -(log_probs(twin, tokens) * rewards * emitted).sum() / divisor
    expected.backward()
    figures = step(net, tokens, rewards, scale, lr=0.0)
    torch.testing.assert_close(figures["loss"], expected.detach())
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad if theirs.grad is not None else torch.zeros_like(theirs))
    entropy = -(log_probs(twin, tokens) * emitted).sum() / emitted.sum()
    torch.testing.assert_close(figures["entropy"], entropy.detach())


def test_a_rewarded_token_becomes_more_probable() -> None:
    net, tokens = language_model(), torch.tensor([[1, 4, 2]])
    before = log_probs(net, tokens).detach()
    step(net, tokens, torch.tensor([[0.0, 1.0, 0.0]]).double())
    assert log_probs(net, tokens)[0, 1] > before[0, 1]


def test_a_token_below_the_baseline_becomes_less_probable() -> None:
    net, tokens = language_model(), torch.tensor([[1, 4, 2]])
    before = log_probs(net, tokens).detach()
    step(net, tokens, torch.tensor([[0.0, -1.0, 0.0]]).double())
    assert log_probs(net, tokens)[0, 1] < before[0, 1]


def test_places_after_the_end_give_no_gradient() -> None:
    """Their rewards, however large, change nothing; nor does it matter how far the batch is padded."""
    tokens = torch.tensor([[3, 0, PAD, PAD], [2, 5, 1, 0]])
    rewards = torch.tensor([[0.5, 0.7, 1e6, -1e6], [0.1, 0.2, 0.3, 0.4]]).double()
    nets = [language_model() for _ in range(3)]
    step(nets[0], tokens, rewards)
    step(nets[1], tokens, rewards * (tokens != PAD))
    step(nets[2], torch.cat([tokens, torch.full((2, 3), PAD)], 1), torch.cat([rewards, torch.ones(2, 3).double()], 1))
    for first, second, third in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(first, second)
        torch.testing.assert_close(first, third)


def test_the_gradient_is_clipped_by_its_global_norm() -> None:
    net, tokens = language_model(), torch.tensor([[1, 4, 2]])
    start = [p.detach().clone() for p in net.parameters()]
    figures = step(net, tokens, torch.full((1, 3), 100.0).double(), clip=0.5, lr=1.0)
    moved = torch.cat([(p - old).flatten() for p, old in zip(net.parameters(), start, strict=True)])
    assert figures["gradient"] > 0.5
    torch.testing.assert_close(moved.norm(), torch.tensor(0.5).double(), rtol=1e-4, atol=0)


def test_no_baseline_leaves_rewards_but_masks_them() -> None:
    rewards, emitted = torch.tensor([[0.2, 0.9]]), torch.tensor([[True, False]])
    torch.testing.assert_close(RewardBaseline("none", 0.9).advantage(rewards, emitted), torch.tensor([[0.2, 0.0]]))


def test_the_moving_average_is_of_emitted_places_and_lags_by_one_batch() -> None:
    baseline = RewardBaseline("moving_average", 0.9)
    emitted = torch.tensor([[True, True], [True, False]])
    first = torch.tensor([[0.2, 0.4], [0.6, 99.0]])
    torch.testing.assert_close(baseline.advantage(first, emitted), torch.tensor([[-0.2, 0.0], [0.2, 0.0]]))
    second = torch.tensor([[1.0, 1.0], [1.0, 99.0]])
    torch.testing.assert_close(baseline.advantage(second, emitted), torch.tensor([[0.6, 0.6], [0.6, 0.0]]))
    assert baseline.value == pytest.approx(0.9 * 0.4 + 0.1 * 1.0)


def test_without_dropout_the_policy_is_the_one_that_sampled() -> None:
    net, tokens = language_model(dropout=0.5, layers=2), torch.randint(VOCAB, (3, 6))
    net.eval()
    expected = net(tokens)
    with without_dropout(net):
        assert net.training
        torch.testing.assert_close(net(tokens), expected)
    assert not net.training
    assert net.dropout.p == 0.5
    assert net.lstm.dropout == 0.5
    net.train()
    assert not torch.allclose(net(tokens), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.4, 0.89072, 1.0])
def test_discounted_returns_are_the_definition(gamma: float) -> None:
    rng = torch.Generator().manual_seed(fresh_seed())
    rewards = torch.randn(5, 7, generator=rng, dtype=torch.float64)
    inside = torch.rand(5, 7, generator=rng) < 0.6
    found = discounted(rewards.masked_fill(~inside, float("inf")), inside, gamma)
    for b in range(5):
        for t in range(7):
            terms = (gamma ** (s - t) * float(rewards[b, s]) for s in range(t, 7) if inside[b, s])
            expected = sum(terms) if inside[b, t] else 0.0
            assert float(found[b, t]) == pytest.approx(expected, abs=1e-12)


def test_discounted_returns_look_ahead_only() -> None:
    rewards, inside = torch.zeros(1, 4), torch.ones(1, 4, dtype=torch.bool)
    rewards[0, 1] = 1.0
    torch.testing.assert_close(discounted(rewards, inside, 0.5), torch.tensor([[0.5, 1.0, 0.0, 0.0]]))
    assert discounted(rewards.double(), inside, 0.5).dtype == torch.float64
