"""When cells would start and end: the engine's order, so many at a time, each shared pre-training done once."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """A cell to be placed.

    Attributes:
        alone: seconds without its shared pre-trainings.
        needs: seconds of each of those, by name; the first cell to come does them.
        waits: the engine starts no second cell with the same, while one that does it is running.
    """

    name: str
    alone: float
    needs: Mapping[str, float]
    waits: str | None = None


@dataclass(frozen=True)
class Placed:
    """When a cell runs, in seconds from the start; `waited` of it are for a pre-training that another cell does."""

    name: str
    begins: float
    ends: float
    waited: float = 0.0


def placed(pieces: Sequence[Piece], workers: int) -> list[Placed]:
    """All cells with their times, in the order in which they start."""
    waiting, found = list(pieces), list[Placed]()
    running: list[tuple[float, int, Piece]] = []
    ready: dict[str, float] = {}  # when a pre-training is done
    tried: set[str] = set()  # what cells that have ended shared: nothing waits for it any more
    now = 0.0
    while waiting or running:
        while waiting and len(running) < workers:
            busy = {piece.waits for _, _, piece in running} - tried - {None}
            index = next((i for i, piece in enumerate(waiting) if piece.waits not in busy), None)
            if index is None:
                break
            piece = waiting.pop(index)
            ends, waited = _through(piece, now, ready)
            found.append(Placed(piece.name, now, ends, waited))
            heapq.heappush(running, (ends, len(found), piece))
        now, _, ended = heapq.heappop(running)
        if ended.waits is not None:
            tried.add(ended.waits)
    return found


def _through(piece: Piece, now: float, ready: dict[str, float]) -> tuple[float, float]:
    """When a cell that starts now ends, and how long it waits for others' work; enters what it does itself."""
    at, waited = now, 0.0
    for name, seconds in piece.needs.items():
        if name in ready:
            waited += max(0.0, ready[name] - at)
            at = max(at, ready[name])
        else:
            at += seconds
            ready[name] = at
    return at + piece.alone, waited


def makespan(pieces: Sequence[Piece], workers: int) -> float:
    return max((one.ends for one in placed(pieces, workers)), default=0.0)


def scaled(pieces: Sequence[Piece], factor: Callable[[Piece], float]) -> list[Piece]:
    """The same cells, each that many times as long."""
    return [
        Piece(
            one.name,
            one.alone * factor(one),
            {name: seconds * factor(one) for name, seconds in one.needs.items()},
            one.waits,
        )
        for one in pieces
    ]
