"""Tiny corpora made by hand, for tests that need a corpus but no data; they stand with the checks that use them too."""

from bench.checks.toys import (
    ToyCodec,
    conditional_corpus,
    corpus_of,
    counting_corpus,
    free_corpus,
    markov_chain,
    vocabulary,
)

_corpus = corpus_of

__all__ = ["ToyCodec", "_corpus", "conditional_corpus", "counting_corpus", "free_corpus", "markov_chain", "vocabulary"]
