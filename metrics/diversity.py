"""How varied the samples are, and how much of them is copied.

Texts are compared as tokens: what the tokeniser folds (case, spacing) does not make two texts different.
"""

from __future__ import annotations

import numpy as np

from metrics import texts
from metrics.base import Floats, Material, MeanMetric, WholeMetric, Workspace
from metrics.ngrams import distinct
from metrics.tokenize import canonical


class Distinct(WholeMetric):
    """`distinct-n`: different n-grams of all samples together, divided by all their n-grams.

    Li et al. 2016 (A Diversity-Promoting Objective Function), who divide by the number of tokens; with
    n-grams as divisor a text without repetition has 1 for every n. It falls as the samples grow in number.
    """

    summary = "different n-grams / n-grams, over all samples"
    source = "Li et al. 2016 (A Diversity-Promoting Objective Function), who divide by tokens"
    blind = "quality: random words score highest; falls with the number of samples"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.n = int(name.rpartition("-")[2])

    def value(self, work: Workspace) -> float:
        different, total = distinct(work.shared(texts.samples), self.n)
        return different / total if total else float("nan")

    def undefined(self, work: Workspace) -> str:  # noqa: ARG002
        return f"no sample has {self.n} tokens" if self.n > 1 else "no sample has a token"

    def fields(self, material: Material) -> dict[str, str]:
        return {
            "n": str(self.n),
            "hyps": str(len(material.samples)),
            "per": "ngrams",
            "tok": canonical(material.tokens),
        }


class Unique(WholeMetric):
    """`unique`: different samples, divided by samples."""

    summary = "different samples / samples"
    source = "Zhu et al. 2018 (Texygen) count it"
    blind = "samples that differ in one word"

    def value(self, work: Workspace) -> float:
        keys = work.shared(texts.samples).row_keys()
        return len(set(keys)) / len(keys)

    def fields(self, material: Material) -> dict[str, str]:
        return {"hyps": str(len(material.samples)), "tok": canonical(material.tokens)}


class Copied(MeanMetric):
    """`copied`: share of samples that stand, whole, among the training texts."""

    higher_is_better = False
    needs = frozenset({"samples", "train"})
    summary = "share of samples that are training texts"
    source = "this suite"
    blind = "a copy with one word changed"

    def values(self, work: Workspace) -> Floats:
        known = set(work.shared(texts.train).row_keys())
        return np.array([key in known for key in work.shared(texts.samples).row_keys()], dtype=np.float64)

    def fields(self, material: Material) -> dict[str, str]:
        counts = {"hyps": str(len(material.samples)), "train": str(len(material.train or ()))}
        return {**counts, "tok": canonical(material.tokens)}
