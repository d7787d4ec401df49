"""Quality against diversity over temperatures: what a free task's method can reach, and where real text is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import altair as alt

from bench.report.charts import parts
from bench.report.charts.model import Chart, Gap, Record, Section, failure_words, finite, is_final, otherwise, sentences
from bench.report.layout import DECODING_FIELDS, REFERENCE_ROWS
from bench.report.wording import clean, display_name
from bench.schema import ScoreRow
from bench.stats import mean_interval
from metrics.signature import join, parse

GROUP, TITLE = "frontier", "Quality against diversity"
STILLS = ("2", "4")
HOW = (
    "Each line is a method's mean over seeds from cold to hot samples, each small mark one seed; the large mark on a "
    "line is temperature 1. Colder samples are more alike (to the right) and made of likelier words (up). The nearer a "
    "line passes to real text, the better; above and left of it isn't better than real text."
)


def charts(section: Section, specs: parts.Specs) -> tuple[list[Chart], list[Gap]]:
    """One for each order that has both BLEU and Self-BLEU."""
    names = {row.metric for row in section.rows}
    orders = sorted(name.removeprefix("self-bleu-") for name in names if name.startswith("self-bleu-"))
    orders = [order for order in orders if f"bleu-{order}" in names]
    made = [chart for order in orders if (chart := _chart(section, order, specs)) is not None]
    if made or not any(row.decoding.startswith("sample@") for row in section.rows):
        return made, []
    reason = "no method has both BLEU and Self-BLEU of one order in this task"
    return [], [Gap(GROUP, section.title(TITLE), reason)]


def _chart(section: Section, order: str, specs: parts.Specs) -> Chart | None:
    records, left_out = frontier_records(section, f"self-bleu-{order}", f"bleu-{order}")
    if not any(record["kind"] == "seed" for record in records):
        return None
    title = section.title(f"BLEU-{order} against Self-BLEU-{order}")
    caption = sentences(HOW, *left_out, _swept_once(records), failure_words(section.main))
    across, up = display_name(f"self-bleu-{order}"), display_name(f"bleu-{order}")
    spec = specs.filled(
        _spec, title, f"{title}, by method and temperature. {HOW}", records,
        across=f"{across} (left: more varied)", up=f"{up} (up: likelier words)",
    )  # fmt: skip
    name = section.name(f"frontier-{order}")
    return Chart(name, GROUP, {"n-gram order": order}, title, caption, spec, records, order in STILLS)


def frontier_records(section: Section, across: str, up: str) -> tuple[list[Record], list[str]]:
    """Points of seeds, means and references of two metrics of the same samples, and who was left out.

    `x` is the value of `across`, `y` that of `up`.
    """
    rows = [row for row in section.rows if row.metric in (across, up) and row.split == section.main.split]
    rows = [row for row in rows if is_final(row) and (row.track == section.main.track or is_reference(row))]
    kept, left_out = [], []
    for metric in (across, up):
        chosen, sentences_ = same_but_for_decoding([row for row in rows if row.metric == metric])
        kept += chosen
        left_out += sentences_
    xs = {_key(row): row for row in kept if row.metric == across}
    ys = {_key(row): row for row in kept if row.metric == up}
    names = _names(section)
    seeds = [_seed_record(names(xs[key]), xs[key], ys[key]) for key in xs if key in ys]
    references = [record for record in seeds if record["method"] in REFERENCE_ROWS]
    seeds = [record for record in seeds if record not in references]
    for record in references:
        record["kind"] = "reference"
    return [*seeds, *_means(seeds), *references], left_out


def is_reference(row: ScoreRow) -> bool:
    return row.baseline in REFERENCE_ROWS


def same_but_for_decoding(rows: Sequence[ScoreRow]) -> tuple[list[ScoreRow], list[str]]:
    """The rows that are the measurement of most methods, whatever the temperature; and sentences about the others."""
    measurements: Counter[str] = Counter()
    for _, signature in {(row.baseline, undecoded(row.signature)) for row in rows if not is_reference(row)}:
        measurements[signature] += 1
    if not measurements:
        return [], []
    chosen = min(measurements, key=lambda signature: (-measurements[signature], signature))
    kept = [row for row in rows if undecoded(row.signature) == chosen]
    sentences_ = []
    for other in sorted({undecoded(row.signature) for row in rows} - {chosen}):
        names = sorted({row.baseline for row in rows if undecoded(row.signature) == other})
        sentences_.append(otherwise(names, chosen, other))
    return kept, sentences_


def undecoded(signature: str) -> str:
    """Without what says how a model was decoded: what is left must be equal along a line."""
    fields = {key: value for key, value in parse(signature).items() if key not in DECODING_FIELDS}
    return join(fields.pop("metric"), fields)


def _key(row: ScoreRow) -> tuple[Any, ...]:
    return row.baseline, row.config_hash, row.seed, row.decoding


def _names(section: Section) -> Any:
    """The label of a row's line, as the tables have it."""
    known = {(line.baseline, line.config_hash): line.label for table in section.tables for line in table.lines}
    return lambda row: known.get((row.baseline, row.config_hash), row.baseline)


def _seed_record(label: str, x: ScoreRow, y: ScoreRow) -> Record:
    temperature = float(x.decoding.removeprefix("sample@")) if x.decoding.startswith("sample@") else None
    return {
        "kind": "seed",
        "method": label,
        "seed": x.seed,
        "temperature": temperature,
        "x": x.value,
        "y": y.value,
        "interval": _interval(y.ci_low, y.ci_high, "items"),
        "signature": y.signature,
    }


def _interval(low: float, high: float, over: str) -> str:
    if finite(low) is None or finite(high) is None:
        return "-"
    return f"{low:.4g} to {high:.4g} over {over}"


def _means(seeds: Sequence[Record]) -> list[Record]:
    groups: dict[tuple[str, float], list[Record]] = {}
    for record in seeds:
        if record["temperature"] is not None:
            groups.setdefault((record["method"], record["temperature"]), []).append(record)
    made = []
    for (method, temperature), group in sorted(groups.items()):
        x, _ = mean_interval([record["x"] for record in group])
        y, half = mean_interval([record["y"] for record in group])
        made.append(
            {
                "kind": "mean",
                "method": method,
                "seeds": len(group),
                "temperature": temperature,
                "x": x,
                "y": y,
                "interval": _interval(y - half, y + half, "seeds"),
                "signature": group[0]["signature"],
            }
        )
    return made


def _swept_once(records: Sequence[Record]) -> str:
    """Methods with one temperature alone: a point, no line."""
    found: dict[str, set[float]] = {}
    for record in records:
        if record["kind"] == "mean":
            found.setdefault(record["method"], set()).add(record["temperature"])
    alone = [clean(method) for method, temperatures in found.items() if len(temperatures) == 1]
    return f"Sampled at one temperature alone: {', '.join(alone)}." if alone else ""


def _spec(labels: Sequence[str]) -> Any:
    picked = parts.pick()
    x = alt.X("x:Q", title=parts.ACROSS, scale=alt.Scale(zero=False, nice=True))
    y = alt.Y("y:Q", title=parts.UP, scale=alt.Scale(zero=False, nice=True))
    told = parts.tips(
        ("method:N", "method"), ("temperature:Q", "temperature"), ("seed:N", "seed"), ("seeds:N", "seeds"),
        ("x:Q", parts.ACROSS), ("y:Q", parts.UP), ("interval:N", "upward, 95 %"), ("signature:N", "signature"),
    )  # fmt: skip
    base = parts.base().encode(x=x, y=y, tooltip=told)
    by_method: dict[str, Any] = {"color": parts.color(labels)}
    shapes = parts.shape(labels)
    lines = parts.of_kind(base.mark_line(strokeWidth=1.8), "mean").encode(
        **by_method, strokeDash=parts.dash(labels), order="temperature:Q", opacity=parts.lit(picked)
    )
    seeds = parts.of_kind(base.mark_point(filled=True, size=14), "seed").encode(
        **by_method, shape=shapes, opacity=parts.lit(picked, 0.45, 0.04)
    )
    ones = parts.of_kind(base.mark_point(filled=True, size=95), "mean").transform_filter("datum.temperature == 1")
    ones = ones.encode(**by_method, shape=shapes, opacity=parts.lit(picked))
    layers = alt.layer(lines.add_params(picked), seeds, ones, *parts.reference_points(base))
    return layers.properties(width="container", height=420)
