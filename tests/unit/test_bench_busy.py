"""The share of the time in which a GPU worked: asked in a thread, told with the lines of the log."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.busy import Busy, watched
from bench.context import CellRun
from tests.unit.test_bench_context import records, surroundings


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.005)


def watchers() -> int:
    return sum(thread.name == "gpu-busy" for thread in threading.enumerate())


def test_the_mean_of_what_was_heard_since_it_was_last_taken() -> None:
    answers, asked = iter([0.25, 0.75, 1.0]), threading.Event()

    def ask() -> float:
        try:
            return next(answers)
        except StopIteration:
            asked.set()
            raise

    busy = Busy(ask, every=0.001)
    assert asked.wait(20)
    assert busy.take() == pytest.approx(2 / 3)
    assert busy.take() is None
    until(lambda: watchers() == 0)  # it got no answer, and asks no more


def test_it_ends_when_it_is_closed() -> None:
    busy = Busy(lambda: 1.0, every=0.001)
    until(lambda: busy.take() == 1.0)
    busy.close()
    until(lambda: watchers() == 0)


def test_a_cpu_is_not_watched_and_a_gpu_that_does_not_tell_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(device: object) -> int:
        raise ModuleNotFoundError("No module named 'pynvml'")

    assert watched(torch.device("cpu")) is None
    monkeypatch.setattr(torch.cuda, "utilization", missing)
    assert watched(torch.device("cuda")) is None
    assert watchers() == 0


def test_a_gpu_that_tells_is_asked_in_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("bench.busy.EVERY", 0.001)
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: asked.append(device) or 37)
    busy = watched(torch.device("cuda:1"))
    assert busy is not None
    until(lambda: len(asked) > 2)
    assert busy.take() == pytest.approx(0.37)
    assert set(asked) == {torch.device("cuda:1")}
    busy.close()


class Told:
    """Says what it is given, once a taking."""

    def __init__(self, shares: list[float | None]) -> None:
        self.shares, self.closed = shares, False

    def take(self) -> float | None:
        return self.shares.pop(0)

    def close(self) -> None:
        self.closed = True


def test_lines_of_the_log_tell_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told([0.98765, None, 0.0])
    monkeypatch.setattr("bench.context.watched", lambda device: told)
    run = CellRun(tmp_path / "cell", surroundings(tmp_path))
    for step in (1, 2, 3):
        run.log("train", step, loss=1.0)
    run.finish()
    assert [record.get("gpu_busy", "not told") for record in records(tmp_path)] == [0.988, "not told", 0.0]
    assert told.closed


def test_what_was_heard_in_a_shared_pretraining_is_told_there_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer, inner = Told([0.5, 0.9]), Told([0.4])
    watching = iter([outer, inner])
    monkeypatch.setattr("bench.context.watched", lambda device: next(watching))

    def train(own: CellRun) -> dict[str, torch.Tensor]:
        own.log("pretrain", 1, nll=1.0)
        return {}

    run = CellRun(tmp_path / "cell", surroundings(tmp_path))
    run.pretrained({}, train)
    run.log("train", 1, loss=1.0)
    run.close()
    assert [record["gpu_busy"] for record in records(tmp_path)] == [0.9]
    (folder,) = (tmp_path / "pretrained").iterdir()
    assert json.loads((folder / "log.jsonl").read_text())["gpu_busy"] == 0.4
    assert inner.closed
    assert outer.closed


def test_without_a_gpu_no_line_has_it(tmp_path: Path) -> None:
    run = CellRun(tmp_path / "cell", surroundings(tmp_path))
    run.log("train", 1, loss=1.0)
    run.close()
    assert "gpu_busy" not in records(tmp_path)[0]
