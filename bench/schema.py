"""The files that others read: one row of `results.csv`, and a cell's `result.json`."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_serializer, field_validator

from bench.config import CellSpec

SCHEMA_VERSION = 1
Status = Literal["done", "failed", "diverged", "unsupported", "missing"]
AXES = ("bleu-", "self-bleu-", "nll-oracle")  # families that samples drawn for the frontier alone are scored on


class ScoreRow(BaseModel):
    """One value: a row of `results.csv` (the columns stand in this order)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    task_version: int
    data: str  # Corpus.label: task, version, set and fingerprint
    origin: str  # embedded | files | hub | synthetic
    baseline: str  # a method, or a reference row: `real`, `shuffled`, `uniform`
    config_hash: str
    seed: int | None
    stage: str  # final, or an earlier one that was kept: pretrain, maskmle, untrained
    split: str  # test, or an extra test set
    decoding: str  # greedy, sample@1, beam5@1, greedy/no-unk
    metric: str
    value: float  # NaN with a reason where it could not be computed
    ci_low: float  # 95 % interval over items; NaN where there is none
    ci_high: float
    n: int
    higher_is_better: bool | None
    primary: bool
    signature: str
    status: Status
    reason: str
    train_seconds: float
    device: str
    peak_memory_mb: float
    parameters: int
    cell: str
    track: str = "scratch"  # or `pretrained`: weights, or text, from beyond the task's training split

    @field_serializer("value", "ci_low", "ci_high", "train_seconds", "peak_memory_mb", when_used="json")
    def _nan_to_null(self, value: float) -> float | None:
        return value if math.isfinite(value) else None

    @field_validator("value", "ci_low", "ci_high", "train_seconds", "peak_memory_mb", mode="before")
    @classmethod
    def _null_to_nan(cls, value: Any) -> Any:
        return math.nan if value is None else value


COLUMNS: tuple[str, ...] = tuple(ScoreRow.model_fields)


def row_head(about: dict[str, Any], cell: str) -> dict[str, Any]:
    """The columns that all rows of a cell share, from its `cell.json`."""
    spec = CellSpec(**about["spec"])
    return {
        "task": spec.task,
        "task_version": spec.task_version,
        "data": about["data"],
        "origin": about["origin"],
        "baseline": spec.baseline,
        "config_hash": spec.config_hash,
        "seed": spec.seed,
        "cell": cell,
        "track": about.get("track", "scratch"),
    }
