"""The command as a person types it."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import main
from bench.report.longfile import write_results
from tests.score_rows import row

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "plugins" / "walker.py"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def gantlet(*words: str, cwd: Path = ROOT) -> tuple[int, str]:
    """The command within this process, which spares the imports; `as_a_process` is the real thing."""
    said = io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = main(words)
        except SystemExit as ended:  # argparse
            code = int(ended.code or 0)
    return code, said.getvalue()


def as_a_process(*words: str) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / "run_bench.py"), *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_a_mistake_in_a_process_of_its_own() -> None:
    code, text = as_a_process("run", "--tasks", "poerty")
    assert code == 2
    assert text == 'error: no task "poerty". Did you mean poetry?\n'


@pytest.mark.parametrize(
    "words", [["run", "real", "--baselines", "mle", "seqgan"], ["run", "--tasks", "poetry", "speech", "captions"]]
)
def test_a_list_with_blanks_is_told_of_commas(words: list[str]) -> None:
    code, text = gantlet(*words)
    assert code == 2
    assert "parted by commas, without blanks: --baselines mle,seqgan" in text


def test_an_unknown_flag_is_not_told_of_commas() -> None:
    code, text = gantlet("run", "--no-such-flag")
    assert (code, "commas" in text) == (2, False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--tasks", "poerty"], 'no task "poerty". Did you mean poetry?'),
        (["run", "--tasks", "poetry", "--baselines", "mlee"], 'no baseline "mlee". Did you mean mle?'),
        (["run", "--tasks", "poetry", "--data", "no/such/folder"], "no/such/folder"),
        (["run", "--tasks", "poetry", "--set", "mle.epochz=3"], 'mle has no setting "epochz". Did you mean epochs?'),
        (["run", "nothing.toml"], "no grid file nothing.toml"),
        (["run", "--baselines", "mle", "seqgan"], "parted by commas, without blanks: --baselines mle,seqgan"),
        (["run", "--tasks", "poetry", "--plugin", "none.py"], "plugin none.py: no such file"),
        (["score", "none.txt", "--task", "poetry"], "none.txt: no such file"),
        (["report", "nowhere"], "nowhere is not a run directory"),
        (["score", "README.md"], "needs --task NAME or --references FILE"),
        (["score"], "score needs a file of samples or a run directory"),
        (["score", "--explain", "--protocol", "texygen"], 'no protocol "texygen": did you mean'),
        (["score", "README.md", "--protocol", "textbox", "--tokens", "char"], "goes against"),
        (["run", "--tasks", "poetry", "--decodings", "bean5"], 'decoding "bean5" is none of'),
        (["run", "--tasks", "poetry", "--set", "mle.net.hiden=3"], 'mle.net has no setting "hiden"'),
    ],
)
def test_mistakes_are_one_line_without_a_traceback(words: list[str], said: str) -> None:
    code, text = gantlet(*words)
    assert code == 2, text
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, text
    assert said in errors[0]
    assert "Traceback" not in text


def test_list_names_what_there_is() -> None:
    code, text = gantlet("list")
    assert code == 0
    for name in ("poetry", "translation", "seqgan", "self-bleu-2", "quickstart"):
        assert name in text


@pytest.mark.slow
def test_run_then_resume_then_report_then_rescore(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("run", "--tasks", "poetry,translation", "--baselines", "walker", "--plugin", str(PLUGIN),
             "--data", "embedded", "--limit", "80", "--seeds", "2", "--out", str(out))  # fmt: skip
    code, text = gantlet(*words)
    assert code == 0, text
    assert max(len(line) for line in text.splitlines() if line.startswith(" ")) <= 120
    for name in ("leaderboard.md", "leaderboard.csv", "results.csv"):
        assert (out / name).exists()
        assert str(out / name) in text
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert {row["baseline"] for row in rows if row["task"] == "poetry"} == {"real", "shuffled", "walker"}
    assert {row["baseline"] for row in rows if row["task"] == "translation"} == {"walker"}
    assert all(row["signature"] for row in rows)
    missing = [row for row in rows if row["metric"] == "nll-test" and row["task"] == "translation"]
    assert missing
    assert all(row["value"] == "" and "the walker knows no sources" in row["reason"] for row in missing)
    before = (out / "results.csv").read_bytes()

    code, text = gantlet(*words)
    assert code == 0
    assert "6 cells are done already; 0 to do" in text
    assert (out / "results.csv").read_bytes() == before

    assert gantlet("report", str(out))[0] == 0
    assert (out / "results.csv").read_bytes() == before
    code, text = gantlet("score", str(out))
    assert code == 0, text
    assert "6 cells scored anew" in text
    assert (out / "results.csv").read_bytes() == before

    code, text = gantlet(*words, "--set", "walker.steps=7")
    assert code == 2
    assert "config.steps=5, this is 7" in text
    assert "--overwrite walker" in text
    code, text = gantlet(*words, "--set", "walker.steps=7", "--overwrite", "walker")
    assert code == 0, text
    assert (out / "results.csv").read_bytes() != before


@pytest.mark.slow
def test_dry_run_trains_nothing(tmp_path: Path) -> None:
    code, text = gantlet("run", "--tasks", "poetry", "--dry-run", "--limit", "50", "--out", str(tmp_path / "x"))
    assert code == 0, text
    assert text.count("to do  poetry.") == 6
    assert not (tmp_path / "x").exists()


def test_score_a_bare_file(tmp_path: Path) -> None:
    (tmp_path / "samples.txt").write_text("a man rides a wave\na dog on a bed\na man on a bed\n")
    (tmp_path / "test.txt").write_text("a man rides a horse\na dog sleeps on a bed\n")
    words = ("score", str(tmp_path / "samples.txt"), "--references", str(tmp_path / "test.txt"))
    code, text = gantlet(*words)
    assert code == 0, text
    assert "bleu-2" in text
    assert "hyps:3" in text
    assert "refs:2" in text
    assert "no train given" in text
    code, text = gantlet(*words, "--json", "--metrics", "bleu-2,self-bleu-2")
    values = json.loads(text)
    assert [value["metric"] for value in values] == ["bleu-2", "self-bleu-2"]
    assert 0 < values[0]["value"] < 1
    code, text = gantlet(*words, "--paired")
    assert code == 2
    assert "3 lines" in text
    (tmp_path / "samples.txt").write_bytes(b"good line\n\xff\xfe bad\n")
    code, text = gantlet(*words)
    assert code == 2
    assert "line 2: not UTF-8" in text


@pytest.mark.slow
def test_your_own_text_is_one_flag_away(tmp_path: Path) -> None:
    lines = [f"the {a} {b} goes to the {c}" for a in ("red", "old", "big") for b in ("dog", "cat", "fox", "cow")
             for c in ("house", "river", "town", "hill", "sea")]  # fmt: skip
    (tmp_path / "mine.txt").write_text("\n".join(lines) + "\n")
    code, text = gantlet("run", "--tasks", "speech", "--data", str(tmp_path / "mine.txt"), "--baselines", "walker",
                         "--plugin", str(PLUGIN), "--seeds", "1", "--out", str(tmp_path / "out"))  # fmt: skip
    assert code == 0, text
    assert "mine" in (tmp_path / "out" / "leaderboard.md").read_text()


def test_real_text_and_sources_are_scored_beside_the_samples(tmp_path: Path) -> None:
    for name, lines in {"samples": 3, "test": 5, "valid": 4, "short": 2}.items():
        (tmp_path / name).write_text("".join(f"a {word} b c d\n" for word in "vwxyz"[:lines]))
    samples, test, valid, short = (str(tmp_path / name) for name in ("samples", "test", "valid", "short"))
    code, text = gantlet("score", samples, "--references", test, "--real", valid, "--metrics", "bleu-2,self-bleu-2")
    assert code == 0, text
    assert text.count(" real 0.") + text.count(" real 1.") == 2
    assert "frontier" not in text
    code, text = gantlet("score", samples, "--references", test, "--real", samples)
    assert code == 0
    (line,) = [line for line in text.splitlines() if line.startswith("frontier-distance-2")]
    assert float(line.split()[1]) == 0.0  # the samples are the real text
    assert "hyps:3" in text
    code, text = gantlet("score", samples, "--references", test, "--real", short)
    assert code == 2
    assert "fewer than the 3 samples" in text
    code, text = gantlet("score", samples, "--references", samples, "--paired", "--sources", samples)
    assert code == 0, text
    assert "novel-1" in text
    assert "adver-suc" in text
    code, text = gantlet("score", samples, "--references", test, "--sources", samples)
    assert "--sources needs --paired" in text


def test_a_protocol_by_name_and_in_words(tmp_path: Path) -> None:
    (tmp_path / "samples.txt").write_text("a b c\n\na c b\n")
    with gzip.open(tmp_path / "test.txt.gz", "wt") as file:
        file.write("a b c\nc b a\n")
    files = (str(tmp_path / "samples.txt"), "--references", str(tmp_path / "test.txt.gz"))
    code, text = gantlet("score", *files, "--protocol", "texygen-table", "--metrics", "bleu-2", "--explain")
    assert code == 0
    assert "|hyps:2|refs:2|" in text
    assert "|protocol:texygen-table|" in text
    assert "can't see: " in text
    assert "samples scored: 2" in text
    code, text = gantlet("score", "--explain", "--task", "translation")
    assert code == 0
    assert "higher is better" in text
    code, text = gantlet("score", "--explain", "--protocol", "relgan")
    assert "itself among them" in text
    (tmp_path / "broken.txt.gz").write_bytes(b"no gzip")
    code, text = gantlet("score", str(tmp_path / "broken.txt.gz"), *files[1:])
    assert code == 2
    assert "not a whole gzip file" in text


def test_compare_subtracts_only_the_same_measurement(tmp_path: Path) -> None:
    def results(name: str, values: list[float], refs: int) -> str:
        rows = [
            row(seed=i, value=value, higher_is_better=True, metric="sacrebleu", signature=f"sacrebleu|refs:{refs}|v:1")
            for i, value in enumerate(values)
        ]
        write_results(rows, tmp_path / name)
        return str(tmp_path / name)

    base = results("base.csv", [10.0, 10.1, 9.9], 500)
    code, text = gantlet("compare", base, results("worse.csv", [5.0, 5.1, 5.1], 500))
    assert code == 1, text
    assert "worse (P(better) 0.00" in text
    code, text = gantlet("compare", base, results("same.csv", [10.3, 9.7, 10.2], 500))
    assert code == 0, text
    assert "can't tell" in text
    code, text = gantlet("compare", base, results("other.csv", [99.0, 98.0, 99.5], 10_000))
    assert code == 2, text
    assert "refs (500 / 10000) differ" in text
    code, text = gantlet("compare", base)
    assert code == 2
    assert "--method NAME --to NAME" in text
