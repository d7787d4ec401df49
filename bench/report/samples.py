"""A file of samples for every task, to be read by a person: methods side by side, for the same source or index."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from bench.store import CellStore, RunStore, read_json, write_text

SHOWN = 20


def write_samples(store: RunStore, directories: Sequence[str] | None = None) -> list[Path]:
    """Writes `samples/<task>.txt` with the first samples of every finished cell at its first decoding."""
    by_task: dict[str, list[CellStore]] = {}
    for cell in store.cells():
        spec = cell.spec
        wanted = directories is None or cell.path.name in directories
        if spec is not None and wanted and all(cell.file(name).exists() for name in ("samples.json", "samples.jsonl")):
            by_task.setdefault(spec.task, []).append(cell)
    paths = []
    for task, cells in by_task.items():
        path = store.path / "samples" / f"{task}.txt"
        write_text(path, page(task, cells))
        paths.append(path)
    return paths


def page(task: str, cells: Sequence[CellStore]) -> str:
    """The file's text: index by index, what every cell made of it."""
    columns = {name: records for cell in cells for name, records in shown(cell)}
    lines = [f"{task}: the first {SHOWN} samples, as they were drawn (nothing was chosen)", ""]
    for index in range(SHOWN):
        here = {name: records[index] for name, records in columns.items() if index < len(records)}
        if not here:
            break
        lines.append(f"--- {index} " + "-" * 60)
        first = next(iter(here.values()))
        lines += [f"{'source':24} {indented(turn)}" for turn in first.get("source", [])]
        lines += [f"{'reference':24} {indented(text)}" for text in first.get("references", [])]
        lines += [f"{name:24} {indented(record['text'])}" for name, record in here.items()]
        lines.append("")
    return "\n".join(lines)


def shown(cell: CellStore) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(`seqgan.s0 pretrain`, records) for each stage at the first decoding on the test split."""
    spec = cell.spec
    assert spec is not None
    decoding = read_json(cell.file("samples.json"))["sets"][0]["decoding"]
    stages: dict[str, list[dict[str, Any]]] = {}
    with cell.file("samples.jsonl").open(encoding="utf-8") as file:
        for record in map(json.loads, file):
            if record["split"] == "test" and record["decoding"] == decoding:
                stages.setdefault(record["stage"], []).append(record)
    for stage, records in stages.items():
        label = f"{spec.baseline}.s{spec.seed}" + ("" if stage == "final" else f" {stage}")
        yield label, list(islice(records, SHOWN))


def indented(text: str) -> str:
    return text.replace("\n", "\n" + " " * 25)
