"""LSTM-GAN as a whole: both estimators, its stopping rule, interruption, and that it learns."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from baselines.base import Diverged
from baselines.lstm_gan import (
    LSTMGAN,
    Game,
    LSTMGANConfig,
    LSTMGANReinforce,
    LSTMGANReinforceConfig,
    Progress,
    stopped,
    watch,
)
from baselines.merging import merge
from baselines.training.latent import LatentGenerator
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus

TINY: dict[str, Any] = {
    "mle": {"net": {"embedding": 8, "hidden": 8, "dropout": 0.2}, "epochs": 1},
    "latent": 4,
    "discriminator": {"embedding": 6, "hidden": 6, "learning_rate": 1e-3},
    "d_pretrain_steps": 2,
    "rounds": 3,
    "d_steps": 2,
    "batch": 8,
    "learning_rate": 1e-3,
}
CORPORA = {"free": free_corpus(30), "fixed": free_corpus(30, fixed_length=5)}


def tiny(estimator: str = "gumbel", **settings: Any) -> LSTMGAN:
    merged = merge(TINY, settings)
    if estimator == "gumbel":
        return LSTMGAN(LSTMGANConfig.model_validate(merged))
    return LSTMGANReinforce(LSTMGANReinforceConfig.model_validate(merged))


def new_game(kind: str = "free", estimator: str = "gumbel", **settings: Any) -> Game:
    method, run = tiny(estimator, **settings), FakeRun(seed=fresh_seed())
    generator = method.build(CORPORA[kind])
    for parameter in generator.net.parameters():
        torch.nn.init.uniform_(parameter, -0.5, 0.5, generator=run.rng("test"))
    return Game(CORPORA[kind], method.config, generator, run)


def make_it_count(game: Game, liked: int) -> None:
    """The discriminator's log-odds become larger with every occurrence of a token."""
    discriminator = game.discriminator
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.zero_()
        discriminator.embedding.weight[liked, 0] = 1.0
        gates = discriminator.lstm.bias_ih_l0.view(4, -1)
        gates[0], gates[1], gates[3] = 5.0, 5.0, 5.0  # writes, keeps and shows all
        discriminator.lstm.weight_ih_l0.view(4, -1, 6)[2, :, 0] = 0.3
        discriminator.output.weight.fill_(1.0)


@pytest.mark.parametrize("estimator", ["gumbel", "reinforce"])
@pytest.mark.parametrize("kind", CORPORA)
def test_the_generator_goes_towards_what_the_discriminator_likes(kind: str, estimator: str) -> None:
    game, liked = new_game(kind, estimator, batch=64, learning_rate=0.01), 4
    make_it_count(game, liked)
    before = copy.deepcopy(game.discriminator.state_dict())

    def share() -> float:
        tokens = torch.cat([game.sample()[1].flatten() for _ in range(4)])
        return float((tokens == liked).sum() / (tokens != CORPORA[kind].vocab.pad).sum())

    start = share()
    for _ in range(30):
        figures = game.gumbel_step(0.7) if estimator == "gumbel" else game.reinforce_step()
        assert figures["gradient"] > 0
    assert share() > start + 0.05
    assert all(torch.equal(before[name], value) for name, value in game.discriminator.state_dict().items())


def test_the_policy_gradient_against_a_float64_sum() -> None:
    game = new_game(learning_rate=1e-9, clip=1e9)
    z, tokens = game.sample()
    game.sample = lambda: (z, tokens)  # type: ignore[method-assign]
    game.baseline.value = 0.3
    net, pad = copy.deepcopy(game.net).double(), game.corpus.vocab.pad
    game.reinforce_step()
    reward = torch.sigmoid(copy.deepcopy(game.discriminator).double()(tokens)).detach()
    inputs = torch.cat([torch.full_like(tokens[:, :1], game.corpus.vocab.bos), tokens[:, :-1]], 1)
    net.eval()
    log_p = F.log_softmax(net.output(net(inputs, (z.double(),))), 2)
    total = torch.zeros((), dtype=torch.float64)
    for b in range(len(tokens)):
        for t in range(tokens.shape[1]):
            if tokens[b, t] != pad:
                total = total - (reward[b] - 0.3) * log_p[b, t, tokens[b, t]] / len(tokens)
    total.backward()
    for ours, theirs in zip(game.net.parameters(), net.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.allclose(ours.grad.double(), theirs.grad, atol=1e-5)


def test_the_discriminator_learns_and_leaves_the_generator() -> None:
    game = new_game(learning_rate=1e-3, discriminator={"learning_rate": 0.02}, batch=32)
    before = copy.deepcopy(game.net.state_dict())
    losses = [game.discriminator_step()["d_loss"] for _ in range(25)]
    assert sum(losses[-5:]) < sum(losses[:5]) * 0.9
    assert all(torch.equal(before[name], value) for name, value in game.net.state_dict().items())


@pytest.mark.parametrize("estimator", ["gumbel", "reinforce"])
def test_the_snapshot_is_the_pretraining_that_both_estimators_share(estimator: str) -> None:
    run = FakeRun()
    generator = tiny(estimator).fit(CORPORA["free"], run)
    ((key, pretrained),) = run.saved.pretrained.items()
    for name, weights in run.saved.snapshots["pretrain"].items():
        assert torch.equal(pretrained[name.removeprefix("net.")], weights)
    assert any(not torch.equal(value, generator.net.state_dict()[name]) for name, value in pretrained.items())
    other = FakeRun()
    tiny("gumbel").fit(CORPORA["free"], other)
    assert list(other.saved.pretrained) == [key]
    rounds = [line for line in run.saved.log if line["stage"] == "adversarial"]
    assert {"g_loss", "reward", "gradient", "d_loss", "d_accuracy", "calm"} <= set(rounds[0])
    if estimator == "gumbel":
        assert [line["temperature"] for line in rounds] == [1.0, pytest.approx(0.1**0.5), 0.1]


def test_training_stops_below_the_threshold() -> None:
    for settings, rounds in (
        ({"stop": "loss", "stop_below": 1e9, "stop_rounds": 2}, 2),
        ({"stop": "accuracy", "stop_below": 0.6, "stop_rounds": 4}, 4),  # no accuracy is further than 1/2 from 1/2
        ({"stop": "loss", "stop_below": 1e-9, "stop_rounds": 2}, 6),
        ({"stop": "never", "stop_below": 1e9, "stop_rounds": 1}, 6),
    ):
        run = FakeRun()
        tiny(rounds=6, **settings).fit(CORPORA["fixed"], run)
        assert sum(line["stage"] == "adversarial" for line in run.saved.log) == rounds, settings


def test_only_rounds_running_count_for_the_stop() -> None:
    config = LSTMGANConfig(stop="accuracy", stop_below=0.1, stop_rounds=2)
    done = Progress()
    for accuracy, calm in ((0.55, 1), (0.7, 0), (0.45, 1), (0.2, 0), (0.5, 1), (0.59, 2)):
        watch(done, {"d_accuracy": accuracy, "g_loss": 0.0}, config)
        assert done.calm == calm
    assert stopped(done, config)
    assert not stopped(Progress(), config)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["gumbel", "reinforce"])
@pytest.mark.parametrize("kind", CORPORA)
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(kind: str, estimator: str) -> None:
    corpus = CORPORA[kind]
    settings = {"stop": "accuracy", "stop_below": 0.6, "stop_rounds": 2}
    whole = FakeRun(save=False)
    expected = tiny(estimator, **settings).fit(corpus, whole).state_dict()
    for place in (whole.safe_points - 2, whole.safe_points - 1):  # D's pre-training, between rounds
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny(estimator, **settings).fit(corpus, FakeRun(saved=saved, stop_at=place, save=False))
        resumed = tiny(estimator, **settings).fit(corpus, FakeRun(saved=saved)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert saved.log == [line for line in whole.saved.log if line["stage"] != "pretrain"]


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(learning_rate=1e38, rounds=6).fit(CORPORA["fixed"], FakeRun())


def test_what_is_supported_and_presets() -> None:
    assert "no source" in (LSTMGAN().supports(conditional_corpus(20)) or "")
    assert LSTMGANReinforce().config.estimator == "reinforce"
    assert LSTMGAN().config.estimator == "gumbel"
    for budget in ("smoke", "small", "paper"):
        for task in ("oracle", "poetry", "speech", "captions"):
            for method in (LSTMGAN, LSTMGANReinforce):
                config = method.Config.model_validate(method.preset(budget, task, "free"))
                assert isinstance(config, LSTMGANConfig)
                assert not config.mle.net.tied or config.mle.net.embedding == config.mle.net.hidden
                method(config).build(CORPORA["free"])


def valid_share(generator: LatentGenerator) -> float:
    """Of neighbours in generated toy texts, how many are neighbours in the alphabet."""
    ids = generator.sample(1000, rng=torch.Generator().manual_seed(9)).padded(0) - 2
    return float((ids[:, 1:] == (ids[:, :-1] + 1) % 8).mean())


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "gain"), [("gumbel", 0.1), ("reinforce", 0.3)])
def test_it_improves_its_start(estimator: str, gain: float) -> None:
    settings = {
        "mle": {"net": {"embedding": 16, "hidden": 16, "dropout": 0.0}, "learning_rate": 0.01, "epochs": 3},
        "discriminator": {"embedding": 16, "hidden": 32, "learning_rate": 5e-3},
        "d_pretrain_steps": 80,
        "rounds": 80,
        "d_steps": 1,
        "batch": 64,
        "learning_rate": 5e-3,
    }
    corpus, run, method = free_corpus(400, fixed_length=6), FakeRun(save=False), tiny(estimator, **settings)
    generator, start = method.fit(corpus, run), method.build(corpus)
    start.load_state_dict(run.saved.snapshots["pretrain"])
    assert valid_share(generator) > valid_share(start) + gain
