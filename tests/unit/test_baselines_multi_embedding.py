"""RelGAN's discriminator against convolutions written out, and what it must not see."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from baselines.nets.multi_embedding import MultiEmbeddingDiscriminator
from tests.fresh import fresh_seed

VOCAB, TIME = 9, 7


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(fresh_seed())


def drawn(rng: torch.Generator, embedding: int = 6, representations: int = 3) -> MultiEmbeddingDiscriminator:
    net = MultiEmbeddingDiscriminator(VOCAB, embedding, representations, (2, 3), (4, 5), 3, 0.25).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * 0.7)
    return net.eval()


def reference(net: MultiEmbeddingDiscriminator, tokens: list[int]) -> list[float]:
    """One sequence, representation by representation, filter by filter, window by window."""
    each = net.embedding.shape[1] // net.representations
    odds = []
    for view in range(net.representations):
        rows = [net.embedding[token, view * each : (view + 1) * each] for token in tokens]
        rows += [torch.zeros(each, dtype=torch.float64)] * (max(net.widths) - len(rows))
        features = []
        for width, weight in zip(net.widths, net.weights, strict=True):
            starts = range(max(1, len(tokens) - width + 1))
            scores = torch.stack([torch.cat(rows[s : s + width]) @ weight for s in starts])
            features.append(scores.max(0).values)
        x = F.relu(torch.cat(features) + net.bias)
        change, gate = net.highway.both(x).chunk(2)
        gate = torch.sigmoid(gate)
        x = gate * F.relu(change) + (1 - gate) * x
        odds.append(float(net.output(net.readout(x))))
    return odds


@pytest.mark.parametrize(("embedding", "representations"), [(6, 3), (4, 4), (5, 1)])
def test_log_odds_are_those_of_the_network_written_out(
    embedding: int, representations: int, rng: torch.Generator
) -> None:
    net = drawn(rng, embedding, representations)
    lengths = torch.tensor([7, 1, 2, 3, 5])
    tokens = torch.randint(VOCAB, (5, TIME), generator=rng)
    with torch.no_grad():
        odds = net(tokens, lengths)
        for row, length in enumerate(lengths.tolist()):
            assert odds[row].tolist() == pytest.approx(reference(net, tokens[row, :length].tolist()), abs=1e-9)


def test_tokens_and_their_one_hot_weights_are_judged_alike(rng: torch.Generator) -> None:
    net, tokens = drawn(rng), torch.randint(VOCAB, (4, TIME), generator=rng)
    lengths = torch.randint(1, TIME + 1, (4,), generator=rng)
    with torch.no_grad():
        assert torch.allclose(net(tokens, lengths), net(F.one_hot(tokens, VOCAB).double(), lengths), atol=1e-12)


def test_what_stands_behind_the_end_counts_for_nothing(rng: torch.Generator) -> None:
    net, lengths = drawn(rng), torch.tensor([2, 4, 6])
    tokens = torch.randint(VOCAB, (3, TIME), generator=rng)
    inside = torch.arange(TIME) < lengths.unsqueeze(1)
    weights = torch.rand(3, TIME, VOCAB, generator=rng, dtype=torch.float64).requires_grad_()
    net(weights, lengths).sum().backward()
    assert weights.grad is not None
    assert not weights.grad[~inside].any()
    assert weights.grad[inside].any()
    with torch.no_grad():
        expected = net(tokens, lengths)
        for filler in (VOCAB, VOCAB + 1, 0):  # pad, bos, any token
            assert torch.equal(net(tokens.masked_fill(~inside, filler), lengths), expected)
        wider = F.pad(tokens, (0, 5), value=VOCAB + 1)
        assert torch.allclose(net(wider, lengths), expected, atol=1e-12)
        assert torch.allclose(net(tokens[:1, :2], lengths[:1]), expected[:1], atol=1e-12)  # as padded as it need be


def test_representations_must_share_the_embedding_evenly() -> None:
    with pytest.raises(ValueError, match="evenly"):
        MultiEmbeddingDiscriminator(VOCAB, 7, 3, (2,), (2,), 3, 0.0)
