"""One cell from start to end: prepare, fit, generate, score, commit. The only place with that order.

There are files between the stages, and a stage whose files are whole is not done again. So scoring anew never trains
anew, and a killed cell goes on from where it was.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file

from baselines.base import Baseline, Diverged, Generator
from bench import generation
from bench.config import CellSpec, Settings
from bench.context import CellRun, Emit, Interrupted, Surroundings, save_weights
from bench.env import choose_device, device_name, environment, peak_memory_mb, prepare_process, smallest_as_zero
from bench.errors import UserError
from bench.generation import REFERENCE_ROWS
from bench.registry import baseline_registry, know_metrics, make_task
from bench.schema import SCHEMA_VERSION, ScoreRow, row_head
from bench.scoring import Likelihood, SampleSet, Value, score_everything, stats_by_name
from bench.store import CellStore, RunStore, read_json, write_json
from tasks.base import Corpus, Task
from tasks.opening import open_source


@dataclass(frozen=True)
class Prepared:
    """A cell with its data loaded; `baseline` is None for a reference row."""

    spec: CellSpec
    task: Task
    corpus: Corpus
    baseline: Baseline | None


def run_cell(
    spec: CellSpec, store: RunStore, settings: Settings, emit: Emit, stop: Callable[[], bool]
) -> dict[str, Any]:
    """Runs what is left of a cell and gives `{"status": ..., "reason": ...}`, whatever happens.

    Status: `done`, `failed`, `diverged`, `unsupported`, `interrupted`, or `busy` when another process has the cell.
    """
    cell = store.cell(spec)
    with cell.locked() as mine:
        if not mine:
            return {"status": "busy", "reason": "another run works on it"}
        try:
            return _stages(spec, store, cell, settings, emit, stop)
        except Interrupted:
            return {"status": "interrupted", "reason": "stopped; the same command goes on from here"}
        except Diverged as error:
            return _failed(cell, "diverged", str(error), "")
        except Exception as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            return _failed(cell, "failed", text, traceback.format_exc())


def _failed(cell: CellStore, status: str, reason: str, details: str) -> dict[str, Any]:
    cell.fail(status, reason, details)
    return {"status": status, "reason": reason}


def _stages(
    spec: CellSpec, store: RunStore, cell: CellStore, settings: Settings, emit: Emit, stop: Callable[[], bool]
) -> dict[str, Any]:
    if cell.is_done(spec):
        return {"status": "done", "reason": "was done"}
    emit("loading", 0, 1, {})
    prepare_process(settings.threads, settings.deterministic)
    device = choose_device(settings.device)
    cell.file("error.json").unlink(missing_ok=True)
    prepared = prepare(spec)
    write_json(cell.file("cell.json"), describe(prepared))
    reason = prepared.baseline.supports(prepared.corpus) if prepared.baseline else None
    if reason is not None:
        return _failed(cell, "unsupported", reason, "")
    around = Surroundings(
        store,
        spec.task,
        spec.fingerprint,
        spec.seed,
        device,
        emit,
        stop,
        settings.checkpoint_every,
        settings.tensorboard,
    )
    fit(prepared, cell, around, settings)
    generate(prepared, cell, device, emit)
    emit("scoring", 0, 1, {})
    commit(prepared, cell, settings)
    return {"status": "done", "reason": ""}


def prepare(spec: CellSpec, loaded: Corpus | None = None) -> Prepared:
    """Loads the data (unless they are `loaded` already) and checks that they are those of the spec.

    Raises:
        UserError: the data changed since the cell was planned.
    """
    know_metrics(spec.plugins)
    task = make_task(spec.task, spec.task_options, spec.plugins)
    source = open_source(spec.data, fields=spec.fields)
    corpus = loaded or task.load(source, spec.limit, allow_overlap=spec.allow_overlap)
    if corpus.fingerprint != spec.fingerprint:
        raise UserError(f"the data of {spec.task} at {spec.data} changed since this cell was planned; run it anew.")
    if spec.baseline in REFERENCE_ROWS:
        return Prepared(spec, task, corpus, None)
    cls = baseline_registry(spec.plugins)[spec.baseline]
    return Prepared(spec, task, corpus, cls(cls.Config(**spec.config)))


def describe(prepared: Prepared) -> dict[str, Any]:
    """What `cell.json` says: the resolved spec, and what the data were like."""
    corpus, task = prepared.corpus, prepared.task
    return {
        "schema_version": SCHEMA_VERSION,
        "spec": prepared.spec.model_dump(mode="json"),
        "data": corpus.label,
        "origin": corpus.origin,
        "kind": corpus.kind,
        "primary": task.primary,
        "adversarial": bool(prepared.baseline and prepared.baseline.adversarial),
        "track": prepared.baseline.track() if prepared.baseline else "scratch",
        "rows": {name: len(split) for name, split in corpus.splits.items()},
        "vocabulary": {"size": corpus.vocab.size, "hash": corpus.vocab.hash},
        "counts": {name: dict(counts) for name, counts in corpus.counts.items()},
        "warnings": list(corpus.warnings),
        "entropy": list(corpus.entropy) if corpus.entropy else None,
        "oracle": corpus.oracle.hash if corpus.oracle else None,
    }


def fit(prepared: Prepared, cell: CellStore, around: Surroundings, settings: Settings) -> None:
    """Trains and saves the weights; `model.json`, written last, says that they are whole."""
    if cell.file("model.json").exists() or prepared.baseline is None:
        return
    run = CellRun(cell.path, around)
    try:
        with smallest_as_zero():
            generator = prepared.baseline.fit(prepared.corpus, run)
        save_weights(cell.file("weights.final.safetensors"), generator)
        stages = sorted(path.name.split(".")[1] for path in cell.path.glob("weights.*.safetensors"))
        model = {
            "baseline": prepared.spec.baseline,
            "config": prepared.spec.config,
            "stages": stages,
            "parameters": sum(value.numel() for value in generator.state_dict().values()),
            "train_seconds": round(run.seconds, 3),
            "device": device_name(around.device),
            "peak_memory_mb": round(peak_memory_mb(around.device), 1),
            "environment": environment(settings.threads, settings.deterministic),
        }
        write_json(cell.file("model.json"), model)
        run.finish()
    finally:
        run.close()


def generate(prepared: Prepared, cell: CellStore, device: torch.device, emit: Emit) -> None:
    """Draws the samples of every saved stage and takes the likelihood of the test data."""
    about = read_json(cell.file("samples.json"))
    if about is not None and about.get("drawing_key") == prepared.spec.drawing_key:
        return
    began = time.monotonic()
    sets: list[SampleSet] = []
    exact: list[Likelihood] = []
    skipped: list[generation.Skipped] = []
    if prepared.baseline is None:
        sets, exact = generation.reference_row(prepared.spec.baseline, prepared.corpus, prepared.spec)
    else:
        for stage in read_json(cell.file("model.json"))["stages"]:
            generator = load_generator(prepared, cell, stage, device)

            def tell(what: str, done: int, total: int) -> None:
                emit(what, done, total, {})

            drawn, left_out = generation.draw(prepared.task, prepared.corpus, prepared.spec, generator, stage, tell)
            sets, skipped = sets + drawn, skipped + left_out
            exact += generation.likelihoods(prepared.corpus, generator, stage)
    seconds = time.monotonic() - began
    generation.write_samples(cell.path, sets, exact, prepared.corpus, prepared.spec, seconds, skipped)


def load_generator(prepared: Prepared, cell: CellStore, stage: str, device: torch.device) -> Generator:
    """The trained generator as its weights were at `stage`."""
    assert prepared.baseline is not None, "reference rows have no weights"
    generator = prepared.baseline.build(prepared.corpus)
    if isinstance(generator, torch.nn.Module):
        generator.to(device)
    generator.load_state_dict(load_file(cell.file(f"weights.{stage}.safetensors"), device=str(device)))
    return generator


def commit(prepared: Prepared, cell: CellStore, settings: Settings) -> None:
    """Scores what was generated; per-item statistics first, `result.json` last."""
    stored = generation.read_samples(cell.path)
    if stored is None:
        raise UserError(f"{cell.path} has no samples to score; run the cell first.")
    began = time.monotonic()
    values = score_everything(prepared.task, prepared.corpus, *stored, prepared.spec)
    generation.write_arrays(cell.file("items.npz"), dict(stats_by_name(values)))
    model = read_json(cell.file("model.json")) or {}
    result = {
        "schema_version": SCHEMA_VERSION,
        "cell": cell.path.name,
        "status": "done",
        "scoring_key": prepared.spec.scoring_key,
        "rows": [row.model_dump(mode="json") for row in rows_of(prepared, cell.path.name, values, model)],
        "timings": {
            "train_seconds": model.get("train_seconds"),
            "generate_seconds": read_json(cell.file("samples.json"))["seconds"],
            "score_seconds": round(time.monotonic() - began, 3),
        },
        "samples": read_json(cell.file("samples.json"))["sets"],
        "environment": environment(settings.threads, settings.deterministic),
    }
    write_json(cell.file("result.json"), result)


def rows_of(prepared: Prepared, cell: str, values: Sequence[Value], model: dict[str, Any]) -> list[ScoreRow]:
    """One row a value."""
    head = row_head(describe(prepared), cell)
    return [
        ScoreRow(
            **head,
            stage=value.stage,
            split=value.split,
            decoding=value.decoding,
            metric=value.score.metric,
            value=value.score.value,
            ci_low=value.low,
            ci_high=value.high,
            n=value.score.n,
            higher_is_better=value.score.higher_is_better,
            primary=value.score.metric == prepared.task.primary,
            signature=value.score.signature,
            status="done" if not value.score.reason else "missing",
            reason=value.score.reason,
            train_seconds=model.get("train_seconds", float("nan")),
            device=model.get("device", ""),
            peak_memory_mb=model.get("peak_memory_mb", float("nan")),
            parameters=model.get("parameters", 0),
        )
        for value in values
    ]
