"""BLEU and Self-BLEU of synthetic text, from token lists to the four values, as ratios against NLTK in the same run.

NLTK compares every sentence with every reference. It is timed on a few sentences against all references, and its time
for all of them is that, times their number: right for a method that takes sentences one by one, but an extrapolation.
It gets all four orders in one call, which is the fastest way it has.
"""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from nltk.tokenize import NLTKWordTokenizer
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from metrics.bleu import sentence_bleu as ours
from metrics.ngrams import Encoder, others_matches, pool_matches
from metrics.tokenize import tokenizer

pytestmark = pytest.mark.speed
WEIGHTS = [(1 / n,) * n for n in range(2, 6)]
SMOOTHING = SmoothingFunction().method1
TIMED = 3  # sentences given to NLTK


def zipf_text(sentences, seed):
    """Token lists of about 28 words from 20,000 with Zipf's frequencies."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.normal(28, 8, sentences).astype(int), 3, 80)
    draws = rng.zipf(1.15, 3 * int(lengths.sum()))
    words = [f"w{rank}" for rank in draws[draws <= 20_000][: lengths.sum()].tolist()]
    ends = np.cumsum(lengths).tolist()
    return [words[end - size : end] for end, size in zip(ends, lengths.tolist(), strict=True)]


def bleu(samples, references):
    encoder = Encoder()
    matches = pool_matches(encoder.encode(samples), encoder.encode(references))
    return [ours(matches, n) for n in range(2, 6)]


def self_bleu(samples):
    matches = others_matches(Encoder().encode(samples))
    return [ours(matches, n) for n in range(2, 6)]


def nltk_seconds(samples, references_of, values):
    """Seconds for all samples, from a few of them; and those few must have our values."""
    start = time.perf_counter()
    few = [sentence_bleu(references_of(i), samples[i], WEIGHTS, SMOOTHING) for i in range(TIMED)]
    spent = time.perf_counter() - start
    assert np.abs(np.array(values)[:, :TIMED].T - few).max() < 1e-9
    return spent / TIMED * len(samples)


def report(benchmark, **figures):
    benchmark.extra_info.update(figures)
    print("\n", benchmark.name, {key: round(value, 3) for key, value in figures.items()})


def peak_megabytes(function, *arguments):
    tracemalloc.start()
    function(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def test_self_bleu_10k(benchmark):
    samples = zipf_text(10_000, 1)
    values = benchmark.pedantic(self_bleu, (samples,), rounds=5, warmup_rounds=1)
    seconds = benchmark.stats.stats.min
    nltk = nltk_seconds(samples, lambda i: samples[:i] + samples[i + 1 :], values)
    report(benchmark, seconds=seconds, nltk_hours=nltk / 3600, ratio=nltk / seconds)


def test_bleu_10k(benchmark):
    samples, references = zipf_text(10_000, 1), zipf_text(10_000, 2)
    values = benchmark.pedantic(bleu, (samples, references), rounds=5, warmup_rounds=1)
    seconds = benchmark.stats.stats.min
    nltk = nltk_seconds(samples, lambda _: references, values)
    report(benchmark, seconds=seconds, nltk_hours=nltk / 3600, ratio=nltk / seconds)


@pytest.mark.parametrize("which", ["self-bleu", "bleu"])
def test_growth(benchmark, which):
    """Seconds and peak memory beyond the token lists, from 1,000 to 100,000 sentences."""
    figures = {}
    for size in (1_000, 10_000, 100_000):
        arguments = (zipf_text(size, 1),) if which == "self-bleu" else (zipf_text(size, 1), zipf_text(size, 2))
        function = self_bleu if which == "self-bleu" else bleu
        times = []
        for _ in range(3):
            start = time.process_time()  # one thread: other people's load on the machine is not counted
            function(*arguments)
            times.append(time.process_time() - start)
        figures[f"seconds_{size}"] = min(times)
        figures[f"peak_mb_{size}"] = peak_megabytes(function, *arguments)
    figures["times_10k_over_1k"] = figures["seconds_10000"] / figures["seconds_1000"]
    figures["times_100k_over_10k"] = figures["seconds_100000"] / figures["seconds_10000"]
    benchmark.pedantic(function, (zipf_text(1_000, 3),) * len(arguments), rounds=3)
    report(benchmark, **figures)


def test_tokens_of_plain_lines(benchmark):
    """Lines as captions have them, against NLTK's tokeniser."""
    lines = [" ".join(tokens[:12]) + "." for tokens in zipf_text(2_000, 4)]
    cut, reference = tokenizer("nltk-lower"), NLTKWordTokenizer()
    tokens = benchmark.pedantic(lambda: [cut(line) for line in lines], rounds=5)
    start = time.perf_counter()
    assert tokens == [reference.tokenize(line.strip().lower()) for line in lines]
    nltk = time.perf_counter() - start
    report(benchmark, microseconds_a_line=benchmark.stats.stats.min / 2e-3, ratio=nltk / benchmark.stats.stats.min)
