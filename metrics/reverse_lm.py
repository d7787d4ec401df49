"""Scores by a language model of texts: trained on the samples for real text, or trained on real text for the samples.

`reverse-lm` sees both quality and diversity: a model of the samples can only find real text likely if they have real
text's words and phrases, all of them. `forward-lm`, its mirror, sees quality alone. The language model is our modified
Kneser-Ney 4-gram model, which has no setting to tune and no randomness; published figures come from neural models
of each author's own and are on another scale.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from metrics import texts
from metrics.base import Floats, Material, Metric, Score, Workspace, ratio
from metrics.kneser_ney import ORDER, train
from metrics.ngrams import Ints, Sentences
from metrics.signature import join
from metrics.tokenize import canonical

MIN_COUNT = 2  # a word seen once teaches nothing of itself; as `<unk>` it teaches how likely unknown words are


@dataclass(frozen=True)
class Vocabulary:
    """The words that the language models know; every other token is one `<unk>`, which is a word too.

    Attributes:
        numbers: [tokens of the encoder] a token's number among the words; `size - 1` for `<unk>`.
        size: words, `<unk>` included.
        name: first 8 digits of a hash of the words.
    """

    numbers: Ints
    size: int
    name: str

    def of(self, sentences: Sentences) -> Sentences:
        """The same sentences in the numbers of the words."""
        known = np.append(self.numbers, self.size - 1)  # last: tokens that came after the vocabulary was made
        flat = known[np.minimum(sentences.flat, len(self.numbers))]
        return Sentences(flat.astype(np.int32), sentences.offsets)


def vocabulary(work: Workspace) -> Vocabulary:
    """Of the training text, or without one of the references: the same for all models that are compared."""
    source = work.shared(texts.train if work.material.train else texts.references)
    counts = np.bincount(source.flat)
    kept = np.flatnonzero(counts >= MIN_COUNT)
    numbers = np.full(len(counts), len(kept), np.int64)
    numbers[kept] = np.arange(len(kept))
    tokens = work.shared(texts.encoder).tokens
    words = sorted(tokens[i] for i in kept.tolist())
    return Vocabulary(numbers, len(kept) + 1, sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:8])


class _LanguageModelScore(Metric):
    """Nats per token, `</s>` being one, of some texts under a model of other texts."""

    limits = (0.0, float("inf"))
    unit = "nats/token"

    @abstractmethod
    def learned(self, work: Workspace) -> Sentences:
        """What the language model is trained on."""

    @abstractmethod
    def scored(self, work: Workspace) -> Sentences:
        """What it scores: the items."""

    @abstractmethod
    def counts(self, material: Material) -> dict[str, str]:
        """The signature's fields for the two."""

    def per_item(self, work: Workspace) -> Floats:
        words = work.shared(vocabulary)
        model = train(words.of(self.learned(work)), words.size)
        sums, tokens = model.nll(words.of(self.scored(work)))
        return np.stack([sums, tokens], axis=1).astype(np.float64)

    def reduce(self, sums: Floats) -> Floats:
        return ratio(sums)

    def fields(self, material: Material) -> dict[str, str]:
        return self._fields(Workspace(material))

    def _fields(self, work: Workspace) -> dict[str, str]:
        material, words = work.material, work.shared(vocabulary)
        return {
            **self.counts(material),
            "lm": f"kn{ORDER}",
            "vocab": words.name,
            "words": str(words.size),
            "unk": f"{'train' if material.train else 'refs'}<{MIN_COUNT}",
            "unit": self.unit,
            "tok": canonical(material.tokens),
        }

    def _score(self, work: Workspace, value: float, n: int, stats: Floats | None, reason: str) -> Score:
        # as the base class has it, but with the vocabulary that is already there: `fields` would cut all texts again
        own = {**self._fields(work), **work.material.protocol, "v": str(self.version)}
        value = float("nan") if reason else value
        return Score(self.name, value, n, self.direction(work.material), join(self.name, own), stats, reason)


class ReverseLm(_LanguageModelScore):
    """`reverse-lm`: how likely a language model of the samples finds real text; an item is one real text."""

    higher_is_better = False
    needs = frozenset({"samples"})
    summary = "real text under an n-gram model of the samples, nats per token"
    source = "Zhao et al. 2018; Semeniuta et al. 2018; Caccia et al. 2018"
    blind = "anything beyond four words; it falls with the number of samples, whoever wrote them"

    def missing(self, material: Material) -> str:
        references = any(material.references_by_item or ()) or bool(material.references)
        return super().missing(material) or ("" if references else "no references given")

    def learned(self, work: Workspace) -> Sentences:
        return work.shared(texts.samples)

    def scored(self, work: Workspace) -> Sentences:
        return work.shared(texts.references)

    def counts(self, material: Material) -> dict[str, str]:
        return {"hyps": str(len(material.samples)), "refs": texts.reference_field(material)}


class ForwardLm(_LanguageModelScore):
    """`forward-lm`: how likely a language model of the training text finds the samples.

    Below real text means plain text or copies: it is lowest for one likely sample, repeated.
    """

    needs = frozenset({"samples", "train"})
    summary = "samples under an n-gram model of the training text, nats per token"
    source = "Caccia et al. 2018 (LM score)"
    blind = "diversity, and copies of training text; anything beyond four words"

    def learned(self, work: Workspace) -> Sentences:
        return work.shared(texts.train)

    def scored(self, work: Workspace) -> Sentences:
        return work.shared(texts.samples)

    def counts(self, material: Material) -> dict[str, str]:
        return {"hyps": str(len(material.samples)), "train": str(len(material.train or ()))}
