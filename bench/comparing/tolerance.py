"""How large a difference is of no concern: by metric, task and method, from flags and a TOML file."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import UserError, did_you_mean

DEFAULT = "default"
_KEY = re.compile(r"(?:(?P<task>[^:.]+)(?:\.(?P<method>[^:]+))?:)?(?P<metric>[^:]+)")


@dataclass(frozen=True)
class Amount:
    """An absolute difference, or a share of the base's mean."""

    value: float
    relative: bool = False

    def of(self, base: float) -> float:
        return self.value * abs(base) if self.relative else self.value

    def __str__(self) -> str:
        return f"{100 * self.value:g} %" if self.relative else f"{self.value:g}"


@dataclass(frozen=True)
class Tolerances:
    """Amounts by key: `default`, METRIC, TASK:METRIC or TASK.METHOD:METRIC; the most specific key is the one used."""

    amounts: Mapping[str, Amount] = field(default_factory=dict)

    def of(self, task: str, method: str, metric: str, base: float) -> float:
        """The tolerance of one value whose base mean is `base`; 0 where none was given."""
        for name in (f"{task}.{method}:{metric}", f"{task}:{metric}", metric,
                     f"{task}.{method}:{DEFAULT}", f"{task}:{DEFAULT}", DEFAULT):  # fmt: skip
            if name in self.amounts:
                return self.amounts[name].of(base)
        return 0.0

    def check(self, tasks: Iterable[str], methods: Iterable[str], metrics: Iterable[str]) -> None:
        """Every key names what there is.

        Raises:
            UserError: a name that isn't known, with the nearest that is.
        """
        known = {"task": {*tasks}, "method": {*methods}, "metric": {*metrics, DEFAULT}}
        for key in self.amounts:
            found = _KEY.fullmatch(key)
            for kind, name in found.groupdict().items() if found else ():
                if name is not None and name not in known[kind]:
                    raise UserError(f'tolerance "{key}": no {kind} "{name}".{did_you_mean(name, known[kind])}')


def tolerances(flags: Sequence[str] = (), file: str | None = None) -> Tolerances:
    """What the file says, and then each flag: `X` for all, or `KEY=X`; X is a number or a share, as `2%`.

    Raises:
        UserError: no such file, no TOML, a key or an amount that makes no sense.
    """
    amounts = {} if file is None else _of_file(file)
    for text in flags:
        key, equals, amount = text.rpartition("=")
        where = f"--tolerance {text}"
        amounts[_key(key, where) if equals else DEFAULT] = _amount(amount, where)
    return Tolerances(amounts)


def _of_file(file: str) -> dict[str, Amount]:
    try:
        content = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"tolerances {file}: {error}.") from None
    return dict(_flat(content, file))


def _flat(table: Mapping[str, Any], file: str, above: str = "") -> Iterable[tuple[str, Amount]]:
    """`[poetry.seqgan]` with `bleu-2` below it is `poetry.seqgan:bleu-2`."""
    for name, value in table.items():
        where = f"tolerances {file}, {f'[{above}] ' if above else ''}{name}"
        if isinstance(value, dict):
            if above.count("."):
                raise UserError(f"{where}: a table is [TASK] or [TASK.METHOD], no deeper.")
            yield from _flat(value, file, f"{above}.{name}" if above else name)
        else:
            yield _key(f"{above}:{name}" if above else name, where), _amount(value, where)


def _key(text: str, where: str) -> str:
    key = text.strip()
    if not _KEY.fullmatch(key):
        raise UserError(f"{where}: a key is METRIC, TASK:METRIC, TASK.METHOD:METRIC or {DEFAULT}.")
    return key


def _amount(value: object, where: str) -> Amount:
    relative = isinstance(value, str) and value.strip().endswith("%")
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value.strip().removesuffix("%")) if isinstance(value, str) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise UserError(f'{where}: "{value}" is no amount; give a number as 0.005, or a share as 2%.') from None
    if not (math.isfinite(number) and number >= 0):
        raise UserError(f"{where}: a tolerance is 0 or more, not {value}.")
    return Amount(number / 100 if relative else number, relative)
