"""Charts of a run: one specification each, drawn by the page and written as a still picture from the same."""

from __future__ import annotations

from bench.report.charts.model import Chart, Gap
from bench.report.charts.page import write_task_pages
from bench.report.charts.stills import write_stills
from bench.report.charts.tasks import charts_and_gaps, task_charts

__all__ = ["Chart", "Gap", "charts_and_gaps", "task_charts", "write_stills", "write_task_pages"]
