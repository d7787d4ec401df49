"""Mistakes that a user can mend: shown as one line, without a traceback, with exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """What is wrong, where, and what to do."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean poetry?`, or the list of what there is when nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {near[0]}?" if near else f" There are: {', '.join(names)}."
