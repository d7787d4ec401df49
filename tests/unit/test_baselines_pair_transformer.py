"""The discriminator that reads a pair as one text: what it sees, what it must not see, and its first weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.nets.pair_transformer import PairTransformer
from tests.fresh import fresh_seed

SOURCES, TARGETS, WIDE, LONG = 11, 13, 7, 5
pytestmark = pytest.mark.filterwarnings("ignore:.*enable_nested_tensor")


def net(seed: int = 0, **settings: Any) -> PairTransformer:
    """In float64, every weight far from where it starts."""
    sizes = {"max_source": WIDE, "max_target": LONG, "width": 8, "layers": 2, "heads": 2, **settings}
    made = PairTransformer(SOURCES, TARGETS, **sizes).double().eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64) + 0.1)
    return made


def pairs(rows: int = 6) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Some sources and candidates of all lengths, an empty source too, padded with random ids."""
    rng = torch.Generator().manual_seed(fresh_seed())
    source_lengths = torch.randint(0, WIDE + 1, (rows,), generator=rng)
    target_lengths = torch.randint(1, LONG + 1, (rows,), generator=rng)
    source_lengths[0], source_lengths[1], target_lengths[0], target_lengths[-1] = WIDE, 0, LONG, 1
    sources = torch.randint(SOURCES, (rows, WIDE), generator=rng)
    return sources, source_lengths, torch.randint(TARGETS, (rows, LONG), generator=rng), target_lengths


def by_hand(made: PairTransformer, source: Tensor, target: Tensor) -> Tensor:
    """One pair without padding: every step written out."""
    rows = [made.marks.weight[0] + made.segments.weight[0]]
    rows += [made.sources.weight[i] + made.places.weight[t] + made.segments.weight[0] for t, i in enumerate(source)]
    rows += [made.marks.weight[1] + made.segments.weight[0]]
    rows += [made.targets.weight[i] + made.places.weight[t] + made.segments.weight[1] for t, i in enumerate(target)]
    x = torch.stack(rows)
    for layer in made.layers.layers:
        attention, heads = layer.self_attn, layer.self_attn.num_heads
        y = F.layer_norm(x, x.shape[1:], layer.norm1.weight, layer.norm1.bias)
        parts = (y @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, 1)
        query, key, value = (part.view(len(x), heads, -1).transpose(0, 1) for part in parts)
        weights = (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(-1)
        x = x + attention.out_proj((weights @ value).transpose(0, 1).flatten(1))
        y = F.layer_norm(x, x.shape[1:], layer.norm2.weight, layer.norm2.bias)
        x = x + layer.linear2(F.gelu(layer.linear1(y)))
    last = made.layers.norm
    return made.output(F.layer_norm(x[0], x.shape[1:], last.weight, last.bias))[0]


@pytest.mark.parametrize("training", [False, True])
def test_values_and_gradients_are_those_of_each_pair_alone_written_out(training: bool) -> None:
    made, (sources, source_lengths, targets, target_lengths) = net(fresh_seed()), pairs()
    made.train(training)
    found = made(sources, source_lengths, targets, target_lengths)
    weights = torch.linspace(-1, 2, len(found), dtype=torch.float64)
    gradients = torch.autograd.grad(found @ weights, list(made.parameters()))
    lengths = list(zip(source_lengths.tolist(), target_lengths.tolist(), strict=True))
    alone = torch.stack([by_hand(made, sources[i, :s], targets[i, :t]) for i, (s, t) in enumerate(lengths)])
    torch.testing.assert_close(found, alone, rtol=1e-8, atol=1e-8)
    expected = torch.autograd.grad(alone @ weights, list(made.parameters()))
    for (name, _), ours, theirs in zip(made.named_parameters(), gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8, msg=lambda m, n=name: f"{n}: {m}")
    with torch.no_grad():  # PyTorch has a path of its own for evaluation without gradient
        torch.testing.assert_close(made(sources, source_lengths, targets, target_lengths), alone, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("gradient", [False, True])
def test_padding_and_neighbours_have_no_influence(gradient: bool) -> None:
    made, (sources, source_lengths, targets, target_lengths) = net(fresh_seed()), pairs()
    with torch.set_grad_enabled(gradient):
        found = made(sources, source_lengths, targets, target_lengths)
        outside = torch.arange(WIDE) >= source_lengths[:, None]
        behind = torch.arange(LONG) >= target_lengths[:, None]
        other = sources.where(~outside, (sources + 1) % SOURCES), targets.where(~behind, (targets + 1) % TARGETS)
        again = made(other[0], source_lengths, other[1], target_lengths)
        torch.testing.assert_close(found, again, rtol=1e-12, atol=1e-12)
        for i in range(len(sources)):  # alone, and no wider than it is
            s, t = int(source_lengths[i]), int(target_lengths[i])
            row = slice(i, i + 1)
            alone = made(sources[row, :s], source_lengths[row], targets[row, :t], target_lengths[row])
            torch.testing.assert_close(alone, found[row], rtol=1e-9, atol=1e-9)


def test_it_reads_the_source_its_order_and_which_side_a_word_is_on() -> None:
    made = net(fresh_seed())
    lengths, target = torch.tensor([3]), torch.tensor([[4, 5, 6]])
    plain = made(torch.tensor([[1, 2, 3]]), lengths, target, lengths)
    for sources, targets in (
        (torch.tensor([[1, 2, 4]]), target),
        (torch.tensor([[2, 1, 3]]), target),
        (torch.tensor([[1, 2, 3]]), torch.tensor([[5, 4, 6]])),
        (target, torch.tensor([[1, 2, 3]])),
    ):
        assert (made(sources, lengths, targets, lengths) - plain).abs().item() > 1e-9
    with torch.no_grad():  # with one table for both sides, the segments alone tell them apart
        made.targets.weight[:SOURCES] = made.sources.weight
        same = made(target, lengths, target, lengths)
        made.segments.weight[1] += torch.arange(8)
        assert (made(target, lengths, target, lengths) - same).abs().item() > 1e-9


def test_of_a_text_that_is_too_long_the_beginning_is_read() -> None:
    made = net(max_source=3, max_target=2)
    sources, _, targets, _ = pairs(4)
    wide, long = torch.full((4,), WIDE), torch.full((4,), LONG)
    cut = made(sources[:, :3], torch.full((4,), 3), targets[:, :2], torch.full((4,), 2))
    torch.testing.assert_close(made(sources, wide, targets, long), cut)


def test_first_weights_are_the_seeds_alone() -> None:
    first, second, other = (
        PairTransformer(9, 9, max_source=4, max_target=4, width=8, layers=2, heads=2) for _ in "abc"
    )
    for made, seed in ((first, 1), (second, 1), (other, 2)):
        made.initialise(torch.Generator().manual_seed(seed))
    for (name, a), b, c in zip(first.named_parameters(), second.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b), name
        if a.dim() > 1:
            assert not torch.equal(a, c), name
            assert (a != 0).all(), name
        else:
            assert (a == float("norm" in name and name.endswith("weight"))).all(), name
    bound = (6 / (8 + 8)) ** 0.5  # each third of attention's joint matrix is a matrix of its own
    joint = first.layers.layers[0].self_attn.in_proj_weight
    assert joint.abs().max() <= bound
    assert joint.abs().max() > (6 / (8 + 24)) ** 0.5


def test_dropout_is_for_training() -> None:
    made, given = net(dropout=0.5), pairs()
    assert torch.equal(made(*given), made(*given))
    made.train()
    assert not torch.equal(made(*given), made(*given))
