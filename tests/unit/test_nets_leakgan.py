"""LeakGAN's networks: features of prefixes, steps, likelihood and rollouts are those of the plain equations."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from baselines.training.batches import shifted
from baselines.training.rollout import roll_out, sample_with_states, spread
from tasks.base import Ragged
from tests.leakgan import CORPORA, new_game, sequences
from tests.speed.reference_leakgan import ReferenceJudge, ReferenceLeak, reference_scores
from tests.speed.test_speed_leakgan import new_game as paper_game


@pytest.mark.parametrize("kind", CORPORA)
@pytest.mark.parametrize("highway", [True, False])
def test_features_of_prefixes_are_those_of_the_prefix_alone(kind: str, highway: bool) -> None:
    """All at once, token by token, and by the discriminator's own reading of the cut sequence."""
    corpus = CORPORA[kind]
    widths = {"widths": (1, 2, 4, 6), "filters": (3, 4, 5, 6), "highway": highway}
    game = new_game(corpus, discriminator=widths)
    leak, tokens, pad = game.net.leak, sequences(corpus), corpus.vocab.pad
    found = leak(tokens)
    assert found.shape == (7, tokens.shape[1] + 1, 18)
    reader = copy.deepcopy(game.discriminator)
    reader.target.variable_length = True
    state = leak.begin(7)
    read = torch.full((7,), corpus.vocab.bos)
    for t in range(tokens.shape[1] + 1):
        prefix = torch.where(torch.arange(tokens.shape[1]) < t, tokens, pad)
        alone = reader.highway(reader.target(prefix))
        torch.testing.assert_close(found[:, t], alone, rtol=0, atol=1e-12)
        before = [part.clone() for part in state]
        feature, following = leak.extend(read, state)
        assert all(torch.equal(old, new) for old, new in zip(before, state, strict=True))  # nothing is edited in place
        inside = (tokens != pad).sum(1) >= t  # what a sequence becomes after its end is never asked for
        torch.testing.assert_close(feature[inside], found[inside, t], rtol=0, atol=1e-12)
        state = following
        read = tokens[:, min(t, tokens.shape[1] - 1)]


def test_padded_windows_never_count() -> None:
    """A filter that answers to nothing but zeros would win in every short prefix if padding were a window."""
    game = new_game(CORPORA["fixed"], discriminator={"highway": False})
    with torch.no_grad():
        for weight in game.discriminator.target.weights:
            weight.copy_(-weight.abs())
        game.discriminator.target.embedding.weight.abs_()
        game.discriminator.target.bias.fill_(5.0)
    found = game.net.leak(sequences(CORPORA["fixed"]))
    assert (found[:, 0] == 5).all()  # an empty prefix is its first windows, all zeros
    assert (found[:, 3:, -6:] < 5).all()


@pytest.mark.parametrize("kind", CORPORA)
@pytest.mark.parametrize("settings", [{}, {"readout": 5, "unit_direction": False, "discriminator": {"highway": False}}])
def test_steps_equal_teacher_forcing(kind: str, settings: Mapping[str, Any]) -> None:
    game = new_game(CORPORA[kind], **settings)
    tokens = sequences(CORPORA[kind])
    inputs, net = shifted(tokens, game.corpus.vocab.bos), game.net
    expected, state, parts = net(inputs), net.initial_state(len(tokens)), []
    with torch.no_grad(), net.fixed_weights():
        for token in inputs.unbind(1):
            feature, state = net.step(token, state)
            parts.append(feature)
    inside = tokens != CORPORA[kind].vocab.pad
    torch.testing.assert_close(torch.stack(parts, 1)[inside], expected[inside], rtol=0, atol=1e-12)


def test_likelihood_is_that_of_the_plain_equations() -> None:
    """O_t times W_psi of the last goals, with O_t made; features by conv2d over every padded prefix."""
    corpus = CORPORA["fixed"]
    game = new_game(corpus)
    tokens = sequences(corpus)
    slow = ReferenceLeak(game.net, ReferenceJudge(game.discriminator, 6))
    expected = torch.log_softmax(slow.logits(tokens), 2).gather(2, tokens.unsqueeze(2)).squeeze(2)
    found = game.generator.token_log_probs(Ragged.from_lists(tokens.tolist()))
    np.testing.assert_allclose(found, expected.flatten().numpy(), rtol=0, atol=1e-10)
    assert expected.std() > 0.1


def test_sampling_and_rollouts_equal_the_plain_ones_on_the_same_draws() -> None:
    corpus = CORPORA["fixed"]
    game = new_game(corpus, batch=5)
    slow = ReferenceLeak(game.net, ReferenceJudge(game.discriminator, 6))
    first, later = torch.rand(5, 6).double(), torch.rand(5, 5, 2, 6).double()
    sampled = sample_with_states(game.net, (), first, **game._ends)
    assert torch.equal(sampled.tokens, slow.complete(torch.zeros(5, 0, dtype=torch.long), first))
    game._uniforms = lambda *shape: later  # type: ignore[method-assign]
    scores = game.scores(sampled)
    expected = reference_scores(slow, sampled.tokens, 2, 2, later)
    assert (expected != 0).tolist() == [[False, True, False, True, False, True]] * 5
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-10)


@pytest.mark.slow
def test_at_the_papers_size_values_are_close_in_float32() -> None:
    """Logits, and D's scores of the rollouts that were drawn."""
    game, slow = paper_game(batch=4, rollouts=2)
    with torch.no_grad(), game.net.fixed_weights():
        sampled = sample_with_states(game.net, (), game._uniforms(20), **game._ends)
        found = game.net.output(sampled.features.transpose(0, 1))
        torch.testing.assert_close(found, slow.logits(sampled.tokens), rtol=0, atol=1e-4)
        assert found.std() > 0.5
        uniforms = game._uniforms(19, 2, 20)
        game._uniforms = lambda *shape: uniforms  # type: ignore[method-assign]
        scores = game.scores(sampled)
        rolled = roll_out(game.net, (), sampled, uniforms.transpose(0, 1), pad=5001, eos=None, every=4)
        expected = spread(slow.judge(rolled.tokens), rolled, slow.judge(sampled.tokens), sampled.lengths, 20)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", CORPORA)
def test_every_counts_from_the_prefixes_all_rollouts_have(kind: str) -> None:
    """Rollouts of some prefixes are those that rolling out all gives for them."""
    game = new_game(CORPORA[kind])
    time, pad, eos = game._time, CORPORA[kind].vocab.pad, game.generator.limits.eos
    sampled = sample_with_states(game.net, (), torch.rand(6, time).double(), **game._ends)
    draws = torch.rand(time - 1, 6, 2, time).double()
    whole, some = (roll_out(game.net, (), sampled, draws, pad=pad, eos=eos, every=every) for every in (1, 3))
    rows = 0
    for length, (all_of, chosen) in enumerate(zip(whole.items, some.items, strict=False), 1):
        assert len(chosen) == (len(all_of) if length % 3 == 0 else 0)
        start = 2 * sum(map(len, whole.items[: length - 1]))
        part = whole.tokens[start : start + 2 * len(chosen)]
        mine = some.tokens[rows : rows + 2 * len(chosen)]
        width = min(part.shape[1], mine.shape[1])
        assert torch.equal(part[:, :width], mine[:, :width])
        assert (part[:, width:] == pad).all()
        assert (mine[:, width:] == pad).all()
        rows += 2 * len(chosen)
    assert rows == len(some.tokens)
