"""The networks: a single step equals teacher forcing, and padding has no influence."""

from __future__ import annotations

import copy

import pytest
import torch

from baselines.nets.attention import AttentionSeq2Seq
from baselines.nets.base import AutoregressiveNet, Memory, pick
from baselines.nets.lstm import LSTMLanguageModel, initialise
from tests.fresh import fresh_seed

VOCAB, SOURCES = 23, 17


def free_net(layers: int = 1, tied: bool = False, dropout: float = 0.3) -> LSTMLanguageModel:
    return LSTMLanguageModel(VOCAB, 12, 12, layers, dropout, tied)


def conditional_net(
    layers: int = 1, tied: bool = False, input_feeding: bool = False, dropout: float = 0.3
) -> AttentionSeq2Seq:
    sizes = {"encoder": 5, "attention": 7, "readout": 12, "input_feeding": input_feeding}
    return AttentionSeq2Seq(SOURCES, VOCAB, 12, 11, layers, dropout, tied, **sizes)


NETS = [
    pytest.param(kind, {"layers": layers, "tied": tied, **more}, id=f"{kind.__name__}-{layers}-{tied}-{more}")
    for kind, options in ((free_net, [{}]), (conditional_net, [{"input_feeding": False}, {"input_feeding": True}]))
    for layers in (1, 2)
    for tied in (False, True)
    for more in options
]


def drawn(net: AutoregressiveNet, rng: torch.Generator) -> AutoregressiveNet:
    initialise(net, "normal", 0.4, rng)
    return net.eval()


def sources(rng: torch.Generator, batch: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.randint(1, 9, (batch,), generator=rng)
    lengths[0] = 8
    return torch.randint(SOURCES, (batch, 8), generator=rng), lengths


@pytest.fixture
def rng() -> torch.Generator:
    generator = torch.Generator()
    generator.manual_seed(fresh_seed())
    return generator


def memory_of(net: AutoregressiveNet, rng: torch.Generator, batch: int = 6) -> Memory:
    return net.encode(*sources(rng, batch))


@pytest.mark.parametrize(("kind", "options"), NETS)
def test_step_equals_forward(kind, options, rng):
    net = drawn(kind(**options), rng)
    inputs = torch.randint(VOCAB + 2, (6, 7), generator=rng)
    with torch.no_grad():
        memory = memory_of(net, rng)
        forced = net(inputs, memory)
        stepped, states = net.states(inputs, memory)
        with net.fixed_weights():
            tabled, _ = net.states(inputs, memory)
    assert forced.shape == (6, 7, net.output.in_features)
    assert all(state.shape[:2] == (7, 6) for state in states)
    assert torch.allclose(forced, stepped, rtol=0, atol=1e-6)
    assert torch.allclose(forced, tabled, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("kind", "options"), NETS)
def test_step_has_the_gradients_of_forward(kind, options, rng):
    net = drawn(kind(**options), rng)
    inputs, batch = torch.randint(VOCAB + 2, (6, 5), generator=rng), sources(rng)
    inputs[:, 0] = VOCAB  # `bos`: a tied network's own embedding holds `bos` and `pad` alone
    gradients = []
    for run in (net.forward, lambda inputs, memory: net.states(inputs, memory)[0]):
        net.zero_grad()
        net.output(run(inputs, net.encode(*batch))).log_softmax(-1).square().mean().backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in net.named_parameters()})
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], rtol=1e-4, atol=1e-6), name
        assert gradient.abs().sum() > 0, name


def test_fixed_weights_are_read_anew_after_a_change(rng):
    net = drawn(free_net(), rng)
    tokens, state = torch.arange(VOCAB + 2), net.initial_state(VOCAB + 2)
    with torch.no_grad(), net.fixed_weights():
        before = net.step(tokens, state)[0]
    with torch.no_grad():
        net.embedding.weight.mul_(-1)
        with net.fixed_weights():
            after = net.step(tokens, state)[0]
        plain = net.step(tokens, state)[0]
    assert torch.allclose(after, plain, rtol=0, atol=1e-6)
    assert not torch.allclose(before, after, rtol=0, atol=1e-3)


@pytest.mark.parametrize("input_feeding", [False, True])
def test_padding_of_sources_has_no_influence(input_feeding, rng):
    net = drawn(conditional_net(input_feeding=input_feeding), rng)
    batch, lengths = sources(rng)
    inputs = torch.randint(VOCAB + 2, (6, 7), generator=rng)
    garbage = batch.clone()
    garbage[torch.arange(8) >= lengths[:, None]] = int(torch.randint(SOURCES, (), generator=rng))
    wide = torch.cat([batch, torch.randint(SOURCES, (6, 5), generator=rng)], 1)
    with torch.no_grad():
        expected = net(inputs, net.encode(batch, lengths))
        for padded in (garbage, wide):
            assert torch.allclose(net(inputs, net.encode(padded, lengths)), expected, rtol=0, atol=1e-6)
        for row in range(6):
            alone = net.encode(batch[row : row + 1, : lengths[row]], lengths[row : row + 1])
            assert torch.allclose(net(inputs[row : row + 1], alone)[0], expected[row], rtol=0, atol=1e-6)


def test_every_source_token_has_an_influence(rng):
    net = drawn(conditional_net(), rng)
    batch, lengths = sources(rng, 1)
    inputs = torch.randint(VOCAB + 2, (1, 4), generator=rng)
    with torch.no_grad():
        expected = net(inputs, net.encode(batch, lengths))
        for place in range(8):
            changed = batch.clone()
            changed[0, place] = (changed[0, place] + 1) % SOURCES
            assert (net(inputs, net.encode(changed, lengths)) - expected).abs().max() > 1e-6


def test_an_empty_source_gives_finite_features(rng):
    net = drawn(conditional_net(), rng)
    memory = net.encode(torch.full((2, 3), SOURCES - 1), torch.tensor([0, 2]))
    assert net(torch.zeros(2, 4, dtype=torch.int64), memory).isfinite().all()


def test_rows_of_state_and_memory_can_be_picked(rng):
    net = drawn(conditional_net(), rng)
    memory, rows = memory_of(net, rng), torch.tensor([4, 4, 1])
    tokens = torch.randint(VOCAB, (6,), generator=rng)
    with torch.no_grad():
        state = net.initial_state(6, memory)
        whole, _ = net.step(tokens, state, memory)
        part, _ = net.step(tokens[rows], pick(state, rows), pick(memory, rows))
    assert torch.allclose(part, whole[rows], rtol=0, atol=1e-6)


def test_tied_weights_need_equal_sizes():
    with pytest.raises(ValueError, match="tied"):
        LSTMLanguageModel(VOCAB, 8, 12, tied=True)


@pytest.mark.parametrize(("scheme", "deviation"), [("normal", 0.1), ("glorot", 0.1)])
def test_initialise_draws_the_named_distribution(scheme, deviation):
    net = LSTMLanguageModel(2000, 32, 64)
    torch.manual_seed(1)
    initialise(net, scheme, 0.1, torch.Generator().manual_seed(5))
    other = copy.deepcopy(net)
    torch.manual_seed(2)
    initialise(other, scheme, 0.1, torch.Generator().manual_seed(5))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))
    weights = {name: weight.detach() for name, weight in net.named_parameters()}
    expected = {"embedding.weight": deviation, "output.weight": 0.1, "lstm.weight_ih_l0": 0.1}
    if scheme == "glorot":  # variance 2 / (rows + columns), a gate being 64 by 32
        expected |= {"output.weight": 64**-0.5, "lstm.weight_ih_l0": (2 / (64 + 32)) ** 0.5}
    for name, std in expected.items():
        assert abs(float(weights[name].mean())) < 5 * std / weights[name].numel() ** 0.5
        assert float(weights[name].std()) == pytest.approx(std, rel=0.04)
    assert float(weights["lstm.bias_hh_l0"].abs().max()) == 0.0


def test_tied_embeddings_start_at_the_size_of_free_ones():
    net = LSTMLanguageModel(3000, 48, 48, tied=True)
    initialise(net, "glorot", 0.5, torch.Generator().manual_seed(5))
    assert float(net.embed(torch.arange(3002)).detach().std()) == pytest.approx(1.0, rel=0.03)
    assert "embedding.weight" in dict(net.named_parameters())
    assert net.embedding.weight.shape == (2, 48)
