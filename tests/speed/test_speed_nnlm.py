"""Speed of the feed-forward language model at the paper's sizes, vocabulary 5,000.

Run with `pytest tests/speed/test_speed_nnlm.py --benchmark-only -s -m speed`.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from baselines.nnlm import NNLM
from baselines.training.loss import cross_entropy
from tests.speed.test_speed_seqgan import BATCH, TIME, VOCAB, synthetic_corpus

pytestmark = pytest.mark.speed


@pytest.mark.parametrize("budget", ["small", "paper"])
def test_training_step(benchmark: Any, budget: str) -> None:
    method = NNLM(NNLM.Config.model_validate(NNLM.preset(budget, "poetry", "free")))
    net = method.build(synthetic_corpus()).net
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    ids = torch.randint(VOCAB, (BATCH, TIME))

    def step() -> None:
        loss = cross_entropy(net(ids).flatten(0, 1), net.output, ids.flatten())
        optimizer.zero_grad()
        torch.autograd.backward(loss / ids.numel())
        optimizer.step()

    tell(benchmark, f"a step of {BATCH} x {TIME} tokens, {budget}", step, 5)


def test_sampling(benchmark: Any) -> None:
    generator = NNLM().build(synthetic_corpus())
    rng = torch.Generator().manual_seed(0)
    tell(benchmark, "1,000 samples of 20, paper", lambda: generator.sample(1000, rng=rng), 1)


def tell(benchmark: Any, what: str, work: Any, rounds: int) -> None:
    benchmark.pedantic(work, rounds=rounds, warmup_rounds=1)
    start = time.process_time()
    work()
    benchmark.extra_info["cpu_s"] = time.process_time() - start
    print(f"\n{what}: {benchmark.extra_info['cpu_s']:.3g} CPU s")
