"""Plain facts about the samples that explain other numbers: how long they are, how much is empty or unknown."""

from __future__ import annotations

import numpy as np

from metrics import texts
from metrics.base import Floats, Material, MeanMetric, Metric, WholeMetric, Workspace, ratio
from metrics.tokenize import canonical, tokenizer

# how a vocabulary's unknown word is printed: by tasks on words, and by those on Chinese characters (a geta mark)
UNKNOWN = ("<unk>", "〓")


class Length(MeanMetric):
    """`length`: mean number of tokens a sample."""

    summary = "mean tokens a sample"
    limits = (0.0, float("inf"))
    unit = "tokens"
    source = "this suite"
    blind = "everything but length"

    def values(self, work: Workspace) -> Floats:
        lengths: Floats = work.shared(texts.samples).lengths.astype(np.float64)
        return lengths

    def fields(self, material: Material) -> dict[str, str]:
        return {"hyps": str(len(material.samples)), "tok": canonical(material.tokens)}


class LengthRatio(Metric):
    """`length-ratio`: tokens of the samples over tokens of the first reference of each item; 1 is right."""

    needs = frozenset({"samples", "references_by_item"})
    summary = "tokens of the samples / tokens of their first references"
    limits = (0.0, float("inf"))
    source = "Papineni et al. 2002, section 2.2.2 (the ratio behind the brevity penalty)"
    blind = "everything but length, and which items are too long or too short"

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
    source = "this suite"
    blind = "everything but emptiness"

    def values(self, work: Workspace) -> Floats:
        empty: Floats = (work.shared(texts.samples).lengths == 0).astype(np.float64)
        return empty

    def fields(self, material: Material) -> dict[str, str]:
        return {"hyps": str(len(material.samples)), "tok": canonical(material.tokens)}


class LengthDistance(WholeMetric):
    """`length-distance`: how many tokens, on average, the samples' lengths would have to move to be the references'.

    The Wasserstein-1 distance of the two distributions of lengths: the area between their cumulative shares.
    """

    higher_is_better = False
    summary = "Wasserstein-1 distance of lengths from the references'"
    limits = (0.0, float("inf"))
    unit = "tokens"
    source = "Vallender 1974 (the distance on a line); as a score of text: this suite"
    blind = "everything but length, and whether each item has the length it should"

    def missing(self, material: Material) -> str:
        pool = material.references_by_item or material.references
        return super().missing(material) or ("" if pool else "no references given")

    def value(self, work: Workspace) -> float:
        ours, theirs = work.shared(texts.samples).lengths, work.shared(texts.references).lengths
        if len(theirs) == 0:
            return float("nan")
        longest = 1 + max(int(ours.max()), int(theirs.max()))
        shorter = [np.cumsum(np.bincount(side, minlength=longest)) for side in (ours, theirs)]
        # whole numbers up to the division: exact, in whatever order the texts come
        area = np.abs(shorter[0] * len(theirs) - shorter[1] * len(ours)).sum()
        return float(area) / (len(ours) * len(theirs))

    def undefined(self, work: Workspace) -> str:  # noqa: ARG002
        return "the items have no references"

    def fields(self, material: Material) -> dict[str, str]:
        counts = {"hyps": str(len(material.samples)), "refs": texts.reference_field(material)}
        return {**counts, "tok": canonical(material.tokens)}


class Unknown(Metric):
    """`unk`: share of the samples' tokens that are the mark of an unknown word.

    Marks are looked for in the text itself, since a tokeniser may cut one into several tokens; here each is one.
    """

    higher_is_better = False
    summary = "share of tokens that are the unknown word"
    source = "this suite"
    blind = "a vocabulary that prints unknown words in another way, or never samples them"

    def per_item(self, work: Workspace) -> Floats:
        marks = np.array([sum(map(text.count, UNKNOWN)) for text in work.material.samples], dtype=np.float64)
        tokens = work.shared(texts.samples).lengths.astype(np.float64)
        cut = tokenizer(work.material.tokens)
        for i in np.flatnonzero(marks).tolist():
            tokens[i] = marks[i] + len(cut(_without_marks(work.material.samples[i])))
        return np.stack([marks, tokens], axis=1)

    def reduce(self, sums: Floats) -> Floats:
        return ratio(sums)

    def undefined(self, work: Workspace) -> str:  # noqa: ARG002
        return "no sample has a token"

    def fields(self, material: Material) -> dict[str, str]:
        marks = {"hyps": str(len(material.samples)), "marks": ",".join(UNKNOWN)}
        return {**marks, "tok": canonical(material.tokens)}


def _without_marks(text: str) -> str:
    for mark in UNKNOWN:
        text = text.replace(mark, " ")
    return text
