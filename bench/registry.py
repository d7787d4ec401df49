"""Names to tasks, baselines and metrics, imported on first use; a user's own are added by file or entry point."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import baselines
import tasks
from bench.errors import UserError, complaint, did_you_mean
from bench.plugins import load_things

if TYPE_CHECKING:
    from tasks.base import Task, TaskOptions

ENTRY_POINTS, TASK_POINTS, METRIC_POINTS = "gantlet.baselines", "gantlet.tasks", "gantlet.metrics"
NOT_METHODS = frozenset({"real", "shuffled", "uniform"})  # names of the table's reference rows


@dataclass(frozen=True)
class Registry:
    """One kind of thing by name.

    Attributes:
        kind: the word for error messages.
        places: name -> `module:attribute`.
        loaded: name -> the thing itself, where it came from a file.
    """

    kind: str
    places: Mapping[str, str]
    loaded: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple({**self.places, **self.loaded})

    def __getitem__(self, name: str) -> Any:
        if name in self.loaded:
            return self.loaded[name]
        if name not in self.places:
            raise UserError(f'no {self.kind} "{name}".{did_you_mean(name, self.names)}')
        module, _, attribute = self.places[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def with_loaded(self, things: Mapping[str, Any]) -> Registry:
        """With more of them; a name that is taken is an error, so that nothing is replaced unseen."""
        for name in things:
            if name in self.places or name in self.loaded or name in NOT_METHODS:
                raise UserError(f'the {self.kind} name "{name}" is taken; give yours another `name`.')
        return Registry(self.kind, self.places, {**self.loaded, **things})


def task_registry(plugins: Sequence[str] = ()) -> Registry:
    """The built-in tasks, those of installed packages, and those of `plugins`."""
    registry = Registry("task", tasks.BUILTIN)
    for point in entry_points(group=TASK_POINTS):
        registry = registry.with_loaded({point.name: point.load()})
    for plugin in plugins:
        registry = registry.with_loaded(load_things(plugin).tasks)
    return registry


def baseline_registry(plugins: Sequence[str] = ()) -> Registry:
    """The built-in methods, those of installed packages (entry points), and those of `plugins` (`FILE.py[:CLASS]`)."""
    registry = Registry("baseline", baselines.BUILTIN)
    for point in entry_points(group=ENTRY_POINTS):
        registry = registry.with_loaded({point.name: point.load()})
    for plugin in plugins:
        registry = registry.with_loaded(load_things(plugin).methods)
    return registry


def metric_registry(plugins: Sequence[str] = ()) -> Mapping[str, str]:
    """The built-in metrics, those of installed packages, and those of `plugins`: what `metrics.metric` takes."""
    import metrics

    known: dict[str, str] = dict(metrics.BUILTIN)
    added = [{point.name: point.value} for point in entry_points(group=METRIC_POINTS)]
    for more in (*added, *(load_things(plugin).metrics for plugin in plugins)):
        taken = next((name for name in more if name in known), None)
        if taken is not None:
            raise UserError(f'the metric name "{taken}" is taken; give yours another `name`.')
        known |= more
    return known


def know_metrics(plugins: Sequence[str] = ()) -> None:
    """Makes the metrics of installed packages and of `plugins` known by name, in this process."""
    import metrics

    metrics.add({name: place for name, place in metric_registry(plugins).items() if name not in metrics.BUILTIN})


def know_metrics_of(cells: Iterable[Sequence[str]]) -> None:
    """Those of the plug-in files of cells; where a file is gone, the values are there and its words are not."""
    for plugins in {tuple(plugins) for plugins in cells}:
        with suppress(UserError):
            know_metrics(plugins)


def check_metrics(names: Sequence[str]) -> None:
    """Every name is a metric's.

    Raises:
        MetricError: the first that isn't.
    """
    import metrics

    for name in names:
        metrics.metric(name)


def make_task(name: str, settings: Mapping[str, Any], plugins: Sequence[str] = ()) -> Task:
    """The task with its options; a wrong option is the user's error."""
    cls = task_registry(plugins)[name]
    options: TaskOptions = validated(cls.Options, settings, name)
    task: Task = cls(options)
    return task


def validated(model: Any, settings: Mapping[str, Any], owner: str) -> Any:
    """`model(**settings)` with pydantic's complaints put in one line."""
    from pydantic import ValidationError

    try:
        return model(**settings)
    except ValidationError as error:
        raise complaint(error, owner, model.model_fields) from None
