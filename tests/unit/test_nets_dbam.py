"""The network with an attention layer for each half of the source, and what every encoder-decoder promises."""

from __future__ import annotations

import math

import pytest
import torch

from baselines.nets.dbam import DBAM, sinusoids
from tests import nets


def make(dropout: float, layers: int = 1, tied: bool = False) -> DBAM:
    sizes = {"encoder": 5, "attention": 7, "readout": 12}
    return DBAM(nets.SOURCES, nets.VOCAB, 12, 11, layers, dropout, tied, **sizes)


@pytest.mark.parametrize("check", nets.ATTENTIVE, ids=lambda check: check.__name__)
def test_promises(check):
    check(make)


def test_two_layers_with_tied_words():
    for check in (nets.check_steps, nets.check_gradients, nets.check_padding):
        check(lambda dropout: make(dropout, 2, True))


def test_each_half_is_read_by_its_own_attention():
    rng = nets.stream()
    net = nets.rough(make(0.3), rng)
    inputs, (batch, lengths) = nets.some_inputs(rng), nets.some_sources(rng)
    with torch.no_grad():
        memory = net.encode(batch, lengths)
        annotations, _ = net.encoder(batch, lengths)
        hidden = net.lstm.unroll(net.embedding(inputs), net.initial_state(nets.ROWS, memory))
        found, told = net.attend(hidden, memory), net.alignments(inputs, memory)
        for row, length in enumerate(lengths.tolist()):
            middle = math.ceil(length / 2)
            for half, part, columns in ((net.first, slice(0, middle), 0), (net.second, slice(middle, length), 10)):
                own = annotations[row, part]
                for t, h in enumerate(hidden[row]):
                    energies = [half.score(torch.tanh(half.key(a) + half.query(h))) for a in own]
                    # a source of one word has no second half
                    weights = torch.cat(energies).softmax(0) if energies else torch.zeros(0, dtype=torch.float64)
                    nets.close(found[row, t, columns : columns + 10], weights @ own)
                    share = 0.5 if length > 1 else 1.0  # of the weights told of the source as a whole
                    nets.close(told[row, t, part], share * weights)


def test_places_are_told_apart():
    rng = nets.stream()
    net = nets.rough(make(0.0), rng)
    same = torch.full((1, 6), 3)
    plain = net.encoder.embedding(same)
    with torch.no_grad():
        added = net.encoder.embed(same) - plain
    for place in range(6):
        for column in range(12):
            angle = place / 10_000 ** (2 * (column // 2) / 12)
            expected = math.sin(angle) if column % 2 == 0 else math.cos(angle)
            assert float(added[0, place, column]) == pytest.approx(expected, abs=1e-6)
    assert sinusoids(4, torch.zeros(1, 5)).shape == (4, 5)
