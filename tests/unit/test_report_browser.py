"""The sample browser's files: which samples, how many, what is said of them, and that none of them is markup."""

from __future__ import annotations

import json
import random
import re

import pytest

from bench.errors import UserError
from bench.report import browser, sampledata
from bench.store import RunStore, read_json, write_json
from tests.fresh import fresh_seed
from tests.sample_runs import HOSTILE, add_cell, corpus, data_files, free_sets, page_data, spec_of, write_pages


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "mine")


def texts_of(page):
    """Texts by (column's label, stage, seed, split, decoding)."""
    about, files, found = page_data(page), data_files(page), {}
    for key, number in about["files"].items():
        _, split, decoding = key.split("|")
        for place, texts in files[number].get("texts", {}).items():
            column = about["columns"][int(place)]
            found[column["label"], column["stage"], column["seed"], split, decoding] = texts
    return found


def test_the_first_samples_of_every_set_in_their_order(store, monkeypatch):
    monkeypatch.setattr(browser, "SHOWN", 7)
    rng = random.Random(fresh_seed())
    texts = [f"text {rng.random()}" for _ in range(20)]
    add_cell(store, spec_of("captions", "mle", 1), {**free_sets(texts), ("pretrain", "test", "sample@1"): texts[5:]})
    add_cell(store, spec_of("captions", "real"), {("final", "test", ""): texts[10:]})
    (page,) = write_pages(store, nearest=False)
    assert page == store.path / "report" / "samples" / "captions.html"
    assert texts_of(page) == {
        ("real", "final", 0, "test", ""): texts[10:17],
        ("mle", "final", 1, "test", "sample@0.7"): [f"{text} at 0.7" for text in texts[:7]],
        ("mle", "final", 1, "test", "sample@1"): [f"{text} at 1" for text in texts[:7]],
        ("mle", "pretrain", 1, "test", "sample@1"): texts[5:12],
    }
    html = " ".join(page.read_text(encoding="utf-8").split())
    assert "The first 7 of each set (of 10 to 20) are here" in html
    assert "Fewer than" not in html
    assert f"cells/{spec_of('captions', 'mle', 1).directory}/samples.jsonl</code> 55 samples" in html
    assert "the report was made without it" in html


def test_temperatures_stand_in_the_order_of_numbers(store):
    add_cell(store, spec_of("captions", "mle"), free_sets(["x"], (10.0, 1.0, 0.7, 1.3)))
    (page,) = write_pages(store, nearest=False)
    decodings = page_data(page)["groups"][0]["decodings"]["test"]
    assert [value for _, value in decodings] == [0.7, 1.0, 1.3, 10.0]


def test_nothing_generated_is_markup(store):
    texts = [*HOSTILE, "lone \ud800 surrogate"]
    add_cell(store, spec_of("captions", "mle"), {("final", "test", "sample@1"): texts})
    spec = spec_of("captions", "seqgan")
    folder = add_cell(store, spec, {("final", "test", "sample@1"): texts}, [("final", "test", "sample@2", HOSTILE[0])])
    failed = spec_of("captions", "leakgan")
    add_cell(store, failed, {})
    (store.cell(failed).path / "samples.json").unlink()
    store.cell(failed).fail("failed", HOSTILE[1])
    assert folder.is_dir()
    (page,) = write_pages(store)
    (shown,) = {tuple(map(str, each)) for each in texts_of(page).values()}
    longest = ["wide" * 1000, 12_000]
    assert list(shown) == [*HOSTILE[:6], str(longest), *HOSTILE[7:], "lone \ufffd surrogate"]
    html = page.read_text(encoding="utf-8")
    assert "<img" not in html
    assert "alert(2)" in html
    tags = re.findall("<script[^>]*>", html, re.IGNORECASE)
    assert all(" src=" in tag or 'type="application/json"' in tag for tag in tags)
    assert len(tags) == html.lower().count("</script>")
    for path in (page.parent / "captions").glob("*.js"):
        raw = path.read_text(encoding="utf-8")
        assert not set(raw) & set("<>&\u2028\u2029\x00")
        assert raw.count("\n") == 1


def test_marks_are_counted_as_a_script_counts(store):
    sentence = corpus("captions").splits["train"].examples[3].target
    sample = f"😀 {sentence} 𠀀"
    add_cell(store, spec_of("captions", "mle"), {("final", "test", "sample@1"): [sample, sentence, "zzz qqq"]})
    (page,) = write_pages(store)
    (file,) = data_files(page)
    changed, same, none = file["near"]["0"]
    assert none == 0
    assert same[0] == changed[0] == 3
    assert same[3] == same[4] == []
    length = len(sample.encode("utf-16-le")) // 2
    assert changed[3] == [0, 2, length - 4, 2]
    assert changed[1] + 2 == changed[2]
    assert file["train"]["3"] == sentence
    assert page_data(page)["groups"][0]["lines"] == len(corpus("captions").splits["train"])


def test_fewer_are_shown_where_they_would_be_too_many_bytes(store, monkeypatch):
    budget = 60_000
    monkeypatch.setattr(browser, "BUDGET", budget)
    rng = random.Random(fresh_seed())
    texts = ["".join(rng.choices("春眠<&ab ", k=400)) for _ in range(60)]
    for seed in range(3):
        add_cell(store, spec_of("captions", "mle", seed), free_sets(texts))
    (page,) = write_pages(store)
    sizes = [path.stat().st_size for path in (page.parent / "captions").glob("*.js")]
    assert budget / 2 < sum(sizes) < budget * 1.02
    (count,) = {len(each) for each in texts_of(page).values()}
    assert 1 < count < 50
    html = " ".join(page.read_text(encoding="utf-8").split())
    assert f"The first {count} of each set (of 60) are here" in html
    assert "Fewer than 50" in html


def test_where_all_fit_the_page_says_so(store):
    add_cell(store, spec_of("captions", "mle"), free_sets(["a", "b"]))
    (page,) = write_pages(store, nearest=False)
    html = page.read_text(encoding="utf-8")
    assert "All samples are here" in html
    assert "The first" not in html
    assert 'max="1" step="1" value="0"' in html


def test_one_is_shown_whatever_its_size(store, monkeypatch):
    monkeypatch.setattr(browser, "BUDGET", 10)
    add_cell(store, spec_of("captions", "mle"), free_sets(["a text", "another"]))
    (page,) = write_pages(store, nearest=False)
    assert {len(each) for each in texts_of(page).values()} == {1}


def test_sources_and_references_once_for_all(store):
    for name in ("mle", "seqgan"):
        sets = {("final", "test", decoding): ["un", "deux", "trois"] for decoding in ("greedy", "beam5@1")}
        left_out = [("final", "test", "sample@1", "it can't")] if name == "mle" else []
        add_cell(store, spec_of("translation", name), sets, left_out)
    (page,) = write_pages(store)
    about, files = page_data(page), data_files(page)
    listed = files[about["files"]["0|test|sources"]]["sources"]
    examples = corpus("translation").splits["test"].examples[:3]
    assert listed == [[list(one.source), list(one.references or (one.target,))] for one in examples]
    assert [name for name, _ in about["groups"][0]["decodings"]["test"]] == ["greedy", "beam5@1"]
    assert about["columns"][0]["skipped"] == {"test|sample@1": "it can't"}
    assert len(files) == 3


def test_other_data_and_other_settings_are_told_apart(store):
    add_cell(store, spec_of("captions", "mle"), free_sets(["a"]))
    add_cell(store, spec_of("captions", "mle", config={"hidden": 3}), free_sets(["b"]))
    add_cell(store, spec_of("captions", "ngram", fingerprint="ff" * 32), free_sets(["c"]), data="captions.v1/other")
    (page,) = write_pages(store)
    about = page_data(page)
    labels = {(column["label"], column["group"]) for column in about["columns"]}
    first, second = spec_of("captions", "mle"), spec_of("captions", "mle", config={"hidden": 3})
    assert labels == {(f"mle #{first.config_hash}", 0), (f"mle #{second.config_hash}", 0), ("ngram", 1)}
    assert [bool(group["lines"]) for group in about["groups"]] == [True, False]
    assert "have changed since the run" in about["groups"][1]["why"]


def test_data_that_are_gone_leave_the_samples(store, tmp_path):
    spec = spec_of("captions", "mle", data=str(tmp_path / "no-such-folder"))
    add_cell(store, spec, free_sets(["a"]))
    (page,) = write_pages(store)
    assert "no data at" in page_data(page)["groups"][0]["why"]
    assert texts_of(page)["mle", "final", 0, "test", "sample@1"] == ["a at 1"]
    assert all("near" not in file or not file["near"] for file in data_files(page))


def test_order_and_what_is_chosen_at_first(store):
    for name in ("shuffled", "zeta", "seqgan", "mle", "alpha", "real", "beta"):
        add_cell(store, spec_of("captions", name), {("final", "test", "sample@1"): ["x"]})
    (page,) = write_pages(store, nearest=False)
    order = [column["label"] for column in page_data(page)["columns"]]
    assert order == ["real", "mle", "alpha", "beta", "seqgan", "zeta", "shuffled"]
    html = page.read_text(encoding="utf-8")
    checked = [name for name in order if f'value="{name}" data-default' in html]
    assert checked == ["real", "mle", "alpha", "seqgan"]


def test_cells_without_samples_are_named(store):
    add_cell(store, spec_of("captions", "mle"), free_sets(["a"]))
    for name, seed in (("leakgan", 4), ("relgan", 5)):
        spec = spec_of("captions", name, seed)
        add_cell(store, spec, {})
        (store.cell(spec).path / "samples.json").unlink()
        if name == "leakgan":
            store.cell(spec).fail("diverged", "reward is nan")
    (page,) = write_pages(store, nearest=False)
    html = page.read_text(encoding="utf-8")
    assert "leakgan, seed 4" in html
    assert "diverged: reward is nan" in html
    assert "relgan" not in html


def test_a_run_without_samples_has_no_page(store):
    assert write_pages(store) == []


def test_files_of_an_earlier_report_are_taken_away(store):
    folder = add_cell(store, spec_of("captions", "mle"), free_sets(["a"], (0.5, 0.7, 1.0)))
    (page,) = write_pages(store, nearest=False)
    assert len(data_files(page)) == 3
    assert folder.exists()
    add_cell(store, spec_of("captions", "mle"), free_sets(["b"], (1.0,)))
    (page.parent / "captions" / "own.js").write_text("kept")
    write_pages(store, nearest=False)
    assert sorted(path.name for path in (page.parent / "captions").iterdir()) == ["0.js", "own.js"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[:-1],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: ["{", *lines[1:]],
        lambda lines: [json.dumps({**json.loads(lines[0]), "text": 3}), *lines[1:]],
        lambda lines: [json.dumps({"index": 0}), *lines[1:]],
        None,
    ],
)
def test_damaged_samples_are_told_with_file_and_remedy(store, damage):
    folder = add_cell(store, spec_of("captions", "mle"), free_sets(["a", "b", "c"]))
    path = folder / "samples.jsonl"
    if damage is None:
        path.unlink()
    else:
        path.write_text("\n".join(damage(path.read_text().splitlines())) + "\n")
    with pytest.raises(UserError, match=r"samples\.jsonl is (damaged|missing).*Delete samples\.json") as caught:
        write_pages(store)
    assert "\n" not in str(caught.value)


def test_cost_of_a_text_is_what_it_takes_in_the_file(store):
    """The budget is kept because no text is reckoned smaller than it is written."""
    entries = [sampledata.Entry(text, [1, 2, 3, [4], []], "a sentence") for text in HOSTILE]
    sets = {(0, "test", "sample@1"): entries}
    add_cell(store, spec_of("captions", "mle"), {("final", "test", "sample@1"): HOSTILE})
    (page,) = write_pages(store)
    written = (page.parent / "captions" / "0.js").stat().st_size
    assert sampledata.fitting(sets, {}, len(HOSTILE), written // 2) < len(HOSTILE)
    assert sampledata.fitting(sets, {}, len(HOSTILE), 10**9) == len(HOSTILE)


def test_the_store_is_only_read(store):
    folder = add_cell(store, spec_of("captions", "mle"), free_sets(["a"]))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    write_pages(store)
    assert before == {path: path.read_bytes() for path in folder.iterdir()}


def test_a_set_that_is_empty(store):
    folder = add_cell(
        store, spec_of("captions", "mle"), {("final", "test", "sample@1"): [], **free_sets(["a"], (0.7,))}
    )
    assert read_json(folder / "samples.json")["sets"][0]["samples"] == 0
    (page,) = write_pages(store)
    assert texts_of(page)["mle", "final", 0, "test", "sample@1"] == []
    write_json(folder / "samples.json", {"sets": []})
    assert write_pages(store) == []


def test_sources_are_reckoned_too():
    listed = [[["s" * 100], ["r" * 96]]] * 10
    cost = len(json.dumps(listed[0], separators=(",", ":"))) + 1
    assert sampledata.fitting({}, {(0, "test"): listed}, 10, 3 * cost) == 3
    assert sampledata.fitting({}, {(0, "test"): listed}, 10, 3 * cost - 1) == 2
