"""BLEU-n as this field has it: the mean over sentences of a smoothed sentence BLEU.

Papineni et al. 2002, section 2; smoothing: method 1 of Chen and Cherry 2014. Values are those of NLTK's
`sentence_bleu` with uniform weights.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from metrics import texts
from metrics.base import Floats, Material, MeanMetric, Workspace
from metrics.ngrams import Matches, item_matches, pool_matches
from metrics.tokenize import canonical

Smoothing = Literal["m1", "none", "nltk-3.2"]
Weights = Literal["uniform", "single"]
EPSILON = 0.1  # method 1: what NLTK puts in place of a count of zero


def sentence_bleu(matches: Matches, n: int, smoothing: Smoothing = "m1", weights: Weights = "uniform") -> Floats:
    """Sentence BLEU [items].

    A hypothesis that shares no token with its references has 0 whatever the smoothing; so has an empty one.

    Args:
        smoothing: what an order without a match does. `m1`: its precision is 0.1 / n-grams. `none`: the value is 0.
            `nltk-3.2`: it is left out and the weights stay as they are, as in NLTK up to 3.2.5, which raises the value.
        weights: `uniform`: 1/n on orders 1..n. `single`: order n alone, as if it were BLEU-n.
    """
    counts = matches.counts[:, :n].astype(np.float64)
    totals = np.maximum(matches.lengths[:, None] - np.arange(n), 1)
    smoothed = np.where(counts == 0, EPSILON if smoothing == "m1" else 0.0, counts)
    with np.errstate(divide="ignore"):
        logs = np.log(smoothed / totals)
    if smoothing == "nltk-3.2":
        logs[counts == 0] = 0.0
    mean_log = logs.mean(axis=1) if weights == "uniform" else logs[:, -1]
    values: Floats = _brevity(matches) * np.exp(mean_log)
    return np.where(counts[:, 0] == 0, 0.0, values)


def _brevity(matches: Matches) -> Floats:
    lengths = np.maximum(matches.lengths, 1)
    return np.where(matches.lengths > matches.closest, 1.0, np.exp(1.0 - matches.closest / lengths))


def reference_matches(work: Workspace) -> Matches:
    """All orders, shared by every BLEU-n of the material."""
    material = work.material
    samples, references = work.shared(texts.samples), work.shared(texts.references)
    if material.references_by_item is not None:
        return item_matches(samples, references, texts.owners(material), device=work.device)
    return pool_matches(samples, references, device=work.device)


class Bleu(MeanMetric):
    """`bleu-n`: against a pool of references (free tasks) or each item's own (conditional tasks)."""

    higher_is_better = True
    summary = "mean sentence BLEU"
    source = "Papineni et al. 2002, section 2, by sentence as NLTK has it"
    blind = "anything beyond n words; against a pool also repetition: one good sentence 10,000 times scores high"

    def __init__(self, name: str, smoothing: Smoothing = "m1", weights: Weights = "uniform") -> None:
        super().__init__(name)
        self.n = int(name.rpartition("-")[2])
        self.smoothing: Smoothing = smoothing
        self.weights: Weights = weights

    def direction(self, material: Material) -> bool | None:
        # against a pool, a model above real text is no better than real text
        return True if material.references_by_item is not None else None

    def missing(self, material: Material) -> str:
        if material.references_by_item is None and not material.references:
            return super().missing(material) or "no references given"
        return super().missing(material) or texts.unanswered(material)

    def values(self, work: Workspace) -> Floats:
        return sentence_bleu(work.shared(reference_matches), self.n, self.smoothing, self.weights)

    def fields(self, material: Material) -> dict[str, str]:
        return {
            "n": str(self.n),
            "hyps": str(len(material.samples)),
            "refs": texts.reference_field(material),
            "smooth": self.smoothing,
            **({"weights": self.weights} if self.weights != "uniform" else {}),
            "agg": "sent-mean",
            "tok": canonical(material.tokens),
        }
