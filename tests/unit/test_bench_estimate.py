"""How long a grid takes: past cells, kept probes, what is left, and how cells fall together."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.config import CellSpec, Settings, content_hash
from bench.estimate import cache
from bench.estimate.grid import estimate, known_before, remaining, to_probe
from bench.estimate.history import here, likeness, pretraining_key, read_history, slept
from bench.estimate.pool import job_lists
from bench.estimate.profile import NOTHING, Profile, Shared
from bench.estimate.schedule import Piece, makespan, placed, scaled
from bench.estimate.wording import afterwards, kind_lines, summary, words
from bench.plan import PlannedCell
from bench.store import RunStore, write_json
from tests.fresh import fresh_seed

SETTINGS = Settings(device="cpu")
PRETRAINING = {"method": "mle", "epochs": 3}


def test_cells_fall_together_as_the_engine_starts_them() -> None:
    shared = {"p0": 10.0}
    cells = [
        Piece("mle", 2.0, shared, "p0"),
        Piece("seqgan", 5.0, shared, "p0"),
        Piece("other", 4.0, {}),
        Piece("ngram", 1.0, {}),
    ]
    found = {one.name: (one.begins, one.ends) for one in placed(cells, 2)}
    # seqgan may not start while mle makes what both start from, so the next two do; then it finds it made
    assert found == {"mle": (0.0, 12.0), "other": (0.0, 4.0), "ngram": (4.0, 5.0), "seqgan": (12.0, 17.0)}
    assert makespan(cells, 1) == 22.0  # 10 once, and 2 + 5 + 4 + 1
    assert makespan([], 2) == 0.0
    assert makespan(scaled(cells, lambda _: 2.0), 2) == 34.0


def test_who_needs_what_another_cell_makes_waits_for_it() -> None:
    # no `waits`: both start, and the second waits inside for the first's work
    found = placed([Piece("a", 1.0, {"p": 10.0}), Piece("b", 3.0, {"p": 10.0})], 2)
    assert [(one.ends, one.waited) for one in found] == [(11.0, 0.0), (13.0, 10.0)]


def test_no_schedule_is_shorter_than_its_work_or_longer_than_all_of_it() -> None:
    draw = random.Random(fresh_seed())
    for _ in range(50):
        cells = []
        for number in range(draw.randint(1, 12)):
            shares = draw.choice([None, "x", "y"])
            cells.append(Piece(str(number), draw.uniform(0, 9), {shares: 5.0} if shares else {}, shares))
        workers = draw.randint(1, 4)
        work = sum(cell.alone for cell in cells) + 5.0 * len({cell.waits for cell in cells} - {None})
        longest = max(cell.alone for cell in cells)
        assert max(longest, work / workers) - 1e-6 <= makespan(cells, workers) <= work + 1e-6
        assert makespan(cells, 1) == pytest.approx(work)
        assert sorted(one.name for one in placed(cells, workers)) == sorted(cell.name for cell in cells)


def cell(baseline: str = "mle", seed: int = 0, task: str = "poetry", **about: Any) -> PlannedCell:
    fields: dict[str, Any] = {
        "task": task,
        "task_version": 1,
        "task_options": {},
        "fingerprint": f"data of {task}",
        "baseline": baseline,
        "baseline_version": 1,
        "config": {"epochs": 3},
        "seed": seed,
        "budget": "smoke",
        "data": "embedded",
        **about,
    }
    return PlannedCell(CellSpec(**fields), content_hash([PRETRAINING, task, seed]) if baseline != "ngram" else None)


def ran(run: Path, planned: PlannedCell, train: float = 30.0, pretraining: float = 0.0, **environment: str) -> Path:
    """Files of a finished cell, as `bench.cell` leaves them, and of its pre-training."""
    spec = planned.spec
    folder = run / "cells" / spec.directory
    write_json(folder / "cell.json", {"spec": spec.model_dump(mode="json")})
    write_json(folder / "model.json", {"device": "cpu"})
    timings = {"train_seconds": train, "generate_seconds": 4.0, "score_seconds": 2.0}
    write_json(folder / "result.json", {"environment": here(SETTINGS) | environment, "timings": timings})
    if pretraining:
        key = pretraining_key(PRETRAINING, spec.fingerprint, spec.seed)
        write_json(RunStore(run).pretrained(key) / "done.json", {"spec": PRETRAINING, "seconds": pretraining})
    return folder


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANTLET_CACHE", str(tmp_path / "cache"))


def test_cells_that_ran_before_tell_of_other_seeds_and_what_they_share(tmp_path: Path) -> None:
    ran(tmp_path / "old", cell("seqgan", 0), train=30.0, pretraining=10.0)
    ran(tmp_path / "old", cell("seqgan", 1), train=40.0, pretraining=10.0)
    history = read_history([tmp_path / "old"], SETTINGS)
    found = history.profile(cell("seqgan", 7))
    assert found is not None
    assert (found.basis, found.count) == ("measured", 2)
    assert [one.seconds for one in found.shared] == [10.0]
    assert (found.fit, found.generate, found.score) == (25.0, 4.0, 2.0)
    assert found.whole == 41.0


def test_the_sleep_of_a_machine_is_no_part_of_a_training(tmp_path: Path) -> None:
    """As records have it of a machine that was stopped in the middle."""
    times = [10.0, 20.0, 30.0, 940.0, 950.0, 960.0]
    records = [{"stage": "train", "step": 10 * place, "seconds": at} for place, at in enumerate(times, 1)]
    log = "".join(json.dumps(record) + "\n" for record in records)
    folder = ran(tmp_path / "old", cell("gpt", 0), train=960.0)
    (folder / "log.jsonl").write_text(log)
    found = read_history([tmp_path / "old"], SETTINGS).profile(cell("gpt", 0))
    assert found is not None
    assert found.fit == pytest.approx(60.0)
    (folder / "log.jsonl").write_text(log.replace("940.0", "70.0").replace("950", "80").replace("960", "90"))
    assert slept(folder / "log.jsonl") == 0.0  # 40 s for ten steps may be a look at valid
    (folder / "log.jsonl").write_text("{torn")
    assert slept(folder / "log.jsonl") == 0.0

    planned = cell("seqgan", 0)  # in the pre-training: its user counted the sleep too
    ran(tmp_path / "older", planned, train=965.0, pretraining=960.0)
    key = pretraining_key(PRETRAINING, planned.spec.fingerprint, 0)
    (RunStore(tmp_path / "older").pretrained(key) / "log.jsonl").write_text(log)
    found = read_history([tmp_path / "older"], SETTINGS).profile(planned)
    assert found is not None
    assert (found.fit, found.shared[0].seconds) == (5.0, pytest.approx(60.0))


def test_cells_that_ran_otherwise_tell_nothing(tmp_path: Path) -> None:
    ran(tmp_path / "old", cell("seqgan", 0), platform="another machine")
    ran(tmp_path / "old", cell("mle", 0), threads="8")
    folder = ran(tmp_path / "old", cell("gpt", 0))
    (folder / "result.json").write_text("{torn", encoding="utf-8")
    ran(tmp_path / "old", cell("textgan", 0, config={"epochs": 4}))
    ran(tmp_path / "old", cell("relgan", 0, samples=77))
    ran(tmp_path / "old", cell("nnlm", 0, fingerprint="other data"))
    history = read_history([tmp_path / "old"], SETTINGS)
    for name in ("seqgan", "mle", "gpt", "textgan", "relgan", "nnlm"):
        assert history.profile(cell(name, 0)) is None, name
    ran(tmp_path / "old", cell("mle", 0))
    assert read_history([tmp_path / "old"], SETTINGS).profile(cell("mle", 0)) is not None


def test_what_ran_is_believed_before_what_was_probed(tmp_path: Path) -> None:
    cells = [cell("mle", 0), cell("mle", 1), cell("seqgan", 0), cell("gpt", 0)]
    for planned in cells[1:3]:
        cache.store(planned.spec, Profile("probed", fit=99.0), SETTINGS, 2)
    ran(tmp_path / "runs" / "other", cell("mle", 5), train=30.0)
    known = known_before(RunStore(tmp_path / "runs" / "mine"), cells, SETTINGS, 2)
    assert {key: (one.basis, one.fit) for key, one in known.items()} == {
        likeness(cells[0].spec): ("measured", 30.0),
        likeness(cells[2].spec): ("probed", 99.0),
    }
    assert [spec.slug for spec in to_probe(cells, known)] == ["poetry.gpt.s0"]
    assert [spec.slug for spec in to_probe(cells, {})] == ["poetry.mle.s0", "poetry.seqgan.s0", "poetry.gpt.s0"]


def test_a_kept_probe_is_for_its_machine_and_not_for_ever() -> None:
    spec = cell().spec
    kept = Profile("probed", 1.5, (Shared(PRETRAINING, 7.0),), 2.0, 3.0, 4.0, busy=0.5)
    cache.store(spec, kept, SETTINGS, 2)
    assert cache.stored(spec, SETTINGS, 2) == kept
    assert cache.stored(cell(seed=9).spec, SETTINGS, 2) == kept
    assert cache.stored(spec, SETTINGS, 4) is None
    assert cache.stored(spec, Settings(device="cpu", threads=2), 2) is None
    made = json.loads(cache.place(spec, SETTINGS, 2).read_text())["made"]
    assert cache.stored(spec, SETTINGS, 2, made + cache.KEPT_DISTURBED + 1) is None  # other programs were at work
    cache.store(spec, replace(kept, busy=0.9), SETTINGS, 2)
    assert cache.stored(spec, SETTINGS, 2, made + cache.KEPT_DISTURBED + 1) is not None
    assert cache.stored(spec, SETTINGS, 2, made + cache.KEPT + 60) is None
    for content in ("{torn", "[]", '{"made": 1e99, "profile": {"basis": "probed", "shared": [], "odd": 1}}'):
        cache.place(spec, SETTINGS, 2).write_text(content)
        assert cache.stored(spec, SETTINGS, 2) is None


def test_only_what_is_left_counts(tmp_path: Path) -> None:
    store, planned = RunStore(tmp_path), cell("seqgan", 0)
    whole = Profile("probed", 1.0, (Shared(PRETRAINING, 10.0),), fit=20.0, generate=3.0, score=4.0)
    assert remaining(store, planned.spec, whole) == whole
    key = pretraining_key(PRETRAINING, planned.spec.fingerprint, 0)
    write_json(store.pretrained(key) / "done.json", {})
    assert remaining(store, planned.spec, whole).shared == ()
    assert remaining(store, cell("seqgan", 1).spec, whole).shared == whole.shared
    folder = store.cell(planned.spec)
    folder.path.mkdir(parents=True)
    folder.file("log.jsonl").write_text('{"stage": "adversarial", "step": 3, "seconds": 25.0}\n{"stage": "adv')
    assert remaining(store, planned.spec, whole).fit == 5.0  # 10 of the 25 were pre-training
    write_json(folder.file("model.json"), {})
    after = remaining(store, planned.spec, whole)
    assert (after.fit, after.generate, after.score) == (0.0, 3.0, 4.0)
    write_json(folder.file("samples.json"), {"drawing_key": planned.spec.drawing_key})
    assert remaining(store, planned.spec, whole).generate == 0.0
    write_json(folder.file("samples.json"), {"drawing_key": "another"})
    assert remaining(store, planned.spec, whole).generate == 3.0


def test_a_grid_counts_what_is_shared_once_for_each_seed(tmp_path: Path) -> None:
    cells = [cell(name, seed) for name in ("mle", "seqgan") for seed in (0, 1)]
    shared = (Shared(PRETRAINING, 10.0),)
    known = {
        likeness(cells[0].spec): Profile("measured", 1.0, shared, 0.0, 1.0, 1.0, count=1),
        likeness(cells[2].spec): Profile("probed", 1.0, shared, 5.0, 1.0, 1.0),
    }
    found = estimate(RunStore(tmp_path), cells, 2, known)
    assert [(one.seconds, one.shared) for one in found.cells] == [(3.0, 10.0), (3.0, 10.0), (8.0, 0.0), (8.0, 0.0)]
    assert found.work == 42.0
    assert found.seconds == 21.0
    assert found.low < found.seconds < found.high < 2 * found.seconds
    assert "about 21 s with 2 at a time" in summary(found)[0]
    assert "2 measured before, 2 by a probe" in summary(found)[0]
    assert kind_lines(found)[1] == "poetry.seqgan  2 x 8.0 s (probed)"
    assert found.as_dict()["complete"] is True


def test_what_is_not_known_is_said_and_never_zero(tmp_path: Path) -> None:
    cells = [cell("mle", 0), cell("gpt", 0), cell("relgan", 0)]
    known = {
        likeness(cells[0].spec): Profile("probed", fit=10.0),
        likeness(cells[2].spec): Profile("probed", fit=50.0, unknown="what follows adversarial was not reached"),
    }
    found = estimate(RunStore(tmp_path), cells, 1, known)
    assert [one.cell.spec.baseline for one in found.unknown] == ["gpt", "relgan"]
    assert math.isinf(found.high)
    told = "\n".join([*kind_lines(found), *summary(found)])
    assert "at least 1 min" in told
    assert f"poetry.gpt     1 x - ({NOTHING.unknown})" in told
    assert "1 x at least 50 s" in told
    stored = found.as_dict()
    assert (stored["complete"], stored["high"], stored["cells"][1]["seconds"]) == (False, None, None)
    json.dumps(stored, allow_nan=False)


def test_a_disturbed_probe_is_said(tmp_path: Path) -> None:
    known = {likeness(cell().spec): Profile("probed", fit=10.0, busy=0.4)}
    _, noted = summary(estimate(RunStore(tmp_path), [cell()], 1, known))
    assert "40 % of a processor" in noted
    assert summary(estimate(RunStore(tmp_path), [], 1, known)) == ["nothing is left to do"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3599.7, "1 h"),
     (3600, "1 h"), (3631, "1 h 1 min"), (7190, "2 h"), (12_000, "3 h 20 min"), (90_000, "1 d 1 h"),
     (math.inf, "-"), (math.nan, "-")],
)  # fmt: skip
def test_seconds_in_words(seconds: float, text: str) -> None:
    assert words(seconds) == text


def test_estimate_and_truth_stand_side_by_side() -> None:
    assert afterwards(130.0, 151.0) == "estimated 2 min 10 s, took 2 min 31 s"


def test_probes_of_one_task_share_a_process_unless_workers_would_be_idle() -> None:
    specs = [cell(name, task=task).spec for task in ("poetry", "speech") for name in ("mle", "seqgan", "gpt")]
    assert [[one.slug for one in part] for part in job_lists(specs, 2)] == [
        ["poetry.mle.s0", "poetry.seqgan.s0", "poetry.gpt.s0"],
        ["speech.mle.s0", "speech.seqgan.s0", "speech.gpt.s0"],
    ]
    assert sorted(len(part) for part in job_lists(specs[:3], 2)) == [1, 2]
    assert len(job_lists(specs, 16)) == 6
    assert job_lists([], 2) == []
