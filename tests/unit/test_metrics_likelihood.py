"""Likelihoods against token-by-token sums."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metrics import LogProbs, Material, MetricError, score


def ragged(seed, items=50):
    rng = np.random.default_rng(seed)
    return [-rng.gamma(2.0, 2.0, rng.integers(1, 30)) for _ in range(items)]


def log_probs(rows, vocabulary="0123456789abcdef", split="test"):
    return LogProbs(np.array([r.sum() for r in rows]), np.array([len(r) for r in rows]), vocabulary, split)


@pytest.mark.parametrize("seed", range(3))
def test_every_token_weighs_the_same(seed):
    rows = ragged(seed)
    every = [x for row in rows for x in row]
    nll, ppl = score(Material(log_probs=log_probs(rows)), ["nll-test", "ppl-test"])
    assert nll.value == pytest.approx(-math.fsum(every) / len(every), abs=1e-12)
    assert ppl.value == pytest.approx(math.exp(nll.value))
    assert nll.n == len(rows)
    assert nll.higher_is_better is False


def test_oracle_scores_the_samples_and_not_the_test_text():
    test, samples = ragged(1), ragged(2)
    given = Material(log_probs=log_probs(test), oracle_log_probs=log_probs(samples, "feedfacecafe"))
    oracle = score(given, ["nll-oracle"])[0]
    assert oracle.value == pytest.approx(-np.concatenate(samples).mean())
    assert oracle.signature == "nll-oracle|unit:nats/token|items:50|oracle:feedface|v:1"


def test_signature_names_split_size_and_vocabulary():
    rows = [np.array([-1.0, -2.0]), np.array([-3.0])]
    result = score(Material(log_probs=log_probs(rows, split="test_ntrex")), ["nll-test"])[0]
    assert result.signature == "nll-test|unit:nats/token|split:test_ntrex|items:2|tokens:3|vocab:01234567|v:1"


@pytest.mark.parametrize(
    ("sums", "tokens", "reason"),
    [
        ([-np.inf, -1.0], [1, 1], "infinite: some text has probability 0"),
        ([np.nan, -1.0], [1, 1], "a log-probability is not a number"),
        ([0.0], [0], "no tokens"),
        ([], [], "no items"),
    ],
)
def test_undefined(sums, tokens, reason):
    given = LogProbs(np.array(sums, dtype=np.float64), np.array(tokens, dtype=np.int64), "v")
    for result in score(Material(log_probs=given), ["nll-test", "ppl-test"]):
        assert math.isnan(result.value)
        assert result.reason == reason


def test_missing():
    nll, oracle = score(Material(["a"]), ["nll-test", "nll-oracle"])
    assert nll.reason == "no log probs given"
    assert oracle.reason == "no oracle log probs given"


def test_sums_and_counts_must_belong_together():
    with pytest.raises(MetricError, match="of 2 items, but token counts of 3"):
        LogProbs(np.zeros(2), np.ones(3, np.int64), "v")
