"""A comparison as text, markdown, JUnit XML and JSON: nothing lost, nothing that a hostile name could break."""

from __future__ import annotations

import json
import math
from xml.etree import ElementTree

import pytest

from bench.comparing import as_markdown
from bench.comparing.as_json import as_json
from bench.comparing.as_junit import junit
from bench.comparing.as_markdown import markdown
from bench.comparing.as_text import LONG, text
from bench.comparing.table import Options, Results, compare_results, tolerances
from tests.score_rows import failure, row

HOSTILE = "a|b<script>alert(1)</script>\n@you `x` \x1b[31m\x00 ]]> &amp; [l](http://e)"


def values(metric, numbers, method="mle", task="poetry", **more):
    about = {"signature": f"{metric}|v:1", "higher_is_better": True, "primary": metric == "bleu-2", **more}
    return [row(task=task, baseline=method, metric=metric, seed=i, value=v, **about) for i, v in enumerate(numbers)]


def one_of_each():
    """Every verdict but the two of real text."""
    base = [*values("bleu-2", (0.50, 0.51, 0.49)), *values("bleu-3", (0.3, 0.31, 0.29)), *values("chrf", (5, 6, 7)),
            *values("unk", (0.1, 0.2, 0.3)), *values("rouge-1", (1, 2, 3)),
            *values("bleu-2", (0.4, 0.5), "gone", "speech"),
            *values("length", (3, 3.01, 2.99), higher_is_better=None)]  # fmt: skip
    new = [*values("bleu-2", (0.30, 0.31, 0.291)), *values("bleu-3", (0.5, 0.511, 0.49)), *values("chrf", (5, 7, 6)),
           *values("unk", (0.1, 0.2, 0.3)), *values("rouge-1", (1, 2, 3), signature="rouge-1|v:2"),
           *values("bleu-2", (0.4, 0.5), "fresh", "speech"),
           *values("length", (9, 9.02, 8.99), higher_is_better=None)]  # fmt: skip
    return base, new


@pytest.fixture
def table():
    return compare_results(*(Results(name, rows) for name, rows in zip(("base", "new"), one_of_each(), strict=True)))


VERDICTS = ["worse", "better", "can't tell", "same", "not comparable", "differs", "lost", "new"]


def test_every_verdict_is_there(table):
    assert [each.verdict for each in table.findings] == ["worse", "better", "can't tell", "same", "not comparable",
                                                        "differs", "lost", "new"]  # fmt: skip
    assert dict(table.counts) == dict.fromkeys(VERDICTS, 1)


class TestText:
    def test_a_line_a_finding_and_how_it_ended(self, table):
        lines = text(table).splitlines()
        assert lines[0].startswith("new against base: 5 values of 3 methods on 2 tasks; no tolerance; 95 % intervals")
        assert lines[-1].startswith("FAILED: 1 lost, 1 worse; 1 not comparable")
        for verdict in VERDICTS:
            assert sum(f"  {verdict} (" in line for line in lines[1:-1]) == 1, verdict

    def test_columns_stand_below_each_other(self, table):
        lines = [line for line in text(table).splitlines() if line.startswith("poetry.mle") and "  [" in line]
        assert len(lines) == 5
        assert len({line.index("[") for line in lines}) == 1

    def test_values_with_one_reason_share_a_line(self):
        names = [f"bleu-{n}" for n in range(2, 9)]
        sides = [[each for name in names for each in values(name, (1, 2), signature=f"{name}|refs:{refs}|v:1")]
                 for refs in (500, 900)]  # fmt: skip
        lines = text(compare_results(Results("a", sides[0]), Results("b", sides[1]))).splitlines()
        assert sum("refs (500 / 900) differ" in line for line in lines) == 1
        assert "and 3 more" in lines[1]

    def test_of_many_the_same_are_counted_and_failures_stand_at_the_end(self):
        names = [f"m-{n}" for n in range(LONG + 5)]
        base = [each for name in names for each in values(name, (0.50, 0.51, 0.49))]
        still = compare_results(Results("a", base), Results("b", base))
        assert f"{LONG + 5} the same: not shown (--all)" in text(still)
        assert text(still, everything=True).count("bit for bit") == LONG + 5
        worse = [each.model_copy(update={"value": each.value - 0.3 + 0.001 * (each.seed or 0)}) for each in base]
        lines = text(compare_results(Results("a", base), Results("b", worse))).splitlines()
        assert sum(line.startswith("poetry.mle  m-3 ") for line in lines) == 2
        assert lines[-1].startswith("FAILED: 45 worse")


class TestMarkdown:
    def test_summary_first_what_changed_and_the_rest_folded(self, table):
        parts = markdown(table).split("\n\n")
        assert parts[0].startswith("**FAILED: 1 lost, 1 worse; ")
        before, _, folded = markdown(table).partition("<details>")
        for verdict in ("worse", "better", "not comparable", "differs", "lost"):
            assert verdict in before.partition("| :-- |")[2]
        assert "| same |" in folded
        assert "| can't tell |" in folded
        assert before.index("| **lost** |") < before.index("| **worse** |") < before.index("| better |")
        rows = [line for line in markdown(table).splitlines() if line.startswith("|")]
        assert {line.replace("\\|", "").count("|") for line in rows} == {11}

    def test_nothing_changed(self):
        rows = values("bleu-2", (1, 2))
        assert "Nothing changed" in markdown(compare_results(Results("a", rows), Results("b", rows)))

    def test_it_fits_in_a_comment_and_says_what_it_left_out(self, monkeypatch, table):
        assert as_markdown.LONGEST < 65_536
        monkeypatch.setattr(as_markdown, "LONGEST", 900)
        short = markdown(table)
        assert len(short) < 2_400
        assert "more are in the text and the JSON" in short


class TestJunit:
    def test_cases_by_verdict(self, table):
        top = ElementTree.fromstring(junit(table))
        assert top.tag == "testsuites"
        assert (top.get("tests"), top.get("failures"), top.get("errors"), top.get("skipped")) == ("8", "2", "1", "2")
        suites = {suite.get("name"): suite for suite in top}
        assert list(suites) == ["poetry", "speech"]
        assert {suite.tag for suite in top} == {"testsuite"}
        assert suites["poetry"].get("failures") == "1"
        cases = {(case.get("classname"), case.get("name")): case for case in top.iter("testcase")}
        assert len(cases) == 8
        worse = cases["poetry.mle", "bleu-2 sample@1"].find("failure")
        assert worse.get("type") == "worse"
        assert worse.get("message").startswith("-.1997 [")
        assert "bleu-2|v:1" in worse.text
        assert cases["speech.gone", "all values"].find("failure").get("type") == "lost"
        assert cases["poetry.mle", "rouge-1 sample@1"].find("error") is not None
        assert cases["poetry.mle", "chrf sample@1"].find("skipped") is not None
        assert cases["poetry.mle", "unk sample@1"].find("system-out").text.startswith(".0000 [.0000, .0000]  same")

    def test_strict_makes_doubt_a_failure(self, table):
        strict = compare_results(*(Results(name, rows) for name, rows in zip("ab", one_of_each(), strict=True)),
                                 Options(strict=True))  # fmt: skip
        top = ElementTree.fromstring(junit(strict))
        assert (top.get("failures"), top.get("skipped")) == ("4", "0")


class TestJson:
    def test_everything_and_nan_as_null(self, table):
        content = json.loads(as_json(table), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert content["schema_version"] == 1
        assert content["exit_code"] == 1
        assert content["counts"] == dict.fromkeys(VERDICTS, 1)
        found = {(each["method"], each["metric"]): each for each in content["findings"]}
        worse = found["mle", "bleu-2"]
        assert worse["fails"] is True
        assert worse["low"] < worse["difference"] < worse["high"] < 0
        assert (worse["over"], worse["paired"], worse["seeds"], worse["items"]) == ("seeds", True, [3, 3], None)
        refused = found["mle", "rouge-1"]
        assert refused["difference"] is None
        assert refused["differing"] == {"v": ["1", "2"]}
        assert found["gone", None]["verdict"] == "lost"
        assert found["gone", None]["base"] is None
        assert found["mle", "chrf"]["needed"] is None or found["mle", "chrf"]["needed"] > 3

    def test_tolerances_are_told(self):
        rows = values("bleu-2", (1, 2))
        sides = Results("a", rows), Results("b", rows)
        content = json.loads(as_json(compare_results(*sides, Options(tolerances=tolerances(["1%", "bleu-2=0.5"])))))
        assert content["tolerances"] == {"default": "1 %", "bleu-2": "0.5"}
        assert content["findings"][0]["tolerance"] == 0.5


class TestHostile:
    @pytest.fixture
    def hostile(self):
        name = {"method": HOSTILE}
        base = [*values("bleu-2", (0.5, 0.51, 0.49), task=HOSTILE, **name), *values("bleu-2", (1, 2)),
                *values("chrf", (1, 2), signature="chrf|tok:a%7Cb|v:1")]  # fmt: skip
        new = [*values("bleu-2", (0.1, 0.11, 0.091), task=HOSTILE, **name), failure("mle", 0, "failed", HOSTILE),
               failure("mle", 1, "failed", HOSTILE)]  # fmt: skip
        return compare_results(Results(HOSTILE, base), Results(HOSTILE, new))

    def test_text_moves_no_cursor(self, hostile):
        shown = text(hostile)
        assert "\x1b" not in shown
        assert len(shown.splitlines()) == 1 + 2 + 1

    def test_markdown_shows_it_as_text(self, hostile):
        shown = markdown(hostile)
        assert "<script" not in shown.replace("\\<", "")
        assert " @you" not in shown
        rows = [line for line in shown.splitlines() if line.startswith("|")]
        assert {line.replace("\\|", "").count("|") for line in rows} == {11}

    def test_junit_is_still_xml(self, hostile):
        top = ElementTree.fromstring(junit(hostile))
        assert "<script>" in top[0].get("name")
        assert "\x00" not in top[0].get("name")

    def test_json_keeps_it_whole(self, hostile):
        assert json.loads(as_json(hostile))["findings"][0]["method"] == HOSTILE


def test_numbers_have_a_digit_more_than_the_values():
    base, new = values("sacrebleu", (30.0, 31.0, 29.5)), values("sacrebleu", (28.0, 29.5, 26.0))
    (line,) = [line for line in text(compare_results(Results("a", base), Results("b", new))).splitlines()
               if "sacrebleu" in line]  # fmt: skip
    assert "-2.333  [" in line


def test_a_missing_interval_is_said_to_be_missing():
    found = compare_results(Results("a", values("bleu-2", (1,))), Results("b", values("bleu-2", (2,))))
    assert "no interval" in text(found)
    assert math.isnan(found.findings[0].interval[0])
    assert "<skipped" in junit(found)
