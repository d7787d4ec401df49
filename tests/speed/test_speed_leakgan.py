"""Speed of LeakGAN's sampling and rollouts against straightforward ones, at the paper's size: V=5000, T=20, batch 64.

Run with `pytest tests/speed/test_speed_leakgan.py --benchmark-only -m speed -s`. Times are CPU seconds of one thread,
which other work on the machine disturbs less than the clock on the wall; both sides take turns.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from baselines.leakgan import Game, LeakGAN, LeakGANConfig
from baselines.training.rollout import sample_with_states
from tests.fakes import FakeRun
from tests.speed.reference_leakgan import ReferenceJudge, ReferenceLeak, reference_scores
from tests.speed.test_speed_seqgan import BATCH, TIME, in_turn, synthetic_corpus, tell

pytestmark = pytest.mark.speed


def new_game(*, highway: bool = True, **settings: int) -> tuple[Game, ReferenceLeak]:
    config = LeakGANConfig.model_validate({"discriminator": {"highway": highway}, **settings})
    corpus, run = synthetic_corpus(), FakeRun()
    game = Game(corpus, config, *LeakGAN(config).networks(corpus), run)
    game.initialise()
    with torch.no_grad():  # far from uniform, as a trained one
        game.net.output.weight.mul_(10)
    return game, ReferenceLeak(game.net, ReferenceJudge(game.discriminator, TIME))


@pytest.mark.parametrize("highway", [True, False], ids=["highway", "pooled"])
def test_rollouts(benchmark: Any, highway: bool) -> None:
    """A batch sampled, and D's scores of its rollouts: 4 of every fourth prefix."""
    game, reference = new_game(highway=highway)
    start = torch.zeros(BATCH, 0, dtype=torch.long)

    def slow() -> None:
        reference_scores(reference, reference.complete(start), game.config.rollouts, game.config.rollout_every)

    def fast() -> None:
        with torch.no_grad(), game.net.fixed_weights():
            game.scores(sample_with_states(game.net, (), game._uniforms(TIME), **game._ends))

    fast()
    found = in_turn(1, slow, fast, times=3)
    benchmark.pedantic(fast, rounds=2)
    tell(benchmark, f"rollouts, highway {highway}", *found, 8)


@pytest.mark.parametrize("highway", [True, False], ids=["highway", "pooled"])
def test_sampling(benchmark: Any, highway: bool) -> None:
    """1,024 sequences; the reference draws them 64 at a time."""
    game, reference = new_game(highway=highway)
    rng = torch.Generator().manual_seed(0)

    def slow() -> None:
        for _ in range(0, 1024, BATCH):
            reference.complete(torch.zeros(BATCH, 0, dtype=torch.long))

    def fast() -> None:
        game.generator.sample(1024, rng=rng)

    fast()
    found = in_turn(1, slow, fast, times=3)
    benchmark.pedantic(fast, rounds=2)
    tell(benchmark, f"sampling 1,024, highway {highway}", *found, 6)


def test_generator_step(benchmark: Any) -> None:
    game, _ = new_game()
    game.generator_step()
    benchmark.pedantic(game.generator_step, rounds=3)


def test_mle_step(benchmark: Any) -> None:
    game, _ = new_game()
    targets = torch.randint(game.corpus.vocab.size, (BATCH, TIME)).numpy()
    game.mle_step(targets)
    benchmark.pedantic(lambda: game.mle_step(targets), rounds=3)
