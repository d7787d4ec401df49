"""docs/examples/my_method_repo: a repository of somebody's own method; its tests are run as its owner would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "docs" / "examples" / "my_method_repo"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy, so that nothing is written into the docs."""
    return Path(shutil.copytree(REPOSITORY, tmp_path / "repo", ignore=shutil.ignore_patterns("__pycache__", ".*")))


def run_tests(repository: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Runs its tests. Where Gantlet was installed before it had the plug-in, that is put on the path by hand."""
    path, plugin = [str(ROOT)], []
    if not any(point.name == "gantlet" for point in entry_points(group="pytest11")):
        beside = repository.parent / "installed"
        beside.mkdir(exist_ok=True)
        if not (beside / "gantlet").exists():
            (beside / "gantlet").symlink_to(ROOT / "bench" / "gantlet")
        path, plugin = [*path, str(beside)], ["-p", "gantlet.testing"]
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", *plugin, *flags]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, env=environment)


def test_its_test_file_has_five_lines() -> None:
    lines = (REPOSITORY / "tests" / "test_my_method.py").read_text().splitlines()
    assert len(lines) <= 5


def test_the_package_offers_the_plugin() -> None:
    """`gantlet.testing` comes with the installation, and pytest finds it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"]["gantlet"] == "gantlet.testing"
    assert project["tool"]["setuptools"]["package-dir"]["gantlet"] == "bench/gantlet"
    assert {"gantlet", "bench.checks"} <= set(project["tool"]["setuptools"]["packages"])


@pytest.mark.slow
def test_its_tests_pass_an_item_for_each_check(repository: Path) -> None:
    from bench.checks.methods import CHECKS

    ended = run_tests(repository, "-v", "-rs")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for check in CHECKS:
        assert f"test_conformance[{check.name}]" in ended.stdout
    assert "reads no sources: free tasks only" in ended.stdout  # why a check is skipped


@pytest.mark.slow
def test_a_change_for_the_worse_fails_with_what_where_and_the_remedy(repository: Path) -> None:
    file = repository / "my_method.py"
    right = "self.logits[present] / temperature"
    assert right in file.read_text()
    file.write_text(file.read_text().replace(right, "self.logits[present] / temperature / 0.8"))
    ended = run_tests(repository, "-k", "sampling or supports")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "1 failed, 1 passed" in ended.stdout
    assert "are not those of token_log_probs" in ended.stdout
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if "def sample" in text)
    assert f"my_method.py:{line - 1} (Bigrams.sample)" in ended.stdout  # its decorator's line
    assert "to do: let both read one distribution" in ended.stdout


@pytest.mark.slow
def test_fixtures_and_mistakes(repository: Path) -> None:
    (repository / "tests" / "test_more.py").write_text(
        "import pytest\n"
        "from gantlet.testing import conformance\n"
        "from my_method import MyMethod\n\n"
        'test_named = conformance("bleu-2", only=("order-does-not-matter",))\n\n\n'
        '@pytest.mark.gantlet(MyMethod, settings={"steps": 5})\n'
        "def test_own(gantlet_trial):\n"
        '    assert gantlet_trial.trained("varied").run.safe_points == 5\n'
    )
    ended = run_tests(repository, "tests/test_more.py", "-v", "--strict-markers")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout
    for mistake, said in (
        ('conformance(MyMethod, only=("trainin-repeats",))', "Did you mean training-repeats"),
        ("conformance(int)", "int is no Baseline, Task or Metric"),
        ('conformance("bleu2")', "Did you mean bleu-2"),
    ):
        (repository / "tests" / "test_more.py").write_text(
            f"from gantlet.testing import conformance\nfrom my_method import MyMethod\n\ntest_wrong = {mistake}\n"
        )
        ended = run_tests(repository, "tests/test_more.py")
        assert ended.returncode in (2, 4), ended.stdout
        assert said in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
