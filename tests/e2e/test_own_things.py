"""A task and a metric of one's own, by the commands of docs/add-a-task.md: run, scored later, added to, reported."""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path

import pytest

from bench.cli import main

ROOT = Path(__file__).parents[2]
TASK = ROOT / "docs" / "examples" / "my_task.py"
QUICK = ["--baselines", "mle", "--seeds", "1", "--budget", "smoke", "--set", "mle.epochs=1", "--temperatures", "1"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def gantlet(*words: object) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main([str(word) for word in words])
    assert code == 0, said.getvalue()
    return said.getvalue()


def values(run: Path, metric: str) -> dict[str, float]:
    with (run / "results.csv").open() as file:
        return {row["baseline"]: float(row["value"]) for row in csv.DictReader(file) if row["metric"] == metric}


def test_a_task_and_its_metric_from_a_run_to_its_report(tmp_path: Path) -> None:
    lines, run = tmp_path / "mine.txt", tmp_path / "run"
    lines.write_text("".join(f"buy {n} apples for {n % 7} pence{'.' * (n % 2)}\n" for n in range(200)))
    gantlet("run", "--plugin", TASK, "--data", lines, *QUICK, "--out", run)
    assert values(run, "finished").keys() == {"real", "shuffled", "mle"}
    theirs = tmp_path / "theirs.txt"
    theirs.write_text("buy a pear.\nbuy a plum\n" * 5)
    assert "finished|hyps:10|data:slogans" in gantlet(
        "score", theirs, "--task", "slogans", "--plugin", TASK, "--data", lines
    )
    gantlet("score", theirs, "--into", run, "--as", "theirs")
    assert values(run, "finished")["theirs"] == 0.5
    assert gantlet("score", run).count("scored slogans.") == 4
    assert values(run, "finished")["theirs"] == 0.5
    gantlet("report", run, "--out", tmp_path / "site")
    page = (tmp_path / "site" / "protocol.html").read_text()
    assert "share of texts that end in . ! or ?" in page
    assert f"--plugin {TASK}" in page


def test_a_metric_is_added_to_a_run_that_is_there(tmp_path: Path) -> None:
    run, metric = tmp_path / "run", tmp_path / "metric.py"
    head, _, finished = TASK.read_text().partition("class Finished")
    metric.write_text(f"{head[: head.index('class Slogan')]}class Finished{finished}")
    asked = ["run", "--tasks", "captions", "--data", "embedded", "--limit", "80", *QUICK, "--out", run]
    gantlet(*asked)
    assert values(run, "finished") == {}
    drawn = {path: path.stat().st_mtime_ns for path in run.glob("cells/*/*") if path.name.startswith(("samp", "model"))}
    assert len(drawn) > 4
    said = gantlet(*asked, "--plugin", metric, "--metrics", "empty")
    assert "3 done of 3 cells" in said
    assert {path: path.stat().st_mtime_ns for path in drawn} == drawn  # neither trained nor drawn again
    assert values(run, "finished").keys() == values(run, "empty").keys() == {"real", "shuffled", "mle"}
    assert "3 cells are done already; 0 to do" in gantlet(*asked, "--plugin", metric, "--metrics", "empty")
