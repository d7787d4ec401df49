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


def f_scores(work: Workspace) -> dict[str, Floats]:
    """F1 of every item [items] by type; where there are several references, the best of them for each type."""
    material = work.material
    tokenizer = CharacterTokenizer() if canonical(material.tokens) == "char" else DefaultTokenizer(use_stemmer=True)
    scorer = RougeScorer(list(TYPES.values()), tokenizer=tokenizer)
    pairs = zip(material.samples, material.references_by_item or (), strict=True)
    scores = [scorer.score_multi(list(answers), sample) for sample, answers in pairs]
    return {kind: np.array([score[kind].fmeasure for score in scores], dtype=np.float64) for kind in TYPES.values()}


class Rouge(MeanMetric):
    """`rouge-1`, `rouge-2`, `rouge-l` (the text as one sequence), `rouge-lsum` (its lines as sentences)."""

    higher_is_better = True
    needs = frozenset({"samples", "references_by_item"})
    summary = "ROUGE F1 by rouge-score, 0-1"

    def missing(self, material: Material) -> str:
        return super().missing(material) or texts.unanswered(material)

    def values(self, work: Workspace) -> Floats:
        return work.shared(f_scores)[TYPES[self.name]]

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
