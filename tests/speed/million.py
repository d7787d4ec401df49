"""BLEU or Self-BLEU of so many sentences in a process of its own: `python -m tests.speed.million self-bleu 1000000`.

Prints processor seconds from token lists to the four values, those of a plain sort of as many numbers as there are
tokens, and the largest memory the process had until then. Sentences are made on the way: their text is never whole in
memory, and the time that making them takes is not counted.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator

import numpy as np

from metrics.bleu import sentence_bleu
from metrics.ngrams import Encoder, others_matches, pool_matches

NAMES = [f"w{rank}" for rank in range(20_001)]


def sentences(count: int, seed: int) -> Iterator[list[str]]:
    """Like `zipf_text` of the speed tests, in parts of 10,000."""
    for part in range(0, count, 10_000):
        rng = np.random.default_rng([seed, part])
        lengths = np.clip(rng.normal(28, 8, min(10_000, count - part)).astype(int), 3, 80)
        draws = rng.zipf(1.15, 3 * int(lengths.sum()))
        words, end = draws[draws <= 20_000].tolist(), 0
        for length in lengths.tolist():
            yield [NAMES[rank] for rank in words[end : end + length]]
            end += length


def main(which: str, count: int) -> dict[str, float]:
    seeds = (0, 1) if which == "bleu" else (0,)
    start = time.process_time()
    tokens = sum(len(sentence) for seed in seeds for sentence in sentences(count, seed))
    making, start, encoder = time.process_time() - start, time.process_time(), Encoder()
    texts = [encoder.encode(sentences(count, seed)) for seed in seeds]
    matches = pool_matches(*texts) if which == "bleu" else others_matches(*texts)
    for n in range(2, 6):
        sentence_bleu(matches, n)
    seconds = time.process_time() - start - making
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    numbers, start = np.random.default_rng(0).integers(0, 2**62, tokens), time.process_time()
    np.sort(numbers)
    return {"seconds": seconds, "sort": time.process_time() - start, "gib": memory}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
