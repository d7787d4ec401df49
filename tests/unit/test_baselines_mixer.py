"""MIXER: which tokens are sampled, what rewards them, and what the baseline moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.merging import merge
from baselines.mixer import MixedLearner, Mixer, MixerConfig, draw_after
from baselines.nets.lstm import initialise
from baselines.training.batches import Batch, shifted
from baselines.training.pairs import likelihood_step
from baselines.training.rollout import sample_with_states
from tasks.base import Corpus
from tests.fakes import FakeRun
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus

TINY: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 8, "hidden": 8, "encoder": 6, "attention": 6, "readout": 8, "dropout": 0.2},
        "epochs": 1,
    },
    "steps": 4,
    "stage_steps": 1,
    "delta": 2,
    "batch": 8,
    "valid_every": 2,
    "valid_rows": 10,
}
CORPUS = conditional_corpus(64)


def tiny(**settings: Any) -> Mixer:
    return Mixer(MixerConfig.model_validate(merge(TINY, settings)))


def learner(seed: int = 0, corpus: Corpus = CORPUS, **settings: Any) -> MixedLearner:
    method = tiny(**settings)
    generator = method.build(corpus)
    initialise(generator.net, "uniform", 1.0, torch.Generator().manual_seed(seed))
    generator.net.eval()
    return MixedLearner(corpus, method.config, generator, FakeRun(seed))


def weights_of(some: MixedLearner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in some.net.state_dict().items()}


def test_forced_tokens_are_the_targets_and_the_rest_goes_on_from_them() -> None:
    """Against each sequence alone, drawn token by token from the softmax."""
    some = learner(fresh_seed())
    net, vocab = some.net.double(), CORPUS.vocab
    batch = some.pairs.draw()
    rng = torch.Generator().manual_seed(fresh_seed())
    uniforms = torch.rand(8, 8, generator=rng, dtype=torch.double)
    forced = torch.randint(0, 8, (8,), generator=rng)
    with torch.no_grad():
        memory = net.encode(*batch.sources)
        drawn = draw_after(net, memory, batch.targets, forced, uniforms, bos=vocab.bos, pad=vocab.pad, eos=vocab.eos)
        for i in range(8):
            row: list[int] = []
            for t in range(8):
                inputs = torch.tensor([[vocab.bos, *row]])
                p = torch.softmax(net.output(net(inputs, tuple(part[i : i + 1] for part in memory))[0, -1]), -1)
                token = int((p.cumsum(0) <= uniforms[i, t] * p.sum()).sum().clamp(max=vocab.size - 1))
                row.append(int(batch.targets[i, t]) if t < forced[i] else token)
                if row[-1] == vocab.eos:
                    break
            assert drawn[i].tolist() == row + [vocab.pad] * (drawn.shape[1] - len(row))


def test_with_nothing_forced_it_is_plain_sampling() -> None:
    some = learner(fresh_seed())
    batch = some.pairs.draw()
    uniforms = torch.rand(8, 8, generator=torch.Generator().manual_seed(fresh_seed()))
    ends = {"bos": CORPUS.vocab.bos, "pad": CORPUS.vocab.pad, "eos": CORPUS.vocab.eos}
    memory = some.net.encode(*batch.sources)
    none = torch.zeros(8, dtype=torch.long)
    found = draw_after(some.net, memory, batch.targets, none, uniforms, **ends)
    expected = sample_with_states(some.net, memory, uniforms, **ends).tokens
    assert torch.equal(found, expected[:, : found.shape[1]])
    assert (expected[:, found.shape[1] :] == CORPUS.vocab.pad).all()


@pytest.mark.parametrize("horizon", [None, 5])
def test_the_step_is_that_of_the_mixed_loss(horizon: int | None) -> None:
    """Against autograd through the definition, in float64: the gradient before clipping."""
    some = learner(fresh_seed(), horizon=horizon, xent_weight=0.3)
    some.net.double()
    some.expected.double()
    torch.nn.init.normal_(some.expected.weight, generator=torch.Generator().manual_seed(fresh_seed()))
    foretelling = {name: value.clone() for name, value in some.expected.state_dict().items()}
    batch, start = some.pairs.draw(), weights_of(some)
    seen: list[Tensor] = []
    plain = some.sampled
    some.sampled = lambda *a: (seen.append(plain(*a)), seen[-1])[1]  # type: ignore[method-assign]
    some.step(batch, tail=3)
    found = {name: value.grad.clone() for name, value in some.net.named_parameters()}
    some.net.load_state_dict(start)
    some.expected.load_state_dict(foretelling)
    some.net.zero_grad()

    (tokens,), pad = seen, CORPUS.vocab.pad
    reward = some.bleu(tokens, batch.targets)
    features = some.net(shifted(tokens, CORPUS.vocab.bos), some.net.encode(*batch.sources))
    log_p = torch.log_softmax(some.net.output(features), -1).gather(2, tokens.clamp(max=9).unsqueeze(2)).squeeze(2)
    baseline = some.expected(features.detach()).squeeze(2).detach()
    loss = torch.zeros((), dtype=torch.double)
    for i in range(8):
        length = int(batch.inside[i].sum())
        first = max(0, (horizon or length) - 3)
        for t in range(tokens.shape[1]):
            if tokens[i, t] != pad:
                weight = 0.3 if t < first else 0.7 * (reward[i] - baseline[i, t])
                loss = loss - weight * log_p[i, t] / 8
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(some.net.parameters(), some.config.clip)
    assert norm > 0
    for name, value in some.net.named_parameters():
        torch.testing.assert_close(found[name], value.grad, rtol=1e-6, atol=1e-11)


def test_a_tail_of_nothing_is_teacher_forcing() -> None:
    first, second = learner(3, xent_weight=1.0), learner(3)
    batch = first.pairs.draw()
    figures = first.step(batch, tail=0)
    likelihood_step(second.net, second.optimizer, batch, clip=second.config.clip, dropout=False)
    assert float(figures["sampled"]) == 0
    for name, value in second.net.state_dict().items():
        torch.testing.assert_close(first.net.state_dict()[name], value, rtol=0, atol=1e-6)


def test_the_baselines_loss_moves_the_baseline_alone() -> None:
    some = learner(fresh_seed(), xent_weight=1.0)  # REINFORCE has no weight
    batch = some.pairs.draw()
    bias = some.expected.bias.detach().clone()
    for weight in some.net.parameters():
        weight.grad = None
    features = some.net(batch.inputs, some.net.encode(*batch.sources))
    some.foretell(features, torch.ones(8), batch.inside)
    assert not torch.equal(bias, some.expected.bias)
    assert features.grad_fn is not None
    some.step(batch, tail=100)  # all is sampled: nothing is left for cross-entropy
    assert all(weight.grad is None or (weight.grad == 0).all() for weight in some.net.parameters())


def test_the_baseline_learns_the_mean_reward() -> None:
    some = learner(0, baseline_learning_rate=0.05)
    features, sampled = torch.randn(32, 6, 8), torch.ones(32, 6, dtype=torch.bool)
    errors = [float(some.foretell(features, torch.full((32,), 0.4), sampled)[1]) for _ in range(200)]
    assert errors[-1] < 0.05 * errors[0]


def test_what_is_better_than_foretold_becomes_more_probable() -> None:
    some = learner(fresh_seed(), xent_weight=0.0, learning_rate=1e-3)
    batch = some.pairs.draw()
    seen: list[Tensor] = []
    plain = some.sampled
    some.sampled = lambda *a: (seen.append(plain(*a)), seen[-1])[1]  # type: ignore[method-assign]
    some.bleu = lambda tokens, targets: torch.arange(8) / 8.0  # type: ignore[assignment]
    torch.nn.init.constant_(some.expected.bias, 0.45)
    start = weights_of(some)
    some.step(batch, tail=100)
    tokens = seen[0]

    def weighed() -> float:
        with torch.no_grad():
            logits = some.net.output(some.net(shifted(tokens, CORPUS.vocab.bos), some.net.encode(*batch.sources)))
        log_p = torch.log_softmax(logits, -1).gather(2, tokens.clamp(max=9).unsqueeze(2)).squeeze(2)
        return float((log_p * (tokens != CORPUS.vocab.pad) * (torch.arange(8) / 8 - 0.45).unsqueeze(1)).sum())

    after = weighed()
    some.net.load_state_dict(start)
    assert after > weighed()


def test_padding_gives_no_gradient() -> None:
    found = []
    for wide in (0, 3):
        some = learner(5)
        some.net.double()
        some.expected.double()
        batch = some.pairs.draw()
        targets = torch.nn.functional.pad(batch.targets, (0, wide), value=CORPUS.vocab.pad)
        inside = targets != CORPUS.vocab.pad
        some.step(Batch(shifted(targets, CORPUS.vocab.bos), targets, inside, batch.sources), tail=2)
        found.append(weights_of(some))
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name], rtol=0, atol=1e-9)


def test_the_tail_grows_from_stage_to_stage() -> None:
    run = FakeRun()
    tiny(steps=6, stage_steps=2, delta=3).fit(CORPUS, run)
    lines = [line for line in run.saved.log if line["stage"] == "mixer"]
    assert [line["tail"] for line in lines] == [3, 3, 6, 6, 9, 9]
    assert 0 < lines[0]["sampled"] <= lines[-1]["sampled"] == 1
    assert [("valid_bleu" in line) for line in lines] == [False, True] * 3
    whole = tiny(stage_steps=None, stage_epochs=2, steps=None, epochs=6).config
    some = MixedLearner(CORPUS, whole, tiny().build(CORPUS), FakeRun())
    some.done.step = 2 * 8
    assert (some.total, some.stage_number) == (48, 2)
