"""What the charts' specifications share: a method's colour, shape and dash, what is picked in the legend, tooltips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt

from bench.report.charts import palette
from bench.report.charts.model import Record

DATA = "values"  # the name of a chart's one data set
PICK = "pick"
# placeholders of a specification, filled in for each chart
TITLE, DESCRIPTION, SHOWN, ORDER, ACROSS, UP, NAME = (f"@{name}@" for name in
    ("title", "description", "shown", "order", "across", "up", "name"))  # fmt: skip


def pick(legend: bool = True) -> Any:
    """The methods picked in the legend, or by a click on a mark where there is none; what isn't picked turns pale."""
    bound: dict[str, Any] = {"bind": "legend"} if legend else {}
    return alt.selection_point(name=PICK, fields=["method"], toggle="true", **bound)


def lit(picked: Any, strong: float = 1.0, pale: float = 0.08) -> Any:
    return alt.condition(picked, alt.value(strong), alt.value(pale))


def scale_of(labels: Sequence[str], values: Sequence[Any] | None = None) -> alt.Scale:
    return alt.Scale(domain=list(labels)) if values is None else alt.Scale(domain=list(labels), range=list(values))


def present(labels: Sequence[str], records: Sequence[Record]) -> list[str]:
    found = {record["method"] for record in records}
    return [label for label in labels if label in found]


def color(labels: Sequence[str], told: bool = True) -> alt.Color:
    """By method; the colours are the theme's. The legend's lines are the placeholder SHOWN."""
    return alt.Color("method:N", scale=scale_of(labels), legend=_legend(told), title="method")


def shape(labels: Sequence[str], told: bool = True) -> alt.Shape:
    scale = scale_of(labels, palette.shape_range(labels))
    return alt.Shape("method:N", scale=scale, legend=_legend(told), title="method")


def dash(labels: Sequence[str]) -> alt.StrokeDash:
    scale = scale_of(labels, palette.dash_range(labels))
    return alt.StrokeDash("method:N", scale=scale, legend=_legend(True), title="method")


def _legend(told: bool) -> alt.Legend | None:
    return alt.Legend(values=[SHOWN], symbolSize=90, symbolStrokeWidth=0) if told else None


def tips(*fields: tuple[str, str]) -> list[alt.Tooltip]:
    """(field with its type, title); numbers with four significant digits."""
    return [
        alt.Tooltip(name, title=title, format=".4~g") if name.endswith(":Q") else alt.Tooltip(name, title=title)
        for name, title in fields
    ]


def row_scale(**more: Any) -> alt.Scale:
    """Rows, or columns, in the order of the placeholder ORDER."""
    return alt.Scale(domain=[ORDER], **more)


def of_kind(chart: Any, kind: str) -> Any:
    return chart.transform_filter(f"datum.kind == '{kind}'")


def base() -> alt.Chart:
    return alt.Chart(alt.NamedData(name=DATA))


class Specs:
    """The specifications of a run's charts: Altair builds and checks each kind once, which takes its time, and what
    differs between tasks and metrics is filled in."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self._made: dict[Any, dict[str, Any]] = {}

    def filled(
        self,
        build: Callable[..., Any],
        title: str,
        description: str,
        records: Sequence[Record],
        *args: Any,
        height: Any = None,
        **values: Any,
    ) -> dict[str, Any]:
        """The specification with its data, our theme, and no address in it.

        Args:
            build: makes the chart from the labels and `args`, with placeholders in it.
            title: of the chart.
            description: for who can't see it.
            records: the data.
            height: where it depends on the data.
            values: for the placeholders: `shown` for SHOWN.
        """
        key = (build, *args)
        if key not in self._made:
            self._made[key] = _plain(build(self.labels, *args))
        shown = present(self.labels, [record for record in records if record.get("kind") != "reference"])
        known = {"title": title, "description": description, "shown": shown, **values}
        made: dict[str, Any] = fill(self._made[key], {f"@{name}@": value for name, value in known.items()})
        made["datasets"] = {**made.get("datasets", {}), DATA: list(records)}
        return made if height is None else {**made, "height": height}


def _plain(chart: Any) -> dict[str, Any]:
    made: dict[str, Any] = chart.properties(title=TITLE, description=DESCRIPTION).to_dict()
    made.pop("$schema", None)
    made["config"] = palette.theme()
    return made


def fill(tree: Any, values: Mapping[str, Any]) -> Any:
    """A placeholder, or a list of nothing else, becomes its value."""
    if isinstance(tree, dict):
        return {key: fill(each, values) for key, each in tree.items()}
    if isinstance(tree, list):
        if len(tree) == 1 and isinstance(tree[0], str) and tree[0] in values:
            return values[tree[0]]
        return [fill(each, values) for each in tree]
    return values.get(tree, tree) if isinstance(tree, str) else tree


def reference_points(base: Any) -> list[Any]:
    """Real text as a large star, floors as crosses, each with its name beside it."""
    where = "datum.kind == 'reference'"
    star = "M0,-1L0.23,-0.31L0.95,-0.31L0.36,0.12L0.59,0.81L0,0.38L-0.59,0.81L-0.36,0.12L-0.95,-0.31L-0.23,-0.31Z"
    cross = "M-0.7,-0.7L0.7,0.7M-0.7,0.7L0.7,-0.7"
    made = []
    for test, form, size, width in (("==", star, 160, 1.0), ("!=", cross, 70, 2.0)):
        points = base.mark_point(shape=form, size=size, strokeWidth=width, filled=form == star, opacity=1, style="ink")
        made.append(points.transform_filter(f"{where} && datum.method {test} 'real'"))
    names = named(base, dx=11, dy=1)
    return [*made, *(each.transform_filter(where) for each in names)]


def named(base: Any, **place: Any) -> list[Any]:
    """The name of a reference, on a rim of paper that keeps it readable on lines."""
    texts = [base.mark_text(align="left", fontWeight=600, style=style, **place) for style in ("rim", "label")]
    return [text.encode(text="method:N") for text in texts]


def reference_rules(base: Any, across: Any, names: bool = True) -> list[Any]:
    """Real text and the floors as rules through a chart whose marks stand on rows, named at the top."""
    where = "datum.kind == 'reference'"
    rules = base.mark_rule(strokeDash=[5, 3], strokeWidth=1.2, style="ink").encode(x=across)
    made = [rules.transform_filter(where)]
    if names:
        texts = named(base, dx=4, dy=-5, baseline="bottom")
        made += [each.encode(x=across, y=alt.value(0)).transform_filter(where) for each in texts]
    return made


def reference_levels(base: Any) -> list[Any]:
    """Real text and the floors as levels of a chart whose metric goes up, named at the left."""
    where = "datum.kind == 'reference'"
    rules = base.mark_rule(strokeDash=[5, 3], strokeWidth=1.2, style="ink").encode(y="value:Q")
    texts = [each.encode(x=alt.value(0), y="value:Q") for each in named(base, dx=4, dy=-3, baseline="bottom")]
    return [each.transform_filter(where) for each in (rules, *texts)]
