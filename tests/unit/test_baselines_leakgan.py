"""LeakGAN: leaked features and goals against brute force, rewards by rank, signs, schedule, interruption, learning."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines import leakgan
from baselines.base import Decoding, Diverged
from baselines.leakgan import Game, LeakGAN, LeakGANConfig
from baselines.neural import NeuralGenerator
from baselines.training import discriminator
from baselines.training.batches import shifted
from baselines.training.goals import goal_ends, goal_progress
from baselines.training.loss import log_probs
from baselines.training.rollout import sample_with_states
from tests.fakes import FakeRun, Interrupted, Saved
from tests.leakgan import CORPORA, TINY, new_game, sequences, tiny  # noqa: F401 - TINY: conformance looks for it here
from tests.toys import conditional_corpus, free_corpus, markov_chain


def watched_step(game: Game, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor, Tensor]:
    """A generator step; gives the tokens sampled in it, their log-probabilities before and after, [places]."""
    kept: list[Tensor] = []

    def watch(*args: Any, **kwargs: Any) -> Any:
        sampled = sample_with_states(*args, **kwargs)
        kept.append(sampled.tokens)
        return sampled

    monkeypatch.setattr(leakgan, "sample_with_states", watch)
    before = copy.deepcopy(game.net)
    game.generator_step()
    (tokens,) = kept
    inside = tokens != game.corpus.vocab.pad
    found = [
        log_probs(net(shifted(tokens, game.corpus.vocab.bos))[inside], net.output, tokens[inside])
        for net in (before, game.net)
    ]
    return tokens, found[0], found[1]


@pytest.mark.parametrize("kind", CORPORA)
@pytest.mark.parametrize("reward", [1.0, -1.0])
def test_the_worker_writes_more_of_what_is_rewarded(kind: str, reward: float, monkeypatch: pytest.MonkeyPatch) -> None:
    game = new_game(CORPORA[kind], adversarial_rate=1e-3)
    monkeypatch.setattr(leakgan, "intrinsic_rewards", lambda leaked, goals, c: torch.full_like(goals[..., 0], reward))
    _, before, after = watched_step(game, monkeypatch)
    assert reward * float((after - before).sum()) > 0


@pytest.mark.parametrize("value", [1.0, 0.0])
def test_the_manager_turns_goals_where_values_are_high(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    game = new_game(CORPORA["fixed"], adversarial_rate=1e-3)
    monkeypatch.setattr(leakgan, "rescaled_by_rank", lambda scores, present, delta: value * present.double())
    old = copy.deepcopy(game.net)
    tokens, _, _ = watched_step(game, monkeypatch)
    leaked = game.net.leak(tokens)
    ends = goal_ends(torch.full((8,), 6), 6, 2)
    cosines = [goal_progress(leaked, net.goals(leaked[:, :-1]), ends)[:, ::2].mean() for net in (old, game.net)]
    assert (cosines[1] > cosines[0]) if value else torch.equal(*cosines)


def test_values_of_a_goal_are_those_of_the_prefix_it_ends_in(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = CORPORA["free"]
    game, seen = new_game(corpus, batch=6), []
    plain = leakgan.rescaled_by_rank
    monkeypatch.setattr(leakgan, "rescaled_by_rank", lambda *args: (seen.append(args), plain(*args))[1])
    kept: list[Tensor] = []
    monkeypatch.setattr(Game, "scores", lambda self, s: (kept.append(s.lengths), torch.arange(1.0, 9).repeat(6, 1))[1])
    game.generator_step()
    ((ranked, judged, delta),) = seen
    assert delta == 16
    for row, length in enumerate(kept[0].tolist()):
        assert judged[row].tolist() == [t < length and t % 2 == 0 for t in range(8)]
        # goals set after 0, 2, 4, ... tokens end after 2, 4, 6, ..., or with the sequence; scores count from 1
        assert ranked[row, ::2][: (length + 1) // 2].tolist() == [min(t + 2, length) for t in range(0, length, 2)]


@pytest.mark.parametrize("step", ["generator", "mle"])
def test_each_loss_reaches_its_own_weights_alone(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    game = new_game(CORPORA["free"])
    reached: list[set[str]] = []
    names = {id(parameter): name for name, parameter in game.net.named_parameters()}

    def watch(optimizer: Any, worker_loss: Tensor, manager_loss: Tensor) -> None:
        for loss in (worker_loss, manager_loss):
            game.net.zero_grad(set_to_none=True)
            loss.backward(retain_graph=True)
            reached.append({names[id(p)] for p in game.net.parameters() if p.grad is not None and p.grad.any()})

    monkeypatch.setattr(game, "_step", watch)
    if step == "generator":
        game.generator_step()
    else:
        game.mle_step(sequences(CORPORA["free"]).numpy())
    worker, manager = reached
    assert {name.split(".")[0] for name in worker} == {"embedding", "lstm", "blend", "output"}
    assert {name.split(".")[0] for name in manager} == {"manager", "goal"}
    assert "output.bias" not in worker


def test_maximum_likelihood_equals_the_plain_losses_and_gradients() -> None:
    corpus = CORPORA["free"]
    game = new_game(corpus, horizon=2)
    net, tokens = game.net, sequences(corpus)
    inside = tokens != corpus.vocab.pad
    leaked = net.leak(tokens)
    logits = net.output(net(shifted(tokens, game.corpus.vocab.bos)))
    nll = -torch.log_softmax(logits, 2).gather(2, tokens.clamp(max=corpus.vocab.size - 1)[..., None])[..., 0][inside]
    goals = net.goals(leaked[:, :-1])
    cosines = [
        F.cosine_similarity(leaked[b, min(t + 2, n)] - leaked[b, t], goals[b, t], dim=0)
        for b, n in enumerate(inside.sum(1).tolist())
        for t in range(n)
    ]
    (nll.mean() - torch.stack(cosines).mean()).backward()
    expected = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    game._step = lambda optimizer, *losses: torch.autograd.backward(losses)  # type: ignore[method-assign,assignment]
    found = []
    for wider in (tokens, F.pad(tokens, (0, 3), value=corpus.vocab.pad)):  # more padding changes nothing
        net.zero_grad(set_to_none=True)
        found.append(game.mle_step(wider.numpy()))
        for name, parameter in net.named_parameters():
            if parameter.requires_grad and not name.startswith("leak."):
                assert parameter.grad is not None
                torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-9, atol=1e-12)
    for loss, count, summed in found:
        assert float(count) == len(cosines)
        torch.testing.assert_close(loss, nll.sum().detach())
        torch.testing.assert_close(summed, torch.stack(cosines).sum().detach())


def test_a_generator_step_leaves_the_discriminator_alone() -> None:
    game = new_game(CORPORA["free"])
    before = copy.deepcopy(game.discriminator.state_dict())
    game.generator_step()
    game.mle_step(sequences(CORPORA["free"]).numpy())
    assert all(torch.equal(part, before[name]) for name, part in game.discriminator.state_dict().items())
    assert (game.net.output.bias == 0).all()


def test_the_schedule_is_interleaved(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("generator_step", "discriminator_step", "mle_epoch"):
        plain = getattr(Game, name)
        monkeypatch.setattr(Game, name, lambda self, *a, _n=name, _f=plain: (steps.append(_n[0]), _f(self, *a))[1])
    run = FakeRun(save=False)
    tiny(rounds=5).fit(CORPORA["free"], run)
    assert "".join(steps) == "dm" * 2 + "gdd" * 2 + "m" + "gdd" * 2 + "m" + "gdd"
    rounds = [line for line in run.saved.log if line["stage"] == "adversarial"]
    assert [line["step"] for line in rounds] == [1, 2, 3, 4, 5]
    assert [("valid_nll" in line) for line in rounds] == [False, True, False, True, True]
    assert {"worker_loss", "manager_loss", "intrinsic", "cosine", "reward", "d_loss", "d_accuracy"} <= set(rounds[0])
    assert all(0 < line["reward"] < 1 for line in rounds)


def test_negatives_are_fresh_and_positives_are_lines_of_train(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, seen = CORPORA["free"], []
    plain = discriminator.discriminator_epoch

    def watch(net, optimizer, positives, negatives, *rest):  # type: ignore[no-untyped-def]
        seen.append((positives, negatives))
        return plain(net, optimizer, positives, negatives, *rest)

    monkeypatch.setattr(discriminator, "discriminator_epoch", watch)
    tiny().fit(corpus, FakeRun(save=False))
    assert len(seen) == 2 + 3 * 2
    pad = corpus.vocab.pad
    train = {tuple(map(int, row)) for row in corpus.splits["train"].targets.padded(pad, 8)}
    for positives, negatives in seen:
        assert positives.shape == negatives.shape
        assert len(positives) == 20
        for row in positives.tolist():
            assert tuple(row + [pad] * (8 - len(row))) in train
    for (_, before), (_, after) in itertools.pairwise(seen):
        assert before.shape != after.shape or not torch.equal(before, after)


@pytest.mark.parametrize("kind", CORPORA)
def test_the_snapshot_is_the_shared_pretraining(kind: str) -> None:
    corpus, run = CORPORA[kind], FakeRun(save=False)
    generator = tiny().fit(corpus, run)
    (pretrained,) = run.saved.pretrained.values()
    for name, weights in run.saved.snapshots["pretrain"].items():
        assert torch.equal(pretrained[name.removeprefix("net.")], weights)
    assert {"judge.weight", "judge.bias"} < set(pretrained)
    final = generator.state_dict()
    assert any(not torch.equal(weights, final[f"net.{n}"]) for n, weights in pretrained.items() if "judge" not in n)
    saved, other = final, tiny().build(corpus)  # what is saved is all that sampling needs: features are part of it
    other.load_state_dict({name: part.clone() for name, part in saved.items()})
    rng = [torch.Generator().manual_seed(5) for _ in range(2)]
    first, second = (g.sample(9, rng=r) for g, r in zip((generator, other), rng, strict=True))
    assert np.array_equal(first.flat, second.flat)
    targets = corpus.splits["valid"].targets
    assert np.array_equal(generator.token_log_probs(targets), other.token_log_probs(targets))


def test_pretraining_depends_on_its_own_settings_alone() -> None:
    adversarial = {"adversarial_rate", "rounds", "d_steps", "d_epochs", "mle_every", "rollouts", "rollout_every"}
    adversarial |= {"delta", "valid_every"}
    assert set(LeakGANConfig.model_fields) == leakgan._PRETRAINING | adversarial
    corpus = CORPORA["free"]
    changed = {"adversarial_rate": 0.5, "rounds": 9, "rollouts": 1, "delta": 3.0}
    assert tiny(**changed).pretraining(corpus) == tiny().pretraining(corpus)
    assert tiny(mle_epochs=2).pretraining(corpus) != tiny().pretraining(corpus)


def test_training_never_reads_test() -> None:
    corpus = CORPORA["free"]
    changed = dataclasses.replace(corpus, splits={**corpus.splits, "test": free_corpus(40, seed=7).splits["test"]})
    first, second = (tiny().fit(c, FakeRun(save=False)).state_dict() for c in (corpus, changed))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CORPORA)
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(kind: str) -> None:
    corpus = CORPORA[kind]
    whole = FakeRun(save=False)
    expected = tiny().fit(corpus, whole).state_dict()
    pretraining = 2 * (1 + 2 + 1)  # two rounds of a d-step, two steps of MLE and the look
    assert whole.safe_points == pretraining + 3 + 2
    # within an epoch and after it, between rounds of pre-training; between rounds, within the MLE epoch between them
    for place in (2, pretraining + 2 + 1) if kind == "free" else (3, 4, pretraining + 1):
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny().fit(corpus, FakeRun(saved=saved, stop_at=place, save=False))
        resumed = tiny().fit(corpus, FakeRun(saved=saved, save=False)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert saved.log == whole.saved.log


def test_build_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    tiny().build(CORPORA["free"])
    assert torch.equal(before, torch.get_rng_state())


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(adversarial_rate=1e38, rounds=5).fit(CORPORA["fixed"], FakeRun(save=False))


def test_what_is_not_supported() -> None:
    assert "source" in (LeakGAN().supports(conditional_corpus(20)) or "")
    short = dataclasses.replace(free_corpus(20, fixed_length=2), fixed_length=1, max_target_length=1)
    assert "one token" in (LeakGAN().supports(short) or "")
    assert LeakGAN().supports(CORPORA["free"]) is None
    with pytest.raises(ValueError, match="multiple of rollout_every"):
        LeakGANConfig(horizon=4, rollout_every=3)


def test_the_official_temperature_is_a_declared_decoding() -> None:
    (decoding,) = LeakGAN.decodings
    assert str(Decoding.parse(decoding)) == decoding
    assert 1 / Decoding.parse(decoding).temperature == pytest.approx(1.5, abs=1e-5)


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["oracle", "poetry", "speech", "captions"])
def test_budgets_are_valid(budget: str, task: str) -> None:
    config = LeakGANConfig.model_validate(LeakGAN.preset(budget, task, "free"))
    assert len(config.discriminator.widths) == len(config.discriminator.filters)
    if budget == "paper" and task == "oracle":
        assert config == LeakGANConfig()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_policy_gradient_improves_its_start(seed: int) -> None:
    """No MLE and no d-step in the adversarial stage: D's opinion and the true distribution's both rise by it alone."""
    corpus, transition = markov_chain(12, noise=0.3, seed=5)
    settings = {
        "embedding": 16,
        "hidden": 16,
        "goal_size": 8,
        "init": "glorot",
        "init_scale": 0.5,
        "horizon": 1,
        "rollout_every": 1,
        "discriminator": {"embedding": 16, "widths": (1, 2, 3), "filters": (30, 30, 30), "lr": 2e-3},
        "learning_rate": 5e-3,
        "adversarial_rate": 2e-3,
        "interleave": 2,
        "d_pretrain_steps": 3,
        "d_pretrain_epochs": 3,
        "mle_epochs": 1,
        "rounds": 60,
        "d_steps": 0,
        "mle_every": 100,
        "samples": 400,
        "rollouts": 2,
        "valid_every": 60,
    }
    method, run = LeakGAN(LeakGANConfig.model_validate(settings)), FakeRun(seed, save=False)
    generator, start = method.fit(corpus, run), method.build(corpus)
    start.load_state_dict(run.saved.snapshots["pretrain"])

    def nll(of: NeuralGenerator) -> float:
        """Nats per transition under the chain."""
        ids = of.sample(2000, rng=torch.Generator().manual_seed(9)).padded(0)
        return -float(np.log(transition[ids[:, :-1], ids[:, 1:]]).mean())

    rewards = [line["reward"] for line in run.saved.log if line["stage"] == "adversarial"]
    assert np.mean(rewards[-10:]) > np.mean(rewards[:10]) + 0.15
    assert nll(generator) < nll(start) - 0.3
