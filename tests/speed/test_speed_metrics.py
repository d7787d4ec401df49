"""BLEU and Self-BLEU of synthetic text, from token lists to the four values, as ratios against NLTK in the same run.

NLTK compares every sentence with every reference. It is timed on a few sentences against all references, and its time
for all of them is that, times their number: right for a method that takes sentences one by one, but an extrapolation.
It gets all four orders in one call, which is the fastest way it has.

fast-bleu (C++) is timed on all of it where it can be imported; it has no place in the suite's own environment:

    pip install --target /tmp/fast-bleu fast-bleu
    PYTHONPATH=/tmp/fast-bleu make speed

Seconds are those of the processor, which other work on the machine disturbs less than the clock on the wall.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from metrics.bleu import sentence_bleu as ours
from metrics.ngrams import Encoder, others_matches, pool_matches

pytestmark = pytest.mark.speed
WEIGHTS = [(1 / n,) * n for n in range(2, 6)]
SMOOTHING = SmoothingFunction().method1
TIMED = 3  # sentences given to NLTK
FAST_BLEU = importlib.util.find_spec("fast_bleu") is not None


def zipf_text(sentences, seed):
    """Token lists of about 28 words from 20,000 with Zipf's frequencies."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.normal(28, 8, sentences).astype(int), 3, 80)
    draws = rng.zipf(1.15, 3 * int(lengths.sum()))
    names = [f"w{rank}" for rank in range(20_001)]
    words = [names[rank] for rank in draws[draws <= 20_000][: lengths.sum()].tolist()]
    ends = np.cumsum(lengths).tolist()
    return [words[end - size : end] for end, size in zip(ends, lengths.tolist(), strict=True)]


def bleu(samples, references):
    encoder = Encoder()
    matches = pool_matches(encoder.encode(samples), encoder.encode(references))
    return [ours(matches, n) for n in range(2, 6)]


def self_bleu(samples):
    matches = others_matches(Encoder().encode(samples))
    return [ours(matches, n) for n in range(2, 6)]


def cpu_seconds(function: Callable[..., object], *arguments: object, rounds: int = 5) -> float:
    """The least of a few rounds, after one that is not counted where there are several."""
    times = []
    for _ in range(rounds + (rounds > 1)):
        start = time.process_time()
        function(*arguments)
        times.append(time.process_time() - start)
    return min(times[1:] or times)


def fast_bleu_figures(name: str, mine: Sequence[np.ndarray], seconds: float, *texts: object) -> dict[str, float]:
    """fast-bleu's seconds for the same values, and how far those are from ours; nothing where it isn't there."""
    if not FAST_BLEU:
        print("\nfast-bleu can't be imported: no ratio against it (see the top of this file)")
        return {}
    import fast_bleu

    weights = {n: (1 / n,) * n for n in range(2, 6)}
    start = time.process_time()
    if name == "self-bleu":
        found = fast_bleu.SelfBLEU(texts[0], weights).get_score()
    else:
        found = fast_bleu.BLEU(texts[1], weights).get_score(texts[0])
    spent = time.process_time() - start
    apart = np.abs(np.array([found[n] for n in range(2, 6)]) - np.array(mine))
    differ = float((apart.max(axis=0) > 1e-6).sum())
    return {"fast_bleu_seconds": spent, "ratio_fast_bleu": spent / seconds, "sentences_that_differ": differ}


def nltk_seconds(samples, references_of, values):
    """Seconds for all samples, from a few of them; and those few must have our values."""
    start = time.process_time()
    few = [sentence_bleu(references_of(i), samples[i], WEIGHTS, SMOOTHING) for i in range(TIMED)]
    spent = time.process_time() - start
    assert np.abs(np.array(values)[:, :TIMED].T - few).max() < 1e-9
    return spent / TIMED * len(samples)


def report(benchmark, **figures):
    benchmark.extra_info.update(figures)
    print("\n", benchmark.name, {key: round(value, 3) for key, value in figures.items()})


def numbers_for(texts):
    """As many random numbers as the texts have tokens: what a sort of them takes is what growth is held against."""
    tokens = sum(len(sentence) for text in texts for sentence in text)
    return np.random.default_rng(0).integers(0, 2**62, tokens)


def peak_megabytes(function, *arguments):
    tracemalloc.start()
    function(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def test_self_bleu_10k(benchmark):
    samples = zipf_text(10_000, 1)
    values = benchmark.pedantic(self_bleu, (samples,), rounds=1)
    seconds = cpu_seconds(self_bleu, samples)
    nltk = nltk_seconds(samples, lambda i: samples[:i] + samples[i + 1 :], values)
    other = fast_bleu_figures("self-bleu", values, seconds, samples)
    report(benchmark, seconds=seconds, nltk_hours=nltk / 3600, ratio_nltk=nltk / seconds, **other)


def test_bleu_10k(benchmark):
    samples, references = zipf_text(10_000, 1), zipf_text(10_000, 2)
    values = benchmark.pedantic(bleu, (samples, references), rounds=1)
    seconds = cpu_seconds(bleu, samples, references)
    nltk = nltk_seconds(samples, lambda _: references, values)
    other = fast_bleu_figures("bleu", values, seconds, samples, references)
    report(benchmark, seconds=seconds, nltk_hours=nltk / 3600, ratio_nltk=nltk / seconds, **other)


@pytest.mark.parametrize("which", ["self-bleu", "bleu"])
def test_growth(benchmark, which):
    """Seconds and peak memory beyond the token lists, from 1,000 to 100,000 sentences, beside a plain sort's growth."""
    figures = {}
    for size in (1_000, 10_000, 100_000):
        arguments = (zipf_text(size, 1),) if which == "self-bleu" else (zipf_text(size, 1), zipf_text(size, 2))
        function = self_bleu if which == "self-bleu" else bleu
        figures[f"seconds_{size}"] = cpu_seconds(function, *arguments, rounds=3)
        figures[f"sort_{size}"] = cpu_seconds(np.sort, numbers_for(arguments), rounds=3)
        figures[f"peak_mb_{size}"] = peak_megabytes(function, *arguments)
    for name in ("seconds", "sort"):
        figures[f"{name}_10k_over_1k"] = figures[f"{name}_10000"] / figures[f"{name}_1000"]
        figures[f"{name}_100k_over_10k"] = figures[f"{name}_100000"] / figures[f"{name}_10000"]
    benchmark.pedantic(function, (zipf_text(1_000, 3),) * len(arguments), rounds=3)
    report(benchmark, **figures)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["self-bleu", "bleu"])
def test_a_million(benchmark, which):
    """Seconds and memory of a process of its own; growth from 1,000 sentences, beside that of a plain sort."""

    def run():
        command = [sys.executable, "-m", "tests.speed.million", which, "1000000"]
        root = Path(__file__).parents[2]
        return json.loads(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout)

    large = benchmark.pedantic(run, rounds=1)
    texts = [zipf_text(1_000, seed) for seed in range(1 + (which == "bleu"))]
    small = cpu_seconds(bleu if which == "bleu" else self_bleu, *texts)
    small_sort = cpu_seconds(np.sort, numbers_for(texts))
    growth, growth_sort = large["seconds"] / small, large["sort"] / small_sort
    report(benchmark, **large, seconds_1000=small, growth=growth, growth_sort=growth_sort)
