"""Soft and straight-through sentences, the networks with a latent code, and the kernel's discrepancy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.base import NotTractable
from baselines.decoding import Limits
from baselines.nets.lstm import initialise
from baselines.nets.lstm_discriminator import LSTMDiscriminator
from baselines.nets.soft_cnn import TanhFeatures
from baselines.nets.z_lstm import Autoencoder, LatentLSTM, draw_latent
from baselines.training.gumbel import gumbel_softmax, straight_through
from baselines.training.latent import LatentGenerator
from baselines.training.matching import squared_mmd
from baselines.training.relaxed import mix, unroll
from tests.fresh import fresh_seed
from tests.toys import free_corpus

VOCAB, LATENT = 9, 3
PAD = VOCAB + 1


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(fresh_seed())


def latent_lstm(rng: torch.Generator, tied: bool = False, layers: int = 1) -> LatentLSTM:
    net = LatentLSTM(VOCAB, LATENT, 6, 6, layers, tied=tied)
    initialise(net, "uniform", 1.0, rng)
    return net


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_stepping_equals_teacher_forcing_and_reading_embeddings(rng: torch.Generator, tied: bool, layers: int) -> None:
    net = latent_lstm(rng, tied, layers)
    z = torch.randn(4, LATENT, generator=rng)
    inputs = torch.cat([torch.full((4, 1), VOCAB), torch.randint(VOCAB, (4, 5), generator=rng)], 1)
    whole = net(inputs, (z,))
    states = [net.initial_state(4, (z,))] * 3
    for time, token in enumerate(inputs.unbind(1)):
        stepped, states[0] = net.step(token, states[0], (z,))
        with net.fixed_weights(), torch.no_grad():
            fast, states[1] = net.step(token, states[1], (z,))
        if time == 0:
            states[2] = states[0]
        else:
            read, states[2] = net.read(net.table()[token], states[2])
            assert torch.allclose(read, whole[:, time], atol=1e-5)
        assert torch.allclose(stepped, whole[:, time], atol=1e-5)
        assert torch.allclose(fast, whole[:, time], atol=1e-5)


def test_the_code_is_heard_at_every_step(rng: torch.Generator) -> None:
    """Also apart from the first state: with the same state another code says something else."""
    net = latent_lstm(rng)
    token = torch.zeros(2, dtype=torch.long)
    first, second = (net.initial_state(2, (torch.randn(2, LATENT, generator=rng),)) for _ in range(2))
    assert not torch.allclose(first[0], second[0])
    mixed = (*first[:-1], second[-1])
    assert not torch.allclose(net.step(token, first, ())[0], net.step(token, mixed, ())[0])


@pytest.mark.parametrize("words", ["sample", "argmax"])
def test_a_generator_draws_its_codes(rng: torch.Generator, words: str) -> None:
    corpus = free_corpus(20)
    net = LatentLSTM(corpus.vocab.size, LATENT, 6, 6)
    initialise(net, "uniform", 1.0, rng)
    generator = LatentGenerator(net, corpus, "uniform", words)
    texts = [generator.sample(50, temperature=t, rng=torch.Generator().manual_seed(3)) for t in (1.0, 1.0, 1e-4)]
    assert np.array_equal(texts[0].flat, texts[1].flat)
    assert len({tuple(texts[0][i]) for i in range(50)}) > 3
    if words == "argmax":  # a code shrunk to nothing: one text
        assert len({tuple(texts[2][i]) for i in range(50)}) == 1
    with pytest.raises(NotTractable, match="latent code"):
        generator.token_log_probs(corpus.splits["valid"].targets)


def test_codes_of_texts_have_the_law_of_the_prior(rng: torch.Generator) -> None:
    encoder = TanhFeatures(VOCAB + 2, PAD, 5, (2, 3), (8, 8), variable_length=True)
    encoder.initialise(rng)
    net = Autoencoder(encoder, latent_lstm(rng), "uniform")
    ids = torch.randint(VOCAB, (400, 6), generator=rng)
    (codes,) = net.train().encode(ids, torch.full((400,), 6))
    assert codes.abs().max() < 1
    assert codes.mean(0).abs().max() < 0.15
    assert (codes.var(0) - 1 / 3).abs().max() < 0.1
    (alone,) = net.encode(ids[:1], torch.tensor([6]))
    assert alone.isfinite().all()
    assert draw_latent(1000, 2, "uniform", rng).abs().max() <= 1


@pytest.mark.parametrize("tied", [False, True])
def test_a_sharp_soft_argmax_is_the_argmax(rng: torch.Generator, tied: bool) -> None:
    net = latent_lstm(rng, tied)
    z, limits = torch.randn(5, LATENT, generator=rng), Limits(VOCAB, None, 6)
    soft = unroll(net, z, lambda logits: F.softmax(1e12 * logits, 1), limits, PAD, hard=False)  # no two are equal
    inputs = torch.cat([torch.full((5, 1), VOCAB), soft.tokens[:, :-1]], 1)
    assert torch.equal(net.output(net(inputs, (z,))).argmax(2), soft.tokens)
    table = torch.randn(VOCAB, 4, generator=rng)
    assert torch.allclose(soft.embed(table), table[soft.tokens], atol=1e-4)


@pytest.mark.parametrize("hard", [False, True])
def test_after_the_end_nothing_counts(rng: torch.Generator, hard: bool) -> None:
    net, limits, place = latent_lstm(rng), Limits(VOCAB, 0, 5), itertools.count()
    with torch.no_grad():
        net.output.bias[0] = -100.0

    def ending(logits: Tensor) -> Tensor:
        """Row b says `</s>` at place b, and again at every later one."""
        now = torch.arange(len(logits)) <= next(place)
        return F.softmax(3 * logits + 600 * torch.outer(now.float(), torch.eye(VOCAB)[0]), 1)

    written = unroll(net, torch.randn(8, LATENT, generator=rng), ending, limits, PAD, hard=hard)
    assert written.lengths.tolist() == [1, 2, 3, 4, 5, 5, 5, 5]
    for b, tokens in enumerate(written.tokens.tolist()):
        assert 0 not in tokens[:b]
        assert b > 4 or tokens[b:] == [0] + [PAD] * (4 - b)
    embedded = written.embed(torch.randn(VOCAB, 4, generator=rng))
    assert (embedded[~written.inside] == 0).all()
    (gradient,) = torch.autograd.grad(embedded.sum(), written.weights)
    assert (gradient[~written.inside] == 0).all()
    assert (gradient[written.inside] != 0).any()


def test_straight_through_embeddings_equal_a_one_hot_product(rng: torch.Generator) -> None:
    weights = torch.randn(4, 5, VOCAB, generator=rng).softmax(2).requires_grad_()
    tokens = torch.randint(VOCAB, (4, 5), generator=rng)
    table = torch.randn(VOCAB, 3, generator=rng).requires_grad_()
    direction = torch.randn(4, 5, 3, generator=rng)
    fast = mix(weights, tokens, table, hard=True)
    slow = straight_through(weights, tokens) @ table
    assert torch.allclose(fast, slow, atol=1e-6)
    for a, b in zip(
        torch.autograd.grad((fast * direction).sum(), (weights, table)),
        torch.autograd.grad((slow * direction).sum(), (weights, table)),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-5)


def test_hard_gumbel_texts_are_draws_of_the_model(rng: torch.Generator) -> None:
    """The first token's frequencies are softmax(logits), whatever the temperature."""
    net, n = latent_lstm(rng), 20_000
    z = torch.randn(1, LATENT, generator=rng).expand(n, -1)

    def draw(logits: Tensor) -> Tensor:
        return gumbel_softmax(logits, 0.2, torch.rand(logits.shape, generator=rng))

    with torch.no_grad():
        written = unroll(net, z, draw, Limits(VOCAB, None, 1), PAD, hard=True)
        start = net.step(torch.tensor([VOCAB]), net.initial_state(1, (z[:1],)), ())[0]
        expected = net.output(start).softmax(1)[0]
    seen = torch.bincount(written.tokens[:, 0], minlength=VOCAB) / n
    assert ((seen - expected).abs() < 5 * (expected * (1 - expected) / n).sqrt() + 1e-4).all()


def test_mmd_against_a_double_loop(rng: torch.Generator) -> None:
    x, y, sigma = torch.randn(7, 4, generator=rng), 1 + torch.randn(5, 4, generator=rng), 1.7

    def mean(a: Tensor, b: Tensor) -> float:
        terms = [
            float(np.exp(-np.sum((p.double().numpy() - q.double().numpy()) ** 2) / (2 * sigma**2)))
            for p in a
            for q in b
        ]
        return sum(terms) / len(terms)

    expected = mean(x, x) + mean(y, y) - 2 * mean(x, y)
    assert squared_mmd(x, y, sigma).item() == pytest.approx(expected, abs=1e-6)
    assert expected > 0


def test_mmd_is_zero_for_equal_batches_and_never_negative(rng: torch.Generator) -> None:
    for _ in range(20):
        x, y = (torch.randn(6, 3, generator=rng, dtype=torch.float64) for _ in range(2))
        assert squared_mmd(x, x.clone(), 1.0).item() == pytest.approx(0, abs=1e-12)
        assert squared_mmd(x, x[torch.randperm(6, generator=rng)], 1.0).item() == pytest.approx(0, abs=1e-12)
        assert squared_mmd(x, y, 1.0).item() >= -1e-12


def test_features_from_embeddings_equal_those_from_ids(rng: torch.Generator) -> None:
    net = TanhFeatures(VOCAB + 2, PAD, 5, (2, 3, 4), (4, 3, 2), variable_length=True)
    net.initialise(rng)
    ids = torch.randint(VOCAB, (6, 7), generator=rng)
    lengths = torch.tensor([7, 1, 2, 4, 6, 3])
    ids = ids.masked_fill(torch.arange(7) >= lengths[:, None], PAD)
    assert torch.allclose(net(ids), net.pool(net.embedding(ids), lengths), atol=1e-6)
    wider = F.pad(ids, (0, 3), value=PAD)
    assert torch.allclose(net(ids), net(wider), atol=1e-6)
    assert net(ids).abs().max() < 1


def test_the_reader_minds_nothing_after_the_end(rng: torch.Generator) -> None:
    net = LSTMDiscriminator(VOCAB + 2, PAD, 5, 6)
    net.initialise(rng)
    ids = torch.randint(VOCAB, (3, 4), generator=rng)
    ids[1, 2:] = PAD
    scores = net(ids)
    assert torch.allclose(scores, net(F.pad(ids, (0, 2), value=PAD)), atol=1e-6)
    assert torch.allclose(scores[1:2], net(ids[1:2, :2]), atol=1e-6)
    embedded = net.embedding(ids).detach().requires_grad_()
    net.judge(embedded, (ids != PAD).sum(1)).sum().backward()
    assert embedded.grad is not None
    assert (embedded.grad[1, 2:] == 0).all()
    assert (embedded.grad[1, :2] != 0).any()
