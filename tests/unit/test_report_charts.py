"""Charts: what is drawn is what the rows and logs say, and nothing that may not be compared stands together."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import random
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.report.charts import charts_and_gaps, write_stills, write_task_pages
from bench.report.charts.model import plain
from bench.report.charts.page import columns_of, interned
from bench.report.charts.parts import Specs
from bench.report.charts.stills import records_csv
from bench.report.stages import stages_of
from bench.stats import probability_of_improvement
from bench.store import RunStore
from tests import score_rows
from tests.chart_rows import HOSTILE, NAMES, add_run, charts_of, hashes, real, swept
from tests.fresh import fresh_seed
from tests.score_rows import failure, poetry, reference, row
from tests.tables import the_table


@pytest.fixture(scope="module")
def specs() -> Specs:
    """Altair takes its time: what it builds is shared by the tests of this file, as by the tasks of a run."""
    return Specs(NAMES)


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


@pytest.mark.slow
def test_what_the_last_stage_did_stands_on_the_page_as_in_the_markdown(tmp_path: Path) -> None:
    """Its cells, its notes, and a name with markup as text."""
    rows = [each.model_copy(update={"baseline": HOSTILE}) if each.baseline == "seqgan" else each for each in poetry()]
    written = write_task_pages(RunStore(tmp_path / "run"), rows, tmp_path / "site", [])
    text = next(path for path in written if path.suffix == ".html").read_text(encoding="utf-8")
    found = stages_of(the_table([plain(each) for each in rows]))
    assert found is not None
    shown = [html.unescape(cell) for cell in re.findall(r"<t[hd](?: scope=\"\w+\")?>(.*?)</t[hd]>", text)]
    assert shown == [*found.heads, *(cell for row in found.rows for cell in row)]
    assert all(f"<li>{html.escape(note, quote=False)}.</li>" in text for note in found.notes)
    assert "<script>alert" not in text


def test_a_run_without_values_has_no_pages_and_a_task_of_references_alone_a_reason(tmp_path: Path) -> None:
    assert write_task_pages(RunStore(tmp_path), [failure("mle", 0, "failed", "a bug")], tmp_path / "site", []) == []
    made, gaps = charts_and_gaps(RunStore(tmp_path), reference("real", 0.5, 0.5), "poetry")
    assert made == []
    assert [gap.reason for gap in gaps] == ["no method has run yet"]
