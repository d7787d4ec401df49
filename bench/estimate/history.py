"""What cells took that ran before: in this run directory and in those beside it."""

from __future__ import annotations

import json
import platform
import shutil
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.config import CellSpec, Settings, content_hash
from bench.estimate.profile import Profile, Shared
from bench.plan import PlannedCell

SLEPT = 60.0  # seconds in one place of a log, beyond ten times what its like took, that the machine must have slept


@dataclass(frozen=True)
class Past:
    """A finished cell: seconds of training with its shared pre-training, of drawing and of scoring."""

    spec: CellSpec
    train: float
    generate: float
    score: float


@dataclass(frozen=True)
class PastShared:
    """A finished pre-training: the seconds recorded, which cells that used it counted too, and those without sleep."""

    spec: Mapping[str, Any]
    seed: int
    recorded: float
    seconds: float


@dataclass(frozen=True)
class History:
    """Finished cells by what they have in common but for the seed, and pre-trainings by their data's fingerprint."""

    cells: Mapping[str, Sequence[Past]] = field(default_factory=dict)
    pretrainings: Mapping[str, Sequence[PastShared]] = field(default_factory=dict)

    def profile(self, cell: PlannedCell) -> Profile | None:
        """The mean over cells that differ in nothing but the seed; None where there is none."""
        past = self.cells.get(likeness(cell.spec), ())
        if not past:
            return None
        done = self._shared(cell)
        recorded = {one.seed: one.recorded for one in done}
        usual = _mean(recorded.values()) if recorded else 0.0
        return Profile(
            "measured",
            shared=(Shared(done[0].spec, _mean(one.seconds for one in done)),) if done else (),
            fit=_mean(max(0.0, one.train - recorded.get(one.spec.seed, usual)) for one in past),
            generate=_mean(one.generate for one in past),
            score=_mean(one.score for one in past),
            count=len(past),
        )

    def _shared(self, cell: PlannedCell) -> list[PastShared]:
        """The pre-training that the cell's plan names, of every seed for which it was done before."""
        named = (cell.spec.task, cell.spec.seed)
        return [
            found
            for found in self.pretrainings.get(cell.spec.fingerprint, ())
            if cell.shares is not None and cell.shares == content_hash([dict(found.spec), *named])
        ]


def likeness(spec: CellSpec) -> str:
    """A hash of what decides how long a cell takes: all but its seed, and where its data lie."""
    return content_hash([spec.model_copy(update={"seed": 0, "data": "", "plugins": ()}).key, spec.scoring_key])


def read_history(runs: Iterable[Path], settings: Settings) -> History:
    """Of all finished cells that ran on a machine like this one; what can't be read says nothing."""
    cells: dict[str, list[Past]] = {}
    pretrainings: dict[str, list[PastShared]] = {}
    for run in runs:
        seeds: set[tuple[str, int]] = set()
        for folder in sorted((run / "cells").glob("*/")):
            past = _past(folder, settings)
            if past is not None:
                cells.setdefault(likeness(past.spec), []).append(past)
                seeds.add((past.spec.fingerprint, past.spec.seed))
        for folder in sorted((run / "pretrained").glob("*/")):
            shared = _past_shared(folder, seeds)
            if shared is not None:
                pretrainings.setdefault(shared[0], []).append(shared[1])
    return History(cells, pretrainings)


def slept(log: Path) -> float:
    """Seconds between two records of a log in which nothing can have been done: the machine slept, or was stopped."""
    last: tuple[Any, int, float] = (None, 0, 0.0)
    steps: dict[str, list[tuple[float, int]]] = {}
    try:
        for line in log.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            stage, step, seconds = record["stage"], record["step"], record["seconds"]
            if stage == last[0] and step > last[1]:
                steps.setdefault(stage, []).append((seconds - last[2], step - last[1]))
            last = stage, step, seconds
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
    found = 0.0
    for intervals in steps.values():
        unit = statistics.median(took / count for took, count in intervals)
        found += sum(took - count * unit for took, count in intervals if took > 10 * count * unit + SLEPT)
    return found


def pretraining_key(spec: Mapping[str, Any], fingerprint: str, seed: int) -> str:
    """What names the folder of a pre-training (`CellRun.pretrained`)."""
    return content_hash({"spec": dict(spec), "data": fingerprint, "seed": seed})


def neighbours(run: Path) -> list[Path]:
    """A run directory, and those beside it."""
    beside = sorted(path for path in run.parent.glob("*/") if (path / "cells").is_dir()) if run.parent.is_dir() else []
    return [*([run] if (run / "cells").is_dir() else []), *(path for path in beside if path != run)]


def here(settings: Settings) -> dict[str, str]:
    """What a result's environment must agree in, for its seconds to be those of this machine."""
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = ""
    return {"platform": platform.platform(), "torch": torch, "threads": str(settings.threads)}


def expects_cuda(device: str) -> bool:
    """Whether cells would run on a GPU; found out without torch."""
    if device != "auto":
        return device.startswith("cuda")
    return shutil.which("nvidia-smi") is not None or Path("/dev/nvidia0").exists()


def _past(folder: Path, settings: Settings) -> Past | None:
    about, result = _read(folder / "cell.json"), _read(folder / "result.json")
    if about is None or result is None:
        return None
    environment = result.get("environment") or {}
    if any(environment.get(name) != value for name, value in here(settings).items()):
        return None
    model = _read(folder / "model.json") or {}
    if model and (model.get("device") == "cpu") != (not expects_cuda(settings.device)):
        return None
    try:
        spec, took = CellSpec(**about["spec"]), result["timings"]
        train = (took["train_seconds"] or 0.0) - slept(folder / "log.jsonl")
        return Past(spec, max(0.0, train), float(took["generate_seconds"]), float(took["score_seconds"]))
    except (KeyError, TypeError, ValueError):
        return None


def _past_shared(folder: Path, seeds: Iterable[tuple[str, int]]) -> tuple[str, PastShared] | None:
    """A pre-training and the fingerprint of its data, which is one of those that cells of the run have."""
    done = _read(folder / "done.json")
    try:
        spec, recorded = dict((done or {})["spec"]), float((done or {})["seconds"])
    except (KeyError, TypeError, ValueError):
        return None
    for fingerprint, seed in seeds:
        if pretraining_key(spec, fingerprint, seed)[:16] == folder.name:
            return fingerprint, PastShared(spec, seed, recorded, max(0.0, recorded - slept(folder / "log.jsonl")))
    return None


def _read(path: Path) -> dict[str, Any] | None:
    """A file's object; None where there is none, or not a whole one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
