"""Speed of TextGAN's and LSTM-GAN's steps at the `paper` sizes, V=5000, T=20: CPU seconds of one thread.

Run with `pytest tests/speed/test_speed_latent_gans.py --benchmark-only -s`. The straight-through embedding takes turns
with the plain one, a product of one-hot vectors and the table.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from baselines import lstm_gan, textgan
from baselines.training.gumbel import straight_through
from baselines.training.relaxed import mix
from bench.env import smallest_as_zero
from tests.fakes import FakeRun
from tests.speed.test_speed_seqgan import BATCH, TIME, VOCAB, in_turn, synthetic_corpus

pytestmark = pytest.mark.speed


@pytest.mark.parametrize("step", ["generator", "discriminator"])
def test_textgan_step(benchmark: Any, step: str) -> None:
    corpus, config = synthetic_corpus(), textgan.TextGANConfig(batch=BATCH, sharpness_start=10.0)
    generator = textgan.TextGAN(config).build(corpus)
    game = textgan.Game(corpus, config, generator, FakeRun())
    real, z = game.draw()
    work = game.generator_step if step == "generator" else game.discriminator_step
    measure(benchmark, f"textgan, {step} step", lambda: work(real, z, 10.0))


@pytest.mark.parametrize("step", ["gumbel", "reinforce", "discriminator"])
def test_lstm_gan_step(benchmark: Any, step: str) -> None:
    corpus, method = synthetic_corpus(), lstm_gan.LSTMGAN
    config = lstm_gan.LSTMGANConfig.model_validate(method.preset("paper", "oracle", "free"))
    game = lstm_gan.Game(corpus, config, method(config).build(corpus), FakeRun())
    work = {"gumbel": lambda: game.gumbel_step(0.5), "reinforce": game.reinforce_step}.get(
        step, game.discriminator_step
    )
    measure(benchmark, f"lstm_gan, {step} step", work)


def test_straight_through_embedding(benchmark: Any) -> None:
    weights = torch.randn(BATCH, TIME, VOCAB).softmax(2).requires_grad_()
    tokens, table = torch.randint(VOCAB, (BATCH, TIME)), torch.randn(VOCAB, 64)

    def fast() -> None:
        mix(weights, tokens, table, hard=True).sum().backward()

    def slow() -> None:
        (straight_through(weights, tokens) @ table).sum().backward()

    in_turn(1, slow, fast)
    plain, ours = in_turn(5, slow, fast)
    benchmark.pedantic(fast, rounds=3)
    benchmark.extra_info |= {"reference_s": plain, "fast_s": ours, "ratio": plain / ours}
    print(f"\nstraight-through embedding: plain {plain:.3g} s, ours {ours:.3g} s, ratio {plain / ours:.1f}")


@pytest.mark.parametrize("sharpness", [10.0, 20.0, 40.0])
def test_soft_argmax_without_the_smallest_numbers(benchmark: Any, sharpness: float) -> None:
    """What `smallest_as_zero` does for a mixture of embeddings: the same with numbers that lack full precision kept."""
    logits = (1.2 * torch.randn(BATCH, VOCAB, generator=torch.Generator().manual_seed(0))).requires_grad_()
    table = torch.randn(VOCAB, 128, requires_grad=True)

    def mixed(flush: bool) -> None:
        with smallest_as_zero() if flush else nullcontext():
            ((logits * sharpness).softmax(-1) @ table).square().sum().backward()

    def fast() -> None:
        mixed(True)

    def slow() -> None:
        mixed(False)

    in_turn(2, slow, fast)
    plain, ours = in_turn(20, slow, fast)
    benchmark.pedantic(fast, rounds=3)
    benchmark.extra_info |= {"reference_s": plain, "fast_s": ours, "ratio": plain / ours}
    print(f"\nsoft argmax at {sharpness:g}: kept {plain:.3g} s, as 0 {ours:.3g} s, ratio {plain / ours:.1f}")


def measure(benchmark: Any, what: str, work: Any) -> None:
    work()
    start = time.process_time()
    benchmark.pedantic(work, rounds=3)
    print(f"\n{what}: {(time.process_time() - start) / 3:.3g} CPU s")
