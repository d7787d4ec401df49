"""Batches of training pairs without end: every line once a pass, a place that can be saved."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.neural import NetConfig, build_net, initialise_net
from baselines.training.loss import log_probs
from baselines.training.pairs import Pairs, likelihood_step
from tests.fakes import FakeRun
from tests.toys import conditional_corpus

CORPUS = conditional_corpus(103)


def passes(pairs: Pairs, count: int) -> list[list[int]]:
    return [pairs.rows().tolist() for _ in range(count)]


@pytest.mark.parametrize("alike", [True, False])
def test_each_pass_has_every_line_once_in_an_order_of_its_own(alike: bool) -> None:
    pairs = Pairs(CORPUS, FakeRun(), 16, alike=alike)
    first, second = passes(pairs, 7), passes(pairs, 7)
    for found in (first, second):
        assert sorted(row for batch in found for row in batch) == list(range(103))
    assert first != second


@pytest.mark.parametrize("alike", [True, False])
def test_it_goes_on_from_a_saved_place(alike: bool) -> None:
    run = FakeRun()
    pairs = Pairs(CORPUS, run, 16, alike=alike)
    passes(pairs, 10)
    saved, stream = pairs.state(), run.rng("pairs").get_state()
    expected = passes(pairs, 12)
    other = FakeRun(seed=5)
    other.rng("pairs").set_state(stream)
    resumed = Pairs(CORPUS, other, 16, alike=alike)
    resumed.restore(saved)
    assert passes(resumed, 12) == expected


def test_lines_of_a_batch_are_alike_in_length_unless_they_must_not_be() -> None:
    lengths = CORPUS.splits["train"].targets.lengths

    def spread(alike: bool) -> float:
        pairs = Pairs(CORPUS, FakeRun(), 16, alike=alike)
        return float(np.mean([lengths[pairs.rows()].std() for _ in range(6)]))

    assert spread(True) < 0.5 * spread(False)


def test_a_step_is_down_the_gradient_of_the_sequences_mean() -> None:
    """Against float64: plain SGD moves every weight by its gradient; padding gives none."""
    net = build_net(CORPUS, NetConfig(embedding=6, hidden=6, encoder=5, attention=4, readout=6, dropout=0.5))
    initialise_net(net, NetConfig(), torch.Generator().manual_seed(3))
    batch = Pairs(CORPUS, FakeRun(), 9, alike=False).draw()
    exact = copy.deepcopy(net).double().eval()
    assert batch.sources is not None

    def nats(model: Any) -> Tensor:
        features = model(batch.inputs, model.encode(*batch.sources))
        picked: Tensor = model.output(features).log_softmax(-1).gather(2, batch.targets.clamp(max=9).unsqueeze(2))
        return -(picked.squeeze(2) * batch.inside).sum()

    torch.autograd.backward(0.5 * nats(exact) / 9)
    before = copy.deepcopy(net)
    told = likelihood_step(net, torch.optim.SGD(net.parameters(), 0.1), batch, clip=1e9, weight=0.5, dropout=False)
    for was, now, true in zip(before.parameters(), net.parameters(), exact.parameters(), strict=True):
        if true.grad is not None:
            torch.testing.assert_close((was - now) / 0.1, true.grad.float(), atol=1e-5, rtol=1e-3)
    with torch.no_grad():
        assert float(told) == pytest.approx(float(nats(before.double().eval())) / int(batch.inside.sum()), rel=1e-5)
        features = before.float()(batch.inputs, before.encode(*batch.sources))[batch.inside]
        exactly = -log_probs(features, before.output, batch.targets[batch.inside]).mean()
    assert float(told) == pytest.approx(float(exactly), rel=1e-5)
