"""Rows of dots: each method's seeds, mean and interval on one metric, by decoding or beside the references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from bench.report.charts import parts
from bench.report.charts.frontier import undecoded
from bench.report.charts.model import (
    Chart,
    Gap,
    Record,
    Section,
    axis_title,
    failure_words,
    has,
    mean_record,
    measured,
    methods,
    metrics_of,
    missing_words,
    otherwise,
    references,
    safe,
    seed_records,
    sentences,
)
from bench.report.charts.palette import SHAPES
from bench.report.layout import Column, Table
from bench.report.wording import clean, display_name

FORM, FORM_TITLE = "form", "Lengths, novelty and variety"
DECODING, DECODING_TITLE = "decodings", "Quality by decoding"
FORMS = ("length", "novel", "copied", "longest-copy", "unique", "distinct", "unk")
HOW_FORM = (
    "A row is a method: small marks are seeds, the large one their mean with its 95 % interval over seeds. A dashed "
    "rule is a reference; where neither end is good, near to real text is good."
)
HOW_DECODING = (
    "A row is a method, a shape a way of decoding its one model: the mean over seeds with its 95 % interval, and small "
    "marks for the seeds."
)


def form_charts(section: Section, specs: parts.Specs) -> tuple[list[Chart], list[Gap]]:
    """One for each metric of form: how long the texts are, how much of them is copied or repeated."""
    made = []
    for metric in metrics_of(section.main):
        found = measured(section.main, metric) if metric.startswith(FORMS) else None
        if found is None:
            continue
        name, column = clean(display_name(metric)), found.column
        records = form_records(section, column)
        title = section.title(f"{name} by method")
        missing = missing_words(section.main, column)
        caption = sentences(HOW_FORM, *found.left_out, missing, failure_words(section.main))
        spec = _filled(specs, title, f"{title}. {HOW_FORM}", records, column, ())
        made.append(
            Chart(section.name(f"form-{safe(metric)}"), FORM, {"metric": name}, title, caption, spec, records, False)
        )
    reason = "no metric of length, novelty or variety was measured"
    return made, ([] if made else [Gap(FORM, section.title(FORM_TITLE), reason)])


def form_records(section: Section, column: Column) -> list[Record]:
    records = _of_table(section.main, column, "")
    return [*records, *references(section.main, column)]


def _of_table(table: Table, column: Column, decoding: str) -> list[Record]:
    lines = sorted((line for line in methods(table) if has(line, column)), key=lambda line: -line.mean(column))
    means = [{"kind": "mean", "decoding": decoding, **mean_record(line, column)} for line in lines]
    seeds = [
        {"kind": "seed", "decoding": decoding, **record} for line in lines for record in seed_records(line, column)
    ]
    return [*means, *seeds]


def decoding_charts(section: Section, specs: parts.Specs) -> tuple[list[Chart], list[Gap]]:
    """One for each metric of text; nothing for tasks whose text is sampled."""
    tables = [table for table in section.decodings if table.decoding]
    if not tables or all(table.decoding.startswith("sample@") for table in tables):
        return [], []
    if len(tables) == 1:
        reason = f"the run has one decoding alone, {clean(tables[0].decoding)}"
        return [], [Gap(DECODING, section.title(DECODING_TITLE), reason)]
    made = []
    for metric in metrics_of(section.main):
        found = measured(section.main, metric)
        records, left_out = decoding_records(tables, metric)
        if found is None or len({record["decoding"] for record in records}) < 2:
            continue
        name = clean(display_name(metric))
        title = section.title(f"{name} by decoding")
        caption = sentences(HOW_DECODING, *left_out, failure_words(section.main))
        ways = tuple(table.decoding for table in tables)
        spec = _filled(specs, title, f"{title}. {HOW_DECODING}", records, found.column, ways)
        still = metric in {column.metric for column in section.main.primary}
        made.append(
            Chart(
                section.name(f"decodings-{safe(metric)}"), DECODING, {"metric": name}, title, caption, spec, records,
                still,
            )
        )  # fmt: skip
    return made, []


def decoding_records(tables: Sequence[Table], metric: str) -> tuple[list[Record], list[str]]:
    """Means and seeds under each decoding; what differs in more than the decoding is left out, with a sentence."""
    records: list[Record] = []
    left_out: list[str] = []
    for table in tables:
        found = measured(table, metric)
        if found is None or not _drawn(found.column, table):
            continue
        own = _of_table(table, found.column, table.decoding)
        left_out += found.left_out
        first = next((undecoded(record["signature"]) for record in records), None)
        here = undecoded(found.column.signature)
        if first is not None and first != here:
            left_out.append(otherwise([f"all of {table.decoding}"], first, here))
        else:
            records += own
    return records, left_out


def _drawn(column: Column, table: Table) -> bool:
    """Made from decoded text: a likelihood stands in every table and is the same in all."""
    return f":{table.decoding}" in column.signature or "|dec:" in column.signature or "|T:" in column.signature


def _filled(
    specs: parts.Specs, title: str, description: str, records: Sequence[Record], column: Column, ways: tuple[str, ...]
) -> dict[str, Any]:
    order = list(dict.fromkeys(record["method"] for record in records if record["kind"] == "mean"))
    step = {"step": 13, "for": "offset"} if ways else {"step": 22}
    across = axis_title(column)
    return specs.filled(_spec, title, description, records, ways, height=step, order=order, across=across)


def _spec(labels: Sequence[str], ways: tuple[str, ...]) -> Any:
    picked = parts.pick(legend=False)
    x = alt.X("value:Q", title=parts.ACROSS, scale=alt.Scale(zero=False, nice=True))
    y = alt.Y("method:N", title=None, scale=parts.row_scale(), axis=alt.Axis(grid=True))
    told = parts.tips(
        ("method:N", "method"), *([("decoding:N", "decoding")] if ways else []), ("value:Q", "value"),
        ("low:Q", "95 % over seeds: from"), ("high:Q", "to"), ("seeds:N", "seeds"), ("seed:N", "seed"),
        ("signature:N", "signature"),
    )  # fmt: skip
    data = parts.base()
    base = data.transform_filter("datum.kind != 'reference'").encode(y=y, tooltip=told)
    base = base.encode(yOffset=alt.YOffset("decoding:N", sort=list(ways))) if ways else base
    color = parts.color(labels, told=False)
    forms: Any = parts.shape(labels, told=False)
    if ways:
        kinds = [SHAPES[place % len(SHAPES)] for place in range(len(ways))]
        grey = alt.Legend(symbolFillColor="#808080", symbolStrokeWidth=0)
        scale = alt.Scale(domain=list(ways), range=kinds)
        forms = alt.Shape("decoding:N", title="decoding", scale=scale, legend=grey)
    bars = base.mark_rule(strokeWidth=1.6).encode(
        x=alt.X("low:Q", title=parts.ACROSS), x2="high:Q", color=color, opacity=parts.lit(picked, 0.8)
    )
    bars = bars.transform_filter("datum.kind == 'mean' && isValid(datum.low)")
    seeds = base.mark_point(filled=True, size=13).encode(x=x, color=color, shape=forms, opacity=parts.lit(picked, 0.5))
    seeds = seeds.transform_filter("datum.kind == 'seed'")
    means = base.mark_point(filled=True, size=75).encode(x=x, color=color, shape=forms, opacity=parts.lit(picked))
    means = means.transform_filter("datum.kind == 'mean'")
    layers = [means.add_params(picked), bars, seeds]
    layers += parts.reference_rules(data, alt.X("value:Q"))
    return alt.layer(*layers).properties(width="container")
