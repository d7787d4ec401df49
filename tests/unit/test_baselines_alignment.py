"""IBM model 1 against expectations over every alignment, and the dictionary that comes of it."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from baselines.training import alignment
from baselines.training.alignment import dictionary, evenly_spaced, ibm1
from tasks.base import Ragged
from tests.fresh import fresh_seed

Pair = tuple[list[int], list[int]]
EMPTY = -1


def every_alignment(pairs: Sequence[Pair], rounds: int) -> dict[tuple[int, int], float]:
    """t(target | source) by the definition: expected counts over all alignments of each pair, one by one."""
    t: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)
    for _ in range(rounds):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        for source, target in pairs:
            places = [EMPTY, *source]
            ways = list(itertools.product(range(len(places)), repeat=len(target)))
            weights = [np.prod([t[places[a], word] for a, word in zip(way, target, strict=True)]) for way in ways]
            for way, weight in zip(ways, weights, strict=True):
                for a, word in zip(way, target, strict=True):
                    counts[places[a], word] += weight / sum(weights)
        totals: dict[int, float] = defaultdict(float)
        for (source_word, _), count in counts.items():
            totals[source_word] += count
        t = defaultdict(float, {key: count / totals[key[0]] for key, count in counts.items()})
    return dict(t)


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_expectations_are_those_over_every_alignment(rounds: int) -> None:
    rng = np.random.default_rng(fresh_seed())
    pairs = [
        (rng.integers(4, size=rng.integers(4)).tolist(), rng.integers(5, size=rng.integers(5)).tolist())
        for _ in range(12)
    ]
    pairs += [([0, 0, 1], [2, 2]), ([], [3]), ([3], [])]  # words twice, nothing on one side
    found = ibm1(Ragged.from_lists(s for s, _ in pairs), Ragged.from_lists(t for _, t in pairs), rounds)
    empty = max(word for source, _ in pairs for word in source) + 1
    sources = np.where(found.sources == empty, EMPTY, found.sources)
    table = dict(zip(zip(sources.tolist(), found.targets.tolist(), strict=True), found.probabilities, strict=True))
    assert table == pytest.approx(every_alignment(pairs, rounds), abs=1e-12)
    sums = np.bincount(found.sources, found.probabilities)
    assert sums[np.unique(found.sources)] == pytest.approx(1.0)


def test_the_best_of_each_source_is_the_first_of_the_likeliest() -> None:
    rng = np.random.default_rng(fresh_seed())
    lines = [[rng.integers(9, size=rng.integers(1, 7)).tolist() for _ in range(30)] for _ in range(2)]
    lexicon = ibm1(*map(Ragged.from_lists, lines))
    expected: dict[int, tuple[float, int]] = {}
    for source, target, p in zip(lexicon.sources, lexicon.targets, lexicon.probabilities, strict=True):
        if int(source) not in expected or p > expected[int(source)][0]:
            expected[int(source)] = (p, int(target))
    assert lexicon.best() == {source: target for source, (_, target) in expected.items()}


def test_the_textbook_corpus() -> None:
    pairs = [("das Haus", "the house"), ("das Buch", "the book"), ("ein Buch", "a book")]
    found = dictionary([source.split() for source, _ in pairs], [target.split() for _, target in pairs])
    assert found == {"das": "the", "Haus": "house", "Buch": "book", "ein": "a"}


def test_word_for_word_translations_are_found_whatever_their_order() -> None:
    rng = np.random.default_rng(fresh_seed())
    words = np.array([f"w{i}" for i in range(40)])
    sources = [rng.choice(words, size=5, replace=False).tolist() for _ in range(600)]
    targets = [[f"<{word}>" for word in rng.permutation(source)] for source in sources]
    assert dictionary(sources, targets) == {word: f"<{word}>" for word in words}


def test_nothing_to_learn_from() -> None:
    assert dictionary([], []) == {}
    assert dictionary([["a"], []], [[], []]) == {}
    assert dictionary([[]], [["b"]]) == {}  # the empty word is no word


def test_too_much_text_is_thinned_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(fresh_seed())
    source, target = rng.integers(0, 30, (2, 1000))
    links = int(((source + 1) * target).sum())
    assert evenly_spaced(source.tolist(), target.tolist(), links) == list(range(1000))
    kept = evenly_spaced(source.tolist(), target.tolist(), links // 4)
    assert len(kept) in (249, 250)
    assert set(np.diff(kept)) <= {4, 5}
    assert evenly_spaced([9], [9], 1) == [0]
    assert evenly_spaced([], [], 1) == []
    monkeypatch.setattr(alignment, "MOST_LINKS", 6)
    assert dictionary([["a"], ["b"], ["c"], ["d"]], [["A"], ["B"], ["C"], ["D"]]).keys() == {"a", "b", "c"}
