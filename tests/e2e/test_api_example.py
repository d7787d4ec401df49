"""docs/python-api.md, as a person would type it: a script without a main guard, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "python-api.md"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def python(folder: Path, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    env.pop("GANTLET_DATA", None)
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=env, input=stdin, capture_output=True, text=True, check=False)


def test_the_page_prints_what_it_says(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    code = "\n".join(text for kind, text in blocks if kind == "python")
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    ended = python(tmp_path, "example.py")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "".join(text for kind, text in blocks if kind == "text")
    assert ended.stderr == ""


SMALL = (
    "from bench import run; found = run(tasks='poetry', baselines='ngram', seeds=1, data='embedded', limit=40, "
    "temperatures=(), out='runs/x'); print(len(found), set(found.status))\n"
)


@pytest.mark.parametrize(("words", "stdin"), [(("-c", SMALL), None), (("-",), SMALL)])
def test_without_a_file(tmp_path: Path, words: tuple[str, ...], stdin: str | None) -> None:
    """As in a notebook, where no file could be imported again."""
    ended = python(tmp_path, *words, stdin=stdin)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    count, _, statuses = ended.stdout.partition(" ")
    assert int(count) > 20
    assert "done" in statuses
    assert "failed" not in statuses
