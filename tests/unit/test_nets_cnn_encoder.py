"""The convolutional attentive encoder: against plain formulas, and what every encoder-decoder promises."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.nets.cnn_encoder import ConvSeq2Seq
from tests import nets


def make(
    dropout: float,
    input_feeding: bool = False,
    layers: int = 1,
    tied: bool = False,
    window: int = 5,
    scale_scores: bool = False,
):
    places = nets.WIDE  # wider padding has no places of its own
    sizes = (12, 11, layers, dropout, tied, window, 12, input_feeding, scale_scores)
    return ConvSeq2Seq(nets.SOURCES, nets.VOCAB, places, *sizes)


@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("check", nets.ATTENTIVE, ids=lambda check: check.__name__)
def test_promises(check, input_feeding):
    check(lambda dropout: make(dropout, input_feeding))


@pytest.mark.parametrize("window", [1, 4])
def test_other_windows_and_two_layers(window):
    for check in (nets.check_steps, nets.check_gradients, nets.check_padding):
        check(lambda dropout: make(dropout, True, 2, True, window))


def key(net: ConvSeq2Seq, placed: Tensor, place: int, window: int) -> Tensor:
    """The convolution at one place, zeros beyond both ends."""
    before, total = (window - 1) // 2, 0.0
    for i in range(window):
        other = place - before + i
        if 0 <= other < len(placed):
            total = total + net.convolution.weight[:, 12 * i : 12 * (i + 1)] @ placed[other]
    return total


@pytest.mark.parametrize(("window", "scale"), [(5, 1.0), (4, 1.0), (5, 12**-0.5)])
def test_it_is_what_the_formulas_say(window, scale):
    rng = nets.stream()
    net = nets.rough(make(0.3, True, window=window, scale_scores=scale != 1), rng)
    inputs, (batch, lengths) = nets.some_inputs(rng), nets.some_sources(rng)
    cell = torch.nn.LSTMCell(24, 11).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in net.lstm.state_dict().items()})
    with torch.no_grad():
        found = net(inputs, net.encode(batch, lengths))
        for row in range(nets.ROWS):
            words = net.source_embedding(batch[row, : lengths[row]])
            placed = words + net.place_embedding.weight[: len(words)]
            keys = torch.stack([key(net, placed, place, window) for place in range(len(words))])
            h = c = torch.zeros(1, 11, dtype=torch.float64)
            for t, y in enumerate(net.embedding(inputs[row])):
                weights = (scale * keys @ (net.query.weight @ h[0])).softmax(0)
                context = weights @ words
                h, c = cell(torch.cat([y, context])[None], (h, c))
                nets.close(found[row, t], torch.tanh(net.readout(torch.cat([h[0], context]))))
