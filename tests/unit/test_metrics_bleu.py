"""BLEU and Self-BLEU against NLTK's sentence_bleu, and what they say where there is nothing to compute."""

from __future__ import annotations

import math
import random
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from metrics import Material, Workspace, score
from metrics.bleu import Bleu
from metrics.self_bleu import SelfBleu

NAMES = [f"bleu-{n}" for n in range(2, 6)]
SELF = [f"self-{name}" for name in NAMES]
text = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8).map(" ".join)
pool = st.lists(text, min_size=1, max_size=6)


def nltk_bleu(references, hypothesis, n, smoothing="method1"):
    function = getattr(SmoothingFunction(), smoothing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sentence_bleu([r.split() for r in references], hypothesis.split(), (1 / n,) * n, function)


def values(material, names):
    return [s.value for s in score(material, names)]


@settings(deadline=None)
@given(pool, pool)
def test_bleu_against_a_pool_is_nltks(samples, references):
    expected = [np.mean([nltk_bleu(references, s, n) for s in samples]) for n in range(2, 6)]
    assert values(Material(samples, references, tokens="space"), NAMES) == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.tuples(text, st.lists(text, min_size=1, max_size=3)), min_size=1, max_size=5))
def test_bleu_against_own_references_is_nltks(items):
    samples, answers = [s for s, _ in items], [own for _, own in items]
    expected = [np.mean([nltk_bleu(own, s, n) for s, own in items]) for n in range(2, 6)]
    given_ = Material(samples, references_by_item=answers, tokens="space")
    assert values(given_, NAMES) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(st.lists(text, min_size=2, max_size=7))
def test_self_bleu_is_nltks_with_the_sample_left_out(samples):
    others = [samples[:i] + samples[i + 1 :] for i in range(len(samples))]
    expected = [np.mean([nltk_bleu(o, s, n) for s, o in zip(samples, others, strict=True)]) for n in range(2, 6)]
    assert values(Material(samples, tokens="space"), SELF) == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_random_corpora_word_by_word(seed):
    rng = random.Random(seed)
    vocabulary = [f"w{i}" for i in range(60)]

    def line():
        return " ".join(vocabulary[min(int(rng.paretovariate(0.8)), 59)] for _ in range(rng.randrange(25)))

    samples, references = [line() for _ in range(60)], [line() for _ in range(50)]
    samples += ["", "w1", samples[0], samples[0], " ".join(["w1"] * 70)]
    work = Workspace(Material(samples, references, tokens="space"))
    for n in range(2, 6):
        pooled, own = Bleu(f"bleu-{n}").values(work), SelfBleu(f"self-bleu-{n}").values(work)
        assert pooled == pytest.approx([nltk_bleu(references, s, n) for s in samples], abs=1e-9)
        left_out = [nltk_bleu(samples[:i] + samples[i + 1 :], s, n) for i, s in enumerate(samples)]
        assert own == pytest.approx(left_out, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(pool, pool, st.integers(2, 5))
def test_without_smoothing_an_order_without_match_gives_zero(samples, references, n):
    expected = np.mean([nltk_bleu(references, s, n, "method0") for s in samples])
    given_ = Material(samples, references, tokens="space")
    assert Bleu(f"bleu-{n}", smoothing="none").score(given_).value == pytest.approx(expected, abs=1e-9)


def test_a_sentence_whose_length_no_other_has():
    """Its nearest length is another sentence's, and of two as near the shorter: 3 of 3 and 7, for 5 tokens."""
    samples = ["a b c", "a b c d e", "a b c d e f g"]
    expected = nltk_bleu([samples[0], samples[2]], samples[1], 2)
    assert SelfBleu("self-bleu-2").values(Workspace(Material(samples, tokens="space")))[1] == pytest.approx(expected)
    assert expected == pytest.approx(1.0)  # longer than the nearest, so no penalty


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(["", ""], 0.0), (["a", "a"], 0.1**0.5), (["a b c d e f"] * 3, 1.0), (["a", "b"], 0.0), (["", "a b"], 0.0)],
)
def test_self_bleu_by_hand(samples, expected):
    # one word twice: precision 1 of order 1, and 0.1 / 1 of order 2, which does not exist
    assert values(Material(samples, tokens="space"), ["self-bleu-2"]) == pytest.approx([expected])


@settings(deadline=None)
@given(st.lists(text, min_size=2, max_size=7), st.randoms(use_true_random=False))
def test_order_of_samples_does_not_matter(samples, rng):
    shuffled = rng.sample(samples, len(samples))
    references = samples[: len(samples) // 2 + 1]
    names = [*NAMES, *SELF]
    one, other = (values(Material(s, references, tokens="space"), names) for s in (samples, shuffled))
    assert one == pytest.approx(other, abs=1e-12)


@pytest.mark.parametrize(
    ("material", "name", "reason"),
    [
        (Material(["a"], tokens="space"), "self-bleu-2", "one sample has no others"),
        (Material([], ["a"]), "bleu-2", "samples: empty"),
        (Material([]), "self-bleu-2", "samples: empty"),
        (Material(["a"]), "bleu-2", "no references given"),
        (Material(["a"], []), "bleu-2", "no references given"),
        (Material(["a", "b"], references_by_item=[["a"], []]), "bleu-2", "item 1 has no reference"),
    ],
)
def test_what_cannot_be_computed_is_nan_with_a_reason(material, name, reason):
    (result,) = score(material, [name])
    assert math.isnan(result.value)
    assert result.reason == reason
    assert result.stats is None
    assert result.n == 0


def test_signatures():
    free = Material(["a b"] * 3, ["a"] * 4, protocol={"T": "1", "data": "toy.v1#ab|c"})
    one, other = score(free, ["bleu-4", "self-bleu-2"])
    assert one.signature == "bleu-4|n:4|hyps:3|refs:4|smooth:m1|agg:sent-mean|tok:nltk-lower|T:1|data:toy.v1#ab%7Cc|v:1"
    assert other.signature.startswith("self-bleu-2|n:2|hyps:3|refs:others|smooth:m1|")
    uneven = Material(["a", "b"], references_by_item=[["a"], ["b", "c"]], tokens="char")
    assert (
        score(uneven, ["bleu-2"])[0].signature == "bleu-2|n:2|hyps:2|refs:1-2/item|smooth:m1|agg:sent-mean|tok:char|v:1"
    )
    even = Material(["a"], references_by_item=[["a", "b"]])
    assert "|refs:2/item|" in score(even, ["bleu-2"])[0].signature


def test_height_only_counts_where_an_item_has_its_own_answer():
    assert score(Material(["a"], ["a"]), ["bleu-2"])[0].higher_is_better is None
    assert score(Material(["a"], references_by_item=[["a"]]), ["bleu-2"])[0].higher_is_better is True


def test_statistics_give_the_value_of_any_resample():
    samples, references = ["a b c", "b", "c c a b", ""], ["a b", "c a b"]
    (result,) = score(Material(samples, references, tokens="space"), ["bleu-3"])
    rows = [3, 0, 0, 2]
    resampled = values(Material([samples[i] for i in rows], references, tokens="space"), ["bleu-3"])
    sums = np.stack([result.stats[rows].sum(axis=0), result.stats.sum(axis=0)])
    assert Bleu("bleu-3").reduce(sums) == pytest.approx([*resampled, result.value])
