"""`leaderboard.tex`: the tables for a paper, with the rules of the package booktabs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bench.report import wording
from bench.report.layout import Column, Line, Table, shown
from bench.report.markdown import Footnotes
from bench.report.ranking import Judgement, judge, verdicts
from bench.report.site.facts import stage_name

_HEAD = r"""% Made by Gantlet (run_bench.py report). In the preamble: \usepackage{booktabs}; for Chinese also XeLaTeX or
% LuaLaTeX with a font that has it. Means over seeds with half of the 95 % interval over seeds (Student's t). Bold: best
% and distinguishable from the second at 5 %, Holm-adjusted over the table. Italics: of the methods nearest to real
% text, where neither end of a metric is good. The signatures of the columns stand as comments above each table."""

_MARKS: Mapping[str, str] = MappingProxyType(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "`": r"\textasciigrave{}",
        "±": r"$\pm$",
        "→": r"$\rightarrow$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "…": r"\dots{}",
    }
    | {mark: f"\\{mark}" for mark in "&%$#_{}"}
    | {mark: f"{{{mark}}}" for mark in "[]*"}  # else an option of the \\ before it, or its star
)


def render(tables: Sequence[Table], heading: str) -> str:
    """The whole file, to be brought in by `\\input`; one `table` for each that people read."""
    parts = [f"% {wording.clean(heading)}\n{_HEAD}"]
    parts += [_table(table, number) for number, table in enumerate(shown(tables), start=1)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints as it is."""
    whole = "".join(_MARKS.get(mark, mark) for mark in wording.clean(text))
    return re.sub(r"([-',])(?=\1)", r"\1{}", whole)  # else two of them become one dash or quotation mark


def _table(table: Table, number: int) -> str:
    judgement, notes = judge(table), Footnotes()
    where = ", ".join(word for word in (table.data, table.provenance, table.split, table.decoding) if word)
    signatures = [f"% {wording.clean(column.signature)}" for column in table.columns if column.signature]
    body = []
    for family, members in wording.families(table.columns):
        body += [rf"\par\medskip\textit{{{escape(family)}}}\par\smallskip"] if family else []
        body.append(_tabular(table, members, judgement, notes))
    texts = [wording.verdict_text(each, wording.column_decimals(table, each.column)) for each in verdicts(table)]
    texts += wording.judgement_notes(table, judgement) + wording.signature_notes(table)
    texts += [f"({place}) {text}" for place, text in enumerate(notes.texts, start=1)]
    below = [rf"\par\smallskip\footnotesize {escape(' '.join(_sentence(text) for text in texts))}"] if texts else []
    return "\n".join(
        [
            *signatures,
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{escape(table.task)}: {escape(where)}{f', {table.items} items' if table.items else ''}.}}",
            rf"\label{{tab:{re.sub(r'[^0-9A-Za-z-]', '-', table.task)}-{number}}}",
            *body,
            *below,
            r"\end{table}",
        ]
    )


def _tabular(table: Table, members: Sequence[Column], judgement: Judgement, notes: Footnotes) -> str:
    columns = [(column, wording.column_decimals(table, column)) for column in members]
    heads = [escape(wording.display_name(column.label)) for column in members]
    about = [escape(_about(table, column)) for column in members]
    lines = [rf"\begin{{tabular}}{{@{{}}l{'r' * len(members)}r@{{}}}}", r"\toprule"]
    lines.append(_row(["method", *heads, "seeds"]))
    lines += [_row(["", *about, ""])] if any(about) else []
    lines.append(r"\midrule")
    last: bool | None = None
    for place, line in enumerate(judgement.lines):
        if last is not None and line.is_reference != last:
            lines.append(r"\midrule")
        last = line.is_reference
        name = wording.reference_name(line, table) if line.is_reference else line.label
        cells = [_value(line, column, digits, judgement, place, notes) for column, digits in columns]
        lines.append(_row([escape(name), *cells, _seeds(line)]))
        for stage in line.earlier:
            cells = [_value(stage, column, digits, None, place, notes) for column, digits in columns]
            lines.append(_row([rf"\quad {escape(stage_name(stage.stage))}", *cells, str(len(stage.seeds))]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _about(table: Table, column: Column) -> str:
    return ", ".join(word for word in (wording.unit(column), wording.direction(table, column)) if word)


def _value(line: Line, column: Column, digits: int, judgement: Judgement | None, place: int, notes: Footnotes) -> str:
    value = line.values.get(column)
    if value is None:
        return "--"
    text = "--" if math.isnan(value.mean) else escape(wording.number(value.mean, digits)).replace("-", "$-$")
    text += rf"\,$\pm$\,{wording.number(value.half, digits)}" if math.isfinite(value.half) else ""
    if judgement is not None and judgement.best.get(column) == place:
        text = rf"\textbf{{{text}}}"
    elif judgement is not None and place in judgement.nearest.get(column, ()):
        text = rf"\textit{{{text}}}"
    if judgement is not None and (column, place) in judgement.lost_diversity:
        text += " (lost diversity)"
    if value.reasons:
        text += " " + notes.mark(wording.reasons_text(value.reasons, len(value.reasons) + len(value.by_seed)))
    return text


def _seeds(line: Line) -> str:
    if line.is_reference:
        return "--"
    why = {failure.status for failure in line.failures}
    failed = f" ({', '.join(f'{escape(each)}' for each in sorted(why))})" if why else ""
    return f"{len(line.seeds)} of {len(line.seeds) + line.failed}{failed}" if line.failed else str(len(line.seeds))


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
