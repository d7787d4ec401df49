"""The Transformer encoder-decoder: against the library's own decoder, and what every encoder-decoder promises."""

from __future__ import annotations

import pytest
import torch

from baselines.nets.encoder_decoder import TransformerSeq2Seq, initialise
from tests import nets

pytest.importorskip("transformers")
pytestmark = pytest.mark.slow  # the library alone takes seconds to import


def make(dropout: float) -> TransformerSeq2Seq:
    return TransformerSeq2Seq(nets.SOURCES, nets.VOCAB, nets.WIDE + 5, nets.TIME, 12, 2, 2, dropout)


@pytest.mark.parametrize("check", nets.ATTENTIVE, ids=lambda check: check.__name__)
def test_promises(check):
    check(make)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_decoder_is_the_librarys(dropout):
    rng = nets.stream()
    net = nets.rough(make(dropout), rng)
    inputs, (batch, lengths) = nets.some_inputs(rng), nets.some_sources(rng)
    inside = (torch.arange(nets.WIDE) < lengths[:, None]).long()
    with torch.no_grad():
        found = net(inputs, net.encode(batch, lengths))
        read = net.bart.encoder(inputs_embeds=net.source_embedding(batch), attention_mask=inside).last_hidden_state
        expected = net.bart.decoder(
            inputs_embeds=net.embed(inputs),
            encoder_hidden_states=read,
            encoder_attention_mask=inside,
            use_cache=False,
        ).last_hidden_state
    nets.close(found, expected)


def test_dropout_is_where_bart_has_it():
    """With all of it dropped but what a layer passes on, nothing but norms is left."""
    net = nets.rough(make(0.5), nets.stream()).train()
    layer = net.bart.decoder.layers[0]
    assert (net._rate(layer.self_attn), net._rate(layer.encoder_attn), layer.dropout) == (0.5, 0.5, 0.5)
    assert net._rate(net.eval().bart.decoder.layers[0].self_attn) == 0.0
    batch, lengths = nets.some_sources(nets.stream())
    torch.manual_seed(1)
    net.train()
    first, second = (net(nets.some_inputs(nets.stream()), net.encode(batch, lengths)) for _ in range(2))
    assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize("scheme", ["normal", "uniform", "glorot"])
def test_first_weights_are_those_of_a_seed(scheme):
    both = [make(0.0) for _ in range(2)]
    for i, net in enumerate(both):
        torch.manual_seed(i)
        initialise(net, scheme, 0.02, torch.Generator().manual_seed(3))
    for (name, one), other in zip(both[0].named_parameters(), both[1].parameters(), strict=True):
        assert torch.equal(one, other)
        weight = one.detach()
        if weight.dim() == 1:
            assert set(weight.tolist()) == {1.0 if "norm" in name and name.endswith("weight") else 0.0}
            continue
        std = {"normal": 0.02, "uniform": 0.02 / 3**0.5}.get(scheme, (2 / sum(weight.shape)) ** 0.5)
        if scheme == "glorot" and ("embed" in name or name == "output.weight"):
            std = 12**-0.5
        assert float(weight.std()) == pytest.approx(std, rel=0.35)


def test_no_word_embedding_of_the_librarys_is_left():
    names = {name for name, _ in make(0.0).named_parameters()}
    assert not [name for name in names if "shared" in name or "embed_tokens" in name]
