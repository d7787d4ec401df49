"""What every built-in method promises, whatever it does inside: the checks of `bench/checks` put to all of them.

Each method is trained with the `TINY` settings of its own test file, on free corpora of a few letters: one whose lines
end where they like, and one of fixed length.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import baselines
from bench.checks.core import Check
from bench.checks.trial import CORPORA, FREE
from tasks.base import Corpus
from tests.conformance.methods import CHECKS, cases, cls, home, keeps, trial

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*enable_nested_tensor")]
EVERY = sorted(baselines.BUILTIN)


@pytest.mark.parametrize(("name", "check", "kind"), cases(FREE))
def test_a_promise_on_free_text(name: str, check: Check, kind: str) -> None:
    keeps(name, check, kind)


@pytest.mark.parametrize("check", [check for check in CHECKS if not check.corpora], ids=lambda check: check.name)
@pytest.mark.parametrize("name", EVERY)
def test_a_promise_of_the_method_itself(name: str, check: Check) -> None:
    keeps(name, check)


@pytest.mark.parametrize("name", EVERY)
def test_it_comes_with_a_source_and_stands_in_the_track_of_its_own_text(name: str) -> None:
    assert cls(name).name == name
    assert cls(name).source
    assert trial(name).make("varied").track() == "scratch"


@pytest.mark.parametrize("name", EVERY)
def test_it_has_a_page(name: str) -> None:
    root = Path(__file__).parents[2]
    page = root / "docs" / "methods" / f"{home(name)}.md"
    assert page.is_file()
    heads = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert any("| ours" in line for line in heads), "paper | official code | ours | why"


def test_a_corpus_of_letters_is_what_it_says() -> None:
    for kind in FREE:
        corpus = CORPORA[kind]()
        assert isinstance(corpus, Corpus)
        assert corpus.vocab.size == 6
