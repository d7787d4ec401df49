"""Grids, settings, keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config import CellSpec, Grid, make_grid, parse_settings, read_grid
from bench.errors import UserError

SPEC = CellSpec(
    task="poetry",
    task_version=1,
    task_options={"chars": 5},
    fingerprint="f" * 64,
    baseline="mle",
    baseline_version=1,
    config={"lr": 0.1, "net": {"hidden": 8}},
    seed=0,
    budget="smoke",
    data="embedded",
)


def test_settings_are_read_as_toml_and_merged() -> None:
    found = parse_settings(["seqgan.rollouts=32", "seqgan.net.hidden=64", "translation.pair=de-en", "mle.flag=true"])
    assert found == {
        "seqgan": {"rollouts": 32, "net": {"hidden": 64}},
        "translation": {"pair": "de-en"},
        "mle": {"flag": True},
    }


@pytest.mark.parametrize("pair", ["seqgan", "seqgan=3", ".x=1", "a..b=1", "=1"])
def test_bad_settings_say_what_is_meant(pair: str) -> None:
    with pytest.raises(UserError, match=r"NAME\.KEY=VALUE"):
        parse_settings([pair])


def test_flags_lie_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('tasks = ["poetry"]\nseeds = 3\n[set.seqgan]\nrollouts = 4\n[set."poetry/mle"]\nepochs = 2\n')
    grid = read_grid(file, {"seeds": (7,), "budget": None, "settings": {"seqgan": {"rounds": 1}}})
    assert grid.name == "mine"
    assert grid.seeds == (7,)
    assert grid.settings == {"seqgan": {"rollouts": 4, "rounds": 1}, "poetry/mle": {"epochs": 2}}
    assert read_grid(file, {}).seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("task = ['poetry']", 'has no setting "task". Did you mean tasks'),
        ("seeds = 'x'", "seeds"),
        ("seeds = [1, 1]", "1 stands twice"),
        ("tasks = [", "mine.toml"),
        ("[set]\nseqgan = 3", r"\[set\] holds tables"),
    ],
)
def test_bad_grids_name_file_and_key(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(content)
    with pytest.raises(UserError, match=said):
        read_grid(file, {})


def test_unknown_grid_lists_those_there_are() -> None:
    with pytest.raises(UserError, match="quickstart"):
        read_grid("quikstart", {})


def test_grids_that_come_with_the_suite_are_valid() -> None:
    quick = read_grid("quickstart", {})
    assert len(quick.tasks) == 6
    assert quick.seeds == (0, 1)
    assert read_grid("real", {}).budget == "small"


def test_key_depends_on_what_decides_the_model_and_on_nothing_else() -> None:
    def changed(**values: object) -> str:
        return SPEC.model_copy(update=values).key

    for values in (
        {"seed": 1},
        {"config": {"lr": 0.2, "net": {"hidden": 8}}},
        {"fingerprint": "e" * 64},
        {"task_options": {"chars": 7}},
        {"baseline_version": 2},
        {"plugin_hash": "x"},
    ):
        assert changed(**values) != SPEC.key, values
    for values in ({"data": "elsewhere"}, {"samples": 5}, {"decodings": ("greedy",)}):
        assert changed(**values) == SPEC.key, values
    assert SPEC.model_copy(update={"samples": 5}).scoring_key != SPEC.scoring_key


def test_key_does_not_depend_on_the_order_of_settings() -> None:
    other = SPEC.model_copy(update={"config": {"net": {"hidden": 8}, "lr": 0.1}})
    assert other.key == SPEC.key


def test_make_grid_names_where() -> None:
    with pytest.raises(UserError, match=r"the flags\.budget"):
        make_grid({"budget": "huge"}, {}, "the flags")
    assert make_grid({}, {}, "x") == Grid()
