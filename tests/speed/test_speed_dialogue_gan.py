"""Speed of the dialogue GAN's steps and of MMI, with words, turns and lengths as chat has them.

Run with `pytest tests/speed/test_speed_dialogue_gan.py --benchmark-only -s`. Times are CPU seconds of one thread.
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

from baselines.base import Decoding
from baselines.decoding import Candidates, _Lists
from baselines.dialogue_gan import (
    DialogueConfig,
    DialogueGAN,
    DialogueRegsMC,
    DialogueRegsPartial,
    DialogueReinforce,
    Game,
    build_discriminator,
)
from baselines.mmi import MMI, MMIConfig, _sums
from baselines.neural import NeuralGenerator
from tasks.base import Corpus, Ragged, Split
from tests.fakes import FakeRun
from tests.toys import ToyCodec, conditional_corpus, vocabulary

pytestmark = pytest.mark.speed

VOCAB, BREAK, ANSWER = 15_000, 2, 11


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def chat(pairs: int = 2000) -> Corpus:
    """Contexts of three turns of about 11 words, responses of about 11."""
    rng = np.random.default_rng(0)

    def turn() -> list[int]:
        return rng.integers(3, VOCAB, rng.integers(4, 19)).tolist()

    sources = [[*turn(), BREAK, *turn(), BREAK, *turn(), 0] for _ in range(pairs)]
    split = Split((), Ragged.from_lists([[*turn(), 0] for _ in range(pairs)]), Ragged.from_lists(sources))
    codecs = [ToyCodec(vocabulary([str(i) for i in range(VOCAB - 2)]), separator) for separator in (None, BREAK)]
    return dataclasses.replace(
        conditional_corpus(8),
        splits=dict.fromkeys(("train", "valid", "test"), split),
        target_codec=codecs[0],
        source_codec=codecs[1],
        max_target_length=40,
        max_source_length=80,
    )


def ending(generator: NeuralGenerator) -> None:
    """An untrained network that ends its responses after about as many words as people."""
    with torch.no_grad():
        generator.net.output.bias[0] = math.log(VOCAB / ANSWER)


def talking(generator: NeuralGenerator) -> None:
    """An untrained network with opinions: few words are likely, which ones differs by place and by context."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        output = generator.net.output
        output.weight.copy_(torch.randn(output.weight.shape, generator=rng))
        output.bias.copy_(-torch.arange(1, len(output.bias) + 1).log())
        output.bias[0] = -1.0  # lists of about 7 tokens, the longest of which are 40


@pytest.mark.parametrize("row", [DialogueReinforce, DialogueRegsPartial, DialogueRegsMC])
def test_steps(benchmark: Any, row: type[DialogueGAN]) -> None:
    """Of the generator, its teacher and the discriminator, at `small`."""
    corpus = chat()
    method = row(row.Config.model_validate(row.preset("small", "dialogue", "conditional")))
    generator = method.build(corpus)
    ending(generator)
    game = Game(corpus, method.config, generator, FakeRun())
    game.generator_step()
    teacher, judge = seconds(game.teacher_forcing_step), seconds(game.discriminator_step)
    ending(generator)
    whole = benchmark.pedantic(lambda: seconds(game.generator_step), rounds=1)
    print(f"\n{row.name}: generator {whole:.3g} s, teacher {teacher:.3g} s, discriminator {judge:.3g} s")


def test_judging_rollouts(benchmark: Any) -> None:
    """At the paper's size: five completions of every beginning of 64 responses; the reference reads every context
    anew and pads all to the longest."""
    corpus, rng = chat(64), torch.Generator().manual_seed(0)
    net = build_discriminator(corpus, DialogueConfig().discriminator, rng)
    train = corpus.splits["train"]
    assert train.sources is not None
    sources = torch.from_numpy(train.sources.padded(net.source_pad))
    lengths = torch.from_numpy(train.targets.lengths)
    owner = torch.arange(64).repeat_interleave(5 * (lengths - 1))
    responses = torch.from_numpy(train.targets.take(owner.numpy()).padded(net.target_pad, 40))

    def ours() -> torch.Tensor:
        return net.judge_many(net.read_context(sources), owner, responses)

    def reference() -> torch.Tensor:
        found = []
        for rows in torch.split(torch.arange(len(owner)), 512):
            embedded = net.target_embedding(responses[rows])
            last = ((responses[rows] != net.target_pad).sum(1) - 1)[:, None, None].expand(-1, 1, net.words.hidden_size)
            vectors = net.words.unroll(embedded, net.words.zeros(len(rows))).gather(1, last).squeeze(1)
            found.append(net._score(net.read_context(sources[owner[rows]]), vectors))
        return torch.cat(found)

    with torch.no_grad():
        torch.testing.assert_close(ours(), reference(), rtol=0, atol=1e-4)
        slow = seconds(reference)
        fast = benchmark.pedantic(lambda: seconds(ours), rounds=2)
    print(f"\n{len(owner)} rollouts: reference {slow:.3g} s, ours {fast:.3g} s, ratio {slow / fast:.3g}")


def test_reranking(benchmark: Any) -> None:
    """Lists of ten of 64 contexts, at `small`, beside greedy decoding."""
    corpus = chat(64)
    method = MMI(MMIConfig.model_validate(MMI.preset("small", "dialogue", "conditional")))
    generator = method.build(corpus)
    ending(generator)
    sources, rng = corpus.splits["train"].sources, torch.Generator()
    assert sources is not None
    plain = NeuralGenerator(generator.net, corpus)
    greedy = seconds(lambda: plain.generate(sources, decoding=Decoding("greedy"), rng=rng))
    lists = seconds(lambda: generator._candidates(sources, Decoding("greedy"), rng))
    work = lambda: seconds(lambda: generator.generate(sources, decoding=Decoding("greedy"), rng=rng))  # noqa: E731
    whole = benchmark.pedantic(work, rounds=1)
    print(f"\n64 contexts: greedy {greedy:.3g} s, lists {lists:.3g} s, lists and reranking {whole:.3g} s")


def test_lists(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 256 contexts with their scores; the reference searches on for all until all are done, and asks the network
    for log p(T|S) of what it found."""
    corpus = chat(256)
    generator = MMI(MMIConfig.model_validate(MMI.preset("small", "dialogue", "conditional"))).build(corpus)
    talking(generator)
    sources = corpus.splits["train"].sources
    assert sources is not None

    def ours() -> Candidates:
        return generator._lists(sources, 10, unknown=True)

    def reference() -> tuple[Candidates, np.ndarray]:
        with monkeypatch.context() as patch:
            over = _Lists.over
            patch.setattr(_Lists, "over", lambda self: over(self) & over(self).all())
            found = ours()
        return found, _sums(generator.token_log_probs(found.ids, sources.take(found.owner)), found.ids)

    mine, (theirs, log_probs) = ours(), reference()
    assert np.array_equal(mine.ids.flat, theirs.ids.flat)
    assert np.array_equal(mine.ids.offsets, theirs.ids.offsets)
    np.testing.assert_allclose(mine.log_probs, log_probs, rtol=1e-4, atol=1e-4)
    slow = seconds(reference)
    fast = benchmark.pedantic(lambda: seconds(ours), rounds=2)
    print(f"\n256 contexts, {mine.ids.lengths.mean():.1f} tokens: reference {slow:.3g} s, ratio {slow / fast:.3g}")
