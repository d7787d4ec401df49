"""Corpus BLEU and chrF against sacreBLEU's own corpus_score, signature included."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from metrics import Material, reduce, score
from metrics.signature import parse

TEXT = "the a cat dog, sat on mat . Was there (or not) l'été 3.5 \"quoted\" it's"
WORDS = TEXT.split()


def corpus(seed, items=40, most=3):
    """Samples that share words with one to `most` references each."""
    rng = random.Random(seed)

    def line():
        return " ".join(rng.choices(WORDS, k=rng.randrange(0, 14)))

    samples, answers = [], []
    for _ in range(items):
        own = [line() for _ in range(rng.randint(1, most))]
        words = own[0].split()
        rng.shuffle(words)
        samples.append(own[0] if rng.random() < 0.3 else " ".join(words[:7] + rng.choices(WORDS, k=2)))
        answers.append(own)
    return samples, answers


def columns(answers):
    return [[own[k] if k < len(own) else None for own in answers] for k in range(max(map(len, answers)))]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "library"), [("sacrebleu", BLEU), ("chrf", CHRF)])
@pytest.mark.parametrize("most", [1, 3])
def test_value_and_signature_are_the_librarys(seed, name, library, most):
    samples, answers = corpus(seed, most=most)
    reference = library()
    expected = reference.corpus_score(samples, columns(answers))
    (result,) = score(Material(samples, references_by_item=answers), [name])
    assert result.value == pytest.approx(expected.score, abs=1e-9)
    assert result.higher_is_better is True
    own = dict(part.split(":", 1) for part in reference.get_signature().format().split("|"))
    fields = parse(result.signature)
    assert {key: fields[key] for key in own} == own
    assert fields["hyps"] == str(len(samples))


@pytest.mark.parametrize(("name", "library"), [("sacrebleu", BLEU), ("chrf", CHRF)])
def test_a_resample_of_statistics_is_a_resample_of_texts(name, library):
    samples, answers = corpus(11)
    (result,) = score(Material(samples, references_by_item=answers), [name])
    rng = np.random.default_rng(3)
    draws = rng.integers(0, len(samples), (5, len(samples)))
    expected = [
        library().corpus_score([samples[i] for i in rows], columns([answers[i] for i in rows])).score for rows in draws
    ]
    assert reduce(name, result.stats[draws].sum(axis=1)) == pytest.approx(expected, abs=1e-9)


def test_chinese_needs_its_own_tokens():
    lines = ["白日依山盡，黃河入海流。", "欲窮千里目，更上一層樓。"]
    same = Material(lines, references_by_item=[[line] for line in lines], tokens="char")
    bleu, chrf = score(same, ["sacrebleu", "chrf"])
    assert bleu.value == pytest.approx(100)
    assert chrf.value == pytest.approx(100)
    assert parse(bleu.signature)["tok"] == "zh"
    other = BLEU(tokenize="zh").corpus_score([lines[0][:7], lines[1]], [lines]).score
    cut = Material([lines[0][:7], lines[1]], references_by_item=[[line] for line in lines], tokens="char")
    assert score(cut, ["sacrebleu"])[0].value == pytest.approx(other)


def test_nothing_in_common_and_empty_output_are_zero_not_missing():
    for sample in ("", "zzz"):
        results = score(Material([sample], references_by_item=[["a cat"]]), ["sacrebleu", "chrf"])
        assert [r.value for r in results] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("material", "reason"),
    [
        (Material(["a"], ["a"]), "no references by item given"),
        (Material(["a"], references_by_item=[[]]), "item 0 has no reference"),
        (Material([], references_by_item=[]), "references by item: empty"),
    ],
)
def test_reasons(material, reason):
    for result in score(material, ["sacrebleu", "chrf"]):
        assert math.isnan(result.value)
        assert result.reason == reason
        assert result.signature
