"""Retrieval: the answer that goes with the most similar source of the training data.

What a method must beat to show that it does more than look things up. Similarity is the cosine of TF-IDF vectors
(Salton and Buckley 1988, Information Processing and Management 24) over the source's tokens; of a dialogue the whole
context counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from baselines.base import Baseline, Run
from baselines.writing import SourceWriter
from tasks.base import Corpus, Ragged, TextCodec

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TIE = 1e-9  # cosines nearer than this are equal, and the first row is taken: no result hangs on the order of a sum


class Retrieval(Baseline):
    name: ClassVar[str] = "retrieval"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "the target of the most similar training source"
    source: ClassVar[str] = "a floor; TF-IDF cosine as in Salton and Buckley 1988"
    decodes: ClassVar[bool] = False
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {}, "small": {}, "paper": {}}

    def supports(self, corpus: Corpus) -> str | None:
        return None if corpus.kind == "conditional" else "it looks sources up, and this task has none"

    def build(self, corpus: Corpus) -> RetrievalWriter:
        return RetrievalWriter(corpus)

    def fit(self, corpus: Corpus, run: Run) -> RetrievalWriter:
        writer = self.build(corpus)
        run.progress("index", 1, 1)
        return writer


class RetrievalWriter(SourceWriter):
    """The index is made of the corpus, so there are no weights: what is saved only tells another corpus."""

    no_likelihood = "one text is looked up: all others would have probability 0"

    def __init__(self, corpus: Corpus) -> None:
        super().__init__(corpus)
        train = corpus.splits["train"]
        assert train.sources is not None, "supports refuses corpora without sources"
        assert corpus.source_codec is not None
        self.index = Index(train.sources, corpus.source_codec.vocab.size, special_ids(corpus.source_codec))
        self.targets = [example.target for example in train.examples]

    def answers(self, sources: Ragged, texts: Sequence[tuple[str, ...]]) -> list[str]:  # noqa: ARG002 - ids are read
        return [self.targets[self.index.nearest(sources[i])] for i in range(len(sources))]

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"rows": torch.tensor([len(self.targets)])}

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> None:
        rows = int(state_dict["rows"][0])
        if rows != len(self.targets):
            raise ValueError(f"retrieval was made of {rows} training rows, and this corpus has {len(self.targets)}")


def special_ids(codec: TextCodec) -> list[int]:
    """Ids that say nothing of the text: `</s>`, `<unk>` (each stands for another word), the break between turns."""
    vocab = codec.vocab
    return [i for i in (vocab.eos, vocab.unk, *codec.encode("\n")[:1]) if i is not None]


class Index:
    """TF-IDF vectors of length 1, kept twice: by row, and by token (an inverted index).

    A token's weight in a row is its count times ln(rows / rows with the token).
    """

    def __init__(self, rows: Ragged, vocabulary: int, skipped: Sequence[int] = ()) -> None:
        """
        Args:
            vocabulary: ids are below it.
            skipped: ids that take no part.
        """
        self.rows = len(rows)
        self.skipped = np.zeros(vocabulary, bool)
        self.skipped[list(skipped)] = True
        pairs = np.repeat(np.arange(self.rows), rows.lengths) * vocabulary + rows.flat
        pairs, counts = np.unique(pairs[~self.skipped[rows.flat]], return_counts=True)
        row, token = np.divmod(pairs, vocabulary)
        found = np.bincount(token, minlength=vocabulary)
        self.idf: Floats = np.log(self.rows / np.maximum(found, 1)) * (found > 0)
        weight = counts * self.idf[token]
        norm = np.sqrt(np.bincount(row, weight**2, minlength=self.rows))
        self.token, self.weight = token, weight / np.where(norm > 0, norm, 1.0)[row]
        self.row_begin = np.searchsorted(row, np.arange(self.rows + 1))
        by_token = np.argsort(token, kind="stable")
        self.posted_row, self.posted_weight = row[by_token], self.weight[by_token]
        self.token_begin = np.append(0, np.cumsum(found))
        self.heaviest = np.zeros(vocabulary)
        np.maximum.at(self.heaviest, token, self.weight)
        self.mean_length = len(token) / max(1, self.rows)
        self._partial = np.zeros(self.rows)

    def nearest(self, query: npt.NDArray[np.integer[Any]]) -> int:
        """The row with the largest cosine, the first of equal ones; row 0 where nothing is shared.

        Rare tokens come first. When what the others can still add is less than the best row has already, only rows that
        can reach it are left; once their whole cosines cost less than to go on, these are taken. So the result is that
        of a full search.
        """
        tokens, weights = self._vector(query)
        sizes = self.token_begin[tokens + 1] - self.token_begin[tokens]
        to_come = np.append(np.cumsum(sizes[::-1])[::-1], 0)  # entries
        most = np.sqrt(np.append(np.cumsum((weights**2)[::-1])[::-1], 0.0))  # by Cauchy and Schwarz
        most = np.minimum(most, np.append(np.cumsum((weights * self.heaviest[tokens])[::-1])[::-1], 0.0))
        partial, best = self._partial, 0.0
        partial.fill(0.0)
        rows = np.zeros(0, np.int64)
        for place, (token, weight) in enumerate(zip(tokens.tolist(), weights.tolist(), strict=True), start=1):
            posted = slice(self.token_begin[token], self.token_begin[token + 1])
            partial[self.posted_row[posted]] += weight * self.posted_weight[posted]
            best = max(best, float(partial[self.posted_row[posted]].max()))
            if best - TIE > most[place]:
                rows = np.flatnonzero(partial >= best - most[place] - TIE)
                if len(rows) * self.mean_length <= to_come[place]:
                    break
        if not len(rows):
            return 0
        cosines = self._cosines(rows, tokens, weights)
        return int(rows[np.flatnonzero(cosines >= cosines.max() - TIE)[0]])

    def _vector(self, query: npt.NDArray[np.integer[Any]]) -> tuple[Ints, Floats]:
        """The query's tokens, those of the fewest rows first, and their weights; its vector has length 1."""
        tokens, counts = np.unique(query[~self.skipped[query]].astype(np.int64), return_counts=True)
        weights = counts * self.idf[tokens]
        tokens, weights = tokens[weights > 0], weights[weights > 0]
        order = np.argsort(-self.idf[tokens], kind="stable")
        norm = np.sqrt((weights**2).sum())
        return tokens[order], weights[order] / (norm if norm > 0 else 1.0)

    def _cosines(self, rows: Ints, tokens: Ints, weights: Floats) -> Floats:
        dense = np.zeros(len(self.idf))
        dense[tokens] = weights
        begin, end = self.row_begin[rows], self.row_begin[rows + 1]
        lengths = end - begin
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1]) + np.repeat(begin - ends + lengths, lengths)
        owner = np.repeat(np.arange(len(rows)), lengths)
        products = self.weight[places] * dense[self.token[places]]
        return np.bincount(owner, products, minlength=len(rows)).astype(np.float64)
