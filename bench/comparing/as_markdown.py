"""A comparison for a pull request's comment: how it ended, what changed, and the whole table folded away."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.comparing import saying
from bench.comparing.findings import LOUDEST_FIRST, Finding
from bench.comparing.table import Compared
from bench.report.markdown import escape, table_row

LONGEST = 60_000  # characters; a comment on GitHub holds 65,536
_HEAD = ("verdict", "task", "method", "value", "base", "new", "difference", "interval", "p", "")
_QUIET = ("same", "can't tell", "new")


def markdown(compared: Compared) -> str:
    """Ends with a line feed; every name and reason is shown as it is."""
    changed = [each for each in compared.findings if each.verdict not in _QUIET or compared.fails(each)]
    changed.sort(key=lambda each: (not compared.fails(each), LOUDEST_FIRST.index(each.verdict)))
    rest = [each for each in compared.findings if each not in changed]
    parts = [f"**{shown(saying.verdict_line(compared))}**", shown(saying.about(compared))]
    left = LONGEST - sum(map(len, parts))
    if changed:
        table = _table(changed, compared, left)
        parts.append(table)
        left -= len(table)
    else:
        parts.append("Nothing changed that can be told.")
    parts += [f"- {shown(note)}" for note in compared.notes]
    if rest:
        summary = f"<details><summary>The other {len(rest)}: same, can't tell, or new</summary>"
        parts.append(f"{summary}\n\n{_table(rest, compared, left)}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def shown(text: str) -> str:
    """Escaped, and calling nobody: `@name` would notify who has that name."""
    return re.sub(r"(?<![0-9A-Za-z])@", "&#64;", escape(text))


def _table(findings: Sequence[Finding], compared: Compared, room: int) -> str:
    lines = [table_row(_HEAD), table_row([":--"] * 4 + ["--:"] * 5 + [":--"])]
    for place, each in enumerate(findings):
        line = _row(each, compared)
        room -= len(line) + 1
        if room < 0:
            more = f"{len(findings) - place} more are in the text and the JSON of this comparison."
            return "\n".join([*lines, "", more])
        lines.append(line)
    return "\n".join(lines)


def _row(each: Finding, compared: Compared) -> str:
    verdict = f"**{each.verdict}**" if compared.fails(each) else each.verdict
    method = each.method if each.method == each.against else f"{each.method} against {each.against}"
    measured = each.evidence is not None
    numbers = [
        saying.plain(each.base, each),
        saying.plain(each.new, each),
        saying.signed(each.difference, each),
        saying.interval(each) if measured else "-",
        saying.p_value(each.p),
    ]
    names = [shown(each.task), shown(method), shown(each.name)]
    return table_row([verdict, *names, *numbers, shown(saying.details(each))])
