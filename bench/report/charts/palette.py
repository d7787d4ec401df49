"""How a method looks: one colour, one shape and one dash in all charts of a run, on white and on black.

Eight colours that stay apart for colour-blind readers, in a set for each background; a ninth method has the first's
colour with another shape and dash, so that no two of the first 64 methods look alike. Colour never stands alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bench.registry import baseline_registry
from bench.report.layout import REFERENCE_ROWS
from bench.report.wording import clean
from bench.schema import ScoreRow

LIGHT = ("#0066cc", "#cc5500", "#007744", "#771155", "#0099bb", "#553300", "#e8205f", "#3a22e0")
DARK = ("#55aaff", "#ff8833", "#9fe08a", "#c452b2", "#22dddd", "#d9b3ab", "#f0306f", "#a55cff")
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3))
# from one side through the middle to the other, readable without red and green
DIVERGING = ("#b35806", "#f1a340", "#fee0b6", "#f7f7f7", "#d8daeb", "#998ec3", "#542788")
INK, MUTED, LINE, PAPER = "#1b1f24", "#59626d", "#d8dbd5", "#ffffff"
FIRST = ("mle", "seqgan")  # in nearly every run: always the same two colours


def labels_of(rows: Iterable[ScoreRow]) -> tuple[str, ...]:
    """All methods of a run in the order in which they take colours: the suite's own as the registry has them, others
    by name. A method that one task has in several configurations also stands with each configuration's hash."""
    configs: dict[tuple[str, str, int, str], set[str]] = {}
    for row in rows:
        if row.baseline not in REFERENCE_ROWS:
            configs.setdefault((clean(row.baseline), row.task, row.task_version, row.data), set()).add(row.config_hash)
    known = {name: place for place, name in enumerate(dict.fromkeys((*FIRST, *baseline_registry().names)))}
    names = sorted({key[0] for key in configs}, key=lambda name: (known.get(name, len(known)), name))
    several = sorted({f"{key[0]} #{each}" for key, found in configs.items() if len(found) > 1 for each in found})
    return (*names, *several)


def shape_range(labels: Sequence[str]) -> list[str]:
    return [SHAPES[(place + 3 * (place // len(LIGHT))) % len(SHAPES)] for place in range(len(labels))]


def dash_range(labels: Sequence[str]) -> list[list[int]]:
    return [list(DASHES[place // len(LIGHT) % len(DASHES)]) for place in range(len(labels))]


def color_range(labels: Sequence[str], colors: Sequence[str] = LIGHT) -> list[str]:
    return [colors[place % len(colors)] for place in range(len(labels))]


def theme(
    ink: str = "#1b1f24", muted: str = "#59626d", line: str = "#d8dbd5", paper: str = "#ffffff"
) -> dict[str, Any]:
    """Vega-Lite's `config` for white paper; the page makes its own from the site's custom properties."""
    text = {"labelColor": ink, "titleColor": ink, "labelFontSize": 11, "titleFontSize": 12}
    return {
        "background": paper,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {**text, "gridColor": line, "domainColor": muted, "tickColor": muted, "titleFontWeight": "normal"},
        "legend": {**text, "titleFontWeight": "normal", "symbolStrokeWidth": 1.8, "labelLimit": 180},
        "title": {"color": ink, "fontSize": 14, "anchor": "start", "fontWeight": 600},
        "text": {"color": ink, "fontSize": 11},
        "style": {
            "ink": {"color": ink, "stroke": ink},
            "label": {"color": ink, "fontSize": 11},
            "rim": {"color": paper, "stroke": paper, "strokeWidth": 3, "fontSize": 11},
        },
        "range": {"category": list(LIGHT), "diverging": list(DIVERGING)},
    }


FONT = "Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
