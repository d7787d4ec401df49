"""From rows to a `Corpus`: read, check, cut into tokens, number, count what was lost, hash.

Tasks differ in a `Plan` only: which set, how a row becomes an `Example`, and how each side is cut.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tasks import checks
from tasks.base import Corpus, DataError, Example, LoadReport, Ragged, Split, Task
from tasks.sources import Row, Source
from tasks.text import BREAK, Codec, Subwords, Tokeniser, build_vocabulary, subword_vocabulary, train_subwords

Long = Literal["cut", "drop"]
_HELD_OUT_SEED = 20170213  # of splits made from train; part of what docs/data.md promises
_HELD_OUT_MOST = 2000
_SUBWORDS = 8000


@dataclass(frozen=True)
class Side:
    """How the target, or the source, becomes ids.

    Attributes:
        tokeniser: None for byte-level BPE, learned from train.
        max_tokens: `</s>` included.
        long: what becomes of longer rows: cut, or dropped from train (rows of other splits are never dropped).
        keep: which end of a cut row stays; a dialogue's last words matter most.
        lines: line breaks of the text are tokens.
    """

    tokeniser: Tokeniser | None
    max_tokens: int
    max_vocab: int | None = None
    min_count: int = 1
    long: Long = "cut"
    keep: Literal["start", "end"] = "start"
    lines: bool = False
    lower: bool = False


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


class _Cutter:
    """Cuts one side's texts into tokens; a line that comes twice (a turn, in later contexts) is cut once."""

    def __init__(self, side: Side, train: Sequence[str]) -> None:
        self.side = side
        self._extra = (BREAK,) if side.lines else ()
        self.tokeniser = side.tokeniser or train_subwords(train, self._room, side.min_count, side.lower)
        self._tokens: dict[str, list[str]] = {}
        self._ids: dict[str, list[int]] = {}

    @property
    def _room(self) -> int:
        return (self.side.max_vocab or _SUBWORDS) - 2 - len(self._extra)

    def lines(self, text: str) -> list[str]:
        return text.split("\n") if self.side.lines else [text]

    def tokens(self, line: str) -> list[str]:
        known = self._tokens.get(line)
        if known is None:
            known = self._tokens[line] = self.tokeniser.tokenise(line)
        return known

    def length(self, text: str) -> int:
        lines = self.lines(text)
        return sum(len(self.tokens(line)) for line in lines) + len(lines) - 1

    def codec(self, train: Sequence[str]) -> Codec:
        if isinstance(self.tokeniser, Subwords):
            vocab = subword_vocabulary(self.tokeniser, self._extra)
        else:
            counted = (self.tokens(line) for text in train for line in self.lines(text))
            vocab = build_vocabulary(counted, self.side.max_vocab, self.side.min_count, self._extra)
        return Codec(vocab, self.tokeniser, separator=2 if self._extra else None)

    def encode(self, codec: Codec, text: str) -> list[int]:
        """As `codec.encode(text)`, from what is known."""
        out: list[int] = []
        for place, line in enumerate(self.lines(text)):
            ids = self._ids.get(line)
            if ids is None:
                ids = self._ids[line] = codec.ids(self.tokens(line))
            if place and codec.separator is not None:
                out.append(codec.separator)
            out += ids
        return out


def load(task: Task, plan: Plan, source: Source, limit: int | None = None, *, allow_overlap: bool = False) -> Corpus:
    """Makes the corpus of `task` from `source` by `plan`; see `Task.load`."""
    if limit is not None and limit < 1:
        raise DataError(f"limit {limit}: give at least 1 row a split")
    report = LoadReport()
    dataset = source.resolve(task.name, plan.dataset)
    splits = read_splits(plan, source, dataset, limit, report)
    report.warnings.extend(checks.overlap(_label(source, dataset), splits, allow=allow_overlap))
    report.counts.update({name: _row_counts(rows) for name, rows in splits.items()})

    sides = {"target": plan.target} | ({"source": plan.source} if plan.source else {})
    texts = {side: {name: [_text(row, side) for row in rows] for name, rows in splits.items()} for side in sides}
    cutters = {side: _Cutter(how, texts[side]["train"]) for side, how in sides.items()}
    _drop_long(splits, texts, cutters, report)
    codecs = {side: cutter.codec(texts[side]["train"]) for side, cutter in cutters.items()}

    encoded = {
        side: {name: _encode(side, cutter, codecs[side], plan, name, texts[side][name], report) for name in splits}
        for side, cutter in cutters.items()
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
        raise DataError(f"{dataset} has no train split (there is: {', '.join(there)}): it can only be an extra test set")
    splits = {name: _examples(plan, source, dataset, name, limit) for name in ("train", "valid", "test") if name in there}
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


def _hold_out(
    train: list[Example], name: str, dataset: str, report: LoadReport
) -> tuple[list[Example], list[Example]]:
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


def _row_counts(rows: Sequence[Example]) -> dict[str, int]:
    return {"rows": len(rows), "duplicates": len(rows) - len({checks.key_of(row) for row in rows})}


def _text(row: Example, side: str) -> str:
    if side == "target":
        return row.target
    return "\n".join(row.source) if len(row.source) > 1 else row.source[0]


def _drop_long(
    splits: dict[str, list[Example]],
    texts: dict[str, dict[str, list[str]]],
    cutters: Mapping[str, _Cutter],
    report: LoadReport,
) -> None:
    dropping = [side for side, cutter in cutters.items() if cutter.side.long == "drop"]
    if not dropping:
        return
    before = len(splits["train"])
    kept = [
        place
        for place in range(before)
        if all(cutters[side].length(texts[side]["train"][place]) < cutters[side].side.max_tokens for side in dropping)
    ]
    if not kept:
        raise DataError("every row of train is longer than the maximum length: raise it, or cut instead of drop")
    splits["train"] = [splits["train"][place] for place in kept]
    for side in texts:
        texts[side]["train"] = [texts[side]["train"][place] for place in kept]
    report.counts["train"]["dropped_long"] = before - len(kept)
    report.counts["train"]["rows"] = len(kept)


def _encode(
    side: str, cutter: _Cutter, codec: Codec, plan: Plan, split: str, texts: Sequence[str], report: LoadReport
) -> Ragged:
    """Ids of one side of one split, cut to the maximum and ended; counts what was cut and what is unknown."""
    most, keep_end, cut, rows = cutter.side.max_tokens, cutter.side.keep == "end", 0, []
    eos = [codec.vocab.eos] if codec.vocab.eos is not None and not (side == "target" and plan.fixed_length) else []
    for text in texts:
        ids = cutter.encode(codec, text)
        if len(ids) + len(eos) <= most:
            rows.append(ids + eos)
            continue
        cut += 1
        # A cut target has no `</s>`: the model must not learn that texts end there. An encoder always wants its end.
        room = most - len(eos) if side == "source" else most
        rows.append((ids[-room:] if keep_end else ids[:room]) + (eos if side == "source" else []))
    ragged = Ragged.from_lists(rows)
    counts = report.counts[split]
    counts[f"truncated_{side}s"] = cut
    counts[f"{side}_tokens"] = len(ragged.flat)
    counts[f"unknown_{side}_tokens"] = int(np.count_nonzero(ragged.flat == codec.vocab.unk))
    return ragged


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
        add(name, "\x1d".join("\x1e".join((row.target, *row.source, "\x1f", *row.references)) for row in split.examples))
        for ids in (split.targets, split.sources):
            if ids is not None:
                digest.update(ids.offsets.astype("<i8").tobytes())
                digest.update(ids.flat.astype("<i4").tobytes())
    return digest.hexdigest()
