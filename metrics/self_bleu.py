"""Self-BLEU-n: how much the samples repeat each other (Zhu et al. 2018, Texygen).

Each sample against all the others as its references; itself is left out, so that a set without any repetition can score
low. An equal sample elsewhere counts.
"""

from __future__ import annotations

from metrics import texts
from metrics.base import Floats, Material, MeanMetric, Workspace
from metrics.bleu import Smoothing, sentence_bleu
from metrics.ngrams import Matches, others_matches
from metrics.tokenize import canonical


def self_matches(work: Workspace) -> Matches:
    """All orders, shared by every Self-BLEU-n of the material."""
    return others_matches(work.shared(texts.samples), device=work.device)


class SelfBleu(MeanMetric):
    """`self-bleu-n`: the lower, the more diverse; judged by its distance from real text of the same size."""

    summary = "mean sentence BLEU of each sample against the others"
    source = "Zhu et al. 2018 (Texygen)"
    blind = "quality; anything beyond n words"

    def __init__(self, name: str, smoothing: Smoothing = "m1") -> None:
        super().__init__(name)
        self.n = int(name.rpartition("-")[2])
        self.smoothing: Smoothing = smoothing

    def missing(self, material: Material) -> str:
        alone = "one sample has no others" if len(material.samples) == 1 else ""
        return super().missing(material) or alone

    def values(self, work: Workspace) -> Floats:
        return sentence_bleu(work.shared(self_matches), self.n, self.smoothing)

    def fields(self, material: Material) -> dict[str, str]:
        return {
            "n": str(self.n),
            "hyps": str(len(material.samples)),
            "refs": "others",
            "smooth": self.smoothing,
            "agg": "sent-mean",
            "tok": canonical(material.tokens),
        }
