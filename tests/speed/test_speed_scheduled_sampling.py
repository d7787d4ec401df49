"""Speed of a step of scheduled sampling at the paper's sizes: drawn first and then one call of the LSTM, against one
graph that goes token by token.

Run with `pytest tests/speed/test_speed_scheduled_sampling.py --benchmark-only -s -m speed`. CPU seconds of one thread.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from baselines.scheduled_sampling import Course, Progress, ScheduledSampling
from tests.fakes import FakeRun
from tests.speed.test_speed_seqgan import in_turn, synthetic_corpus, tell

pytestmark = pytest.mark.speed


@pytest.mark.parametrize("epsilon", [1.0, 0.9, 0.5])
def test_training_step(benchmark: Any, epsilon: float) -> None:
    method, corpus = ScheduledSampling(), synthetic_corpus()
    course, done = Course(corpus, method.config, method.build(corpus), FakeRun()), Progress()
    rows = course.rows(done)
    ids = torch.from_numpy(course.train.take(rows).padded(0))
    net, optimizer = course.net, course.optimizer

    def slow() -> None:
        """Every token's logits, a multinomial draw for every row, all in the graph."""
        tokens, state, losses = torch.full_like(ids[:, 0], corpus.vocab.bos), net.initial_state(len(ids), ()), []
        for place in range(ids.shape[1]):
            features, state = net.step(tokens, state, ())
            logits = net.output(features)
            losses.append(F.cross_entropy(logits, ids[:, place]))
            drawn = torch.multinomial(logits.detach().softmax(1), 1).squeeze(1)
            tokens = torch.where(torch.rand(len(ids)) < epsilon, ids[:, place], drawn)
        optimizer.zero_grad()
        torch.stack(losses).mean().backward()
        optimizer.step()

    def fast() -> None:
        course.step(rows, epsilon, 1.0)

    in_turn(1, slow, fast)
    reference, ours = in_turn(5, slow, fast)
    benchmark.pedantic(fast, rounds=3)
    tell(benchmark, f"step at epsilon {epsilon}", reference, ours, 1)
