"""Numbers, names and sentences that both kinds of table share: plain text, to be escaped by whoever shows it."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import metrics
from bench.report.layout import NO_SEED, REFERENCE_ROWS, Column, Failure, Line, Table
from bench.report.ranking import ENOUGH_SEEDS, Judgement, Verdict, real_value
from bench.stats import Comparison
from metrics.signature import differences, parse

UNITS: Mapping[str, str] = MappingProxyType({"length": "tokens", "sacrebleu": "0-100", "chrf": "0-100"})
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "bleu": "BLEU",
        "self": "Self",
        "nll": "NLL",
        "ppl": "PPL",
        "rouge": "ROUGE",
        "chrf": "chrF",
        "sacrebleu": "sacreBLEU",
    }
    | {"l": "L", "lsum": "Lsum"}
)

# columns of a wide table that belong together, by how the metric's name begins; the others come last
FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("quality", ("bleu", "sacrebleu", "chrf", "rouge", "nll", "ppl", "forward-lm", "adver")),
    ("diversity and novelty", ("self-bleu", "distinct", "unique", "copied", "longest-copy", "novel")),
    ("distance from real text", ("frontier", "frechet", "reverse-lm", "ms-jaccard", "mauve", "length-distance")),
    ("form", ()),
)
WIDE = 9  # columns that one table holds


def families(columns: Sequence[Column]) -> list[tuple[str, list[Column]]]:
    """The columns of one table, or of several with a name each where one would be too wide to read."""
    if len(columns) <= WIDE:
        return [("", list(columns))]
    found: dict[str, list[Column]] = {name: [] for name, _ in FAMILIES}
    last = FAMILIES[-1][0]
    for column in columns:
        family = next((name for name, starts in FAMILIES if column.metric.startswith(starts)), last)
        found[family].append(column)
    return [(name, members) for name, members in found.items() if members]


def display_name(label: str) -> str:
    """`self-bleu-2 [a]` as `Self-BLEU-2 [a]`."""
    name, space, mark = label.partition(" ")
    return "-".join(_NAMES.get(part, part) for part in name.split("-")) + space + mark


def unit(column: Column) -> str:
    found = parse(column.signature).get("unit") or UNITS.get(column.metric, "")
    return "" if found == "perplexity" else found


def direction(table: Table, column: Column) -> str:
    """An arrow to the good end, or to real text where there is some to be near to."""
    if column.higher_is_better is None:
        return "→ real" if math.isfinite(real_value(table, column)) else ""
    return "↑" if column.higher_is_better else "↓"


def reference_name(line: Line, table: Table) -> str:
    if line.baseline == "real" and table.origin == "synthetic":
        return "real (the oracle's own samples)"
    return f"{line.baseline} ({REFERENCE_ROWS[line.baseline]})"


def stage(line: Line) -> str:
    """What a method was at a stage before the last."""
    return {"pretrain": "pre-trained", "maskmle": "MaskMLE"}.get(line.stage, clean(line.stage))


def decimals(values: Iterable[float]) -> int:
    """Enough digits for the column's largest value, the same in all its lines."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if largest == 0 or 0.01 <= largest < 10:
        return 3
    if largest < 0.01:
        return 5
    return 2 if largest < 1000 else 1


def column_decimals(table: Table, column: Column) -> int:
    lines = [each for line in table.lines for each in (line, *line.earlier)]
    return decimals(line.mean(column) for line in lines)


def number(value: float, places: int) -> str:
    """`.482`: no zero before the point; a huge one in powers of ten."""
    if not math.isfinite(value):
        return "-" if math.isnan(value) else f"{value:+}".lstrip("+")
    if abs(value) >= 1e7:
        return f"{value:.3e}"
    text = f"{value:.{places}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return re.sub(r"^(-?)0(?=\.)", r"\1", text)


def seconds(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def clean(text: str) -> str:
    """One line without control characters, so that a reason can move no cursor and break no table."""
    kept = "".join(" " if unicodedata.category(mark) in ("Cc", "Zl", "Zp") else mark for mark in text)
    kept = "".join(mark for mark in kept if unicodedata.category(mark) not in ("Cf", "Cs"))
    return " ".join(kept.split())


def failure_text(failure: Failure) -> str:
    reason = f": {clean(failure.reason)}" if clean(failure.reason) else ""
    status = "not run" if failure.status == "missing" else failure.status
    return f"{len(failure.seeds)} {status}{_seeds(failure.seeds)}{reason}"


def reasons_text(reasons: Mapping[int, str], total: int) -> str:
    """Why a value is missing; which seeds, where others have one."""
    by_reason: dict[str, list[int]] = {}
    for seed, reason in reasons.items():
        by_reason.setdefault(clean(reason), []).append(seed)
    partly = total > max(map(len, by_reason.values()))
    return "; ".join(f"{reason}{_seeds(seeds) if partly else ''}" for reason, seeds in by_reason.items())


def _seeds(seeds: Sequence[int]) -> str:
    known = [str(seed) for seed in seeds if seed != NO_SEED]
    return f" (seed{'s' if len(known) > 1 else ''} {', '.join(known)})" if known else ""


def signature_notes(table: Table) -> list[str]:
    """Where one metric was measured in several ways: in which fields they differ."""
    notes = []
    for metric in dict.fromkeys(column.metric for column in table.columns):
        first, *rest = [column for column in table.columns if column.metric == metric]
        for other in rest:
            fields = differences(first.signature, other.signature)
            words = ", ".join(f"{name} ({one} / {two})" for name, (one, two) in fields.items())
            notes.append(
                f"{display_name(first.label)} and {display_name(other.label)} are not the same measurement "
                f"and are not compared; they differ in {clean(words)}."
            )
    return notes


def judgement_notes(table: Table, judgement: Judgement) -> list[str]:
    """What the marks can't say alone: lost diversity, and heights that are no merit."""
    lost = [
        f"{judgement.lines[place].label}" for _, place in sorted(judgement.lost_diversity, key=lambda pair: pair[1])
    ]
    notes = []
    if lost:
        notes.append(f"NLL-oracle below the oracle's entropy is lost diversity, not a better model: {', '.join(lost)}.")
    above = []
    for column in table.columns:
        names = [line.label for i, line in enumerate(judgement.lines) if (column, i) in judgement.above_real]
        if names:
            above.append(f"{display_name(column.label)}: {', '.join(names)}")
    if above:
        notes.append(f"Above real text, which is a defect and no merit: {'; '.join(above)}.")
    return notes


def verdict_text(verdict: Verdict, places: int) -> str:
    """Which methods can be told from the base on the primary metric, and how large a difference could have been."""
    name, parts = display_name(verdict.column.label), []
    if verdict.apart:
        parts.append(
            f"On {name} distinguishable from {verdict.base}: {'; '.join(_apart(*o, places) for o in verdict.apart)}"
        )
    if verdict.alike:
        seeds = _count(verdict.seeds)
        smallest = _smallest(verdict.smallest_differences, _range(verdict.column.metric), places)
        parts.append(f"n.s.: {_who(verdict)} distinguishable from {verdict.base} on {name} with {seeds} ({smallest})")
    if verdict.untested:
        parts.append(
            f"no test of {', '.join(verdict.untested)} against {verdict.base} on {name}: it takes 2 seeds of each"
        )
    hint = "" if verdict.seeds[0] >= ENOUGH_SEEDS or not (verdict.alike or verdict.untested) else "; use --seeds 5"
    return "; ".join(parts) + hint


def _who(verdict: Verdict) -> str:
    alike = [label for label, _, _ in verdict.alike]
    if len(alike) == 1:
        return f"{alike[0]} is not"
    if len(alike) == len(verdict.others):
        return "no method is"
    return f"{', '.join(alike)} are not"


def _apart(label: str, comparison: Comparison, p: float, places: int) -> str:
    difference = comparison.difference
    sign = "+" if difference > 0 else ""
    return f"{label} {sign}{number(difference, places)} (p {'<.001' if p < 0.001 else number(p, 3)})"


def _range(name: str) -> float:
    """How far apart two values of a metric can be; infinite where that is not known."""
    try:
        low, high = metrics.metric(name).limits
    except (metrics.MetricError, ImportError):
        return math.inf
    return high - low


def _smallest(differences: Mapping[str, float], most: float, places: int) -> str:
    """Which differences would have been told apart: `a difference of .023 to .41 would be, none of scratchgan's`."""
    possible = [difference for difference in differences.values() if difference <= most]
    if not possible:
        return "no difference would be: these seeds are too few or too far apart"
    low, high = number(min(possible), places), number(max(possible), places)
    if float(high) == 0:
        low = high = f"under {number(10**-places, places)}"
    elif float(low) == 0:
        low = f"under {number(10**-places, places)}"
    text = f"a difference of {high} would be" if low == high else f"a difference of {low} to {high} would be, by method"
    never = [label for label, difference in differences.items() if difference > most]
    return f"{text}, of {', '.join(never)} none" if never else text


def _count(seeds: tuple[int, int]) -> str:
    low, high = seeds
    return f"{low} seeds" if low == high else f"{low} to {high} seeds"
