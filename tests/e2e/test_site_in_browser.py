"""The report in a real browser: it sorts, filters, tells signatures to pointer and keys, and is quick for 200 cells."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.report import browser as samples
from bench.report import charts, site
from bench.report.collect import collect
from bench.schema import ScoreRow
from tests.browser import browser, page  # noqa: F401
from tests.fresh import fresh_seed
from tests.score_rows import cell, poetry, translation
from tests.site_pages import HOSTILE, Page, hostile_rows
from tests.site_runs import many, write_run

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
BODY = "tbody[data-sorts]"


def board_rows() -> list[ScoreRow]:
    """Poetry with a method that has no NLL, and translation in two decodings."""
    silent = [each for seed in (0, 1, 2) for each in cell("textgan", seed, 0.6 + seed / 100, 0.4, math.nan)]
    return poetry() + silent + translation()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sites without charts and samples: a small one, a hostile one and one of 200 cells."""
    patch = pytest.MonkeyPatch()
    patch.setattr(charts, "write_task_pages", lambda *_: [])
    patch.setattr(samples, "write_sample_pages", lambda *_: [])
    navigation = site.navigation
    patch.setattr(site, "navigation", lambda *given: [each for each in navigation(*given) if "/" not in each[0]])
    top = tmp_path_factory.mktemp("sites")
    runs = {"small": board_rows(), "hostile": hostile_rows(fresh_seed()), "large": many(200, fresh_seed())}
    found = {}
    for name, rows in runs.items():
        store = write_run(top / name, rows, log='{"stage": "</script><b>", "step": 1, "loss": 2.5}\n')
        found[name] = site.write_site(store, collect(store), top / f"{name}-site")
    patch.undo()
    return found


@pytest.fixture
def shown(page, made):  # noqa: F811
    page.goto(made["small"].as_uri())
    return page


def table(page, number: int = 0) -> Locator:  # noqa: F811
    return page.locator("table.board").nth(number)


def order(page, number: int = 0) -> list[str]:  # noqa: F811
    """The rows of methods as they stand, earlier stages too."""
    return [
        " ".join(text.split()) for text in table(page, number).locator(f"{BODY} > tr:visible > th").all_inner_texts()
    ]


def column(page, title: str, number: int = 0) -> Locator:  # noqa: F811
    return table(page, number).locator("thead th").filter(has_text=title).first


def means(page, title: str) -> list[float]:  # noqa: F811
    """Of the methods' final rows, by what they are sorted by."""
    index = column(page, title).get_attribute("data-column")
    found = table(page).locator(f'{BODY} > tr.method > td[data-column="{index}"]')
    texts = [each.get_attribute("data-v") for each in found.all()]
    return [float(text) if text else math.nan for text in texts]


def test_a_column_sorts_with_gaps_last_and_stages_below_their_method(shown) -> None:
    ranking = order(shown)
    assert ranking.index("after pre-training of seqgan") == ranking.index("seqgan") + 1
    for title, first in (("BLEU-2", "descending"), ("NLL-test", "ascending")):
        other = {"descending": "ascending", "ascending": "descending"}[first]
        for way in (first, other, "none"):
            column(shown, title).locator("button").click()
            assert column(shown, title).get_attribute("aria-sort") == way
            now = order(shown)
            assert now.index("after pre-training of seqgan") == now.index("seqgan") + 1
            assert sorted(now) == sorted(ranking)
            if way == "none":
                assert now == ranking
                continue
            values = means(shown, title)
            finite = [value for value in values if not math.isnan(value)]
            assert len(finite) > 1
            assert finite == sorted(finite, reverse=way == "descending")
            assert all(math.isnan(value) for value in values[len(finite) :])
    names = table(shown).locator("tbody.reference, tbody.floor").all_inner_texts()
    assert "real" in names[0]
    assert "shuffled" in names[1]


def test_it_sorts_by_keyboard_and_says_so(shown) -> None:
    button = column(shown, "Self-BLEU-2").locator("button")
    button.focus()
    shown.keyboard.press("Enter")
    assert column(shown, "Self-BLEU-2").get_attribute("aria-sort") == "descending"
    assert means(shown, "Self-BLEU-2") == sorted(means(shown, "Self-BLEU-2"), key=lambda v: (math.isnan(v), -v))
    shown.locator('[role="status"]').filter(has_text="sorted by Self-BLEU-2").wait_for(state="attached")
    shown.keyboard.press("Space")
    assert column(shown, "Self-BLEU-2").get_attribute("aria-sort") == "ascending"


def test_it_filters_by_method_decoding_stage_and_references(shown) -> None:
    form = shown.locator("#filters")
    form.locator("[name=method]").fill("SEQ")
    assert order(shown) == ["seqgan", "after pre-training of seqgan"]
    assert form.locator("output").inner_text().startswith("1 of ")
    assert shown.locator("p.none:visible").count() == 2  # no such method in translation
    form.locator("[name=stage]").select_option("final")
    assert order(shown) == ["seqgan"]
    assert table(shown).locator("tbody.reference tr:visible").count() == 1
    form.locator("[name=references]").uncheck()
    assert table(shown).locator("tbody.reference tr:visible, tbody.floor tr:visible").count() == 0
    form.locator("button[type=reset]").click()
    shown.wait_for_function("document.querySelector('tr.before').hidden === false")
    assert table(shown).locator("tbody.reference tr:visible").count() == 1
    form.locator("[name=decoding]").select_option("beam5@1")
    assert [each.inner_text().split("\n")[0] for each in shown.locator("h3:visible").all()] == [
        "test, beam5@1 1,000 items"
    ]
    assert shown.locator("h2:visible").all_inner_texts() == ["translation"]


def test_wide_tables_begin_with_their_main_columns(page, made) -> None:  # noqa: F811
    page.goto(made["large"].as_uri())
    titles = "table.board:first-of-type thead th[data-column]:visible"
    few = table(page).locator("thead th[data-column]:visible").count()
    page.locator("[name=columns]").select_option("form")
    assert {text.split("\n")[0] for text in table(page).locator(titles.split(" ", 1)[1]).all_inner_texts()} == {
        "length",
        "unk",
    }
    page.locator("[name=columns]").select_option("")
    assert few < table(page).locator("thead th[data-column]:visible").count() == 26


def test_the_signature_is_told_by_pointer_and_by_keyboard(shown) -> None:
    panel = shown.locator("#panel")
    value = table(shown).locator(f"{BODY} > tr.method > td[data-column]").first
    assert not panel.is_visible()
    value.hover()
    text = panel.inner_text()
    assert "bleu|n:2|hyps:500|refs:500|T:1|data:poetry.v1/embedded#3fa91c20|v:1" in text
    assert "seed 0: " in text
    panel.locator("button").hover()  # the pointer can reach it
    shown.wait_for_timeout(400)
    assert panel.is_visible()
    shown.keyboard.press("Escape")
    assert not panel.is_visible()
    table(shown).locator("thead button").last.focus()
    stops = []
    for _ in range(30):  # the table's values are one stop of the Tab key
        shown.keyboard.press("Tab")
        stops.append(shown.evaluate("document.activeElement.tagName"))
        if stops[-1] == "TD":
            break
    assert stops[-1] == "TD"
    assert "bleu|n:2" in panel.inner_text()
    assert shown.evaluate("document.activeElement.getAttribute('aria-describedby')") == "panel"
    shown.keyboard.press("ArrowRight")
    assert "bleu|n:3" in panel.inner_text()
    shown.keyboard.press("ArrowDown")
    assert shown.evaluate("document.activeElement.closest('tr').rowIndex") == 2
    shown.keyboard.press("Enter")
    panel.locator("button", has_text="Copied").wait_for()


def test_a_cell_opens_with_its_command(shown) -> None:
    table(shown).locator(f"{BODY} > tr.method td.seeds a").first.click()
    assert "/cells/" in shown.url
    assert shown.locator("#command").inner_text().startswith("python run_bench.py run --tasks poetry")
    shown.locator("button", has_text="Copy the command").click()
    shown.locator("button", has_text="Copied").wait_for()
    shown.locator("button", has_text="Show the signatures").click()
    assert shown.locator("td.signature:visible").count() > 0
    shown.locator("nav a", has_text="Protocol").click()
    assert shown.locator("h1").inner_text() == "Protocol"


def test_the_theme_is_the_systems_until_it_is_chosen_and_then_kept(shown) -> None:
    def paper() -> str:
        return str(shown.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = paper()
    shown.emulate_media(color_scheme="dark")
    dark = paper()
    assert dark != light
    shown.locator("#theme").click()
    assert paper() == light
    shown.reload()
    assert paper() == light
    shown.locator("#theme").click()
    shown.emulate_media(media="print")
    assert paper() == light
    assert not shown.locator("#filters").is_visible()


def test_a_narrow_screen_scrolls_tables_and_not_the_page(shown) -> None:
    shown.set_viewport_size({"width": 380, "height": 800})
    assert shown.evaluate("document.documentElement.scrollWidth") <= 380
    region = shown.locator(".region").first
    assert region.evaluate("r => r.scrollWidth > r.clientWidth")
    before = table(shown).locator("th.name").nth(1).bounding_box()["x"]
    region.evaluate("r => { r.scrollLeft = 300 }")
    assert table(shown).locator("th.name").nth(1).bounding_box()["x"] == pytest.approx(before, abs=1)


def test_hostile_text_runs_nothing(page, made) -> None:  # noqa: F811
    """No dialog, no error, no element of theirs; the panel and the filters show it as text too."""
    page.goto(made["hostile"].as_uri())
    text = page.locator("main").inner_text()
    assert HOSTILE[0] in text
    assert HOSTILE[1] in text
    for number in range(page.locator("table.board").count()):
        values = table(page, number).locator("td[data-column]:visible")
        for each in values.all()[:2]:
            each.focus()
    assert HOSTILE[0].split("(")[0] in "".join(page.locator("#panel, h2").all_inner_texts())
    for path in sorted(made["hostile"].parent.glob("cells/*.html"))[:6]:
        page.goto(path.as_uri())
        assert "</script><b>" in page.locator("main").text_content()
    assert page.locator("img, svg, main script:not([type])").count() == 0


def test_200_cells_are_under_10_mb_and_ready_within_2_seconds(page, made) -> None:  # noqa: F811
    """The best of three loads, so that a busy machine doesn't decide."""
    assert len(list((made["large"].parent / "cells").iterdir())) == 200
    assert sum(path.stat().st_size for path in made["large"].parent.glob("*.html")) < 10_000_000
    took = []
    for _ in range(3):
        page.goto(made["large"].as_uri(), wait_until="load")
        took.append(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        assert page.locator("#filters output").inner_text() == "36 rows of methods"
    assert 0 < min(took) < 2000, took


def test_the_command_writes_a_whole_site_that_opens_from_disk(page, tmp_path: Path) -> None:  # noqa: F811
    """As a user has it, charts and samples too: every link of every page leads to a file, and no page has an error."""
    store = write_run(tmp_path / "run", poetry())
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_bench.py"), "report", str(store.path), "--out", str(tmp_path / "site")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"page     {tmp_path / 'site' / 'index.html'}"
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert {"index.html", "protocol.html", "poetry.html"} <= {path.name for path in pages}
    kinds = {path.parent.name: path for path in pages}
    for path in pages:
        for link in Page(path.read_text(encoding="utf-8")).links:
            target = link.partition("#")[0].partition("?")[0]
            assert link.startswith("data:") or not target or (path.parent / target).is_file(), f"{path}: {link}"
    for path in kinds.values():
        page.goto(path.as_uri())
        assert page.locator("h1").count() == 1
