"""The oracle's frontier: there the likelihood under the oracle is known, so each temperature has one number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from bench.report.charts import parts
from bench.report.charts.frontier import GROUP, same_but_for_decoding
from bench.report.charts.model import (
    Chart,
    Gap,
    Record,
    Section,
    failure_words,
    finite,
    has,
    measured,
    methods,
    missing_words,
    references,
    sentences,
)
from bench.report.layout import curve_of
from bench.report.wording import display_name
from bench.stats import mean_interval

ORACLE, TEST = "nll-oracle", "nll-test"
HOW_TEMPERATURE = (
    "Each line is a method's mean over seeds by the temperature of its samples, small marks are seeds. Lower is "
    "likelier under the oracle; below the rule of real text, the oracle's own entropy, samples have lost variety. "
)
HOW_BOTH = (
    "A mark is one seed at temperature 1: to the left, it expects real text better (coverage); down, the oracle finds "
    "its samples likelier (quality). Near to real text is good in both; below it is lost variety."
)


def charts(section: Section, specs: parts.Specs) -> tuple[list[Chart], list[Gap]]:
    """NLL-oracle by temperature, and against NLL-test, for tasks with an oracle; nothing for others."""
    if ORACLE not in {row.metric for row in section.rows}:
        return [], []
    made = [chart for chart in (_by_temperature(section, specs), _against_test(section, specs)) if chart is not None]
    reason = "no method has a value of NLL-oracle"
    return made, ([] if made else [Gap(GROUP, section.title("Quality against diversity"), reason)])


def _by_temperature(section: Section, specs: parts.Specs) -> Chart | None:
    records, left_out = temperature_records(section)
    if not any(record["kind"] == "mean" for record in records):
        return None
    title = section.title("NLL-oracle by temperature")
    caption = sentences(HOW_TEMPERATURE, *left_out, failure_words(section.main))
    spec = specs.filled(_temperature_spec, title, f"{title}. {HOW_TEMPERATURE}", records)
    name = section.name("frontier-temperature")
    return Chart(name, GROUP, {"axes": "NLL-oracle by temperature"}, title, caption, spec, records, True)


def temperature_records(section: Section) -> tuple[list[Record], list[str]]:
    """Seeds and means of NLL-oracle at each temperature, references, and who was left out."""
    rows = [row for table in curve_of(section.main, section.tables) or [section.main] for row in _rows(section, table)]
    kept, left_out = same_but_for_decoding(rows)
    names = {(line.baseline, line.config_hash): line.label for table in section.tables for line in table.lines}
    values: dict[tuple[str, float], dict[int | None, float]] = {}
    signatures = {}
    for row in kept:
        key = names[row.baseline, row.config_hash], float(row.decoding.removeprefix("sample@"))
        values.setdefault(key, {})[row.seed] = row.value
        signatures[key] = row.signature
    records: list[Record] = []
    for (method, temperature), by_seed in sorted(values.items()):
        about = {"method": method, "temperature": temperature, "signature": signatures[method, temperature]}
        mean, half = mean_interval(list(by_seed.values()))
        low, high = finite(mean - half), finite(mean + half)
        records.append({"kind": "mean", **about, "value": mean, "low": low, "high": high, "seeds": len(by_seed)})
        records += [{"kind": "seed", **about, "seed": seed, "value": value} for seed, value in by_seed.items()]
    found = measured(section.main, ORACLE)
    known = references(section.main, found.column) if found else []
    return [*records, *known], left_out


def _rows(section: Section, table: Any) -> list[Any]:
    lines = {(line.baseline, line.config_hash) for line in methods(table)}
    return [
        row
        for row in section.rows
        if row.metric == ORACLE
        and row.decoding == table.decoding
        and row.decoding.startswith("sample@")
        and row.stage == "final"
        and finite(row.value) is not None
        and (row.baseline, row.config_hash) in lines
    ]


def _temperature_spec(labels: Sequence[str]) -> Any:
    picked = parts.pick()
    name = display_name(ORACLE)
    few = alt.Axis(tickCount=7)
    x = alt.X("temperature:Q", scale=alt.Scale(zero=False, nice=False, padding=12), title="temperature", axis=few)
    y = alt.Y("value:Q", title=f"{name}, nats a token", scale=alt.Scale(zero=False, padding=14))
    told = parts.tips(
        ("method:N", "method"), ("temperature:Q", "temperature"), ("value:Q", name), ("low:Q", "95 % over seeds: from"),
        ("high:Q", "to"), ("seeds:N", "seeds"), ("seed:N", "seed"), ("signature:N", "signature"),
    )  # fmt: skip
    data = parts.base()
    base = data.encode(x=x, y=y, tooltip=told)
    by_method: dict[str, Any] = {"color": parts.color(labels)}
    shapes = parts.shape(labels)
    lines = parts.of_kind(base.mark_line(strokeWidth=1.8), "mean").encode(
        **by_method, strokeDash=parts.dash(labels), opacity=parts.lit(picked)
    )
    means = parts.of_kind(base.mark_point(filled=True, size=50), "mean").encode(
        **by_method, shape=shapes, opacity=parts.lit(picked)
    )
    seeds = parts.of_kind(base.mark_point(filled=True, size=12), "seed").encode(
        **by_method, shape=shapes, opacity=parts.lit(picked, 0.4, 0.04)
    )
    layers = [lines.add_params(picked), means, seeds, *parts.reference_levels(data)]
    return alt.layer(*layers).properties(width="container", height=420)


def _against_test(section: Section, specs: parts.Specs) -> Chart | None:
    quality, coverage = measured(section.main, ORACLE), measured(section.main, TEST)
    if quality is None or coverage is None:
        return None
    records: list[Record] = []
    for line in section.main.lines:
        if not (has(line, quality.column) and has(line, coverage.column)):
            continue
        ys, xs = line.values[quality.column], line.values[coverage.column]
        kind = "reference" if line.is_reference else "seed"
        records += [
            {"kind": kind, "method": line.label, "seed": seed, "x": xs.by_seed[seed], "y": ys.by_seed[seed]}
            | {"signature": ys.signature}
            for seed in ys.by_seed
            if seed in xs.by_seed
        ]
    if not any(record["kind"] == "seed" for record in records):
        return None
    title = section.title("NLL-oracle against NLL-test")
    missing = sentences(missing_words(section.main, coverage.column), missing_words(section.main, quality.column))
    left_out = sentences(*quality.left_out, *coverage.left_out)
    caption = sentences(HOW_BOTH, left_out, missing, failure_words(section.main))
    spec = specs.filled(_both_spec, title, f"{title}. {HOW_BOTH}", records)
    name = section.name("frontier-nll")
    return Chart(name, GROUP, {"axes": "NLL-oracle against NLL-test"}, title, caption, spec, records, True)


def _both_spec(labels: Sequence[str]) -> Any:
    picked = parts.pick()
    x = alt.X("x:Q", title="NLL-test, nats a token (lower is better)", scale=alt.Scale(zero=False))
    y = alt.Y("y:Q", title="NLL-oracle, nats a token (lower is likelier)", scale=alt.Scale(zero=False))
    told = parts.tips(
        ("method:N", "method"), ("seed:N", "seed"), ("x:Q", "NLL-test"), ("y:Q", "NLL-oracle"),
        ("signature:N", "signature"),
    )  # fmt: skip
    base = parts.base().encode(x=x, y=y, tooltip=told)
    points = parts.of_kind(base.mark_point(filled=True, size=75), "seed").encode(
        color=parts.color(labels), shape=parts.shape(labels), opacity=parts.lit(picked, 0.9)
    )
    layers = alt.layer(points.add_params(picked), *parts.reference_points(base))
    return layers.properties(width="container", height=420)
