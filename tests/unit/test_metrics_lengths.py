"""Distance of lengths against SciPy, and unknown words counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from metrics import Material, score

lengths = st.lists(st.integers(0, 30), min_size=1, max_size=20)


def distance(ours, theirs):
    lines = [["x " * n for n in side] for side in (ours, theirs)]
    return score(Material(*lines, tokens="space"), ["length-distance"])[0].value


@settings(deadline=None)
@given(lengths, lengths)
def test_distance_is_scipys(ours, theirs):
    assert distance(ours, theirs) == pytest.approx(wasserstein_distance(ours, theirs), abs=1e-12)
    assert distance(ours, theirs) == distance(theirs, ours) == distance(ours[::-1], theirs)


def test_distance_extremes():
    assert distance([3, 1, 2], [1, 2, 3]) == 0
    assert distance([5, 5], [2]) == 3
    assert distance([0], [0]) == 0
    assert distance([1, 3], [2, 2]) == 1  # the same mean length, another distribution


def test_distance_of_items_and_reasons():
    (items,) = score(Material(["a b", "c"], references_by_item=[["a", "b c d"], ["e"]]), ["length-distance"])
    assert items.value == pytest.approx(wasserstein_distance([2, 1], [1, 3, 1]))
    assert items.signature == "length-distance|hyps:2|refs:1-2/item|tok:nltk-lower|v:1"
    assert (items.stats, items.higher_is_better) == (None, False)
    assert score(Material(["a"]), ["length-distance"])[0].reason == "no references given"
    assert score(Material(["a"], []), ["length-distance"])[0].reason == "no references given"
    assert score(Material([], ["a"]), ["length-distance"])[0].reason == "samples: empty"
    empty = score(Material(["a"], references_by_item=[[]]), ["length-distance"])[0]
    assert (empty.reason, np.isnan(empty.value)) == ("the items have no references", True)


@pytest.mark.parametrize("tokens", ["nltk-lower", "nltk", "space"])
def test_unknown_words_count_as_one_token_each(tokens):
    material = Material(["a <unk> b <unk> .", "a b c .", "", "<unk>"], tokens=tokens)
    (result,) = score(material, ["unk"])
    assert result.stats.tolist() == [[2, 5], [0, 4], [0, 0], [1, 1]]
    assert result.value == pytest.approx(3 / 10)
    assert result.signature == f"unk|hyps:4|marks:<unk>,〓|tok:{tokens}|v:1"


def test_unknown_characters():
    material = Material(["床〓明月〓", "〓", "白日"], tokens="char")
    assert score(material, ["unk"])[0].stats.tolist() == [[2, 5], [1, 1], [0, 2]]


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "<unk>", "〓", "it", "."]), max_size=9), min_size=1, max_size=5))
def test_unknown_by_counting(samples):
    marks = [[sum(w in ("<unk>", "〓") for w in sample), len(sample)] for sample in samples]
    for tokens in ("space", "nltk-lower"):
        # NLTK cuts a full stop inside a line only before its end or a blank, which is so here
        (result,) = score(Material([" ".join(s) for s in samples], tokens=tokens), ["unk"])
        assert result.stats.tolist() == marks


def test_unknown_extremes():
    assert score(Material(["<unk> <unk>"]), ["unk"])[0].value == 1
    assert score(Material(["a cat"]), ["unk"])[0].value == 0
    assert score(Material([""]), ["unk"])[0].reason == "no sample has a token"
    assert score(Material(["a cat"]), ["unk"])[0].higher_is_better is False
