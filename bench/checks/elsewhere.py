"""The same question put to new processes, each with another hash seed: what hangs on the order of a set shows there.

Imports nothing heavy: the processes start with this module.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.plugins import import_file, module_names

SEEDS = ("1", "2")
CODE = "import json, sys; from bench.checks import elsewhere; elsewhere.answer(*json.load(sys.stdin))"


def ask(question: str, *arguments: Any) -> dict[str, str]:
    """What `question`, a function of this module, gives in processes of their own, by hash seed.

    Raises:
        RuntimeError: one of them failed, with the last line that it said.
    """
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    processes = {seed: _start({**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}) for seed in SEEDS}
    found = {}
    for seed, process in processes.items():
        said, complaints = process.communicate(json.dumps([question, *arguments]))
        if process.returncode:
            raise RuntimeError((complaints.strip().splitlines() or ["it said nothing"])[-1])
        found[seed] = said.split()[-1]
    return found


def _start(environment: Mapping[str, str]) -> subprocess.Popen[str]:
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-c", CODE], env=dict(environment), text=True, **pipes)


def answer(question: str, *arguments: Any) -> None:
    """What the other process does."""
    functions: dict[str, Any] = {"fingerprint": fingerprint, "value": value}
    print(functions[question](*arguments))


def class_at(place: str, plugins: Sequence[str]) -> Any:
    """The class of `module:class`; plug-in files are loaded first."""
    for plugin in plugins:
        path = Path(plugin.rpartition(":")[0] if ".py:" in plugin else plugin)
        # where the asking process has another file of that name, this one has its second name there
        sys.modules.setdefault(module_names(path)[1], import_file(path))
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def fingerprint(
    place: str, plugins: Sequence[str], settings: Mapping[str, Any], data: str | None, fields: Mapping[str, str]
) -> str:
    """Of a task's first rows."""
    from tasks.opening import open_source

    cls = class_at(place, plugins)
    return str(cls(cls.Options(**settings)).load(open_source(data, fields=fields), 20).fingerprint)


def value(name: str, place: str, plugins: Sequence[str], count: int, seed: int) -> str:
    """Of plain texts."""
    import numpy as np

    from bench.checks.texts import plain

    return repr(float(class_at(place, plugins)(name).score(plain(count, np.random.default_rng([seed, 0]))).value))
