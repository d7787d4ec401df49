"""The discriminator's network against `conv2d`, against a loop over windows, and against itself on rollouts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.nets.cnn import ConvDiscriminator, ConvFeatures
from baselines.nets.cnn_rollouts import rollout_features, rollout_probabilities
from baselines.training.discriminator import DiscriminatorConfig, discriminator_loss
from tests.speed.reference_seqgan import ReferenceDiscriminator

VOCAB, EOS = 11, 0
PAD = VOCAB + 1


def tower(*, variable: bool, widths: tuple[int, ...] = (1, 2, 3, 5), seed: int = 0) -> ConvFeatures:
    counts = tuple(range(3, 3 + len(widths)))
    net = ConvFeatures(VOCAB + 2, PAD, 4, widths, counts, variable_length=variable).double()
    net.initialise(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        net.bias.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(seed + 1))
    return net


def discriminator(*, variable: bool, pairs: bool = False, seed: int = 0) -> ConvDiscriminator:
    source = tower(variable=True, widths=(1, 2), seed=seed + 5) if pairs else None
    net = ConvDiscriminator(tower(variable=variable, seed=seed), source, keep=0.75).double().eval()
    net.highway.initialise(torch.Generator().manual_seed(seed))
    return net


def random_ids(rows: int, time: int, *, variable: bool) -> Tensor:
    ids = torch.randint(VOCAB, (rows, time))
    if variable:
        lengths = torch.randint(1, time + 1, (rows, 1))
        ids = ids.masked_fill(torch.arange(time) >= lengths, PAD)
    return ids


def loop_features(net: ConvFeatures, ids: list[int]) -> Tensor:
    """One sequence without padding, by the definition: windows inside it, or the first one filled up with zeros."""
    parts = []
    rows = net.embedding.weight[ids] if ids else net.embedding.weight.new_zeros(0, 4)
    for width, weight, bias in zip(net.widths, net.weights, net.bias.split(net.counts), strict=True):
        filled = F.pad(rows, (0, 0, 0, max(0, width - len(ids))))
        starts = range(max(1, len(ids) - width + 1))
        scores = torch.stack([filled[s : s + width].flatten() @ weight for s in starts])
        parts.append(F.relu(scores.max(0).values + bias))
    return torch.cat(parts)


@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_equal_conv2d(seed: int) -> None:
    torch.manual_seed(seed)
    net = discriminator(variable=False, seed=seed)
    reference = ReferenceDiscriminator(net).eval()
    ids = torch.randint(VOCAB, (6, 9))
    ids[0] = 3  # all windows equal: the maximum is a tie
    real = (torch.arange(6) % 2).double()
    for logits in (ours := net(ids), theirs := reference(ids)):
        F.binary_cross_entropy_with_logits(logits, real).backward()
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(net.target.embedding.weight.grad, reference.embedding.weight.grad)
    for weight, convolution in zip(net.target.weights, reference.convolutions, strict=True):
        torch.testing.assert_close(weight.grad, convolution.weight.grad.flatten(1).t())
    biases = torch.cat([convolution.bias.grad for convolution in reference.convolutions])
    torch.testing.assert_close(net.target.bias.grad, biases)
    both = torch.cat([reference.change.weight.grad, reference.gate.weight.grad])
    torch.testing.assert_close(net.highway.both.weight.grad, both)
    torch.testing.assert_close(net.output.weight.grad, reference.output.weight.grad)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    net, ids = tower(variable=True), random_ids(3, 6, variable=True)
    embedded, lengths = net.read(ids)
    leaf = embedded.detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: net.responses(x, lengths, 2).amax(1), (leaf,))


def test_only_windows_inside_the_sequence_count() -> None:
    torch.manual_seed(1)
    net, ids = tower(variable=True), random_ids(40, 8, variable=True)
    expected = torch.stack([loop_features(net, [i for i in row if i != PAD]) for row in ids.tolist()])
    torch.testing.assert_close(net(ids), expected)


def test_padding_is_never_counted() -> None:
    torch.manual_seed(2)
    net, ids = discriminator(variable=True, pairs=True), random_ids(10, 7, variable=True)
    sources = random_ids(10, 5, variable=True)
    wider = net(F.pad(ids, (0, 9), value=PAD), F.pad(sources, (0, 4), value=PAD))
    torch.testing.assert_close(net(ids, sources), wider)
    with torch.no_grad():
        assert not net.target.embedding.weight[PAD].any()
    net(ids, sources).sum().backward()
    assert net.target.embedding.weight.grad is not None
    assert not net.target.embedding.weight.grad[PAD].any()


def test_a_pair_is_judged_by_both_sides() -> None:
    torch.manual_seed(3)
    net, ids, sources = (
        discriminator(variable=True, pairs=True),
        random_ids(4, 6, variable=True),
        random_ids(8, 6, variable=True),
    )
    assert not torch.equal(net(ids, sources[:4]), net(ids, sources[4:]))


def test_only_the_output_layer_is_penalised() -> None:
    net = discriminator(variable=False)
    net.penalty().backward()
    assert {name for name, p in net.named_parameters() if p.grad is not None} == {"output.weight", "output.bias"}
    torch.testing.assert_close(net.output.weight.grad, net.output.weight)
    ids, real = torch.randint(VOCAB, (4, 6)), torch.ones(4, dtype=torch.double)
    plain, penalised = (discriminator_loss(net, ids, real, None, l2)[0] for l2 in (0.0, DiscriminatorConfig().l2))
    norm = net.output.weight.square().sum() + net.output.bias.square().sum()
    torch.testing.assert_close(penalised - plain, 0.1 * norm)


def fake_rollouts(ids: Tensor, n: int, *, variable: bool) -> tuple[Tensor, list[Tensor]]:
    """Random completions of every prefix that has one, in the order the network expects."""
    lengths = (ids != PAD).sum(1)
    rows, items = [], []
    for prefix in range(1, ids.shape[1]):
        items.append((lengths > prefix).nonzero().squeeze(1))
        for item in items[-1].tolist():
            for tail in random_ids(n, ids.shape[1] - prefix, variable=variable):
                rows.append(torch.cat([ids[item, :prefix], tail]))
    return torch.stack(rows), items


@pytest.mark.parametrize("variable", [False, True])
@pytest.mark.parametrize(("time", "n"), [(9, 3), (4, 5), (2, 1)])
def test_rollouts_are_scored_as_whole_sequences_are(variable: bool, time: int, n: int) -> None:
    torch.manual_seed(time)
    net, ids = (
        tower(variable=variable, widths=(1, 2, 3, 4) if not variable else (1, 2, 3, 6)),
        random_ids(7, time, variable=variable),
    )
    ids[0] = torch.randint(VOCAB, (time,))
    rollouts, items = fake_rollouts(ids, n, variable=variable)
    torch.testing.assert_close(rollout_features(net, ids, rollouts, items, n), net(rollouts).detach())


def test_rollouts_are_scored_in_parts_that_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    net, ids = tower(variable=True), random_ids(9, 6, variable=True)
    rollouts, items = fake_rollouts(ids, 2, variable=True)
    monkeypatch.setattr("baselines.nets.cnn_rollouts.ROWS", 5)
    torch.testing.assert_close(rollout_features(net, ids, rollouts, items, 2), net(rollouts).detach())


def test_rollouts_of_pairs_keep_their_source() -> None:
    torch.manual_seed(6)
    net, ids, sources = (
        discriminator(variable=True, pairs=True),
        random_ids(6, 5, variable=True),
        random_ids(6, 4, variable=True),
    )
    rollouts, items = fake_rollouts(ids, 3, variable=True)
    rows = torch.cat([chosen.repeat_interleave(3) for chosen in items])
    expected = net(rollouts, sources[rows]).sigmoid().detach()
    torch.testing.assert_close(rollout_probabilities(net, ids, rollouts, items, 3, sources), expected)
