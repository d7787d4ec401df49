"""The encoder-decoder without attention: against cells of PyTorch, and what every encoder-decoder promises."""

from __future__ import annotations

import pytest
import torch

from baselines.nets.seq2seq import Seq2Seq
from tests import nets


def make(dropout: float, layers: int = 1, tied: bool = False, reverse_source: bool = True) -> Seq2Seq:
    return Seq2Seq(nets.SOURCES, nets.VOCAB, 12, 11, layers, dropout, tied, 12, reverse_source)


@pytest.mark.parametrize("check", nets.ALL, ids=lambda check: check.__name__)
def test_promises(check):
    check(make)


def test_two_layers_with_tied_words():
    for check in (nets.check_steps, nets.check_gradients, nets.check_padding):
        check(lambda dropout: make(dropout, 2, True, False))


@pytest.mark.parametrize("reverse", [False, True])
def test_the_decoder_goes_on_from_where_the_encoder_ends(reverse):
    rng = nets.stream()
    net = nets.rough(make(0.3, reverse_source=reverse), rng)
    inputs, (batch, lengths) = nets.some_inputs(rng), nets.some_sources(rng)
    read, write = (torch.nn.LSTMCell(12, 11).double() for _ in range(2))
    for cell, stack in ((read, net.encoder), (write, net.lstm)):
        cell.load_state_dict({name.removesuffix("_l0"): value for name, value in stack.state_dict().items()})
    with torch.no_grad():
        found = net(inputs, net.encode(batch, lengths))
        for row in range(nets.ROWS):
            words = batch[row, : lengths[row]]
            h = c = torch.zeros(1, 11, dtype=torch.float64)
            for x in net.source_embedding(words.flip(0) if reverse else words):
                h, c = read(x[None], (h, c))
            for t, y in enumerate(net.embedding(inputs[row])):
                h, c = write(y[None], (h, c))
                nets.close(found[row, t], torch.tanh(net.readout(h))[0])


def test_the_source_is_reversed_within_its_own_length():
    rng = nets.stream()
    net, plain = make(0.0, reverse_source=True).double(), make(0.0, reverse_source=False).double()
    plain.load_state_dict(nets.rough(net, rng).state_dict())
    batch, lengths = nets.some_sources(rng)
    turned = batch.clone()
    for row, length in enumerate(lengths.tolist()):
        turned[row, :length] = batch[row, :length].flip(0)
    for one, other in zip(net.encode(batch, lengths), plain.encode(turned, lengths), strict=True):
        nets.close(one, other)


def test_it_has_no_attention_to_tell_of():
    rng = nets.stream()
    net = nets.rough(make(0.0), rng)
    assert net.alignments(nets.some_inputs(rng), net.encode(*nets.some_sources(rng))) is None
