"""Gumbel-softmax: its law, its straight-through form, its edges; annealing."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from baselines.training.gumbel import Schedule, anneal, gumbel_noise, gumbel_softmax, straight_through
from tests.fresh import fresh_seed


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(fresh_seed())


def test_hard_draws_have_the_law_of_softmax(rng: torch.Generator) -> None:
    logits, n = torch.randn(5, generator=rng), 40_000
    drawn = gumbel_softmax(logits.expand(n, 5), 0.7, torch.rand(n, 5, generator=rng), hard=True).mean(0)
    expected = logits.softmax(0)
    assert ((drawn - expected).abs() < 5 * (expected * (1 - expected) / n).sqrt()).all()


def test_soft_draws_against_the_formula_in_float64(rng: torch.Generator) -> None:
    logits, uniforms = torch.randn(3, 4, 6, generator=rng), torch.rand(3, 4, 6, generator=rng)
    noisy = (logits.double() - (-uniforms.double().log()).log()) / 0.3
    weights = noisy.exp() / noisy.exp().sum(-1, keepdim=True)
    assert torch.allclose(gumbel_softmax(logits, 0.3, uniforms).double(), weights, atol=1e-5)


@pytest.mark.parametrize("temperature", [1e-3, 0.3, 1.0, 10.0])
def test_hard_is_one_hot_to_the_bit_with_the_gradient_of_soft(rng: torch.Generator, temperature: float) -> None:
    logits, uniforms = 3 * torch.randn(50, 9, generator=rng), torch.rand(50, 9, generator=rng)
    direction = torch.randn(50, 9, generator=rng)
    gradients = []
    for hard in (False, True):
        leaf = logits.clone().requires_grad_()
        weights = gumbel_softmax(leaf, temperature, uniforms, hard=hard)
        (weights * direction).sum().backward()
        gradients.append(leaf.grad)
        if hard:
            tokens = (logits + gumbel_noise(uniforms)).argmax(1)
            assert torch.equal(weights, torch.nn.functional.one_hot(tokens, 9).float())
    assert torch.equal(gradients[0], gradients[1])


def test_straight_through_may_take_other_tokens_than_the_largest(rng: torch.Generator) -> None:
    soft = torch.rand(4, 6, generator=rng).softmax(1).requires_grad_()
    tokens = torch.tensor([5, 0, 2, 2])
    value = straight_through(soft, tokens)
    assert torch.equal(value.argmax(1), tokens)
    value.sum().backward()
    assert torch.equal(soft.grad, torch.ones_like(soft))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_finite_at_the_edges_of_the_uniforms(dtype: torch.dtype, edge: float) -> None:
    logits = torch.tensor([1.0, 2.0, -torch.inf], dtype=dtype, requires_grad=True)
    uniforms = torch.full((3,), edge, dtype=dtype)
    weights = gumbel_softmax(logits, 0.1, uniforms)
    (weights * torch.arange(3, dtype=dtype)).sum().backward()
    assert gumbel_noise(uniforms).isfinite().all()
    assert weights.sum().item() == pytest.approx(1.0)
    assert weights[2] == 0
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_noise_has_the_mean_and_variance_of_a_gumbel(rng: torch.Generator) -> None:
    noise = gumbel_noise(torch.rand(200_000, generator=rng))
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.02)
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, abs=0.05)


@pytest.mark.parametrize("kind", get_args(Schedule))
@pytest.mark.parametrize(("start", "end"), [(1.0, 100.0), (1.0, 0.1), (0.3, 0.7)])
def test_annealing_goes_from_start_to_end_and_stays(kind: Schedule, start: float, end: float) -> None:
    values = [anneal(step, 17, start, end, kind) for step in range(20)]
    assert values[0] == (end if kind == "no" else start)
    assert values[16:] == [end] * 4
    assert values == sorted(values, reverse=end < start)
    assert kind == "no" or len(set(values[:17])) == 17
    assert anneal(0, 1, start, end, kind) == end


def test_annealing_against_its_formulas() -> None:
    assert anneal(4, 9, 1.0, 100.0, "exp") == pytest.approx(10.0)
    assert anneal(4, 9, 1.0, 3.0, "lin") == pytest.approx(2.0)
    assert anneal(4, 9, 1.0, 3.0, "sigmoid") == pytest.approx(2.0)
    assert anneal(4, 9, 0.0, 1.0, "quad") == pytest.approx(0.25)
    assert anneal(4, 9, 0.0, 1.0, "sqrt") == pytest.approx(0.5**0.5)
    assert anneal(4, 9, 0.0, 1.0, "log") == pytest.approx(math.log(5) / math.log(9))
