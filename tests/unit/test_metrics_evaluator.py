"""The classifier against SciPy and finite differences; what it is shown against sets and counting."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from metrics import Material, Workspace, evaluator
from metrics.dialogues import dialogues
from metrics.evaluator import FOLDS, RARE, Sparse, cross_fitted_errors, fit, loss, minimum
from metrics.ngrams import Encoder
from metrics.reply_features import RECURS, WORDS, _neighbours, _Types, features
from tests.fresh import fresh_seed


@pytest.fixture
def rng():
    return np.random.default_rng(fresh_seed())


def sparse(dense):
    rows, columns = np.nonzero(dense)
    return Sparse(rows, columns, dense[rows, columns], *dense.shape)


def problem(rng, height=40, width=7):
    dense = rng.normal(size=(height, width)) * (rng.random((height, width)) < 0.6)
    return dense, rng.random(height) < 0.4, rng.random(height) + 0.1


def test_products(rng):
    dense, _, _ = problem(rng)
    matrix, seen = sparse(dense), rng.random(40) < 0.5
    across, down = rng.normal(size=7), rng.normal(size=40)
    assert matrix.times(across) == pytest.approx(dense @ across)
    assert matrix.transposed_times(down) == pytest.approx(down @ dense)
    assert matrix.only(seen).times(across) == pytest.approx(np.where(seen, dense @ across, 0))


def test_gradient_against_finite_differences(rng):
    dense, labels, importance = problem(rng)
    at = rng.normal(size=7)

    def value(w):
        return loss(w, sparse(dense), labels, importance, 0.7)[0]

    steps = 1e-6 * np.eye(7)
    slopes = [(value(at + step) - value(at - step)) / 2e-6 for step in steps]
    assert loss(at, sparse(dense), labels, importance, 0.7)[1] == pytest.approx(slopes, rel=1e-5, abs=1e-6)


def test_no_overflow_far_from_the_start(rng):
    dense, labels, importance = problem(rng)
    value, gradient = loss(np.full(7, 1e4), sparse(dense), labels, importance, 1.0)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_optimum_against_another_method(rng):
    """BFGS, which never sees our curvature."""
    dense, labels, _ = problem(rng)
    labels[:2] = True, False
    seen = rng.random(40) < 0.8
    seen[:2] = True
    count = np.array([(seen & ~labels).sum(), (seen & labels).sum()])
    importance = seen * (seen.sum() / (2 * count))[labels.astype(int)]
    whole = sparse(dense)
    best = minimize(lambda w: loss(w, whole, labels, importance, 1.0), np.zeros(7), jac=True, method="BFGS", tol=1e-10)
    assert fit(whole.only(seen), labels, seen, 1.0) == pytest.approx(best.x, abs=1e-5)


def test_minimum_of_a_narrow_valley(monkeypatch):
    monkeypatch.setattr(evaluator, "TOLERANCE", 1e-9)
    steep = np.array([1.0, 1e2, 1e4])

    def valley(x):
        return float(steep @ (x - 1) ** 2 / 2), steep * (x - 1)

    found = minimum(valley, lambda _: lambda direction: steep * direction, np.zeros(3))
    assert found == pytest.approx(np.ones(3), abs=1e-6)


def test_a_step_too_long_is_shortened():
    """Newton's own steps from 3 on sqrt(1 + x^2) lead to -27, then ever farther away."""

    def root(x):
        return float(np.sqrt(1 + x @ x)), x / np.sqrt(1 + x**2)

    found = minimum(root, lambda x: lambda direction: direction * (1 + x**2) ** -1.5, np.array([3.0]))
    assert found == pytest.approx([0.0], abs=1e-5)


def test_a_row_far_beyond_a_floats_exponent_moves_nothing(rng):
    """Its logit is some thousands below 0, as its label says: the optimum is that of the other rows."""
    dense, labels, _ = problem(rng)
    labels[:3] = False, True, False
    usual = fit(sparse(dense), labels, np.ones(40, np.bool_), 1.0)
    dense[0] = -5e3 * usual / (usual @ usual)
    whole = sparse(dense)
    with np.errstate(over="raise", invalid="raise"):
        found = fit(whole, labels, np.ones(40, np.bool_), 1.0)
    assert whole.times(found)[0] < -1e3
    count = np.array([(~labels).sum(), labels.sum()])
    others = np.where(np.arange(40) > 0, (40 / (2 * count))[labels.astype(int)], 0.0)
    best = minimize(lambda w: loss(w, whole, labels, others, 1.0), np.zeros(7), jac=True, method="BFGS", tol=1e-10)
    assert found == pytest.approx(best.x, abs=0.02)


def test_one_kind_alone_teaches_nothing(rng):
    dense, _, _ = problem(rng)
    assert not fit(sparse(dense), np.ones(40, np.bool_), np.ones(40, np.bool_)).any()
    errors = cross_fitted_errors(sparse(dense), np.ones(40, np.bool_), np.arange(40) % FOLDS, np.arange(40))
    assert errors.tolist() == [0.5] * 40


def test_the_commoner_kind_is_not_guessed():
    """A constant feature and nine of ten of one kind: still no reason to say which."""
    labels = np.arange(100) % 10 > 0
    errors = cross_fitted_errors(sparse(np.ones((100, 1))), labels, np.arange(100) // 20, np.arange(100))
    assert errors.tolist() == [0.5] * 100


def test_a_rare_text_is_never_trained_on_and_tested(rng):
    """One feature per text: a text is known only if it was in training."""
    text = np.concatenate([np.repeat(np.arange(10), RARE), np.repeat([10], 4 * RARE), np.arange(11, 71)])
    fold = np.arange(len(text)) % FOLDS
    labels = text % 2 == 0
    errors = cross_fitted_errors(sparse(np.eye(71)[text]), labels, fold, text)
    assert (errors[text < 10] == 0.5).all()
    assert (errors[text == 10] == 0.0).all()
    assert (errors[text > 10] == 0.5).all()


words = st.lists(st.sampled_from(list("abcdefg")), max_size=6)


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=7))
def test_neighbours_by_counting(texts):
    encoded = Encoder().encode([list("abcdefg"), *texts])
    rows, keys = _neighbours(encoded, 7)
    found = sorted(zip(rows.tolist(), keys.tolist(), strict=True))
    expected = []
    for row, text in enumerate([list("abcdefg"), *texts]):
        ids = [7, *("abcdefg".index(w) for w in text), 7]
        expected += [(row, a * 8 + b) for a, b in set(pairwise(ids))]
    assert found == sorted(expected)


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=9), st.lists(words, min_size=9, max_size=9))
def test_types_by_counting(texts, others):
    encoder = Encoder()
    encoder.encode([list("abcdefg")])
    one, other = (_Types.of(encoder.encode(of), 7) for of in (texts, others))
    holders = Counter("abcdefg".index(w) for text in texts for w in set(text))
    assert one.holders.tolist() == [holders[i] for i in range(7)]
    pairs = zip(one.rows.tolist(), one.tokens.tolist(), one.shared(other).tolist(), strict=True)
    assert all(held == ("abcdefg"[token] in others[row]) for row, token, held in pairs)
    for text, chosen in zip(texts, one.rarest().tolist(), strict=True):
        ids = {"abcdefg".index(w) for w in text}
        rarest = sorted((i for i in ids if holders[i] >= RECURS), key=lambda i: (holders[i], i))[:WORDS]
        assert chosen == rarest + [-1] * (WORDS - len(rarest))


def test_equal_replies_in_equal_contexts_look_the_same():
    human = ["a b c", "a b", "d"] * 4
    sources = [["x", "y z"], ["x y"], ["z"]] * 4
    talk = Workspace(
        Material(human[::-1], references_by_item=[[h] for h in human], sources=sources, tokens="space")
    ).shared(dialogues)
    shown = features(talk, np.arange(12), np.arange(12))
    dense = np.zeros((shown.height, shown.width))
    np.add.at(dense, (shown.rows, shown.columns), shown.values)
    for i in range(3):
        assert np.array_equal(dense[i], dense[i + 3])
    assert not np.array_equal(dense[0], dense[1])
    assert ((dense != 0).sum(axis=0) >= 4).all()  # what few examples have is left out
