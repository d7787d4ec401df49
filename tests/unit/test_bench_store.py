"""Atomic files, locks, and what counts as done."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.store import CellStore, RunStore, difference, read_json, write_atomically, write_json, write_text
from tests.unit.test_bench_config import SPEC


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old")

    def broken(part: Path) -> None:
        part.write_text("half")
        raise RuntimeError("power went")

    with pytest.raises(RuntimeError):
        write_atomically(file, broken)
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_nan_never_gets_into_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_broken_json_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"half":')
    with pytest.raises(UserError, match="Delete it"):
        read_json(tmp_path / "a.json")
    assert read_json(tmp_path / "none.json") is None


def _hold(path: str, ready, release) -> None:  # type: ignore[no-untyped-def]
    with CellStore(Path(path)).locked() as mine:
        assert mine
        ready.set()
        release.wait(30)


def test_a_cell_belongs_to_one_process_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    mp = multiprocessing.get_context("spawn")
    ready, release = mp.Event(), mp.Event()
    holder = mp.Process(target=_hold, args=(str(tmp_path / "cell"), ready, release))
    holder.start()
    assert ready.wait(30)
    cell = CellStore(tmp_path / "cell")
    with cell.locked() as mine:
        assert not mine
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with cell.locked() as mine:
        assert mine


def test_done_means_scored_with_the_samples_asked_for(tmp_path: Path) -> None:
    cell = RunStore(tmp_path).cell(SPEC)
    assert not cell.is_done(SPEC)
    cell.fail("failed", "fell")
    assert not cell.is_done(SPEC)
    write_json(cell.file("result.json"), {"scoring_key": SPEC.scoring_key})
    assert cell.is_done(SPEC)
    assert not cell.is_done(SPEC.model_copy(update={"samples": 7}))


def test_other_versions_are_found_and_named(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    write_json(store.cell(SPEC).file("cell.json"), {"spec": SPEC.model_dump(mode="json")})
    newer = SPEC.model_copy(update={"config": {"lr": 0.1, "net": {"hidden": 16}}})
    assert store.other_versions(SPEC) == []
    (old,) = store.other_versions(newer)
    assert old.spec is not None
    assert difference(old.spec, newer) == "mle on poetry with config.net.hidden=8, this is 16"
    assert difference(SPEC, SPEC.model_copy(update={"baseline_version": 2})) == "mle v1, this is v2"
    store.remove(old)
    assert store.other_versions(newer) == []
