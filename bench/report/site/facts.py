"""What the cells' own files say beside their values: how each was asked for, made, and ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config import CellSpec, Grid
from bench.report.layout import FINAL
from bench.store import CellStore, RunStore, read_json

Name = tuple[str, int, str, str, str, int | None]  # what a cell's rows share: task, version, data, method, config, seed


@dataclass(frozen=True)
class Facts:
    """One cell. `status`: done, unfinished, or what its `error.json` says."""

    store: CellStore
    spec: CellSpec
    about: Mapping[str, Any]
    model: Mapping[str, Any]
    status: str
    reason: str = ""
    details: str = ""

    @property
    def directory(self) -> str:
        return self.store.path.name

    @property
    def name(self) -> Name:
        spec = self.spec
        return spec.task, spec.task_version, self.about["data"], spec.baseline, spec.config_hash, spec.seed


def facts_of(store: RunStore) -> list[Facts]:
    """All cells that have begun."""
    return [_facts(cell) for cell in store.cells()]


def _facts(cell: CellStore) -> Facts:
    about = read_json(cell.file("cell.json"))
    model = read_json(cell.file("model.json")) or {}
    made = Facts(cell, CellSpec(**about["spec"]), about, model, "unfinished")
    if cell.file("result.json").exists():
        return Facts(cell, made.spec, about, model, "done")
    error = cell.error
    if error is None:
        return made
    return Facts(cell, made.spec, about, model, error["status"], error["reason"], error.get("details", ""))


def grid_of_run(store: RunStore) -> Grid | None:
    """What the last command on this directory asked for; None where that isn't told, or by another version's grid."""
    stored = read_json(store.path / "grid.json")
    try:
        return Grid(**stored["grid"]) if stored else None
    except (ValueError, KeyError, TypeError):
        return None


def stage_name(stage: str) -> str:
    """`after pre-training`: what a row of an earlier stage is called beside its method's."""
    names = {FINAL: "", "pretrain": "after pre-training", "maskmle": "after MaskMLE", "untrained": "untrained"}
    return names.get(stage, f"after {stage}")
