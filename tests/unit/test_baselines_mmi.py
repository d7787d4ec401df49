"""MMI: the list of candidates, their scores, and that the best is what comes out."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import CannotDecode, Decoding
from baselines.decoding import Limits, beam_search, n_best
from baselines.merging import merge
from baselines.mle import MLE
from baselines.mmi import MMI, MMIConfig, Reranker, best_of, given, swapped
from baselines.nets.attention import AttentionSeq2Seq
from baselines.nets.lstm import RecurrentNet, initialise
from baselines.neural import NeuralGenerator
from baselines.training.mle import MLE_BUDGETS, MLEConfig
from tasks.base import Corpus, Ragged, Split
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import ToyCodec, conditional_corpus, free_corpus, vocabulary

NET = {"embedding": 8, "hidden": 8, "encoder": 6, "attention": 6, "readout": 8, "dropout": 0.2}
TINY: dict[str, Any] = {"mle": {"net": NET, "epochs": 1}, "backward": {"net": NET, "epochs": 1}, "size": 4}
CORPUS = conditional_corpus(60)


def tiny(**settings: Any) -> MMI:
    return MMI(MMIConfig.model_validate(merge(TINY, settings)))


def random_reranker(corpus: Corpus = CORPUS, **settings: Any) -> Reranker:
    """Both networks of random weights, far from uniform."""
    generator = tiny(**settings).build(corpus)
    for i, net in enumerate((generator.net, generator.inverse.net)):
        assert isinstance(net, RecurrentNet)
        initialise(net, "uniform", 1.0, torch.Generator().manual_seed(fresh_seed() + i))
    return generator


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(fresh_seed())


def rows(of: Ragged) -> list[list[int]]:
    return [of[i].tolist() for i in range(len(of))]


def talk() -> Corpus:
    """A corpus whose sources have turns; `2` parts them."""
    sources = Ragged.from_lists([[3, 4, 2, 5, 0], [6, 0], [3, 2, 2, 7, 8, 0], [2, 0], [4, 2, 0]] * 4)
    targets = Ragged.from_lists([[2, 3, 0], [4, 0], [5, 6, 7, 0], [0], [3, 0]] * 4)
    split = Split((), targets, sources)
    codec = ToyCodec(vocabulary(["<br>", *"abcdef"]), separator=2)
    return dataclasses.replace(CORPUS, splits=dict.fromkeys(("train", "valid", "test"), split), source_codec=codec)


def test_the_message_is_the_last_turn() -> None:
    corpus = talk()
    sources, config = corpus.splits["train"].sources, MMIConfig()
    assert sources is not None
    assert rows(given(sources, 2, config))[:5] == [[5, 0], [6, 0], [7, 8, 0], [0], [0]]
    assert rows(given(sources, 2, config.model_copy(update={"given_tokens": 2})))[2] == [7, 8]
    assert rows(given(sources, 2, config.model_copy(update={"given": "source"}))) == rows(sources)
    assert rows(given(sources, None, config)) == rows(sources)
    odd = Ragged.from_lists([[], [3, 2, 4], [], [5, 2], [2, 6]])
    assert rows(given(odd, 2, config)) == [[], [4], [], [], [6]]
    assert rows(given(Ragged.from_lists([[], []]), 2, config)) == [[], []]


def test_swapped_pairs_are_the_messages_and_what_answers_them() -> None:
    turned = swapped(talk(), MMIConfig())
    train = turned.splits["train"]
    assert train.sources is not None
    assert rows(train.targets)[:3] == [[5, 0], [6, 0], [7, 8, 0]]
    assert rows(train.sources)[:3] == [[2, 3, 0], [4, 0], [5, 6, 7, 0]]
    assert turned.vocab.size == 9
    assert turned.max_target_length == 3
    assert set(turned.splits) == {"train", "valid"}  # test is never read


def test_of_equal_scores_the_first_is_taken_and_order_does_not_matter() -> None:
    scores, owner = np.array([1.0, -2.0, 3.0, 3.0, -1.0, -1.5]), np.array([1, 0, 1, 1, 2, 2])
    assert best_of(scores, owner).tolist() == [1, 2, 4]


@pytest.mark.parametrize("settings", [{}, {"backward_weight": 0.0}, {"length_weight": 0.7, "backward_weight": 1.3}])
def test_scores_are_the_sum_of_both_log_probabilities_and_the_length(settings: dict[str, Any]) -> None:
    """Against each pair alone; a candidate's neighbours don't matter."""
    corpus, config = talk(), MMIConfig.model_validate(merge(TINY, settings))
    generator = random_reranker(corpus, **settings)
    split = corpus.splits["train"]
    assert split.sources is not None
    forward = np.add.reduceat(generator.token_log_probs(split.targets, split.sources), split.targets.offsets[:-1])
    found = generator.scores(split.targets, split.sources, forward)
    told = given(split.sources, 2, config)
    for i in range(5):
        one = (split.targets.take([i]), split.sources.take([i]), told.take([i]))
        expected = generator.token_log_probs(one[0], one[1]).sum()
        expected += config.backward_weight * generator.inverse.token_log_probs(one[2], one[0]).sum()
        expected += config.length_weight * len(split.targets[i])
        assert found[i] == pytest.approx(expected, abs=1e-4)


def every_sequence(vocab: int, longest: int) -> list[list[int]]:
    """All that a model with `</s>` = 0 can emit."""
    ended = [[*body, 0] for n in range(longest) for body in itertools.product(range(1, vocab), repeat=n)]
    return ended + [list(body) for body in itertools.product(range(1, vocab), repeat=longest)]


def test_a_wide_enough_list_is_all_there_is_by_log_probability() -> None:
    torch.manual_seed(fresh_seed())
    net = AttentionSeq2Seq(6, 3, 4, 5, encoder=3, attention=3, readout=4).double().eval()
    initialise(net, "uniform", 1.5, torch.Generator().manual_seed(fresh_seed()))
    net.double()
    sources, lengths = torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([3, 1])
    every = every_sequence(3, 4)
    with torch.no_grad():
        memory = net.encode(sources, lengths)
        listed = n_best(net, memory, 2, Limits(3, 0, 4), 40)
        for source in range(2):
            mine = tuple(part[source : source + 1] for part in memory)
            worth = {}
            for row in every:
                logits = net.output(net(torch.tensor([[3, *row[:-1]]]), mine)).log_softmax(-1)[0]
                worth[tuple(row)] = float(sum(logits[t, token] for t, token in enumerate(row)))
            best = sorted(worth, key=lambda row: -worth[row])[:40]
            own = np.flatnonzero(listed.owner == source)
            texts = [tuple(listed.ids[i].tolist()) for i in own]
            assert [worth[row] for row in texts] == pytest.approx([worth[row] for row in best], abs=1e-9)
            assert listed.log_probs[own] == pytest.approx([worth[row] for row in texts], abs=1e-9)
            assert len(set(texts)) == len(texts) == min(40, len(every))
    assert listed.owner.tolist() == sorted(listed.owner.tolist())


@pytest.mark.parametrize("size", [1, 2, 5])
def test_lists_hold_no_double_and_the_best_that_beam_search_finds(size: int) -> None:
    """Log-probabilities fall along a list; its first is at least as probable as the beam's choice without penalty."""
    generator = random_reranker()
    sources = CORPUS.splits["test"].sources
    assert sources is not None
    net = generator.net.eval()
    with torch.no_grad():
        memory = net.encode(*generator.collator.sources(sources, generator.device))
        listed = n_best(net, memory, len(sources), generator.limits, size)
        single = beam_search(net, memory, len(sources), generator.limits, size, 0.0)
    found, places = listed.ids, listed.owner
    worth = np.add.reduceat(generator.token_log_probs(found, sources.take(places)), found.offsets[:-1])
    np.testing.assert_allclose(listed.log_probs, worth, atol=1e-4)
    theirs = np.add.reduceat(generator.token_log_probs(single, sources), single.offsets[:-1])
    for source in range(len(sources)):
        mine = np.flatnonzero(places == source)
        assert 1 <= len(mine) <= size
        assert len({tuple(found[i].tolist()) for i in mine}) == len(mine)
        assert (np.diff(worth[mine]) <= 1e-4).all()
        assert worth[mine[0]] >= theirs[source] - 1e-4
        for i in mine:
            ids = found[i].tolist()
            assert 0 not in ids[:-1]
            assert ids[-1] == 0 or len(ids) == CORPUS.max_target_length


def test_lists_of_fixed_length_without_an_end() -> None:
    generator = random_reranker()
    sources = CORPUS.splits["test"].sources
    assert sources is not None
    net = generator.net.eval()
    with torch.no_grad():
        memory = net.encode(*generator.collator.sources(sources, generator.device))
    listed = n_best(net, memory, len(sources), Limits(generator.limits.bos, None, 3), 4)
    assert set(listed.ids.lengths.tolist()) == {3}
    assert np.bincount(listed.owner).tolist() == [4] * len(sources)


@pytest.mark.parametrize("text", ["greedy", "beam3@0.6", "sample@1", "greedy/no-unk"])
def test_what_comes_out_is_the_best_of_the_candidates_in_the_sources_order(text: str) -> None:
    generator = random_reranker()
    sources = CORPUS.splits["test"].sources
    assert sources is not None
    decoding = Decoding.parse(text)
    drawn = generator.generate(sources, decoding=decoding, rng=rng())
    listed = generator._candidates(sources, decoding, rng())
    found, owner = listed.ids, listed.owner
    assert len(found) <= len(sources) * {"beam3@0.6": 3}.get(text, 4)
    forward = np.add.reduceat(generator.token_log_probs(found, sources.take(owner)), found.offsets[:-1])
    np.testing.assert_allclose(listed.log_probs, forward, atol=1e-4)
    scores = generator.scores(found, sources.take(owner), listed.log_probs)
    for source in range(len(sources)):
        mine = np.flatnonzero(owner == source)
        assert drawn[source].tolist() == found[mine[scores[mine].argmax()]].tolist()
    if text.endswith("no-unk"):
        assert (drawn.flat != 1).all()
    again = generator.generate(sources, decoding=decoding, rng=rng())
    assert np.array_equal(drawn.flat, again.flat)
    assert len(generator.generate(sources.take([]), decoding=decoding, rng=rng())) == 0


def test_greedy_can_mean_the_best_of_samples() -> None:
    generator = random_reranker(candidates="sample")
    sources = CORPUS.splits["test"].sources
    assert sources is not None
    greedy, sampled = (
        generator.generate(sources, decoding=Decoding(how), rng=rng())  # type: ignore[arg-type]
        for how in ("greedy", "sample")
    )
    assert np.array_equal(greedy.flat, sampled.flat)


def test_without_a_say_the_backward_network_changes_nothing() -> None:
    """lambda = 0 takes the most probable of the list; another lambda something else somewhere."""
    plain, heard = random_reranker(backward_weight=0.0), random_reranker(backward_weight=50.0)
    sources = CORPUS.splits["test"].sources
    assert sources is not None
    drawn = plain.generate(sources, decoding=Decoding("greedy"), rng=rng())
    listed = plain._candidates(sources, Decoding("greedy"), rng())
    first = listed.ids.take(np.array([np.flatnonzero(listed.owner == i)[0] for i in range(len(sources))]))
    worth = [np.add.reduceat(plain.token_log_probs(x, sources), x.offsets[:-1]) for x in (drawn, first)]
    np.testing.assert_allclose(worth[0], worth[1], atol=1e-4)
    other = heard.generate(sources, decoding=Decoding("greedy"), rng=rng())
    assert rows(other) != rows(drawn)


def test_what_it_cannot_decode_is_told() -> None:
    generator = random_reranker()
    sources = CORPUS.splits["test"].sources
    assert sources is not None
    with pytest.raises(CannotDecode):
        generator.generate(sources, decoding=Decoding("beam", beam_size=2, coverage=0.2), rng=rng())


def test_both_networks_are_pretrained_and_saved_and_the_likelihood_is_the_forward_one() -> None:
    run = FakeRun()
    generator = tiny().fit(CORPUS, run)
    assert len(run.saved.pretrained) == 2
    spec = tiny().pretraining(CORPUS)
    assert spec == MLE(MLEConfig.model_validate(TINY["mle"])).pretraining(CORPUS)
    forward, backward = run.saved.pretrained.values()
    state = generator.state_dict()
    assert all(torch.equal(state[f"net.{name}"], value) for name, value in forward.items())
    assert all(torch.equal(state[f"inverse.net.{name}"], value) for name, value in backward.items())
    assert len(state) == len(forward) + len(backward)
    before = torch.get_rng_state()
    loaded = tiny().build(CORPUS)
    assert torch.equal(before, torch.get_rng_state())
    loaded.load_state_dict(copy.deepcopy(state))
    test = CORPUS.splits["test"]
    plain = NeuralGenerator(generator.net, CORPUS)
    expected = plain.token_log_probs(test.targets, test.sources)
    assert np.array_equal(loaded.token_log_probs(test.targets, test.sources), expected)


def test_the_backward_network_depends_on_what_it_is_given() -> None:
    """The same settings for both directions, or other messages, are other pre-trainings."""
    run = FakeRun()
    for settings in ({}, {"given_tokens": 2}, {"size": 9, "backward_weight": 0.1}):
        tiny(**settings).fit(CORPUS, run)
    assert len(run.saved.pretrained) == 3  # forward, and backward of two kinds: what reranks is none of its business


@pytest.mark.slow
def test_interrupted_anywhere_it_ends_the_same_to_the_bit() -> None:
    whole = FakeRun(save=False)
    expected = tiny().fit(CORPUS, whole).state_dict()
    for place in range(1, whole.safe_points + 1):
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny().fit(CORPUS, FakeRun(saved=saved, stop_at=place, save=False))
        resumed = tiny().fit(CORPUS, FakeRun(saved=saved)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place


def test_what_is_not_supported_is_told() -> None:
    assert "sources" in (MMI().supports(free_corpus(20)) or "")
    assert MMI().supports(CORPUS) is None


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["translation", "summarization", "dialogue"])
def test_presets_are_valid_and_share_the_pretraining_of_mle(budget: str, task: str) -> None:
    config = MMIConfig.model_validate(MMI.preset(budget, task, "conditional"))
    mle: dict[str, Any] = {}
    for key in (budget, f"{budget}/conditional", f"{budget}/{task}"):
        mle = merge(mle, MLE_BUDGETS.get(key, {}))
    assert config.mle == MLEConfig.model_validate(mle)
    assert config.backward.net == config.mle.net
    if budget == "paper":
        assert (config.size, config.backward_weight, config.given) == (200, 0.5, "message")
        assert config.backward == config.mle


@pytest.mark.slow
def test_reranking_tells_more_of_the_source_than_the_first_candidate() -> None:
    """Trained on both directions, the outputs are those from which the sources are read most easily."""
    corpus = conditional_corpus(600)
    net = {"embedding": 16, "hidden": 24, "encoder": 16, "attention": 16, "readout": 16, "dropout": 0.0}
    stage = {"net": net, "epochs": 10, "learning_rate": 0.01}
    method = MMI(MMIConfig.model_validate({"mle": stage, "backward": stage, "size": 6}))
    generator = method.fit(corpus, FakeRun(save=False))
    split = corpus.splits["test"]
    assert split.sources is not None
    plain = NeuralGenerator(generator.net, corpus)
    first = plain.generate(split.sources, decoding=Decoding("greedy"), rng=rng())
    chosen = generator.generate(split.sources, decoding=Decoding("greedy"), rng=rng())
    right = [np.mean([a == b for a, b in zip(rows(x), rows(split.targets), strict=True)]) for x in (first, chosen)]
    told = [generator.inverse.token_log_probs(split.sources, x).mean() for x in (first, chosen)]
    assert told[1] > told[0]
    assert right[1] > right[0], right
