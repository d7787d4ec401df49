"""The n-gram model against a dictionary implementation from the formulas, and against the axioms of probability."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.kneser_ney import FALLBACK, discounts, train
from metrics.ngrams import Sentences
from tests.fresh import fresh_seed

WORDS = 4
sentence = st.lists(st.integers(0, WORDS - 1), max_size=6)
corpus = st.lists(sentence, max_size=8)


def sentences(lists):
    flat = np.array([token for one in lists for token in one], np.int32)
    return Sentences(flat, np.cumsum([0, *map(len, lists)], dtype=np.int64))


class Plain:
    """The same model, from the formulas in the module's docstring, gram by gram."""

    def __init__(self, lists, words, order):
        self.order, self.symbols = order, [*range(words), "</s>"]
        padded = [["<s>", *one, "</s>"] for one in lists]
        raw = [Counter(tuple(p[i : i + n]) for p in padded for i in range(len(p) - n + 1)) for n in range(order + 2)]
        self.adjusted = [{}]
        for n in range(1, order + 1):
            before = defaultdict(set)
            for gram in raw[n + 1]:
                before[gram[1:]].add(gram[0])
            top = {g: c if n == order or g[0] == "<s>" else len(before[g]) for g, c in raw[n].items()}
            top.pop(("<s>",), None)
            self.adjusted.append(top)
        self.off = [None] + [self.discounts(Counter(level.values())) for level in self.adjusted[1:]]
        self.follow = [defaultdict(list) for _ in range(order + 1)]
        for n in range(1, order + 1):
            for gram, count in self.adjusted[n].items():
                self.follow[n][gram[:-1]].append(count)

    @staticmethod
    def discounts(n):
        if not (n[1] and n[2] and n[3]):
            return [0, 0.75, 0.75, 0.75]
        y = n[1] / (n[1] + 2 * n[2])
        three = [1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]]
        return [0, *three] if min(three) > 0 else [0, 0.75, 0.75, 0.75]

    def probability(self, history, word):
        """P(word | the whole sentence so far, `<s>` first)."""
        value = 1 / len(self.symbols)
        for n in range(1, self.order + 1):
            if n - 1 > len(history):
                break
            h = tuple(history[len(history) - n + 1 :])
            seen = self.follow[n][h]
            if seen:
                count = self.adjusted[n].get((*h, word), 0)
                lost = sum(self.off[n][min(c, 3)] for c in seen)
                value = (count - self.off[n][min(count, 3)]) / sum(seen) + lost / sum(seen) * value
        return value


@settings(deadline=None, max_examples=60)
@given(corpus, corpus, st.integers(1, 5))
def test_every_token_as_the_formulas_have_it(known, scored, order):
    model, plain = train(sentences(known), WORDS, order), Plain(known, WORDS, order)
    expected = [
        math.log(plain.probability(["<s>", *one[:i]], word)) for one in scored for i, word in enumerate([*one, "</s>"])
    ]
    assert model.log_probs(sentences(scored)) == pytest.approx(expected, abs=1e-10)


def test_every_token_of_a_larger_text():
    """Enough text for the discounts of most orders to be estimated, which small examples never have."""
    rng = np.random.default_rng(fresh_seed())
    words = 30
    weights = 1 / np.arange(1, words + 1)

    def draw(n):
        return [rng.choice(words, rng.integers(0, 9), p=weights / weights.sum()).tolist() for _ in range(n)]

    known, scored = draw(400), draw(60)
    model, plain = train(sentences(known), words), Plain(known, words, 4)
    assert sum(off != [0, 0.75, 0.75, 0.75] for off in plain.off[1:]) >= 2
    logs = model.log_probs(sentences(scored))
    expected = [
        math.log(plain.probability(["<s>", *one[:i]], word)) for one in scored for i, word in enumerate([*one, "</s>"])
    ]
    assert logs == pytest.approx(expected, abs=1e-10)
    sums, tokens = model.nll(sentences(scored))
    assert tokens.tolist() == [len(one) + 1 for one in scored]
    cuts = np.cumsum(tokens)[:-1]
    assert sums == pytest.approx([-part.sum() for part in np.split(np.array(expected), cuts)])


@settings(deadline=None, max_examples=60)
@given(corpus, sentence, st.integers(1, 4))
def test_after_any_history_the_symbols_sum_to_one(known, history, order):
    model = train(sentences(known), WORDS, order)
    every = sentences([*([*history, word] for word in range(WORDS)), history])
    logs = model.log_probs(every)
    last = [
        i * (len(history) + 2) + len(history) for i in range(WORDS + 1)
    ]  # the word at the end; or `</s>` in its place
    chances = np.exp(logs[last])
    assert (chances > 0).all()
    assert chances.sum() == pytest.approx(1, abs=1e-12)


def test_discounts():
    counts = np.array([1] * 10 + [2] * 4 + [3] * 2 + [4] + [9, 0, 0])
    y = 10 / 18
    assert discounts(counts) == pytest.approx([0, y, 2 - 3 * y * 2 / 4, 3 - 4 * y * 1 / 2])
    assert discounts(np.array([1, 2, 3]))[3] == 3  # none counted four times: still in its bounds
    fixed = [0, FALLBACK, FALLBACK, FALLBACK]
    assert discounts(np.array([], np.int64)).tolist() == fixed
    assert discounts(np.array([1, 1, 2])).tolist() == fixed  # none counted three times
    assert discounts(np.array([2, 2, 3, 3])).tolist() == fixed  # none counted once
    assert discounts(np.array([1, 1, 1, 2, *[3] * 9])).tolist() == fixed  # D_2 would be below 0


def test_nothing_to_learn_from_is_uniform():
    for nothing in ([], [[]][:0]):
        assert np.exp(train(sentences(nothing), WORDS).log_probs(sentences([[0, 3]]))) == pytest.approx([0.2] * 3)
    assert train(sentences([[0]]), WORDS).log_probs(sentences([])).tolist() == []
    sums, tokens = train(sentences([[0]]), WORDS).nll(sentences([]))
    assert (len(sums), len(tokens)) == (0, 0)


def test_text_it_has_seen_is_likelier_and_order_is_nothing():
    known = [[0, 1, 2], [0, 1, 2], [3], []]
    model, backwards = train(sentences(known), WORDS), train(sentences(known[::-1]), WORDS)
    seen, strange = model.nll(sentences([[0, 1, 2]]))[0], model.nll(sentences([[2, 1, 0]]))[0]
    assert seen < strange
    probe = sentences([[0, 1], [3, 3, 2]])
    assert np.array_equal(model.log_probs(probe), backwards.log_probs(probe))


def test_a_part_of_a_larger_array():
    """Sentences may begin anywhere in the array of tokens."""
    whole = sentences([[0, 1], [2, 3, 1], [1]])
    part = Sentences(whole.flat, whole.offsets[1:])
    model = train(part, WORDS)
    assert np.array_equal(model.log_probs(part), train(sentences([[2, 3, 1], [1]]), WORDS).log_probs(part))
    assert model.nll(part)[0] == pytest.approx(model.nll(sentences([[2, 3, 1], [1]]))[0])
