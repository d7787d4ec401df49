"""Rows that we did not train: samples from elsewhere, scored under a run's protocol and put into its leaderboard.

Such a row is a cell of the run directory like any other (`cell.json`, samples, per-item statistics, `result.json`
last), with `external` as its track, since nothing is known of what it was trained on.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import metrics
from baselines.base import Baseline, Decoding, Generator, Run
from bench import generation
from bench.cell import Prepared, describe, prepare, rows_of
from bench.config import CellSpec
from bench.env import environment
from bench.errors import UserError, did_you_mean
from bench.outside.given import Given
from bench.outside.scorefile import FileScore, fitted
from bench.plugins import files_of, plugin_hash
from bench.registry import NOT_METHODS, baseline_registry, task_registry
from bench.schema import SCHEMA_VERSION, Status
from bench.scoring import Likelihood, SampleSet, Value, score_everything, stats_by_name
from bench.store import CellStore, RunStore, read_json, write_json
from tasks.base import Corpus, Ragged

TRACK = "external"
DONE: Status = "done"
NAME = re.compile(r"[^\W_][\w+-]{0,59}")
NO_LIKELIHOOD = "samples alone have no likelihood of the test text"
NO_CURVE = "samples of one decoding are no curve over temperatures"


class External(Baseline):
    """Stands where a method stands; it was trained elsewhere, so there is nothing to build and nothing to fit."""

    name: ClassVar[str] = TRACK
    summary: ClassVar[str] = "samples that were made elsewhere"
    decodes: ClassVar[bool] = False

    def track(self) -> str:
        return TRACK

    def build(self, corpus: Corpus) -> Generator:  # noqa: ARG002
        raise UserError("an external row has samples and no model.")

    def fit(self, corpus: Corpus, run: Run) -> Generator:  # noqa: ARG002
        raise UserError("an external row is not trained here.")


@dataclass(frozen=True)
class Place:
    """Where a row goes: a run directory, and the name and the seed that it shall have there.

    Raises:
        UserError: no run directory, or a name that can't be one.
    """

    run: Path
    name: str
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not (self.run / "cells").is_dir():
            kind = "has a results.csv but no cells/" if (self.run / "results.csv").is_file() else "has no cells/"
            raise UserError(f"{self.run} is not a run directory (it {kind}); rows are added to what `run` has made.")
        if not NAME.fullmatch(self.name):
            raise UserError(f'"{self.name}" is no name for a row: letters, digits, "_", "+" and "-", a letter first.')
        taken = {*NOT_METHODS, "entropy", *baseline_registry().names}
        own = {cell.spec.baseline for cell in self.store.cells() if cell.spec and not is_external(cell)}
        if self.name in taken | own:
            raise UserError(
                f'"{self.name}" is the name of a method or a reference row; give the row another with --as.'
            )

    @property
    def store(self) -> RunStore:
        return RunStore(self.run)


@dataclass(frozen=True)
class Added:
    """What was scored, the folder of its row where one was added, and what a person should know of it."""

    scores: list[FileScore]
    cell: Path | None
    notes: list[str]


def is_external(cell: CellStore) -> bool:
    about = read_json(cell.file("cell.json"))
    return about is not None and about.get("track") == TRACK


def add_samples(place: Place, task: str | None, given: Given) -> Added:
    """Scores samples as the run's own rows were, and adds them.

    Args:
        task: one of the run's; None where it has one alone.

    Raises:
        UserError: no such task, counts that don't fit, or a row of that name is there.
    """
    if not given.texts:
        raise UserError(f"{given.name} is empty: there is nothing to score.")
    like = spec_of(place.store, task)
    base = prepare(reference_of(like))
    notes = []
    if not given.decoding:
        notes.append(f"taken as drawn by {base.task.decodings[0]}, the task's own way; --decoding says otherwise")
    decoding = checked(given.decoding or base.task.decodings[0], base.corpus.kind)
    spec, corpus = external_spec(like, place.name, place.seed, {"external": "samples"}, (decoding,)), base.corpus
    check_free(place, spec)
    pool = [example.target for example in corpus.splits["test"].examples]
    if corpus.kind == "conditional":
        texts = fitted(given, len(pool), spec.task).like(pool).texts
    else:
        wanted = generation.sample_count(corpus, spec.samples)
        texts = given.like(pool).texts[:wanted]
        notes += _about_size(len(given.texts), wanted)
    sets = [SampleSet("final", "test", decoding, texts, _ids(texts, corpus, given.name))]
    exact = [Likelihood("final", "test", reason=NO_LIKELIHOOD)]
    facts = {"file": given.name, "samples": len(given.texts), "sha256": given.digest, "decoding_given": given.decoding}
    return commit_external(Prepared(spec, base.task, corpus, External()), place, sets, exact, facts, notes)


def spec_of(store: RunStore, task: str | None) -> CellSpec:
    """The protocol of the run's own cells of a task, as one of them has it: data, options, how many samples.

    Raises:
        UserError: the run has no such task, or several and none was named, or cells of it on different data.
    """
    specs = [cell.spec for cell in store.cells() if not is_external(cell)]
    found = [spec for spec in specs if spec is not None]
    tasks = list(dict.fromkeys(spec.task for spec in found))
    if task is None and len(tasks) == 1:
        task = tasks[0]
    if task is None:
        raise UserError(f"{store.path} has {', '.join(tasks) or 'no tasks yet'}: say which with --task.")
    own = [spec for spec in found if spec.task == task]
    if not own:
        raise UserError(f'{store.path} has no cells of "{task}".{did_you_mean(task, tasks)}')
    if len({(spec.fingerprint, spec.samples) for spec in own}) > 1:
        raise UserError(f"{store.path} has cells of {task} on different data or numbers of samples: which are meant?")
    usual, _ = Counter(spec.decodings for spec in own).most_common(1)[0]  # some methods have one more of their own
    return next(spec for spec in own if spec.decodings == usual)


def external_spec(like: CellSpec, name: str, seed: int, config: dict[str, Any], decodings: tuple[str, ...]) -> CellSpec:
    """The row's cell: what the run's own have, but for the method."""
    own = {"baseline": name, "baseline_version": 1, "config": config, "seed": seed, "decodings": decodings}
    return CellSpec(**{**like.model_dump(), **own, **_without_method(like)})


def _without_method(spec: CellSpec) -> dict[str, Any]:
    """The plug-in files that the task and the metrics need; that of a method may be gone."""
    if spec.task in task_registry().names and not spec.metrics:
        return {"plugins": (), "plugin_hash": ""}
    needed = files_of(spec.plugins, {spec.task, *spec.metrics})
    return {"plugins": needed, "plugin_hash": plugin_hash(files_of(needed, {spec.task}))}


def prepare_again(spec: CellSpec, loaded: Corpus | None = None) -> Prepared:
    """An external cell that is there, to be scored anew."""
    base = prepare(reference_of(spec), loaded)
    return Prepared(spec, base.task, base.corpus, External())


def reference_of(spec: CellSpec) -> CellSpec:
    """The same data under a name that builds no method."""
    return spec.model_copy(update={"baseline": "real", **_without_method(spec)})


def check_free(place: Place, spec: CellSpec) -> None:
    """Nothing is replaced unasked.

    Raises:
        UserError: the run has a row of that name, task and seed, and --overwrite was not asked for.
    """
    old = _there(place.store, spec)
    if old and not place.overwrite:
        raise UserError(
            f"{place.run} has a row {place.name} of {spec.task}, seed {place.seed} ({old[0].path.name}): "
            "give this one another name or seed (--as, --seed), or pass --overwrite."
        )


def _there(store: RunStore, spec: CellSpec) -> list[CellStore]:
    return [cell for cell in (store.cell(spec), *store.other_versions(spec)) if cell.file("cell.json").exists()]


def checked(decoding: str, kind: str) -> str:
    """Written as everywhere.

    Raises:
        UserError: no decoding is called so, or none of that kind of task.
    """
    try:
        found = Decoding.parse(decoding)
    except ValueError as error:
        raise UserError(f"{error}.") from None
    if kind == "free" and found.method != "sample":
        raise UserError(f"--decoding {decoding}: free text is drawn by sample or sample@TEMPERATURE.")
    return str(found)


def _about_size(count: int, wanted: int) -> list[str]:
    if count > wanted:
        return [f"the first {wanted} of {count} samples: as many as the other rows have"]
    if count < wanted:
        return [
            f"{count} samples, where the other rows have {wanted}: most values depend on that, so that their "
            "signatures differ and they stand in columns of their own"
        ]
    return []


def _ids(texts: Sequence[str], corpus: Corpus, name: str) -> Ragged | None:
    """Of an oracle's token numbers, which alone it knows the likelihood of."""
    if corpus.oracle is None:
        return None
    known = set(corpus.vocab.tokens)
    for row, text in enumerate(texts, 1):
        tokens = text.split()
        if len(tokens) != corpus.fixed_length or not known.issuperset(tokens):
            raise UserError(
                f"{name} sample {row}: not {corpus.fixed_length} token numbers from 0 to {corpus.vocab.size - 1}, "
                "parted by spaces."
            )
    return Ragged.from_lists([corpus.target_codec.encode(text) for text in texts])


def commit_external(
    prepared: Prepared,
    place: Place,
    sets: Sequence[SampleSet],
    exact: Sequence[Likelihood],
    facts: dict[str, Any],
    notes: list[str],
    skipped: Sequence[generation.Skipped] = (),
    seconds: float = 0.0,
) -> Added:
    """Scores, then writes the cell; an older one of that name and seed goes only when it may."""
    spec, store = prepared.spec, place.store
    values = values_of(prepared, sets, exact)
    cell = store.cell(spec)
    for old in _there(store, spec):
        store.remove(old)
    with cell.locked() as mine:
        if not mine:
            raise UserError(f"{cell.path} is being worked on by another run; wait for it.")
        write_json(cell.file("cell.json"), {**describe(prepared), "external": facts})
        generation.write_samples(cell.path, sets, exact, prepared.corpus, spec, seconds, skipped)
        write_result(prepared, cell, values)
    return Added(file_scores(values, prepared), cell.path, notes)


def rescore_external(prepared: Prepared, cell: CellStore) -> None:
    """Scores a cell's samples anew."""
    stored = generation.read_samples(cell.path)
    if stored is None:
        raise UserError(f"{cell.path} has no samples to score; add its row again.")
    write_result(prepared, cell, values_of(prepared, *stored))


def values_of(prepared: Prepared, sets: Sequence[SampleSet], exact: Sequence[Likelihood]) -> list[Value]:
    """As any cell's; a single set of samples is no curve."""
    values = score_everything(prepared.task, prepared.corpus, sets, exact, prepared.spec)
    return [_no_curve(value) for value in values] if len(sets) == 1 else values


def _no_curve(value: Value) -> Value:
    score = value.score
    if "sweep" not in metrics.metric(score.metric).needs:
        return value
    bare = dataclasses.replace(score, value=float("nan"), n=0, stats=None, reason=NO_CURVE)
    return dataclasses.replace(value, score=bare, low=float("nan"), high=float("nan"))


def write_result(prepared: Prepared, cell: CellStore, values: Sequence[Value]) -> None:
    """Per-item statistics first, `result.json` last."""
    began = time.monotonic()
    generation.write_arrays(cell.file("items.npz"), dict(stats_by_name(values)))
    drawn = read_json(cell.file("samples.json"))
    facts = (read_json(cell.file("cell.json")) or {}).get("external", {})
    model = {key: facts[key] for key in ("parameters", "device") if key in facts}
    result = {
        "schema_version": SCHEMA_VERSION,
        "cell": cell.path.name,
        "status": DONE,
        "scoring_key": prepared.spec.scoring_key,
        "rows": [row.model_dump(mode="json") for row in rows_of(prepared, cell.path.name, values, model)],
        "timings": {
            "train_seconds": None,
            "generate_seconds": drawn["seconds"],
            "score_seconds": round(time.monotonic() - began, 3),
        },
        "samples": drawn["sets"],
        "environment": environment(1, False),
    }
    write_json(cell.file("result.json"), result)


def file_scores(values: Sequence[Value], prepared: Prepared) -> list[FileScore]:
    """Those of the decodings that were asked for: samples that are there for a curve alone have no lines."""
    asked = {str(Decoding.parse(text)) for text in (prepared.spec.decodings or prepared.task.decodings)}
    return [
        FileScore(value.score, value.low, value.high, decoding=value.decoding)
        for value in values
        if value.split == "test" and (not value.decoding or value.decoding in asked)
    ]
