"""The triple-RNN discriminator against a reading of each pair alone, token by token; padding; many of one source."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.nets import triple_rnn
from baselines.nets.gru import GRUStack
from baselines.nets.triple_rnn import TripleRNN
from tests.fresh import fresh_seed

SOURCE, TARGET, WIDTH, HIDDEN = 9, 7, 5, 4  # words of either side, sizes
SOURCE_PAD, TARGET_PAD = SOURCE + 1, TARGET + 1


def network() -> TripleRNN:
    """Random weights in float64."""
    rng = torch.Generator().manual_seed(fresh_seed())
    tables = [torch.empty(words + 2, WIDTH).uniform_(-1, 1, generator=rng) for words in (SOURCE, TARGET)]
    net = TripleRNN(*tables, TARGET_PAD, HIDDEN).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.uniform_(-1, 1, generator=rng)
    return net


def pairs(n: int) -> tuple[list[list[int]], list[list[int]]]:
    rng = np.random.default_rng(fresh_seed())
    articles = [rng.integers(0, SOURCE, rng.integers(1, 12)).tolist() for _ in range(n)]
    return articles, [rng.integers(0, TARGET, rng.integers(1, 7)).tolist() for _ in range(n)]


def padded(rows: list[list[int]], pad: int, more: int = 0) -> Tensor:
    width = max(map(len, rows)) + more
    return torch.tensor([row + [pad] * (width - len(row)) for row in rows])


def lengths(rows: list[list[int]]) -> Tensor:
    return torch.tensor([len(row) for row in rows])


def cell(gru: GRUStack, x: Tensor, h: Tensor) -> Tensor:
    """One step of PyTorch's GRU, from its documentation."""
    a, b = gru.weight_ih_l0 @ x + gru.bias_ih_l0, gru.weight_hh_l0 @ h + gru.bias_hh_l0
    r = (a[:HIDDEN] + b[:HIDDEN]).sigmoid()
    z = (a[HIDDEN : 2 * HIDDEN] + b[HIDDEN : 2 * HIDDEN]).sigmoid()
    n = (a[2 * HIDDEN :] + r * b[2 * HIDDEN :]).tanh()
    return (1 - z) * n + z * h


def verdict(net: TripleRNN, article: list[int], candidate: list[int]) -> Tensor:
    """The log-odds of one pair; nothing is padded."""
    zero = net.output.weight.new_zeros(HIDDEN)
    states, state = [], zero
    for token in article:
        state = cell(net.reader, net.sources.weight[token], state)
        states.append(state)
    heard, compared = zero, zero
    for token in candidate:
        heard = cell(net.listener, net.targets.weight[token], heard)
        scores = torch.stack([(net.query.weight @ heard) @ one / HIDDEN**0.5 for one in states])
        context = sum(weight * one for weight, one in zip(scores.softmax(0), states, strict=True))
        assert isinstance(context, Tensor)
        compared = cell(net.comparer, torch.cat([net.targets.weight[token], context]), compared)
    return net.output.weight[0] @ torch.cat([states[-1], heard, compared]) + net.output.bias[0]


def test_it_reads_pairs_as_if_one_by_one() -> None:
    net, (articles, candidates) = network(), pairs(9)
    found = net(padded(articles, SOURCE_PAD), lengths(articles), padded(candidates, TARGET_PAD))
    expected = torch.stack([verdict(net, *pair) for pair in zip(articles, candidates, strict=True)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_padding_is_never_read_nor_attended_to_and_gets_no_gradient() -> None:
    net, (articles, candidates) = network(), pairs(7)
    before = net(padded(articles, SOURCE_PAD), lengths(articles), padded(candidates, TARGET_PAD))
    with torch.no_grad():  # were a padded place read, this would be heard
        net.sources.weight[SOURCE_PAD] = 50.0
        net.targets.weight[TARGET_PAD] = -50.0
    after = net(padded(articles, SOURCE_PAD, 9), lengths(articles), padded(candidates, TARGET_PAD, 5))
    torch.testing.assert_close(before, after, rtol=0, atol=1e-12)
    after.sum().backward()
    for table, pad in ((net.sources, SOURCE_PAD), (net.targets, TARGET_PAD)):
        assert table.weight.grad is not None
        assert table.weight.grad[pad].abs().max() == 0
        assert table.weight.grad.abs().max() > 0
    for row in range(len(articles)):
        alone = net(torch.tensor([articles[row]]), lengths(articles[row : row + 1]), torch.tensor([candidates[row]]))
        torch.testing.assert_close(alone[0], before[row], rtol=0, atol=1e-10)


def test_an_empty_article_is_a_token_of_padding() -> None:
    net = network()
    found = net(torch.tensor([[3, 4], [SOURCE_PAD] * 2]), torch.tensor([2, 0]), torch.tensor([[1, 0]] * 2))
    torch.testing.assert_close(found[1], verdict(net, [SOURCE_PAD], [1, 0]), rtol=0, atol=1e-10)


def test_all_three_networks_and_the_attention_count() -> None:
    net, (articles, candidates) = network(), pairs(6)
    net(padded(articles, SOURCE_PAD), lengths(articles), padded(candidates, TARGET_PAD)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        if name != "query.weight":
            assert parameter.grad.abs().max() > 0, name
    assert net.query.weight.grad is not None
    if max(map(len, articles)) > 1:  # over one place there is nothing to weigh
        assert net.query.weight.grad.abs().max() > 0


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_many_candidates_of_an_article_in_parts_are_judged_alike(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net, (articles, candidates) = network(), pairs(8)
    owners = torch.tensor([3, 0, 0, 7, 5, 1, 2, 0])
    sources = padded(articles, SOURCE_PAD)
    read = net.read(sources, lengths(articles))
    monkeypatch.setattr(triple_rnn, "PLACES", at_once * sources.shape[1] * HIDDEN)
    found = net.judge_many(read, owners, padded(candidates, TARGET_PAD, 2))
    expected = [verdict(net, articles[i], row) for i, row in zip(owners.tolist(), candidates, strict=True)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-10)
    assert len(net.judge_many(read, owners[:0], torch.zeros(0, 3, dtype=torch.long))) == 0


def test_first_weights_leave_word_tables_and_the_global_stream_alone() -> None:
    net = network().float()
    tables, before = [net.sources.weight.clone(), net.targets.weight.clone()], torch.get_rng_state()
    net.initialise(torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(tables[0], net.sources.weight)
    assert torch.equal(tables[1], net.targets.weight)
    assert net.output.bias.abs().max() == 0
    bound = (6 / (HIDDEN + WIDTH)) ** 0.5  # of a gate of the first network: 60 draws reach its upper half
    assert bound / 2 < float(net.reader.weight_ih_l0.detach().abs().max()) <= bound
    first = net.query.weight.clone()
    net.initialise(torch.Generator().manual_seed(0))
    assert torch.equal(first, net.query.weight)
