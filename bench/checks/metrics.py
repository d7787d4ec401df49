"""All checks of a metric: that it is a pure function of text, with a signature that says which."""

from __future__ import annotations

import dataclasses
import inspect
import math
import warnings
from typing import Any

import numpy as np
import torch

from bench.checks import elsewhere, texts
from bench.checks.core import Check, CheckFailed, NotApplicable, place_of
from bench.checks.finding import Found, place_to_import
from bench.checks.watch import watching
from metrics.base import Material, Metric, MetricError, Score, WholeMetric
from metrics.scoring import metric
from metrics.signature import parse

TRIES, ENOUGH = 3, 300  # materials, and items of one where a metric needs many


class MetricTrial:
    """A metric and texts to try it on."""

    def __init__(self, found: Found, seed: int = 0) -> None:
        self.found, self.seed = found, seed
        made = self.metric()
        self.cls = type(made)
        self.file = inspect.getsourcefile(self.cls) or ""
        self.count = next((n for n in (12, 40, 130) if not self._lacking(n)), ENOUGH)

    def metric(self) -> Metric:
        return metric(self.found.name, self.found.metrics)

    def _lacking(self, count: int) -> str:
        try:
            return self.metric().score(texts.plain(count, np.random.default_rng(self.seed))).reason
        except Exception:  # the checks will speak of it
            return ""

    def materials(self) -> list[Material]:
        """Plain texts, another draw each, the same for every check."""
        return [texts.plain(self.count + i, np.random.default_rng([self.seed, i])) for i in range(TRIES)]

    def score(self, material: Material) -> Score:
        """A score by a new instance.

        Raises:
            CheckFailed: the value and its reason don't go together.
        """
        found = self.metric().score(material)
        if not isinstance(found, Score) or math.isnan(found.value) != bool(found.reason):
            raise CheckFailed(
                f"score gives {found!r:.150}",
                self.place("score"),
                "give a finite value with an empty reason, or NaN and the reason in words",
            )
        if not found.reason and not math.isfinite(found.value):
            raise CheckFailed(f"the value is {found.value}", self.place("reduce"), "give NaN where it is undefined")
        return found

    def usual(self) -> list[tuple[Material, Score]]:
        """Materials with their scores; not applicable where it has none for plain text."""
        pairs = [(material, self.score(material)) for material in self.materials()]
        if all(score.reason for _, score in pairs):
            raise NotApplicable(f"no value for plain text: {pairs[0][1].reason}")
        return [(material, score) for material, score in pairs if not score.reason]

    def place(self, name: str = "") -> str:
        return place_of(getattr(self.cls, name, self.cls) if name else self.cls)


def is_described(trial: MetricTrial) -> str | None:
    """It has a name, a summary, a version, limits in order, and needs that there are; and says which way is better."""
    made, where = trial.metric(), trial.place()
    if made.name != trial.found.name:
        raise CheckFailed(f"asked for {trial.found.name}, it calls itself {made.name}", where, "leave __init__(name)")
    if not made.summary:
        raise CheckFailed("summary is empty", where, 'say what the value is: summary = "share of ..."')
    if not isinstance(made.version, int) or made.version < 1:
        raise CheckFailed(f"version is {made.version!r}", where, "version = 1, and one more when a value would change")
    unknown = set(made.needs) - {field.name for field in dataclasses.fields(Material)}
    if unknown:
        raise CheckFailed(f"needs {', '.join(sorted(unknown))}", where, "name fields of metrics.base.Material")
    low, high = made.limits
    if not low < high:
        raise CheckFailed(f"limits are {low} and {high}", where, "limits = (smallest, largest value there can be)")
    if made.human < low or made.human > high:
        raise CheckFailed(
            f"human is {made.human}; limits are {low} and {high}", where, "leave it out where it is measured"
        )
    if made.higher_is_better not in (True, False, None):
        raise CheckFailed(f"higher_is_better is {made.higher_is_better!r}", where, "True, False, or None for neither")
    declared = any("higher_is_better" in vars(cls) or "direction" in vars(cls) for cls in trial.cls.__mro__[:-3])
    own = {"True": "higher is better", "False": "lower is better"}.get(str(made.higher_is_better), "nearer to real")
    return own if declared else "higher_is_better is not set: nearer to real text counts as better"


def value_is_a_sum_over_items(trial: MetricTrial) -> str | None:
    """`reduce` of the sum of `per_item`'s rows is the value, for one sum and for many: intervals resample the rows."""
    if isinstance(trial.metric(), WholeMetric):
        raise NotApplicable("a property of the whole set of samples: no interval over items")
    for _, score in trial.usual():
        stats = score.stats
        if stats is None:
            raise NotApplicable("it gives no statistics: no interval over items")
        if stats.ndim != 2 or len(stats) != score.n or not np.isfinite(stats).all():
            raise CheckFailed(
                f"per_item gives {stats.shape} for {score.n} items, finite: {bool(np.isfinite(stats).all())}",
                trial.place("per_item"),
                "give a row of finite numbers for each item: [items, k]",
            )
        made, order = trial.metric(), np.random.default_rng(trial.seed).integers(len(stats), size=(4, len(stats)))
        once = float(made.reduce(stats.sum(axis=0)))
        if not math.isclose(once, score.value, rel_tol=1e-9, abs_tol=1e-12):
            raise CheckFailed(
                f"reduce of the sum of its rows is {once:.6g}, the value {score.value:.6g}",
                trial.place("reduce"),
                "let score() be that of metrics.base.Metric: per_item, summed, reduced",
            )
        sums = stats[order].sum(axis=1)
        many = np.asarray(made.reduce(sums))
        one_by_one = [float(made.reduce(each)) for each in sums]
        if many.shape != (4,) or not np.allclose(many, one_by_one, rtol=1e-9, atol=1e-12, equal_nan=True):
            raise CheckFailed(
                f"reduce of sums {sums.shape} gives {many.shape}, not (4,), or other values than one by one",
                trial.place("reduce"),
                "take statistics from the last axis: sums[..., 0] / sums[..., 1], as metrics.base.ratio",
            )
    return None


def it_repeats(trial: MetricTrial) -> str | None:
    """The same texts have the same value: again, in another instance, and in a process with another hash seed."""
    for material, score in trial.usual():
        again = trial.score(material)
        if (again.value, again.signature) != (score.value, score.signature):
            raise CheckFailed(
                f"the same texts have {score.value!r} and then {again.value!r}",
                trial.place("per_item"),
                "hold no state between calls, and draw nothing at random",
            )
    asked = (trial.found.name, place_to_import(trial.cls), trial.found.plugins, trial.count, trial.seed)
    try:
        values = elsewhere.ask("value", *asked)
    except RuntimeError as error:
        raise CheckFailed(
            f"it fails in another process: {error}", trial.place(), "let it depend on its texts alone"
        ) from None
    first = trial.score(trial.materials()[0])
    for seed, value in ((seed, float(said)) for seed, said in values.items()):
        if not math.isclose(value, first.value, rel_tol=1e-12, abs_tol=1e-12) and not math.isnan(first.value):
            raise CheckFailed(
                f"in another process (PYTHONHASHSEED={seed}) the value is {value!r}, here {first.value!r}",
                trial.place("per_item"),
                "walk through sorted(...) and not through a set, and never use hash()",
            )
    return None


def leaves_random_state_and_files_alone(trial: MetricTrial) -> str | None:
    """It draws from no global random stream (`random`, NumPy's, torch's) and opens no file for writing."""
    before = torch.get_rng_state()
    with watching(trial.file) as seen:
        for material in trial.materials():
            trial.score(material)
    moved = [*seen.moved, *(["torch"] if not torch.equal(before, torch.get_rng_state()) else [])]
    torch.set_rng_state(before)
    if moved:
        raise CheckFailed(
            f"it draws from the global stream of {moved[0]}",
            trial.place("per_item"),
            "draw nothing; where order must be broken, seed numpy.random.default_rng by the texts themselves",
        )
    if seen.written:
        raise CheckFailed(f"it wrote {seen.written[0][0]}", seen.written[0][1], "a metric gives numbers and keeps none")
    return None


def leaves_the_texts_as_they_were(trial: MetricTrial) -> str | None:
    """What it is given to score is not changed."""
    for material in trial.materials():
        before = ascii(material)
        trial.score(material)
        if ascii(material) != before:
            raise CheckFailed(
                "the material has changed", trial.place("per_item"), "work on copies: sorted(), not sort()"
            )
    return None


def order_does_not_matter(trial: MetricTrial) -> str | None:
    """The same items in another order have the same value, and rows of statistics that went along."""
    for material, score in trial.usual():
        turned, order = texts.shuffled(material, np.random.default_rng(trial.seed))
        other = trial.score(turned)
        if not math.isclose(other.value, score.value, rel_tol=1e-9, abs_tol=1e-12):
            raise CheckFailed(
                f"in another order the same samples have {other.value:.9g}, not {score.value:.9g}",
                trial.place("per_item"),
                "let each row of per_item depend on its own item and on the whole set, never on its place",
            )
        own = score.stats is not None and score.n == len(material.samples) and "real" not in trial.metric().needs
        if not own or other.stats is None or "samples" not in trial.metric().needs:
            continue
        assert score.stats is not None, "it is its own"
        if not np.allclose(other.stats, score.stats[order], rtol=1e-9, atol=1e-9):
            raise CheckFailed(
                "rows of statistics don't go along with their items",
                trial.place("per_item"),
                "give row i for sample i: paired tests compare the same rows of two methods",
            )
    return None


def signature_names_what_counts(trial: MetricTrial) -> str | None:
    """The signature has the name, the version and the protocol; and what it doesn't name changes no value."""
    made = trial.metric()
    for material, score in trial.usual():
        fields = parse(score.signature)
        lacking = [key for key in ("v", *material.protocol) if key not in fields]
        if fields["metric"] != trial.found.name or lacking:
            raise CheckFailed(
                f'the signature "{score.signature}" lacks {", ".join(lacking) or "the name"}',
                trial.place("signature"),
                "leave signature() of metrics.base.Metric, and give the metric's own fields by fields()",
            )
        spare = {field.name for field in dataclasses.fields(Material)} - {"tokens", "protocol"} - set(made.needs)
        for name in sorted(spare):
            change: dict[str, Any] = {name: () if name == "samples" else None}
            nothing = dataclasses.replace(material, **change)
            _named(trial, score, nothing, f"without {name.replace('_', ' ')}")
        for tokens in ("char", "space"):
            _named(trial, score, dataclasses.replace(material, tokens=tokens), f"with text cut by {tokens}")
    return None


def _named(trial: MetricTrial, score: Score, other: Material, how: str) -> None:
    made = trial.metric()
    if made.signature(other) != score.signature or made.missing(other):
        return
    value = trial.score(other).value
    if not math.isclose(value, score.value, rel_tol=1e-9, abs_tol=1e-12):
        raise CheckFailed(
            f'{how} the value is {value:.6g}, not {score.value:.6g}, under the same signature "{score.signature}"',
            trial.place("fields"),
            "name it in fields(), as {'refs': 'own', 'tok': canonical(material.tokens)}: equal signatures are compared",
        )


def what_is_absent_has_a_reason(trial: MetricTrial) -> str | None:
    """Without what it needs, or with nothing in it, the value is NaN with a reason and of 0 items; never 0."""
    material, needs = trial.materials()[0], trial.metric().needs
    cases: list[tuple[str, Material]] = [("nothing at all", Material())]
    for name in texts.LISTS:
        empty: Any = {} if name == "sweep" else ()
        for nothing in (None, empty):
            change: dict[str, Any] = {name: nothing}
            if name == "samples" and nothing is None:
                continue
            try:
                cases.append((f"no {name}", dataclasses.replace(material, **change)))
            except MetricError:
                continue  # such a material can't be made
    for what, lacking in cases:
        score = trial.score(lacking)
        short = [need for need in needs if not _has(lacking, need)]
        if short and (not score.reason or score.n != 0):
            raise CheckFailed(
                f"of {what} it makes {score.value} of {score.n} items",
                trial.place("score"),
                "name what it needs in `needs`, and leave score() of metrics.base.Metric",
            )
    blank = Material([""] * 3, [""], [[""]] * 3, [""], sources=[[""]] * 3, sweep={"1": [""] * 3}, real=[""] * 3)
    trial.score(blank)
    return None


def _has(material: Material, need: str) -> bool:
    value: Any = getattr(material, need)
    return value is not None and not (hasattr(value, "__len__") and len(value) == 0)


def values_stay_within_limits(trial: MetricTrial) -> str | None:
    """Plain, hostile and equal texts have values between its limits."""
    low, high = trial.metric().limits
    same = trial.materials()[0]
    equal = dataclasses.replace(
        same, references=list(same.samples), references_by_item=[[text] for text in same.samples]
    )
    for material in (*trial.materials(), equal, texts.hostile(trial.count)):
        value = trial.score(material).value
        if not math.isnan(value) and not low - 1e-9 <= value <= high + 1e-9:
            raise CheckFailed(
                f"a value is {value:.6g}; limits are {low} and {high}", trial.place(), "mend `limits`, or it"
            )
    return None


def any_text_gives_a_number_or_a_reason(trial: MetricTrial) -> str | None:
    """Empty lines, lone surrogates, emoji, Chinese, 3000 letters: no exception and no warning."""
    for tokens in ("word-lower", "char"):
        material = dataclasses.replace(texts.hostile(trial.count), tokens=tokens)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            trial.score(material)
    return None


CHECKS = (
    Check(is_described),
    Check(value_is_a_sum_over_items),
    Check(it_repeats),
    Check(leaves_random_state_and_files_alone),
    Check(leaves_the_texts_as_they_were),
    Check(order_does_not_matter),
    Check(signature_names_what_counts),
    Check(what_is_absent_has_a_reason),
    Check(values_stay_within_limits),
    Check(any_text_gives_a_number_or_a_reason),
)
