"""What a probe tells of drawing and scoring from shares of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from baselines.neural import NetConfig, NeuralGenerator, build_net
from bench.estimate import probe
from bench.estimate.probe import end_like_targets, extended, length_share
from bench.scoring import SampleSet
from tasks.base import Ragged
from tests.toys import free_corpus


def test_shares_tell_of_the_whole() -> None:
    assert extended([(16, 1.0)], 160) == pytest.approx(10.0)
    assert extended([(16, 1.0), (64, 1.6)], 64) == pytest.approx(1.6)
    assert extended([(16, 1.0), (64, 1.6)], 164) == pytest.approx(2.85)  # 0.6 s for 48
    assert extended([(16, 1.0), (64, 0.8)], 640) == pytest.approx(
        8.0
    )  # a second try faster than the first: in proportion


def test_drawing_counts_at_the_lengths_of_the_targets() -> None:
    corpus = free_corpus(40)
    targets = corpus.splits["test"].targets

    def drawn(*lengths: int) -> list[SampleSet]:
        ids = Ragged.from_lists([[2] * length for length in lengths])
        return [SampleSet("final", "test", "sample@1", [""] * len(lengths), ids)]

    mean = float(targets.lengths.mean())
    assert length_share(corpus, [SampleSet("final", "test", "greedy", [""] * len(targets), targets)]) == 1.0
    assert length_share(corpus, drawn(16, 20)) == pytest.approx(mean / 18)
    assert length_share(corpus, drawn(16, 20) + drawn(12)) == pytest.approx(mean / 16)
    assert length_share(corpus, drawn(1, 1)) == 1.0
    assert length_share(corpus, drawn(10**4)) == 0.1
    for unknown in ([], drawn(0), [SampleSet("final", "test", "greedy", ["who knows"])]):
        assert length_share(corpus, unknown) == 1.0


def test_what_is_made_ready_once_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ready: list[int] = []

    def drawn(prepared: Any, generator: Any, stages: Any, n: int) -> Any:
        begun = 30.0 if n >= 64 and not ready else 0.0
        ready.extend([n] * (n >= 64))
        return ([], []), begun + 0.5 + n / 100, 0.0

    monkeypatch.setattr(probe, "_draw", drawn)
    monkeypatch.setattr(probe, "_scored", lambda *_: 0.0)
    monkeypatch.setattr(probe, "_sizes", lambda *_: (1000, 0))
    prepared: Any = SimpleNamespace(corpus=free_corpus(40), spec=None)
    monkeypatch.setattr(probe, "length_share", lambda *_: 1.0)
    known = probe.Known(torch.device("cpu"))
    assert probe._drawn_and_scored(prepared, None, ["final"], known)[0] == pytest.approx(30.0 + 0.5 + 10.0)


def test_what_a_probe_draws_ends_where_most_targets_have_ended() -> None:
    corpus = free_corpus(200)
    model = NeuralGenerator(build_net(corpus, NetConfig(embedding=4, hidden=4)), corpus)
    before = model.limits
    lengths = corpus.splits["test"].targets.lengths
    end_like_targets(model, corpus)
    assert np.mean(lengths <= model.limits.max_length) >= 0.9 > np.mean(lengths < model.limits.max_length)
    assert replace(model.limits, max_length=before.max_length) == before
    fixed = free_corpus(40, fixed_length=6)
    model = NeuralGenerator(build_net(fixed, NetConfig(embedding=4, hidden=4)), fixed)
    end_like_targets(model, fixed)
    assert model.limits.max_length == 6
    end_like_targets(None, corpus)
