"""The dual-attention network: against plain formulas, and what every encoder-decoder promises."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.nets.dual_attention import DualAttention
from tests import nets


def make(dropout: float, layers: int = 1, tied: bool = False) -> DualAttention:
    sizes = {"encoder": 5, "attention": 7, "readout": 12}
    return DualAttention(nets.SOURCES, nets.VOCAB, nets.TIME, 12, 11, layers, dropout, tied, **sizes)


@pytest.mark.parametrize("check", nets.ATTENTIVE, ids=lambda check: check.__name__)
def test_promises(check):
    check(make)


def test_steps_of_two_layers_with_tied_words():
    nets.check_steps(lambda dropout: make(dropout, 2, True))
    nets.check_gradients(lambda dropout: make(dropout, 2, True))


def gru(w: dict[str, Tensor], name: str, x: Tensor, h: Tensor) -> Tensor:
    """One step of Cho et al.'s unit, with PyTorch's place of the reset gate."""
    r, z, n = (x @ w[f"{name}.weight_ih_l0"].T + w[f"{name}.bias_ih_l0"]).chunk(3)
    own_r, own_z, own_n = (h @ w[f"{name}.weight_hh_l0"].T + w[f"{name}.bias_hh_l0"]).chunk(3)
    z = torch.sigmoid(z + own_z)
    return (1 - z) * torch.tanh(n + torch.sigmoid(r + own_r) * own_n) + z * h


def reference(net: DualAttention, source: list[int], inputs: list[int]) -> Tensor:
    """One source and target in formulas, token by token: features [time, readout]."""
    w = dict(net.state_dict())
    embedded = w["encoder.embedding.weight"][source]
    right, left, zero = [], [], embedded.new_zeros(5)
    for x in embedded:
        right.append(gru(w, "encoder.rightward", x, right[-1] if right else zero))
    for x in embedded.flip(0):
        left.append(gru(w, "encoder.leftward", x, left[-1] if left else zero))
    plain = [torch.cat(pair) for pair in zip(right, left[::-1], strict=True)]
    annotations = []
    for one in plain:
        weights = torch.stack([other @ (w["among.weight"] @ one) / 10**0.5 for other in plain]).softmax(0)
        around = sum(weight * other for weight, other in zip(weights, plain, strict=True))
        annotations.append(torch.tanh(w["blend.weight"] @ torch.cat([one, around]) + w["blend.bias"]))
    h = torch.tanh(w["bridge.weight"] @ torch.cat([right[-1], left[-1]]) + w["bridge.bias"])
    earlier: list[Tensor] = []
    features = []
    for token in inputs:
        h = gru(w, "lstm", w["embedding.weight"][token], h)
        energies = [w["key.weight"] @ a + w["key.bias"] + w["query.weight"] @ h for a in annotations]
        weights = torch.stack([(w["score.weight"] @ torch.tanh(e)).squeeze() for e in energies]).softmax(0)
        context = sum(weight * a for weight, a in zip(weights, annotations, strict=True))
        back = torch.zeros_like(h)
        if earlier:
            scores = torch.stack([s @ (w["earlier.weight"] @ h) / 11**0.5 for s in earlier]).softmax(0)
            back = sum(weight * s for weight, s in zip(scores, earlier, strict=True))
        features.append(torch.tanh(w["readout.weight"] @ torch.cat([h, context, back]) + w["readout.bias"]))
        earlier.append(h)
    return torch.stack(features)


def test_it_is_what_the_formulas_say():
    rng = nets.stream()
    net, inputs, (batch, lengths) = nets.rough(make(0.3), rng), nets.some_inputs(rng), nets.some_sources(rng)
    with torch.no_grad():
        found = net(inputs, net.encode(batch, lengths))
        for row in range(nets.ROWS):
            source = batch[row, : lengths[row]].tolist()
            nets.close(found[row], reference(net, source, inputs[row].tolist()))


def test_the_first_step_looks_back_at_nothing():
    rng = nets.stream()
    net = nets.rough(make(0.0), rng)
    memory = net.encode(*nets.some_sources(rng))
    before = net(nets.some_inputs(rng)[:, :1], memory)
    with torch.no_grad():
        net.readout.weight[:, 11 + 10 :] = 0  # the part that reads the earlier states
    nets.close(net(nets.some_inputs(rng)[:, :1], memory), before)
