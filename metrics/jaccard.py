"""MS-Jaccard: whether samples and references use the same n-grams equally often (Alihosseini et al. 2019)."""

from __future__ import annotations

import numpy as np

from metrics import texts
from metrics.base import Floats, Material, WholeMetric, Workspace
from metrics.ngrams import MAX_ORDER, Ints, Sentences
from metrics.tokenize import canonical


class MsJaccard(WholeMetric):
    """`ms-jaccard-n`: geometric mean, over orders 1 to n, of what the counts of both sides have in common.

    The counts are divided by the number of texts on their side, so that the two may differ in size.
    """

    higher_is_better = True
    summary = "n-gram counts in common with the references, orders 1 to n"
    source = "Alihosseini et al. 2019 (arXiv 1904.03971), MS-Jaccard"
    blind = "anything beyond n words; grows with the number of texts on both sides; rewards copies of train"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.n = int(name.rpartition("-")[2])

    def missing(self, material: Material) -> str:
        pool = material.references_by_item or material.references
        return super().missing(material) or ("" if pool else "no references given")

    def value(self, work: Workspace) -> float:
        common, every = work.shared(overlaps)[:, : self.n]
        if not every.all():
            return float("nan")
        return float(np.prod(common / every) ** (1 / self.n))

    def undefined(self, work: Workspace) -> str:
        empty = int(np.flatnonzero(work.shared(overlaps)[1] == 0)[0])
        return f"no text of either side has {empty + 1} tokens" if empty else "no text of either side has a token"

    def fields(self, material: Material) -> dict[str, str]:
        return {
            "n": str(self.n),
            "hyps": str(len(material.samples)),
            "refs": texts.reference_field(material),
            "per": "text",
            "tok": canonical(material.tokens),
        }


def overlaps(work: Workspace) -> Floats:
    """Sums over all n-grams of the smaller and of the larger of both sides' counts a text: [2, orders].

    Both are multiplied by the numbers of texts of both sides, which leaves them whole: exact, in whatever order.
    """
    samples, references = work.shared(texts.samples), work.shared(texts.references)
    if len(samples) == 0 or len(references) == 0:
        return np.zeros((2, MAX_ORDER))
    flat = np.concatenate([samples.flat, references.flat]).astype(np.int64)
    end = np.concatenate([_ends(samples), len(samples.flat) + _ends(references)])
    vocabulary, start = int(flat.max(initial=0)) + 1, np.arange(len(flat))
    sums = np.zeros((2, MAX_ORDER), dtype=np.int64)
    grams = flat
    for order in range(1, MAX_ORDER + 1):
        inside = start + order <= end[start]
        start, grams = start[inside], grams[inside]
        if order > 1:
            grams = np.unique(grams * vocabulary + flat[start + order - 1], return_inverse=True)[1]
        of_samples = start < len(samples.flat)
        ours, theirs = _counts(grams[of_samples], grams[~of_samples])
        ours, theirs = ours * len(references), theirs * len(samples)
        sums[:, order - 1] = np.minimum(ours, theirs).sum(), np.maximum(ours, theirs).sum()
    return sums.astype(np.float64)


def _counts(ours: Ints, theirs: Ints) -> tuple[Ints, Ints]:
    """How often each gram stands on either side: two arrays [grams]."""
    size = 1 + max(int(ours.max(initial=-1)), int(theirs.max(initial=-1)))
    return np.bincount(ours, minlength=size), np.bincount(theirs, minlength=size)


def _ends(sentences: Sentences) -> Ints:
    """Where its sentence ends, for each token."""
    return np.repeat(sentences.offsets[1:], sentences.lengths)
