"""ScratchGAN's discriminator against its equations, and what it must not see."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from baselines.nets.token_discriminator import TokenDiscriminator, position_signal
from tests.fresh import fresh_seed

VOCAB, TIME, HIDDEN = 9, 7, 4
PAD = VOCAB + 1


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(fresh_seed())


def drawn(rng: torch.Generator, positions: int = 3, dropout: float = 0.0) -> TokenDiscriminator:
    net = TokenDiscriminator(VOCAB + 2, PAD, 5, HIDDEN, positions, 12, dropout).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
    return net.eval()


def reference(net: TokenDiscriminator, tokens: list[int], positions: int) -> list[float]:
    """One sequence, token by token: Ba et al. (2016) for all four gates at once, an LSTM otherwise."""
    h = c = torch.zeros(HIDDEN, dtype=torch.float64)
    odds = []
    for t, token in enumerate(tokens):
        waves = []
        for i in range(positions):
            share = i / (positions - 1)
            period = math.exp(math.log(2) + share * (math.log(12) - math.log(2)))
            waves.append(math.cos(math.pi * (t / period + 2 * share)))
        x = torch.cat([net.embedding.weight[token], torch.tensor(waves, dtype=torch.float64)])
        x = net.project.weight @ x + net.project.bias
        sums = net.lstm.from_inputs.weight @ x + net.lstm.from_hidden.weight @ h
        sums = (sums - sums.mean()) / (sums.var(unbiased=False) + 1e-5).sqrt()
        write, keep, show, candidate = (net.lstm.norm.weight * sums + net.lstm.norm.bias).chunk(4)
        c = torch.sigmoid(keep + 1) * c + torch.sigmoid(write) * torch.tanh(candidate)
        h = torch.sigmoid(show) * torch.tanh(c)
        odds.append(float(net.output.weight @ h + net.output.bias))
    return odds


@pytest.mark.parametrize("positions", [0, 3])
def test_log_odds_are_those_of_the_network_written_out(positions: int, rng: torch.Generator) -> None:
    net = drawn(rng, positions)
    with torch.no_grad():
        tokens = torch.randint(VOCAB, (3, TIME), generator=rng)
        odds = net(tokens)
        for row in range(3):
            assert odds[row].tolist() == pytest.approx(
                reference(net, tokens[row].tolist(), positions), abs=1e-4
            )  # float32 waves


def test_no_token_is_judged_by_a_later_one(rng: torch.Generator) -> None:
    net, tokens = drawn(rng), torch.randint(VOCAB, (4, TIME), generator=rng)
    other = tokens.clone()
    other[:, 3] = (other[:, 3] + 1) % VOCAB
    with torch.no_grad():
        before, after = net(tokens), net(other)
    assert torch.equal(before[:, :3], after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).all(0).any()
    table = F.embedding(tokens, net.embedding.weight.detach()).requires_grad_()
    signal = net.signal[:TIME].expand(4, -1, -1)
    net.output(net.lstm(net.project(torch.cat([table, signal], 2))))[:, 2].sum().backward()
    assert table.grad is not None
    assert not table.grad[:, 3:].any()
    assert table.grad[:, :3].any()


def test_padding_changes_nothing_before_it(rng: torch.Generator) -> None:
    net, tokens = drawn(rng), torch.randint(VOCAB, (4, TIME), generator=rng)
    with torch.no_grad():
        whole = net(tokens)
        assert torch.allclose(net(F.pad(tokens, (0, 4), value=PAD))[:, :TIME], whole, atol=1e-12)
        assert torch.allclose(net(tokens[:2, :4]), whole[:2, :4], atol=1e-12)


def test_dropout_takes_the_same_numbers_of_a_token_wherever_it_stands(rng: torch.Generator) -> None:
    net = drawn(rng, dropout=0.5).train()
    seen: list[torch.Tensor] = []
    net.project.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    net(torch.full((2, 3), 4))
    embedded = seen[0][..., :5]
    assert torch.equal(embedded, embedded[:1, :1].expand(2, 3, -1))
    kept = embedded[0, 0] != 0
    assert torch.allclose(embedded[0, 0][kept], 2 * net.embedding.weight[4][kept])


def test_the_position_signal_tells_places_apart() -> None:
    signal = position_signal(20, 8)
    assert signal.shape == (20, 8)
    distances = torch.cdist(signal, signal) + 10 * torch.eye(20)
    assert distances.min() > 0.2
    assert position_signal(1, 8).isfinite().all()
