"""What a method does beside what it is asked for: files that it writes, random state of the process, the test split."""

from __future__ import annotations

import builtins
import io
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.checks.core import called_at
from tasks.base import Corpus, Example, Ragged, Split

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass
class Seen:
    """What was seen while something of the user's ran; each list holds places in the code.

    Attributes:
        written: (path, place).
        moved: whose random state is no longer what it was: `random`, `numpy.random`.
        read_test: where the test split was read.
        optimiser_steps: how often one of torch's optimisers took a step.
    """

    written: list[tuple[str, str]] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    read_test: list[str] = field(default_factory=list)
    optimiser_steps: int = 0


@contextmanager
def watching(file: str = "") -> Iterator[Seen]:
    """Looks at what happens inside. Python's and NumPy's global random states start from one seed, and are put back.

    Args:
        file: the user's file, to name its lines.
    """
    from torch.optim.optimizer import register_optimizer_step_post_hook

    seen = Seen()
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global state is what is watched
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    before = _states()

    def count(*_: Any) -> None:
        seen.optimiser_steps += 1

    counter = register_optimizer_step_post_hook(count)
    try:
        with _writes_seen(seen, file):
            yield seen
    finally:
        counter.remove()
        seen.moved = [name for name, (one, other) in _pairs(before, _states()).items() if one != other]
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _states() -> dict[str, Any]:
    numpy: Any = np.random.get_state()  # noqa: NPY002
    return {"random": random.getstate(), "numpy.random": (numpy[1].tolist(), *numpy[2:])}


def _pairs(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (one[name], other[name]) for name in one}


@contextmanager
def _writes_seen(seen: Seen, file: str) -> Iterator[None]:
    """Files opened for writing from Python are noted, and opened all the same."""
    import torch

    plain, low, save = builtins.open, os.open, torch.save

    def note(path: Any) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            name = os.fsdecode(path)
            if not name.startswith(os.devnull) and "__pycache__" not in name:
                seen.written.append((name, called_at(file)))

    def opened(path: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if set(mode) & set("wax+"):
            note(path)
        return plain(path, mode, *rest, **named)

    def opened_low(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & WRITING:
            note(path)
        return low(path, flags, *rest, **named)

    def saved(value: Any, path: Any, *rest: Any, **named: Any) -> None:
        note(path)
        save(value, path, *rest, **named)

    builtins.open = io.open = opened  # type: ignore[assignment]
    os.open, torch.save = opened_low, saved  # type: ignore[assignment]
    try:
        yield
    finally:
        builtins.open = io.open = plain
        os.open, torch.save = low, save


class WatchedRows(tuple[Example, ...]):
    """Rows that tell when they are read; to hand them on is not to read them."""

    note: Callable[[], None]

    def __iter__(self) -> Iterator[Example]:
        self.note()
        return super().__iter__()

    def __getitem__(self, place: Any) -> Any:
        self.note()
        return super().__getitem__(place)


class WatchedIds(Ragged):
    """Ids that tell when they are read."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("flat", "offsets"):
            object.__getattribute__(self, "__dict__").get("note", _nothing)()
        return super().__getattribute__(name)

    def __len__(self) -> int:
        return len(object.__getattribute__(self, "offsets")) - 1


def _nothing() -> None:
    pass


def with_watched_test(corpus: Corpus, reads: list[str], file: str = "") -> Corpus:
    """The same corpus; where its test split is read is added to `reads`."""

    def note() -> None:
        reads.append(called_at(file))

    def ids(some: Ragged | None) -> Ragged | None:
        if some is None:
            return None
        watched = WatchedIds(some.flat, some.offsets)
        watched.__dict__["note"] = note
        return watched

    test = corpus.splits["test"]
    rows, targets = WatchedRows(test.examples), ids(test.targets)
    rows.note = note
    assert targets is not None, "every split has targets"
    return replace(corpus, splits={**corpus.splits, "test": Split(rows, targets, ids(test.sources))})


def content(corpus: Corpus) -> tuple[Any, ...]:
    """Everything of a corpus that a method could change, to be compared."""

    def ids(some: Ragged | None) -> tuple[Any, ...]:
        return () if some is None else (some.flat.tolist(), some.offsets.tolist())

    def rows(examples: Sequence[Example]) -> tuple[Any, ...]:
        return tuple((row.target, row.source, row.references) for row in examples)

    splits = {name: (rows(s.examples), ids(s.targets), ids(s.sources)) for name, s in corpus.splits.items()}
    return (splits, corpus.vocab, corpus.source_vocab, corpus.max_target_length, corpus.fixed_length)
