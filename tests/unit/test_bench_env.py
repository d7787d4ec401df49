"""What training does with the smallest numbers."""

from __future__ import annotations

import pytest
import torch

from bench.env import smallest_as_zero

SMALLEST = torch.finfo(torch.float32).tiny


def halved() -> float:
    return float(torch.tensor([SMALLEST]) * 0.5)


def test_numbers_without_full_precision_count_as_0_while_training_alone() -> None:
    assert halved() == SMALLEST / 2
    with smallest_as_zero():
        if halved():
            pytest.skip("this processor keeps them")
        assert float(torch.tensor([SMALLEST]) * 1.0) == SMALLEST
        with smallest_as_zero():
            assert halved() == 0.0
        assert halved() == 0.0
    assert halved() == SMALLEST / 2
    with pytest.raises(ValueError, match="diverged"), smallest_as_zero():
        raise ValueError("diverged")
    assert halved() == SMALLEST / 2


def test_a_soft_argmax_and_its_gradient_are_the_same_to_a_floats_precision() -> None:
    logits = (20 * torch.randn(64, 500, generator=torch.Generator().manual_seed(0))).requires_grad_()
    table = torch.randn(500, 8, generator=torch.Generator().manual_seed(1))

    def mixed() -> tuple[torch.Tensor, torch.Tensor]:
        found = logits.softmax(-1) @ table
        return found.detach(), torch.autograd.grad(found.square().sum(), logits)[0]

    kept = mixed()
    with smallest_as_zero():
        for one, other in zip(mixed(), kept, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-30)
