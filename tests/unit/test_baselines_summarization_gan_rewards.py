"""The summarization GAN: what each token is rewarded with."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from baselines.nets.triple_rnn import TripleRNN
from baselines.training.rollout import Rollouts, Sampled, carried_back, roll_out
from tests.games import drawn, lists
from tests.summaries import PAD, articles, human, players


@pytest.mark.parametrize("every", [1, 2, 3])
def test_each_token_gets_the_mean_word_on_completions_of_what_there_is_then(every: int) -> None:
    """The same completions, judged one by one with their own article. Tokens between two beginnings that are completed
    get what the later one gets."""
    game = players(rollouts=3, rollout_every=every)
    sampled, memory, sources = drawn(game)
    later = torch.rand(8, game._time - 1, 3, game._time, dtype=torch.double)
    game._uniforms = lambda *shape: later  # type: ignore[method-assign]
    judge, judged = game.judge, []
    game.judge = lambda *given: (judged.append(len(given[1].tokens)), judge(*given))[1]  # type: ignore[method-assign]
    rewards = game.rewards(sampled, memory, sources)
    ends = {name: game._ends[name] for name in ("pad", "eos")}
    rolled = roll_out(game.net, memory, sampled, later.transpose(0, 1), **ends, every=every)
    assert sum(judged) == len(rolled.tokens) == 3 * sum(int((sampled.lengths - 1)[i]) // every for i in range(8))
    texts, completions = articles(game, sources), iter(lists(rolled.tokens, PAD))
    known: dict[tuple[int, int], float] = {}
    for t, items in enumerate(rolled.items, 1):
        for item in items.tolist():
            known[item, t] = float(np.mean([human(game, texts[item], next(completions)) for _ in range(3)]))
    expected = torch.zeros_like(rewards)
    for item, summary in enumerate(lists(sampled.tokens, PAD)):
        known[item, len(summary)] = human(game, texts[item], summary)
        for t in range(1, len(summary) + 1):
            later_on = [k for k in range(t, len(summary) + 1) if k % every == 0 or k == len(summary)]
            expected[item, t - 1] = known[item, later_on[0]]
    torch.testing.assert_close(rewards, expected, rtol=0, atol=1e-9)
    assert (rewards[sampled.tokens == PAD] == 0).all()


def test_worth_is_carried_back_from_the_next_place_that_has_one() -> None:
    lengths, nothing = torch.tensor([7, 3, 4, 1]), math.nan
    known = torch.full((4, 8), nothing)
    known[0, 2], known[0, 5], known[0, 6], known[1, 2], known[2, 2], known[2, 3], known[3, 0] = range(1, 8)
    found = carried_back(known, lengths, 3)
    assert found.tolist() == [
        [1, 1, 1, 2, 2, 2, 3, 0],
        [4, 4, 4, 0, 0, 0, 0, 0],
        [5, 5, 5, 6, 0, 0, 0, 0],
        [7, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert carried_back(known, lengths, 1) is known


def test_a_summary_is_judged_by_its_own_article() -> None:
    """With the articles moved by one every reward is another, and it is the one of that pair."""
    game = players()
    sampled, memory, sources = drawn(game)
    uniforms = game._uniforms(game._time - 1, 2, game._time)
    game._uniforms = lambda *shape: uniforms  # type: ignore[method-assign]
    plain = game.rewards(sampled, memory, sources)
    moved = (sources[0].roll(1, 0), sources[1].roll(1, 0))
    other = game.rewards(sampled, memory, moved)  # the same completions, before other articles
    texts, changed = articles(game, sources), 0
    for item, summary in enumerate(lists(sampled.tokens, PAD)):
        assert float(plain[item, len(summary) - 1]) == pytest.approx(human(game, texts[item], summary), abs=1e-9)
        assert float(other[item, len(summary) - 1]) == pytest.approx(human(game, texts[item - 1], summary), abs=1e-9)
        if texts[item] != texts[item - 1]:
            assert (plain[item] != other[item])[: len(summary)].all()
            changed += 1
    assert changed >= 4


@pytest.mark.parametrize("at_once", [1, 3])
def test_rewards_do_not_depend_on_how_many_are_rolled_out_together(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = players()
    sampled, memory, sources = drawn(game)
    uniforms = game._uniforms(game._time - 1, 2, game._time)
    game._uniforms = lambda *shape: uniforms  # type: ignore[method-assign]
    whole = game.rewards(sampled, memory, sources)
    monkeypatch.setattr(game, "_rows_at_once", lambda *_: at_once)
    torch.testing.assert_close(game.rewards(sampled, memory, sources), whole, rtol=0, atol=1e-10)


def test_long_articles_are_rolled_out_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every second beginning completed twice as many as there would be."""
    game = players()
    memory, lengths = (torch.zeros(8, 50, 10),), torch.full((8,), 4)  # 500 numbers, 2 rollouts of each of 4
    monkeypatch.setattr("baselines.training.sequence_policy.MEMORY", 8100)
    assert game._rows_at_once(memory, lengths) == 4
    monkeypatch.setattr("baselines.training.sequence_policy.MEMORY", 1)
    assert game._rows_at_once(memory, lengths) == 2


def test_an_article_is_read_once_for_all_that_is_made_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    game, read = players(rollouts=5, rollout_every=1), []
    plain = TripleRNN.read
    monkeypatch.setattr(
        TripleRNN, "read", lambda self, ids, lengths: (read.append(len(ids)), plain(self, ids, lengths))[1]
    )
    game.generator_step()
    assert sum(read) == 8
    read.clear()
    game.discriminator_step()
    assert sum(read) == 8


def test_a_batch_with_nothing_to_complete_is_judged() -> None:
    game = players()
    sampled, memory, sources = drawn(game)
    ones = Sampled(
        torch.cat([torch.zeros_like(sampled.tokens[:, :1]), torch.full_like(sampled.tokens[:, 1:], PAD)], 1),
        torch.ones_like(sampled.lengths),
        sampled.features,
        sampled.states,
    )
    rewards = game.rewards(ones, memory, sources)
    assert rewards[:, 0].tolist() == pytest.approx([human(game, text, [0]) for text in articles(game, sources)])
    assert (rewards[:, 1:] == 0).all()
    assert Rollouts(sampled.tokens[:0], (), 2).owners.tolist() == []
