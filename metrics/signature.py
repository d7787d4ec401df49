"""Signatures: the short string beside each number that says what was measured, after sacreBLEU (Post 2018)."""

from __future__ import annotations

from collections.abc import Mapping


def join(name: str, fields: Mapping[str, str]) -> str:
    """`name|key:value|...`; a bar inside a value is written `%7C`, so that a signature can always be taken apart."""
    return "|".join((name, *(f"{key}:{_quote(value)}" for key, value in fields.items())))


def parse(signature: str) -> dict[str, str]:
    """The fields of a signature, in order; the metric's name stands under `metric`."""
    name, *parts = signature.split("|")
    return {"metric": name, **{key: _unquote(value) for key, _, value in (part.partition(":") for part in parts)}}


def differences(one: str, other: str) -> dict[str, tuple[str, str]]:
    """The fields in which two signatures differ, with both values (`-` where a field is absent).

    Empty means: the two numbers are the same measurement and may be compared.
    """
    left, right = parse(one), parse(other)
    keys = [*left, *(key for key in right if key not in left)]
    pairs = {key: (left.get(key, "-"), right.get(key, "-")) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _quote(value: str) -> str:
    return value.replace("%", "%25").replace("|", "%7C")


def _unquote(value: str) -> str:
    return value.replace("%7C", "|").replace("%25", "%")
