"""An estimate in words."""

from __future__ import annotations

import math
from collections import Counter

from bench.estimate.grid import CellEstimate, Estimate
from bench.estimate.profile import QUIET, Basis

UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def words(seconds: float) -> str:
    """`45 s`, `2 min 10 s`, `3 h 20 min`, `2 d 4 h`: two units at most; `-` where it isn't known."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for place, (size, name) in enumerate(UNITS):
        if whole >= size:
            smaller, below = (*UNITS, (1, "s"))[place + 1]
            rest = round((whole % size) / smaller)
            if rest * smaller == size:
                return words(float((whole // size + 1) * size))
            return f"{whole // size} {name}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def cell_line(one: CellEstimate) -> str:
    """`34 s and 1 min 10 s of shared pre-training (probed)`."""
    if one.profile.basis == "unknown":
        return f"- ({one.profile.unknown})"
    shared = f" and {words(one.shared)} of shared pre-training" if one.shared else ""
    least = "at least " if one.profile.unknown else ""
    return f"{least}{words(one.seconds)}{shared} ({basis(one)})"


def kind_lines(found: Estimate) -> list[str]:
    """One line for all seeds of a task's method: `poetry.seqgan  2 x 34 s (probed)`."""
    kinds: dict[str, list[CellEstimate]] = {}
    for one in found.cells:
        kinds.setdefault(f"{one.cell.spec.task}.{one.cell.spec.baseline}", []).append(one)
    width = max((len(name) for name in kinds), default=0)
    lines = []
    for name, cells in kinds.items():
        first = max(cells, key=lambda one: one.seconds)
        shared = sum(one.shared for one in cells) / len(cells)
        if first.profile.basis == "unknown":
            lines.append(f"{name:{width}}  {len(cells)} x - ({first.profile.unknown})")
            continue
        least = "at least " if first.profile.unknown else ""
        more = f" and {words(shared)} of shared pre-training" if shared else ""
        lines.append(f"{name:{width}}  {len(cells)} x {least}{words(first.seconds)}{more} ({basis(first)})")
    return lines


def basis(one: CellEstimate) -> str:
    profile = one.profile
    if profile.basis == "measured":
        return f"measured on {profile.count} cell{'s' if profile.count > 1 else ''}"
    return f"{profile.basis}: {profile.unknown}" if profile.unknown else profile.basis


def summary(found: Estimate) -> list[str]:
    """The total, how it is known, and what may make it wrong."""
    if not found.cells:
        return ["nothing is left to do"]
    known = Counter(one.profile.basis for one in found.cells)
    names: dict[Basis, str] = {"measured": "measured before", "probed": "by a probe", "unknown": "unknown"}
    counts = ", ".join(f"{known[name]} {text}" for name, text in names.items() if known[name])
    if found.unknown:
        return [
            f"time: at least {words(found.seconds)} with {found.workers} at a time ({counts}); "
            f"{len(found.unknown)} of {len(found.cells)} cells are not wholly known",
            *_disturbed(found),
        ]
    return [
        f"time: about {words(found.seconds)} with {found.workers} at a time "
        f"({words(found.low)} to {words(found.high)}; cells {counts})",
        *_disturbed(found),
    ]


def _disturbed(found: Estimate) -> list[str]:
    if found.busy >= QUIET:
        return []
    return [
        f"      other programs were at work: a probe had {100 * found.busy:.0f} % of a processor; "
        "on a quiet machine it takes less"
    ]


def afterwards(estimated: float, took: float) -> str:
    return f"estimated {words(estimated)}, took {words(took)}"
