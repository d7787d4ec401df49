"""A comparison as JSON, for programs; the schema is in docs/ci-gate.md."""

from __future__ import annotations

import json
import math
from typing import Any

from bench import __version__
from bench.comparing import saying
from bench.comparing.evidence import Evidence
from bench.comparing.findings import Finding
from bench.comparing.table import Compared

SCHEMA_VERSION = 1


def as_json(compared: Compared) -> str:
    return json.dumps(as_dict(compared), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_dict(compared: Compared) -> dict[str, Any]:
    """NaN is None."""
    asked = compared.options
    return {
        "schema_version": SCHEMA_VERSION,
        "gantlet": __version__,
        "base": compared.base,
        "new": compared.new,
        "alpha": asked.alpha,
        "strict": asked.strict,
        "tolerances": {key: str(amount) for key, amount in asked.tolerances.amounts.items()},
        "exit_code": compared.exit_code,
        "summary": saying.verdict_line(compared),
        "counts": dict(compared.counts),
        "tests": compared.among,
        "notes": list(compared.notes),
        "findings": [_finding(each, compared) for each in compared.findings],
    }


def _finding(each: Finding, compared: Compared) -> dict[str, Any]:
    place = each.place
    low, high = each.interval
    return {
        "task": each.task,
        "method": each.method,
        "against": each.against,
        "metric": place.metric if place else None,
        "decoding": place.decoding if place else None,
        "split": place.split if place else None,
        "primary": each.primary,
        "higher_is_better": each.higher_is_better,
        "verdict": each.verdict,
        "fails": compared.fails(each),
        "base": _number(each.base),
        "new": _number(each.new),
        "real": _number(each.real),
        "difference": _number(each.difference),
        "low": _number(low),
        "high": _number(high),
        "p": _number(each.p),
        "tolerance": _number(each.tolerance),
        "p_better": _number(each.probability),
        **_evidence(each.evidence),
        "needed": each.needed,
        "identical": each.exactly,
        "failed": list(each.failed),
        "differing": {name: list(pair) for name, pair in each.differing.items()},
        "signatures": list(each.signatures),
        "details": saying.details(each),
    }


def _evidence(found: Evidence | None) -> dict[str, Any]:
    if found is None:
        return {"over": None, "paired": None, "seeds": None, "items": None, "error": None}
    about = {"over": found.over or None, "paired": found.paired, "seeds": list(found.seeds)}
    return {**about, "items": found.items or None, "error": _number(found.error)}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
