"""All checks of a method, in the order they are shown: what costs nothing first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bench.checks import drawing, facts, learning, likelihood, training
from bench.checks.core import REFUSED, Check, NotApplicable, Outcome, attempt, together
from bench.checks.trial import Trial

CHECKS: tuple[Check, ...] = (
    *facts.CHECKS,
    *training.CHECKS,
    *drawing.CHECKS,
    *likelihood.CHECKS,
    *learning.CHECKS,
)


def outcome(check: Check, trial: Trial) -> Outcome:
    """Of one check, on all corpora that it asks for and the method supports."""
    if not check.corpora:
        return attempt(check, partial(check.run, trial), trial.file)
    tried = [attempt(check, _on(check, trial, kind), trial.file) for kind in check.corpora]
    return together(check.name, tried)


def _on(check: Check, trial: Trial, kind: str) -> Callable[[], str | None]:
    def run() -> str | None:
        reason = trial.reason(kind)
        if reason is not None:
            raise NotApplicable(f"{REFUSED} {reason}")
        told: str | None = check.run(trial, kind)
        return told

    return run
