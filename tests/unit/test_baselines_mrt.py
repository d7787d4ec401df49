"""Minimum risk training: what is in the set, and whose gradient it takes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.decoding import sample
from baselines.merging import merge
from baselines.mrt import MRT, MRTConfig, RiskMinimiser, risk_weights
from baselines.nets.lstm import initialise
from baselines.training.batches import shifted
from baselines.training.pair_bleu import PairBleu
from tasks.base import Corpus
from tests.fakes import FakeRun
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus

TINY: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 8, "hidden": 8, "encoder": 6, "attention": 6, "readout": 8, "dropout": 0.2},
        "epochs": 1,
    },
    "steps": 3,
    "batch": 8,
    "samples": 4,
    "valid_every": 2,
    "valid_rows": 10,
}
CORPUS = conditional_corpus(64)


def tiny(**settings: Any) -> MRT:
    return MRT(MRTConfig.model_validate(merge(TINY, settings)))


def learner(seed: int = 0, corpus: Corpus = CORPUS, **settings: Any) -> RiskMinimiser:
    method = tiny(**settings)
    generator = method.build(corpus)
    initialise(generator.net, "uniform", 1.0, torch.Generator().manual_seed(seed))
    generator.net.eval()
    return RiskMinimiser(corpus, method.config, generator, FakeRun(seed))


def one_by_one(some: RiskMinimiser, batch: Any, i: int, row: list[int]) -> Tensor:
    """log p of one output, with gradient, the source alone and without any batch."""
    sources, lengths = batch.sources
    memory = some.net.encode(sources[i : i + 1, : lengths[i]], lengths[i : i + 1])
    tokens = torch.tensor([row])
    logits = some.net.output(some.net(shifted(tokens, some.corpus.vocab.bos), memory))
    return torch.log_softmax(logits, -1).gather(2, tokens.unsqueeze(2)).sum()


def test_the_gradient_is_that_of_the_risk() -> None:
    """Against autograd through the definition, candidate by candidate, in float64."""
    some = learner(fresh_seed(), alpha=0.3, batch=4)
    some.net.double()
    batch = some.pairs.draw()
    uniforms = torch.rand(4, 3, 8, generator=torch.Generator().manual_seed(fresh_seed()), dtype=torch.double)
    candidates = some.candidates(batch, uniforms)
    risk = some.risk_gradient(batch, candidates, scale=1 / 4)
    found = [weight.grad.clone() for weight in some.net.parameters()]
    some.optimizer.zero_grad(set_to_none=True)
    expected = torch.zeros((), dtype=torch.double)
    with torch.enable_grad():
        for i in range(len(batch.targets)):
            mine = (candidates.owner == i).nonzero().squeeze(1).tolist()
            rows = [[t for t in candidates.tokens[k].tolist() if t != CORPUS.vocab.pad] for k in mine]
            log_p = torch.stack([one_by_one(some, batch, i, row) for row in rows])
            expected = expected + (torch.softmax(0.3 * log_p, 0) * candidates.delta[mine]).sum()
        (expected / 4).backward()
    torch.testing.assert_close(risk, expected.detach(), rtol=1e-9, atol=1e-12)
    for weight, gradient in zip(some.net.parameters(), found, strict=True):
        torch.testing.assert_close(gradient, weight.grad, rtol=1e-6, atol=1e-11)


def test_the_set_holds_the_target_and_each_sample_once() -> None:
    some = learner(fresh_seed())
    batch = some.pairs.draw()
    uniforms = torch.rand(8, 30, 8, generator=torch.Generator().manual_seed(fresh_seed()))
    candidates = some.candidates(batch, uniforms)
    pad = CORPUS.vocab.pad
    for i in range(len(batch.targets)):
        memory = some.net.encode(batch.sources[0][[i] * 30], batch.sources[1][[i] * 30])
        alone = sample(some.net, memory, uniforms[i], some.generator.limits)  # thirty times one source
        gold = [t for t in batch.targets[i].tolist() if t != pad]
        expected = {tuple(gold), *(tuple(alone[k].tolist()) for k in range(30))}
        rows = [tuple(t for t in row if t != pad) for row in candidates.tokens[candidates.owner == i].tolist()]
        assert len(rows) == len(set(rows))
        assert set(rows) == expected
        assert rows[0] == tuple(gold)
        itself = PairBleu(CORPUS.vocab.size, 0)(batch.targets[i : i + 1], batch.targets[i : i + 1])
        assert float(candidates.delta[candidates.owner == i][0]) == -float(itself)


def test_a_set_of_equal_costs_gives_no_gradient_and_the_best_gets_more() -> None:
    rng = torch.Generator().manual_seed(fresh_seed())
    log_p = torch.randn(7, generator=rng, dtype=torch.double) * 20
    owner = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    weights, risks = risk_weights(log_p, torch.full((7,), -0.3, dtype=torch.double), owner, 2, 0.005)
    assert weights.abs().max() < 1e-15
    assert risks.tolist() == pytest.approx([-0.3, -0.3])
    delta = torch.tensor([-0.9, 0.0, -0.1, -0.2, -0.2, -0.8, -0.2], dtype=torch.double)
    weights, _ = risk_weights(log_p, delta, owner, 2, 0.005)
    assert weights.argmin() in (0, 5)  # the derivative of the risk: down means more probable
    assert weights[0] < 0 < weights[1]
    assert weights[5] < 0 < weights[3]


def test_very_improbable_candidates_do_not_underflow() -> None:
    log_p = torch.tensor([-4000.0, -4001.0, -1.0], dtype=torch.double)
    delta, owner = torch.tensor([-1.0, 0.0, -0.5], dtype=torch.double), torch.tensor([0, 0, 1])
    weights, risks = risk_weights(log_p, delta, owner, 2, 1.0)
    assert risks.isfinite().all()
    assert float(risks[0]) == pytest.approx(-1 / (1 + np.exp(-1)))
    assert weights.isfinite().all()


def test_padding_gives_no_gradient() -> None:
    """The same candidates in a wider tensor, beside longer ones or not."""
    some = learner(fresh_seed())
    some.net.double()
    batch = some.pairs.draw()
    candidates = some.candidates(batch, torch.rand(8, 4, 8, dtype=torch.double))
    found = []
    for wide in (0, 5):
        some.optimizer.zero_grad(set_to_none=True)
        tokens = torch.nn.functional.pad(candidates.tokens, (0, wide), value=CORPUS.vocab.pad)
        some.risk_gradient(batch, dataclasses.replace(candidates, tokens=tokens))
        found.append([weight.grad.clone() for weight in some.net.parameters()])
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-12)


def test_sources_taken_some_at_a_time_give_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    for memory in (1 << 25, 1):
        monkeypatch.setattr("baselines.mrt.MEMORY", memory)
        some = learner(4)
        some.net.double()
        figures = some.step(some.pairs.draw())
        steps.append((some.net.state_dict(), float(figures["risk"])))
    assert steps[0][1] == pytest.approx(steps[1][1], abs=1e-6)
    for name in steps[0][0]:
        torch.testing.assert_close(steps[0][0][name], steps[1][0][name], rtol=0, atol=1e-6)


def test_the_best_look_at_valid_is_kept() -> None:
    run = FakeRun()
    generator = tiny(valid_every=1, steps=6, learning_rate=0.05).fit(CORPUS, run)
    looks = [line["valid_bleu"] for line in run.saved.log if line["stage"] == "mrt"]
    end = RiskMinimiser(CORPUS, tiny(select="last").config, generator, FakeRun()).look_at_valid()
    assert end["valid_bleu"] == pytest.approx(max(looks))
