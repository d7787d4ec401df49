"""ROUGE-1, -2, -L and -Lsum F1 by the library rouge-score (Lin 2004), from 0 to 1.

Only the scores of single items are the library's; the mean is ours, since its own aggregator draws from NumPy's global
generator and reports a bootstrap median.
"""

from __future__ import annotations

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer, Tokenizer

from metrics import texts
from metrics.base import Floats, Material, MeanMetric, Workspace
from metrics.tokenize import canonical, characters

TYPES = {"rouge-1": "rouge1", "rouge-2": "rouge2", "rouge-l": "rougeL", "rouge-lsum": "rougeLsum"}


class CharacterTokenizer(Tokenizer):  # type: ignore[misc]
    """For Chinese: rouge-score's own tokens are runs of a-z and 0-9, so two equal Chinese lines would score 0."""

    def tokenize(self, text: str) -> list[str]:
        return characters(text.lower())


class RememberingTokenizer(Tokenizer):  # type: ignore[misc]
    """Cuts each text once for all types: stemming costs more than ROUGE-1 and -2 together."""

    def __init__(self, inner: Tokenizer) -> None:
        self._inner = inner
        self._known: dict[str, list[str]] = {}

    def tokenize(self, text: str) -> list[str]:
        if text not in self._known:
            self._known[text] = self._inner.tokenize(text)
        return self._known[text]


def rouge_tokenizer(work: Workspace) -> Tokenizer:
    """Characters for tasks that are scored on them; else rouge-score's own, with the Porter stemmer."""
    by_character = canonical(work.material.tokens) == "char"
    return RememberingTokenizer(CharacterTokenizer() if by_character else DefaultTokenizer(use_stemmer=True))


class Rouge(MeanMetric):
    """`rouge-1`, `rouge-2`, `rouge-l` (the text as one sequence), `rouge-lsum` (its lines as sentences)."""

    higher_is_better = True
    needs = frozenset({"samples", "references_by_item"})
    summary = "ROUGE F1 by rouge-score, 0-1"
    source = "Lin 2004, by the library rouge-score"
    blind = "truth, fluency, repetition; letters with accents separate words"

    def missing(self, material: Material) -> str:
        return super().missing(material) or texts.unanswered(material)

    def values(self, work: Workspace) -> Floats:
        """F1; where an item has several references, that of the one with the highest (rouge-score's `score_multi`)."""
        kind = TYPES[self.name]
        scorer = RougeScorer([kind], tokenizer=work.shared(rouge_tokenizer))
        pairs = zip(work.material.samples, work.material.references_by_item or (), strict=True)
        scores = (scorer.score_multi(list(answers), sample)[kind].fmeasure for sample, answers in pairs)
        return np.fromiter(scores, dtype=np.float64, count=len(work.material.samples))

    def fields(self, material: Material) -> dict[str, str]:
        by_character = canonical(material.tokens) == "char"
        return {
            "hyps": str(len(material.samples)),
            "refs": texts.reference_field(material),
            "multi": "max",
            "f": "1",
            "agg": "item-mean",
            "tok": "char-lower" if by_character else "rouge-score",
            "stem": "no" if by_character else "porter",
        }
