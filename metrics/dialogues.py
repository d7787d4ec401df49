"""Replies in their contexts: which items belong together, who is dealt to which fold, who is whose random partner.

Nothing here depends on the order of the items, only on their texts: tokens are numbered as they sort; folds, partners
and coins come from hashes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from metrics.base import Workspace
from metrics.evaluator import FOLDS, RARE
from metrics.ngrams import Bools, Encoder, Ints, Sentences
from metrics.tokenize import tokenizer

Tokens = tuple[str, ...]


@dataclass(frozen=True)
class Dialogues:
    """The items of a material.

    Attributes:
        replies: [2 items] the human replies (first references), then the machine's.
        earlier, last: [items] the turns of the source up to the last one, end to end; the last, which is answered.
        group: [items] equal where one item could tell about another: the same source, or turns of one dialogue.
        fold: [items] 0 .. FOLDS - 1, the same for a group.
        partner: [items] an item of the same fold and another group, as if drawn at random; -1 where there is none.
        coin: [2 items] a fair coin for each reply.
    """

    replies: Sentences
    earlier: Sentences
    last: Sentences
    group: Ints
    fold: Ints
    partner: Ints
    coin: Bools

    def __len__(self) -> int:
        return len(self.group)


def dialogues(work: Workspace) -> Dialogues:
    """The items of a material that has sources, samples, and a reference for each item."""
    material = work.material
    cut = tokenizer(material.tokens)
    known: dict[str, Tokens] = {}  # turns come again in the sources of later items

    def tokens(text: str) -> Tokens:
        if text not in known:
            known[text] = tuple(cut(text))
        return known[text]

    sources = [[tokens(turn) for turn in source] for source in material.sources or ()]
    human = [tokens(item[0]) for item in material.references_by_item or ()]
    replies = [*human, *map(tokens, material.samples)]
    encoder = Encoder()
    encoder.encode([sorted({token for text in known.values() for token in text})])
    group, name = _groups(sources, human)
    fold = (_hashes("fold", name) % np.uint64(FOLDS)).astype(np.int64)
    said = [*zip(name, human, strict=True), *zip(name, replies[len(human) :], strict=True)]
    return Dialogues(
        encoder.encode(replies),
        encoder.encode([token for turn in source[:-1] for token in turn] for source in sources),
        encoder.encode(source[-1] if source else () for source in sources),
        group,
        fold,
        _partners(group, fold, _hashes("partner", said[: len(human)])),
        _hashes("coin", said) % np.uint64(2) == 1,
    )


def _groups(sources: Sequence[Sequence[Tokens]], human: Sequence[Tokens]) -> tuple[Ints, list[str]]:
    """Number of each item's group, and a name that follows from the group's texts alone.

    Items with one source are one group. So are an item and the one that goes on from it: whose source ends with the
    item's last turn and its human reply. Two turns that stand in more than `RARE` items ("hello", "hello")
    link nothing.
    """
    members: defaultdict[object, list[int]] = defaultdict(list)
    pairs: defaultdict[object, list[int]] = defaultdict(list)
    for i, (source, reply) in enumerate(zip(sources, human, strict=True)):
        members[tuple(source)].append(i)
        if source:
            pairs[source[-1], reply].append(i)
        if len(source) > 1:
            pairs[source[-2], source[-1]].append(i)
    links = [*members.values(), *(items for items in pairs.values() if len(items) <= RARE)]
    group = _components(len(sources), links)
    names = [ascii(source) for source in sources]
    first: dict[int, str] = {}
    for number, name in zip(group.tolist(), names, strict=True):
        first[number] = min(first.get(number, name), name)
    return group, [first[number] for number in group.tolist()]


def _components(size: int, links: Sequence[Sequence[int]]) -> Ints:
    """Number of each item's set, where those of one link are in one set."""
    parent = list(range(size))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for first, *others in links:
        for other in others:
            parent[root(other)] = root(first)
    return np.array([root(i) for i in range(size)], np.int64)


def _hashes(purpose: str, keys: Sequence[object]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """64 bits for each key, the same on every machine, and others for every purpose."""
    digests = (blake2b(ascii((purpose, key)).encode(), digest_size=8).digest() for key in keys)
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _partners(group: Ints, fold: Ints, draw: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> Ints:
    """For each item the next one, round its fold in the order of `draw`, that is of another group."""
    partner = np.full(len(group), -1, np.int64)
    for f in range(FOLDS):
        items = np.flatnonzero(fold == f)
        ring = items[np.argsort(draw[items], kind="stable")]
        twice = np.concatenate([ring, ring])
        ends = np.flatnonzero(group[twice[1:]] != group[twice[:-1]])  # the last place of each run of one group
        where = np.searchsorted(ends, np.arange(len(ring)))
        found = where < len(ends)
        partner[ring[found]] = twice[ends[where[found]] + 1]
    return partner
