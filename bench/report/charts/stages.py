"""Before and after: what each later stage of training did to a metric, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from bench.report import wording
from bench.report.charts import parts
from bench.report.charts.model import (
    Chart,
    Gap,
    Measured,
    Record,
    Section,
    axis_title,
    has,
    measured,
    methods,
    metrics_of,
    references,
    safe,
    sentences,
    stages_of,
)
from bench.report.layout import FINAL, Column, Line
from bench.report.wording import clean, display_name

GROUP, TITLE = "stages", "Before and after the adversarial stage"
HOW = (
    "A row is a method, a line in it one seed: from the hollow circle (the first model kept, as a rule after "
    "pre-training) over the triangle (a stage between, where there was one) to the filled square (the final model). "
    "A dashed rule is a reference."
)
FORMS = ("circle", "triangle-up", "square")
STAGE_NAMES = ("first", "between", "final (filled)")


def charts(section: Section, specs: parts.Specs) -> tuple[list[Chart], list[Gap]]:
    """One for each metric that a method has before and after."""
    staged = [line for line in methods(section.main) if line.before is not None]
    if not staged:
        reason = "no method of this task kept the model of an earlier stage"
        return [], [Gap(GROUP, section.title(TITLE), reason)]
    made = []
    for metric in metrics_of(section.main):
        found = measured(section.main, metric)
        chart = _chart(section, metric, found, specs) if found is not None else None
        if chart is not None:
            made.append(chart)
    if made:
        return made, []
    reason = "no method has one metric, measured in one way, both before its last stage and after it"
    return [], [Gap(GROUP, section.title(TITLE), reason)]


def _chart(section: Section, metric: str, found: Measured, specs: parts.Specs) -> Chart | None:
    records = stage_records(section, found.column)
    if not any(record["kind"] == "stage" for record in records):
        return None
    name = clean(display_name(metric))
    title = section.title(f"{name} after each stage")
    caption = sentences(HOW, *found.left_out, _without(section, found.column))
    shown = parts.present(specs.labels, [record for record in records if record["kind"] == "stage"])
    spec = specs.filled(
        _spec, title, f"{title}. {HOW}", records, order=shown, across=axis_title(found.column),
        height=_height(records),
        seeds=sorted({record["seed"] for record in records if record["kind"] == "stage"}),
    )  # fmt: skip
    primary = {column.metric for column in section.main.primary}
    still = metric in primary or metric.removeprefix("self-") in primary
    return Chart(section.name(f"stages-{safe(metric)}"), GROUP, {"metric": name}, title, caption, spec, records, still)


def stage_records(section: Section, column: Column) -> list[Record]:
    """A record a method, seed and stage, for the seeds that have the metric at two stages or more; and references."""
    records: list[Record] = []
    for line in methods(section.main):
        stages = [each for each in stages_of(line) if has(each, column)]
        for seed in sorted({seed for each in stages for seed in each.values[column].by_seed}):
            own = [each for each in stages if seed in each.values[column].by_seed]
            if len(own) > 1 and own[-1].stage == FINAL:
                records += [_record(line, each, own, seed, column) for each in own]
    return [*records, *references(section.main, column)]


def _record(line: Line, stage: Line, own: Sequence[Line], seed: int, column: Column) -> Record:
    place = 0 if stage is own[0] else 2 if stage is own[-1] else 1
    value, first = stage.values[column].by_seed[seed], own[0].values[column].by_seed[seed]
    return {
        "kind": "stage",
        "method": line.label,
        "seed": seed,
        "stage": "final" if stage.stage == FINAL else wording.stage(stage),
        "form": STAGE_NAMES[place],
        "order": own.index(stage),
        "value": value,
        "change": None if math.isclose(place, 0) else value - first,
        "signature": stage.values[column].signature,
    }


def _without(section: Section, column: Column) -> str:
    names = [clean(line.label) for line in methods(section.main) if line.before is None and has(line, column)]
    return f"Trained in one stage, so not here: {', '.join(names)}." if names else ""


def _spec(labels: Sequence[str]) -> Any:
    picked = parts.pick(legend=False)
    x = alt.X("value:Q", title=parts.ACROSS, scale=alt.Scale(zero=False, nice=True))
    y = alt.Y("method:N", title=None, scale=parts.row_scale(paddingInner=0.25), axis=alt.Axis(grid=True))
    told = parts.tips(
        ("method:N", "method"), ("seed:N", "seed"), ("stage:N", "stage"), ("value:Q", "value"),
        ("change:Q", "change since the first"), ("signature:N", "signature"),
    )  # fmt: skip
    seeds = alt.YOffset("seed:N", scale=alt.Scale(domain=["@seeds@"]))
    base = parts.base()
    rows = base.transform_filter("datum.kind == 'stage'").encode(x=x, y=y, yOffset=seeds, tooltip=told)
    color = parts.color(labels, told=False)
    lines = rows.mark_line(strokeWidth=2).encode(
        color=color, detail=["seed:N", "method:N"], order="order:Q", opacity=parts.lit(picked, 0.7)
    )
    forms = alt.Shape("form:N", title="stage", scale=alt.Scale(domain=list(STAGE_NAMES), range=list(FORMS)))
    final = f"datum.form == '{STAGE_NAMES[-1]}'"
    hollow = rows.transform_filter(f"!({final})").mark_point(size=60, filled=False, strokeWidth=1.7)
    filled = rows.transform_filter(final).mark_point(size=65, filled=True)
    marks = [each.encode(color=color, shape=forms, opacity=parts.lit(picked)) for each in (hollow, filled)]
    layers = [lines.add_params(picked), *marks]
    layers += parts.reference_rules(base, alt.X("value:Q"))
    return alt.layer(*layers).properties(width="container")


def _height(records: Sequence[Record]) -> dict[str, Any]:
    """A step for each seed of a row, so that many methods stay on one screen or two."""
    seeds = {record["seed"] for record in records if record["kind"] == "stage"}
    return {"step": 22} if len(seeds) < 2 else {"step": 10, "for": "offset"}
