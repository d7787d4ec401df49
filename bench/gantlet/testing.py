"""The checks of `run_bench.py check`, for pytest: a test item for each promise of your method, task or metric.

A whole test file:

    from gantlet.testing import conformance
    from my_method import MyMethod

    test_conformance = conformance(MyMethod, settings={"steps": 10})

Installed, this module is a plug-in of pytest's and gives the marker `gantlet` and the fixtures `gantlet_check` and
`gantlet_trial`; without the installation: `pytest_plugins = ["gantlet.testing"]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench.checks.subjects import Subject

__all__ = ["conformance", "gantlet_check", "gantlet_trial"]

MARKER = (
    "gantlet(thing, settings={}, only=(), skip=(), seconds=60, data=None): the method, task or metric that "
    "`gantlet_check` and `gantlet_trial` are about"
)


def conformance(
    thing: Any,
    *,
    settings: Mapping[str, Any] | None = None,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    seconds: float = 60.0,
    data: str | None = None,
) -> Callable[..., None]:
    """A test function that pytest takes apart into an item for each check.

    Args:
        thing: a class, or a name, or `FILE.py:CLASS`.
        settings: constants of a method, options of a task, over the presets: what makes training short.
        only, skip: names of checks, as `run_bench.py check --list` has them.
        seconds: of processor time that the checks of a method may take together.
        data: of a task: what `--data` would name.
    """

    @pytest.mark.gantlet(thing, settings=settings, only=only, skip=skip, seconds=seconds, data=data)
    def test(gantlet_check: Callable[[], None]) -> None:
        gantlet_check()

    return test


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """An item for each check that the marker asks for."""
    if "gantlet_check" not in metafunc.fixturenames:
        return
    from bench.errors import UserError

    subject = _subject(metafunc.definition)
    try:
        checks = subject.checks()
    except UserError as mistake:
        raise pytest.UsageError(str(mistake)) from None
    metafunc.parametrize("gantlet_check", checks, ids=[check.name for check in checks], indirect=True, scope="function")


@pytest.fixture
def gantlet_trial(request: pytest.FixtureRequest) -> Any:
    """What is on trial, by the marker `gantlet`: for a method `bench.checks.trial.Trial`, which trains when asked."""
    return _subject(request.node).trial


@pytest.fixture
def gantlet_check(request: pytest.FixtureRequest) -> Callable[[], None]:
    """One check, to be called; it fails with what, where and the remedy, and skips with the reason what can't apply."""
    if not hasattr(request, "param"):
        raise pytest.UsageError("gantlet_check needs the marker: @pytest.mark.gantlet(MyMethod)")
    subject, check = _subject(request.node), request.param

    def run() -> None:
        __tracebackhide__ = True
        outcome = subject.outcome(check)
        if outcome.status == "FAIL":
            pytest.fail("\n".join(map(str, outcome.failures)), pytrace=False)
        if outcome.status in ("not applicable", "not run"):
            pytest.skip("; ".join(outcome.notes))

    return run


def _subject(node: Any) -> Subject:
    """Of the marker; kept with the test session, so that all items of one thing share what was trained."""
    from bench.checks.subjects import Subject
    from bench.errors import UserError

    marker = node.get_closest_marker("gantlet")
    if marker is None or not marker.args:
        raise pytest.UsageError(f"{node.name}: name what is checked, as @pytest.mark.gantlet(MyMethod)")
    kept = node.session.stash.setdefault(_KEPT, {})
    key = (repr(marker.args), repr(sorted(marker.kwargs.items(), key=str)))
    if key not in kept:
        try:
            kept[key] = Subject.of(*marker.args, **marker.kwargs)
        except (UserError, TypeError) as mistake:
            raise pytest.UsageError(f"{node.name}: {mistake}") from None
    found: Subject = kept[key]
    return found


_KEPT = pytest.StashKey[dict[Any, Any]]()
