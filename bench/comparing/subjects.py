"""What is compared: one method on one task, as rows of results have it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import metrics
from bench.errors import UserError, did_you_mean
from bench.report.layout import DECODING_FIELDS, NO_SEED, REFERENCE_ROWS, is_failure
from bench.schema import AXES, ScoreRow
from metrics.signature import differences

Fields = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, order=True)
class Place:
    """What a value is of; two values of one place may still be different measurements."""

    task: str
    split: str
    decoding: str
    metric: str

    @property
    def name(self) -> str:
        """The metric, and how its text was made where that is not plain."""
        split = self.split if self.split != "test" else ""
        return " ".join(part for part in (self.metric, self.decoding, split) if part)


@dataclass(frozen=True)
class Side:
    """One method's values in one place.

    Attributes:
        by_seed: what could be computed.
        signatures: all that its values have; more than one where only some of the cells were scored anew.
        real: the value of real text, where there is one of the same measurement.
        reasons: by seed, why there is no value.
        cells: by seed, the folder of the cell.
        widths: by seed, the half width of the value's own interval over items.
    """

    by_seed: Mapping[int, float]
    signatures: tuple[str, ...]
    higher_is_better: bool | None
    primary: bool
    real: float = math.nan
    reasons: Mapping[int, str] = field(default_factory=dict)
    cells: Mapping[int, str] = field(default_factory=dict)
    widths: Mapping[int, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return sum(self.by_seed.values()) / len(self.by_seed) if self.by_seed else math.nan


@dataclass(frozen=True)
class Subject:
    """One method on one task.

    Attributes:
        identity: what must be equal beside signatures: data and track.
        config: hash of the method's configuration.
        places: its final values.
        failures: by seed, how a cell ended without a result.
    """

    task: str
    method: str
    identity: Mapping[str, str]
    config: str
    places: Mapping[Place, Side]
    failures: Mapping[int, str]


def subjects(rows: Iterable[ScoreRow], methods: Sequence[str] | None = None) -> dict[tuple[str, str], Subject]:
    """Every method (or the named ones) on every task, in the order of the rows; reference rows are none.

    Raises:
        UserError: a method that isn't there, one with several configurations or data sets, or two values for one seed.
    """
    everything = list(rows)
    known = method_names(everything)
    for name in methods or ():
        if name not in known:
            raise UserError(f'no results of "{name}".{did_you_mean(name, known)}')
    groups: dict[tuple[str, str], list[ScoreRow]] = {}
    for row in everything:
        if row.baseline in (known if methods is None else methods):
            groups.setdefault((row.task, row.baseline), []).append(row)
    real = {_place(row): row for row in everything if row.baseline == "real" and math.isfinite(row.value)}
    return {key: _subject(group, real) for key, group in groups.items()}


def method_names(rows: Iterable[ScoreRow]) -> list[str]:
    """Names of the methods, reference rows left out, in the order of the rows."""
    return list(dict.fromkeys(row.baseline for row in rows if row.baseline not in REFERENCE_ROWS))


def _subject(rows: Sequence[ScoreRow], real: Mapping[Place, ScoreRow]) -> Subject:
    first = rows[0]
    configs = sorted({row.config_hash for row in rows})
    if len(configs) > 1:
        raise UserError(
            f"{first.baseline} on {first.task} has several configurations ({', '.join(configs)}): "
            "give each a run directory of its own to compare them."
        )
    identities = [{"data": row.data, "track": row.track} for row in rows]
    other = next((each for each in identities if each != identities[0]), None)
    if other is not None:
        fields = _words({key: (identities[0][key], other[key]) for key in other if other[key] != identities[0][key]})
        raise UserError(f"{first.baseline} on {first.task} has several sets of values ({fields}) in one run; "
                        "give each a run directory of its own to compare them.")  # fmt: skip
    scored = [row for row in rows if not is_failure(row)]
    done = {_seed(row) for row in scored}
    failures = {_seed(row): _failure(row) for row in rows if is_failure(row) and _seed(row) not in done}
    groups: dict[Place, list[ScoreRow]] = {}
    for row in scored:
        if row.stage == "final":
            groups.setdefault(_place(row), []).append(row)
    places = {place: _side(group, real) for place, group in groups.items()}
    return Subject(first.task, first.baseline, identities[0], configs[0], places, failures)


def _side(rows: Sequence[ScoreRow], real: Mapping[Place, ScoreRow]) -> Side:
    known: dict[int, ScoreRow] = {}
    for row in rows:
        before = known.setdefault(_seed(row), row)
        if before.value != row.value and not (math.isnan(before.value) and math.isnan(row.value)):
            raise UserError(
                f"{row.metric} of {row.baseline} on {row.data}, seed {row.seed}, is {before.value} in cell "
                f"{before.cell} and {row.value} in cell {row.cell}; remove the cell that is out of date."
            )
    valued = {seed: row for seed, row in sorted(known.items()) if not math.isnan(row.value)}
    first = next(iter(valued.values()), rows[0])
    return Side(
        {seed: row.value for seed, row in valued.items()},
        tuple(dict.fromkeys(row.signature for row in valued.values())),
        first.higher_is_better,
        first.primary,
        _real(first, real),
        {seed: row.reason or "no value" for seed, row in known.items() if math.isnan(row.value)},
        {seed: row.cell for seed, row in valued.items()},
        {seed: (row.ci_high - row.ci_low) / 2 for seed, row in valued.items()},
    )


def _real(row: ScoreRow, real: Mapping[Place, ScoreRow]) -> float:
    """Of the same measurement, but for how a model was decoded, which real text has not; or by definition."""
    place = _place(row)
    for each in (place, Place(place.task, place.split, "", place.metric)):
        if each in real:
            fields = differences(real[each].signature, row.signature)
            if all(name in DECODING_FIELDS and own == "-" for name, (own, _) in fields.items()):
                return real[each].value
    return metrics.human(row.metric) if row.higher_is_better is None else math.nan


def differing(first: Subject, second: Subject, place: Place) -> dict[str, tuple[str, str]]:
    """The fields in which the two are different measurements; none: they may be subtracted."""
    fields = {key: (own, second.identity[key]) for key, own in first.identity.items() if own != second.identity[key]}
    ours, *others = [*first.places[place].signatures, *second.places[place].signatures]
    for other in others:
        found = differences(ours, other)
        if found:
            return {**found, **({} if "data" in found else fields)}
    return fields


def only_for_the_frontier(subject: Subject) -> set[Place]:
    """Samples at other temperatures, scored on the axes of the frontier alone; `frontier-*` sums them up."""
    metrics_of: dict[tuple[str, str], set[str]] = {}
    for place in subject.places:
        metrics_of.setdefault((place.split, place.decoding), set()).add(place.metric)
    drawn = {key for key in metrics_of if key[1].startswith("sample@")}
    swept = {key for key in drawn if key[1] != "sample@1" and all(name.startswith(AXES) for name in metrics_of[key])}
    if swept == drawn:
        return set()
    return {place for place in subject.places if (place.split, place.decoding) in swept}


def _failure(row: ScoreRow) -> str:
    status = "not run" if row.status == "missing" else row.status
    return f"{status}: {row.reason}" if row.reason else status


def _words(fields: Fields) -> str:
    return ", ".join(f"{name} ({one} / {two})" for name, (one, two) in fields.items())


def _place(row: ScoreRow) -> Place:
    return Place(row.task, row.split, row.decoding, row.metric)


def _seed(row: ScoreRow) -> int:
    return NO_SEED if row.seed is None else row.seed
