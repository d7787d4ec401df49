"""The values of a committed run, by seed, as the documents write them."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bench.report import read_results

ROOT = Path(__file__).parents[1]
METHODS = ROOT / "docs" / "methods"
STAGES = ("untrained", "pretrain", "maskmle", "final")


class Key(NamedTuple):
    task: str
    method: str
    stage: str
    split: str
    decoding: str
    metric: str


@cache
def values(run: str) -> dict[Key, dict[int, float]]:
    """Of results/reference/RUN; a value without a seed stands at 0."""
    found: dict[Key, dict[int, float]] = {}
    for row in read_results(ROOT / "results" / "reference" / run / "results.csv"):
        if row.status == "done" and not math.isnan(row.value):
            key = Key(row.task, row.baseline, row.stage, row.split, row.decoding, row.metric)
            found.setdefault(key, {})[row.seed or 0] = row.value
    return found


def in_order(by_seed: dict[int, float], places: int = 3) -> str:
    """`.274, .263`: seeds in order, as the pages write them."""
    return ", ".join(re.sub(r"^0(?=\.)", "", f"{by_seed[seed]:.{places}f}") for seed in sorted(by_seed))
