"""Lead-3: the first three sentences of the article. See, Liu and Manning 2017 (arXiv 1704.04368, section 5.2).

News says most at its beginning, so this is hard to beat there. Nothing is learnt but, where the budget asks for it, how
long the training summaries are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from baselines.base import Baseline, BaselineConfig, Run
from baselines.extraction import EXTRACT_BUDGETS, ExtractConfig, count_tokens, reason_against, shortened, token_limit
from baselines.sentences import split_sentences
from baselines.writing import SourceWriter
from tasks.base import Corpus, Ragged


class Lead3(Baseline):
    name: ClassVar[str] = "lead3"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "the article's first three sentences"
    source: ClassVar[str] = "See et al. 2017, arXiv 1704.04368"
    decodes: ClassVar[bool] = False
    Config: ClassVar[type[BaselineConfig]] = ExtractConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = EXTRACT_BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return reason_against(corpus)

    def build(self, corpus: Corpus) -> LeadWriter:
        return LeadWriter(corpus, self.config.sentences, token_limit(corpus, self.config))

    def fit(self, corpus: Corpus, run: Run) -> LeadWriter:
        run.progress("lead", 1, 1)
        return self.build(corpus)


class LeadWriter(SourceWriter):
    no_likelihood = "the first sentences of an article are no distribution over summaries"

    def __init__(self, corpus: Corpus, sentences: int, max_tokens: int | None) -> None:
        super().__init__(corpus)
        self.sentences, self.max_tokens = sentences, max_tokens

    def answers(self, sources: Ragged, texts: Sequence[tuple[str, ...]]) -> list[str]:  # noqa: ARG002 - text is read
        return [self.lead("\n".join(text)) for text in texts]

    def lead(self, article: str) -> str:
        """One sentence a line, as ROUGE-Lsum wants them."""
        kept: list[str] = []
        left = self.max_tokens
        for sentence in split_sentences(article)[: self.sentences]:
            if left is not None and left <= 0:
                break
            kept.append(sentence if left is None else shortened(sentence, left, self.target_codec))
            left = None if left is None else left - count_tokens(kept[-1], self.target_codec)
        return "\n".join(kept)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The length budget, 0 for none."""
        return {"max_tokens": torch.tensor([self.max_tokens or 0])}

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> None:
        self.max_tokens = int(state_dict["max_tokens"][0]) or None
