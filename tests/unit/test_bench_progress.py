"""What a person watching sees, with a clock that the test moves."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import threading

import pytest

from bench.errors import UserError
from bench.progress import GridState, LiveProgress, PlainProgress, Running, duration, figures_text, make_progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_plain_lines_of_a_whole_grid():
    stream, clock = io.StringIO(), Clock()
    with make_progress("plain", stream, clock) as progress:
        progress.start(3)
        progress.cell_started("poetry.mle.s0")
        for second in range(1, 26):
            clock.now = float(second)
            progress.cell_update("poetry.mle.s0", "training", second, 50, {"nll": 5.8123})
        progress.cell_ended("poetry.mle.s0", "done", 25.0)
        progress.cell_ended("poetry.seqgan.s0", "failed", 0.5, "RuntimeError:\n  out of memory")
        progress.message("two cells to go")
    assert stream.getvalue().splitlines() == [
        "grid: 3 cells",
        "poetry.mle.s0: started",
        "poetry.mle.s0: training 10/50  nll 5.812, 0:40 left",
        "poetry.mle.s0: training 20/50  nll 5.812, 0:30 left",
        "poetry.mle.s0: done after 25 s  (1/3 cells, 0 failed, 0:50 left)",
        "poetry.seqgan.s0: failed after 0.5 s: RuntimeError: out of memory  (2/3 cells, 1 failed, 0:25 left)",
        "two cells to go",
    ]


def test_a_cell_that_is_started_again_while_it_runs_is_told_once():
    stream = io.StringIO()
    progress = make_progress("plain", stream, Clock())
    progress.start(1)
    for _ in range(3):
        progress.cell_started("a")
    assert stream.getvalue().count("a: started") == 1


def test_each_line_is_flushed():
    flushed = []

    class Counting(io.StringIO):
        def flush(self) -> None:
            flushed.append(self.getvalue())

    progress = make_progress("plain", Counting(), Clock())
    progress.start(1)
    progress.cell_started("a")
    assert flushed == ["grid: 1 cells\n", "grid: 1 cells\na: started\n"]


def test_a_reader_that_went_away_does_not_end_the_run():
    progress = make_progress("plain", Gone(), Clock())
    progress.start(1)
    progress.cell_started("a")
    progress.cell_ended("a", "done", 1.0)
    closed = io.StringIO()
    closed.close()
    make_progress("plain", closed, Clock()).message("nobody hears")


def test_late_news_of_an_ended_cell_does_nothing():
    stream, clock = io.StringIO(), Clock()
    progress = make_progress("plain", stream, clock)
    progress.start(1)
    progress.cell_started("a")
    progress.cell_ended("a", "done", 1.0)
    before = stream.getvalue()
    clock.now = 100.0
    progress.cell_update("a", "training", 1, 2, {})
    assert stream.getvalue() == before


def test_time_left_from_finished_cells_and_running_fractions():
    grid = GridState(6)
    assert math.isnan(grid.left(0.0))
    grid.running["a"] = Running(started=0.0, done=1, total=4)
    assert grid.left(5.0) == pytest.approx((0.75 + 5) * 20.0)
    grid.end("x", "skipped", 0.0)
    grid.end("y", "failed", 0.1)
    grid.end("z", "done", 30.0)
    grid.running["b"] = Running(started=0.0, done=1, total=2)
    assert grid.left(5.0) == pytest.approx((0.75 + 0.5 + 1) * 30.0 / 2)
    assert (grid.ended, grid.failed) == (3, 1)
    for name in ("a", "b", "c"):
        grid.end(name, "done", 30.0)
    assert grid.left(5.0) == 0.0


@pytest.mark.parametrize(("done", "total", "fraction"), [(0, 0, 0.0), (1, 4, 0.25), (9, 4, 1.0), (-1, 4, 0.0)])
def test_fractions_stay_between_nothing_and_all(done, total, fraction):
    assert Running(0.0, done=done, total=total).fraction == fraction


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.9, "9.9 s"),
        (41.2, "41 s"),
        (100.0, "1:40"),
        (3599.6, "1:00:00"),
        (7400, "2:03:20"),
        (math.nan, "-"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_live_bars_show_each_running_cell_and_the_grid(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")
    stream, clock = Terminal(), Clock()
    with make_progress("auto", stream, clock) as progress:
        assert isinstance(progress, LiveProgress)
        progress.start(2)
        progress.cell_started("poetry.[b]seqgan[/b].s0")
        progress.cell_update("poetry.[b]seqgan[/b].s0", "pre-training", 2, 5, {"nll": 5.9})
        clock.now = 4.0
        progress.cell_update("poetry.[b]seqgan[/b].s0", "pre-training", 3, 5, {"nll": 5.81})
        bars = progress._bars
        assert bars is not None
        shown = {task.description: task for task in bars.tasks}
        assert list(shown) == ["poetry.[b]seqgan[/b].s0", "grid"]
        cell = shown["poetry.[b]seqgan[/b].s0"]
        assert (cell.completed, cell.total) == (3, 5)
        assert cell.fields == {"stage": "pre-training 3/5", "figures": "nll 5.81", "left": "0:08 left"}
        bars.refresh()
        progress.cell_ended("poetry.[b]seqgan[/b].s0", "failed", 4.0, "reward is nan")
        assert [task.description for task in bars.tasks] == ["grid"]
        assert bars.tasks[0].fields["figures"] == "1/2 cells, 1 failed"
    progress.close()
    text = stream.getvalue()
    assert "poetry.[b]seqgan[/b].s0" in text
    assert "pre-training 3/5" in text
    assert "failed after 4.0 s: reward is nan" in text


def test_live_messages_before_the_start_and_after_the_end_are_printed():
    stream = Terminal()
    progress = LiveProgress(stream, Clock())
    progress.message("[loading]")
    progress.start(1)
    progress.close()
    progress.cell_started("a")
    progress.cell_update("a", "x", 1, 2, {})
    progress.cell_ended("a", "done", 1.0)
    progress.message("over")
    assert stream.getvalue().startswith("[loading]\n")
    assert stream.getvalue().endswith("over\n")


@pytest.mark.parametrize(("stream", "term"), [(io.StringIO(), "xterm"), (Terminal(), "dumb"), (Terminal(), "")])
def test_auto_is_plain_where_a_cursor_can_not_move(monkeypatch, stream, term):
    monkeypatch.setenv("TERM", term)
    assert isinstance(make_progress("auto", stream), PlainProgress)


def test_silence_is_silent():
    stream = io.StringIO()
    with make_progress("none", stream) as progress:
        progress.start(1)
        progress.cell_started("a")
        progress.cell_update("a", "x", 1, 1, {})
        progress.cell_ended("a", "failed", 1.0, "why")
        progress.message("text")
    assert stream.getvalue() == ""


def test_an_unknown_mode_is_a_users_error():
    with pytest.raises(UserError, match="none of: auto, live, plain, none"):
        make_progress("loud", io.StringIO())


@pytest.mark.parametrize("mode", ["plain", "live"])
def test_many_threads_lose_no_cell(mode):
    stream = io.StringIO()
    progress = make_progress(mode, stream, Clock())
    progress.start(80)

    def work(worker: int) -> None:
        for i in range(10):
            name = f"w{worker}.{i}"
            progress.cell_started(name)
            for step in range(5):
                progress.cell_update(name, "training", step, 5, {"nll": 1.0})
            progress.cell_ended(name, "failed" if i == 0 else "done", 1.0)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert progress._counts() == "80/80 cells, 8 failed"
    assert progress._grid.running == {}
    progress.close()
    if mode == "plain":
        lines = stream.getvalue().splitlines()
        assert len(lines) == 1 + 2 * 80
        assert sum("80/80 cells" in line for line in lines) == 1


def test_large_figures_are_whole_numbers():
    figures = {"nll": 5.812345, "tokens_per_second": 12345.6, "loss": -1234.5, "small": 1.5e-7}
    assert figures_text(figures) == "nll 5.812  tokens_per_second 12,346  loss -1,234  small 1.5e-07"


def test_rich_is_imported_only_for_live_bars():
    code = (
        "import io, sys; from bench.progress import make_progress\n"
        "p = make_progress('plain', io.StringIO()); p.start(1); p.cell_started('a'); p.cell_ended('a', 'done', 1.0)\n"
        "assert not any(name.split('.')[0] == 'rich' for name in sys.modules)\n"
        "make_progress('live', io.StringIO()).start(1); assert 'rich.progress' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
