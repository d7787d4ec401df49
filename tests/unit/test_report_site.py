"""The site: it says what the leaderboard says, shows text as text, and its colours can be read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.config import Grid
from bench.report import layout, markdown, wording
from bench.report.site import protocol
from bench.report.site.facts import facts_of, stage_name
from bench.report.site.render import STATIC, environment, file_name, inline_json
from bench.store import write_json
from tests.fresh import fresh_seed
from tests.score_rows import cell, poetry, translation
from tests.site_pages import HOSTILE, Page, alone, flat, hostile_rows, index_of, made  # noqa: F401
from tests.site_runs import many, write_run


def tables_of(text: str) -> list[list[list[str]]]:
    """A markdown file's tables as rows of cells."""
    found: list[list[list[str]]] = []
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        if lines:
            cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
            found.append([[cell.strip() for cell in each] for each in (cells[0], *cells[2:])])
    return found


def plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text.replace("**", "")).strip("*")


@pytest.mark.usefixtures("alone")
def test_the_page_says_what_leaderboard_md_says(tmp_path: Path) -> None:
    """Every row in its order, every value with its interval and its mark, in every table; references and stages too."""
    extra = cell("maskgan", 0, 0.49, 0.5, 3.3, stage="maskmle") + cell("maskgan", 0, 0.5, 0.51, 3.2)
    rows = poetry() + extra + translation() + many(16, fresh_seed(), tasks=2, seeds=2)
    folder = made(tmp_path, rows)
    others = (
        r"\*\*(quality and diversity by temperature|before and after the last stage, seed by seed)\*\*\n\n(\|.*\n)+"
    )
    text = re.sub(others, "", (folder / "leaderboard.md").read_text())  # those stand on the tasks' pages
    expected: dict[tuple[int, str, str], tuple[str, str]] = {}
    order: dict[int, list[str]] = {}
    number = -1
    for table in tables_of(text):
        number += "seeds" in table[0]  # a wide table's first block has the costs, the others belong to it
        names = [plain(name) for name in (line[0] for line in table[1:])]
        order.setdefault(number, names)
        for line, name in zip(table[1:], names, strict=True):
            for title, value in list(zip(table[0], line, strict=True))[1:]:
                if title not in ("seeds", "train s", "device", "memory MB", "parameters", "notes"):
                    style = "best" if value.startswith("**") else "near" if value.startswith("*") else ""
                    expected[number, name, plain(title.split(" (")[0])] = (plain(value), style)
    shown: dict[tuple[int, str, str], tuple[str, str]] = {}
    boards = [table for table in index_of(folder).tables if table[0][0][0].get("class") == "name"]
    for number, (head, *body) in enumerate(boards):
        titles = [flat(text) for _, text in head]
        method, names = "", []
        for line in body:
            name = flat(line[0][1])
            found = re.fullmatch(r"(.*) of (.*)", name) if "after" in name or "untrained" in name else None
            name = f"{found[2]}, {found[1]}" if found else name
            method = name
            names.append(method)
            for attributes, text in line:
                if "data-column" in attributes:
                    title = flat(
                        re.sub(
                            r"(nats/token|tokens|perplexity|0-100)?,? ?(→ real|↑|↓)?$",
                            "",
                            titles[int(attributes["data-column"]) + 2],
                        )
                    )
                    value = re.sub(r" ?[*~!]? \((best|of the methods|below)[^)]*\)", "", flat(text.replace("±", " ±")))
                    value = re.sub(r" (\d+)$", r" (\1)", value)
                    style = next((each for each in ("best", "near") if each in attributes["class"].split()), "")
                    shown[number, method, title] = (value, style)
        assert names == order[number]
    failed = {(n, name) for n, names in order.items() for name in names} - {(n, name) for n, name, _ in shown}
    assert {name for _, name in failed} == {"maligan", "copynet"}
    assert shown == {key: value for key, value in expected.items() if key[:2] not in failed}
    assert {style for _, style in shown.values()} == {"", "best", "near"}


@pytest.mark.usefixtures("alone")
def test_failed_cells_are_there_with_reason_and_link(tmp_path: Path) -> None:
    folder = made(tmp_path, poetry())
    page = index_of(folder)
    assert "diverged seqgan, seed 2: reward is nan at adversarial step 412" in flat(page.text)
    assert "unsupported copynet, seed 0: needs a source" in flat(page.text)
    assert "failed maligan, seeds 0, 1, 2: RuntimeError" in flat(page.text)
    (why,) = [
        text
        for table in page.tables
        for line in table
        for given, text in line
        if given.get("class") == "why" and "source" in text
    ]
    assert why == "1 unsupported (seed 0): needs a source"
    linked = [link for link in page.links if link.startswith("cells/")]
    pages = {each: (folder / each).read_text() for each in linked}
    assert sum("reward is nan at adversarial step 412" in text for text in pages.values()) == 1


def test_stages_are_called_as_in_the_markdown() -> None:
    for stage in ("pretrain", "maskmle", "untrained", "warm up"):
        line = layout.Line("m", "0", "m", stage, {}, (), (), layout.Costs(0, "", 0, 0))
        assert stage_name(stage) == markdown._after(line)


@pytest.mark.usefixtures("alone")
def test_hostile_text_is_shown_as_text_on_every_page(tmp_path: Path) -> None:
    """No element, attribute or address comes of a name, a reason, a label, a log line or a setting."""
    log = "\n".join(json.dumps({"stage": text, "step": 1, text: 0.5}) for text in HOSTILE)
    grid = Grid(settings={}).model_dump(mode="json")
    folder = made(tmp_path, hostile_rows(fresh_seed()), log=log, grid=grid)
    pages = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}
    assert len(pages) == 2 + len(list((tmp_path / "run" / "cells").iterdir()))
    allowed = {"site.js", "theme.js", "board.js"}
    for path, text in pages.items():
        page = Page(text)
        for tag, attributes in page.tags:
            assert tag not in ("img", "svg", "iframe", "object", "style"), path
            assert not [key for key in attributes if key.startswith("on")], (path, attributes)
        for attributes, content in page.scripts:
            if "src" in attributes:
                assert Path(attributes["src"]).name in allowed
            else:
                assert attributes["type"] == "application/json"
                json.loads(content)
                assert not re.search("[<>&\u2028\u2029]", content)
        for link in page.links:
            assert urlsplit(link).scheme in ("", "data"), link
            target = unquote(urlsplit(link).path)
            assert link == "data:," or (path.parent / target).resolve().is_relative_to(folder.resolve()), link
        assert len(page.ids) == len(set(page.ids)), path
    shown = flat(index_of(folder).text)
    for text in HOSTILE:
        assert wording.clean(text) in shown


@pytest.mark.usefixtures("alone")
def test_every_link_leads_somewhere(tmp_path: Path) -> None:
    folder = made(tmp_path, poetry() + translation())
    for path in folder.rglob("*.html"):
        for link in Page(path.read_text(encoding="utf-8")).links:
            parts = urlsplit(link)
            if parts.scheme == "data":
                continue
            target = path.parent / unquote(parts.path) if parts.path else path
            assert target.is_file(), f"{path.name}: {link}"
            if parts.fragment:
                assert parts.fragment in Page(target.read_text(encoding="utf-8")).ids, f"{path.name}: {link}"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from(HOSTILE),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=5) | st.sampled_from(HOSTILE), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_data_in_a_page_come_back_whole_and_end_no_script(value: object) -> None:
    text = str(inline_json(value))
    assert not re.search("[<>&\u2028\u2029]", text)

    def finite(each: object) -> object:
        if isinstance(each, float):
            return each if each - each == 0 else None
        if isinstance(each, dict):
            return {key: finite(inner) for key, inner in each.items()}
        return [finite(inner) for inner in each] if isinstance(each, list) else each

    assert json.loads(text) == finite(value)


def test_a_page_can_be_written_with_half_a_surrogate(tmp_path: Path) -> None:
    from bench.report.site.render import write_page

    shared = {"run": "r", "nav": [], "root": "", "measures": [], "differing": [], "environment": [], "data_sets": []}
    way = protocol.Way(("i",), "\ud800", "c", 1)
    write_page(tmp_path / "p.html", "protocol.html.j2", **shared, ways=[("t", [way])])
    assert "�" in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_a_template_without_a_value_is_an_error() -> None:
    with pytest.raises(Exception, match="run"):
        environment().from_string('{% extends "base.html.j2" %}').render(root="", nav=[])


@given(st.text(max_size=30), st.text(max_size=30))
def test_file_names_are_safe_and_apart(one: str, other: str) -> None:
    assert re.fullmatch(r"[0-9A-Za-z_-][0-9A-Za-z._-]*", file_name(one)) or one == ""
    assert one == other or file_name(one) != file_name(other)
    assert file_name("captions.mle.s0.4db0560d") == "captions.mle.s0.4db0560d"


PAIRS = [
    *((text, back) for text in ("ink", "muted", "link") for back in ("paper", "panel", "raised", "hover", "reference")),
    *((text, back) for text in ("good", "warn", "bad") for back in ("paper", "panel", "raised", "hover")),
    *(("ink", back) for back in ("code", "added", "removed", "hit")),
]


def themes() -> list[dict[str, str]]:
    text = (STATIC / "site.css").read_text(encoding="utf-8")
    return [
        dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r"\{([^{}]*--paper:[^{}]*)\}", text)
    ]


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_measured_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)  # the classic grey that just passes AA


def test_colours_can_be_read_in_both_themes() -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for the edges of controls and the focus ring."""
    light, *dark = themes()
    assert len(dark) == 2
    assert dark[0] == dark[1]
    assert light.keys() == dark[0].keys()
    for theme in (light, dark[0]):
        for text, back in PAIRS:
            assert contrast(theme[text], theme[back]) >= 4.5, (text, back, theme[text])
        for edge in ("edge", "focus"):
            assert min(contrast(theme[edge], theme[back]) for back in ("paper", "panel", "raised")) >= 3, edge


@pytest.mark.usefixtures("alone")
def test_protocols_and_environment_in_words(tmp_path: Path) -> None:
    folder = made(tmp_path, poetry())
    text = flat(Page((folder / "protocol.html").read_text()).text)
    assert "mean sentence BLEU" in text
    assert "samples scored 500" in text
    assert "commit 0a1b2c3" in text
    assert "differ" not in text.split("Environment")[-1]


def test_what_differs_between_cells_is_said(tmp_path: Path) -> None:
    store = write_run(tmp_path, poetry())
    cells = [each for each in facts_of(store) if each.model]
    path = cells[0].store.file("model.json")
    model = json.loads(path.read_text())
    model["environment"]["commit"] = "fffffff"
    write_json(path, model)
    differing, table = protocol.environments([each for each in facts_of(store) if each.model])
    assert differing == ["commit"]
    assert sorted(dict(table)["commit"]) == [(1, "fffffff"), (len(cells) - 1, "0a1b2c3")]
