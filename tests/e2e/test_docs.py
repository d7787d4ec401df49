"""Every command and every piece of code in the documents is run, in a folder that has what the documents suppose.

A `run` is cut down by flags put behind it (few rows, one seed, an epoch, one task), and without a plug-in it is planned
but not trained: tests of the command train. Benchmarks and `make` are looked up. A block that can't be run at all
stands below a comment `<!-- not run: the reason -->`.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.cli import main
from bench.config import make_grid
from tasks.embedded import rows

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "results" / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]+) -->\n+)?^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^ *```",
    re.M | re.S,
)
SHELL, TEXT = ("sh", "bash", "console"), ("", "text", "csv", "json", "xml", "yaml", "html", "latex", "markdown", "diff")
SETS = {"poetry": "poetry_jueju5", "poetry7": "poetry_jueju7", "speech": "speech_obama", "captions": "caption_coco",
         "translation": "mt_en_fr", "summarization": "sum_arxiv", "dialogue": "dialogue_selfdialogue"}  # fmt: skip
CUT = ["--limit", "60", "--seeds", "1", "--budget", "smoke", "--samples", "30", "--temperatures", "1", "--overwrite"]
for setting in (
    "mle.epochs=1",
    "seqgan.mle.epochs=1",
    "seqgan.rounds=1",
    "seqgan.d_pretrain_steps=1",
    "maskgan.rounds=1",
):
    CUT += ["--set", setting]
METRIC = """
import numpy as np

from metrics.base import MeanMetric


class MyMetric(MeanMetric):
    name, summary, higher_is_better = "my_metric", "share of texts with an a in it", True

    def values(self, work):
        return np.array([("a" in text) for text in work.material.samples], dtype=np.float64)

    def fields(self, material):
        return {"hyps": str(len(material.samples))}
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Block:
    """A fenced block, and where it stands."""

    page: Path
    line: int
    language: str
    body: str
    why: str | None

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """Words of each command, prompts and comments left out; of a `console` only what stands behind a `$`."""
        lines = self.body.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line.strip()[2:] for line in lines if line.strip().startswith("$ ")]
        found = (shlex.split(line, comments=True) for line in lines)
        return [words for words in found if words]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("body"))
        yield Block(page, line, found["language"], found["body"], found["why"])


ALL = [block for page in PAGES for block in blocks(page)]


def of(*languages: str) -> list[Block]:
    return [block for block in ALL if block.language in languages and block.why is None]


@functools.cache
def gantlet(*words: str, cwd: Path) -> None:
    """`python run_bench.py WORDS` within this process, once; a mistake in the call or a crash is a failure here."""
    if not words or words[0] == "run":
        named = "--tasks" in words or "docs/examples/my_task.py" in words
        words = (*(words or ("run",)), *CUT, *(() if named else ("--tasks", "poetry")))
        words = words if "--plugin" in words else (*words, "--dry-run")
    if words[0] == "doctor" or "--dry-run" in words:
        words = (*words, "--probe", "0")
    said = io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(words)
    assert code in (0, 1), f"{shlex.join(words)}\n{said.getvalue()}"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the documents suppose: data, text of one's own, a method of one's own, a finished run."""
    place = tmp_path_factory.mktemp("workshop")
    for name in ("run_bench.py", "docs", "tests", "Makefile", "pyproject.toml"):
        (place / name).symlink_to(ROOT / name)
    for name, dataset in SETS.items():
        for split in ("train", "valid", "test"):
            file = place / "DIR" / dataset / f"{split}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(json.dumps(row) + "\n" for row in rows(name, split)[:200]), encoding="utf-8")
    captions = [str(row["text"]) for row in rows("captions", "train")]
    for name, lines in {"samples.txt": captions[:60], "test.txt": captions[60:160], "mine.txt": captions[:300]}.items():
        (place / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (place / "my.txt").write_text((place / "mine.txt").read_text())
    (place / "captions.jsonl").write_text("".join(json.dumps({"caption": text}) + "\n" for text in captions[:300]))
    (place / "my_gan.py").write_text((ROOT / "docs" / "examples" / "my_gan.py").read_text())
    words = "run --tasks poetry,captions --plugin my_gan.py --baselines mle,my_gan,maskgan --out results/runs/mine"
    gantlet(*words.split(), cwd=place)
    write_more(place, captions[:60])
    return place


def write_more(place: Path, lines: list[str]) -> None:
    """Files of samples in other forms, a grid, and a metric of one's own."""
    records = [{"index": i, "text": text, "target": lines[i - 1]} for i, text in enumerate(lines)]
    (place / "samples.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    with (place / "answers.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ("text", "target"), extrasaction="ignore")
        table.writeheader()
        table.writerows(records)
    (place / "mine.toml").write_text('tasks = ["poetry"]\nbaselines = ["ngram"]\nseeds = 1\n')
    (place / "mine.py").write_text(METRIC)


def placed(words: list[str], place: Path) -> list[str]:
    """Folders of cells that the shell would have found by their pattern."""
    found: list[str] = []
    for word in words:
        matches = sorted(str(path.relative_to(place)) for path in place.glob(word)) if "*" in word else []
        found += matches or [word]
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("block", of(*SHELL), ids=lambda block: block.place)
def test_commands_run(block: Block, request: pytest.FixtureRequest) -> None:
    if {command[0] for command in block.commands} <= {"make", "pip"} or "tests/speed" in block.body:
        for command in block.commands:
            look_up([word for word in command if not re.fullmatch(r"[A-Z_]+=\S*", word)])
        return
    workshop = request.getfixturevalue("workshop")
    for command in block.commands:
        words = placed(command, workshop)
        if words[:2] == ["python", "run_bench.py"]:
            gantlet(*words[2:], cwd=workshop)
        elif words[:2] == ["python", "-m"]:
            say = subprocess.run([sys.executable, *words[1:]], cwd=workshop, check=True, capture_output=True, text=True)
            if block.language == "console":
                assert say.stdout.strip() == block.body.partition("\n")[2].strip()
        else:
            pytest.fail(f"{block.place}: no test knows what to do with {shlex.join(command)}")


def look_up(words: list[str]) -> None:
    """What is too long to be run, or would change the environment: its targets, extras or tests exist."""
    if words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
        assert set(words[1:]) <= set(targets), words
    elif words[0] == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        asked = re.findall(r"\[([a-z,]+)\]", " ".join(words))
        assert {name for group in asked for name in group.split(",")} <= set(extras), words
    elif "-k" in words:
        ended = subprocess.run([sys.executable, "-m", *words, "--collect-only", "-q"], cwd=ROOT, check=False)
        assert ended.returncode == 0, words
    else:
        assert all((ROOT / word).exists() for word in words if word.startswith("tests")), words


OF_PAGES = {block.page for block in of("python")} - {ROOT / "docs" / "python-api.md"}  # it has a test of its own


@pytest.mark.parametrize("page", sorted(OF_PAGES), ids=lambda page: page.name)
def test_python_runs_from_the_top_of_a_page_to_its_end(page: Path, workshop: Path) -> None:
    code = "\n\n".join(block.body for block in blocks(page) if block.language == "python" and block.why is None)
    ended = subprocess.run(
        [sys.executable, "-"], cwd=workshop, input=code, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, f"{page}\n{ended.stderr}"


@pytest.mark.parametrize("block", of("toml"), ids=lambda block: block.place)
def test_grids_are_grids(block: Block) -> None:
    table = tomllib.loads(block.body)
    if "tasks" in table:
        make_grid({"name": "doc", **table}, {}, block.place)


def test_no_command_hides_in_a_block_without_its_language() -> None:
    assert ALL, "no block found: the pattern is wrong"
    assert {block.language for block in ALL} <= {*SHELL, *TEXT, "python", "toml"}
    for block in ALL:
        if block.language in TEXT:
            hidden = re.search(r"^ *(python|pytest|make|pip|OMP_NUM_THREADS=\d+) ", block.body, re.M)
            assert hidden is None or block.why, f"{block.place}: name its language, sh"


def test_the_front_page_shows_what_is_there() -> None:
    """Its piece of code is one of the example's, its table one of the committed leaderboard's, its picture a file."""
    front = (ROOT / "README.md").read_text()
    (method,) = (block for block in blocks(ROOT / "README.md") if (block.why or "").startswith("an excerpt"))
    assert method.body in (ROOT / "docs" / "examples" / "my_method_repo" / "my_method.py").read_text() + "\n"
    board = (ROOT / "results" / "reference" / "leaderboard.md").read_text()
    beam = board[board.index("## translation") :].partition("**test, beam5@1,")[2].partition("**test,")[0]
    rows = [line for line in front.splitlines() if line.startswith(("| mle |", "| seqgan"))]
    assert len(rows) == 3
    for line in rows:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        (same,) = (row for row in beam.splitlines() if row.startswith(f"| {cells[0]} |"))
        assert set(cells) <= {cell.strip() for cell in same.split("|")}
    (quoted,) = re.findall(r"^> (.+)$", front, re.M)
    assert f"- {quoted}" in beam
    assert all((ROOT / path).exists() for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", front))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), f"{page}: {target}"
