"""What a table may say about its methods: their order, which is best, which lost diversity, and what can't be told.

Nothing is called best unless it is distinguishable from the second at 5 %, Holm-adjusted over the table's comparisons.
Where neither end of a metric is good, the distance from real text orders the lines and nothing is best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import metrics
from bench.report.layout import FLOOR_ROWS, TOP_ROWS, Column, Line, Table
from bench.stats import Comparison, compare, holm

ALPHA = 0.05
BASE = "mle"  # what every method has to beat
ENOUGH_SEEDS = 5
ORACLE_METRIC = "nll-oracle"


@dataclass(frozen=True)
class Judgement:
    """What stands out in a table; lines by their place in `lines`.

    Attributes:
        lines: top references, methods by rank, floors.
        best: distinguishable from the second, by column.
        nearest: of the methods, nearest to real text, by column whose two ends are both bad.
        lost_diversity: NLL-oracle below the oracle's own entropy.
        above_real: BLEU or Self-BLEU above that of real text by more than the half interval over seeds.
    """

    lines: tuple[Line, ...]
    best: Mapping[Column, int]
    nearest: Mapping[Column, frozenset[int]]
    lost_diversity: frozenset[tuple[Column, int]]
    above_real: frozenset[tuple[Column, int]]


@dataclass(frozen=True)
class Verdict:
    """The methods against one of them on one primary column.

    Attributes:
        others: label, comparison with the base, Holm-adjusted p.
    """

    column: Column
    base: str
    others: tuple[tuple[str, Comparison, float], ...]

    @property
    def apart(self) -> list[tuple[str, Comparison, float]]:
        return [other for other in self.others if other[2] < ALPHA]

    @property
    def alike(self) -> list[tuple[str, Comparison, float]]:
        return [other for other in self.others if other[2] >= ALPHA]

    @property
    def untested(self) -> list[str]:
        return [label for label, _, p in self.others if math.isnan(p)]

    @property
    def smallest_differences(self) -> dict[str, float]:
        """Of each method that is not told apart from the base: the difference that would have been."""
        tested = len(self.others) - len(self.untested)
        return {label: comparison.smallest_difference(ALPHA / tested) for label, comparison, _ in self.alike}

    @property
    def seeds(self) -> tuple[int, int]:
        """Fewest and most seeds of those compared."""
        counts = [n for _, comparison, _ in self.others for n in comparison.n]
        return min(counts, default=0), max(counts, default=0)


def judge(table: Table) -> Judgement:
    lost = {(column, line.label) for column in table.columns for line in _lost(table, column)}
    lines = _ordered(table, lost)
    places = {line.label: place for place, line in enumerate(lines)}
    return Judgement(
        lines,
        {column: places[label] for column, label in _best(table, lost).items()},
        {column: frozenset(places[label] for label in labels) for column, labels in _nearest(table).items()},
        frozenset((column, places[label]) for column, label in lost),
        frozenset((column, places[line.label]) for column in table.columns for line in _above_real(table, column)),
    )


def verdicts(table: Table) -> list[Verdict]:
    """One for each primary column with at least two methods."""
    found = []
    for column in table.primary:
        lines = [line for line in _methods(table) if math.isfinite(line.mean(column))]
        if len(lines) < 2:
            continue
        base = next((line for line in lines if line.baseline == BASE), lines[0])
        others = [line for line in lines if line is not base]
        compared = [_compare(line, base, column) for line in others]
        adjusted = holm([comparison.p for comparison in compared])
        labels = [line.label for line in others]
        found.append(Verdict(column, base.label, tuple(zip(labels, compared, adjusted, strict=True))))
    return found


def real_value(table: Table, column: Column) -> float:
    """What real text has on this column, measured or (where neither end is good) by definition; NaN if not known."""
    measured = next((line.mean(column) for line in table.lines if line.baseline == "real"), math.nan)
    if math.isnan(measured) and column.higher_is_better is None:
        return metrics.human(column.metric)
    return measured


def _methods(table: Table) -> list[Line]:
    """Those that were trained here."""
    return [line for line in table.lines if not line.is_reference and not line.external]


def _compare(first: Line, second: Line, column: Column) -> Comparison:
    return compare(first.values[column].by_seed, second.values[column].by_seed)


def _ordered(table: Table, lost: set[tuple[Column, str]]) -> tuple[Line, ...]:
    """Sorted by the primary metric; in no order but the name's where that is measured in more than one way."""
    column = table.primary[0] if len(table.primary) == 1 else None

    def rank(line: Line) -> tuple[bool, bool, float, str]:
        distance = _distance(table, column, line) if column is not None else 0.0
        failed = not line.values
        return failed, (column, line.label) in lost, math.inf if math.isnan(distance) else distance, line.label

    top = [line for name in TOP_ROWS for line in table.lines if line.baseline == name]
    floor = [line for name in FLOOR_ROWS for line in table.lines if line.baseline == name]
    return (*top, *sorted((line for line in table.lines if not line.is_reference), key=rank), *floor)


def _distance(table: Table, column: Column, line: Line) -> float:
    """From the good end, up to a constant; from real text where neither end is good; 0 where nothing can be said."""
    mean = line.mean(column)
    if column.higher_is_better is None:
        real = real_value(table, column)
        return 0.0 if math.isnan(real) else abs(mean - real)
    return -mean if column.higher_is_better else mean


def _best(table: Table, lost: set[tuple[Column, str]]) -> dict[Column, str]:
    leaders: list[tuple[Column, str, float]] = []
    for column in table.columns:
        if column.higher_is_better is None:
            continue
        lines = [
            line for line in _methods(table) if math.isfinite(line.mean(column)) and (column, line.label) not in lost
        ]
        lines.sort(key=lambda line: (line.mean(column), line.label), reverse=column.higher_is_better)
        if len(lines) > 1:
            leaders.append((column, lines[0].label, _compare(lines[0], lines[1], column).p))
    adjusted = holm([p for _, _, p in leaders])
    return {column: label for (column, label, _), p in zip(leaders, adjusted, strict=True) if p < ALPHA}


def _nearest(table: Table) -> dict[Column, set[str]]:
    nearest = {}
    for column in table.columns:
        real = real_value(table, column)
        lines = [line for line in _methods(table) if math.isfinite(line.mean(column))]
        if column.higher_is_better is None and math.isfinite(real) and len(lines) > 1:
            closest = min(abs(line.mean(column) - real) for line in lines)
            nearest[column] = {line.label for line in lines if abs(line.mean(column) - real) == closest}
    return nearest


def _lost(table: Table, column: Column) -> Sequence[Line]:
    """Entropy is a property of the oracle, so it is looked up by metric, whatever else its signature says."""
    if column.metric != ORACLE_METRIC:
        return []
    entropy = _entropy(table)
    return [line for line in _methods(table) if line.mean(column) < entropy]


def _entropy(table: Table) -> float:
    for name in ("entropy", "real"):  # the oracle's own samples are an estimate of its entropy
        for line in table.lines:
            known = [value.mean for column, value in line.values.items() if column.metric == ORACLE_METRIC]
            if line.baseline == name and known and math.isfinite(known[0]):
                return known[0]
    return math.nan


def _above_real(table: Table, column: Column) -> Sequence[Line]:
    if column.higher_is_better is not None or not column.metric.removeprefix("self-").startswith("bleu"):
        return []
    real = real_value(table, column)
    values = {line.label: line.values.get(column) for line in _methods(table)}
    above = {label for label, value in values.items() if value and value.mean - value.half > real}  # NaN: one seed
    return [line for line in _methods(table) if line.label in above]
