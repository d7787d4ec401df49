"""The attention weights that networks tell: those their features were made with, and nothing on padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.nets.attention import AttentionSeq2Seq
from baselines.nets.base import AutoregressiveNet
from baselines.nets.dual_attention import DualAttention
from baselines.nets.lstm import LSTMLanguageModel
from tests.nets import SOURCES, TIME, VOCAB, WIDE, close, rough, some_inputs, some_sources, stream

SIZES = {"layers": 2, "encoder": 3, "attention": 4, "readout": 5}
NETS = {
    f"{cell}-{'input feeding' if feeding else 'parallel'}": lambda cell=cell, feeding=feeding: AttentionSeq2Seq(
        SOURCES, VOCAB, 4, 6, dropout=0.3, input_feeding=feeding, cell=cell, **SIZES
    )
    for cell in ("lstm", "gru")
    for feeding in (False, True)
} | {"dual": lambda: DualAttention(SOURCES, VOCAB, TIME, 4, 6, dropout=0.3, **SIZES)}


@pytest.fixture(params=NETS)
def net(request: pytest.FixtureRequest) -> AutoregressiveNet:
    return rough(NETS[request.param](), stream())


@torch.no_grad()
def test_weights_sum_to_one_over_the_source_and_are_those_of_each_step(net: AutoregressiveNet) -> None:
    rng = stream()
    (batch, lengths), inputs = some_sources(rng), some_inputs(rng)
    memory = net.encode(batch, lengths)
    weights = net.alignments(inputs, memory)
    assert weights is not None
    assert weights.shape == (len(inputs), TIME, WIDE)
    close(weights.sum(2), torch.ones_like(weights[:, :, 0]))
    assert (weights[(torch.arange(WIDE) >= lengths[:, None])[:, None].expand_as(weights)] == 0).all()
    assert weights[0].std(0).max() > 1e-6  # they depend on what was said
    state = net.initial_state(len(inputs), memory)
    for time, tokens in enumerate(inputs.unbind(1)):
        expected, after = net.step(tokens, state, memory)
        found = net.step_with_weights(tokens, state, memory)
        assert found is not None
        features, state, seen = found
        close(features, expected)
        assert all(torch.equal(a, b) for a, b in zip(state, after, strict=True))
        close(seen, weights[:, time])
    other = torch.randint(SOURCES, batch.shape, generator=rng)
    garbage = torch.where(torch.arange(WIDE) >= lengths[:, None], other, batch)
    again = net.alignments(inputs, net.encode(garbage, lengths))
    assert again is not None
    close(again, weights)


@pytest.mark.parametrize("feeding", [False, True])
@torch.no_grad()
def test_features_are_made_of_the_annotations_so_weighted(feeding: bool) -> None:
    """By hand, from Bahdanau et al.: the context is the weighted mean of the annotations."""
    net = rough(NETS[f"lstm-{'input feeding' if feeding else 'parallel'}"](), stream())
    rng = stream()
    memory, inputs = net.encode(*some_sources(rng)), some_inputs(rng)
    weights = net.alignments(inputs, memory)
    features, states = net.states(inputs, memory)
    assert weights is not None
    hidden: Tensor = states[-2].transpose(0, 1)
    close(features, torch.tanh(net.readout(torch.cat([hidden, weights @ memory[0]], -1))))


@torch.no_grad()
def test_nothing_is_kept_where_nobody_asked(net: AutoregressiveNet) -> None:
    rng = stream()
    memory, inputs = net.encode(*some_sources(rng)), some_inputs(rng)
    before = net(inputs, memory)
    net.alignments(inputs, memory)
    assert net._notes is None
    assert torch.equal(net(inputs, memory), before)


def test_a_network_without_a_source_has_none() -> None:
    net = LSTMLanguageModel(VOCAB, 4, 6).eval()
    assert net.alignments(some_inputs(stream()), ()) is None
    assert net.step_with_weights(torch.zeros(2, dtype=torch.int64), net.initial_state(2), ()) is None
