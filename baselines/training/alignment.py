"""Which word of one language stands for which of another, learned from pairs of sentences: IBM model 1.

Brown et al. (1993), "The mathematics of statistical machine translation", section 4.2: each target word is drawn from
t(target | source word) of a source word of its sentence, or of the empty word that every sentence has besides, all of
them equally likely. Expectation maximisation from uniform t; the likelihood has one maximum only, so no random start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.base import Ragged

# Rounds of expectation maximisation: GIZA++'s default for model 1 (from memory, not checked against its code).
ROUNDS = 5
# (target word, source word) places looked at, for time and memory: about 136,000 pairs of ten words each, or 2,500 of
# 400 and 15. A million take about 50 MB and 0.4 s.
MOST_LINKS = 15_000_000


@dataclass(frozen=True)
class Lexicon:
    """t(target | source) of the words that stand in one pair at least, by source and then by target.

    Attributes:
        sources: numbers of words [entries]; the empty word is one more than the largest.
        targets: numbers of words [entries].
        probabilities: [entries].
    """

    sources: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]

    def best(self) -> dict[int, int]:
        """The likeliest target of each source; of equal ones the first in number."""
        if len(self.sources) == 0:
            return {}
        starts = np.flatnonzero(np.diff(self.sources, prepend=-1))
        best = np.repeat(np.maximum.reduceat(self.probabilities, starts), np.diff(starts, append=len(self.sources)))
        hits = np.flatnonzero(self.probabilities == best)
        _, first = np.unique(self.sources[hits], return_index=True)
        chosen = hits[first]
        return dict(zip(self.sources[chosen].tolist(), self.targets[chosen].tolist(), strict=True))


def dictionary(sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> dict[str, str]:
    """The likeliest target word of every source word, from sentences that are translations of each other.

    Of more pairs than `MOST_LINKS` allows, evenly spaced ones are taken.
    """
    rows = evenly_spaced([len(source) for source in sources], [len(target) for target in targets], MOST_LINKS)
    source_words, numbered_sources = _numbered([sources[row] for row in rows])
    target_words, numbered_targets = _numbered([targets[row] for row in rows])
    best = ibm1(numbered_sources, numbered_targets).best()
    best.pop(len(source_words), None)  # the empty word
    return {source_words[source]: target_words[target] for source, target in best.items()}


def evenly_spaced(source_lengths: Sequence[int], target_lengths: Sequence[int], most_links: int) -> list[int]:
    """All places of pairs, or as many, evenly spaced, as have about `most_links` links together."""
    links = int(np.dot(np.asarray(source_lengths, np.int64) + 1, np.asarray(target_lengths, np.int64)))
    n = len(source_lengths)
    kept = n if links <= most_links else max(1, n * most_links // links)
    return [place * n // kept for place in range(kept)]


def ibm1(sources: Ragged, targets: Ragged, rounds: int = ROUNDS) -> Lexicon:
    """t(target | source) after so many rounds of expectation maximisation.

    Args:
        sources, targets: numbers of words, row i of the one a translation of row i of the other.
    """
    n_targets = int(targets.flat.max(initial=-1)) + 1
    links, per_target = _links(sources, targets, n_targets)
    if len(links) == 0:
        return Lexicon(*(np.zeros(0, np.int64),) * 2, np.zeros(0))
    entries, entry_of = np.unique(links, return_inverse=True)
    del links
    entry_of = entry_of.astype(np.int32)
    entry_sources, entry_targets = np.divmod(entries, n_targets)
    starts = np.cumsum(per_target) - per_target
    t = np.ones(len(entries))  # any constant: the expectations are normalised
    for _ in range(rounds):
        expected = t[entry_of]
        expected /= np.repeat(np.add.reduceat(expected, starts), per_target)
        counts = np.bincount(entry_of, expected, minlength=len(entries))
        t = counts / np.bincount(entry_sources, counts)[entry_sources]
    return Lexicon(entry_sources, entry_targets, t)


def _links(sources: Ragged, targets: Ragged, n_targets: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Every target word with every source word of its sentence and the empty word, one target word after the other.

    Returns:
        source * n_targets + target [links], and the links of each target word [target words].
    """
    empty = int(sources.flat.max(initial=-1)) + 1
    # Each source with the empty word behind it.
    starts = sources.offsets[:-1] + np.arange(len(sources))
    words = np.full(len(sources.flat) + len(sources), empty, np.int64)
    words[np.arange(len(sources.flat)) + np.repeat(np.arange(len(sources)), sources.lengths)] = sources.flat
    per_target = np.repeat(sources.lengths + 1, targets.lengths)
    places = np.repeat(np.repeat(starts, targets.lengths) - (np.cumsum(per_target) - per_target), per_target)
    places += np.arange(len(places))
    links = words[places]
    del places
    links *= n_targets
    links += np.repeat(targets.flat, per_target)
    return links, per_target


def _numbered(lines: Sequence[Sequence[str]]) -> tuple[list[str], Ragged]:
    """The words in order of first sight, and the lines as numbers."""
    places: dict[str, int] = {}
    numbers = Ragged.from_lists([places.setdefault(word, len(places)) for word in line] for line in lines)
    return list(places), numbers
