"""From rows to a `Corpus`: read, check, cut into tokens, number, count what was lost, hash.

Tasks differ in a `Plan` only: which set, how a row becomes an `Example`, and how each side is cut.
"""

from __future__ import annotations

import gc
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tasks import checks
from tasks.base import Corpus, DataError, Example, LoadReport, Ragged, Row, Source, Split, Task
from tasks.encoding import Side, SideText
from tasks.text import Codec

_HELD_OUT_SEED = 20170213  # of splits made from train; part of what docs/data.md promises
_HELD_OUT_MOST = 2000


@dataclass(frozen=True)
class Plan:
    """What one task, with its options, asks of the loader.

    Attributes:
        parse: makes the example of a row, or raises `DataError`.
        fixed_length: every target has this many tokens; no `</s>`.
        extra_splits: further test splits of the set.
        extra_sets: name of a further test split -> the set whose `test` it is.
    """

    dataset: str
    parse: Callable[[Row], Example]
    target: Side
    source: Side | None = None
    fixed_length: int | None = None
    extra_splits: tuple[str, ...] = ()
    extra_sets: Mapping[str, str] = field(default_factory=dict)


def load(task: Task, plan: Plan, source: Source, limit: int | None = None, *, allow_overlap: bool = False) -> Corpus:
    """Makes the corpus of `task` from `source` by `plan`; see `Task.load`."""
    with _no_garbage_collection():
        return _load(task, plan, source, limit, allow_overlap)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Loading makes millions of small objects and no cycles; looking for some takes a third of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _load(task: Task, plan: Plan, source: Source, limit: int | None, allow_overlap: bool) -> Corpus:
    if limit is not None and limit < 1:
        raise DataError(f"limit {limit}: give at least 1 row a split")
    report = LoadReport()
    dataset = source.resolve(task.name, plan.dataset)
    splits = read_splits(plan, source, dataset, limit, report)
    keys = {name: [checks.key_of(row) for row in rows] for name, rows in splits.items()}
    report.warnings.extend(checks.overlap(_label(source, dataset), keys, allow=allow_overlap))
    for name, rows in keys.items():
        report.counts[name] = {"rows": len(rows), "duplicates": len(rows) - len(set(rows))}

    sides = {"target": plan.target} | ({"source": plan.source} if plan.source else {})
    texts = {
        side: SideText(how, {name: [_text(row, side) for row in rows] for name, rows in splits.items()})
        for side, how in sides.items()
    }
    _drop_long(splits, texts, report)
    codecs = {side: text.codec() for side, text in texts.items()}
    encoded = {
        side: {name: _encode(side, text, codecs[side], plan, name, report) for name in splits}
        for side, text in texts.items()
    }
    done = {
        name: Split(tuple(rows), encoded["target"][name], encoded["source"][name] if plan.source else None)
        for name, rows in splits.items()
    }
    return Corpus(
        task=task.name,
        version=task.version,
        kind=task.kind,
        dataset="embedded" if source.origin == "embedded" else dataset,
        origin=source.origin,
        splits=done,
        target_codec=codecs["target"],
        source_codec=codecs.get("source"),
        max_target_length=plan.target.max_tokens,
        max_source_length=plan.source.max_tokens if plan.source else None,
        source_keep=plan.source.keep if plan.source else "start",
        fixed_length=plan.fixed_length,
        fingerprint=fingerprint(task, done, codecs),
        counts=report.counts,
        warnings=(*source.warnings(dataset), *report.warnings),
    )


def read_splits(
    plan: Plan, source: Source, dataset: str, limit: int | None, report: LoadReport
) -> dict[str, list[Example]]:
    """All splits as examples; a missing valid or test is cut from train, with a warning."""
    there = source.splits(dataset)
    if "train" not in there:
        raise DataError(f"{dataset} has no train split (there is: {', '.join(there)}): it can only be an extra test")
    splits: dict[str, list[Example]] = {}
    for name in ("train", "valid", "test"):
        if name in there:
            splits[name] = _examples(plan, source, dataset, name, limit)
    for name in ("valid", "test"):
        if name not in splits:
            splits["train"], splits[name] = _hold_out(splits["train"], name, dataset, report)
    for name in plan.extra_splits:
        splits[name] = _examples(plan, source, dataset, name, limit)
    for name, other in plan.extra_sets.items():
        splits[name] = _examples(plan, source, source.resolve(name, other), "test", limit)
    return {name: splits[name] for name in ("train", "valid", "test", *splits) if name in splits}


def _examples(plan: Plan, source: Source, dataset: str, split: str, limit: int | None) -> list[Example]:
    examples = [plan.parse(row) for row in source.rows(dataset, split, limit)]
    if not examples:
        raise DataError(f"{dataset}/{split} has no rows")
    return examples


def _hold_out(train: list[Example], name: str, dataset: str, report: LoadReport) -> tuple[list[Example], list[Example]]:
    """Cuts a twentieth (at most 2,000) of the distinct rows off train; copies of them leave train too."""
    distinct = sorted({checks.key_of(row): place for place, row in reversed(list(enumerate(train)))}.values())
    if len(distinct) < 2:
        raise DataError(f"{dataset} has no {name} split, and train is too small to cut one from")
    count = min(_HELD_OUT_MOST, max(1, len(distinct) // 20))
    chosen = sorted(random.Random(f"{_HELD_OUT_SEED} {name}").sample(distinct, count))
    held_out = [train[place] for place in chosen]
    keys = {checks.key_of(row) for row in held_out}
    rest = [row for row in train if checks.key_of(row) not in keys]
    report.warnings.append(f"{dataset} has no {name} split: {count} rows of train are used for it")
    return rest, held_out


def _label(source: Source, dataset: str) -> str:
    return f"embedded/{dataset}" if source.origin == "embedded" else dataset


def _text(row: Example, side: str) -> str:
    if side == "target":
        return row.target
    return "\n".join(row.source) if len(row.source) > 1 else row.source[0]


def _drop_long(splits: dict[str, list[Example]], texts: Mapping[str, SideText], report: LoadReport) -> None:
    """Takes rows of train that are too long out of it, where a side says so."""
    before = len(splits["train"])
    fits = np.ones(before, dtype=bool)
    for text in texts.values():
        if text.side.long == "drop":
            fits &= text.lengths("train") < text.side.max_tokens
    if fits.all():
        return
    if not fits.any():
        raise DataError("every row of train is longer than the maximum length: raise it, or cut instead of drop")
    kept = np.flatnonzero(fits)
    for text in texts.values():
        text.keep_of_train(kept)
    splits["train"] = [splits["train"][place] for place in kept]
    report.counts["train"].update(rows=len(kept), dropped_long=before - len(kept))


def _encode(side: str, text: SideText, codec: Codec, plan: Plan, split: str, report: LoadReport) -> Ragged:
    """Ids of one side of one split; counts what was cut and what is unknown."""
    role: Literal["target", "source", "fixed"] = "source" if side == "source" else "target"
    ids, cut = text.ids(codec, split, "fixed" if role == "target" and plan.fixed_length else role)
    report.counts[split].update(
        {
            f"truncated_{side}s": cut,
            f"{side}_tokens": len(ids.flat),
            f"unknown_{side}_tokens": int(np.count_nonzero(ids.flat == codec.vocab.unk)),
        }
    )
    return ids


def fingerprint(task: Task, splits: Mapping[str, Split], codecs: Mapping[str, Codec]) -> str:
    """sha256 over everything a model or a metric sees of the corpus: options, vocabularies, text, ids."""
    digest = hashlib.sha256()

    def add(*parts: str) -> None:
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)

    add(task.name, str(task.version), task.options.model_dump_json())
    for side in sorted(codecs):
        add(side, codecs[side].hash)
    for name in sorted(splits):
        split = splits[name]
        add(
            name, "\x1d".join("\x1e".join((row.target, *row.source, "\x1f", *row.references)) for row in split.examples)
        )
        for ids in (split.targets, split.sources):
            if ids is not None:
                digest.update(ids.offsets.astype("<i8").tobytes())
                digest.update(ids.flat.astype("<i4").tobytes())
    return digest.hexdigest()
