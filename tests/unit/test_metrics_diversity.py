"""Diversity, novelty and length against counting by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import Material, MetricError, reduce, score

NAMES = ["distinct-1", "distinct-2", "unique", "copied", "length", "empty"]
text = st.lists(st.sampled_from(["a", "b", "C", "c"]), max_size=5).map(" ".join)


@settings(deadline=None)
@given(st.lists(text, min_size=1, max_size=8), st.lists(text, min_size=1, max_size=4))
def test_by_counting(samples, train):
    tokens = [tuple(s.lower().split()) for s in samples]
    pairs = [pair for t in tokens for pair in pairwise(t)]
    words = [w for t in tokens for w in t]
    known = {tuple(s.lower().split()) for s in train}
    expected = [
        len(set(words)) / len(words) if words else math.nan,
        len(set(pairs)) / len(pairs) if pairs else math.nan,
        len(set(tokens)) / len(tokens),
        sum(t in known for t in tokens) / len(tokens),
        len(words) / len(tokens),
        tokens.count(()) / len(tokens),
    ]
    results = score(Material(samples, train=train), NAMES)
    assert [r.value for r in results] == pytest.approx(expected, nan_ok=True)


def test_a_gram_never_reaches_into_the_next_sample():
    assert score(Material(["a b", "c d"], tokens="space"), ["distinct-2"])[0].value == 1.0


def test_reasons():
    short = score(Material(["", "a"]), ["distinct-2", "distinct-1"])
    assert short[0].reason == "no sample has 2 tokens"
    assert short[1].value == 1.0
    assert score(Material([""]), ["distinct-1"])[0].reason == "no sample has a token"
    assert score(Material(["a"]), ["copied"])[0].reason == "no train given"
    assert all(r.reason == "samples: empty" for r in score(Material([], train=["a"]), NAMES))


def test_a_property_of_the_set_has_no_statistics():
    given_ = Material(["a b", "a b", "c"], train=["c"])
    for result in score(given_, ["distinct-1", "distinct-2", "unique"]):
        assert result.stats is None
        assert result.n == 3
        with pytest.raises(MetricError, match="no sum over items gives it"):
            reduce(result.metric, np.ones(2))
    (copied,) = score(given_, ["copied"])
    assert copied.stats.tolist() == [[0, 1], [0, 1], [1, 1]]


@settings(deadline=None)
@given(st.lists(text.filter(bool), min_size=1, max_size=6))
def test_a_duplicate_never_raises_diversity(samples):
    names = ["distinct-1", "unique"]
    before = [r.value for r in score(Material(samples), names)]
    after = [r.value for r in score(Material([*samples, samples[0]]), names)]
    assert all(b <= a + 1e-12 for a, b in zip(before, after, strict=True))


def test_length_ratio_takes_first_references():
    uneven = Material(["a b c", "a"], references_by_item=[["a b"], ["a b", "a b c d e"]])
    (result,) = score(uneven, ["length-ratio"])
    assert result.value == pytest.approx(4 / 4)
    assert result.stats.tolist() == [[3, 2], [1, 2]]
    assert (
        score(Material(["a"], references_by_item=[[""]]), ["length-ratio"])[0].reason == "the references have no tokens"
    )


def test_signatures():
    results = score(Material(["a"], train=["b", "c"]), NAMES)
    assert [r.signature for r in results] == [
        "distinct-1|n:1|hyps:1|per:ngrams|tok:nltk-lower|v:1",
        "distinct-2|n:2|hyps:1|per:ngrams|tok:nltk-lower|v:1",
        "unique|hyps:1|tok:nltk-lower|v:1",
        "copied|hyps:1|train:2|tok:nltk-lower|v:1",
        "length|hyps:1|tok:nltk-lower|v:1",
        "empty|hyps:1|tok:nltk-lower|v:1",
    ]
