"""Runs found in other text against looking at every pair of texts, every start and every length."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import Material, score
from metrics.ngrams import Encoder
from metrics.novelty import runs_in
from tests.fresh import fresh_seed

COPIES = ["longest-copy", "copied-share-4", "copied-share-8"]
NOVEL = ["novel-1", "novel-2", "novel-3"]
sentence = st.lists(st.sampled_from("ab"), max_size=12)
corpus = st.lists(sentence, min_size=1, max_size=6)


def stands_in(gram, texts):
    return any(gram == text[i : i + len(gram)] for text in texts for i in range(len(text) - len(gram) + 1))


def brute_runs(samples, texts_of):
    """At each token of each sample, the longest run from there on that stands in one of its texts."""
    runs = []
    for i, sample in enumerate(samples):
        for start in range(len(sample)):
            lengths = range(1, len(sample) - start + 1)
            held = [n for n in lengths if stands_in(sample[start : start + n], texts_of(i))]
            runs.append(max(held, default=0))
    return runs


def brute_covered(sample, train, n):
    """How many tokens lie in an n-gram that is in train."""
    covered = set()
    for start in range(len(sample) - n + 1):
        if stands_in(sample[start : start + n], train):
            covered |= set(range(start, start + n))
    return len(covered)


@settings(deadline=None)
@given(corpus, corpus)
def test_runs(samples, train):
    encoder = Encoder()
    found = runs_in(encoder.encode(samples), encoder.encode(train))
    assert found.tolist() == brute_runs(samples, lambda i: train)


@settings(deadline=None)
@given(st.lists(st.tuples(sentence, st.lists(sentence, max_size=3)), min_size=1, max_size=5), st.integers(1, 5))
def test_runs_in_ones_own_texts_up_to_a_length(items, most):
    samples, owned = [item[0] for item in items], [item[1] for item in items]
    encoder = Encoder()
    others = encoder.encode([text for texts in owned for text in texts])
    owner = np.repeat(np.arange(len(items)), [len(texts) for texts in owned])
    found = runs_in(encoder.encode(samples), others, most, owner)
    assert found.tolist() == [min(most, run) for run in brute_runs(samples, lambda i: owned[i])]


@pytest.mark.slow
def test_runs_in_larger_text():
    """Few words and long texts: long runs, and more numbers than one sort's keys can hold."""
    rng = np.random.default_rng(fresh_seed())
    train = [rng.integers(0, 3, size=rng.integers(0, 60)).tolist() for _ in range(40)]
    pieces = [text[rng.integers(0, 9) :] for text in train[:10]]
    samples = [*pieces, *([[7, *piece, 7, *piece] for piece in pieces]), [], train[0] + train[1]]
    encoder = Encoder()
    found = runs_in(encoder.encode(samples), encoder.encode(train))
    assert found.tolist() == brute_runs(samples, lambda i: train)


@settings(deadline=None, max_examples=60)
@given(corpus, corpus)
def test_copies_by_looking(samples, train):
    material = Material([" ".join(s) for s in samples], train=[" ".join(t) for t in train], tokens="space")
    longest, four, eight = score(material, COPIES)
    runs = [max(brute_runs([sample], lambda i: train), default=0) for sample in samples]
    assert longest.stats.tolist() == [[run, 1] for run in runs]
    assert longest.value == pytest.approx(np.mean(runs))
    for result, n in ((four, 4), (eight, 8)):
        expected = [[brute_covered(sample, train, n), len(sample)] for sample in samples]
        assert result.stats.tolist() == expected
        total = np.sum(expected, axis=0)
        assert result.value == pytest.approx(total[0] / total[1] if total[1] else math.nan, nan_ok=True)


def test_no_run_reaches_over_the_end_of_a_text():
    material = Material(["a b c d e f g h"], train=["a b c d", "e f g h"], tokens="space")
    assert [r.value for r in score(material, COPIES)] == [4.0, 1.0, 0.0]
    turns = Material(["a b c"], sources=[["a b", "c"]], tokens="space")
    assert [r.stats.tolist() for r in score(turns, NOVEL)] == [[[0, 3]], [[1, 2]], [[1, 1]]]


def test_copies_of_train_have_the_extreme_values():
    lines = ["a dog ran over the wide green field .", "the cat sat on the mat and it slept ."]
    same = score(Material(lines, train=lines), COPIES)
    assert [r.value for r in same] == [9.5, 1.0, 1.0]
    other = score(Material(["x y z"], train=lines), COPIES)
    assert [r.value for r in other] == [0.0, 0.0, 0.0]


@settings(deadline=None)
@given(st.lists(st.tuples(sentence, st.lists(sentence, min_size=1, max_size=3)), min_size=1, max_size=5))
def test_novel_by_counting(items):
    material = Material(
        [" ".join(s) for s, _ in items], sources=[[" ".join(t) for t in texts] for _, texts in items], tokens="space"
    )
    for result, n in zip(score(material, NOVEL), (1, 2, 3), strict=True):
        expected = []
        for sample, own in items:
            grams = [sample[i : i + n] for i in range(len(sample) - n + 1)]
            expected.append([sum(not stands_in(gram, own) for gram in grams), len(grams)])
        assert result.stats.tolist() == expected


def test_novel_compares_with_the_own_source_only():
    swapped = Material(["a b", "c d"], sources=[["c d"], ["a b"]], tokens="space")
    assert [r.value for r in score(swapped, NOVEL[:2])] == [1.0, 1.0]
    own = Material(["a b", "c d"], sources=[["a b"], ["c d"]], tokens="space")
    assert [r.value for r in score(own, NOVEL[:2])] == [0.0, 0.0]


def test_every_occurrence_counts():
    material = Material(["x x x a"], sources=[["a"]], tokens="space")
    assert score(material, ["novel-1"])[0].stats.tolist() == [[3, 4]]


def test_chinese_characters():
    material = Material(["床前明月光"], train=["窗前明月光"], sources=[["明月 光"]], tokens="char")
    assert [r.value for r in score(material, [*COPIES, *NOVEL])] == [4.0, 0.8, 0.0, 0.4, 0.5, pytest.approx(2 / 3)]


def test_reasons():
    assert score(Material(["a"]), COPIES[:1])[0].reason == "no train given"
    assert score(Material(["a"]), NOVEL[:1])[0].reason == "no sources given"
    assert score(Material([], train=["a"]), COPIES[:1])[0].reason == "samples: empty"
    assert score(Material([""], train=["a"]), COPIES)[1].reason == "no sample has a token"
    assert score(Material([""], train=["a"]), COPIES)[0].value == 0
    assert score(Material(["a"], train=[""]), COPIES)[1].value == 0
    assert score(Material(["a"], sources=[["a"]]), NOVEL)[2].reason == "no sample has 3 tokens"
    assert score(Material(["a", "b"], sources=[["a"], []]), NOVEL)[0].reason == "item 1 has no source"
    assert score(Material(["a"], sources=[[""]]), NOVEL)[0].value == 1


@settings(deadline=None, max_examples=40)
@given(corpus, corpus, st.randoms())
def test_order_does_not_matter(samples, train, random):
    lines, known = [" ".join(s) for s in samples], [" ".join(t) for t in train]
    before = [r.value for r in score(Material(lines, train=known, tokens="space"), COPIES)]
    random.shuffle(lines)
    random.shuffle(known)
    after = [r.value for r in score(Material(lines, train=known, tokens="space"), COPIES)]
    assert before == pytest.approx(after, nan_ok=True)


def test_signatures():
    material = Material(["a b c"], train=["b", "c"], sources=[["a"]])
    assert [r.signature for r in score(material, [*COPIES[:2], NOVEL[1]])] == [
        "longest-copy|hyps:1|train:2|tok:nltk-lower|v:1",
        "copied-share-4|n:4|per:tokens|hyps:1|train:2|tok:nltk-lower|v:1",
        "novel-2|n:2|hyps:1|src:own|per:occurrences|tok:nltk-lower|v:1",
    ]


def test_time_grows_as_a_sort_does():
    """Comparing all pairs of these would take minutes."""
    rng = np.random.default_rng(fresh_seed())
    encoder = Encoder()
    train = encoder.encode(rng.zipf(1.3, size=(10000, 20)).clip(max=5000).tolist())
    samples = encoder.encode(rng.zipf(1.3, size=(1000, 20)).clip(max=5000).tolist())
    began = time.process_time()
    runs_in(samples, train)
    assert time.process_time() - began < 3
