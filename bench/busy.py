"""What share of the time a GPU worked, between two lines of a training's log."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

EVERY = 0.5  # seconds between two questions; NVML answers for its last sample, of 1/6 to 1 second


class Busy:
    """Asks again and again, in a thread of its own, until it is closed or gets no answer.

    Args:
        ask: the share of the last moment in which the device worked, 0 to 1.
    """

    def __init__(self, ask: Callable[[], float], every: float) -> None:
        self._ask, self._every = ask, every
        self._answers: list[float] = []
        self._lock, self._closed = threading.Lock(), threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="gpu-busy").start()

    def take(self) -> float | None:
        """Mean since it was last taken; None if nothing was heard since."""
        with self._lock:
            answers, self._answers = self._answers, []
        return sum(answers) / len(answers) if answers else None

    def close(self) -> None:
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(self._every):
            answer = _answer(self._ask)
            if answer is None:
                return
            with self._lock:
                self._answers.append(answer)


def watched(device: torch.device) -> Busy | None:
    """Of a CUDA device that tells (NVML, the extra `gpu`); None for any other."""
    if device.type != "cuda":
        return None

    def ask() -> float:
        return torch.cuda.utilization(device) / 100

    return None if _answer(ask) is None else Busy(ask, EVERY)


def _answer(ask: Callable[[], float]) -> float | None:
    try:
        return ask()
    except Exception:  # no NVML, or a device (part of one, a virtual one) that it can't tell of: no figure, no failure
        return None
