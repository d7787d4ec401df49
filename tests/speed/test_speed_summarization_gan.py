"""Speed of the summarization GAN, with words and lengths as abstracts and their titles have them.

Run with `pytest tests/speed/test_speed_summarization_gan.py --benchmark-only -s`. Times are CPU seconds of one thread.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from baselines.neural import NeuralGenerator
from baselines.summarization_gan import Game, SummarizationGAN, TripleConfig, build_discriminator
from tasks.base import Corpus, Ragged, Split
from tests.fakes import FakeRun
from tests.toys import ToyCodec, conditional_corpus, vocabulary

pytestmark = pytest.mark.speed

WORDS, TITLE_WORDS, TITLE = 20_000, 12_000, 12


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def abstracts(pairs: int = 256) -> Corpus:
    """Articles of 50 to 400 words, titles of about 12."""
    rng = np.random.default_rng(0)

    def side(words: int, low: int, high: int) -> Ragged:
        return Ragged.from_lists([[*rng.integers(2, words, rng.integers(low, high)).tolist(), 0] for _ in range(pairs)])

    split = Split((), side(TITLE_WORDS, 5, 19), side(WORDS, 50, 400))
    codecs = [ToyCodec(vocabulary([str(i) for i in range(words - 2)])) for words in (TITLE_WORDS, WORDS)]
    return dataclasses.replace(
        conditional_corpus(8),
        splits=dict.fromkeys(("train", "valid", "test"), split),
        target_codec=codecs[0],
        source_codec=codecs[1],
        max_target_length=100,
        max_source_length=400,
    )


def ending(generator: NeuralGenerator) -> None:
    """An untrained network that ends its titles after about as many words as people."""
    with torch.no_grad():
        generator.net.output.bias[0] = math.log(TITLE_WORDS / TITLE)


@pytest.mark.parametrize("every", [1, 3])
def test_steps(benchmark: Any, every: int) -> None:
    """Of generator, teacher and discriminator, at `small`; with `every` prefix and with every third rolled out."""
    corpus = abstracts()
    preset = SummarizationGAN.preset("small", "summarization", "conditional") | {"rollout_every": every}
    method = SummarizationGAN(SummarizationGAN.Config.model_validate(preset))
    generator = method.build(corpus)
    ending(generator)
    game = Game(corpus, method.config, generator, FakeRun())
    teacher, judge = seconds(game.likelihood_step), seconds(game.discriminator_step)
    ending(generator)
    whole = benchmark.pedantic(lambda: seconds(game.generator_step), rounds=1)
    print(f"\nevery {every}: generator {whole:.3g} s, teacher {teacher:.3g} s, discriminator {judge:.3g} s")


def test_judging_rollouts(benchmark: Any) -> None:
    """Eight articles' rollouts at the default sizes: 16 completions of every beginning of a title. The reference reads
    the article anew for each and pads all to the longest."""
    corpus = abstracts()
    method = SummarizationGAN(
        SummarizationGAN.Config.model_validate(SummarizationGAN.preset("small", "summarization", "conditional"))
    )
    net = build_discriminator(corpus, TripleConfig(), method.build(corpus), torch.Generator().manual_seed(0))
    train = corpus.splits["train"]
    assert train.sources is not None
    assert corpus.source_vocab is not None
    rows = np.arange(8)
    sources = torch.from_numpy(train.sources.take(rows).padded(corpus.source_vocab.pad))
    lengths = torch.from_numpy(train.sources.lengths[rows])
    owner = torch.arange(8).repeat_interleave(16 * (torch.from_numpy(train.targets.lengths[rows]) - 1))
    titles = torch.from_numpy(train.targets.take(owner.numpy()).padded(corpus.vocab.pad, 30))

    def ours() -> torch.Tensor:
        return net.judge_many(net.read(sources, lengths), owner, titles)

    def reference() -> torch.Tensor:
        parts = torch.split(torch.arange(len(owner)), 128)
        return torch.cat([net(sources[owner[part]], lengths[owner[part]], titles[part]) for part in parts])

    with torch.no_grad():
        torch.testing.assert_close(ours(), reference(), rtol=0, atol=1e-4)
        slow = seconds(reference)
        fast = benchmark.pedantic(lambda: seconds(ours), rounds=3)
    print(f"\n{len(owner)} rollouts: reference {slow:.3g} s, ours {fast:.3g} s, ratio {slow / fast:.3g}")
