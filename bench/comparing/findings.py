"""What one comparison found: its verdict, and everything that the verdict rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from bench.comparing.evidence import Evidence
from bench.comparing.subjects import Place

Verdict = Literal[
    "better", "worse", "nearer to real", "further from real", "same", "differs", "can't tell", "not comparable", "lost",
    "new",
]  # fmt: skip
BAD: tuple[Verdict, ...] = ("worse", "further from real", "lost")
UNSURE: tuple[Verdict, ...] = ("can't tell", "differs")
LOUDEST_FIRST: tuple[Verdict, ...] = (
    "lost", "worse", "further from real", "not comparable", "differs", "better", "nearer to real", "new", "can't tell",
    "same",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """The new against the base, in one place or (`place` is None) for a method on a task as a whole.

    Attributes:
        task: of both.
        method: the new one's.
        against: the base's; another name where two methods are compared.
        place: None where cells were lost or are new.
        base: mean of the base's values.
        new: mean of the new one's.
        higher_is_better: None where nearness to real text counts.
        real: the value of real text.
        evidence: of the difference; None where nothing is subtracted.
        harm: the same turned so that more is worse: of the distance from real text where no end is good. None where
            nothing says which way is worse.
        tolerance: how large a difference is of no concern.
        p: two-sided, of being beyond the tolerance, Holm-adjusted over the whole comparison.
        probability: that a run of the new is better than one of the base, lost runs counted as the worst.
        among: how many tests Holm's adjustment counts.
        differing: signature fields that differ, with both values.
        failed: cells without a result, of the base and the new.
        why: in words, what the numbers don't say.
        exactly: every value of both is the same, bit by bit.
        level: of the interval.
    """

    task: str
    method: str
    against: str
    place: Place | None
    verdict: Verdict
    base: float = math.nan
    new: float = math.nan
    higher_is_better: bool | None = None
    primary: bool = False
    real: float = math.nan
    evidence: Evidence | None = None
    harm: Evidence | None = None
    tolerance: float = 0.0
    p: float = math.nan
    probability: float = math.nan
    among: int = 1
    differing: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    signatures: tuple[str, str] = ("", "")
    failed: tuple[int, int] = (0, 0)
    why: str = ""
    exactly: bool = False
    level: float = 0.95

    @property
    def name(self) -> str:
        """The metric and decoding; of a whole method `all values`."""
        return self.place.name if self.place else "all values"

    @property
    def subject(self) -> str:
        """`poetry.seqgan`, or `poetry.seqgan against mle`."""
        beside = f" against {self.against}" if self.against != self.method else ""
        return f"{self.task}.{self.method}{beside}"

    @property
    def difference(self) -> float:
        return math.nan if self.evidence is None else self.evidence.difference

    @property
    def interval(self) -> tuple[float, float]:
        """Of the difference, not adjusted for the number of comparisons."""
        return (math.nan, math.nan) if self.evidence is None else self.evidence.interval(self.level)

    @property
    def clears(self) -> bool:
        """That it became worse by more than the tolerance can be ruled out."""
        if self.verdict in ("same", "better", "nearer to real", "new"):
            return True
        judged = self.harm
        return judged is not None and judged.interval(self.level)[1] <= self.tolerance

    @cached_property
    def needed(self) -> int | None:
        """How many seeds (or items) would tell a difference of this size, or show it to be within the tolerance.

        None where something is told already, or no number of them would.
        """
        judged = self.evidence if self.harm is None else self.harm
        if self.verdict != "can't tell" or judged is None:
            return None
        excess = abs(judged.difference) - self.tolerance
        if excess > 0:
            return judged.needed(excess, (1 - self.level) / self.among)
        # to be shown within the tolerance it must miss neither end, so each has half of the chances to fail
        return judged.needed(-excess, 1 - self.level, power=0.9)

    @property
    def is_bad(self) -> bool:
        return self.verdict in BAD
