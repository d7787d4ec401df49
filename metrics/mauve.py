"""MAUVE by the library mauve-text, an extra: the area under a divergence frontier of two clustered sets of features.

The features are given to the library, so that it loads no language model. With the default `hashed` features the value
is not the one of papers, which use those of GPT-2 large; with any, it only ranks samples scored with equal settings.
"""

from __future__ import annotations

import contextlib
import importlib
import random
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from metrics import texts
from metrics.base import Floats, Material, Workspace
from metrics.encoders import FeatureMetric, Side, texts_of

LEAST = 5000  # texts a side: Pillutla et al. 2021 say a few thousand; below, the value is biased upwards
SCALING = 5  # c in the paper
SEED = 25  # of the library's clustering; its own default
RUNS, ROUNDS = 5, 500  # of k-means, the library's own defaults
VARIANCE = 0.9  # kept by its PCA


class Mauve(FeatureMetric):
    """`mauve`, `mauve@<encoder>`: relative use only, among values with equal signatures."""

    higher_is_better = True
    summary = "MAUVE of sentence features (extra `mauve`)"
    source = "Pillutla et al. 2021, by mauve-text"
    blind = "what the features don't hold; no absolute meaning: only values with equal signatures can be compared"

    def value(self, work: Workspace) -> float:
        if self.undefined(work):
            return float("nan")
        # the clustering depends on the order of its points: a fixed one makes the value a function of the set
        ours, theirs = (self._sorted_features(work, side) for side in ("samples", "references"))
        with _generators_kept():
            return _compute(ours, theirs)

    def undefined(self, work: Workspace) -> str:
        counts = [len(texts_of(work.material, side)) for side in ("samples", "references")]
        if min(counts) < LEAST:
            return f"{LEAST} texts a side are the least, given {counts[0]} and {counts[1]}"
        return _absent()

    def fields(self, material: Material) -> dict[str, str]:
        counts = [len(texts_of(material, side)) for side in ("samples", "references")]
        return {
            "hyps": str(counts[0]),
            "refs": texts.reference_field(material),
            "k": str(_clusters(*counts)),
            "c": str(SCALING),
            "pca": str(VARIANCE),
            "kmeans": f"{RUNS}x{ROUNDS}",
            "seed": str(SEED),
            "lib": f"mauve-text-{_version('mauve-text')},faiss-cpu-{_version('faiss-cpu')}",
            **self.encoder.fields(material.tokens),
        }

    def _sorted_features(self, work: Workspace, side: Side) -> Floats:
        given = texts_of(work.material, side)
        return self.features(work, side)[sorted(range(len(given)), key=given.__getitem__)]


def _clusters(ours: int, theirs: int) -> int:
    """A tenth of the texts of the smaller side."""
    return max(2, round(min(ours, theirs) / 10))


def _compute(ours: Floats, theirs: Floats) -> float:
    library, faiss = importlib.import_module("mauve"), importlib.import_module("faiss")
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # sums of several threads would differ in their last digits
    try:
        found: Any = library.compute_mauve(
            p_features=theirs,
            q_features=ours,
            num_buckets=_clusters(len(ours), len(theirs)),
            kmeans_explained_var=VARIANCE,
            kmeans_num_redo=RUNS,
            kmeans_max_iter=ROUNDS,
            mauve_scaling_factor=SCALING,
            seed=SEED,
            verbose=False,
        )
    finally:
        faiss.omp_set_num_threads(threads)
    return float(found.mauve)


@contextlib.contextmanager
def _generators_kept() -> Iterator[None]:
    """Global random states are put back: what the library imports (scikit-learn) draws from Python's."""
    plain, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global state is what is kept
    try:
        yield
    finally:
        random.setstate(plain)
        np.random.set_state(numpy)  # noqa: NPY002


def _absent() -> str:
    """Why the library can't be used; empty if it can."""
    try:
        with _generators_kept():
            importlib.import_module("mauve")
    except ImportError as error:
        return f"needs the extra `mauve`: pip install 'gantlet[mauve]' ({error})"
    return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
