"""Adversarial NMT as a whole: its schedule, what each side sees, the gradient, interruption, and that it learns."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines import adversarial_nmt
from baselines.adversarial_nmt import (
    AdversarialNMT,
    AdversarialNMTConfig,
    Game,
    Progress,
    make_optimizer,
    ordered,
    reward,
    split_train,
)
from baselines.base import Diverged
from baselines.decoding import greedy
from baselines.merging import merge
from baselines.nets.lstm import initialise
from baselines.nets.transformer import available
from baselines.neural import Architecture, evaluating
from baselines.training.batches import Batch
from baselines.training.mle import MLE_BUDGETS, MLEConfig
from baselines.training.pairs import Pairs
from tasks.base import Corpus
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus

TINY: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 8, "hidden": 8, "encoder": 6, "attention": 6, "readout": 8, "dropout": 0.2},
        "epochs": 1,
    },
    "discriminator": {"filters": (4, 4), "hidden": (4, 4), "dropout": 0.2},
    "batch": 8,
    "d_pretrain_steps": 2,
    "check_every": 1,
    "steps": 4,
    "log_every": 1,
    "valid_every": 3,
    "learning_rate": 0.05,
}
CORPUS = conditional_corpus(60)


def tiny(**settings: Any) -> AdversarialNMT:
    return AdversarialNMT(AdversarialNMTConfig.model_validate(merge(TINY, settings)))


def new_game(seed: int = 0, corpus: Corpus = CORPUS, **settings: Any) -> Game:
    """With an untrained generator that is far from uniform."""
    method = tiny(**settings)
    generator = method.build(corpus)
    initialise(generator.net, "uniform", 1.0, torch.Generator().manual_seed(seed))
    return Game(corpus, method.config, generator, FakeRun(seed))


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def fitted(saved: Saved | None = None, **settings: Any) -> tuple[dict[str, Tensor], FakeRun]:
    run = FakeRun(saved=saved, save=False)
    return tiny(**settings).fit(CORPUS, run).state_dict(), run


def test_the_discriminator_comes_first_then_both_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("policy_step", "likelihood_step", "discriminator_step"):
        plain = getattr(Game, name)
        monkeypatch.setattr(Game, name, lambda self, *a, _n=name, _f=plain: (steps.append(_n), _f(self, *a))[1])
    run = fitted(d_steps=2, d_accuracy=1.0)[1]
    assert steps[:2] == ["discriminator_step"] * 2, "to the cap: the accuracy is not reached"
    assert len(steps) == 2 + 4 * 3, "the joint phase runs"
    for i in range(2, len(steps), 3):
        assert steps[i] in ("policy_step", "likelihood_step")
        assert steps[i + 1 : i + 3] == ["discriminator_step"] * 2
    lines = [line for line in run.saved.log if line["stage"] == "adversarial"]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    kinds = [{"loss", "gradient", "entropy", "reward", "opinion"}, {"train_nll"}]
    assert any(kind <= set(lines[-1]) for kind in kinds)
    assert {"d_loss", "d_accuracy"} <= set(lines[-1])
    assert [("valid_nll" in line) for line in lines] == [False, False, True, True]


def test_pretraining_of_the_discriminator_ends_at_its_accuracy_on_held_out_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = itertools.chain([0.5, 0.8, 0.83], itertools.repeat(0.1))
    monkeypatch.setattr(
        Game, "look_at_held_out", lambda self: {"held_out_accuracy": next(looks), "held_out_reward": 0.7}
    )
    run = fitted(d_pretrain_steps=100, check_every=2, steps=0)[1]
    assert [line["step"] for line in run.saved.log if line["stage"] == "discriminator"] == [2, 4, 6]


@pytest.mark.parametrize(("share", "expected"), [(0.0, {"policy_step"}), (1.0, {"likelihood_step"})])
def test_the_share_of_mle_at_its_ends(share: float, expected: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    steps: set[str] = set()
    for name in ("policy_step", "likelihood_step"):
        monkeypatch.setattr(Game, name, lambda self, _n=name: (steps.add(_n), {})[1])
    fitted(mle_share=share, d_steps=0)
    assert steps == expected


def test_half_of_the_batches_are_mle() -> None:
    game = new_game()
    taken = sum(game.likelihood_is_next() for _ in range(4000))
    assert abs(taken - 2000) < 6.5 * math.sqrt(1000)


def test_the_snapshot_is_the_shared_pretraining_and_the_discriminator_never_gets_into_the_generator() -> None:
    weights, run = fitted(steps=0)
    (pretrained,) = run.saved.pretrained.values()
    assert equal({f"net.{name}": value for name, value in pretrained.items()}, run.saved.snapshots["pretrain"])
    assert equal(weights, run.saved.snapshots["pretrain"]), "training D leaves G alone"
    trained = fitted()[0]
    assert trained.keys() == weights.keys()
    assert not equal(trained, weights)


def test_a_policy_step_is_the_gradient_of_the_worth_of_what_was_sampled() -> None:
    """Against a sum over sentences, one by one and without padding, in float64; the gold target plays no part."""
    game = new_game(fresh_seed(), optimizer="sgd", learning_rate=1.0, clip=1e9, mle={"net": {"dropout": 0.5}})
    game.net.double()
    game.discriminator.double()
    game.baseline.value = 0.6
    before, drawn = copy.deepcopy(game.net), []
    plain = game.sample
    game.sample = lambda sources: drawn.append((sources, plain(sources))) or drawn[-1][1]  # type: ignore[method-assign]
    figures = game.policy_step()
    ((sources, lengths), batch) = drawn[0]
    total, rewards = torch.zeros((), dtype=torch.double), []
    with torch.no_grad():
        before.eval()
    for i in range(len(sources)):
        source, size = sources[i : i + 1, : int(lengths[i])], lengths[i : i + 1]
        target = batch.targets[i : i + 1, : int(batch.inside[i].sum())]
        with torch.no_grad():
            human = game.discriminator(source, size, target, torch.tensor([target.shape[1]])).sigmoid()
        rewards.append(-torch.log(1 - human).squeeze())
        inputs = torch.cat([torch.full((1, 1), CORPUS.vocab.bos), target[:, :-1]], 1)
        log_probs = before.output(before(inputs, before.encode(source, size))).log_softmax(-1)
        total = total + (rewards[-1] - 0.6) * log_probs.gather(2, target.unsqueeze(2)).sum()
    (total / len(sources)).backward()
    for (name, old), new in zip(before.named_parameters(), game.net.parameters(), strict=True):
        torch.testing.assert_close(new - old, old.grad, rtol=1e-6, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")
    mean = float(torch.stack(rewards).mean())
    assert figures["reward"] == pytest.approx(mean)
    assert game.baseline.value == pytest.approx(0.9 * 0.6 + 0.1 * mean), "the batch enters the baseline afterwards"


def test_the_first_baseline_is_from_before_the_first_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    values: list[float | None] = []
    plain = Game.policy_step
    monkeypatch.setattr(Game, "policy_step", lambda self: (values.append(self.baseline.value), plain(self))[1])
    run = fitted(mle_share=0.0, d_accuracy=1.0)[1]
    (last,) = [line for line in run.saved.log if line["stage"] == "discriminator" and line["step"] == 2]
    assert values[0] == last["held_out_reward"]
    assert values[1] != values[0]


@pytest.mark.parametrize("kind", ["minus_log_fake", "log_real"])
def test_the_more_human_a_sentence_looks_the_more_it_is_worth(kind: Any) -> None:
    logits = torch.linspace(-30, 30, 61, dtype=torch.double)
    worth, human = reward(logits, kind), logits.sigmoid()
    assert (worth.diff() > 0).all()
    expected = -torch.log(torch.sigmoid(-logits)) if kind == "minus_log_fake" else torch.log(human)
    torch.testing.assert_close(worth, expected)


def test_what_the_discriminator_likes_becomes_more_probable() -> None:
    """One that likes sentences which begin with a certain word."""
    game = new_game(optimizer="sgd", learning_rate=0.1, clip=1e9, batch=32)
    game.baseline.value = 0.5

    class Taste(nn.Module):
        def forward(self, sources: Tensor, lengths: Tensor, targets: Tensor, ends: Tensor) -> Tensor:
            return torch.where(targets[:, 0] == 4, 2.0, -2.0)

    game.discriminator = Taste()  # type: ignore[assignment]

    def probability() -> float:
        sources = game.pairs.collate(np.arange(60)).sources
        assert sources is not None
        game.net.eval()
        with torch.no_grad():
            first = game.net(torch.full((60, 1), CORPUS.vocab.bos), game.net.encode(*sources))
            return float(game.net.output(first[:, 0]).softmax(-1)[:, 4].mean())

    before = probability()
    for _ in range(20):
        game.policy_step()
    assert probability() > before + 0.02


def test_the_discriminator_learns_from_matched_pairs_and_from_translations_of_the_present_generator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taught = {tuple(row) for row in _pairs(split_train(CORPUS, 1000)[0])}
    sampled_by: list[dict[str, Tensor]] = []
    real_sample = adversarial_nmt.sample

    def spy(net: Any, *rest: Any) -> Any:
        assert not net.training
        sampled_by.append({name: value.clone() for name, value in net.state_dict().items()})
        return real_sample(net, *rest)

    plain = Game.discriminator_step

    def step(self: Game, optimizer: Any) -> dict[str, float]:
        seen: list[Any] = []
        opinions = self.opinions
        self.opinions = lambda b, d: seen.append((b, d)) or opinions(b, d)  # type: ignore[method-assign]
        now, count = {n: v.clone() for n, v in self.net.state_dict().items()}, len(sampled_by)
        figures = plain(self, optimizer)
        del self.opinions  # type: ignore[method-assign]
        assert len(sampled_by) == count + 1, "drawn for this step alone"
        assert equal(sampled_by[-1], now), "by the generator as it is"
        ((batch, drawn),) = seen
        pad, source_pad = CORPUS.vocab.pad, CORPUS.source_vocab.pad  # type: ignore[union-attr]
        for source, target, fake in zip(batch.sources[0], batch.targets, drawn.targets, strict=True):
            pair = tuple(tuple(i for i in row.tolist() if i != p) for row, p in ((source, source_pad), (target, pad)))
            assert pair in taught
            assert fake[0] != pad
        return figures

    monkeypatch.setattr(adversarial_nmt, "sample", spy)
    monkeypatch.setattr(Game, "discriminator_step", step)
    fitted()


@pytest.mark.parametrize("kind", ["sample", "greedy"])
def test_negatives_are_samples_or_the_likeliest_words_and_rewards_are_those_of_samples(kind: str) -> None:
    game = new_game(negatives=kind, held_out=1000)
    judged: list[Batch] = []
    opinions = game.opinions
    game.opinions = lambda b, d: judged.append(d) or opinions(b, d)  # type: ignore[method-assign]

    def rows(batch: Batch) -> list[list[int]]:
        return [row[inside].tolist() for row, inside in zip(batch.targets, batch.inside, strict=True)]

    def likeliest(sources: tuple[Tensor, Tensor]) -> list[list[int]]:
        with evaluating(game.net):
            found = greedy(game.net, game.net.encode(*sources), len(sources[0]), game.generator.limits)
        return [found[i].tolist() for i in range(len(found))]

    drawn, taught = [], []
    plain, collate = game.sample, game.d_pairs.collate
    game.sample = lambda sources: drawn.append(plain(sources)) or drawn[-1]  # type: ignore[method-assign]
    game.d_pairs.collate = lambda rows: taught.append(collate(rows)) or taught[-1]  # type: ignore[method-assign]
    game.discriminator_step(torch.optim.SGD(game.discriminator.parameters(), 0.0))
    if kind == "greedy":
        assert rows(judged[0]) == likeliest(taught[0].sources)  # type: ignore[arg-type]
        assert not drawn
    else:
        assert judged == drawn
    judged.clear()
    drawn.clear()
    figures = game.look_at_held_out()
    (lines,), (samples,) = ordered(game.held_out), drawn  # one batch holds all
    batch = game.held_out.collate(lines)
    with evaluating(game.discriminator):
        _, fake = opinions(batch, samples)
    assert figures["held_out_reward"] == pytest.approx(float(reward(fake, "minus_log_fake").mean()))
    if kind == "greedy":
        assert rows(judged[-1]) == likeliest(batch.sources)  # type: ignore[arg-type]


def test_policy_batches_are_of_all_lengths_since_one_baseline_is_for_all() -> None:
    """Batches of one length each: the mean reward of a batch would tell its length, and so would its worth."""
    corpus = conditional_corpus(400)
    game = new_game(corpus=corpus, batch=40)
    lengths = corpus.splits["train"].sources.lengths  # type: ignore[union-attr]

    def spread(pairs: Pairs) -> float:
        return float(np.mean([lengths[pairs.rows()].std() for _ in range(10)]))

    drawn: list[int] = []
    rows = game.policy_pairs.rows
    game.policy_pairs.rows = lambda: drawn.append(1) or rows()  # type: ignore[method-assign]
    game.policy_step()
    assert drawn == [1]
    assert spread(game.pairs) < 0.3 * lengths.std() < 0.8 * lengths.std() < spread(game.policy_pairs)


def _pairs(corpus: Corpus) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    train = corpus.splits["train"]
    assert train.sources is not None
    return [(tuple(train.sources[i].tolist()), tuple(train.targets[i].tolist())) for i in range(len(train))]


def test_held_out_lines_are_train_lines_that_the_discriminator_never_learns_from() -> None:
    everything, (taught, held_out) = _pairs(CORPUS), map(_pairs, split_train(CORPUS, 5))
    assert len(held_out) == 5
    assert sorted(taught + held_out) == sorted(everything)
    assert len(_pairs(split_train(CORPUS, 1000)[1])) == 6, "a tenth at most"
    game = new_game()
    assert len(game.d_pairs.train) == 54
    assert len(game.held_out.train) == 6
    assert len(game.pairs.train) == 60


def test_a_discriminator_step_is_a_step_down_its_cross_entropy() -> None:
    game = new_game(fresh_seed(), discriminator={"dropout": 0.0, "embeddings": "tuned"}, clip=1e9)
    game.discriminator.double()
    before = copy.deepcopy(game.discriminator)
    seen: list[Any] = []
    opinions = game.opinions
    game.opinions = lambda b, d: seen.append((b, d)) or opinions(b, d)  # type: ignore[method-assign]
    figures = game.discriminator_step(make_optimizer("sgd", game.discriminator, 1.0))
    ((batch, drawn),) = seen
    (sources, lengths), loss, hits = batch.sources, torch.zeros((), dtype=torch.double), 0
    for part, label in ((batch, 1.0), (drawn, 0.0)):
        human = before(sources, lengths, part.targets, part.inside.sum(1)).sigmoid()
        loss = loss - (label * human.log() + (1 - label) * (1 - human).log()).mean() / 2
        hits += int(((human > 0.5) == (label == 1.0)).sum())
    loss.backward()
    loss = loss.detach()
    for (name, old), new in zip(before.named_parameters(), game.discriminator.parameters(), strict=True):
        torch.testing.assert_close(new - old, -old.grad, rtol=1e-6, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")
    assert figures["d_loss"] == pytest.approx(float(loss))
    assert figures["d_accuracy"] == pytest.approx(hits / (2 * len(sources)))


@pytest.mark.parametrize("tied", [False, True])
def test_word_tables_are_the_generators_each_its_own_and_frozen(tied: bool) -> None:
    game = new_game(mle={"net": {"tied": tied}})
    targets = game.net.embed(torch.arange(CORPUS.vocab.n_inputs))
    start = game.net.encoder.embedding.weight.clone(), targets.clone()
    assert not torch.equal(*start)
    for _ in range(3):
        game.discriminator_step(game.d_optimizer)
        game.policy_step()
    assert torch.equal(game.discriminator.sources.weight, start[0]), "frozen, and no part of the generator"
    assert torch.equal(game.discriminator.targets.weight, start[1])
    assert not torch.equal(game.net.encoder.embedding.weight, start[0])
    tuned, own = (new_game(discriminator={"embeddings": kind, "embedding": 5}) for kind in ("tuned", "own"))
    assert own.discriminator.targets.weight.shape == (CORPUS.vocab.n_inputs, 5)
    for other in (tuned, own):
        first = other.discriminator.targets.weight.clone()
        other.discriminator_step(other.d_optimizer)
        assert not torch.equal(other.discriminator.targets.weight, first)


@pytest.mark.parametrize("architecture", sorted(get_args(Architecture)))
def test_the_words_of_every_architecture_are_found(architecture: str) -> None:
    if architecture == "transformer" and not available():
        pytest.skip("transformers is not installed")
    game = new_game(mle={"net": {"architecture": architecture, "heads": 2}})
    (source,) = (
        table
        for name, table in game.net.named_parameters()
        if name.endswith(("encoder.embedding.weight", "source_embedding.weight"))
    )
    assert torch.equal(game.discriminator.sources.weight, source)
    assert len(source) == CORPUS.source_vocab.n_inputs
    targets = game.net.embed(torch.arange(CORPUS.vocab.n_inputs))
    assert torch.equal(game.discriminator.targets.weight, targets)
    assert all(np.isfinite(value) for value in game.discriminator_step(game.d_optimizer).values())


def test_dropout_is_off_while_the_policy_learns() -> None:
    after = []
    for seed in (1, 2):  # torch's global stream, which dropout draws from
        game = new_game(mle={"net": {"dropout": 0.5}})
        torch.manual_seed(seed)
        game.policy_step()
        after.append(game.net.state_dict())
    assert equal(*after)


def test_both_rates_are_halved() -> None:
    game = new_game(halve_every=10, learning_rate=0.8, d_rate=0.4)
    for steps, scale in ((9, 1.0), (10, 0.5), (25, 0.25)):
        game.set_rates(steps)
        assert [o.param_groups[0]["lr"] for o in (game.g_optimizer, game.d_optimizer)] == [0.8 * scale, 0.4 * scale]


def test_training_never_reads_test_and_valid_only_to_look() -> None:
    """With other valid and test splits the generator is the same to the bit."""
    other = conditional_corpus(60, seed=7)
    changed = dataclasses.replace(CORPUS, splits={**other.splits, "train": CORPUS.splits["train"]})
    first, second = (tiny().fit(c, FakeRun(save=False)).state_dict() for c in (CORPUS, changed))
    assert equal(first, second)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "adam", "d_optimizer": "adam", "select": "valid", "discriminator": {"embeddings": "tuned"}},
        {"negatives": "greedy"},
    ],
)
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(settings: dict[str, Any]) -> None:
    expected, whole = fitted(**settings, d_accuracy=1.0)
    pretraining = whole.safe_points - 2 - 4
    for place in (1, 2, 4, 5):  # within D's pre-training, at its end, and between steps
        saved = Saved()
        run = FakeRun(saved=saved, stop_at=pretraining + place, save=False)
        with pytest.raises(Interrupted):
            tiny(**settings, d_accuracy=1.0).fit(CORPUS, run)
        resumed, _ = fitted(saved, **settings, d_accuracy=1.0)
        assert equal(expected, resumed), place
        assert saved.log == whole.saved.log


def test_the_best_look_at_valid_can_be_kept() -> None:
    run = FakeRun(save=False)
    generator = tiny(select="valid", valid_every=1, optimizer="adam", learning_rate=0.3).fit(CORPUS, run)
    looks = [line["valid_nll"] for line in run.saved.log if line["stage"] == "adversarial"]
    valid = CORPUS.splits["valid"]
    kept = -generator.token_log_probs(valid.targets, valid.sources).mean()
    assert kept == pytest.approx(min(looks), rel=1e-6)


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(learning_rate=1e38, optimizer="adam").fit(CORPUS, FakeRun(save=False))


def test_what_it_is_not_for() -> None:
    assert "source" in (AdversarialNMT().supports(free_corpus(20)) or "")
    assert AdversarialNMT().supports(CORPUS) is None


def test_a_generator_without_word_tables_is_told_what_to_do() -> None:
    with pytest.raises(ValueError, match=r'set discriminator\.embeddings to "own"'):
        adversarial_nmt.word_tables(nn.Linear(2, 2), CORPUS)


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["translation", "summarization", "dialogue"])
def test_presets_are_valid_and_share_the_pretraining_of_mle(budget: str, task: str) -> None:
    config = AdversarialNMTConfig.model_validate(AdversarialNMT.preset(budget, task, "conditional"))
    mle: dict[str, Any] = {}
    for key in (budget, f"{budget}/conditional", f"{budget}/{task}"):
        mle = merge(mle, MLE_BUDGETS.get(key, {}))
    assert config.mle == MLEConfig.model_validate(mle)
    assert (config.mle_share, config.d_accuracy, config.reward) == (0.5, 0.82, "minus_log_fake")
    assert Progress() == Progress(**vars(Progress()))
    if budget == "paper":
        assert (config.batch, config.optimizer, config.learning_rate) == (32, "sgd", 1e-3)


@pytest.mark.slow
def test_by_policy_gradient_alone_it_translates_better_than_its_start() -> None:
    """The probability of the right word at each place, after an MLE that was cut short; no MLE step follows."""
    corpus = conditional_corpus(1500, words=4)
    settings = {
        "mle": {
            "net": {"embedding": 16, "hidden": 32, "encoder": 16, "attention": 16, "readout": 16},
            "learning_rate": 0.01,
            "epochs": 2,
        },
        "discriminator": {"filters": (24, 24), "hidden": (32, 32), "dropout": 0.0, "embeddings": "tuned"},
        "batch": 48,
        "clip": 5.0,
        "d_accuracy": 0.97,
        "d_pretrain_steps": 250,
        "d_pretrain_optimizer": "adam",
        "d_pretrain_rate": 3e-3,
        "check_every": 50,
        "steps": 100,
        "mle_share": 0.0,
        "optimizer": "adam",
        "learning_rate": 3e-3,
        "d_optimizer": "adam",
        "d_rate": 3e-3,
    }
    method, run = AdversarialNMT(AdversarialNMTConfig.model_validate(settings)), FakeRun(1, save=False)
    generator, start = method.fit(corpus, run), method.build(corpus)
    start.load_state_dict(run.saved.snapshots["pretrain"])
    valid = corpus.splits["valid"]
    before, after = (float(np.exp(g.token_log_probs(valid.targets, valid.sources)).mean()) for g in (start, generator))
    assert after > before + 0.05
