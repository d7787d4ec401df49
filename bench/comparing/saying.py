"""Words and numbers that all outputs of a comparison share: plain text, to be escaped by whoever shows it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from bench.comparing.evidence import Evidence
from bench.comparing.findings import Finding, Verdict
from bench.comparing.table import Compared, Options
from bench.comparing.tolerance import DEFAULT
from bench.report.wording import clean, decimals, number

OTHER_DATA = frozenset({"data", "split", "refs", "nrefs", "items", "tokens", "vocab", "sources", "oracle"})
OTHER_SAMPLES = frozenset({"hyps", "T", "dec", "temperatures"})


def verdict_line(compared: Compared) -> str:
    """The one line that says how it ended."""
    failing = Counter(each.verdict for each in compared.failing)
    bad = {name: failing[name] for name in compared.counts if failing[name]}
    rest = {name: count - failing[name] for name, count in compared.counts.items()}
    words = {0: "passed", 1: "FAILED", 2: "NOT COMPARABLE"}[compared.exit_code]
    counted = [_counts(bad), _counts({name: count for name, count in rest.items() if count})]
    return f"{words}: {'; '.join(filter(None, counted)) or 'nothing in common'}"


def about(compared: Compared) -> str:
    """What was compared with what, and how."""
    subjects = {(each.task, each.method) for each in compared.findings}
    tasks = {task for task, _ in subjects}
    asked = compared.options
    of = _plural(len(compared.compared), "value")
    what = f"{of} of {_plural(len({name for _, name in subjects}), 'method')} on {_plural(len(tasks), 'task')}"
    strict = "; strict: what can't be told fails" if asked.strict else ""
    return (
        f"{clean(compared.new)} against {clean(compared.base)}: {what}; {_tolerance_words(asked)}; "
        f"{level(asked)} intervals, p Holm-adjusted over {_plural(compared.among, 'test')}{strict}"
    )


def level(asked: Options) -> str:
    return f"{100 * (1 - asked.alpha):g} %"


def _tolerance_words(asked: Options) -> str:
    amounts = asked.tolerances.amounts
    if not amounts:
        return "no tolerance"
    words = [str(each) if key == DEFAULT else f"{each} on {clean(key)}" for key, each in list(amounts.items())[:4]]
    more = f" and {len(amounts) - 4} more" if len(amounts) > 4 else ""
    return f"tolerance {', '.join(words)}{more}"


def signed(value: float, found: Finding) -> str:
    """One digit more than the values themselves are shown with."""
    if math.isnan(value):
        return "-"
    text = number(value, places(found))
    return text if text.startswith("-") or float(text) == 0 else f"+{text}"


def plain(value: float, found: Finding) -> str:
    return number(value, places(found))


def places(found: Finding) -> int:
    return decimals([found.base, found.new]) + 1


def interval(found: Finding) -> str:
    low, high = found.interval
    return f"[{signed(low, found)}, {signed(high, found)}]" if math.isfinite(low) else "no interval"


def p_value(p: float) -> str:
    return "-" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def over(evidence: Evidence | None) -> str:
    """Which variation the interval holds: `over 3 paired seeds`, `over 2000 items`."""
    if evidence is None or not evidence.over:
        return ""
    parts = []
    if evidence.over in ("seeds", "both"):
        first, second = evidence.seeds
        pairing = "paired " if evidence.paired else ""
        parts.append(f"{first} {pairing}seeds" if first == second else f"{first} and {second} seeds")
    if evidence.over in ("items", "both"):
        parts.append(f"{evidence.items} paired items")
    return f"over {' and '.join(parts)}"


def details(found: Finding) -> str:
    """What the verdict rests on, without brackets; empty where there is nothing to add."""
    if found.verdict == "not comparable":
        return refusal(found)
    if found.exactly:
        return f"bit for bit, {_seeds_of(found)}"
    parts = [over(found.evidence), _how_many(found)] if found.verdict == "can't tell" else []
    if math.isfinite(found.probability):
        parts.append(f"P(better) {found.probability:.2f}")
    if math.isfinite(found.p) and found.verdict != "same":
        parts.append(f"Holm-adjusted p {p_value(found.p)}")
    parts += [*([] if found.verdict == "can't tell" else [over(found.evidence)]), *_distance(found)]
    if found.tolerance and found.evidence is not None:
        parts.append(f"tolerance {number(found.tolerance, max(places(found), 3))}")
    if found.verdict == "differs":
        parts.append("neither end is good, and there is no real text to measure from")
    if any(found.failed):
        parts.append(f"{found.failed[0]} and {found.failed[1]} runs without a result")
    return clean("; ".join(filter(None, [*parts, found.why])))


def _distance(found: Finding) -> list[str]:
    """Where values stand on both sides of real text, their distance from it is not their difference."""
    if found.higher_is_better is not None or found.harm is None or found.evidence is None:
        return []
    if math.isclose(abs(found.harm.difference), abs(found.evidence.difference), rel_tol=1e-9):
        return []
    low, high = found.harm.interval(found.level)
    span = f"[{signed(low, found)}, {signed(high, found)}]" if math.isfinite(low) else ""
    return [f"distance from real text {signed(found.harm.difference, found)} {span}".rstrip()]


def _seeds_of(found: Finding) -> str:
    assert found.evidence is not None, "it was compared"
    return _plural(found.evidence.seeds[1], "seed")


def _how_many(found: Finding) -> str:
    judged = found.harm or found.evidence
    if judged is None:
        return ""
    if not judged.over:
        if min(judged.seeds) >= 2:
            return "seeds show no spread, and items none that is known"
        return f"{_plural(judged.seeds[1], 'seed')}: it takes 2 of each, or the items of both runs"
    unit = "items" if judged.over == "items" else "seeds"
    within = abs(judged.difference) <= found.tolerance
    prefix = "no worse than the tolerance; " if found.clears else ""
    if found.needed is None:
        if judged.over == "both" and judged.error > 0:
            return f"{prefix}no number of seeds would do with so few items"
        return prefix.removesuffix("; ")
    if within:
        return f"{prefix}{found.needed} {unit} would show it to be within the tolerance"
    return f"{prefix}{found.needed} {unit} would separate a difference of this size"


def refusal(found: Finding) -> str:
    """Which fields differ, and what makes the two the same measurement."""
    fields = ", ".join(f"{name} ({one} / {two})" for name, (one, two) in found.differing.items())
    return clean(f"not the same measurement: {fields} differ. {remedy(found)}")


def remedy(found: Finding) -> str:
    names = set(found.differing)
    if "track" in names:
        return "What began from weights of elsewhere is not compared with what did not."
    if names & {"data", "vocab", "oracle"}:
        return "Run one of them on the data of the other (--data)."
    if names & OTHER_DATA:
        return "Run one of them on the test data of the other (--data, --limit)."
    if names & OTHER_SAMPLES:
        return "Run one of them with the other's --samples, --decodings and --temperatures."
    return "Score the older one anew with this version: run_bench.py score RUN (of a table: the run it came from)."


def first_refusal(compared: Compared) -> str:
    """One line for a comparison in which nothing could be subtracted."""
    found = next(each for each in compared.findings if each.verdict == "not comparable")
    mine, theirs = found.signatures[1], found.signatures[0]
    fields = ", ".join(found.differing)
    return clean(
        f"{found.subject} {found.name} here is {mine}, in {compared.base} {theirs}: they are not the same measurement "
        f"({fields} differ{'s' if len(found.differing) == 1 else ''}). {remedy(found)}"
    )


def _counts(counted: Mapping[Verdict, int]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in counted.items())


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
