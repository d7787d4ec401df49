"""Pages of a report taken apart, and the text that must never be more than text in them."""

from __future__ import annotations

import random
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.report import browser as samples
from bench.report import charts, site
from bench.report.collect import collect
from tests.score_rows import failure, row
from tests.site_runs import write_run

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "'\"><svg onload=alert(3)>",
    "javascript:alert(4)",
    "a\u2028b\u2029c -->",
    "{{ 7 * 7 }}{% raw %}",
)


VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """A page's elements, links, ids and texts; it must be well nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self.tables: list[list[list[tuple[dict[str, str], str]]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.tags.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[key] for key in ("href", "src") if key in given]
        if tag == "script":
            self.scripts.append((given, ""))
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append((given, ""))
        elif tag == "sup" and "td" in self.open:
            self.handle_data(" ")
        self.text += " " if tag in ("dt", "dd", "li", "p", "td", "th") else ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
            return
        self.text += data
        if {"td", "th"} & set(self.open) and self.tables and self.tables[-1] and self.tables[-1][-1]:
            attributes, before = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (attributes, before + data)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of this room without charts and samples, which have tests of their own."""
    monkeypatch.setattr(charts, "write_task_pages", lambda *_: [])
    monkeypatch.setattr(samples, "write_sample_pages", lambda *_: [])
    navigation = site.navigation
    monkeypatch.setattr(site, "navigation", lambda *given: [each for each in navigation(*given) if "/" not in each[0]])


def made(path: Path, rows: list, **files) -> Path:
    store = write_run(path / "run", rows, **files)
    return site.write_site(store, collect(store), path / "site").parent


def index_of(folder: Path) -> Page:
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def flat(text: str) -> str:
    return " ".join(text.split())


def hostile_rows(seed: int) -> list:
    """Every text that somebody else chose is hostile somewhere: names, reasons, labels, signatures, devices."""
    rng = random.Random(seed)
    pick = lambda: rng.choice(HOSTILE)  # noqa: E731
    rows = []
    for number, text in enumerate(HOSTILE):
        about = {"task": text, "data": f"{pick()}#{number}", "origin": pick(), "device": pick()}
        for each in range(2):
            rows += [
                row(
                    **about,
                    baseline=f"{text}{number}",
                    seed=each,
                    value=rng.random(),
                    signature=f"bleu-2|{text}:{text}|v:1",
                )
            ]
            rows += [row(**about, baseline="mle", seed=each, value=rng.random(), signature=f"bleu-2|{text}:{text}|v:1")]
        rows += [
            row(**about, baseline="mle", metric=text, value=rng.random(), primary=False, signature=f"{text}|x:{text}")
        ]
        gap = {"status": "missing", "reason": text, "value": float("nan"), "metric": "unique", "primary": False}
        rows += [row(**about, baseline="mle", **gap)]
        rows += [failure(f"f{number}{text}", 0, rng.choice(("failed", "diverged", "unsupported")), text, **about)]
    return rows
