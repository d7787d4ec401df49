"""`leaderboard.md`: a section for each task and data set, tables with what they rest on below them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from bench.report import stages, wording
from bench.report.layout import Column, Line, Table, curve_of, on_an_axis, shown
from bench.report.ranking import Judgement, judge, real_value, verdicts

_LEGEND = """\
Values are means over seeds ± half of the 95 % interval over seeds (Student's t). **Bold** is best and distinguishable
from the second at 5 %, Holm-adjusted over the table's comparisons. ↑ higher is better, ↓ lower is better, → real nearer
to real text is better; *italics* in such a column are nearest to real text. Rows in italics are references, made by no
method, and take no part in the ranking. `-` is a value that does not exist; a number in brackets says why. Every column
is one metric with one signature, given below its table; columns with other signatures are other measurements.\
"""

_COSTS = {"seeds": "--:", "train s": "--:", "device": ":--", "memory MB": "--:", "parameters": "--:", "notes": ":--"}


class Footnotes:
    """Numbered in the order of their first use; equal ones share a number."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        if text not in self.texts:
            self.texts.append(text)
        return f"({self.texts.index(text) + 1})"


def render(tables: Sequence[Table], heading: str) -> str:
    """The whole file. `heading`: its first line is the title, the rest (markdown) stands below it."""
    title, _, rest = heading.strip().partition("\n")
    parts = [f"# {escape(title)}", *([rest.strip()] if rest.strip() else []), _LEGEND]
    chosen = shown(tables)
    last: Table | None = None
    for table in chosen:
        if last is None or table.section != last.section:
            where = f"{escape(table.data or 'data unknown')} ({escape(table.provenance)})"
            parts.append(f"## {escape(table.task)}: {where}")
        last = table
        parts += _table(table)
        parts += _stages(table)
        parts += _curve(table, curve_of(table, tables))
    if not chosen:
        parts.append("There are no results yet.")
    return "\n\n".join(parts) + "\n"


def _stages(table: Table) -> list[str]:
    """What each method's last stage did, where there is one."""
    found = stages.stages_of(table)
    if found is None:
        return []
    rule = table_row([":--", *("--:" for _ in found.heads[1:])])
    rows = [table_row([text if text == "-" else escape(text) for text in row]) for row in (found.heads, *found.rows)]
    notes = "\n".join(f"- {escape(_sentence(text))}" for text in found.notes)
    return [f"**{stages.TITLE}**", "\n".join([rows[0], rule, *rows[1:]]), notes]


def _curve(table: Table, curve: Sequence[Table]) -> list[str]:
    """The two axes of quality and diversity by temperature, a line for each method and temperature."""
    if len(curve) < 2:
        return []
    names = [column.metric for column in curve[0].columns if on_an_axis(column.metric, table)]
    labels = [line.label for line in judge(table).lines if not line.is_reference]
    head = ["method", "T", *(escape(wording.display_name(name)) for name in names)]
    rows = [table_row(head), table_row([":--", "--:", *("--:" for _ in names)])]
    real = [wording.number(value, 3) for value in (_real(table, name) for name in names)]
    if any(text != "-" for text in real):
        rows.append(table_row(["*real (held-out text)*", "-", *real]))
    for label in labels:
        for point in curve:
            line = next((line for line in point.lines if line.label == label), None)
            if line is not None and line.values:
                values = [_of_metric(line, name) for name in names]
                temperature = point.decoding.removeprefix("sample@")
                rows.append(table_row([escape(label), temperature, *values]))
    return ["**quality and diversity by temperature**", "\n".join(rows)]


def _real(table: Table, metric: str) -> float:
    column = next((column for column in table.columns if column.metric == metric), None)
    return real_value(table, column) if column else math.nan


def _of_metric(line: Line, metric: str) -> str:
    column = next((column for column in line.values if column.metric == metric), None)
    return _value(line, column, 3, Footnotes()) if column else "-"


def _table(table: Table) -> list[str]:
    judgement, notes = judge(table), Footnotes()
    parts = [f"**{escape(_where(table))}**"]
    for number, (family, members) in enumerate(wording.families(table.columns)):
        parts += [f"*{family}*"] if family else []
        parts.append(_block(table, members, judgement, notes, with_costs=number == 0))
    texts = [
        wording.verdict_text(verdict, wording.column_decimals(table, verdict.column)) for verdict in verdicts(table)
    ]
    texts += wording.judgement_notes(table, judgement) + wording.signature_notes(table)
    lines = [f"- {escape(_sentence(text))}" for text in texts]
    lines += [f"- ({i}) {escape(text)}" for i, text in enumerate(notes.texts, start=1)]
    if lines:
        parts.append("\n".join(lines))
    if table.columns:
        parts.append(fence([column.signature for column in table.columns]))
    return parts


def _block(table: Table, members: Sequence[Column], judgement: Judgement, notes: Footnotes, *, with_costs: bool) -> str:
    """All lines, and some of the columns; what a method cost stands beside the first of them."""
    columns = [(column, wording.column_decimals(table, column)) for column in members]
    titles = [_title(table, column) for column in members]
    fixed = _COSTS if with_costs else {}
    body = []
    for place, line in enumerate(judgement.lines):
        body.append(_row(table, line, columns, judgement, place, notes, with_costs))
        body += [_row_before(stage, columns, notes, with_costs) for stage in line.earlier]
    head = table_row(["method", *titles, *fixed])
    rule = table_row([":--", *["--:" for _ in titles], *fixed.values()])
    return "\n".join([head, rule, *body])


def _where(table: Table) -> str:
    words = [table.split, table.decoding, f"{table.items} items" if table.items else ""]
    return ", ".join(word for word in words if word)


def _title(table: Table, column: Column) -> str:
    about = ", ".join(word for word in (wording.unit(column), wording.direction(table, column)) if word)
    return escape(wording.display_name(column.label)) + (f" ({escape(about)})" if about else "")


def _row(
    table: Table,
    line: Line,
    columns: Sequence[tuple[Column, int]],
    judgement: Judgement,
    place: int,
    notes: Footnotes,
    with_costs: bool,
) -> str:
    name = escape(line.label)
    if line.is_reference:
        name = f"*{escape(wording.reference_name(line, table))}*"
    cells = []
    for column, places in columns:
        text = _value(line, column, places, notes)
        if judgement.best.get(column) == place:
            text = f"**{text}**"
        elif place in judgement.nearest.get(column, ()):
            text = f"*{text}*"
        if (column, place) in judgement.lost_diversity:
            text += " (lost diversity)"
        cells.append(text)
    failures = "; ".join(escape(wording.failure_text(failure)) for failure in line.failures)
    costs = [_seeds(line), *_costs(line), failures] if with_costs else []
    return table_row([name, *cells, *costs])


def _row_before(line: Line, columns: Sequence[tuple[Column, int]], notes: Footnotes, with_costs: bool) -> str:
    cells = [_value(line, column, places, notes) for column, places in columns]
    costs = [str(len(line.seeds)), *_costs(line), ""] if with_costs else []
    return table_row([f"{escape(line.label)}, {_after(line)}", *cells, *costs])


def _after(line: Line) -> str:
    names = {"pretrain": "after pre-training", "untrained": "untrained"}
    return names.get(line.stage, f"after {escape(wording.stage(line))}")


def _value(line: Line, column: Column, places: int, notes: Footnotes) -> str:
    value = line.values.get(column)
    if value is None:
        return "-"
    mark = ""
    if value.reasons:
        reason = wording.reasons_text(value.reasons, len(value.reasons) + len(value.by_seed))
        mark = " " + notes.mark(reason)
    half = f" ±{wording.number(value.half, places)}" if math.isfinite(value.half) else ""
    return wording.number(value.mean, places) + half + mark


def _seeds(line: Line) -> str:
    if line.is_reference:
        return "-"
    done = len(line.seeds)
    return f"{done} of {done + line.failed}" if line.failed else str(done)


def _costs(line: Line) -> list[str]:
    costs = line.costs
    memory = "-" if math.isnan(costs.peak_memory_mb) else f"{costs.peak_memory_mb:,.0f}"
    parameters = f"{costs.parameters:,}" if costs.parameters else "-"
    return [wording.seconds(costs.train_seconds), escape(costs.device) or "-", memory, parameters]


def table_row(cells: Sequence[str]) -> str:
    """A line of a table, of cells that are markdown already."""
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def fence(lines: Sequence[str]) -> str:
    """A code block that no line in it can close."""
    whole = [wording.clean(line) for line in lines]
    longest = max((len(run) for line in whole for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence, *whole, fence])


def escape(text: str) -> str:
    """Text that markdown shows as it is, also inside a table's cell."""
    text = re.sub(r"[\\`*\[\]<>|~$&]", lambda mark: "\\" + mark.group(), wording.clean(text))
    # an underscore inside a word is no markup, and names are easier to read without a backslash
    text = re.sub(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])", r"\\_", text)
    return re.sub(r"^([#+=-])", r"\\\1", text)
