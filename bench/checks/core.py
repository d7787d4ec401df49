"""What a check is: a named promise that is kept, broken with a remedy, or not applicable with a reason."""

from __future__ import annotations

import inspect
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from bench.errors import UserError, did_you_mean

Status = Literal["pass", "FAIL", "not applicable", "not run"]
REFUSED = "refused:"  # how a note begins that only repeats what `supports` said
OURS = Path(__file__).parent


class CheckFailed(Exception):
    """A promise that is broken.

    Args:
        what: what is wrong.
        where: file and line of the user's code, or the part of it.
        remedy: what to do.
    """

    def __init__(self, what: str, where: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.where, self.remedy = what, where, remedy

    def __str__(self) -> str:
        return f"{self.what}\n    where: {self.where}\n    to do: {self.remedy}"


class NotApplicable(Exception):
    """The promise says nothing of this method, task or metric; with the reason."""


class Blocked(Exception):
    """The check could not be run because an earlier one failed."""


class TooSlow(UserError):
    """The thing takes longer than the time there is; the remedy is other settings, so it is a mistake in the call."""


@dataclass(frozen=True)
class Check:
    """A named function that looks at a subject and raises `CheckFailed`; it may give a note for the reader.

    Attributes:
        corpora: methods: the toy corpora that it is tried on, of those that the method supports; () once, on none.
    """

    run: Callable[..., str | None]
    corpora: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.run.__name__.replace("_", "-")

    @property
    def promise(self) -> str:
        """The first paragraph of its docstring, on one line."""
        return " ".join((inspect.getdoc(self.run) or "").split("\n\n")[0].split())


@dataclass(frozen=True)
class Outcome:
    """How a check went.

    Attributes:
        notes: of a pass: what a reader may want to know; of others: the reasons.
        failures: what is wrong, where, and what to do: one for each corpus on which it failed.
    """

    name: str
    status: Status
    seconds: float
    notes: tuple[str, ...] = ()
    failures: tuple[CheckFailed, ...] = field(default=())


def attempt(check: Check, run: Callable[[], str | None], file: str = "") -> Outcome:
    """Runs one check; an exception of the user's own is a failure, with the line that raised it.

    Args:
        file: the user's file, to name a line of it rather than one of a library's.
    """
    began = time.monotonic()

    def ended(status: Status, *notes: str, failures: tuple[CheckFailed, ...] = ()) -> Outcome:
        told = tuple(note for note in notes if note)
        return Outcome(check.name, status, time.monotonic() - began, told, failures)

    try:
        return ended("pass", run() or "")
    except NotApplicable as reason:
        return ended("not applicable", str(reason))
    except Blocked as reason:
        return ended("not run", str(reason))
    except CheckFailed as failure:
        return ended("FAIL", failures=(failure,))
    except UserError:  # of what was asked, not of what is checked
        raise
    except Exception as error:
        return ended("FAIL", failures=(crash(error, check.promise, file),))


def crash(error: BaseException, promise: str, file: str = "") -> CheckFailed:
    """An exception in the middle of a check, as a failure."""
    told = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return CheckFailed(told, raised_at(error, file), f"mend what raised it; the check asks: {promise}")


def together(name: str, outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of a check that was tried on several corpora: the worst of them."""
    order: tuple[Status, ...] = ("FAIL", "pass", "not run", "not applicable")
    status = min((outcome.status for outcome in outcomes), key=order.index)
    of_status = [outcome for outcome in outcomes if outcome.status == status]
    notes = tuple(dict.fromkeys(note for outcome in of_status for note in outcome.notes))
    notes = tuple(note for note in notes if not note.startswith(REFUSED)) or notes
    failures = tuple(failure for outcome in outcomes for failure in outcome.failures)
    return Outcome(name, status, sum(outcome.seconds for outcome in outcomes), notes, failures)


def chosen(checks: Sequence[Check], only: Iterable[str] = (), skip: Iterable[str] = ()) -> tuple[Check, ...]:
    """The checks that were asked for, in their order.

    Raises:
        UserError: a name that there is not, or nothing is left.
    """
    wanted, unwanted = ({name.replace("_", "-") for name in names} for names in (only, skip))
    known = [check.name for check in checks]
    for name in sorted(wanted | unwanted):
        if name not in known:
            raise UserError(f'no check "{name}".{did_you_mean(name, known)}')
    left = tuple(each for each in checks if (not wanted or each.name in wanted) and each.name not in unwanted)
    if not left:
        raise UserError("--only and --skip leave no check to run.")
    return left


def place_of(thing: Any) -> str:
    """`my_gan.py:31 (MyGAN.fit)` of a class, function or method; its name where there is no file."""
    plain = inspect.unwrap(getattr(thing, "__func__", thing))
    name = getattr(plain, "__qualname__", type(thing).__name__)
    try:
        file, line = inspect.getsourcefile(plain), inspect.getsourcelines(plain)[1]
    except (TypeError, OSError):
        return str(name)
    return f"{_short(file or '')}:{line} ({name})"


def raised_at(error: BaseException, file: str = "") -> str:
    """The innermost line of the user's own file in a traceback, or else of any."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if file and frame.filename == file]
    outside = [frame for frame in frames if not Path(frame.filename).is_relative_to(OURS)]
    if not (theirs or outside or frames):
        return "unknown"
    last = (theirs or outside or list(frames))[-1]
    return f"{_short(last.filename)}:{last.lineno} ({last.name})"


def called_at(file: str = "") -> str:
    """The line of the user's own file that the program is in now, or else the innermost that is none of the checks'."""
    frame: FrameType | None = sys._getframe(1)
    first = ""
    while frame is not None:
        name = frame.f_code.co_filename
        place = f"{_short(name)}:{frame.f_lineno} ({frame.f_code.co_name})"
        if file and name == file:
            return place
        if not first and not Path(name).is_relative_to(OURS):
            first = place
        frame = frame.f_back
    return first or "unknown"


def _short(path: str) -> str:
    """As people write it: below the working directory without that."""
    try:
        near = os.path.relpath(path)
    except ValueError:  # another drive
        return path
    return path if near.startswith("..") else near
