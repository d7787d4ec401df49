"""The frontier's geometry against brute force, and its points against BLEU and Self-BLEU themselves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.resampling import bootstrap_interval
from metrics import Material, metric, score
from metrics.frontier import area, distance
from metrics.signature import parse
from tests.fresh import fresh_seed

unit = st.floats(0, 1, allow_nan=False, width=32)
points = st.lists(st.tuples(unit, unit), min_size=1, max_size=7).map(lambda p: np.array(p, np.float64))
TEMPERATURES = ("0.7", "1", "1.3")


@settings(deadline=None)
@given(points, st.tuples(unit, unit))
def test_distance_by_walking_along_the_line(curve, real):
    real = np.array(real, np.float64)
    ends = [curve[:1], *(np.linspace(a, b, 400) for a, b in itertools.pairwise(curve))]
    walked = np.linalg.norm(np.concatenate(ends) - real, axis=1).min()
    got = distance(curve, real)
    assert got <= walked + 1e-9
    assert walked - got < 0.004  # half a step of the walk, along the longest line there can be


@settings(deadline=None)
@given(points, st.tuples(st.floats(0.05, 1), st.floats(0, 0.95)))
def test_area_by_counting_cells(curve, real):
    real = np.array(real, np.float64)
    steps = (np.arange(200) + 0.5) / 200
    quality, diversity = np.meshgrid(steps * real[0], steps * (1 - real[1]), indexing="ij")
    dominated = np.zeros_like(quality, dtype=bool)
    for q, same in curve:
        dominated |= (quality <= q) & (diversity <= 1 - same)
    assert area(curve, real) == pytest.approx(dominated.mean(), abs=0.011)


def test_many_curves_at_once_are_each_their_own():
    rng = np.random.default_rng(fresh_seed())
    curves, reals = rng.random((3, 5, 4, 2)), rng.random((3, 5, 2))
    for i in np.ndindex(3, 5):
        assert area(curves, reals)[i] == pytest.approx(area(curves[i], reals[i]))
        assert distance(curves, reals)[i] == pytest.approx(distance(curves[i], reals[i]))


def test_extremes():
    real = np.array([0.4, 0.3])
    through = np.array([[0.6, 0.6], [0.4, 0.3], [0.2, 0.1]])
    assert area(through, real) == pytest.approx(1)
    assert distance(through, real) == 0
    assert area(np.array([[0.9, 0.0]]), real) == pytest.approx(1)  # more than real is no gain
    assert area(np.array([[0.0, 0.0], [1.0, 1.0]]), real) == 0  # either end alone is none
    assert area(np.array([[0.4, 0.65], [0.2, 0.3]]), real) == pytest.approx(0.75)
    assert np.isnan(area(through, np.array([0.0, 0.3])))
    assert distance(np.array([[0.5, 0.3], [0.5, 0.3]]), real) == pytest.approx(0.1)  # two equal points are no line


def lines(rng, count, words):
    return [" ".join(f"w{i}" for i in rng.integers(0, words, rng.integers(3, 9))) for _ in range(count)]


@pytest.fixture(scope="module")
def material():
    rng = np.random.default_rng(fresh_seed())
    sweep = {t: lines(rng, 60, int(12 * float(t))) for t in TEMPERATURES}
    return Material(references=lines(rng, 80, 14), real=lines(rng, 60, 14), sweep=sweep)


@pytest.mark.parametrize("n", [2, 4])
def test_points_are_bleu_and_self_bleu(material, n):
    def point(texts):
        own = score(Material(texts, references=material.references), [f"bleu-{n}", f"self-bleu-{n}"])
        return [each.value for each in own]

    real, curve = np.array(point(material.real)), np.array([point(material.sweep[t]) for t in TEMPERATURES])
    near, share = score(material, [f"frontier-distance-{n}", f"frontier-area-{n}"])
    assert near.value == pytest.approx(float(distance(curve, real)))
    assert share.value == pytest.approx(float(area(curve, real)))
    assert near.n == 60
    assert parse(share.signature)["T"] == "0.7,1,1.3"


def test_interval_holds_the_value_of_most(material):
    (share,) = score(material, ["frontier-area-2"])
    low, high = bootstrap_interval(share.stats, metric("frontier-area-2").reduce, np.random.default_rng(0))
    assert low < high
    assert low - 0.1 < share.value < high + 0.1


def test_order_of_items_does_not_matter(material):
    rng = np.random.default_rng(fresh_seed())

    def mixed(texts):
        return [texts[i] for i in rng.permutation(len(texts))]

    other = Material(
        references=mixed(material.references),
        real=mixed(material.real),
        sweep={t: mixed(texts) for t, texts in material.sweep.items()},
    )
    names = ["frontier-distance-3", "frontier-area-3"]
    assert [s.value for s in score(other, names)] == pytest.approx([s.value for s in score(material, names)])


def test_text_that_no_model_made_is_one_point_without_a_temperature(material):
    floor = Material(references=material.references, real=material.real, sweep={"": material.sweep["1"]})
    (share,) = score(floor, ["frontier-area-2"])
    assert 0 < share.value <= 1
    assert "T" not in parse(share.signature)


def test_reasons(material):
    names = ["frontier-area-2"]
    assert score(Material(), names)[0].reason == "no real given"
    assert score(Material(real=["a"], references=["a"], sweep={}), names)[0].reason == "sweep: empty"
    uneven = Material(references=["a"], real=["a", "b"], sweep={"1": ["a"]})
    assert score(uneven, names)[0].reason == "real text and samples differ in number (1, 2)"
    single = Material(references=["a"], real=["a"], sweep={"1": ["a"]})
    assert score(single, names)[0].reason == "one sample has no others"
    nothing = Material(references=["a"], real=["b", "c"], sweep={"1": ["a", "a"]})
    assert score(nothing, names)[0].reason.startswith("real text has BLEU 0")
