"""Plug-in files of methods, tasks and metrics in one grid: which files a cell needs, and what its keys hang on."""

from __future__ import annotations

from pathlib import Path

import pytest

import metrics
from bench.config import CellSpec, make_grid
from bench.errors import UserError
from bench.outside.external import external_spec, reference_of
from bench.plan import check_names, plan_task
from bench.plugins import load_things, plugin_hash
from bench.registry import know_metrics
from bench.verbs.run import grid_with

WALKER = Path(__file__).parents[1] / "plugins" / "walker.py"
TASK = Path(__file__).parents[2] / "docs" / "examples" / "my_task.py"
NO_FLAGS = dict.fromkeys(("tasks", "baselines", "data", "plugins"))
METRIC = """
import numpy as np

from metrics.base import MeanMetric


class Marked(MeanMetric):
    name, summary = "{name}", "share of texts with this mark in them"

    def values(self, work):
        return np.array(["{mark}" in text for text in work.material.samples], dtype=np.float64)

    def fields(self, material):
        return {{"hyps": str(len(material.samples))}}
"""


def metric_file(path: Path, name: str, mark: str = "a") -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(METRIC.format(name=name, mark=mark))
    return str(path)


def lines_file(path: Path) -> str:
    path.write_text("".join(f"buy {n} apples today{'.' * (n % 2)}\n" for n in range(60)))
    return str(path)


def specs(task: str, **given: object) -> dict[str, CellSpec]:
    grid = make_grid(
        {"name": "t", "tasks": (task,), "baselines": ("mle",), "seeds": (0,), "data": "embedded", "limit": 40},
        given,
        "a test",
    )
    check_names(grid)
    return {cell.spec.baseline: cell.spec for cell in plan_task(grid, task).cells}


def test_a_task_of_ones_own_is_part_of_all_its_cells(tmp_path: Path) -> None:
    file, data = tmp_path / "mine.py", lines_file(tmp_path / "lines.txt")
    file.write_text(TASK.read_text())
    before = specs("slogans", plugins=(str(file),), data=data)
    assert list(before) == ["real", "shuffled", "mle"]
    assert {spec.plugins for spec in before.values()} == {(str(file),)}
    assert {spec.plugin_hash for spec in before.values()} == {plugin_hash([str(file)])}
    file.write_text(TASK.read_text() + "\n# edited\n")
    after = specs("slogans", plugins=(str(file),), data=data)
    assert all(before[name].key != after[name].key for name in before)


def test_a_metric_of_ones_own_is_measured_and_decides_no_model(tmp_path: Path) -> None:
    file = metric_file(tmp_path / "marks.py", "plain-mark")
    plain, measured = specs("captions"), specs("captions", plugins=(file,))
    for name in plain:
        assert measured[name].plugins == (file,)
        assert list(measured[name].metrics) == ["plain-mark"]
        assert measured[name].key == plain[name].key
        assert measured[name].drawing_key == plain[name].drawing_key == plain[name].scoring_key
        assert measured[name].scoring_key != plain[name].scoring_key
    metric_file(tmp_path / "marks.py", "plain-mark", "b")
    edited = specs("captions", plugins=(file,))
    assert edited["mle"].key == measured["mle"].key
    assert edited["mle"].scoring_key != measured["mle"].scoring_key


def test_a_cell_needs_the_files_that_it_uses(tmp_path: Path) -> None:
    method, metric = str(WALKER), metric_file(tmp_path / "beside.py", "beside-mark")
    alone = specs("captions", plugins=(method,), baselines=("mle", "walker"))
    assert (alone["mle"].plugins, alone["walker"].plugins) == ((), (method,))
    both = specs("captions", plugins=(metric, method), baselines=("mle", "walker"))
    assert (both["mle"].plugins, both["walker"].plugins) == ((metric,), (metric, method))
    assert both["walker"].plugin_hash == alone["walker"].plugin_hash == plugin_hash([method])
    assert both["mle"].key == alone["mle"].key


def test_more_metrics_by_name() -> None:
    spec = specs("captions", metrics=("mauve",))["mle"]
    assert (spec.metrics, spec.plugins) == ({"mauve": ""}, ())
    with pytest.raises(metrics.MetricError, match='no metric "mauv": did you mean mauve'):
        specs("captions", metrics=("mauv",))


def test_a_task_that_names_a_metric_of_no_file(tmp_path: Path) -> None:
    file, data = tmp_path / "half.py", lines_file(tmp_path / "lines.txt")
    text = TASK.read_text()
    file.write_text(text[: text.index("class Finished")].replace('"finished"', '"half-finished"'))
    with pytest.raises(metrics.MetricError, match='no metric "half-finished"'):
        specs("slogans", plugins=(str(file),), data=data)


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='"bleu-2" is taken'):
        know_metrics([metric_file(tmp_path / "clash.py", "bleu-2")])
    files = [metric_file(tmp_path / f"{mark}.py", "twice-mark", mark) for mark in ("a", "b")]
    with pytest.raises(UserError, match='"twice-mark" is taken'):
        know_metrics(files)
    for file, value in zip(files, (1.0, 0.0), strict=True):  # one after the other, as in a notebook
        know_metrics([file])
        assert metrics.score(metrics.Material(["a", "aa"]), ["twice-mark"])[0].value == value
    with pytest.raises(metrics.MetricError, match='"bleu-2" is taken'):
        metrics.add({"bleu-2": "somewhere:Else"})


def test_two_files_of_one_name(tmp_path: Path) -> None:
    files = [metric_file(tmp_path / part / "same.py", f"mark-{part}", part) for part in ("a", "b")]
    know_metrics(files)
    values = {part: metrics.score(metrics.Material(["a", "ab", "c"]), [f"mark-{part}"])[0].value for part in ("a", "b")}
    assert values == pytest.approx({"a": 2 / 3, "b": 1 / 3})


def test_without_names_those_of_the_files_are_meant(tmp_path: Path) -> None:
    both = grid_with(None, {**NO_FLAGS, "plugins": (str(TASK), str(WALKER))}, None)
    assert (both.tasks, both.baselines) == (("slogans",), ("walker", "mle"))
    metric = grid_with(None, {**NO_FLAGS, "plugins": (metric_file(tmp_path / "m.py", "lone-mark"),)}, None)
    assert metric.name == "quickstart"


def test_a_row_from_outside_keeps_the_files_of_its_task(tmp_path: Path) -> None:
    data, method = lines_file(tmp_path / "lines.txt"), str(WALKER)
    own = specs("slogans", plugins=(str(TASK), method), data=data, baselines=("walker",))["walker"]
    row = external_spec(own, "theirs", 0, {}, ("sample@1",))
    assert (row.plugins, row.plugin_hash) == ((str(TASK),), plugin_hash([str(TASK)]))
    assert reference_of(row).plugins == (str(TASK),)
    built_in = specs("captions", plugins=(method,), baselines=("walker",))["walker"].model_copy(
        update={"plugins": ("gone.py",)}
    )
    assert external_spec(built_in, "theirs", 0, {}, ()).plugins == ()


def test_the_example_holds_a_task_and_a_metric() -> None:
    things = load_things(str(TASK))
    assert (list(things.tasks), list(things.metrics), list(things.methods)) == (["slogans"], ["finished"], [])
