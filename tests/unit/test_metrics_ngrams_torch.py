"""Counting by torch against counting by NumPy, element by element; on the CPU here, on a GPU in `tests/gpu`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cli import main
from metrics import BUILTIN, Material, MetricError, score
from metrics.ngrams import Encoder, Matches, item_matches, others_matches, pool_matches
from tests.fresh import fresh_seed

sentence = st.lists(st.sampled_from("abc"), max_size=9)
corpus = st.lists(sentence, min_size=1, max_size=7)


def assert_equal(found: Matches, expected: Matches) -> None:
    for name in ("counts", "lengths", "closest"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other), name


def zipf_corpus(rng, sentences=200):
    """Also empty texts, duplicates, one word many times, and lengths that occur once."""
    lengths = [*rng.integers(0, 25, sentences).tolist(), 57, 81]
    made = [np.minimum(rng.zipf(1.4, size), 60).tolist() for size in lengths]
    return [list(map(str, tokens)) for tokens in [*made, *made[:5], [1] * 30, [], []]]


def check_on(device: str) -> None:
    """All three ways of matching on corpora that are fresh in every run."""
    rng = np.random.default_rng(fresh_seed())
    encoder = Encoder()
    first, second = encoder.encode(zipf_corpus(rng)), encoder.encode(zipf_corpus(rng))
    owner = np.sort(np.concatenate([np.arange(len(first)), rng.integers(0, len(first), 100)]))
    own = encoder.encode([zipf_corpus(rng, 1)[0] for _ in owner])
    for orders in (1, 3, 5):
        assert_equal(others_matches(first, orders, device), others_matches(first, orders))
        assert_equal(pool_matches(first, second, orders, device), pool_matches(first, second, orders))
        assert_equal(item_matches(first, own, owner, orders, device), item_matches(first, own, owner, orders))
    empty = encoder.encode([[], []])
    assert_equal(others_matches(empty, device=device), others_matches(empty))
    assert_equal(pool_matches(empty, first, device=device), pool_matches(empty, first))
    assert_equal(pool_matches(first, empty, device=device), pool_matches(first, empty))


def test_zipf_corpora():
    check_on("cpu")


@settings(deadline=None)
@given(corpus, corpus)
def test_small_corpora(hypotheses, references):
    encoder = Encoder()
    ours, theirs = encoder.encode(hypotheses), encoder.encode(references)
    assert_equal(pool_matches(ours, theirs, device="cpu"), pool_matches(ours, theirs))
    both = encoder.encode([*hypotheses, *references])
    assert_equal(others_matches(both, device="cpu"), others_matches(both))


def test_a_score_has_the_same_value_and_signature_on_a_device():
    rng = np.random.default_rng(fresh_seed())
    samples, references = ([" ".join(tokens) for tokens in zipf_corpus(rng, 40)] for _ in range(2))
    names = [name for name in BUILTIN if name.startswith(("bleu-", "self-bleu-"))]
    material = Material(samples, references, tokens="space")
    paired = Material(samples, references_by_item=[[text] for text in references], tokens="space")
    for given_ in (material, paired):
        for plain, on_device in zip(score(given_, names), score(given_, names, device="cpu"), strict=True):
            assert on_device.value == plain.value
            assert on_device.signature == plain.signature
            assert np.array_equal(on_device.stats, plain.stats)


def test_no_such_device():
    with pytest.raises(MetricError, match=r'device "cuda:99" can\'t be used: .*NumPy'):
        score(Material(["a", "a"]), ["self-bleu-2"], device="cuda:99")


def test_the_command_takes_a_device(tmp_path, capsys):
    rng = np.random.default_rng(fresh_seed())
    for name in ("samples", "references"):
        text = "\n".join(" ".join(tokens) for tokens in zipf_corpus(rng, 20))
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = ["score", str(tmp_path / "samples"), "--references", str(tmp_path / "references")]
    printed = []
    for flags in ([], ["--device", "cpu", "--workers", "2"]):
        assert main([*command, *flags]) == 0
        printed.append(capsys.readouterr().out)
    assert "self-bleu-5" in printed[0]
    assert printed[0] == printed[1]
    assert main([*command, "--device", "cuda:99"]) == 2
    assert "can't be used" in capsys.readouterr().err
