"""Tiny corpora made on the spot, for checks and tests that need a corpus but no data."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.base import Corpus, Example, Ids, Ragged, Split, Vocabulary


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

    def decode(self, ids: Ids | Sequence[int], unknown: Sequence[str] | None = None) -> str:
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
    letters = _letters(words)
    codec = ToyCodec(vocabulary(letters))

    def line() -> str:
        start, length = rng.randrange(words), fixed_length or rng.randrange(3, 7)
        return " ".join(letters[(start + i) % words] for i in range(length))

    def split(count: int) -> Split:
        examples = tuple(Example(line()) for _ in range(count))
        end = [] if fixed_length else [0]
        return Split(examples, Ragged.from_lists([[*codec.encode(e.target), *end] for e in examples]))

    return corpus_of("free", codec, None, _splits(split, n), fixed_length)


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
    return corpus_of("free", codec, None, splits, time), transition


def conditional_corpus(n: int = 400, seed: int = 0, words: int = 8) -> Corpus:
    """The source, reversed, in capitals: needs the source and its order."""
    rng = random.Random(seed)
    letters = _letters(words)

    def pair() -> tuple[str, str]:
        drawn = [rng.choice(letters) for _ in range(rng.randrange(2, 6))]
        return " ".join(drawn), " ".join(reversed(drawn)).upper()

    return _pairs(n, letters, pair)


def counting_corpus(n: int = 400, seed: int = 0, words: int = 8) -> Corpus:
    """The answer counts on, in capitals, from the source's last letter: learnable at once, wholly only with sources."""
    rng = random.Random(seed)
    letters = _letters(words)

    def pair() -> tuple[str, str]:
        drawn = [rng.randrange(words) for _ in range(rng.randrange(2, 6))]
        answer = [letters[(drawn[-1] + i) % words].upper() for i in range(rng.randrange(3, 7))]
        return " ".join(letters[i] for i in drawn), " ".join(answer)

    return _pairs(n, letters, pair)


def _letters(count: int) -> list[str]:
    return [chr(97 + i) for i in range(count)]


def _pairs(n: int, letters: Sequence[str], pair: Callable[[], tuple[str, str]]) -> Corpus:
    source, target = ToyCodec(vocabulary(letters)), ToyCodec(vocabulary([letter.upper() for letter in letters]))

    def split(count: int) -> Split:
        drawn = [pair() for _ in range(count)]
        examples = tuple(Example(answer, (question,), (answer,)) for question, answer in drawn)
        return Split(
            examples,
            Ragged.from_lists([[*target.encode(e.target), 0] for e in examples]),
            Ragged.from_lists([[*source.encode(e.source[0]), 0] for e in examples]),
        )

    return corpus_of("conditional", target, source, _splits(split, n), None)


def _splits(split: Callable[[int], Split], n: int) -> dict[str, Split]:
    return {"train": split(n), "valid": split(n // 4), "test": split(n // 4)}


def corpus_of(
    kind: str, target: ToyCodec, source: ToyCodec | None, splits: Mapping[str, Split], fixed_length: int | None
) -> Corpus:
    """A corpus called `toy_free` or `toy_conditional` of these splits; at most 8 tokens, or `fixed_length`."""
    text = repr([example for split in splits.values() for example in split.examples])
    return Corpus(
        task=f"toy_{kind}",
        version=1,
        kind="free" if kind == "free" else "conditional",
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
