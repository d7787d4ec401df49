"""Unfolds a grid to cells: one task's data are loaded once, settings resolved, and what isn't possible said at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.merging import merge
from bench.config import CellSpec, Grid, content_hash
from bench.errors import UserError, did_you_mean
from bench.plugins import files_of, own_metrics, plugin_hash
from bench.registry import baseline_registry, check_metrics, know_metrics, make_task, task_registry, validated

if TYPE_CHECKING:
    from baselines.base import Baseline
    from tasks.base import Task


@dataclass(frozen=True)
class PlannedCell:
    """A cell to be run; cells with an equal `shares` need the same pre-training."""

    spec: CellSpec
    shares: str | None = None


@dataclass(frozen=True)
class TaskPlan:
    """A task's cells, and what a person should know of its data before training starts."""

    task: str
    label: str
    cells: tuple[PlannedCell, ...]
    warnings: tuple[str, ...] = ()
    counts: Mapping[str, Mapping[str, int]] | None = None


def resolve_data(grid: Grid) -> str:
    """Where the data come from: as asked, else `GANTLET_DATA`, else embedded."""
    found = grid.data or os.environ.get("GANTLET_DATA") or "embedded"
    return found if found.startswith(("embedded", "hub")) else str(Path(found).expanduser().resolve())


def resolve_budget(grid: Grid) -> str:
    """As asked, else `smoke` on embedded data and `small` on real."""
    return grid.budget or ("smoke" if resolve_data(grid) == "embedded" else "small")


def check_names(grid: Grid) -> None:
    """Every name a grid uses is known, and its data are somewhere; before anything is loaded.

    Raises:
        UserError: a task, a baseline or a settings table that isn't there; MetricError: such a metric.
    """
    tasks, methods = task_registry(grid.plugins), baseline_registry(grid.plugins)
    know_metrics(grid.plugins)
    data = resolve_data(grid)
    if not data.startswith(("embedded", "hub")) and not Path(data).exists():
        raise UserError(f"--data {grid.data or data}: no such file or folder.")
    for name in grid.tasks:
        tasks[name]
    for name in grid.baselines:
        if name not in methods.names:
            raise UserError(f'no baseline "{name}".{did_you_mean(name, methods.names)}')
    check_metrics(grid.metrics)
    for key in grid.settings:
        task, slash, method = key.partition("/")
        known = (task in tasks.names and method in methods.names) if slash else key in (*tasks.names, *methods.names)
        if not known:
            raise UserError(
                f'settings for "{key}": no such task or baseline.{did_you_mean(key, [*tasks.names, *methods.names])}'
            )


def plan_task(grid: Grid, name: str) -> TaskPlan:
    """Loads the task's data and gives its cells: reference rows first, then methods in the grid's order, by seed.

    Raises:
        UserError: bad settings; DataError: bad data.
    """
    from tasks.opening import open_source

    data, budget = resolve_data(grid), resolve_budget(grid)
    _check_decodings(grid.decodings)
    know_metrics(grid.plugins)
    task = make_task(name, grid.settings.get(name, {}), grid.plugins)
    corpus = task.load(open_source(data, fields=grid.fields), grid.limit, allow_overlap=grid.allow_overlap)
    if name not in task_registry().names:
        check_metrics(task.metrics)
    more = own_metrics(grid.plugins, grid.metrics)
    shared: dict[str, Any] = {
        "task": name,
        "task_version": task.version,
        "task_options": task.options.model_dump(mode="json"),
        "fingerprint": corpus.fingerprint,
        "budget": budget,
        "data": data,
        "fields": grid.fields,
        "limit": grid.limit,
        "allow_overlap": grid.allow_overlap,
        "samples": grid.samples,
        "decodings": grid.decodings,
        "temperatures": grid.temperatures if corpus.kind == "free" else (),
        "metrics": more,
    }

    def files(method: str) -> dict[str, Any]:
        deciding = files_of(grid.plugins, {name, method})
        needed = files_of(grid.plugins, {name, method, *more, *task.metrics})
        return {"plugins": needed, "plugin_hash": plugin_hash(deciding)}

    cells = []
    if grid.references and corpus.kind == "free":
        for row in ("real", "uniform" if corpus.oracle else "shuffled"):
            spec = CellSpec(**shared, baseline=row, baseline_version=1, config={}, seed=grid.seeds[0], **files(row))
            cells.append(PlannedCell(spec))
    methods = baseline_registry(grid.plugins)
    for baseline in grid.baselines:
        cls = methods[baseline]
        settings = merge(cls.preset(budget, name, corpus.kind), grid.settings.get(baseline, {}))
        settings = merge(settings, grid.settings.get(f"{name}/{baseline}", {}))
        config = validated(cls.Config, settings, baseline)
        wants = cls(config).pretraining(corpus)
        for seed in grid.seeds:
            spec = CellSpec(
                **{**shared, "decodings": _decodings(grid, task, cls)},
                baseline=baseline,
                baseline_version=cls.version,
                config=config.model_dump(mode="json"),
                seed=seed,
                **files(baseline),
            )
            shares = content_hash([dict(wants), name, seed]) if wants is not None else None
            cells.append(PlannedCell(spec, shares))
    return TaskPlan(name, corpus.label, tuple(cells), corpus.warnings, corpus.counts)


def _decodings(grid: Grid, task: Task, method: type[Baseline]) -> tuple[str, ...]:
    """As asked, else the task's and the method's; () where the method has none of its own and the task's stand.

    Of a method that doesn't decode, the first alone: the others would give the same text again.
    """
    if not method.decodes:
        return (grid.decodings or task.decodings)[:1]
    return grid.decodings or ((*task.decodings, *method.decodings) if method.decodings else ())


def _check_decodings(decodings: Sequence[str]) -> None:
    from baselines.base import Decoding

    for text in decodings:
        try:
            Decoding.parse(text)
        except ValueError as error:
            raise UserError(f"{error}.") from None
