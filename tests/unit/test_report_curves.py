"""Learning curves: what the logs say, with the end of the pre-training that the cell really took."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.report.charts import charts_and_gaps
from bench.report.charts.logs import courses, thin
from bench.report.charts.parts import Specs
from bench.store import RunStore
from tests.chart_rows import DATA, NAMES, PRE, add_cell, add_pretraining, add_run, charts_of, hashes, real, spec_of
from tests.fresh import fresh_seed
from tests.score_rows import cell


@pytest.fixture(scope="module")
def specs() -> Specs:
    """Altair takes its time: what it builds is shared by the tests of this file, as by the tasks of a run."""
    return Specs(NAMES)


def test_the_boundary_is_where_the_shared_pre_training_ended_and_its_log_comes_first(tmp_path: Path) -> None:
    add_run(tmp_path)
    found, troubles = courses(RunStore(tmp_path), "poetry", DATA)
    assert not troubles
    by_name = {course.baseline: course for course in found}
    seqgan = by_name["seqgan"]
    assert seqgan.boundary == (20.0, 400)
    assert [point.seconds for point in seqgan.points] == [5, 10, 15, 20, 22, 24, 26, 28, 30]
    assert [point.steps for point in seqgan.points] == [100, 200, 300, 400, 401, 402, 403, 404, 405]
    assert [point.early for point in seqgan.points] == [True] * 4 + [False] * 5
    assert by_name["mle"].boundary is None
    assert [point.figures["valid_nll"] for point in by_name["mle"].points] == [5.0, 4.0, 3.5, 3.25]
    assert [point.stage for point in by_name["tuned_mle"].points] == ["search", "search"]


def test_another_seeds_or_another_settings_pre_training_is_never_taken(tmp_path: Path) -> None:
    add_run(tmp_path, seed=0)
    config = {"net": {"hidden": 8}, "epochs": 3, "batch": 16, "clip": 5.0}
    record = [{"stage": "adversarial", "step": 1, "seconds": 50.0, "reward": 0.5}]
    add_cell(tmp_path, spec_of("odd", 0, {"pretrain": config}), record, 60.0)
    same = {key: value for key, value in PRE.items() if key not in ("method", "version")}
    add_cell(tmp_path, spec_of("seqgan", 1, {"pretrain": same}), record, 60.0)
    found = {(course.baseline, course.seed): course for course in courses(RunStore(tmp_path), "poetry", DATA)[0]}
    for key in (("odd", 0), ("seqgan", 1)):
        assert found[key].boundary is None
        assert len(found[key].points) == 1


def test_a_chain_of_pre_trainings_is_laid_end_to_end(tmp_path: Path) -> None:
    add_pretraining(tmp_path, PRE, 0, 20.0, [5.0, 4.0])
    config = {key: value for key, value in PRE.items() if key not in ("method", "version")}
    second = {"method": "maskmle", "version": 1, "start": PRE, "mask": {"rate": 0.5}, "maskmle": {"steps": 7}}
    add_pretraining(tmp_path, second, 0, 10.0, [4.5, 4.25])
    own = [{"stage": "adversarial", "step": 1, "seconds": 31.0, "valid_nll": 4.0}]
    whole = {"mle": config, "mask": {"rate": 0.5}, "maskmle": {"steps": 7}}
    add_cell(tmp_path, spec_of("maskgan", 0, whole), own, 32.0)
    [course] = courses(RunStore(tmp_path), "poetry", DATA)[0]
    assert [point.seconds for point in course.points] == [10, 20, 25, 30, 31]
    assert course.boundary == (30.0, 400)


def test_the_drawn_curve_is_the_log_with_the_boundary_at_zero(tmp_path: Path, specs: Specs) -> None:
    add_run(tmp_path)
    rows = [*cell("mle", 0, 0.5, 0.5, 3.0), *cell("seqgan", 0, 0.5, 0.5, 3.0), *real()]
    rows = [each.model_copy(update={"config_hash": hashes().get(each.baseline, "0")}) for each in rows]
    made = charts_of(rows, tmp_path, specs)
    records = [r for r in made["curves-valid-nll"].records if r["method"] == "seqgan"]
    assert [r["value"] for r in records] == [5.0, 4.0, 3.5, 3.25, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert [r["aligned"] for r in records] == [-0.75, -0.5, -0.25, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert [r["seconds"] for r in records if r["kind"] == "boundary"] == [20.0]
    assert {r["method"] for r in made["curves-reward"].records} == {"seqgan"}
    assert {name for name in made if name.startswith("curves-valid")} == {
        "curves-valid-nll", "curves-valid-nll-seconds", "curves-valid-nll-steps",
    }  # fmt: skip
    rule = made["curves-valid-nll"].spec
    assert {"edge": 0, "name": "end of pre-training"} in [v for d in rule["datasets"].values() for v in d]


def test_an_unreadable_or_missing_log_is_a_reason_in_words(tmp_path: Path, specs: Specs) -> None:
    rows = cell("mle", 0, 0.5, 0.5, 3.0) + real()
    _, gaps = charts_and_gaps(RunStore(tmp_path), rows, "poetry", specs)
    assert "no log of this task" in next(gap.reason for gap in gaps if gap.group == "curves")
    add_cell(tmp_path, spec_of("mle", 0, {}), [], 1.0)
    log = next(tmp_path.glob("cells/*/log.jsonl"))
    log.write_text("not json\n" * 3, encoding="utf-8")
    _, gaps = charts_and_gaps(RunStore(tmp_path), rows, "poetry", specs)
    assert "log.jsonl" in next(gap.reason for gap in gaps if gap.group == "curves")


def test_thinning_keeps_the_ends_and_every_extreme() -> None:
    random.seed(fresh_seed())
    points = [(float(i), random.gauss(0, 1)) for i in range(random.randint(500, 5000))]
    kept = thin(points, 300)
    assert len(kept) <= 300
    assert kept == sorted(set(kept))
    assert kept[0] == 0
    assert kept[-1] == len(points) - 1
    chosen = [points[place][1] for place in kept]
    assert max(chosen) == max(y for _, y in points)
    assert min(chosen) == min(y for _, y in points)
    inner = len(points) - 2
    for number in range(149):  # of every stretch, not of the whole alone
        stretch = range(1 + number * inner // 149, 1 + (number + 1) * inner // 149)
        here = [points[place][1] for place in kept if place in stretch]
        assert max(here) == max(points[place][1] for place in stretch)
        assert min(here) == min(points[place][1] for place in stretch)
    assert thin(points[:7], 300) == list(range(7))
