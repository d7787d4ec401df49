"""What is on trial, whichever kind it is: its checks, and how one of them is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from bench.checks.core import Check, Outcome, attempt, chosen
from bench.checks.finding import Found, Kind, found_of
from bench.errors import UserError

SECONDS = 60.0


def checks_of(kind: Kind) -> tuple[Check, ...]:
    """In the order they are shown."""
    if kind == "method":
        from bench.checks import methods

        return methods.CHECKS
    if kind == "task":
        from bench.checks import tasks

        return tasks.CHECKS
    from bench.checks import metrics

    return metrics.CHECKS


@dataclass(frozen=True)
class Subject:
    """A method, task or metric, and how it is to be checked.

    Attributes:
        settings: a method's constants or a task's options.
        seconds: of processor time, for a method.
        data, fields: a task's, as the flags of those names.
    """

    found: Found
    settings: Mapping[str, Any]
    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    seconds: float = SECONDS
    data: str | None = None
    fields: Mapping[str, str] | None = None

    @classmethod
    def of(cls, thing: Any, *, settings: Mapping[str, Any] | None = None, **more: Any) -> Subject:
        """Of a class, or of what a name means.

        Raises:
            UserError: nothing that could be checked.
        """
        return cls(found_of(thing), dict(settings or {}), **more)

    def checks(self) -> tuple[Check, ...]:
        """Those asked for."""
        return chosen(checks_of(self.found.kind), self.only, self.skip)

    @cached_property
    def trial(self) -> Any:
        """Made when first asked for; what it trains is kept.

        Raises:
            UserError: settings that there are not.
        """
        if self.found.kind == "method":
            from bench.checks.trial import Trial

            trial = Trial(self.found.cls, self.settings, seconds=self.seconds)
            for kind in ("varied", "pairs"):  # a mistake in the settings is told before any check is said to fail
                trial.make(kind)
            return trial
        if self.found.kind == "task":
            from bench.checks.tasks import TaskTrial

            return TaskTrial(self.found, self.settings, self.data, self.fields)
        from bench.checks.metrics import MetricTrial

        if self.settings:
            raise UserError(f"settings {', '.join(self.settings)}: a metric has none.")
        return MetricTrial(self.found)

    def outcome(self, check: Check) -> Outcome:
        """Runs one check."""
        if self.found.kind == "method":
            from bench.checks import methods

            return methods.outcome(check, self.trial)
        return attempt(check, partial(check.run, self.trial), self.trial.file)
