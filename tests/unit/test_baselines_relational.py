"""The relational memory against its equations, and as a language model."""

from __future__ import annotations

import pytest
import torch

from baselines.nets.base import pick
from baselines.nets.relational import RelationalLanguageModel, initialise
from tests.fresh import fresh_seed

VOCAB = 11
SIZES = [(1, 2, 4, None), (3, 2, 4, 5), (2, 1, 3, 2)]


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(fresh_seed())


def drawn(sizes: tuple[int, int, int, int | None], rng: torch.Generator) -> RelationalLanguageModel:
    """A network with no weight at a value that would hide a mistake."""
    net = RelationalLanguageModel(VOCAB, 6, *sizes).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * 0.7)
    return net.eval()


def norm(x: torch.Tensor, layer: torch.nn.LayerNorm) -> torch.Tensor:
    return (x - x.mean()) / (x.var(unbiased=False) + layer.eps).sqrt() * layer.weight + layer.bias


def reference_step(net: RelationalLanguageModel, token: int, memory: torch.Tensor) -> torch.Tensor:
    """Santoro et al. (2018), equations 1 to 7, one item, slot by slot and head by head, all rows of [memory; input]."""
    core = net.core
    x = core.project.weight @ net.embedding.weight[token] + core.project.bias
    rows = [*memory, x]
    parts = [norm(core.attend.weight @ row, core.attend_norm) for row in rows]
    keys = core.heads * core.key_size
    after = []
    for i, slot in enumerate(memory):
        heads = []
        for head in range(core.heads):
            k = slice(head * core.key_size, (head + 1) * core.key_size)
            v = slice(keys + head * core.head_size, keys + (head + 1) * core.head_size)
            q = slice(keys + core.size + head * core.key_size, keys + core.size + (head + 1) * core.key_size)
            scores = torch.stack([parts[i][q] @ part[k] for part in parts]) / core.key_size**0.5
            weights = scores.exp() / scores.exp().sum()
            heads.append(sum(w * part[v] for w, part in zip(weights, parts, strict=True)))
        changed = norm(slot + torch.cat(heads), core.skip_norm)
        inner = torch.relu(core.mlp[0].weight @ changed + core.mlp[0].bias)
        changed = norm(changed + core.mlp[2].weight @ inner + core.mlp[2].bias, core.mlp_norm)
        gates = core.input_gates.weight @ x + core.memory_gates.weight @ torch.tanh(slot)
        write, keep = gates.chunk(2)
        after.append(torch.sigmoid(write) * torch.tanh(changed) + torch.sigmoid(keep + 1) * slot)
    return torch.stack(after)


@pytest.mark.parametrize("sizes", SIZES)
def test_a_step_is_the_papers_equations(sizes: tuple[int, int, int, int | None], rng: torch.Generator) -> None:
    net = drawn(sizes, rng)
    memory = torch.randn(4, sizes[0], net.core.size, generator=rng, dtype=torch.float64)
    tokens = torch.randint(VOCAB + 2, (4,), generator=rng)
    with torch.no_grad():
        features, (after,) = net.step(tokens, (memory,))
        for row in range(4):
            expected = reference_step(net, int(tokens[row]), memory[row])
            assert torch.allclose(after[row], expected, atol=1e-10)
            assert torch.allclose(features[row], expected.flatten(), atol=1e-10)


@pytest.mark.parametrize("sizes", SIZES)
def test_steps_are_teacher_forcing_with_and_without_the_table(
    sizes: tuple[int, int, int, int | None], rng: torch.Generator
) -> None:
    net = drawn(sizes, rng)
    inputs = torch.randint(VOCAB + 2, (5, 7), generator=rng)
    with torch.no_grad():
        whole = net(inputs)
        features, states = net.states(inputs, ())
        with net.fixed_weights():
            fast, _ = net.states(inputs, ())
        assert torch.allclose(whole, features, atol=1e-10)
        assert torch.allclose(whole, fast, atol=1e-10)
        assert states[0].shape == (7, 5, sizes[0], net.core.size)
        rows = torch.tensor([3, 0, 0])  # a state's rows can be picked and repeated, and go on alone
        state = pick(tuple(part[3] for part in states), rows)
        assert torch.allclose(net.step(inputs[rows, 4], state)[0], whole[rows, 4], atol=1e-10)


def test_the_table_is_forgotten_when_weights_may_change(rng: torch.Generator) -> None:
    net = drawn(SIZES[0], rng)
    tokens, state = torch.tensor([1, 2]), net.initial_state(2)
    with torch.no_grad(), net.fixed_weights():
        pass
    with torch.no_grad():
        net.embedding.weight.add_(1.0)
        assert torch.allclose(net.step(tokens, state)[0], net(tokens.unsqueeze(1))[:, 0])
    with net.fixed_weights():  # and where a gradient is wanted the weights themselves are used
        net.step(tokens, state)[0].sum().backward()
    assert net.embedding.weight.grad is not None


def test_a_step_reads_no_later_token_and_slots_start_apart(rng: torch.Generator) -> None:
    net = drawn(SIZES[1], rng)
    inputs = torch.randint(VOCAB, (3, 6), generator=rng)
    other = inputs.clone()
    other[:, 4] = (other[:, 4] + 1) % VOCAB
    with torch.no_grad():
        before, after = net(inputs), net(other)
    assert torch.equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).any(2).all()
    first = net.core.zeros(2)
    assert torch.equal(first[0], torch.eye(3, 8, dtype=torch.float64))


def test_first_weights_come_from_the_stream_alone() -> None:
    nets = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        net = RelationalLanguageModel(VOCAB, 6, 1, 2, 4)
        initialise(net, torch.Generator().manual_seed(3))
        nets.append(net)
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one, other)
    assert nets[0].embedding.weight.abs().max() <= 2 * VOCAB**-0.5
    assert torch.equal(nets[0].core.attend_norm.weight, torch.ones(24))
    assert nets[0].output.weight.std() > 0.1
