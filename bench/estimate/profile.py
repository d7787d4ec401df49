"""What is known of one (task, method, config): seconds of each part of its cell, and how they are known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

Basis = Literal["measured", "probed", "unknown"]
HARD = 3.0  # a probe's training ends for good after so many times the seconds that it should take
SLOWED = 4.0  # how many times longer than alone a probe is let take beside other programs
QUIET = 0.75  # the share of a processor below which a probe counts as disturbed by other programs
SPREAD = {"measured": 1.25, "probed": 1.6}  # how far a real time may well lie from the estimate, as a factor


@dataclass(frozen=True)
class Shared:
    """A pre-training that cells with an equal `spec` (and task and seed) share."""

    spec: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class Profile:
    """Seconds of a cell's parts when it runs beside others.

    Attributes:
        start: a new process, and its data loaded.
        fit: the method's own training; `shared` is what it may find done.
        unknown: what of it could not be found out; the figures are then the least that it takes.
        busy: the share of the probe's time in which it had a processor; 1 on a quiet machine.
        count: cells that it was measured on.
    """

    basis: Basis
    start: float = 0.0
    shared: tuple[Shared, ...] = ()
    fit: float = 0.0
    generate: float = 0.0
    score: float = 0.0
    unknown: str = ""
    busy: float = 1.0
    count: int = 0

    @property
    def alone(self) -> float:
        """Seconds without the shared pre-training."""
        return self.start + self.fit + self.generate + self.score

    @property
    def whole(self) -> float:
        return self.alone + sum(one.seconds for one in self.shared)

    @property
    def spread(self) -> float:
        return SPREAD.get(self.basis, math.inf)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """From what `as_dict` gave.

        Raises:
            TypeError, KeyError: other fields, as of another version.
        """
        shared = tuple(Shared(one["spec"], float(one["seconds"])) for one in stored["shared"])
        return cls(**{**stored, "shared": shared})


NOTHING = Profile("unknown", unknown="neither measured before nor probed")
