"""Maximum likelihood: learns, stops, goes on after an interruption as if there had been none."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch

from baselines.base import Decoding, Diverged
from baselines.mle import MLE
from baselines.training.batches import Collator, bucketed
from baselines.training.mle import MLE_BUDGETS, MLEConfig, pretrain, pretraining_spec
from tasks.base import Ragged
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus

NET = {"embedding": 16, "hidden": 32, "encoder": 16, "attention": 16, "readout": 16}


def config(**changes) -> MLEConfig:
    return MLEConfig(**{"epochs": 3, "batch": 32, "net": {**NET, "dropout": 0.2}, **changes})


@pytest.mark.parametrize(("kind", "schedule"), [("free", "plateau"), ("conditional", "linear")])
def test_interrupted_training_ends_bit_identical(kind, schedule):
    corpus = free_corpus(200) if kind == "free" else conditional_corpus(200)
    settings = config(schedule=schedule, interval=5, epochs=3, patience=2)
    straight = FakeRun()
    expected = pretrain(corpus, settings, straight)
    assert straight.safe_points == 15
    saved, stops = Saved(), sorted(random.sample(range(1, 15), 2))
    for stop in (stops[0], stops[1] - stops[0]):
        with pytest.raises(Interrupted):
            pretrain(corpus, settings, FakeRun(saved=saved, stop_at=stop))
    found = pretrain(corpus, settings, FakeRun(saved=saved))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    (log,), (straight_log,) = ([c.log for c in s.children.values()] for s in (saved, straight.saved))
    assert log == straight_log


def test_equal_seeds_give_equal_weights_and_others_do_not():
    corpus = free_corpus(100)
    first, again, other = (pretrain(corpus, config(epochs=1), FakeRun(seed)) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["output.weight"], other["output.weight"])


@pytest.mark.parametrize("interval", [None, 3])
@pytest.mark.parametrize("kind", ["free", "conditional"])
def test_each_look_tells_the_target_tokens_read_since_the_last(kind, interval):
    """Tokens a second are made of it; a pass of 200 lines has 7 steps, three passes 21."""
    corpus, run = (free_corpus(200) if kind == "free" else conditional_corpus(200)), FakeRun(save=False)
    pretrain(corpus, config(interval=interval, epochs=7 if interval else 3), run)  # with it, `epochs` counts intervals
    (log,) = [child.log for child in run.saved.children.values()]
    assert [record["step"] for record in log] == ([7, 14, 21] if interval is None else [3, 6, 9, 12, 15, 18, 21])
    assert sum(record["tokens"] for record in log) == 3 * len(corpus.splits["train"].targets.flat)
    assert all(record["tokens"] > 0 for record in log)


def test_methods_with_an_equal_config_share_one_training():
    corpus, run = free_corpus(100), FakeRun()
    first = MLE(config()).fit(corpus, run)
    second = pretrain(corpus, config(), run)
    assert run.saved.trainings == 1
    assert all(torch.equal(first.net.state_dict()[name], second[name]) for name in second)
    pretrain(corpus, config(learning_rate=1e-3), run)
    assert run.saved.trainings == 2


def test_sizes_of_the_attention_do_not_part_free_trainings():
    plain, other = config(), config(net={**NET, "dropout": 0.2, "encoder": 99})
    assert pretraining_spec(free_corpus(9), plain) == pretraining_spec(free_corpus(9), other)
    assert pretraining_spec(conditional_corpus(9), plain) != pretraining_spec(conditional_corpus(9), other)


@pytest.mark.slow
@pytest.mark.parametrize("fixed_length", [None, 6])
def test_free_likelihood_nears_the_entropy(fixed_length):
    corpus = free_corpus(800, fixed_length=fixed_length)
    run = FakeRun(save=False)
    generator = MLE(config(epochs=14, learning_rate=1e-2, net=NET)).fit(corpus, run)
    test = corpus.splits["test"].targets
    per_line = -generator.token_log_probs(test).sum() / len(test)
    # 8 first letters, and 4 lengths where they vary: all else follows.
    entropy = np.log(8) + (0 if fixed_length else np.log(4))
    assert entropy - 0.15 < per_line < entropy + 0.25
    lines = corpus.decode(generator.sample(200, temperature=1.0, rng=torch.Generator().manual_seed(0)))
    assert np.mean([ascends(line.split()) for line in lines]) > 0.8


def ascends(letters: list[str]) -> bool:
    return all(a + b in "abcdefgha" for a, b in itertools.pairwise(letters))


@pytest.mark.slow
@pytest.mark.parametrize("input_feeding", [False, True])
def test_conditional_training_learns_to_reverse(input_feeding):
    corpus = conditional_corpus(2000)
    net = {"embedding": 24, "hidden": 48, "encoder": 24, "attention": 24, "readout": 24, "input_feeding": input_feeding}
    run = FakeRun(save=False)
    generator = MLE(MLEConfig(epochs=7, batch=32, learning_rate=1e-2, schedule="linear", net=net)).fit(corpus, run)
    test = corpus.splits["test"]
    for decoding in ("greedy", "beam4"):
        rng = torch.Generator().manual_seed(0)
        found = corpus.decode(generator.generate(test.sources, decoding=Decoding.parse(decoding), rng=rng))
        assert np.mean([a == b.target for a, b in zip(found, test.examples, strict=True)]) > 0.9


def test_training_stops_after_its_patience_and_gives_the_best_weights():
    corpus = free_corpus(30, words=4)
    run = FakeRun(save=False)
    settings = config(epochs=200, learning_rate=2e-2, patience=3, net={**NET, "hidden": 64}, schedule="constant")
    generator = MLE(settings).fit(corpus, run)
    log = next(iter(run.saved.children.values())).log
    curve = [line["valid_nll"] for line in log]
    assert len(curve) < 200
    assert int(np.argmin(curve)) == len(curve) - 1 - 3
    found = -generator.token_log_probs(corpus.splits["valid"].targets).mean()
    assert found == pytest.approx(min(curve), abs=1e-6)


def test_not_a_number_is_told():
    corpus = free_corpus(60)
    with pytest.raises(Diverged, match="nll"):
        pretrain(corpus, config(learning_rate=1e38, clip=1e30), FakeRun(save=False))


def test_bucketed_batches_hold_every_row_once():
    rng = np.random.default_rng(fresh_seed())
    for n, batch in ((1, 8), (64, 8), (1003, 16)):
        targets = Ragged.from_lists([[1] * int(length) for length in rng.integers(1, 40, n)])
        sources = Ragged.from_lists([[1] * int(length) for length in rng.integers(1, 40, n)])
        batches = bucketed(targets, sources, batch, seed=5)
        assert sorted(np.concatenate(batches).tolist()) == list(range(n))
        assert len(batches) == -(-n // batch)
        again, other = bucketed(targets, sources, batch, seed=5), bucketed(targets, sources, batch, seed=6)
        assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
        assert n == 1 or not np.array_equal(np.concatenate(batches), np.concatenate(other))
    spread = np.mean([np.ptp(targets.lengths[rows]) for rows in batches])
    assert spread < 4


def test_batches_are_shifted_and_padded():
    corpus = conditional_corpus(10, words=3)
    split = corpus.splits["train"]
    batch = Collator.of(corpus).batch(split.targets, split.sources, torch.device("cpu"))
    for row in range(10):
        target, source = split.targets[row].tolist(), split.sources[row].tolist()
        assert batch.targets[row][batch.inside[row]].tolist() == target
        assert batch.inputs[row, : len(target)].tolist() == [corpus.vocab.bos, *target[:-1]]
        ids, lengths = batch.sources
        assert ids[row, : lengths[row]].tolist() == source
        assert set(ids[row, lengths[row] :].tolist()) <= {corpus.source_vocab.pad}


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize(
    ("task", "kind"),
    [(name, "free") for name in ("oracle", "poetry", "speech", "captions")]
    + [(name, "conditional") for name in ("translation", "summarization", "dialogue")],
)
def test_budgets_are_valid_and_buildable(budget, task, kind):
    settings = MLEConfig(**MLE.preset(budget, task, kind))
    corpus = free_corpus(4) if kind == "free" else conditional_corpus(4)
    if budget == "paper" and kind == "conditional":  # hundreds of MiB: the sizes are right, the network is not made
        assert (settings.net.embedding, settings.net.hidden, settings.net.input_feeding) == (620, 1000, True)
        return
    generator = MLE(settings).build(corpus)
    assert len(generator.token_log_probs(corpus.splits["test"].targets, corpus.splits["test"].sources)) > 0
    assert budget in MLE_BUDGETS
