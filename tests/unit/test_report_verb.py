"""The verb report: where its site goes, what it refuses; and the tables for a paper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli import main
from bench.errors import UserError
from bench.report import latex, layout, markdown, site
from bench.report.collect import collect
from tests.score_rows import poetry, row, translation
from tests.site_pages import alone  # noqa: F401
from tests.site_runs import write_run


def test_latex_has_the_leaderboards_values(tmp_path: Path) -> None:
    tables = layout.build(poetry() + translation())
    text = latex.render(tables, "made up")
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == len(layout.shown(tables))
    for block in re.findall(r"\\begin\{tabular\}\{@\{\}(l[r]+)@\{\}\}(.*?)\\end", text, re.S):
        rows = [line for line in block[1].splitlines() if line.endswith(r"\\")]
        assert rows
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows} == {len(block[0])}
    (best,) = {line for line in text.splitlines() if line.startswith("beamer") and "25.79" in line}
    assert r"\textbf{25.79\,$\pm$\,.18}" in best
    assert text.count(r"\textbf") == len(re.findall(r"\| \*\*[^|]+\*\* (?=\|)", markdown.render(tables, "x")))
    assert r"\quad after pre-training" in text


@given(st.text(max_size=40))
def test_latex_prints_any_text_as_it_is(text: str) -> None:
    """No command, group, comment or alignment comes of it: taking our own marks away leaves plain letters."""
    escaped = latex.escape(text)
    rest = re.sub(r"\\(text[a-z]+|dots)\{\}|\$\\?[a-z]+\$|\\[&%$#_{}]|\{[\[\]*]\}|\{\}", "", escaped)
    assert not re.search(r"[\\&%$#_{}~^\n\[\]]", rest)
    assert not re.search(r"--|''|,,", escaped)


@pytest.mark.usefixtures("alone")
def test_report_says_where_the_page_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write_run(tmp_path / name, poetry()).path for name in ("one", "two")]
    assert main(["report", str(runs[0])]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == f"page     {runs[0] / 'report' / 'index.html'}"
    assert f"tables   {runs[0] / 'leaderboard.md'}" in out
    assert main(["report", *map(str, runs), "--out", str(tmp_path / "sites")]) == 0
    assert sorted(path.parent.name for path in (tmp_path / "sites").glob("*/index.html")) == ["one", "two"]
    for name in ("leaderboard.md", "leaderboard.csv", "results.csv"):
        assert (tmp_path / "sites" / "one" / name).read_bytes() == (runs[0] / name).read_bytes()
    assert (tmp_path / "sites" / "one" / "leaderboard.tex").is_file()
    assert "<td" in (runs[0] / "report" / "index.html").read_text()


@pytest.mark.usefixtures("alone")
def test_mistakes_of_report_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(write_run(tmp_path / "run", poetry()).path)
    twin = str(write_run(tmp_path / "b" / "run", poetry()).path)
    (tmp_path / "file").write_text("")
    for words, what in (
        (["report", run, "--out", run], "is the run directory itself"),
        (["report", run, twin, "--out", str(tmp_path / "o")], 'two runs are called "run"'),
        (["report", run, "--out", str(tmp_path / "file")], "is a file"),
        (["report", run, "--reported", "--out", str(tmp_path / "o")], "leave out --out"),
        (["report", run, "--tables", "--out", str(tmp_path / "o")], "no site"),
        (["report", run, str(tmp_path)], "is not a run directory"),
    ):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert what in error
        assert error.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_tables_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = write_run(tmp_path / "run", poetry())
    assert main(["report", str(store.path), "--tables"]) == 0
    assert "tables   " in capsys.readouterr().out
    assert (store.path / "leaderboard.md").exists()
    assert not (store.path / "report").exists()


def test_a_run_without_an_end_has_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = write_run(tmp_path / "run", [row()])
    next(store.cells_path.iterdir()).joinpath("result.json").unlink()
    assert main(["report", str(store.path)]) == 0
    assert capsys.readouterr().out == "no cell has ended yet: no tables.\n"
    assert not (store.path / "report").exists()


def test_the_site_is_refused_over_its_run(tmp_path: Path) -> None:
    store = write_run(tmp_path, poetry())
    with pytest.raises(UserError, match="run directory itself"):
        site.write_site(store, collect(store), tmp_path / ".")
