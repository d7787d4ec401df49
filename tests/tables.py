"""Tables of made-up rows, for the tests of what a run reports."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import strategies as st

from bench.report import layout, markdown
from bench.schema import ScoreRow
from tests.score_rows import row

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "leaderboard.md"
HEADING = "made-up\nFor the tests; `python run_bench.py run`."

hostile = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    [
        "a|b",
        "**x**",
        "_x_",
        "<script>",
        "[a](b)",
        "`code",
        "```\n# x",
        "line\r\nline",
        "\x1b[31mred",
        "~~x~~",
        "||",
        "\\|",
        "&amp;",
        "$x$",
        "中文" * 30,
    ]
)


def same(left: list[ScoreRow], right: list[ScoreRow]) -> bool:
    def plain(each: ScoreRow) -> list[object]:
        return [
            "nan" if isinstance(value, float) and math.isnan(value) else value for value in each.model_dump().values()
        ]

    return list(map(plain, left)) == list(map(plain, right))


def oracle(values: dict[str, tuple[float, ...]]) -> list[ScoreRow]:
    about = {"task": "oracle", "data": "oracle.v1/20#0a", "origin": "synthetic", "metric": "nll-oracle"}
    signature = "nll-oracle|unit:nats/token|items:500|oracle:00ff|v:1"
    return [
        row(**about, baseline=name, seed=seed, value=value, higher_is_better=False, signature=signature)
        for name, by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]


def the_table(rows: list[ScoreRow]) -> layout.Table:
    (table,) = layout.build(rows)
    return table


def by_label(table: layout.Table) -> dict[str, layout.Line]:
    return {line.label: line for line in table.lines}


def render(rows: list[ScoreRow]) -> str:
    return markdown.render(layout.build(rows), HEADING)
