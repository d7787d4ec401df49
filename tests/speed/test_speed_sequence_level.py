"""Speed of the steps of MRT, MIXER, actor-critic and BSO: V=16,000, 12 tokens, the network of `small`.

Run with `pytest tests/speed/test_speed_sequence_level.py --benchmark-only -s`. Times are CPU seconds of one thread. The
reference of each is the straightforward way to the same figures, on a few sources.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from torch import Tensor, nn

from baselines.actor_critic import ActorCritic, Players
from baselines.bso import BSO, BeamLearner
from baselines.mixer import MixedLearner, Mixer
from baselines.mrt import MRT, RiskMinimiser
from baselines.training.action_values import expected_value_sum
from baselines.training.batches import shifted
from baselines.training.pair_bleu import PairBleu
from tests.fakes import FakeRun
from tests.speed.pairs import TIME, VOCAB, pairs, seconds, small, weights

pytestmark = pytest.mark.speed


def made(method: Any, stage: Any, **settings: Any) -> Any:
    """The learner of `small`, on pairs of random words."""
    config = method.Config.model_validate({**method.budgets["small"], **settings, "mle": small()})
    corpus = pairs()
    generator = method(config).build(corpus)
    weights(generator.net)
    return stage(corpus, config, generator, FakeRun(save=False))


def tell(benchmark: Any, what: str, work: Callable[[], Any], slow: float | None = None) -> None:
    work()
    found: list[float] = []
    benchmark.pedantic(lambda: found.append(seconds(work)), rounds=3)
    ours = sorted(found)[1]
    benchmark.extra_info |= {"ours_s": ours, "reference_s": slow}
    against = "" if slow is None else f", reference {slow:.3g} s, ratio {slow / ours:.3g}"
    print(f"\n{what}: {ours:.3g} s{against}")


def test_bleu(benchmark: Any) -> None:
    """Of 100 candidates for each of 64 sources; NLTK scores 200 of them."""
    gold = torch.randint(2, 300, (6400, TIME))
    tokens = torch.where(torch.rand(gold.shape) < 0.6, gold, torch.randint(2, 300, gold.shape))
    smooth = SmoothingFunction().method2

    def slow() -> None:
        for line, target in zip(tokens[:200].tolist(), gold[:200].tolist(), strict=True):
            sentence_bleu([target], line, smoothing_function=smooth)

    bleu = PairBleu(VOCAB, 0)
    tell(benchmark, "BLEU of 6,400 outputs", lambda: bleu(tokens, gold), seconds(slow) * 32)


def test_mrt(benchmark: Any) -> None:
    """Four sources of 100 candidates; the reference runs each candidate alone."""
    learner: RiskMinimiser = made(MRT, RiskMinimiser, samples=100, batch=4)
    batch = learner.pairs.draw()
    net, bos = learner.net, learner.corpus.vocab.bos
    sources, lengths = batch.sources

    def slow() -> None:
        candidates = learner.candidates(batch, learner.uniforms(4, 10, TIME))
        log_p = []
        for row, owner in zip(candidates.tokens, candidates.owner, strict=True):
            inputs = shifted(row[None], bos)
            logits = net.output(net(inputs, net.encode(sources[owner][None], lengths[owner][None])))
            each = torch.log_softmax(logits, -1).gather(2, row.clamp(max=VOCAB - 1)[None, :, None])
            log_p.append(each.sum())
        (torch.softmax(torch.stack(log_p), 0) * candidates.delta).sum().backward()

    tell(benchmark, "MRT, 4 sources of 100", lambda: learner.step(batch), 10 * seconds(slow))


def test_mixer(benchmark: Any) -> None:
    learner: MixedLearner = made(Mixer, MixedLearner)
    batch = learner.pairs.draw()
    tell(benchmark, f"MIXER, batch {len(batch.targets)}, 6 sampled", lambda: learner.step(batch, 6))


def test_actor_critic(benchmark: Any) -> None:
    players: Players = made(ActorCritic, Players)
    batch = players.pairs.draw()
    tell(benchmark, f"actor-critic, batch {len(batch.targets)}", lambda: players.step(batch, actor=True))


def test_expected_values(benchmark: Any) -> None:
    """The actor's loss and its gradient; the reference holds softmax and values of all places."""
    output, critic = nn.Linear(128, VOCAB), nn.Linear(128, VOCAB)
    x, q = (torch.randn(32 * TIME, 128, requires_grad=True) for _ in range(2))

    def whole() -> Tensor:
        return (torch.softmax(output(x), 1) * critic(q).detach()).sum()

    slow = sorted(seconds(lambda: whole().backward()) for _ in range(3))[1]
    tell(benchmark, "expected values", lambda: expected_value_sum(x, output, q, critic).backward(), slow)


def test_bso(benchmark: Any) -> None:
    learner: BeamLearner = made(BSO, BeamLearner)
    batch = learner.pairs.draw()
    tell(benchmark, f"BSO, batch {len(batch.targets)}, beam 6", lambda: learner.step(batch, 6))
