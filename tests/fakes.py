"""An in-memory `Run` for tests of training; it stands with the checks that use it too."""

from bench.checks.fakerun import FakeRun, Interrupted, Saved

__all__ = ["FakeRun", "Interrupted", "Saved"]
