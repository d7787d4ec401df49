"""How much faster Moses words are than sacremoses asked for every sentence."""

from __future__ import annotations

import random
import time

import pytest
from sacremoses import MosesTokenizer

from tasks.moses import MosesWords
from tasks.opening import open_source


@pytest.mark.speed
def test_moses_words(benchmark) -> None:  # type: ignore[no-untyped-def]
    rows = open_source().rows("translation", "train")
    texts = [row.fields["src"] for row in rows] * 5
    random.Random(0).shuffle(texts)
    reference = MosesTokenizer("en")
    start = time.perf_counter()
    for text in texts[:2000]:
        reference.tokenize(text, escape=False)
    plain = (time.perf_counter() - start) / 2000

    def cold() -> None:
        words = MosesWords("en")
        for text in texts:
            words.tokenise(text)

    benchmark(cold)
    ratio = plain / (benchmark.stats.stats.min / len(texts))
    benchmark.extra_info["times_faster_than_sacremoses"] = ratio
    print(f"Moses words: {ratio:.1f} times faster than sacremoses ({plain * 1e6:.0f} us a sentence)")
