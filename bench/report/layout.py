"""From rows of values to tables: which values stand in one column, which in one line, and which in no table together.

One table holds one (task, data, track, split, decoding): what was trained on the task's own text alone is never
ranked with what began from weights of elsewhere. What we did not train (`external`) stands in the tables of every
track, marked, and is ranked for its place alone: it is never best, and tested against nothing. A column is one metric
*with one signature*, so that two numbers in a column are always the same measurement. A line is one method with one
configuration at one stage, over its seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from bench.errors import UserError
from bench.report.longfile import cell_order
from bench.schema import AXES, ScoreRow
from bench.stats import mean_interval
from metrics.signature import differences

# rows that no method made: those that say how good good is, and those that say how bad bad is
TOP_ROWS: Mapping[str, str] = MappingProxyType({"entropy": "the oracle's entropy", "real": "held-out text"})
FLOOR_ROWS: Mapping[str, str] = MappingProxyType({"shuffled": "floor", "uniform": "floor"})
REFERENCE_ROWS: Mapping[str, str] = MappingProxyType({**TOP_ROWS, **FLOOR_ROWS})

DECODING_FIELDS = frozenset({"T", "dec"})  # text that no model made has neither
FAILURES = ("failed", "diverged", "unsupported")
NO_SEED = -1
SCRATCH = "scratch"
EXTERNAL = "external"
FINAL = "final"

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Column:
    """One metric measured in one way; `label` tells two ways apart with `[a]`, `[b]`."""

    metric: str
    signature: str
    label: str
    higher_is_better: bool | None
    primary: bool


@dataclass(frozen=True)
class Value:
    """One method on one metric.

    Attributes:
        by_seed: what could be computed.
        half: half width of the 95 % interval over seeds; NaN with one seed.
        reasons: by seed, why there is no value.
        items: how many test items a value was computed from.
        signature: its own; that of reference text may be shorter than the column's.
    """

    by_seed: Mapping[int, float]
    mean: float
    half: float
    reasons: Mapping[int, str]
    items: int
    signature: str


@dataclass(frozen=True)
class Failure:
    """A way in which cells of a line ended without a result."""

    status: str
    reason: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Costs:
    """Mean training time of the cells, their highest memory; NaN, empty or 0 where nothing was trained."""

    train_seconds: float
    device: str
    peak_memory_mb: float
    parameters: int


@dataclass(frozen=True)
class Line:
    """One method, configuration and stage; `before` are its values at the stage before, where one was kept."""

    baseline: str
    config_hash: str
    label: str
    stage: str
    values: Mapping[Column, Value]
    seeds: tuple[int, ...]
    failures: tuple[Failure, ...]
    costs: Costs
    before: Line | None = None
    external: bool = False

    @property
    def earlier(self) -> tuple[Line, ...]:
        """The stages before this one, the latest first."""
        return () if self.before is None else (self.before, *self.before.earlier)

    @property
    def is_reference(self) -> bool:
        return self.baseline in REFERENCE_ROWS

    @property
    def failed(self) -> int:
        return sum(len(failure.seeds) for failure in self.failures)

    def mean(self, column: Column) -> float:
        return self.values[column].mean if column in self.values else math.nan


@dataclass(frozen=True)
class Table:
    """Lines in no order yet (`ranking` gives them one); columns with the primary metric first."""

    task: str
    task_version: int
    data: str
    origin: str
    split: str
    decoding: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    track: str = SCRATCH

    @property
    def section(self) -> tuple[str, int, str, str, str]:
        """What tables that differ in split and decoding alone have in common."""
        return self.task, self.task_version, self.data, self.origin, self.track

    @property
    def provenance(self) -> str:
        """Where the text, and the first weights, came from."""
        return self.origin if self.track == SCRATCH else f"{self.origin}, {self.track} track"

    @property
    def primary(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.primary)

    @property
    def items(self) -> int:
        """How many items the primary metric was computed from, at most."""
        chosen = self.primary or self.columns
        found = [line.values[column].items for line in self.lines for column in chosen if column in line.values]
        return max(found, default=0)


def build(rows: Iterable[ScoreRow]) -> list[Table]:
    """All tables of a run, in an order that doesn't depend on which cell ended first.

    Raises:
        UserError: two cells give different values for the same method, configuration and seed.
    """
    tables = []
    for group in grouped(sorted(rows, key=cell_order), lambda row: (row.task, row.task_version, row.data, row.origin)):
        methods = [row for row in group if not _in_every_track(row)]
        tracks = sorted(_distinct(row.track for row in methods), key=lambda track: track != SCRATCH) or [SCRATCH]
        for track in tracks:
            tables += _of_track([row for row in group if row.track == track or _in_every_track(row)], track)
    return tables


def _in_every_track(row: ScoreRow) -> bool:
    return row.baseline in REFERENCE_ROWS or row.track == EXTERNAL


def _of_track(rows: Sequence[ScoreRow], track: str) -> list[Table]:
    """Reference text, and what we did not train, are among the rows of every track."""
    tables = []
    failures = [row for row in rows if is_failure(row)]
    scored = [row for row in rows if not is_failure(row)]
    splits = sorted(_distinct(row.split for row in scored), key=lambda split: split != "test")
    for split in splits or ["test"]:
        here = [row for row in scored if row.split == split]
        # a likelihood, or real text, doesn't depend on the decoding and stands in the table of each
        for decoding in _distinct(row.decoding for row in here if row.decoding) or [""]:
            chosen = _with_values([row for row in here if row.decoding in ("", decoding)], here)
            tables.append(_table(chosen, failures, split, decoding, track))
    return tables


def _with_values(chosen: list[ScoreRow], here: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Without the methods that have text of another decoding alone, and of this one nothing but missing likelihoods."""

    def name(row: ScoreRow) -> tuple[str, str]:
        return row.baseline, row.config_hash

    present = {name(row) for row in chosen if row.decoding or not math.isnan(row.value)}
    elsewhere = {name(row) for row in here if row.decoding}
    return [row for row in chosen if name(row) in present or name(row) not in elsewhere]


def is_failure(row: ScoreRow) -> bool:
    """The row stands for a cell without a result; one that only lacks this value is `missing` and names its metric."""
    return row.status in FAILURES or (row.status == "missing" and not row.metric)


def shown(tables: Sequence[Table]) -> list[Table]:
    """Those that people read. Of samples at several temperatures only T = 1, and what a method draws by its own rule
    (LeakGAN's inverse temperature), has a table; the others make curves."""
    kept = []
    for group in grouped(tables, lambda table: (table.section, table.split)):
        samples = [table for table in group if table.decoding.startswith("sample@")]
        chosen = next((table for table in samples if table.decoding == "sample@1"), samples[0] if samples else None)
        swept = [table for table in samples if table is not chosen and _only_for_a_curve(table)]
        kept += [table for table in group if table not in swept]
    return kept


def _only_for_a_curve(table: Table) -> bool:
    """Its samples were scored on the axes of the frontier alone."""
    own = f"|T:{table.decoding.removeprefix('sample@')}|"  # the frontier's own values name all temperatures
    drawn = [column for column in table.columns if own in column.signature]
    return all(column.metric.startswith(AXES) for column in drawn)


def curve_of(table: Table, tables: Sequence[Table]) -> list[Table]:
    """The tables of samples at every temperature, cold first, that a shown table of samples stands for."""
    if not table.decoding.startswith("sample@"):
        return []
    same = [
        each
        for each in tables
        if (each.section, each.split) == (table.section, table.split) and each.decoding.startswith("sample@")
    ]
    if table.decoding != "sample@1" and any(each.decoding == "sample@1" for each in same):
        return []
    return sorted(same, key=lambda each: float(each.decoding.removeprefix("sample@")))


def on_an_axis(metric: str, table: Table) -> bool:
    """The table's primary metric, and the Self-BLEU of its order: how good, and how varied."""
    primary = {column.metric for column in table.primary}
    return metric in primary or metric.removeprefix("self-") in primary


def _table(rows: list[ScoreRow], failures: list[ScoreRow], split: str, decoding: str, track: str) -> Table:
    first = (rows or failures)[0]
    columns = _columns(rows)
    groups = grouped([*rows, *failures], lambda row: (row.baseline, row.config_hash))
    several = {
        name for name in _distinct(g[0].baseline for g in groups) if sum(g[0].baseline == name for g in groups) > 1
    }
    lines = [_line(group, columns, group[0].baseline in several) for group in groups]
    about = (first.task, first.task_version, first.data, first.origin)
    return Table(*about, split, decoding, columns, tuple(lines), track)


def _columns(rows: Sequence[ScoreRow]) -> tuple[Column, ...]:
    """Methods' metrics in their own order, the primary first; a column for each signature that a value has."""
    by_metric: dict[str, dict[str, ScoreRow]] = {}
    ordered = sorted(rows, key=lambda row: (not row.primary, row.baseline in REFERENCE_ROWS, row.track == EXTERNAL))
    for row in ordered:
        found = by_metric.setdefault(row.metric, {})
        if not math.isnan(row.value) and not any(_same_measurement(row, signature) for signature in found):
            found[row.signature] = row
    for row in ordered:  # a metric that no one could compute still has its column
        if not by_metric[row.metric]:
            by_metric[row.metric][row.signature] = row
    columns = []
    for metric, found in by_metric.items():
        for place, (signature, row) in enumerate(found.items()):
            label = metric if len(found) == 1 else f"{metric} [{_letter(place)}]"
            columns.append(Column(metric, signature, label, row.higher_is_better, row.primary))
    return tuple(columns)


def _letter(place: int) -> str:
    return chr(ord("a") + place) if place < 26 else str(place + 1)


def _same_measurement(row: ScoreRow, signature: str) -> bool:
    """Equal signatures. Reference text, which is never ranked, may lack what says how a model was decoded."""
    if row.signature == signature:
        return True
    if row.baseline not in REFERENCE_ROWS:
        return False
    return all(
        name in DECODING_FIELDS and own == "-" for name, (own, _) in differences(row.signature, signature).items()
    )


def _column_of(row: ScoreRow, columns: Sequence[Column]) -> Column:
    of_metric = [column for column in columns if column.metric == row.metric]
    exact = [column for column in of_metric if column.signature == row.signature]
    same = [column for column in of_metric if _same_measurement(row, column.signature)]
    return (exact or same or of_metric)[0]  # the last: a missing value, whose signature is not a whole one


def _line(rows: list[ScoreRow], columns: Sequence[Column], tell_config: bool) -> Line:
    scored = [row for row in rows if not is_failure(row)]
    final = [row for row in scored if row.stage == FINAL]
    before = [row for row in scored if row.stage != FINAL]
    first = rows[0]
    external = first.track == EXTERNAL
    label = f"{first.baseline} #{first.config_hash}" if tell_config else first.baseline
    label += " (external)" if external else ""

    def line(stage: str, chosen: list[ScoreRow], failures: tuple[Failure, ...], earlier: Line | None) -> Line:
        seeds = tuple(sorted({_seed(row) for row in chosen}))
        values = _values(chosen, columns)
        about = (first.baseline, first.config_hash, label, stage)
        return Line(*about, values, seeds, failures, _costs(chosen), earlier, external)

    earlier = None
    for stage, kept in _by_stage(before):
        earlier = line(stage, kept, (), earlier)
    return line(FINAL, final, _failures(rows, {_seed(row) for row in final}), earlier)


def _by_stage(rows: Sequence[ScoreRow]) -> list[tuple[str, list[ScoreRow]]]:
    """Pre-training first, then the others in the order of the rows."""
    groups = [(group[0].stage, group) for group in grouped(rows, lambda row: row.stage)]
    return sorted(groups, key=lambda pair: pair[0] != "pretrain")


def _values(rows: Sequence[ScoreRow], columns: Sequence[Column]) -> dict[Column, Value]:
    found: dict[Column, dict[int, ScoreRow]] = {}
    for row in rows:
        by_seed = found.setdefault(_column_of(row, columns), {})
        known = by_seed.setdefault(_seed(row), row)
        if known.value != row.value and not (math.isnan(known.value) and math.isnan(row.value)):
            raise UserError(
                f"{row.metric} of {row.baseline} on {row.data}, seed {row.seed}, is {known.value} in cell {known.cell} "
                f"and {row.value} in cell {row.cell}; remove the cell that is out of date."
            )
    return {column: _value(found[column]) for column in columns if column in found}


def _value(by_seed: Mapping[int, ScoreRow]) -> Value:
    finite = {seed: row.value for seed, row in sorted(by_seed.items()) if not math.isnan(row.value)}
    reasons = {seed: row.reason or "no value" for seed, row in sorted(by_seed.items()) if math.isnan(row.value)}
    mean, half = mean_interval(list(finite.values()))
    signature = next((row.signature for row in by_seed.values() if not math.isnan(row.value)), "")
    return Value(finite, mean, half, reasons, max(row.n for row in by_seed.values()), signature)


def _failures(rows: Iterable[ScoreRow], done: set[int]) -> tuple[Failure, ...]:
    by_seed: dict[int, ScoreRow] = {}
    for row in rows:
        if is_failure(row) and _seed(row) not in done:
            by_seed.setdefault(_seed(row), row)
    groups = grouped([by_seed[seed] for seed in sorted(by_seed)], lambda row: (row.status, row.reason))
    return tuple(Failure(group[0].status, group[0].reason, tuple(map(_seed, group))) for group in groups)


def _costs(rows: Sequence[ScoreRow]) -> Costs:
    cells = list({_seed(row): row for row in reversed(rows)}.values())
    seconds = [row.train_seconds for row in cells if math.isfinite(row.train_seconds)]
    memory = [row.peak_memory_mb for row in cells if math.isfinite(row.peak_memory_mb)]
    devices = sorted({row.device for row in cells if row.device})
    return Costs(
        sum(seconds) / len(seconds) if seconds else math.nan,
        " / ".join(devices),
        max(memory, default=math.nan),
        max((row.parameters for row in cells), default=0),
    )


def _seed(row: ScoreRow) -> int:
    return NO_SEED if row.seed is None else row.seed


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def grouped(items: Iterable[T], key: Callable[[T], K]) -> list[list[T]]:
    """Groups in the order of their first members."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
