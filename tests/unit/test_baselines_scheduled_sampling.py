"""Scheduled sampling: the inputs it mixes, the loss on them, its schedules, interruption, and what it learns."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from baselines import scheduled_sampling
from baselines.base import Diverged
from baselines.merging import merge
from baselines.nets.lstm import LSTMLanguageModel, initialise
from baselines.scheduled_sampling import Course, ScheduledSampling, ScheduledSamplingConfig, mix
from baselines.training.batches import Collator
from baselines.training.mle import MLE_BUDGETS, MLEConfig, pretrain
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus, markov_chain

TINY: dict[str, Any] = {
    "mle": {"net": {"embedding": 8, "hidden": 8, "dropout": 0.2}, "epochs": 3, "schedule": "linear"},
    "slope": 0.3,
}
CORPORA = {"free": free_corpus(60), "fixed": free_corpus(60, fixed_length=5)}


def tiny(**settings: Any) -> ScheduledSampling:
    return ScheduledSampling(ScheduledSamplingConfig.model_validate(merge(TINY, settings)))


def a_net(vocab: int = 7, dtype: torch.dtype = torch.float64) -> LSTMLanguageModel:
    net = LSTMLanguageModel(vocab, 6, 5)
    initialise(net, "uniform", 1.0, torch.Generator().manual_seed(fresh_seed()))
    return net.to(dtype)


def a_batch(net: LSTMLanguageModel, rows: int = 9, time: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs [rows, time], targets [rows, time] and lengths [rows], the last one full, the first of one token."""
    rng = torch.Generator().manual_seed(fresh_seed() + 1)
    lengths = torch.randint(1, time + 1, (rows,), generator=rng)
    lengths[0], lengths[-1] = 1, time
    targets = torch.randint(1, net.vocab_size, (rows, time), generator=rng)
    targets[torch.arange(time) >= lengths[:, None]] = net.vocab_size + 1
    inputs = torch.cat([torch.full((rows, 1), net.vocab_size), targets[:, :-1]], 1)
    return inputs, targets, lengths


def plain_mix(net, inputs, lengths, epsilon, eos, coins, uniforms):  # type: ignore[no-untyped-def]
    """Row by row and token by token; the CDF of the whole vocabulary by summing."""
    out = inputs.clone()
    for row in range(len(inputs)):
        state = net.initial_state(1)
        for place in range(1, int(lengths[row])):
            features, state = net.step(out[row, place - 1 : place], state)
            if coins[row, place] < epsilon:
                continue
            cdf = net.output(features)[0].softmax(0).cumsum(0)
            token = int((cdf <= uniforms[row, place]).sum())
            if token != eos:
                out[row, place] = token
    return out


@pytest.mark.parametrize("eos", [0, None])
@pytest.mark.parametrize("epsilon", [0.0, 0.4, 0.9])
def test_inputs_are_mixed_as_by_hand(epsilon: float, eos: int | None) -> None:
    net = a_net()
    inputs, _, lengths = a_batch(net)
    coins, uniforms = torch.rand(2, *inputs.shape, generator=torch.Generator().manual_seed(3))
    expected = plain_mix(net, inputs, lengths, epsilon, eos, coins, uniforms)
    mixed = mix(net, inputs, lengths, epsilon, eos, torch.Generator().manual_seed(3))
    assert torch.equal(mixed, expected)
    assert torch.equal(mixed[:, 0], inputs[:, 0])
    outside = torch.arange(inputs.shape[1]) >= lengths[:, None]
    assert torch.equal(mixed[outside], inputs[outside])
    assert eos is None or not (mixed == eos).any()
    if epsilon == 0:
        assert not torch.equal(mixed, inputs)


def test_epsilon_is_the_share_of_true_tokens() -> None:
    """In a net that never emits the true token, what differs was drawn."""
    net = a_net(5)
    with torch.no_grad():
        net.output.bias[4] = -1e9
    inputs = torch.full((400, 20), 4)
    inputs[:, 0] = 5
    for epsilon in (0.0, 0.25, 0.8, 1.0):
        rng = torch.Generator().manual_seed(fresh_seed())
        mixed = mix(net, inputs, torch.full((400,), 20), epsilon, None, rng)
        kept = float((mixed[:, 1:] == 4).double().mean())
        assert kept == pytest.approx(epsilon, abs=5 * math.sqrt(0.25 / 7600))


def test_drawn_tokens_follow_the_models_prediction() -> None:
    net = a_net(5)
    rows = 40_000
    inputs = torch.tensor([[5, 1, 2]]).repeat(rows, 1)
    mixed = mix(net, inputs, torch.full((rows,), 3), 0.0, None, torch.Generator().manual_seed(fresh_seed()))
    first = net.output(net(inputs[:1, :1]))[0, 0].softmax(0)
    assert torch.bincount(mixed[:, 1], minlength=5) / rows == pytest.approx(first.detach().numpy(), abs=0.013)
    for token in range(5):  # the next is drawn after the token drawn, not after the true one
        after = mixed[mixed[:, 1] == token][:, 2]
        if len(after) > 500:
            expected = net.output(net(torch.tensor([[5, token]])))[0, 1].softmax(0).detach().numpy()
            assert torch.bincount(after, minlength=5) / len(after) == pytest.approx(
                expected, abs=5 * 0.5 / math.sqrt(len(after))
            )


def test_drawing_uses_no_dropout_and_no_gradient_and_keeps_the_mode() -> None:
    net = LSTMLanguageModel(7, 6, 6, dropout=0.9)
    initialise(net, "uniform", 1.0, torch.Generator().manual_seed(0))
    inputs, _, lengths = a_batch(net)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found.append(mix(net.train(), inputs, lengths, 0.2, 0, torch.Generator().manual_seed(5)))
        assert torch.equal(before, torch.get_rng_state())
        assert net.training
    assert torch.equal(*found)


def test_a_step_has_the_loss_and_gradient_of_the_formula() -> None:
    """Sequentially, token by token, in one graph, in float64: samples are constants, padding counts for nothing."""
    corpus = CORPORA["free"]
    method = tiny(mle={"net": {"dropout": 0.0}, "learning_rate": 1e-30, "clip": 1e9})
    course = Course(corpus, method.config, method.build(corpus), FakeRun())
    net = course.net.double()
    course.optimizer = torch.optim.Adam(net.parameters(), 1e-30, fused=True)
    rows = np.arange(6)
    state = course.run.rng("mixing").get_state()
    course.step(rows, 0.5, 1.0)
    course.run.rng("mixing").set_state(state)
    targets = corpus.splits["train"].targets.take(rows)
    batch = Collator.of(corpus).batch(targets, None, torch.device("cpu"))
    coins, uniforms = torch.rand(2, *batch.inputs.shape, generator=course.run.rng("mixing"))
    read = plain_mix(net, batch.inputs, torch.from_numpy(targets.lengths), 0.5, 0, coins, uniforms)
    assert not torch.equal(read, batch.inputs)
    total, count = torch.zeros((), dtype=torch.float64), 0
    for row in range(len(rows)):
        memory = net.initial_state(1, ())
        for place, target in enumerate(targets[row].tolist()):
            features, memory = net.step(read[row, place : place + 1], memory, ())
            total = total - net.output(features)[0].log_softmax(0)[target]
            count += 1
    expected = torch.autograd.grad(total / count, list(net.parameters()))
    assert course.train_nll == pytest.approx(float(total.detach()) / count, rel=1e-9)
    for (name, parameter), gradient in zip(net.named_parameters(), expected, strict=True):
        assert parameter.grad == pytest.approx(gradient.numpy(), abs=1e-9), name
    assert torch.equal(net.embedding.weight.grad[corpus.vocab.pad], torch.zeros(8, dtype=torch.float64))


@pytest.mark.parametrize("kind", CORPORA)
@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_with_every_token_true_it_is_plain_maximum_likelihood_to_the_bit(kind: str, schedule: str) -> None:
    settings = {"schedule": schedule, "patience": 99, "label_smoothing": 0.1, "epochs": 4}
    for select in ("valid", "last"):
        method = tiny(slope=0.0, select=select, mle=settings)
        found = method.fit(CORPORA[kind], FakeRun()).net.state_dict()
        run = FakeRun()
        expected = pretrain(CORPORA[kind], method.config.mle, run)
        (log,) = (child.log for child in run.saved.children.values())
        if select == "last" and log[-1]["valid_nll"] > min(line["valid_nll"] for line in log):
            continue
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_schedules() -> None:
    def curve(**settings: Any) -> list[float]:
        config = tiny(**settings).config
        return [config.epsilon(i) for i in range(4)]

    assert curve(slope=0.002) == pytest.approx([1, 0.998, 0.996, 0.994])
    assert curve(start=0.5, slope=0.3, floor=0.1) == pytest.approx([0.5, 0.2, 0.1, 0.1])
    assert curve(decay="exponential", k=0.5) == pytest.approx([1, 0.5, 0.25, 0.125])
    sigmoid = [2 / (2 + math.exp(i / 2)) for i in range(4)]
    assert curve(decay="inverse_sigmoid", k=2) == pytest.approx(sigmoid)
    config = tiny(decay="inverse_sigmoid", k=1).config
    assert config.epsilon(10**6) == pytest.approx(0)
    for wrong in ({"decay": "exponential", "k": 1.0}, {"decay": "inverse_sigmoid", "k": 0.5}):
        with pytest.raises(ValidationError):
            tiny(**wrong)
    with pytest.raises(ValidationError, match="plateau"):
        tiny(mle={"schedule": "plateau"})


@pytest.mark.parametrize(("unit", "expected"), [("epoch", [1.0] * 2 + [0.9] * 2 + [0.8] * 2), ("step", None)])
def test_epsilon_falls_by_epoch_or_by_step(
    unit: str, expected: list[float] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    plain = scheduled_sampling.mix
    monkeypatch.setattr(
        scheduled_sampling,
        "mix",
        lambda net, i, n, epsilon, *rest: (seen.append(epsilon), plain(net, i, n, 1.0, *rest))[1],
    )
    run = FakeRun()
    tiny(unit=unit, slope=0.1, mle={"batch": 30}).fit(CORPORA["free"], run)
    assert seen == pytest.approx(expected or [1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
    lines = run.saved.log
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert all({"train_nll", "valid_nll", "epsilon"} <= set(line) for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CORPORA)
@pytest.mark.parametrize("select", ["last", "valid"])
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(kind: str, select: str) -> None:
    corpus, settings = CORPORA[kind], {"select": select, "mle": {"batch": 20}}
    whole = FakeRun(save=False)
    expected = tiny(**settings).fit(corpus, whole).state_dict()
    assert whole.safe_points == 9
    for place in (1, 3, 5, 8):
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny(**settings).fit(corpus, FakeRun(saved=saved, stop_at=place, save=False))
        resumed = tiny(**settings).fit(corpus, FakeRun(seed=0, saved=saved)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert saved.log == whole.saved.log


def test_last_weights_or_those_best_on_valid() -> None:
    corpus, kept = CORPORA["free"], {}
    settings = {"start": 1.0, "slope": 0.5, "mle": {"learning_rate": 0.1, "schedule": "constant", "epochs": 6}}
    for select in ("last", "valid"):
        run = FakeRun(save=False)
        generator = tiny(select=select, **settings).fit(corpus, run)
        looks = [line["valid_nll"] for line in run.saved.log]
        kept[select] = -generator.token_log_probs(corpus.splits["valid"].targets).mean()
        assert kept[select] == pytest.approx({"last": looks[-1], "valid": min(looks)}[select], rel=1e-6)
    assert kept["valid"] < kept["last"]


def test_training_never_reads_test_and_valid_only_to_look() -> None:
    corpus = CORPORA["free"]
    changed = dataclasses.replace(corpus, splits={**free_corpus(60, seed=7).splits, "train": corpus.splits["train"]})
    first, second = (tiny().fit(c, FakeRun()).state_dict() for c in (corpus, changed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(mle={"learning_rate": 1e38, "clip": 1e30}).fit(CORPORA["fixed"], FakeRun())


def test_conditional_corpora_are_not_supported() -> None:
    assert "free" in (ScheduledSampling().supports(conditional_corpus(9)) or "")
    assert ScheduledSampling().supports(CORPORA["free"]) is None


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["oracle", "poetry", "speech", "captions"])
def test_presets_have_the_networks_of_mle(budget: str, task: str) -> None:
    config = ScheduledSamplingConfig.model_validate(ScheduledSampling.preset(budget, task, "free"))
    mle: dict[str, Any] = {}
    for key in (budget, f"{budget}/free", f"{budget}/{task}"):
        mle = merge(mle, MLE_BUDGETS.get(key, {}))
    assert config.mle == MLEConfig.model_validate(mle)
    last = config.epsilon(config.mle.epochs - 1)
    assert last == pytest.approx(1 - 0.002 * 119) if budget == "paper" else 0.45 <= last <= 0.65
    assert config.select == "last"


@pytest.mark.slow
def test_it_learns_what_it_is_meant_to_and_its_objective_is_improper() -> None:
    """Better than its start and, on inputs of its own, than maximum likelihood; worse where all inputs are true."""
    corpus, _ = markov_chain(12, noise=0.1, rows=(640, 200, 10))
    net = {"embedding": 16, "hidden": 24, "dropout": 0.0}
    mle = {"net": net, "epochs": 16, "batch": 32, "learning_rate": 2e-2}
    valid = corpus.splits["valid"].targets
    nll: dict[str, float] = {}
    mixed: dict[str, float] = {}
    for name, slope in (("mle", 0.0), ("ss", 0.1)):
        generator = tiny(slope=slope, mle=mle).fit(corpus, FakeRun(save=False))
        nll[name] = -float(generator.token_log_probs(valid).mean())
        batch = Collator.of(corpus).batch(valid, None, torch.device("cpu"))
        rng, lengths = torch.Generator().manual_seed(1), torch.from_numpy(valid.lengths)
        with torch.no_grad():
            read = mix(generator.net, batch.inputs, lengths, 0.0, None, rng)
            logits = generator.net.eval().output(generator.net(read))
        mixed[name] = float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten()))
    uniform = math.log(corpus.vocab.size)
    assert nll["mle"] < uniform / 2
    assert nll["mle"] + 0.1 < nll["ss"] < uniform + 0.5
    assert mixed["ss"] < mixed["mle"] - 0.3
