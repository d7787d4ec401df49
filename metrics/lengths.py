"""Plain facts about the samples that explain other numbers: how long they are, and how many are empty."""

from __future__ import annotations

import numpy as np

from metrics import texts
from metrics.base import Floats, Material, MeanMetric, Metric, Workspace, ratio
from metrics.tokenize import canonical


class Length(MeanMetric):
    """`length`: mean number of tokens a sample."""

    summary = "mean tokens a sample"

    def values(self, work: Workspace) -> Floats:
        lengths: Floats = work.shared(texts.samples).lengths.astype(np.float64)
        return lengths

    def fields(self, material: Material) -> dict[str, str]:
        return {"hyps": str(len(material.samples)), "tok": canonical(material.tokens)}


class LengthRatio(Metric):
    """`length-ratio`: tokens of the samples over tokens of the first reference of each item; 1 is right."""

    needs = frozenset({"samples", "references_by_item"})
    summary = "tokens of the samples / tokens of their first references"

    def missing(self, material: Material) -> str:
        return super().missing(material) or texts.unanswered(material)

    def per_item(self, work: Workspace) -> Floats:
        lengths = work.shared(texts.samples).lengths
        first = np.searchsorted(texts.owners(work.material), np.arange(len(lengths)))
        return np.stack([lengths, work.shared(texts.references).lengths[first]], axis=1).astype(np.float64)

    def reduce(self, sums: Floats) -> Floats:
        return ratio(sums)

    def undefined(self, work: Workspace) -> str:  # noqa: ARG002
        return "the references have no tokens"

    def fields(self, material: Material) -> dict[str, str]:
        return {"hyps": str(len(material.samples)), "refs": "first", "tok": canonical(material.tokens)}


class Empty(MeanMetric):
    """`empty`: share of samples without a token. They count as samples everywhere else."""

    higher_is_better = False
    summary = "share of samples without a token"

    def values(self, work: Workspace) -> Floats:
        empty: Floats = (work.shared(texts.samples).lengths == 0).astype(np.float64)
        return empty

    def fields(self, material: Material) -> dict[str, str]:
        return {"hyps": str(len(material.samples)), "tok": canonical(material.tokens)}
