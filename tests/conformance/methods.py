"""The built-in methods at their smallest: each with the `TINY` settings of its own test file."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np
import pytest
import torch

import baselines
from baselines.base import Baseline, NotTractable
from baselines.nets.transformer import MISSING
from tasks.base import Ragged
from tests.fakes import FakeRun
from tests.toys import conditional_corpus, free_corpus

CORPORA = {
    "varied": free_corpus(60, words=4),
    "fixed": free_corpus(60, words=4, fixed_length=4),
    "pairs": conditional_corpus(60, words=4),
}
TINY_MLE: dict[str, Any] = {"net": {"embedding": 8, "hidden": 8, "dropout": 0.2}, "epochs": 2}


def home(name: str) -> str:
    """The module that a method stands in, without its package: names of its test file and page."""
    return baselines.BUILTIN[name].partition(":")[0].rpartition(".")[2]


def method(name: str) -> Baseline:
    """A built-in method; skips where the library it needs is not installed."""
    module, _, attribute = baselines.BUILTIN[name].partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    settings = TINY_MLE
    if home(name) != "mle":
        settings = importlib.import_module(f"tests.unit.test_baselines_{home(name)}").TINY
    made: Baseline = cls(cls.Config.model_validate(settings))
    if MISSING in (made.supports(CORPORA["varied"]), made.supports(CORPORA["pairs"])):
        pytest.skip(MISSING)
    return made


@functools.cache
def supports(name: str, kind: str) -> bool:
    """Whether a method takes one of the corpora. A missing library is no reason to leave its tests out unseen."""
    module, _, attribute = baselines.BUILTIN[name].partition(":")
    return getattr(importlib.import_module(module), attribute)().supports(CORPORA[kind]) in (None, MISSING)


@functools.cache
def trained(name: str, kind: str) -> tuple[Any, FakeRun]:
    """The generator, and the run that it came from; nobody may change either."""
    run = FakeRun(save=False)
    return method(name).fit(CORPORA[kind], run), run


def same(left: Ragged, right: Ragged) -> bool:
    return np.array_equal(left.flat, right.flat) and np.array_equal(left.offsets, right.offsets)


def equal_weights(left: Any, right: Any) -> bool:
    first, second = left.state_dict(), right.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def log_probs(generator: Any, targets: Ragged, sources: Ragged | None = None) -> Any:
    """Of each token; skips, where there are none, if the reason given is in words."""
    try:
        return generator.token_log_probs(targets, sources)
    except NotTractable as told:
        reason = str(told)
    assert len(reason) > 20, "the table shows the reason: say it in words"
    pytest.skip(reason)
