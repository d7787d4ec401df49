"""Actor-critic: values of all actions, what the critic aims at, and who is moved by what."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.actor_critic import ActorCritic, ActorCriticConfig, Players
from baselines.merging import merge
from baselines.nets.lstm import initialise
from baselines.training import action_values
from baselines.training.action_values import chosen_values, expected_value_sum, expected_values, value_spread
from baselines.training.batches import Batch, shifted
from tasks.base import Corpus
from tests.fakes import FakeRun
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus

TINY: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 8, "hidden": 8, "encoder": 6, "attention": 6, "readout": 8, "dropout": 0.2},
        "epochs": 1,
    },
    "critic": {"embedding": 6, "hidden": 6, "encoder": 6, "attention": 6, "readout": 6},
    "critic_steps": 2,
    "steps": 3,
    "batch": 8,
    "gamma_actor": 0.3,
    "gamma_critic": 0.2,
    "valid_every": 2,
    "valid_rows": 10,
}
CORPUS = conditional_corpus(64)


def tiny(**settings: Any) -> ActorCritic:
    return ActorCritic(ActorCriticConfig.model_validate(merge(TINY, settings)))


def players(seed: int = 0, corpus: Corpus = CORPUS, **settings: Any) -> Players:
    """All four networks with weights of their own."""
    method = tiny(**settings)
    generator = method.build(corpus)
    made = Players(corpus, method.config, generator, FakeRun(seed))
    for k, net in enumerate((made.net, made.slow_net, made.critic, made.slow_critic)):
        initialise(net, "uniform", 1.0, torch.Generator().manual_seed(4 * seed + k))
        net.eval()
    return made


def double(some: Players) -> Players:
    for net in (some.net, some.slow_net, some.critic, some.slow_critic):
        net.double()
    return some


def copied(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def half_right(some: Players, batch: Batch) -> Tensor:
    """Outputs, every other of them the target itself: samples of random weights have hardly a right word."""
    tokens = some.sampled(batch)
    gold = nn.functional.pad(batch.targets, (0, tokens.shape[1] - batch.targets.shape[1]), value=CORPUS.vocab.pad)
    return torch.where((torch.arange(len(tokens)) % 2 == 0).unsqueeze(1), gold, tokens)


@pytest.mark.parametrize("rows", [1, 7, 300])
def test_values_of_all_actions_are_those_of_the_definition(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums and gradients against autograd through [places, vocab], in float64 and in chunks."""
    monkeypatch.setattr(action_values, "MIN_ROWS", 4)
    monkeypatch.setattr(action_values, "chunk_rows", lambda *a: 4)
    rng = torch.Generator().manual_seed(fresh_seed())
    torch.manual_seed(fresh_seed())
    output, critic = nn.Linear(5, 11).double(), nn.Linear(3, 11).double()
    x = torch.randn(rows, 5, generator=rng, dtype=torch.double, requires_grad=True)
    z = torch.randn(rows, 3, generator=rng, dtype=torch.double, requires_grad=True)
    p, q = torch.softmax(output(x), 1), critic(z)
    each = (p * q).sum(1)
    torch.testing.assert_close(expected_values(x, output, z, critic), each)
    total = expected_value_sum(x, output, z, critic)
    torch.testing.assert_close(total, each.sum())
    actor = [x, output.weight, output.bias]
    expected = torch.autograd.grad((p * q.detach()).sum(), actor)
    found = torch.autograd.grad(2 * total, [*actor, z, critic.weight], allow_unused=True)
    for left, right in zip(found, expected, strict=False):
        torch.testing.assert_close(left, 2 * right)
    assert found[3] is found[4] is None
    spread = (q - q.mean(1, keepdim=True)).square().sum()
    torch.testing.assert_close(value_spread(z, critic), spread)
    judge = [z, critic.weight]  # a bias moves the spread too
    for left, right in zip(
        torch.autograd.grad(value_spread(z, critic), [*judge, critic.bias]),
        torch.autograd.grad(spread, [*judge, critic.bias], retain_graph=True),
        strict=True,
    ):
        torch.testing.assert_close(left, right)
    actions = torch.randint(11, (rows,), generator=rng)
    torch.testing.assert_close(chosen_values(z, critic, actions), q.gather(1, actions[:, None]).squeeze(1))


def test_large_logits_stay_finite() -> None:
    output, critic = nn.Linear(2, 5), nn.Linear(2, 5)
    x = torch.tensor([[3e4, -2e4], [0.0, 0.0]], requires_grad=True)
    total = expected_value_sum(x, output, torch.randn(2, 2), critic)
    total.backward()
    assert total.isfinite()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_aims_are_reward_and_the_delayed_players_value() -> None:
    """Each output alone, place by place, with whole softmaxes, in float64."""
    some = double(players(fresh_seed()))
    batch, pad = some.pairs.draw(), CORPUS.vocab.pad
    tokens = half_right(some, batch)
    inside = tokens != pad
    aims, reward = some.aims(batch, tokens, inside)
    found = torch.zeros(tokens.shape, dtype=torch.double)
    found[inside] = aims
    for i in range(8):
        row, gold = tokens[i][inside[i]], batch.targets[i][batch.inside[i]]
        source = (batch.sources[0][i : i + 1], batch.sources[1][i : i + 1])
        inputs = shifted(row[None], CORPUS.vocab.bos)
        actor = some.slow_net.output(some.slow_net(inputs, some.slow_net.encode(*source)))[0]
        read = some.slow_critic.encode(gold[None], torch.tensor([len(gold)]))
        value = some.slow_critic.output(some.slow_critic(inputs, read))[0]
        before = 0.0
        for t in range(len(row)):
            bleu = float(some.bleu(row[None, : t + 1], gold[None]))
            follows = float((torch.softmax(actor[t + 1], 0) * value[t + 1]).sum()) if t + 1 < len(row) else 0.0
            assert float(found[i, t]) == pytest.approx(bleu - before + follows, abs=1e-9)
            before = bleu
        assert float(reward[i]) == pytest.approx(before, abs=1e-9)
    assert not aims.requires_grad


def test_rewards_add_up_to_the_bleu_of_the_whole() -> None:
    some = players(fresh_seed())
    nn.init.zeros_(some.slow_critic.output.weight)
    nn.init.zeros_(some.slow_critic.output.bias)
    batch = some.pairs.draw()
    tokens = half_right(some, batch)
    inside = tokens != CORPUS.vocab.pad
    aims, reward = some.aims(batch, tokens, inside)
    assert float(aims.sum()) == pytest.approx(float(some.bleu(tokens, batch.targets).sum()), abs=1e-5)
    assert float(reward.sum()) == pytest.approx(float(aims.sum()), abs=1e-5)


def test_a_step_has_the_gradients_of_both_losses() -> None:
    """Against autograd through the definitions in float64, before clipping."""
    some = double(players(fresh_seed(), lambda_c=0.05, lambda_ll=0.3))
    batch, pad, bos = some.pairs.draw(), CORPUS.vocab.pad, CORPUS.vocab.bos
    seen: list[Tensor] = []
    plain = some.sampled
    some.sampled = lambda *a: (seen.append(plain(*a)), seen[-1])[1]  # type: ignore[method-assign]
    nets = (some.net, some.critic, some.slow_net, some.slow_critic)
    start = [copied(net) for net in nets]
    some.step(batch, actor=True)
    found = [[weight.grad.clone() for weight in net.parameters()] for net in nets[:2]]
    for net, weights in zip(nets, start, strict=True):
        net.load_state_dict(weights)
        net.zero_grad()

    (tokens,) = seen
    inside = tokens != pad
    aims, _ = some.aims(batch, tokens, inside)
    inputs, actions = shifted(tokens, bos), tokens[inside]
    q = some.critic.output(some.critic(inputs, some.critic.encode(batch.targets, batch.inside.sum(1))))[inside]
    errors = (q.gather(1, actions[:, None]).squeeze(1) - aims).square().sum()
    ((errors + 0.05 * (q - q.mean(1, keepdim=True)).square().sum()) / 8).backward()
    memory = some.net.encode(*batch.sources)
    p = torch.softmax(some.net.output(some.net(inputs, memory)), -1)[inside]
    gold = torch.log_softmax(some.net.output(some.net(batch.inputs, memory)), -1)[batch.inside]
    likelihood = gold.gather(1, batch.targets[batch.inside][:, None]).sum()
    (-((p * q.detach()).sum() + 0.3 * likelihood) / 8).backward()
    for net, gradients in zip(nets, found, strict=False):
        nn.utils.clip_grad_norm_(net.parameters(), some.config.clip)
        for gradient, weight in zip(gradients, net.parameters(), strict=True):
            torch.testing.assert_close(gradient, weight.grad, rtol=1e-6, atol=1e-11)


def test_the_critic_alone_is_trained_first_and_the_delayed_copies_follow() -> None:
    some = players(fresh_seed())
    before = [copied(net) for net in (some.net, some.slow_critic, some.slow_net, some.critic)]
    some.step(some.pairs.draw(), actor=False)
    assert all(torch.equal(value, before[0][name]) for name, value in some.net.state_dict().items())
    assert any(not torch.equal(value, before[3][name]) for name, value in some.critic.state_dict().items())
    for slow, fast, gamma, start in (
        (some.slow_critic, some.critic, 0.2, before[1]),
        (some.slow_net, some.net, 0.3, before[2]),
    ):
        for name, value in slow.state_dict().items():
            expected = gamma * fast.state_dict()[name] + (1 - gamma) * start[name]
            torch.testing.assert_close(value, expected, rtol=0, atol=1e-6)


def test_the_actor_goes_where_the_critic_sees_value() -> None:
    """A critic that values one token alone makes it more probable everywhere."""
    some = players(fresh_seed(), lambda_ll=0.0, learning_rate=1e-2, critic_learning_rate=1e-9)
    nn.init.zeros_(some.critic.output.weight)
    with torch.no_grad():
        some.critic.output.bias.copy_(torch.eye(CORPUS.vocab.size)[4])
    batch = some.pairs.draw()

    def probability() -> float:
        with torch.no_grad():
            features = some.net(batch.inputs, some.net.encode(*batch.sources))[batch.inside]
            return float(torch.softmax(some.net.output(features), -1)[:, 4].mean())

    before = probability()
    for _ in range(5):
        some.step(batch, actor=True)
    assert probability() > before


def test_padding_gives_no_gradient() -> None:
    found = []
    for wide in (0, 2):
        some = double(players(5, extra=0))
        batch, pad = some.pairs.draw(), CORPUS.vocab.pad
        tokens = some.sampled(batch)
        wider_tokens, targets = (nn.functional.pad(ids, (0, wide), value=pad) for ids in (tokens, batch.targets))
        some.sampled = lambda *a, t=wider_tokens: t  # type: ignore[method-assign]
        wider = Batch(shifted(targets, CORPUS.vocab.bos), targets, targets != pad, batch.sources)
        some.step(wider, actor=True)
        found.append((copied(some.net), copied(some.critic)))
    for left, right in zip(*found, strict=True):
        for name in left:
            torch.testing.assert_close(left[name], right[name], rtol=0, atol=1e-9)


def test_samples_are_the_delayed_actors() -> None:
    """Another actor with an equal delayed copy draws the same; another copy draws something else."""
    some, other, third = players(3), players(3), players(3)
    initialise(other.net, "uniform", 1.0, torch.Generator().manual_seed(fresh_seed()))
    initialise(third.slow_net, "uniform", 1.0, torch.Generator().manual_seed(fresh_seed()))
    drawn = [one.sampled(one.pairs.draw()) for one in (some, other, third)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_outputs_are_little_longer_than_the_targets() -> None:
    some = players(0, extra=1)
    batch = some.pairs.draw()
    assert some.sampled(batch).shape[1] <= batch.targets.shape[1] + 1
