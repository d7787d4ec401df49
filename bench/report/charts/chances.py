"""Which method is likelier to be better: the probability of improvement of each over each, over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from bench.report.charts import parts
from bench.report.charts.model import (
    Chart,
    Gap,
    Measured,
    Record,
    Section,
    failure_words,
    has,
    measured,
    methods,
    metrics_of,
    missing_words,
    safe,
    sentences,
)
from bench.report.layout import Column, Line
from bench.report.ranking import ENOUGH_SEEDS, real_value
from bench.report.wording import clean, display_name
from bench.stats import probability_of_improvement

GROUP, TITLE = "chances", "Which method is likelier to be better"
DIVERGED = "diverged"
HOW = (
    "A cell says how likely a run of the row's method is better than a run of the column's (Mann and Whitney's U over "
    "all pairs of seeds, ties counted half): .5 is no difference, 1 is always better. A dot marks a 95 % interval over "
    f"seeds that leaves out .5; it takes {ENOUGH_SEEDS} runs of each."
)


def charts(section: Section, specs: parts.Specs) -> tuple[list[Chart], list[Gap]]:
    """One for each metric with a good end, or with real text to be near to."""
    made, why = [], []
    for metric in metrics_of(section.main):
        found = measured(section.main, metric)
        if found is None:
            continue
        lines = contenders(section, found.column)
        if len(lines) < 2:
            why.append(f"{display_name(metric)}: fewer than two methods")
        elif math.isnan(_target(section, found.column)):
            why.append(f"{display_name(metric)}: neither end is good, and there is no real text to be near to")
        else:
            made.append(_chart(section, found, lines, specs))
    return made, ([] if made else [Gap(GROUP, section.title(TITLE), "; ".join(why) or "no method has a value")])


def contenders(section: Section, column: Column) -> list[Line]:
    """Methods with a value, and those whose every run diverged, which is a result too."""
    lines = methods(section.main)
    return [line for line in lines if has(line, column) or (diverged(line) and not line.values)]


def diverged(line: Line) -> int:
    return sum(len(failure.seeds) for failure in line.failures if failure.status == DIVERGED)


def _target(section: Section, column: Column) -> float:
    return 0.0 if column.higher_is_better is not None else real_value(section.main, column)


def chance_records(section: Section, column: Column, lines: Sequence[Line]) -> list[Record]:
    """A record an ordered pair. Where neither end is good, the distance from real text is what is better when low."""
    target = real_value(section.main, column) if column.higher_is_better is None else math.nan

    def values(line: Line) -> list[float]:
        found = list(line.values[column].by_seed.values()) if column in line.values else []
        return found if math.isnan(target) else [abs(value - target) for value in found]

    higher = bool(column.higher_is_better)
    records: list[Record] = []
    for place, first in enumerate(lines):
        for second in lines[place + 1 :]:
            found = probability_of_improvement(
                values(first),
                values(second),
                np.random.default_rng(0),
                higher_is_better=higher,
                diverged=(diverged(first), diverged(second)),
            )
            p, low, high = found.probability, found.low, found.high
            counts = found.n
            lost = diverged(first), diverged(second)
            records.append(_record(first.label, second.label, p, (low, high), counts, lost))
            records.append(_record(second.label, first.label, 1 - p, (1 - high, 1 - low), counts[::-1], lost[::-1]))
    return [{**record, "signature": column.signature} for record in records]


def _record(
    row: str, against: str, p: float, interval: tuple[float, float], n: tuple[int, int], lost: tuple[int, int]
) -> Record:
    low, high = interval
    known = math.isfinite(low)
    apart = known and min(n) >= ENOUGH_SEEDS and (low > 0.5 or high < 0.5)
    return {
        "method": row,
        "against": against,
        "probability": p,
        "low": low if known else None,
        "high": high if known else None,
        "text": _number(p) + ("•" if apart else ""),
        "runs": f"{n[0]} and {n[1]}",
        "diverged": f"{lost[0]} and {lost[1]}",
    }


def _number(p: float) -> str:
    return f"{p:.0f}" if p in (0, 1) else f"{p:.2f}".removeprefix("0")


def _by_chance(lines: Sequence[Line], column: Column) -> str:
    """How easily the ends come when nothing is different: few seeds can't say more."""
    runs = sorted(len(line.values[column].by_seed if column in line.values else ()) + diverged(line) for line in lines)
    share = 2 / math.comb(runs[0] + runs[1], runs[0])
    return f"With {runs[0]} and {runs[1]} runs, two equal methods show 0 or 1 in {share:.0%} of cases."


def _chart(section: Section, found: Measured, lines: Sequence[Line], specs: parts.Specs) -> Chart:
    column = found.column
    records = chance_records(section, column, lines)
    name = clean(display_name(column.metric))
    nearness = column.higher_is_better is None
    title = section.title(f"probability of being {'nearer to real text' if nearness else 'better'} on {name}")
    better = "Better means nearer to real text." if nearness else ""
    lost = [f"{clean(line.label)} ({diverged(line)})" for line in lines if diverged(line)]
    counted = f"Diverged runs count as the worst: {', '.join(lost)}." if lost else ""
    missing = missing_words(section.main, column)
    caption = sentences(
        HOW, _by_chance(lines, column), better, counted, *found.left_out, missing, failure_words(section.main)
    )
    about = f"{title}: a matrix of methods by methods. {HOW}"
    spec = specs.filled(_spec, title, about, records, order=parts.present(specs.labels, records))
    still = column.primary
    return Chart(
        section.name(f"chances-{safe(column.metric)}"), GROUP, {"metric": name}, title, caption, spec, records, still
    )


def _spec(_: Sequence[str]) -> Any:
    picked = parts.pick(legend=False)
    y = alt.Y("method:N", title="how likely this is better ...", scale=parts.row_scale(), axis=alt.Axis(grid=False))
    x = alt.X(
        "against:N",
        title="... than this",
        scale=parts.row_scale(),
        axis=alt.Axis(orient="top", labelAngle=-40, grid=False),
    )
    told = parts.tips(
        ("method:N", "method"), ("against:N", "against"), ("probability:Q", "P(better)"),
        ("low:Q", "95 % over seeds: from"), ("high:Q", "to"), ("runs:N", "runs"), ("diverged:N", "diverged"),
        ("signature:N", "signature"),
    )  # fmt: skip
    scale = alt.Scale(domain=[0, 0.5, 1], range="diverging", interpolate="lab")
    color = alt.Color("probability:Q", scale=scale, title="P(better)", legend=alt.Legend(format=".1~f", tickCount=5))
    base = parts.base().encode(x=x, y=y, tooltip=told)
    cells = base.mark_rect().encode(color=color, opacity=parts.lit(picked, 1.0, 0.25)).add_params(picked)
    dark = "abs(datum.probability - .5) > .4"
    ink = alt.condition(dark, alt.value("#ffffff"), alt.value("#1b1f24"))
    texts = base.mark_text(fontSize=11).encode(text="text:N", color=ink)
    return alt.layer(cells, texts).properties(width="container", height=alt.Step(26))
