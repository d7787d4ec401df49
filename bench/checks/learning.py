"""Whether a method learns at all: an easy lesson, held against its own untrained start and against bare frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.core import Blocked, Check, CheckFailed, NotApplicable
from bench.checks.trial import Trained, Trial
from tasks.base import Ragged

REMEDY = (
    "see whether the loss falls in what run.log is given, whether optimiser.step() is reached, and whether fit() "
    "returns the model it trained; if it only needs longer, give --set, or a preset `check` in `budgets`"
)


def learns_a_toy_corpus(trial: Trial, kind: str) -> str | None:
    """Letters that count on are learnt: test text is likelier, or samples are righter, than before training, and than
    for one who knows how frequent each letter is and no more."""
    trained = trial.trained(kind)
    start = _untrained(trial, kind)
    targets, sources = trial.test(kind)
    try:
        after = _nll(trial, trained.generator, targets, sources)
    except NotApplicable as reason:
        return _by_samples(trial, kind, trained, start, str(reason))
    floor = _unigram_nll(trial, kind)
    try:
        before = _nll(trial, start, targets, sources) if start is not None else None
    except Exception:  # what was never trained need not know a likelihood
        before = None
    told = f"NLL {_mean(after, targets):.2f} nats a token on {kind}, {_mean(floor, targets):.2f} by frequencies alone"
    if before is not None and np.isfinite(before).all():
        told += f", {_mean(before, targets):.2f} untrained"
        gain = before - after
        if gain.mean() <= 3 * gain.std() / np.sqrt(len(gain)):
            raise CheckFailed(f"it is no better than untrained: {told}", trial.place("fit"), REMEDY)
    if not after.sum() < floor.sum():
        raise CheckFailed(f"it learns less than how frequent each token is: {told}", trial.place("fit"), REMEDY)
    return told


def _untrained(trial: Trial, kind: str) -> Any:
    try:
        return trial.make(kind).build(trial.corpus(kind))
    except Exception:  # `saved-and-loaded-is-the-same` speaks of it
        return None


def _mean(nll: npt.NDArray[np.float64], targets: Ragged) -> float:
    return float(nll.sum() / len(targets.flat))


def _nll(trial: Trial, generator: Any, targets: Ragged, sources: Ragged | None) -> npt.NDArray[np.float64]:
    """Of each line, in nats."""
    flat = trial.log_probs(generator, targets, sources)
    if flat.shape != targets.flat.shape:
        raise Blocked("log-probabilities that are not one a token: see padding-is-never-counted")
    return np.asarray(-np.add.reduceat(flat, targets.offsets[:-1]), dtype=np.float64)


def _unigram_nll(trial: Trial, kind: str) -> npt.NDArray[np.float64]:
    targets, _ = trial.test(kind)
    return np.asarray(-np.add.reduceat(np.log(_frequencies(trial, kind))[targets.flat], targets.offsets[:-1]))


def _frequencies(trial: Trial, kind: str) -> npt.NDArray[np.float64]:
    corpus = trial.corpus(kind)
    counts = np.bincount(corpus.splits["train"].targets.flat, minlength=corpus.vocab.size) + 1.0
    return np.asarray(counts / counts.sum())


def _by_samples(trial: Trial, kind: str, trained: Trained, start: Any, reason: str) -> str:
    """Without a likelihood: how many neighbours among the samples' tokens are neighbours in train too."""
    if not trained.seen.optimiser_steps:
        raise NotApplicable(f"no optimiser takes a step, and {reason}")
    size = trial.corpus(kind).vocab.size
    known = np.zeros((size, size), bool)
    known[_pairs(trial.corpus(kind).splits["train"].targets)] = True
    drawn = trial.drawn(kind, trained.generator, n=500)
    if not isinstance(drawn, Ragged):
        raise NotApplicable(f"it answers in text of its own, and {reason}")
    after, n = _share(known, drawn)
    p = _frequencies(trial, kind)
    floor = float((np.outer(p, p) * known).sum() / (1 - p[trial.corpus(kind).vocab.eos or 0]))
    told = f"{after:.0%} of neighbouring tokens on {kind} are neighbours in train, {floor:.0%} by frequencies alone"
    try:
        before = _share(known, trial.drawn(kind, start, n=500))[0]
        told += f", {before:.0%} untrained"
    except Exception:  # what was never trained need not be able to draw
        before = 0.0
    if n == 0 or after - max(floor, before) < 3 * np.sqrt(0.25 / n):
        raise CheckFailed(f"it learns nothing of the text: {told}", trial.place("fit"), REMEDY)
    return told


def _pairs(ids: Ragged) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Neighbouring tokens of the same line."""
    inside = np.ones(len(ids.flat), bool)
    inside[ids.offsets[1:-1]] = False  # where a line begins
    where = np.flatnonzero(inside[1:]) + 1
    return ids.flat[where - 1], ids.flat[where]


def _share(known: npt.NDArray[np.bool_], drawn: Ragged) -> tuple[float, int]:
    found = known[_pairs(drawn)]
    return (float(found.mean()) if len(found) else 0.0), len(found)


CHECKS = (Check(learns_a_toy_corpus, ("lesson", "paired-lesson")),)
