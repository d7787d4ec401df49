"""Text that nothing can break, and numbers as people read them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.report import markdown, terminal
from bench.report.terminal import display_width
from bench.report.wording import decimals, number
from tests.score_rows import NAN, cell, failure, poetry, row, translation
from tests.tables import hostile, render

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def parsed(text: str) -> list:
    return PARSER.parse(text)


@settings(max_examples=50, deadline=None)
@given(hostile, hostile, hostile)
def test_hostile_text_is_only_text_in_markdown(reason, name, device):
    """Read by a markdown parser, the notes cell is the reason itself, and nothing else came of it."""
    rows = [failure("x" + name, 0, "failed", reason), row(device=device)]
    tokens = parsed(render(rows))
    cells = [tokens[i + 1] for i, token in enumerate(tokens) if token.type == "td_open"]
    widths = {len(layout_row) for layout_row in _rows_of(tokens)}
    assert len(widths) == 1
    kinds = {child.type for each in cells for child in each.children or []}
    assert kinds <= {"text", "text_special", "entity"}
    failed = next(line for line in _rows_of(tokens)[1:] if _plain(line[0]).startswith("x"))
    cleaned = markdown.wording.clean(reason)
    assert _plain(failed[-1]) == ("1 failed (seed 0)" + (f": {cleaned}" if cleaned else "")).strip()
    assert sum(token.type == "heading_open" for token in tokens) == 2


def _rows_of(tokens: list) -> list[list]:
    rows: list[list] = []
    for i, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        if token.type in ("td_open", "th_open"):
            rows[-1].append(tokens[i + 1])
    return rows


def _plain(inline) -> str:
    return "".join(child.content for child in inline.children)


@settings(max_examples=50, deadline=None)
@given(hostile)
def test_no_signature_closes_its_code_block(text):
    tokens = parsed(render([row(signature="bleu|x:" + text)]))
    fences = [token for token in tokens if token.type == "fence"]
    assert [fence.content for fence in fences] == [markdown.wording.clean("bleu|x:" + text) + "\n"]


@settings(max_examples=50, deadline=None)
@given(st.integers(20, 160), hostile, hostile)
def test_no_terminal_line_is_too_wide_or_moves_the_cursor(width, name, reason):
    rows = poetry() + translation() + [failure(name or "x", 0, "failed", reason), *cell("z" + name, 0, 0.4, 0.4, 3.0)]
    text = terminal(rows, width)
    assert max(display_width(line) for line in text.split("\n")) <= width
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (0.4821, 3, ".482"),
        (-0.0001, 3, ".000"),
        (-0.5, 2, "-.50"),
        (12.345, 1, "12.3"),
        (1.0, 3, "1.000"),
        (3e9, 2, "3.000e+09"),
        (NAN, 3, "-"),
        (math.inf, 3, "inf"),
        (-math.inf, 3, "-inf"),
    ],
)
def test_numbers(value, places, text):
    assert number(value, places) == text


def test_a_columns_digits_follow_its_largest_value():
    assert [decimals(v) for v in ([0.5, 1.0], [9.9], [0.5, 34.0], [1234.5], [0.004], [0.0], [NAN], [])] == [
        3,
        3,
        2,
        1,
        5,
        3,
        3,
        3,
    ]
