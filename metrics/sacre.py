"""Corpus BLEU and chrF by the library sacreBLEU (Post 2018; Popovic 2015), on detokenised text, from 0 to 100.

The library gives each segment's statistics and the value of a sum of them; here is only what joins it to the suite.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import zip_longest

import numpy as np
from sacrebleu.metrics.base import Metric as Library
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from metrics import texts
from metrics.base import Floats, Material, Metric, Workspace
from metrics.tokenize import canonical


class Sacre(Metric):
    """A metric of sacreBLEU on items with one or more references each; their number may differ."""

    higher_is_better = True
    needs = frozenset({"samples", "references_by_item"})

    @abstractmethod
    def library(self, material: Material) -> Library:
        """A fresh object of the library (it remembers the last corpus that it saw)."""

    @abstractmethod
    def value(self, sums: list[int]) -> float:
        """The library's value for a sum of its statistics."""

    def missing(self, material: Material) -> str:
        return super().missing(material) or texts.unanswered(material)

    def per_item(self, work: Workspace) -> Floats:
        answers = work.material.references_by_item or ()
        columns = [list(column) for column in zip_longest(*answers)]  # None fills up, as the library wants it
        stats = self.library(work.material)._extract_corpus_statistics(list(work.material.samples), columns)
        return np.asarray(stats, dtype=np.float64)

    def reduce(self, sums: Floats) -> Floats:
        rows = np.rint(sums).astype(np.int64).reshape(-1, np.shape(sums)[-1])
        return np.array([self.value(row) for row in rows.tolist()]).reshape(np.shape(sums)[:-1])

    def fields(self, material: Material) -> dict[str, str]:
        """The counts, then sacreBLEU's own signature."""
        library = self.library(material)
        counts = {len(item) for item in material.references_by_item or ()} or {0}
        library.num_refs = counts.pop() if len(counts) == 1 else -1  # the library's sign for "varies"
        own = library.get_signature().format().split("|")
        return {"hyps": str(len(material.samples)), **dict(part.split(":", 1) for part in own)}


class SacreBleu(Sacre):
    """`sacrebleu`: corpus BLEU-4, cased, `13a` tokens; `zh` tokens where the task's tokens are characters."""

    summary = "corpus BLEU by sacreBLEU, 0-100"
    limits = (0.0, 100.0)
    source = "Post 2018; Papineni et al. 2002, by the library sacreBLEU"
    blind = "a right answer in other words; meaning"

    def library(self, material: Material) -> Library:
        # force: the texts are a system's detokenised output; the library's hint about " ." endings is not wanted here
        return BLEU(tokenize="zh" if canonical(material.tokens) == "char" else "13a", force=True)

    def value(self, sums: list[int]) -> float:
        orders = (len(sums) - 2) // 2
        bleu = BLEU.compute_bleu(sums[2 : 2 + orders], sums[2 + orders :], sums[0], sums[1], smooth_method="exp")
        return float(bleu.score)


class Chrf(Sacre):
    """`chrf`: character n-gram F-score, orders 1-6, beta 2, white space left out (chrF2)."""

    summary = "chrF2 by sacreBLEU, 0-100"
    limits = (0.0, 100.0)
    source = "Popovic 2015, by the library sacreBLEU"
    blind = "meaning, word order beyond six characters"

    def library(self, material: Material) -> Library:  # noqa: ARG002 - no tokens in it
        return CHRF()

    def value(self, sums: list[int]) -> float:
        return float(CHRF()._compute_score_from_stats(sums).score)
