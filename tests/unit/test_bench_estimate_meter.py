"""Jumps through a training, on a clock of the test's own: what was left out counts as if it had been gone through."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch

from bench.estimate.meter import Jump, Meter, OutOfTime, looks, numbers_of, replaced
from tests.fresh import fresh_seed


@dataclass
class Trained:
    """A training on a clock that it moves itself: `steps` of `unit` seconds, `later` more each at the stage's end."""

    meter: Meter
    steps: int
    unit: float
    tell_every: int = 1
    look_every: int = 0
    look: float = 0.0
    setup: float = 0.0
    later: float = 0.0
    hidden: bool = False
    needs_last: bool = False  # fails where it did not take its last step
    before: int = 0  # steps of a stage before it, with a counter of its own
    taken: int = 0

    def fit(self, clock: list[float]) -> None:
        clock[0] += self.setup
        state = self.meter.resume() or {"done": {"first": 0, "step": 0}, "place": 0, "net": torch.zeros(1)}
        done = dict(state["done"])
        while done["first"] < self.before:
            clock[0] += self.unit
            self.taken += 1
            done["first"] += 1
            self.meter.progress("first", done["first"], self.before)
            self.meter.checkpoint(lambda: self.state(done))
        if self.needs_last and done["step"] == self.steps:
            raise ValueError("no weights")
        while done["step"] < self.steps:
            clock[0] += self.unit + self.later * done["step"] / self.steps
            self.taken += 1
            done["step"] += 1
            looked = self.look_every and done["step"] % self.look_every == 0
            if looked:
                clock[0] += self.look
                self.meter.log({"valid_nll": 1.0})
            if done["step"] % self.tell_every == 0:
                self.meter.progress("train", done["step"], self.steps)
            self.meter.checkpoint(lambda: self.state(done))

    def state(self, done: Mapping[str, int]) -> dict[str, Any]:
        counts = {name: float(count) for name, count in done.items()} if self.hidden else dict(done)
        return {"done": counts, "place": done["step"] % 7, "net": torch.zeros(1), "order": 2**40}

    def whole(self) -> float:
        """Seconds without a meter."""
        steps = self.before * self.unit + sum(self.unit + self.later * step / self.steps for step in range(self.steps))
        return self.setup + steps + (self.steps // self.look_every * self.look if self.look_every else 0.0)


def metered(settings: Mapping[str, Any] | None = None, patience: float = 2.0, **about: Any) -> tuple[Trained, float]:
    """The training gone through with jumps, and the seconds that the meter takes the whole for."""
    clock = [100.0]
    deadline = about.pop("deadline", 1e9)
    meter = Meter(settings or {}, lambda: patience, lambda: clock[0] > deadline, clock=lambda: clock[0])
    trained = Trained(meter, **about)
    rest = 0.0
    while True:
        try:
            trained.fit(clock)
        except Jump:
            continue
        except OutOfTime:
            rest = meter.rest()
        except ValueError:
            if meter.step_back():
                continue
            raise
        return trained, clock[0] - 100.0 + meter.skipped_seconds() + rest


def test_a_jump_leaves_the_time_as_it_is() -> None:
    draw = random.Random(fresh_seed())
    for _ in range(20):
        about: dict[str, Any] = {
            "steps": draw.randint(300, 3000),
            "unit": draw.uniform(0.02, 0.2),
            "tell_every": draw.choice([1, 7, 20]),
            "setup": draw.uniform(0.0, 3.0),
            "before": draw.choice([0, 200]),
        }
        trained, seconds = metered(**about)
        assert trained.taken < 0.7 * (about["steps"] + about["before"])
        assert seconds == pytest.approx(trained.whole(), rel=0.03), about


def test_looks_at_valid_count_as_often_as_the_config_has_them() -> None:
    trained, seconds = metered({"valid_every": 50}, steps=1000, unit=0.1, look_every=50, look=8.0)
    assert trained.taken < 300
    assert seconds == pytest.approx(trained.whole(), rel=0.03)
    trained, unaware = metered({}, steps=1000, unit=0.1, look_every=50, look=8.0)
    assert unaware < 0.75 * trained.whole()  # so the test above could fail


def test_a_stage_whose_steps_grow_dearer_is_seen_in_its_middle_too() -> None:
    trained, seconds = metered(steps=2000, unit=0.02, later=0.1)
    assert trained.taken < 700
    assert seconds == pytest.approx(trained.whole(), rel=0.15)


def test_a_step_longer_than_all_patience_is_taken_once_or_twice() -> None:
    trained, seconds = metered(steps=30, unit=25.0)
    assert trained.taken <= 3
    assert seconds == pytest.approx(trained.whole(), rel=0.01)
    trained, seconds = metered(steps=30, unit=25.0, before=40)  # the second stage's counter is known from the first
    assert trained.taken <= 4
    assert seconds == pytest.approx(trained.whole(), rel=0.01)


def test_a_training_that_needs_its_last_step_takes_it() -> None:
    trained, seconds = metered(steps=30, unit=25.0, needs_last=True)
    assert trained.taken <= 4
    assert seconds == pytest.approx(trained.whole(), rel=0.01)
    with pytest.raises(ValueError, match="no weights"):
        metered(steps=0, unit=25.0, needs_last=True)


def test_without_a_counter_in_the_state_training_goes_on_until_the_time_is_over() -> None:
    trained, seconds = metered(steps=500, unit=0.1, hidden=True)
    assert trained.taken == 500
    assert seconds == pytest.approx(trained.whole())
    trained, seconds = metered(steps=500, unit=0.1, hidden=True, deadline=110.0)
    assert trained.taken < 110
    assert seconds == pytest.approx(trained.whole(), rel=0.03)  # its own speed tells the rest


def test_a_short_training_is_gone_through() -> None:
    trained, seconds = metered(steps=9, unit=0.1)
    assert trained.taken == 9
    assert seconds == pytest.approx(0.9)


@dataclass
class Rounds:
    """Rounds of a step of its own, some epochs and a look at valid, as LeakGAN pre-trains; then another stage."""

    meter: Meter
    clock: list[float]
    rounds: int
    epochs: int
    steps: int
    unit: float
    own: float  # seconds of the step of its own
    look: float
    after: int
    taken: int = 0

    def fit(self) -> None:
        meter = self.meter
        done = dict(meter.resume() or {"rounds": 0, "own": 0, "epochs": 0, "step": 0, "after": 0})
        while done["rounds"] < self.rounds:
            meter.progress("rounds", done["rounds"], self.rounds)
            if not done["own"]:
                self.clock[0] += self.own
                done["own"] = 1
                meter.checkpoint(partial(dict, done))
            while done["epochs"] < self.epochs:
                meter.progress("epoch", done["step"], self.steps)
                while done["step"] < self.steps:
                    self.step("epoch", "step", done, self.steps)
                done |= {"step": 0, "epochs": done["epochs"] + 1}
            self.clock[0] += self.look
            meter.log({"valid_nll": 1.0})
            done |= {"rounds": done["rounds"] + 1, "own": 0, "epochs": 0}
            meter.progress("rounds", done["rounds"], self.rounds)
            meter.checkpoint(partial(dict, done))
        while done["after"] < self.after:
            self.step("after", "after", done, self.after)

    def step(self, stage: str, counter: str, done: dict[str, int], total: int) -> None:
        self.clock[0] += self.unit
        self.taken += 1
        done[counter] += 1
        self.meter.progress(stage, done[counter], total)
        self.meter.checkpoint(partial(dict, done))

    def whole(self) -> float:
        """Seconds without a meter."""
        each = self.own + self.epochs * self.steps * self.unit + self.look
        return self.rounds * each + self.after * self.unit


def test_what_is_skipped_in_an_epoch_counts_in_its_round() -> None:
    draw = random.Random(fresh_seed())
    for _ in range(20):
        clock = [100.0]
        meter = Meter({}, lambda: 2.0, lambda: False, draw.random() < 0.5, partial(clock.__getitem__, 0))
        trained = Rounds(
            meter,
            clock,
            rounds=draw.randint(3, 10),
            epochs=draw.randint(1, 3),
            steps=draw.randint(60, 200),
            unit=draw.uniform(0.1, 0.6),
            own=draw.uniform(0.0, 9.0),
            look=draw.uniform(0.0, 2.0),
            after=draw.randint(200, 400),
        )
        through(trained.fit)
        assert clock[0] - 100.0 + meter.skipped_seconds() == pytest.approx(trained.whole(), rel=0.03), trained
        assert clock[0] - 100.0 < 0.5 * trained.whole()
        assert trained.taken < trained.steps + 0.5 * trained.after  # no epoch but the first took long


def through(fit: Callable[[], None]) -> None:
    while True:
        try:
            fit()
        except Jump:
            continue
        return


def test_numbers_in_a_state_are_found_and_replaced_and_tensors_are_not_copied() -> None:
    weights = torch.zeros(2)
    state = {"done": {"step": 5, "best": 0.5, "on": True}, "parts": [1, (5, weights)]}
    numbers = numbers_of(state)
    assert numbers == {("done", "step"): 5, ("parts", 0): 1, ("parts", 1, 0): 5}
    changed = replaced(state, {("done", "step"): 99, ("parts", 1, 0): 7})
    assert changed["done"] == {"step": 99, "best": 0.5, "on": True}
    assert changed["parts"][1][0] == 7
    assert changed["parts"][1][1] is weights
    assert state["done"]["step"] == 5  # type: ignore[index]


def test_how_often_valid_is_looked_at_is_read_from_configs() -> None:
    assert looks({"valid_every": 5, "mle": {"epochs": 9}}, 42) == 8
    assert looks({"epochs": 9, "interval": None}, 900) == 9
    assert looks({"epochs": 9, "interval": 100}, 900) == 9
    assert looks({"start": {"epochs": 4}, "maskmle": {"interval": 150}}, 600) == 4
    assert looks({"rounds": 3}, 3) == 0
