"""Who may import whom: read from the code itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import baselines

ROOT = Path(__file__).parents[2]
ROOMS = ("bench", "baselines", "metrics", "tasks")
ALLOWED = {
    "metrics": {"metrics"},
    "tasks": {"tasks"},
    "baselines": {"baselines", "tasks"},
    "bench": {"bench", "baselines", "metrics", "tasks"},
}
# a language model of numbers alone, which both a metric and a method are made of
LENT = {"ngram.py": {"metrics.kneser_ney", "metrics.ngrams"}}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_lies_below(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        ours = {name for name in imports(file) if name.split(".")[0] in ROOMS}
        strangers = {name for name in ours if name.split(".")[0] not in ALLOWED[room]} - LENT.get(file.name, set())
        assert not strangers, f"{file.relative_to(ROOT)} imports {strangers}"
        if room == "baselines":
            deep = {name for name in ours if name.startswith("tasks") and name != "tasks.base"}
            assert not deep, f"{file.relative_to(ROOT)} knows more of tasks than tasks.base: {deep}"


def test_no_method_imports_another() -> None:
    methods = {place.partition(":")[0] for place in baselines.BUILTIN.values()}
    assert {"baselines.mle", "baselines.seqgan", "baselines.leakgan"} <= methods
    for name in methods:
        assert not imports(ROOT / f"{name.replace('.', '/')}.py") & (methods - {name})


def test_help_needs_no_heavy_import() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from bench.cli import parser\n"
        "parser().format_help()\n"
        "heavy = {'torch', 'numpy', 'pandas', 'nltk', 'sacrebleu', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
