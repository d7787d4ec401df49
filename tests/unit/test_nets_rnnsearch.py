"""RNNSearch of GRUs: the cells against PyTorch's, and what every encoder-decoder promises."""

from __future__ import annotations

import pytest
import torch

from baselines.nets import attention
from baselines.nets.attention import AttentionSeq2Seq, additive_scores
from baselines.nets.gru import GRUStack
from baselines.nets.lstm import initialise
from tests import nets


def make(dropout: float, input_feeding: bool = True, layers: int = 1, tied: bool = False) -> AttentionSeq2Seq:
    sizes = {"encoder": 5, "attention": 7, "readout": 12, "input_feeding": input_feeding, "cell": "gru"}
    return AttentionSeq2Seq(nets.SOURCES, nets.VOCAB, 12, 11, layers, dropout, tied, **sizes)


@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("check", nets.ATTENTIVE, ids=lambda check: check.__name__)
def test_promises(check, input_feeding):
    check(lambda dropout: make(dropout, input_feeding))


@pytest.mark.parametrize("input_feeding", [False, True])
def test_two_layers_with_tied_words(input_feeding):
    for check in (nets.check_steps, nets.check_gradients):
        check(lambda dropout: make(dropout, input_feeding, 2, True))


@pytest.mark.parametrize("layers", [1, 3])
def test_a_step_is_that_of_pytorchs_gru(layers):
    rng = nets.stream()
    stack = GRUStack(6, 5, layers).double()
    start = tuple(torch.randn(4, 5, generator=rng, dtype=torch.float64) for _ in range(layers))
    inputs = torch.randn(4, 7, 6, generator=rng, dtype=torch.float64)
    with torch.no_grad():
        expected, ends = torch.nn.GRU.forward(stack, inputs, torch.stack(start))
        state = start
        for t, x in enumerate(inputs.unbind(1)):
            gates = stack.input_gates(x[:, :2]) + stack.input_gates(x[:, 2:], 2)  # in two parts, the bias once
            state = stack.advance(gates, state)
            nets.close(stack.top(state), expected[:, t])
    nets.close(torch.stack(state), ends)
    nets.close(stack.unroll(inputs, start), expected)


def test_bahdanaus_order_of_attention_and_step():
    """With input feeding the context that the state before found is read with the word."""
    rng = nets.stream()
    net = nets.rough(make(0.3), rng)
    inputs, batch = nets.some_inputs(rng), nets.some_sources(rng)
    cell = torch.nn.GRUCell(12 + 10, 11).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in net.lstm.state_dict().items()})
    with torch.no_grad():
        memory = net.encode(*batch)
        found = net(inputs, memory)
        h = torch.tanh(net.bridge(memory[3]))
        for t, y in enumerate(net.embedding(inputs).unbind(1)):
            context = net.attend(h[:, None], memory)[:, 0]
            h = cell(torch.cat([y, context], 1), h)
            nets.close(found[:, t], torch.tanh(net.readout(torch.cat([h, context], 1))))


@pytest.mark.parametrize(("scheme", "std"), [("glorot", (2 / (64 + 32)) ** 0.5), ("normal", 0.1), ("uniform", 0.0577)])
def test_gates_start_as_matrices_of_their_own_without_a_forget_bias(scheme, std):
    net = AttentionSeq2Seq(9, 9, 32, 64, encoder=64, cell="gru")
    initialise(net, scheme, 0.1, torch.Generator().manual_seed(5))
    weights = {name: weight.detach() for name, weight in net.named_parameters()}
    for name in ("lstm.weight_ih_l0", "encoder.rightward.weight_ih_l0"):
        assert float(weights[name].std()) == pytest.approx(std, rel=0.05)
    biases = [weights[name] for name in weights if "bias_hh" in name or (scheme != "normal" and "bias_ih" in name)]
    assert all(float(bias.abs().max()) == 0.0 for bias in biases)


@pytest.mark.parametrize("time", [0, 1, 6])
@pytest.mark.parametrize("wanted", [False, True], ids=["without gradients", "with"])
def test_attention_looks_at_some_steps_at_a_time(time, wanted, monkeypatch):
    rng = nets.stream()
    queries, keys = (torch.randn(3, n, 5, generator=rng, dtype=torch.float64) for n in (time, 4))
    score = torch.nn.Linear(5, 1, bias=False, dtype=torch.float64)
    expected = torch.einsum("bijd,d->bij", torch.tanh(queries[:, :, None] + keys[:, None]), score.weight[0])
    sizes = []
    score.register_forward_hook(lambda _, given, __: sizes.append(given[0].numel()))
    step = keys.numel()
    for numbers in (0, step, 4 * step, 1000 * step):
        monkeypatch.setattr(attention, "NUMBERS", numbers)
        sizes.clear()
        with torch.set_grad_enabled(wanted):
            nets.close(additive_scores(queries, keys, score), expected)
        assert max(sizes) <= max(numbers, step)
        assert len(sizes) == max(1, -(-time // max(1, numbers // step)))


def learnt_from(net, inputs, batch):
    """Gradients by name, and how many numbers were kept for the backward pass to find them."""
    kept = []
    net.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(lambda x: (kept.append(x.numel()), x)[1], lambda x: x):
        features = net(inputs, net.encode(*batch))
    features.square().sum().backward()
    return {name: value.grad.clone() for name, value in net.named_parameters() if value.grad is not None}, sum(kept)


@pytest.mark.parametrize("input_feeding", [False, True])
def test_what_the_backward_pass_needs_of_attention_is_computed_again_where_it_is_much(input_feeding, monkeypatch):
    """The gradients are the same, and tanh(query + key) of all steps isn't kept."""
    rng = nets.stream()
    net = nets.rough(make(0.0, input_feeding), rng)
    inputs, batch = nets.some_inputs(rng), nets.some_sources(rng)
    whole, kept = learnt_from(net, inputs, batch)
    step = batch[0].numel() * 7
    monkeypatch.setattr(attention, "NUMBERS", 2 * step)
    again, kept_then = learnt_from(net, inputs, batch)
    assert kept - kept_then >= inputs.shape[1] * step
    assert whole.keys() == again.keys()
    for name, gradient in whole.items():
        nets.close(again[name], gradient)
