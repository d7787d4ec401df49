"""Tiny corpora made by hand, for tests that need a corpus but no data."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.base import Corpus, Example, Ragged, Split, Vocabulary


@dataclass(frozen=True)
class ToyCodec:
    """Words split at spaces, known ones only."""

    vocab: Vocabulary
    separator: int | None = None

    def encode(self, text: str) -> list[int]:
        places = {token: i for i, token in enumerate(self.vocab.tokens)}
        return [places.get(word, 1) for word in text.split()]

    def tokens(self, text: str) -> list[str]:
        return text.split()

    def decode(self, ids: Sequence[int], unknown: Sequence[str] | None = None) -> str:
        words: list[str] = []
        for i in ids:
            if int(i) == self.vocab.eos:
                break
            words.append(self.vocab.tokens[int(i)])
        if unknown is None:
            return " ".join(words)
        places = [place for place, word in enumerate(words) if word == "<unk>"]
        for place, word in zip(places, unknown, strict=True):
            words[place] = word
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


def markov_chain(
    vocab: int = 20,
    time: int = 8,
    noise: float = 0.2,
    seed: int = 0,
    rows: tuple[int, int, int] = (1500, 200, 200),
) -> tuple[Corpus, npt.NDArray[np.float64]]:
    """A corpus of fixed length in which each token has one likely successor, and its transition probabilities.

    So the true distribution is known, and samples have an exact likelihood under it.
    """
    rng = np.random.default_rng(seed)
    successor = rng.permutation(vocab)
    transition = np.full((vocab, vocab), noise / vocab)
    transition[np.arange(vocab), successor] += 1 - noise

    def draw(n: int) -> Ragged:
        ids = rng.integers(vocab, size=(n, time))
        for t in range(1, time):
            ids[:, t] = np.where(rng.random(n) < noise, ids[:, t], successor[ids[:, t - 1]])
        return Ragged.from_lists(ids.tolist())

    splits = {name: Split((), draw(n)) for name, n in zip(("train", "valid", "test"), rows, strict=True)}
    codec = ToyCodec(Vocabulary(tuple(map(str, range(vocab))), None, None))
    return _corpus("free", codec, None, splits, time), transition


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
