"""The hierarchical discriminator against a reading of each pair alone, word by word and turn by turn; padding."""

from __future__ import annotations

import pytest
import torch

from baselines.nets.hierarchical import split_turns
from tests.dialogues import BREAK, CORPORA, discriminator, padded, random_pairs, verdict


@pytest.mark.parametrize("kind", CORPORA)
def test_it_reads_words_then_turns_as_if_one_by_one(kind: str) -> None:
    net, (contexts, responses) = discriminator(CORPORA[kind]), random_pairs(CORPORA[kind], 9)
    assert (net.separator is None) == (kind == "plain")
    found = net(padded(contexts, net.source_pad), padded(responses, net.target_pad))
    expected = torch.stack([verdict(net, *pair) for pair in zip(contexts, responses, strict=True)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", CORPORA)
def test_padding_has_no_influence_and_gets_no_gradient(kind: str) -> None:
    net, (contexts, responses) = discriminator(CORPORA[kind]), random_pairs(CORPORA[kind], 7)
    sources, targets = padded(contexts, net.source_pad), padded(responses, net.target_pad)
    before = net(sources, targets)
    wider = net(padded(contexts, net.source_pad, 9), padded(responses, net.target_pad, 5))
    torch.testing.assert_close(before, wider, rtol=0, atol=1e-12)
    with torch.no_grad():  # were a padded place read, this would be heard
        net.source_embedding.weight[net.source_pad] = 50.0
        net.target_embedding.weight[net.target_pad] = -50.0
    after = net(sources, targets)
    torch.testing.assert_close(before, after, rtol=0, atol=1e-12)
    after.sum().backward()
    for table, pad in ((net.source_embedding, net.source_pad), (net.target_embedding, net.target_pad)):
        assert table.weight.grad is not None
        assert table.weight.grad[pad].abs().max() == 0
    for row in range(len(contexts)):
        alone = net(torch.tensor([contexts[row]]), torch.tensor([responses[row]]))
        torch.testing.assert_close(alone[0], before[row], rtol=0, atol=1e-10)


def test_an_empty_source_is_a_turn_of_its_own() -> None:
    net = discriminator(CORPORA["talk"])
    pad = net.source_pad
    sources = torch.tensor([[3, BREAK, 4, 0], [pad] * 4, [5, 0, pad, pad]])
    turns, owner, order = split_turns(sources, pad, BREAK)
    assert turns.tolist() == [[3, BREAK], [4, 0], [pad, pad], [5, 0]]
    assert owner.tolist() == [0, 0, 1, 2]
    assert order.tolist() == [0, 1, 0, 0]
    assert net(sources, torch.tensor([[3, 0]] * 3)).isfinite().all()


def test_every_beginning_is_judged_as_if_it_were_all() -> None:
    net, (contexts, responses) = discriminator(CORPORA["talk"]), random_pairs(CORPORA["talk"], 6)
    sources = padded(contexts, net.source_pad)
    found = net.judge_prefixes(net.read_context(sources), padded(responses, net.target_pad))
    for row, response in enumerate(responses):
        for t in range(len(response)):
            expected = verdict(net, contexts[row], response[: t + 1])
            torch.testing.assert_close(found[row, t], expected, rtol=0, atol=1e-10)


def test_many_responses_of_a_context_read_in_parts_are_judged_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    net, (contexts, responses) = discriminator(CORPORA["talk"]), random_pairs(CORPORA["talk"], 7)
    owner = torch.tensor([3, 0, 0, 6, 5, 1, 2])
    sources = padded(contexts, net.source_pad)
    expected = net(sources[owner], padded(responses, net.target_pad))
    monkeypatch.setattr("baselines.nets.hierarchical.ROWS", 3)
    found = net.judge_many(net.read_context(sources), owner, padded(responses, net.target_pad))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert len(net.judge_many(net.read_context(sources), owner[:0], torch.zeros(0, 1, dtype=torch.long))) == 0
