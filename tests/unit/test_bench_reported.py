"""Papers' numbers beside ours: which stand beside which, what is said of them, and what never appears."""

from __future__ import annotations

import csv
import dataclasses
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import baselines
import metrics
import tasks
from bench.cli import main
from bench.errors import UserError
from bench.generation import REFERENCE_ROWS
from bench.report import reported, reportedpage, write_tables
from bench.report.reported import COLUMNS, LEFT_OUT, NUMBERS, OURS, Reported, pairs, read_reported
from bench.report.reportedpage import markdown, text
from bench.schema import ScoreRow
from tests.score_rows import NAN, row
from tests.tables import hostile

NUMBER = Reported(
    paper="Some GAN (Doe et al.)",
    year="2017",
    arxiv="1700.00001",
    task="MT En->Fr",
    dataset="WMT14 En-Fr",
    split="newstest2014",
    system="SomeGAN",
    metric="BLEU",
    value="31.91",
    conditions="one run",
    source_where="table 2",
    confidence="stated-in-slides",
    method="seqgan",
    our_task="translation",
    our_metric="sacrebleu",
    our_data="mt_en_fr",
    our_decoding="",
    scale="0-100",
    references="",
    tokens="",
    smoothing="",
    decoding="",
)
SIGNATURE = "sacrebleu|hyps:500|nrefs:var|case:mixed|tok:13a|smooth:exp|dec:greedy|data:x|v:1"


def ours(**given: Any) -> ScoreRow:
    about: dict[str, Any] = {"task": "translation", "data": "translation.v1/mt_en_fr#77aa00ff", "origin": "files"}
    about |= {"baseline": "seqgan", "metric": "sacrebleu", "decoding": "greedy", "signature": SIGNATURE, "value": 20.0}
    return row(**{**about, **given})


def records(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_file_names_methods_tasks_and_metrics_of_ours_and_nothing_from_memory() -> None:
    found = read_reported()
    assert len(found) == len(records(NUMBERS)) > 100
    known = {*baselines.BUILTIN, *REFERENCE_ROWS}
    for number in found:
        assert number.confidence in ("found-in-text", "stated-in-slides"), number
        assert set(number.method.split()) <= known, number.method
        assert number.our_task in tasks.BUILTIN
        assert metrics.metric(number.our_metric)
        assert number.source_where
        assert "memory" not in " ".join(dataclasses.astuple(number)).lower(), number
        assert re.fullmatch(r"~?\d+(\.\d+)?(-\d+(\.\d+)?)?", number.value)


def test_the_tables_that_the_slides_swapped_stand_by_their_languages() -> None:
    values = {(n.our_data, n.system): n.value for n in read_reported() if n.our_task == "translation"}
    assert values["mt_de_en", "RNNSearch + adversarial (ANMT)"] == "26.98"
    assert values["mt_en_fr", "RNNSearch + adversarial (ANMT)"] == "31.91"
    assert values["mt_de_en", "MIXER: CNN encoder + sequence-level objective (Ranzato 2015)"] == "21.83"
    assert {data for data, _ in values} == {"mt_de_en", "mt_en_fr"}


def test_an_architecture_of_the_papers_stands_beside_ours_of_that_name() -> None:
    systems: dict[str, set[str]] = {}
    for number in read_reported():
        if number.our_task == "translation":
            systems.setdefault(number.method, set()).add(number.value)
    assert systems["mle rnnsearch"] == {"23.87", "29.97", "33.08", "34.11"}
    assert systems["lstm_seq2seq"] == {"30.59", "29.50"}


def test_numbers_from_memory_never_appear_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    unsure = dataclasses.replace(NUMBER, value="77.77", confidence="from-memory")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([COLUMNS, dataclasses.astuple(NUMBER), dataclasses.astuple(unsure)])
    numbers = read_reported(path)
    assert numbers == [NUMBER]
    found = pairs([ours()], numbers)
    assert "77.77" not in markdown(found, numbers) + text(found, numbers)
    counts = reported.left_out()
    assert counts == {r["paper"]: int(r["rows"]) for r in records(LEFT_OUT) if r["reason"] == "from memory"}
    for shown in (markdown(found, numbers), text(found, numbers)):
        assert f"{sum(counts.values())} numbers" in shown
        assert all(f"{name} {count}" in shown for name, count in counts.items())


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text("paper,value\na,1\n")
    with pytest.raises(UserError, match="other columns"):
        read_reported(path)


def test_seeds_are_averaged_and_counted_and_the_signature_stands_below() -> None:
    (pair,) = pairs([ours(seed=seed, value=value) for seed, value in enumerate((20.0, 22.0, 27.0))], [NUMBER])
    assert pair.ours.mean == 23.0
    page = markdown([pair], [NUMBER])
    assert "| SomeGAN | 1 | BLEU | 31.91 | stated in slides | seqgan 23.00 ±8.96 (3) |" in page
    assert "| ours (a): mt_en_fr, test, greedy |" in page
    assert f"(a) {SIGNATURE}" in page
    assert "| seqgan 20.00 (1) |" in markdown(pairs([ours()], [NUMBER]), [NUMBER])
    assert "ours (a): seqgan 23.00 ±8.96 (3); mt_en_fr, test, greedy" in text([pair], [NUMBER])


def test_their_conditions_and_source_are_told_in_the_terminal_too() -> None:
    found = pairs([ours()], [NUMBER])
    for shown in (markdown(found, [NUMBER]), text(found, [NUMBER])):
        assert "one run; source: table 2" in shown


def test_each_way_of_measuring_has_a_column_and_configurations_stand_in_it_together() -> None:
    beam = ours(decoding="beam5@1", signature=SIGNATURE.replace("greedy", "beam5@1"), value=21.0)
    other = ours(config_hash="22", value=19.0)
    further = ours(split="test_ntrex", signature=SIGNATURE + "|split:test_ntrex", value=9.0)
    found = pairs([ours(), beam, other, further], [NUMBER])
    assert sorted(pair.ours.mean for pair in found) == [9.0, 19.0, 20.0, 21.0]
    (row,) = [line for line in markdown(found, [NUMBER]).splitlines() if "| 31.91 |" in line]
    cells = [cell.strip() for cell in row.split("|")[6:-1]]
    assert sorted(len(re.findall(r"seqgan", cell)) for cell in cells) == [1, 1, 2]
    assert {"9.000", "19.00", "20.00", "21.00"} == set(re.findall(r" (\d+\.\d+) \(1\)", row))


def test_a_number_that_ours_was_not_measured_like_has_a_dash() -> None:
    rows = [ours(), ours(baseline="mle", split="test_ntrex", signature=SIGNATURE + "|split:test_ntrex", value=9.0)]
    numbers = [NUMBER, dataclasses.replace(NUMBER, method="mle", value="29.97")]
    page = markdown(pairs(rows, numbers), numbers)
    assert "| 31.91 | stated in slides | seqgan 20.00 (1) | - |" in page
    assert "| 29.97 | stated in slides | - | mle 9.000 (1) |" in page


def test_letters_run_on_from_table_to_table() -> None:
    """Though the numbers' order is by system, whose second metric comes before the next system's first."""
    decodings = ("greedy", "beam5@1")
    rows = [
        ours(
            metric=metric,
            baseline=name,
            decoding=how,
            signature=SIGNATURE.replace("sacrebleu", metric).replace("greedy", how),
        )
        for metric in ("sacrebleu", "chrf")
        for name, hows in (("seqgan", decodings[:1]), ("mle", decodings))
        for how in hows
    ]
    numbers = [
        dataclasses.replace(NUMBER, method=method, our_metric=metric)
        for method in ("seqgan", "mle")
        for metric in ("sacrebleu", "chrf")
    ]
    assert re.findall(r"ours \((.)\):", markdown(pairs(rows, numbers), numbers)) == ["a", "b", "c", "d"]


def test_what_makes_the_measurements_others_stands_once_for_each_of_both_sides() -> None:
    chrf = ours(metric="chrf", signature=SIGNATURE.replace("sacrebleu", "chrf"), value=50.0)
    numbers = [NUMBER, dataclasses.replace(NUMBER, system="Other", value="30.1")]
    numbers += [dataclasses.replace(NUMBER, metric="chrF", our_metric="chrf", value="55", conditions="two runs")]
    found = pairs([ours(), chrf], numbers)
    below = markdown(found, numbers).partition("### What differs")[2]
    assert re.findall(r"^\| ((?:theirs|ours)[^|]*) \|", below, re.M) == [
        "theirs 1: Some GAN (Doe et al.) 2017",
        "theirs 2: Some GAN (Doe et al.) 2017",
        "ours (a, b)",
    ]
    unknown = " | ".join(["not stated"] * 4)
    assert f"| WMT14 En-Fr, newstest2014 | 0-100 | {unknown} | one run;" in below
    assert "| mt_en_fr, test (500 items) | 0-100 | nrefs:var | tok:13a case:mixed | smooth:exp | dec:greedy |" in below
    plain = text(found, numbers).partition("what differs")[2]
    assert "[2] Some GAN (Doe et al.) 2017: data WMT14 En-Fr, newstest2014; scale 0-100; references not" in plain
    assert "(a, b) data mt_en_fr, test (500 items); scale 0-100; references nrefs:var; tokenisation tok:13a" in plain


@pytest.mark.parametrize(
    "given",
    [
        {"baseline": "mle"},
        {"metric": "chrf"},
        {"task": "summarization"},
        {"data": "translation.v1/mt_de_en#77aa00ff"},
        {"data": "translation.v1/embedded#77aa00ff", "origin": "embedded"},
        {"value": NAN, "status": "missing", "reason": "no"},
        {"status": "failed", "reason": "no", "metric": "sacrebleu", "value": NAN},
        {"stage": "pretrain"},
    ],
)
def test_what_is_another_thing_stands_beside_nothing(given: dict[str, Any]) -> None:
    number = dataclasses.replace(NUMBER, our_data="mt_en_fr embedded")
    assert len(pairs([ours()], [number])) == 1
    assert pairs([ours(**given)], [number]) == []


def test_replaced_unknown_words_are_a_system_of_their_own() -> None:
    replaced = dataclasses.replace(NUMBER, system="SomeGAN + UNK replace", value="34.78", our_decoding="replace-unk")
    rows = [ours()]
    rows += [
        ours(decoding="greedy/replace-unk", signature=SIGNATURE.replace("greedy", "greedy/replace-unk"), value=25.0)
    ]
    found = {pair.reported.value: pair.ours.mean for pair in pairs(rows, [NUMBER, replaced])}
    assert found == {"31.91": 20.0, "34.78": 25.0}


def test_a_likelihood_stands_once_though_it_is_in_the_table_of_each_decoding() -> None:
    number = dataclasses.replace(NUMBER, our_metric="nll-test", scale="nats/token")
    signature = "nll-test|unit:nats/token|data:x|v:1"
    rows = [ours(), ours(decoding="beam5@1", signature=SIGNATURE.replace("greedy", "beam5@1"))]
    rows += [ours(metric="nll-test", decoding="", signature=signature, value=2.0)]
    (pair,) = pairs(rows, [number])
    assert pair.decoding == ""
    assert not [line for line in reported.differences(pair) if "scale" in line]


def test_what_differs_is_told_in_words() -> None:
    known = dataclasses.replace(NUMBER, references="1 a sentence", tokens="Moses", our_metric="rouge-1")
    signature = "rouge-1|hyps:500|refs:1/item|tok:rouge-score|stem:porter|dec:greedy|data:x|v:1"
    (pair,) = pairs([ours(metric="rouge-1", signature=signature, value=0.25)], [known])
    assert reported.differences(pair) == [
        "data: theirs WMT14 En-Fr, newstest2014, ours mt_en_fr, test (500 items)",
        "scale: theirs 0-100, ours 0-1",
        "references: theirs 1 a sentence, ours refs:1/item",
        "tokenisation: theirs Moses, ours tok:rouge-score stem:porter",
        "theirs not stated: decoding (ours dec:greedy)",
    ]
    (pair,) = pairs([ours()], [NUMBER])
    assert reported.differences(pair)[1:] == [
        "theirs not stated: references (ours nrefs:var), tokenisation (ours tok:13a case:mixed), "
        "smoothing (ours smooth:exp), decoding (ours dec:greedy)"
    ]


def test_what_holds_for_all_rows_is_told_once(tmp_path: Path) -> None:
    found = pairs([ours(), ours(config_hash="22")], [NUMBER])
    note = reported.NOTES["translation"]
    assert text(found, [NUMBER]).count(note) == markdown(found, [NUMBER]).count(note) == 1
    _, path = reportedpage.write_reported(found, [NUMBER], tmp_path)
    assert all(record["differs"].endswith(note) for record in records(path))


def test_nothing_is_subtracted_or_marked_best() -> None:
    better = ours(baseline="mle", value=40.0)
    numbers = [NUMBER, dataclasses.replace(NUMBER, method="mle", value="29.97")]
    page = markdown(pairs([ours(), better], numbers), numbers)
    body = page.partition("## ")[2]
    assert "**" not in body
    assert not {"11.91", "11.9", "-11.91", "10.03"} & set(re.findall(r"-?\d+\.\d+", body))
    assert re.findall(r"31\.91|29\.97", body) == ["31.91", "29.97"]  # in the file's order


def test_methods_that_the_run_lacks_are_named() -> None:
    others = [dataclasses.replace(NUMBER, method="mrt", value=value) for value in ("1", "2")]
    elsewhere = dataclasses.replace(NUMBER, our_task="summarization", method="lead3")
    numbers = [NUMBER, *others, elsewhere]
    found = pairs([ours()], numbers)
    for shown in (markdown(found, numbers), text(found, numbers)):
        assert "mrt (WMT14 En-Fr): 2 numbers" in shown
        assert "lead3" not in shown


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_hostile_text_is_escaped(data: Any) -> None:
    names = ("paper", "year", "dataset", "split", "system", "metric", "value", "conditions", "source_where", "tokens")
    number = dataclasses.replace(NUMBER, **{name: data.draw(hostile) for name in names})
    (pair,) = pairs([ours()], [number])
    page = markdown([pair], [number])
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert len(lines) == 3 + 4
    fields = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines]
    assert fields[:3] == [7] * 3
    assert len(set(fields[3:])) == 1
    assert "<" not in re.sub(r"\\<", "", lines[2] + lines[5])
    assert "\x1b" not in page + text([pair], [number])


def test_a_hostile_value_is_one_field_of_the_csv(tmp_path: Path) -> None:
    number = dataclasses.replace(NUMBER, conditions='a "quoted", and\nbroken\r line', value="1,5")
    found = pairs([ours()], [number])
    _, path = reportedpage.write_reported(found, [number], tmp_path)
    (record,) = records(path)
    assert tuple(record) == (*COLUMNS, *OURS)
    assert record["value"] == "1,5"
    assert record["conditions"] == number.conditions
    assert (record["ours_mean"], record["ours_seeds"], record["ours_signature"]) == ("20.0", "1", SIGNATURE)


def test_the_verb_writes_beside_the_leaderboard_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tables([ours(baseline="mle"), ours(seed=1, baseline="mle")], tmp_path, "t")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(["report", str(tmp_path), "--reported"]) == 0
    printed = capsys.readouterr().out
    assert "BLEU 29.97 (stated in slides)" in printed
    assert "ours (a): mle 20.00 ±.00 (2); mt_en_fr, test, greedy" in printed
    assert {path.name for path in tmp_path.iterdir()} - set(before) == {"reported.md", "reported.csv"}
    assert all((tmp_path / name).read_bytes() == content for name, content in before.items())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"origin": "embedded", "data": "translation.v1/embedded#7"}, "embedded data, which are made up"),
        ({"baseline": "my_gan"}, "this run has no value of them on like data"),
    ],
)
def test_a_run_with_nothing_comparable_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: dict[str, Any], told: str
) -> None:
    write_tables([ours(**given)], tmp_path, "t")
    assert main(["report", str(tmp_path), "--reported"]) == 0
    assert told in capsys.readouterr().out
    assert not (tmp_path / "reported.md").exists()


def test_a_folder_without_results_is_a_users_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path), "--reported"]) == 2
    assert "neither cells/ nor results.csv" in capsys.readouterr().err


def test_many_rows_take_no_time() -> None:
    rows = [ours(baseline="mle", seed=seed, split=f"test_{i}") for seed in range(5) for i in range(40)]
    began = time.process_time()
    assert pairs(rows, read_reported())
    assert time.process_time() - began < 5
