"""Plug-in files: a user's own methods, tasks and metrics, which of them a cell needs, and their hash."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from baselines.base import Baseline
    from tasks.base import Task


@dataclass(frozen=True)
class Things:
    """What a plug-in file defines, by name.

    Attributes:
        metrics: name -> `module:class`, as `metrics.metric` takes them.
    """

    methods: Mapping[str, type[Baseline]]
    tasks: Mapping[str, type[Task]]
    metrics: Mapping[str, str]


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
    name, second = module_names(path)
    other = getattr(sys.modules.get(name), "__file__", None)
    if other is not None and Path(other).resolve() != path.resolve():
        name = second
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


def module_names(path: Path) -> tuple[str, str]:
    """Of a plug-in file: its name as the first file of that name in a process, and as any other."""
    name = f"gantlet_plugin_{path.stem}"
    return name, f"{name}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"


def plugin_hash(plugins: Sequence[str]) -> str:
    """A hash of the plug-in files' content: part of a cell's key, so that an edited method is another method."""
    digest = hashlib.sha256()
    for plugin in plugins:
        digest.update(Path(plugin.rpartition(":")[0] if ".py:" in plugin else plugin).read_bytes())
    return digest.hexdigest() if plugins else ""


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
