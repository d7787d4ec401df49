"""Charts: what is drawn is what the rows and logs say, and nothing that may not be compared stands together."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import random
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.config import CellSpec, content_hash
from bench.report.charts import charts_and_gaps, palette, write_stills, write_task_pages
from bench.report.charts.logs import courses, thin
from bench.report.charts.model import Chart
from bench.report.charts.page import columns_of, interned
from bench.report.charts.parts import Specs
from bench.report.charts.stills import records_csv
from bench.report.wording import clean
from bench.schema import ScoreRow
from bench.stats import probability_of_improvement
from bench.store import RunStore, write_json
from tests import score_rows
from tests.fresh import fresh_seed
from tests.score_rows import NAN, cell, failure, reference, row

HOSTILE = '<script>alert("x")</script> \u2028 & "quotes" it\'s [a.b] #1'
DATA = "poetry.v1/embedded#3fa91c20"


def swept(baseline: str, seed: int, shift: float, refs: int = 500, **about: Any) -> list[ScoreRow]:
    """BLEU-2 and Self-BLEU-2 of one cell at three temperatures."""
    rows = []
    for temperature, hot in ((0.7, -0.1), (1.0, 0.0), (1.3, 0.1)):
        where = {"baseline": baseline, "seed": seed, "decoding": f"sample@{temperature:g}", **about}
        own = f"hyps:500|refs:{refs}|T:{temperature:g}|v:1"
        rows.append(row(**where, value=0.5 + shift - hot, signature=f"bleu-2|n:2|{own}"))
        self_bleu = {**where, "metric": "self-bleu-2", "primary": False}
        rows.append(
            row(**self_bleu, value=0.4 + shift - 2 * hot, signature=f"self-bleu-2|n:2|hyps:500|T:{temperature:g}|v:1")
        )
    return rows


def real(value: float = 0.5, self_bleu: float = 0.42) -> list[ScoreRow]:
    about = {"baseline": "real", "decoding": "", "train_seconds": NAN, "parameters": 0}
    return [
        row(**about, value=value, signature="bleu-2|n:2|hyps:500|refs:500|v:1"),
        row(**about, metric="self-bleu-2", primary=False, value=self_bleu, signature="self-bleu-2|n:2|hyps:500|v:1"),
    ]


NAMES = ("mle", "seqgan", "tuned_mle", "a", "b", "beamer", "c", "copynet", "maligan", "odd", clean(HOSTILE))


@pytest.fixture(scope="module")
def specs() -> Specs:
    """Altair takes its time: what it builds is shared by the tests of this file, as by the tasks of a run."""
    return Specs(NAMES)


def charts_of(rows: list[ScoreRow], path: Path, specs: Specs, task: str = "poetry") -> dict[str, Chart]:
    made = charts_and_gaps(RunStore(path), rows, task, specs)[0]
    assert len({chart.name for chart in made}) == len(made)
    return {chart.name: chart for chart in made}


def texts(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        return [text for each in tree.values() for text in texts(each)]
    if isinstance(tree, list | tuple):
        return [text for each in tree for text in texts(each)]
    return [tree] if isinstance(tree, str) else []


# the specifications


def test_every_specification_is_what_altair_calls_valid_has_its_data_and_names_no_address(
    tmp_path: Path, specs: Specs
) -> None:
    import altair

    rows = [*score_rows.poetry(), *score_rows.translation()]
    known = hashes()
    rows = [
        each.model_copy(update={"config_hash": known[each.baseline]})
        if each.task == "poetry" and each.baseline in known
        else each
        for each in rows
    ] + [each for each in [*swept("mle", 0, 0.1), *swept("seqgan", 0, 0.1)] if each.decoding != "sample@1"]
    add_run(tmp_path)
    made = [c for task in ("poetry", "translation") for c in charts_of(rows, tmp_path, specs, task).values()]
    groups = {chart.group for chart in made}
    assert {"stages", "cost", "chances", "curves", "frontier", "decodings"} <= groups
    seen = set()
    for chart in made:
        assert chart.caption
        assert chart.spec["description"].startswith(chart.title)
        assert list(chart.records) == chart.spec["datasets"]["values"]
        assert not [text for text in texts(chart.spec) if "://" in text or text.startswith("@")], chart.name
        if chart.group not in seen:  # the others of a group differ in words alone
            altair.LayerChart.from_dict(chart.spec, validate=True)
            seen.add(chart.group)
        json.dumps(chart.spec, allow_nan=False)


def test_the_frontier_holds_each_seed_at_each_temperature_their_means_and_real_text(
    tmp_path: Path, specs: Specs
) -> None:
    random.seed(fresh_seed())
    shifts = {(name, seed): random.uniform(-0.1, 0.1) for name in ("mle", "seqgan") for seed in (0, 1, 2)}
    rows = [each for (name, seed), shift in shifts.items() for each in swept(name, seed, shift)] + real()
    records = charts_of(rows, tmp_path, specs)["frontier-2"].records
    seeds = [record for record in records if record["kind"] == "seed"]
    assert len(seeds) == 2 * 3 * 3
    for record in seeds:
        hot = {0.7: -0.1, 1.0: 0.0, 1.3: 0.1}[record["temperature"]]
        shift = shifts[record["method"], record["seed"]]
        assert (record["x"], record["y"]) == (0.4 + shift - 2 * hot, 0.5 + shift - hot)
    means = {(r["method"], r["temperature"]): r for r in records if r["kind"] == "mean"}
    assert len(means) == 6
    expected = sum(shifts["mle", seed] for seed in (0, 1, 2)) / 3
    assert math.isclose(means["mle", 1.0]["y"], 0.5 + expected)
    assert means["mle", 1.0]["seeds"] == 3
    [star] = [record for record in records if record["kind"] == "reference"]
    assert (star["method"], star["x"], star["y"]) == ("real", 0.42, 0.5)


def test_what_is_measured_otherwise_is_not_drawn_and_named_in_the_caption(tmp_path: Path, specs: Specs) -> None:
    rows = [each for name in ("mle", "seqgan") for each in swept(name, 0, 0.01)] + real()
    rows += swept("odd", 0, 0.02, refs=400)
    made = charts_of(rows, tmp_path, specs)
    for name in ("frontier-2", "cost-bleu-2", "chances-bleu-2"):
        assert "odd" not in {record["method"] for record in made[name].records}, name
        assert "refs 500 / 400" in made[name].caption
        assert "odd" in made[name].caption
    assert "odd" in {record["method"] for record in made["chances-self-bleu-2"].records}


def test_cost_has_the_mean_its_interval_the_time_and_the_parameters(tmp_path: Path, specs: Specs) -> None:
    rows = score_rows.poetry()
    chart = charts_of(rows, tmp_path, specs)["cost-bleu-2"]
    by_method = {record["method"]: record for record in chart.records if record["kind"] == "mean"}
    values = [r.value for r in rows if (r.baseline, r.metric, r.stage) == ("mle", "bleu-2", "final")]
    assert math.isclose(by_method["mle"]["value"], sum(values) / 3)
    assert math.isclose(by_method["mle"]["seconds"], 7.2)
    assert by_method["mle"]["low"] < by_method["mle"]["value"] < by_method["mle"]["high"]
    assert by_method["seqgan"]["parameters"] == 52_000
    assert "maligan (3 failed)" in chart.caption
    assert "seqgan (1 diverged)" in chart.caption
    assert {record["method"] for record in chart.records if record["kind"] == "reference"} == {"real", "shuffled"}


def test_before_and_after_are_the_values_of_one_seed_at_both_stages(tmp_path: Path, specs: Specs) -> None:
    rows = score_rows.poetry()
    chart = charts_of(rows, tmp_path, specs)["stages-bleu-2"]
    drawn = {(r["method"], r["seed"], r["stage"]): r["value"] for r in chart.records if r["kind"] == "stage"}
    wanted = {
        ("seqgan", each.seed, {"pretrain": "pre-trained"}.get(each.stage, each.stage)): each.value
        for each in rows
        if (each.baseline, each.metric) == ("seqgan", "bleu-2") and math.isfinite(each.value)
    }
    assert drawn == wanted
    assert len(drawn) == 4
    assert "one stage, so not here: mle" in chart.caption


# who is likelier to be better


@pytest.mark.parametrize("higher", [True, False, None])
def test_the_matrix_is_that_of_the_statistics_with_diverged_runs_counted(
    tmp_path: Path, specs: Specs, higher: bool | None
) -> None:
    random.seed(fresh_seed())
    values = {name: [round(random.uniform(0, 1), 2) for _ in range(4)] for name in ("a", "b", "c")}
    rows = [
        row(baseline=name, seed=seed, value=value, higher_is_better=higher)
        for name, own in values.items()
        for seed, value in enumerate(own)
    ]
    rows += [failure("b", seed, "diverged", "nan") for seed in (7, 8)] + [failure("c", 9, "failed", "a bug")]
    rows.append(real(0.6)[0].model_copy(update={"signature": rows[0].signature.replace("|T:1", "")}))
    records = charts_of(rows, tmp_path, specs)["chances-bleu-2"].records
    assert len(records) == 6
    near = {name: [abs(value - 0.6) for value in own] for name, own in values.items()} if higher is None else values
    lost = {"a": 0, "b": 2, "c": 0}
    for record in records:
        one, two = record["method"], record["against"]
        known = probability_of_improvement(
            near[one],
            near[two],
            np.random.default_rng(0),
            higher_is_better=bool(higher),
            diverged=(lost[one], lost[two]),
        )
        assert math.isclose(record["probability"], known.probability, abs_tol=1e-12)
        if one < two:
            assert math.isclose(record["low"], known.low, abs_tol=1e-12)
            assert math.isclose(record["high"], known.high, abs_tol=1e-12)
        mirrored = next(r for r in records if (r["method"], r["against"]) == (two, one))
        assert math.isclose(record["probability"] + mirrored["probability"], 1)


def test_without_a_good_end_and_without_real_text_there_is_no_matrix_but_a_reason(tmp_path: Path, specs: Specs) -> None:
    rows = [row(baseline=name, seed=seed, value=0.1 * seed) for name in ("a", "b") for seed in (0, 1)]
    made, gaps = charts_and_gaps(RunStore(tmp_path), rows, "poetry", specs)
    assert not [chart for chart in made if chart.group == "chances"]
    [reason] = [gap.reason for gap in gaps if gap.group == "chances"]
    assert "no real text to be near to" in reason


def test_a_dot_for_a_sure_difference_takes_five_runs(tmp_path: Path, specs: Specs) -> None:
    for runs, dotted in ((2, False), (5, True)):
        rows = [
            row(baseline=name, seed=seed, value=base + 0.01 * seed, higher_is_better=True)
            for name, base in (("a", 0.1), ("b", 0.6))
            for seed in range(runs)
        ]
        [cell_] = [r for r in charts_of(rows, tmp_path, specs)["chances-bleu-2"].records if r["method"] == "b"]
        assert cell_["text"] == ("1•" if dotted else "1")


# learning curves


def spec_of(baseline: str, seed: int, config: dict[str, Any]) -> CellSpec:
    about = {"task": "poetry", "task_version": 1, "task_options": {}, "fingerprint": "3fa91c20", "budget": "smoke"}
    return CellSpec(**about, baseline=baseline, baseline_version=1, config=config, seed=seed, data="embedded")


def write_log(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")


def add_cell(run: Path, spec: CellSpec, records: list[dict[str, Any]], train_seconds: float) -> None:
    folder = RunStore(run).cell(spec).path
    write_log(folder / "log.jsonl", records)
    about = {"spec": spec.model_dump(mode="json"), "data": DATA, "origin": "embedded", "primary": "bleu-2"}
    write_json(folder / "cell.json", about)
    write_json(folder / "model.json", {"train_seconds": train_seconds})


def add_pretraining(run: Path, pre: dict[str, Any], seed: int, seconds: float, nlls: list[float]) -> None:
    key = content_hash({"spec": pre, "data": "3fa91c20", "seed": seed})
    folder = RunStore(run).pretrained(key)
    step = seconds / len(nlls)
    write_log(
        folder / "log.jsonl",
        [
            {"stage": "pretrain", "step": 100 * (i + 1), "seconds": step * (i + 1), "valid_nll": nll}
            for i, nll in enumerate(nlls)
        ],
    )
    write_json(folder / "done.json", {"spec": pre, "seconds": seconds})


PRE = {"method": "mle", "version": 1, "net": {"hidden": 8}, "epochs": 4, "batch": 16, "clip": 5.0}
OTHER = {**PRE, "epochs": 2}


def hashes() -> dict[str, str]:
    """The configurations of `add_run`'s cells."""
    config: dict[str, Any] = {key: value for key, value in PRE.items() if key not in ("method", "version")}
    config["net"] = {"hidden": 8, "attention": 3}
    given = {"mle": config, "seqgan": {"pretrain": config, "rollouts": 4}}
    return {name: spec_of(name, 0, each).config_hash for name, each in given.items()}


def add_run(run: Path, seed: int = 0) -> None:
    """`mle`, `seqgan` from the same pre-training, and a search that tried that pre-training among others."""
    config = {key: value for key, value in PRE.items() if key not in ("method", "version")}
    net = {"net": {"hidden": 8, "attention": 3}}  # constants of other kinds of tasks stand in a config, not in a spec
    add_pretraining(run, PRE, seed, 20.0, [5.0, 4.0, 3.5, 3.25])
    add_pretraining(run, OTHER, seed, 9.0, [7.0, 6.0])
    add_cell(run, spec_of("mle", seed, config | net), [], 20.1)
    later = [
        {"stage": "adversarial", "step": i, "seconds": 20 + 2.0 * i, "reward": i / 10, "valid_nll": 3.0 + i}
        for i in (1, 2, 3, 4, 5)
    ]
    add_cell(run, spec_of("seqgan", seed, {"pretrain": config | net, "rollouts": 4}), later, 30.0)
    trials = [{"stage": "search", "step": i, "seconds": 9.0 + i, "epochs": 4 - i, "valid_nll": 6.0} for i in (0, 1)]
    add_cell(run, spec_of("tuned_mle", seed, {"mle": config | net, "trials": 2}), trials, 40.0)


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


# colours


def test_a_methods_look_is_the_same_in_every_chart_and_task_and_like_no_others(tmp_path: Path, specs: Specs) -> None:
    rows = [*score_rows.poetry(), *score_rows.translation()]
    assert palette.labels_of(rows)[:2] == ("mle", "seqgan")
    assert set(palette.labels_of(rows)) <= set(NAMES)
    domains = set()
    for task in ("poetry", "translation"):
        for chart in charts_of(rows, tmp_path, specs, task).values():
            for layer in chart.spec["layer"]:
                scale = layer["encoding"].get("color", {}).get("scale", {})
                if layer["encoding"].get("color", {}).get("field") == "method":
                    domains.add(tuple(scale["domain"]))
    assert domains == {NAMES}
    many = [f"m{i}" for i in range(64)]
    looks = set(zip(palette.color_range(many), palette.shape_range(many), strict=True))
    assert len(looks) == 64
    dashed = zip(palette.color_range(many[:24]), map(tuple, palette.dash_range(many[:24])), strict=True)
    assert len(set(dashed)) == 24


def linear(color: str) -> np.ndarray:
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ np.clip(rgb, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira and Fernandes 2009, severity 1: protanopia and deuteranopia
SIGHTS = (
    np.eye(3),
    np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
)


@pytest.mark.parametrize(("colors", "paper"), [(palette.LIGHT, "#fcfcfa"), (palette.DARK, "#15181c")])
def test_colours_stand_out_from_the_page_and_from_each_other_for_colour_blind_readers_too(
    colors: tuple[str, ...], paper: str
) -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    for color in colors:
        one, two = sorted((linear(color) @ weights, linear(paper) @ weights))
        assert (two + 0.05) / (one + 0.05) >= 3, color
    for sight, (one, two) in itertools.product(SIGHTS, itertools.combinations(colors, 2)):
        assert np.linalg.norm(lab(sight @ linear(one)) - lab(sight @ linear(two))) > 15, (one, two)


# files and the page


def png_size(content: bytes) -> tuple[int, int, int]:
    """Width, height, and how many different bytes the scan lines have: that it decodes, and isn't blank."""
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    data, place = b"", 8
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        kind = content[place + 4 : place + 8]
        if kind == b"IDAT":
            data += content[place + 8 : place + 8 + length]
        place += 12 + length
    return width, height, len(set(zlib.decompress(data)))


def test_stills_decode_hold_the_words_and_have_safe_names(tmp_path: Path, specs: Specs) -> None:
    rows = [each for name in ("mle", HOSTILE) for seed in (0, 1) for each in swept(name, seed, 0.01 * seed)] + real()
    rows = [each.model_copy(update={"task": "../" + HOSTILE}) for each in rows]
    made = charts_of(rows, tmp_path, specs, "../" + HOSTILE).values()
    chosen = [chart for chart in made if chart.group == "cost"][:1]
    written = write_stills(chosen, tmp_path / "charts", prefix="../" + HOSTILE + ".")
    assert {path.parent for path in written} == {tmp_path / "charts"}
    assert sorted({path.suffix for path in written}) == [".csv", ".png", ".svg"]
    for path in written:
        assert path.name.isascii()
        assert not set(path.name) & set("<>&\"'/\\ #[]")
        if path.suffix == ".png":
            width, height, shades = png_size(path.read_bytes())
            assert min(width, height) > 200
            assert shades > 20
        if path.suffix == ".svg":
            words = " ".join(ElementTree.fromstring(path.read_bytes()).itertext())
            assert "mle" in words
            assert "BLEU-2" in words
            assert "<script" in words  # as text: the element is escaped, or the file would not be XML with these words
            assert b"<script" not in path.read_bytes()


def test_the_csv_of_a_chart_holds_its_records(tmp_path: Path, specs: Specs) -> None:
    records = charts_of(score_rows.poetry(), tmp_path, specs)["cost-bleu-2"].records
    read = list(csv.DictReader(io.StringIO(records_csv(records))))
    assert [each["method"] for each in read] == [record["method"] for record in records]
    assert [float(each["value"]) for each in read] == [record["value"] for record in records]
    assert [each["signature"] for each in read] == [record["signature"] for record in records]


def test_data_and_specifications_come_back_from_the_page_as_they_were(tmp_path: Path, specs: Specs) -> None:
    made = list(charts_of(score_rows.poetry(), tmp_path, specs).values())
    wanted = [{**chart.spec, "datasets": {}} for chart in made]
    trees, table = interned(wanted)

    def whole(tree: Any) -> Any:
        if isinstance(tree, dict):
            return whole(table[tree["$"]]) if "$" in tree else {key: whole(each) for key, each in tree.items()}
        return [whole(each) for each in tree] if isinstance(tree, list) else tree

    assert [whole(tree) for tree in trees] == wanted
    assert len(json.dumps([trees, table])) < len(json.dumps(wanted)) / 2
    records = made[0].records
    columns = columns_of(records)
    for name, column in columns.items():
        values = column if isinstance(column, list) else [column["of"][place] for place in column["at"]]
        for value, known in zip(values, [record.get(name) for record in records], strict=True):
            assert value == known or math.isclose(value, known, rel_tol=1e-7)


@pytest.mark.slow
def test_a_page_escapes_names_and_says_what_is_not_drawn(tmp_path: Path) -> None:
    rows = [each for name in ("mle", HOSTILE) for seed in (0, 1) for each in swept(name, seed, 0.01 * seed)] + real()
    written = write_task_pages(RunStore(tmp_path / "run"), rows, tmp_path / "site", [("index.html", "Leaderboard")])
    [page] = [path for path in written if path.suffix == ".html"]
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "\u2028" not in text[text.index('id="chart-data"') :]
    assert "&lt;script&gt;alert" in text
    assert "not drawn; no method of this task kept the model of an earlier stage" in text
    assert "://" not in text
    assert (tmp_path / "site" / "assets" / "vega.js").stat().st_size > 100_000
    assert "</script" not in (tmp_path / "site" / "assets" / "vega.js").read_text(encoding="utf-8")


def test_a_run_without_values_has_no_pages_and_a_task_of_references_alone_a_reason(tmp_path: Path) -> None:
    assert write_task_pages(RunStore(tmp_path), [failure("mle", 0, "failed", "a bug")], tmp_path / "site", []) == []
    made, gaps = charts_and_gaps(RunStore(tmp_path), reference("real", 0.5, 0.5), "poetry")
    assert made == []
    assert [gap.reason for gap in gaps] == ["no method has run yet"]
