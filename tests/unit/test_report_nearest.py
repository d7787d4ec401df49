"""The nearest training sentence against a comparison with every sentence, and the marks of a difference."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report import nearest
from bench.report.nearest import TrainingText, difference, words
from tests.fresh import fresh_seed


def common(first, second):
    """Length of the longest common subsequence, by the table of all prefixes."""
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            table[i + 1][j + 1] = table[i][j] + 1 if one == other else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def brute(sample, train):
    """(similarity, line, copied) of the best, the first of equals."""
    m = words(sample)
    found = []
    for line, text in enumerate(train):
        n = words(text)
        found.append((2 * common(m, n) / max(len(m) + len(n), 1), -line, common(m, n)))
    similarity, line, copied = max(found)
    return similarity, -line, copied


def parts(text, runs):
    """The plain and the marked parts of a text, which together are the text."""
    ends = np.cumsum([0, *runs])
    cut = [text[begin:end] for begin, end in pairwise(ends)] + [text[ends[-1] :]]
    assert "".join(cut) == text
    assert ends[-1] <= len(text)
    marked = cut[1 : len(runs) : 2]
    return [part for place, part in enumerate(cut) if place % 2 == 0 or place == len(runs)], marked


def sentences(rng, alphabet, longest, count):
    return [" ".join(rng.choices(alphabet, k=rng.randint(0, longest))) for _ in range(count)]


@pytest.mark.parametrize("longest", [3, 12, 70, 150])
def test_nearest_is_the_best_of_all(longest, monkeypatch):
    rng = random.Random(fresh_seed() + longest)
    for _ in range(1 + 120 // longest):
        monkeypatch.setattr(nearest, "_FIRST", rng.choice([1, 3, 256]))
        monkeypatch.setattr(nearest, "_CHUNK", rng.choice([1, 4, 2048]))
        monkeypatch.setattr(nearest, "_DENSE", rng.choice([0, 2, 256]))
        alphabet = "abcdefghij"[: rng.randint(1, 10)]
        train = sentences(rng, alphabet, longest, rng.randint(1, 15))
        training = TrainingText(train)
        for sample in sentences(rng, alphabet + "z", longest, 3):
            similarity, line, copied = brute(sample, train)
            found = training.nearest(sample)
            if similarity == 0:
                assert found is None
            else:
                assert found is not None
                assert (found.similarity, found.line, found.copied) == (similarity, line, copied)
                assert found.words == len(words(sample))


def test_of_equals_the_first():
    training = TrainingText(["x y", "b a", "a b", "a b"])
    assert training.nearest("a b").line == 2
    assert training.nearest("a").line == 1
    assert TrainingText(["a b x y", "b a d c"]).nearest("a b c d").line == 0, "its bound is lower, its likeness is not"


def test_most_words_shared_is_not_most_in_order():
    training = TrainingText(["e d c b a", "a b c q r"])
    found = training.nearest("a b c d e")
    assert (found.line, found.copied, found.similarity) == (1, 3, 0.6)


def test_a_long_common_part_over_many_machine_words():
    rng = np.random.default_rng(fresh_seed())
    text = [str(number) for number in rng.permutation(200)]
    training = TrainingText(["unrelated", " ".join(text), " ".join(text[:50])])
    found = training.nearest(" ".join([*text[:130], "new", *text[130:]]))
    assert (found.line, found.copied, found.words) == (1, 200, 201)


def test_order_is_kept_from_one_machine_word_to_the_next():
    query = [f"w{place}" for place in range(130)]
    assert TrainingText(["w64 w63"]).nearest(" ".join(query)).copied == 1
    assert TrainingText(["w63 w64"]).nearest(" ".join(query)).copied == 2


def test_nothing_in_common():
    training = TrainingText(["a b", ""])
    assert training.nearest("c d") is None
    assert training.nearest("") is None
    assert training.nearest(" \n") is None
    assert TrainingText([""]).nearest("a") is None
    assert TrainingText([]).nearest("a") is None


def test_what_a_word_is():
    assert words("Don't stop, A-ha!") == ["don't", "stop", ",", "a", "-", "ha", "!"]
    assert words("春眠GPT2模型。") == ["春", "眠", "gpt2", "模", "型", "。"]
    assert words("a <unk> b") == ["a", "<unk>", "b"]
    assert words("𠀀𠀁") == ["𠀀", "𠀁"]


@settings(deadline=None)
@given(st.text(alphabet="ab c,\n春眠", max_size=30), st.text(alphabet="ab c,\n春眠", max_size=30))
def test_what_is_plain_stands_in_both(sample, sentence):
    own, others = difference(sample, sentence)
    plain, added = parts(sample, own)
    kept, removed = parts(sentence, others)
    first = [word for part in plain for word in words(part)]
    assert first == [word for part in kept for word in words(part)]
    assert len(first) == common(words(sample), words(sentence))
    assert all(part == part.strip() and part for part in (*added, *removed))


def test_marks_of_a_difference():
    own, others = difference("the red cat sat down", "the cat sat")
    assert parts("the red cat sat down", own)[1] == ["red", "down"]
    assert others == ()
    own, others = difference("a b", "x y a")
    assert parts("a b", own)[1] == ["b"]
    assert parts("x y a", others)[1] == ["x y"]
