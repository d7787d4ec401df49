"""Texts to try a metric on: plain ones, hostile ones, none at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from metrics.base import LogProbs, Material

HOSTILE = (
    *("", " ", "\r", "a\rb\r\nc\n", "\x00", "\ufeffa cat", "\ud83d lone", "e\u0301 \u0301", "\u202eabc\u2066"),
    *(
        "👩\u200d👩\u200d👧 🇩🇪",
        "白日依山盡，",
        "a\u2028b\x85c",
        "<unk>〓",
        "'' n't can't",
        "y" * 3000,
        "|:%7C",
        "1e999 NaN -0",
    ),
)
LISTS = ("samples", "references", "references_by_item", "train", "sources", "sweep", "real")
WORDS = ("a", "cat", "sat", "on", "the", "mat", "dog", "ran", "Home", ",", "in", "rain", ".", "she", "sang", "白日")


def plain(count: int, rng: np.random.Generator, tokens: str = "word-lower") -> Material:
    """Sentences of a few words, on every side others."""

    def some(n: int) -> list[str]:
        return [" ".join(rng.choice(WORDS, int(rng.integers(3, 9)))) for _ in range(n)]

    def likelihoods() -> LogProbs:
        return LogProbs(-rng.exponential(3.0, count), rng.integers(1, 9, count), "abc")

    samples, answers, more = some(count), some(count), some(count)
    return Material(
        samples=samples,
        references=some(count),
        references_by_item=[list(pair) for pair in zip(answers, more, strict=True)],
        train=some(count),
        tokens=tokens,
        log_probs=likelihoods(),
        oracle_log_probs=likelihoods(),
        sources=[[text] for text in some(count)],
        sweep={"0.5": some(count), "1": samples},
        real=some(count),
        protocol={"data": "toy", "split": "test"},
    )


def hostile(count: int) -> Material:
    """What breaks programs that read text, on every side."""
    texts = [HOSTILE[i % len(HOSTILE)] for i in range(max(count, len(HOSTILE)))]
    turned = texts[::-1]
    return Material(
        samples=texts,
        references=turned,
        references_by_item=[[text, "a"] for text in turned],
        train=turned,
        sources=[[text, f"{i} {text}"] for i, text in enumerate(turned)],
        sweep={"1": texts},
        real=turned,
    )


def shuffled(material: Material, rng: np.random.Generator) -> tuple[Material, list[int]]:
    """The same items in another order, and that order; what is no item's own is turned round."""
    order = rng.permutation(len(material.samples)).tolist()

    def dealt(items: Sequence[Any] | None) -> list[Any] | None:
        return None if items is None else [items[i] for i in order]

    def turned(texts: Sequence[str] | None) -> list[str] | None:
        return None if texts is None else list(texts)[::-1]

    def likelihoods(given: LogProbs | None) -> LogProbs | None:
        return given and replace(given, sums=given.sums[order], tokens=given.tokens[order])

    return replace(
        material,
        samples=dealt(material.samples) or [],
        references=turned(material.references),
        references_by_item=dealt(material.references_by_item),
        train=turned(material.train),
        log_probs=likelihoods(material.log_probs),
        oracle_log_probs=likelihoods(material.oracle_log_probs),
        sources=dealt(material.sources),
        sweep={name: dealt(texts) or [] for name, texts in (material.sweep or {}).items()},
        real=dealt(material.real),
    ), order
