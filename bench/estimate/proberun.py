"""The `Run` of a probe: a training that jumps, and shared pre-trainings that are gone through once a process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from baselines.base import Generator, Run, State
from bench.config import content_hash
from bench.env import smallest_as_zero
from bench.estimate.meter import Jump, Meter, OutOfTime
from bench.estimate.profile import HARD, SLOWED, Shared


@dataclass(frozen=True)
class Pretrained:
    """Weights after a probed pre-training, and the seconds of a whole one."""

    state: State
    shared: Shared


class ProbeRun:
    """`baselines.base.Run` that writes nothing and stops nowhere but at jumps.

    Args:
        settings: the config, or a pre-training's spec.
        limit: seconds that it should take; stages are cut short for it. It ends for good after HARD times that. A
            shared pre-training has as much for itself.
        pretrainings: those of this process, by the hash of their spec; added to.
        alive: is called after each pre-training.
        shared: whether this is that of a pre-training.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        device: torch.device,
        limit: float,
        pretrainings: dict[str, Pretrained],
        alive: Callable[[], None] = lambda: None,
        shared: bool = False,
    ) -> None:
        self.device, self._limit, self._pretrainings, self._alive = device, limit, pretrainings, alive
        self._wall, self._processor = time.monotonic(), time.process_time()  # moved on by what pre-trainings take
        # pre-training gets twice the time: what is drawn later has the lengths that are learnt here
        self._share = 4.0 if shared else 8.0
        self.meter = Meter(settings, self._patience, self._over, keeps_best=shared)
        self.used: dict[str, Shared] = {}
        self.stages: list[str] = []
        self.unfinished = ""
        self._elsewhere = 0.0  # seconds in pre-trainings
        self._streams: dict[str, torch.Generator] = {}

    def rng(self, purpose: str) -> torch.Generator:
        if purpose not in self._streams:
            self._streams[purpose] = torch.Generator().manual_seed(0)
        return self._streams[purpose]

    def log(self, stage: str, step: int, **figures: float) -> None:  # noqa: ARG002
        self.meter.log(figures)

    def progress(self, stage: str, done: int, total: int, **figures: float) -> None:  # noqa: ARG002
        self.meter.progress(stage, done, total)

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        self.meter.checkpoint(state)

    def resume(self) -> dict[str, Any] | None:
        return self.meter.resume()

    def snapshot(self, stage: str, generator: Generator) -> None:  # noqa: ARG002
        self.stages = list(dict.fromkeys([*self.stages, stage]))

    def pretrained(self, spec: Mapping[str, Any], train: Callable[[Run], State]) -> State:
        key, wall, processor = content_hash(dict(spec)), time.monotonic(), time.process_time()
        try:
            if key not in self._pretrainings:
                self._pretrainings[key] = self._pretrain(key, spec, train)
                self._alive()
        finally:
            self._elsewhere += time.monotonic() - wall
            self._wall += time.monotonic() - wall
            self._processor += time.process_time() - processor
            self.meter.pause()
        found = self._pretrainings[key]
        self.used[key] = found.shared
        return {name: tensor.to(self.device) for name, tensor in found.state.items()}

    def through(self, train: Callable[[], Any]) -> tuple[Any, float]:
        """Trains with jumps; gives what training gave, and the seconds of one without jumps and pre-trainings.

        Out of time it gives None, the seconds known, and says in `unfinished` what isn't.
        """
        began, result = time.monotonic(), None
        while True:
            try:
                with smallest_as_zero():
                    result = train()
            except Jump:
                continue
            except OutOfTime:
                stage = self.meter.segments[-1].stage if self.meter.segments else "the first stage"
                self.unfinished = self.unfinished or f"what follows {stage} was not reached in {HARD * self._limit:g} s"
            except Exception as error:  # a state that a method can't go on from
                if self.meter.step_back():
                    continue
                if not self.meter.skips:
                    raise
                self.unfinished = f"could not be probed beyond a jump ({type(error).__name__})"
            break
        rest = self.meter.rest() if result is None else 0.0
        return result, max(0.0, time.monotonic() - began - self._elsewhere + self.meter.skipped_seconds() + rest)

    def _pretrain(self, key: str, spec: Mapping[str, Any], train: Callable[[Run], State]) -> Pretrained:
        own = ProbeRun(spec, self.device, self._limit, self._pretrainings, self._alive, shared=True)
        state, seconds = own.through(lambda: train(own))
        self.used[key] = Shared(dict(spec), seconds)
        if state is None:
            self.unfinished = own.unfinished
            raise OutOfTime
        kept = {name: tensor.detach().clone() for name, tensor in state.items()}
        return Pretrained(kept, self.used[key])

    def _spent(self) -> float:
        """Seconds of the limit that are used up.

        They are the processor's, so that other programs don't cut a probe short, or one in SLOWED of those on the wall.
        """
        wall, processor = time.monotonic() - self._wall, time.process_time() - self._processor
        return max(processor, wall / SLOWED)

    def _over(self) -> bool:
        return self._spent() > HARD * self._limit

    def _patience(self) -> float:
        """Seconds on the wall that are enough for a stage: a share of the limit, or of what is left of it."""
        spent, wall = self._spent(), time.monotonic() - self._wall
        slowed = min(SLOWED, wall / spent) if spent > 0 else 1.0
        return max(0.3, min(self._limit, 2 * (self._limit - spent)) / self._share) * max(1.0, slowed)
