"""Scores samples that were made elsewhere: against a task's test data, or against references that are given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import metrics
from bench.errors import UserError
from bench.outside.given import (
    REFERENCE_FIELDS,
    SOURCE_FIELDS,
    Columns,
    Given,
    Texts,
    data_field,
    read_given,
    read_texts,
)
from bench.outside.inputs import named
from bench.seeding import seed_for
from bench.stats import bootstrap_interval
from metrics.base import Material, Score
from metrics.explain import about, in_words
from metrics.protocols import DEFAULT, protocol
from tasks.base import Task
from tasks.opening import open_source

POOL = (
    *("bleu-2", "bleu-3", "bleu-4", "bleu-5", "self-bleu-2", "self-bleu-3", "self-bleu-4", "self-bleu-5"),
    *("distinct-1", "distinct-2", "unique", "copied", "longest-copy", "copied-share-4"),
    *("frechet", "reverse-lm", "forward-lm", "ms-jaccard-4", "length", "length-distance", "unk"),
)
PAIRED = (
    *("sacrebleu", "chrf", "rouge-1", "rouge-2", "rouge-l", "rouge-lsum", "bleu-2", "bleu-4"),
    *("distinct-1", "distinct-2", "length", "length-ratio", "unk"),
)
FRONTIER = ("frontier-distance-2", "frontier-area-2", "frontier-distance-4", "frontier-area-4")
WITH_SOURCES = ("novel-1", "novel-2", "novel-3", "adver-suc", "adver-human-random", "adver-machine-random", "adver-ere")
FROM_A_MODEL = {"log_probs", "oracle_log_probs", "sweep"}  # a file of samples can't have these


@dataclass(frozen=True)
class FileScore:
    """A score with its interval over items; `real` is what as much real text has, where there was some to score."""

    score: Score
    low: float
    high: float
    real: float = float("nan")
    decoding: str = ""  # where it is known and the value depends on it

    def line(self, name: int) -> str:
        """For a terminal; `name` is how wide the names are."""
        score = self.score
        if score.reason:
            return f"{score.metric:{name}} -        {score.reason}   {score.signature}"
        interval = f"[{self.low:.4f}, {self.high:.4f}]" if np.isfinite(self.low) else ""
        real = f"real {self.real:<8.4f} " if np.isfinite(self.real) else ""
        return f"{score.metric:{name}} {score.value:<8.4f} {interval:20} {real}{score.signature}"

    def as_dict(self) -> dict[str, Any]:
        number = {"value": self.score.value, "ci_low": self.low, "ci_high": self.high, "real": self.real}
        finite = {key: value if np.isfinite(value) else None for key, value in number.items()}
        rest = {"n": self.score.n, "signature": self.score.signature, "reason": self.score.reason}
        return {"metric": self.score.metric, "decoding": self.decoding, **finite, **rest}


def explain(protocol_name: str, names: Sequence[str], paired: bool) -> list[str]:
    """A protocol in words before anything is scored: what is done, and what each metric measures and can't see."""
    if protocol_name == DEFAULT:
        lines = [
            f"protocol {DEFAULT}: the suite's own; all samples, held-out references, empty samples count as samples"
        ]
    else:
        known = protocol(protocol_name)
        names, paired = known.names, False
        lines = [f"protocol {known.name}: {known.says}", f"  as in: {known.source}"]
        lines.append("  tokens: NLTK's words of the lower-cased line; empty lines are left out on both sides")
    material = Material(references_by_item=() if paired else None)
    families: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        each = metrics.metric(name)
        families.setdefault(tuple(about(each, each.direction(material))), []).append(name)
    for facts, members in families.items():
        lines += [", ".join(members), *(f"  {fact}" for fact in facts)]
    return lines


def explained(score: Score) -> list[str]:
    """What one number measures, in words: the metric, and then each field of its signature."""
    facts = about(metrics.metric(score.metric), score.higher_is_better)
    return [score.metric, *(f"  {line}" for line in [*facts, *in_words(score.signature)])]


def score_file(
    samples: Texts,
    *,
    task: Task | None,
    data: str,
    fields: Mapping[str, str],
    allow_overlap: bool,
    references: Texts | None,
    sources: Texts | None,
    real: Texts | None,
    train: Texts | None,
    paired: bool,
    names: Sequence[str] | None,
    tokens: str | None,
    protocol_name: str = DEFAULT,
    device: str | None = None,
    workers: int = 1,
    columns: Columns = Columns(),  # noqa: B008 - frozen
    form: str | None = None,
    decoding: str | None = None,
) -> list[FileScore]:
    """Scores the given texts; see `score --help` for what the arguments mean.

    Raises:
        UserError: nothing to score against, or counts that don't fit.
    """
    compatible = None if protocol_name == DEFAULT else protocol(protocol_name)
    if compatible is not None and tokens is not None:
        raise UserError(f"--tokens {tokens} goes against --protocol {protocol_name}, which has tokens of its own.")
    own = dataclasses.replace(  # a file of their own has these fields then
        columns,
        references=columns.references if references is None else None,
        sources=columns.sources if sources is None else None,
    )
    given = read_given(samples, own, form, decoding)
    if not given.texts:
        raise UserError(f"{given.name} is empty: there is nothing to score.")
    if task is not None:
        if references is not None or own.references is not None:
            raise UserError(f"--task {task.name} has references of its own: leave them out, or leave out --task.")
        material, wanted = _against_task(given, task, data, fields, allow_overlap)
    elif given.references is not None:
        material, wanted = _against_own(given, samples, str(own.references))
    elif references is not None:
        material, wanted = _against_file(given, references, sources, paired, columns)
    else:
        raise UserError("score needs --task NAME or --references FILE to score against.")
    if tokens is not None:
        material = dataclasses.replace(material, tokens=tokens)
    if train is not None:
        material = dataclasses.replace(material, train=_pool(read_texts(train, REFERENCE_FIELDS, None, "--train")))

    def scored(each: Material) -> list[Score]:
        if compatible is not None:
            return compatible.score(each, names, device)
        return metrics.score(each, list(names or wanted), device=device, workers=workers)

    scores = [_with_interval(score) for score in scored(material)]
    if real is None:
        return scores
    if material.references_by_item is not None:
        raise UserError("--real is for free text: against own references, higher is better.")
    same = _as_many(real, len(given.texts))
    measured = scored(dataclasses.replace(material, samples=same))
    beside = [dataclasses.replace(mine, real=its.value) for mine, its in zip(scores, measured, strict=True)]
    if compatible is not None or names is not None:
        return beside
    # one file is one point of the plane, whatever temperature it was drawn at
    point = dataclasses.replace(material, sweep={"": material.samples}, real=same)
    return beside + [_with_interval(score) for score in metrics.score(point, FRONTIER)]


def _as_many(real: Texts, count: int) -> list[str]:
    """Real text is scored in as many lines as the samples, since most values depend on how many there are."""
    lines = _pool(read_texts(real, REFERENCE_FIELDS, None, "--real"))
    if len(lines) < count:
        raise UserError(
            f"--real {_name(real)} has {len(lines)} lines, fewer than the {count} samples: score fewer samples."
        )
    return lines[:count]


def _against_task(
    given: Given, task: Task, data: str, fields: Mapping[str, str], allow_overlap: bool
) -> tuple[Material, Sequence[str]]:
    corpus = task.load(open_source(data, fields=dict(fields)), allow_overlap=allow_overlap)
    test = corpus.splits["test"].examples
    protocol = {"data": corpus.label, "split": "test"}
    wanted = [name for name in task.metrics if not metrics.metric(name).needs & FROM_A_MODEL]
    train = [example.target for example in corpus.splits["train"].examples]
    pool = [example.target for example in test]
    if corpus.kind == "free":
        texts = given.like(pool).texts
        return Material(texts, references=pool, train=train, tokens=task.tokens, protocol=protocol), wanted
    answers = [example.references or (example.target,) for example in test]
    sources = [example.source for example in test]
    return Material(
        fitted(given, len(test), task.name).like(pool).texts,
        references_by_item=answers,
        train=train,
        tokens=task.tokens,
        sources=sources,
        protocol=protocol,
    ), wanted


def fitted(given: Given, count: int, task: str) -> Given:
    """One text a source, in the order of the sources.

    Raises:
        UserError: there are more or fewer, or numbers that don't fit.
    """
    ordered = given.in_order(count)
    if len(ordered.texts) != count:
        raise UserError(
            f"{given.name} has {len(given.texts)} lines, {task}'s test split {count}: line i must answer source i."
        )
    return ordered


def _against_own(given: Given, samples: Texts, field: str) -> tuple[Material, Sequence[str]]:
    """References, and perhaps sources, that stand in the rows of the samples."""
    assert given.references is not None, "`score_file` has asked"
    named_after = f"{_name(samples)}:{field}"
    protocol = {"data": f"{named_after}#{data_field(['-'], given.references)['data'].rpartition('#')[2]}"}
    material = Material(given.texts, references_by_item=given.references, sources=given.sources, protocol=protocol)
    return material, PAIRED if given.sources is None else (*PAIRED, *WITH_SOURCES)


def _against_file(
    given: Given, references: Texts, sources: Texts | None, paired: bool, columns: Columns
) -> tuple[Material, Sequence[str]]:
    rows = read_texts(references, REFERENCE_FIELDS, columns.references, "--references-field")
    if not paired:
        if sources is not None or given.sources is not None:
            raise UserError("--sources needs --paired: line i of each file belongs to sample i.")
        pool = _pool(rows)
        return Material(given.like(pool).texts, references=pool, protocol=data_field(references, rows)), POOL
    answered = given.sources
    if sources is not None:
        answered = read_texts(sources, SOURCE_FIELDS, columns.sources, "--sources-field")
    for other, count in ((references, len(rows)), (sources or references, len(answered or rows))):
        if count != len(given.texts):
            raise UserError(
                f"{given.name} has {len(given.texts)} lines and {_name(other)} {count}: --paired needs one each."
            )
    given = given.in_order(len(rows)).like(_pool(rows))
    material = Material(
        given.texts,
        references_by_item=rows,
        sources=given.sources if sources is None else answered,
        protocol=data_field(references, rows),
    )
    return material, PAIRED if answered is None else (*PAIRED, *WITH_SOURCES)


def _pool(rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [text for row in rows for text in row]


def _name(texts: Texts) -> str:
    return named(texts) if not isinstance(texts, Sequence) else "the list"


def _with_interval(score: Score) -> FileScore:
    if score.stats is None or not np.isfinite(score.value):
        return FileScore(score, float("nan"), float("nan"))
    rng = np.random.default_rng(seed_for(f"bootstrap/{score.metric}", "score", 0))
    return FileScore(score, *bootstrap_interval(score.stats, metrics.metric(score.metric).reduce, rng))
