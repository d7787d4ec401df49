"""Safe points, streams, shared pre-training: what makes a resumed cell equal to an uninterrupted one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.base import Diverged
from bench.context import CellRun, Interrupted, Surroundings
from bench.plugins import load_things
from bench.seeding import seed_for
from bench.store import RunStore
from tests.toys import free_corpus

CORPUS = free_corpus()
Walker = load_things(str(Path(__file__).parents[1] / "plugins" / "walker.py")).methods["walker"]


def surroundings(path: Path, stop_after: int | None = None, every: float = 0.0, seed: int = 0) -> Surroundings:
    asked = iter(range(10**9))
    return Surroundings(
        store=RunStore(path),
        task="toy",
        fingerprint=CORPUS.fingerprint,
        seed=seed,
        device=torch.device("cpu"),
        emit=lambda *_: None,
        stop=lambda: stop_after is not None and next(asked) >= stop_after,
        every=every,
    )


def walk(
    path: Path, stop_after: int | None = None, every: float = 0.0, seed: int = 0, **config: object
) -> torch.Tensor:
    run = CellRun(path / "cell", surroundings(path, stop_after, every, seed))
    try:
        model = Walker(Walker.Config(**config)).fit(CORPUS, run)
    finally:
        run.close()
    return model.logits.detach().clone()


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (path / "cell" / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("stop_after", [0, 1, 7, 18])
@pytest.mark.parametrize("shared_steps", [0, 10])
def test_stopped_and_resumed_equals_uninterrupted(tmp_path: Path, stop_after: int, shared_steps: int) -> None:
    config = {"steps": 20 - shared_steps, "shared_steps": shared_steps}
    whole = walk(tmp_path / "a", **config)
    with pytest.raises(Interrupted):
        walk(tmp_path / "b", stop_after=stop_after, **config)
    resumed = walk(tmp_path / "b", **config)
    assert torch.equal(whole, resumed)
    assert [(r["stage"], r["step"]) for r in records(tmp_path / "a")] == [
        (r["stage"], r["step"]) for r in records(tmp_path / "b")
    ]


def draw(path: Path, stop_after: int | None = None) -> list[float]:
    """A method with a network of its own beside the shared one: built before it asks where it was."""
    run = CellRun(path / "cell", surroundings(path, stop_after))
    try:
        run.pretrained({"nothing": 0}, lambda _: {"weights": torch.zeros(1)})
        torch.nn.Linear(3, 2)
        torch.rand(5, generator=run.rng("init"))
        drawn: list[float] = (run.resume() or {"drawn": []})["drawn"]
        while len(drawn) < 8:
            drawn.append(float(torch.rand(()) + torch.rand((), generator=run.rng("steps"))))
            run.checkpoint(lambda: {"drawn": drawn})
    finally:
        run.close()
    return drawn


@pytest.mark.parametrize("stop_after", [0, 3, 6])
def test_what_is_built_before_resuming_moves_no_stream(tmp_path: Path, stop_after: int) -> None:
    whole = draw(tmp_path / "a")
    with pytest.raises(Interrupted):
        draw(tmp_path / "b", stop_after)
    assert draw(tmp_path / "b") == whole


def test_a_stop_is_honoured_even_when_no_save_is_due(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        walk(tmp_path, stop_after=3, every=1e9, steps=9)
    assert len(records(tmp_path)) == 4


def test_shared_pretraining_is_computed_once_and_its_taker_does_not_matter(tmp_path: Path) -> None:
    first = walk(tmp_path / "a", shared_steps=4, steps=3)
    (folder,) = (tmp_path / "a" / "pretrained").iterdir()
    stamp = (folder / "weights.safetensors").stat().st_mtime_ns
    (tmp_path / "a" / "cell").rename(tmp_path / "a" / "old")
    again = walk(tmp_path / "a", shared_steps=4, steps=3)  # found, not trained
    assert (folder / "weights.safetensors").stat().st_mtime_ns == stamp
    assert torch.equal(first, again)
    assert not torch.equal(first, walk(tmp_path / "b", shared_steps=4, steps=3, seed=1))


def test_streams_differ_by_purpose_task_and_seed_and_repeat(tmp_path: Path) -> None:
    run = CellRun(tmp_path, surroundings(tmp_path))
    assert run.rng("a") is run.rng("a")
    assert run.rng("a").initial_seed() != run.rng("b").initial_seed()
    seeds = {seed_for(p, t, s) for p in "xy" for t in ("poetry", "speech") for s in range(3)}
    assert len(seeds) == 12
    assert seed_for("order", "poetry", 0) == seed_for("order", "poetry", 0)
    assert all(0 <= seed < 2**63 for seed in seeds)
    run.close()


def test_divergence_names_the_figure_and_is_logged(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="walk step 3: norm is nan"):
        walk(tmp_path, steps=9, nan_at=3)
    assert len(records(tmp_path)) == 4


def test_seconds_include_the_shared_pretraining(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        run = CellRun(tmp_path / folder, surroundings(tmp_path))
        Walker(Walker.Config(shared_steps=5, steps=1, pause=0.05)).fit(CORPUS, run)
        assert run.seconds >= 0.3
        run.finish()


def test_tokens_are_told_as_a_rate_of_the_time_since_the_last_line_over_interruptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, told = [100.0], []
    monkeypatch.setattr("bench.context.time.monotonic", lambda: now[0])
    around = replace(surroundings(tmp_path), emit=lambda *given: told.append(given[3]))

    def spend(run: CellRun, seconds: float) -> None:
        now[0] += seconds
        run.checkpoint(dict)

    run = CellRun(tmp_path / "cell", around)
    spend(run, 4)
    run.progress("pretrain", 1, 4, tokens=100, nll=2.0)
    spend(run, 1)
    run.log("pretrain", 1, tokens=200, nll=2.0)
    spend(run, 8)
    run.close()
    now[0] += 1000  # between the two processes
    resumed = CellRun(tmp_path / "cell", around)
    spend(resumed, 2)
    resumed.log("pretrain", 2, tokens=400, nll=1.0)
    resumed.log("adversarial", 1, reward=1.0)
    resumed.close()
    assert told == [{"nll": 2.0, "tokens_per_second": 25.0}]
    rates = [record.get("tokens_per_second") for record in records(tmp_path)]
    assert rates == [40.0, 40.0, None]
    assert not any("tokens" in record for record in records(tmp_path))


def test_a_shared_pretraining_is_no_part_of_the_time_that_a_rate_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("bench.context.time.monotonic", lambda: now[0])

    def train(own: Any) -> dict[str, torch.Tensor]:
        now[0] += 50.0
        own.log("pretrain", 1, tokens=500)
        return {}

    run = CellRun(tmp_path / "cell", surroundings(tmp_path))
    run.pretrained({}, train)
    now[0] += 2.0
    run.log("train", 1, tokens=60)
    run.close()
    assert records(tmp_path)[0]["tokens_per_second"] == 30.0
    (folder,) = (tmp_path / "pretrained").iterdir()
    assert json.loads((folder / "log.jsonl").read_text())["tokens_per_second"] == 10.0
