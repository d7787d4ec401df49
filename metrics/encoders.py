"""Texts as vectors, for metrics that compare distributions of features.

An encoder stands in a metric's name after an `@`, as in `frechet@st:all-MiniLM-L6-v2`; without one it is `hashed`,
which needs no model and no download. A signature names it with its version and a pin, since features are part of the
measurement: values with different encoders are different quantities.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from metrics import texts
from metrics.base import Floats, Material, MetricError, WholeMetric, Workspace
from metrics.ngrams import Encoder, Ints, Sentences
from metrics.signature import join
from metrics.tokenize import canonical, tokenizer

Hashes = npt.NDArray[np.uint64]
Side = Literal["samples", "references"]
DEFAULT = "hashed"
PREFIX = "st:"
PINNED_TEXT = "the cat sat on the mat , and the dog saw the cat ."


class SentenceEncoder(Protocol):
    """Turns texts into vectors [texts, dimensions], each on its own, and says what signatures hold of it.

    `tokens` is the material's tokeniser, for an encoder that has none of its own; `of` takes the texts of a workspace,
    which may be cut already.
    """

    @property
    def name(self) -> str: ...
    def fields(self, tokens: str) -> dict[str, str]: ...
    def encode(self, texts: Sequence[str], tokens: str) -> Floats: ...
    def of(self, work: Workspace, side: Side) -> Floats: ...


def by_name(name: str) -> SentenceEncoder:
    """`hashed`, or `st:` with the folder or the name of a sentence-transformers model.

    Raises:
        MetricError: no such encoder.
    """
    if name == DEFAULT:
        return Hashed()
    if name.startswith(PREFIX) and name != PREFIX:
        return SentenceTransformers(name.removeprefix(PREFIX))
    raise MetricError(f'no sentence encoder "{name}": known: {DEFAULT}, {PREFIX}<folder or name of a model>')


@dataclass(frozen=True)
class Hashed:
    """N-grams of 1 to 3 tokens, hashed to 128 signed buckets (Weinberger et al. 2009).

    A text's beginning and end count as tokens of its 2- and 3-grams, so that where a word stands shows. An n-gram that
    occurs t times weighs 1 + ln t. Each adds to 8 buckets, with a sign each, so that no two n-grams fall together. Each
    order is brought to length 1; 3-grams, most of which occur once, then count half; the sum is brought to length 1.
    """

    name: ClassVar[str] = DEFAULT
    version: ClassVar[int] = 1
    dimensions: ClassVar[int] = 128
    weights: ClassVar[tuple[float, ...]] = (1.0, 1.0, 0.5)  # of orders 1, 2, 3

    def fields(self, tokens: str) -> dict[str, str]:
        return {"enc": f"{self.name}.v{self.version}#{self.pin()}", "tok": canonical(tokens)}

    def pin(self) -> str:
        """A hash of the vector of a fixed text: it changes when any vector would."""
        rounded = np.round(self.encode([PINNED_TEXT], "space") * 1e6).astype("<i8")
        return hashlib.blake2b(rounded.tobytes(), digest_size=4).hexdigest()

    def encode(self, texts: Sequence[str], tokens: str) -> Floats:
        encoder = Encoder()
        return self._vectors(encoder.encode(map(tokenizer(tokens), texts)), encoder.tokens)

    def of(self, work: Workspace, side: Side) -> Floats:
        sentences = work.shared(texts.samples if side == "samples" else texts.references)
        return self._vectors(sentences, work.shared(texts.encoder).tokens)

    def _vectors(self, sentences: Sentences, tokens: Sequence[str]) -> Floats:
        flat, offsets = _hashed_tokens(sentences, tokens)
        text = np.repeat(np.arange(len(sentences)), np.diff(offsets))
        ends = np.repeat(offsets[1:], np.diff(offsets))
        start, grams = np.arange(len(flat)), _mixed(flat)
        between_marks = (flat != BEGIN) & (flat != END)
        vectors = self._buckets(text[between_marks], grams[between_marks], len(sentences)) * self.weights[0]
        for order, weight in enumerate(self.weights[1:], start=2):
            inside = start + order <= ends[start]
            start = start[inside]
            grams = _mixed((grams[inside] + GOLDEN) ^ flat[start + order - 1])
            vectors += self._buckets(text[start], grams, len(sentences)) * weight
        return _normal(vectors)

    def _buckets(self, text: Ints, grams: Hashes, texts: int) -> Floats:
        """Signed sums of one order's weights, of length 1: [texts, dimensions]."""
        different, number = np.unique(grams, return_inverse=True)
        pairs, counts = np.unique(text * len(different) + number, return_counts=True)
        text, number = np.divmod(pairs, max(len(different), 1))
        grams, weights = different[number], 1 + np.log(counts)
        sums = np.zeros(texts * self.dimensions)
        for shift in range(0, 64, 8):  # each byte of the hash: seven bits of bucket, one of sign
            byte = ((grams >> np.uint64(shift)) & np.uint64(255)).astype(np.int64)
            signed = np.where(byte >= self.dimensions, -weights, weights)
            places = text * self.dimensions + byte % self.dimensions
            sums += np.bincount(places, weights=signed, minlength=len(sums))
        return _normal(sums.reshape(texts, self.dimensions))


@dataclass(frozen=True)
class SentenceTransformers:
    """A model of the library sentence-transformers (the extra `encoders`), from a folder or from the local hub cache.

    Nothing is downloaded here: a number should not depend on what the hub holds today. The model cuts text its own way.
    """

    model: str

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.model}"

    def fields(self, tokens: str) -> dict[str, str]:  # noqa: ARG002
        return {"enc": f"{PREFIX}{Path(self.model).name}#{self._pin}"}

    def encode(self, texts: Sequence[str], tokens: str) -> Floats:  # noqa: ARG002
        vectors = self._model.encode(list(texts), show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(vectors, dtype=np.float64)

    def of(self, work: Workspace, side: Side) -> Floats:
        return self.encode(texts_of(work.material, side), work.material.tokens)

    @cached_property
    def _model(self) -> Any:
        library = _library("sentence_transformers", self.name)
        return library.SentenceTransformer(str(self._folder), device="cpu")

    @cached_property
    def _folder(self) -> Path:
        folder = Path(self.model).expanduser()
        if folder.is_dir():
            return folder
        hub = _library("huggingface_hub", self.name)
        name = self.model if "/" in self.model else f"sentence-transformers/{self.model}"
        try:
            return Path(hub.snapshot_download(name, local_files_only=True))
        except (OSError, ValueError) as error:
            raise MetricError(f"{self.name}: neither a folder nor in the local cache: `hf download {name}`") from error

    @cached_property
    def _pin(self) -> str:
        """A hash of the weights and of how their output is pooled, whatever folder they are in."""
        files = sorted(file for file in self._folder.rglob("*") if file.suffix in (".safetensors", ".bin", ".json"))
        weights = [file for file in files if file.suffix == ".safetensors"] or [f for f in files if f.suffix == ".bin"]
        if not weights:
            raise MetricError(f"{self.name}: no weights in {self._folder}, which pin what was measured")
        taken = hashlib.blake2b(digest_size=4)
        for file in [*weights, *(file for file in files if file.name in ("config.json", "modules.json"))]:
            taken.update(hashlib.blake2b(file.read_bytes()).digest())
        return taken.hexdigest()


@dataclass(frozen=True)
class Features:
    """The vectors of one side's texts, to be shared in a workspace: equal ones are computed once."""

    encoder: SentenceEncoder
    side: Side

    def __call__(self, work: Workspace) -> Floats:
        return self.encoder.of(work, self.side)


class FeatureMetric(WholeMetric):
    """A metric of the features of samples and of the reference pool, or of all items' references together."""

    takes: ClassVar[str] = "a sentence encoder"  # what may stand after an `@` in the name

    def __init__(self, name: str) -> None:
        self.family, _, argument = name.partition("@")
        self.encoder = by_name(argument or DEFAULT)
        # two names of one rule must not look like two measurements
        super().__init__(self.family if self.encoder.name == DEFAULT else name)

    def missing(self, material: Material) -> str:
        return super().missing(material) or ("" if texts_of(material, "references") else "no references given")

    def features(self, work: Workspace, side: Side) -> Floats:
        return work.shared(Features(self.encoder, side))

    def signature(self, material: Material) -> str:
        # the encoder is a field; a folder's path, which is another on every machine, must not be in it
        return join(self.family, {**self.fields(material), **material.protocol, "v": str(self.version)})


def texts_of(material: Material, side: Side) -> Sequence[str]:
    """The texts of one side; references are the pool, or all items' end to end."""
    if side == "samples":
        return material.samples
    items = material.references_by_item
    return (material.references or ()) if items is None else [text for item in items for text in item]


# SplitMix64 (Steele, Lea and Flood 2014): its increment and the two multipliers of its mixing
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def _mixed(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))


def _hashed_tokens(sentences: Sentences, tokens: Sequence[str]) -> tuple[Hashes, Ints]:
    """Hashes of all tokens end to end, each text between two marks, and where the texts are: [texts + 1]."""
    used = np.unique(sentences.flat)
    known = np.zeros(len(tokens), np.uint64)
    known[used] = [_hash(tokens[i]) for i in used.tolist()]
    count = len(sentences)
    offsets = sentences.offsets + 2 * np.arange(count + 1)
    flat = np.empty(len(sentences.flat) + 2 * count, np.uint64)
    flat[offsets[:-1]], flat[offsets[1:] - 1] = BEGIN, END
    owner = np.repeat(np.arange(count), sentences.lengths)
    flat[np.arange(len(sentences.flat)) + 2 * owner + 1] = known[sentences.flat]
    return flat, offsets


def _hash(token: str) -> int:
    """64 bits of the token's text, the same in every process and on every machine."""
    return int.from_bytes(hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


BEGIN, END = _hash(" begin"), _hash(" end")  # no token starts with a blank


def _normal(vectors: Floats) -> Floats:
    """Rows of length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def _library(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MetricError(f"{name} needs the extra `encoders`: pip install 'gantlet[encoders]' ({error})") from error
