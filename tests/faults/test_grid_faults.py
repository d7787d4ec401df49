"""What happens to a grid when things go wrong: failing cells, kill -9, Ctrl-C, two runs on one directory."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from bench.cli import main

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "plugins" / "walker.py"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def words(out: Path, *more: str) -> list[str]:
    base = ["run", "--tasks", "poetry", "--baselines", "walker", "--plugin", str(PLUGIN), "--data", "embedded"]
    base += ["--limit", "60", "--temperatures", "1", "--out", str(out), "--progress", "plain"]
    return [*base, *more]


def start(out: Path, *more: str) -> subprocess.Popen[str]:
    """The command as a process of its own, to be killed or stopped."""
    command = [sys.executable, "run_bench.py", *words(out, *more)]
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, text=True, start_new_session=True, **both)  # type: ignore[call-overload]


def finish(out: Path, *more: str) -> tuple[int, str]:
    """The command within this process, which spares the imports; its cells have processes of their own."""
    said = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(words(out, *more))
    return code, said.getvalue()


def cells(out: Path, name: str = "walker") -> list[Path]:
    return sorted((out / "cells").glob(f"poetry.{name}.*"))


def weights(out: Path) -> dict[str, object]:
    return {path.name: load_file(path / "weights.final.safetensors")["logits"].tolist() for path in cells(out)}


def test_one_failing_cell_does_not_stop_the_grid(tmp_path: Path) -> None:
    code, text = finish(tmp_path, "--seeds", "2", "--set", "walker.fail_at=2")
    assert code == 1
    assert "the walker fell" in text
    assert "Traceback" not in text
    table = (tmp_path / "leaderboard.md").read_text()
    assert "failed" in table
    assert "the walker fell" in table
    assert (cells(tmp_path, "real")[0] / "result.json").exists()
    for cell in cells(tmp_path):
        assert json.loads((cell / "error.json").read_text())["status"] == "failed"
        assert not (cell / "result.json").exists()


def test_divergence_is_counted_not_dropped(tmp_path: Path) -> None:
    code, text = finish(tmp_path, "--seeds", "1", "--set", "walker.nan_at=2")
    assert code == 1
    assert "norm is nan" in text
    assert "diverged" in (tmp_path / "leaderboard.md").read_text()


def test_an_unsuitable_method_is_a_row_with_its_reason_and_no_failure(tmp_path: Path) -> None:
    code, _ = finish(tmp_path, "--seeds", "1", "--set", "walker.unfit=true")
    assert code == 0
    assert "asked to be unfit" in (tmp_path / "leaderboard.md").read_text()


def test_a_cell_killed_from_outside_says_so_and_a_second_run_tries_it_again(tmp_path: Path) -> None:
    code, text = finish(tmp_path, "--seeds", "1", "--set", "walker.kill_at=2")
    assert code == 1
    assert "killed by signal 9" in text
    code, text = finish(tmp_path, "--seeds", "1", "--set", "walker.kill_at=2")
    assert code == 1
    assert "2 cells are done already; 1 to do" in text


def test_kill_dash_nine_at_random_moments_then_resume_is_bit_identical(tmp_path: Path) -> None:
    slow = ("--seeds", "2", "--set", "walker.steps=40", "--set", "walker.pause=0.05", "--checkpoint-every", "0",
            "--set", "walker.shared_steps=20")  # fmt: skip
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert finish(whole, *slow)[0] == 0
    rng = random.Random(0)
    for _ in range(3):
        run = start(broken, *slow)
        time.sleep(rng.uniform(3.0, 7.0))
        os.killpg(run.pid, signal.SIGKILL)  # parent, fork server and cells at once
        run.wait()
    code, text = finish(broken, *slow)
    assert code == 0, text
    assert weights(broken) == weights(whole)
    assert len(weights(whole)) == 2
    for a, b in zip(cells(whole), cells(broken), strict=True):
        assert (a / "samples.jsonl").read_bytes() == (b / "samples.jsonl").read_bytes()


def test_only_the_parent_killed_cells_save_themselves_and_a_new_run_goes_on(tmp_path: Path) -> None:
    slow = ("--seeds", "1", "--set", "walker.steps=80", "--set", "walker.pause=0.1", "--checkpoint-every", "1000")
    run = start(tmp_path, *slow)
    _wait_for(tmp_path, lambda cell: len((cell / "log.jsonl").read_text().splitlines()) > 5)
    run.kill()
    run.wait()
    code, text = finish(tmp_path, *slow)
    assert code == 0, text
    steps = [json.loads(line)["step"] for line in (cells(tmp_path)[0] / "log.jsonl").read_text().splitlines()]
    assert steps == list(range(80))


def test_ctrl_c_stops_within_seconds_and_the_same_command_goes_on(tmp_path: Path) -> None:
    slow = ("--seeds", "1", "--set", "walker.steps=60", "--set", "walker.pause=0.1", "--checkpoint-every", "1000")
    run = start(tmp_path, *slow)
    _wait_for(tmp_path, lambda cell: len((cell / "log.jsonl").read_text().splitlines()) > 5)
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    text = run.communicate(timeout=60)[0]
    assert time.monotonic() - began < 20
    assert run.returncode == 130
    assert "the same command goes on from here" in text
    assert "Traceback" not in text
    saved = len((cells(tmp_path)[0] / "log.jsonl").read_text().splitlines())
    code, _ = finish(tmp_path, "--seeds", "1", "--set", "walker.steps=60", "--set", "walker.pause=0.1")
    assert code == 0
    log = [json.loads(line) for line in (cells(tmp_path)[0] / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in log] == list(range(60))
    assert saved >= 6


def test_two_runs_on_one_directory_share_the_work(tmp_path: Path) -> None:
    slow = ("--seeds", "3", "--set", "walker.steps=20", "--set", "walker.pause=0.1", "--workers", "1")
    runs = [start(tmp_path, *slow) for _ in range(2)]
    texts = [run.communicate(timeout=200)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], texts
    assert len(cells(tmp_path)) == 3
    for cell in cells(tmp_path):
        steps = [json.loads(line)["step"] for line in (cell / "log.jsonl").read_text().splitlines()]
        assert steps == list(range(20))
        assert json.loads((cell / "result.json").read_text())["status"] == "done"


def _wait_for(out: Path, ready) -> None:  # type: ignore[no-untyped-def]
    for _ in range(2400):
        found = cells(out)
        if found and (found[0] / "log.jsonl").exists() and ready(found[0]):
            return
        time.sleep(0.05)
    raise AssertionError("the cell never got going")
