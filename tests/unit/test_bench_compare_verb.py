"""`compare` as it is typed: which side is which, exit codes, files, and mistakes in one line."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from bench.cli import main
from bench.report.longfile import write_results
from tests.score_rows import row


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Writes a results.csv of one metric in a folder of its own, below the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(name, values, refs=500, method="mle"):
        about = {"baseline": method, "higher_is_better": True, "signature": f"bleu-2|refs:{refs}|v:1"}
        rows = [row(seed=seed, value=value, **about) for seed, value in enumerate(values)]
        write_results(rows, tmp_path / name / "results.csv")
        return name

    return write


def test_exit_codes(results, capsys):
    base, worse = results("base", [0.50, 0.51, 0.49]), results("worse", [0.30, 0.31, 0.291])
    assert main(["compare", base, base]) == 0
    assert main(["compare", base, worse]) == 1
    assert main(["compare", worse, base]) == 0
    assert main(["compare", "--reference", base, worse]) == 1
    assert main(["compare", worse, "--reference", base, "--tolerance", "0.3"]) == 0
    assert main(["compare", f"{base}/results.csv", worse]) == 1
    capsys.readouterr()


def test_what_can_not_be_compared_is_one_error_with_both_signatures(results, capsys):
    base, other = results("base", [1, 2, 3]), results("other", [1, 2, 3], refs=9)
    assert main(["compare", base, other]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "error: poetry.mle bleu-2 sample@1 here is bleu-2|refs:9|v:1, in base bleu-2|refs:500|v:1: they are not the "
        "same measurement (refs differs). Run one of them on the test data of the other (--data, --limit)."
    ]


def test_files_beside_the_text(results, capsys, tmp_path):
    base = results("base", [0.50, 0.51, 0.49])
    files = ["--markdown", "out/g.md", "--markdown", "again.md", "--json", "out/g.json", "--junit", "out/g.xml"]
    assert main(["compare", base, base, *files]) == 0
    assert capsys.readouterr().out.endswith("passed: 1 same\n")
    assert (tmp_path / "out/g.md").read_text() == (tmp_path / "again.md").read_text()
    assert json.loads((tmp_path / "out/g.json").read_text())["exit_code"] == 0
    assert ElementTree.parse(tmp_path / "out/g.xml").getroot().get("tests") == "1"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"g.md", "g.json", "g.xml"}


@pytest.mark.parametrize(("form", "begins"), [("markdown", "**passed"), ("json", "{"), ("junit", "<?xml")])
def test_another_format_on_the_screen_is_that_alone(results, capsys, form, begins):
    base = results("base", [1, 2])
    assert main(["compare", base, base, "--format", form]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(begins)
    assert shown.err == ""


def test_files_are_written_when_nothing_can_be_compared(results, capsys, tmp_path):
    base, other = results("base", [1, 2, 3]), results("other", [1, 2, 3], refs=9)
    assert main(["compare", base, other, "--junit", "g.xml"]) == 2
    assert ElementTree.parse(tmp_path / "g.xml").getroot().get("errors") == "1"
    capsys.readouterr()


def test_two_methods_of_one_run(results, capsys):
    from bench.report.longfile import read_results

    one, two = results("one", [0.50, 0.51, 0.49]), results("two", [0.30, 0.31, 0.291], method="gan")
    from pathlib import Path

    both = [each for name in (one, two) for each in read_results(Path(name) / "results.csv")]
    write_results(both, Path("both") / "results.csv")
    assert main(["compare", "both", "--method", "gan", "--to", "mle"]) == 1
    assert "poetry.gan against mle" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["base"], "two runs, or one run with --reference DIR, or one run with --method NAME --to NAME"),
        (["base", "base", "base"], "takes two runs, not 3"),
        (["base", "base", "--reference", "base"], "takes one run beside it, not 2"),
        (["base", "base", "--to", "mle"], "--to mle needs --method"),
        (["base", "none"], "none: no such run directory or results.csv"),
        (["base", "empty"], "empty has neither cells/ nor a results.csv"),
        (["base", "x" * 5000], "name too long"),
        (["base", "base", "--tolerance", "bleu-22=1"], 'no metric "bleu-22". Did you mean bleu-2?'),
        (["base", "base", "--tolerances", "none.toml"], "none.toml"),
        (["base", "base", "--alpha", "2"], "alpha is a small share"),
        (["base", "base", "--tasks", "poerty"], 'no values of task "poerty". Did you mean poetry?'),
        (["base", "base", "--markdown", "empty"], "empty can't be written"),
        (["base", "base", "--json", "base/results.csv/x.json"], "can't be written"),
    ],
)
def test_mistakes_are_one_line(results, capsys, tmp_path, words, said):
    results("base", [1, 2])
    (tmp_path / "empty").mkdir()
    assert main(["compare", *words]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert said.lower() in line.lower()
