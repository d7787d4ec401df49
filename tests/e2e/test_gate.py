"""The regression gate of docs/ci-gate.md: the page's commands and the workflow's, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.report.longfile import read_results, write_results

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "ci-gate.md"
WORKFLOW = ROOT / "docs" / "examples" / "ci" / "gantlet.yml"
NEEDS_GITHUB = {"install", "comment"}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def steps() -> dict[str, str]:
    """The `run` of each named step; a block's indentation goes."""
    found = {}
    for block in re.split(r"^ {6}- ", WORKFLOW.read_text(), flags=re.MULTILINE)[1:]:
        name = re.match(r"name: (\S+)", block)
        command = re.search(r"^ {8}run: (?:\|\n((?:^ {10}.*\n)+)|(.+))", block, flags=re.MULTILINE)
        if name and command:
            found[name[1]] = command[1] or command[2]
    return found


def shell_blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As a clone would be: the command and the docs, and nothing in results/."""
    for name in ("run_bench.py", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return tmp_path


def shell(command: str, where: Path) -> subprocess.CompletedProcess[str]:
    """As a runner does it: bash, ended by the first command that fails."""
    env = {**os.environ, "PATH": f"{where / 'bin'}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(where / "summary")}
    words = ["bash", "-e", "-o", "pipefail", "-c", command]
    return subprocess.run(words, cwd=where, env=env, capture_output=True, text=True, check=False)


def test_the_steps_are_found() -> None:
    assert list(steps()) == ["install", "run", "compare", "summary", "comment"]
    yaml = pytest.importorskip("yaml", reason="PyYAML isn't here: the steps are read by pattern alone")
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    as_yaml = {step["name"]: step["run"] for step in jobs["gate"]["steps"] if "run" in step}
    assert {name: run.split() for name, run in as_yaml.items()} == {name: run.split() for name, run in steps().items()}


def test_reference_made_then_the_workflow_passes_and_fails(checkout: Path) -> None:
    first = shell_blocks()[0]
    assert "ci/reference" in first
    ended = shell(first, checkout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for name, command in steps().items():
        if name not in NEEDS_GITHUB:
            ended = shell(command, checkout)
            assert ended.returncode == 0, name + ended.stdout + ended.stderr
    assert (checkout / "summary").read_text().startswith("**passed: 50 same")
    assert ElementTree.parse(checkout / "gate" / "gate.xml").getroot().get("failures") == "0"

    table = checkout / "ci" / "reference" / "results.csv"
    rows = read_results(table)
    better = [
        row.model_copy(update={"value": row.value - 1 - 0.001 * (row.seed or 0)})
        if (row.baseline, row.metric) == ("mle", "nll-test")
        else row
        for row in rows
    ]
    write_results(better, table)
    ended = shell(steps()["compare"], checkout)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "FAILED: 1 worse" in ended.stdout
    failures = ElementTree.parse(checkout / "gate" / "gate.xml").getroot().iter("failure")
    assert [each.get("type") for each in failures] == ["worse"]
    found = json.loads((checkout / "gate" / "gate.json").read_text())["findings"]
    assert [each["metric"] for each in found if each["fails"]] == ["nll-test"]
    assert shell(steps()["summary"], checkout).returncode == 0
    assert "**FAILED: 1 worse" in (checkout / "summary").read_text()

    gone = [row for row in rows if row.baseline != "ngram"]
    write_results(
        [*gone, *(row.model_copy(update={"baseline": "nnlm"}) for row in rows if row.baseline == "ngram")], table
    )
    ended = shell(steps()["compare"], checkout)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "poetry.nnlm" in ended.stdout
    assert "lost (not in results/runs/gate)" in ended.stdout

    write_results([row.model_copy(update={"signature": f"{row.signature}0"}) for row in rows], table)
    ended = shell(steps()["compare"], checkout)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "they are not the same measurement" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_pages_example_says_what_the_page_shows() -> None:
    command, shown = re.findall(
        r"^```sh\n([^`]*results/reference[^`]*)^```\n+```\n(.*?)^```", PAGE.read_text(), re.M | re.S
    )[0]
    words = command.replace("\\\n", " ").split()
    assert words[:3] == ["python", "run_bench.py", "compare"]
    ended = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    said = ended.stdout.splitlines()
    for line in shown.splitlines():
        assert line in said
