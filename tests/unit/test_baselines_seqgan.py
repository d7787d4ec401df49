"""SeqGAN as a whole: its schedule, what each side sees, interruption, and that it learns."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import Diverged
from baselines.merging import merge
from baselines.nets.lstm import initialise
from baselines.neural import NeuralGenerator
from baselines.seqgan import Game, SeqGAN, SeqGANConfig
from baselines.training import discriminator
from baselines.training.mle import MLE_BUDGETS, MLEConfig
from tests.fakes import FakeRun, Interrupted, Saved
from tests.toys import conditional_corpus, free_corpus, markov_chain

TINY: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 8, "hidden": 8, "encoder": 6, "attention": 6, "readout": 8, "dropout": 0.2},
        "epochs": 1,
    },
    "discriminator": {
        "embedding": 6,
        "widths": (1, 2, 3),
        "filters": (6, 6, 6),
        "source_widths": (1, 2),
        "source_filters": (4, 4),
    },
    "d_pretrain_steps": 2,
    "d_pretrain_epochs": 1,
    "rounds": 3,
    "d_steps": 2,
    "d_epochs": 2,
    "samples": 30,
    "batch": 8,
    "rollouts": 2,
    "valid_every": 2,
}


def tiny(**settings: Any) -> SeqGAN:
    return SeqGAN(SeqGANConfig.model_validate(merge(TINY, settings)))


CORPORA = {"free": free_corpus(60), "fixed": free_corpus(60, fixed_length=5), "conditional": conditional_corpus(60)}


@pytest.mark.parametrize("kind", CORPORA)
def test_the_schedule_is_algorithm_1(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("generator_step", "discriminator_step", "follow"):
        plain = getattr(Game, name)
        monkeypatch.setattr(Game, name, lambda self, *a, _n=name, _f=plain: (steps.append(_n), _f(self, *a))[1])
    run = FakeRun()
    tiny(g_steps=2).fit(CORPORA[kind], run)
    a_round = ["generator_step"] * 2 + ["discriminator_step"] * 2 + ["follow"]
    assert steps == ["discriminator_step"] * 2 + a_round * 3
    rounds = [line for line in run.saved.log if line["stage"] == "adversarial"]
    assert [line["step"] for line in rounds] == [1, 2, 3]
    assert {"loss", "gradient", "entropy", "reward", "d_loss", "d_accuracy"} <= set(rounds[0])
    assert [("valid_nll" in line) for line in rounds] == [False, True, True]
    assert all(0 < line["reward"] < 1 for line in rounds)


def test_the_snapshot_is_the_shared_pretraining() -> None:
    corpus, run = CORPORA["free"], FakeRun()
    generator = tiny().fit(corpus, run)
    (pretrained,) = run.saved.pretrained.values()
    for name, weights in pretrained.items():
        assert torch.equal(run.saved.snapshots["pretrain"][f"net.{name}"], weights)
    assert any(not torch.equal(weights, generator.net.state_dict()[name]) for name, weights in pretrained.items())


def test_negatives_are_fresh_each_step_and_classes_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, seen = CORPORA["free"], []
    plain = discriminator.discriminator_epoch

    def watch(net, optimizer, positives, negatives, *rest):  # type: ignore[no-untyped-def]
        seen.append((positives, negatives))
        return plain(net, optimizer, positives, negatives, *rest)

    monkeypatch.setattr(discriminator, "discriminator_epoch", watch)
    tiny().fit(corpus, FakeRun())
    steps = seen[:2] + seen[2::2]  # one epoch a step in pre-training, then two
    assert len(steps) == 2 + 3 * 2
    for positives, negatives in seen:
        assert positives.shape == negatives.shape
        assert len(positives) == 30
    for (_, before), (_, after) in itertools.pairwise(steps):
        assert before.shape != after.shape or not torch.equal(before, after)
    pad = corpus.vocab.pad
    train = {tuple(map(int, row)) for row in corpus.splits["train"].targets.padded(pad, 8)}
    for positives, _ in seen:
        for row in positives.tolist():
            assert tuple(row + [pad] * (8 - len(row))) in train


@pytest.mark.parametrize("kind", ["free", "conditional"])
def test_training_never_reads_test_and_valid_only_to_look(kind: str) -> None:
    """With other valid and test splits the generator is the same to the bit."""
    corpus = CORPORA[kind]
    other = {"free": free_corpus, "conditional": conditional_corpus}[kind](60, seed=7)
    changed = dataclasses.replace(corpus, splits={**other.splits, "train": corpus.splits["train"]})
    first, second = (tiny().fit(c, FakeRun()).state_dict() for c in (corpus, changed))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CORPORA)
@pytest.mark.parametrize("settings", [{}, {"baseline": "moving_average", "rollout_decay": 0.8, "select": "valid"}])
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(kind: str, settings: Mapping[str, Any]) -> None:
    corpus = CORPORA[kind]
    whole = FakeRun(save=False)
    expected = tiny(**settings).fit(corpus, whole).state_dict()
    pretraining = whole.safe_points - 2 - 3
    for place in (1, 3):  # within D's pre-training, and between rounds
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny(**settings).fit(corpus, FakeRun(saved=saved, stop_at=pretraining + place, save=False))
        resumed = tiny(**settings).fit(corpus, FakeRun(seed=0, saved=saved)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert [line for line in saved.log if line["stage"] != "pretrain"] == [
            line for line in whole.saved.log if line["stage"] != "pretrain"
        ]


def test_the_best_look_at_valid_can_be_kept() -> None:
    corpus, run = CORPORA["free"], FakeRun()
    generator = tiny(select="valid", valid_every=1, learning_rate=0.3).fit(corpus, run)
    looks = [line["valid_nll"] for line in run.saved.log if "valid_nll" in line and line["stage"] == "adversarial"]
    kept = -generator.token_log_probs(corpus.splits["valid"].targets).mean()
    assert kept == pytest.approx(min(looks), rel=1e-6)
    assert looks[-1] > min(looks)


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(learning_rate=1e38, rounds=5).fit(CORPORA["fixed"], FakeRun())


def test_dropout_is_off_while_the_policy_learns() -> None:
    corpus = CORPORA["fixed"]
    config = tiny(mle={"net": {"dropout": 0.5}}).config
    generator = SeqGAN(config).build(corpus)
    initialise(generator.net, "uniform", 1.0, torch.Generator().manual_seed(0))
    runs = []
    for seed in (1, 2):  # torch's global stream, which dropout draws from
        twin = SeqGAN(config).build(corpus)
        twin.load_state_dict(generator.state_dict())
        game = Game(corpus, config, twin, FakeRun())
        torch.manual_seed(seed)
        game.generator_step()
        runs.append(twin.state_dict())
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_targets_of_one_token_are_not_supported() -> None:
    corpus = dataclasses.replace(free_corpus(20, fixed_length=2), fixed_length=1, max_target_length=1)
    assert "one token" in (SeqGAN().supports(corpus) or "")
    assert SeqGAN().supports(CORPORA["free"]) is None


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize(
    ("task", "kind"),
    [("oracle", "free"), ("poetry", "free"), ("speech", "free"), ("captions", "free")]
    + [(task, "conditional") for task in ("translation", "summarization", "dialogue")],
)
def test_presets_are_valid_and_share_the_pretraining_of_mle(budget: str, task: str, kind: str) -> None:
    config = SeqGANConfig.model_validate(SeqGAN.preset(budget, task, kind))
    mle: dict[str, Any] = {}
    for key in (budget, f"{budget}/{kind}", f"{budget}/{task}"):
        mle = merge(mle, MLE_BUDGETS.get(key, {}))
    assert config.mle == MLEConfig.model_validate(mle)
    if budget == "paper":
        assert (config.rounds, config.g_steps, config.d_steps, config.d_epochs, config.rollouts) == (200, 1, 5, 3, 16)
        assert (config.d_pretrain_steps, config.d_pretrain_epochs, config.samples) == (50, 3, 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.thorough)])
def test_it_improves_its_start_under_the_true_distribution(seed: int) -> None:
    corpus, transition = markov_chain()
    settings = {
        "mle": {"net": {"embedding": 16, "hidden": 16, "init": "normal"}, "learning_rate": 0.01, "epochs": 4},
        "discriminator": {"embedding": 16, "widths": (1, 2, 3), "filters": (30, 30, 30), "lr": 2e-3},
        "d_pretrain_steps": 4,
        "rounds": 40,
        "d_steps": 1,
        "d_epochs": 2,
        "samples": 400,
        "rollouts": 4,
    }
    method, run = SeqGAN(SeqGANConfig.model_validate(settings)), FakeRun(seed, save=False)
    generator, start = method.fit(corpus, run), method.build(corpus)
    start.load_state_dict(run.saved.snapshots["pretrain"])

    def nll(of: NeuralGenerator) -> float:
        """Nats per transition under the chain."""
        ids = of.sample(2000, rng=torch.Generator().manual_seed(9)).padded(0)
        return -float(np.log(transition[ids[:, :-1], ids[:, 1:]]).mean())

    assert nll(generator) < nll(start) - 0.08
