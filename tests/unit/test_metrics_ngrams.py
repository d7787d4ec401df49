"""The counting engine against brute force: every pair of sentences compared, every n-gram counted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction
from nltk.translate.bleu_score import sentence_bleu as nltk_bleu

from metrics.bleu import sentence_bleu
from metrics.ngrams import Encoder, _sort, distinct, item_matches, others_matches, pool_matches
from tests.fresh import fresh_seed

ORDERS = 5
sentence = st.lists(st.sampled_from("abc"), max_size=9)
corpus = st.lists(sentence, min_size=1, max_size=7)


def grams(tokens, n):
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def brute(hypothesis, references):
    """Clipped matches by order, and the closest length with ties to the shorter."""
    counts = []
    for n in range(1, ORDERS + 1):
        held = [grams(reference, n) for reference in references]
        counts.append(sum(min(c, max(h[gram] for h in held)) for gram, c in grams(hypothesis, n).items()))
    closest = min((abs(len(r) - len(hypothesis)), len(r)) for r in references)[1]
    return counts, closest


def assert_same(matches, hypotheses, references_of):
    for i, hypothesis in enumerate(hypotheses):
        counts, closest = brute(hypothesis, references_of(i))
        assert matches.counts[i].tolist() == counts
        assert matches.closest[i] == closest
        assert matches.lengths[i] == len(hypothesis)


@settings(deadline=None)
@given(corpus, corpus)
def test_pool(hypotheses, references):
    encoder = Encoder()
    matches = pool_matches(encoder.encode(hypotheses), encoder.encode(references), ORDERS)
    assert_same(matches, hypotheses, lambda i: references)


@settings(deadline=None)
@given(st.lists(sentence, min_size=2, max_size=9))
def test_others(sentences):
    matches = others_matches(Encoder().encode(sentences), ORDERS)
    assert_same(matches, sentences, lambda i: sentences[:i] + sentences[i + 1 :])


@settings(deadline=None)
@given(st.lists(st.tuples(sentence, st.lists(sentence, min_size=1, max_size=4)), min_size=1, max_size=6))
def test_items_see_only_their_own_references(items):
    hypotheses, references = [h for h, _ in items], [r for _, own in items for r in own]
    owner = np.repeat(np.arange(len(items)), [len(own) for _, own in items])
    encoder = Encoder()
    matches = item_matches(encoder.encode(hypotheses), encoder.encode(references), owner, ORDERS)
    assert_same(matches, hypotheses, lambda i: items[i][1])


@pytest.mark.parametrize("seed", range(3))
def test_zipf_text_with_duplicates_and_lengths_that_occur_once(seed):
    rng = np.random.default_rng(seed)
    lengths = [*rng.integers(0, 25, 40).tolist(), 57, 81]
    sentences = [[str(t) for t in np.minimum(rng.zipf(1.4, size), 60)] for size in lengths]
    sentences += sentences[:4]
    half = len(sentences) // 2
    encoder = Encoder()
    first, second = sentences[:half], sentences[half:]
    assert_same(others_matches(encoder.encode(sentences)), sentences, lambda i: sentences[:i] + sentences[i + 1 :])
    assert_same(pool_matches(encoder.encode(first), encoder.encode(second)), first, lambda i: second)


@pytest.mark.parametrize("place", ["shortest", "between", "longest"])
def test_self_bleu_of_a_sentence_whose_length_no_other_has_is_nltks(place):
    """fast-bleu 0.0.90 goes wrong there: 4 words among others of 9 get no penalty, where NLTK has exp(1 - 9/4)."""
    rng = np.random.default_rng([fresh_seed(), len(place)])
    lengths = {"shortest": [4, 9, 9, 12], "between": [3, 3, 7, 12, 12], "longest": [5, 5, 8, 8, 15]}[place]
    sentences = [[str(t) for t in np.minimum(rng.zipf(1.5, size), 9)] for size in lengths]
    matches = others_matches(Encoder().encode(sentences))
    for n in range(2, 6):
        for i, found in enumerate(sentence_bleu(matches, n)):
            others = sentences[:i] + sentences[i + 1 :]
            assert found == pytest.approx(
                nltk_bleu(others, sentences[i], (1 / n,) * n, SmoothingFunction().method1), abs=1e-12
            )


@pytest.mark.parametrize("wide", [False, True])
@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_both_ways_of_sorting(wide, small):
    """Keys that leave no room for the position in 63 bits are sorted by index."""
    keys = np.array(small, dtype=np.int64) + (2**61 if wide else 0)
    positions = np.arange(len(keys)) * 3
    expected = sorted(zip(keys.tolist(), positions.tolist(), strict=True))
    assert list(zip(*(part.tolist() for part in _sort(keys, positions)), strict=True)) == expected


def test_nothing_at_all():
    encoder = Encoder()
    empty = encoder.encode([[], []])
    assert others_matches(empty).counts.sum() == 0
    assert pool_matches(empty, encoder.encode([[]])).counts.shape == (2, 5)
    assert distinct(empty, 2) == (0, 0)


@settings(deadline=None)
@given(corpus, st.integers(1, 4))
def test_distinct(sentences, n):
    every = Counter()
    for tokens in sentences:
        every.update(grams(tokens, n))
    assert distinct(Encoder().encode(sentences), n) == (len(every), sum(every.values()))


@settings(deadline=None)
@given(corpus)
def test_row_keys_are_equal_where_sentences_are(sentences):
    keys = Encoder().encode(sentences).row_keys()
    for i, one in enumerate(sentences):
        for j, other in enumerate(sentences):
            assert (keys[i] == keys[j]) == (one == other)


def test_one_encoder_numbers_all_its_texts_alike():
    encoder = Encoder()
    first, second = encoder.encode([["a", "b"]]), encoder.encode([["b", "c", "a"]])
    assert first.flat.tolist() == [0, 1]
    assert second.flat.tolist() == [1, 2, 0]
