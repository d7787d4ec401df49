"""The dialogue GAN: what each token is rewarded with, and what its discriminator is trained on."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

import baselines.dialogue_gan as module
from baselines.dialogue_gan import (
    DialogueGAN,
    DialogueRegsMC,
    DialogueRegsPartial,
    discriminator_loss,
    random_prefixes,
)
from baselines.nets.hierarchical import HierarchicalDiscriminator
from baselines.training.rollout import roll_out
from tests.dialogue_games import ROWS, human, players
from tests.dialogues import CORPORA, discriminator, padded, random_pairs, verdict
from tests.fresh import fresh_seed
from tests.games import drawn, lists


def test_reinforce_gives_every_token_the_word_on_the_whole() -> None:
    game = players(CORPORA["talk"], seed=fresh_seed())
    sampled, memory, sources = drawn(game)
    rewards = game.rewards(sampled, memory, sources)
    pad = game.corpus.vocab.pad
    contexts = lists(sources[0], game.discriminator.source_pad)
    for row, response in enumerate(lists(sampled.tokens, pad)):
        expected = human(game, contexts[row], response)
        assert rewards[row, : len(response)].tolist() == pytest.approx([expected] * len(response), abs=1e-9)


def test_partial_gives_every_token_the_word_on_the_response_so_far() -> None:
    game = players(CORPORA["talk"], DialogueRegsPartial, fresh_seed())
    sampled, memory, sources = drawn(game)
    rewards = game.rewards(sampled, memory, sources)
    contexts = lists(sources[0], game.discriminator.source_pad)
    for row, response in enumerate(lists(sampled.tokens, game.corpus.vocab.pad)):
        expected = [human(game, contexts[row], response[: t + 1]) for t in range(len(response))]
        assert rewards[row, : len(response)].tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", CORPORA)
def test_mc_gives_every_token_the_mean_word_on_its_completions(kind: str) -> None:
    """The same completions, judged one by one."""
    game = players(CORPORA[kind], DialogueRegsMC, fresh_seed(), rollouts=3)
    sampled, memory, sources = drawn(game)
    later = torch.rand(8, game._time - 1, 3, game._time, dtype=torch.double)
    game._uniforms = lambda *shape: later  # type: ignore[method-assign]
    rewards = game.rewards(sampled, memory, sources)
    ends = {name: game._ends[name] for name in ("pad", "eos")}
    rolled = roll_out(game.net, memory, sampled, later.transpose(0, 1), **ends)
    contexts = lists(sources[0], game.discriminator.source_pad)
    completions = iter(lists(rolled.tokens, game.corpus.vocab.pad))
    expected = torch.zeros_like(rewards)
    for t, items in enumerate(rolled.items):
        for item in items.tolist():
            expected[item, t] = np.mean([human(game, contexts[item], next(completions)) for _ in range(3)])
    for item, response in enumerate(lists(sampled.tokens, game.corpus.vocab.pad)):
        expected[item, len(response) - 1] = human(game, contexts[item], response)
    torch.testing.assert_close(rewards, expected, rtol=0, atol=1e-9)
    assert (rewards[sampled.tokens == game.corpus.vocab.pad] == 0).all()


def test_a_context_is_read_once_for_all_its_completions(monkeypatch: pytest.MonkeyPatch) -> None:
    game, read = players(CORPORA["talk"], DialogueRegsMC, rollouts=4), []
    plain = HierarchicalDiscriminator.read_context
    monkeypatch.setattr(
        HierarchicalDiscriminator, "read_context", lambda self, ids: (read.append(len(ids)), plain(self, ids))[1]
    )
    game.generator_step()
    assert sum(read) == game.config.batch


def test_the_discriminator_learns_that_people_are_people() -> None:
    """Its loss falls as the log-odds of the first half, the human one, rise and the others' fall."""
    corpus = CORPORA["talk"]
    net, (contexts, responses) = discriminator(corpus), random_pairs(corpus, 6)
    sources, targets = padded(contexts[:3], net.source_pad), padded(responses, net.target_pad)
    figures = discriminator_loss(net, sources, targets)
    odds = [float(verdict(net, contexts[i % 3], response).detach()) for i, response in enumerate(responses)]
    losses = [math.log1p(math.exp(-x if i < 3 else x)) for i, x in enumerate(odds)]
    assert float(figures["d_loss"].detach()) == pytest.approx(np.mean(losses), abs=1e-9)
    assert float(figures["d_accuracy"]) == pytest.approx(np.mean([(x > 0) == (i < 3) for i, x in enumerate(odds)]))


@pytest.mark.parametrize("row", ROWS)
def test_it_is_trained_on_fresh_answers_to_the_contexts_of_the_human_ones(
    row: type[DialogueGAN], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And on unfinished ones of both kinds where, and only where, unfinished ones are judged."""
    corpus, game, seen = CORPORA["talk"], players(CORPORA["talk"], row, batch=40), []
    plain = module.discriminator_loss

    def watch(net, sources, responses):  # type: ignore[no-untyped-def]
        seen.append((sources, responses))
        return plain(net, sources, responses)

    monkeypatch.setattr(module, "discriminator_loss", watch)
    for _ in range(4):
        game.discriminator_step()
    train = corpus.splits["train"]
    assert train.sources is not None
    pairs = {(tuple(train.sources[i].tolist()), tuple(train.targets[i].tolist())) for i in range(len(train))}
    beginnings = {(x, y[:t]) for x, y in pairs for t in range(1, len(y) + 1)}
    whole = total = 0
    for sources, responses in seen:
        people = responses[:40]
        contexts = map(tuple, lists(sources, game.discriminator.source_pad))
        given = set(zip(contexts, map(tuple, lists(people, corpus.vocab.pad)), strict=True))
        assert given <= (beginnings if row is DialogueRegsPartial else pairs)
        for half in (people, responses[40:]):
            ended = [0 in answer or len(answer) == 6 for answer in lists(half, corpus.vocab.pad)]
            assert row is DialogueRegsPartial or all(ended)
            whole, total = whole + sum(ended), total + len(ended)
    if row is DialogueRegsPartial:  # of lengths even over 1..3 a third is whole: less than 0.8 of 320 by many sigma
        assert whole < 0.8 * total
    machines = [responses[40:] for _, responses in seen]
    assert all(a.shape != b.shape or not torch.equal(a, b) for a, b in itertools.pairwise(machines))


def test_prefix_lengths_are_even_over_each_rows_own() -> None:
    pad, n = 9, 20_000
    tokens = torch.tensor([[1, 2, 3, 0], [4, 0, pad, pad], [0, pad, pad, pad]]).repeat(n, 1)
    cut = random_prefixes(tokens, pad, torch.Generator().manual_seed(fresh_seed()))
    lengths = (cut != pad).sum(1).view(n, 3)
    for column, own in enumerate((4, 2, 1)):
        counts = np.bincount(lengths[:, column], minlength=5)[1:]
        assert counts[own:].sum() == 0
        spread = 7 * math.sqrt(n / own)
        assert np.abs(counts[:own] - n / own).max() <= spread
    assert ((cut == tokens) | (cut == pad)).all()
    assert (cut[:, 0] == tokens[:, 0]).all()
