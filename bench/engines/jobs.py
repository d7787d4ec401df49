"""What a job's process calls. Imports nothing heavy, so that the parent stays light; the fork server has it loaded."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

from bench.config import CellSpec, Grid, Settings

# loaded once by the fork server, and so by no cell
METRICS = (
    "bleu self_bleu sacre rouge likelihood diversity lengths novelty jaccard frechet frontier reverse_lm adversarial"
)
TASKS = "poetry speech captions oracle translation summarization dialogue"
PRELOAD = [
    "bench.worker",
    "safetensors.torch",
    *("baselines.mle", "baselines.seqgan"),
    *(f"tasks.{name}" for name in TASKS.split()),
    *(f"metrics.{name}" for name in METRICS.split()),
]


def plan_job(connection: Connection, grid: Grid, task: str) -> None:
    from bench.worker import work_plan

    work_plan(connection, grid, task)


def cell_job(connection: Connection, spec: CellSpec, directory: Path, settings: Settings) -> None:
    from bench.worker import work_cell

    work_cell(connection, spec, directory, settings)
