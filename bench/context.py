"""What a baseline is handed while it trains: the cell's streams, log, safe points and shared pre-training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file

from baselines.base import Diverged, Generator, Run, State
from bench.busy import watched
from bench.config import content_hash
from bench.seeding import seed_for
from bench.store import RunStore, read_json, write_atomically, write_json
from bench.tracking import JsonlTracker, MultiTracker, TensorBoardTracker

CHECKPOINT = "checkpoint.pt"
RATE = "tokens_per_second"
BUSY = "gpu_busy"


class Interrupted(Exception):
    """The run was asked to stop, and the state is saved."""


class Emit(Protocol):
    """Tells the parent process how a cell goes."""

    def __call__(self, stage: str, done: int, total: int, figures: Mapping[str, float]) -> None: ...


@dataclass(frozen=True)
class Surroundings:
    """What all runs of one cell share.

    Attributes:
        stop: asked at every safe point; True = save and end.
        every: seconds between checkpoints.
    """

    store: RunStore
    task: str
    fingerprint: str
    seed: int
    device: torch.device
    emit: Emit
    stop: Callable[[], bool]
    every: float
    tensorboard: bool = False


class CellRun:
    """`baselines.base.Run` over a folder: that of a cell, or that of a pre-training which cells share."""

    def __init__(self, folder: Path, around: Surroundings, purpose: str = "fit") -> None:
        self.device = around.device
        self._folder, self._around, self._purpose = folder, around, purpose
        self._streams: dict[str, torch.Generator] = {}
        self._saved_at = self._told_at = self._clock = time.monotonic()
        self._seconds = self._logged = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        trackers: list[Any] = [JsonlTracker(folder / "log.jsonl")]
        if around.tensorboard:
            trackers.append(TensorBoardTracker(folder / "tensorboard"))
        self._tracker = MultiTracker(trackers)
        self._busy = watched(self.device)
        self._records = 0
        self._checkpoint: dict[str, Any] = {}
        self._seed_global("start")
        self._state = self._restore()
        if self._state is None:
            self._tracker.truncate_to(0)

    @property
    def seconds(self) -> float:
        """Training time so far, over interruptions, with that of the shared pre-training."""
        now = time.monotonic()
        self._seconds += now - self._clock
        self._clock = now
        return self._seconds

    def rng(self, purpose: str) -> torch.Generator:
        if purpose not in self._streams:
            stream = torch.Generator()
            stream.manual_seed(self._seed(purpose))
            self._streams[purpose] = stream
        return self._streams[purpose]

    def log(self, stage: str, step: int, **figures: float) -> None:
        bad = [f"{name} is {value}" for name, value in figures.items() if not math.isfinite(value)]
        figures = self._with_rate(figures) | self._with_busy()
        self._tracker.log({"stage": stage, "step": step, "seconds": round(self.seconds, 3), **figures})
        self._records += 1
        self._logged = self.seconds
        if bad:
            raise Diverged(f"diverged at {stage} step {step}: {', '.join(bad)}")

    def progress(self, stage: str, done: int, total: int, **figures: float) -> None:
        now = time.monotonic()
        if now - self._told_at > 0.2 or done >= total:
            self._told_at = now
            self._around.emit(stage, done, total, self._with_rate(figures))

    def _with_rate(self, figures: Mapping[str, float]) -> dict[str, float]:
        """`tokens` become tokens per second of the time since the last line, looks at valid included."""
        told = dict(figures)
        tokens, seconds = told.pop("tokens", None), self.seconds - self._logged
        return told if tokens is None or seconds <= 0 else {**told, RATE: round(tokens / seconds, 1)}

    def _with_busy(self) -> dict[str, float]:
        """The share of the time since the last line in which the GPU worked, where it tells."""
        share = None if self._busy is None else self._busy.take()
        return {} if share is None else {BUSY: round(share, 3)}

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        stop = self._around.stop()
        if stop or time.monotonic() - self._saved_at >= self._around.every:
            self._save(state())
            self._saved_at = time.monotonic()
        if stop:
            raise Interrupted

    def resume(self) -> dict[str, Any] | None:
        if self._state is not None:
            self._restore_streams()  # networks may have been built since, which drew their first weights
        return self._state

    def pretrained(self, spec: Mapping[str, Any], train: Callable[[Run], State]) -> State:
        key = content_hash({"spec": dict(spec), "data": self._around.fingerprint, "seed": self._around.seed})
        folder = self._around.store.pretrained(key)
        before = self.seconds
        state = self._load_pretrained(folder)
        if state is None:
            self._wait_for(folder)
            try:
                state = self._load_pretrained(folder) or self._pretrain(folder, spec, train)
            finally:
                self._lock.release()
        if self._state is None:
            self._seed_global("after pre-training")  # the same, whether it was trained here or found
            self._seconds = self._logged = before + float(read_json(folder / "done.json")["seconds"])
        else:
            self._restore_streams()
        self._clock = time.monotonic()
        self._with_busy()  # what was heard so far is of the pre-training
        return state

    def snapshot(self, stage: str, generator: Generator) -> None:
        save_weights(self._folder / f"weights.{stage}.safetensors", generator)

    def finish(self) -> None:
        """Training is over and its result saved: what was only for resuming goes."""
        self.close()
        (self._folder / CHECKPOINT).unlink(missing_ok=True)

    def close(self) -> None:
        self._tracker.close()
        if self._busy is not None:
            self._busy.close()

    def _seed(self, purpose: str) -> int:
        return seed_for(f"{self._purpose}/{purpose}", self._around.task, self._around.seed)

    def _seed_global(self, purpose: str) -> None:
        torch.manual_seed(self._seed(f"global {purpose}"))

    def _save(self, state: Mapping[str, Any]) -> None:
        whole = {
            "state": dict(state),
            "streams": {name: stream.get_state() for name, stream in self._streams.items()},
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
            "records": self._records,
            "seconds": self.seconds,
            "logged": self._logged,
        }
        write_atomically(self._folder / CHECKPOINT, lambda part: torch.save(whole, part))

    def _restore(self) -> dict[str, Any] | None:
        path = self._folder / CHECKPOINT
        if not path.exists():
            return None
        self._checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        self._restore_streams()
        self._records, self._seconds = self._checkpoint["records"], self._checkpoint["seconds"]
        self._logged = self._checkpoint.get("logged", 0.0)  # older checkpoints have none
        self._tracker.truncate_to(self._records)
        state: dict[str, Any] = self._checkpoint["state"]
        return state

    def _restore_streams(self) -> None:
        for name, state in self._checkpoint["streams"].items():
            self.rng(name).set_state(state)
        torch.set_rng_state(self._checkpoint["torch"])
        if self._checkpoint["cuda"] and self.device.type == "cuda":
            torch.cuda.set_rng_state_all(self._checkpoint["cuda"])

    def _load_pretrained(self, folder: Path) -> State | None:
        if not (folder / "done.json").exists():
            return None
        return load_file(folder / "weights.safetensors", device=str(self.device))

    def _wait_for(self, folder: Path) -> None:
        """Takes the pre-training's lock; while another cell trains it, says so and stays stoppable."""
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / ".lock")
        while True:
            try:
                self._lock.acquire(timeout=0.5)
                return
            except Timeout:
                self.progress("waiting for shared pre-training", 0, 1)
                if self._around.stop():
                    raise Interrupted from None

    def _pretrain(self, folder: Path, spec: Mapping[str, Any], train: Callable[[Run], State]) -> State:
        inner = CellRun(folder, self._around, purpose="pretrain")
        try:
            state = {name: tensor.detach().clone().contiguous() for name, tensor in train(inner).items()}
            write_atomically(folder / "weights.safetensors", lambda part: save_file(state, part))
            write_json(folder / "done.json", {"spec": dict(spec), "seconds": round(inner.seconds, 3)})
            inner.finish()
        finally:
            inner.close()
        return {name: tensor.to(self.device) for name, tensor in state.items()}


def save_weights(path: Path, generator: Generator) -> None:
    """The generator's weights; shared storage is written out once for each name."""
    state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in generator.state_dict().items()}
    write_atomically(path, lambda part: save_file(state, part))
