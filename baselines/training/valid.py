"""A look at valid: how likely held-out text is."""

from __future__ import annotations

import numpy as np

from baselines.neural import NeuralGenerator
from tasks.base import Corpus


def valid_nll(generator: NeuralGenerator, corpus: Corpus, rows: int) -> float:
    """Nats per token on the first `rows` of valid."""
    valid = corpus.splits["valid"]
    chosen = np.arange(min(rows, len(valid)))
    sources = None if valid.sources is None else valid.sources.take(chosen)
    return -float(generator.token_log_probs(valid.targets.take(chosen), sources).mean())
