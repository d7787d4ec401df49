"""A page in a real headless Chromium, for tests of what people look at: `from tests.browser import page  # noqa: F401`.

Nothing but files is loaded: any other request is stopped and fails the test, as do errors on the console, exceptions of
the page and files that are not there. Where Playwright or Chromium is absent the tests are skipped with the reason.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync"),
)


def chromium() -> str:
    """Where Chromium is: `$CHROMIUM`, or the first of its names that there is; else the test is skipped."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not found or not os.path.isfile(found):
        pytest.skip(f"no Chromium at {found or ', '.join(CHROMIUM)}: install it, or set CHROMIUM to its path")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the tests of a module: starting it takes longer than they do."""
    api = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    path = chromium()
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page of 1280 x 900; at the end of the test it must have met no error and asked for no network."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.set_default_timeout(10_000)
    made, troubles = context.new_page(), watched(context)
    yield made
    context.close()
    assert not troubles, "\n".join(troubles)


def watched(context) -> list[str]:  # type: ignore[no-untyped-def]
    """The list to which everything is added that a page from disk must never do."""
    troubles: list[str] = []

    def decide(route) -> None:  # type: ignore[no-untyped-def]
        if route.request.url.startswith(("file://", "data:", "blob:", "about:")):
            route.continue_()
        else:
            troubles.append(f"asked for the network: {route.request.url}")
            route.abort()

    def told(message) -> None:  # type: ignore[no-untyped-def]
        if message.type == "error":
            troubles.append(f"console: {message.text}")

    context.route("**/*", decide)
    context.on("console", told)
    context.on("weberror", lambda error: troubles.append(f"exception: {error.error}"))
    context.on("requestfailed", lambda request: troubles.append(f"not loaded: {request.url} ({request.failure})"))
    context.on("dialog", lambda dialog: (troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    return troubles
