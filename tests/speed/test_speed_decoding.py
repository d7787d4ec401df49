"""Speed of drawing, sampling, decoding and training, at the sizes of the `small` budget.

Run with `pytest tests/speed/test_speed_decoding.py --benchmark-only -s`. Times are CPU seconds of one thread; ratios
are against plain PyTorch in the same run, both sides in turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines.base import Decoding
from baselines.mle import MLE
from baselines.nets.attention import AttentionSeq2Seq
from baselines.nets.lstm import LSTMLanguageModel, initialise
from baselines.neural import NeuralGenerator, build_net
from baselines.sampling import TokenSampler, draw
from baselines.training.alignment import ibm1
from baselines.training.loss import cross_entropy
from baselines.training.mle import MLEConfig, train_mle
from tasks.base import Example, Ragged, Split, Vocabulary
from tasks.text import Blanks, Codec
from tests.fakes import FakeRun
from tests.toys import ToyCodec, _corpus

pytestmark = pytest.mark.speed

VOCAB, LENGTH = 5000, 20


def seconds(*sides: Callable[[], object], rounds: int = 5) -> list[float]:
    """The median CPU time of each side, taken in turns after one unmeasured round."""
    times: list[list[float]] = [[] for _ in sides]
    for turn in range(rounds + 1):
        for side, kept in zip(sides, times, strict=True):
            start = time.process_time()
            side()
            if turn:
                kept.append(time.process_time() - start)
    return [statistics.median(kept) for kept in times]


def tell(benchmark, text: str, ours: float, theirs: float) -> None:
    benchmark.extra_info["ratio"] = round(theirs / ours, 2)
    print(f"\n{text}: {ours * 1e3:.2f} ms against {theirs * 1e3:.2f} ms, ratio {theirs / ours:.2f}")


def free_generator(hidden: int) -> NeuralGenerator:
    net = LSTMLanguageModel(VOCAB, hidden, hidden)
    initialise(net, "normal", 0.1, torch.Generator().manual_seed(0))
    codec = ToyCodec(Vocabulary(tuple(map(str, range(VOCAB))), None, None))
    split = Split((), Ragged.from_lists([[1] * LENGTH]))
    corpus = _corpus("free", codec, None, dict.fromkeys(("train", "valid", "test"), split), LENGTH)
    return NeuralGenerator(net.eval(), corpus)


@pytest.mark.parametrize("draws", [1, 16])
def test_draw(benchmark, draws):
    logits, uniforms = torch.randn(64, VOCAB), torch.rand(64, draws)
    rng = torch.Generator().manual_seed(0)

    def theirs():
        return torch.multinomial(logits.softmax(1), draws, replacement=True, generator=rng)

    tell(benchmark, f"{draws} draws from each of 64 rows of {VOCAB}", *seconds(lambda: draw(logits, uniforms), theirs))
    benchmark(draw, logits, uniforms)


@pytest.mark.parametrize("hidden", [32, 256])
def test_sample_10000(benchmark, hidden):
    generator, n = free_generator(hidden), 10_000
    rng = torch.Generator().manual_seed(0)
    net = generator.net

    def ours():
        return generator.sample(n, temperature=1.0, rng=rng)

    @torch.no_grad()
    def theirs():  # a tenth of them; nn.LSTM a step and torch.multinomial
        tokens = torch.full((n // 10, 1), VOCAB)
        state = (torch.zeros(1, n // 10, hidden),) * 2
        for _ in range(LENGTH):
            features, state = net.lstm(net.embedding(tokens), state)
            tokens = torch.multinomial(net.output(features[:, 0]).softmax(1), 1, generator=rng)

    mine, tenth = seconds(ours, theirs, rounds=1)
    tell(benchmark, f"{n} sequences of {LENGTH} tokens, hidden {hidden}", mine, 10 * tenth)
    benchmark.pedantic(ours, rounds=1)


@pytest.mark.parametrize("hidden", [32, 128, 256, 512])
@pytest.mark.parametrize("batch", [64, 1024])
def test_step(benchmark, hidden, batch):
    net = LSTMLanguageModel(VOCAB, hidden, hidden).eval()
    tokens, state = torch.randint(VOCAB, (batch,)), net.initial_state(batch)
    with torch.no_grad(), net.fixed_weights():

        def ours():
            return [net.step(tokens, state) for _ in range(10)]

        def theirs():
            return [net.lstm(net.embedding(tokens)[:, None], (state[0][None], state[1][None])) for _ in range(10)]

        tell(benchmark, f"10 LSTM steps, batch {batch}, hidden {hidden}", *seconds(ours, theirs))
        benchmark(ours)


@pytest.mark.parametrize(("vocab", "width", "tokens"), [(15_000, 128, 600), (5000, 256, 1280), (5000, 32, 1280)])
def test_loss(benchmark, vocab, width, tokens):
    output, targets = nn.Linear(width, vocab), torch.randint(vocab, (tokens,))
    features = torch.randn(tokens, width, requires_grad=True)

    def ours():
        cross_entropy(features, output, targets).backward()

    def theirs():
        F.cross_entropy(output(features), targets, reduction="sum").backward()

    tell(benchmark, f"loss and gradients, {tokens} tokens x {width} x {vocab}", *seconds(ours, theirs))
    benchmark(ours)


@pytest.mark.parametrize("size", [1, 5])
def test_generate(benchmark, size):
    vocab = 10_000
    net = AttentionSeq2Seq(vocab + 2, vocab, 128, 256, tied=True)
    initialise(net, "glorot", 0.5, torch.Generator().manual_seed(0))
    codec = ToyCodec(Vocabulary(tuple(map(str, range(vocab)))))
    lengths = np.random.default_rng(0).integers(4, 20, 500)
    sources = Ragged.from_lists([[7] * length for length in lengths])
    split = Split((), Ragged.from_lists([[0]] * 500), sources)
    corpus = _corpus("conditional", codec, codec, dict.fromkeys(("train", "valid", "test"), split), None)
    generator = NeuralGenerator(net.eval(), corpus)
    rng = torch.Generator()
    (mine,) = seconds(lambda: generator.generate(sources, decoding=Decoding("beam", beam_size=size), rng=rng), rounds=1)
    print(f"\nbeam {size}, 500 sources, at most {generator.limits.max_length} tokens: {mine:.2f} s")
    benchmark.extra_info["cpu_seconds"] = mine
    benchmark.pedantic(generator.generate, (sources,), {"decoding": Decoding("greedy"), "rng": rng}, rounds=1)


def test_replaced_unknown_words(benchmark):
    """1,000 sentences of about ten words, an `<unk>` in most: beam 5 alone, and with its `<unk>` replaced."""
    vocab, n, rng = 15_700, 1000, np.random.default_rng(0)
    codec = Codec(Vocabulary(("</s>", "<unk>", *map(str, range(vocab - 2)))), Blanks())
    texts = [(" ".join(map(str, rng.integers(0, 20_000, rng.integers(5, 16)))),) for _ in range(n)]
    sources = Ragged.from_lists([[*codec.encode(text), 0] for (text,) in texts])
    examples = tuple(Example(text, (text,)) for (text,) in texts)
    split = Split(examples, sources, sources)
    corpus = _corpus("conditional", codec, codec, dict.fromkeys(("train", "valid", "test"), split), None)
    net = AttentionSeq2Seq(vocab + 2, vocab, 128, 256, tied=True)
    initialise(net, "glorot", 0.5, torch.Generator().manual_seed(0))
    net.output.bias.data[1] += 3.0
    generator = NeuralGenerator(net.eval(), corpus)

    def write(decoding):
        return generator.write(sources, texts, decoding=Decoding.parse(decoding), rng=torch.Generator())

    replaced, ids = write("beam5/replace-unk")  # learns the dictionary
    rows = sum(1 in ids[row] for row in range(n))
    plain, all_in = seconds(lambda: write("beam5"), lambda: write("beam5/replace-unk"), rounds=1)
    print(f"\n{n} sentences, <unk> in {rows}: beam 5 {plain:.2f} s, replacing them {all_in - plain:.2f} s more")
    assert rows > n / 2
    assert not any("<unk>" in text for text in replaced)
    benchmark.extra_info["seconds_more"] = all_in - plain
    benchmark.pedantic(write, ("beam5/replace-unk",), rounds=1)


def test_dictionary(benchmark):
    """IBM model 1 on 50,000 pairs of ten words."""
    rng = np.random.default_rng(0)
    sides = [
        Ragged.from_lists((np.minimum(rng.zipf(1.3, 10), 15_000) - 1).tolist() for _ in range(50_000)) for _ in "st"
    ]
    (took,) = seconds(lambda: ibm1(*sides).best(), rounds=1)
    print(f"\n{50_000 * 110 / 1e6:.1f} million links: {took:.2f} s")
    benchmark.extra_info["seconds_per_million_links"] = took / 5.5
    benchmark.pedantic(lambda: ibm1(*sides), rounds=1)


@pytest.mark.parametrize(
    ("task", "vocab", "target", "source_vocab", "source"),
    [
        ("poetry", 4000, 20, 0, 0),
        ("speech", 4700, 22, 0, 0),
        ("oracle", 5000, 20, 0, 0),
        ("translation", 15_700, 9, 9800, 9),
        ("dialogue", 15_000, 12, 15_000, 34),
        ("summarization", 7900, 12, 20_000, 195),
    ],
)
def test_training(benchmark, task, vocab, target, source_vocab, source):
    """Target tokens a CPU second of teacher forcing at the `small` preset, on random text as long as the real one."""
    kind = "conditional" if source else "free"
    config = MLEConfig(**{**MLE.preset("small", task, kind), "epochs": 1, "interval": 8})
    rng = np.random.default_rng(0)

    def text(size, mean):
        lengths = rng.poisson(mean - 1, 8 * config.batch) + 1
        return Ragged.from_lists([rng.integers(0, size, n).tolist() for n in lengths])

    codecs = [ToyCodec(Vocabulary(tuple(map(str, range(size))))) for size in (vocab, max(1, source_vocab))]
    split = Split((), text(vocab, target), text(source_vocab, source) if source else None)
    valid = Split((), split.targets.take([0]), split.sources.take([0]) if split.sources else None)
    splits = {"train": split, "valid": valid, "test": valid}
    corpus = _corpus(kind, codecs[0], codecs[1] if source else None, splits, None)

    def train():
        net = build_net(corpus, config.net)
        initialise(net, config.net.init, config.net.init_scale, torch.Generator().manual_seed(0))
        train_mle(net, corpus, config, FakeRun(save=False))

    (took,) = seconds(train, rounds=2)
    benchmark.extra_info["tokens_per_cpu_second"] = round(len(split.targets.flat) / took)
    print(f"\n{task}, {kind}: {len(split.targets.flat) / took:.0f} target tokens a CPU second, {took / 8:.3f} s a step")
    benchmark.pedantic(train, rounds=1)


def test_sampler_prepared_once(benchmark):
    output, features = nn.Linear(32, VOCAB), torch.randn(1000, 32)
    uniforms, sampler = torch.rand(1000, 1), TokenSampler(output)
    rng = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def theirs():
        return torch.multinomial(output(features).softmax(1), 1, generator=rng)

    tell(benchmark, "1000 tokens from features", *seconds(lambda: sampler(features, uniforms), theirs))
    benchmark(sampler, features, uniforms)
