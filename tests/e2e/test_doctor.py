"""`doctor` and `run --dry-run` as a person types them: what they say, and that the time told is about that taken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
GRID = ("--tasks", "poetry", "--baselines", "mle,seqgan", "--seeds", "2", "--data", "embedded", "--limit", "150",
        "--budget", "smoke", "--temperatures", "1.0", "--samples", "60", "--set", "mle.epochs=3", "--set",
        "seqgan.mle.epochs=3", "--set", "seqgan.rounds=2", "--set", "seqgan.d_pretrain_steps=1", "--workers", "2",
        "--device", "cpu")  # fmt: skip


def gantlet(*words: str, cache: Path, **variables: str) -> tuple[int, str, str]:
    env = {name: value for name, value in os.environ.items() if name != "GANTLET_DATA"}
    env |= {"GANTLET_CACHE": str(cache), **variables}
    command = [sys.executable, str(ROOT / "run_bench.py"), *words]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def test_the_doctor_tells_what_is_here(tmp_path: Path) -> None:
    code, out, err = gantlet("doctor", "--quick", "--out", str(tmp_path), "--device", "cpu", cache=tmp_path)
    assert code == 0, out + err
    for part in (
        "problems",
        "python ",
        "torch ",
        "CUDA ",
        "cores ",
        "memory ",
        "disk ",
        "extras",
        "embedded",
        "--quick",
    ):
        assert part in out, part
    assert "Traceback" not in err
    nowhere = str(tmp_path / "nowhere")
    code, out, _ = gantlet("doctor", "--quick", "--device", "cpu", cache=tmp_path, GANTLET_DATA=nowhere)
    assert code == 0  # the quickstart's data are embedded
    assert f"GANTLET_DATA={nowhere}: no such file or folder" in out
    code, out, _ = gantlet("doctor", "--quick", "--device", "cpu", "--json", cache=tmp_path)
    told = json.loads(out)
    assert told["machine"]["torch"]["version"]
    assert told["time"] is None
    assert {"hub", "transformers"} <= {extra["name"] for extra in told["extras"]}


def test_what_keeps_the_quickstart_from_running_is_exit_code_1(tmp_path: Path) -> None:
    code, out, _ = gantlet("doctor", "--device", "cuda", cache=tmp_path, CUDA_VISIBLE_DEVICES="")
    assert code == 1
    assert "stops the quickstart: --device cuda" in out
    assert "the problems above come first" in out


def test_the_doctor_works_where_torch_does_not(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; from bench.cli import main; sys.exit(main(['doctor', '--quick']))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "stops the quickstart: torch can't be imported" in ended.stdout
    assert 'pip install "torch' in ended.stdout
    assert "Traceback" not in ended.stderr


def test_a_mistake_in_what_is_asked_is_one_line(tmp_path: Path) -> None:
    code, _, err = gantlet("doctor", "nothing.toml", "--quick", cache=tmp_path)
    assert (code, err.count("error: ")) == (2, 1)
    assert "no grid file nothing.toml" in err
    code, _, err = gantlet("doctor", "--probe", "-1", cache=tmp_path)
    assert code == 2


@pytest.mark.thorough
def test_the_time_told_before_is_about_the_time_taken(tmp_path: Path) -> None:
    """The promise is a factor of two on a machine that does nothing else; a test machine is given five."""
    cache, out_dir = tmp_path / "cache", tmp_path / "run"
    code, out, err = gantlet("run", *GRID, "--dry-run", "--probe", "30", "--out", str(out_dir), cache=cache)
    assert code == 0, out + err
    assert len(re.findall(r"to do  poetry\.(?:mle|seqgan)\.s[01]\.\w+ .*\(probed\)", out)) == 4, out
    assert re.search(r"time: about .* with 2 at a time \(.* to .*; cells 6 by a probe\)", out), out
    assert not out_dir.exists()

    code, out, err = gantlet("run", *GRID, "--out", str(out_dir), "--progress", "none", cache=cache)
    assert code == 0, out + err
    assert "from what ran or was probed here before" in out
    told = re.search(r"6 done of 6 cells in (\d+) s \(estimated (.+), took .+\)", out)
    assert told, out
    estimated = in_seconds(told.group(2))
    assert float(told.group(1)) / 5 <= estimated <= 5 * float(told.group(1))

    # what is done takes no time; another seed is known from those that ran, without a probe
    code, out, err = gantlet("run", *GRID, "--dry-run", "--out", str(out_dir), cache=cache)
    assert "nothing is left to do" in out
    more = [word if word != "2" or GRID[place - 1] != "--seeds" else "3" for place, word in enumerate(GRID)]
    code, out, err = gantlet("run", *more, "--dry-run", "--probe", "0", "--out", str(out_dir), cache=cache)
    assert out.count(" done   ") == 6
    assert len(re.findall(r"to do  poetry\.\w+\.s2\.\w+ .*\(measured on 2 cells\)", out)) == 2, out


def in_seconds(text: str) -> float:
    units = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+) (s|min|h|d)\b", text))
