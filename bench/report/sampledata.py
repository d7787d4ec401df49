"""What a page of the sample browser holds: samples by column and set, their nearest training sentences, as many as fit.

A column is one method with one configuration and seed at one stage. A set is a column's samples on one split by one
decoding. Sets that are looked at together (of all columns, one split, one decoding) go into one file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from bench.report.excerpts import Drawn, Excerpt, training_texts

if TYPE_CHECKING:
    from bench.report.nearest import TrainingText

LONGEST = 4_000  # characters of a text; the rest is in the cell's file
SOURCES = "sources"  # stands for a decoding in the key of a split's sources and references


@dataclass(frozen=True)
class Column:
    """One method with one configuration and seed at one stage; `group` is the place of its data's `Group`."""

    drawn: Drawn
    stage: str
    label: str
    group: int

    @property
    def excerpts(self) -> list[Excerpt]:
        return [one for one in self.drawn.excerpts if one.stage == self.stage]


@dataclass(frozen=True)
class Group:
    """Columns made from the same rows of data; `why` says why there is no training text to compare with."""

    label: str
    kind: str
    training: TrainingText | None
    why: str


@dataclass(frozen=True)
class Entry:
    """A sample as the page has it.

    Attributes:
        text: the text, or its beginning and the length of the whole.
        near: the nearest training sentence: line, words copied, words, what is marked in the sample and in the
            sentence (lengths of UTF-16, plain and marked in turn); 0 where none shares a word, None: not sought.
        sentence: that sentence, like `text`.
    """

    text: Any
    near: Any = None
    sentence: Any = None


Sets = Mapping[tuple[int, str, str], Sequence[Entry]]  # by column, split, decoding
Sources = Mapping[tuple[int, str], Sequence[Any]]
Key = tuple[int, str, str]  # group, split, decoding


def group_of(found: Sequence[Drawn], nearest: bool) -> Group:
    """The group of cells with equal data; loads its training text where `nearest` sentences are wanted."""
    first = found[0]
    if not nearest:
        return Group(first.data, first.kind, None, "the report was made without it")
    texts, why = training_texts(first.spec)
    if not texts:
        return Group(first.data, first.kind, None, why or "the training split is empty")
    from bench.report.nearest import TrainingText

    return Group(first.data, first.kind, TrainingText([text[:LONGEST] for text in texts]), "")


def columns_of(found: Sequence[Drawn], labels: Sequence[str]) -> list[Column]:
    """In the order of the cells, the last stage first; `labels` are those of the groups."""
    configs: dict[str, set[str]] = {}
    for one in found:
        configs.setdefault(one.spec.baseline, set()).add(one.spec.config_hash)
    columns = []
    for one in found:
        name = one.spec.baseline
        label = f"{name} #{one.spec.config_hash}" if len(configs[name]) > 1 else name
        for stage in sorted({each.stage for each in one.excerpts}, key=lambda stage: (stage != "final", stage)):
            columns.append(Column(one, stage, label, labels.index(one.data)))
    return columns


def sets_of(columns: Sequence[Column], groups: Sequence[Group]) -> Sets:
    """Every sample with its nearest training sentence; equal texts are looked up once."""
    known: list[dict[str, Entry]] = [{} for _ in groups]
    sets: dict[tuple[int, str, str], list[Entry]] = {}
    for place, column in enumerate(columns):
        training, seen = groups[column.group].training, known[column.group]
        for excerpt in column.excerpts:
            for text in excerpt.texts:
                if text not in seen:
                    seen[text] = _entry(text, training)
            sets[place, excerpt.split, excerpt.decoding] = [seen[text] for text in excerpt.texts]
    return sets


def _entry(text: str, training: TrainingText | None) -> Entry:
    if training is None:
        return Entry(_cut(text))
    from bench.report.nearest import difference

    start = text[:LONGEST]
    near = training.nearest(start)
    if near is None:
        return Entry(_cut(text), 0)
    sentence = training.texts[near.line]
    own, others = difference(start, sentence)
    marks = [near.line, near.copied, near.words, _units(start, own), _units(sentence, others)]
    return Entry(_cut(text), marks, _cut(sentence))


def _units(text: str, runs: Sequence[int]) -> list[int]:
    """Lengths in characters as lengths in UTF-16, which is how a page's script counts."""
    if not text or max(text) <= "\uffff":
        return list(runs)
    ends = list(accumulate(runs, initial=0))
    return [len(text[begin:end].encode("utf-16-le")) // 2 for begin, end in pairwise(ends)]


def _cut(text: str) -> Any:
    return text if len(text) <= LONGEST else [text[:LONGEST], len(text)]


def sources_of(columns: Sequence[Column]) -> Sources:
    """[source turns, references] of each index, by group and split; nothing for free tasks."""
    longest: dict[tuple[int, str], Excerpt] = {}
    for column in columns:
        for one in column.excerpts:
            kept = longest.get((column.group, one.split))
            if one.sources and (kept is None or len(one.sources) > len(kept.sources)):
                longest[column.group, one.split] = one
    return {
        key: [
            [[_cut(text) for text in source], [_cut(text) for text in references]]
            for source, references in zip(one.sources, one.references, strict=True)
        ]
        for key, one in longest.items()
    }


def fitting(sets: Sets, sources: Sources, most: int, budget: int) -> int:
    """How many samples of every set stay within `budget` bytes together, up to `most`; at least one."""
    costs = [0] * most
    for entries in sets.values():
        for place, entry in enumerate(entries[:most]):
            costs[place] += _size([entry.text, entry.near, entry.sentence])
    for listed in sources.values():
        for place, pair in enumerate(listed[:most]):
            costs[place] += _size(pair)
    return max(1, sum(total <= budget for total in accumulate(costs)))


def _size(value: Any) -> int:
    """Of its JSON in bytes, with the comma; escapes of markup are counted."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode()) + 1 + 5 * sum(text.count(mark) for mark in "<>&")


def files_of(columns: Sequence[Column], sets: Sets, sources: Sources, shown: int) -> dict[Key, dict[str, Any]]:
    """The content of each data file, in the order of their numbers."""
    files: dict[Key, dict[str, Any]] = {
        (group, split, SOURCES): {"sources": list(listed[:shown])} for (group, split), listed in sources.items()
    }
    for (place, split, decoding), entries in sets.items():
        key = (columns[place].group, split, decoding)
        file = files.setdefault(key, {"texts": {}, "near": {}, "train": {}})
        kept = entries[:shown]
        file["texts"][str(place)] = [entry.text for entry in kept]
        if any(entry.near is not None for entry in kept):
            file["near"][str(place)] = [entry.near for entry in kept]
        file["train"] |= {str(entry.near[0]): entry.sentence for entry in kept if entry.near}
    return files
