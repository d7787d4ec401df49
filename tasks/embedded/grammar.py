"""What all the grammars share: repeatable choices, distinct rows dealt into splits, and the hash of the result."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Row = dict[str, object]
Splits = dict[str, tuple[Row, ...]]

SPLITS = ("train", "valid", "test")
SIZES: Mapping[str, int] = {"train": 3000, "valid": 400, "test": 500}


class Draw:
    """Choices made from `Random.random()` alone.

    Python promises that the sequence of `random()` for a seed stays the same in later versions; it promises nothing of
    the kind for `choice`, `sample` or `shuffle`, so these are built here.
    """

    def __init__(self, seed: int) -> None:
        self._uniform = random.Random(seed).random

    def one(self, items: Sequence[Item]) -> Item:
        return items[int(self._uniform() * len(items))]

    def of(self, *items: Item) -> Item:
        """One of its arguments."""
        return self.one(items)

    def some(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different places of `items`, in random order."""
        pool = list(items)
        for i in range(count):
            j = i + int(self._uniform() * (len(pool) - i))
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:count]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        return self.some(items, len(items))

    def chance(self, probability: float) -> bool:
        return self._uniform() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self._uniform() * (high - low + 1))


def deal(example: Callable[[Draw, str], tuple[str, Row]], seed: int, sizes: Mapping[str, int] = SIZES) -> Splits:
    """Draws rows until every split is full; no key stands twice in the whole dataset.

    Args:
        example: makes one row for the named split, with the key that must be new (the text, or the source).
        seed: the dataset's own.
        sizes: rows of each split, in the order in which they are drawn.

    Raises:
        RuntimeError: the grammar is too small for that many different rows.
    """
    draw = Draw(seed)
    seen: set[str] = set()
    splits: Splits = {}
    for split, size in sizes.items():
        rows: list[Row] = []
        for _ in range(20 * size):
            key, row = example(draw, split)
            if key not in seen:
                seen.add(key)
                rows.append(row)
            if len(rows) == size:
                break
        else:
            raise RuntimeError(f"grammar with seed {seed} gave only {len(rows)} of {size} different rows for {split}")
        splits[split] = tuple(rows)
    return splits


def canonical_hash(splits: Splits) -> str:
    """sha256 (hex) of all rows as JSON lines, each with its split, keys sorted, UTF-8."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for row in splits[split]:
            line = json.dumps({"split": split, **row}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def listed(items: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def with_article(noun_phrase: str) -> str:
    """`a` or `an` before a noun phrase, by its first letter (the grammars use no word for which that is wrong)."""
    return f"{'an' if noun_phrase[0] in 'aeiou' else 'a'} {noun_phrase}"
