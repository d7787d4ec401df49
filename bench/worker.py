"""The far end of a job: what runs in a process of its own, one for every cell."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.cell import run_cell
from bench.config import CellSpec, Grid, Settings
from bench.errors import UserError
from bench.plan import plan_task
from bench.store import RunStore
from metrics.base import MetricError
from tasks.base import DataError


class Line:
    """The pipe to the parent: tells how it goes, and hears the wish to stop (or that the parent is gone)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stop = False

    def stop(self) -> bool:
        try:
            while not self._stop and self._connection.poll():
                self._stop = self._connection.recv() == "stop"
        except (EOFError, OSError):
            self._stop = True
        return self._stop

    def emit(self, stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        self.send("update", {"stage": stage, "done": done, "total": total, "figures": dict(figures)})

    def send(self, kind: str, content: Any) -> None:
        try:
            self._connection.send((kind, content))
        except (BrokenPipeError, OSError):
            self._stop = True


def work_plan(connection: Connection, grid: Grid, task: str) -> None:
    """Plans one task; sends ("plan", TaskPlan) or ("mistake", text) or ("crash", text)."""
    _quiet(connection, lambda line: line.send("plan", plan_task(grid, task)))


def work_cell(connection: Connection, spec: CellSpec, directory: Path, settings: Settings) -> None:
    """Runs one cell; sends ("update", ...) as it goes and ("end", outcome) last."""

    def work(line: Line) -> None:
        line.send("end", run_cell(spec, RunStore(directory), settings, line.emit, line.stop))

    _quiet(connection, work)


def _quiet(connection: Connection, work: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which asks over the pipe
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    line = Line(connection)
    try:
        work(line)
    except (UserError, DataError, MetricError) as mistake:
        line.send("mistake", str(mistake))
    except Exception:
        line.send("crash", traceback.format_exc())
    finally:
        connection.close()
