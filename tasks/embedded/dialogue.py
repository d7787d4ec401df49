"""Dialogues cut at a turn: up to four turns before it are the context, the turn itself is the response.

One row comes from each dialogue, so that no test context goes on from a training one.
"""

from __future__ import annotations

from tasks.embedded.grammar import Draw, Row, Splits, deal
from tasks.embedded.scenarios import SCENARIOS

SEED = 5601
LONGEST = 4  # turns of a context


def cut(draw: Draw) -> tuple[list[str], str]:
    """A context, oldest turn first, and its response."""
    turns = draw.one(SCENARIOS)(draw)
    at = draw.between(1, len(turns) - 1)
    return turns[max(0, at - LONGEST) : at], turns[at]


def build() -> Splits:
    """All splits; a context stands nowhere else."""

    def example(draw: Draw, split: str) -> tuple[str, Row]:  # noqa: ARG001
        context, response = cut(draw)
        return "\n".join(context), {"context": context, "response": response}

    return deal(example, SEED)
