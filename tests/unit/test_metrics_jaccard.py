"""MS-Jaccard against counting n-grams one by one."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import Material, MetricError, reduce, score
from tests.fresh import fresh_seed

NAMES = [f"ms-jaccard-{n}" for n in range(2, 6)]
text = st.lists(st.sampled_from("abc"), max_size=8)
corpus = st.lists(text, min_size=1, max_size=6)


def shares(texts, n):
    """Count of each n-gram, divided by the number of texts."""
    counts = Counter(tuple(t[i : i + n]) for t in texts for i in range(len(t) - n + 1))
    return {gram: Fraction(count, len(texts)) for gram, count in counts.items()}


def brute(samples, references, n):
    product = 1.0
    for order in range(1, n + 1):
        ours, theirs = shares(samples, order), shares(references, order)
        grams = ours.keys() | theirs.keys()
        if not grams:
            return math.nan
        less = sum(min(ours.get(g, 0), theirs.get(g, 0)) for g in grams)
        product *= less / sum(max(ours.get(g, 0), theirs.get(g, 0)) for g in grams)
    return product ** (1 / n)


def values(samples, references, tokens="space"):
    lines = [[" ".join(t) for t in side] for side in (samples, references)]
    return [r.value for r in score(Material(*lines, tokens=tokens), NAMES)]


@settings(deadline=None)
@given(corpus, corpus)
def test_by_counting(samples, references):
    expected = [brute(samples, references, n) for n in range(2, 6)]
    assert values(samples, references) == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_by_counting_in_larger_text():
    rng = np.random.default_rng(fresh_seed())
    sides = [[rng.choice(list("abcdefg"), size=rng.integers(0, 15)).tolist() for _ in range(n)] for n in (60, 41)]
    assert values(*sides) == pytest.approx([brute(*sides, n) for n in range(2, 6)], abs=1e-12)


def test_extremes():
    lines = [list("abcdef"), list("fedcba"), list("aaaaab")]
    assert values(lines, lines) == [1.0] * 4
    assert values(lines, lines * 3) == [1.0] * 4  # counts a text: how many texts there are makes no difference
    assert values(lines, [list("uvwxyz")]) == [0.0] * 4
    assert values([list("abcdef")], [list("ab")]) == pytest.approx([math.sqrt(2 / 6 * 1 / 5), 0, 0, 0])


def test_repeating_one_good_text_costs():
    references = [list("abcdef"), list("ghijkl"), list("mnopqr"), list("stuvwx")]
    varied = values(references, references)
    collapsed = values([references[0]] * 4, references)
    assert all(c < v for c, v in zip(collapsed, varied, strict=True))


def test_items_references_are_taken_together():
    pool = score(Material(["a b", "b c"], ["a b", "c", "b c"], tokens="space"), NAMES[:1])[0]
    items = score(Material(["a b", "b c"], references_by_item=[["a b", "c"], ["b c"]], tokens="space"), NAMES[:1])[0]
    assert items.value == pool.value
    assert items.signature == "ms-jaccard-2|n:2|hyps:2|refs:1-2/item|per:text|tok:space|v:1"
    assert pool.signature == "ms-jaccard-2|n:2|hyps:2|refs:3|per:text|tok:space|v:1"


def test_chinese_characters():
    (result,) = score(Material(["床前明月光"], ["窗前明月光"], tokens="char"), NAMES[:1])
    assert result.value == pytest.approx(math.sqrt(4 / 6 * 3 / 5))


def test_reasons():
    assert score(Material(["a"]), NAMES[:1])[0].reason == "no references given"
    assert score(Material([], ["a"]), NAMES[:1])[0].reason == "samples: empty"
    assert score(Material([""], [""]), NAMES[:1])[0].reason == "no text of either side has a token"
    assert score(Material(["a"], ["b c"]), NAMES)[1].reason == "no text of either side has 3 tokens"
    assert score(Material(["a"], references_by_item=[[]]), NAMES[:1])[0].reason == "no text of either side has a token"
    assert score(Material(["", "a b"], ["a b"], tokens="space"), NAMES[:1])[0].value == pytest.approx(0.5)


@settings(deadline=None, max_examples=40)
@given(corpus, corpus, st.randoms())
def test_order_does_not_matter(samples, references, random):
    before = values(samples, references)
    random.shuffle(samples)
    random.shuffle(references)
    assert np.array_equal(before, values(samples, references), equal_nan=True)


def test_it_is_a_property_of_the_set():
    (result,) = score(Material(["a b"], ["a b"]), NAMES[:1])
    assert result.stats is None
    assert result.higher_is_better is True
    with pytest.raises(MetricError, match="no sum over items gives it"):
        reduce(result.metric, np.ones(2))
