"""Sentence BLEU of pairs: NLTK's values for whole batches, and for every prefix those of the prefix alone."""

from __future__ import annotations

import math
import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from torch import Tensor

from baselines.training import pair_bleu
from baselines.training.pair_bleu import PairBleu, Smoothing
from tests.fresh import fresh_seed

Lines = list[list[int]]


def nltk_bleu(target: list[int], line: list[int], orders: int, smooth: str = "method2") -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sentence_bleu([target], line, (1 / orders,) * orders, getattr(SmoothingFunction(), smooth))
    return float(found)


def padded(lines: Lines, pad: int, width: int) -> Tensor:
    return torch.tensor([line + [pad] * (width - len(line)) for line in lines], dtype=torch.long).view(-1, width)


def random_lines(rng: np.random.Generator, n: int, longest: int, vocab: int) -> Lines:
    """Of 0 to `longest` tokens from 1 on, early ids more often."""
    return [(1 + rng.random(rng.integers(longest + 1)) ** 2 * (vocab - 1)).astype(int).tolist() for _ in range(n)]


@pytest.mark.parametrize("eos", [None, 0])
@pytest.mark.parametrize("orders", [1, 2, 4, 5])
def test_values_are_nltks(eos: int | None, orders: int) -> None:
    rng = np.random.default_rng(fresh_seed())
    end = [] if eos is None else [eos]
    for vocab, longest in ((2, 1), (3, 9), (5, 12), (30, 25)):
        lines, targets = (random_lines(rng, 40, longest, vocab) for _ in range(2))
        lines += [[], [1], [1]]
        targets += [[1], [1], []]
        lines += targets[:5]
        targets += targets[:5]
        width = longest + 2
        bleu = PairBleu(vocab, eos, orders)
        found = bleu(padded([x + end for x in lines], vocab + 1, width), padded([y + end for y in targets], vocab, 40))
        assert found.dtype == torch.float64
        expected = [nltk_bleu(y, x, orders) for x, y in zip(lines, targets, strict=True)]
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-9)


def test_every_prefix_has_the_value_that_it_has_alone() -> None:
    rng = np.random.default_rng(fresh_seed())
    lines, targets = (random_lines(rng, 30, 12, 4) for _ in range(2))
    tokens, gold = padded([[*x, 0] for x in lines], 5, 14), padded([[*y, 0] for y in targets], 5, 13)
    found = PairBleu(4, 0).prefixes(tokens, gold)
    expected = [[nltk_bleu(y, x[: t + 1], 4) for t in range(14)] for x, y in zip(lines, targets, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-9)


def counted_bleu(target: list[int], line: list[int], extra: int) -> float:
    """BLEU-4 from counts, with as many matches and n-grams of each order added."""
    product = 1.0
    for n in range(1, 5):
        grams, gold = (Counter(zip(*(ids[k:] for k in range(n)), strict=False)) for ids in (line, target))
        product *= ((grams & gold).total() + extra) / (max(1, grams.total()) + extra)
    return product**0.25 * math.exp(min(0, 1 - len(target) / len(line))) if line else 0.0


@pytest.mark.parametrize(("smoothing", "extra"), [("none", 0), ("add_one_all", 1)])
def test_smoothing_is_an_option(smoothing: Smoothing, extra: int) -> None:
    rng = np.random.default_rng(fresh_seed())
    lines, targets = (random_lines(rng, 60, 12, 3) for _ in range(2))
    found = PairBleu(3, None, smoothing=smoothing)(padded(lines, 4, 12), padded(targets, 4, 12))
    expected = [counted_bleu(y, x, extra) for x, y in zip(lines, targets, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-9)


def test_an_unknown_word_counts_and_matches_nothing() -> None:
    """As if each `<unk>` of the target were a word that no sequence has."""
    rng = np.random.default_rng(fresh_seed())
    unk, other = 1, 9
    lines, targets = (random_lines(rng, 60, 12, 5) for _ in range(2))
    found = PairBleu(10, 0, unk=unk)(padded(lines, 10, 12), padded(targets, 10, 12))
    named = [[other if token == unk else token for token in target] for target in targets]
    expected = [nltk_bleu(y, x, 4) for x, y in zip(lines, named, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-9)


def test_a_repeated_gram_counts_as_often_as_the_target_has_it() -> None:
    bleu = PairBleu(5, None, orders=1)
    found = bleu(torch.tensor([[1, 1, 1], [1, 2, 1], [3, 3, 4]]), torch.tensor([[1, 2, 3], [1, 1, 3], [1, 1, 2]]))
    assert found.tolist() == pytest.approx([1 / 3, 2 / 3, 0.0])


def test_the_end_and_padding_of_one_do_not_match_those_of_the_other() -> None:
    bleu = PairBleu(4, 0)
    tokens, gold = torch.tensor([[1, 0, 5, 5]]), torch.tensor([[2, 0, 5, 5]])
    assert bleu.prefixes(tokens, gold).tolist() == [[0.0] * 4]
    wide = torch.tensor([[2, 0, 5, 5, 5, 5]])
    assert torch.equal(bleu(tokens, wide), bleu(tokens, gold))


def test_tokens_counted_may_begin_anywhere() -> None:
    """A stretch of a sequence is scored by padding out what is before it."""
    bleu = PairBleu(9, 0)
    assert float(bleu(torch.tensor([[10, 10, 3, 4, 6]]), torch.tensor([[10, 10, 3, 4, 5]]))) == pytest.approx(
        nltk_bleu([3, 4, 5], [3, 4, 6], 4), abs=1e-9
    )


def test_rows_do_not_depend_on_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(fresh_seed())
    tokens, gold = (padded(random_lines(rng, 33, 8, 5), 6, 8) for _ in range(2))
    bleu = PairBleu(5, None)
    together = bleu.prefixes(tokens, gold)
    monkeypatch.setattr(pair_bleu, "CPU_ELEMENTS", 8 * 16 * 5)
    assert torch.equal(bleu.prefixes(tokens, gold), together)
    assert torch.equal(bleu.prefixes(tokens.flip(0), gold.flip(0)), together.flip(0))


def test_nothing_to_score_is_nothing() -> None:
    bleu, none = PairBleu(5, 0), torch.zeros(0, 3, dtype=torch.long)
    assert bleu(none, none).shape == (0,)
    assert bleu(torch.zeros(2, 0, dtype=torch.long), torch.ones(2, 3, dtype=torch.long)).tolist() == [0.0, 0.0]
