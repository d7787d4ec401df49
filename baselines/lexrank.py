"""LexRank: the sentences that most others resemble. Erkan and Radev 2004 (JAIR 22:457-479).

Sentences are the nodes of a graph, joined where their words are alike. A walker who follows the edges, and jumps
anywhere now and then, is found most often at the sentences that say what the others say; those are the summary, but for
sentences that repeat a better one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from baselines.base import Baseline, BaselineConfig, Run
from baselines.extraction import EXTRACT_BUDGETS, ExtractConfig, count_tokens, reason_against, shortened, token_limit
from baselines.sentences import split_sentences
from baselines.writing import SourceWriter
from tasks.base import Corpus, Ragged

Floats = npt.NDArray[np.float64]


class LexRankConfig(ExtractConfig):
    threshold: float | None = Field(default=0.1, ge=0, lt=1)  # the paper's; None: continuous, edges weigh the cosine
    jump: float = Field(default=0.15, gt=0, lt=1)  # the paper's d; "damping 0.85" elsewhere is 1 - d
    redundancy: float | None = Field(default=0.5, gt=0, le=1)  # ours: none more alike than this to a chosen one


class LexRank(Baseline):
    name: ClassVar[str] = "lexrank"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "the article's most central sentences, edges by a threshold"
    source: ClassVar[str] = "Erkan and Radev 2004 (JAIR 22)"
    decodes: ClassVar[bool] = False
    Config: ClassVar[type[BaselineConfig]] = LexRankConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = EXTRACT_BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return reason_against(corpus)

    def build(self, corpus: Corpus) -> LexRankWriter:
        return LexRankWriter(corpus, self.config)

    def fit(self, corpus: Corpus, run: Run) -> LexRankWriter:
        writer = self.build(corpus)
        articles = corpus.splits["train"].sources
        assert articles is not None, "supports refuses corpora without sources"
        writer.idf = inverse_document_frequency(articles, len(writer.idf))
        run.progress("count", 1, 1)
        return writer


class ContinuousConfig(LexRankConfig):
    threshold: float | None = Field(default=None, ge=0, lt=1)


class LexRankContinuous(LexRank):
    name: ClassVar[str] = "lexrank_continuous"
    summary: ClassVar[str] = "the article's most central sentences, edges weighted"
    Config: ClassVar[type[BaselineConfig]] = ContinuousConfig


class LexRankWriter(SourceWriter):
    """Words are the ids of the article's codec; those it doesn't know take no part.

    Attributes:
        idf: of every word, from the training articles [vocabulary].
    """

    no_likelihood = "a choice of sentences is no distribution over summaries"

    def __init__(self, corpus: Corpus, config: LexRankConfig) -> None:
        super().__init__(corpus)
        assert corpus.source_codec is not None, "supports refuses corpora without sources"
        self.words, self.config = corpus.source_codec, config
        self.max_tokens = token_limit(corpus, config)
        vocab = self.words.vocab
        self.skipped = {vocab.eos, vocab.unk, *self.words.encode("\n")[:1]}  # `<br>`, where lines have a token
        self.idf: Floats = np.zeros(vocab.size)

    def answers(self, sources: Ragged, texts: Sequence[tuple[str, ...]]) -> list[str]:  # noqa: ARG002 - text is read
        return [self.summary("\n".join(text)) for text in texts]

    def summary(self, article: str) -> str:
        """The chosen sentences in the article's order, one a line. Without `max_tokens` they are whole."""
        sentences = split_sentences(article)
        if not sentences:
            return ""
        alike = self.similarity(sentences)
        scores = centrality(alike, self.config.threshold, self.config.jump)
        chosen: dict[int, str] = {}
        left = self.max_tokens
        for place in ranked(scores, alike, self.config.redundancy):
            if len(chosen) == self.config.sentences or (left is not None and left <= 0):
                break
            chosen[place] = sentences[place] if left is None else shortened(sentences[place], left, self.target_codec)
            left = None if left is None else left - count_tokens(chosen[place], self.target_codec)
        return "\n".join(chosen[place] for place in sorted(chosen))

    def similarity(self, sentences: Sequence[str]) -> Floats:
        """TF-IDF cosine of each pair [sentences, sentences]; 1 with itself, also where no word counts."""
        rows = [[word for word in self.words.encode(text) if word not in self.skipped] for text in sentences]
        flat = np.array([word for row in rows for word in row], np.int64)
        owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        used, column = np.unique(flat, return_inverse=True)
        counts = np.bincount(owner * len(used) + column, minlength=len(rows) * len(used)).reshape(len(rows), -1)
        vectors = counts * self.idf[used]
        norms = np.sqrt((vectors**2).sum(1, keepdims=True))
        vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
        alike: Floats = vectors @ vectors.T
        np.fill_diagonal(alike, 1.0)
        return alike

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"idf": torch.from_numpy(self.idf)}

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> None:
        self.idf = state_dict["idf"].detach().cpu().numpy().copy()


def inverse_document_frequency(articles: Ragged, words: int) -> Floats:
    """ln(N / n): N articles, n of which have the word. 0 for a word that none has [words]."""
    owner = np.repeat(np.arange(len(articles)), articles.lengths)
    pairs = np.unique(owner * words + articles.flat)
    found = np.bincount(pairs % words, minlength=words)
    return np.log(len(articles) / np.maximum(found, 1)) * (found > 0)


def centrality(alike: Floats, threshold: float | None, jump: float) -> Floats:
    """How often the walker is at each sentence [sentences]; sums to 1.

    p = jump / n + (1 - jump) W'p, with W the edges of each sentence over their sum. One small linear system is solved
    where the paper iterates: the same p, to the last digits.
    """
    edges = alike if threshold is None else (alike > threshold).astype(np.float64)
    walk = edges / edges.sum(1, keepdims=True)
    n = len(alike)
    central: Floats = np.linalg.solve(np.eye(n) - (1 - jump) * walk.T, np.full(n, jump / n))
    return central


def ranked(scores: Floats, alike: Floats, redundancy: float | None) -> list[int]:
    """Sentences from the most central on, the earlier first of equals, without those too much like one before them."""
    kept: list[int] = []
    for place in np.argsort(-np.round(scores, 12), kind="stable").tolist():
        if redundancy is None or not kept or alike[place, kept].max() <= redundancy:
            kept.append(place)
    return kept
