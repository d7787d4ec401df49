"""Speed of ROUGE, of likelihoods and of cutting text, as ratios against the plain way in the same run."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
import torch
from nltk.tokenize import NLTKWordTokenizer

from baselines.training.loss import log_probs
from metrics import Material, score
from metrics.tokenize import tokenizer
from tests.speed.test_speed_metrics import cpu_seconds, report, zipf_text

pytestmark = pytest.mark.speed


def test_rouge_in_processes(benchmark):
    """10,000 pairs, all four ROUGE, by the clock: two processes against none."""
    samples, answers = ([" ".join(tokens) for tokens in zipf_text(10_000, seed)] for seed in (1, 2))
    material = Material(samples, references_by_item=[(answer,) for answer in answers])
    names = ["rouge-1", "rouge-2", "rouge-l", "rouge-lsum"]
    start = time.perf_counter()
    alone = score(material, names)
    single = time.perf_counter() - start
    shared = benchmark.pedantic(score, (material, names), {"workers": 2}, rounds=1)
    assert all(np.array_equal(one.stats, other.stats) for one, other in zip(alone, shared, strict=True))
    seconds = benchmark.stats.stats.min
    report(benchmark, seconds_alone=single, seconds_two=seconds, ratio=single / seconds)


@pytest.mark.parametrize("lengths", ["equal", "padded"])
@pytest.mark.parametrize(("hidden", "vocab"), [(32, 5_000), (256, 5_000), (256, 20_000)])
def test_likelihood(benchmark, hidden, vocab, lengths):
    """Log-probabilities of a batch of 64 from its features, against log-softmax of all its logits.

    28 tokens each; or 28 on average as in `zipf_text`, where the plain way computes the padding too.
    """
    rng = np.random.default_rng(0)
    each = np.full(64, 28) if lengths == "equal" else np.clip(rng.normal(28, 8, 64).astype(int), 3, 80)
    inside = torch.arange(int(each.max())) < torch.from_numpy(each)[:, None]
    output, features = torch.nn.Linear(hidden, vocab), torch.randn(*inside.shape, hidden)
    targets = torch.randint(vocab, inside.shape)

    def mine():
        return log_probs(features[inside], output, targets[inside])

    @torch.no_grad()
    def plain():
        return torch.log_softmax(output(features), 2).gather(2, targets[..., None]).squeeze(2)[inside]

    exact = (features[inside].double() @ output.weight.double().t() + output.bias.double()).detach().log_softmax(1)
    exact = exact.gather(1, targets[inside][:, None]).squeeze(1)
    assert (mine() - exact).abs().max() < 1e-5 > (plain() - exact).abs().max()
    times = [(cpu_seconds(mine, rounds=1), cpu_seconds(plain, rounds=1)) for _ in range(10)][1:]
    fast, slow = (statistics.median(side) for side in zip(*times, strict=True))
    benchmark.pedantic(mine, rounds=3)
    report(benchmark, seconds=fast, plain=slow, ratio=slow / fast)


def test_tokens_of_plain_lines(benchmark):
    """Lines as captions have them, against NLTK's tokeniser."""
    lines = [" ".join(tokens[:12]) + "." for tokens in zipf_text(2_000, 4)]
    cut, reference = tokenizer("nltk-lower"), NLTKWordTokenizer()
    tokens = benchmark.pedantic(lambda: [cut(line) for line in lines], rounds=5)
    start = time.perf_counter()
    assert tokens == [reference.tokenize(line.strip().lower()) for line in lines]
    nltk = time.perf_counter() - start
    report(benchmark, microseconds_a_line=benchmark.stats.stats.min / 2e-3, ratio=nltk / benchmark.stats.stats.min)
