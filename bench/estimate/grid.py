"""A grid's time: what is known of each cell, what is left of it, and how they fall together."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.config import CellSpec, Settings
from bench.estimate import cache
from bench.estimate.history import History, likeness, neighbours, pretraining_key, read_history
from bench.estimate.profile import NOTHING, Profile
from bench.estimate.schedule import Piece, makespan, placed, scaled
from bench.plan import PlannedCell
from bench.store import RunStore

START = 2.0  # seconds of a process' start and its data, where no probe has measured them
Tell = Callable[[str], None]


@dataclass(frozen=True)
class CellEstimate:
    """What is left of one cell.

    Attributes:
        seconds: its own; `shared` are those of pre-trainings that it is the first to need.
        profile: how that is known.
    """

    cell: PlannedCell
    seconds: float
    shared: float
    profile: Profile


@dataclass(frozen=True)
class Estimate:
    """Seconds until a grid is done, `workers` cells at a time; with unknown cells the least that it takes.

    Attributes:
        low, high: the range in which the real time should lie; high is infinite where something is unknown.
        work: the sum over the cells, as on one worker.
    """

    cells: tuple[CellEstimate, ...]
    workers: int
    seconds: float
    low: float
    high: float
    work: float

    @property
    def unknown(self) -> list[CellEstimate]:
        return [one for one in self.cells if one.profile.unknown]

    @property
    def busy(self) -> float:
        """The least share of a processor that a probe had."""
        return min((one.profile.busy for one in self.cells if one.profile.basis == "probed"), default=1.0)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: null where a figure isn't known."""
        return {
            "seconds": round(self.seconds, 1),
            "low": round(self.low, 1),
            "high": round(self.high, 1) if math.isfinite(self.high) else None,
            "complete": not self.unknown,
            "workers": self.workers,
            "work_seconds": round(self.work, 1),
            "cells": [_cell_dict(one) for one in self.cells],
        }


def _cell_dict(one: CellEstimate) -> dict[str, Any]:
    known = one.profile.basis != "unknown"
    return {
        "cell": one.cell.spec.directory,
        "seconds": round(one.seconds, 1) if known else None,
        "shared_seconds": round(one.shared, 1) if known else None,
        "basis": one.profile.basis,
        "cells_measured": one.profile.count,
        "processor_share": one.profile.busy,
        "unknown": one.profile.unknown,
    }


def known_before(store: RunStore, cells: Sequence[PlannedCell], settings: Settings, workers: int) -> dict[str, Profile]:
    """By likeness: finished cells first, then probes made before."""
    history = read_history(neighbours(store.path), settings)
    found: dict[str, Profile] = {}
    for cell in cells:
        key = likeness(cell.spec)
        if key not in found:
            profile = _measured_before(history, cell) or cache.stored(cell.spec, settings, workers)
            if profile is not None:
                found[key] = profile
    return found


def _measured_before(history: History, cell: PlannedCell) -> Profile | None:
    profile = history.profile(cell)
    return replace(profile, start=START) if profile else None


def to_probe(cells: Iterable[PlannedCell], known: Mapping[str, Profile]) -> list[CellSpec]:
    """One cell of each kind that nothing is known of."""
    first = {likeness(cell.spec): cell.spec for cell in reversed(list(cells))}
    order = {likeness(cell.spec): None for cell in cells}
    return [first[key] for key in order if key not in known]


def probed(specs: Sequence[CellSpec], settings: Settings, workers: int, limit: float, tell: Tell) -> dict[str, Profile]:
    """Probes each and keeps what was found for the next time; Ctrl-C ends it with what is found by then."""
    from bench.estimate.pool import probe_all

    found: dict[str, Profile] = {}

    def hear(spec: CellSpec, profile: Profile) -> None:
        if likeness(spec) not in found:
            tell(f"probed {len(found) + 1}/{len(specs)}: {spec.task}.{spec.baseline}")
        known = found.get(likeness(spec))
        if known is None or profile.basis != "unknown":
            found[likeness(spec)] = profile

    try:
        probe_all(specs, settings, workers, limit, hear)
    except KeyboardInterrupt:
        tell("probing was stopped; what was not reached is unknown")
    for spec in specs:
        profile = found.get(likeness(spec))
        if profile is not None and not profile.unknown:
            cache.store(spec, profile, settings, workers)
    return found


def estimate(store: RunStore, cells: Sequence[PlannedCell], workers: int, profiles: Mapping[str, Profile]) -> Estimate:
    """The time that these cells still take, those done left out by the caller."""
    left = [(cell, remaining(store, cell.spec, profiles.get(likeness(cell.spec), NOTHING))) for cell in cells]
    pieces = [_piece(cell, profile) for cell, profile in left]
    spreads = {piece.name: profile.spread for piece, (_, profile) in zip(pieces, left, strict=True)}
    whole = makespan(pieces, workers)
    high = makespan(scaled(pieces, lambda piece: min(1e9, spreads[piece.name])), workers)
    unknown = any(profile.unknown for _, profile in left)
    taken: set[str] = set()
    order = {one.name: place for place, one in enumerate(placed(pieces, workers))}
    shared: dict[str, float] = {}
    for piece in sorted(pieces, key=lambda one: order[one.name]):
        shared[piece.name] = sum(seconds for name, seconds in piece.needs.items() if name not in taken)
        taken |= set(piece.needs)
    estimates = tuple(
        CellEstimate(cell, profile.alone, shared[piece.name], profile)
        for (cell, profile), piece in zip(left, pieces, strict=True)
    )
    low = makespan(scaled(pieces, lambda piece: 1 / max(1.0, min(2.0, spreads[piece.name]))), workers)
    work = sum(one.seconds + one.shared for one in estimates)
    return Estimate(estimates, workers, whole, low, math.inf if unknown else high, work)


def _piece(cell: PlannedCell, profile: Profile) -> Piece:
    spec = cell.spec
    needs = {pretraining_key(one.spec, spec.fingerprint, spec.seed): one.seconds for one in profile.shared}
    return Piece(spec.directory, profile.alone, needs, cell.shares)


def remaining(store: RunStore, spec: CellSpec, profile: Profile) -> Profile:
    """What is left of a cell, by its files: pre-training done, training under way or over, samples drawn."""
    folder = store.cell(spec)
    keys = {pretraining_key(one.spec, spec.fingerprint, spec.seed): one for one in profile.shared}
    left = tuple(one for key, one in keys.items() if not (store.pretrained(key) / "done.json").exists())
    if folder.file("model.json").exists():
        drawn = _drawn(folder.file("samples.json"), spec)
        return replace(profile, shared=(), fit=0.0, generate=0.0 if drawn else profile.generate)
    begun = _logged_seconds(folder.file("log.jsonl")) - sum(one.seconds for one in profile.shared)
    fit = max(0.05 * profile.fit, profile.fit - begun) if begun > 0 else profile.fit
    return replace(profile, shared=left, fit=fit)


def _drawn(path: Path, spec: CellSpec) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")).get("drawing_key") == spec.drawing_key)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _logged_seconds(path: Path) -> float:
    """How long a cell under way has trained, by the last whole line of its log; 0 where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return 0.0
    for line in reversed(lines):
        try:
            return float(json.loads(line)["seconds"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0.0
