"""ROUGE against rouge-score, item by item."""

from __future__ import annotations

import random

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from metrics import Material, rouge, score
from metrics.signature import parse
from tests.fresh import fresh_seed

NAMES = ["rouge-1", "rouge-2", "rouge-l", "rouge-lsum"]
TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
TEXT = "The models model training trained on large graphs, graph-based methods we propose 12 times faster été"
WORDS = TEXT.split()


def line(rng, sentences):
    return "\n".join(" ".join(rng.choices(WORDS, k=rng.randrange(0, 12))) + "." for _ in range(sentences))


@pytest.mark.parametrize("seed", range(3))
def test_values_are_the_librarys_and_the_mean_is_plain(seed):
    rng = random.Random(seed)
    samples = [line(rng, rng.randint(1, 3)) for _ in range(15)] + [""]
    answers = [[line(rng, rng.randint(1, 3)) for _ in range(rng.randint(1, 3))] for _ in samples]
    scorer = RougeScorer(TYPES, use_stemmer=True)
    results = score(Material(samples, references_by_item=answers), NAMES)
    for kind, result in zip(TYPES, results, strict=True):
        best = [max(scorer.score(a, s)[kind].fmeasure for a in own) for s, own in zip(samples, answers, strict=True)]
        assert result.stats[:, 0] == pytest.approx(best, abs=1e-12)
        assert result.value == pytest.approx(np.mean(best), abs=1e-9)
        assert result.n == len(samples)


def test_lines_are_sentences_for_lsum_only():
    rng = random.Random(9)
    reference = "we propose graphs\nmodels on large graphs\nfaster methods"
    sample = "faster methods\nwe propose graphs\nmodels on large graphs"
    assert line(rng, 1)
    _, _, whole, lines = score(Material([sample], references_by_item=[[reference]]), NAMES)
    assert lines.value == pytest.approx(1.0)
    assert whole.value < 1.0


def test_equal_chinese_lines_score_one():
    text = "双官能团活性艳蓝的应用性能\nNo. 3 型"
    same = Material([text], references_by_item=[[text]], tokens="char")
    results = score(same, NAMES)
    assert [r.value for r in results] == pytest.approx([1.0] * 4)
    assert parse(results[0].signature)["tok"] == "char-lower"
    # what the library does with Chinese if it isn't told otherwise
    assert RougeScorer(["rouge1"]).score("应用性能", "应用性能")["rouge1"].fmeasure == 0


def test_chinese_by_hand():
    # 4 characters against 5, 3 in common, 2 of them as a pair
    _, two, longest, _ = score(Material(["应用性好"], references_by_item=[["性能应用啊"]], tokens="char"), NAMES)
    assert two.value == pytest.approx(2 * (1 / 3) * (1 / 4) / (1 / 3 + 1 / 4))
    assert longest.value == pytest.approx(2 * (2 / 4) * (2 / 5) / (2 / 4 + 2 / 5))


def test_signature_says_how():
    (result,) = score(Material(["a"], references_by_item=[["a", "b"]]), ["rouge-l"])
    assert result.signature == "rouge-l|hyps:1|refs:2/item|multi:max|f:1|agg:item-mean|tok:rouge-score|stem:porter|v:1"


def test_missing():
    (result,) = score(Material(["a"], ["a"]), ["rouge-1"])
    assert result.reason == "no references by item given"


def paragraphs(count):
    rng = random.Random(fresh_seed())
    samples = [line(rng, rng.randint(0, 3)) for _ in range(count)]
    return samples, [[line(rng, rng.randint(1, 2)) for _ in range(rng.randint(1, 2))] for _ in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("tokens", ["word-lower", "char"])
def test_processes_find_the_same_values(tokens, monkeypatch):
    monkeypatch.setattr(rouge, "ENOUGH", 10)
    monkeypatch.setattr(rouge, "_cores", lambda: 2)
    asked = []
    ask = rouge._ask_process
    monkeypatch.setattr(rouge, "_ask_process", lambda task: asked.append(task) or ask(task))
    samples, answers = paragraphs(41)
    samples[3], answers[3] = "\ud800 é\u2028", ("\ud800 e",)  # also what no encoding takes
    material = Material(samples, references_by_item=answers, tokens=tokens)
    alone, shared = score(material, NAMES), score(material, NAMES, workers=2)
    assert len(asked) == 2  # all four at one go, half of the items each
    for one, other in zip(alone, shared, strict=True):
        assert np.array_equal(one.stats, other.stats)
        assert (one.value, one.signature) == (other.value, other.signature)


def test_where_no_process_starts_the_values_are_there_all_the_same(monkeypatch):
    monkeypatch.setattr(rouge, "ENOUGH", 10)
    monkeypatch.setattr(rouge, "_cores", lambda: 2)
    samples, answers = paragraphs(20)
    material = Material(samples, references_by_item=answers)
    alone = score(material, NAMES)
    for broken in ("/nowhere/python", "/bin/false"):
        monkeypatch.setattr(rouge.sys, "executable", broken)
        for one, other in zip(alone, score(material, NAMES, workers=2), strict=True):
            assert np.array_equal(one.stats, other.stats)


def test_few_items_and_one_worker_start_no_process(monkeypatch):
    monkeypatch.setattr(rouge, "_ask_process", None)
    samples, answers = paragraphs(12)
    score(Material(samples, references_by_item=answers), ["rouge-1"], workers=8)
    monkeypatch.setattr(rouge, "ENOUGH", 10)
    score(Material(samples, references_by_item=answers), ["rouge-1"], workers=1)
