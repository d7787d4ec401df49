"""Transformer-GAN with the generator that it is about, from scratch and from a checkpoint; needs the library."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.base import Baseline
from baselines.merging import merge
from baselines.mle import Transformer, TransformerConfig
from baselines.nets.transformer import available
from baselines.neural import NeuralGenerator
from baselines.training.writers import CheckpointTokens, OwnTokens, Writing
from baselines.transformer_gan import Game, TransformerGAN, TransformerGANConfig
from tasks.base import Corpus, Ragged, Split
from tests.checkpoints import make_pair_checkpoint
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.transformer_gan import CORPUS, SETTINGS, equal, log_prob, tiny, weights_after

LETTERS = [*"abcdefgh", *"ABCDEFGH"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not available(), reason="transformers is not installed"),
    pytest.mark.filterwarnings("ignore:.*enable_nested_tensor"),
]


def fitted(saved: Saved | None = None, **settings: Any) -> tuple[dict[str, Tensor], FakeRun]:
    run = FakeRun(saved=saved, save=False)
    return dict(tiny(**settings).fit(CORPUS, run).state_dict()), run


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pair_checkpoint(tmp_path_factory.mktemp("tiny"), LETTERS)


def names() -> Corpus:
    """The source is one letter, the target its capital."""
    splits = {}
    for seed, name in enumerate(("train", "valid", "test")):
        letters = np.random.default_rng(seed).integers(2, 10, size=(1000, 1))
        lines = Ragged.from_lists(np.hstack([letters, 0 * letters]).tolist())
        splits[name] = Split((), lines, lines)
    return dataclasses.replace(CORPUS, splits=splits)


@pytest.fixture(params=["scratch", "checkpoint"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "scratch":
        return {}
    folder = str(request.getfixturevalue("checkpoint"))
    return {"checkpoint": folder, "tuning": {"epochs": 1, "batch": 16, "learning_rate": 1e-3, "warmup": 2}}


def game_of(settings: dict[str, Any]) -> Game:
    method = tiny(**settings)
    generator: Any = method.build(CORPUS)
    scratch = isinstance(generator, NeuralGenerator)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(fresh_seed())
        for parameter in generator.parameters() if scratch else ():
            parameter.copy_(torch.randn(parameter.shape))
    made: Writing = OwnTokens(generator, CORPUS) if scratch else CheckpointTokens(generator, CORPUS)
    return Game(method.config, made, FakeRun())


def test_it_starts_where_the_row_transformer_ends() -> None:
    weights, run = fitted(steps=0)
    (pretrained,) = run.saved.pretrained.values()
    assert equal({f"net.{name}": value for name, value in pretrained.items()}, run.saved.snapshots["pretrain"])
    assert equal(weights, run.saved.snapshots["pretrain"]), "training D leaves G alone"
    row = Transformer(TransformerConfig.model_validate(SETTINGS["mle"])).fit(CORPUS, FakeRun(save=False))
    assert equal(weights, dict(row.state_dict()))
    assert not equal(fitted()[0], weights)


def test_a_fine_tuned_checkpoint_is_tuned_once(checkpoint: Path) -> None:
    settings = {"checkpoint": str(checkpoint), "tuning": {"epochs": 1, "learning_rate": 1e-3, "warmup": 2}}
    saved = Saved()
    weights, run = fitted(saved, steps=0, **settings)
    assert equal(weights, run.saved.snapshots["pretrain"])
    saved.state = None
    assert equal(fitted(saved, steps=0, **settings)[0], weights)
    assert saved.trainings == 1
    plain: Baseline = tiny(**settings)
    assert not equal(dict(plain.build(CORPUS).state_dict()), weights)
    untuned, run = fitted(steps=0, fine_tune=False, **settings)
    assert equal(dict(plain.build(CORPUS).state_dict()), untuned)
    assert not run.saved.pretrained


def test_interrupted_anywhere_it_ends_the_same_to_the_bit(settings: dict[str, Any]) -> None:
    expected, whole = fitted(**settings)
    for place in (whole.safe_points - 5, whole.safe_points - 2):
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny(**settings).fit(CORPUS, FakeRun(saved=saved, stop_at=place, save=False))
        resumed, _ = fitted(saved, **settings)
        assert equal(expected, resumed), place
        assert saved.log == whole.saved.log


def test_dropout_is_off_while_the_policy_learns_and_on_in_teacher_forcing(settings: dict[str, Any]) -> None:
    settings = merge(settings, {"mle": {"net": {"dropout": 0.5}}})
    assert equal(*weights_after(Game.policy_step, lambda: game_of(settings)))
    assert not equal(*weights_after(Game.likelihood_step, lambda: game_of(settings)))


def test_the_policy_that_learns_is_the_one_that_sampled(settings: dict[str, Any]) -> None:
    """Its worth being 1, the gradient is that of the samples' likelihood in evaluation mode."""
    game = game_of(merge(settings, {"mle": {"net": {"dropout": 0.5}}}))
    game.net.double()
    sources, _ = game.draw(game.pairs)
    rng = torch.Generator().manual_seed(fresh_seed())
    sampled, greedy = game.writing.write(sources, rng, greedily=True)
    assert greedy is not None
    for _ in range(20):  # where every text ends at once, as the likeliest one does
        if not np.array_equal(sampled.flat, greedy.flat):
            break
        sampled, _ = game.writing.write(sources, rng, greedily=True)
    assert not np.array_equal(sampled.flat, greedy.flat)
    before = copy.deepcopy(game.generator).eval()
    worth = torch.linspace(-1, 1, len(sources), dtype=torch.double)
    sgd = torch.optim.SGD(game.net.parameters(), 1.0)
    figures = game.writing.policy_step(sgd, sources, sampled, worth, clip=1e9)
    total = torch.zeros((), dtype=torch.double)
    for i in range(len(sources)):
        one, ids = sources.take(np.array([i])), sampled.take(np.array([i]))
        if isinstance(before, NeuralGenerator):
            total = total + worth[i] * log_prob(before.net, one[0], ids[0].tolist())
        else:
            total = total - worth[i] * before.loss(one, ids)
    (total / len(sources)).backward()
    assert float(figures["loss"]) == pytest.approx(-float(total.detach()) / len(sources))
    for (name, old), new in zip(before.named_parameters(), game.generator.parameters(), strict=True):
        expected = torch.zeros_like(old) if old.grad is None else old.grad
        torch.testing.assert_close(new - old, expected, rtol=1e-6, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


def test_by_policy_gradient_alone_it_gets_better_than_its_start() -> None:
    """The probability of the right word, after an MLE that was cut short; no MLE step follows."""
    corpus = names()
    settings = {
        "mle": {
            "net": {"hidden": 16, "layers": 1, "heads": 2},
            "learning_rate": 2e-3,
            "warmup": 10,
            "epochs": 1,
        },
        "discriminator": {"width": 32, "layers": 2, "heads": 2, "dropout": 0.0},
        "batch": 32,
        "clip": 5.0,
        "d_pretrain_steps": 100,
        "d_rate": 1e-3,
        "steps": 60,
        "mle_share": 0.0,
        "learning_rate": 2e-3,
    }
    method, run = TransformerGAN(TransformerGANConfig.model_validate(settings)), FakeRun(1, save=False)
    generator: Any = method.fit(corpus, run)
    start: Any = method.build(corpus)
    start.load_state_dict(run.saved.snapshots["pretrain"])
    valid = corpus.splits["valid"]
    before, after = (float(np.exp(g.token_log_probs(valid.targets, valid.sources)).mean()) for g in (start, generator))
    assert after > before + 0.05
