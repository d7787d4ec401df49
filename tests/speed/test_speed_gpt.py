"""Speed of GPT: sampling with its cache against running every prefix anew, and training in tokens a second.

Run with `pytest tests/speed/test_speed_gpt.py --benchmark-only -s`. Times are CPU seconds of one thread, which other
work on the machine disturbs less than the clock on the wall; both sides take turns, and the ratio is of medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from baselines.decoding import Limits, sample
from baselines.gpt import GPT, GPTConfig, LanguageModel
from baselines.nets.transformer import TransformerLanguageModel, initialise
from baselines.sampling import TokenSampler
from baselines.training.tuning import decaying_adam, training_step
from tasks.base import Corpus, Ragged, Split, Vocabulary
from tests.toys import ToyCodec, _corpus

pytest.importorskip("transformers")
pytestmark = pytest.mark.speed

VOCAB, TIME = 5000, 20


def corpus(lines: int = 64) -> Corpus:
    codec = ToyCodec(Vocabulary(tuple(map(str, range(VOCAB))), None, None))
    ids = torch.randint(VOCAB, (lines, TIME), generator=torch.Generator().manual_seed(3))
    split = Split((), Ragged.from_lists(ids.tolist()))
    return _corpus("free", codec, None, dict.fromkeys(("train", "valid", "test"), split), TIME)


def model(budget: str) -> tuple[LanguageModel, GPTConfig]:
    config = GPTConfig.model_validate(GPT.preset(budget, "poetry", "free"))
    generator = GPT(config).build(corpus())
    assert isinstance(generator, LanguageModel)
    initialise(generator.net, torch.Generator().manual_seed(0))
    return generator, config


def seconds(*works: Callable[[], Any], rounds: int) -> list[float]:
    """Median CPU seconds of each; they take turns."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for times, work in zip(taken, works, strict=True):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
    return [statistics.median(times) for times in taken]


@torch.no_grad()
def without_cache(net: TransformerLanguageModel, uniforms: torch.Tensor) -> torch.Tensor:
    """Each token from the whole text before it."""
    draw = TokenSampler(net.output)
    ids = torch.full((len(uniforms), 1), VOCAB)
    for t in range(TIME):
        ids = torch.cat([ids, draw(net(ids)[:, -1], uniforms[:, t : t + 1])], 1)
    return ids[:, 1:]


@pytest.mark.parametrize(("budget", "batch", "rounds"), [("small", 64, 5), ("paper", 16, 1)])
def test_sampling(benchmark: Any, budget: str, batch: int, rounds: int) -> None:
    net = model(budget)[0].net.eval()
    uniforms = torch.rand(batch, TIME, generator=torch.Generator().manual_seed(1))

    def fast() -> Ragged:
        return sample(net, (), uniforms, Limits(VOCAB, None, TIME))

    alike = (torch.from_numpy(fast().padded(0)) == without_cache(net, uniforms)).double().mean()
    assert alike > 0.95  # rounding may turn a draw, and what follows it
    slow_time, fast_time = seconds(lambda: without_cache(net, uniforms), fast, rounds=rounds)
    benchmark.pedantic(fast, rounds=1)
    benchmark.extra_info |= {"ratio": slow_time / fast_time, "tokens_per_second": batch * TIME / fast_time}
    rate = batch * TIME / fast_time
    print(f"\n{budget}: {rate:.0f} tokens/s with the cache, {slow_time / fast_time:.1f} times as fast as without")


@pytest.mark.parametrize(("budget", "rounds"), [("small", 5), ("paper", 1)])
def test_training_step(benchmark: Any, budget: str, rounds: int) -> None:
    generator, config = model(budget)
    optimiser = decaying_adam(generator, config.training)
    rows = corpus(config.training.batch).splits["train"].targets

    def step() -> None:
        training_step(generator, optimiser, (rows,), config.training.clip)

    step()
    (taken,) = seconds(step, rounds=rounds)
    benchmark.pedantic(step, rounds=1)
    benchmark.extra_info |= {"tokens_per_second": len(rows.flat) / taken}
    print(f"\n{budget}: a step of {len(rows)} texts in {taken:.3f} s, {len(rows.flat) / taken:.0f} tokens/s")
