"""Takes the time of a method's training without going through all of it.

A method tells how far it is (`progress(stage, done, total)`) and offers its whole state at safe points, from which it
can go on. So the meter lets a stage run for some seconds, writes another step into the state's counter (half of the
stage, then its last but one), and has the method go on from there: the steps between count at the speed measured
before and behind them. Which number of the state is the counter is seen from how it moves. What the method gets is the
state of a resumed run, so every method that can be resumed can be probed.

A stage that was told of at 0 holds those told of before its end: a round of pre-training some epochs. What is skipped
in an epoch counts in its round, and a stage that was gone through before is jumped through at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Clock = Callable[[], float]
Place = tuple[Any, ...]
WORTH = 1.0  # seconds that a jump must save, since it costs a set-up
LOOKS = ("valid", "held_out", "fill_nll")  # figures of the log that a look at held-out text gave


class Jump(Exception):
    """Enough was seen here; training goes on from `Meter.resume()`."""


class OutOfTime(Exception):
    """The probe's time is over before the training's end."""


@dataclass
class Point:
    """A call of `progress`: when, how far; whether valid was looked at, and what was skipped, since the one before."""

    at: float
    done: int
    looked: bool
    skips: Sequence[Skip] = ()


@dataclass(eq=False)
class Segment:
    """Steps of one stage without a jump between them; `first` is the step it began behind."""

    stage: str
    began: float
    first: int
    total: int
    holds: bool = False  # it was told of before its first step
    again: bool = False  # the stage was gone through before
    points: list[Point] = field(default_factory=list)
    skips: int = 0  # jumps made when it was last told of

    @property
    def done(self) -> int:
        return self.points[-1].done if self.points else self.first

    @property
    def over(self) -> bool:
        return self.done >= self.total

    def same(self, stage: str, total: int) -> bool:
        return self.stage == stage and self.total == total

    def intervals(self) -> list[tuple[float, int, bool]]:
        """Seconds, steps, and whether valid was looked at."""
        found, at, done = [], self.began, self.first
        for point in self.points:
            seconds = point.at - at + sum(skip.seconds for skip in point.skips)
            found.append((seconds, point.done - done, point.looked))
            at, done = point.at, point.done
        return [one for one in found if one[1] > 0]

    @property
    def unit(self) -> float | None:
        """Seconds of a step without a look; the first interval, which holds a start, only where it is all there is."""
        every = self.intervals()
        plain = [one for one in every[1:] if not one[2]] or [one for one in every if self.holds or not one[2]]
        steps = sum(one[1] for one in plain)
        return sum(one[0] for one in plain) / steps if steps else None


@dataclass(frozen=True)
class Skip:
    """A jump over `steps`, from one segment of a stage to its next."""

    before: Segment
    after: Segment
    steps: int
    unit: float  # seconds of a step before it
    lost: float  # seconds until training went on: no part of a real run

    @property
    def seconds(self) -> float:
        """What a run without it takes more."""
        after = self.after.unit
        return self.steps * (self.unit if after is None else (self.unit + after) / 2) - self.lost


class Meter:
    """Told by one run (that of a cell, or of a shared pre-training) how it goes; says when to jump.

    Args:
        settings: the method's config, or the pre-training's spec: it says how often valid is looked at.
        patience: seconds of a stage that are enough.
        over: whether the probe must end.
        keeps_best: what is trained gives back the weights of its best look at valid, so its last step must be taken.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        patience: Callable[[], float],
        over: Callable[[], bool],
        keeps_best: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        self._keeps_best = keeps_best
        self.segments: list[Segment] = []
        self.skips: list[Skip] = []
        self._settings, self._patience, self._over, self._clock = settings, patience, over, clock
        self._open: list[Segment] = []  # each holds the next; the last is under way
        self._fresh = self._looked = False
        self._seen: tuple[str, int, dict[Place, int]] | None = None  # stage, done and the state's numbers at a look
        self._known: dict[str, list[Place]] = {}  # counters, by stage
        self._state: dict[str, Any] | None = None
        self._left: tuple[float, int, int] | None = None  # while jumping: since when, from and to which step
        self._last = clock()

    def log(self, figures: Mapping[str, float]) -> None:
        self._looked |= any(name.startswith(LOOKS) for name in figures)
        self._check()

    def progress(self, stage: str, done: int, total: int) -> None:
        if not any(one.same(stage, total) and one.done == done for one in self._open):  # or it was told after a jump
            now, segment = self._clock(), self._under_way(stage, done, total)
            if segment.holds and not done:
                segment.began = now
            else:
                segment.points.append(Point(now, done, self._looked, self.skips[segment.skips :]))
            segment.skips = len(self.skips)
            self._looked, self._fresh, self._last = False, True, now
        self._check()

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """A safe point.

        Raises:
            Jump: go on from `resume()`.
        """
        self._check()
        if not self._fresh:
            return
        self._fresh = False
        segment = self._open[-1]
        target = self._target(segment)
        if target is None:
            return
        known = self._known.get(segment.stage, []) if segment.again else []
        ready = bool(known) or self._clock() - segment.began >= self._patience()
        if not ready and self._seen is not None and self._seen[0] == segment.stage:
            return  # its counter was looked at once; the second time is when the stage is over
        held = state()
        numbers = numbers_of(held)
        found = [place for place in known if numbers.get(place) == segment.done]
        counters = found or (self._counters(segment, numbers) if ready else [])
        self._seen = (segment.stage, segment.done, numbers)
        if counters:
            self._known[segment.stage] = counters
            self._state = replaced(held, dict.fromkeys(counters, target))
            self._seen = (segment.stage, target, numbers_of(self._state))
            self._left = (self._clock(), segment.done, target)
            raise Jump

    def pause(self) -> None:
        """What the run did since it was last heard of (a shared pre-training) is no part of its next stage."""
        self._last = self._clock()

    def resume(self) -> dict[str, Any] | None:
        if self._left is not None:
            since, reached, target = self._left
            now, before = self._clock(), self._open.pop()
            after = Segment(before.stage, now, target, before.total, before.holds)
            self.skips.append(Skip(before, after, target - reached, self._unit(before), now - since))
            self._begin(after)
            self._left, self._last, self._looked = None, now, False
        return self._state

    def step_back(self) -> bool:
        """Whether there is a place before the last jump's to go on from: its stage's last step, if it left that out.

        A training may need it, as one that gives back the weights of its best look at valid.
        """
        if not self.skips or self._state is None:
            return False
        skip, known = self.skips[-1], self._known[self.skips[-1].before.stage]
        after = skip.after
        if after is not self._open[-1] or not after.over or after.points:
            return False
        after.first -= 1
        self.skips[-1] = replace(skip, steps=skip.steps - 1)
        self._state = replaced(self._state, dict.fromkeys(known, after.first))
        return True

    def skipped_seconds(self) -> float:
        """What a whole training takes more than this one did."""
        return sum(skip.seconds for skip in self.skips) + self._unseen_looks()

    def rest(self) -> float:
        """Seconds left of the stages that were under way when the time was over."""
        return sum(max(0, one.total - one.done) * self._unit(one) for one in self._open)

    def _under_way(self, stage: str, done: int, total: int) -> Segment:
        """The segment that a call of `progress` belongs to; what it ends is closed."""
        last = self._open[-1] if self._open else None
        for place, one in enumerate(self._open):
            if one.same(stage, total):
                if one.done < done:
                    del self._open[place + 1 :]
                    return one
                del self._open[place:]  # it begins anew
        while self._open and (self._open[-1].over or not self._open[-1].holds):
            self._open.pop()
        earlier = [one for one in self.segments if one.same(stage, total)]
        first = 0
        if earlier:
            first = earlier[-1].done  # another stage was between
        elif last is not None and last.total == total and not last.holds:
            first = last.done  # one counter, two names
        first = first if first < min(done, total) else 0
        again = bool(earlier) and not first
        return self._begin(Segment(stage, self._last, first, total, holds=not done, again=again))

    def _begin(self, segment: Segment) -> Segment:
        segment.skips = len(self.skips)
        self.segments.append(segment)
        self._open.append(segment)
        return segment

    def _target(self, segment: Segment) -> int | None:
        """Where a jump from here would lead; None where it would save nothing."""
        unit, patience, middle = segment.unit, self._patience(), segment.total // 2
        if unit is None:
            return None
        if 4 * unit < patience and (middle - segment.done) * unit >= WORTH and not segment.again:
            return middle
        last = segment.total - 1 if unit < patience or self._keeps_best else segment.total
        return last if (last - segment.done) * unit >= WORTH else None

    def _counters(self, segment: Segment, numbers: Mapping[Place, int]) -> list[Place]:
        """Where in the state the stage's counter stands: what is at `done`, and moved as `done` did."""
        if self._seen is None:
            return []
        stage, done, before = self._seen
        was = done if stage == segment.stage or segment.first == done else 0
        if was == segment.done:
            return []
        return [place for place, value in numbers.items() if value == segment.done and before.get(place) == was]

    def _unit(self, segment: Segment) -> float:
        """Seconds of a step there, or in the nearest segment of its stage before it that knows."""
        for one in reversed(self.segments[: self.segments.index(segment) + 1]):
            if one.stage == segment.stage and one.unit is not None:
                return one.unit
        return 0.0

    def _unseen_looks(self) -> float:
        """Seconds of the looks at valid that lay in what was skipped, by stage."""
        seconds = 0.0
        for stage in dict.fromkeys(skip.before.stage for skip in self.skips):
            own = [segment for segment in self.segments if segment.stage == stage]
            costs = [
                max(0.0, took - steps * self._unit(segment))
                for segment in own
                for took, steps, looked in segment.intervals()
                if looked
            ]
            if costs:
                missed = looks(self._settings, own[0].total) - len(costs)
                seconds += max(0, missed) * sum(costs) / len(costs)
        return seconds

    def _check(self) -> None:
        if self._over():
            raise OutOfTime


def numbers_of(state: Any, place: Place = ()) -> dict[Place, int]:
    """All whole numbers in a state of mappings and lists, by where they stand."""
    if isinstance(state, int) and not isinstance(state, bool):
        return {place: state}
    return {where: value for key, part in _parts(state) for where, value in numbers_of(part, (*place, key)).items()}


def replaced(state: Any, numbers: Mapping[Place, int], place: Place = ()) -> Any:
    """A copy with other numbers at some places; tensors stay the very same."""
    if place in numbers:
        return numbers[place]
    parts = {key: replaced(part, numbers, (*place, key)) for key, part in _parts(state)}
    if isinstance(state, Mapping):
        return parts
    return type(state)(parts.values()) if isinstance(state, list | tuple) and parts else state


def _parts(state: Any) -> list[tuple[Any, Any]]:
    if isinstance(state, Mapping):
        return list(state.items())
    return list(enumerate(state)) if isinstance(state, list | tuple) else []


def looks(settings: Mapping[str, Any], total: int) -> int:
    """How often valid is looked at in a stage of `total` steps, as configs name it; 0 where they don't."""
    for each in (settings, *(settings[name] for name in ("maskmle", "tuning", "mle") if name in settings)):
        if not isinstance(each, Mapping):
            continue
        for name in ("valid_every", "interval"):
            if isinstance(each.get(name), int):
                return total // int(each[name])
        if isinstance(each.get("epochs"), int):
            return int(each["epochs"])
    return 0
