"""The feed-forward language model: the paper's formula, its window, one training, and that it learns."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import Diverged
from baselines.merging import merge
from baselines.nets.base import pick
from baselines.nets.feedforward import FeedForwardLanguageModel
from baselines.nnlm import NNLM, NNLMConfig
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus

TINY: dict[str, Any] = {"order": 4, "embedding": 6, "hidden": 8, "dropout": 0.2, "epochs": 2, "learning_rate": 1e-2}
CORPORA = {"free": free_corpus(60), "fixed": free_corpus(60, fixed_length=5)}


def tiny(**settings: Any) -> NNLM:
    return NNLM(NNLMConfig.model_validate(merge(TINY, settings)))


def a_net(order: int = 4, direct: bool = True, vocab: int = 7, **settings: Any) -> FeedForwardLanguageModel:
    net = FeedForwardLanguageModel(vocab, order, 3, 5, direct, **settings)
    net.initialise(torch.Generator().manual_seed(fresh_seed()))
    with torch.no_grad():  # biases count too
        net.hidden.bias.normal_()
        net.output.bias.normal_()
    return net.double()


def inputs(rows: int = 6, time: int = 8, vocab: int = 7) -> torch.Tensor:
    rng = torch.Generator().manual_seed(fresh_seed())
    return torch.cat([torch.full((rows, 1), vocab), torch.randint(vocab, (rows, time - 1), generator=rng)], 1)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("order", [2, 3, 6])
def test_probabilities_are_the_papers_formula(order: int, direct: bool) -> None:
    """y = b + W x + U tanh(d + H x), token by token, with `bos` before the sentence."""
    net, ids = a_net(order, direct), inputs()
    found = net.output(net(ids)).log_softmax(2)
    u = net.output.weight[:, :5]
    for row in ids.tolist():
        for place in range(len(row)):
            window = ([7] * order + row[: place + 1])[-(order - 1) :]
            x = torch.cat([net.embedding.weight[token] for token in window])
            y = net.output.bias + u @ torch.tanh(net.hidden.bias + net.hidden.weight @ x)
            if direct:
                y = y + net.output.weight[:, 5:] @ x
            expected = (y - y.exp().sum().log()).detach().numpy()
            assert found[ids.tolist().index(row), place].detach().numpy() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("order", [2, 5])
def test_steps_are_teacher_forcing(order: int) -> None:
    net, ids = a_net(order), inputs()
    features, (windows,) = net.states(ids, ())
    assert torch.allclose(features, net(ids), atol=1e-12)
    assert windows.shape == (ids.shape[1], len(ids), order - 1)
    # rows can be picked, and gone on from
    rows = torch.tensor([4, 1, 1])
    feature, _ = net.step(ids[rows, 3], pick((windows[2],), rows))
    assert torch.allclose(feature, features[rows, 3], atol=1e-12)


def test_what_is_further_back_than_the_window_changes_nothing() -> None:
    net, ids = a_net(order=4), inputs()
    other = ids.clone()
    other[:, 1] = (other[:, 1] + 1) % 7
    same = (net(ids) == net(other)).all(2).all(0)
    assert same.tolist() == [True, False, False, False, True, True, True, True]


def test_padding_gives_no_gradient() -> None:
    corpus = CORPORA["free"]
    generator = tiny(epochs=1, dropout=0.0).fit(corpus, FakeRun())
    before = tiny().build(corpus)
    before.net.initialise(FakeRun().rng("init"))
    changed = (generator.net.embedding.weight != before.net.embedding.weight).any(1)
    assert changed[corpus.vocab.bos]
    assert not changed[corpus.vocab.pad]


@pytest.mark.slow
@pytest.mark.parametrize("kind", CORPORA)
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(kind: str) -> None:
    corpus, whole = CORPORA[kind], FakeRun(save=False)
    method = tiny(batch=20)
    expected = method.fit(corpus, whole).state_dict()
    assert whole.safe_points == 6
    for place in (2, 3, 4):
        saved = Saved()
        with pytest.raises(Interrupted):
            method.fit(corpus, FakeRun(saved=saved, stop_at=place, save=False))
        resumed = method.fit(corpus, FakeRun(saved=saved)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place


def test_building_leaves_the_global_stream_alone_and_seeds_part_the_weights() -> None:
    corpus = CORPORA["free"]
    before = torch.get_rng_state()
    tiny().build(corpus)
    assert torch.equal(before, torch.get_rng_state())
    first, again, other = (tiny().fit(corpus, FakeRun(seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["net.output.weight"], other["net.output.weight"])


def test_training_never_reads_test() -> None:
    corpus = CORPORA["free"]
    splits = {**corpus.splits, "test": free_corpus(60, seed=7).splits["test"]}
    first, second = (
        tiny().fit(c, FakeRun()).state_dict() for c in (corpus, dataclasses.replace(corpus, splits=splits))
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(learning_rate=1e38, clip=1e30).fit(CORPORA["free"], FakeRun())


def test_conditional_corpora_are_not_supported() -> None:
    assert "source" in (NNLM().supports(conditional_corpus(9)) or "")
    assert NNLM().supports(CORPORA["free"]) is None


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["oracle", "poetry", "speech", "captions"])
def test_presets_are_valid_and_paper_is_the_papers(budget: str, task: str) -> None:
    config = NNLMConfig.model_validate(NNLM.preset(budget, task, "free"))
    assert len(NNLM(config).build(CORPORA["free"]).sample(2, rng=torch.Generator())) == 2
    if budget == "paper":
        assert (config.order, config.embedding, config.hidden, config.direct) == (5, 60, 50, True)
    assert config.training.epochs == config.epochs
    assert config.training.learning_rate == config.learning_rate


@pytest.mark.slow
@pytest.mark.parametrize("fixed_length", [None, 6])
@pytest.mark.parametrize("direct", [False, True])
def test_it_learns_and_a_longer_window_knows_more(fixed_length: int | None, direct: bool) -> None:
    corpus = free_corpus(600, fixed_length=fixed_length)
    test = corpus.splits["test"].targets
    nll = {}
    for order in (2, 6):
        method = tiny(order=order, embedding=12, hidden=32, direct=direct, dropout=0.0, epochs=12)
        generator = method.fit(corpus, FakeRun(save=False))
        nll[order] = -generator.token_log_probs(test).sum() / len(test)
    start = method.build(corpus)
    start.net.initialise(FakeRun().rng("init"))
    assert nll[6] < -start.token_log_probs(test).sum() / len(test) - 3
    # 8 first letters, and 4 lengths where they vary: all else follows, lengths from where the line began
    entropy = np.log(8) + (0 if fixed_length else np.log(4))
    assert entropy - 0.15 < nll[6] < entropy + 0.35
    if not fixed_length:
        assert nll[6] < nll[2] - 0.1
