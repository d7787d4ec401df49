"""ScratchGAN as a whole: rewards token by token, each side's loss, interruption, and that it learns from nothing."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import Diverged
from baselines.merging import merge
from baselines.nets.lstm import RecurrentNet, initialise
from baselines.neural import NeuralGenerator
from baselines.scratchgan import Game, ScratchGAN, ScratchGANConfig, discriminator_loss
from baselines.training.policy_gradient import policy_gradient_step
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus, markov_chain

TINY: dict[str, Any] = {
    "net": {"embedding": 8, "hidden": 8, "layers": 2},
    "discriminator": {"embedding": 6, "hidden": 8, "positions": 4, "learning_rate": 1e-2},
    "steps": 6,
    "batch": 8,
    "learning_rate": 1e-2,
    "log_every": 2,
    "valid_every": 4,
}
CORPORA = {"free": free_corpus(60), "fixed": free_corpus(60, fixed_length=5)}


def tiny(**settings: Any) -> ScratchGAN:
    return ScratchGAN(ScratchGANConfig.model_validate(merge(TINY, settings)))


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(fresh_seed())


def new_game(kind: str = "free", **settings: Any) -> Game:
    method = tiny(**settings)
    generator = method.build(CORPORA[kind])
    assert isinstance(generator.net, RecurrentNet)
    initialise(generator.net, "glorot", 0.5, torch.Generator().manual_seed(1))
    return Game(CORPORA[kind], method.config, generator, FakeRun())


def test_every_token_has_its_own_reward(rng: torch.Generator) -> None:
    """r_t = 2 D_t - 1 of that token, not one for the sequence; nothing behind the end, nothing from later tokens."""
    game, pad = new_game(), CORPORA["free"].vocab.pad
    tokens = torch.randint(1, 10, (5, 6), generator=rng)
    tokens[1, 2:], tokens[3, 4:] = pad, pad
    rewards = game.rewards(tokens)
    with torch.no_grad():
        odds = game.discriminator(tokens).double()
    for row in range(5):
        for t in range(6):
            expected = 0.0 if tokens[row, t] == pad else 2 / (1 + math.exp(-odds[row, t])) - 1
            assert float(rewards[row, t]) == pytest.approx(expected, abs=1e-6)
    assert rewards[0].unique().numel() == 6
    other = tokens.clone()
    other[:, 5] = torch.where(other[:, 5] == pad, pad, other[:, 5] % 9 + 1)
    assert torch.equal(game.rewards(other)[:, :5], rewards[:, :5])


@pytest.mark.parametrize("gamma", [0.0, 0.23, 1.0])
def test_the_policys_step_is_that_of_discounted_rewards_less_the_baseline(
    gamma: float, rng: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Advantages and loss of two steps, by loops in float64."""
    game, given, seen = new_game(gamma=gamma, baseline_decay=0.25), [], []
    pad, rewards = CORPORA["free"].vocab.pad, Game.rewards

    def watch(self: Game, tokens: torch.Tensor) -> torch.Tensor:
        drawn = torch.randn(tokens.shape, generator=rng) * (tokens != pad)
        assert (rewards(self, tokens)[tokens == pad] == 0).all()
        given.append((tokens, drawn))
        return drawn

    def step(net: Any, optimizer: Any, features: Any, tokens: Any, advantages: Any, emitted: Any, **more: Any) -> Any:
        seen.append((advantages.clone(), features.detach().clone(), net.output.weight.detach().clone()))
        figures = policy_gradient_step(net, optimizer, features, tokens, advantages, emitted, **more)
        seen[-1] += (float(figures["loss"]), net.output.bias.detach().clone())
        return figures

    monkeypatch.setattr(Game, "rewards", watch)
    monkeypatch.setattr("baselines.scratchgan.policy_gradient_step", step)
    bias = game.net.output.bias.detach().clone()
    average = None
    for turn in range(2):
        game.generator_step()
        (tokens, drawn), (advantages, features, weight, loss, after) = given[turn], seen[turn]
        lengths = (tokens != pad).sum(1).tolist()
        returns = [
            [sum(gamma ** (s - t) * float(drawn[row, s]) for s in range(t, length)) for t in range(length)]
            for row, length in enumerate(lengths)
        ]
        mean = sum(map(sum, returns)) / sum(lengths)
        compared = mean if average is None else average  # with the steps before: a reward isn't in its own baseline
        average = 0.25 * compared + 0.75 * mean
        expected = 0.0
        for row, length in enumerate(lengths):
            assert (advantages[row, length:] == 0).all()
            for t in range(length):
                assert float(advantages[row, t]) == pytest.approx(returns[row][t] - compared, abs=1e-4)
                logits = weight.double() @ features[row, t].double() + bias.double()
                log_p = float(logits.log_softmax(0)[tokens[row, t]])
                expected -= (returns[row][t] - compared) * log_p / len(lengths)
        assert loss == pytest.approx(expected, abs=1e-3)
        bias = after
    assert game.baseline.value == pytest.approx(average, abs=1e-5)


def test_rewarded_tokens_become_likelier(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient's sign: D likes token 3 wherever it stands, and nothing else."""
    monkeypatch.setattr(Game, "rewards", lambda self, tokens: (tokens == 3).float() - (tokens != 3).float())
    game = new_game("fixed", batch=256, gamma=0.0)

    def share() -> float:
        return float((game.fake() == 3).float().mean())

    before = share()
    for _ in range(10):
        game.generator_step()
    assert share() > before + 0.1


def test_the_discriminators_loss_in_float64(rng: torch.Generator) -> None:
    odds = torch.randn(8, 5, generator=rng, dtype=torch.float64, requires_grad=True)
    lengths = torch.randint(1, 6, (8,), generator=rng)
    inside = torch.arange(5) < lengths.unsqueeze(1)
    loss = discriminator_loss(odds, inside)
    sums, counts = [0.0, 0.0], [0, 0]
    for row, length in enumerate(lengths.tolist()):
        for t in range(length):
            p = 1 / (1 + math.exp(-float(odds[row, t].detach())))
            sums[row >= 4] -= math.log(p if row < 4 else 1 - p)
            counts[row >= 4] += 1
    assert float(loss.detach()) == pytest.approx((sums[0] / counts[0] + sums[1] / counts[1]) / 2, rel=1e-12)
    (gradient,) = torch.autograd.grad(loss, odds)
    assert (gradient[~inside] == 0).all()
    assert (gradient[:4][inside[:4]] < 0).all()  # descent: real tokens up, generated ones down
    assert (gradient[4:][inside[4:]] > 0).all()


def test_the_discriminator_learns_to_tell_them_apart() -> None:
    game = new_game("free", batch=64, discriminator={"learning_rate": 1e-2})
    losses = [game.discriminator_step()["d_loss"] for _ in range(30)]
    assert losses[-1] < losses[0] - 0.1
    real, fake = game.real(), game.fake()
    pad = CORPORA["free"].vocab.pad
    assert game.rewards(real).sum() / (real != pad).sum() > game.rewards(fake).sum() / (fake != pad).sum()


def test_weight_decay_is_the_gradient_of_the_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    game = new_game(discriminator={"l2": 0.3})
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(
        "baselines.scratchgan.discriminator_loss",
        lambda odds, inside: (seen.append(game.discriminator.output.weight.detach().clone()), odds.sum() * 0.0)[1],
    )
    game.discriminator_step()
    moment = game.d_optimizer.state[game.discriminator.output.weight]["exp_avg"]
    assert torch.allclose(moment, 0.5 * 0.3 * seen[0])  # (1 - beta1) times the gradient


def test_a_players_step_moves_no_weight_of_the_other() -> None:
    game = new_game()
    for step, still, moved in (
        (game.generator_step, game.discriminator, game.net),
        (game.discriminator_step, game.net, game.discriminator),
    ):
        before = [[p.clone() for p in net.parameters()] for net in (still, moved)]
        step()
        assert all(torch.equal(a, b) for a, b in zip(before[0], still.parameters(), strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(before[1], moved.parameters(), strict=True))


@pytest.mark.parametrize("kind", CORPORA)
def test_the_schedule_has_no_pretraining(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("generator_step", "discriminator_step"):
        plain = getattr(Game, name)
        monkeypatch.setattr(Game, name, lambda self, _n=name, _f=plain: (steps.append(_n), _f(self))[1])
    run, corpus = FakeRun(), CORPORA[kind]
    method = tiny()
    method.fit(corpus, run)
    assert steps == ["discriminator_step", "generator_step"] * 6
    assert not run.saved.pretrained
    assert method.pretraining(corpus) is None
    assert {line["stage"] for line in run.saved.log} == {"adversarial"}
    assert [line["step"] for line in run.saved.log] == [2, 4, 6]
    assert [("valid_nll" in line) for line in run.saved.log] == [False, True, True]
    assert {"d_loss", "d_real", "d_fake", "loss", "entropy", "reward"} <= set(run.saved.log[0])
    start = method.build(corpus)
    start.load_state_dict(run.saved.snapshots["untrained"])
    nll = -start.token_log_probs(corpus.splits["test"].targets).mean()
    assert nll == pytest.approx(math.log(corpus.vocab.size), rel=0.2)  # nothing learned yet


def test_training_never_reads_test_and_valid_only_to_look() -> None:
    corpus, other = CORPORA["free"], free_corpus(60, seed=7)
    changed = dataclasses.replace(corpus, splits={**other.splits, "train": corpus.splits["train"]})
    first, second = (tiny().fit(c, FakeRun()).state_dict() for c in (corpus, changed))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CORPORA)
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(kind: str) -> None:
    corpus, whole = CORPORA[kind], FakeRun(save=False)
    settings = {"discriminator": {"dropout": 0.3}}
    expected = tiny(**settings).fit(corpus, whole).state_dict()
    for place in (1, 3, 5):
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny(**settings).fit(corpus, FakeRun(saved=saved, stop_at=place, save=False))
        resumed = tiny(**settings).fit(corpus, FakeRun(seed=0, saved=saved)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert saved.log == whole.saved.log


def test_building_leaves_the_global_stream_alone() -> None:
    run, method = FakeRun(), tiny()
    before = torch.get_rng_state()
    Game(CORPORA["free"], method.config, method.build(CORPORA["free"]), run)
    assert torch.equal(before, torch.get_rng_state())


def test_dropout_is_off_where_the_policy_samples_and_learns_and_where_it_is_judged() -> None:
    states = []
    for seed in (1, 2):  # torch's global stream, which dropout draws from
        game = new_game("fixed", net={"dropout": 0.5}, discriminator={"dropout": 0.5})
        torch.manual_seed(seed)
        game.generator_step()
        states.append(game.net.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(learning_rate=1e38, log_every=1).fit(CORPORA["fixed"], FakeRun())


def test_it_reads_no_source() -> None:
    assert "source" in (ScratchGAN().supports(conditional_corpus(20)) or "")
    assert ScratchGAN().supports(CORPORA["free"]) is None


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["oracle", "poetry", "speech", "captions"])
def test_presets_are_valid(budget: str, task: str) -> None:
    config = ScratchGANConfig.model_validate(ScratchGAN.preset(budget, task, "free"))
    if budget == "paper":
        assert (config.batch, config.steps, config.gamma, config.baseline_decay) == (512, 200_000, 0.23, 0.08)
        assert (config.learning_rate, config.discriminator.learning_rate) == (9.59e-5, 9.38e-3)
        assert (config.net.layers, config.net.hidden, config.clip) == (2, 512, None)


@pytest.mark.slow
def test_it_learns_the_true_distribution_from_nothing() -> None:
    corpus, transition = markov_chain()
    settings = {
        "net": {"embedding": 32, "hidden": 32, "layers": 1},
        "discriminator": {"embedding": 16, "hidden": 32, "learning_rate": 5e-3},
        "steps": 180,
        "batch": 64,
        "learning_rate": 5e-3,
        "valid_every": 90,
    }
    method, run = ScratchGAN(ScratchGANConfig.model_validate(settings)), FakeRun(0, save=False)
    generator, start = method.fit(corpus, run), method.build(corpus)
    start.load_state_dict(run.saved.snapshots["untrained"])

    def look(of: NeuralGenerator) -> tuple[float, int]:
        """Nats per transition under the chain; different first tokens."""
        ids = of.sample(2000, rng=torch.Generator().manual_seed(9)).padded(0)
        return -float(np.log(transition[ids[:, :-1], ids[:, 1:]]).mean()), len(np.unique(ids[:, 0]))

    def nll(of: NeuralGenerator) -> float:
        return -float(of.token_log_probs(corpus.splits["test"].targets).mean())

    (before, _), (after, starts) = look(start), look(generator)
    assert after < before - 1.5
    assert starts > 15  # of 20
    assert nll(generator) < nll(start) - 0.7  # held-out text too, which no likelihood was trained on
