"""From what a person writes after `check` to what is checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.errors import UserError, did_you_mean
from bench.plugins import load_things
from bench.registry import baseline_registry, metric_registry, task_registry

Kind = Literal["method", "task", "metric"]
KINDS: tuple[Kind, ...] = ("method", "task", "metric")


@dataclass(frozen=True)
class Found:
    """A method or task as its class, or a metric as its name and the registry that has it.

    Attributes:
        plugins: the files that were given, for another process to find it again.
    """

    kind: Kind
    name: str
    cls: Any
    metrics: Mapping[str, str]
    plugins: tuple[str, ...] = ()


def find(name: str, plugins: Sequence[str] = (), kind: Kind | None = None) -> list[Found]:
    """What is called so: built in, of an installed package, or of a plug-in; or all that a file holds.

    Args:
        name: a name, or `FILE.py[:CLASS]`.

    Raises:
        UserError: nothing is called so, or several kinds of things are.
    """
    if ".py:" in name or name.endswith(".py"):
        return _of_file(name, plugins, kind)
    registries = _registries(plugins)
    entry = name.partition("@")[0]
    kinds = [each for each in KINDS if (entry if each == "metric" else name) in registries[each]]
    kinds = [each for each in kinds if kind in (None, each)]
    if not kinds:
        known = [other for each in KINDS if kind in (None, each) for other in registries[each]]
        what = kind or "method, task or metric"
        raise UserError(f'no {what} "{name}".{_hint(name, known)} Your own is given by --plugin FILE.py.')
    if len(kinds) > 1:
        raise UserError(f'"{name}" is a {" and a ".join(kinds)}: say which with --kind {kinds[0]}.')
    return [_found(kinds[0], name, plugins)]


def _hint(name: str, known: Sequence[str]) -> str:
    hint = did_you_mean(name, known)
    return hint if hint.startswith(" Did") else " See run_bench.py list."


def _registries(plugins: Sequence[str]) -> dict[Kind, Sequence[str]]:
    return {
        "method": baseline_registry(plugins).names,
        "task": task_registry(plugins).names,
        "metric": tuple(metric_registry(plugins)),
    }


def _found(kind: Kind, name: str, plugins: Sequence[str]) -> Found:
    metrics = metric_registry(plugins)
    cls: Any = None
    if kind == "method":
        cls = baseline_registry(plugins)[name]
    elif kind == "task":
        cls = task_registry(plugins)[name]
    return Found(kind, name, cls, metrics, tuple(str(Path(plugin)) for plugin in plugins))


def _of_file(file: str, plugins: Sequence[str], kind: Kind | None) -> list[Found]:
    things = load_things(file)
    every = tuple(dict.fromkeys((*plugins, file)))
    by_kind: dict[Kind, Sequence[str]] = {
        "method": tuple(things.methods),
        "task": tuple(things.tasks),
        "metric": tuple(things.metrics),
    }
    found = [_found(each, name, every) for each in KINDS if kind in (None, each) for name in by_kind[each]]
    if not found:
        raise UserError(f"{file} holds no {kind}.")
    return found


def found_of(thing: Any) -> Found:
    """A class (or an instance) of a method, task or metric; or what is found by a name.

    Raises:
        UserError: it is none of these, or has no `name`.
    """
    from baselines.base import Baseline
    from metrics.base import Metric
    from tasks.base import Task

    if isinstance(thing, str):
        found = find(thing)
        if len(found) > 1:
            raise UserError(f"{thing} holds {', '.join(each.name for each in found)}: say which, as FILE.py:CLASS.")
        return found[0]
    cls = thing if isinstance(thing, type) else type(thing)
    kinds: dict[Kind, type] = {"method": Baseline, "task": Task, "metric": Metric}
    kind = next((each for each, base in kinds.items() if issubclass(cls, base)), None)
    name = getattr(thing, "name", None)
    if kind is None or not isinstance(name, str):
        raise UserError(f"{cls.__qualname__} is no Baseline, Task or Metric with a `name`: nothing to check.")
    known = metric_registry()
    return Found(kind, name, cls, {**known, name: place_to_import(cls)} if kind == "metric" else known)


def place_to_import(cls: type) -> str:
    """`module:class`."""
    return f"{cls.__module__}:{cls.__qualname__}"
