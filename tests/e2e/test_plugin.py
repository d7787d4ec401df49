"""The example of docs/add-a-method.md: short, runs by the command that the page names, resumes exactly, and learns."""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path

import pytest
import torch

from bench.cli import main
from bench.context import Interrupted
from bench.plugins import load_things
from tests.toys import free_corpus
from tests.unit.test_bench_context import CellRun, surroundings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "my_gan.py"
MyGAN = load_things(str(EXAMPLE)).methods["my_gan"]
SMALL = {"mle": {"epochs": 2, "net": {"hidden": 16, "embedding": 8}}, "steps": 12}


def test_it_is_under_sixty_lines() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60


def fitted(path: Path, stop_after: int | None = None) -> dict[str, torch.Tensor]:
    run = CellRun(path / "cell", surroundings(path, stop_after))
    try:
        return MyGAN(MyGAN.Config(**SMALL)).fit(free_corpus(), run).state_dict()
    finally:
        run.close()


@pytest.mark.slow
def test_it_resumes_exactly(tmp_path: Path) -> None:
    whole = fitted(tmp_path / "a")
    with pytest.raises(Interrupted):
        fitted(tmp_path / "b", stop_after=20)
    resumed = fitted(tmp_path / "b")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.slow
def test_the_command_of_the_page_works(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "add-a-method.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith("python run_bench.py run --plugin")]
    words = line.split()[2:]
    words[words.index("--out") + 1] = str(tmp_path / "mine")
    said = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main([*words, "--limit", "300", "--seeds", "1", "--temperatures", "1"])
    assert code == 0, said.getvalue()
    rows = list(csv.DictReader((tmp_path / "mine" / "results.csv").open()))
    stages = {(row["baseline"], row["stage"]) for row in rows}
    assert {("mle", "final"), ("my_gan", "pretrain"), ("my_gan", "final")} <= stages
    nll = {(r["baseline"], r["stage"]): float(r["value"]) for r in rows if r["metric"] == "nll-test" and r["value"]}
    assert nll["my_gan", "pretrain"] == nll["mle", "final"]  # one checkpoint, shared
    assert nll["my_gan", "final"] != nll["my_gan", "pretrain"]
