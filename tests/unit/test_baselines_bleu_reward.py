"""BLEU as a reward: NLTK's values, whatever the sequences, at every place of a batch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from torch import Tensor

from baselines.training import bleu_reward
from baselines.training.bleu_reward import BleuReward
from tasks.base import Ragged
from tests.fresh import fresh_seed

Lines = list[list[int]]


def nltk_bleu(references: Lines, hypotheses: Lines, orders: int) -> list[float]:
    smooth = SmoothingFunction().method1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [sentence_bleu(references, line, (1 / orders,) * orders, smooth) for line in hypotheses]


def padded(lines: Lines, pad: int, width: int) -> Tensor:
    return torch.tensor([line + [pad] * (width - len(line)) for line in lines], dtype=torch.long).view(-1, width)


def reward(references: Lines, vocab: int, eos: int | None, orders: int) -> BleuReward:
    end = [] if eos is None else [eos]
    return BleuReward(Ragged.from_lists([line + end for line in references]), vocab=vocab, eos=eos, orders=orders)


def random_lines(rng: np.random.Generator, n: int, longest: int, first: int, vocab: int) -> Lines:
    """Of 0 to `longest` tokens, early ids more often."""
    return [
        (first + (rng.random(rng.integers(longest + 1)) ** 2 * (vocab - first)).astype(int)).tolist() for _ in range(n)
    ]


@pytest.mark.parametrize("eos", [None, 0])
@pytest.mark.parametrize("orders", [1, 2, 3, 4, 5])
def test_values_are_nltks(eos: int | None, orders: int) -> None:
    rng = np.random.default_rng(fresh_seed())
    first = 0 if eos is None else 1
    for vocab, lines, longest in ((2, 1, 0), (3, 4, 3), (4, 6, 9), (30, 40, 15)):
        references = random_lines(rng, lines, longest, first, vocab)
        hypotheses = [*random_lines(rng, 20, longest + 4, first, vocab), [], [first], *references]
        end = [] if eos is None else [eos]
        width = longest + 5
        tokens = padded([(line + end)[:width] for line in hypotheses], vocab + 1, width)
        found = reward(references, vocab, eos, orders)(tokens)
        assert found.dtype == torch.float64
        assert found.numpy() == pytest.approx(nltk_bleu(references, hypotheses, orders), abs=1e-9)


def test_a_repeated_gram_counts_as_often_as_the_one_line_with_most_of_it() -> None:
    """Two lines that hold a token once each don't allow it twice."""
    score = reward([[1, 2], [1, 3], [2, 2, 4]], vocab=6, eos=None, orders=1)
    found = score(torch.tensor([[1, 1, 1], [2, 2, 2], [5, 5, 5], [1, 2, 2]]))
    assert found.tolist() == pytest.approx([1 / 3, 2 / 3, 0.0, 1.0])


def test_grams_do_not_reach_from_one_line_into_the_next() -> None:
    score = reward([[1, 2], [3, 4]], vocab=6, eos=None, orders=2)
    assert score(torch.tensor([[2, 3]])).tolist() == pytest.approx(nltk_bleu([[1, 2], [3, 4]], [[2, 3]], 2))


def test_of_two_lengths_as_near_the_shorter_decides_the_brevity() -> None:
    references = [[1] * 2, [1] * 4]
    found = reward(references, vocab=3, eos=None, orders=1)(padded([[1], [1] * 3, [1] * 4, [1] * 9], 4, 9))
    assert found.tolist() == pytest.approx(nltk_bleu(references, [[1], [1] * 3, [1] * 4, [1] * 9], 1))
    assert found[1] == 1  # nearer to 4 it would be exp(-1/3)


def test_padding_and_the_end_give_nothing() -> None:
    score, lines = reward([[1, 2, 3], [2, 3]], vocab=5, eos=0, orders=3), [[1, 2, 3, 0], [2, 0], [4, 0]]
    narrow, wide = score(padded(lines, 6, 4)), score(padded(lines, 6, 11))
    assert torch.equal(narrow, wide)
    assert narrow[0] == 1


def test_rows_do_not_depend_on_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(fresh_seed())
    score = reward(random_lines(rng, 20, 8, 0, 7), vocab=7, eos=None, orders=4)
    tokens = padded(random_lines(rng, 33, 8, 0, 7), 8, 8)
    together = score(tokens)
    monkeypatch.setattr(bleu_reward, "ROWS", 5)
    assert torch.equal(score(tokens), together)
    assert torch.equal(score(tokens.flip(0)), together.flip(0))


def test_nothing_to_score_is_nothing() -> None:
    score = reward([[1, 2, 3]], vocab=5, eos=None, orders=4)
    assert score(torch.zeros(0, 1, dtype=torch.long)).shape == (0,)
    assert score(torch.zeros(2, 0, dtype=torch.long)).tolist() == [0.0, 0.0]
