"""All checks of a task: what it loads, that it loads the same everywhere, and that it says which row is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from baselines.base import Decoding
from bench.checks import elsewhere
from bench.checks.core import Check, CheckFailed, NotApplicable, place_of
from bench.checks.finding import Found, place_to_import
from bench.errors import UserError
from bench.registry import validated
from tasks.base import Corpus, DataError, Origin, Provenance, Row, Source, Split, Task
from tasks.checks import key_of
from tasks.opening import open_source

LIMIT, ROWS = 300, 200  # rows of a split that are loaded, and looked at


class TaskTrial:
    """A task with the data that it is tried on, loaded once.

    Args:
        settings: its options.
        data: as `--data` names it; embedded where it is None.
    """

    def __init__(
        self,
        found: Found,
        settings: Mapping[str, Any] | None = None,
        data: str | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        self.found, self.settings, self.data, self.fields = found, dict(settings or {}), data, dict(fields or {})
        self.file = inspect.getsourcefile(found.cls) or ""
        self._corpora: dict[int | None, Corpus] = {}

    def task(self) -> Task:
        made: Task = self.found.cls(validated(self.found.cls.Options, self.settings, self.found.name))
        return made

    def source(self) -> Source:
        return open_source(self.data, fields=self.fields)

    def corpus(self, limit: int | None = LIMIT) -> Corpus:
        if limit not in self._corpora:
            try:
                self._corpora[limit] = self.task().load(self.source(), limit)
            except DataError as error:
                where = "the embedded data" if self.data is None else self.data
                raise UserError(
                    f"{self.found.name} can't be loaded from {where}: {error} (--data DIR|FILE names other data)"
                ) from None
        return self._corpora[limit]

    def place(self, name: str = "load") -> str:
        return place_of(getattr(self.found.cls, name, self.found.cls))


@dataclass(frozen=True)
class Altered:
    """A source whose rows are changed on the way, by (split, rows) -> rows; it notes which were given out."""

    source: Source
    change: Callable[[str, list[Row]], list[Row]]
    given: list[Row] = field(default_factory=list)

    @property
    def origin(self) -> Origin:
        return self.source.origin

    def datasets(self) -> tuple[str, ...]:
        return self.source.datasets()

    def resolve(self, task: str, dataset: str) -> str:
        return self.source.resolve(task, dataset)

    def splits(self, dataset: str) -> tuple[str, ...]:
        return self.source.splits(dataset)

    def rows(self, dataset: str, split: str, limit: int | None = None) -> list[Row]:
        rows = self.change(split, self.source.rows(dataset, split, limit))
        self.given.extend(rows)
        return rows

    def warnings(self, dataset: str) -> tuple[str, ...]:
        return self.source.warnings(dataset)


def is_described(trial: TaskTrial) -> str | None:
    """It has a name, a version, a kind, a summary, and says where its data come from and under which licence."""
    task, where = trial.found.cls, place_of(trial.found.cls)
    for name, kind in (("name", str), ("version", int), ("summary", str), ("provenance", Provenance)):
        value = getattr(task, name, None)
        if not isinstance(value, kind) or not value:
            raise CheckFailed(f"{name} is {value!r}", where, f"give the class a {name} ({kind.__name__})")
    if task.kind not in ("free", "conditional"):
        raise CheckFailed(f"kind is {task.kind!r}", where, 'kind = "free", or "conditional" where there are sources')
    return None


def options_survive_json(trial: TaskTrial) -> str | None:
    """Its options come back equal from JSON, are frozen, and refuse a name that they don't have."""
    options, where = trial.task().options, place_of(trial.found.cls.Options)
    again = type(options)(**options.model_dump(mode="json"))
    if again != options:
        raise CheckFailed("options read from their JSON are unequal", where, "let every option have a plain value")
    config = type(options).model_config
    if config.get("extra") != "forbid" or not config.get("frozen"):
        raise CheckFailed("its Options take typos, or can be changed", where, "subclass tasks.base.TaskOptions")
    return None


def metrics_exist(trial: TaskTrial) -> str | None:
    """Each metric it names is there and can be computed from its kind of data; the primary one is among them."""
    import metrics
    from metrics.tokenize import tokenizer

    task, known, where = trial.task(), trial.found.metrics, place_of(trial.found.cls)
    lacking = {"free": {"references_by_item", "sources"}, "conditional": {"sweep", "real"}}[task.kind]
    try:
        made = [metrics.metric(name, known) for name in task.metrics]
        tokenizer(task.tokens)
    except metrics.MetricError as error:
        raise CheckFailed(
            str(error), where, "mend `metrics` or `tokens`; run_bench.py list metrics has the names"
        ) from None
    if task.primary not in task.metrics:
        raise CheckFailed(f"primary {task.primary!r} is none of its metrics", where, "name one of `metrics`")
    for metric in made:
        if metric.needs & lacking:
            needs = ", ".join(sorted(metric.needs & lacking))
            raise CheckFailed(f"{metric.name} needs {needs}, which a {task.kind} task has not", where, "leave it out")
    return None


def decodings_can_be_read(trial: TaskTrial) -> str | None:
    """It names decodings, such as `greedy` or `beam5`; those of free text are samples."""
    task, where = trial.task(), place_of(trial.found.cls)
    if not task.decodings:
        raise CheckFailed(
            "it names no decoding", where, 'decodings = ("sample@1",), or ("greedy", "beam5") with sources'
        )
    for text in task.decodings:
        try:
            decoding = Decoding.parse(text)
        except ValueError as error:
            raise CheckFailed(str(error), where, f'mend "{text}" in `decodings`') from None
        if task.kind == "free" and decoding.method != "sample":
            raise CheckFailed(f"free text can't be drawn by {text}", where, 'decodings = ("sample@1",)')
    return None


def corpus_is_whole(trial: TaskTrial) -> str | None:
    """Splits train, valid and test; ids of the vocabulary that end in `</s>`; a source and an answer for each row."""
    corpus, task, where = trial.corpus(), trial.task(), trial.place()
    if (corpus.task, corpus.version, corpus.kind) != (task.name, task.version, task.kind):
        told = f"the corpus says {corpus.task} v{corpus.version} ({corpus.kind})"
        raise CheckFailed(
            f"{told}, the task {task.name} v{task.version} ({task.kind})", where, "hand on the task's own"
        )
    missing = {"train", "valid", "test"} - set(corpus.splits)
    if missing:
        raise CheckFailed(f"no split {', '.join(sorted(missing))}", where, "tasks.loading.load makes all three")
    for name, split in corpus.splits.items():
        told = _wrong(corpus, split)
        if told:
            raise CheckFailed(f"{name}: {told}", where, "tasks.loading.load with a Plan does all of this")
    return f"{', '.join(f'{len(split)} {name}' for name, split in corpus.splits.items())}; {corpus.vocab.size} tokens"


def _wrong(corpus: Corpus, split: Split) -> str:
    """What is wrong with a split."""
    targets, vocab = split.targets, corpus.vocab
    if not len(targets):
        return "no rows"
    if not 0 <= int(targets.flat.min()) <= int(targets.flat.max()) < vocab.size:
        return f"ids from {targets.flat.min()} to {targets.flat.max()}, and a vocabulary of {vocab.size}"
    if corpus.fixed_length and (targets.lengths != corpus.fixed_length).any():
        return f"targets of other than {corpus.fixed_length} tokens"
    if targets.lengths.max() > corpus.max_target_length or targets.lengths.min() < 1:
        return f"targets of {targets.lengths.min()} to {targets.lengths.max()} tokens; 1 to {corpus.max_target_length}"
    ends = targets.flat[targets.offsets[1:] - 1] == vocab.eos
    if not corpus.fixed_length and not (ends | (targets.lengths == corpus.max_target_length)).all():
        return "a target ends neither in </s> nor at the length limit"
    if split.examples and len(split.examples) != len(targets):
        return f"{len(split.examples)} examples and {len(targets)} targets"
    if corpus.kind == "conditional":
        if split.sources is None or len(split.sources) != len(targets):
            return "a conditional task has a source for each target"
        if not all(row.source and (row.references or row.target) for row in split.examples):
            return "a row without source or answer"
    elif split.sources is not None:
        return "a free task has no sources"
    return ""


def splits_are_disjoint(trial: TaskTrial) -> str | None:
    """No row stands in two splits."""
    corpus = trial.corpus()
    keys = {name: {_key(split, i) for i in range(len(split))} for name, split in corpus.splits.items()}
    names = list(keys)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            shared = keys[one] & keys[other]
            if shared:
                raise CheckFailed(
                    f"{len(shared)} rows stand in {one} and in {other} (first: {str(min(shared, key=str))[:60]})",
                    trial.place(),
                    "take them out of train, or let tasks.loading.load refuse them",
                )
    return None


def _key(split: Split, i: int) -> Any:
    return key_of(split.examples[i]) if split.examples else tuple(split.targets[i].tolist())


def overlap_is_refused(trial: TaskTrial) -> str | None:
    """Data with a row of train in test are refused, unless that is allowed; then the corpus says so."""
    first: list[Row] = []

    def change(split: str, rows: list[Row]) -> list[Row]:
        first.extend(rows[:1] if split == "train" else [])
        return [*rows[:-1], replace(rows[-1], fields=first[0].fields)] if split == "test" and first and rows else rows

    source = Altered(trial.source(), change)
    try:
        trial.task().load(source, LIMIT)
    except DataError:
        allowed = trial.task().load(Altered(trial.source(), change), LIMIT, allow_overlap=True)
        if len(allowed.warnings) <= len(trial.corpus().warnings):
            raise CheckFailed(
                "overlap that is allowed goes unsaid", trial.place(), "tell it in Corpus.warnings"
            ) from None
        return None
    if not source.given:
        raise NotApplicable("it makes its data itself")
    raise CheckFailed(
        "a row of train in test is taken without a word",
        trial.place(),
        "raise DataError unless allow_overlap, as tasks.checks.overlap does",
    )


def text_comes_back(trial: TaskTrial) -> str | None:
    """Text to ids and back loses nothing but what is unknown or cut: of 20 rows at least 19 are the same again."""
    corpus, codec = trial.corpus(), trial.corpus().target_codec
    split, tried, lost = corpus.splits["test"], 0, []
    for i in range(min(ROWS, len(split))):
        ids = split.targets[i]
        if corpus.vocab.unk is not None and (ids == corpus.vocab.unk).any():
            continue
        tried += 1
        text = codec.decode(ids)
        plain = [int(token) for token in ids if token != corpus.vocab.eos]
        if codec.encode(text) != plain:
            lost.append(f'"{text[:60]}"')
    if tried == 0:
        raise NotApplicable("every row of test has an unknown token")
    if len(lost) * 20 > tried:
        raise CheckFailed(
            f"{len(lost)} of {tried} texts of test are cut into other tokens when written and read again, as {lost[0]}",
            place_of(type(codec).encode),
            "let the codec's decode be the inverse of its encode, but for what is unknown",
        )
    return f"{tried - len(lost)} of {tried} rows"


def limit_takes_the_first_rows(trial: TaskTrial) -> str | None:
    """With `limit` each split is the first rows of the whole one, no more of them than asked."""
    few, more = trial.corpus(20), trial.corpus()
    for name, split in few.splits.items():
        if len(split) > 20:
            raise CheckFailed(
                f"limit 20 gives {len(split)} rows of {name}", trial.place(), "hand `limit` to source.rows"
            )
        whole = more.splits[name].examples[: len(split.examples)]
        if split.examples and name == "test" and split.examples != whole:
            raise CheckFailed(f"limit 20 gives other rows of {name} than the first", trial.place(), "take the first")
    return None


def fingerprint_is_stable(trial: TaskTrial) -> str | None:
    """Loaded again, in other processes with other hash seeds too, data have one fingerprint; other data another."""
    here = trial.task().load(trial.source(), 20).fingerprint
    remedy = "hash content in a fixed order: sorted(...) and never a set's own, hashlib and never hash()"
    if here != trial.corpus(20).fingerprint:
        raise CheckFailed("loaded twice, the fingerprint differs", trial.place(), remedy)
    asked = (place_to_import(trial.found.cls), trial.found.plugins, trial.settings, trial.data, trial.fields)
    try:
        others = elsewhere.ask("fingerprint", *asked)
    except RuntimeError as error:
        raise CheckFailed(
            f"it can't be loaded in another process: {error}", trial.place(), "let it depend on files and options alone"
        ) from None
    for seed, other in others.items():
        if other != here:
            raise CheckFailed(
                f"in another process (PYTHONHASHSEED={seed}) the fingerprint is {other[:12]}, here {here[:12]}",
                trial.place(),
                remedy,
            )
    if len(trial.corpus().splits["train"]) > 20 and trial.corpus().fingerprint == here:
        raise CheckFailed(
            "20 rows and all of them have the same fingerprint",
            trial.place(),
            "hash all text and ids, as tasks.loading.fingerprint does: others' results must not be taken for these",
        )
    return None


def errors_name_file_line_and_field(trial: TaskTrial) -> str | None:
    """A row that lacks a field, or has a number in it, is refused with its file, its line and the field's name."""
    fields, needed = _fields(trial), []
    for name in fields:
        for what, value in (("is missing", None), ("is a number", 7)):
            told = _refusal(trial, name, value)
            if told is None:
                continue
            needed.append(name)
            row, error = told
            lacks = [part for part in (row.file, f"line {row.line}", name) if part not in str(error)]
            if not isinstance(error, DataError) or lacks:
                said = f"{type(error).__name__}: {error}".splitlines()[0][:120]
                raise CheckFailed(
                    f'field "{name}" {what} in {row.place}: the message is "{said}", without {", ".join(lacks)}',
                    trial.place("parse"),
                    "read fields with tasks.checks.text_of(row, NAME), or raise DataError(f'{row.place}: ...')",
                )
    if not needed:
        raise CheckFailed(
            f"rows without {' or '.join(fields)} are taken without a word",
            trial.place("parse"),
            "read fields with tasks.checks.text_of(row, NAME), which refuses what is missing or empty",
        )
    return f"fields it needs: {', '.join(dict.fromkeys(needed))}"


def _fields(trial: TaskTrial) -> list[str]:
    """Names of the fields of the rows that it reads."""
    plain = Altered(trial.source(), lambda _, rows: rows)
    trial.task().load(plain, 20)
    if not plain.given:
        raise NotApplicable("it makes its data itself")
    return list(plain.given[0].fields)


def _refusal(trial: TaskTrial, name: str, value: object) -> tuple[Row, Exception] | None:
    """The third row of train, and what is raised when its field is this (None: when it has none)."""
    bad: list[Row] = []

    def change(split: str, rows: list[Row]) -> list[Row]:
        if split != "train" or len(rows) < 3:
            return rows
        kept = {key: other for key, other in rows[2].fields.items() if key != name}
        bad.append(replace(rows[2], fields=kept if value is None else {**kept, name: value}))
        return [*rows[:2], bad[-1], *rows[3:]]

    try:
        trial.task().load(Altered(trial.source(), change), 20)
    except Exception as error:
        return (bad[-1], error) if bad else None
    return None


def example_rows_decode(trial: TaskTrial) -> str | None:
    """Its corpus decodes ids to as many texts, and the text of a test row is that of its example, but for case."""
    corpus = trial.corpus()
    split = corpus.splits["test"]
    rows = np.arange(min(ROWS, len(split)))
    texts = corpus.decode(split.targets.take(rows))
    if len(texts) != len(rows) or not all(isinstance(text, str) for text in texts):
        raise CheckFailed(f"{len(texts)} texts of {len(rows)} rows", trial.place(), "decode gives one text a row")
    if split.examples and not any(text.strip() for text in texts):
        raise CheckFailed("every test row decodes to an empty text", trial.place(), "see the codec's decode")
    return None


CHECKS = (
    Check(is_described),
    Check(options_survive_json),
    Check(metrics_exist),
    Check(decodings_can_be_read),
    Check(corpus_is_whole),
    Check(splits_are_disjoint),
    Check(overlap_is_refused),
    Check(text_comes_back),
    Check(example_rows_decode),
    Check(limit_takes_the_first_rows),
    Check(fingerprint_is_stable),
    Check(errors_name_file_line_and_field),
)
