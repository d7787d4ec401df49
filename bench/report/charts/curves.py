"""Learning curves: what the log recorded while the methods trained, with the end of pre-training marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from bench.report.charts import parts
from bench.report.charts.logs import Course, courses, thin
from bench.report.charts.model import Chart, Gap, Record, Section, safe, sentences
from bench.report.wording import clean
from bench.store import RunStore

GROUP, TITLE = "curves", "Learning curves"
MOST = 300  # points of a line ...
TOTAL = 9000  # ... and of all lines of one figure, where there are many
FEWEST = 60
# what people ask for first; the other figures follow by name
FIGURES = ("valid_nll", "train_nll", "reward", "d_accuracy", "d_loss", "loss", "entropy", "gradient", "length")
STILLS = (("valid_nll", "aligned"), ("valid_nll", "seconds"), ("reward", "aligned"))
AXES: Mapping[str, str] = {
    "aligned": "share of the time before and after the end of pre-training",
    "seconds": "seconds of training",
    "steps": "steps, as each stage counts them",
}
CHOICES: Mapping[str, str] = {"aligned": "aligned at the boundary", "seconds": "seconds", "steps": "steps"}
HOWS: Mapping[str, str] = {
    "aligned": "The rule at 0 is the end of pre-training: left of it is pre-training, stretched to one unit of time, "
    "right of it what came after. Methods without pre-training begin at 0.",
    "seconds": "A hollow diamond is the end of pre-training; the shared pre-training's time counts for every method.",
    "steps": "A hollow diamond is the end of pre-training. Stages count in their own units (batches, then rounds of "
    "adversarial training), so lengths of two methods can't be compared.",
}


def charts(store: RunStore, section: Section, specs: parts.Specs) -> tuple[list[Chart], list[Gap]]:
    """One for each figure that a log has at least two records of, along each of three axes."""
    found, troubles = courses(store, section.task, section.main.data)
    names = {(line.baseline, line.config_hash): line.label for table in section.tables for line in table.lines}
    named = [(names[key], course) for course in found if (key := (clean(course.baseline), course.config_hash)) in names]
    figures = _figures([course for _, course in named])
    if not figures:
        reason = clean("; ".join(troubles)) or "no log of this task has a figure with more than one record"
        return [], [Gap(GROUP, section.title(TITLE), reason)]
    made: list[Chart] = []
    unread = f"Not read: {clean('; '.join(troubles))}." if troubles else ""
    domain = [-1 if any(point.early for _, course in named for point in course.points) else 0, 1]
    for figure in figures:
        records, thinned = curve_records(named, figure)
        for axis in AXES:
            title = section.title(f"{clean(figure)} while training")
            caption = sentences(HOWS[axis], thinned, _alone(records, figure), unread)
            still = (figure, axis) in STILLS
            made.append(
                Chart(
                    section.name(f"curves-{safe(figure)}" + ("" if axis == "aligned" else f"-{axis}")),
                    GROUP,
                    {"figure": clean(figure), "along": CHOICES[axis]},
                    title,
                    caption,
                    specs.filled(
                        _spec,
                        title,
                        f"{title}: a line a method and seed. {HOWS[axis]}",
                        records,
                        axis,
                        up=clean(figure),
                        domain=domain,
                    ),
                    records,
                    still,
                )
            )
    return _distinct(made), []


def _figures(found: Sequence[Course]) -> list[str]:
    counts: dict[str, int] = {}
    for course in found:
        own: dict[str, int] = {}
        for point in course.points:
            for figure in point.figures:
                own[figure] = own.get(figure, 0) + 1
        for figure, records in own.items():
            counts[figure] = max(counts.get(figure, 0), records)
    several = [figure for figure, records in counts.items() if records > 1]
    return sorted(several, key=lambda name: (FIGURES.index(name) if name in FIGURES else len(FIGURES), name))


def curve_records(named: Sequence[tuple[str, Course]], figure: str) -> tuple[list[Record], str]:
    """The points of a figure's lines, thinned where they are many, and a sentence that says so."""
    lines = [(label, course, [p for p in course.points if figure in p.figures]) for label, course in named]
    lines = [line for line in lines if line[2]]
    most = min(MOST, max(FEWEST, TOTAL // max(1, len(lines))))
    records: list[Record] = []
    whole = 0
    for label, course, points in lines:
        kept = thin([(point.seconds, point.figures[figure]) for point in points], most)
        boundary = max((i for i, point in enumerate(points) if point.early), default=None) if course.boundary else None
        places = sorted({*kept, *([boundary] if boundary is not None else [])})
        whole += len(places) == len(points)
        for place in places:
            point = points[place]
            mark = "boundary" if place == boundary else "end" if place == len(points) - 1 else "point"
            records.append(
                {
                    "kind": mark,
                    "method": label,
                    "seed": course.seed,
                    "stage": clean(point.stage),
                    "step": point.step,
                    "steps": point.steps,
                    "seconds": round(point.seconds, 3),
                    "aligned": round(aligned(point.seconds, course, point.early), 5),
                    "value": point.figures[figure],
                }
            )
    if whole == len(lines):
        return records, ""
    return records, (
        f"Lines of more than {most} records are thinned: their ends, and the lowest and highest record of each of "
        f"{(most - 2) // 2} equal stretches, are kept."
    )


def aligned(seconds: float, course: Course, early: bool) -> float:
    """From -1, where training began, to 0, the end of pre-training, to 1, the last record."""
    if course.boundary is None:
        share = min(1.0, seconds / course.end) if course.end > 0 else 0.0
        return share - 1 if early else share
    edge = course.boundary[0]
    if early:
        return min(0.0, seconds / edge - 1) if edge > 0 else 0.0
    rest = course.end - edge
    return max(0.0, (seconds - edge) / rest) if rest > 0 else 0.0


def _alone(records: Sequence[Record], figure: str) -> str:
    """Methods with a single record: a mark, no line."""
    counts: dict[str, int] = {}
    for record in records:
        key = (record["method"], record["seed"])
        counts[str(key)] = counts.get(str(key), 0) + 1
    alone = sorted({r["method"] for r in records if counts[str((r["method"], r["seed"]))] == 1})
    return f"One record of {clean(figure)} alone: {', '.join(map(clean, alone))}." if alone else ""


def _spec(labels: Sequence[str], axis: str) -> Any:
    picked = parts.pick()
    x = alt.X(f"{axis}:Q", title=AXES[axis], scale=alt.Scale(zero=False))
    if axis == "aligned":
        names = "{'-1': 'start', '0': 'end of pre-training', '1': 'end'}[datum.value]"
        place = alt.Axis(values=[-1, 0, 1], labelExpr=f"{names} || ''", labelFlush=True)
        x = alt.X(f"{axis}:Q", title=AXES[axis], scale=alt.Scale(domain=["@domain@"], nice=False), axis=place)
    y = alt.Y("value:Q", title=parts.UP, scale=alt.Scale(zero=False))
    told = parts.tips(
        ("method:N", "method"), ("seed:N", "seed"), ("value:Q", "value"), ("stage:N", "stage"), ("step:N", "step"),
        ("seconds:Q", "seconds"),
    )  # fmt: skip
    base = parts.base().encode(x=x, y=y, tooltip=told)
    by_method: dict[str, Any] = {"color": parts.color(labels)}
    lines = base.mark_line(strokeWidth=1.5).encode(
        **by_method, strokeDash=parts.dash(labels), detail="seed:N", order="seconds:Q", opacity=parts.lit(picked, 0.85)
    )
    shapes = parts.shape(labels)
    ends = base.mark_point(filled=True, size=70).encode(**by_method, shape=shapes, opacity=parts.lit(picked))
    ends = ends.transform_filter("datum.kind == 'end'")
    layers = [lines.add_params(picked), ends]
    if axis == "aligned":
        edge = alt.Chart(alt.InlineData(values=[{"edge": 0, "name": "end of pre-training"}])).encode(
            x=alt.X("edge:Q", title=AXES[axis])
        )
        layers.append(edge.mark_rule(strokeDash=[5, 3], strokeWidth=1.2, style="ink"))
        layers.append(
            edge.mark_text(align="left", dx=5, baseline="top", style="label").encode(y=alt.value(2), text="name:N")
        )
    else:
        marks = base.mark_point(filled=False, shape="diamond", size=130, strokeWidth=1.8)
        marks = marks.encode(**by_method, opacity=parts.lit(picked)).transform_filter("datum.kind == 'boundary'")
        layers.append(marks)
    return alt.layer(*layers).properties(width="container", height=340)


def _distinct(made: list[Chart]) -> list[Chart]:
    """Two figures whose names are safe only after the same change get a number each."""
    from dataclasses import replace

    seen: dict[str, int] = {}
    kept = []
    for chart in made:
        seen[chart.name] = seen.get(chart.name, 0) + 1
        kept.append(chart if seen[chart.name] == 1 else replace(chart, name=f"{chart.name}.{seen[chart.name]}"))
    return kept
