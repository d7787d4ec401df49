"""From two sides to findings: pairs them up, asks for evidence, adjusts for the number of comparisons, and judges."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import metrics
from bench.comparing.evidence import Evidence, ItemErrors, identical, item_errors, joined, over_seeds
from bench.comparing.findings import Finding, Verdict
from bench.comparing.results import Results
from bench.comparing.subjects import Place, Side, Subject, differing
from bench.comparing.tolerance import Tolerances
from bench.seeding import seed_for
from bench.stats import holm, probability_of_improvement
from bench.stats.resampling import Floats
from metrics.base import MetricError


@dataclass(frozen=True)
class Pair:
    """A method of the base and one of the new on the same task; one may be absent."""

    base: Subject | None
    new: Subject | None

    @property
    def names(self) -> tuple[str, str, str]:
        """Task, method, and what it stands against."""
        first, other = self.new or self.base, self.base or self.new
        assert first is not None, "one of the two is there"
        assert other is not None, "one of the two is there"
        return first.task, first.method, other.method

    @property
    def is_one_method(self) -> bool:
        return self.names[1] == self.names[2]


@dataclass(frozen=True)
class Judge:
    """What all findings of a comparison have in common.

    Attributes:
        base: where the items of the base's cells are.
        new: of the new's.
        tolerances: by place.
        alpha: of the table, and 1 - alpha the level of each interval.
        over: `auto` (all that the files allow), `seeds` or `items`.
    """

    base: Results
    new: Results
    tolerances: Tolerances
    alpha: float = 0.05
    over: str = "auto"

    def findings(self, pairs: Sequence[Pair], wanted: Mapping[int, Sequence[Place]]) -> list[Finding]:
        """In the order of the pairs; `wanted`: for each of them the places to look at."""
        found: list[Finding] = []
        for place, pair in enumerate(pairs):
            of_pair = [*self._whole(pair), *self._by_place(pair, wanted[place])]
            compared = [each for each in of_pair if each.evidence is not None]
            # what ran again bit by bit is no test of anything, and takes no power from the rest of the table
            if compared and all(each.exactly for each in compared):
                of_pair = [dataclasses.replace(each, p=math.nan) for each in of_pair]
            found += of_pair
        adjusted = holm([each.p for each in found])
        among = max(1, sum(math.isfinite(p) for p in adjusted))
        return [self._judged(each, p, among) for each, p in zip(found, adjusted, strict=True)]

    def _whole(self, pair: Pair) -> Iterator[Finding]:
        """Cells that were lost or are new."""
        names = pair.names
        if pair.base is None or pair.new is None:
            verdict: Verdict = "lost" if pair.new is None else "new"
            absent = self.new.name if pair.new is None else self.base.name
            there = pair.base or pair.new
            assert there is not None, "one of the two is there"
            counts = len(there.failures)
            if pair.new is not None or there.places:  # what never had a result can't be lost
                failed = (counts, 0) if pair.new is None else (0, counts)
                yield Finding(*names, None, verdict, failed=failed, why=f"not in {absent}", level=1 - self.alpha)
            return
        failed = len(pair.base.failures), len(pair.new.failures)
        fewer = failed[1] > failed[0] and pair.is_one_method
        if pair.base.places and (fewer or not pair.new.places):
            yield Finding(*names, None, "lost", failed=failed, why=_failures(pair.new), level=1 - self.alpha)
        elif pair.new.places and not pair.base.places:
            yield Finding(*names, None, "new", failed=failed, why=f"the base had {_failures(pair.base)}")

    def _by_place(self, pair: Pair, places: Sequence[Place]) -> Iterator[Finding]:
        if pair.base is None or pair.new is None or not (pair.base.places and pair.new.places):
            return
        exact = _no_spread(pair.base) and _no_spread(pair.new)
        for place in places:
            first, second = pair.base.places.get(place), pair.new.places.get(place)
            if second is None or not second.by_seed or first is None or not first.by_seed:
                yield from self._one_sided(pair, place, first, second)
            else:
                yield self._compared(pair, place, first, second, exact)

    def _one_sided(self, pair: Pair, place: Place, first: Side | None, second: Side | None) -> Iterator[Finding]:
        has = bool(first and first.by_seed), bool(second and second.by_seed)
        if not any(has):
            return
        there, absent, where = (first, second, self.new) if has[0] else (second, first, self.base)
        assert there is not None, "it has values"
        reasons = list(dict.fromkeys(absent.reasons.values())) if absent else []
        why = "; ".join(reasons) or f"not in {where.name}"
        verdict: Verdict = "new" if has[1] else "lost"
        if not pair.is_one_method:
            verdict, why = "can't tell", f"{pair.names[1 if has[0] else 2]} has no value: {why}"
        means = (there.mean, math.nan) if has[0] else (math.nan, there.mean)
        yield Finding(*pair.names, place, verdict, *means, there.higher_is_better, there.primary, why=why)

    def _compared(self, pair: Pair, place: Place, first: Side, second: Side, exact: bool) -> Finding:
        assert pair.base is not None, "it has a value"
        assert pair.new is not None, "it has a value"
        failed = len(pair.base.failures), len(pair.new.failures)
        real = first.real if math.isfinite(first.real) else second.real
        found = Finding(
            *pair.names, place, "not comparable", first.mean, second.mean, second.higher_is_better,
            first.primary or second.primary, real, differing=differing(pair.base, pair.new, place), failed=failed,
            signatures=(first.signatures[0], second.signatures[0]), level=1 - self.alpha,
        )  # fmt: skip
        if found.differing:
            return found
        tolerance = self.tolerances.of(place.task, pair.names[1], place.metric, first.mean)
        if identical(first.by_seed, second.by_seed):
            seeds = len(second.by_seed)
            nothing = Evidence(0.0, 0.0, 1.0, "seeds", True, (seeds, seeds))
            return dataclasses.replace(
                found, base=second.mean, evidence=nothing, harm=nothing, tolerance=tolerance, p=1.0, exactly=True
            )
        evidence, harm = self._evidence(place, first, second, real, exact)
        judged = evidence if harm is None else harm
        return dataclasses.replace(
            found,
            evidence=evidence,
            harm=harm,
            tolerance=tolerance,
            p=judged.p_beyond(tolerance),
            probability=_probability(first, second, failed),
            why="; ".join(dict.fromkeys([*first.reasons.values(), *second.reasons.values()])),
        )

    def _evidence(
        self, place: Place, first: Side, second: Side, real: float, exact: bool
    ) -> tuple[Evidence, Evidence | None]:
        """Of the difference, and of the harm."""
        widths = first.widths, second.widths
        plain = over_seeds(first.by_seed, second.by_seed, widths, exact=exact)
        items = None if self.over == "seeds" else self._items(place, first, second, real)
        if self.over == "items":
            plain = dataclasses.replace(plain, error=math.nan, over="")
        if items is not None:
            plain = joined(plain, items.items, items.difference, self.over)
        direction = second.higher_is_better
        if direction is not None:
            return plain, dataclasses.replace(plain, difference=-plain.difference if direction else plain.difference)
        if math.isnan(real):
            return plain, None
        away = over_seeds(_away(first, real), _away(second, real), widths, exact=exact)
        if self.over == "items":
            away = dataclasses.replace(away, error=math.nan, over="")
        if items is not None:
            away = joined(away, items.items, items.distance, self.over)
        return plain, away

    def _items(self, place: Place, first: Side, second: Side, real: float) -> ItemErrors | None:
        """Where line i of both is the same test item: conditional tasks, and likelihoods of the test data."""
        if self.base.cells is None or self.new.cells is None:
            return None
        try:
            metric = metrics.metric(place.metric)
        except MetricError:
            return None
        kinds = {self.base.kind(next(iter(first.cells.values()))), self.new.kind(next(iter(second.cells.values())))}
        if kinds != {"conditional"} and "log_probs" not in metric.needs:
            return None
        key = f"final|{place.split}|{place.decoding}|{place.metric}"
        sides = [_stats(self.base, first, key), _stats(self.new, second, key)]
        if sides[0] is None or sides[1] is None:
            return None
        rng = np.random.default_rng(seed_for(f"compare/{place.metric}", place.task, 0))
        return item_errors(sides[0], sides[1], metric.reduce, rng, real)

    def _judged(self, found: Finding, p: float, among: int) -> Finding:
        if found.evidence is None:
            return found
        judged = found.evidence if found.harm is None else found.harm
        return dataclasses.replace(found, p=p, verdict=_verdict(found, judged, p, self.alpha), among=among)


def _verdict(found: Finding, judged: Evidence, p: float, alpha: float) -> Verdict:
    if found.exactly or judged.within(found.tolerance, 1 - alpha):
        return "same"
    if math.isnan(p) or p >= alpha:
        return "can't tell"
    if found.harm is None:
        return "differs"
    worse = found.harm.difference > 0
    if found.higher_is_better is None:
        return "further from real" if worse else "nearer to real"
    return "worse" if worse else "better"


def _no_spread(subject: Subject) -> bool:
    """Several runs gave the same in every place: a method that takes no notice of its seed."""
    sides = [side for side in subject.places.values() if side.by_seed]
    return bool(sides) and all(len(side.by_seed) > 1 and len(set(side.by_seed.values())) == 1 for side in sides)


def _away(side: Side, real: float) -> dict[int, float]:
    return {seed: abs(value - real) for seed, value in side.by_seed.items()}


def _stats(results: Results, side: Side, key: str) -> list[Floats] | None:
    """Of every run of a side; None where one has none."""
    found = [results.items(cell, key) for cell in side.cells.values()]
    kept = [stats for stats in found if stats is not None]
    return kept if len(kept) == len(found) else None


def _probability(first: Side, second: Side, failed: tuple[int, int]) -> float:
    if second.higher_is_better is None:
        return math.nan
    return probability_of_improvement(
        list(second.by_seed.values()),
        list(first.by_seed.values()),
        np.random.default_rng(0),
        higher_is_better=second.higher_is_better,
        diverged=(failed[1], failed[0]),
        resamples=1,  # the interval is not shown: with few runs it says little
    ).probability


def _failures(subject: Subject) -> str:
    """`diverged: NaN (seeds 0, 1)`."""
    by_reason: dict[str, list[int]] = {}
    for seed, reason in sorted(subject.failures.items()):
        by_reason.setdefault(reason, []).append(seed)
    return "; ".join(
        f"{reason} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})"
        for reason, seeds in by_reason.items()
    )
