"""Names to tasks and baselines, imported on first use; a user's own are added by file or entry point."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
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

ENTRY_POINTS = "gantlet.baselines"
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


def task_registry() -> Registry:
    return Registry("task", tasks.BUILTIN)


def baseline_registry(plugins: Sequence[str] = ()) -> Registry:
    """The built-in methods, those of installed packages (entry points), and those of `plugins` (`FILE.py[:CLASS]`)."""
    registry = Registry("baseline", baselines.BUILTIN)
    for point in entry_points(group=ENTRY_POINTS):
        registry = registry.with_loaded({point.name: point.load()})
    for plugin in plugins:
        registry = registry.with_loaded(load_plugin(plugin))
    return registry


def load_plugin(plugin: str) -> dict[str, type[Baseline]]:
    """The baselines that a file defines, by name: all of them, or the class named after a colon."""
    from baselines.base import Baseline

    path, _, wanted = plugin.rpartition(":") if ".py:" in plugin else (plugin, "", "")
    module = _import_file(Path(path))
    found = {
        value.name: value
        for key, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Baseline)
        and value.__module__ == module.__name__
        and hasattr(value, "name")
        and wanted in ("", key)
    }
    if not found:
        what = f"no class {wanted}" if wanted else "no subclass of baselines.base.Baseline with a `name`"
        raise UserError(f"plugin {path}: {what} in it. See docs/add-a-method.md.")
    return found


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"plugin {path}: no such file. Give --plugin FILE.py or FILE.py:CLASS.")
    name = f"gantlet_plugin_{path.stem}"
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


def make_task(name: str, settings: Mapping[str, Any]) -> Task:
    """The task with its options; a wrong option is the user's error."""
    cls = task_registry()[name]
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
