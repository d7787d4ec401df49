"""What a person watching sees: live bars on a terminal, plain lines elsewhere.

The grid's time left is a guess from the mean of the finished cells and from how far the running ones say they are.
"""

from __future__ import annotations

import math
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, TYPE_CHECKING, Literal, Protocol, Self

from bench.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

Mode = Literal["auto", "live", "plain", "none"]
Clock = Callable[[], float]
EVERY = 10.0  # seconds between two plain lines of a cell


class Progress(Protocol):
    """Told how a grid goes; every method may be called from any thread."""

    def start(self, total: int) -> None:
        """The grid begins; it has `total` cells."""
        ...

    def cell_started(self, cell: str) -> None: ...

    def cell_update(self, cell: str, stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        """`done` of `total` steps of a stage; `figures` such as {"nll": 5.81}. Nothing happens for an ended cell."""
        ...

    def cell_ended(self, cell: str, status: str, seconds: float, note: str = "") -> None:
        """`status` as in the results (`done`, `failed`, ...), or `skipped` for one that was done before."""
        ...

    def message(self, text: str) -> None: ...

    def close(self) -> None:
        """May be called more than once."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass
class Running:
    """A cell under way. Times are the clock's; `stage_first` is how far a stage was when it was first told of."""

    started: float
    stage: str = ""
    stage_started: float = 0.0
    stage_first: int = 0
    done: int = 0
    total: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)
    told: float = 0.0

    @property
    def fraction(self) -> float:
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else 0.0

    def left(self, now: float) -> float:
        """Seconds to the end of the stage, at its speed since it was first told of; NaN while that isn't known."""
        steps = self.done - self.stage_first
        return (now - self.stage_started) * max(0, self.total - self.done) / steps if steps > 0 else math.nan


class GridState:
    """Counts of a grid, and the guess of its time left."""

    def __init__(self, total: int) -> None:
        self.total, self.ended, self.failed = total, 0, 0
        self.running: dict[str, Running] = {}
        self._durations: list[float] = []

    def end(self, cell: str, status: str, seconds: float) -> None:
        self.running.pop(cell, None)
        self.ended += 1
        self.failed += status in ("failed", "diverged")
        if status == "done" and seconds > 0:  # skipped and failed cells say nothing of how long one takes
            self._durations.append(seconds)

    def left(self, now: float) -> float:
        """Seconds to the end; NaN while nothing is known."""
        waiting = max(0, self.total - self.ended - len(self.running))
        if not waiting and not self.running:
            return 0.0
        mean = self._mean(now)
        work = waiting + sum(1 - cell.fraction for cell in self.running.values())
        return mean * work / max(1, len(self.running))

    def _mean(self, now: float) -> float:
        if self._durations:
            return sum(self._durations) / len(self._durations)
        guesses = [(now - cell.started) / cell.fraction for cell in self.running.values() if cell.fraction > 0]
        return sum(guesses) / len(guesses) if guesses else math.nan


class _Base(ABC):
    """Keeps the counts under one lock; a subclass shows them."""

    def __init__(self, stream: IO[str], clock: Clock) -> None:
        self._stream, self._clock = stream, clock
        self._lock = threading.RLock()
        self._grid = GridState(0)

    def start(self, total: int) -> None:
        with self._lock:
            self._grid = GridState(total)
            self._show_start()

    def cell_started(self, cell: str) -> None:
        """Telling it twice (a cell that waits for another run is tried again) changes nothing."""
        with self._lock:
            if cell in self._grid.running:
                return
            now = self._clock()
            self._grid.running[cell] = Running(now, stage_started=now, told=now)
            self._show_cell_started(cell)

    def cell_update(self, cell: str, stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        with self._lock:
            state = self._grid.running.get(cell)
            if state is None:
                return
            if stage != state.stage:
                state.stage, state.stage_started, state.stage_first = stage, self._clock(), done
            state.done, state.total, state.figures = done, total, dict(figures)
            self._show_update(cell, state)

    def cell_ended(self, cell: str, status: str, seconds: float, note: str = "") -> None:
        with self._lock:
            self._grid.end(cell, status, seconds)
            self._show_cell_ended(cell, status, seconds, note)

    def message(self, text: str) -> None:
        with self._lock:
            self._show_message(text)

    def close(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _counts(self) -> str:
        grid = self._grid
        return f"{grid.ended}/{grid.total} cells, {grid.failed} failed"

    @abstractmethod
    def _show_start(self) -> None: ...
    @abstractmethod
    def _show_cell_started(self, cell: str) -> None: ...
    @abstractmethod
    def _show_update(self, cell: str, state: Running) -> None: ...
    @abstractmethod
    def _show_cell_ended(self, cell: str, status: str, seconds: float, note: str) -> None: ...
    @abstractmethod
    def _show_message(self, text: str) -> None: ...


class SilentProgress(_Base):
    """Shows nothing."""

    def _show_start(self) -> None: ...
    def _show_cell_started(self, cell: str) -> None: ...
    def _show_update(self, cell: str, state: Running) -> None: ...
    def _show_cell_ended(self, cell: str, status: str, seconds: float, note: str) -> None: ...
    def _show_message(self, text: str) -> None: ...


class PlainProgress(_Base):
    """Lines for logs and pipes: at a cell's start and end, and every few seconds between."""

    def _show_start(self) -> None:
        self._write(f"grid: {self._grid.total} cells")

    def _show_cell_started(self, cell: str) -> None:
        self._write(f"{cell}: started")

    def _show_update(self, cell: str, state: Running) -> None:
        now = self._clock()
        if now - state.told < EVERY:
            return
        state.told = now
        figures = f"  {figures_text(state.figures)}" if state.figures else ""
        self._write(f"{cell}: {state.stage} {state.done}/{state.total}{figures}{_left(state.left(now))}")

    def _show_cell_ended(self, cell: str, status: str, seconds: float, note: str) -> None:
        reason = f": {one_line(note)}" if note else ""
        left = _left(self._grid.left(self._clock()))
        self._write(f"{cell}: {status} after {duration(seconds)}{reason}  ({self._counts()}{left})")

    def _show_message(self, text: str) -> None:
        self._write(text)

    def _write(self, text: str) -> None:
        # a reader that went away (`| head`) or a closed stream must not end hours of training
        with suppress(OSError, ValueError):
            self._stream.write(text + "\n")
            self._stream.flush()


class LiveProgress(_Base):
    """Bars: one a running cell and one for the grid. What ends badly stays on the screen above them."""

    def __init__(self, stream: IO[str], clock: Clock = time.monotonic) -> None:
        super().__init__(stream, clock)
        self._bars: RichProgress | None = None
        self._grid_bar: TaskID | None = None
        self._cell_bars: dict[str, TaskID] = {}

    def close(self) -> None:
        with self._lock:
            bars, self._bars = self._bars, None
        # outside the lock: stopping waits for the drawing thread
        if bars is not None:
            bars.stop()

    def _show_start(self) -> None:
        self.close()
        self._cell_bars.clear()
        self._bars = _rich_bars(self._stream)
        self._bars.start()
        self._grid_bar = self._bars.add_task("grid", total=self._grid.total, stage="", figures=self._counts(), left="")

    def _show_cell_started(self, cell: str) -> None:
        if self._bars is None:
            return
        self._cell_bars[cell] = self._bars.add_task(cell, total=None, stage="starting", figures="", left="")
        self._raise_grid()

    def _show_update(self, cell: str, state: Running) -> None:
        if self._bars is None or cell not in self._cell_bars:
            return
        self._bars.update(
            self._cell_bars[cell],
            completed=state.done,
            total=state.total or None,
            stage=f"{state.stage} {state.done}/{state.total}",
            figures=figures_text(state.figures),
            left=_clock_text(state.left(self._clock())),
        )
        self._update_grid()

    def _show_cell_ended(self, cell: str, status: str, seconds: float, note: str) -> None:
        if self._bars is None:
            return
        if cell in self._cell_bars:
            self._bars.remove_task(self._cell_bars.pop(cell))
        if status not in ("done", "skipped"):
            self._show_message(f"{cell}: {status} after {duration(seconds)}{': ' + one_line(note) if note else ''}")
        self._update_grid()

    def _show_message(self, text: str) -> None:
        if self._bars is None:
            print(text, file=self._stream, flush=True)
        else:
            self._bars.console.print(text, markup=False, highlight=False)

    def _raise_grid(self) -> None:
        """The grid's bar is taken out and put in again, so that it stays the last."""
        if self._bars is not None and self._grid_bar is not None:
            self._bars.remove_task(self._grid_bar)
            self._grid_bar = self._bars.add_task("grid", total=self._grid.total, stage="", figures="", left="")
            self._update_grid()

    def _update_grid(self) -> None:
        if self._bars is not None and self._grid_bar is not None:
            left = _clock_text(self._grid.left(self._clock()))
            self._bars.update(self._grid_bar, completed=self._grid.ended, figures=self._counts(), left=left)


def make_progress(mode: Mode, stream: IO[str], clock: Clock = time.monotonic) -> Progress:
    """The view for a mode; `auto` is live on a terminal that can move its cursor, and plain elsewhere."""
    if mode == "auto":
        mode = "live" if _is_terminal(stream) else "plain"
    if mode == "live":
        return LiveProgress(stream, clock)
    if mode == "plain":
        return PlainProgress(stream, clock)
    if mode == "none":
        return SilentProgress(stream, clock)
    raise UserError(f'progress "{mode}" is none of: auto, live, plain, none')


def duration(seconds: float) -> str:
    """`6 s`, `1:40`, `2:03:20`."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def figures_text(figures: Mapping[str, float]) -> str:
    shown = {name: f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}" for name, value in figures.items()}
    return "  ".join(f"{name} {value}" for name, value in shown.items())


def one_line(text: str) -> str:
    return " ".join(text.split())


def _clock_text(seconds: float) -> str:
    if not math.isfinite(seconds):
        return ""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{whole % 60:02} left"


def _left(seconds: float) -> str:
    text = _clock_text(seconds)
    return f", {text}" if text else ""


def _is_terminal(stream: IO[str]) -> bool:
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _rich_bars(stream: IO[str]) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[stage]}", markup=False),
        BarColumn(bar_width=18),
        TextColumn("{task.fields[figures]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False, justify="right"),
        console=Console(file=stream),
        refresh_per_second=4,
    )
