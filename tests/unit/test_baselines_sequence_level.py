"""What all methods promise that train a pre-trained generator of pairs on BLEU: one set of checks for each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.actor_critic import ActorCritic
from baselines.base import Baseline, Decoding, Diverged
from baselines.bso import BSO
from baselines.merging import merge
from baselines.mixer import Mixer
from baselines.mrt import MRT
from baselines.neural import NeuralGenerator
from baselines.training.batches import Batch
from baselines.training.mle import MLE_BUDGETS, MLEConfig
from baselines.training.pair_bleu import PairBleu
from tasks.base import Corpus, Ragged
from tests.fakes import FakeRun, Interrupted, Saved
from tests.toys import conditional_corpus, free_corpus
from tests.unit import test_baselines_actor_critic, test_baselines_bso, test_baselines_mixer, test_baselines_mrt

CORPUS = conditional_corpus(64)


@dataclass(frozen=True)
class Method:
    """What is a method's own among the checks of all.

    Attributes:
        home: its own test file, whose `tiny` makes it with the settings `TINY`.
        learner: makes what learns, with random weights, from a seed and settings.
        step: lets it learn from a batch.
        stages: of the log of `TINY`, step by step.
        looks: the steps after which `TINY` looks at valid.
        within: limits of some of the figures logged.
        published: constants of the paper's preset.
        learning: settings with which it learns, over those of `START`.
        gains: by how much BLEU goes up at least, for each decoding.
        seeds: of the runs in which it learns.
    """

    cls: type[Baseline]
    home: ModuleType
    learner: Callable[..., Any]
    step: Callable[[Any, Batch], object]
    stages: tuple[str, ...]
    looks: set[int]
    within: Mapping[str, tuple[float, float]]
    published: Mapping[str, Any]
    learning: Mapping[str, Any]
    gains: Mapping[str, float]
    seeds: tuple[int, ...] = (0, 1)


START: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 16, "hidden": 24, "encoder": 16, "attention": 16, "readout": 16},
        "learning_rate": 0.01,
        "epochs": 6,
    },
}
METHODS = {
    "actor_critic": Method(
        ActorCritic,
        test_baselines_actor_critic,
        learner=test_baselines_actor_critic.players,
        step=lambda some, batch: some.step(batch, actor=True),
        stages=("critic",) * 2 + ("actor_critic",) * 3,
        looks={4, 5},
        within={"reward": (0, 1)},
        published={"gamma_actor": 1e-3, "gamma_critic": 1e-3, "lambda_c": 1e-3, "batch": 32},
        learning={
            "mle": {"epochs": 4},
            "critic": {"embedding": 24, "hidden": 32, "encoder": 24, "attention": 24, "readout": 32},
            "critic_steps": 240,
            "critic_pretrain_rate": 1e-2,
            "critic_learning_rate": 5e-3,
            "steps": 120,
            "batch": 128,
            "learning_rate": 2e-3,
            "gamma_actor": 0.1,
            "gamma_critic": 0.1,
            "lambda_ll": 0.0,
            "valid_every": 120,
        },
        gains={"sample": 0.06, "greedy": 0.02},
        seeds=(0,),  # one is enough: the critic takes long to learn
    ),
    "bso": Method(
        BSO,
        test_baselines_bso,
        learner=test_baselines_bso.learner,
        step=lambda some, batch: some.step(batch, 3),
        stages=("bso",) * 4,
        looks={2, 4},
        within={"beam": (2, 3), "cost": (0, 1)},
        published={"beam": 2, "beam_epochs": 2, "epochs": 13, "clip": 5.0},
        learning={
            "steps": 250,
            "beam_steps": 50,
            "max_beam": 4,
            "batch": 16,
            "learning_rate": 5e-3,
            "valid_every": 250,
        },
        gains={"greedy": 0.03, "beam3": 0.03},
    ),
    "mixer": Method(
        Mixer,
        test_baselines_mixer,
        learner=test_baselines_mixer.learner,
        step=lambda some, batch: some.step(batch, tail=2),
        stages=("mixer",) * 4,
        looks={2, 4},
        within={"reward": (0, 1), "sampled": (0, 1)},
        published={"delta": 3, "stage_epochs": 5, "xent_weight": 0.5, "batch": 32},
        learning={
            "steps": 200,
            "stage_steps": 35,
            "delta": 1,
            "learning_rate": 3e-3,
            "baseline_learning_rate": 1e-2,
            "valid_every": 200,
        },
        gains={"sample": 0.03, "greedy": 0.03},
    ),
    "mrt": Method(
        MRT,
        test_baselines_mrt,
        learner=test_baselines_mrt.learner,
        step=lambda some, batch: some.step(batch),
        stages=("mrt",) * 3,
        looks={2, 3},
        within={"risk": (-1, 0), "distinct": (1, 5)},
        published={"samples": 100, "alpha": 5e-3},
        learning={"steps": 120, "batch": 16, "samples": 12, "learning_rate": 3e-3, "valid_every": 60},
        gains={"sample": 0.03, "greedy": 0.03},
    ),
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def weights_of(some: Any) -> dict[str, Tensor]:
    """Of every network that a learner has."""
    nets = {part: net for part, net in vars(some).items() if isinstance(net, nn.Module)}
    return {f"{part}.{name}": value for part, net in nets.items() for name, value in net.state_dict().items()}


def equal(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@each_method
def test_dropout_is_off_while_it_learns(method: Method) -> None:
    found = []
    for seed in (1, 2):  # torch's global stream, which dropout draws from
        some = method.learner(0, mle={"net": {"dropout": 0.5}})
        torch.manual_seed(seed)
        method.step(some, some.pairs.draw())
        found.append(weights_of(some))
    assert equal(*found)


@each_method
def test_the_log_and_the_start(method: Method) -> None:
    run = FakeRun()
    generator = method.home.tiny().fit(CORPUS, run)
    (pretrained,) = run.saved.pretrained.values()
    for name, weights in pretrained.items():
        assert torch.equal(run.saved.snapshots["pretrain"][f"net.{name}"], weights)
    assert any(not torch.equal(weights, generator.net.state_dict()[name]) for name, weights in pretrained.items())
    lines = [line for line in run.saved.log if line["stage"] != "pretrain"]
    assert [(line["step"], line["stage"]) for line in lines] == list(enumerate(method.stages, 1))
    assert {line["step"] for line in lines if "valid_bleu" in line} == method.looks
    for figure, (least, most) in method.within.items():
        assert all(least <= line[figure] <= most for line in lines), figure


@each_method
def test_test_is_never_read_and_valid_only_to_look(method: Method) -> None:
    other = conditional_corpus(64, seed=7)
    changed = dataclasses.replace(CORPUS, splits={**other.splits, "train": CORPUS.splits["train"]})
    assert equal(*(method.home.tiny(select="last").fit(c, FakeRun()).state_dict() for c in (CORPUS, changed)))


@each_method
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(method: Method) -> None:
    """After each step but the last one."""
    whole = FakeRun(save=False)
    expected = method.home.tiny().fit(CORPUS, whole).state_dict()
    for left in range(1, len(method.stages)):
        saved = Saved()
        with pytest.raises(Interrupted):
            method.home.tiny().fit(CORPUS, FakeRun(saved=saved, stop_at=whole.safe_points - left, save=False))
        assert len(saved.log) == len(method.stages) - left
        resumed = method.home.tiny().fit(CORPUS, FakeRun(saved=saved)).state_dict()
        assert equal(expected, resumed), f"{left} steps before its end"
        assert saved.log == whole.saved.log


@each_method
def test_a_loss_that_is_not_finite_ends_the_run(method: Method) -> None:
    with pytest.raises(Diverged):
        method.home.tiny(learning_rate=1e38, steps=5).fit(CORPUS, FakeRun())


@each_method
def test_what_is_not_supported_is_told(method: Method) -> None:
    made = method.cls()
    assert "source" in (made.supports(free_corpus(20)) or "")
    assert made.supports(CORPUS) is None
    assert "one token" in (made.supports(dataclasses.replace(CORPUS, max_target_length=1)) or "")


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["translation", "summarization", "dialogue"])
@each_method
def test_presets_are_valid_and_share_the_pretraining_of_mle(method: Method, task: str, budget: str) -> None:
    config: Any = method.cls.Config.model_validate(method.cls.preset(budget, task, "conditional"))
    mle: dict[str, Any] = {}
    for key in (budget, f"{budget}/conditional", f"{budget}/{task}"):
        mle = merge(mle, MLE_BUDGETS.get(key, {}))
    assert config.mle == MLEConfig.model_validate(mle)
    if budget == "paper":
        assert {name: getattr(config, name) for name in method.published} == method.published


def bleu_of(generator: NeuralGenerator, corpus: Corpus, decoding: str) -> float:
    test, rng = corpus.splits["test"], torch.Generator().manual_seed(5)
    drawn: Ragged = generator.generate(test.sources, decoding=Decoding.parse(decoding), rng=rng)
    tokens, gold = (torch.from_numpy(part.padded(corpus.vocab.pad)) for part in (drawn, test.targets))
    return float(PairBleu(corpus.vocab.size, corpus.vocab.eos)(tokens, gold).mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "seed"),
    [
        pytest.param(m, seed, id=f"{name}-{seed}", marks=pytest.mark.thorough if seed else ())
        for name, m in METHODS.items()
        for seed in m.seeds
    ],
)
def test_it_improves_the_bleu_of_its_start(method: Method, seed: int) -> None:
    corpus = conditional_corpus(600, seed, words=6)
    made: Any = method.cls(method.cls.Config.model_validate(merge(START, method.learning)))
    run = FakeRun(seed, save=False)
    generator, start = made.fit(corpus, run), made.build(corpus)
    start.load_state_dict(run.saved.snapshots["pretrain"])
    for decoding, least in method.gains.items():
        assert bleu_of(generator, corpus, decoding) > bleu_of(start, corpus, decoding) + least, decoding
