"""`leaderboard.csv`: one row for each method, stage, decoding and split, with all metrics side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from bench.report.layout import EXTERNAL, Line, Table
from bench.report.longfile import write_csv
from bench.report.ranking import judge
from bench.report.wording import failure_text

FIXED_COLUMNS = (
    "task",
    "task_version",
    "data",
    "origin",
    "split",
    "decoding",
    "method",
    "config_hash",
    "stage",
    "track",
    "seeds_done",
    "seeds_failed",
    "failures",
    "train_seconds",
    "device",
    "peak_memory_mb",
    "parameters",
)
METRIC_COLUMNS = ("METRIC", "METRIC half_width", "METRIC seeds", "METRIC signature")


def write_wide(tables: Sequence[Table], path: Path) -> None:
    """In the order of the tables; a metric that was measured in several ways has columns for each (`bleu-2 [b]`)."""
    labels = list(dict.fromkeys(column.label for table in tables for column in table.columns))
    header = [*FIXED_COLUMNS, *(name.replace("METRIC", label) for label in labels for name in METRIC_COLUMNS)]
    records = []
    for table in tables:
        for line in judge(table).lines:
            records += [_record(table, each, labels) for each in (*reversed(line.earlier), line)]
    write_csv(path, header, records)


def _record(table: Table, line: Line, labels: Sequence[str]) -> list[object]:
    costs = line.costs
    record: list[object] = [table.task, table.task_version, table.data, table.origin, table.split, table.decoding]
    track = EXTERNAL if line.external else table.track
    record += [line.baseline, line.config_hash, line.stage, track, len(line.seeds), line.failed]
    record += ["; ".join(failure_text(failure) for failure in line.failures)]
    record += [costs.train_seconds, costs.device, costs.peak_memory_mb, costs.parameters or None]
    by_label = {column.label: column for column in table.columns}
    for label in labels:
        column = by_label.get(label)
        value = line.values.get(column) if column is not None else None
        if value is None:
            record += [None, None, None, None]
        else:
            record += [value.mean, value.half, len(value.by_seed), value.signature]
    return [None if isinstance(field, float) and math.isnan(field) else field for field in record]
