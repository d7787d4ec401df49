"""LexRank: the graph and its walk against plain formulas, the redundancy filter, budgets, document frequencies."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from baselines.base import Decoding, NotTractable, Writer
from baselines.lexrank import (
    ContinuousConfig,
    LexRank,
    LexRankConfig,
    LexRankContinuous,
    LexRankWriter,
    centrality,
    inverse_document_frequency,
    ranked,
)
from tasks.base import Corpus, Example, Ragged, Split
from tests.fakes import FakeRun
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus

TINY: dict[str, Any] = {}
GREEDY = Decoding("greedy")
LETTERS = "abcdefgh"


def random_cosines(rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
    """Of vectors that are not negative, a few without a word in common with any other."""
    vectors = rng.random((n, 6)) * (rng.random((n, 6)) < 0.4)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = (vectors / np.where(norms > 0, norms, 1)) @ (vectors / np.where(norms > 0, norms, 1)).T
    np.fill_diagonal(alike, 1.0)
    return alike


@pytest.mark.parametrize("threshold", [0.1, 0.3, None])
@pytest.mark.parametrize("jump", [0.15, 0.6])
def test_centrality_is_the_dominant_eigenvector(threshold: float | None, jump: float) -> None:
    """Of the walk as the paper writes it: jump U + (1 - jump) B, B the similarities over their row's sum."""
    rng = np.random.default_rng(fresh_seed())
    for n in (1, 2, 7, 30):
        alike = random_cosines(rng, n)
        walk = np.zeros((n, n))
        for i in range(n):
            edges = [alike[i, j] if threshold is None else float(alike[i, j] > threshold) for j in range(n)]
            for j in range(n):
                walk[i, j] = jump / n + (1 - jump) * edges[j] / sum(edges)
        values, vectors = np.linalg.eig(walk.T)
        dominant = int(np.argmin(np.abs(values - 1)))
        expected = np.real(vectors[:, dominant] / vectors[:, dominant].sum())
        np.testing.assert_allclose(centrality(alike, threshold, jump), expected, atol=1e-9)


def test_an_edge_needs_more_than_the_threshold() -> None:
    alike = np.array([[1.0, 0.1, 0.11], [0.1, 1.0, 0.0], [0.11, 0.0, 1.0]])
    scores = centrality(alike, 0.1, 0.15)
    assert scores[0] == pytest.approx(scores[2])  # joined to one another, and to nothing else
    assert scores.sum() == pytest.approx(1)
    assert centrality(alike, None, 0.15)[0] > centrality(alike, None, 0.15)[2]


def summarizer(config: LexRankConfig | None = None, corpus: Corpus | None = None) -> LexRankWriter:
    return LexRank(config).fit(corpus or articles(), FakeRun())


def articles(n: int = 40, seed: int = 3) -> Corpus:
    """The toy with articles of several sentences of letters, in which some letters are rare."""
    rng = np.random.default_rng(seed)
    chance = 1 / np.arange(1, 9)
    corpus = conditional_corpus(n)

    def split(count: int) -> Split:
        examples, sources = [], []
        for _ in range(count):
            sentences = [
                " ".join(rng.choice(list(LETTERS), rng.integers(2, 6), p=chance / chance.sum()))
                for _ in range(rng.integers(1, 7))
            ]
            text = " . ".join(sentences) + " ."
            examples.append(Example("A B C", (text,), ("A B C",)))
            sources.append([*corpus.source_codec.encode(text), 0])  # type: ignore[union-attr]
        targets = Ragged.from_lists([[2, 3, 4, 0]] * count)
        return Split(tuple(examples), targets, Ragged.from_lists(sources))

    return dataclasses.replace(corpus, splits={name: split(len(s)) for name, s in corpus.splits.items()})


def test_document_frequencies_are_of_training_articles_and_count_an_article_once() -> None:
    found = inverse_document_frequency(Ragged.from_lists([[2, 2, 3, 0], [2, 4, 0], [2, 3, 3, 0]]), 6)
    expected = [0.0, 0.0, 0.0, math.log(3 / 2), math.log(3), 0.0]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    corpus, other = articles(), articles(seed=9)
    changed = dataclasses.replace(corpus, splits={**other.splits, "train": corpus.splits["train"]})
    assert np.array_equal(summarizer(corpus=corpus).idf, summarizer(corpus=changed).idf)
    assert not np.array_equal(summarizer(corpus=corpus).idf, summarizer(corpus=other).idf)


def test_similarity_is_the_cosine_of_the_paper() -> None:
    """sum tf tf idf^2 over the norms of tf idf; unknown words count for nothing."""
    rng = np.random.default_rng(fresh_seed())
    writer = summarizer()
    sentences = [" ".join(rng.choice([*LETTERS, "?!"], rng.integers(1, 7))) for _ in range(8)]
    found = writer.similarity(sentences)
    idf = {letter: writer.idf[2 + place] for place, letter in enumerate(LETTERS)}
    for i, one in enumerate(sentences):
        for j, two in enumerate(sentences):
            x, y = ({w: s.split().count(w) for w in LETTERS if w in s.split()} for s in (one, two))
            shared = sum(x[w] * y[w] * idf[w] ** 2 for w in x if w in y)
            norms = [math.sqrt(sum((n * idf[w]) ** 2 for w, n in each.items())) for each in (x, y)]
            cosine = shared / (norms[0] * norms[1]) if all(norms) else 0.0
            assert found[i, j] == pytest.approx(1.0 if i == j else cosine, abs=1e-12)


def test_sentences_of_unknown_words_alone_break_nothing() -> None:
    writer = summarizer()
    assert writer.summary("") == ""
    assert writer.summary("??? !!!") == "???\n!!!"
    assert writer.summary("zzz yyy. xxx.") == "zzz yyy.\nxxx."


def test_the_filter_drops_what_repeats_a_better_sentence_and_equals_stand_in_order() -> None:
    alike = np.array([[1.0, 0.9, 0.2, 0.0], [0.9, 1.0, 0.3, 0.0], [0.2, 0.3, 1.0, 0.5], [0.0, 0.0, 0.5, 1.0]])
    scores = np.array([0.3, 0.4, 0.15, 0.15 + 1e-15])
    assert ranked(scores, alike, 0.5) == [1, 2, 3]
    assert ranked(scores, alike, 0.49) == [1, 2]
    assert ranked(scores, alike, None) == [1, 0, 2, 3]


def test_the_most_central_sentences_are_chosen_in_the_order_of_the_article() -> None:
    rng = np.random.default_rng(fresh_seed())
    for count in (1, 3):
        writer = summarizer(LexRankConfig(sentences=count, redundancy=None))
        sentences = [" ".join(rng.choice(list(LETTERS), 4)) + f" z{place} ." for place in range(8)]
        scores = centrality(writer.similarity(sentences), 0.1, 0.15)
        best = sorted(np.argsort(-np.round(scores, 12), kind="stable")[:count])
        assert writer.summary(" ".join(sentences)) == "\n".join(sentences[place] for place in best)


def test_the_budget_cuts_the_least_central_sentence_not_the_last() -> None:
    writer = summarizer(LexRankConfig(sentences=2, max_tokens=5, redundancy=None))
    writer.idf = np.ones_like(writer.idf)
    article = "g a b h . a b c d ."  # two alike: the first ranks first, and the second has what is left
    assert writer.summary(article) == "g a b h ."
    writer = summarizer(LexRankConfig(sentences=2, max_tokens=7, redundancy=None))
    writer.idf = np.ones_like(writer.idf)
    assert writer.summary(article) == "g a b h .\na b"
    writer.max_tokens = 4
    assert writer.summary("a h . b g . a b .") == "a\na b ."  # the last one is the most central


def test_both_rows_write_and_differ_in_the_threshold_alone() -> None:
    assert LexRankConfig().threshold == 0.1
    assert ContinuousConfig().threshold is None
    assert {**LexRankConfig().model_dump(), "threshold": None} == ContinuousConfig().model_dump()
    corpus = articles()
    test = corpus.splits["test"]
    assert test.sources is not None
    texts = [example.source for example in test.examples]
    for method in (LexRank(), LexRankContinuous()):
        writer = method.fit(corpus, FakeRun())
        assert isinstance(writer, Writer)
        written, ids = writer.write(test.sources, texts, decoding=GREEDY, rng=torch.Generator())
        assert ids is None
        assert len(written) == len(texts)
        for text, (article,) in zip(written, texts, strict=True):
            assert all(line in article for line in text.split("\n"))
        made = writer.generate(test.sources, decoding=GREEDY, rng=torch.Generator())
        assert len(made) == len(texts)
        assert made.lengths.max() <= corpus.max_target_length


def test_saved_and_loaded_it_chooses_the_same() -> None:
    corpus = articles()
    first, second = summarizer(corpus=corpus), LexRank().build(corpus)
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    texts = [example.source[0] for example in corpus.splits["test"].examples]
    assert list(map(first.summary, texts)) == list(map(second.summary, texts))
    assert np.array_equal(first.idf, second.idf)
    with pytest.raises(NotTractable, match="distribution"):
        first.token_log_probs(corpus.splits["test"].targets)


def test_only_corpora_of_articles_are_supported() -> None:
    assert "source" in (LexRank().supports(free_corpus(9)) or "")
    assert LexRank().supports(articles()) is None


@pytest.mark.parametrize("method", [LexRank, LexRankContinuous])
@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
def test_presets_are_valid(method: type[LexRank], budget: str) -> None:
    config = method.Config.model_validate(method.preset(budget, "summarization", "conditional"))
    assert isinstance(config, LexRankConfig)
    assert config.jump == 0.15
