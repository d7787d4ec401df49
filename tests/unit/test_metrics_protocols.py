"""Compatibility protocols against NLTK itself, called as each code base calls it, on small random text."""

from __future__ import annotations

import dataclasses
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from nltk.translate.bleu_score import SmoothingFunction, modified_precision, sentence_bleu

from metrics import LogProbs, Material, MetricError, score
from metrics.explain import about, in_words
from metrics.protocols import DEFAULT, PROTOCOLS, protocol
from metrics.scoring import BUILTIN, metric
from metrics.signature import differences, parse
from tests.fresh import fresh_seed

SAMPLES, REFERENCES = 620, 540
METHOD_1 = SmoothingFunction().method1


@pytest.fixture(scope="module")
def corpus():
    """Text in which the first and last samples differ from the others, so that taking the wrong ones shows."""
    rng = np.random.default_rng(fresh_seed())

    def lines(count, words):
        return [" ".join(f"w{i}" for i in rng.integers(0, words, rng.integers(4, 9))) for _ in range(count)]

    samples = [*lines(100, 6), *lines(100, 9), *lines(220, 30), *lines(200, 12)]
    return Material(samples, references=[*lines(500, 8), *lines(40, 20)])


def cut(texts):
    return [text.split() for text in texts]


def nltk_mean(samples, pools, n, **how):
    weights = how.pop("weights", (1 / n,) * n)
    return float(
        np.mean(
            [sentence_bleu(p, s, weights, how.get("smoothing", METHOD_1)) for s, p in zip(samples, pools, strict=True)]
        )
    )


def values(name, material, wanted):
    return [each.value for each in PROTOCOLS[name].score(material, wanted)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("n", [2, 4])
def test_against_nltk(corpus, n):
    samples, references = cut(corpus.samples), cut(corpus.references)

    def everywhere(chosen, pool):
        return [pool] * len(chosen)

    some = samples[::40]
    few = dataclasses.replace(corpus, samples=corpus.samples[::40])
    wanted = [f"bleu-{n}"]
    assert values("texygen-table", few, wanted)[0] == pytest.approx(nltk_mean(some, everywhere(some, references), n))
    fast = nltk_mean(some, everywhere(some, references[:500]), n)
    assert values("texygen-fast", few, wanted)[0] == pytest.approx(fast)
    first = samples[:100]
    assert values("relgan", corpus, wanted)[0] == pytest.approx(nltk_mean(first, everywhere(first, references), n))
    none = nltk_mean(some, everywhere(some, references), n, smoothing=SmoothingFunction().method0)
    assert values("leakgan", few, wanted)[0] == pytest.approx(none, abs=1e-9)
    single = nltk_mean(some, everywhere(some, references), n, weights=(0,) * (n - 1) + (1,))
    assert values("textbox", few, wanted)[0] == pytest.approx(single)


@pytest.mark.slow
def test_self_bleu_against_nltk(corpus):
    small = dataclasses.replace(corpus, samples=corpus.samples[::3])
    samples = cut(small.samples)
    others = [samples[:i] + samples[i + 1 :] for i in range(len(samples))]
    assert values("texygen-table", small, ["self-bleu-3"])[0] == pytest.approx(nltk_mean(samples, others, 3))
    last = samples[-200:]
    rest = nltk_mean(last, [samples[:-200]] * len(last), 3)
    assert values("textgan-pytorch", small, ["self-bleu-3"])[0] == pytest.approx(rest)
    assert values("relgan", small, ["self-bleu-2", "self-bleu-3"]) == pytest.approx([1, 1])


def test_self_bleu_of_texygen_as_shipped(corpus):
    first = dataclasses.replace(corpus, samples=corpus.samples[:500])
    expected = [each.value for each in score(first, ["self-bleu-2", "self-bleu-5"])]
    assert values("texygen-fast", corpus, ["self-bleu-2", "self-bleu-5"]) == pytest.approx(expected)


def old_nltk(sample, references, n):
    """What NLTK 3.2 gave, from its published description: orders without a match skipped, weights as they were."""
    precisions = [modified_precision(references, sample, order) for order in range(1, n + 1)]
    if precisions[0].numerator == 0:
        return 0.0
    closest = min((abs(len(r) - len(sample)), len(r)) for r in references)[1]
    brevity = 1.0 if len(sample) > closest else math.exp(1 - closest / len(sample))
    return brevity * math.exp(sum(math.log(p) / n for p in precisions if p.numerator))


def test_orders_without_a_match_left_out(corpus):
    few = dataclasses.replace(corpus, samples=corpus.samples[::20], references=corpus.references[::20])
    for n in (2, 5):
        expected = np.mean([old_nltk(s, cut(few.references), n) for s in cut(few.samples)])
        assert values("leakgan-nltk-3.2", few, [f"bleu-{n}"])[0] == pytest.approx(expected)


def test_empty_lines_are_left_out():
    full = Material(["a b", "", "c d", "  "], references=["a b c", "", "c d"])
    kept = Material(["a b", "c d"], references=["a b c", "c d"])
    for each in PROTOCOLS.values():
        assert [s.value for s in each.score(full)] == pytest.approx([s.value for s in each.score(kept)], nan_ok=True)


def test_signatures_say_the_protocol_and_differ_from_ours(corpus):
    ours = {each.metric: each for each in score(corpus, ["bleu-2", "self-bleu-2"])}
    for name, each in PROTOCOLS.items():
        for got in each.score(corpus):
            assert parse(got.signature)["protocol"] == name
            assert got.metric in each.names
            if got.metric in ours:
                assert "protocol" in differences(got.signature, ours[got.metric].signature)
    fields = {name: parse(each.score(corpus)[-1].signature) for name, each in PROTOCOLS.items()}
    assert fields["relgan"]["refs"] == "620-with-self"
    assert fields["textgan-pytorch"]["refs"] == "420-rest"
    assert fields["textgan-pytorch"]["hyps"] == "200"
    assert fields["texygen-fast"]["hyps"] == "500"
    assert fields["textbox"]["weights"] == "single"


def test_mistakes():
    with pytest.raises(MetricError, match='no protocol "texygen": did you mean texygen-'):
        protocol("texygen")
    with pytest.raises(MetricError, match="protocol textbox has no metric"):
        PROTOCOLS["textbox"].score(Material(["a"], references=["a"]), ["self-bleu-2"])
    with pytest.raises(MetricError, match="one pool of references"):
        PROTOCOLS["textbox"].score(Material(["a"], references_by_item=[["a"]]))
    few = PROTOCOLS["textgan-pytorch"].score(Material(["a b", "c d"], references=["a b"]), ["self-bleu-2"])
    assert math.isnan(few[0].value)
    assert "none is left to compare them with" in few[0].reason
    nothing = PROTOCOLS["texygen-table"].score(Material(["", " "], references=["a"]), ["bleu-2"])
    assert nothing[0].reason == "samples: empty"


@pytest.mark.parametrize("name", BUILTIN)
def test_every_metric_says_what_it_is(name):
    each = metric(name)
    facts = about(each, each.higher_is_better)
    assert [fact.partition(":")[0] for fact in facts] == ["measures", "better", "range", "source", "can't see"]


def test_what_people_have_by_definition_is_told():
    assert "better: nearer to real text is better, 0.5" in about(metric("adver-suc"), None)


@pytest.mark.parametrize("name", BUILTIN)
def test_every_field_of_a_signature_has_words(name):
    log_probs = LogProbs(np.array([-3.0]), np.array([2]), "abc")
    text = ["a b"]
    material = Material(text, text, [text], text, "nltk-lower", log_probs, log_probs, [text], {"1": text}, text)
    (result,) = score(dataclasses.replace(material, protocol={"T": "1", "data": "x", "split": "test"}), [name])
    for field, line in zip(list(parse(result.signature))[1:], in_words(result.signature), strict=True):
        assert not line.startswith(f"{field}: ") or field in (
            "case",
            "data",
            "split",
            "unit",
            "protocol",
            "seed",
            "tokens",
        )


def documented() -> dict[str, str]:
    """Names in the first column of the documentation's table, and the range that stands beside them."""
    found = {}
    for line in (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) != 7 or not cells[0].startswith("`"):
            continue
        names = [name for name in re.findall(r"`([^`]+)`", cells[0]) if "@" not in name]
        if "..." in cells[0]:
            first, last = names
            family, _, start = first.rpartition("-")
            names = [f"{family}-{n}" for n in range(int(start), int(last.rpartition("-")[2]) + 1)]
        found |= dict.fromkeys(names, cells[3])
    return found


def test_every_metric_stands_in_the_documentation_with_its_range():
    ranges = documented()
    assert set(ranges) == set(BUILTIN)
    for name, text in ranges.items():
        low, high = metric(name).limits
        if high == math.inf:
            assert text == f"{low:g} and up", name
        else:
            start, end = text.split("-")
            assert (float(start), float(Fraction(end))) == (low, pytest.approx(high, abs=0.005)), name


def test_in_words(corpus):
    (ours,) = score(dataclasses.replace(corpus, protocol={"T": "1"}), ["bleu-2"])
    words = in_words(ours.signature)
    assert "samples scored: 620" in words
    assert "compared with: a pool of 540, the same for all samples" in words
    assert "sampling temperature: 1" in words
    legacy = in_words(PROTOCOLS["relgan"].score(corpus, ["self-bleu-2"])[0].signature)
    assert "compared with: all 620 samples of the file, the scored one among them" in legacy
    assert in_words("mine|own:a:b") == ["own: a:b"]
    assert DEFAULT not in PROTOCOLS
