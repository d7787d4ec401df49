"""From samples to rows: builds what metrics read, asks for scores, adds intervals. Trains nothing, draws no samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

import metrics
from baselines.base import Decoding
from bench.config import CellSpec, content_hash
from bench.schema import AXES
from bench.seeding import seed_for
from bench.stats import bootstrap_interval
from metrics.base import LogProbs, Material, Score
from tasks.base import Corpus, Ragged, Task


@dataclass(frozen=True)
class SampleSet:
    """Samples of one (stage, split, decoding)."""

    stage: str
    split: str
    decoding: str
    texts: Sequence[str]
    ids: Ragged | None = None


@dataclass(frozen=True)
class Likelihood:
    """Exact log-probabilities of a split's targets under the model at one stage, or why there are none."""

    stage: str
    split: str
    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    tokens: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    reason: str = ""
    unit: str = ""  # what a token is, where it is not one of the corpus' vocabulary


@dataclass(frozen=True)
class Value:
    """One score of one set, with its interval over items."""

    stage: str
    split: str
    decoding: str  # "" where the value doesn't depend on it
    score: Score
    low: float
    high: float


def score_everything(
    task: Task, corpus: Corpus, sets: Sequence[SampleSet], likelihoods: Sequence[Likelihood], spec: CellSpec
) -> list[Value]:
    """The task's metrics and the spec's own, for all sets.

    Those of likelihood, and of the frontier, are taken once for each stage and split.

    Samples that are there for the frontier alone get its two axes and no more.
    """
    asked = {str(Decoding.parse(text)) for text in (spec.decodings or task.decodings)}
    wanted = tuple(dict.fromkeys((*task.metrics, *spec.metrics)))
    values = []
    for samples in sets:
        names = [name for name in wanted if not metrics.metric(name).needs & {"log_probs", "sweep"}]
        if samples.decoding and samples.decoding not in asked:
            names = [name for name in names if name.startswith(AXES)]
        scores = metrics.score(material_for(task, corpus, samples), names)
        values += [_value(samples.stage, samples.split, samples.decoding, score, spec) for score in scores]
    exact = [name for name in wanted if "log_probs" in metrics.metric(name).needs]
    for likelihood in likelihoods:
        material = likelihood_material(corpus, likelihood)
        scores = [_with_reason(score, likelihood.reason) for score in metrics.score(material, exact)]
        values += [_value(likelihood.stage, likelihood.split, "", score, spec) for score in scores]
    if spec.baseline != "real":  # real text is the point that curves are measured from
        names = [name for name in wanted if "sweep" in metrics.metric(name).needs]
        scores = metrics.score(sweep_material(task, corpus, sets, spec.temperatures), names)
        values += [_value("final", "test", "", score, spec) for score in scores]
    return values


def sweep_material(
    task: Task, corpus: Corpus, sets: Sequence[SampleSet], temperatures: Sequence[float] = ()
) -> Material:
    """What the frontier reads: the final model's samples by temperature, and real text of the same size.

    Text that no model made has one point and no temperature. Samples at other than the `temperatures` asked for, which
    a method's own publication may want, are no part of the curve; without `temperatures` all samples are.
    """
    asked = {str(Decoding("sample", temperature)) for temperature in temperatures}
    swept: dict[str, Sequence[str]] = {}
    for samples in sets:
        if samples.stage == "final" and samples.split == "test":
            decoding = Decoding.parse(samples.decoding) if samples.decoding else None
            if decoding is None:
                swept[""] = samples.texts
            elif decoding.method == "sample" and (not asked or samples.decoding in asked):
                swept[f"{decoding.temperature:g}"] = samples.texts
    ordered = dict(sorted(swept.items(), key=lambda pair: float(pair[0] or 0)))
    valid = corpus.splits["valid"].examples if corpus.oracle is None else ()
    size = max((len(texts) for texts in swept.values()), default=0)
    return Material(
        references=[example.target for example in corpus.splits["test"].examples],
        sweep=ordered or None,
        real=[example.target for example in valid[:size]],
        tokens=task.tokens,
        protocol={"data": corpus.label, "split": "test"},
    )


def material_for(task: Task, corpus: Corpus, samples: SampleSet) -> Material:
    """What text metrics read: samples, references, training text, and the protocol that goes into signatures."""
    split = corpus.splits[samples.split]
    free = corpus.kind == "free"
    oracle = None
    if corpus.oracle is not None and samples.ids is not None:
        oracle = per_item(corpus.oracle.log_probs(samples.ids), samples.ids, corpus.oracle.hash)
    return Material(
        samples=samples.texts,
        references=[example.target for example in split.examples] if free else None,
        references_by_item=None if free else [example.references or (example.target,) for example in split.examples],
        sources=None if free else [example.source for example in split.examples],
        train=[example.target for example in corpus.splits["train"].examples],
        tokens=task.tokens,
        oracle_log_probs=oracle,
        protocol={**decoding_field(samples.decoding), "data": corpus.label, "split": samples.split},
    )


def likelihood_material(corpus: Corpus, likelihood: Likelihood) -> Material:
    """What likelihood metrics read."""
    log_probs = None
    if not likelihood.reason:
        unit = content_hash(likelihood.unit) if likelihood.unit else corpus.vocab.hash
        log_probs = LogProbs(likelihood.sums, likelihood.tokens, unit)
    return Material(log_probs=log_probs, protocol={"data": corpus.label, "split": likelihood.split})


def per_item(flat: npt.NDArray[np.float64], targets: Ragged, vocabulary: str) -> LogProbs:
    """Sums by sequence of values aligned with `targets.flat`."""
    running = np.concatenate([[0.0], np.cumsum(flat, dtype=np.float64)])
    sums = running[targets.offsets[1:]] - running[targets.offsets[:-1]]
    return LogProbs(sums, targets.lengths, vocabulary)


def decoding_field(decoding: str) -> dict[str, str]:
    """`T:1` for sampling, `dec:beam5@1` for the others, nothing for real text."""
    if not decoding:
        return {}
    parsed = Decoding.parse(decoding)
    if parsed == Decoding("sample", parsed.temperature):
        return {"T": f"{parsed.temperature:g}"}
    return {"dec": str(parsed)}


def _value(stage: str, split: str, decoding: str, score: Score, spec: CellSpec) -> Value:
    low = high = float("nan")
    if score.stats is not None and np.isfinite(score.value):
        rng = np.random.default_rng(seed_for(f"bootstrap/{score.metric}", spec.task, spec.seed))
        low, high = bootstrap_interval(score.stats, metrics.metric(score.metric).reduce, rng)
    return Value(stage, split, decoding, score, low, high)


def _with_reason(score: Score, reason: str) -> Score:
    if not reason:
        return score
    return Score(score.metric, float("nan"), 0, score.higher_is_better, score.signature, None, reason)


def stats_by_name(values: Sequence[Value]) -> Mapping[str, npt.NDArray[np.float64]]:
    """The per-item statistics as `items.npz` keeps them, by `stage|split|decoding|metric`."""
    return {
        f"{value.stage}|{value.split}|{value.decoding}|{value.score.metric}": value.score.stats
        for value in values
        if value.score.stats is not None
    }
