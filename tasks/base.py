"""What a task is, and what a loaded corpus looks like: the words the rest of the suite is built on.

A task says what is generated from what, with its data, tokenisation and metrics. Loading it gives a `Corpus`: text and
token ids of the splits, the vocabularies, and a fingerprint of all of it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import torch

Kind = Literal["free", "conditional"]
Origin = Literal["embedded", "files", "hub"]
Ids = npt.NDArray[np.int32]


class DataError(Exception):
    """Data that cannot be used; the message names set, file, line, field and the remedy. Shown without a traceback."""


@dataclass(frozen=True)
class Ragged:
    """Sequences of token ids of different lengths, end to end in one array; nothing is ever padded in storage.

    `flat[offsets[i]:offsets[i + 1]]` is sequence `i`.
    """

    flat: Ids
    offsets: npt.NDArray[np.int64]

    @classmethod
    def from_lists(cls, sequences: Iterable[Sequence[int]]) -> Ragged:
        rows = list(sequences)
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        flat = np.fromiter((token for row in rows for token in row), dtype=np.int32, count=int(offsets[-1]))
        return cls(flat, offsets)

    @classmethod
    def from_padded(cls, ids: npt.NDArray[np.integer[Any]], lengths: npt.NDArray[np.integer[Any]]) -> Ragged:
        """From `ids` [batch, time] of which the first `lengths` [batch] of each row count."""
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        inside = np.arange(ids.shape[1]) < np.asarray(lengths)[:, None]
        return cls(ids[inside].astype(np.int32), offsets)

    @classmethod
    def concatenate(cls, parts: Sequence[Ragged]) -> Ragged:
        lengths = [part.lengths for part in parts]
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]) if parts else np.zeros(1)
        flat = np.concatenate([part.flat for part in parts]) if parts else np.zeros(0, np.int32)
        return cls(flat.astype(np.int32), offsets.astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Ids:
        return self.flat[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.offsets)

    def take(self, rows: npt.NDArray[np.integer[Any]] | Sequence[int]) -> Ragged:
        """The named rows, in the order named."""
        chosen = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[chosen]
        offsets = np.zeros(len(chosen) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        source = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Ragged(self.flat[source], offsets)

    def padded(self, pad: int, width: int | None = None) -> npt.NDArray[np.int64]:
        """All rows as one array [rows, time], `pad` after the end; time is the longest row unless `width` is given."""
        lengths = self.lengths
        width = int(lengths.max(initial=0)) if width is None else width
        out = np.full((len(self), width), pad, dtype=np.int64)
        out[np.arange(width) < lengths[:, None]] = self.flat
        return out


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in a fixed order; a token's id is its place.

    Ids `0 .. size-1` are what a model can emit; `bos` and `pad` come after them and are only ever *read*, so an
    embedding has `n_inputs` rows and an output layer `size`. Text vocabularies have `</s>` at 0 and `<unk>` at 1; the
    synthetic oracle has neither (`eos` and `unk` are None).
    """

    tokens: tuple[str, ...]
    eos: int | None = 0
    unk: int | None = 1

    @property
    def size(self) -> int:
        return len(self.tokens)

    @property
    def bos(self) -> int:
        return self.size

    @property
    def pad(self) -> int:
        return self.size + 1

    @property
    def n_inputs(self) -> int:
        return self.size + 2

    @property
    def hash(self) -> str:
        text = "\n".join((str(self.eos), str(self.unk), *self.tokens))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Row:
    """One row and where it stands, as `captions/train.jsonl.gz line 12`."""

    fields: Mapping[str, Any]
    file: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.file} line {self.line}"


class Source(Protocol):
    """Named sets of splits of rows."""

    @property
    def origin(self) -> Origin:
        """The kind of source; rows of different origin never share a table."""
        ...

    def datasets(self) -> tuple[str, ...]: ...

    def resolve(self, task: str, dataset: str) -> str:
        """The set that serves `task`, which by its options would take `dataset`; `DataError` where there is none."""
        ...

    def splits(self, dataset: str) -> tuple[str, ...]: ...

    def rows(self, dataset: str, split: str, limit: int | None = None) -> list[Row]:
        """The rows of a split, or its first `limit`."""
        ...

    def warnings(self, dataset: str) -> tuple[str, ...]:
        """What was done to the set before its rows were given out."""
        ...


@dataclass(frozen=True, slots=True)
class Example:
    """One line of a corpus: text to generate, what it is generated from (turns or one text), accepted answers."""

    target: str
    source: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Split:
    """One split. `targets` end in `</s>` (where the vocabulary has one) unless they were cut; no `<s>` is stored."""

    examples: tuple[Example, ...]
    targets: Ragged
    sources: Ragged | None = None

    def __len__(self) -> int:
        return len(self.targets)


class TextCodec(Protocol):
    """Text to ids and back; `tasks.text.Codec` is one."""

    @property
    def vocab(self) -> Vocabulary: ...

    @property
    def separator(self) -> int | None:
        """The id between the lines of a text (turns of a dialogue); None where there is none."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, with neither `<s>` nor `</s>`."""
        ...

    def tokens(self, text: str) -> list[str]:
        """What `encode(text)` numbers, one token an id, those it doesn't know too; a break between lines is `"\\n"`."""
        ...

    def decode(self, ids: Ids, unknown: Sequence[str] | None = None) -> str:
        """Text of ids; `</s>` and what follows it is left out.

        Args:
            unknown: the token that stands for each `<unk>`, in order; without it each is printed as a mark.
        """
        ...


class Oracle(Protocol):
    """A known distribution that made the data, so that samples have an exact likelihood."""

    @property
    def hash(self) -> str: ...

    def log_probs(self, targets: Ragged) -> npt.NDArray[np.float64]:
        """Natural log-probability of each token, aligned with `targets.flat`."""
        ...

    def sample(self, n: int, rng: torch.Generator) -> Ragged: ...


@dataclass(frozen=True)
class Corpus:
    """A task's data, loaded.

    Attributes:
        dataset: the set's name, as `poetry_jueju5`; for embedded data `embedded`.
        origin: where it came from; embedded and real data never share a table.
        splits: train, valid, test, and any extra test sets (`test_...`).
        max_target_length: tokens, `</s>` included; what a generator may emit at most.
        source_keep: which end of a source is left where it is longer than `max_source_length` or has too many lines.
        fixed_length: every target has exactly this many tokens and no `</s>` (None: lengths vary).
        fingerprint: sha256 over the splits' ids and text, the vocabularies and the options.
        counts: what was cut, unknown or dropped on loading, by split, as `{"train": {"truncated_targets": 3, ...}}`.
        entropy: of the oracle, nats per token, with its standard error, where there is an oracle.
    """

    task: str
    version: int
    kind: Kind
    dataset: str
    origin: Literal["embedded", "files", "hub", "synthetic"]
    splits: Mapping[str, Split]
    target_codec: TextCodec
    source_codec: TextCodec | None
    max_target_length: int
    max_source_length: int | None
    fixed_length: int | None
    fingerprint: str
    counts: Mapping[str, Mapping[str, int]]
    warnings: tuple[str, ...] = ()
    oracle: Oracle | None = None
    entropy: tuple[float, float] | None = None
    source_keep: Literal["start", "end"] = "start"

    @property
    def vocab(self) -> Vocabulary:
        return self.target_codec.vocab

    @property
    def source_vocab(self) -> Vocabulary | None:
        return self.source_codec.vocab if self.source_codec else None

    @property
    def label(self) -> str:
        """How results name the data: task, version, set and the first of its fingerprint."""
        return f"{self.task}.v{self.version}/{self.dataset}#{self.fingerprint[:8]}"

    def decode(self, targets: Ragged) -> list[str]:
        """Texts of generated or stored targets; `</s>` and what follows it is left out."""
        return [self.target_codec.decode(targets[i]) for i in range(len(targets))]


class TaskOptions(BaseModel):
    """What of a task can be chosen (`--set translation.pair=de-en`); part of the fingerprint."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Provenance:
    """Where the canonical data lives and what may be done with it."""

    source: str
    licence: str
    note: str = ""


# metrics of tasks without a source, whose measure is real text
FREE_TEXT: tuple[str, ...] = (
    *("bleu-2", "bleu-3", "bleu-4", "bleu-5", "self-bleu-2", "self-bleu-3", "self-bleu-4", "self-bleu-5"),
    *("nll-test", "distinct-1", "distinct-2", "unique", "copied", "longest-copy", "copied-share-4"),
    *("frontier-distance-2", "frontier-area-2", "frontier-distance-4", "frontier-area-4"),
    *("frechet", "reverse-lm", "forward-lm", "ms-jaccard-4", "length", "length-distance", "unk"),
)


class Task(ABC):
    """One task. Subclasses fill the class attributes and `load`.

    Attributes:
        version: goes up whenever the same files would give another corpus.
        metrics: names for the metric registry; `primary` is the one that ranks.
        tokens: how metrics cut this task's text: a name `metrics.tokenize` knows.
        decodings: conditional tasks: the decodings scored, the table's first.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    kind: ClassVar[Kind]
    summary: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    primary: ClassVar[str]
    provenance: ClassVar[Provenance]
    Options: ClassVar[type[TaskOptions]] = TaskOptions
    decodings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: TaskOptions | None = None) -> None:
        self.options = options if options is not None else self.Options()

    @property
    @abstractmethod
    def tokens(self) -> str: ...

    def prepare_source(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        """A source that someone gives (the turns of a dialogue, else one part), as the sources of rows are made.

        Raises:
            DataError: more than is ever read.
        """
        return parts

    @abstractmethod
    def load(self, source: Source, limit: int | None = None, *, allow_overlap: bool = False) -> Corpus:
        """Reads, checks, encodes.

        Args:
            source: embedded, files or hub.
            limit: at most this many rows of each split (the first ones), for quick tries.
            allow_overlap: rows that stand in two splits are told in `Corpus.warnings` instead of refused.

        Raises:
            DataError: missing files, bad rows, overlap between splits.
        """


@dataclass(frozen=True)
class LoadReport:
    """Counts gathered while loading; becomes `Corpus.counts` and `Corpus.warnings`."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
