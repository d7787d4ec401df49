"""An in-memory `Run`: random streams, log, safe points, and interruption where a check wants it."""

from __future__ import annotations

import io
import json
import math
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from baselines.base import Diverged, Generator, Run, State
from bench.checks.core import TooSlow


class Interrupted(Exception):
    """Raised by `FakeRun.checkpoint` at the safe point a check asked for, after the state was saved."""


@dataclass
class Saved:
    """What outlives a run: pass it to the next `FakeRun` to go on."""

    state: bytes | None = None
    log: list[dict[str, Any]] = field(default_factory=list)
    pretrained: dict[str, State] = field(default_factory=dict)
    children: dict[str, Saved] = field(default_factory=dict)
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)
    trainings: int = 0  # how often a `train` handed to `pretrained` was begun anew


class FakeRun:
    """Implements `baselines.base.Run`.

    Args:
        saved: what an earlier run left behind.
        stop_at: raise `Interrupted` at this safe point (1 is the first), those of `pretrained` trainings counted too.
        save: whether safe points save; without it a run is faster.
        seconds: raise `TooSlow` at the first sign of life after so many, of this process on its processors.
    """

    def __init__(
        self,
        seed: int = 0,
        saved: Saved | None = None,
        stop_at: int | None = None,
        save: bool = True,
        seconds: float = math.inf,
    ) -> None:
        self.device = torch.device("cpu")
        self.seed, self.saved, self.stop_at, self.save = seed, saved if saved is not None else Saved(), stop_at, save
        self.safe_points = 0
        self.shared_safe_points = 0  # of them, in `pretrained` trainings
        self.shown: list[tuple[str, int, int, dict[str, float]]] = []
        self.seconds, self._began = seconds, time.process_time()
        self._streams: dict[str, torch.Generator] = {}
        self._parent: FakeRun | None = None
        torch.manual_seed(seed)

    def rng(self, purpose: str) -> torch.Generator:
        if purpose not in self._streams:
            self._streams[purpose] = torch.Generator().manual_seed(zlib.crc32(f"{self.seed}/{purpose}".encode()))
        return self._streams[purpose]

    def log(self, stage: str, step: int, **figures: float) -> None:
        self._in_time()
        for name, value in figures.items():
            if not math.isfinite(value):
                raise Diverged(f"{stage}: {name} is {value} at step {step}")
        self.saved.log.append({"stage": stage, "step": step, **figures})

    def progress(self, stage: str, done: int, total: int, **figures: float) -> None:
        self._in_time()
        self.shown.append((stage, done, total, figures))

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        self._in_time()
        root = self
        while root._parent is not None:
            root = root._parent
        root.safe_points += 1
        root.shared_safe_points += root is not self
        stop = root.safe_points == root.stop_at
        if self.save or stop:
            streams = {purpose: stream.get_state() for purpose, stream in self._streams.items()}
            buffer = io.BytesIO()
            torch.save({"state": dict(state()), "streams": streams, "torch": torch.get_rng_state()}, buffer)
            self.saved.state = buffer.getvalue()
        if stop:
            raise Interrupted

    def resume(self) -> dict[str, Any] | None:
        if self.saved.state is None:
            return None
        saved = torch.load(io.BytesIO(self.saved.state), weights_only=True)
        for purpose, stream in saved["streams"].items():
            self.rng(purpose).set_state(stream)
        torch.set_rng_state(saved["torch"])
        state: dict[str, Any] = saved["state"]
        return state

    def pretrained(self, spec: Mapping[str, Any], train: Callable[[Run], State]) -> State:
        key = spec_key(spec)
        if key not in self.saved.pretrained:
            before = torch.get_rng_state()
            child = FakeRun(self.seed, self.saved.children.setdefault(key, Saved()), save=self.save)
            child._parent, child.seconds, child._began = self, self.seconds, self._began
            self.saved.trainings += child.saved.state is None
            self.saved.pretrained[key] = {name: tensor.clone() for name, tensor in train(child).items()}
            torch.set_rng_state(before)
        return {name: tensor.clone() for name, tensor in self.saved.pretrained[key].items()}

    def snapshot(self, stage: str, generator: Generator) -> None:
        self.saved.snapshots[stage] = {name: value.clone() for name, value in generator.state_dict().items()}

    def _in_time(self) -> None:
        if time.process_time() - self._began > self.seconds:
            raise TooSlow(f"one training takes over {self.seconds:.1f} s")


def spec_key(spec: Mapping[str, Any]) -> str:
    """How a shared pre-training is told from others."""
    return json.dumps(spec, sort_keys=True)
