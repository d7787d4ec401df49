"""The facts about a scoring that a signature is too short for; they belong into the result beside the scores."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from metrics.base import Material
from metrics.tokenize import canonical, tokenizer

LIBRARIES = ("numpy", "nltk", "sacrebleu", "rouge-score")


def record(material: Material) -> dict[str, dict[str, int | str]]:
    """Library versions, and how many texts, empty ones and repeats there are on each side."""
    facts: dict[str, dict[str, int | str]] = {
        "versions": {name: _version(name) for name in LIBRARIES},
        "tokens": {"name": canonical(material.tokens)},
        "samples": _counts(material, material.samples),
    }
    if material.references_by_item is not None:
        every = [text for item in material.references_by_item for text in item]
        facts["references"] = {**_counts(material, every), "items": len(material.references_by_item)}
    elif material.references is not None:
        facts["references"] = _counts(material, material.references)
    if material.train is not None:
        facts["train"] = {"count": len(material.train)}
    return facts


def _counts(material: Material, texts: Sequence[str]) -> dict[str, int | str]:
    """An empty text has no token; repeats are texts that stood before, letter for letter."""
    cut = tokenizer(material.tokens)
    different = set(texts)
    blank = {text for text in different if not cut(text)}
    return {"count": len(texts), "empty": sum(text in blank for text in texts), "repeats": len(texts) - len(different)}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
