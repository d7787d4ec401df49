"""Speed of SeqGAN's steps against the straightforward ones, at the paper's size: V=5000, T=20, batch 64, 16 rollouts.

Run with `pytest tests/speed/test_speed_seqgan.py --benchmark-only -s`. Times are CPU seconds of one thread, which other
work on the machine disturbs less than the clock on the wall; both sides take turns, and the ratio is of medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from baselines.nets.cnn import ConvDiscriminator
from baselines.nets.lstm import LSTMLanguageModel, initialise
from baselines.neural import NeuralGenerator
from baselines.seqgan import Game, SeqGANConfig
from baselines.training.discriminator import (
    DiscriminatorConfig,
    build_discriminator,
    discriminator_loss,
    discriminator_optimizer,
)
from tasks.base import Corpus, Ragged, Split, Vocabulary
from tests.fakes import FakeRun
from tests.speed.reference_seqgan import (
    ReferenceDiscriminator,
    ReferenceGenerator,
    reference_discriminator_update,
    reference_generator_step,
)
from tests.toys import ToyCodec, _corpus

pytestmark = pytest.mark.speed

VOCAB, TIME, BATCH, ROLLOUTS, HIDDEN = 5000, 20, 64, 16, 32


def synthetic_corpus(lines: int = 256) -> Corpus:
    codec = ToyCodec(Vocabulary(tuple(map(str, range(VOCAB))), None, None))
    ids = torch.randint(VOCAB, (lines, TIME), generator=torch.Generator().manual_seed(3))
    split = Split((), Ragged.from_lists(ids.tolist()))
    return _corpus("free", codec, None, dict.fromkeys(("train", "valid", "test"), split), TIME)


def language_model() -> LSTMLanguageModel:
    net = LSTMLanguageModel(VOCAB, HIDDEN, HIDDEN)
    initialise(net, "normal", 0.5, torch.Generator().manual_seed(1))
    return net.eval()


def new_game(batch: int = BATCH) -> Game:
    corpus = synthetic_corpus()
    config = SeqGANConfig(batch=batch, rollouts=ROLLOUTS)
    return Game(corpus, config, NeuralGenerator(language_model(), corpus), FakeRun())


def in_turn(pairs: int, slow: Callable[[], Any], fast: Callable[[], Any], times: int = 1) -> tuple[float, float]:
    """Median CPU seconds of each; the fast one runs `times` in every turn."""
    taken: list[list[float]] = [[], []]
    for _ in range(pairs):
        for side, work, count in ((0, slow, 1), (1, fast, times)):
            start = time.process_time()
            for _ in range(count):
                work()
            taken[side].append((time.process_time() - start) / count)
    return statistics.median(taken[0]), statistics.median(taken[1])


def tell(benchmark: Any, what: str, slow: float, fast: float, target: float) -> None:
    benchmark.extra_info |= {"reference_s": slow, "fast_s": fast, "ratio": slow / fast, "target": target}
    print(f"\n{what}: reference {slow:.4g} s, ours {fast:.4g} s, ratio {slow / fast:.1f} (wanted {target})")


def test_generator_step(benchmark: Any) -> None:
    game = new_game()
    slow_net, slow_d = ReferenceGenerator(language_model()), ReferenceDiscriminator(game.discriminator).eval()
    optimizer = torch.optim.Adam(slow_net.parameters(), 0.01)

    def slow_step() -> None:
        reference_generator_step(slow_net, slow_d, optimizer, BATCH, TIME, ROLLOUTS, 5.0)

    game.generator_step()
    slow, fast = in_turn(1, slow_step, game.generator_step, times=3)
    benchmark.pedantic(game.generator_step, rounds=2)
    tell(benchmark, "generator step", slow, fast, 8)


def test_sampling(benchmark: Any) -> None:
    """10,000 sequences; the reference draws them 64 at a time, token by token."""
    corpus, net = synthetic_corpus(), language_model()
    generator, reference = NeuralGenerator(net, corpus), ReferenceGenerator(net)
    rng = torch.Generator().manual_seed(0)

    def slow_sampling() -> None:
        for start in range(0, 10_000, BATCH):
            reference.complete(torch.zeros(min(BATCH, 10_000 - start), 0, dtype=torch.long), TIME)

    def fast_sampling() -> None:
        generator.sample(10_000, rng=rng)

    fast_sampling()
    slow, fast = in_turn(1, slow_sampling, fast_sampling, times=3)
    benchmark.pedantic(fast_sampling, rounds=2)
    tell(benchmark, "sampling 10,000", slow, fast, 8)


@pytest.mark.parametrize("fused", [False, True], ids=["default-adam", "fused-adam"])
def test_discriminator_update(benchmark: Any, fused: bool) -> None:
    """One batch; the reference with PyTorch's default Adam, and with the fused one that ours uses."""
    config = DiscriminatorConfig()
    net: ConvDiscriminator = build_discriminator(synthetic_corpus(), config, torch.Generator().manual_seed(0))
    reference = ReferenceDiscriminator(net)
    ours, theirs = (
        discriminator_optimizer(net, config),
        torch.optim.Adam(reference.parameters(), config.lr, fused=fused),
    )
    tokens = torch.randint(VOCAB, (BATCH, TIME))
    real = (torch.arange(BATCH) % 2).float()

    def fast_update() -> None:
        loss, _ = discriminator_loss(net, tokens, real, None, config.l2)
        ours.zero_grad()
        loss.backward()
        ours.step()

    def slow_update() -> None:
        reference_discriminator_update(reference, theirs, tokens, real, config.l2)

    in_turn(2, slow_update, fast_update)
    slow, fast = in_turn(15, slow_update, fast_update)
    benchmark.pedantic(fast_update, rounds=5)
    tell(benchmark, "discriminator update", slow, fast, 1.8)
