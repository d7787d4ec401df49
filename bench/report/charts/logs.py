"""Training curves from a run directory: each cell's own log, with those of the shared pre-training that it began from.

A cell does not record which pre-training it took. It is found again: the folder's name is a hash of the pre-training's
spec, the data and the seed, so data and seed are certain; the spec must stand in the cell's own configuration; and the
cell's log must begin where the pre-training's time ended. What doesn't fit all three is left out, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config import CellSpec, content_hash
from bench.errors import UserError
from bench.store import CellStore, RunStore, read_json
from bench.tracking import NOT_CURVES, read_log

NAMES = frozenset({"method", "version", "latent_version"})  # of a spec: what a configuration doesn't hold
EARLY = frozenset({"pretrain", "maskmle"})  # stages of a cell's own log that come before the boundary
SEARCHES = frozenset({"heat", "search"})  # a record is a trial of a search: its settings are no curves
SLACK = 2.0  # seconds by which a log may begin before its pre-training ended: figures are rounded


@dataclass(frozen=True)
class Point:
    """One record of a curve.

    Attributes:
        steps: as its stage counts them, the earlier stages' added.
        seconds: since training began, the shared pre-training's time counted.
        early: of the pre-training.
    """

    stage: str
    step: int
    steps: int
    seconds: float
    early: bool
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Course:
    """One cell's training.

    Attributes:
        boundary: the second, and the step, at which pre-training ended; None where there was none, or nothing after it.
        end: the second of the last record.
    """

    baseline: str
    config_hash: str
    seed: int
    cell: str
    points: tuple[Point, ...]
    boundary: tuple[float, int] | None
    end: float


@dataclass(frozen=True)
class Pretraining:
    """A finished folder of `pretrained/`."""

    folder: Path
    spec: Mapping[str, Any]
    seconds: float


def courses(store: RunStore, task: str, data: str) -> tuple[list[Course], list[str]]:
    """The training of the task's cells on one data set, in order of their names, and what could not be read."""
    found, troubles = [], []
    known = _pretrainings(store)
    for cell in store.cells():
        about = read_json(cell.file("cell.json"))
        if about["data"] != data or about["spec"]["task"] != task:
            continue
        try:
            course = _course(cell, CellSpec(**about["spec"]), known)
        except UserError as error:
            troubles.append(str(error))
            continue
        if course.points:
            found.append(course)
    return found, troubles


def _pretrainings(store: RunStore) -> list[Pretraining]:
    folder = store.path / "pretrained"
    made = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        done = read_json(path / "done.json")
        if done is not None and (path / "log.jsonl").exists():
            made.append(Pretraining(path, done["spec"], float(done["seconds"])))
    return made


def _course(cell: CellStore, spec: CellSpec, known: Sequence[Pretraining]) -> Course:
    own = read_log(cell.file("log.jsonl")) if cell.file("log.jsonl").exists() else []
    model = read_json(cell.file("model.json")) or {}
    began = float(own[0]["seconds"]) if own else float(model.get("train_seconds", math.nan))
    chain = _chain(spec, known, began)
    points: list[Point] = []
    seconds = 0.0
    for before in chain:
        points += _points(read_log(before.folder / "log.jsonl"), seconds, points[-1].steps if points else 0, True)
        seconds += before.seconds
    later = _points(own, 0.0, points[-1].steps if points else 0, False)
    points += later
    early = [point for point in points if point.early]
    boundary = None
    if early and any(not point.early for point in points):
        boundary = (seconds if chain and not any(p.early for p in later) else early[-1].seconds, early[-1].steps)
    end = points[-1].seconds if points else math.nan
    return Course(spec.baseline, spec.config_hash, spec.seed, cell.path.name, tuple(points), boundary, end)


def _points(records: Sequence[Mapping[str, Any]], seconds: float, steps: int, shared: bool) -> list[Point]:
    """Stages that come one after another go on counting; those that take turns count side by side."""
    highest: dict[str, int] = {}
    for record in records:
        highest[record["stage"]] = max(highest.get(record["stage"], 0), int(record["step"]))
    base, starts = steps, {}
    for stage, last in highest.items():
        starts[stage], base = base, base + last
    return [
        Point(
            record["stage"],
            int(record["step"]),
            starts[record["stage"]] + int(record["step"]),
            seconds + float(record["seconds"]),
            shared or record["stage"] in EARLY,
            _figures(record),
        )
        for record in records
    ]


def _figures(record: Mapping[str, Any]) -> dict[str, float]:
    found = {name: value for name, value in record.items() if name not in NOT_CURVES and _is_number(value)}
    return {name: found[name] for name in found if name == "valid_nll"} if record["stage"] in SEARCHES else found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _chain(spec: CellSpec, known: Sequence[Pretraining], began: float) -> list[Pretraining]:
    """What the cell began from, the first first; empty where nothing fits."""
    mine = [each for each in known if _is_of(each, spec)]
    fitting = []
    for last in (each for each in mine if _shared(each.spec, spec.config)):
        chain = [last]
        while (start := chain[0].spec.get("start")) is not None:
            earlier = next((each for each in mine if each.spec == start), None)
            if earlier is None:
                break
            chain.insert(0, earlier)
        spent = sum(each.seconds for each in chain)
        if spent <= began + SLACK and "start" not in chain[0].spec:
            fitting.append((began - spent, chain))
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else []


def _is_of(pretraining: Pretraining, spec: CellSpec) -> bool:
    key = content_hash({"spec": dict(pretraining.spec), "data": spec.fingerprint, "seed": spec.seed})
    return key.startswith(pretraining.folder.name)


def _shared(spec: Mapping[str, Any], config: Any) -> bool:
    """The configuration, or a table in it, says the same as the spec in every constant that both have, and has most."""
    if not isinstance(config, Mapping):
        return False
    own = {key: value for key, value in spec.items() if key not in NAMES and key != "start"}
    both = [key for key in own if key in config]
    if 2 * len(both) > len(own) and all(_agree(own[key], config[key]) for key in both):
        return True
    return any(_shared(spec, value) for value in config.values())


def _agree(spec: Any, config: Any) -> bool:
    """Equal; a table of the configuration may hold more, which only other kinds of tasks ask for."""
    if isinstance(spec, Mapping) and isinstance(config, Mapping):
        return all(key in config and _agree(value, config[key]) for key, value in spec.items())
    return bool(spec == config)


def thin(points: Sequence[tuple[float, float]], most: int) -> list[int]:
    """Places of at most `most` points of a curve: its ends, and of equal stretches between them the lowest and highest.

    So no peak and no dip is lost, whatever is left out.
    """
    if len(points) <= max(most, 4):
        return list(range(len(points)))
    kept = {0, len(points) - 1}
    inner = len(points) - 2
    stretches = max(1, (most - 2) // 2)
    for number in range(stretches):
        places = range(1 + number * inner // stretches, 1 + (number + 1) * inner // stretches)
        if places:
            kept |= {min(places, key=lambda i: points[i][1]), max(places, key=lambda i: points[i][1])}
    return sorted(kept)
