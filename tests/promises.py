"""What each metric promises, and texts to hold it to that: every metric that is registered has a row here."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import strategies as st

from bench.checks.texts import HOSTILE
from metrics import LogProbs, Material

SIZE, LENGTH = 150, 8  # texts, and words a text
FEW = 60  # texts that are enough for mauve here


@dataclass(frozen=True)
class Promise:
    """A metric's properties.

    Attributes:
        extremes: (texts, value, why) for texts that are as alike, or as unlike, as can be.
        within: how near it comes to its extremes.
        items: what one row of statistics stands for: a field of `Material`.
        least: items, below which it gives only a reason.
        linear: its time grows as the length of a line; what grows faster is tried with shorter ones.
        diversity: a duplicate never raises it.
        controls: it can't be brought to the good end of its limits by texts that are equal or different.
    """

    extremes: tuple[tuple[Callable[[int], Material], float, str], ...]
    within: float = 1e-9
    items: str = "samples"
    least: int = 2
    linear: bool = True
    diversity: bool = False
    controls: bool = False

    @property
    def size(self) -> int:
        """Texts in a material of an extreme."""
        return max(SIZE, self.least)


def lines(letters: str, count: int) -> list[str]:
    """Texts of 8 words that all differ, written in these five letters alone."""

    def word(number: int) -> str:
        return "".join(letters[number // 5**place % 5] for place in range(7))

    return [" ".join(word(LENGTH * i + j) for j in range(LENGTH)) for i in range(count)]


def likely(count: int) -> LogProbs:
    """Texts of probability 1."""
    return LogProbs(np.zeros(count), np.full(count, LENGTH), "abc")


def against(samples: Sequence[str], others: Sequence[str], sources: Sequence[str] | None = None) -> Material:
    """These samples, and all else the others; `real` is of the others."""
    return Material(
        samples=list(samples),
        references=list(others),
        references_by_item=[[text] for text in others],
        train=list(others),
        tokens="space",
        log_probs=likely(len(samples)),
        oracle_log_probs=likely(len(samples)),
        sources=[[text] for text in sources or others],
        sweep={"1": list(samples)},
        real=list(others),
    )


def same(count: int) -> Material:
    """Everything is the same texts, which have no word in common with one another."""
    return against(lines("abcde", count), lines("abcde", count))


def apart(count: int) -> Material:
    """Samples that have no letter in common with anything else."""
    return against(lines("vwxyz", count), lines("abcde", count))


def stuck(count: int) -> Material:
    """One sample, again and again, that has no letter in common with anything else."""
    return against(lines("vwxyz", 1) * count, lines("abcde", count))


def one(count: int) -> Material:
    """Everything but the sources is one text."""
    return against(lines("abcde", 1) * count, lines("abcde", 1) * count, lines("vwxyz", count))


def stutter(count: int) -> Material:
    """Samples of one word."""
    return against([" ".join(["a"] * LENGTH)] * count, lines("abcde", count))


def silent(count: int) -> Material:
    """Samples without a word."""
    return against([""] * count, lines("abcde", count))


def unknown(count: int) -> Material:
    """Samples of marks of unknown words."""
    return against(["<unk> 〓 <unk>"] * count, lines("abcde", count))


def _similarity(lowest: str = "no word in common", highest: float = 1.0, linear: bool = True) -> Promise:
    return Promise(((same, highest, "its own reference"), (apart, 0.0, lowest)), linear=linear)


def _examination(*extremes: tuple[Callable[[int], Material], float, str], within: float, **more: bool) -> Promise:
    return Promise(extremes, within=within, least=120, **more)


_CERTAIN = "every token has probability 1"
_COIN = "one reply to everything: only luck tells what a coin called it"

PROMISES: dict[str, Promise] = {
    **{f"bleu-{n}": _similarity() for n in range(2, 6)},
    **{
        f"self-bleu-{n}": Promise(((one, 1.0, "the others are its copies"), (same, 0.0, "nothing in common")))
        for n in range(2, 6)
    },
    **{
        f"frontier-area-{n}": Promise(
            ((same, 1.0, "a temperature gives the real text"), (apart, 0.0, "no quality")), items="real"
        )
        for n in range(2, 6)
    },
    **{
        f"frontier-distance-{n}": Promise(
            (
                (same, 0.0, "a temperature gives the real text"),
                (stuck, math.sqrt(2), "neither quality nor diversity, where real text has all of both"),
            ),
            items="real",
        )
        for n in range(2, 6)
    },
    "sacrebleu": _similarity(highest=100.0),
    "chrf": _similarity("no character in common", 100.0),
    "rouge-1": _similarity(),
    "rouge-2": _similarity(),
    "rouge-l": _similarity(linear=False),
    "rouge-lsum": _similarity(linear=False),
    "nll-test": Promise(((same, 0.0, _CERTAIN),), items="log_probs"),
    "ppl-test": Promise(((same, 1.0, _CERTAIN),), items="log_probs"),
    "nll-oracle": Promise(((same, 0.0, _CERTAIN),), items="oracle_log_probs"),
    **{
        f"distinct-{n}": Promise(
            (
                (stutter, 1 / (SIZE * (LENGTH - n + 1)), "one n-gram in all"),
                (same, 1.0, "no word comes twice"),
            ),
            diversity=True,
        )
        for n in (1, 2)
    },
    "unique": Promise(((one, 1 / SIZE, "one text"), (same, 1.0, "no text comes twice")), diversity=True),
    "copied": Promise(((same, 1.0, "samples are training texts"), (apart, 0.0, "none is"))),
    "length": Promise(((silent, 0.0, "no token"), (same, LENGTH, "all of one length"))),
    "length-ratio": Promise(((same, 1.0, "the references' own lengths"), (silent, 0.0, "no token"))),
    "empty": Promise(((same, 0.0, "none is empty"), (silent, 1.0, "all are"))),
    "unk": Promise(((same, 0.0, "no mark"), (unknown, 1.0, "nothing but marks"))),
    "length-distance": Promise(((same, 0.0, "equal lengths"), (silent, LENGTH, "all have to move by all"))),
    "longest-copy": Promise(((same, LENGTH, "the whole text is in train"), (apart, 0.0, "no word is"))),
    **{
        f"copied-share-{n}": Promise(((same, 1.0, "the whole text is in train"), (apart, 0.0, "no word is")))
        for n in (4, 8)
    },
    **{
        f"novel-{n}": Promise(((same, 0.0, "the sample is its source"), (apart, 1.0, "no word is in it")))
        for n in range(1, 4)
    },
    **{f"ms-jaccard-{n}": _similarity() for n in range(2, 6)},
    "frechet": Promise(((same, 0.0, "equal moments"),), least=256),
    "mauve": Promise(((same, 1.0, "equal features, in one order"),), least=FEW),
    # discounts keep a little for what was never seen
    "reverse-lm": Promise(((one, 0.0, "the one text that the model knows"),), within=0.01, items="references_by_item"),
    "forward-lm": Promise(((one, 0.0, "the one text that the model knows"),), within=0.01),
    "adver-suc": _examination(
        (same, 0.5, "the human's own reply: one of two equal judgements is wrong"),
        (stuck, 0.0, "one reply to everything gives itself away"),
        within=1e-9,
    ),
    "adver-human-human": _examination((one, 0.5, _COIN), within=0.2),  # 5 standard deviations
    "adver-machine-machine": _examination((one, 0.5, _COIN), within=0.2),
    "adver-human-random": _examination((one, 0.5, "the random reply is the same"), within=1e-9, controls=True),
    "adver-machine-random": _examination(
        (stuck, 1.0, "one reply to everything gives itself away"),
        (one, 0.5, "the random reply is the same"),
        within=1e-9,
    ),
    "adver-ere": _examination(
        (one, 1 / 6, "random replies can't be told, the coins can't either"), within=0.1, controls=True
    ),
}


def promise(name: str) -> Promise:
    """A name without a row is held to what goes for all; that it has none is a failure of its own."""
    return PROMISES.get(name, Promise(()))


WORDS = st.lists(st.sampled_from(["a", "b", "c", "the", "cat", "sat", ".", "<unk>"]), max_size=8).map(" ".join)
AWKWARD = st.one_of(
    st.characters(),  # lone surrogates among them
    st.sampled_from("\r\n\t\x00\x85\u00a0\u2028\u202e\u2066\ufeff\u0301\u0316\u200d\ufffd 白〓😀👩👧🇩é.,'\"|:<&-y1"),
)
ANY_TEXT = st.one_of(st.text(alphabet=AWKWARD, max_size=25), st.sampled_from(HOSTILE))


@st.composite
def materials(draw: st.DrawFn, texts: st.SearchStrategy[str], least: int = 2, pool: bool = False) -> Material:
    """A few texts of every kind; where more are asked for, these again, each with a number after it.

    Args:
        pool: references for all samples together, and not for each.
    """
    few = draw(st.lists(st.tuples(texts, texts, texts, texts), min_size=2, max_size=5))
    others = draw(st.lists(texts, min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = max(least, len(few))

    def grown(some: Sequence[str], count: int) -> list[str]:
        return [
            some[i] if i < len(some) else f"{some[i % len(some)]} {int(rng.integers(40))} {i // 7}"
            for i in range(count)
        ]

    samples, answers, turns, real = (grown(column, size) for column in zip(*few, strict=True))
    second = [[text] if rng.random() < 0.5 else [] for text in grown(others, size)]
    probabilities = LogProbs(-rng.exponential(3.0, size), rng.integers(1, 9, size), "abc")
    for array in (probabilities.sums, probabilities.tokens):
        array.flags.writeable = False  # a metric that writes into what it is given fails
    return Material(
        samples=samples,
        references=grown(others, max(least, len(others)) if least > 2 else len(others)),
        references_by_item=None if pool else [[text, *more] for text, more in zip(answers, second, strict=True)],
        train=grown(others[::-1], len(others)),
        tokens=draw(st.sampled_from(["word-lower", "word", "char", "space"])),
        log_probs=probabilities,
        oracle_log_probs=probabilities,
        sources=[[text, *more] for text, more in zip(turns, second, strict=True)],
        sweep={"0.5": grown(answers, size), "1": samples},
        real=real,
    )


@pytest.fixture
def mauve_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of mauve-text and faiss: 1 for equal features, else less, by pairs in order; it draws carelessly."""

    def compute(p_features: np.ndarray, q_features: np.ndarray, **_: object) -> SimpleNamespace:
        random.random()
        np.random.random()  # noqa: NPY002
        least = min(len(p_features), len(q_features))
        gap = np.linalg.norm(p_features[:least] - q_features[:least], axis=1).mean()
        return SimpleNamespace(mauve=math.exp(-gap))

    threads = SimpleNamespace(omp_get_max_threads=lambda: 1, omp_set_num_threads=lambda n: None)
    monkeypatch.setitem(sys.modules, "mauve", SimpleNamespace(compute_mauve=compute))
    monkeypatch.setitem(sys.modules, "faiss", threads)
    monkeypatch.setattr("metrics.mauve.LEAST", FEW)
