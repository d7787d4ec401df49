"""Tiny corpora made by hand, for tests that need a corpus but no data."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.base import Corpus, Example, Ragged, Split, Vocabulary


@dataclass(frozen=True)
class ToyCodec:
    """Words split at spaces, known ones only."""

    vocab: Vocabulary

    def encode(self, text: str) -> list[int]:
        places = {token: i for i, token in enumerate(self.vocab.tokens)}
        return [places.get(word, 1) for word in text.split()]

    def decode(self, ids: Sequence[int]) -> str:
        words: list[str] = []
        for i in ids:
            if int(i) == self.vocab.eos:
                break
            words.append(self.vocab.tokens[int(i)])
        return " ".join(words)


def vocabulary(words: Sequence[str]) -> Vocabulary:
    return Vocabulary(("</s>", "<unk>", *words))


def free_corpus(n: int = 400, seed: int = 0, words: int = 8, fixed_length: int | None = None) -> Corpus:
    """Ascending runs of letters with a random start: learnable at once, and far from uniform."""
    rng = random.Random(seed)
    letters = [chr(97 + i) for i in range(words)]
    codec = ToyCodec(vocabulary(letters))

    def line() -> str:
        start, length = rng.randrange(words), fixed_length or rng.randrange(3, 7)
        return " ".join(letters[(start + i) % words] for i in range(length))

    def split(count: int) -> Split:
        examples = tuple(Example(line()) for _ in range(count))
        end = [] if fixed_length else [0]
        return Split(examples, Ragged.from_lists([[*codec.encode(e.target), *end] for e in examples]))

    splits = {"train": split(n), "valid": split(n // 4), "test": split(n // 4)}
    return _corpus("free", codec, None, splits, fixed_length)


def conditional_corpus(n: int = 400, seed: int = 0, words: int = 8) -> Corpus:
    """The source, reversed, in capitals: needs the source and its order."""
    rng = random.Random(seed)
    letters = [chr(97 + i) for i in range(words)]
    source, target = ToyCodec(vocabulary(letters)), ToyCodec(vocabulary([c.upper() for c in letters]))

    def split(count: int) -> Split:
        examples = []
        for _ in range(count):
            letter = [rng.choice(letters) for _ in range(rng.randrange(2, 6))]
            answer = " ".join(reversed(letter)).upper()
            examples.append(Example(answer, (" ".join(letter),), (answer,)))
        return Split(
            tuple(examples),
            Ragged.from_lists([[*target.encode(e.target), 0] for e in examples]),
            Ragged.from_lists([[*source.encode(e.source[0]), 0] for e in examples]),
        )

    splits = {"train": split(n), "valid": split(n // 4), "test": split(n // 4)}
    return _corpus("conditional", target, source, splits, None)


def _corpus(kind, target, source, splits, fixed_length) -> Corpus:  # type: ignore[no-untyped-def]
    text = repr([example for split in splits.values() for example in split.examples])
    return Corpus(
        task=f"toy_{kind}",
        version=1,
        kind=kind,
        dataset="toy",
        origin="embedded",
        splits=splits,
        target_codec=target,
        source_codec=source,
        max_target_length=fixed_length or 8,
        max_source_length=None if source is None else 8,
        fixed_length=fixed_length,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
        counts={},
    )
