"""RelGAN as a whole: relaxed samples, the loss of each side, its schedule, interruption, and that it learns."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import Diverged
from baselines.decoding import Limits
from baselines.merging import merge
from baselines.nets.relational import RelationalLanguageModel, initialise
from baselines.neural import NeuralGenerator
from baselines.relgan import Game, RelGAN, RelGANConfig, inverse_temperature, relativistic_loss, relaxed_sample
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus, markov_chain

TINY: dict[str, Any] = {
    "generator": {"embedding": 6, "slots": 2, "heads": 2, "head_size": 4},
    "mle": {"epochs": 1, "batch": 16},
    "discriminator": {"embedding": 8, "representations": 4, "widths": (2, 3), "filters": (4, 4), "readout": 5},
    "rounds": 3,
    "d_steps": 2,
    "batch": 8,
    "inverse_temperature": 10.0,
    "anneal_rounds": None,
    "valid_every": 2,
}
CORPORA = {"free": free_corpus(60), "fixed": free_corpus(60, fixed_length=5)}


def tiny(**settings: Any) -> RelGAN:
    return RelGAN(RelGANConfig.model_validate(merge(TINY, settings)))


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(fresh_seed())


def drawn(rng: torch.Generator, vocab: int = 7) -> RelationalLanguageModel:
    net = RelationalLanguageModel(vocab, 5, 1, 2, 4)
    initialise(net, rng)
    with torch.no_grad():
        net.output.weight.mul_(4)  # far from uniform
    return net


def new_game(kind: str = "free", **settings: Any) -> Game:
    method = tiny(**settings)
    generator = method.build(CORPORA[kind])
    assert isinstance(generator.net, RelationalLanguageModel)
    initialise(generator.net, torch.Generator().manual_seed(1))
    return Game(CORPORA[kind], method.config, generator, FakeRun())


@pytest.mark.parametrize("beta", [1.0, 30.0])
def test_the_tokens_drawn_follow_softmax_of_the_logits_at_any_beta(beta: float, rng: torch.Generator) -> None:
    """What temperature 1 means after training: beta softens what D reads, it does not change what is drawn."""
    net, n = drawn(rng), 20_000
    limits = Limits(bos=7, eos=None, max_length=2)
    with torch.no_grad():
        drawn_tokens = relaxed_sample(net, n, limits, beta, rng).tokens
        first = net.output(net(torch.tensor([[7]])))[0, 0].softmax(0)
        second = net.output(net(torch.cat([torch.full((7, 1), 7), torch.arange(7)[:, None]], 1)))[:, 1].softmax(1)
    joint = torch.bincount(drawn_tokens[:, 0] * 7 + drawn_tokens[:, 1], minlength=49) / n
    expected = (first[:, None] * second).flatten()
    assert ((joint - expected).abs() < 5 * (expected * (1 - expected) / n).sqrt() + 1e-4).all()


@pytest.mark.parametrize("beta", [1.0, 4.0, 200.0])
def test_relaxed_weights_are_distributions_whose_largest_is_the_token(beta: float, rng: torch.Generator) -> None:
    net = drawn(rng)
    relaxed = relaxed_sample(net, 30, Limits(7, 0, 12), beta, rng)
    time = relaxed.tokens.shape[1]
    inside = torch.arange(time) < relaxed.lengths.unsqueeze(1)
    assert torch.allclose(relaxed.weights.sum(2), inside.float(), atol=1e-5)
    assert torch.equal(relaxed.weights.argmax(2)[inside], relaxed.tokens[inside])
    for row, length in zip(relaxed.tokens.tolist(), relaxed.lengths.tolist(), strict=True):
        assert row.index(0) + 1 == length if 0 in row else length == time


def test_a_larger_beta_sharpens_the_same_first_tokens(rng: torch.Generator) -> None:
    net, firsts = drawn(rng), []
    for beta in (1.0, 4.0, 1e6):
        stream = torch.Generator().manual_seed(5)
        firsts.append(relaxed_sample(net, 30, Limits(7, 0, 1), beta, stream).weights[:, 0])
    soft, sharper, sharpest = (first.amax(1) for first in firsts)
    assert torch.equal(firsts[0].argmax(1), firsts[1].argmax(1))
    assert (sharper >= soft).all()
    assert (sharper > soft).any()
    assert sharpest.median() > 0.999


def test_noise_behind_the_last_end_leaves_the_stream_alone(rng: torch.Generator) -> None:
    """However many steps a batch takes, the next batch's noise is the same."""
    net, states = drawn(rng), []
    for limits in (Limits(7, 0, 4), Limits(7, None, 9)):
        stream = torch.Generator().manual_seed(5)
        with torch.no_grad():
            relaxed_sample(net, 3, limits, 1.0, stream)
        states.append(stream.get_state())
    assert torch.equal(*states)


def test_the_loss_of_each_side_in_float64(rng: torch.Generator) -> None:
    real, fake = torch.randn(2, 6, 5, generator=rng, dtype=torch.float64) * 3
    ours = [float(relativistic_loss(real, fake)), float(relativistic_loss(fake, real))]
    pairs = list(zip(real.flatten().tolist(), fake.flatten().tolist(), strict=True))
    d_loss = sum(-math.log(1 / (1 + math.exp(-(r - f)))) for r, f in pairs) / 30
    g_loss = sum(-math.log(1 / (1 + math.exp(-(f - r)))) for r, f in pairs) / 30
    assert ours == pytest.approx([d_loss, g_loss], rel=1e-12)


def test_each_side_moves_the_odds_its_own_way(rng: torch.Generator) -> None:
    real = torch.randn(4, 3, generator=rng, requires_grad=True)
    fake = torch.randn(4, 3, generator=rng, requires_grad=True)
    of_real, of_fake = torch.autograd.grad(relativistic_loss(real, fake), (real, fake))
    assert (of_real < 0).all()  # descent raises what D says of real lines
    assert (of_fake > 0).all()
    (of_fake,) = torch.autograd.grad(relativistic_loss(fake, real), fake)
    assert (of_fake < 0).all()  # and the generator raises what it says of its own


@pytest.mark.parametrize("kind", CORPORA)
def test_a_step_of_each_side_lowers_its_loss_on_the_same_draws(kind: str) -> None:
    for side, figure in (("generator_step", "g_loss"), ("discriminator_step", "d_loss")):
        game = new_game(kind, learning_rate=1e-3, discriminator={"learning_rate": 1e-3, "dropout": 0.0}, batch=64)
        streams = {name: game.run.rng(name).get_state() for name in ("gumbel", "real")}
        losses = []
        for _ in range(2):
            for name, state in streams.items():
                game.run.rng(name).set_state(state)
            losses.append(getattr(game, side)(2.0)[figure])
        assert losses[1] < losses[0]


def test_the_discriminator_learns_to_tell_them_apart_and_the_generator_to_please_it() -> None:
    game = new_game("fixed", batch=64, learning_rate=1e-3, discriminator={"learning_rate": 2e-2, "dropout": 0.0})

    def opinion() -> tuple[float, float]:
        """What D says of real lines and of samples, on the same draws each time."""
        for name in ("gumbel", "real"):
            game.run.rng(name).manual_seed(5)
        with torch.no_grad():
            fake = game.fake(2.0)
            odds = game.discriminator(*game.real()), game.discriminator(fake.weights, fake.lengths)
        return float(odds[0].mean()), float(odds[1].mean())

    for _ in range(20):
        game.discriminator_step(2.0)
    real, fake = opinion()
    assert real > fake + 0.5
    for _ in range(3):
        game.generator_step(2.0)
    assert opinion()[1] > fake


def test_the_generators_gradient_is_that_of_the_relaxed_samples(rng: torch.Generator) -> None:
    """Against finite differences of the output bias, on fixed noise, where no draw changes."""
    net = drawn(rng).double()
    judge = torch.randn(7, generator=rng, dtype=torch.float64)
    seed = int(torch.randint(1000, (), generator=rng))

    def value() -> torch.Tensor:
        relaxed = relaxed_sample(net, 5, Limits(7, None, 4), 2.0, torch.Generator().manual_seed(seed))
        return (relaxed.weights @ judge).square().sum()

    (gradient,) = torch.autograd.grad(value(), net.output.bias)
    for i in range(7):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                net.output.bias[i] += sign * 1e-6
                ends.append(float(value()))
                net.output.bias[i] -= sign * 1e-6
        assert float(gradient[i]) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-3, abs=1e-5)


def test_a_players_step_moves_no_weight_of_the_other() -> None:
    game = new_game()
    for step, still, moved in (
        (game.generator_step, game.discriminator, game.net),
        (game.discriminator_step, game.net, game.discriminator),
    ):
        before = [[p.clone() for p in net.parameters()] for net in (still, moved)]
        step(3.0)
        assert all(torch.equal(a, b) for a, b in zip(before[0], still.parameters(), strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(before[1], moved.parameters(), strict=True))
        assert all(p.requires_grad for p in game.discriminator.parameters())


def test_beta_goes_from_1_to_its_largest() -> None:
    config = RelGANConfig(rounds=11, inverse_temperature=100.0, anneal_rounds=None)
    betas = [inverse_temperature(config, done) for done in range(11)]
    assert betas == pytest.approx([100 ** (i / 10) for i in range(11)])
    official = RelGANConfig()  # by equal factors over 5000 rounds, of which 2000 are played
    assert inverse_temperature(official, 0) == 1.0
    assert inverse_temperature(official, 2000) == pytest.approx(100 ** (2000 / 5000))
    assert inverse_temperature(RelGANConfig(schedule="no"), 0) == 100.0
    assert inverse_temperature(RelGANConfig(rounds=1, anneal_rounds=None), 0) == 100.0


@pytest.mark.parametrize("kind", CORPORA)
def test_the_schedule(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[str, float]] = []
    for name in ("generator_step", "discriminator_step"):
        plain = getattr(Game, name)
        monkeypatch.setattr(Game, name, lambda self, b, _n=name, _f=plain: (steps.append((_n, b)), _f(self, b))[1])
    run = FakeRun()
    generator = tiny().fit(CORPORA[kind], run)
    assert [name for name, _ in steps] == (["generator_step"] + ["discriminator_step"] * 2) * 3
    assert [beta for _, beta in steps] == pytest.approx([1.0] * 3 + [10**0.5] * 3 + [10.0] * 3)
    rounds = [line for line in run.saved.log if line["stage"] == "adversarial"]
    assert [("valid_nll" in line) for line in rounds] == [False, True, True]
    assert {"g_loss", "d_loss", "d_accuracy", "peak", "inverse_temperature"} <= set(rounds[0])
    (pretrained,) = run.saved.pretrained.values()
    for name, weights in pretrained.items():
        assert torch.equal(run.saved.snapshots["pretrain"][f"net.{name}"], weights)
    assert any(not torch.equal(weights, generator.net.state_dict()[name]) for name, weights in pretrained.items())


def test_training_never_reads_test_and_valid_only_to_look() -> None:
    """With other valid and test splits the generator is the same to the bit (one epoch: no best one to choose)."""
    corpus, other = CORPORA["free"], free_corpus(60, seed=7)
    changed = dataclasses.replace(corpus, splits={**other.splits, "train": corpus.splits["train"]})
    first, second = (tiny().fit(c, FakeRun()).state_dict() for c in (corpus, changed))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CORPORA)
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(kind: str) -> None:
    corpus, whole = CORPORA[kind], FakeRun(save=False)
    expected = tiny().fit(corpus, whole).state_dict()
    pretraining = whole.safe_points - 3
    for place in (-1, 1, 2):  # within pre-training, and between rounds
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny().fit(corpus, FakeRun(saved=saved, stop_at=pretraining + place, save=False))
        resumed = tiny().fit(corpus, FakeRun(seed=0, saved=saved)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert [line for line in saved.log if line["stage"] == "adversarial"] == [
            line for line in whole.saved.log if line["stage"] == "adversarial"
        ]


@pytest.mark.parametrize("kind", CORPORA)
def test_a_reloaded_model_gives_the_same_samples_and_likelihoods(kind: str) -> None:
    corpus = CORPORA[kind]
    generator, copy = tiny().fit(corpus, FakeRun()), tiny().build(corpus)
    copy.load_state_dict(generator.state_dict())
    one, other = (g.sample(50, temperature=1.0, rng=torch.Generator().manual_seed(3)) for g in (generator, copy))
    assert one.flat.tolist() == other.flat.tolist()
    assert one.offsets.tolist() == other.offsets.tolist()
    assert len({tuple(row) for row in one.padded(-1).tolist()}) > 25  # not one sentence again and again
    targets = corpus.splits["test"].targets
    assert (generator.token_log_probs(targets) == copy.token_log_probs(targets)).all()


def test_building_leaves_the_global_stream_alone() -> None:
    run, method = FakeRun(), tiny()
    before = torch.get_rng_state()
    Game(CORPORA["free"], method.config, method.build(CORPORA["free"]), run)
    assert torch.equal(before, torch.get_rng_state())


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(learning_rate=1e38, clip=1e38, rounds=5).fit(CORPORA["fixed"], FakeRun())


def test_it_reads_no_source() -> None:
    assert "source" in (RelGAN().supports(conditional_corpus(20)) or "")
    assert RelGAN().supports(CORPORA["free"]) is None


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["oracle", "poetry", "speech", "captions"])
def test_presets_are_valid(budget: str, task: str) -> None:
    config = RelGANConfig.model_validate(RelGAN.preset(budget, task, "free"))
    if budget == "paper":
        assert (config.g_steps, config.d_steps, config.batch, config.learning_rate) == (1, 5, 64, 1e-4)
        assert (config.mle.epochs, config.mle.learning_rate, config.mle.clip) == (150, 1e-2, 5.0)


@pytest.mark.slow
def test_it_improves_its_start_under_the_true_distribution() -> None:
    corpus, transition = markov_chain(vocab=8, time=6)
    settings = {
        "generator": {"embedding": 16, "head_size": 16},
        "mle": {"epochs": 1, "learning_rate": 5e-3},
        "discriminator": {
            "embedding": 16,
            "representations": 4,
            "widths": (2, 3),
            "filters": (32, 32),
            "readout": 16,
            "learning_rate": 3e-3,
            "dropout": 0.1,
        },
        "rounds": 60,
        "d_steps": 3,
        "learning_rate": 3e-3,
        "schedule": "no",
        "inverse_temperature": 3.0,
        "valid_every": 60,
    }
    method, run = RelGAN(RelGANConfig.model_validate(settings)), FakeRun(0, save=False)
    generator, start = method.fit(corpus, run), method.build(corpus)
    start.load_state_dict(run.saved.snapshots["pretrain"])

    def look(of: NeuralGenerator) -> tuple[float, int]:
        """Nats per transition under the chain; different first tokens."""
        ids = of.sample(2000, rng=torch.Generator().manual_seed(9)).padded(0)
        return -float(np.log(transition[ids[:, :-1], ids[:, 1:]]).mean()), len(np.unique(ids[:, 0]))

    (before, _), (after, starts) = look(start), look(generator)
    assert after < before - 0.7
    assert starts > 5  # of 8: not by saying one thing
