"""The Python API: tables of the right types, the same numbers as the commands, and mistakes as one kind of error."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.cli import main
from bench.errors import UserError
from bench.frames import DTYPES, to_frame, to_rows
from bench.report.longfile import write_results
from bench.schema import COLUMNS
from tests import score_rows
from tests.fresh import fresh_seed

ROOT = Path(__file__).parents[2]


def python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_importing_the_package_loads_nothing() -> None:
    said = python("import sys, bench; print(sorted({'pandas', 'numpy', 'torch', 'pydantic'} & set(sys.modules)))")
    assert said == "[]\n"


def test_the_functions_stay_functions_whatever_is_imported() -> None:
    """No module right below the package may take the name of one of them."""
    said = python(
        "import pkgutil, importlib, bench; from bench import compare, run, score, load_results\n"
        "[importlib.import_module(f'bench.{each.name}') for each in pkgutil.iter_modules(bench.__path__)]\n"
        "print([each.__module__ for each in (compare, run, score, load_results, bench.compare)], bench.__version__)\n"
        "print(set(bench.__all__) <= set(dir(bench)))"
    )
    assert said.startswith("['bench.api', 'bench.api', 'bench.api', 'bench.api', 'bench.api'] ")
    assert said.endswith("True\n")
    with pytest.raises(ImportError, match="no_such_thing"):
        from bench import no_such_thing  # noqa: F401


def some_rows() -> list:
    rng = random.Random(fresh_seed())
    rows = [*score_rows.poetry(), *score_rows.translation()]
    odd = {"value": math.nan, "seed": None, "reason": 'a, "b"\nc', "higher_is_better": rng.choice([None, True, False])}
    return [*rows, score_rows.row(**odd), score_rows.row(value=rng.random(), n=rng.randrange(10**12), train_seconds=1)]


def test_rows_become_a_table_and_come_back() -> None:
    rows = some_rows()
    frame = to_frame(rows)
    assert tuple(frame.columns) == COLUMNS
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == DTYPES
    assert frame["seed"].isna().sum() == sum(row.seed is None for row in rows)
    assert frame["value"].isna().sum() == sum(math.isnan(row.value) for row in rows)
    assert [row.model_dump_json() for row in to_rows(frame)] == [row.model_dump_json() for row in rows]
    empty = to_frame([])
    assert {name: str(kind) for name, kind in empty.dtypes.items()} == DTYPES
    assert to_rows(empty) == []


def test_tables_that_are_none(tmp_path: Path) -> None:
    frame = to_frame(some_rows())
    with pytest.raises(UserError, match="the table lacks metric, value"):
        to_rows(frame.drop(columns=["metric", "value"]))
    with pytest.raises(UserError, match=r"the table.value: .*number"):
        to_rows(frame.astype({"value": object}).assign(value="high"))


def test_results_are_read(tmp_path: Path) -> None:
    from bench import load_results

    rows = some_rows()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_results(rows[: -5 if name == "one" else None], tmp_path / name / "results.csv")
    one = load_results(tmp_path / "one" / "results.csv")
    assert list(one.columns) == list(COLUMNS)
    assert load_results(str(tmp_path / "one")).equals(one)
    both = load_results([tmp_path / "one", tmp_path / "two"])
    assert both.groupby("run").size().to_dict() == {
        str(tmp_path / "one"): len(rows) - 5,
        str(tmp_path / "two"): len(rows),
    }
    assert {name: str(kind) for name, kind in both.dtypes.items()} == {**DTYPES, "run": "str"}
    assert list(load_results([tmp_path / "one"]).columns) == [*COLUMNS, "run"]
    for wrong in ([], tmp_path / "none"):
        with pytest.raises(UserError):
            load_results(wrong)


def test_scores_are_those_of_the_command(tmp_path: Path, monkeypatch, capsys) -> None:
    from bench import score

    monkeypatch.chdir(tmp_path)
    rng = random.Random(fresh_seed())
    texts, references = ([" ".join(rng.choices("abcde", k=5)) for _ in range(30)] for _ in range(2))
    Path("x.txt").write_text("\n".join(texts))
    Path("refs.txt").write_text("\n".join(references))
    found = score("x.txt", references="refs.txt", metrics="bleu-2,length,frechet,self-bleu-2")
    assert capsys.readouterr().out == ""
    main(["score", "x.txt", "--references", "refs.txt", "--metrics", "bleu-2,length,frechet,self-bleu-2", "--json"])
    for mine, theirs in zip(found.to_dict("records"), json.loads(capsys.readouterr().out), strict=True):
        for name in ("metric", "value", "ci_low", "ci_high", "n", "signature", "reason"):
            assert mine[name] == theirs[name] or (theirs[name] is None and math.isnan(mine[name]))
    assert str(found["higher_is_better"].dtype) == "boolean"
    lists = score(texts, references=references, metrics=["bleu-2", "length", "frechet", "self-bleu-2"])
    assert lists["value"].equals(found["value"])
    assert lists["signature"][0] != found["signature"][0], "the references' name is part of it"
    assert score(pd.Series(texts), references=references, metrics="length")["value"][0] == 5
    paired = score(["a b"], references=["a b"], paired=True, metrics="rouge-l")
    assert paired["value"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "score needs samples"),
        ({"samples": ["a"]}, "needs --task NAME or --references FILE"),
        ({"samples": ["a", None], "references": ["a"]}, "item 1: NoneType, not text"),
        ({"samples": [], "references": ["a"]}, "the list is empty"),
        ({"samples": "none.txt", "references": ["a"]}, "none.txt: no such file"),
        ({"samples": ["a"], "task": "poerty"}, "Did you mean poetry?"),
        ({"samples": ["a"], "references": ["a"], "metrics": "bleu2"}, "bleu"),
        ({"samples": ["a"], "into": "nowhere"}, "--into RUN needs --as NAME"),
        ({"samples": ["a"], "into": "nowhere", "name": "x"}, "nowhere is not a run directory"),
    ],
)
def test_mistakes_in_a_score(tmp_path: Path, monkeypatch, asked, said) -> None:
    from bench import score

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as told:
        score(**asked)
    assert said in str(told.value)


def test_mistakes_in_a_run(tmp_path: Path, monkeypatch, capsys) -> None:
    """Before anything is started."""
    from bench import run

    monkeypatch.chdir(tmp_path)
    for asked, said in (
        ({"tasks": "poerty"}, "Did you mean poetry?"),
        ({"grid": "nothing.toml"}, "no grid file nothing.toml"),
        ({"grid": {"tasks": ["poetry"], "seedz": 3}}, "Did you mean seeds?"),
        ({"tasks": "poetry", "budget": "huge"}, "budget"),
        ({"tasks": "poetry", "baselines": ["mlee"]}, "Did you mean mle?"),
        ({"tasks": "poetry", "settings": {"mlee": {"epochs": 3}}}, "no such task or baseline"),
        ({"tasks": "poetry", "data": "no/such"}, "no such file or folder"),
    ):
        main_module = sys.modules["__main__"]
        with pytest.raises(UserError) as told:
            run(**asked)
        assert said in str(told.value)
        assert sys.modules["__main__"] is main_module
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


def test_grids_from_python_are_grids_from_files(tmp_path: Path, monkeypatch) -> None:
    """What reaches the engine, and how failures are told."""
    from bench import api
    from bench.config import make_grid
    from bench.verbs import run as verb

    seen = []

    def fake(grid, asked) -> int:
        seen.append((grid, asked))
        rows = [score_rows.row(), score_rows.failure("seqgan", 0, "diverged", "nan")]
        Path(asked.out).mkdir(exist_ok=True)
        write_results(rows[: code + 1], Path(asked.out) / "results.csv")
        return code

    monkeypatch.setattr(verb, "run_grid", fake)
    out = tmp_path / "out"
    code = 0
    content = {"tasks": ["poetry"], "set": {"mle": {"epochs": 3}}, "seeds": 2}
    found = api.run(content, seeds=[4], settings={"seqgan": {"rollouts": 2}}, out=out, overwrite=True)
    api.run(make_grid({"tasks": ("poetry",)}, {}, "x"), baselines="mle,ngram", out=out, overwrite="mle", threads=2)
    assert len(found) == 1
    (first, how), (second, also) = seen
    assert (first.seeds, first.settings) == ((4,), {"mle": {"epochs": 3}, "seqgan": {"rollouts": 2}})
    assert (how.overwrite, how.progress, how.dry_run, how.threads) == ("all", "none", False, 1)
    assert (second.baselines, also.overwrite, also.threads) == (("mle", "ngram"), ("mle",), 2)
    code = 1
    with pytest.warns(RuntimeWarning, match="1 cells of .*out have no result"):
        assert set(api.run(content, out=out)["status"]) == {"done", "diverged"}
    code = 130
    with pytest.raises(KeyboardInterrupt):
        api.run(content, out=out)


def test_comparisons_take_tables(tmp_path: Path) -> None:
    from bench import compare

    frame = to_frame([row for row in score_rows.translation() if row.baseline != "odd"])
    found = compare(frame, method="beamer", to="mle")
    assert set(found["verdict"]) >= {"better"}
    assert (found["method"], found["against"])[0].unique().tolist() == ["beamer"]
    assert str(found["higher_is_better"].dtype) == "boolean"
    assert compare(frame, frame)["verdict"].unique().tolist() == ["same"]
    write_results(to_rows(frame), tmp_path / "results.csv")
    assert compare(tmp_path / "results.csv", frame).attrs["exit_code"] == 0
    worse = compare(frame, method="mle", to="beamer")
    assert worse.attrs["exit_code"] == 1
    with pytest.raises(UserError, match="method"):
        compare(frame, to="mle")
