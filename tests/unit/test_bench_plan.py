"""Which decodings a method's cells are planned with, and how tables show a method that has one text a source."""

from __future__ import annotations

from bench.config import make_grid
from bench.plan import plan_task
from bench.report import layout
from tests.score_rows import NAN, row


def planned(*baselines: str, **given: object) -> dict[str, tuple[str, ...]]:
    grid = make_grid(
        {"name": "t", "tasks": ("translation",), "baselines": baselines, "seeds": (0,), "data": "embedded"},
        {"limit": 40, **given},
        "a test",
    )
    return {cell.spec.baseline: cell.spec.decodings for cell in plan_task(grid, "translation").cells}


def test_a_method_that_does_not_decode_has_the_first_decoding_alone() -> None:
    assert planned("mle", "retrieval") == {"mle": (), "retrieval": ("greedy",)}
    asked = planned("mle", "retrieval", decodings=("beam2", "greedy"))
    assert asked == {"mle": ("beam2", "greedy"), "retrieval": ("beam2",)}


def test_it_has_no_line_of_nothing_in_the_other_tables() -> None:
    about = {"task": "translation", "data": "translation.v1/mt_en_fr#77aa00ff", "origin": "files"}
    likelihood = {"metric": "nll-test", "decoding": "", "primary": False, "signature": "nll-test|v:1"}
    rows = [row(**about, decoding=decoding) for decoding in ("greedy", "beam5@1")]
    rows += [row(**about, **likelihood, value=2.0)]
    floor = {**about, "baseline": "retrieval", "config_hash": "0"}
    rows += [row(**floor, decoding="greedy"), row(**floor, **{**likelihood, "value": NAN, "reason": "looked up"})]
    tables = {table.decoding: [line.baseline for line in table.lines] for table in layout.build(rows)}
    assert tables == {"greedy": ["mle", "retrieval"], "beam5@1": ["mle"]}
    # a likelihood that exists stands in all
    rows[-1] = row(**floor, **likelihood, value=3.0)
    tables = {table.decoding: [line.baseline for line in table.lines] for table in layout.build(rows)}
    assert tables == {"greedy": ["mle", "retrieval"], "beam5@1": ["mle", "retrieval"]}
