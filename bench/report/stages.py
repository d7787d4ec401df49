"""What a method's last stage did: before and after it, seed by seed, and against tuned MLE at the same diversity.

It is what one asks of an adversarial method first, and no single number says it: a stage that buys quality with
diversity has moved along the trade, not above it. A word stands where all seeds agree, since a mean over few hides
that they don't.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.report import wording
from bench.report.layout import Column, Line, Table, on_an_axis
from bench.report.ranking import BASE, judge, real_value

TITLE = "before and after the last stage, seed by seed"
TUNED = "tuned_mle"
TOLD = ("nll-test", "frechet", "reverse-lm")  # beside the axes of quality and diversity
FRONTIER, AREA_PLACES = "frontier-area-", 3
MIXED, SAME = "mixed", "no change"


@dataclass(frozen=True)
class Stages:
    """A table of texts: `heads` above the columns, the method's first; `notes` say how to read it."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Change:
    """A metric at each stage, the first stage first, of the seeds that have it at all of them; and what changed."""

    stages: tuple[tuple[float, ...], ...]
    word: str


def stages_of(table: Table) -> Stages | None:
    """The methods that kept a model of an earlier stage; None where there is none, or no metric to tell it by."""
    axes = [column for column in table.columns if on_an_axis(column.metric, table)]
    others = [column for name in TOLD for column in table.columns if column.metric == name and column not in axes]
    found: list[tuple[Line, dict[Column, _Change]]] = []
    for line in judge(table).lines:
        if line.before is not None and not line.is_reference:
            changes = {column: change for column in (*axes, *others) if (change := _change(table, line, column))}
            if any(column in changes for column in axes):  # or its text was drawn otherwise, and is told of elsewhere
                found.append((line, changes))
    if not found:
        return None
    columns = [column for column in (*axes, *others) if any(column in changes for _, changes in found)]
    base = _base(table)
    areas = [_area(line, base) if base is not None else None for line, _ in found]
    held = base.label if base is not None and any(areas) else ""
    heads = [
        "method",
        *(_head(table, column) for column in columns),
        *([f"area of the frontier, against {held}"] * bool(held)),
    ]
    rows = []
    for (line, changes), area in zip(found, areas, strict=True):
        cells = [_cell(changes.get(column), wording.column_decimals(table, column)) for column in columns]
        rows.append((_name(line), *cells, *([_area_cell(area)] * bool(held))))
    told = [*(change for _, changes in found for change in changes.values()), *(area for area in areas if area)]
    return Stages(tuple(heads), tuple(rows), tuple(_notes(min(len(change.stages[0]) for change in told), held)))


def _name(line: Line) -> str:
    steps = [wording.stage(each) for each in reversed(line.earlier)]
    return f"{line.label} ({' → '.join([*steps, 'final'])})"


def _head(table: Table, column: Column) -> str:
    real = real_value(table, column)
    known = column.higher_is_better is None and math.isfinite(real)
    about = f"real {wording.number(real, wording.column_decimals(table, column))}" if known else ""
    about = about or wording.direction(table, column)
    return wording.display_name(column.label) + (f" ({about})" if about else "")


def _cell(change: _Change | None, places: int) -> str:
    if change is None:
        return "-"
    values = " → ".join(_seeds(stage, places) for stage in change.stages)
    return f"{values} ({change.word})" if change.word else values


def _area_cell(area: _Change | None) -> str:
    if area is None:
        return "-"
    theirs, own = (_seeds(values, AREA_PLACES) for values in area.stages)
    return f"{own} against {theirs} ({area.word})"


def _notes(seeds: int, base: str) -> list[str]:
    """`seeds`: the fewest that a word is of."""
    words = "The word is of the last step, where all seeds agree: better, worse, nearer to real text, farther from it"
    chance = (
        f"{seeds} seeds agree by chance in one case of {2 ** (seeds - 1)}" if seeds > 1 else "one seed always agrees"
    )
    texts = [f"{words}; {MIXED} where they do not; {chance}"]
    if base:
        texts.append(
            f"The area is what samples at all temperatures dominate: quality held against that of {base} at equal "
            "diversity"
        )
    return texts


def _change(table: Table, line: Line, column: Column) -> _Change | None:
    """From the earliest stage with the metric to the last."""
    kept = [each for each in (*reversed(line.earlier), line) if column in each.values]
    if len(kept) < 2 or kept[-1] is not line:
        return None
    steps = _shared([each.values[column].by_seed for each in kept])
    if not steps[0]:
        return None
    places, real = wording.column_decimals(table, column), real_value(table, column)
    return _Change(steps, _word(steps[-2], steps[-1], places, column.higher_is_better, real))


def _shared(values: Sequence[Mapping[int, float]]) -> tuple[tuple[float, ...], ...]:
    """In the order of the seeds that all have."""
    seeds = sorted(set.intersection(*(set(each) for each in values)))
    return tuple(tuple(each[seed] for seed in seeds) for each in values)


def _word(
    before: Sequence[float], after: Sequence[float], places: int, higher_is_better: bool | None, real: float
) -> str:
    """Of the figures as they are shown: no word is made of a difference that they don't show."""
    pairs = [(round(one, places), round(two, places)) for one, two in zip(before, after, strict=True)]
    if higher_is_better is None:
        if math.isnan(real):
            return ""
        end = round(real, places)
        gains = [round(abs(one - end) - abs(two - end), places) for one, two in pairs]
        good, bad = "nearer", "farther"
    else:
        gains = [two - one if higher_is_better else one - two for one, two in pairs]
        good, bad = "better", "worse"
    if all(gain > 0 for gain in gains):
        return good
    if all(gain < 0 for gain in gains):
        return bad
    return MIXED if any(gains) else SAME


def _base(table: Table) -> Line | None:
    """The MLE that frontiers are held against: the tuned one where there is one."""
    for name in (TUNED, BASE):
        for line in table.lines:
            if line.baseline == name and any(column.metric.startswith(FRONTIER) for column in line.values):
                return line
    return None


def _area(line: Line, base: Line) -> _Change | None:
    """The base's and its own, of the lowest order, which is the primary metric's; None where they share no seed."""
    for column, value in base.values.items():
        if column.metric.startswith(FRONTIER) and column in line.values:
            theirs, own = _shared([value.by_seed, line.values[column].by_seed])
            return _Change((theirs, own), _word(theirs, own, AREA_PLACES, True, math.nan)) if own else None
    return None


def _seeds(values: Sequence[float], places: int) -> str:
    return ", ".join(wording.number(value, places) for value in values)
