"""Retrieval: the nearest row is that of a full search, ties go to the first, the answer is text as people wrote it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from baselines.base import Decoding, NotTractable, Writer
from baselines.retrieval import Index, Retrieval, special_ids
from tasks.base import Corpus, Example, Ragged, Split, Vocabulary
from tasks.text import Codec, Words
from tests.fakes import FakeRun
from tests.fresh import fresh_seed
from tests.toys import ToyCodec, conditional_corpus, free_corpus, vocabulary

TINY: dict[str, Any] = {}
GREEDY = Decoding("greedy")


def bags(rng: np.random.Generator, n: int, words: int) -> list[list[int]]:
    """Words as frequent as in text, from id 2 on; some rows repeat another, in other order or twice; some are empty."""
    chance = 1 / np.arange(1, words + 1)
    rows = [(2 + rng.choice(words, rng.integers(0, 9), p=chance / chance.sum())).tolist() for _ in range(n)]
    for copy in rng.integers(0, n, n // 4).tolist():
        row = rows[int(rng.integers(n))]
        rows[copy] = rng.permutation(row * int(rng.integers(1, 3))).astype(int).tolist()
    return [[*row, 0] for row in rows]


def plain(train: list[list[int]], query: list[int], skipped: set[int]) -> int:
    """The first row of those with the largest cosine, from dense vectors."""
    size = 1 + max(max(row) for row in [*train, query])
    counts = np.array([np.bincount([w for w in row if w not in skipped], minlength=size) for row in [*train, query]])
    found = (counts[:-1] > 0).sum(0)
    idf = np.array([np.log(len(train) / n) if n else 0.0 for n in found])
    vectors: npt.NDArray[np.float64] = counts * idf
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.where(norms > 0, norms, 1)
    cosines = vectors[:-1] @ vectors[-1]
    return int(np.flatnonzero(cosines >= cosines.max() - 1e-9)[0])


@pytest.mark.parametrize("words", [3, 12, 60])
@pytest.mark.parametrize("mean_length", [None, 0.0, 1e9])
def test_the_nearest_row_is_that_of_a_full_search(words: int, mean_length: float | None) -> None:
    """Whenever the search is cut short (as it judges, as early as it may, never), the row is the same."""
    rng = np.random.default_rng(fresh_seed())
    train, queries = bags(rng, 80, words), bags(rng, 60, words)
    index = Index(Ragged.from_lists(train), words + 2, [0, 1])
    if mean_length is not None:
        index.mean_length = mean_length
    for query in queries:
        assert index.nearest(np.array(query, np.int32)) == plain(train, query, {0, 1})


def test_ties_go_to_the_first_row_and_nothing_shared_to_row_0() -> None:
    rows = [[5, 0], [2, 3, 0], [3, 2, 0], [3, 2, 3, 2, 0], [4, 0]]
    index = Index(Ragged.from_lists(rows), 8, [0, 1])
    assert index.nearest(np.array([3, 3, 2, 2, 2, 3, 0])) == 1
    assert index.nearest(np.array([4, 0])) == 4
    assert index.nearest(np.array([7, 1, 0])) == 0
    assert index.nearest(np.array([0])) == 0


def test_rare_words_count_more_than_common_ones() -> None:
    rows = [[2, 3, 4], [2, 5, 6], [2, 4, 6], [2, 3, 7]]
    index = Index(Ragged.from_lists(rows), 9)
    assert index.nearest(np.array([2, 2, 2, 2, 7])) == 3  # 2 is in all rows and says nothing


def test_ends_unknown_words_and_breaks_between_turns_take_no_part() -> None:
    vocab = Vocabulary(("</s>", "<unk>", "<br>", "yes", "no"))
    codec = Codec(vocab, Words("en"), separator=2)
    assert special_ids(codec) == [0, 1, 2]
    assert special_ids(ToyCodec(vocabulary("ab"))) == [0, 1]
    index = Index(Ragged.from_lists([[3, 1, 1, 2, 0], [4, 2, 3, 0], [4, 0]]), 5, special_ids(codec))
    assert index.nearest(np.array([1, 1, 2, 4, 0])) == 2


def odd_corpus() -> Corpus:
    """The toy with an answer of words that its vocabulary lacks, to a source of its own."""
    corpus = conditional_corpus(40)
    train = corpus.splits["train"]
    assert train.sources is not None
    examples = (Example("Quite another\nanswer, in full.", ("h h h h",)), *train.examples[1:])
    sources = Ragged.concatenate([Ragged.from_lists([[9, 9, 9, 9, 0]]), train.sources.take(np.arange(1, 40))])
    return dataclasses.replace(corpus, splits={**corpus.splits, "train": Split(examples, train.targets, sources)})


def test_the_answer_is_the_text_of_the_training_row() -> None:
    corpus = odd_corpus()
    writer = Retrieval().fit(corpus, FakeRun())
    assert isinstance(writer, Writer)
    asked = Ragged.from_lists([[9, 9, 0], [9, 9, 9, 9, 0]])
    texts, ids = writer.write(asked, [("h h",), ("h h h h",)], decoding=GREEDY, rng=torch.Generator())
    assert texts[1] == "Quite another\nanswer, in full."
    assert ids is None
    sources, train = corpus.splits["train"].sources, corpus.splits["train"].examples
    assert sources is not None
    lists = [sources[i].tolist() for i in range(len(sources))]
    for i in range(1, 10):
        texts, _ = writer.write(sources.take([i]), [train[i].source], decoding=GREEDY, rng=torch.Generator())
        assert texts == [train[plain(lists, lists[i], {0, 1})].target]


def test_answers_as_ids_end_or_are_cut() -> None:
    corpus = dataclasses.replace(odd_corpus(), max_target_length=3)
    generated = (
        Retrieval()
        .fit(corpus, FakeRun())
        .generate(Ragged.from_lists([[9, 9, 9, 9, 0], [2, 3, 0]]), decoding=GREEDY, rng=torch.Generator())
    )
    assert generated[0].tolist() == [1, 1, 1]
    assert len(generated[1]) <= 3
    assert len(generated[1]) == 3 or generated[1][-1] == corpus.vocab.eos


def test_the_index_is_rebuilt_and_another_corpus_is_told() -> None:
    corpus = odd_corpus()
    first, second = Retrieval().fit(corpus, FakeRun()), Retrieval().build(corpus)
    second.load_state_dict(first.state_dict())
    test = corpus.splits["test"]
    assert test.sources is not None
    sources = [example.source for example in test.examples]
    assert first.answers(test.sources, sources) == second.answers(test.sources, sources)
    with pytest.raises(ValueError, match="40 training rows, and this corpus has 30"):
        Retrieval().build(conditional_corpus(30)).load_state_dict(first.state_dict())


def test_it_reads_train_alone_and_has_no_likelihood() -> None:
    corpus = conditional_corpus(30)
    others = conditional_corpus(30, seed=5).splits
    changed = dataclasses.replace(corpus, splits={**others, "train": corpus.splits["train"]})
    asked = Ragged.from_lists([[2, 3, 0], [4, 4, 6, 0]])
    writers = [Retrieval().fit(each, FakeRun()) for each in (corpus, changed)]
    assert writers[0].answers(asked, []) == writers[1].answers(asked, [])
    with pytest.raises(NotTractable, match="looked up"):
        writers[0].token_log_probs(corpus.splits["test"].targets, corpus.splits["test"].sources)


def test_a_task_without_sources_is_refused() -> None:
    assert "looks sources up" in (Retrieval().supports(free_corpus(9)) or "")
    assert Retrieval().supports(conditional_corpus(9)) is None
