"""All charts of a task, in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.report.charts import chances, cost, curves, frontier, palette, parts, spread, stages, temperatures
from bench.report.charts.model import Chart, Gap, Section, methods, sections
from bench.schema import ScoreRow
from bench.store import RunStore


def task_charts(store: RunStore, rows: Sequence[ScoreRow], task: str) -> list[Chart]:
    """Every chart that the task's results allow.

    Args:
        store: the run's directory, for its logs.
        rows: all rows of the run, so that a method has one colour in all tasks.
        task: the task's name.

    Raises:
        UserError: two cells give different values for the same method, configuration and seed.
    """
    return charts_and_gaps(store, rows, task)[0]


def charts_and_gaps(
    store: RunStore, rows: Sequence[ScoreRow], task: str, specs: parts.Specs | None = None
) -> tuple[list[Chart], list[Gap]]:
    """The charts, and what could not be drawn with the reason. `specs` may be shared by the tasks of a run."""
    return charts_of_sections(store, sections(rows, task), specs or parts.Specs(palette.labels_of(rows)))


def charts_of_sections(store: RunStore, found: Sequence[Section], specs: parts.Specs) -> tuple[list[Chart], list[Gap]]:
    charts: list[Chart] = []
    gaps: list[Gap] = []
    for section in found:
        for made, left_out in _of_section(store, section, specs):
            charts += made
            gaps += left_out
    return charts, gaps


def _of_section(store: RunStore, section: Section, specs: parts.Specs) -> Iterable[tuple[list[Chart], list[Gap]]]:
    if not methods(section.main):
        yield [], [Gap("all", section.title("Charts"), "no method has run yet")]
        return
    oracle = temperatures.charts(section, specs)
    yield oracle if any(oracle) else frontier.charts(section, specs)
    yield spread.decoding_charts(section, specs)
    yield stages.charts(section, specs)
    yield curves.charts(store, section, specs)
    yield cost.charts(section, specs)
    yield chances.charts(section, specs)
    yield spread.form_charts(section, specs)
