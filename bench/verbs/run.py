"""The verb `run`: plans a grid, runs what is not done, writes and prints the tables, in the order a person sees it."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import __version__
from bench.config import Grid, Settings, fields_of, make_grid, parse_settings, read_grid
from bench.errors import LISTS, NoSuchGrid, UserError
from bench.plan import PlannedCell, TaskPlan, check_names, resolve_budget, resolve_data
from bench.plugins import load_things
from bench.registry import task_registry
from bench.store import RunStore, difference, read_json, write_json

RUNS = Path("results/runs")
FLAGS = (
    "tasks", "baselines", "seeds", "budget", "data", "plugins", "samples", "decodings", "temperatures", "limit",
    "allow_overlap", "metrics",
)  # fmt: skip


def run_verb(asked: argparse.Namespace) -> int:
    return run_grid(grid_of(asked), asked)


def run_grid(grid: Grid, asked: argparse.Namespace) -> int:
    """Plans the grid, runs what is not done, writes and prints the tables.

    Args:
        asked: how to run it; what the grid holds is not read from here.
    """
    from bench.engines.local import LocalEngine, plan, warm_up
    from bench.env import choose_device
    from bench.estimate.dry_run import foreseen, show_dry_run
    from bench.estimate.wording import words
    from bench.progress import make_progress

    check_names(grid)
    warm_up(asked.threads)
    if asked.device != "auto":
        choose_device(asked.device)
    workers = asked.workers or default_workers(asked.device, asked.threads)
    store = RunStore(Path(asked.out) if asked.out else RUNS / grid.name)
    plans = plan(grid, grid.tasks, workers)
    cells = [cell for task in plans for cell in task.cells]
    describe_plan(grid, plans, asked, workers)
    check_versions(store, cells, asked.overwrite)
    done = [cell for cell in cells if store.cell(cell.spec).is_done(cell.spec)]
    todo = [cell for cell in cells if cell not in done]
    if done:
        print(f"{len(done)} cells are done already; {len(todo)} to do", flush=True)
    settings = Settings(asked.device, asked.threads, asked.deterministic, asked.checkpoint_every, asked.tensorboard)
    if asked.dry_run:
        show_dry_run(store, cells, todo, settings, workers, asked.probe)
        return 0
    expected = foreseen(store, todo, settings, workers)
    if expected is not None:
        print(f"about {words(expected)}, from what ran or was probed here before", flush=True)
    write_json(store.path / "grid.json", {"version": __version__, "grid": grid.model_dump(mode="json")})
    with make_progress(asked.progress, sys.stderr) as progress:
        engine = LocalEngine(store, settings, workers, progress)
        with stopping(engine):
            began = time.monotonic()
            progress.start(len(todo))
            statuses = Counter(done=len(done))
            for ended in engine.run(todo):
                statuses[ended.status] += 1
                progress.cell_ended(ended.cell.spec.slug, ended.status, ended.seconds, ended.reason)
    print_tables(store, [*(cell.spec.directory for cell in cells), *added_rows(store)])
    return last_words(statuses, len(cells), time.monotonic() - began, expected)


def added_rows(store: RunStore) -> list[str]:
    """Folders of rows that `score --into` put there; no grid has them."""
    return [cell.path.name for cell in store.cells() if read_json(cell.file("cell.json")).get("track") == "external"]


def grid_of(asked: argparse.Namespace) -> Grid:
    """The grid of a `run`: a file or the quickstart, with the flags over it."""
    given = {name: getattr(asked, name) for name in FLAGS}
    given |= {"settings": parse_settings(asked.settings), "fields": fields_of(asked.fields) or None}
    try:
        return grid_with(asked.grid, given, asked.against)
    except NoSuchGrid as mistake:
        if Path(asked.grid).suffix:
            raise
        raise UserError(f"{mistake} {LISTS}") from None


def grid_with(grid: str | None, given: Mapping[str, Any], against: Sequence[str] | None) -> Grid:
    """A grid file, or the quickstart, or the named tasks, with what is `given` over it.

    Without names of baselines and tasks, those of the plug-in files are meant.
    """
    given = dict(given)
    things = [load_things(plugin) for plugin in given["plugins"] or ()]
    own = [name for each in things for name in each.methods]
    if given["baselines"] is None and (own or against):
        given["baselines"] = tuple(dict.fromkeys([*own, *(against or ("mle",))]))
    given["tasks"] = given["tasks"] or tuple(name for each in things for name in each.tasks) or None
    if grid:
        return read_grid(grid, given)
    if given["tasks"] is None and given["data"] is None:
        return read_grid("quickstart", given)
    names = given["tasks"] or tuple(task_registry().names)
    return make_grid({"name": "run", "tasks": names}, given, "the flags")


def default_workers(device: str, threads: int) -> int:
    """On CPU a cell for every `threads` cores; on a GPU one at a time."""
    if device.startswith("cuda") or (device == "auto" and _sees_cuda()):
        return 1
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, available // threads)


def _sees_cuda() -> bool:
    return bool(shutil.which("nvidia-smi")) or Path("/dev/nvidia0").exists()


def describe_plan(grid: Grid, plans: Sequence[TaskPlan], asked: argparse.Namespace, workers: int) -> None:
    """The first lines: what will run, on what, and what is noteworthy about the data."""
    cells = sum(len(plan.cells) for plan in plans)
    print(
        f"gantlet {__version__} | {asked.device}, {workers} at a time, {asked.threads} thread each | "
        f"grid {grid.name}: {len(plans)} tasks, {len(grid.baselines)} methods, {len(grid.seeds)} seeds = {cells} cells"
        f" | budget {resolve_budget(grid)} | data {resolve_data(grid)}"
    )
    for plan in plans:
        for warning in plan.warnings:
            print(f"warning: {plan.task}: {warning}")
    sys.stdout.flush()


def check_versions(store: RunStore, cells: Sequence[PlannedCell], overwrite: Sequence[str] | None) -> None:
    """Refuses to put cells made under other settings beside new ones; with --overwrite, removes them.

    Raises:
        UserError: names what differs.
    """
    for cell in cells:
        for old in store.other_versions(cell.spec):
            spec = old.spec
            if overwrite is not None and ("all" in overwrite or cell.spec.baseline in overwrite):
                store.remove(old)
            elif spec is not None:
                raise UserError(
                    f"{store.path} was made with {difference(spec, cell.spec)}: values would not be comparable. "
                    f"Choose another --out, or --overwrite {cell.spec.baseline} to do those cells again."
                )


@contextmanager
def stopping(engine: Any) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) stops cleanly, the second at once."""

    def once(number: int, _: Any) -> None:
        print("\nstopping: cells save themselves (again Ctrl-C: stop at once)", file=sys.stderr, flush=True)
        engine.stop()
        signal.signal(number, signal.default_int_handler)

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = {number: signal.signal(number, once) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def print_tables(store: RunStore, directories: Sequence[str] | None = None) -> None:
    """Writes results.csv and the leaderboards, and prints the short tables."""
    from bench.report.collect import collect
    from bench.report.samples import write_samples
    from bench.report.tables import terminal, write_tables

    rows = collect(store, directories)
    if not rows:
        print("no cell has ended yet: no tables.")
        return
    write_samples(store, directories)
    paths = write_tables(rows, store.path, heading=store.path.name)
    print(terminal(rows, width=shutil.get_terminal_size((100, 24)).columns))
    print(f"tables   {paths.leaderboard_md}  {paths.leaderboard_csv}")
    print(f"values   {paths.results}")
    print(f"samples  {store.path / 'samples'}/*.txt to read, {store.cells_path}/*/samples.jsonl whole")


def last_words(statuses: Counter[str], total: int, seconds: float, expected: float | None = None) -> int:
    """One line on how it went beside what was expected, and the exit code."""
    counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()) if count)
    from bench.estimate.wording import afterwards

    estimated = f" ({afterwards(expected, seconds)})" if expected is not None else ""
    print(f"{counts} of {total} cells in {seconds:.0f} s{estimated}")
    if statuses["interrupted"] or sum(statuses.values()) < total:
        print("stopped before the end; the same command goes on from here")
        return 130
    return 1 if statuses["failed"] or statuses["diverged"] else 0
