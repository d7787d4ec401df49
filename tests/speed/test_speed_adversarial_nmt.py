"""Speed of adversarial NMT at its `paper` sizes: RNNSearch with V=30,000, sentences of 50 words, 512 and 256 filters.

Run with `pytest tests/speed/test_speed_adversarial_nmt.py --benchmark-only -s`. Times are CPU seconds of one thread.
The discriminator's reference lays out the grid [x_i ; y_j] and calls `nn.Conv2d` on it, on fewer pairs: its time
grows as their number.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.adversarial_nmt import AdversarialNMT, AdversarialNMTConfig, Game
from baselines.nets.grid_cnn import GridCNN
from baselines.nets.lstm import initialise
from tasks.base import Corpus, Ragged, Split, Vocabulary
from tests.fakes import FakeRun
from tests.toys import ToyCodec

pytestmark = pytest.mark.speed

VOCAB, TIME, BATCH, EMBEDDING = 30_000, 50, 32, 620


def seconds(work: Callable[[], Any], times: int = 1) -> float:
    """Median CPU seconds."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def discriminator() -> GridCNN:
    tables = [nn.Embedding(VOCAB + 2, EMBEDDING).requires_grad_(False) for _ in range(2)]
    net = GridCNN(*tables, filters=(512, 256), hidden=(20, 20), max_source=TIME, max_target=TIME)
    net.initialise(torch.Generator().manual_seed(0))
    return net


def plain(net: GridCNN, sources: Tensor, targets: Tensor) -> Tensor:
    """The same network for sentences of full length, over a grid that is laid out."""
    x, y = (F.pad(table(ids), (0, 0, 1, 1)) for table, ids in ((net.sources, sources), (net.targets, targets)))
    shape = (-1, -1, TIME + 2, -1)
    grid = torch.cat([x[:, :, None].expand(shape), y[:, None].expand(-1, TIME + 2, -1, -1)], 3).permute(0, 3, 1, 2)
    grid = F.max_pool2d(torch.relu(F.conv2d(grid, net.weight, net.bias)), 2, ceil_mode=True)
    grid = F.max_pool2d(torch.relu(net.second(grid)), 2, ceil_mode=True)
    return net.output(torch.relu(net.inner(torch.relu(net.flat(grid.flatten(1)))))).squeeze(1)


@pytest.mark.parametrize("pairs", [8])
def test_grid(benchmark: Any, pairs: int) -> None:
    """Log-odds and gradients of a few pairs."""
    net, rng = discriminator(), torch.Generator().manual_seed(1)
    sources, targets = (torch.randint(VOCAB, (pairs, TIME), generator=rng) for _ in range(2))
    lengths = torch.full((pairs,), TIME)

    def update(work: Callable[[], Tensor]) -> Callable[[], None]:
        return lambda: F.softplus(work()).mean().backward()

    def ours() -> Tensor:
        return net(sources, lengths, targets, lengths)

    torch.testing.assert_close(ours(), plain(net, sources, targets), rtol=1e-3, atol=1e-4)
    slow, fast = seconds(update(lambda: plain(net, sources, targets))), seconds(update(ours), 3)
    benchmark.pedantic(update(ours), rounds=2)
    benchmark.extra_info |= {"reference_s": slow, "fast_s": fast, "ratio": slow / fast}
    print(f"\ngrid of {pairs} pairs: reference {slow:.4g} s, ours {fast:.4g} s, ratio {slow / fast:.1f}")


def corpus() -> Corpus:
    vocab = Vocabulary(("</s>", "<unk>", *map(str, range(VOCAB - 2))))
    ids = torch.randint(2, VOCAB, (2 * BATCH, TIME), generator=torch.Generator().manual_seed(3)).tolist()
    lines = Ragged.from_lists([[*line[:-1], 0] for line in ids])
    split = Split((), lines, lines)
    return Corpus(
        task="synthetic",
        version=1,
        kind="conditional",
        dataset="synthetic",
        origin="synthetic",
        splits=dict.fromkeys(("train", "valid", "test"), split),
        target_codec=ToyCodec(vocab),
        source_codec=ToyCodec(vocab),
        max_target_length=TIME,
        max_source_length=TIME,
        fixed_length=None,
        fingerprint="",
        counts={},
    )


def test_steps(benchmark: Any) -> None:
    """A step of G by policy gradient, by maximum likelihood, and a step of D."""
    data, preset = corpus(), AdversarialNMT.preset("paper", "translation", "conditional")
    method = AdversarialNMT(AdversarialNMTConfig.model_validate(preset))
    generator = method.build(data)
    initialise(generator.net, "normal", 0.01, torch.Generator().manual_seed(0))
    game = Game(data, method.config, generator, FakeRun())
    game.baseline.value = 0.7
    turns: dict[str, Callable[[], Any]] = {
        "policy": game.policy_step,
        "likelihood": game.likelihood_step,
        "discriminator": lambda: game.discriminator_step(game.d_optimizer),
    }
    for name, turn in turns.items():
        benchmark.extra_info[f"{name}_s"] = seconds(turn)
        print(f"\n{name} step of {BATCH} pairs: {benchmark.extra_info[f'{name}_s']:.3g} s")
    benchmark.pedantic(game.likelihood_step, rounds=1)
