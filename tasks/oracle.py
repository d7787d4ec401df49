"""SeqGAN's synthetic setting (Yu et al. 2017, section 4.1): text from a known distribution, so likelihood is exact."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tasks.base import Corpus, DataError, Example, Ids, Provenance, Ragged, Source, Split, Task, TaskOptions, Vocabulary
from tasks.cache import cache_folder
from tasks.loading import fingerprint
from tasks.text import Blanks, Codec

if TYPE_CHECKING:
    from tasks.lstm_oracle import LSTMOracle

Scores = npt.NDArray[np.float32]

ROWS = {"train": 10_000, "valid": 2_000, "test": 10_000}
# sha256 of the weights for the default vocabulary of 5,000; `tests/unit/test_tasks_oracle.py` asserts it.
WEIGHTS_SHA256 = "e01b37503c160be2c4e263129d83fed658a6d7f1f64a3607a806254fce1b1116"
_CHUNK = 1000  # sequences drawn from one stream of random numbers; part of what the seed means
_DATA_SEED = 41


class OracleOptions(TaskOptions):
    length: Literal[20, 40] = 20
    vocab: int = Field(5000, ge=2)


class OracleTask(Task):
    """Sequences of token numbers, of fixed length and without an end mark."""

    name = "oracle"
    version = 1
    kind = "free"
    summary = "sequences from an LSTM with fixed random weights"
    metrics = ("nll-oracle", "nll-test", "unique")
    primary = "nll-oracle"
    decodings = ("sample@1",)
    provenance = Provenance(
        "drawn by this program (tasks/lstm_oracle.py)",
        "MIT",
        "our own weights: values are near those of SeqGAN's target_params.pkl, not comparable with them",
    )
    Options = OracleOptions
    options: OracleOptions

    @property
    def tokens(self) -> str:
        return "space"

    def load(self, source: Source, limit: int | None = None, *, allow_overlap: bool = False) -> Corpus:  # noqa: ARG002
        """Draws the splits; `source` is not read. Whole splits are kept in the cache folder, if that can be written."""
        from tasks.lstm_oracle import LSTMOracle

        if limit is not None and limit < 1:
            raise DataError(f"limit {limit}: give at least 1 row a split")
        oracle = LSTMOracle(self.options.vocab)
        drawn = {
            name: _drawn(oracle, self.options.length, place, rows if limit is None else min(limit, rows), rows)
            for place, (name, rows) in enumerate(ROWS.items())
        }
        codec = Codec(Vocabulary(tuple(map(str, range(oracle.size))), eos=None, unk=None), Blanks())
        splits = {name: Split(_examples(targets), targets) for name, (targets, _) in drawn.items()}
        return Corpus(
            task=self.name,
            version=self.version,
            kind=self.kind,
            dataset=f"lstm{oracle.size}-{self.options.length}",
            origin="synthetic",
            splits=splits,
            target_codec=codec,
            source_codec=None,
            max_target_length=self.options.length,
            max_source_length=None,
            fixed_length=self.options.length,
            fingerprint=fingerprint(self, splits, {"target": codec}),
            counts={
                name: {"rows": len(split), "target_tokens": len(split.targets.flat)} for name, split in splits.items()
            },
            oracle=oracle,
            entropy=entropy_of(np.concatenate([scores for _, scores in drawn.values()])),
        )


def entropy_of(scores: Scores) -> tuple[float, float]:
    """Nats per token, and its standard error, from log-probabilities [sequences, time] of the oracle's own draws."""
    per_sequence = -np.asarray(scores, dtype=np.float64).mean(axis=1)
    spread = per_sequence.std(ddof=1) if len(per_sequence) > 1 else float("nan")
    return float(per_sequence.mean()), float(spread / np.sqrt(len(per_sequence)))


def _examples(targets: Ragged) -> tuple[Example, ...]:
    return tuple(Example(" ".join(map(str, targets[row].tolist()))) for row in range(len(targets)))


def _drawn(
    oracle: LSTMOracle, length: int, split: int, count: int, whole: int
) -> tuple[Ragged, npt.NDArray[np.float32]]:
    """The first `count` sequences of a split of `whole`, with their log-probabilities [count, length]."""
    path = cache_folder() / "oracle" / f"{_key(oracle, length, split, whole)}.npz"
    kept = _read(path, (whole, length), oracle.size)
    if kept is None:
        parts = list(_chunks(oracle, length, split, count))
        kept = np.concatenate([ids for ids, _ in parts]), np.concatenate([scores for _, scores in parts])
        if count == whole:
            _write(path, *kept)
    ids, scores = kept
    return Ragged.from_padded(ids[:count], np.full(count, length)), scores[:count]


def _chunks(oracle: LSTMOracle, length: int, split: int, count: int) -> Iterator[tuple[Ids, Scores]]:
    from tasks.lstm_oracle import uniforms

    for chunk in range(-(-count // _CHUNK)):
        places = uniforms((_DATA_SEED, length, split, chunk), _CHUNK * length).reshape(_CHUNK, length)
        places = places[: count - chunk * _CHUNK]
        ids, scores = oracle.draw(places)
        yield ids.flat.reshape(-1, length), scores.astype(np.float32)


def _key(oracle: LSTMOracle, length: int, split: int, whole: int) -> str:
    text = f"{OracleTask.version} {oracle.hash} {length} {_DATA_SEED} {_CHUNK} {split} {whole}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _read(
    path: Path, shape: tuple[int, int], size: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]] | None:
    """What was kept; None where there is nothing, or nothing that can be trusted."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            ids, scores = kept["ids"].astype(np.int32), kept["scores"].astype(np.float32)
    except (OSError, ValueError, KeyError, EOFError):
        return None
    sound = ids.shape == scores.shape == shape and ids.min() >= 0 and ids.max() < size and np.isfinite(scores).all()
    return (ids, scores) if sound else None


def _write(path: Path, ids: Ids, scores: Scores) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            np.savez(file, ids=ids, scores=scores)
        os.replace(file.name, path)
    except OSError:  # a cache that cannot be written is only slower
        return
