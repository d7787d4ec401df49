"""The tokens of a material's texts, cut and numbered once for all its metrics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.base import Material, Workspace
from metrics.ngrams import Encoder, Ints, Sentences
from metrics.tokenize import tokenizer


def encoder(_: Workspace) -> Encoder:
    return Encoder()


def samples(work: Workspace) -> Sentences:
    return _encode(work, work.material.samples)


def references(work: Workspace) -> Sentences:
    """The pool; or all items' references, end to end."""
    material = work.material
    if material.references_by_item is not None:
        return _encode(work, [text for item in material.references_by_item for text in item])
    return _encode(work, material.references or ())


def train(work: Workspace) -> Sentences:
    return _encode(work, work.material.train or ())


def owners(material: Material) -> Ints:
    """Which item each of the references, end to end, belongs to."""
    counts = [len(item) for item in material.references_by_item or ()]
    return np.repeat(np.arange(len(counts)), counts)


def reference_field(material: Material) -> str:
    """How a signature names the references: `10000` of a pool, `1/item`, or `1-5/item`."""
    if material.references_by_item is None:
        return str(len(material.references or ()))
    counts = {len(item) for item in material.references_by_item} or {0}
    low, high = min(counts), max(counts)
    return f"{low}/item" if low == high else f"{low}-{high}/item"


def unanswered(material: Material) -> str:
    """Says which item has no reference at all; empty if none."""
    for i, item in enumerate(material.references_by_item or ()):
        if len(item) == 0:
            return f"item {i} has no reference"
    return ""


def _encode(work: Workspace, texts: Sequence[str]) -> Sentences:
    cut = tokenizer(work.material.tokens)
    return work.shared(encoder).encode(map(cut, texts))
