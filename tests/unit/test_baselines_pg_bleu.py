"""PG-BLEU: SeqGAN's steps with BLEU for a discriminator; what is rewarded, where, and that BLEU goes up."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from torch import Tensor

from baselines.base import Diverged
from baselines.merging import merge
from baselines.nets.lstm import initialise
from baselines.pg_bleu import Climber, PGBleu, PGBleuConfig
from baselines.seqgan import SeqGAN, SeqGANConfig
from baselines.training.batches import shifted
from baselines.training.rollout import roll_out, sample_with_states
from baselines.training.sequence_policy import PolicyConfig
from tasks.base import Corpus
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus

TINY: dict[str, Any] = {
    "mle": {"net": {"embedding": 8, "hidden": 8, "dropout": 0.2}, "epochs": 1},
    "rounds": 3,
    "batch": 8,
    "rollouts": 2,
    "valid_every": 2,
}
CORPORA = {"free": free_corpus(60), "fixed": free_corpus(60, fixed_length=5)}


def tiny(**settings: Any) -> PGBleu:
    return PGBleu(PGBleuConfig.model_validate(merge(TINY, settings)))


def climber(corpus: Corpus, seed: int = 0, **settings: Any) -> Climber:
    method = tiny(**settings)
    generator = method.build(corpus)
    initialise(generator.net, "uniform", 1.0, torch.Generator().manual_seed(seed))
    return Climber(corpus, method.config, generator, FakeRun())


def nltk_bleu(corpus: Corpus, rows: Tensor, orders: int, references: list[int] | None = None) -> list[float]:
    """Of each row up to `</s>` (where there is one) or padding, against lines of train without theirs."""
    train, eos = corpus.splits["train"].targets, None if corpus.fixed_length else corpus.vocab.eos
    chosen = range(len(train)) if references is None else references
    lines = [[i for i in train[k].tolist() if i != eos] for k in chosen]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            sentence_bleu(
                lines,
                [i for i in row if i != eos and i < corpus.vocab.size],
                (1 / orders,) * orders,
                SmoothingFunction().method1,
            )
            for row in rows.tolist()
        ]


@pytest.mark.parametrize("kind", CORPORA)
@pytest.mark.parametrize("orders", [2, 4])
def test_rewards_are_the_mean_bleu_of_the_rollouts_and_at_the_end_its_own(kind: str, orders: int) -> None:
    """Against completions scored one by one."""
    corpus = free_corpus(12, fixed_length=5 if kind == "fixed" else None)
    learner = climber(corpus, fresh_seed(), orders=orders, rollouts=3)
    learner.net.double().eval()
    rng, time = torch.Generator().manual_seed(fresh_seed()), learner._time
    first = torch.rand(8, time, generator=rng, dtype=torch.double)
    later = torch.rand(8, time - 1, 3, time, generator=rng, dtype=torch.double)
    learner._uniforms = lambda *shape: later  # type: ignore[method-assign]
    sampled = sample_with_states(learner.net, (), first, **learner._ends)
    rewards = learner.rewards(sampled, (), None)
    ends = {name: learner._ends[name] for name in ("pad", "eos")}
    rolled = roll_out(learner.net, (), sampled, later.transpose(0, 1), **ends)
    values = iter(nltk_bleu(corpus, rolled.tokens, orders))
    expected = torch.zeros(8, time, dtype=torch.double)
    for t, items in enumerate(rolled.items):
        for item in items.tolist():
            expected[item, t] = np.mean([next(values) for _ in range(3)])
    for item, whole in enumerate(nltk_bleu(corpus, sampled.tokens, orders)):
        expected[item, sampled.lengths[item] - 1] = whole
    torch.testing.assert_close(rewards, expected, rtol=0, atol=1e-9)
    assert (rewards[sampled.tokens == corpus.vocab.pad] == 0).all()


def test_a_part_of_train_can_be_the_reference() -> None:
    corpus = CORPORA["free"]
    rows = torch.from_numpy(corpus.splits["valid"].targets.padded(corpus.vocab.pad))
    few = climber(corpus, references=4).bleu(rows)
    assert few.tolist() == pytest.approx(nltk_bleu(corpus, rows, 4, [0, 15, 30, 45]), abs=1e-9)
    every = climber(corpus, references=10_000).bleu(rows)
    assert torch.equal(every, climber(corpus).bleu(rows))


def test_references_are_of_train_alone() -> None:
    corpus = CORPORA["free"]
    other = free_corpus(60, seed=7)
    changed = dataclasses.replace(corpus, splits={**other.splits, "train": corpus.splits["train"]})
    first, second = (tiny().fit(c, FakeRun()).state_dict() for c in (corpus, changed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_start_is_the_shared_pretraining() -> None:
    corpus, run = CORPORA["free"], FakeRun()
    generator = tiny().fit(corpus, run)
    (pretrained,) = run.saved.pretrained.values()
    for name, weights in pretrained.items():
        assert torch.equal(run.saved.snapshots["pretrain"][f"net.{name}"], weights)
    assert any(not torch.equal(weights, generator.net.state_dict()[name]) for name, weights in pretrained.items())
    mle = tiny().config.mle
    assert SeqGAN(SeqGANConfig(mle=mle)).pretraining(corpus) == tiny().pretraining(corpus)


@pytest.mark.parametrize("kind", CORPORA)
def test_the_log_has_a_line_a_round(kind: str) -> None:
    run = FakeRun()
    tiny(g_steps=2).fit(CORPORA[kind], run)
    rounds = [line for line in run.saved.log if line["stage"] == "policy"]
    assert [line["step"] for line in rounds] == [1, 2, 3]
    assert {"loss", "gradient", "entropy", "reward", "length"} <= set(rounds[0])
    assert [("valid_nll" in line) for line in rounds] == [False, True, True]
    assert all(0 < line["reward"] < 1 for line in rounds)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CORPORA)
@pytest.mark.parametrize("settings", [{}, {"baseline": "moving_average", "rollout_decay": 0.8, "select": "valid"}])
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(kind: str, settings: dict[str, Any]) -> None:
    corpus, whole = CORPORA[kind], FakeRun(save=False)
    settings = {**settings, "references": 20}
    expected = tiny(**settings).fit(corpus, whole).state_dict()
    for place in (whole.safe_points - 3, whole.safe_points - 1):  # before the first round, and between rounds
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny(**settings).fit(corpus, FakeRun(saved=saved, stop_at=place, save=False))
        resumed = tiny(**settings).fit(corpus, FakeRun(saved=saved)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert [line for line in saved.log if line["stage"] == "policy"] == [
            line for line in whole.saved.log if line["stage"] == "policy"
        ]


def test_a_step_makes_what_was_rewarded_more_probable() -> None:
    """One step on one batch: the log-probabilities, weighed by how far each reward is above the mean, go up."""
    learner = climber(CORPORA["fixed"], fresh_seed(), batch=64, learning_rate=1e-3, baseline="moving_average")
    seen: list[tuple[Tensor, Tensor]] = []
    rewards = learner.rewards

    def watched(sampled, memory, sources):  # type: ignore[no-untyped-def]
        seen.append((sampled.tokens, rewards(sampled, memory, sources)))
        return seen[-1][1]

    learner.rewards = watched  # type: ignore[method-assign]

    def weighed() -> float:
        with torch.no_grad():
            logits = learner.net.output(learner.net(shifted(tokens, learner.corpus.vocab.bos)))
        return float((torch.log_softmax(logits, -1).gather(2, tokens.unsqueeze(2)).squeeze(2) * advantage).sum())

    start = {name: value.clone() for name, value in learner.net.state_dict().items()}
    learner.generator_step()
    tokens, value = seen[0]
    advantage = value - value.mean()
    after = weighed()
    learner.net.load_state_dict(start)
    assert after > weighed()


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(learning_rate=1e38, rounds=5).fit(CORPORA["fixed"], FakeRun())


def test_what_is_not_supported_is_told() -> None:
    assert "source" in (PGBleu().supports(conditional_corpus(20)) or "")
    one = dataclasses.replace(free_corpus(20, fixed_length=2), fixed_length=1, max_target_length=1)
    assert "one token" in (PGBleu().supports(one) or "")
    assert PGBleu().supports(CORPORA["free"]) is None


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["oracle", "poetry", "speech", "captions"])
def test_presets_are_seqgans_but_for_the_judge(budget: str, task: str) -> None:
    ours = PGBleuConfig.model_validate(PGBleu.preset(budget, task, "free"))
    theirs = SeqGANConfig.model_validate(SeqGAN.preset(budget, task, "free"))
    for name in {*PolicyConfig.model_fields, "mle", "rounds"} - {"learning_rate"}:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.learning_rate == (3e-4 if budget == "small" and task != "oracle" else theirs.learning_rate)
    assert ours.orders == (2 if task == "poetry" else 4)


@pytest.mark.slow
@pytest.mark.parametrize("fixed_length", [None, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_improves_the_bleu_of_its_start(seed: int, fixed_length: int | None) -> None:
    corpus = free_corpus(600, seed, fixed_length=fixed_length)
    settings = {"mle": {"net": {"embedding": 16, "hidden": 16}, "learning_rate": 0.01, "epochs": 2}}
    settings |= {"rounds": 40, "batch": 32, "rollouts": 4, "learning_rate": 5e-3}
    method, run = PGBleu(PGBleuConfig.model_validate(settings)), FakeRun(seed, save=False)
    generator, start = method.fit(corpus, run), method.build(corpus)
    start.load_state_dict(run.saved.snapshots["pretrain"])
    judge = Climber(corpus, method.config, generator, FakeRun()).bleu
    rng = torch.Generator()
    found = [
        float(judge(torch.from_numpy(one.sample(1000, rng=rng.manual_seed(9)).padded(corpus.vocab.pad))).mean())
        for one in (generator, start)
    ]
    assert found[0] > found[1] + 0.05
