"""What LeakGAN's manager and worker are rewarded with, against slow versions and by what must not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.training.goals import goal_ends, goal_progress, intrinsic_rewards, rescaled_by_rank
from tests.fresh import fresh_seed


def slow_rank_rewards(scores: Tensor, present: Tensor, delta: float) -> Tensor:
    out = torch.zeros_like(scores)
    for column in range(scores.shape[1]):
        rows = [row for row in range(len(scores)) if present[row, column]]
        for row in rows:
            own = float(scores[row, column])
            others = [float(scores[other, column]) for other in rows if other != row]
            rank = 1 + sum(other > own for other in others) + sum(other == own for other in others) / 2
            out[row, column] = 1 / (1 + math.exp(-delta * (0.5 - rank / len(rows))))
    return out


def scored(rows: int = 9, columns: int = 4) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(fresh_seed())
    scores = torch.rand(rows, columns, generator=rng, dtype=torch.double)
    present = torch.rand(rows, columns, generator=rng) < 0.7
    present[:2] = True
    return scores, present


def test_rewards_by_rank_equal_the_slow_ones() -> None:
    scores, present = scored()
    scores[3:6] = scores[3]  # ties
    torch.testing.assert_close(rescaled_by_rank(scores, present, 16.0), slow_rank_rewards(scores, present, 16.0))


def test_reversed_scores_reverse_the_rewards() -> None:
    """Ranking by dictionary order, as the official code does, gives the same rewards for scores and their reverse."""
    scores, present = scored()
    rewards, reversed_ = (rescaled_by_rank(sign * scores, present, 16.0) for sign in (1, -1))
    for column in range(scores.shape[1]):
        rows = present[:, column].nonzero().squeeze(1)
        order = scores[rows, column].argsort(descending=True)
        best_first = rewards[rows[order], column]
        assert (best_first.diff() < 0).all()
        torch.testing.assert_close(reversed_[rows[order.flip(0)], column], best_first)
    assert (rewards[~present] == 0).all()


def test_rewards_depend_on_the_order_of_scores_alone() -> None:
    scores, present = scored()
    expected = rescaled_by_rank(scores, present, 12.0)
    for change in (lambda x: x**3, torch.logit, lambda x: 1000 * x - 7, lambda x: x.exp().exp()):
        assert torch.equal(rescaled_by_rank(change(scores), present, 12.0), expected)
    shuffled = torch.randperm(len(scores))
    torch.testing.assert_close(rescaled_by_rank(scores[shuffled], present[shuffled], 12.0), expected[shuffled])
    assert expected[present].min() > 0
    assert expected.max() < 1


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()).clamp(min=1e-12))


def journey(batch: int = 4, time: int = 7, size: int = 5) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(fresh_seed())
    leaked = torch.randn(batch, time + 1, size, generator=rng, dtype=torch.double)
    return leaked, F.normalize(torch.randn(batch, time, size, generator=rng, dtype=torch.double), dim=2)


@pytest.mark.parametrize("horizon", [1, 3, 9])
def test_intrinsic_rewards_equal_the_slow_ones(horizon: int) -> None:
    leaked, goals = journey()
    expected = torch.zeros(4, 7, dtype=torch.double)
    for b in range(4):
        for t in range(1, 8):
            back = range(1, min(horizon, t) + 1)
            expected[b, t - 1] = np.mean([cosine(leaked[b, t] - leaked[b, t - i], goals[b, t - i]) for i in back])
    kept = leaked.clone(), goals.clone()
    found = intrinsic_rewards(leaked, goals, horizon)
    torch.testing.assert_close(found, expected)
    assert found.std(0).min() > 0.01  # a number for each item
    assert found.std(1).min() > 0.01  # and for each place
    assert torch.equal(leaked, kept[0])
    assert torch.equal(goals, kept[1])


@pytest.mark.parametrize("horizon", [1, 3, 9])
def test_progress_equals_the_slow_one(horizon: int) -> None:
    leaked, goals = journey()
    lengths = torch.tensor([7, 1, 4, 6])
    ends = goal_ends(lengths, 7, horizon)
    found = goal_progress(leaked, goals, ends)
    for b in range(4):
        for t in range(int(lengths[b])):
            end = min(t + horizon, int(lengths[b]))
            assert float(found[b, t]) == pytest.approx(cosine(leaked[b, end] - leaked[b, t], goals[b, t]))


def test_a_goal_under_which_nothing_changes_has_no_gradient() -> None:
    leaked, goals = journey()
    goals.requires_grad_()
    still = leaked[:, :1].expand_as(leaked)
    found = goal_progress(still, goals, goal_ends(torch.full((4,), 7), 7, 2))
    found.sum().backward()
    assert (found == 0).all()
    assert (goals.grad == 0).all()
