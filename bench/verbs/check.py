"""The verb `check`: puts every promise to a method, a task or a metric, one line a check."""

from __future__ import annotations

import argparse
import shutil
import textwrap
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.checks.core import Outcome, chosen
from bench.checks.finding import KINDS, Found, Kind, find
from bench.checks.subjects import Subject, checks_of
from bench.config import fields_of, parse_settings
from bench.errors import UserError


def check_verb(asked: argparse.Namespace) -> int:
    """Prints a line a check. Exit codes: 0 all are kept, 1 one is broken, 2 a mistake in the call."""
    if asked.name is None:
        if not asked.list:
            raise UserError("check needs a NAME: a method, task or metric, or FILE.py; or --list, to read the checks.")
        for kind in KINDS if asked.kind is None else (asked.kind,):
            print_checks(kind, asked)
        return 0
    found = find(asked.name, asked.plugins or (), asked.kind)
    if asked.list:
        for kind in dict.fromkeys(each.kind for each in found):
            print_checks(kind, asked)
        return 0
    kept = [check_one(each, asked) for each in found]
    return 0 if all(kept) else 1


def print_checks(kind: Kind, asked: argparse.Namespace) -> None:
    """What each check promises."""
    print(f"checks of a {kind}")
    for check in chosen(checks_of(kind), asked.only or (), asked.skip or ()):
        print(f"  {check.name}")
        print(textwrap.fill(check.promise, _width(), initial_indent=" " * 6, subsequent_indent=" " * 6))


def check_one(found: Found, asked: argparse.Namespace) -> bool:
    """All checks of one thing; whether none is broken."""
    import torch

    torch.set_num_threads(1)
    subject = Subject(
        found,
        settings_of(asked.settings, found.name),
        asked.only or (),
        asked.skip or (),
        asked.seconds,
        asked.data,
        fields_of(asked.fields),
    )
    checks, _ = subject.checks(), subject.trial  # mistakes in the call are told before anything is printed
    began, counts = time.monotonic(), Counter[str]()
    print(f"check {found.kind} {found.name}: {len(checks)} checks", flush=True)
    for check in checks:
        outcome = subject.outcome(check)
        counts[outcome.status] += 1
        print(line(outcome), flush=True)
    order = ("pass", "FAIL", "not applicable", "not run")
    told = ", ".join(f"{counts[status]} {status}" for status in order if counts[status])
    print(f"{found.name}: {told} in {time.monotonic() - began:.0f} s", flush=True)
    return not counts["FAIL"]


def settings_of(pairs: Sequence[str], name: str) -> dict[str, Any]:
    """`--set steps=5` and `--set my_gan.steps=5` are the same here."""
    whole = [pair if pair.startswith(f"{name}.") else f"{name}.{pair}" for pair in pairs]
    return parse_settings(whole).get(name, {})


def line(outcome: Outcome) -> str:
    """One line; of what is broken also what, where, and what to do."""
    head = f"  {outcome.name:<39} {outcome.status:<14} {outcome.seconds:6.1f} s"
    told = "; ".join(outcome.notes)
    lines = [f"{head}  {told}" if told else head]
    for failure in outcome.failures:
        for name, text in (("what", failure.what), ("where", failure.where), ("to do", failure.remedy)):
            lines.append(textwrap.fill(text, max(60, _width()), initial_indent=f"      {name + ':':<7}",
                                       subsequent_indent=" " * 13, break_long_words=False))  # fmt: skip
    return "\n".join(lines)


def _width() -> int:
    return min(120, shutil.get_terminal_size((110, 24)).columns)
