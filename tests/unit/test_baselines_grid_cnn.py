"""The grid CNN against plain convolutions over the grid itself, a pair at a time and without padding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.grid_cnn import Activation, GridCNN
from tests.fresh import fresh_seed

SOURCES, TARGETS = 50, 40  # words; the last of each is padding


def network(activation: Activation = "relu", seed: int = 0, dropout: float = 0.0) -> GridCNN:
    """In float64, with biases that are not 0."""
    rng = torch.Generator().manual_seed(seed)
    tables = [nn.Embedding(size, width) for size, width in ((SOURCES, 5), (TARGETS, 3))]
    sizes = {"filters": (6, 7), "hidden": (8, 4), "max_source": 15, "max_target": 11}
    net = GridCNN(*tables, **sizes, activation=activation, dropout=dropout)
    net.initialise(rng)
    net.double()
    with torch.no_grad():
        for parameter in (net.sources.weight, net.targets.weight):
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter.copy_(torch.randn(parameter.shape, generator=rng) / 5)
    return net


def pairs(seed: int, batch: int = 9) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of every length from 1 to the longest, odd and even."""
    rng = torch.Generator().manual_seed(seed)
    out = []
    for words, longest in ((SOURCES, 15), (TARGETS, 11)):
        lengths = torch.randint(1, longest + 1, (batch,), generator=rng)
        lengths[:3] = torch.tensor([1, longest, 2])[torch.randperm(3, generator=rng)]
        ids = torch.randint(words - 1, (batch, longest), generator=rng)
        ids[torch.arange(longest) >= lengths[:, None]] = words - 1
        out += [ids[:, : int(lengths.max())], lengths]
    return tuple(out)  # type: ignore[return-value]


def plain(net: GridCNN, source: Tensor, target: Tensor, activation: Activation) -> Tensor:
    """One pair, by the book: the grid of concatenated words with a zero word round each sentence, nn.Conv2d, pools."""
    x, y = (F.pad(table(ids), (0, 0, 1, 1)) for table, ids in ((net.sources, source), (net.targets, target)))
    grid = torch.cat([x[:, None].expand(-1, len(y), -1), y[None].expand(len(x), -1, -1)], 2)  # z_ij = [x_i ; y_j]
    first = nn.Conv2d(grid.shape[2], len(net.bias), 3).double()
    act = {"relu": F.relu, "sigmoid": torch.sigmoid}[activation]
    out = torch.func.functional_call(
        first, {"weight": net.weight, "bias": net.bias}, grid.permute(2, 0, 1).unsqueeze(0)
    )
    assert out.shape[2:] == (len(source), len(target))
    out = F.max_pool2d(act(out), 2, ceil_mode=True)
    out = F.max_pool2d(act(net.second(out)), 2, ceil_mode=True)
    corner = out.new_zeros(1, out.shape[1], 4, 3)  # 15 words and 11, halved twice
    corner[:, :, : out.shape[2], : out.shape[3]] = out
    hidden = F.relu(net.flat(corner.flatten(1)))
    return net.output(F.relu(net.inner(hidden))).squeeze()


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_values_and_gradients_are_those_of_plain_convolutions_over_the_grid(activation: Activation) -> None:
    net, other = (network(activation, fresh_seed()) for _ in range(2))
    sources, source_lengths, targets, target_lengths = pairs(fresh_seed())
    ours = net(sources, source_lengths, targets, target_lengths)
    theirs = torch.stack(
        [
            plain(other, source[:n], target[:m], activation)
            for source, n, target, m in zip(sources, source_lengths, targets, target_lengths, strict=True)
        ]
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    weights = torch.linspace(-1, 1, len(ours)).double()
    (ours @ weights).backward()
    (theirs @ weights).backward()
    for (name, mine), reference in zip(net.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, reference.grad, rtol=1e-8, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_padding_and_neighbours_have_no_influence(activation: Activation) -> None:
    net = network(activation, fresh_seed())
    sources, source_lengths, targets, target_lengths = pairs(fresh_seed())
    whole = net(sources, source_lengths, targets, target_lengths)
    rng = torch.Generator().manual_seed(fresh_seed())
    for i in range(len(sources)):
        n, m = int(source_lengths[i]), int(target_lengths[i])
        wide_source, wide_target = torch.randint(SOURCES, (1, 15), generator=rng), torch.randint(TARGETS, (1, 11))
        wide_source[0, :n], wide_target[0, :m] = sources[i, :n], targets[i, :m]  # words, not padding, behind the end
        alone = net(wide_source, source_lengths[i : i + 1], wide_target, target_lengths[i : i + 1])
        torch.testing.assert_close(alone[0], whole[i], rtol=1e-10, atol=1e-10)


def test_padding_gets_no_gradient_and_every_gradient_is_finite() -> None:
    for activation in ("relu", "sigmoid"):
        net = network(activation, fresh_seed())  # type: ignore[arg-type]
        net(*pairs(fresh_seed())).sum().backward()
        for name, parameter in net.named_parameters():
            assert parameter.grad.isfinite().all(), name
        assert (net.sources.weight.grad[-1] == 0).all()
        assert (net.targets.weight.grad[-1] == 0).all()


def test_an_empty_source_is_one_padding_word() -> None:
    net = network()
    sources, target = torch.full((1, 1), SOURCES - 1), torch.tensor([[3, 4]])
    empty = net(sources, torch.tensor([0]), target, torch.tensor([2]))
    assert empty.isfinite().all()
    torch.testing.assert_close(empty, net(sources, torch.tensor([1]), target, torch.tensor([2])))


def test_a_source_read_once_serves_several_targets() -> None:
    net = network(dropout=0.5).eval()
    sources, source_lengths, targets, target_lengths = pairs(fresh_seed())
    read = net.read_sources(sources, source_lengths)
    for turn in (targets, targets.flip(0)):
        lengths = target_lengths if turn is targets else target_lengths.flip(0)
        torch.testing.assert_close(
            net.judge(read, source_lengths, turn, lengths), net(sources, source_lengths, turn, lengths)
        )


def test_equal_seeds_give_equal_networks() -> None:
    first, second, other = network(seed=1), network(seed=1), network(seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.weight, other.weight)
