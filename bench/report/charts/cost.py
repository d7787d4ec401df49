"""Cost against quality: what a method's training time buys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from bench.report.charts import parts
from bench.report.charts.model import (
    Chart,
    Gap,
    Measured,
    Record,
    Section,
    axis_title,
    failure_words,
    has,
    mean_record,
    measured,
    methods,
    missing_words,
    references,
    safe,
    sentences,
)
from bench.report.layout import Column
from bench.report.wording import clean, display_name

GROUP, TITLE = "cost", "Cost against quality"
LEAST = 0.1  # seconds: a logarithm has no place for 0
HOW = (
    "A mark is a method: mean over seeds of its training time (pre-training included; each step of the axis is a "
    "multiple) and of the metric, with the 95 % interval over seeds where there are at least two. The larger the mark, "
    "the more parameters. A dashed rule is a reference."
)


def charts(section: Section, specs: parts.Specs) -> tuple[list[Chart], list[Gap]]:
    made, why = [], []
    for metric in dict.fromkeys(column.metric for column in section.main.primary):
        found = measured(section.main, metric)
        if found is None:
            why.append(f"no method has a value of {display_name(metric)}")
            continue
        records, left_out = cost_records(section, found.column)
        if any(record["kind"] == "mean" for record in records):
            made.append(_chart(section, metric, found, records, left_out, specs))
        else:
            why.append("no method's training time was recorded")
    return made, ([] if made else [Gap(GROUP, section.title(TITLE), "; ".join(why) or "there is no primary metric")])


def cost_records(section: Section, column: Column) -> tuple[list[Record], list[str]]:
    """A record a method with a time and a value; references; and sentences about the methods without a time."""
    records: list[Record] = []
    untimed = []
    for line in methods(section.main):
        if not has(line, column):
            continue
        if not math.isfinite(line.costs.train_seconds):
            untimed.append(clean(line.label))
            continue
        seconds = line.costs.train_seconds
        records.append(
            {"kind": "mean", **mean_record(line, column)}
            | {"seconds": seconds, "drawn_at": max(seconds, LEAST), "parameters": line.costs.parameters}
            | {"device": line.costs.device}
        )
    left_out = [f"Without a recorded time: {', '.join(untimed)}."] if untimed else []
    quick = [clean(record["method"]) for record in records if record["seconds"] < LEAST]
    left_out += [f"Faster than {LEAST} s, drawn there: {', '.join(quick)}."] if quick else []
    devices = {record["device"] for record in records}
    left_out += [f"Times are from different devices: {', '.join(map(clean, sorted(devices)))}."] * (len(devices) > 1)
    return [*records, *references(section.main, column)], left_out


def _chart(
    section: Section,
    metric: str,
    found: Measured,
    records: Sequence[Record],
    left_out: Sequence[str],
    specs: parts.Specs,
) -> Chart:
    name = clean(display_name(metric))
    title = section.title(f"training time against {name}")
    about = missing_words(section.main, found.column)
    caption = sentences(HOW, *found.left_out, *left_out, about, failure_words(section.main))
    spec = specs.filled(
        _spec, title, f"{title}. {HOW}", records, up=axis_title(found.column), name=name, ticks=_ticks(records)
    )
    return Chart(section.name(f"cost-{safe(metric)}"), GROUP, {"metric": name}, title, caption, spec, records, True)


def _ticks(records: Sequence[Record]) -> list[float]:
    """Powers of ten around all times."""
    times = [record["drawn_at"] for record in records if record["kind"] == "mean"]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


def _spec(labels: Sequence[str]) -> Any:
    picked = parts.pick()
    x = alt.X(
        "drawn_at:Q", title="seconds of training (logarithmic)", scale=alt.Scale(type="log", nice=True),
        axis=alt.Axis(format=",~g", values=["@ticks@"]),
    )  # fmt: skip
    y = alt.Y("value:Q", title=parts.UP, scale=alt.Scale(zero=False, nice=True, padding=12))
    told = parts.tips(
        ("method:N", "method"), ("value:Q", parts.NAME), ("low:Q", "95 % over seeds: from"), ("high:Q", "to"),
        ("seeds:N", "seeds"), ("seconds:Q", "seconds"), ("parameters:Q", "parameters"), ("device:N", "device"),
        ("signature:N", "signature"),
    )  # fmt: skip
    data = parts.base()
    base = data.transform_filter("datum.kind == 'mean'").encode(x=x, tooltip=told, color=parts.color(labels))
    low = alt.Y("low:Q", title=parts.UP)
    bars = base.mark_rule(strokeWidth=1.4).encode(y=low, y2="high:Q", opacity=parts.lit(picked, 0.8))
    bars = bars.transform_filter("isValid(datum.low)")
    size = alt.Size("parameters:Q", title="parameters", scale=alt.Scale(range=[45, 420]), legend=_sizes())
    points = base.mark_point(filled=True, strokeWidth=1.4).encode(
        y=y, size=size, shape=parts.shape(labels), opacity=parts.lit(picked, 0.9)
    )
    layers = [bars.add_params(picked), points, *parts.reference_levels(data)]
    return alt.layer(*layers).properties(width="container", height=380)


def _sizes() -> alt.Legend:
    return alt.Legend(format=".2~s", tickCount=3, symbolType="circle", symbolFillColor="#808080", symbolStrokeWidth=0)
