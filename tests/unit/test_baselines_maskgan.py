"""MaskGAN: what each side learns from, its schedule, interruption, and that it learns."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.base import Diverged
from baselines.infilling import InfillingGenerator
from baselines.maskgan import Game, MaskGAN, MaskGANConfig, clipped_advantages, discriminator_loss, rewards_and_returns
from baselines.merging import merge
from baselines.nets.infilling import InfillingNet
from baselines.nets.lstm import LSTMLanguageModel
from baselines.neural import NeuralGenerator
from baselines.training.batches import shifted
from baselines.training.maskmle import MaskConfig, Puzzle, look_at_valid, make_puzzle, maskmle_step
from baselines.training.mle import MLE_BUDGETS, MLEConfig
from tasks.base import Corpus
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus, markov_chain

TINY: dict[str, Any] = {
    "mle": {"net": {"embedding": 8, "hidden": 8, "dropout": 0.2}, "epochs": 1},
    "maskmle": {"steps": 4, "batch": 16, "learning_rate": 0.01, "interval": 2},
    "d_pretrain_steps": 2,
    "rounds": 3,
    "batch": 8,
    "learning_rate": 1e-3,
    "critic_learning_rate": 0.01,
    "log_every": 1,
    "valid_every": 2,
    "valid_rows": 10,
}
CORPORA = {"free": free_corpus(60), "fixed": free_corpus(60, fixed_length=5)}


def tiny(**settings: Any) -> MaskGAN:
    return MaskGAN(MaskGANConfig.model_validate(merge(TINY, settings)))


def fresh_rng() -> torch.Generator:
    return torch.Generator().manual_seed(fresh_seed())


def random_generator(corpus: Corpus, scale: float = 1.0, **settings: Any) -> InfillingGenerator:
    generator = tiny(**settings).build(corpus)
    with torch.no_grad():
        for _, parameter in sorted(generator.net.named_parameters()):
            parameter.normal_(0.0, scale, generator=torch.Generator().manual_seed(1))
    return generator.eval()


def random_game(corpus: Corpus, **settings: Any) -> Game:
    """A game whose networks say something, unlike the start, where D is undecided."""
    game = Game(corpus, tiny(**settings).config, random_generator(corpus, 0.7, **settings), FakeRun())
    with torch.no_grad():
        for _, parameter in sorted(game.discriminator.named_parameters()):
            parameter.normal_(0.0, 0.7, generator=torch.Generator().manual_seed(2))
    return game


def test_the_loss_of_the_discriminator_counts_blanks_alone_and_both_sides_the_same() -> None:
    rng = fresh_rng()
    real, fake = (torch.randn(4, width, generator=rng).double().requires_grad_() for width in (5, 7))
    places = [torch.rand(part.shape, generator=rng) < 0.4 for part in (real, fake)]
    for place in places:
        place[0, 0] = True
    loss, accuracy = discriminator_loss(real, places[0], fake, places[1])
    good = [-math.log(1 / (1 + math.exp(-float(x)))) for x in real.detach()[places[0]]]
    bad = [-math.log(1 - 1 / (1 + math.exp(-float(x)))) for x in fake.detach()[places[1]]]
    assert float(loss.detach()) == pytest.approx((np.mean(good) + np.mean(bad)) / 2)
    right = [
        np.mean([float(x) > 0 for x in real.detach()[places[0]]]),
        np.mean([float(x) <= 0 for x in fake.detach()[places[1]]]),
    ]
    assert float(accuracy) == pytest.approx(np.mean(right))
    loss.backward()
    for part, place, sign in ((real, places[0], -1), (fake, places[1], 1)):
        assert part.grad is not None
        assert torch.equal(part.grad != 0, place)
        assert (sign * part.grad[place] > 0).all()


def test_rewards_returns_and_advantages_are_the_definitions() -> None:
    rng, gamma = fresh_rng(), 0.83
    logits, values = (3 * torch.randn(5, 7, generator=rng).double() for _ in range(2))
    logits[0, 0] = -800.0  # log D stays finite
    blanks = torch.rand(5, 7, generator=rng) < 0.6
    blanks[0, 0] = True
    rewards, returns = rewards_and_returns(logits, blanks, gamma)
    advantages = clipped_advantages(returns, values, blanks, 5.0)
    for b, t in itertools.product(range(5), range(7)):
        if not blanks[b, t]:
            assert float(rewards[b, t]) == float(returns[b, t]) == float(advantages[b, t]) == 0.0
            continue
        terms = {s: math.log(float(logits[b, s].sigmoid()) + 1e-7) for s in range(t, 7) if blanks[b, s]}
        expected = sum(gamma ** (s - t) * reward for s, reward in terms.items())
        assert float(rewards[b, t]) == pytest.approx(terms[t])
        assert float(returns[b, t]) == pytest.approx(expected)
        assert float(advantages[b, t]) == pytest.approx(min(5.0, max(-5.0, expected - float(values[b, t]))))
    assert float(advantages[0, 0]) == -5.0


def test_a_reward_moves_no_return_behind_it() -> None:
    logits, blanks = torch.zeros(1, 6), torch.ones(1, 6, dtype=torch.bool)
    before = rewards_and_returns(logits, blanks, 0.9)[1]
    logits[0, 2] = 4.0
    moved = rewards_and_returns(logits, blanks, 0.9)[1] - before
    assert (moved[0, :3] > 0).all()
    assert (moved[0, 3:] == 0).all()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_each_loss_moves_its_own_part(share: float) -> None:
    """D's step moves neither G nor the critic; the critic's its head alone; G's step neither D's body nor its judge."""
    game = random_game(CORPORA["free"], mask={"full_share": share})

    def snapshot() -> dict[str, Tensor]:
        parts = {f"g.{name}": p for name, p in game.net.named_parameters()}
        parts |= {f"d.{name}": p for name, p in game.discriminator.named_parameters()}
        return {name: part.detach().clone() for name, part in parts.items()}

    def moved(before: dict[str, Tensor]) -> set[str]:
        after = snapshot()
        changed = {name for name in after if not torch.equal(before[name], after[name])}
        return {"value" if name.startswith("d.value") else name[0] for name in changed}

    before = snapshot()
    game.discriminator_step()
    assert moved(before) == {"d"}
    before = snapshot()
    game.critic_step()
    assert moved(before) == {"value"}
    before = snapshot()
    game.generator_step()
    assert moved(before) == {"g", "value"}


def test_the_policy_is_weighed_by_return_minus_the_value_before_the_update() -> None:
    game = random_game(CORPORA["free"], mask={"full_share": 0.0})
    judge, config = copy.deepcopy(game.discriminator), game.config
    filled, advantages, figures = game.critic_step()
    features = judge.read(filled.tokens, game.generator.limits.bos, filled.memory(judge.body))
    rewards, returns = rewards_and_returns(judge.logits(features), filled.blanks, config.gamma)
    values = judge.values(features, False)
    expected = clipped_advantages(returns, values, filled.blanks, config.advantage_clip)
    torch.testing.assert_close(advantages, expected.detach())
    assert float(figures["reward"]) == pytest.approx(float(rewards[filled.blanks].mean().detach()), rel=1e-5)
    loss = ((values - returns)[filled.blanks] ** 2).mean()
    assert float(figures["critic_loss"]) == pytest.approx(float(loss.detach()), rel=1e-5)
    assert not torch.equal(game.discriminator.value.weight, judge.value.weight)


def test_the_critic_comes_to_expect_the_returns() -> None:
    game = random_game(CORPORA["fixed"], critic_learning_rate=0.05, mask={"full_share": 1.0})
    losses = [float(game.critic_step()[2]["critic_loss"]) for _ in range(40)]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


def test_the_discriminator_learns_what_is_filled_in() -> None:
    game = random_game(CORPORA["free"], d_learning_rate=0.02, d_dropout=0.0, batch=32)
    figures = [game.discriminator_step() for _ in range(40)]
    assert np.mean([line["d_loss"] for line in figures[-10:]]) < 0.55
    assert np.mean([line["d_accuracy"] for line in figures[-10:]]) > 0.7


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_rewarded_fill_becomes_more_probable(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a judge that likes one token, G comes to write it at blanks; with D's sign turned round it would flee it."""
    corpus = CORPORA["fixed"]
    game = random_game(corpus, learning_rate=0.02, batch=32, mask={"full_share": share}, gamma=0.0)
    liked = 4
    monkeypatch.setattr(game.discriminator, "read", lambda tokens, _bos, _memory: tokens)
    monkeypatch.setattr(game.discriminator, "logits", lambda tokens: torch.where(tokens == liked, 3.0, -3.0))
    value = game.discriminator.value
    monkeypatch.setattr(
        game.discriminator, "values", lambda tokens, _all: value.bias[0].expand(tokens.shape) + 0 * value.weight.sum()
    )
    first = game.solve(game._puzzle())
    for _ in range(30):
        game.generator_step()
    last = game.solve(game._puzzle())
    shares = [float((part.tokens == liked)[part.blanks].double().mean()) for part in (first, last)]
    assert shares[1] > shares[0] + 0.2


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_puzzles_hide_what_is_blank_and_nothing_else(share: float) -> None:
    corpus = CORPORA["free"]
    generator, texts = random_generator(corpus), corpus.splits["train"].targets
    puzzle = make_puzzle(generator, texts, MaskConfig(full_share=share), fresh_rng())
    pad = corpus.vocab.pad
    assert np.array_equal(puzzle.tokens.numpy(), texts.padded(pad))
    assert not puzzle.blanks[puzzle.tokens == pad].any()
    if share == 1.0:
        assert puzzle.read is None
        assert torch.equal(puzzle.blanks, puzzle.tokens != pad)
        return
    assert puzzle.read is not None
    read, lengths = puzzle.read
    assert np.array_equal(lengths.numpy(), texts.lengths)
    assert (read[puzzle.blanks] == generator.net.blank_id).all()
    assert torch.equal(read[~puzzle.blanks], puzzle.tokens[~puzzle.blanks])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_maskmle_is_the_mean_over_blanks_against_brute_force(share: float) -> None:
    corpus = CORPORA["free"]
    generator = random_generator(corpus, mle={"net": {"dropout": 0.0}})
    texts = corpus.splits["train"].targets.take(range(7))
    puzzle = make_puzzle(generator, texts, MaskConfig(full_share=share), fresh_rng())
    net = generator.net
    total, count = 0.0, 0
    with torch.no_grad():
        for row in range(7):
            n = int(texts.lengths[row])
            tokens = puzzle.tokens[row : row + 1, :n]
            memory = () if puzzle.read is None else net.encode(puzzle.read[0][row : row + 1, :n], torch.tensor([n]))
            told = torch.log_softmax(net.output(net(shifted(tokens, corpus.vocab.bos), memory)).double(), -1)
            for t in range(n):
                if puzzle.blanks[row, t]:
                    total, count = total - float(told[0, t, tokens[0, t]]), count + 1
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    config = tiny().config.maskmle
    loss = maskmle_step(generator, optimizer, puzzle, config)
    assert float(loss) == pytest.approx(total / count, rel=1e-4)
    assert float(maskmle_step(generator, optimizer, puzzle, config)) < float(loss)


def test_the_measure_of_filling_is_counted() -> None:
    """A generator that knows what follows each letter fills nearly all blanks right; one that knows nothing doesn't."""
    corpus = free_corpus(300, fixed_length=6)
    method = tiny(mle={"net": {"embedding": 24, "hidden": 24}, "epochs": 12, "learning_rate": 0.02})
    config = method.config.model_copy(update={"valid_rows": 60})
    run = FakeRun(save=False)
    generator = method.fit(corpus, run)
    pretrained = random_generator(corpus)
    good, bad = (look_at_valid(g, corpus, config)["fill_accuracy"] for g in (generator, pretrained))
    assert good > 0.5 > 0.3 > bad
    assert {"fill_accuracy", "fill_nll", "valid_nll"} <= set(run.saved.log[-1])
    assert look_at_valid(generator, corpus, config) == look_at_valid(generator, corpus, config)


@pytest.mark.parametrize("kind", CORPORA)
def test_the_schedule_and_its_stages(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("generator_step", "discriminator_step", "critic_step"):
        plain = getattr(Game, name)
        monkeypatch.setattr(Game, name, lambda self, *a, _n=name, _f=plain: (steps.append(_n), _f(self, *a))[1])
    corpus, run = CORPORA[kind], FakeRun()
    generator = tiny().fit(corpus, run)
    warming = ["discriminator_step", "critic_step"] * 2
    assert steps == warming + ["discriminator_step", "discriminator_step", "generator_step", "critic_step"] * 3
    rounds = [line for line in run.saved.log if line["stage"] == "adversarial"]
    assert [line["step"] for line in rounds] == [1, 2, 3]
    assert {"loss", "entropy", "reward", "advantage", "critic_loss", "d_loss", "d_accuracy"} <= set(rounds[0])
    assert [("fill_accuracy" in line) for line in rounds] == [False, True, True]
    assert set(run.saved.snapshots) == {"pretrain", "maskmle"}
    maskmle = next(run.saved.pretrained[key] for key in run.saved.pretrained if '"maskmle"' in key)
    for name, weights in maskmle.items():
        assert torch.equal(run.saved.snapshots["maskmle"][f"net.{name}"], weights)
    assert any(not torch.equal(weights, generator.net.state_dict()[name]) for name, weights in maskmle.items())


def test_the_pretrain_stage_is_the_shared_language_model() -> None:
    corpus, run, method = CORPORA["free"], FakeRun(), tiny()
    method.fit(corpus, run)
    stage = method.build(corpus)
    stage.load_state_dict(run.saved.snapshots["pretrain"])
    weights = next(run.saved.pretrained[key] for key in run.saved.pretrained if '"method": "mle"' in key[:10000])
    language_model = LSTMLanguageModel(corpus.vocab.size, 8, 8)
    language_model.load_state_dict(weights)
    texts = corpus.splits["test"].targets
    expected = NeuralGenerator(language_model, corpus).token_log_probs(texts)
    assert stage.token_log_probs(texts) == pytest.approx(expected, abs=1e-6)


def test_maskmle_keeps_its_best_look() -> None:
    corpus, run = CORPORA["free"], FakeRun()
    method = tiny(maskmle={"learning_rate": 0.3, "interval": 1, "steps": 6, "decay": 1.0}, d_pretrain_steps=0, rounds=0)
    generator = method.fit(corpus, run)
    child = next(saved for key, saved in run.saved.children.items() if '"maskmle"' in key)
    means = [(line["valid_nll"] + line["fill_nll"]) / 2 for line in child.log]
    looks = look_at_valid(generator, corpus, method.config)
    assert (looks["valid_nll"] + looks["fill_nll"]) / 2 == pytest.approx(min(means), rel=1e-6)
    assert means[-1] > min(means)


def test_training_never_reads_test_and_the_game_never_learns_from_valid() -> None:
    corpus, other = CORPORA["fixed"], free_corpus(60, seed=7, fixed_length=5)
    settings = {"mle": {"epochs": 1}, "maskmle": {"interval": 4}}  # one look each: nothing to choose between
    first, second = (
        tiny(**settings).fit(replace(corpus, splits={**s, "train": corpus.splits["train"]}), FakeRun()).state_dict()
        for s in (corpus.splits, other.splits)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CORPORA)
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(kind: str) -> None:
    corpus = CORPORA[kind]
    whole = FakeRun(save=False)
    expected = tiny().fit(corpus, whole).state_dict()
    game = whole.safe_points - 2 - 3
    places = (game - 1, game + 1, game + 3)  # within MaskMLE, within D's first steps, between rounds
    for place in places if kind == "free" else places[1:2]:
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny().fit(corpus, FakeRun(saved=saved, stop_at=place, save=False))
        resumed = tiny().fit(corpus, FakeRun(seed=0, saved=saved)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert saved.log == whole.saved.log


def test_building_takes_nothing_from_the_global_stream() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    random_game(CORPORA["free"])
    torch.manual_seed(3)
    tiny().build(CORPORA["free"])
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_is_off_while_the_policy_learns() -> None:
    runs = []
    for seed in (1, 2):  # torch's global stream, which dropout draws from
        game = random_game(CORPORA["fixed"], mle={"net": {"dropout": 0.5}})
        torch.manual_seed(seed)
        game.generator_step()
        runs.append(game.net.state_dict())
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(learning_rate=1e38, rounds=5).fit(CORPORA["fixed"], FakeRun())


def test_texts_with_sources_are_not_supported() -> None:
    assert "source" in (MaskGAN().supports(conditional_corpus(20)) or "")
    assert MaskGAN().supports(CORPORA["free"]) is None


@pytest.mark.parametrize("task", ["oracle", "poetry", "speech", "captions"])
@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
def test_presets_are_valid_and_the_smaller_share_the_pretraining_of_mle(budget: str, task: str) -> None:
    config = MaskGANConfig.model_validate(MaskGAN.preset(budget, task, "free"))
    if budget == "paper":
        assert config == MaskGANConfig()
        assert (config.mle.net.hidden, config.mle.net.layers, config.batch, config.d_steps) == (650, 2, 128, 2)
        return
    mle: dict[str, Any] = {}
    for key in (budget, f"{budget}/free", f"{budget}/{task}"):
        mle = merge(mle, MLE_BUDGETS.get(key, {}))
    assert config.mle == MLEConfig.model_validate(mle)


def test_the_game_uses_the_memory_of_its_own_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """D reads m(x) with its own encoder, G with its own."""
    game = random_game(CORPORA["free"], mask={"full_share": 0.0})
    seen: list[InfillingNet] = []
    plain = Puzzle.memory
    monkeypatch.setattr(Puzzle, "memory", lambda self, net: (seen.append(net), plain(self, net))[1])
    game.discriminator_step()
    game.generator_step()
    body = game.discriminator.body
    assert [net is body for net in seen] == [False, True, False, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_game_improves_on_maskmle_under_the_true_distribution(seed: int) -> None:
    corpus, transition = markov_chain()
    net = {"embedding": 24, "hidden": 24, "init": "normal"}
    settings = {
        "mle": {"net": net, "epochs": 1, "learning_rate": 0.01},
        "maskmle": {"steps": 30, "batch": 64, "learning_rate": 2e-3, "interval": 30},
        "d_pretrain_steps": 40,
        "rounds": 60,
        "batch": 48,
        "learning_rate": 5e-3,
        "d_learning_rate": 0.01,
        "critic_learning_rate": 0.02,
        "d_dropout": 0.0,
        "valid_rows": 50,
    }
    method, run = MaskGAN(MaskGANConfig.model_validate(settings)), FakeRun(seed, save=False)
    generator, start = method.fit(corpus, run), method.build(corpus)
    start.load_state_dict(run.saved.snapshots["maskmle"])

    def nll(of: InfillingGenerator) -> float:
        """Nats per transition under the chain, written with all blank."""
        ids = of.sample(2000, rng=torch.Generator().manual_seed(9)).padded(0)
        return -float(np.log(transition[ids[:, :-1], ids[:, 1:]]).mean())

    assert nll(generator) < nll(start) - 0.12
