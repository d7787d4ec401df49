"""Seeds by axis: data order and pre-training depend on (purpose, task, seed) and never on the baseline."""

from __future__ import annotations

import hashlib


def seed_for(purpose: str, task: str, seed: int) -> int:
    """A 63-bit seed of its own for every purpose, task and repetition; the same on every platform."""
    digest = hashlib.sha256(f"{purpose}\0{task}\0{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
