"""Mistakes that a user can mend: shown as one line, without a traceback, with exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(Exception):
    """What is wrong, where, and what to do."""


class NoSuchGrid(UserError):
    """A name that is neither a file nor a grid of the suite."""


LISTS = "The names of a list are parted by commas, without blanks: --baselines mle,seqgan."  # said of words left over


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean poetry?`, or the list of what there is when nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {near[0]}?" if near else f" There are: {', '.join(names)}."


def complaint(error: ValidationError, owner: str, known: Iterable[str]) -> UserError:
    """The first thing pydantic complains of, in one line.

    Args:
        owner: whose settings they are: a task, a method, a file.
        known: the names at the top, for a suggestion.
    """
    first = error.errors()[0]
    *above, last = (owner, *map(str, first["loc"]))
    place = ".".join(above)
    if first["type"] == "extra_forbidden":
        hint = did_you_mean(last, known) if len(above) == 1 else ""
        return UserError(f'{place} has no setting "{last}".{hint}')
    return UserError(f"{place}.{last}: {first['msg']} (got {first['input']!r}).")
