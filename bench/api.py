"""The commands as functions: pandas tables in and out, nothing printed, mistakes raised as `bench.errors.UserError`.

`from bench import run, score, compare, load_results`; docs/python-api.md shows them at work.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.config import MAX_SAMPLES, Grid, make_grid, settings_of
from bench.errors import UserError
from bench.frames import RUN, to_frame, to_rows, typed
from metrics.base import MetricError
from tasks.base import DataError

if TYPE_CHECKING:
    from bench.comparing.results import Results
    from bench.outside.external import Place
    from bench.outside.given import Texts
    from bench.outside.scorefile import FileScore

Location = str | os.PathLike[str]
Names = str | Sequence[str]
INTERRUPTED = 130
SCORES = {
    "metric": "str", "decoding": "str", "value": "float64", "ci_low": "float64", "ci_high": "float64",
    "real": "float64", "n": "int64", "higher_is_better": "boolean", "signature": "str", "reason": "str",
}  # fmt: skip


def run(
    grid: str | os.PathLike[str] | Mapping[str, Any] | Grid | None = None,
    *,
    tasks: Names | None = None,
    baselines: Names | None = None,
    against: Names | None = None,
    seeds: int | Sequence[int] | None = None,
    budget: str | None = None,
    data: Location | None = None,
    fields: Mapping[str, str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    plugins: Names | None = None,
    metrics: Names | None = None,
    samples: int | None = None,
    decodings: Names | None = None,
    temperatures: Sequence[float] | None = None,
    limit: int | None = None,
    allow_overlap: bool | None = None,
    out: Location | None = None,
    device: str = "auto",
    workers: int | None = None,
    threads: int = 1,
    deterministic: bool = False,
    overwrite: bool | Names = False,
    progress: str = "none",
) -> pd.DataFrame:
    """Trains, scores and tabulates a grid, as the command `run` does: what is done already is not done again.

    Safe in a notebook and in a script without `if __name__ == "__main__"`. A cell that fails gives a warning, and a row
    whose `status` and `reason` say so.

    Args:
        grid: a TOML file, the name of a grid that comes with the suite, or its content; None: the arguments alone.
        tasks: names, or one text as `"poetry,translation"`; so too the other names.
        baselines: the methods. With `plugins` alone: those of the plug-ins, and `against` (default: mle).
        seeds: how many, or which.
        budget: `smoke`, `small` or `paper`.
        data: a folder of sets, a text file, `hub` or `embedded`.
        fields: our name of a field in the data to theirs.
        settings: by task, method or `task/method`: `{"seqgan": {"rollouts": 32}}`.
        plugins: files of your own methods, tasks and metrics.
        metrics: more of them, beside each task's.
        samples: free tasks: at most this many.
        limit: at most this many rows of each split.
        out: the run directory; None: `results/runs/NAME`.
        overwrite: True, or methods, whose cells made with other settings are done again.
        progress: `none`, `plain` or `live`, on standard error; with the last two the tables are printed too.

    Returns:
        The run's values, as `load_results` gives them for one run.

    Raises:
        UserError: a mistake in what was asked.
        KeyboardInterrupt: stopped; the same call goes on from there.
    """
    from bench.cli import parser
    from bench.verbs.run import RUNS, grid_with, run_grid

    flags: dict[str, Any] = {
        "tasks": _names(tasks), "baselines": _names(baselines), "seeds": seeds, "budget": budget,
        "data": None if data is None else os.fspath(data), "fields": dict(fields) if fields else None,
        "settings": {name: dict(values) for name, values in (settings or {}).items()}, "plugins": _names(plugins),
        "samples": samples, "decodings": _names(decodings), "temperatures": temperatures, "limit": limit,
        "allow_overlap": allow_overlap, "metrics": _names(metrics),
    }  # fmt: skip
    asked: argparse.Namespace = parser().parse_args(["run"])
    asked.device, asked.workers, asked.threads, asked.deterministic = device, workers, threads, deterministic
    asked.progress, asked.out = progress, None if out is None else os.fspath(out)
    asked.overwrite = ("all" if overwrite is True else _names(overwrite)) if overwrite else None
    with _mistakes(), _no_main_module(), _silent(progress == "none"):
        if isinstance(grid, Grid | Mapping):
            chosen = _grid(grid, flags)
        else:
            chosen = grid_with(None if grid is None else os.fspath(grid), flags, _names(against))
        code = run_grid(chosen, asked)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    place = Path(asked.out) if asked.out else RUNS / chosen.name
    found = load_results(place / "results.csv")
    if code != 0:
        lost = found.loc[found["status"].isin(["failed", "diverged"]), "cell"].nunique()
        warnings.warn(f"{lost} cells of {place} have no result: see status and reason", RuntimeWarning, stacklevel=2)
    return found


def score(
    samples: Location | Sequence[str] | None = None,
    *,
    task: str | None = None,
    hf: Location | None = None,
    data: Location | None = None,
    fields: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    allow_overlap: bool = False,
    references: Location | Sequence[str] | None = None,
    sources: Location | Sequence[str] | None = None,
    real: Location | Sequence[str] | None = None,
    train: Location | Sequence[str] | None = None,
    paired: bool = False,
    metrics: Names | None = None,
    plugins: Names | None = None,
    tokens: str | None = None,
    protocol: str = "gantlet-1",
    format: str | None = None,
    text_field: str | None = None,
    references_field: str | None = None,
    sources_field: str | None = None,
    id_field: str | None = None,
    decoding: str | None = None,
    into: Location | None = None,
    name: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    n: int | None = None,
    device: str | None = None,
    workers: int = 1,
) -> pd.DataFrame:
    """Scores samples, a checkpoint, or a finished run anew, as the command `score` does; docs/scoring.md has it all.

    Args:
        samples: a list of texts; the path of a .txt, .jsonl, .json, .csv or .tsv file; or a run or a cell, which is
            scored anew and gives the run's rows as `load_results` does.
        task: score against its test data, with its metrics.
        hf: instead of samples: the folder of a checkpoint, or a name on the hub.
        settings: the task's options.
        references: instead of a task: texts, or a file of them.
        paired: reference i belongs to sample i.
        plugins: files of your own tasks and metrics.
        into: a run directory, to which the scores are added as the row `name` of seed `seed`.

    Returns:
        One row a value: `metric`, `decoding` (empty where it doesn't matter or isn't known), `value` (NaN with a
        `reason`), `ci_low` and `ci_high` (95 %, over items), `real` (of as much real text), `n`, `higher_is_better`
        (NA where nearness to real text counts), `signature`, `reason`.

    Raises:
        UserError: a mistake in what was asked, or in the file.
    """
    from bench.registry import know_metrics, make_task
    from bench.verbs import score as verb

    asked = argparse.Namespace(
        samples=samples, hf=None if hf is None else os.fspath(hf), task=task, data=data, fields=fields,
        settings=settings, references=references, sources=sources, real=real, train=train, paired=paired,
        metrics=_names(metrics), tokens=tokens, protocol=protocol, into=into, name=name, overwrite=overwrite, n=n,
        format=format, text_field=text_field, references_field=references_field, sources_field=sources_field,
        id_field=id_field,
    )  # fmt: skip
    with _mistakes():
        if samples is None and hf is None:
            raise UserError("score needs samples (a list or a path), or hf=PATH_OR_ID.")
        verb.check_flags(asked)
        own = _names(plugins) or ()
        know_metrics(own)
        place = _place(into, name, seed, overwrite)
        origin = _data(data)
        if hf is not None:
            from bench.outside.checkpoint import Data, score_checkpoint

            where = Data(make_task(task, settings or {}, own), origin, fields or {}, allow_overlap) if task else None
            added = score_checkpoint(
                os.fspath(hf), where, place, task=task, decoding=decoding, samples=n or MAX_SAMPLES, seed=seed,
                device=device or "auto",
            )  # fmt: skip
            return _scores(verb.chosen_of(added.scores, asked.metrics), place)
        texts = _texts(samples)
        assert texts is not None, "asked above"
        if isinstance(texts, Path) and verb.kind_of(texts) != "file":
            return _rescored(texts)
        from bench.outside.given import Columns, read_given
        from bench.outside.scorefile import score_file

        columns = Columns(text_field, references_field, sources_field, id_field)
        if place is not None:
            from bench.outside.external import add_samples

            return _scores(add_samples(place, task, read_given(texts, columns, format, decoding)).scores, place)
        found = score_file(
            texts,
            task=make_task(task, settings or {}, own) if task else None,
            data=origin,
            fields=fields or {},
            allow_overlap=allow_overlap,
            references=_texts(references),
            sources=_texts(sources),
            real=_texts(real),
            train=_texts(train),
            paired=paired,
            names=asked.metrics,
            tokens=tokens,
            protocol_name=protocol,
            device=device,
            workers=workers,
            columns=columns,
            form=format,
            decoding=decoding,
        )
    return _scores(found, None)


def compare(
    base: Location | pd.DataFrame,
    new: Location | pd.DataFrame | None = None,
    *,
    method: str | None = None,
    to: str | None = None,
    tasks: Names | None = None,
    metrics: Names | None = None,
    primary_only: bool = False,
    frontier: bool = False,
    tolerance: Names = (),
    alpha: float = 0.05,
    over: str = "auto",
    strict: bool = False,
) -> pd.DataFrame:
    """Sets new results against a base, as the command `compare` does.

    Args:
        base: a run directory, a `results.csv`, or a table that `run` or `load_results` gave. Only a run directory has
            per-item statistics, so only two of them can be compared over items.
        new: another; None: the same one, for `method` against `to`.
        method: only this method of the new results.
        to: the base's method that it is compared with.
        tolerance: differences that are of no concern, as `"0.005"` or `"bleu-2=0.01"`.

    Returns:
        One row a finding: `task`, `method`, `against`, `metric`, `decoding`, `split`, `verdict`, `base`, `new`, `real`,
        `difference`, `low`, `high` (its interval), `p` (Holm-adjusted), and what else the command's JSON has.
        `attrs` has `exit_code`, `summary` and `notes`.

    Raises:
        UserError: nothing in common, or a name that isn't there.
    """
    from bench.comparing.as_json import as_dict
    from bench.comparing.table import Options, compare_results, tolerances

    with _mistakes():
        if to is not None and method is None:
            raise UserError("to=... needs method=..., the method that is compared with it.")
        options = Options(
            method=method or "", to=to or "", tasks=_names(tasks) or (), metrics=_names(metrics) or (),
            primary_only=primary_only, frontier=frontier, tolerances=tolerances(_names(tolerance) or ()),
            alpha=alpha, over=over, strict=strict,
        )  # fmt: skip
        first = _results(base, "base")
        found = as_dict(compare_results(first, first if new is None else _results(new, "new"), options))
    frame = pd.DataFrame(found["findings"]).astype({"higher_is_better": "boolean", "needed": "Int64"})
    frame.attrs = {name: found[name] for name in ("exit_code", "summary", "notes")}
    return frame


def load_results(path: Location | Sequence[Location]) -> pd.DataFrame:
    """The values of one run, or of several.

    Args:
        path: a run directory or a `results.csv`; a list of them adds the column `run`, which says whose a row is.

    Returns:
        One row a value, with the columns of `results.csv` (results/README.md): text columns are `str`; `seed` is the
        nullable `Int64` and `higher_is_better` the nullable `boolean`; `primary` is `bool`; `task_version`, `n` and
        `parameters` are `int64`; `value`, `ci_low`, `ci_high`, `train_seconds` and `peak_memory_mb` are `float64`, NaN
        where there is none (`reason` says why).

    Raises:
        UserError: no such run, or a file with other columns.
    """
    from bench.comparing.table import read

    with _mistakes():
        if isinstance(path, str | os.PathLike):
            return to_frame(read(os.fspath(path)).rows)
        names = [os.fspath(each) for each in path]
        if not names:
            raise UserError("load_results needs a run directory or a results.csv, or several.")
        frames = [to_frame(read(name).rows).assign(**{RUN: name}) for name in names]
        return pd.concat(frames, ignore_index=True).astype({RUN: "str"})


def _grid(grid: Mapping[str, Any] | Grid, flags: Mapping[str, Any]) -> Grid:
    content = grid.model_dump() if isinstance(grid, Grid) else dict(grid)
    if "set" in content:
        content["settings"] = settings_of(content.pop("set"), "the grid")
    return make_grid(content, flags, "the grid")


def _names(names: Names | None) -> tuple[str, ...] | None:
    if isinstance(names, str):
        return tuple(name.strip() for name in names.split(",") if name.strip())
    return None if names is None else tuple(names)


def _texts(texts: Location | Sequence[str] | None) -> Texts | None:
    if texts is None:
        return None
    return Path(texts) if isinstance(texts, str | os.PathLike) else list(texts)


def _data(data: Location | None) -> str:
    from bench.plan import resolve_data

    return resolve_data(Grid(data=None if data is None else os.fspath(data)))


def _place(into: Location | None, name: str | None, seed: int, overwrite: bool) -> Place | None:
    if into is None:
        return None
    from bench.outside.external import Place

    assert name is not None, "`check_flags` has asked"
    return Place(Path(into), name, seed, overwrite)


def _scores(scores: Sequence[FileScore], place: Place | None) -> pd.DataFrame:
    if place is not None:
        from bench.verbs.score import refresh

        refresh(place.store)
    records = [{**each.as_dict(), "higher_is_better": each.score.higher_is_better} for each in scores]
    return typed(records, SCORES)


def _rescored(path: Path) -> pd.DataFrame:
    from bench.store import RunStore
    from bench.verbs.score import refresh, rescored

    is_run = (path / "cells").is_dir()
    store = RunStore(path if is_run else path.parents[1])
    for _ in rescored(store, None if is_run else path.name):
        pass
    refresh(store)
    return load_results(store.path)


def _results(given: Location | pd.DataFrame, name: str) -> Results:
    from bench.comparing.table import Results, read

    if isinstance(given, pd.DataFrame):
        return Results(str(given.attrs.get(RUN, name)), to_rows(given))
    return read(os.fspath(given))


@contextlib.contextmanager
def _mistakes() -> Iterator[None]:
    """One kind of error for all that a caller can mend."""
    try:
        yield
    except (DataError, MetricError) as mistake:
        raise UserError(str(mistake)) from None


@contextlib.contextmanager
def _silent(wanted: bool) -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()) if wanted else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Processes that are started import the caller's script anew, which would run it again; ours need nothing of it."""
    before = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = before
