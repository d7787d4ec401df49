"""What every built-in method on (source, target) pairs promises: the checks of `bench/checks` put to all of them.

Each is trained on a toy corpus whose answer is the source reversed, in capitals.
"""

from __future__ import annotations

import pytest

from bench.checks.core import Check
from bench.checks.trial import PAIRS
from tests.conformance.methods import cases, keeps

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*enable_nested_tensor")]


@pytest.mark.parametrize(("name", "check", "kind"), cases(PAIRS))
def test_a_promise_on_pairs(name: str, check: Check, kind: str) -> None:
    keeps(name, check, kind)
