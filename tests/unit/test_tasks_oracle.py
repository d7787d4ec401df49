"""The synthetic oracle: fixed weights, exact likelihood, draws that follow it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from tasks.base import Ragged
from tasks.lstm_oracle import LSTMOracle, normals, uniforms
from tasks.opening import open_source
from tasks.oracle import WEIGHTS_SHA256, OracleOptions, OracleTask, entropy_of


def brute_force(oracle: LSTMOracle, sequence: list[int]) -> list[np.ndarray]:
    """The distributions after each prefix, written out gate by gate in float64."""
    w = {name: weight.numpy().astype(np.float64) for name, weight in oracle.weights.items()}
    n = oracle.width
    hidden, cell, last, out = np.zeros(n), np.zeros(n), 0, []

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-x))

    for token in sequence:
        gates = w["embedding"][last] @ w["input"] + hidden @ w["recurrent"] + w["bias"]
        enter, forget, leave, candidate = (gates[k * n : (k + 1) * n] for k in range(4))
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        hidden = sigmoid(leave) * np.tanh(cell)
        logits = hidden @ w["output"] + w["output_bias"]
        weights = np.exp(logits - logits.max())
        out.append(weights / weights.sum())
        last = token
    return out


def test_the_weights_are_the_published_ones() -> None:
    assert LSTMOracle().hash == WEIGHTS_SHA256


def test_random_numbers_follow_their_laws() -> None:
    assert stats.kstest(uniforms((3,), 20_000), "uniform").pvalue > 1e-3
    drawn = normals((4,), 20_001)
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert np.array_equal(drawn * 2.0**16, np.round(drawn * 2.0**16))
    # Of the raw stream, which numpy keeps: the first of PCG64(7) as a 53-bit fraction.
    first = (int(np.random.PCG64([7]).random_raw(1)[0]) >> 11) + 0.5
    assert uniforms((7,), 1)[0] == first / 2**53


@pytest.mark.parametrize("size", [7, 50, 123, 5000])
def test_likelihood_is_that_of_brute_force(size: int) -> None:
    oracle = LSTMOracle(size, width=32)
    rng = np.random.default_rng(size)
    rows = [rng.integers(0, size, length).tolist() for length in (5, 1, 9, 3)]
    found = oracle.log_probs(Ragged.from_lists(rows))
    wanted = [math.log(p[t]) for row in rows for p, t in zip(brute_force(oracle, row), row, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_tokens_outside_are_refused() -> None:
    with pytest.raises(ValueError, match=r"outside the oracle's vocabulary \(0 \.\. 9\)"):
        LSTMOracle(10).log_probs(Ragged.from_lists([[3, 10]]))


@pytest.mark.parametrize("size", [11, 5000])
def test_draws_invert_the_distribution(size: int) -> None:
    oracle = LSTMOracle(size)
    places = np.random.default_rng(5).random((6, 8))
    drawn, scores = oracle.draw(places)
    for row in range(6):
        sequence = drawn[row].tolist()
        for step, p in enumerate(brute_force(oracle, sequence)):
            upto = np.cumsum(p)
            assert sequence[step] == int(np.searchsorted(upto, places[row, step] * upto[-1], side="right"))
            assert scores[row, step] == pytest.approx(math.log(p[sequence[step]]), abs=1e-5)


def test_first_tokens_are_drawn_as_often_as_they_should() -> None:
    oracle = LSTMOracle(20)
    drawn = oracle.sample(4000, torch.Generator().manual_seed(1), length=1)
    counts = np.bincount(drawn.flat, minlength=20)
    expected = brute_force(oracle, [0])[0] * 4000
    often = expected > 5
    observed = np.append(counts[often], counts[~often].sum())
    wanted = np.append(expected[often], expected[~often].sum())
    assert stats.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 1e-4


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANTLET_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("length", [20, 40])
def test_the_corpus(cache: Path, length: int) -> None:
    task = OracleTask(OracleOptions(length=length))  # type: ignore[arg-type]
    corpus = task.load(open_source(), 300)
    assert {name: len(split) for name, split in corpus.splits.items()} == {"train": 300, "valid": 300, "test": 300}
    assert (corpus.origin, corpus.fixed_length, corpus.vocab.eos, corpus.vocab.size) == (
        "synthetic",
        length,
        None,
        5000,
    )
    assert corpus.oracle is not None
    assert corpus.entropy is not None
    nll = -corpus.oracle.log_probs(corpus.splits["test"].targets).mean()
    mean, error = corpus.entropy
    assert mean == pytest.approx(5.73, abs=5 * error)
    assert nll == pytest.approx(mean, abs=8 * error)
    uniform = np.random.default_rng(0).integers(0, 5000, (100, length))
    rows = Ragged.from_padded(uniform, np.full(100, length))
    assert -corpus.oracle.log_probs(rows).mean() == pytest.approx(11.40, abs=0.25)
    example = corpus.splits["train"].examples[0].target
    assert corpus.decode(corpus.splits["train"].targets)[0] == example
    assert not list(cache.rglob("*.npz"))  # parts of splits are not kept


def test_limits_are_prefixes_and_splits_differ(cache: Path) -> None:
    task = OracleTask(OracleOptions(vocab=30))
    more, less = (task.load(open_source(), limit) for limit in (40, 10))
    for name in more.splits:
        assert [e.target for e in more.splits[name].examples[:10]] == [e.target for e in less.splits[name].examples]
    assert more.splits["train"].examples[0] != more.splits["test"].examples[0]


@pytest.mark.slow
def test_kept_draws_are_the_drawn_and_a_broken_cache_is_drawn_again(cache: Path) -> None:
    task = OracleTask(OracleOptions(vocab=60))
    first = task.load(open_source())
    kept = sorted(cache.rglob("*.npz"))
    assert len(kept) == 3
    assert task.load(open_source()).fingerprint == first.fingerprint
    kept[0].write_bytes(b"no archive")
    again = task.load(open_source())
    assert again.fingerprint == first.fingerprint
    assert again.entropy == first.entropy
    assert not list(cache.rglob("*.part"))


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("GANTLET_CACHE", str(blocked))
    monkeypatch.setattr("tasks.oracle.ROWS", {"train": 5, "valid": 5, "test": 5})
    assert len(OracleTask(OracleOptions(vocab=20)).load(open_source()).splits["test"]) == 5


def test_entropy_is_a_mean_over_sequences() -> None:
    scores = np.array([[-1.0, -3.0], [-4.0, -4.0]], dtype=np.float32)
    mean, error = entropy_of(scores)
    assert mean == pytest.approx(3.0)
    assert error == pytest.approx(np.std([2.0, 4.0], ddof=1) / math.sqrt(2))
