"""MAUVE: the rule on sizes, what the library is given, and, where it is installed, its value."""

from __future__ import annotations

import random
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from metrics import Material, score
from metrics.encoders import Hashed
from metrics.signature import parse

OURS = [f"a {i % 97} b {i % 13} ." for i in range(5000)]
THEIRS = [f"c {i % 89} b {i % 17} ." for i in range(5000)]


def mauve(samples, references):
    return score(Material(samples, references, tokens="space"), ["mauve"])[0]


def test_few_texts_give_a_reason():
    few = mauve(OURS, THEIRS[:4999])
    assert np.isnan(few.value)
    assert few.reason == "5000 texts a side are the least, given 5000 and 4999"
    assert parse(few.signature)["k"] == "500"
    assert mauve(OURS, None).reason == "no references given"
    assert mauve([], THEIRS).reason == "samples: empty"


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mauve", None)
    result = mauve(OURS, THEIRS)
    assert np.isnan(result.value)
    assert result.reason.startswith("needs the extra `mauve`: pip install 'gantlet[mauve]'")


@pytest.fixture
def library(monkeypatch):
    """Stands in for mauve-text and faiss; notes what it is asked."""
    asked, threads = [], [8]

    def compute(**given):
        asked.append({**given, "threads": threads[0]})
        random.random()
        np.random.random()  # noqa: NPY002 - what a careless library would do
        return SimpleNamespace(mauve=0.25)

    faiss = SimpleNamespace(
        omp_get_max_threads=lambda: threads[0], omp_set_num_threads=lambda n: threads.__setitem__(0, n)
    )
    monkeypatch.setitem(sys.modules, "mauve", SimpleNamespace(compute_mauve=compute))
    monkeypatch.setitem(sys.modules, "faiss", faiss)
    return SimpleNamespace(asked=asked, threads=threads)


def test_what_the_library_is_given(library):
    result = mauve(OURS[::-1], [*THEIRS, "one more"])
    (asked,) = library.asked
    assert (result.value, result.reason, result.higher_is_better, result.stats) == (0.25, "", True, None)
    assert np.array_equal(asked.pop("q_features"), Hashed().encode(sorted(OURS), "space"))
    assert np.array_equal(asked.pop("p_features"), Hashed().encode(sorted([*THEIRS, "one more"]), "space"))
    assert asked == {
        "num_buckets": 500,
        "kmeans_explained_var": 0.9,
        "kmeans_num_redo": 5,
        "kmeans_max_iter": 500,
        "mauve_scaling_factor": 5,
        "seed": 25,
        "verbose": False,
        "threads": 1,
    }
    assert library.threads == [8]
    fields = parse(result.signature)
    assert {
        "hyps": "5000",
        "refs": "5001",
        "k": "500",
        "c": "5",
        "seed": "25",
        "kmeans": "5x500",
    }.items() <= fields.items()
    assert fields["enc"].startswith("hashed.v1#")


def test_global_generators_are_put_back(library):
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    mauve(OURS, THEIRS)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
    assert library.asked


@pytest.mark.slow
def test_the_librarys_own_value():
    """Needs the extra; equal to a call of the library, whatever the order of the texts, and twice the same."""
    library = pytest.importorskip("mauve")
    vectors = [Hashed().encode(sorted(side), "space") for side in (THEIRS, OURS)]
    direct = library.compute_mauve(p_features=vectors[0], q_features=vectors[1], num_buckets=500, seed=25).mauve
    result = mauve(OURS, THEIRS)
    assert result.value == pytest.approx(direct, abs=1e-6)
    assert mauve(OURS[::-1], THEIRS[::-1]).value == result.value
    assert mauve(OURS, OURS).value == pytest.approx(1, abs=1e-9)
    assert result.value < 0.9
