"""What the methods' pages say was seen is what results/reference/free holds: each figure of their tables, and each pair
of figures in their sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.reference_values import METHODS, STAGES, Key, in_order, values

PAGES = [  # pages; that of lstm_gan tells of lstm_gan_reinforce as well
    "ngram",
    "nnlm",
    "gpt",
    "scheduled_sampling",
    "tuned_mle",
    "pg_bleu",
    "leakgan",
    "maskgan",
    "textgan",
    "lstm_gan",
    "relgan",
    "scratchgan",
]
METRICS = {
    "NLL-oracle": "nll-oracle",
    "NLL-test": "nll-test",
    "BLEU-2": "bleu-2",
    "Self-BLEU-2": "self-bleu-2",
    "reverse LM": "reverse-lm",
    "area of the frontier": "frontier-area-2",
}


@cache
def told_values() -> dict[Key, str]:
    """Of the run of free text, as the pages write them."""
    return {key: in_order(by_seed) for key, by_seed in values("free").items()}


def told(task: str, method: str, metric: str, stages: tuple[str, ...] = STAGES) -> str:
    """By stage, at T = 1 where text was drawn; `-` where there is none."""
    at = [
        told_values()[key]
        for stage in stages
        for decoding in ("sample@1", "")
        if (key := Key(task, method, stage, "test", decoding, metric)) in told_values()
    ]
    return " → ".join(at) or "-"


def seen(page: str) -> str:
    text = (METHODS / f"{page}.md").read_text(encoding="utf-8")
    return re.split(r"^## ", text.split("## What was seen\n")[1], flags=re.M)[0].split("Seen on the way")[0]


def rows(page: str) -> Iterator[tuple[str, list[str]]]:
    """The method of the table, and a row's cells."""
    method = page
    for line in seen(page).splitlines():
        method = line.strip("`:") if re.fullmatch(r"`\w+`:", line) else method
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("| ") else []
        if len(cells) == 5 and "," in cells[0]:
            yield method, cells


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_hold_the_runs_values(page: str) -> None:
    found = list(rows(page))
    assert len(found) >= 13
    for method, (label, real, here, mle, tuned) in found:
        task, name = label.split(", ")
        metric = METRICS[name]
        assert here == told(task, method, metric), f"{method}: {label}"
        assert mle == told(task, "mle", metric), f"{method}: {label}"
        assert tuned == told(task, "tuned_mle", metric), f"{method}: {label}"
        assert real in ("-", told(task, "real", metric)), f"{method}: {label}"
        assert here != "-"
    tasks = {(method, cells[0].split(", ")[0]) for method, cells in found}
    assert tasks == {(method, task) for method, _ in tasks for task in ("oracle", "captions", "poetry", "speech")}


@pytest.mark.parametrize("page", PAGES)
def test_pairs_of_figures_in_sentences_are_values_of_the_run(page: str) -> None:
    """Those of two seeds, to three places; a change is told with both its ends. Of the metrics of the tables, and of
    the page's own methods, the likelihood rows and what the paragraph names."""
    for paragraph in re.split(r"\n(?=- )|\n\n", seen(page)):
        prose = " ".join(line for line in paragraph.splitlines() if not line.startswith("|"))
        methods = {page, "mle", "tuned_mle", "real", *re.findall(r"\w+", prose)}
        known = {
            value for key, value in told_values().items() if key.method in methods and key.metric in METRICS.values()
        }
        for pair in re.findall(r"(?<![\d.])\d*\.\d{3}, \d*\.\d{3}(?!\d)", prose):
            assert pair in known, f"{page}: {pair}"


def test_the_table_of_all_methods_holds_the_runs_values() -> None:
    text = (METHODS / "README.md").read_text(encoding="utf-8").split("### What they did\n")[1].split("\n## ")[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:3] == "| `"]
    assert len(found) == 9
    for name, start, *areas in found:
        method = name.strip("`")
        assert start.replace(" to ", " → ") == " → ".join(told("oracle", method, "nll-oracle").split(" → ")[-2:])
        assert areas == [told(task, method, "frontier-area-2") for task in ("captions", "poetry", "speech")]
    tuned = [told(task, "tuned_mle", "frontier-area-2") for task in ("captions", "poetry", "speech")]
    assert all(area in " ".join(text.split()) for area in tuned)
