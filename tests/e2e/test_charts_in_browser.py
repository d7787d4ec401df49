"""A task's page in a real browser: its charts are drawn without network, follow choices, picks and the theme."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.report.charts import palette, write_task_pages
from bench.report.site.render import write_assets
from bench.report.wording import clean
from bench.store import RunStore
from tests import score_rows
from tests.browser import browser, page  # noqa: F401
from tests.unit.test_report_charts import HOSTILE, add_run, hashes, swept

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow
NAV = [("index.html", "Leaderboard"), ("tasks/poetry.html", "poetry")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Poetry with logs, two stages, temperatures, failures, and a method whose name is markup."""
    top = tmp_path_factory.mktemp("charts")
    add_run(top / "run")
    rows = [*score_rows.poetry(), *(each for seed in (0, 1) for each in swept(HOSTILE, seed, 0.02))]
    rows += [each for each in swept("mle", 0, 0.1) if each.decoding != "sample@1"]
    rows = [each.model_copy(update={"config_hash": hashes().get(each.baseline, each.config_hash)}) for each in rows]
    write_assets(top / "site")
    write_task_pages(RunStore(top / "run"), rows, top / "site", NAV)
    return top / "site"


def drawn(page: Page, group: str, name: str | None = None) -> None:  # noqa: F811
    """Waits until the group's chart is drawn (as `name`)."""
    page.locator(f"#{group}").scroll_into_view_if_needed()
    ending = f'[data-drawn="{name}"]' if name else "[data-drawn]"
    page.locator(f"#{group} [data-chart]{ending} svg.marks").wait_for()


def open_page(page: Page, site: Path) -> list[str]:  # noqa: F811
    page.goto((site / "tasks" / "poetry.html").as_uri())
    groups = page.locator("[data-chart]").evaluate_all("all => all.map(e => e.closest('[data-group]').id)")
    for group in groups:
        drawn(page, group)
    return groups


def test_every_chart_is_drawn_with_its_words_its_table_and_its_files(page: Page, site: Path) -> None:  # noqa: F811
    groups = open_page(page, site)
    assert {"frontier", "stages", "curves", "cost", "chances"} <= set(groups)
    for group in groups:
        section = page.locator(f"#{group}")
        marks = section.locator("svg.marks")
        assert marks.count() == 1
        assert section.locator("[data-chart] [aria-label]").first.get_attribute("aria-label")
        assert marks.locator("path, line, rect").count() > 5
        assert len(section.locator("[data-caption]").inner_text()) > 40
        section.locator("[data-table] summary").click()
        section.locator("[data-table] tbody tr").nth(1).wait_for(state="attached")  # it is filled when it is opened
        for address in section.locator("[data-files] a").evaluate_all("all => all.map(a => a.href)"):
            assert Path(page.evaluate("a => decodeURIComponent(new URL(a).pathname)", address)).exists(), address
    assert page.locator("#cost [data-table] tbody").inner_text().count("real") >= 1


def test_a_choice_changes_chart_caption_and_table(page: Page, site: Path) -> None:  # noqa: F811
    open_page(page, site)
    drawn(page, "curves", "curves-valid-nll")
    assert "end of pre-training" in page.locator("#curves svg.marks").text_content()
    page.locator('#curves select[data-choice="along"]').select_option("seconds")
    drawn(page, "curves", "curves-valid-nll-seconds")
    assert "seconds of training" in page.locator("#curves svg.marks").text_content()
    page.locator('#curves select[data-choice="figure"]').select_option("reward")
    drawn(page, "curves", "curves-reward-seconds")
    assert page.locator('#curves select[data-choice="along"]').input_value() == "seconds"
    assert "reward" in page.locator("#curves [data-title]").inner_text()
    page.locator("#curves [data-table] summary").click()
    page.locator("#curves [data-table] tbody tr").nth(4).wait_for(state="attached")
    assert page.locator("#curves [data-table] tbody tr").count() == 5


def pale(page: Page, group: str) -> int:  # noqa: F811
    return page.locator(f"#{group} svg.marks").evaluate(
        "svg => [...svg.querySelectorAll('.mark-symbol.role-mark path')]"
        ".filter(e => Number(e.getAttribute('opacity') ?? 1) < .2).length"
    )


def test_a_method_is_picked_with_the_keyboard_or_in_a_legend_in_all_charts(page: Page, site: Path) -> None:  # noqa: F811
    open_page(page, site)
    assert pale(page, "cost") == 0
    key = page.locator('.pick[data-method="mle"]')
    key.focus()
    page.keyboard.press("Enter")
    assert key.get_attribute("aria-pressed") == "true"
    page.wait_for_function("document.querySelectorAll('#cost svg .mark-symbol path[opacity=\"0.08\"]').length > 0")
    assert pale(page, "stages") > 0
    page.locator("#all-methods").click()
    assert key.get_attribute("aria-pressed") == "false"
    assert pale(page, "cost") == 0
    legend = page.locator("#cost .role-legend-label text", has_text="seqgan").first
    legend.click()
    other = page.locator('.pick[data-method="seqgan"]')
    page.wait_for_function("document.querySelector('.pick[data-method=\"seqgan\"]').ariaPressed === 'true'")
    assert other.get_attribute("aria-pressed") == "true"
    assert pale(page, "frontier") > 0


def test_charts_follow_the_theme(page: Page, site: Path) -> None:  # noqa: F811
    page.emulate_media(color_scheme="light")
    open_page(page, site)

    def colors() -> set[str]:
        found: list[str] = page.locator("#cost svg.marks path").evaluate_all(
            "all => all.map(e => e.getAttribute('fill'))"
        )
        return set(found)

    assert palette.LIGHT[0] in colors()
    page.locator("#theme").click()
    page.wait_for_function(f"document.querySelector('#cost svg.marks path[fill=\"{palette.DARK[0]}\"]')")
    assert palette.LIGHT[0] not in colors()


def test_a_narrow_screen_needs_no_sideways_scrolling(page: Page, site: Path) -> None:  # noqa: F811
    page.set_viewport_size({"width": 360, "height": 700})
    open_page(page, site)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    width = page.locator("#cost svg.marks").evaluate("svg => svg.getBoundingClientRect().width")
    assert 200 < width <= 360


def test_a_mark_tells_its_value_and_signature_and_markup_in_names_stays_text(page: Page, site: Path) -> None:  # noqa: F811
    open_page(page, site)
    page.locator("#cost").scroll_into_view_if_needed()
    page.locator("#cost .mark-symbol.role-mark path").first.hover()
    tooltip = page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    assert "signature" in tooltip.inner_text()
    assert "95 %" in tooltip.inner_text()
    assert clean(HOSTILE) in page.locator(".pick").all_inner_texts()
    assert page.locator("main script").count() == 0
