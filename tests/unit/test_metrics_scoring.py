"""Names, signatures, shared work, and that scoring leaves the world as it found it."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import BUILTIN, LogProbs, Material, MetricError, Workspace, metric, score
from metrics import texts as shared_texts
from metrics.record import record
from metrics.signature import differences, join, parse
from tests.promises import apart, mauve_stands_in

MANY = ("frechet", "mauve", "adver-")  # give a reason where there are few texts
TEXTUAL = [name for name in BUILTIN if not name.startswith(("nll", "ppl"))]
odd = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\r\n\t\ufeff\u0301 白a,.'\"|:")), max_size=30)


def full():
    texts = ["the cat sat on the mat .", "a dog, a cat", "", "the cat"]
    log_probs = LogProbs(np.array([-3.0, -1.0]), np.array([2, 1]), "abc")
    return Material(
        samples=texts,
        references=texts[::-1],
        references_by_item=[[t, "a cat"] for t in texts],
        train=texts[:1],
        log_probs=log_probs,
        oracle_log_probs=log_probs,
        sources=[[t] for t in texts],
        sweep={"1": texts},
        real=texts[::-1],
    )


def test_every_name_gives_a_finite_score_in_the_order_asked():
    names = list(BUILTIN)
    results = score(full(), names)
    assert [r.metric for r in results] == names
    assert all(math.isfinite(r.value) and r.reason == "" for r in results if not r.metric.startswith(MANY))
    assert all(re.search(r"\d+ (texts|items)", r.reason) for r in results if r.metric.startswith(MANY))
    for result in results:
        assert parse(result.signature)["metric"] == result.metric
        assert metric(result.metric).summary
        if result.stats is not None:
            assert len(result.stats) == result.n
            assert metric(result.metric).reduce(result.stats.sum(axis=0)) == pytest.approx(result.value)


def test_unknown_names():
    with pytest.raises(MetricError, match='no metric "blue-2": did you mean bleu-2'):
        score(full(), ["bleu-3", "blue-2"])
    with pytest.raises(MetricError, match="known: bleu-2, bleu-3"):
        metric("qqq")
    with pytest.raises(MetricError, match="not loadable"):
        metric("mine", {"mine": "metrics.nowhere:Mine"})
    with pytest.raises(MetricError, match="not loadable"):
        metric("mine", {"mine": "metrics.bleu:Mine"})
    with pytest.raises(MetricError, match="gives a str"):
        metric("mine", {"mine": "builtins:str"})


def test_a_registry_of_ones_own():
    registry = {**BUILTIN, "words": "metrics.lengths:Length"}
    (result,) = score(Material(["a b c"]), ["words"], registry)
    assert (result.metric, result.value) == ("words", 3.0)


def test_texts_are_cut_once(monkeypatch):
    cut = []
    original = shared_texts.tokenizer

    def counting(name):
        inner = original(name)
        return lambda text: cut.append(text) or inner(text)

    monkeypatch.setattr(shared_texts, "tokenizer", counting)
    score(
        Material(["a b", "c"], ["x y"], train=["z"]),
        [n for n in TEXTUAL if not n.startswith(("rouge", "sacre", "chrf"))],
    )
    assert sorted(cut) == ["a b", "c", "x y", "z"]


def test_scoring_twice_with_other_samples_is_not_frozen():
    """A published implementation keeps the first references it saw; nothing may outlast a call here."""
    first = score(Material(["a b c"] * 3, ["a b c"]), ["bleu-2", "self-bleu-2"])
    second = score(Material(["a b c", "d e f"], ["x y z"]), ["bleu-2", "self-bleu-2"])
    assert [r.value for r in first] == pytest.approx([1.0, 1.0])
    assert [r.value for r in second] == pytest.approx([0.0, 0.0])


def test_shared_is_computed_once():
    calls = []
    work = Workspace(Material(["a"]))

    def compute(w):
        calls.append(w)
        return len(calls)

    assert [work.shared(compute), work.shared(compute)] == [1, 1]


def generators():
    """What a metric must leave as it was, in a form that can be compared."""
    legacy = np.random.get_state()  # noqa: NPY002 - the global state is what is tested
    return random.getstate(), [np.asarray(part).tolist() for part in legacy], torch.get_rng_state().tolist()


@pytest.mark.usefixtures(mauve_stands_in.__name__)
def test_global_generators_are_untouched():
    """By any metric, with texts enough for each to have a value; the library that stands in for mauve's draws."""
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    before, given_ = generators(), apart(256)
    for name in BUILTIN:
        (result,) = score(given_, [name])
        assert (result.reason, name) == ("", name)
        assert generators() == before, name


@pytest.mark.slow
def test_global_generators_are_untouched_by_mauves_own_library():
    pytest.importorskip("mauve")
    before = generators()
    (result,) = score(apart(5000), ["mauve"])
    assert result.reason == ""
    assert generators() == before


@settings(max_examples=60, deadline=None)
@given(st.lists(odd, min_size=2, max_size=4), st.sampled_from(["word-lower", "word", "char", "space"]))
def test_any_text_gives_a_number_or_a_reason(texts, tokens):
    material = Material(texts, texts[::-1], [[t] for t in texts[::-1]], texts[:1], tokens)
    for result in score(material, TEXTUAL):
        assert math.isfinite(result.value) or result.reason
        assert not result.reason or math.isnan(result.value)
        if (
            result.metric.startswith(("bleu", "self", "rouge", "distinct", "unique", "copied", "empty"))
            and not result.reason
        ):
            assert -1e-12 <= result.value <= 1 + 1e-12


@pytest.mark.parametrize("text", ["\ud800 lone surrogate", "word " * 5000, "a\rb\r\nc", "\ufeffbom", "\x00nul"])
def test_awkward_lines(text):
    texts = [text, "another line"]
    own = [[t] for t in texts]
    material = Material(texts, texts, own, texts, sources=own, sweep={"1": texts}, real=texts)
    names = [n for n in TEXTUAL if n not in ("rouge-l", "rouge-lsum")]  # quadratic in the line, as the library is
    assert all(math.isfinite(r.value) or r.reason for r in score(material, names))
    assert all(math.isfinite(r.value) for r in score(material, names) if r.metric.startswith(("bleu", "self-", "chrf")))


def test_signatures_can_be_taken_apart():
    fields = {"a": "1|2", "b": "50%", "c": "x:y", "d": "%7C"}
    assert parse(join("m", fields)) == {"metric": "m", **fields}
    assert differences("m|a:1|v:1", "m|a:1|v:1") == {}
    assert differences("m|a:1|refs:500|v:1", "m|a:1|refs:10000|T:1|v:1") == {"refs": ("500", "10000"), "T": ("-", "1")}
    assert differences("bleu-2|v:1", "bleu-3|v:1") == {"metric": ("bleu-2", "bleu-3")}


def test_material_that_does_not_fit_together():
    with pytest.raises(MetricError, match="2 samples, but references for 1 items"):
        Material(["a", "b"], references_by_item=[["a"]])
    with pytest.raises(MetricError, match="samples is one text"):
        Material("abc")
    with pytest.raises(MetricError, match=r"references_by_item\[1\] is one text"):
        Material(["a", "b"], references_by_item=[["a"], "b"])


def test_record_counts():
    facts = record(Material(["a", "a", " "], references_by_item=[["x"], ["x", ""], ["y"]], train=["t"]))
    assert facts["samples"] == {"count": 3, "empty": 1, "repeats": 1}
    assert facts["references"] == {"count": 4, "empty": 1, "repeats": 1, "items": 3}
    assert facts["tokens"] == {"name": "nltk-lower"}
    assert facts["train"] == {"count": 1}
    assert record(Material(["a"], ["b", ""]))["references"] == {"count": 2, "empty": 1, "repeats": 0}
    json.dumps(facts)


def test_importing_metrics_loads_no_scoring_library():
    """A command that only prints help or a table must not wait for them."""
    code = "import sys, metrics; print([m for m in ('nltk', 'sacrebleu', 'rouge_score', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
