"""Training curves on disk: whole, cut back, torn, and in TensorBoard."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.tracking import JsonlTracker, MultiTracker, TensorBoardTracker, read_log


def record(step: int) -> dict[str, object]:
    return {"stage": "adversarial", "step": step, "seconds": 0.5 * step, "nll": 5.0 - 0.1 * step, "näme": "x\ny"}


def scalars(directory: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory))
    events.Reload()
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_records_are_on_disk_as_soon_as_they_are_logged(tmp_path):
    tracker = JsonlTracker(tmp_path / "new" / "log.jsonl")
    for step in range(3):
        tracker.log(record(step))
        assert read_log(tmp_path / "new" / "log.jsonl") == [record(i) for i in range(step + 1)]
    tracker.close()
    tracker.close()


def test_lines_are_valid_json_and_nan_is_null(tmp_path):
    JsonlTracker(tmp_path / "log.jsonl").log({"stage": "g", "step": 1, "reward": math.nan, "norm": math.inf})

    def refuse(constant):
        raise AssertionError(constant)

    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=refuse) == {"stage": "g", "step": 1, "reward": None, "norm": None}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.data())
def test_a_log_torn_anywhere_keeps_its_whole_records_and_goes_on(tmp_path_factory, n, data):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    tracker = JsonlTracker(path)
    for step in range(n):
        tracker.log(record(step))
    tracker.close()
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    ends = [i for i in range(len(content)) if content[i : i + 1] == b"\n"]
    whole = [record(i) for i, end in enumerate(ends) if end <= cut]
    assert read_log(path) == whole
    again = JsonlTracker(path)
    again.log(record(99))
    assert read_log(path) == [*whole, record(99)]


@given(st.integers(0, 6), st.integers(0, 8))
def test_truncating_keeps_the_first_records_and_goes_on_after_them(tmp_path_factory, n, keep):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    tracker = JsonlTracker(path)
    for step in range(n):
        tracker.log(record(step))
    tracker.truncate_to(keep)
    tracker.log(record(50))
    assert read_log(path) == [*(record(i) for i in range(min(n, keep))), record(50)]


def test_truncating_to_less_than_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="can't keep -1"):
        JsonlTracker(tmp_path / "log.jsonl").truncate_to(-1)


def test_a_spoilt_line_before_the_last_is_named(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(UserError, match=r"log.jsonl line 2 is not a JSON object; delete that line"):
        read_log(path)
    with pytest.raises(UserError, match="can't be read"):
        read_log(tmp_path / "other.jsonl")


def test_tensorboard_has_the_figures_by_stage_and_step(tmp_path):
    tracker = TensorBoardTracker(tmp_path / "tensorboard")
    for step in range(3):
        tracker.log(record(step))
    tracker.close()
    assert scalars(tmp_path / "tensorboard") == {
        "adversarial/nll": [(step, pytest.approx(5.0 - 0.1 * step)) for step in range(3)]
    }


def test_after_going_back_all_trackers_have_one_curve(tmp_path):
    def trackers() -> MultiTracker:
        return MultiTracker([JsonlTracker(tmp_path / "log.jsonl"), TensorBoardTracker(tmp_path / "tensorboard")])

    first = trackers()
    for step in range(5):
        first.log(record(step))
    first.close()
    second = trackers()
    second.truncate_to(2)
    second.log({**record(2), "nll": 9.0})
    second.close()
    wanted = [(0, 5.0), (1, 4.9), (2, 9.0)]
    assert [(each["step"], each["nll"]) for each in read_log(tmp_path / "log.jsonl")] == wanted
    assert scalars(tmp_path / "tensorboard")["adversarial/nll"] == [(s, pytest.approx(v)) for s, v in wanted]


def test_without_tensorboard_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r'pip install "gantlet\[tensorboard\]"'):
        TensorBoardTracker(tmp_path)
