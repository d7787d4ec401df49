"""The seed of inputs that are fresh in every run: set `GANTLET_TEST_SEED` to have a failed run's again."""

from __future__ import annotations

import os
import secrets

VARIABLE = "GANTLET_TEST_SEED"


def choose() -> None:
    """Once, before workers start: they inherit it."""
    os.environ.setdefault(VARIABLE, str(secrets.randbelow(2**31)))


def fresh_seed() -> int:
    return int(os.environ[VARIABLE])
