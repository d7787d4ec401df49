"""How far the distribution of the samples' features is from the references': one distance for quality and diversity."""

from __future__ import annotations

import numpy as np

from metrics import texts
from metrics.base import Floats, Material, Workspace
from metrics.encoders import FeatureMetric

TEXTS_A_DIMENSION = 2  # fewer texts than this times the dimensions say too little of a covariance


class Frechet(FeatureMetric):
    """`frechet`, `frechet@<encoder>`: Frechet distance of Gaussians fitted to both sides' features.

    Too high for few texts, by about as much for every method: only values with equal counts can be compared, and the
    row of real text says what 0 would look like.
    """

    higher_is_better = False
    summary = "Frechet distance of sentence features from the references'"
    limits = (0.0, float("inf"))
    source = (
        "Heusel et al. 2017 (FID); for text Semeniuta et al. 2018, Cifka et al. 2018, de Masson d'Autume et al. 2019"
    )
    blind = "what the features don't hold (hashed: meaning, order beyond 3 words); copies of train"

    def value(self, work: Workspace) -> float:
        ours, theirs = self.features(work, "samples"), self.features(work, "references")
        if min(len(ours), len(theirs)) < TEXTS_A_DIMENSION * ours.shape[1]:
            return float("nan")
        return distance(ours, theirs)

    def undefined(self, work: Workspace) -> str:
        ours, theirs = self.features(work, "samples"), self.features(work, "references")
        least = TEXTS_A_DIMENSION * ours.shape[1]
        if min(len(ours), len(theirs)) < least:
            return (
                f"{least} texts a side are the least for {ours.shape[1]} features, given {len(ours)} and {len(theirs)}"
            )
        return "a feature is not a number"

    def fields(self, material: Material) -> dict[str, str]:
        counts = {"hyps": str(len(material.samples)), "refs": texts.reference_field(material)}
        return {**counts, "cov": "n-1", **self.encoder.fields(material.tokens)}


def distance(ours: Floats, theirs: Floats) -> float:
    """Squared Frechet (Wasserstein-2) distance of the Gaussians fitted to two sets of vectors [texts, dimensions].

    |m - n|^2 + tr(C + D - 2 (C^1/2 D C^1/2)^1/2), and the trace of that last root is the sum of the singular values of
    C^1/2 D^1/2, which loses no digits by taking roots of what is nearly 0.
    """
    (mean, root), (other_mean, other_root) = _moments(ours), _moments(theirs)
    if not (np.isfinite(root).all() and np.isfinite(other_root).all()):
        return float("nan")
    shared = np.linalg.svd(root @ other_root, compute_uv=False).sum()
    apart = np.sum((mean - other_mean) ** 2) + np.sum(root**2) + np.sum(other_root**2) - 2 * shared
    return max(float(apart), 0.0)


def _moments(features: Floats) -> tuple[Floats, Floats]:
    """The mean, and the symmetric root of the covariance (whose squares sum to the covariance's trace)."""
    if not np.isfinite(features).all():
        return features.mean(axis=0), np.full((features.shape[1],) * 2, np.nan)
    values, vectors = np.linalg.eigh(np.cov(features, rowvar=False))
    # rounding leaves tiny values, of either sign, where the texts span fewer dimensions
    values = np.where(values > values[-1] * len(values) * np.finfo(np.float64).eps, values, 0.0)
    root: Floats = (vectors * np.sqrt(values)) @ vectors.T
    return features.mean(axis=0), root
