"""Two sets of results against each other: differences with intervals, and a refusal where the measurements differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.errors import UserError, did_you_mean
from bench.report.layout import REFERENCE_ROWS, is_failure
from bench.schema import ScoreRow
from bench.stats import Comparison, compare, holm, probability_of_improvement, seeds_needed, t_quantile
from metrics.signature import differences

ALPHA = 0.05
Verdict = Literal["better", "worse", "nearer to real", "further from real", "can't tell", "not comparable"]


@dataclass(frozen=True)
class Place:
    """What a value is of; two values of one place may still be different measurements."""

    task: str
    split: str
    decoding: str
    metric: str


@dataclass(frozen=True)
class Side:
    """One method's values in one place.

    Attributes:
        by_seed: what could be computed.
        diverged: cells that ended without a result.
        real: the value of real text, where there is one.
    """

    by_seed: Mapping[int, float]
    signature: str
    higher_is_better: bool | None
    diverged: int
    real: float

    @property
    def mean(self) -> float:
        return sum(self.by_seed.values()) / len(self.by_seed) if self.by_seed else math.nan


@dataclass(frozen=True)
class Finding:
    """The second method against the first in one place.

    Attributes:
        differing: signature fields that differ, with both values; where there are any, nothing is subtracted.
        comparison: over seeds, of second less first; None where nothing is compared.
        p: Holm-adjusted over all that are compared.
        better: how likely a run of the second is better than one of the first, diverged runs counted as the worst; NaN
            where neither end is good, or nothing is compared.
        among: how many comparisons were made.
    """

    place: Place
    first: Side
    second: Side
    differing: Mapping[str, tuple[str, str]]
    comparison: Comparison | None
    p: float
    verdict: Verdict
    better: float
    among: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % over seeds."""
        if self.comparison is None or not math.isfinite(self.comparison.error):
            return math.nan, math.nan
        half = t_quantile(1 - ALPHA / 2, self.comparison.df) * self.comparison.error
        return self.comparison.difference - half, self.comparison.difference + half

    @property
    def seeds_needed(self) -> int | None:
        """How many seeds would tell a true difference of this size apart four times out of five, among so many."""
        found = self.comparison
        if found is None or not math.isfinite(found.error) or found.error == 0 or found.difference == 0:
            return None
        if found.paired:
            return seeds_needed(found.difference, found.error * math.sqrt(found.n[0]), ALPHA / self.among)
        spread = found.error / math.sqrt(1 / found.n[0] + 1 / found.n[1])
        return seeds_needed(found.difference, (spread, spread), ALPHA / self.among)


def sides(rows: Iterable[ScoreRow], method: str) -> dict[Place, Side]:
    """The final values of a method by place.

    Raises:
        UserError: the rows have no such method, or several configurations of it.
    """
    everything = list(rows)
    own = [row for row in everything if row.baseline == method]
    if not own:
        known = sorted({row.baseline for row in everything})
        raise UserError(f'no results of "{method}".{did_you_mean(method, known)}')
    for task in {row.task for row in own}:
        configs = {row.config_hash for row in own if row.task == task}
        if len(configs) > 1:
            raise UserError(
                f"{method} on {task} has several configurations ({', '.join(sorted(configs))}): "
                "give each a run directory of its own to compare them."
            )
    real = {_place(row): row.value for row in everything if row.baseline == "real"}
    failed = {(row.task, row.seed) for row in own if is_failure(row)}
    found: dict[Place, dict[int, ScoreRow]] = {}
    for row in own:
        if row.stage == "final" and not is_failure(row) and not math.isnan(row.value):
            found.setdefault(_place(row), {})[-1 if row.seed is None else row.seed] = row
    made = {}
    for place, by_seed in found.items():
        first = next(iter(by_seed.values()))
        values = {seed: row.value for seed, row in by_seed.items()}
        nearest = real.get(place, real.get(Place(place.task, place.split, "", place.metric), math.nan))
        lost = sum(task == place.task for task, _ in failed)
        made[place] = Side(values, first.signature, first.higher_is_better, lost, nearest)
    return made


def methods(rows: Iterable[ScoreRow]) -> list[str]:
    """Names of the methods, reference rows left out, in the order of the rows."""
    return list(dict.fromkeys(row.baseline for row in rows if row.baseline not in REFERENCE_ROWS))


def findings(first: Mapping[Place, Side], second: Mapping[Place, Side]) -> list[Finding]:
    """Every place that both have, in the order of the second; p-values adjusted over all that can be compared."""
    places = [place for place in second if place in first]
    differing = [differences(first[place].signature, second[place].signature) for place in places]
    compared = [
        None if fields else compare(second[place].by_seed, first[place].by_seed)
        for place, fields in zip(places, differing, strict=True)
    ]
    adjusted = holm([math.nan if each is None else each.p for each in compared])
    among = sum(math.isfinite(p) for p in adjusted)
    return [
        _finding(place, first[place], second[place], fields, each, p, among)
        for place, fields, each, p in zip(places, differing, compared, adjusted, strict=True)
    ]


def _finding(
    place: Place,
    first: Side,
    second: Side,
    fields: Mapping[str, tuple[str, str]],
    found: Comparison | None,
    p: float,
    among: int,
) -> Finding:
    better = math.nan
    if found is not None and second.higher_is_better is not None:
        better = probability_of_improvement(
            list(second.by_seed.values()),
            list(first.by_seed.values()),
            np.random.default_rng(0),
            higher_is_better=second.higher_is_better,
            diverged=(second.diverged, first.diverged),
            resamples=1,  # the interval is not shown: with few runs it says little
        ).probability
    return Finding(place, first, second, fields, found, p, _verdict(first, second, found, p), better, among)


def _verdict(first: Side, second: Side, found: Comparison | None, p: float) -> Verdict:
    if found is None:
        return "not comparable"
    if math.isnan(p) or p >= ALPHA:
        return "can't tell"
    if second.higher_is_better is not None:
        return "better" if (found.difference > 0) == second.higher_is_better else "worse"
    if math.isnan(second.real):
        return "can't tell"
    nearer = abs(second.mean - second.real) < abs(first.mean - first.real)
    return "nearer to real" if nearer else "further from real"


def _place(row: ScoreRow) -> Place:
    return Place(row.task, row.split, row.decoding, row.metric)


def lines(found: Sequence[Finding]) -> list[str]:
    """One line a finding, for a terminal."""
    width = max((len(_name(each.place)) for each in found), default=0)
    return [f"{_name(each.place):{width}}  {_words(each)}" for each in found]


def _name(place: Place) -> str:
    return " ".join(part for part in (place.task, place.split if place.split != "test" else "", place.decoding,
                                      place.metric) if part)  # fmt: skip


def _words(each: Finding) -> str:
    if each.comparison is None:
        fields = ", ".join(f"{name} ({one} / {two})" for name, (one, two) in each.differing.items())
        return f"not the same measurement: {fields} differ. Score one of them anew under the other's protocol."
    low, high = each.interval
    interval = f"[{low:+.4f}, {high:+.4f}]" if math.isfinite(low) else "no interval"
    more = [f"P(better) {each.better:.2f}"] if math.isfinite(each.better) else []
    more += [f"Holm-adjusted p {each.p:.3f}"] if math.isfinite(each.p) else []
    if each.verdict == "can't tell":
        more.append(_how_many(each))
    lost = each.first.diverged + each.second.diverged
    if lost:
        more.append(f"{each.first.diverged} and {each.second.diverged} runs without a result")
    return f"{each.comparison.difference:+.4f}  {interval}  {each.verdict}" + (f" ({'; '.join(more)})" if more else "")


def _how_many(each: Finding) -> str:
    assert each.comparison is not None, "asked of what was compared"
    low, high = sorted(each.comparison.n)
    seeds = f"{low} seeds" if low == high else f"{low} and {high} seeds"
    if math.isnan(each.comparison.error):
        return f"{seeds}: it takes 2 of each"
    needed = each.seeds_needed
    return seeds if needed is None else f"{seeds}; {needed} would separate a difference of this size"
