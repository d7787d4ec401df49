"""The built-in methods at their smallest, each with the `TINY` settings of its own test file, and the checks for them.

The checks themselves stand in `bench/checks`: they are those that `run_bench.py check` puts to anybody's method.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Any

import pytest

import baselines
from baselines.base import Baseline
from baselines.nets.transformer import MISSING
from bench.checks import drawing, facts, likelihood, training
from bench.checks.core import Check, NotApplicable
from bench.checks.trial import CORPORA, TRIED, Trial
from tests.fresh import fresh_seed

TINY_MLE: dict[str, Any] = {"net": {"embedding": 8, "hidden": 8, "dropout": 0.2}, "epochs": 2}
LETTERS = {kind: CORPORA[kind]() for kind in TRIED}
# all but `learns-a-toy-corpus`: TINY is too small to learn anything
CHECKS = (*facts.CHECKS, *training.CHECKS, *drawing.CHECKS, *likelihood.CHECKS)


def home(name: str) -> str:
    """The module that a method stands in, without its package: names of its test file and page."""
    return baselines.BUILTIN[name].partition(":")[0].rpartition(".")[2]


def cls(name: str) -> type[Baseline]:
    module, _, attribute = baselines.BUILTIN[name].partition(":")
    found: type[Baseline] = getattr(importlib.import_module(module), attribute)
    return found


@functools.cache
def trial(name: str) -> Trial:
    """What is trained is kept for all checks of a method."""
    settings = TINY_MLE
    if home(name) != "mle":
        settings = importlib.import_module(f"tests.unit.test_baselines_{home(name)}").TINY
    return Trial(cls(name), settings, presets=False, seed=fresh_seed())


def method(name: str) -> Baseline:
    """A built-in method; skips where the library it needs is not installed."""
    made = trial(name).make("varied")
    if MISSING in (made.supports(LETTERS["varied"]), made.supports(LETTERS["pairs"])):
        pytest.skip(MISSING)
    return made


@functools.cache
def supports(name: str, kind: str) -> bool:
    """Whether a method takes one of the corpora. A missing library is no reason to leave its tests out unseen."""
    return cls(name)().supports(LETTERS[kind]) in (None, MISSING)


def cases(kinds: Sequence[str]) -> list[Any]:
    """A parameter set for each method, check and corpus that go together, a method's own side by side."""
    return [
        pytest.param(name, check, kind, id=f"{name}-{check.name}-{kind}")
        for name in sorted(baselines.BUILTIN)
        for check in CHECKS
        for kind in check.corpora
        if kind in kinds and supports(name, kind)
    ]


def keeps(name: str, check: Check, kind: str = "") -> None:
    """Puts a check to a method; skips, with the reason, what says nothing of it."""
    method(name)
    tried = trial(name)
    try:
        check.run(tried, kind) if kind else check.run(tried)
    except NotApplicable as reason:
        pytest.skip(str(reason))
