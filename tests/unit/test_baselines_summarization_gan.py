"""The summarization GAN: who learns from what, and with which sign."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import baselines.summarization_gan as module
from baselines.base import Decoding, Diverged
from baselines.mle import DualAttentionRow
from baselines.nets.attention import AttentionSeq2Seq
from baselines.summarization_gan import Game, SummarizationGAN, build_discriminator, discriminator_loss
from baselines.training.batches import shifted
from baselines.training.rollout import sample_with_states
from tasks.base import Corpus, Ragged, Split
from tests.fakes import FakeRun, Interrupted, Saved
from tests.games import drawn, lists
from tests.summaries import CORPUS, PAD, TINY, articles, human, players, tiny
from tests.toys import ToyCodec, conditional_corpus, free_corpus, vocabulary


def plain_gradient(
    game: Game, sampled: Tensor, advantages: Tensor, sources: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """Of -sum_t A_t log p(y_t), mean over the batch, each summary alone, from whole log-softmaxes."""
    net = copy.deepcopy(game.net).eval()
    net.zero_grad()
    loss = torch.zeros((), dtype=torch.double)
    for item, summary in enumerate(lists(sampled, PAD)):
        length = int(sources[1][item])
        memory = net.encode(sources[0][item : item + 1, :length], sources[1][item : item + 1])
        tokens = torch.tensor([summary])
        log_p = net.output(net(shifted(tokens, game.corpus.vocab.bos), memory)).log_softmax(-1)[0]
        for t, token in enumerate(summary):
            loss = loss - advantages[item, t] * log_p[t, token] / len(sampled)
    loss.backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", ["none", "moving_average"])
def test_the_gradient_goes_up_the_worth_of_what_was_sampled(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a sum in float64 over each summary's own tokens, without dropout."""
    game, seen = players(clip=1e9, baseline=kind), {}
    rewards = game.rewards

    def watched(sampled, memory, sources):  # type: ignore[no-untyped-def]
        seen["sampled"], seen["rewards"], seen["sources"] = sampled.tokens, rewards(sampled, memory, sources), sources
        return seen["rewards"]

    game.rewards = watched  # type: ignore[method-assign]
    before = 0.3 if kind == "moving_average" else 0.0
    game.baseline.value = before
    monkeypatch.setattr(game.g_optimizer, "step", lambda: None)
    figures = game.generator_step()
    found = {name: p.grad for name, p in game.net.named_parameters() if p.grad is not None}
    expected = plain_gradient(game, seen["sampled"], seen["rewards"] - before, seen["sources"])
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-6, atol=1e-9)
    inside = seen["sampled"] != PAD
    assert figures["reward"] == pytest.approx(float(seen["rewards"][inside].mean()))
    assert figures["length"] == pytest.approx(float(inside.sum(1).double().mean()))


def test_the_discriminator_learns_that_people_are_people() -> None:
    """Its loss falls as the log-odds of people's summaries rise and the machine's fall."""
    game = players()
    batch = game._random_pairs("positives")
    assert batch.sources is not None
    written = drawn(game)[0].tokens
    loss, right = discriminator_loss(game.discriminator, batch, written)
    texts = articles(game, batch.sources)
    losses, hits = [], []
    for half, sign in ((batch.targets, 1), (written, -1)):
        for text, summary in zip(texts, lists(half, PAD), strict=True):
            belief = human(game, text, summary)
            losses.append(-math.log(belief if sign == 1 else 1 - belief))
            hits.append((belief > 0.5) == (sign == 1))
    assert float(loss.detach()) == pytest.approx(np.mean(losses), abs=1e-9)
    assert float(right) == pytest.approx(np.mean(hits))


def test_it_learns_from_pairs_of_train_and_from_what_the_present_generator_writes_of_the_same_articles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus, seen = conditional_corpus(600), []
    game, plain = players(batch=16, corpus=corpus), module.discriminator_loss
    monkeypatch.setattr(module, "discriminator_loss", lambda *given: (seen.append(given[1:]), plain(*given))[1])
    train = corpus.splits["train"]
    assert train.sources is not None
    pairs = {(tuple(train.sources[i].tolist()), tuple(train.targets[i].tolist())) for i in range(len(train))}
    for _ in range(3):
        stream = copy.deepcopy(game.run.rng("negatives").get_state())
        before = copy.deepcopy(game.net).eval()
        game.discriminator_step()
        batch, written = seen[-1]
        given = zip(map(tuple, articles(game, batch.sources)), map(tuple, lists(batch.targets, PAD)), strict=True)
        assert set(given) <= pairs
        uniforms = torch.rand(16, game._time, generator=torch.Generator().set_state(stream)).double()
        with torch.no_grad():
            expected = sample_with_states(before, before.encode(*batch.sources), uniforms, **game._ends)
        assert lists(written, PAD) == lists(expected.tokens, PAD)
        assert all(torch.equal(a, b) for a, b in zip(before.parameters(), game.net.parameters(), strict=True))
        game.generator_step()  # so that the present generator is another each time
    lengths = [len({len(row) for row in lists(batch.targets, PAD)}) for batch, _ in seen]
    assert max(lengths) > 2, "batches of about equally long targets, of which there are four lengths"


def test_steps_of_the_discriminator_bring_it_nearer_to_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    game = players(discriminator={"learning_rate": 0.01})
    batch, written = game._random_pairs("positives"), drawn(game)[0].tokens
    monkeypatch.setattr(game, "_random_pairs", lambda _: batch)
    monkeypatch.setattr(game, "write", lambda _: written)
    losses = [game.discriminator_step()["d_loss"] for _ in range(20)]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_a_step_makes_what_the_discriminator_takes_for_human_more_probable() -> None:
    """A judge that asks for one token, which about every third summary has at the start: soon most have it."""
    game = players(batch=32, learning_rate=0.05)
    tokens = drawn(game)[0].tokens
    share = torch.stack([(tokens == i).any(1).double().mean() for i in range(game.corpus.vocab.size)])
    wanted = int((share[1:] - 0.3).abs().argmin()) + 1
    game.discriminator.judge_many = (  # type: ignore[method-assign]
        lambda read, owners, candidates: 6.0 * (candidates == wanted).any(1).double() - 3.0
    )
    figures = [game.generator_step()["reward"] for _ in range(12)]
    assert np.mean(figures[-2:]) > figures[0] + 0.1, figures


def test_the_word_tables_begin_as_the_generators_and_go_their_own_way() -> None:
    method = tiny()
    generator = method.build(CORPUS)
    game = Game(CORPUS, method.config, generator, FakeRun())
    net, judge = game.net, game.discriminator
    assert isinstance(net, AttentionSeq2Seq)
    tables = net.encoder.embedding.weight.clone(), net.embed(torch.arange(CORPUS.vocab.n_inputs)).detach().clone()
    assert torch.equal(judge.sources.weight, tables[0])
    assert torch.equal(judge.targets.weight, tables[1])
    game.discriminator_step()
    assert not torch.equal(judge.sources.weight, tables[0])
    assert not torch.equal(judge.targets.weight, tables[1])
    assert torch.equal(net.encoder.embedding.weight, tables[0])
    tied = tiny(mle={"net": {"tied": True}})
    assert Game(CORPUS, tied.config, tied.build(CORPUS), FakeRun()).discriminator.targets.weight.shape == (12, 8)


def test_a_discriminator_takes_nothing_from_the_global_stream() -> None:
    method = tiny()
    generator, before = method.build(CORPUS), torch.get_rng_state()
    build_discriminator(CORPUS, method.config.discriminator, generator, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("taught", [0, 2])
def test_the_schedule(taught: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("generator_step", "discriminator_step", "likelihood_step"):
        plain = getattr(Game, name)
        monkeypatch.setattr(Game, name, lambda self, _n=name, _f=plain: (steps.append(_n), _f(self))[1])
    run = FakeRun(save=False)
    tiny(g_steps=2, mle_steps=taught).fit(CORPUS, run)
    learn = ["generator_step"] + ["likelihood_step"] * taught
    assert steps == ["discriminator_step"] * 2 + (learn * 2 + ["discriminator_step"] * 2) * 3
    rounds = [line for line in run.saved.log if line["stage"] == "adversarial"]
    assert [line["step"] for line in rounds] == [1, 2, 3]
    assert {"loss", "gradient", "entropy", "reward", "length", "d_loss", "d_accuracy"} <= set(rounds[0])
    assert ("train_nll" in rounds[0]) == (taught > 0)
    assert [("valid_nll" in line) for line in rounds] == [False, True, True]


def test_the_snapshot_is_the_pretraining_that_its_mle_row_has() -> None:
    saved = Saved()
    generator = tiny().fit(CORPUS, FakeRun(saved=saved, save=False))
    (pretrained,) = saved.pretrained.values()
    for name, weights in pretrained.items():
        assert torch.equal(saved.snapshots["pretrain"][f"net.{name}"], weights)
    assert any(not torch.equal(weights, generator.net.state_dict()[name]) for name, weights in pretrained.items())
    row = DualAttentionRow(DualAttentionRow.Config.model_validate(TINY["mle"]))
    alone = row.fit(CORPUS, FakeRun(saved=saved, save=False)).net.state_dict()
    assert saved.trainings == 1
    assert all(torch.equal(weights, alone[name]) for name, weights in pretrained.items())


@pytest.mark.slow
def test_training_never_reads_test_and_valid_only_to_look() -> None:
    other = conditional_corpus(60, seed=7)
    changed = dataclasses.replace(CORPUS, splits={**other.splits, "train": CORPUS.splits["train"]})
    settings = {"mle": {"patience": 1}}
    first, second = (tiny(**settings).fit(c, FakeRun(save=False)).state_dict() for c in (CORPUS, changed))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"g_steps": 2, "mle_steps": 0, "baseline": "none", "select": "valid"}])
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(settings: dict[str, Any]) -> None:
    whole = FakeRun(save=False)
    expected = tiny(**settings).fit(CORPUS, whole).state_dict()
    pretraining = whole.safe_points - 2 - 3
    for place in (1, 4):  # within D's pre-training, and between rounds
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny(**settings).fit(CORPUS, FakeRun(saved=saved, stop_at=pretraining + place, save=False))
        resumed = tiny(**settings).fit(CORPUS, FakeRun(saved=saved)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert [line for line in saved.log if line["stage"] != "pretrain"] == [
            line for line in whole.saved.log if line["stage"] != "pretrain"
        ]


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(learning_rate=1e38, rounds=5).fit(CORPUS, FakeRun())


def test_what_is_not_supported_is_told() -> None:
    assert "article" in (SummarizationGAN().supports(free_corpus(20)) or "")
    assert SummarizationGAN().supports(CORPUS) is None
    assert "one token" in (SummarizationGAN().supports(dataclasses.replace(CORPUS, max_target_length=1)) or "")


@pytest.mark.parametrize(
    ("budget", "task"),
    [*itertools.product(["smoke", "small", "paper"], ["translation", "summarization", "dialogue"])],
)
def test_presets_are_valid_and_share_the_pretraining_of_the_same_architecture(budget: str, task: str) -> None:
    method, row = (
        cls(cls.Config.model_validate(cls.preset(budget, task, "conditional")))
        for cls in (SummarizationGAN, DualAttentionRow)
    )
    assert method.config.mle.net.architecture == "dual_attention"
    assert method.pretraining(CORPUS) == row.pretraining(CORPUS)
    if budget == "paper":
        assert (method.config.batch, method.config.g_steps, method.config.d_steps) == (64, 1, 5)
        assert method.config.rollouts == 16


def test_the_name_says_that_it_is_a_reconstruction() -> None:
    assert SummarizationGAN.summary.startswith("reconstruction of ATRNNs")
    assert SummarizationGAN.adversarial


def first_letters(n: int) -> Corpus:
    """Articles of 2 to 6 letters; the summary is the first of them, in capitals, and `.`."""
    rng, letters = np.random.default_rng(0), 6
    codec = ToyCodec(vocabulary([*(chr(65 + i) for i in range(letters)), "."]))

    def split(count: int) -> Split:
        texts = [[*rng.integers(2, 2 + letters, rng.integers(2, 7)).tolist(), 0] for _ in range(count)]
        return Split((), Ragged.from_lists([[text[0], 2 + letters, 0] for text in texts]), Ragged.from_lists(texts))

    splits = {"train": split(n), "valid": split(50), "test": split(100)}
    return dataclasses.replace(
        conditional_corpus(8, words=letters), splits=splits, target_codec=codec, max_target_length=6
    )


@pytest.mark.slow
def test_it_writes_what_people_would_more_often_than_its_start() -> None:
    """Policy gradient alone, without teacher forcing, from a start that had too little time.

    What the corpus' summaries have in common: a letter, `.`, the end. After training more of the samples have it, and
    more are the summary of their own article.
    """
    corpus = first_letters(600)
    settings = {
        "mle": {"net": {"embedding": 16, "hidden": 16, "encoder": 8, "attention": 8, "readout": 16}, "epochs": 6},
        "discriminator": {"hidden": 16, "learning_rate": 5e-3},
        "d_pretrain_steps": 40,
        "rounds": 40,
        "d_steps": 2,
        "mle_steps": 0,
        "batch": 32,
        "rollouts": 4,
        "learning_rate": 5e-3,
        "valid_every": 60,
    }
    method, run = SummarizationGAN(SummarizationGAN.Config.model_validate(settings)), FakeRun(save=False)
    generator, start = method.fit(corpus, run), method.build(corpus)
    start.load_state_dict(run.saved.snapshots["pretrain"])
    sources = Ragged.concatenate([corpus.splits["test"].sources] * 20)  # type: ignore[list-item]
    dot = corpus.vocab.tokens.index(".")

    def shares(of: Any) -> tuple[float, float]:
        """Of samples in the form, and of right ones."""
        found = of.generate(sources, decoding=Decoding("sample"), rng=torch.Generator().manual_seed(9))
        rows = [found[i].tolist() for i in range(len(found))]
        form = [len(row) == 3 and row[0] not in (0, 1, dot) and row[1] == dot for row in rows]
        return float(np.mean(form)), float(np.mean([row == [sources[i][0], dot, 0] for i, row in enumerate(rows)]))

    before, after = shares(start), shares(generator)
    assert after[0] > before[0] + 0.1, (before, after)
    assert after[1] > before[1] + 0.02, (before, after)
