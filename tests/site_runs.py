"""Run directories of made-up results, as far as a report reads them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.config import CellSpec, content_hash
from bench.report.layout import is_failure
from bench.schema import ScoreRow
from bench.store import RunStore, write_json, write_text
from tests.score_rows import NAN, row

ENVIRONMENT = {"gantlet": "0.1.0", "commit": "0a1b2c3", "python": "3.11.7", "threads": "1", "deterministic": "false"}
# metric, primary, higher is better: as many columns as a free task has
METRICS: tuple[tuple[str, bool, bool | None], ...] = (
    *((f"bleu-{n}", n == 2, None) for n in (2, 3, 4, 5)),
    *((f"self-bleu-{n}", False, None) for n in (2, 3, 4, 5)),
    *((name, False, None) for name in ("distinct-1", "distinct-2", "unique", "longest-copy", "copied-share-4")),
    *((name, False, False) for name in ("copied", "frechet", "reverse-lm", "length-distance", "nll-test", "unk")),
    *((name, False, None) for name in ("forward-lm", "length")),
    *((name, False, True) for name in ("ms-jaccard-4", "frontier-area-2", "frontier-area-4")),
    *((name, False, False) for name in ("frontier-distance-2", "frontier-distance-4")),
)


def write_run(path: Path, rows: Iterable[ScoreRow], log: str = "", grid: dict[str, Any] | None = None) -> RunStore:
    """A run directory with a cell for each (task, method, configuration, seed) of the rows, done or failed."""
    cells: dict[tuple[str, str, str, int], list[ScoreRow]] = {}
    for each in rows:
        cells.setdefault((each.task, each.baseline, each.config_hash, each.seed or 0), []).append(each)
    for members in cells.values():
        _write_cell(path, members, log)
    if grid is not None:
        write_json(path / "grid.json", {"version": "0.1.0", "grid": grid})
    return RunStore(path)


def _write_cell(path: Path, rows: list[ScoreRow], log: str) -> None:
    first = rows[0]
    spec = CellSpec(
        task=first.task,
        task_version=first.task_version,
        task_options={"tokenizer": "word", "max_tokens": 32},
        fingerprint=content_hash(first.data),
        baseline=first.baseline,
        baseline_version=1,
        config={"net": {"hidden": 32}, "made_up": first.config_hash},
        seed=first.seed or 0,
        budget="smoke",
        data="embedded",
    )
    folder = path / "cells" / content_hash([first.task, first.baseline, first.config_hash, first.seed])[:12]
    about = {"data": first.data, "origin": first.origin, "kind": "free", "primary": first.metric, "track": first.track}
    counts = {"train": {"rows": 4000, "duplicates": 0}, "test": {"rows": 500, "duplicates": 1}}
    about |= {"counts": counts, "warnings": [], "vocabulary": {"size": 996, "hash": "11"}}
    write_json(folder / "cell.json", {"schema_version": 1, "spec": spec.model_dump(mode="json"), **about})
    write_text(folder / "log.jsonl", log)
    failed = [each for each in rows if is_failure(each)]
    if failed:
        error = {"status": failed[0].status, "reason": failed[0].reason, "details": f"Traceback\n{failed[0].reason}"}
        write_json(folder / "error.json", error)
        return
    model = {"parameters": first.parameters, "train_seconds": 1.5, "device": "cpu", "peak_memory_mb": 300.0}
    write_json(folder / "model.json", {**model, "environment": ENVIRONMENT})
    stored = [each.model_copy(update={"config_hash": spec.config_hash, "cell": folder.name}) for each in rows]
    write_json(folder / "result.json", {"rows": [json.loads(each.model_dump_json()) for each in stored]})


def many(cells: int, seed: int, tasks: int = 4, seeds: int = 5) -> list[ScoreRow]:
    """Rows of so many cells with all the columns of free text, every tenth value missing; real text in every task."""
    rng = random.Random(seed)
    methods = cells // (tasks * seeds)
    rows = []
    for task in range(tasks):
        about: dict[str, Any] = {"task": f"task{task}", "data": f"task{task}.v1/made#0{task}"}
        for method in range(methods):
            name = "real" if method == 0 else "mle" if method == 1 else f"method_{method}"
            rows += [each for s in range(seeds) for each in _cell(about | {"baseline": name, "seed": s}, rng)]
    return rows


def _cell(about: dict[str, Any], rng: random.Random) -> list[ScoreRow]:
    rows = []
    for metric, primary, higher in METRICS:
        value = NAN if rng.random() < 0.1 and not primary else rng.random()
        rows.append(
            row(
                **about,
                metric=metric,
                primary=primary,
                higher_is_better=higher,
                value=value,
                status="missing" if math.isnan(value) else "done",
                reason="samples: empty" if math.isnan(value) else "",
                signature=f"{metric}|n:2|hyps:500|refs:500|smooth:m1|agg:sent-mean|tok:nltk-lower|T:1|"
                f"data:{about['data']}|split:test|v:1",
            )
        )
    return rows
