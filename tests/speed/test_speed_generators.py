"""Speed of training each encoder-decoder at the `small` sizes of translation.

Run with `pytest tests/speed/test_speed_generators.py --benchmark-only -m speed -s`. Times are CPU seconds of one
thread, which other work on the machine disturbs less than the clock on the wall; all take turns with the row `mle`.
On a GPU, where there is one: updates at the `paper` sizes with products in float32 and in bfloat16, in turns.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any

import numpy as np
import pytest
import torch

from baselines import mle
from baselines.nets.transformer import available
from baselines.neural import build_net, initialise_net
from baselines.training.batches import Collator
from baselines.training.mle import _step
from tasks.base import Corpus, Ragged, Split, Vocabulary
from tests.toys import ToyCodec, _corpus

pytestmark = pytest.mark.speed

WORDS, SOURCE_WORDS, PAIRS = 15_700, 12_000, 64  # mt_en_fr at `small`: targets of 9 to 11 tokens, sources of 9
ROWS = [mle.RNNSearch, mle.PointerGenerator, mle.LSTMSeq2Seq, mle.CNNSeq2Seq]
ROWS += [mle.DualAttentionRow, mle.DBAMRow, mle.Transformer]


def corpus(pairs: int = PAIRS) -> Corpus:
    rng = np.random.default_rng(3)

    def rows(words: int) -> Ragged:
        return Ragged.from_lists([[*rng.integers(2, words, 9).tolist(), 0] for _ in range(pairs)])

    codecs = [ToyCodec(Vocabulary(("</s>", "<unk>", *map(str, range(n - 2))))) for n in (WORDS, SOURCE_WORDS)]
    split = Split((), rows(WORDS), rows(SOURCE_WORDS))
    made = _corpus("conditional", *codecs, dict.fromkeys(("train", "valid", "test"), split), None)
    return dataclasses.replace(made, max_target_length=52, max_source_length=52)


class Trainer:
    def __init__(
        self, cls: type[mle.MLE], data: Corpus, budget: str = "small", device: str = "cpu", **changes: Any
    ) -> None:
        settings = cls.preset(budget, "translation", "conditional") | changes
        self.config: Any = cls.Config.model_validate(settings)
        self.split, self.collator = data.splits["train"], Collator.of(data)
        self.net = build_net(data, self.config.net)
        initialise_net(self.net, self.config.net, torch.Generator().manual_seed(0))
        self.net.to(device).train()
        self.optimiser = torch.optim.Adam(self.net.parameters(), 1e-3, fused=True)

    def step(self) -> float:
        """CPU seconds of an update."""
        start = time.process_time()
        _step(self.net, self.optimiser, self.split, np.arange(PAIRS), self.collator, self.config)
        return time.process_time() - start

    def steps_on_a_gpu(self, count: int) -> float:
        """Seconds of that many updates."""
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            _step(self.net, self.optimiser, self.split, np.arange(PAIRS), self.collator, self.config)
        torch.cuda.synchronize()
        return time.perf_counter() - start


@pytest.mark.parametrize("cls", ROWS)
def test_training_step(benchmark: Any, cls: type[mle.MLE]) -> None:
    if cls is mle.Transformer and not available():
        pytest.skip("transformers is not installed")
    data = corpus()
    ours, plain = Trainer(cls, data), Trainer(mle.MLE, data)
    taken = [(plain.step(), ours.step()) for _ in range(6)][1:]
    reference, seconds = (statistics.median(side) for side in zip(*taken, strict=True))
    benchmark.pedantic(ours.step, rounds=1)
    rate = len(data.splits["train"].targets.flat) / seconds
    benchmark.extra_info |= {"tokens_per_second": rate, "of_mle": reference / seconds}
    print(
        f"\n{cls.name}: {rate:.0f} target tokens/s, {seconds:.3f} s a step, {seconds / reference:.2f} times that of mle"
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("cls", [mle.MLE, mle.Transformer])
def test_training_step_in_bfloat16(benchmark: Any, cls: type[mle.MLE]) -> None:
    if cls is mle.Transformer and not available():
        pytest.skip("transformers is not installed")
    data, count = corpus(), 20
    plain, fast = (Trainer(cls, data, "paper", "cuda", precision=name) for name in ("float32", "bfloat16"))
    taken = [(plain.steps_on_a_gpu(count), fast.steps_on_a_gpu(count)) for _ in range(6)][1:]
    reference, seconds = (statistics.median(side) for side in zip(*taken, strict=True))
    benchmark.pedantic(fast.steps_on_a_gpu, (count,), rounds=1)
    rate = count * len(data.splits["train"].targets.flat) / seconds
    benchmark.extra_info |= {"tokens_per_second": rate, "of_float32": reference / seconds}
    print(f"\n{cls.name}: {rate:.0f} target tokens/s in bfloat16, {reference / seconds:.2f} times those in float32")
