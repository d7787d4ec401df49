"""The sample browser as a reader has it, in a real Chromium from disk."""
# ruff: noqa: F811

from __future__ import annotations

import re
import time
from urllib.parse import parse_qs

import pytest

from bench.store import RunStore
from tests.browser import browser, page  # noqa: F401
from tests.sample_runs import HOSTILE, add_cell, corpus, free_sets, spec_of, write_pages

pytestmark = pytest.mark.slow
TEXTS = [f"sample number {place}" + (" holds a zebra" if place % 4 == 3 else "") for place in range(23)]


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    """Three methods, two seeds, two stages, three temperatures; one training sentence word for word."""
    store = RunStore(tmp_path_factory.mktemp("free") / "mine")
    train = [example.target for example in corpus("captions").splits["train"].examples]
    for seed in (0, 1):
        for name in ("mle", "seqgan"):
            sets = free_sets([f"{name} {seed} {text}" for text in TEXTS], (0.7, 1.0, 1.3))
            if name == "seqgan":
                sets["pretrain", "test", "sample@1"] = [train[3], f"{train[4]} added", *TEXTS[2:]]
            add_cell(store, spec_of("captions", name, seed), sets)
    add_cell(store, spec_of("captions", "ngram", 0), free_sets(TEXTS))
    add_cell(store, spec_of("captions", "real"), {("final", "test", ""): train[:23]})
    return write_pages(store)[0]


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    store = RunStore(tmp_path_factory.mktemp("paired") / "mine")
    for name in ("mle", "seqgan"):
        sets = {("final", "test", way): [f"{name} {way} {n}" for n in range(8)] for way in ("greedy", "beam5@1")}
        add_cell(store, spec_of("translation", name), sets, [("final", "test", "sample@1", "it can't")])
    return write_pages(store)[0]


def opened(page, path, state=""):
    page.goto("about:blank")
    page.goto(path.as_uri() + (f"#{state}" if state else ""))
    settled(page)
    return page


def settled(page):
    page.wait_for_selector("#results[aria-busy=false]", state="attached")


def cards(page, index):
    """{label and note: text} of one index."""
    found = page.locator(f"section[aria-labelledby=at-{index}] .card")
    return {card.locator("h3").inner_text(): card.locator("> .text").inner_text() for card in found.all()}


def indices(page):
    return [int(heading.removeprefix("Index ")) for heading in page.locator(".at > h2").all_inner_texts()]


def hash_of(page):
    return parse_qs(page.evaluate("location.hash.slice(1)"))


def test_methods_side_by_side_seeds_and_stages(page, free):
    opened(page, free)
    assert indices(page) == [0, 1, 2, 3, 4]
    assert list(cards(page, 2)) == ["real held-out text", "mle final", "ngram final", "seqgan final"]
    assert cards(page, 2)["seqgan final"] == "seqgan 0 sample number 2 at 1"
    page.get_by_label("ngram").uncheck()
    page.get_by_label("after pre-training").check()
    assert list(cards(page, 2)) == ["real held-out text", "mle final", "seqgan final", "seqgan after pre-training"]
    page.get_by_label("Seed").select_option("1")
    assert cards(page, 2)["mle final"] == "mle 1 sample number 2 at 1"
    page.get_by_label("ngram").check()
    assert page.locator("#absent").inner_text() == "ngram: no samples with seed 1"
    page.get_by_role("button", name="None").click()
    assert "Nothing is chosen" in page.locator("#results").inner_text()
    page.get_by_role("button", name="All").click()
    assert len(cards(page, 0)) == 4


def test_temperature_by_slider_and_keyboard(page, free):
    opened(page, free)
    slider = page.get_by_label("Temperature")
    assert slider.get_attribute("aria-valuetext") == "temperature 1"
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.querySelector('#status').textContent.includes('temperature 0.7')")
    assert slider.get_attribute("aria-valuetext") == "temperature 0.7"
    assert page.locator("#temperature-value").inner_text() == "0.7"
    assert cards(page, 0)["mle final"] == "mle 0 sample number 0 at 0.7"
    assert indices(page)[0] == 0, "the arrow moves the slider alone"
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('#status').textContent.includes('temperature 1.3')")
    assert cards(page, 0)["mle final"] == "mle 0 sample number 0 at 1.3"
    assert "ngram, final: no samples at temperature 1.3" in page.locator("#absent").inner_text()
    assert "real held-out text" in cards(page, 0)


def test_on_and_back_and_to_an_index(page, free):
    opened(page, free)
    assert page.locator(".previous").first.get_attribute("aria-disabled") == "true"
    page.get_by_role("button", name="Next").first.click()
    assert indices(page) == [5, 6, 7, 8, 9]
    page.keyboard.press("ArrowRight")
    assert indices(page) == [10, 11, 12, 13, 14]
    page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name="Previous").last.click()
    assert indices(page) == [0, 1, 2, 3, 4]
    page.get_by_label("Go to index").fill("21")
    page.keyboard.press("Enter")
    assert indices(page) == [21, 22]
    assert page.locator(".next").first.get_attribute("aria-disabled") == "true"
    page.get_by_role("button", name="Next").first.click(force=True)
    assert indices(page) == [21, 22]
    page.get_by_label("Go to index").fill("9999")
    page.get_by_role("button", name="Go", exact=True).click()
    assert indices(page) == [22]
    page.get_by_label("At a time").select_option("1")
    assert indices(page) == [22]


def test_search_finds_marks_and_steps(page, free):
    opened(page, free, "methods=mle")
    page.get_by_label("Search in what is shown").fill("ZEBRA")
    assert indices(page) == [3, 7, 11, 15, 19]
    assert page.locator("mark").all_inner_texts() == ["zebra"] * 5
    assert "5 of 23 indices hold “ZEBRA”" in page.locator("#status").inner_text()
    page.get_by_label("At a time").select_option("1")
    page.get_by_role("button", name="Next").first.click()
    assert indices(page) == [7]
    page.get_by_label("Search in what is shown").fill("(no such [text")
    assert "0 of 23" in page.locator("#status").inner_text()
    assert indices(page) == []
    page.get_by_label("Search in what is shown").fill("")
    assert indices(page) == [0]


def test_difference_from_the_nearest_training_sentence(page, free):
    opened(page, free, "methods=seqgan&stages=pretrain")
    assert not page.locator("#legend").is_visible()
    page.get_by_label("Compare with the nearest training sentence").check()
    assert page.locator("#legend").is_visible()
    train = [example.target for example in corpus("captions").splits["train"].examples]
    first, second = (page.locator(f"section[aria-labelledby=at-{n}] .card") for n in (0, 1))
    assert "Copied: the whole is training sentence 4 of 40" in first.inner_text()
    assert first.locator("ins, del").count() == 0
    assert second.locator("ins").all_inner_texts() == ["added"]
    assert second.locator(".near .text").inner_text() == train[4]
    told = re.search(r"Copied: (\d+) of (\d+) words \((\S+)\) from training sentence 5 of 40", second.inner_text())
    assert told
    assert int(told[1]) + 1 == int(told[2])
    assert page.evaluate("getComputedStyle(document.querySelector('.card ins')).textDecorationLine") == "underline"
    page.get_by_label("Search in what is shown").fill("added")
    assert page.locator(".card ins mark").inner_text() == "added"


def test_the_address_says_what_is_shown(page, free):
    opened(page, free)
    page.get_by_label("Compare with the nearest training sentence").check()
    page.get_by_label("ngram").uncheck()
    page.get_by_label("Seed").select_option("1")
    page.get_by_label("Temperature").focus()
    page.keyboard.press("Home")
    page.wait_for_function("location.hash.includes('0.7')")
    page.get_by_role("button", name="Next").first.click()
    assert hash_of(page) == {
        "seed": ["1"],
        "decoding": ["sample@0.7"],
        "compare": ["1"],
        "index": ["5"],
        "methods": ["real", "mle", "seqgan"],
    }
    shown, address = page.locator("#results").inner_html(), page.url
    page.goto("about:blank")
    page.goto(address)
    settled(page)
    assert page.locator("#results").inner_html() == shown
    page.evaluate("location.hash = 'methods=mle&index=7&seed=77&decoding=none&find=&per=x'")
    page.wait_for_function("document.querySelector('.at > h2').textContent === 'Index 7'")
    assert list(cards(page, 7)) == ["mle final"]
    assert page.get_by_label("Seed").input_value() == "0"


def test_sources_and_decodings(page, paired):
    opened(page, paired, "index=2&per=1")
    example = corpus("translation").splits["test"].examples[2]
    given = page.locator(".given")
    assert given.first.locator("h3").inner_text() == "Source"
    assert given.first.locator(".text").all_inner_texts() == list(example.source)
    references = example.references or (example.target,)
    assert given.last.locator(".text").all_inner_texts() == list(references)
    assert cards(page, 2) == {"mle": "mle greedy 2", "seqgan": "seqgan greedy 2"}
    assert not page.get_by_label("Temperature").is_visible()
    page.get_by_label("Decoding").select_option("beam5@1")
    page.wait_for_function("document.querySelector('#status').textContent.includes('beam5@1')")
    assert cards(page, 2)["seqgan"] == "seqgan beam5@1 2"
    page.get_by_label("Search in what is shown").fill(example.source[0])
    assert indices(page) == [2]


def test_hostile_text_is_shown_as_text(page, tmp_path):
    store = RunStore(tmp_path / "hostile")
    train = corpus("captions").splits["train"].examples[0].target
    hostile = [*HOSTILE, *(f"{train} {text}" for text in HOSTILE[:6])]
    add_cell(store, spec_of("captions", "mle"), {("final", "test", "sample@1"): hostile})
    add_cell(store, spec_of("captions", "seqgan"), {("final", "test", "sample@1"): hostile[::-1]})
    (path,) = write_pages(store)
    opened(page, path, "compare=1&per=25&find=a")
    shown = {place: cards(page, place)["mle"] for place in indices(page)}
    opened(page, path, "compare=1&per=25")
    shown |= {place: cards(page, place)["mle"] for place in indices(page)}
    assert shown[0] == HOSTILE[0]
    assert shown[1] == HOSTILE[1]
    assert shown[2] == HOSTILE[2]
    assert shown[3] == "a line⟨U+2028⟩another⟨U+2029⟩third"
    assert shown[4].startswith("turned ⟨U+202E⟩right to left⟨U+202C⟩ and ")
    assert shown[5] == "a NUL ␀, a bell ␇, an escape ␛[31m"
    assert shown[6] == "wide" * 1000 + " … (the first 4,000 of 12,000 characters)"
    assert shown[7] == "(empty)"
    assert shown[8] == "(only white space: 3 characters)"
    assert shown[9] == HOSTILE[9]
    assert shown[10] == HOSTILE[10]
    assert shown[11] == HOSTILE[11]
    inside = page.evaluate("[...document.querySelectorAll('#results *')].map((one) => one.tagName)")
    assert set(inside) <= {"SECTION", "H2", "H3", "DIV", "ARTICLE", "P", "A", "SPAN", "EM", "B", "INS", "DEL", "MARK"}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_screen(page, free, paired, width):
    page.set_viewport_size({"width": width, "height": 800})
    for path in (free, paired):
        opened(page, path, "compare=1&stages=final&stages=pretrain")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        lefts = page.evaluate(
            "[...document.querySelectorAll('.at .card')].map((one) => one.getBoundingClientRect().left)"
        )
        assert (len(set(lefts)) == 1) == (width < 700), "on narrow screens the cards stand below one another"


def test_every_control_has_a_name_and_can_be_reached(page, free):
    opened(page, free)
    names = page.evaluate(
        """[...document.querySelectorAll('main :is(button, select, input)')].filter((one) => one.checkVisibility())
           .map((one) => (one.labels && one.labels[0] ? one.labels[0].textContent : one.textContent).trim())"""
    )
    assert all(names)
    reached = set()
    for _ in range(len(names) + 40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.value || 'other'"))
    assert {"temperature", "seed", "per", "find", "compare", "index", "mle", "seqgan"} <= reached


def test_a_missing_data_file_is_told(page, free, tmp_path):
    import shutil

    copy = tmp_path / "report"
    shutil.copytree(free.parents[1], copy)
    opened(page, copy / "samples" / "captions.html")
    for path in (copy / "samples" / "captions").glob("*.js"):
        path.write_text("// emptied, as by a copy that broke off\n")
    page.get_by_label("Temperature").focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('#status').textContent.includes('make the report again')")


def test_two_hundred_cells_are_ready_soon(page, tmp_path):
    store = RunStore(tmp_path / "large")
    texts = [f"{TEXTS[n % 23]} and words to make it as long as a caption is, number {n}" for n in range(60)]
    for method in range(20):
        for seed in range(10):
            add_cell(store, spec_of("captions", f"method{method}", seed), free_sets(texts, (0.7, 1.0, 1.3)))
    (path,) = write_pages(store, nearest=False)
    files = [path, *(path.parent / "captions").glob("*.js")]
    assert sum(file.stat().st_size for file in files) < 10_000_000
    began = time.monotonic()
    opened(page, path)
    assert time.monotonic() - began < 2
    assert len(cards(page, 0)) == 4
    page.get_by_role("button", name="All").click()
    assert len(cards(page, 0)) == 20
