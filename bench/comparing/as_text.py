"""A comparison for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from bench.comparing import saying
from bench.comparing.findings import Finding
from bench.comparing.table import Compared
from bench.report.wording import clean

LONG = 40  # lines that a screen still holds
NAMED = 4  # values that are named before the rest are counted


def text(compared: Compared, everything: bool = False) -> str:
    """What was compared, a line a finding, notes, and how it ended; of many, those that are the same are only counted.

    What fails stands once more at the end where the table is long: that is what a log shows.
    """
    chosen = list(compared.findings)
    if len(chosen) > LONG and not everything:
        chosen = [each for each in chosen if each.verdict != "same"]
    table = _lines(chosen)
    hidden = len(compared.findings) - len(chosen)
    same = [f"{hidden} the same: not shown (--all)"] * bool(hidden)
    notes = [f"note: {note}" for note in compared.notes]
    again = ["", *_lines(compared.failing)] if compared.failing and len(table) > LONG else []
    lines = [saying.about(compared), *table, *same, *notes, *again, saying.verdict_line(compared)]
    return "\n".join(lines) + "\n"


def _lines(findings: Iterable[Finding]) -> list[str]:
    """A line a finding; values that are not comparable for one and the same reason share one."""
    cells: dict[tuple[str, ...], list[str]] = {}
    for place, each in enumerate(findings):
        subject = clean(each.subject)
        if each.verdict == "not comparable":
            key = subject, "", f"{each.verdict} ({saying.refusal(each)})"
            cells.setdefault(key, []).append(clean(each.name))
        else:
            cells[subject, str(place), *_words(each)] = [clean(each.name)]
    rows = [(key[0], _names(names), *key[2:]) for key, names in cells.items()]
    wide = [max((len(row[i]) for row in rows if i < len(row) - 1), default=0) for i in range(4)]
    return ["  ".join(_padded(row, wide)).rstrip() for row in rows]


def _padded(row: tuple[str, ...], wide: list[int]) -> list[str]:
    return [f"{cell:{wide[i]}}" if i < min(4, len(row) - 1) else cell for i, cell in enumerate(row)]


def _words(each: Finding) -> tuple[str, ...]:
    details = saying.details(each)
    last = f"{each.verdict} ({details})" if details else each.verdict
    if each.evidence is None:
        return (last,)
    return saying.signed(each.difference, each), saying.interval(each), last


def _names(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
