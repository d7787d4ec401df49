"""The tables of the methods' pages about translation, summarization and dialogue hold what results/reference holds.

Such a table has a run's name first in its head and then metrics; each row is a method's. Values are of seeds in order,
before the last stage and after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.reference_values import METHODS, STAGES, Key, in_order, values

PAGES = sorted(METHODS.glob("*.md"))


class Run(NamedTuple):
    task: str
    folder: str
    """Of results/reference."""
    control: bool = False
    """Of one method's page only, not of the table of all methods."""


class Told(NamedTuple):
    run: str
    method: str
    column: str
    text: str


RUNS = {  # as tables name them
    "dialogue": Run("dialogue", "dialogue"),
    "arXiv": Run("summarization", "summarization"),
    "SciTLDR": Run("summarization", "scitldr"),
    "CSL": Run("summarization", "csl"),
    "EN->FR": Run("translation", "translation"),
    "DE->EN": Run("translation", "de-en"),
    "SciTLDR, no reward": Run("summarization", "scitldr-teacher", control=True),
    "arXiv, longer for D": Run("summarization", "summarization-long-d", control=True),
    "EN->FR, greedy negatives": Run("translation", "translation-greedy", control=True),
    "EN->FR, first CNN": Run("translation", "translation-cnn", control=True),
    "dialogue, no reward": Run("dialogue", "dialogue-teacher", control=True),
}
COLUMNS = {  # as tables name them -> split, decoding, metric, places
    "adver-suc, sampled": ("test", "sample@1", "adver-suc", 3),
    "adver-suc, greedy": ("test", "greedy", "adver-suc", 3),
    "machine-random, sampled": ("test", "sample@1", "adver-machine-random", 3),
    "machine-random, greedy": ("test", "greedy", "adver-machine-random", 3),
    "ERE, sampled": ("test", "sample@1", "adver-ere", 3),
    "ERE, greedy": ("test", "greedy", "adver-ere", 3),
    "distinct-2, sampled": ("test", "sample@1", "distinct-2", 3),
    "BLEU-2, greedy": ("test", "greedy", "bleu-2", 3),
    "ROUGE-1, greedy": ("test", "greedy", "rouge-1", 3),
    "ROUGE-L, greedy": ("test", "greedy", "rouge-l", 3),
    "ROUGE-1, beam": ("test", "beam4@1/no-unk", "rouge-1", 3),
    "ROUGE-2, beam": ("test", "beam4@1/no-unk", "rouge-2", 3),
    "sacreBLEU, greedy": ("test", "greedy", "sacrebleu", 1),
    "sacreBLEU, beam": ("test", "beam5@1", "sacrebleu", 1),
    "sacreBLEU, beam, UNK replaced": ("test", "beam5@1/replace-unk", "sacrebleu", 1),
    "chrF, beam": ("test", "beam5@1", "chrf", 1),
    "NTREX: sacreBLEU, beam": ("test_ntrex", "beam5@1", "sacrebleu", 1),
    "NTREX: chrF, beam": ("test_ntrex", "beam5@1", "chrf", 1),
    "NLL-test": ("test", "", "nll-test", 3),
}


def measured(run: str, method: str, column: str) -> str:
    """`a, b → c, d`: two stages of two seeds; `-` where there is no value."""
    split, decoding, metric, places = COLUMNS[column]
    task, folder, _ = RUNS[run]
    keys = (Key(task, method, stage, split, decoding, metric) for stage in STAGES)
    stages = [values(folder)[key] for key in keys if key in values(folder)]
    return " → ".join(in_order(by_seed, places) for by_seed in stages) or "-"


def tables(page: Path) -> Iterator[Told]:
    head: list[str] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.lstrip().startswith("|") else []
        if not cells:
            head = []
        elif cells[0] in RUNS and all(name in COLUMNS for name in cells[1:]):
            head = cells
        elif head and not cells[0].startswith("-"):
            for column, text in zip(head[1:], cells[1:], strict=True):
                yield Told(head[0], cells[0].strip("`"), column, text)


TOLD = [(page, told) for page in PAGES for told in tables(page)]


@pytest.mark.parametrize(("page", "told"), TOLD, ids=[f"{page.stem}-{'-'.join(told[:3])}" for page, told in TOLD])
def test_a_table_holds_the_runs_value(page: Path, told: Told) -> None:
    assert told.text == measured(told.run, told.method, told.column)


@pytest.mark.parametrize("run", RUNS)
def test_every_method_of_a_run_has_a_table(run: str) -> None:
    """On some method's page, and in the table of all of them if the run is no control."""
    methods = {key.method for key in values(RUNS[run].folder)}
    on_pages = {told.method for page, told in TOLD if told.run == run and page.stem != "README"}
    together = {told.method for page, told in TOLD if told.run == run and page.stem == "README"}
    assert on_pages == methods
    assert together == (set() if RUNS[run].control else methods)


def prose(page: Path) -> list[str]:
    """Sentences of what was seen."""
    _, _, seen = page.read_text(encoding="utf-8").partition("## What was seen\n")
    lines = [line for line in re.split(r"^## ", seen, flags=re.M)[0].splitlines() if not line.lstrip().startswith("|")]
    return re.split(r"\n(?=- )|\n\n", "\n".join(lines))


@pytest.mark.parametrize("page", sorted({page for page, _ in TOLD}), ids=lambda page: page.stem)
def test_pairs_of_figures_in_sentences_are_values_of_the_runs(page: Path) -> None:
    """Of the metrics of the tables, of the methods of the page's tables."""
    here = {(told.run, told.method) for of, told in TOLD if of == page}
    known = {each for run, method in here for column in COLUMNS for each in measured(run, method, column).split(" → ")}
    for paragraph in prose(page):
        for pair in re.findall(r"(?<![\d.])\d*\.\d{1,3}, \d*\.\d{1,3}(?!\d)", paragraph):
            assert pair in known, f"{page.name}: {pair}"
