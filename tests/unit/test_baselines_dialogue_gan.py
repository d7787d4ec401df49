"""The dialogue GAN: who learns from what, with which sign, and in which order."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import baselines.dialogue_gan as module
from baselines.base import Diverged
from baselines.dialogue_gan import (
    DialogueConfig,
    DialogueGAN,
    DialogueRegsMC,
    DialogueRegsPartial,
    DialogueReinforce,
    Game,
    build_discriminator,
)
from baselines.merging import merge
from baselines.training.batches import shifted
from baselines.training.mle import MLE_BUDGETS, MLEConfig
from baselines.training.rollout import Rollouts, Sampled
from tasks.base import Ragged
from tests.dialogue_games import ROWS, players, tiny
from tests.dialogue_games import TINY as TINY
from tests.dialogues import CORPORA, talk
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.games import drawn, lists
from tests.toys import free_corpus


def plain_gradient(
    game: Game, sampled: Tensor, advantages: Tensor, sources: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """Of -sum_t A_t log p(y_t), mean over the batch, from whole log-softmaxes."""
    net = copy.deepcopy(game.net).eval()
    net.zero_grad()
    inside = sampled != game.corpus.vocab.pad
    log_p = net.output(net(shifted(sampled, game.corpus.vocab.bos), net.encode(*sources))).log_softmax(-1)
    chosen = log_p.gather(2, sampled.masked_fill(~inside, 0).unsqueeze(2)).squeeze(2)
    (-(advantages * chosen)[inside].sum() / len(sampled)).backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("row", ROWS)
def test_the_gradient_is_that_of_its_own_samples_less_the_critics_word(
    row: type[DialogueGAN], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the human responses; scaled by one half; from P(human); by a sum in float64."""
    game, seen = players(CORPORA["talk"], row, fresh_seed(), clip=1e9), {}
    rewards = game.rewards

    def watched(sampled, memory, sources):  # type: ignore[no-untyped-def]
        seen["sampled"], seen["rewards"], seen["sources"] = sampled.tokens, rewards(sampled, memory, sources), sources
        return seen["rewards"]

    game.rewards = watched  # type: ignore[method-assign]
    with torch.no_grad():
        game.critic.start(torch.tensor(0.3, dtype=torch.double))
        game.critic.weight.uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(fresh_seed()))
    critic, before = copy.deepcopy(game.critic), copy.deepcopy(game.net).eval()
    monkeypatch.setattr(game.g_optimizer, "step", lambda: None)
    game.generator_step()
    found = {name: p.grad for name, p in game.net.named_parameters() if p.grad is not None}
    ends = before.lstm.top(before.initial_state(8, before.encode(*seen["sources"])))
    advantages = 0.5 * (seen["rewards"] - critic(ends).unsqueeze(1)).detach()
    expected = plain_gradient(game, seen["sampled"], advantages, seen["sources"])
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-6, atol=1e-9)


def test_without_a_reward_the_generators_step_has_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a run with `reward_scale` 0 shows what teacher forcing alone does."""
    game = players(CORPORA["talk"], DialogueReinforce, fresh_seed(), reward_scale=0.0)
    monkeypatch.setattr(game.g_optimizer, "step", lambda: None)
    game.generator_step()
    assert all(not p.grad.any() for p in game.net.parameters() if p.grad is not None)
    game.teacher_forcing_step()
    assert any(p.grad.any() for p in game.net.parameters() if p.grad is not None)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_a_step_makes_what_the_discriminator_takes_for_human_more_probable(row: type[DialogueGAN]) -> None:
    """A judge that asks for one token, which about every third response has at the start: soon most have it."""
    game = players(CORPORA["talk"], row, fresh_seed(), batch=32, learning_rate=0.05, teacher_forcing=False)
    tokens = drawn(game)[0].tokens
    share = torch.stack([(tokens == i).any(1).double().mean() for i in range(game.corpus.vocab.size)])
    wanted = int((share[1:] - 0.3).abs().argmin()) + 1

    def belief(context: Any, responses: Tensor) -> Tensor:
        return 6.0 * (responses == wanted).any(1).double() - 3.0

    def beliefs(context: Any, responses: Tensor) -> Tensor:
        return 6.0 * ((responses == wanted).cumsum(1) > 0).double() - 3.0

    judge = game.discriminator
    judge.judge, judge.judge_prefixes = belief, beliefs  # type: ignore[assignment, method-assign]
    judge.judge_many = lambda context, owner, responses: belief(context, responses)  # type: ignore[method-assign]
    figures = [game.generator_step()["reward"] for _ in range(10)]
    assert np.mean(figures[-2:]) > figures[0] + 0.1, figures


def test_the_critic_comes_to_the_mean_reward_and_moves_no_generator() -> None:
    game = players(CORPORA["talk"], DialogueRegsPartial, fresh_seed(), critic_rate=0.05)
    sampled, memory, _ = drawn(game)
    emitted = sampled.tokens != game.corpus.vocab.pad
    rewards = torch.rand(emitted.shape, dtype=torch.double) * emitted
    vectors = module.source_vectors(game.net, memory, 8)
    assert not vectors.requires_grad
    before = {name: value.clone() for name, value in game.net.state_dict().items()}
    error = [
        np.mean([(float(game.critic(vectors)[i].detach()) - r) ** 2 for r in rewards[i][emitted[i]].tolist()])
        for i in range(8)
    ]
    first = float(game._critic_step(rewards, emitted, vectors))
    assert first == pytest.approx(np.mean(error), abs=1e-9)
    for _ in range(200):
        last = float(game._critic_step(rewards, emitted, vectors))
    assert last < first
    for name, value in game.net.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in game.net.parameters())


@pytest.mark.parametrize("architecture", ["rnnsearch", "seq2seq", "cnn", "dual_attention", "dbam"])
def test_every_encoder_decoder_can_play(architecture: str) -> None:
    """The critic's vector is a cell's output, of the source where the decoder starts from it, of each row alone."""
    game = players(CORPORA["talk"], seed=fresh_seed(), mle={"net": {"architecture": architecture}})
    assert game.generator_step()["critic_loss"] >= 0
    _, memory, _ = drawn(game)
    vectors = module.source_vectors(game.net, memory, 8)
    assert vectors.shape == (8, len(game.critic.weight))
    same = [torch.equal(vectors[0], vector) for vector in vectors[1:]]
    assert all(same) if architecture == "cnn" else not all(same)


def test_no_gradient_of_the_critic_reaches_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the policy's step left out, a whole step of the generator moves the critic alone."""
    game = players(CORPORA["talk"], seed=fresh_seed())
    game.critic.start(torch.tensor(0.9, dtype=torch.double))
    nothing = {name: torch.zeros(()) for name in ("loss", "gradient", "entropy")}
    monkeypatch.setattr(module, "policy_gradient_step", lambda *_, **__: dict(nothing))
    before, critic = copy.deepcopy(game.net.state_dict()), copy.deepcopy(game.critic.state_dict())
    game.generator_step()
    assert all(torch.equal(value, before[name]) for name, value in game.net.state_dict().items())
    assert any(not torch.equal(value, critic[name]) for name, value in game.critic.state_dict().items())
    assert all(parameter.grad is None for parameter in game.net.parameters())


def test_the_critic_starts_from_the_first_rewards() -> None:
    game = players(CORPORA["talk"], seed=fresh_seed())
    emitted = torch.tensor([[True, True, False], [True, False, False]]).repeat(4, 1)
    rewards = torch.tensor([[0.2, 0.4, 0.0], [0.6, 0.0, 0.0]], dtype=torch.double).repeat(4, 1)
    vectors = torch.zeros(8, 8, dtype=torch.double)
    expected = (rewards - 0.4) * emitted
    torch.testing.assert_close(game._advantages(rewards, emitted, vectors), expected, rtol=0, atol=1e-7)
    again = game._advantages(rewards + 0.3 * emitted, emitted, vectors)
    torch.testing.assert_close(again, (rewards - 0.1) * emitted, rtol=0, atol=1e-7)


def test_without_a_critic_the_baseline_of_the_policy_counts() -> None:
    game = players(CORPORA["talk"], critic=False)
    emitted = torch.tensor([[True, True, False]] * 8)
    rewards = torch.tensor([[0.2, 0.4, 0.0]] * 8, dtype=torch.double)
    assert torch.equal(game._advantages(rewards, emitted, torch.zeros(8, 8)), rewards)


@pytest.mark.parametrize("teacher", [True, False])
def test_the_schedule_is_the_papers(teacher: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each of the generator's steps comes the teacher's."""
    steps: list[str] = []
    for name in ("generator_step", "discriminator_step", "teacher_forcing_step"):
        plain = getattr(Game, name)
        monkeypatch.setattr(Game, name, lambda self, _n=name, _f=plain: (steps.append(_n), _f(self))[1])
    run = FakeRun(save=False)
    tiny(g_steps=2, teacher_forcing=teacher).fit(CORPORA["talk"], run)
    learn = ["generator_step", "teacher_forcing_step"] if teacher else ["generator_step"]
    assert steps == ["discriminator_step"] * 2 + (["discriminator_step"] * 2 + learn * 2) * 3
    rounds = [line for line in run.saved.log if line["stage"] == "adversarial"]
    assert [line["step"] for line in rounds] == [1, 2, 3]
    assert {"loss", "gradient", "entropy", "reward", "critic_loss", "d_loss", "d_accuracy"} <= set(rounds[0])
    assert ("human_nll" in rounds[0]) == teacher
    assert [("valid_nll" in line) for line in rounds] == [False, True, True]


def test_the_teacher_has_the_human_responses_to_the_same_contexts() -> None:
    corpus, game = CORPORA["talk"], players(CORPORA["talk"], learning_rate=0.02, mle={"net": {"dropout": 0.0}})
    game.generator_step()
    train, batch = corpus.splits["train"], game.human
    assert train.sources is not None
    assert batch.sources is not None
    pairs = {(tuple(train.sources[i].tolist()), tuple(train.targets[i].tolist())) for i in range(len(train))}
    contexts, answers = lists(batch.sources[0], game.discriminator.source_pad), lists(batch.targets, corpus.vocab.pad)
    assert set(zip(map(tuple, contexts), map(tuple, answers), strict=True)) <= pairs
    first = game.teacher_forcing_step()["human_nll"]
    for _ in range(10):
        last = game.teacher_forcing_step()["human_nll"]
    assert last < first


def test_the_snapshot_is_the_shared_pretraining() -> None:
    run = FakeRun(save=False)
    generator = tiny().fit(CORPORA["talk"], run)
    (pretrained,) = run.saved.pretrained.values()
    for name, weights in pretrained.items():
        assert torch.equal(run.saved.snapshots["pretrain"][f"net.{name}"], weights)
    assert any(not torch.equal(weights, generator.net.state_dict()[name]) for name, weights in pretrained.items())


def test_training_never_reads_test_and_valid_only_to_look() -> None:
    corpus, other = CORPORA["talk"], talk(60, seed=7)
    changed = dataclasses.replace(corpus, splits={**other.splits, "train": corpus.splits["train"]})
    first, second = (tiny().fit(c, FakeRun(save=False)).state_dict() for c in (corpus, changed))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("settings", [{}, {"critic": False, "baseline": "moving_average", "select": "valid"}])
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(row: type[DialogueGAN], settings: dict[str, Any]) -> None:
    corpus, whole = CORPORA["talk"], FakeRun(save=False)
    expected = tiny(row, **settings).fit(corpus, whole).state_dict()
    pretraining = whole.safe_points - 2 - 3
    for place in (1, 4):  # within D's pre-training, and between rounds
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny(row, **settings).fit(corpus, FakeRun(saved=saved, stop_at=pretraining + place, save=False))
        resumed = tiny(row, **settings).fit(corpus, FakeRun(saved=saved)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert [line for line in saved.log if line["stage"] != "pretrain"] == [
            line for line in whole.saved.log if line["stage"] != "pretrain"
        ]


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(learning_rate=1e38, rounds=5).fit(CORPORA["talk"], FakeRun())


def test_what_is_not_supported_is_told() -> None:
    for row in ROWS:
        assert "context" in (row().supports(free_corpus(20)) or "")
        assert row().supports(CORPORA["talk"]) is None
        assert row().supports(CORPORA["plain"]) is None
    assert "one token" in (DialogueRegsMC().supports(dataclasses.replace(CORPORA["plain"], max_target_length=1)) or "")


def test_a_discriminator_takes_nothing_from_the_global_stream() -> None:
    before = torch.get_rng_state()
    for corpus in CORPORA.values():
        build_discriminator(corpus, DialogueConfig().discriminator, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["translation", "summarization", "dialogue"])
def test_presets_are_valid_and_share_the_pretraining_of_mle(row: type[DialogueGAN], budget: str, task: str) -> None:
    config = row.Config.model_validate(row.preset(budget, task, "conditional"))
    assert isinstance(config, DialogueConfig)
    assert config.reward == row.name.removeprefix("dialogue_")
    mle: dict[str, Any] = {}
    for key in (budget, f"{budget}/conditional", f"{budget}/{task}"):
        mle = merge(mle, MLE_BUDGETS.get(key, {}))
    assert config.mle == MLEConfig.model_validate(mle)
    if budget == "paper":
        assert (config.batch, config.g_steps, config.d_steps, config.rollouts) == (64, 1, 5, 5)
        assert (config.reward_scale, config.critic_rate, config.discriminator.hidden) == (0.5, 5e-4, 512)


def test_rollouts_of_a_batch_without_any_are_judged() -> None:
    """All responses are one token long: nothing to complete."""
    game = players(CORPORA["talk"], DialogueRegsMC)
    sampled, _, sources = drawn(game)
    ones = Sampled(sampled.tokens[:, :1], torch.ones_like(sampled.lengths), sampled.features[:1], sampled.states)
    values, final = game.judge(ones, Rollouts(torch.zeros(0, 1, dtype=torch.long), (), 2), sources[0])
    assert len(values) == 0
    assert final.shape == (8,)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_it_fools_a_discriminator_of_its_start_more_often(row: type[DialogueGAN]) -> None:
    """Policy gradient alone, without the teacher, from a start that had too little time.

    What the corpus' answers have in common: a letter, `.`, the end. After training more of the samples do.
    """
    corpus = talk(600)
    settings = {
        "mle": {"net": {"embedding": 16, "hidden": 16, "encoder": 8, "attention": 8, "readout": 16}, "epochs": 6},
        "discriminator": {"embedding": 16, "hidden": 16, "learning_rate": 5e-3},
        "d_pretrain_steps": 40,
        "rounds": 40,
        "d_steps": 2,
        "batch": 32,
        "learning_rate": 5e-3,
        "teacher_forcing": False,
        "valid_every": 60,
    }
    method, run = row(row.Config.model_validate(settings)), FakeRun(save=False)
    generator, start = method.fit(corpus, run), method.build(corpus)
    start.load_state_dict(run.saved.snapshots["pretrain"])
    dot = corpus.vocab.tokens.index(".")
    sources = Ragged.concatenate([corpus.splits["test"].sources] * 30)  # type: ignore[list-item]

    def well_formed(of: Any) -> float:
        found = of.generate(sources, decoding=module.Decoding("sample"), rng=torch.Generator().manual_seed(9))
        rows = [found[i].tolist() for i in range(len(found))]
        return float(np.mean([len(row) == 3 and row[0] not in (0, 1, dot) and row[1] == dot for row in rows]))

    before, after = well_formed(start), well_formed(generator)
    assert after > before + 0.1, (before, after)
