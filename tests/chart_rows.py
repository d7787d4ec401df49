"""Rows and logs to draw charts of, and the charts drawn of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.config import CellSpec, content_hash
from bench.report.charts import charts_and_gaps
from bench.report.charts.model import Chart
from bench.report.charts.parts import Specs
from bench.report.wording import clean
from bench.schema import ScoreRow
from bench.store import RunStore, write_json
from tests.score_rows import NAN, row

HOSTILE = '<script>alert("x")</script> \u2028 & "quotes" it\'s [a.b] #1'
DATA = "poetry.v1/embedded#3fa91c20"


def swept(baseline: str, seed: int, shift: float, refs: int = 500, **about: Any) -> list[ScoreRow]:
    """BLEU-2 and Self-BLEU-2 of one cell at three temperatures."""
    rows = []
    for temperature, hot in ((0.7, -0.1), (1.0, 0.0), (1.3, 0.1)):
        where = {"baseline": baseline, "seed": seed, "decoding": f"sample@{temperature:g}", **about}
        own = f"hyps:500|refs:{refs}|T:{temperature:g}|v:1"
        rows.append(row(**where, value=0.5 + shift - hot, signature=f"bleu-2|n:2|{own}"))
        self_bleu = {**where, "metric": "self-bleu-2", "primary": False}
        rows.append(
            row(**self_bleu, value=0.4 + shift - 2 * hot, signature=f"self-bleu-2|n:2|hyps:500|T:{temperature:g}|v:1")
        )
    return rows


def real(value: float = 0.5, self_bleu: float = 0.42) -> list[ScoreRow]:
    about = {"baseline": "real", "decoding": "", "train_seconds": NAN, "parameters": 0}
    return [
        row(**about, value=value, signature="bleu-2|n:2|hyps:500|refs:500|v:1"),
        row(**about, metric="self-bleu-2", primary=False, value=self_bleu, signature="self-bleu-2|n:2|hyps:500|v:1"),
    ]


NAMES = ("mle", "seqgan", "tuned_mle", "a", "b", "beamer", "c", "copynet", "maligan", "odd", clean(HOSTILE))


def charts_of(rows: list[ScoreRow], path: Path, specs: Specs, task: str = "poetry") -> dict[str, Chart]:
    made = charts_and_gaps(RunStore(path), rows, task, specs)[0]
    assert len({chart.name for chart in made}) == len(made)
    return {chart.name: chart for chart in made}


def spec_of(baseline: str, seed: int, config: dict[str, Any]) -> CellSpec:
    about = {"task": "poetry", "task_version": 1, "task_options": {}, "fingerprint": "3fa91c20", "budget": "smoke"}
    return CellSpec(**about, baseline=baseline, baseline_version=1, config=config, seed=seed, data="embedded")


def write_log(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")


def add_cell(run: Path, spec: CellSpec, records: list[dict[str, Any]], train_seconds: float) -> None:
    folder = RunStore(run).cell(spec).path
    write_log(folder / "log.jsonl", records)
    about = {"spec": spec.model_dump(mode="json"), "data": DATA, "origin": "embedded", "primary": "bleu-2"}
    write_json(folder / "cell.json", about)
    write_json(folder / "model.json", {"train_seconds": train_seconds})


def add_pretraining(run: Path, pre: dict[str, Any], seed: int, seconds: float, nlls: list[float]) -> None:
    key = content_hash({"spec": pre, "data": "3fa91c20", "seed": seed})
    folder = RunStore(run).pretrained(key)
    step = seconds / len(nlls)
    write_log(
        folder / "log.jsonl",
        [
            {"stage": "pretrain", "step": 100 * (i + 1), "seconds": step * (i + 1), "valid_nll": nll}
            for i, nll in enumerate(nlls)
        ],
    )
    write_json(folder / "done.json", {"spec": pre, "seconds": seconds})


PRE = {"method": "mle", "version": 1, "net": {"hidden": 8}, "epochs": 4, "batch": 16, "clip": 5.0}
OTHER = {**PRE, "epochs": 2}


def hashes() -> dict[str, str]:
    """The configurations of `add_run`'s cells."""
    config: dict[str, Any] = {key: value for key, value in PRE.items() if key not in ("method", "version")}
    config["net"] = {"hidden": 8, "attention": 3}
    given = {"mle": config, "seqgan": {"pretrain": config, "rollouts": 4}}
    return {name: spec_of(name, 0, each).config_hash for name, each in given.items()}


def add_run(run: Path, seed: int = 0) -> None:
    """`mle`, `seqgan` from the same pre-training, and a search that tried that pre-training among others."""
    config = {key: value for key, value in PRE.items() if key not in ("method", "version")}
    net = {"net": {"hidden": 8, "attention": 3}}  # constants of other kinds of tasks stand in a config, not in a spec
    add_pretraining(run, PRE, seed, 20.0, [5.0, 4.0, 3.5, 3.25])
    add_pretraining(run, OTHER, seed, 9.0, [7.0, 6.0])
    add_cell(run, spec_of("mle", seed, config | net), [], 20.1)
    later = [
        {"stage": "adversarial", "step": i, "seconds": 20 + 2.0 * i, "reward": i / 10, "valid_nll": 3.0 + i}
        for i in (1, 2, 3, 4, 5)
    ]
    add_cell(run, spec_of("seqgan", seed, {"pretrain": config | net, "rollouts": 4}), later, 30.0)
    trials = [{"stage": "search", "step": i, "seconds": 9.0 + i, "epochs": 4 - i, "valid_nll": 6.0} for i in (0, 1)]
    add_cell(run, spec_of("tuned_mle", seed, {"mle": config | net, "trials": 2}), trials, 40.0)
