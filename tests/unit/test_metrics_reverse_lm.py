"""`reverse-lm` and `forward-lm`: which text trains, which is scored, and which words count."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metrics import Material, Workspace, reduce, score
from metrics.kneser_ney import train
from metrics.ngrams import Sentences
from metrics.reverse_lm import vocabulary
from metrics.signature import parse
from tests.fresh import fresh_seed

NAMES = ["reverse-lm", "forward-lm"]


def lines(rng, n, words=30):
    weights = 1 / np.arange(1, words + 1)
    return [
        " ".join(f"w{w}" for w in rng.choice(words, rng.integers(2, 9), p=weights / weights.sum())) for _ in range(n)
    ]


@pytest.fixture
def rng():
    return np.random.default_rng(fresh_seed())


def ids(text, known):
    return [known.index(w) if w in known else len(known) for w in text.split()]


def sentences(lists):
    return Sentences(
        np.array([i for one in lists for i in one], np.int32), np.cumsum([0, *map(len, lists)], dtype=np.int64)
    )


def test_who_trains_and_who_is_scored(rng):
    samples, references, known = lines(rng, 50, 60), lines(rng, 40), lines(rng, 60)
    counts = " ".join(known).split()
    words = sorted({w for w in counts if counts.count(w) >= 2})
    given = Material(samples, references=references, train=known, tokens="space")
    reverse, forward = score(given, NAMES)
    for result, learned, scored in ((reverse, samples, references), (forward, known, samples)):
        model = train(sentences([ids(t, words) for t in learned]), len(words) + 1)
        sums, tokens = model.nll(sentences([ids(t, words) for t in scored]))
        assert result.stats[:, 0] == pytest.approx(sums)
        assert result.stats[:, 1].tolist() == tokens.tolist()
        assert result.value == pytest.approx(sums.sum() / tokens.sum())
        assert reduce(result.metric, result.stats.sum(axis=0)) == pytest.approx(result.value)
        assert result.n == len(scored)


def test_the_vocabulary_is_of_the_training_text_or_else_of_the_references(rng):
    a = Material(["z z z"], references=["r r", "s"], train=["t t", "u"], tokens="space")
    assert vocabulary(Workspace(a)).size == 2
    signature = parse(score(a, NAMES)[0].signature)
    assert (signature["words"], signature["unk"], signature["lm"]) == ("2", "train<2", "kn4")
    b = Material(["z z z"], references=["r r", "s"], tokens="space")
    other = parse(score(b, NAMES)[0].signature)
    assert (other["words"], other["unk"]) == ("2", "refs<2")
    assert other["vocab"] != signature["vocab"]
    # nothing but the words counts: neither their order nor what the samples say
    c = Material(["q"], references=["z"], train=["u t", "t"], tokens="space")
    assert parse(score(c, NAMES)[0].signature)["vocab"] == signature["vocab"]
    # an unknown word is one word, whichever it is
    strange = [score(Material([text], train=["t t", "u"], tokens="space"), ["forward-lm"])[0] for text in ("q", "x")]
    assert strange[0].value == strange[1].value


def test_diversity_and_quality(rng):
    real, known = lines(rng, 300), lines(rng, 300)
    same, noise, one = lines(rng, 300), [t[::-1] for t in lines(rng, 300)], ["w0 w1"] * 300
    values = {
        name: [r.value for r in score(Material(s, references=real, train=known, tokens="space"), NAMES)]
        for name, s in (("same", same), ("noise", noise), ("one", one), ("real", real))
    }
    assert values["real"][0] < values["same"][0] < min(values["noise"][0], values["one"][0])
    assert values["one"][1] < values["same"][1] < values["noise"][1]


def test_order_is_nothing_and_items_are_the_references(rng):
    samples, references = lines(rng, 40), lines(rng, 20)
    (one,) = score(Material(samples, references=references, tokens="space"), ["reverse-lm"])
    (other,) = score(Material(samples[::-1], references=references[::-1], tokens="space"), ["reverse-lm"])
    assert other.stats[::-1] == pytest.approx(one.stats)
    assert other.signature == one.signature
    own = [references[i : i + 1] for i in range(20)] + [[]] * 20
    (by_item,) = score(Material(samples, references_by_item=own, tokens="space"), ["reverse-lm"])
    assert by_item.value == pytest.approx(one.value)


def test_odd_texts():
    for samples in ([""], ["", ""], ["a"], ["a"] * 9):
        for result in score(Material(samples, references=["", "a b"], train=["a a"]), NAMES):
            assert math.isfinite(result.value)
    chinese = Material(["白日依山尽"], references=["黄河入海流", "白日"], train=["白日", "白日"], tokens="char")
    assert all(math.isfinite(result.value) for result in score(chinese, NAMES))


def test_reasons():
    assert [r.reason for r in score(Material(["a"]), NAMES)] == ["no references given", "no train given"]
    assert [r.reason for r in score(Material([], references=["a"], train=["a"]), NAMES)] == ["samples: empty"] * 2
    assert score(Material(["a"], references_by_item=[[]]), ["reverse-lm"])[0].reason == "no references given"
    assert score(Material(["a"], references=[]), ["reverse-lm"])[0].reason == "no references given"


@pytest.mark.parametrize("text", ["\ud800 lone surrogate", "a\rb\r\nc", "\ufeffbom", "\x00nul", "a" * 5000])
def test_awkward_lines(text):
    for result in score(Material([text, "a"], references=["a", text], train=[text, text]), NAMES):
        assert math.isfinite(result.value)
