"""Rollouts against completions run one by one: same draws, same tokens, same rewards, every reward at its place."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.nets.attention import AttentionSeq2Seq
from baselines.nets.base import AutoregressiveNet, Memory, pick
from baselines.nets.lstm import LSTMLanguageModel, initialise
from baselines.neural import NeuralGenerator
from baselines.sampling import TokenSampler
from baselines.seqgan import Game, SeqGAN, SeqGANConfig
from baselines.training.rollout import Rollouts, Sampled, roll_out, sample_with_states, spread
from tasks.base import Corpus
from tests.fakes import FakeRun
from tests.speed.reference_seqgan import ReferenceDiscriminator, ReferenceGenerator, reference_rewards
from tests.speed.test_speed_seqgan import new_game
from tests.toys import conditional_corpus, free_corpus

VOCAB, EOS = 13, 0
BOS, PAD = VOCAB, VOCAB + 1


def language_model(seed: int = 0) -> AutoregressiveNet:
    net = LSTMLanguageModel(VOCAB, 5, 6).double().eval()
    initialise(net, "normal", 1.0, torch.Generator().manual_seed(seed))
    return net


def slow_completion(
    net: AutoregressiveNet, memory: Memory, prefix: list[int], uniforms: Tensor, eos: int | None
) -> list[int]:
    """One sequence, run from the first token, by a search through its own CDF."""
    tokens = list(prefix)
    while len(tokens) < len(uniforms) and (eos is None or not tokens or tokens[-1] != eos):
        with torch.no_grad():
            features = net(torch.tensor([[BOS, *tokens]]), memory)[0, -1]
            cdf = torch.softmax(net.output(features), -1).cumsum(0)
        tokens.append(int((cdf <= uniforms[len(tokens)] * cdf[-1]).sum()))
    return tokens


def padded(rows: list[list[int]], width: int) -> Tensor:
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])


@pytest.mark.parametrize("eos", [None, EOS])
def test_rollouts_equal_completions_run_one_by_one(eos: int | None) -> None:
    torch.manual_seed(0)
    net, batch, time, n = language_model(), 5, 6, 3
    first, later = torch.rand(batch, time).double(), torch.rand(time - 1, batch, n, time).double()
    sampled = sample_with_states(net, (), first, bos=BOS, pad=PAD, eos=eos)
    expected = [slow_completion(net, (), [], row, eos) for row in first]
    assert torch.equal(sampled.tokens, padded(expected, time))
    assert sampled.lengths.tolist() == [len(row) for row in expected]
    rolled = roll_out(net, (), sampled, later, pad=PAD, eos=eos)
    slow = [
        slow_completion(net, (), expected[b][:t], later[t - 1, b, i], eos)
        for t in range(1, time)
        for b in range(batch)
        if len(expected[b]) > t
        for i in range(n)
    ]
    assert torch.equal(rolled.tokens, padded(slow, max(map(len, slow))))


def test_conditional_rollouts_keep_their_source() -> None:
    torch.manual_seed(1)
    net = AttentionSeq2Seq(9, VOCAB, 5, 6, encoder=4, attention=4, readout=5).double().eval()
    initialise(net, "normal", 1.0, torch.Generator().manual_seed(3))
    sources, lengths = torch.randint(7, (4, 5)), torch.tensor([5, 2, 4, 1])
    with torch.no_grad():
        memory = net.encode(sources, lengths)
    first, later = torch.rand(4, 5).double(), torch.rand(4, 4, 2, 5).double()
    sampled = sample_with_states(net, memory, first, bos=BOS, pad=PAD, eos=EOS)
    rolled = roll_out(net, memory, sampled, later, pad=PAD, eos=EOS)
    row = 0
    for t, items in enumerate(rolled.items, 1):
        for b in items.tolist():
            for i in range(2):
                own = pick(memory, torch.tensor([b]))
                slow = slow_completion(net, own, sampled.tokens[b, :t].tolist(), later[t - 1, b, i], EOS)
                assert torch.equal(rolled.tokens[row], padded([slow], rolled.tokens.shape[1])[0])
                row += 1
    assert row == len(rolled.tokens)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0, 300.0])
def test_the_prepared_sampler_draws_what_the_cdf_says(scale: float) -> None:
    """Also where logits leave the range of exp, and where taking the maximum off is left out."""
    torch.manual_seed(2)
    output = nn.Linear(6, 50).double()
    features, uniforms = torch.randn(30, 6).double(), torch.rand(30, 4).double()
    with torch.no_grad():
        output.weight.mul_(scale)
        cdf = torch.softmax(output(features) / 0.7, 1).cumsum(1)
    expected = (cdf.unsqueeze(1) <= (uniforms * cdf[:, -1:]).unsqueeze(2)).sum(2)
    assert torch.equal(TokenSampler(output, 0.7)(features, uniforms), expected)


class Counting(LSTMLanguageModel):
    """Counts the rows it reads."""

    read = 0

    def step(self, tokens, state, memory=()):  # type: ignore[no-untyped-def]
        self.read += len(tokens)
        return super().step(tokens, state, memory)


def test_no_prefix_is_run_a_second_time() -> None:
    net, batch, time, n = Counting(VOCAB, 5, 6).eval(), 4, 7, 3
    sampled = sample_with_states(net, (), torch.rand(batch, time), bos=BOS, pad=PAD, eos=None)
    assert net.read == batch * time
    net.read = 0
    roll_out(net, (), sampled, torch.rand(time - 1, batch, n, time), pad=PAD, eos=None)
    # a rollout of a prefix of length t draws time - t tokens and reads all of them but the last
    assert net.read == batch * n * sum(time - t - 1 for t in range(1, time))


def test_rollouts_that_ended_cost_nothing_more() -> None:
    net = Counting(VOCAB, 5, 6).eval()
    with torch.no_grad():
        net.output.bias[EOS] = 50.0
    uniforms = torch.rand(6, 4, 2, 7)
    sampled = sample_with_states(net, (), torch.rand(4, 7), bos=BOS, pad=PAD, eos=EOS)
    assert sampled.lengths.tolist() == [1] * 4
    net.read = 0
    rolled = roll_out(net, (), sampled, uniforms, pad=PAD, eos=EOS)
    assert rolled.tokens.shape == (0, 1)
    assert net.read == 0


def test_rewards_stand_at_their_item_and_time() -> None:
    items = (torch.tensor([0, 2]), torch.tensor([2]))
    rolled = Rollouts(torch.zeros(6, 3, dtype=torch.long), items, 2)
    values = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.2, 0.4])
    rewards = spread(values, rolled, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([2, 1, 3]), 4)
    expected = [[0.2, 0.9, 0, 0], [0.8, 0, 0, 0], [0.6, 0.3, 0.7, 0]]
    torch.testing.assert_close(rewards, torch.tensor(expected))


def toy_game(corpus: Corpus, **settings: object) -> Game:
    net = {"embedding": 6, "hidden": 7, "encoder": 4, "attention": 4, "readout": 5, "init_scale": 1.0}
    config = SeqGANConfig.model_validate(
        {
            "mle": {"net": net},
            "discriminator": {"embedding": 4, "widths": (1, 2, 3), "filters": (5, 6, 7)},
            "batch": 6,
            "rollouts": 3,
            **settings,
        }
    )
    generator: NeuralGenerator = SeqGAN(config).build(corpus)
    initialise(generator.net, "uniform", 1.0, torch.Generator().manual_seed(0))
    return Game(corpus, config, generator, FakeRun())


def sample_for(game: Game) -> tuple[Sampled, Memory, tuple[Tensor, Tensor] | None]:
    sources = game._source_batch()
    with torch.no_grad():
        memory = game.net.encode(*sources) if sources else ()
    uniforms = torch.rand(game.config.batch, game._time, dtype=game.net.output.weight.dtype)
    return sample_with_states(game.net, memory, uniforms, **game._ends), memory, sources


def test_rewards_equal_the_sequential_reference_on_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    game = toy_game(free_corpus(fixed_length=6))
    game.net.double().eval()
    game.discriminator.double().eval()
    sampled, _, _ = sample_for(game)
    uniforms = torch.rand(6, 5, 3, 6, dtype=torch.double)
    monkeypatch.setattr(game, "_uniforms", lambda *shape: uniforms)
    expected = reference_rewards(
        ReferenceGenerator(game.net), ReferenceDiscriminator(game.discriminator).eval(), sampled.tokens, 3, uniforms
    )
    rewards = game.rewards(sampled, (), None)
    assert rewards.shape == (6, 6)
    torch.testing.assert_close(rewards, expected, rtol=0, atol=1e-10)
    whole = game.discriminator(sampled.tokens).sigmoid()
    torch.testing.assert_close(rewards[:, -1], whole.detach())


@pytest.mark.slow
def test_rewards_equal_the_sequential_reference_at_the_papers_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """V = 5000, T = 20, 16 rollouts and the paper's discriminator; PAPER_BATCH=64 takes the paper's batch too."""
    batch, (time, rollouts) = int(os.environ.get("PAPER_BATCH", "2")), (20, 16)
    game = new_game(batch)
    game.net.double().eval()
    game.discriminator.double().eval()
    sampled, _, _ = sample_for(game)
    uniforms = torch.rand(batch, time - 1, rollouts, time, dtype=torch.double)
    monkeypatch.setattr(game, "_uniforms", lambda *shape: uniforms)
    generator, discriminator = ReferenceGenerator(game.net), ReferenceDiscriminator(game.discriminator).eval()
    expected = reference_rewards(generator, discriminator, sampled.tokens, rollouts, uniforms)
    rewards = game.rewards(sampled, (), None)
    print(f"largest difference {(rewards - expected).abs().max():.1e}")
    torch.testing.assert_close(rewards, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("corpus", [free_corpus(), conditional_corpus()], ids=["free", "conditional"])
def test_rewards_of_sequences_that_end(corpus: Corpus) -> None:
    game = toy_game(corpus)
    game.net.eval()
    sampled, memory, sources = sample_for(game)
    rewards = game.rewards(sampled, memory, sources)
    emitted = sampled.tokens != corpus.vocab.pad
    assert rewards.shape == sampled.tokens.shape
    assert ((rewards > 0) == emitted).all()
    last = rewards.gather(1, (sampled.lengths - 1).unsqueeze(1)).squeeze(1)
    with torch.no_grad():
        whole = game.discriminator(sampled.tokens, sources[0] if sources else None).sigmoid()
    torch.testing.assert_close(last, whole)


def test_items_rolled_out_apart_get_the_same_rewards(monkeypatch: pytest.MonkeyPatch) -> None:
    game = toy_game(conditional_corpus())
    game.net.eval()
    sampled, memory, sources = sample_for(game)
    state = game.run.rng("rollouts").get_state()
    together = game.rewards(sampled, memory, sources)
    game.run.rng("rollouts").set_state(state)
    monkeypatch.setattr(game, "_rows_at_once", lambda memory, lengths: 2)
    torch.testing.assert_close(game.rewards(sampled, memory, sources), together)


def test_a_policy_that_lags_rolls_out_from_its_own_states(monkeypatch: pytest.MonkeyPatch) -> None:
    game = toy_game(free_corpus(fixed_length=6), rollout_decay=0.8)
    game.net.double().eval()
    game.policy.double()
    game.discriminator.double()
    initialise(game.policy, "uniform", 2.0, torch.Generator().manual_seed(9))
    sampled, _, _ = sample_for(game)
    uniforms = torch.rand(6, 5, 3, 6, dtype=torch.double)
    monkeypatch.setattr(game, "_uniforms", lambda *shape: uniforms)
    discriminator = ReferenceDiscriminator(game.discriminator).eval()
    expected = reference_rewards(ReferenceGenerator(game.policy), discriminator, sampled.tokens, 3, uniforms)
    torch.testing.assert_close(game.rewards(sampled, (), None), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("settings", [{"rollout_decay": 0.8}, {"g_steps": 2}], ids=["lag", "steps"])
@pytest.mark.parametrize("corpus", [free_corpus(fixed_length=6), conditional_corpus()], ids=["free", "pairs"])
def test_a_policy_of_its_own_has_no_dropout(corpus: Corpus, settings: dict[str, Any]) -> None:
    net = {"embedding": 6, "hidden": 7, "encoder": 4, "attention": 4, "readout": 5, "init_scale": 1.0, "dropout": 0.5}
    game = toy_game(corpus, mle={"net": net}, **settings)
    game.generator_step()
    game.follow()
    sampled, memory, sources = sample_for(game)
    state = game.run.rng("rollouts").get_state()
    first = game.rewards(sampled, memory, sources)
    game.run.rng("rollouts").set_state(state)
    torch.testing.assert_close(game.rewards(sampled, memory, sources), first, rtol=0, atol=0)


def test_the_policy_follows_by_its_decay() -> None:
    game = toy_game(free_corpus(), rollout_decay=0.8)
    before = [parameter.clone() for parameter in game.policy.parameters()]
    initialise(game.net, "uniform", 2.0, torch.Generator().manual_seed(9))
    game.follow()
    for old, new, target in zip(before, game.policy.parameters(), game.net.parameters(), strict=True):
        torch.testing.assert_close(new, 0.8 * old + 0.2 * target)


def test_with_several_generator_steps_the_policy_waits_for_the_end_of_the_round() -> None:
    game = toy_game(free_corpus(), g_steps=2)
    assert game.policy is not game.net
    start = [parameter.clone() for parameter in game.policy.parameters()]
    game.generator_step()
    assert all(torch.equal(a, b) for a, b in zip(start, game.policy.parameters(), strict=True))
    game.follow()
    assert all(torch.equal(a, b) for a, b in zip(game.net.parameters(), game.policy.parameters(), strict=True))
