"""The commands that a report gives plan the same cells again; a training curve in figures."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli import parser
from bench.config import Grid, parse_settings
from bench.plan import plan_task
from bench.report.site import commands, curves
from bench.report.site.facts import facts_of, grid_of_run
from bench.store import RunStore, write_json
from bench.verbs.run import grid_of
from tests.fresh import fresh_seed
from tests.score_rows import row
from tests.site_runs import write_run


def asked_again(text: str) -> Grid:
    import shlex

    words = shlex.split(text)
    assert words[:3] == ["python", "run_bench.py", "run"]
    return grid_of(parser().parse_args(words[2:]))


@pytest.mark.parametrize("with_grid", [True, False])
def test_the_command_of_a_row_plans_the_same_cells(tmp_path: Path, with_grid: bool) -> None:
    """From the grid's settings, and from the cells alone where the grid was written over; keys are equal both ways."""
    rng = random.Random(fresh_seed())
    seeds = tuple(sorted(rng.sample(range(9), 2)))
    settings = {
        "seqgan": {"rounds": rng.randint(2, 9), "mle": {"net": {"dropout": 0.25}}},
        "poetry": {"max_vocab": 300},
    }
    settings |= {"poetry/mle": {"epochs": rng.randint(1, 5)}}
    grid = Grid(
        tasks=("poetry",),
        baselines=("mle", "seqgan"),
        seeds=seeds,
        settings=settings,
        data="embedded",
        budget="smoke",
        samples=77,
        limit=90,
        temperatures=(0.5, 1.0),
    )
    planned = plan_task(grid, "poetry").cells
    about = {"schema_version": 1, "data": "d", "origin": "embedded", "kind": "free", "primary": "bleu-2"}
    for each in planned:
        write_json(
            tmp_path / "cells" / each.spec.directory / "cell.json", {**about, "spec": each.spec.model_dump(mode="json")}
        )
    if with_grid:
        write_json(tmp_path / "grid.json", {"version": "0.1.0", "grid": grid.model_dump(mode="json")})
    cells, known = facts_of(RunStore(tmp_path)), grid_of_run(RunStore(tmp_path))
    for name in ("mle", "seqgan", "real"):
        row_cells = [each for each in cells if each.spec.baseline == name]
        text = commands.command(row_cells, known, "results/runs/again")
        assert len(text) < 500 or not with_grid
        again = asked_again(text)
        specs = {cell.spec.key: cell.spec.scoring_key for cell in plan_task(again, "poetry").cells}
        for each in row_cells:
            assert specs[each.spec.key] == each.spec.scoring_key, text


def test_a_grid_of_other_settings_is_not_taken_for_the_cells_own(tmp_path: Path) -> None:
    store = write_run(
        tmp_path, [row()], grid=Grid(tasks=("poetry",), settings={"mle": {"made_up": 7}}).model_dump(mode="json")
    )
    text = commands.command(facts_of(store), grid_of_run(store), "again")
    assert "made_up=7" not in text
    assert "mle.made_up=" in text
    assert "mle.net.hidden=32" in text


@pytest.mark.parametrize(
    ("given", "text"), [([0], "1"), ([0, 1, 2], "3"), ([3], "3,"), ([7, 3], "3,7"), ([1, 2], "1,2")]
)
def test_seeds_as_the_flag_reads_them(given: list[int], text: str) -> None:
    assert commands.seeds(given) == text
    read = parser().parse_args(["run", "--seeds", text]).seeds
    assert set(given) == set(read)


def test_seed_0_alone_is_told_of_where_no_seed_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert parser().parse_args(["run", "--seeds", "0,"]).seeds == (0,)
    with pytest.raises(SystemExit):
        parser().parse_args(["run", "--seeds", "0"])
    assert "0 is no count of seeds; seed 0 alone is written 0," in capsys.readouterr().err


VALUES = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,6}", fullmatch=True), VALUES | st.lists(VALUES, max_size=3), min_size=1, max_size=4
    )
)
def test_settings_come_back_from_the_flag(tree: dict) -> None:
    words = [f"m.{key}={commands.literal(value)}" for key, value in commands.leaves({"deep": tree})]
    assert parse_settings(words) == {"m": {"deep": tree}}


def test_a_curve_in_figures(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    records = [{"stage": "mle", "step": s, "seconds": 2.0 * s, "loss": v} for s, v in ((1, 5.0), (2, 3.5), (3, 4.0))]
    log.write_text(
        "\n".join(map(json.dumps, records)) + '\n[1]\n{"stage": "adv", "step": 4, "nll": null, "d": 0.5}\n{"stage": "ad'
    )
    mle, adversarial = curves.curve(log)
    loss = mle.figures["loss"]
    assert (mle.words, loss.first, loss.last, loss.lowest, loss.highest) == (
        "3 records, steps 1 to 3, until 6 s",
        (5.0, 1),
        (4.0, 3),
        (3.5, 2),
        (5.0, 1),
    )
    assert (adversarial.words, list(adversarial.figures)) == ("1 record, step 4", ["d"])
    assert curves.tail(log)[-1] == '{"stage": "ad'
    log.write_text("x" * 5000 + "\n" + "\n".join(f"line {i}" for i in range(19)))
    assert curves.tail(log)[0].endswith("… (5000 letters)")
    assert len(curves.tail(log)) == 20
    assert curves.curve(tmp_path / "none") == curves.tail(tmp_path / "none") == []
