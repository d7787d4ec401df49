"""Two sets of results against each other: differences with intervals and verdicts, and a refusal where the measurements
differ. The parts are in `bench/comparing/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.comparing.findings import LOUDEST_FIRST, UNSURE, Finding, Verdict
from bench.comparing.judging import Judge, Pair
from bench.comparing.results import Results, read
from bench.comparing.subjects import Place, Subject, method_names, only_for_the_frontier, subjects
from bench.comparing.tolerance import Amount, Tolerances, tolerances
from bench.errors import UserError, did_you_mean
from bench.schema import ScoreRow

__all__ = [
    "Amount",
    "Compared",
    "Finding",
    "Options",
    "Place",
    "Results",
    "Tolerances",
    "Verdict",
    "compare_results",
    "read",
    "tolerances",
]


@dataclass(frozen=True)
class Options:
    """What is compared, and what counts as a difference.

    Attributes:
        method: only this method of the new results.
        to: the base's method that it is compared with; empty: the same name.
        tasks: only these; empty: all.
        metrics: only these; empty: all.
        primary_only: only the metric that ranks each task.
        frontier: also samples at other temperatures, drawn for the quality-diversity frontier.
        tolerances: differences that are of no concern.
        alpha: how often anything in the table may be called worse (or better) by chance.
        over: `auto` (seeds and items, as far as the files allow), `seeds` or `items`.
        strict: what can't be told fails too, unless becoming worse by more than the tolerance is ruled out.
    """

    method: str = ""
    to: str = ""
    tasks: Sequence[str] = ()
    metrics: Sequence[str] = ()
    primary_only: bool = False
    frontier: bool = False
    tolerances: Tolerances = field(default_factory=Tolerances)
    alpha: float = 0.05
    over: str = "auto"
    strict: bool = False


@dataclass(frozen=True)
class Compared:
    """All that a comparison found.

    Attributes:
        base: what it was compared with, as named.
        new: what was compared.
        findings: by task, method and place.
        notes: what a reader should know beside them.
        options: what was asked.
    """

    base: str
    new: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    options: Options

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """By verdict, the gravest first; only those that there are."""
        counted = Counter(each.verdict for each in self.findings)
        return {verdict: counted[verdict] for verdict in LOUDEST_FIRST if counted[verdict]}

    @property
    def compared(self) -> list[Finding]:
        """Those in which something was subtracted."""
        return [each for each in self.findings if each.evidence is not None]

    @property
    def among(self) -> int:
        """How many tests Holm's adjustment counts."""
        return sum(each.p == each.p for each in self.findings)

    def fails(self, found: Finding) -> bool:
        return found.is_bad or (self.options.strict and found.verdict in UNSURE and not found.clears)

    @property
    def failing(self) -> list[Finding]:
        return [each for each in self.findings if self.fails(each)]

    @property
    def exit_code(self) -> int:
        """1: something is worse or lost (or, if strict, can't be told); 2: something, or all, can't be compared."""
        if self.failing:
            return 1
        refused = any(each.verdict == "not comparable" for each in self.findings)
        return 2 if refused or not self.compared else 0


def compare_results(base: Results, new: Results, options: Options | None = None) -> Compared:
    """The new results against the base, method by method and place by place.

    Raises:
        UserError: a name that isn't there, or nothing in common.
    """
    asked = options or Options()
    _check(base, new, asked)
    first = subjects(base.rows, [asked.to or asked.method] if asked.method else None)
    second = subjects(new.rows, [asked.method] if asked.method else None)
    pairs = _pairs(first, second, asked)
    if not any(pair.base and pair.new for pair in pairs) and (asked.method or not pairs):
        raise UserError(f"{base.name} and {new.name} have no task and method in common; name two methods with "
                        "--method and --to.")  # fmt: skip
    wanted = [_places(pair, asked) for pair in pairs]
    judge = Judge(base, new, asked.tolerances, asked.alpha, asked.over)
    found = judge.findings(pairs, dict(enumerate([places for places, _ in wanted])))
    notes = [
        *_nothing(pairs),
        *_left_out(sum(count for _, count in wanted)),
        *_other_configs(pairs),
        *_other_real(base, new, asked),
    ]
    return Compared(base.name, new.name, tuple(found), tuple(notes), asked)


def _check(base: Results, new: Results, asked: Options) -> None:
    from bench.registry import baseline_registry, task_registry
    from metrics import KNOWN

    rows = [*base.rows, *new.rows]
    tasks, names = {row.task for row in rows}, {row.metric for row in rows if row.metric}
    _known("task", asked.tasks, tasks)
    _known("metric", asked.metrics, names)
    if not 0 < asked.alpha < 0.5:
        raise UserError(f"alpha is a small share, as 0.05, not {asked.alpha:g}.")
    if asked.tolerances.amounts:
        methods = {*method_names(rows), *baseline_registry().names}
        asked.tolerances.check({*tasks, *task_registry().names}, methods, {*names, *KNOWN})


def _known(kind: str, asked: Iterable[str], there: set[str]) -> None:
    for name in asked:
        if name not in there:
            raise UserError(f'no values of {kind} "{name}".{did_you_mean(name, there)}')


def _pairs(
    first: Mapping[tuple[str, str], Subject], second: Mapping[tuple[str, str], Subject], asked: Options
) -> list[Pair]:
    """In the order of the base, what is new at the end; with one method named, only the tasks that both have."""
    if asked.method:
        to = asked.to or asked.method
        keys = [task for task, method in second if method == asked.method and (task, to) in first]
        found = [Pair(first[task, to], second[task, asked.method]) for task in keys]
    else:
        found = [Pair(first.get(key), second.get(key)) for key in dict.fromkeys([*first, *second])]
    return [pair for pair in found if not asked.tasks or pair.names[0] in asked.tasks]


def _places(pair: Pair, asked: Options) -> tuple[list[Place], int]:
    """Those to look at, and how many points of the frontier are left out."""
    sides = [side for side in (pair.base, pair.new) if side is not None]
    everything = dict.fromkeys(place for side in sides for place in side.places)
    primary = {place for side in sides for place, values in side.places.items() if values.primary}
    chosen = [
        place
        for place in everything
        if (not asked.metrics or place.metric in asked.metrics) and (not asked.primary_only or place in primary)
    ]
    swept = set() if asked.frontier else set.union(*(only_for_the_frontier(side) for side in sides))
    return [place for place in chosen if place not in swept], sum(place in swept for place in chosen)


def _nothing(pairs: Sequence[Pair]) -> list[str]:
    """What has no value on any side can neither be lost nor be new."""
    empty = [pair for pair in pairs if not any(side and side.places for side in (pair.base, pair.new))]
    return [f"{pair.names[1]} on {pair.names[0]} has no result on either side." for pair in empty]


def _left_out(count: int) -> list[str]:
    return [f"{count} values of samples at other temperatures are left out: --frontier compares them too."] * bool(
        count
    )


def _other_configs(pairs: Sequence[Pair]) -> list[str]:
    return [
        f"{pair.names[1]} on {pair.names[0]} has another configuration: #{pair.base.config} in the base, "
        f"#{pair.new.config} in the new."
        for pair in pairs
        if pair.base and pair.new and pair.is_one_method and pair.base.config != pair.new.config
    ]


def _other_real(base: Results, new: Results, asked: Options) -> list[str]:
    """Real text goes through no model: where its value moves, the data or the metric's code did."""

    def values(rows: Iterable[ScoreRow]) -> dict[tuple[object, ...], float]:
        real = [row for row in rows if row.baseline == "real" and (not asked.tasks or row.task in asked.tasks)]
        return {(row.task, row.metric, row.decoding, row.seed, row.signature): row.value for row in real}

    first, second = values(base.rows), values(new.rows)
    moved = [key for key, value in second.items() if key in first and abs(first[key] - value) > 1e-6 * abs(value)]
    names = list(dict.fromkeys(f"{key[0]} {key[1]}" for key in moved))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [f"real text's own values moved ({', '.join(names[:3])}{more}) under equal signatures: "
            "the data or the scoring changed, not only the methods."] * bool(names)  # fmt: skip
