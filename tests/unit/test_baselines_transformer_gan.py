"""Transformer-GAN's game: its schedule, what each side sees, the gradient, interruption.

The game doesn't care which network writes: here it is one that needs no library.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines import neural
from baselines.base import Diverged, Run
from baselines.mle import Transformer
from baselines.nets.base import AutoregressiveNet
from baselines.nets.lstm import initialise
from baselines.neural import NetConfig, NeuralGenerator, build_net
from baselines.training.pairs import Pairs
from baselines.training.writers import OwnTokens, Writing
from baselines.transformer_gan import Game, Progress, TransformerGAN
from tasks.base import Corpus, Ragged
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus
from tests.transformer_gan import CORPUS, SETTINGS, equal, log_prob, row, tiny, weights_after

TINY = SETTINGS  # tests/conformance looks for it here
STEPS = ("policy_step", "likelihood_step", "discriminator_step")

pytestmark = pytest.mark.filterwarnings("ignore:.*enable_nested_tensor")


def writing(corpus: Corpus = CORPUS, seed: int = 0, dropout: float = 0.2) -> OwnTokens:
    """An untrained generator that is far from uniform, of a kind that needs no library."""
    sizes = {"embedding": 8, "hidden": 8, "encoder": 6, "attention": 6, "readout": 8, "dropout": dropout}
    generator = NeuralGenerator(build_net(corpus, NetConfig.model_validate(sizes)), corpus)
    initialise(generator.net, "uniform", 1.0, torch.Generator().manual_seed(seed))  # type: ignore[arg-type]
    return OwnTokens(generator, corpus)


class Quick(TransformerGAN):
    """The method, with a generator that needs no library and no pre-training."""

    def start(self, corpus: Corpus, run: Run) -> Writing:
        return writing(corpus)


def new_game(seed: int = 0, corpus: Corpus = CORPUS, dropout: float = 0.2, **settings: Any) -> Game:
    return Game(tiny(**settings).config, writing(corpus, seed, dropout), FakeRun(seed))


def plain_game(seed: int, **settings: Any) -> Game:
    """In float64, with steps as long as the gradient."""
    game = new_game(seed, clip=1e9, **settings)
    game.net.double()
    game.discriminator.double()
    game.g_optimizer, game.d_optimizer = (torch.optim.SGD(n.parameters(), 1.0) for n in (game.net, game.discriminator))
    return game


def fitted(saved: Saved | None = None, **settings: Any) -> tuple[dict[str, Tensor], FakeRun]:
    run = FakeRun(saved=saved, save=False)
    return dict(tiny(Quick, **settings).fit(CORPUS, run).state_dict()), run


def spied(game: Game) -> list[tuple[Ragged, Ragged, Ragged | None]]:
    """What the generator is asked to write from now on: sources, samples, greedy texts."""
    seen: list[tuple[Ragged, Ragged, Ragged | None]] = []
    write = game.writing.write

    def spy(sources: Ragged, rng: torch.Generator, *, greedily: bool) -> tuple[Ragged, Ragged | None]:
        seen.append((sources, *write(sources, rng, greedily=greedily)))
        return seen[-1][1:]

    game.writing.write = spy  # type: ignore[method-assign]
    return seen


def most_probable(net: AutoregressiveNet, source: Any) -> list[int]:
    """Token by token, each time from the first one on."""
    ids: list[int] = []
    while len(ids) < CORPUS.max_target_length and ids[-1:] != [0]:
        inputs = torch.tensor([[CORPUS.vocab.bos, *ids]])
        ids.append(int(net.output(net(inputs, net.encode(*row(source)))[0, -1]).argmax()))
    return ids


def test_the_discriminator_comes_first_then_both_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in STEPS:
        plain = getattr(Game, name)
        monkeypatch.setattr(Game, name, lambda self, _n=name, _f=plain: (steps.append(_n), _f(self))[1])
    run = fitted(d_steps=2, steps=6)[1]
    assert steps[:2] == ["discriminator_step"] * 2
    assert len(steps) == 2 + 6 * 3
    for i in range(2, len(steps), 3):
        assert steps[i] in STEPS[:2]
        assert steps[i + 1 : i + 3] == ["discriminator_step"] * 2
    assert [line["step"] for line in run.saved.log if line["stage"] == "discriminator"] == [1, 2]
    lines = [line for line in run.saved.log if line["stage"] == "adversarial"]
    assert [("valid_nll" in line) for line in lines] == [False, False, True, False, False, True]
    wanted = {"loss", "gradient", "entropy", "reward", "greedy_reward", "length", "train_nll", "d_loss", "d_accuracy"}
    assert wanted <= set(lines[-1])


@pytest.mark.parametrize(("share", "expected"), [(0.0, {"policy_step"}), (1.0, {"likelihood_step"})])
def test_the_share_of_mle_at_its_ends(share: float, expected: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    steps: set[str] = set()
    for name in STEPS[:2]:
        monkeypatch.setattr(Game, name, lambda self, _n=name: (steps.add(_n), {})[1])
    fitted(mle_share=share, d_steps=0)
    assert steps == expected


def test_half_of_the_batches_are_mle() -> None:
    game = new_game()
    taken = sum(game.likelihood_is_next() for _ in range(4000))
    assert abs(taken - 2000) < 6.5 * math.sqrt(1000)


@pytest.mark.parametrize("reward", ["probability", "log_odds"])
def test_a_policy_step_is_the_gradient_of_what_samples_are_worth_above_the_greedy_text(reward: str) -> None:
    """Against a sum over sentences, one by one and without padding; the greedy text is found anew, token by token."""
    game = plain_game(fresh_seed(), reward=reward)
    before, seen = copy.deepcopy(game.net).eval(), spied(game)
    figures = game.policy_step()
    ((sources, sampled, _),) = seen
    total, rewards, compared = torch.zeros((), dtype=torch.double), [], []
    for i in range(len(sources)):
        with torch.no_grad():
            texts = sampled[i].tolist(), most_probable(before, sources[i])
            odds = [game.discriminator(*row(sources[i]), *row(ids)).squeeze() for ids in texts]
        worth = [float(o.sigmoid() if reward == "probability" else o) for o in odds]
        rewards.append(worth[0])
        compared.append(worth[1])
        total = total + (worth[0] - worth[1]) * log_prob(before, sources[i], texts[0])
    (total / len(sources)).backward()
    for (name, old), new in zip(before.named_parameters(), game.net.parameters(), strict=True):
        torch.testing.assert_close(new - old, old.grad, rtol=1e-6, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")
    assert figures["reward"] == pytest.approx(np.mean(rewards))
    assert figures["greedy_reward"] == pytest.approx(np.mean(compared))
    assert figures["length"] == pytest.approx(sampled.lengths.mean())


@pytest.mark.parametrize("baseline", ["none", "moving_average"])
def test_the_other_baselines(baseline: str) -> None:
    game = plain_game(fresh_seed(), baseline=baseline)
    game.average.value = 0.3
    before, seen = copy.deepcopy(game.net).eval(), spied(game)
    figures = game.policy_step()
    ((sources, sampled, greedy),) = seen
    assert greedy is None, "not asked for"
    total, below = torch.zeros((), dtype=torch.double), 0.3 if baseline == "moving_average" else 0.0
    for i in range(len(sources)):
        ids = sampled[i].tolist()
        with torch.no_grad():
            worth = float(game.discriminator(*row(sources[i]), *row(ids)).sigmoid()) - below
        total = total + worth * log_prob(before, sources[i], ids)
    (total / len(sources)).backward()
    for old, new in zip(before.parameters(), game.net.parameters(), strict=True):
        torch.testing.assert_close(new - old, old.grad, rtol=1e-6, atol=1e-9)
    expected = 0.9 * 0.3 + 0.1 * figures["reward"] if baseline == "moving_average" else 0.3
    assert game.average.value == pytest.approx(expected), "the batch enters the average afterwards"


def test_a_sample_that_is_the_greedy_text_teaches_nothing() -> None:
    game = plain_game(fresh_seed())
    with torch.no_grad():
        game.net.output.weight.mul_(1e8)  # so sure of itself that it samples what it finds most probable
    before, seen = copy.deepcopy(game.net.state_dict()), spied(game)
    game.policy_step()
    ((_, sampled, greedy),) = seen
    assert greedy is not None
    assert np.array_equal(sampled.flat, greedy.flat)
    assert equal(before, game.net.state_dict())


class Taste(nn.Module):
    """Likes candidates that begin with a certain word."""

    def forward(self, sources: Tensor, lengths: Tensor, targets: Tensor, ends: Tensor) -> Tensor:
        return torch.where(targets[:, 0] == 4, 2.0, -2.0)


@pytest.mark.parametrize("baseline", ["self_critical", "moving_average", "none"])
def test_what_the_discriminator_likes_becomes_more_probable(baseline: str) -> None:
    game = new_game(clip=1e9, batch=32, baseline=baseline)
    game.g_optimizer = torch.optim.SGD(game.net.parameters(), 0.1)
    game.discriminator = Taste()  # type: ignore[assignment]

    def probability() -> float:
        batch = Pairs(CORPUS, FakeRun(), 60).collate(np.arange(60))
        assert batch.sources is not None
        game.net.eval()
        with torch.no_grad():
            first = game.net(batch.inputs[:, :1], game.net.encode(*batch.sources))
            return float(game.net.output(first[:, 0]).softmax(-1)[:, 4].mean())

    before = probability()
    for _ in range(20):
        game.policy_step()
    assert probability() > before + 0.02


def test_neither_player_moves_the_other_and_no_gradient_passes_between_them() -> None:
    game = new_game()
    players = {"G": game.net, "D": game.discriminator}
    for step, learns in (("policy_step", "G"), ("likelihood_step", "G"), ("discriminator_step", "D")):
        before = {name: copy.deepcopy(net.state_dict()) for name, net in players.items()}
        for net in players.values():
            net.zero_grad(set_to_none=True)
        getattr(game, step)()
        for name, net in players.items():
            assert equal(before[name], net.state_dict()) == (name != learns), (step, name)
            assert any(p.grad is not None for p in net.parameters()) == (name == learns), (step, name)
    sources, targets = game.draw(game.pairs)
    assert not game.rewards(sources, targets).requires_grad


def test_rewards_are_without_dropout_and_repeat() -> None:
    game = new_game(discriminator={"dropout": 0.5})
    sources, targets = game.draw(game.pairs)
    assert torch.equal(game.rewards(sources, targets), game.rewards(sources, targets))
    assert not game.discriminator.training


def test_a_discriminator_step_is_a_step_down_its_cross_entropy_on_gold_and_samples_of_the_same_sources() -> None:
    game = plain_game(fresh_seed(), discriminator={"dropout": 0.0})
    before, drawn, seen = copy.deepcopy(game.discriminator), [], spied(game)
    draw = game.draw
    game.draw = lambda pairs: drawn.append(draw(pairs)) or drawn[-1]  # type: ignore[method-assign]
    figures = game.discriminator_step()
    ((sources, gold),), ((written_for, sampled, _),) = drawn, seen
    train = CORPUS.splits["train"]
    assert train.sources is not None
    lines = [(train.sources[i].tolist(), train.targets[i].tolist()) for i in range(len(train))]
    loss, hits = torch.zeros((), dtype=torch.double), 0
    for i in range(len(sources)):
        assert written_for[i].tolist() == sources[i].tolist()
        assert (sources[i].tolist(), gold[i].tolist()) in lines
        for ids, label in ((gold[i], 1.0), (sampled[i], 0.0)):
            real = before(*row(sources[i]), *row(ids)).sigmoid().squeeze()
            loss = loss - (label * real.log() + (1 - label) * (1 - real).log()) / (2 * len(sources))
            hits += int((real > 0.5) == (label == 1.0))
    loss.backward()
    for (name, old), new in zip(before.named_parameters(), game.discriminator.parameters(), strict=True):
        torch.testing.assert_close(new - old, -old.grad, rtol=1e-6, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")
    assert figures["d_loss"] == pytest.approx(float(loss.detach()))
    assert figures["d_accuracy"] == pytest.approx(hits / (2 * len(sources)))


def test_every_discriminator_step_has_fresh_samples_of_the_generator_as_it_is() -> None:
    game, states = new_game(), []
    write = game.writing.write

    def spy(*args: Any, **kwargs: Any) -> Any:
        states.append((copy.deepcopy(game.net.state_dict()), write(*args, **kwargs)))
        return states[-1][1]

    game.writing.write = spy  # type: ignore[method-assign]
    for _ in range(3):
        game.likelihood_step()
        now = copy.deepcopy(game.net.state_dict())
        game.discriminator_step()
        assert equal(states[-1][0], now)
    assert len(states) == 3


def test_lengths_are_mixed_in_a_discriminators_batches() -> None:
    game = new_game()
    spans = [np.ptp(game.draw(game.d_pairs)[1].lengths) for _ in range(5)]
    assert np.mean(spans) >= 2


def test_a_likelihood_step_is_weighted_teacher_forcing() -> None:
    game = plain_game(fresh_seed(), dropout=0.0, mle_weight=0.25)
    before, drawn = copy.deepcopy(game.net).eval(), []
    draw = game.draw
    game.draw = lambda pairs: drawn.append(draw(pairs)) or drawn[-1]  # type: ignore[method-assign]
    figures = game.likelihood_step()
    ((sources, targets),) = drawn
    total = sum(log_prob(before, sources[i], targets[i].tolist()) for i in range(len(sources)))
    assert isinstance(total, Tensor)
    (0.25 * total / len(sources)).backward()
    for old, new in zip(before.parameters(), game.net.parameters(), strict=True):
        torch.testing.assert_close(new - old, old.grad, rtol=1e-6, atol=1e-9)
    assert figures["train_nll"] == pytest.approx(-float(total.detach()) / len(targets.flat))


def test_dropout_is_off_while_the_policy_learns_and_on_in_teacher_forcing() -> None:
    assert equal(*weights_after(Game.policy_step, lambda: new_game(dropout=0.5)))
    assert not equal(*weights_after(Game.likelihood_step, lambda: new_game(dropout=0.5)))


@pytest.mark.parametrize("settings", [{}, {"select": "valid", "baseline": "moving_average", "reward": "log_odds"}])
@pytest.mark.slow
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(settings: dict[str, Any]) -> None:
    expected, whole = fitted(**settings)
    assert whole.safe_points == 2 + 4
    for place in (1, 2, 4):
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny(Quick, **settings).fit(CORPUS, FakeRun(saved=saved, stop_at=place, save=False))
        resumed, _ = fitted(saved, **settings)
        assert equal(expected, resumed), place
        assert saved.log == whole.saved.log


def test_the_best_look_at_valid_can_be_kept() -> None:
    run = FakeRun(save=False)
    generator: Any = tiny(Quick, select="valid", valid_every=1, learning_rate=0.3).fit(CORPUS, run)
    looks = [line["valid_nll"] for line in run.saved.log if line["stage"] == "adversarial"]
    valid = CORPUS.splits["valid"]
    kept = -generator.token_log_probs(valid.targets, valid.sources).mean()
    assert kept == pytest.approx(min(looks), rel=1e-6)


def test_training_never_reads_test_and_valid_only_to_look() -> None:
    other = conditional_corpus(60, seed=7)
    changed = dataclasses.replace(CORPUS, splits={**other.splits, "train": CORPUS.splits["train"]})
    first, second = (dict(tiny(Quick).fit(c, FakeRun(save=False)).state_dict()) for c in (CORPUS, changed))
    assert equal(first, second)


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        fitted(learning_rate=1e38)


def test_what_it_is_not_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "source" in (tiny().supports(free_corpus(20)) or "")
    monkeypatch.setattr(neural, "available", lambda: True)
    assert tiny().supports(CORPUS) is None
    monkeypatch.setattr(neural, "available", lambda: False)
    for settings in ({}, {"checkpoint": "somewhere"}):
        assert "transformers" in (tiny(**settings).supports(CORPUS) or "")
    with pytest.raises(ValueError, match="heads"):
        tiny(discriminator={"width": 10, "heads": 4})


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["translation", "summarization", "dialogue"])
def test_presets_share_the_pretraining_of_the_row_transformer(budget: str, task: str) -> None:
    ours, row_ = (
        cls(cls.Config.model_validate(cls.preset(budget, task, "conditional"))) for cls in (TransformerGAN, Transformer)
    )
    assert ours.pretraining(CORPUS) == row_.pretraining(CORPUS)
    assert ours.config.mle.net.architecture == "transformer"
    assert (ours.config.mle_share, ours.config.baseline, ours.config.reward) == (0.5, "self_critical", "probability")
    assert Progress() == Progress(**vars(Progress()))


def test_a_checkpoint_is_another_track_and_another_pretraining() -> None:
    scratch, from_hub, as_it_is = (
        tiny(**settings) for settings in ({}, {"checkpoint": "a/b"}, {"checkpoint": "a/b", "fine_tune": False})
    )
    assert [m.track() for m in (scratch, from_hub, as_it_is)] == ["scratch", "pretrained", "pretrained"]
    specs = [m.pretraining(CORPUS) for m in (scratch, from_hub, as_it_is)]
    assert specs[0] != specs[1]
    assert specs[2] is None
    slower = tiny(checkpoint="a/b", tuning={"learning_rate": 1e-6}).pretraining(CORPUS)
    assert specs[1] != slower
    assert specs[1] == tiny(checkpoint="a/b", steps=9, max_tokens=3).pretraining(CORPUS)


@pytest.mark.parametrize("baseline", ["self_critical", "moving_average", "none"])
def test_policy_batches_are_of_all_lengths_where_one_baseline_is_for_all(baseline: str) -> None:
    """The greedy text of the same source is a baseline for each line; one average would be a length's."""
    game = new_game(corpus=conditional_corpus(400), batch=40, baseline=baseline)
    lengths = game.train.sources.lengths  # type: ignore[union-attr]
    drawn: list[np.ndarray[Any, Any]] = []
    draw = game.draw
    game.draw = lambda pairs: drawn.append(draw(pairs)[0].lengths) or draw(pairs)  # type: ignore[func-returns-value, method-assign]
    for _ in range(10):
        game.policy_step()
    spread = float(np.mean([each.std() for each in drawn]))
    assert (spread < 0.3 * lengths.std()) if baseline == "self_critical" else (spread > 0.8 * lengths.std())


@pytest.mark.parametrize("baseline", ["self_critical", "moving_average"])
def test_the_place_among_the_policys_lines_is_kept(baseline: str) -> None:
    game = new_game(seed=1, baseline=baseline)
    for _ in range(3):
        game.policy_step()
    other = new_game(seed=1, baseline=baseline)
    other.restore(game.state(Progress()))
    assert np.array_equal(other.policy_pairs.rows(), game.policy_pairs.rows())
