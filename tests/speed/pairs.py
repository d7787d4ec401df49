"""Pairs of the size of real translation, and the generator of `small`, for timings of methods on pairs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from baselines.mle import MLE
from baselines.nets.lstm import initialise
from baselines.training.mle import MLEConfig
from tasks.base import Corpus, Ragged, Split
from tests.toys import ToyCodec, _corpus, vocabulary

VOCAB, TIME, ROWS = 16_000, 12, 2048  # of the target; tokens; pairs


def small() -> dict[str, Any]:
    """The network of `small` on translation, without dropout."""
    net: dict[str, Any] = MLEConfig.model_validate(MLE.preset("small", "translation", "conditional")).net.model_dump()
    return {"net": {**net, "dropout": 0.0}}


def pairs(rows: int = ROWS, vocab: int = VOCAB, length: int = TIME) -> Corpus:
    """Random words, each target of `length` tokens with its end."""
    rng = np.random.default_rng(0)
    codec = ToyCodec(vocabulary([str(i) for i in range(vocab - 2)]))
    ids = rng.integers(2, vocab, (2, rows, length))
    ids[:, :, -1] = 0
    split = Split((), Ragged.from_lists(ids[0].tolist()), Ragged.from_lists(ids[1].tolist()))
    corpus = _corpus("conditional", codec, codec, dict.fromkeys(("train", "valid", "test"), split), None)
    object.__setattr__(corpus, "max_target_length", length)
    return corpus


def weights(net: Any) -> None:
    """Scores about as far apart as a trained network's first ones."""
    initialise(net, "glorot", 0.5, torch.Generator().manual_seed(1))


def seconds(work: Callable[[], Any]) -> float:
    """CPU seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start
