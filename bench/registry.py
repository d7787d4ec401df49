"""Names to tasks, baselines and metrics, imported on first use; a user's own are added by file or entry point."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import baselines
import tasks
from bench.errors import UserError, complaint, did_you_mean

if TYPE_CHECKING:
    from baselines.base import Baseline
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


@dataclass(frozen=True)
class Things:
    """What a plug-in file defines, by name.

    Attributes:
        metrics: name -> `module:class`, as `metrics.metric` takes them.
    """

    methods: Mapping[str, type[Baseline]]
    tasks: Mapping[str, type[Task]]
    metrics: Mapping[str, str]


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
        registry = registry.with_loaded(load_plugin(plugin))
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


def own_metrics(plugins: Sequence[str], more: Sequence[str] = ()) -> dict[str, str]:
    """The metrics that `plugins` define, and `more`: name -> hash of its file, or "" of one that is installed."""
    found = {name: plugin_hash([plugin]) for plugin in plugins for name in load_things(plugin).metrics}
    return {**found, **{name: "" for name in more if name not in found}}


def files_of(plugins: Sequence[str], names: Collection[str]) -> tuple[str, ...]:
    """Those of the plug-in files that define a task, a method or a metric of these names."""
    things = {plugin: load_things(plugin) for plugin in plugins}
    return tuple(
        plugin for plugin, each in things.items() if not {*each.tasks, *each.methods, *each.metrics}.isdisjoint(names)
    )


def load_plugin(plugin: str) -> dict[str, type[Baseline]]:
    """The baselines that a file defines, by name: all of them, or the class named after a colon."""
    return dict(load_things(plugin).methods)


def load_things(plugin: str) -> Things:
    """All that a file defines: subclasses of `Baseline`, `Task` and `Metric` with a `name`; or one class of them.

    Raises:
        UserError: no such file, it fails on import, or nothing of the kind is in it.
    """
    from baselines.base import Baseline
    from metrics.base import Metric
    from tasks.base import Task

    path, _, wanted = plugin.rpartition(":") if ".py:" in plugin else (plugin, "", "")
    module = import_file(Path(path))
    classes = {key: value for key, value in vars(module).items() if _is_own_class(value, module.__name__)}
    found = {key: value for key, value in classes.items() if hasattr(value, "name") and wanted in ("", key)}

    def of(base: type) -> dict[str, Any]:
        return {value.name: value for value in found.values() if issubclass(value, base)}

    places = {name: f"{module.__name__}:{value.__name__}" for name, value in of(Metric).items()}
    things = Things(of(Baseline), of(Task), places)
    if not (things.methods or things.tasks or things.metrics):
        what = "no subclass of baselines.base.Baseline (or tasks.base.Task, or metrics.base.Metric) with a `name`"
        if wanted:
            what = f"no class {wanted} with a `name`"
        hint = did_you_mean(wanted, classes) if wanted and classes else ""
        raise UserError(f"plugin {path}: {what} in it.{hint} See docs/add-a-method.md.")
    return things


def _is_own_class(value: Any, module: str) -> bool:
    return isinstance(value, type) and value.__module__ == module and not inspect.isabstract(value)


def import_file(path: Path) -> ModuleType:
    """A plug-in file as the module `gantlet_plugin_NAME`; a second file of that name has a hash behind it."""
    if not path.is_file():
        raise UserError(f"plugin {path}: no such file. Give --plugin FILE.py or FILE.py:CLASS.")
    name = f"gantlet_plugin_{path.stem}"
    other = getattr(sys.modules.get(name), "__file__", None)
    if other is not None and Path(other).resolve() != path.resolve():
        name += f"_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"plugin {path}: not a Python file (it must end in .py).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"plugin {path} failed on import: {type(error).__name__}: {error}") from error
    return module


def plugin_hash(plugins: Sequence[str]) -> str:
    """A hash of the plug-in files' content: part of a cell's key, so that an edited method is another method."""
    digest = hashlib.sha256()
    for plugin in plugins:
        digest.update(Path(plugin.rpartition(":")[0] if ".py:" in plugin else plugin).read_bytes())
    return digest.hexdigest() if plugins else ""


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
