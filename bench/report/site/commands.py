"""The command that makes a row of a table again, from what its cells were asked to do."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.config import MAX_SAMPLES, SWEEP, Grid
from bench.report.layout import REFERENCE_ROWS
from bench.report.site.facts import Facts

_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


def command(cells: Sequence[Facts], grid: Grid | None, out: str) -> str:
    """`python run_bench.py run ...` for the cells of one row, which differ in their seeds alone.

    Settings are those of the run's grid; of a cell that this grid doesn't hold (a later command on the same directory
    wrote another), all that its own file says.
    """
    first, spec = cells[0], cells[0].spec
    words = ["--tasks", spec.task, "--baselines", "" if spec.baseline in REFERENCE_ROWS else spec.baseline]
    words += ["--seeds", _seeds(cells), "--budget", spec.budget, "--data", spec.data]
    words += [word for ours, theirs in spec.fields.items() for word in ("--field", f"{ours}={theirs}")]
    words += [word for plugin in spec.plugins for word in ("--plugin", plugin)]
    installed = [name for name, file in spec.metrics.items() if not file]
    words += ["--metrics", ",".join(installed)] if installed else []
    words += ["--limit", str(spec.limit)] if spec.limit else []
    words += ["--samples", str(spec.samples)] if spec.samples != MAX_SAMPLES else []
    words += ["--decodings", ",".join(spec.decodings)] if spec.decodings else []
    if first.about.get("kind") == "free" and spec.temperatures != SWEEP:
        words += ["--temperatures", ",".join(map(str, spec.temperatures))]
    words += ["--allow-overlap"] if spec.allow_overlap else []
    for name, options in _settings(first, grid).items():
        words += [word for key, value in leaves(options) for word in ("--set", f"{name}.{key}={literal(value)}")]
    return shlex.join(["python", "run_bench.py", "run", *words, *_machine(first.model), "--out", out])


def _seeds(cells: Sequence[Facts]) -> str:
    """Reference rows have the first seed of all; without a method nothing is done for the others."""
    first = cells[0].spec
    if first.baseline in REFERENCE_ROWS and first.seed > 0:
        return f"{first.seed},"
    return seeds([cell.spec.seed for cell in cells])


def seeds(asked: Sequence[int]) -> str:
    """As `--seeds` reads them: one number is a count, and with a comma behind it that seed alone."""
    ordered = sorted(set(asked))
    if ordered == list(range(len(ordered))):
        return str(len(ordered))
    return ",".join(map(str, ordered)) + ("," if len(ordered) == 1 else "")


def _machine(model: Mapping[str, Any]) -> list[str]:
    """Where the last bit depends on it: the kind of device, threads, deterministic kernels."""
    around, device = model.get("environment", {}), model.get("device", "")
    words = ["--device", "cpu" if device == "cpu" else "cuda"] if device else []
    words += ["--threads", around["threads"]] if around.get("threads", "1") != "1" else []
    return words + (["--deterministic"] if around.get("deterministic") == "true" else [])


def _settings(cell: Facts, grid: Grid | None) -> dict[str, Mapping[str, Any]]:
    spec = cell.spec
    if grid is None or not _holds(grid, cell):
        return {spec.task: spec.task_options, spec.baseline: spec.config}
    names = (spec.task, spec.baseline, f"{spec.task}/{spec.baseline}")
    return {name: grid.settings[name] for name in names if name in grid.settings}


def _holds(grid: Grid, cell: Facts) -> bool:
    """The grid asks for this cell, with nothing that the cell has otherwise."""
    spec = cell.spec
    asked = spec.task in grid.tasks and spec.seed in grid.seeds and grid.budget in (None, spec.budget)
    asked = asked and (spec.baseline in grid.baselines or spec.baseline in REFERENCE_ROWS)
    last = {**dict(leaves(grid.settings.get(spec.baseline, {})))}
    last |= dict(leaves(grid.settings.get(f"{spec.task}/{spec.baseline}", {})))
    own, options = dict(leaves(spec.config)), dict(leaves(spec.task_options))
    theirs = [(own, last), (options, dict(leaves(grid.settings.get(spec.task, {}))))]
    return asked and all(_same(have.get(key), value) for have, want in theirs for key, value in want.items())


def _same(have: Any, want: Any) -> bool:
    return json.dumps(have, sort_keys=True) == json.dumps(want, sort_keys=True) or have == want


def leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """`net.hidden`, 256: what stands at the ends; nothing for what is not set (null), which no flag can say."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{above}{key}.")
        elif value is not None and value != {}:
            yield f"{above}{key}", value


def literal(value: Any) -> str:
    """As TOML, which is how `--set` reads it; a plain word needs no quotes."""
    if isinstance(value, str):
        plain = value and value[0].isalpha() and all(mark in _WORD for mark in value)
        return value if plain and value not in ("true", "false", "inf", "nan") else _quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(str(key))} = {_inside(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inside, value)) + "]"
    return json.dumps(value)


def _inside(value: Any) -> str:
    return _quoted(value) if isinstance(value, str) else literal(value)


def _quoted(text: str) -> str:
    """A string of JSON is one of TOML, but for surrogate pairs as escapes and a bare delete."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
