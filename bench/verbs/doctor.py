"""The verb `doctor`: problems first, then the machine, extras, data sets, and how long a grid would take."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import __version__
from bench.config import Grid, Settings
from bench.doctor import datasets, machine, packages
from bench.doctor.datasets import DataSet, Wanted
from bench.doctor.machine import Machine
from bench.doctor.packages import Extra
from bench.doctor.problems import Problem, data_problems, problems
from bench.doctor.wording import data_lines, extra_lines, machine_lines, problem_lines
from bench.plan import check_names, resolve_budget, resolve_data
from bench.store import RunStore
from bench.verbs.run import RUNS, default_workers, grid_of

if TYPE_CHECKING:
    from bench.estimate.grid import Estimate


@dataclass(frozen=True)
class Found:
    """All that the doctor says but the time."""

    machine: Machine
    extras: Sequence[Extra]
    data: str
    sets: Sequence[DataSet]
    lacking: Sequence[Wanted]
    problems: Sequence[Problem]


def doctor_verb(asked: argparse.Namespace) -> int:
    """Says what this machine can run; 1: something keeps the quickstart from running."""
    grid = asked_grid(asked)
    store = RunStore(Path(asked.out) if asked.out else RUNS / grid.name)
    workers = asked.workers or default_workers(asked.device, asked.threads)
    found = examine(asked, store, workers)
    if not asked.json:
        print(f"gantlet {__version__}")
        print("\n".join([*problem_lines(found.problems), *machine_lines(found.machine), *extra_lines(found.extras)]))
        print("\n".join(data_lines(found.data, found.sets, found.lacking)), flush=True)
    stops = any(problem.stops for problem in found.problems)
    estimate = None if stops or asked.quick else time_of(asked, grid, store, workers)
    if asked.json:
        print(json.dumps(as_dict(found, grid, estimate), indent=1, ensure_ascii=False))
    else:
        print("\n".join(time_lines(grid, estimate, stops)))
        if found.sets and asked.grid is None and asked.tasks is None:
            print(f"  on the data above: run_bench.py doctor real --data {found.data}")
    return 1 if stops else 0


def asked_grid(asked: argparse.Namespace) -> Grid:
    """The grid whose time is asked for: the one named, else the quickstart, whose data are embedded."""
    if asked.grid is None and asked.tasks is None:
        return grid_of(argparse.Namespace(**{**vars(asked), "data": None}))
    return grid_of(asked)


def examine(asked: argparse.Namespace, store: RunStore, workers: int) -> Found:
    """Looks at the machine, at what is installed, and at the data that are named."""
    here = machine.look(store.path)
    data = resolve_data(Grid(data=asked.data))
    named = not data.startswith(("embedded", "hub"))
    sets = _sets(data, asked.quick) if named and Path(data).exists() else []
    folder = named and Path(data).is_dir() and not isinstance(sets, str)
    told: list[DataSet] = [] if isinstance(sets, str) else list(sets)
    needed = packages.needed()
    wrong = [
        *problems(here, needed, asked.device, workers, asked.threads),
        *data_problems(told, data, from_variable=asked.data is None),
        *([Problem(sets, "name a folder of sets (docs/data.md)")] if isinstance(sets, str) else []),
    ]
    lacking = datasets.lacking(told, datasets.wanted_sets()) if folder and not _own_text(told) else []
    extras = packages.extras()
    return Found(here, extras, data, told, lacking, sorted(wrong, key=lambda one: not one.stops))


def _sets(data: str, quick: bool) -> list[DataSet] | str:
    """The sets, or why there are none."""
    from tasks.base import DataError

    try:
        return datasets.look(data, quick, _tell)
    except (DataError, OSError) as error:
        return str(error)


def _own_text(sets: Sequence[DataSet]) -> bool:
    return len(sets) == 1 and len(sets[0].tasks) > 1 and not any("(" in task for task in sets[0].tasks)


def time_of(asked: argparse.Namespace, grid: Grid, store: RunStore, workers: int) -> Estimate:
    """Plans the grid, as `run` does, and finds out how long what is left of it takes."""
    from bench.engines.local import plan, warm_up
    from bench.estimate.dry_run import grid_estimate

    check_names(grid)
    warm_up(asked.threads)
    _tell(f"planning {grid.name}: its data are loaded and checked")
    cells = [cell for task in plan(grid, grid.tasks, workers) for cell in task.cells]
    todo = [cell for cell in cells if not store.cell(cell.spec).is_done(cell.spec)]
    settings = Settings(asked.device, asked.threads, asked.deterministic)
    return grid_estimate(store, todo, settings, workers, asked.probe)


def time_lines(grid: Grid, estimate: Estimate | None, stops: bool) -> list[str]:
    """The grid, its kinds of cell with their times, and the total."""
    from bench.estimate.wording import kind_lines, summary

    if estimate is None:
        why = "not estimated: the problems above come first" if stops else "not estimated (--quick)"
        return [f"time       grid {grid.name}: {why}"]
    head = f"time       grid {grid.name}: budget {resolve_budget(grid)}, data {resolve_data(grid)}"
    lines = [head, *(f"  {line}" for line in kind_lines(estimate))]
    return [*lines, *(f"  {line}" for line in summary(estimate))]


def as_dict(found: Found, grid: Grid, estimate: Estimate | None) -> dict[str, Any]:
    """For `--json`."""
    return {
        "version": __version__,
        "problems": [asdict(problem) for problem in found.problems],
        "machine": asdict(found.machine),
        "extras": [
            {"name": one.name, "gives": one.gives, "there": one.there, "lacking": one.lacking, "remedy": one.remedy}
            for one in found.extras
        ],
        "data": {
            "source": found.data,
            "sets": [asdict(one) for one in found.sets],
            "lacking": [asdict(one) for one in found.lacking],
        },
        "grid": grid.name,
        "time": estimate.as_dict() if estimate is not None else None,
    }


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
