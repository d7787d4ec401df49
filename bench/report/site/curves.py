"""A training curve in figures: of each stage where every number began, ended, and was lowest and highest."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.report.wording import clean

TAIL = 20  # lines of a log that are shown
LONGEST = 2000  # letters of one of them


@dataclass
class Figure:
    """One number over a stage; each as (value, step)."""

    name: str
    first: tuple[float, float]
    last: tuple[float, float]
    lowest: tuple[float, float]
    highest: tuple[float, float]

    def add(self, value: float, step: float) -> None:
        self.last = (value, step)
        self.lowest = min(self.lowest, (value, step), key=lambda pair: pair[0])
        self.highest = max(self.highest, (value, step), key=lambda pair: pair[0])


@dataclass
class Stage:
    """The records of one stage, in the order of its first."""

    name: str
    records: int = 0
    steps: list[float] = field(default_factory=list)
    seconds: float = math.nan
    figures: dict[str, Figure] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """`25 records, steps 1 to 25, until 1049 s`."""
        parts = [f"{self.records} record{'s' * (self.records != 1)}"]
        if self.steps:
            low, high = self.steps[0], self.steps[-1]
            parts.append(f"step {low:g}" if low == high else f"steps {low:g} to {high:g}")
        return ", ".join(parts + [f"until {self.seconds:.0f} s"] * math.isfinite(self.seconds))

    def add(self, record: dict[str, Any]) -> None:
        self.records += 1
        step, seconds = _number(record.pop("step", None)), _number(record.pop("seconds", None))
        self.seconds = self.seconds if math.isnan(seconds) else seconds
        if math.isfinite(step):
            self.steps = [self.steps[0] if self.steps else step, step]
        for name, given in record.items():
            value = _number(given)
            if math.isnan(value):
                continue
            if name in self.figures:
                self.figures[name].add(value, step)
            else:
                self.figures[name] = Figure(name, *[(value, step)] * 4)


def curve(log: Path) -> list[Stage]:
    """What `log.jsonl` holds; a line that a kill cut short is passed over."""
    stages: dict[str, Stage] = {}
    for line in _lines(log):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            name = clean(str(record.pop("stage", "")))
            stages.setdefault(name, Stage(name)).add(record)
    return list(stages.values())


def tail(log: Path) -> list[str]:
    """The last lines as they stand, without control characters; a long one is cut and says so."""
    kept = deque(_lines(log), maxlen=TAIL)
    return [line if len(line) <= LONGEST else f"{line[:LONGEST]}… ({len(line)} letters)" for line in map(clean, kept)]


def _lines(path: Path) -> Iterator[str]:
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            yield from (line.rstrip("\n") for line in file)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)
