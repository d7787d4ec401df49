"""The default engine: a process for every cell on this machine, a few at a time.

Processes come from a fork server that has torch loaded, so that a cell starts at once, and one that is killed takes
nothing else with it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from bench.config import Grid, Settings
from bench.engines.jobs import PRELOAD, cell_job, plan_job
from bench.errors import UserError
from bench.plan import PlannedCell, TaskPlan
from bench.progress import Progress
from bench.store import RunStore

GRACE = 8.0  # seconds a cell has to save itself when the run is stopped
RETRY = 2.0  # seconds until a cell that another run holds is tried again


@dataclass
class Job:
    """A process at work and our end of its pipe."""

    cell: PlannedCell | None
    process: ForkServerProcess
    pipe: Connection
    began: float = field(default_factory=time.monotonic)
    answer: tuple[str, Any] = ("", None)


@dataclass(frozen=True)
class Ended:
    """How a cell ended."""

    cell: PlannedCell
    status: str
    reason: str
    seconds: float


def context() -> ForkServerContext:
    """The fork server, with what every job needs imported before the first."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOAD)
    return found


def warm_up(threads: int) -> None:
    """Starts the fork server, which loads its modules while the parent goes on reading the grid.

    NumPy's linear algebra takes all cores unless told otherwise before it is loaded; torch is told by each cell.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))
    context()
    forkserver.ensure_running()


def plan(grid: Grid, tasks: Sequence[str], slots: int) -> list[TaskPlan]:
    """Plans the tasks, several at a time.

    Raises:
        UserError: the first mistake found in the data or the settings.
    """
    mp, waiting = context(), list(tasks)
    running: list[Job] = []
    plans: dict[str, TaskPlan] = {}
    try:
        while waiting or running:
            while waiting and len(running) < slots:
                running.append(_start(mp, None, plan_job, grid, waiting.pop(0)))
            for job in _ended(running):
                kind, content = job.answer
                if kind != "plan":
                    raise (
                        UserError(content)
                        if kind == "mistake"
                        else RuntimeError(content or death(job.process.exitcode))
                    )
                plans[content.task] = content
    finally:
        for job in running:
            job.process.kill()
    return [plans[name] for name in tasks]


class LocalEngine:
    """Runs cells `slots` at a time; cells that share a pre-training wait for the first of them."""

    def __init__(self, store: RunStore, settings: Settings, slots: int, progress: Progress) -> None:
        self._store, self._settings, self._slots, self._progress = store, settings, slots, progress
        self._stopping = False
        self._asked: float | None = None

    def run(self, cells: Sequence[PlannedCell]) -> Iterator[Ended]:
        """Yields cells as they end. After `stop()` nothing is started and what runs is asked to save itself."""
        mp, waiting = context(), list(cells)
        running: list[Job] = []
        delayed: dict[int, float] = {}
        ready: set[str] = set()
        try:
            while (waiting and not self._stopping) or running:
                now = time.monotonic()
                while not self._stopping and len(running) < self._slots:
                    cell = _next(waiting, running, ready, delayed, now)
                    if cell is None:
                        break
                    self._progress.cell_started(cell.spec.slug)
                    running.append(_start(mp, cell, cell_job, cell.spec, self._store.path, self._settings))
                if self._stopping:
                    self._ask(running)
                if not running:
                    time.sleep(0.1)
                for job in _ended(running, self._update):
                    ended = self._outcome(job)
                    if ended.status == "busy" and not self._stopping:
                        waiting.append(ended.cell)
                        delayed[id(ended.cell)] = time.monotonic() + RETRY
                        continue
                    if ended.cell.shares:
                        ready.add(ended.cell.shares)
                    yield ended
        finally:
            for job in running:
                job.process.kill()

    def stop(self) -> None:
        """Nothing more is started; what runs saves itself at its next safe point, or is killed after a grace."""
        self._stopping = True

    def _ask(self, running: Sequence[Job]) -> None:
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
            for job in running:
                with contextlib.suppress(OSError):
                    job.pipe.send("stop")
        elif now - self._asked > GRACE:
            for job in running:
                job.process.kill()

    def _update(self, job: Job, content: dict[str, Any]) -> None:
        if job.cell is not None:
            self._progress.cell_update(
                job.cell.spec.slug, content["stage"], content["done"], content["total"], content["figures"]
            )

    def _outcome(self, job: Job) -> Ended:
        assert job.cell is not None
        kind, content = job.answer
        if kind == "end":
            status, reason = content["status"], content["reason"]
        elif kind in ("mistake", "crash"):
            status, reason = "failed", content.strip().splitlines()[-1]
        elif self._stopping:
            status, reason = "interrupted", "stopped before its next safe point; the same command goes on from here"
        else:
            status, reason = "failed", death(job.process.exitcode)
        if status == "failed" and kind != "end":
            self._store.cell(job.cell.spec).fail("failed", reason, content or "")
        return Ended(job.cell, status, reason, time.monotonic() - job.began)


def death(code: int | None) -> str:
    """How a process that said nothing ended, in words."""
    if code is not None and code < 0:
        hint = " (out of memory?)" if code == -9 else ""
        return f"its process was killed by signal {-code}{hint}"
    return f"its process ended with exit code {code} and said nothing"


def _start(mp: ForkServerContext, cell: PlannedCell | None, work: Callable[..., None], *arguments: Any) -> Job:
    ours, theirs = mp.Pipe()
    process = mp.Process(target=work, args=(theirs, *arguments), daemon=False)
    process.start()
    theirs.close()
    return Job(cell, process, ours)


def _next(
    waiting: list[PlannedCell], running: Sequence[Job], ready: set[str], delayed: dict[int, float], now: float
) -> PlannedCell | None:
    """The first cell that needn't wait: for a pre-training that a running cell does, or for its turn to be retried."""
    busy = {job.cell.shares for job in running if job.cell} - ready - {None}
    for place, cell in enumerate(waiting):
        if cell.shares not in busy and delayed.get(id(cell), 0.0) <= now:
            return waiting.pop(place)
    return None


def _ended(running: list[Job], update: Callable[[Job, dict[str, Any]], None] | None = None) -> list[Job]:
    """Waits a moment for news, passes updates on, and takes the jobs that ended off the list."""
    wait([job.pipe for job in running], timeout=0.2) if running else None
    ended = []
    for job in list(running):
        over = _read(job, update)
        if over:
            job.process.join()
            job.pipe.close()
            running.remove(job)
            ended.append(job)
    return ended


def _read(job: Job, update: Callable[[Job, dict[str, Any]], None] | None) -> bool:
    """Reads all that a job has sent; True when it has nothing more to say."""
    try:
        while job.pipe.poll():
            kind, content = job.pipe.recv()
            if kind == "update":
                if update is not None:
                    update(job, content)
            else:
                job.answer = (kind, content)
    except (EOFError, OSError):
        return True
    return False
