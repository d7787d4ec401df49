"""What a cell's process is set to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from bench.env import prepare_process


@pytest.fixture
def _as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


@pytest.mark.usefixtures("_as_before")
def test_numbers_without_full_precision_count_as_0_and_the_smallest_others_stay() -> None:
    smallest = torch.finfo(torch.float32).tiny
    prepare_process(1, deterministic=False)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor keeps them")
    assert float(torch.tensor([smallest]) * 0.5) == 0.0
    assert float(torch.tensor([smallest]) * 1.0) == smallest
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("_as_before")
def test_a_soft_argmax_is_the_same_to_a_floats_precision() -> None:
    logits = 20 * torch.randn(64, 500, generator=torch.Generator().manual_seed(0))
    torch.set_flush_denormal(False)
    kept = logits.softmax(-1)
    prepare_process(1, deterministic=False)
    torch.testing.assert_close(logits.softmax(-1), kept, rtol=1e-6, atol=1e-37)
