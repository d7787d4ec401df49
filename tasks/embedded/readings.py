"""What English leaves open and French must say: `you` is tu or vous, `tired` is fatigué or fatiguée.

A sentence is realised in French under a *reading*, which it asks for each open choice by name; the same name gives the
same answer throughout the sentence. A reading is drawn at random, or all of them are gone through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from tasks.embedded.grammar import Draw

Option = TypeVar("Option")


class Reading:
    """Answers from a path of choices, the first option beyond its end; remembers how many options each choice had."""

    def __init__(self, path: list[int] | None = None, draw: Draw | None = None) -> None:
        self.path = path if path is not None else []
        self.sizes: list[int] = []
        self._draw = draw
        self._answers: dict[str, int] = {}

    def pick(self, name: str, options: tuple[Option, ...]) -> Option:
        if name not in self._answers:
            at = len(self.sizes)
            self.sizes.append(len(options))
            if at == len(self.path):
                self.path.append(self._draw.between(0, len(options) - 1) if self._draw else 0)
            self._answers[name] = self.path[at]
        return options[self._answers[name]]

    @property
    def polite(self) -> bool:
        return self.pick("you", (False, True))

    def feminine(self, who: str) -> bool:
        return self.pick(f"feminine {who}", (False, True))


def all_readings(realise: Callable[[Reading], str]) -> Iterator[str]:
    """Every realisation, in the order of the choices' options; the same text may come more than once."""
    path: list[int] = []
    while True:
        reading = Reading(path)
        yield realise(reading)
        path = reading.path[: len(reading.sizes)]
        while path and path[-1] == reading.sizes[len(path) - 1] - 1:
            path.pop()
        if not path:
            return
        path[-1] += 1
