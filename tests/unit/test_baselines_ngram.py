"""The n-gram baseline: exact by the formulas, summing to one over the corpus's ids, drawn right at any temperature."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from baselines.ngram import Ngram, NgramConfig, NgramGenerator, Sampler
from metrics.kneser_ney import KneserNey, train
from metrics.ngrams import Sentences
from tasks.base import Corpus, Ragged, Split, Vocabulary
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import ToyCodec, _corpus, conditional_corpus, free_corpus

TINY: dict[str, Any] = {"order": 3}

START = "<s>"


def random_corpus(kind: str, lines: int = 40, words: int = 6) -> Corpus:
    """`ends`: lengths vary, some lines are cut; `fixed`: no `</s>` in the text; `synthetic`: none in the vocabulary."""
    rng = np.random.default_rng(fresh_seed())
    if kind == "synthetic":
        vocab = Vocabulary(tuple(map(str, range(words))), None, None)
    elif kind == "fixed":
        vocab = Vocabulary(("</s>", "<unk>", *"abcdef"[: words - 2]))
    else:  # `</s>` need not be the first
        vocab = Vocabulary(("a", "b", "</s>", *"cdef"[: words - 3]), 2, 0)
    usual = [token for token in range(words) if token != vocab.eos]
    weights = 1 / np.arange(1, len(usual) + 1) ** 1.5

    def line() -> list[int]:
        length = 5 if kind != "ends" else int(rng.integers(0, 7))
        tokens = rng.choice(usual, length, p=weights / weights.sum()).tolist()
        return tokens if kind != "ends" or length == 6 else [*tokens, vocab.eos]

    splits = {name: Split((), Ragged.from_lists([line() for _ in range(lines)])) for name in ("train", "valid", "test")}
    corpus = _corpus("free", ToyCodec(vocab), None, splits, None if kind == "ends" else 5)
    return dataclasses.replace(corpus, max_target_length=6 if kind == "ends" else 5)


def learnt(corpus: Corpus, order: int = 4) -> NgramGenerator:
    return Ngram(NgramConfig(order=order)).fit(corpus, FakeRun())


def plain(corpus: Corpus, order: int, history: tuple[Any, ...]) -> npt.NDArray[np.float64]:
    """P of every id of the corpus after a history, from the formulas of Chen and Goodman, in the corpus's own ids."""
    lines = [[START, *map(int, corpus.splits["train"].targets[i])] for i in range(len(corpus.splits["train"]))]
    skipped = {corpus.vocab.eos} if corpus.fixed_length else set()
    symbols = [token for token in range(corpus.vocab.size) if token not in skipped]
    chance = np.array([1 / len(symbols) if token in symbols else 0.0 for token in range(corpus.vocab.size)])
    for n in range(1, order + 1):
        if n - 1 > len(history):
            break
        grams = [tuple(line[i : i + n]) for line in lines for i in range(len(line) - n + 1)]
        longer = {tuple(line[i : i + n + 1]) for line in lines for i in range(len(line) - n)}
        count = {}
        for gram in set(grams) - {(START,)}:
            before = {other[0] for other in longer if other[1:] == gram}
            count[gram] = grams.count(gram) if n == order or gram[0] == START else len(before)
        of = [sum(c == k for c in count.values()) for k in range(5)]
        off = [0, 0.75, 0.75, 0.75]
        if of[1] and of[2] and of[3]:
            y = of[1] / (of[1] + 2 * of[2])
            three = [k - (k + 1) * y * of[k + 1] / of[k] for k in (1, 2, 3)]
            off = [0, *three] if min(three) > 0 else off
        follow = {g[-1]: c for g, c in count.items() if g[:-1] == tuple(history[len(history) - n + 1 :])}
        if total := sum(follow.values()):
            chance = chance * sum(off[min(c, 3)] for c in follow.values()) / total
            for token, c in follow.items():
                chance[token] += (c - off[min(c, 3)]) / total
    return chance


@pytest.mark.parametrize("kind", ["ends", "fixed", "synthetic"])
@pytest.mark.parametrize("order", [1, 3, 4])
def test_likelihood_is_that_of_the_formulas_and_sums_to_one(kind: str, order: int) -> None:
    corpus = random_corpus(kind)
    generator = learnt(corpus, order)
    targets = corpus.splits["test"].targets.take(range(8))
    found = generator.token_log_probs(targets)
    expected = []
    for row in range(len(targets)):
        tokens = tuple(map(int, targets[row]))
        for place, token in enumerate(tokens):
            chance = plain(corpus, order, (START, *tokens[:place]))
            assert chance.sum() == pytest.approx(1, abs=1e-12)
            expected.append(chance[token])
            every = Ragged.from_lists([[*tokens[:place], other] for other in range(corpus.vocab.size)])
            ours = np.exp(generator.token_log_probs(every).reshape(-1, place + 1)[:, -1])
            assert ours == pytest.approx(chance, abs=1e-12)
    assert found == pytest.approx(np.log(expected), abs=1e-10)


@pytest.mark.parametrize("kind", ["ends", "fixed"])
def test_the_end_has_mass_only_where_lengths_vary(kind: str) -> None:
    corpus = random_corpus(kind)
    generator = learnt(corpus)
    eos = corpus.vocab.eos
    log_prob = generator.token_log_probs(Ragged.from_lists([[eos]]))[0]
    samples = generator.sample(300, rng=torch.Generator().manual_seed(1))
    if kind == "fixed":
        assert log_prob == -np.inf
        assert (samples.lengths == 5).all()
        assert eos not in samples.flat
    else:
        assert np.isfinite(log_prob)
        last = samples.flat[samples.offsets[1:] - 1]
        assert ((last == eos) | (samples.lengths == 6)).all()
        assert (samples.flat == eos).sum() == (last == eos).sum()
        assert (last != eos).any()


def zipf_model(words: int = 60, lines: int = 300, order: int = 4) -> KneserNey:
    rng = np.random.default_rng(fresh_seed())
    weights = 1 / np.arange(1, words + 1)
    rows = [rng.choice(words, rng.integers(1, 9), p=weights / weights.sum()).tolist() for _ in range(lines)]
    ragged = Ragged.from_lists([[*row, words] for row in rows])
    return train(Sentences(ragged.flat, ragged.offsets), words, order, "given")


def some_histories(model: KneserNey, rows: int = 40, length: int = 4) -> npt.NDArray[np.int64]:
    """Histories of random words, of which long grams were seen, short ones, and none."""
    rng = np.random.default_rng(fresh_seed() + 1)
    histories = [model.beginnings(rows)]
    for _ in range(length):
        tokens = np.minimum(rng.zipf(1.3, rows) - 1, model.words - 1)
        histories.append(model.read(histories[-1], tokens))
    return np.concatenate(histories)


def test_distributions_are_those_that_score() -> None:
    model = zipf_model(words=12, lines=60)
    sentence = [3, 0, 1, 0, 5, 0, 1]
    history = model.beginnings(1)
    for place in range(len(sentence) + 1):
        every = Ragged.from_lists([[*sentence[:place], token] for token in range(model.symbols)])
        logs = model.log_probs(Sentences(every.flat, every.offsets)).reshape(-1, place + 1)[:, -1]
        assert model.distributions(history)[0] == pytest.approx(np.exp(logs), abs=1e-13)
        if place < len(sentence):
            history = model.read(history, np.array(sentence[place : place + 1]))


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 1.3, 5.0])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_draws_follow_the_tempered_distribution(temperature: float, order: int) -> None:
    """A fine grid of uniforms must hit each word as often as P ** (1 / T), over the whole vocabulary, says."""
    model = zipf_model(order=order)
    sampler = Sampler(model, temperature)
    histories = some_histories(model, rows=8)
    grid = 4000
    uniforms = np.tile((np.arange(grid) + 0.5) / grid, len(histories))
    tokens = sampler(np.repeat(histories, grid, 0), uniforms).reshape(len(histories), grid)
    expected = model.distributions(histories) ** (1 / temperature)
    expected /= expected.sum(1, keepdims=True)
    found = np.stack([np.bincount(row, minlength=model.symbols) / grid for row in tokens])
    assert found.shape == expected.shape
    # a word's uniforms are one interval, or none where it was not seen: at most a point of the grid off at each end
    assert np.abs(found - expected).max() <= 2 / grid + 1e-9


def test_equal_histories_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = zipf_model()
    histories = some_histories(model)
    uniforms = np.random.default_rng(fresh_seed()).random(len(histories))
    together = Sampler(model, 0.8)(histories, uniforms)
    alone = [Sampler(model, 0.8)(histories[i : i + 1], uniforms[i : i + 1])[0] for i in range(len(histories))]
    monkeypatch.setattr("baselines.ngram.STATES", 3)
    assert np.array_equal(together, alone)
    assert np.array_equal(together, Sampler(model, 0.8)(histories, uniforms))


@pytest.mark.parametrize("kind", ["ends", "fixed"])
def test_samples_are_as_frequent_as_their_likelihood(kind: str) -> None:
    corpus = random_corpus(kind, words=4)
    corpus = dataclasses.replace(corpus, max_target_length=3, fixed_length=3 if kind == "fixed" else None)
    generator = learnt(corpus)
    n = 40_000
    samples = generator.sample(n, rng=torch.Generator().manual_seed(fresh_seed()))
    found: dict[tuple[int, ...], int] = {}
    for row in range(n):
        key = tuple(map(int, samples[row]))
        found[key] = found.get(key, 0) + 1
    total = 0.0
    for tokens in itertools.chain.from_iterable(itertools.product(range(4), repeat=k) for k in (1, 2, 3)):
        ended = corpus.vocab.eos in tokens and kind == "ends"
        if (len(tokens) < 3 and not ended) or (ended and tokens.index(corpus.vocab.eos) != len(tokens) - 1):
            continue
        chance = np.exp(generator.token_log_probs(Ragged.from_lists([tokens])).sum())
        total += chance
        assert abs(found.get(tokens, 0) / n - chance) < 6 * np.sqrt(chance / n) + 1e-12
    assert total == pytest.approx(1, abs=1e-10)


def test_temperature_moves_the_likelihood_of_samples() -> None:
    generator = learnt(free_corpus(200))
    nll = []
    for temperature in (0.5, 1.0, 2.0):
        samples = generator.sample(500, temperature=temperature, rng=torch.Generator().manual_seed(0))
        nll.append(-generator.token_log_probs(samples).mean())
    assert nll[0] < nll[1] < nll[2]


@pytest.mark.parametrize("fixed_length", [None, 6])
def test_it_nears_the_entropy_and_beats_shorter_orders(fixed_length: int | None) -> None:
    corpus = free_corpus(800, fixed_length=fixed_length)
    test = corpus.splits["test"].targets
    lines = {order: -learnt(corpus, order).token_log_probs(test).sum() / len(test) for order in (1, 2, 4)}
    # 8 first letters, and 4 lengths where they vary: all else follows, but the length only from seven letters back
    entropy = np.log(8) + (0 if fixed_length else np.log(4))
    assert entropy - 0.15 < lines[4] < entropy + 0.7
    assert lines[4] <= lines[2] + 1e-9
    assert lines[2] < lines[1] - 1


def test_weights_come_back_and_empty_ones_are_uniform() -> None:
    corpus = random_corpus("ends")
    generator, other = learnt(corpus), Ngram(NgramConfig(order=2)).build(corpus)
    test = corpus.splits["test"].targets
    assert np.exp(other.token_log_probs(test)) == pytest.approx(1 / corpus.vocab.size)
    assert len(other.sample(5, rng=torch.Generator())) == 5
    state = generator.state_dict()
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    other.load_state_dict({name: value.clone() for name, value in state.items()})
    assert np.array_equal(generator.token_log_probs(test), other.token_log_probs(test))
    first, second = (g.sample(50, rng=torch.Generator().manual_seed(3)) for g in (generator, other))
    assert np.array_equal(first.flat, second.flat)


def test_interrupted_it_ends_the_same() -> None:
    corpus, saved = random_corpus("fixed"), Saved()
    method = Ngram(NgramConfig.model_validate(TINY))
    expected = method.fit(corpus, FakeRun()).state_dict()
    with pytest.raises(Interrupted):
        method.fit(corpus, FakeRun(saved=saved, stop_at=1))
    resumed = method.fit(corpus, FakeRun(saved=saved)).state_dict()
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_training_reads_train_alone() -> None:
    corpus = free_corpus(60)
    changed = dataclasses.replace(corpus, splits={**free_corpus(60, seed=7).splits, "train": corpus.splits["train"]})
    first, second = (learnt(c).state_dict() for c in (corpus, changed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_conditional_corpora_are_not_supported() -> None:
    assert "source" in (Ngram().supports(conditional_corpus(9)) or "")
    assert Ngram().supports(free_corpus(9)) is None


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["oracle", "poetry", "speech", "captions"])
def test_presets_are_valid(budget: str, task: str) -> None:
    assert NgramConfig.model_validate(Ngram.preset(budget, task, "free")).order == 5
