"""What files `score` is given: any bytes give a clear result, or one line that names file, line and byte."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cli import main
from bench.errors import UserError
from bench.outside.inputs import read_lines
from metrics.signature import parse

REFERENCES = "a cat sat on the mat\nthe dog ran\n"


@pytest.fixture
def gantlet(tmp_path, monkeypatch, capsys):
    """Scores bytes as a file of samples: the exit code, and the scores by name or the line of the error."""
    monkeypatch.chdir(tmp_path)  # so that messages and signatures hold short names
    Path("references.txt").write_text(REFERENCES)

    def run(content, *more, name="samples.txt", names="bleu-2,unique,distinct-1,length,empty"):
        if content is not None:
            Path(name).write_bytes(content)
        references = () if "--references" in more else ("--references", "references.txt")
        code = main(["score", name, *references, "--metrics", names, "--json", *more])
        out, error = capsys.readouterr()
        assert (code == 2) == bool(error)
        assert error.count("\n") == bool(error), "an error is one line"
        return code, error if code else {each["metric"]: each for each in json.loads(out)}

    return run


def lines_of(tmp_path, content, name="some.txt"):
    (tmp_path / name).write_bytes(content)
    return read_lines(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"\n\n \n", ["", "", " "]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\n\n", ["a", ""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\nb\r", ["a", "b"]),
        (b"a\r", ["a"]),
        (b"a\rb\nc\n", ["a\rb", "c"]),
        (b"\xef\xbb\xbfa\nb\n", ["a", "b"]),
        (b"\xef\xbb\xbf", []),
        (b"a\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        (b"a long line\x00 with a zero\n", ["a long line\x00 with a zero"]),
        ("a\u2028b\x85c\x0bd\x0ce\n".encode(), ["a\u2028b\x85c\x0bd\x0ce"]),
        ("👩\u200d👧 🇩🇪\n白\n".encode(), ["👩\u200d👧 🇩🇪", "白"]),
    ],
)
def test_lines(tmp_path, content, lines):
    """Only a line feed ends a line, so that there are as many as `wc -l` and an editor say."""
    assert lines_of(tmp_path, content) == lines
    assert lines_of(tmp_path, gzip.compress(content, mtime=0), "some.txt.gz") == lines


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r\x00", codec="utf-8"), max_size=20), min_size=2, max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
)
def test_however_lines_are_written_they_are_read(tmp_path_factory, lines, end, last, mark):
    """With either line end, with or without the last one, and with a byte-order mark."""
    folder = tmp_path_factory.getbasetemp()
    text = ("\ufeff" if mark else "") + end.join(lines) + (end if last or not lines[-1] else "")
    if mark or not lines[0].startswith("\ufeff"):
        assert lines_of(folder, text.encode()) == lines


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.binary(max_size=40), st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\xff", b"\x00"])).map(b"".join))
)
def test_any_bytes_are_lines_or_an_error_that_says_where(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp()
    try:
        lines = lines_of(folder, content)
    except UserError as error:
        line, byte = map(int, re.search(r"some\.txt line (\d+): .*\(byte (\d+)\)", str(error)).groups())
        named = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")[line - 1]
        assert 1 <= byte <= len(named) + 1
    else:
        assert all("\n" not in line for line in lines)
    with pytest.raises(UserError, match="not a whole gzip file"):
        lines_of(folder, b"x" + content, "some.gz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "samples.txt is empty: there is nothing to score"),
        (b"\xef\xbb\xbf", "samples.txt is empty"),
        (b"fine\nbad \xe9t\xe9\n", "samples.txt line 2: not UTF-8 (byte 5). Convert it, as with iconv."),
        (b"cut \xe7\x99", "samples.txt line 1: not UTF-8 (byte 5)"),
        (b"ok\nok\r\nok\n\xed\xa0\x80\n", "samples.txt line 4: not UTF-8 (byte 1)"),  # a surrogate of its own
        ("a b\nc\n".encode("utf-16"), "samples.txt line 1: UTF-16 or UTF-32, not UTF-8 (byte 1)"),
        ("a b\nc\n".encode("utf-16-le"), "samples.txt line 1: UTF-16 or UTF-32, not UTF-8 (byte 2)"),
        ("a b\nc\n".encode("utf-16-be"), "samples.txt line 1: UTF-16 or UTF-32, not UTF-8 (byte 1)"),
        ("白\n".encode("utf-16"), "samples.txt line 1: UTF-16 or UTF-32"),
        ("a b\n".encode("utf-32"), "samples.txt line 1: UTF-16 or UTF-32"),
        (b"a\rb\rc\r", "samples.txt line 1: a carriage return (byte 2), and no line feed in all the file"),
        (
            gzip.compress(b"a\n", mtime=0),
            "samples.txt line 1: gzip, not text (byte 1). Unpack it, or name it samples.txt.gz",
        ),
    ],
)
def test_bytes_that_are_no_text_are_refused(gantlet, content, message):
    code, error = gantlet(content)
    assert code == 2
    assert error.startswith(f"error: {message}")


WHOLE = gzip.compress(b"a cat sat\nthe dog ran\n" * 20, mtime=0)


@pytest.mark.parametrize("content", [WHOLE[:-1], WHOLE[:-9], WHOLE[:12], WHOLE[:3], b"a cat\n", WHOLE + b"more",
                                     WHOLE[:-8] + bytes(8), WHOLE[:20] + b"\xff\xff" + WHOLE[22:]])  # fmt: skip
def test_broken_gzip(gantlet, content):
    code, error = gantlet(content, name="samples.txt.gz")
    assert code == 2
    assert error.startswith("error: samples.txt.gz is not a whole gzip file (")


def test_gzip_is_the_file_inside(gantlet):
    assert gantlet(WHOLE, name="samples.txt.gz") == gantlet(gzip.decompress(WHOLE))
    code, error = gantlet(gzip.compress(b"ok\n\xff\n", mtime=0), name="samples.txt.gz")
    assert (code, error) == (2, "error: samples.txt.gz line 2: not UTF-8 (byte 1). Convert it, as with iconv.\n")


def test_files_that_cannot_be_read(gantlet):
    Path("loop").symlink_to("loop")
    Path("folder").mkdir()
    assert gantlet(None, name="folder") == (2, "error: folder: no such file or run directory.\n")
    assert gantlet(None, name="none.txt") == (2, "error: none.txt: no such file or run directory.\n")
    assert gantlet(b"a\n", "--references", "folder") == (2, "error: folder: Is a directory.\n")
    assert gantlet(b"a\n", "--references", "none") == (2, "error: none: No such file or directory.\n")
    assert gantlet(b"a\n", "--references", "loop")[1].startswith("error: loop: Too many levels of symbolic links")
    assert gantlet(b"a\n", "--references", "x" * 300)[1].endswith(": File name too long.\n")
    assert gantlet(b"a\n", "--train", "folder") == (2, "error: folder: Is a directory.\n")


def test_a_file_without_rights(gantlet, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)  # the tests may be run by one who may read everything
    Path("mine.txt").touch()
    assert gantlet(None, name="mine.txt") == (2, "error: mine.txt: Permission denied.\n")


@pytest.mark.parametrize("option", ["--references", "--train"])
def test_other_files_are_read_alike(gantlet, option):
    Path("other.txt").write_bytes(b"a\nb\nc \xff\n")
    message = "error: other.txt line 3: not UTF-8 (byte 3). Convert it, as with iconv.\n"
    assert gantlet(b"a\n", option, "other.txt") == (2, message)


def test_line_ends_and_marks_change_no_score(gantlet):
    """Nor does the hash of the references, which is of what the file is, unless it is they that changed."""
    plain = gantlet(b"a cat sat\nthe dog\n")
    assert plain[0] == 0
    for same in (b"a cat sat\r\nthe dog\r\n", b"\xef\xbb\xbfa cat sat\nthe dog\n", b"a cat sat\nthe dog"):
        assert gantlet(same) == plain
    code, scores = gantlet(b"a cat\rsat\nthe dog\n")  # inside a line it is white space
    assert (code, scores) == plain


def test_blank_lines_are_samples(gantlet):
    code, scores = gantlet(b"\n\r\n \n")
    assert code == 0
    assert parse(scores["empty"]["signature"])["hyps"] == "3"
    assert [scores[name]["value"] for name in ("empty", "bleu-2", "length", "distinct-1")] == [1.0, 0.0, 0.0, None]
    assert scores["distinct-1"]["reason"] == "no sample has a token"
    assert scores["unique"]["value"] == pytest.approx(1 / 3)


def test_no_references_is_a_reason(gantlet):
    Path("none.txt").write_bytes(b"")
    code, scores = gantlet(b"a\n", "--references", "none.txt")
    assert code == 0
    assert (scores["bleu-2"]["value"], scores["bleu-2"]["reason"]) == (None, "no references given")


@pytest.mark.parametrize(
    ("content", "count"), [(b"a\n", 1), (b"a\nb\n\n", 3), (b"a b\x0bc\n", 1), ("a\u2028b\n".encode(), 1)]
)
def test_counts_that_do_not_fit(gantlet, content, count):
    message = f"error: samples.txt has {count} lines and references.txt 2: --paired needs one each.\n"
    assert gantlet(content, "--paired") == (2, message)


def test_a_very_long_line(gantlet):
    line = "word " * 20_000 + "y" * 100_000
    names = "bleu-2,self-bleu-2,distinct-2,unique,longest-copy,length"
    Path("train.txt").write_text(line)
    code, scores = gantlet(f"{line}\na cat\n".encode(), "--train", "train.txt", names=names)
    assert code == 0
    assert scores["length"]["value"] == (20_001 + 2) / 2
    assert scores["longest-copy"]["value"] == 20_001 / 2
    assert all(each["reason"] == "" for each in scores.values())


def test_emoji_and_other_scripts_come_out_as_they_went_in(gantlet):
    text = "👩\u200d👩\u200d👧 ok\n🇩🇪 白日 \u202eabc\n"
    name = "🙂 白.txt"
    Path(name).write_text(text)
    names = "bleu-2,sacrebleu,chrf,rouge-1,rouge-l,length"
    code, scores = gantlet(text.encode(), "--references", name, "--paired", "--tokens", "char", names=names)
    assert code == 0
    assert scores["chrf"]["value"] == pytest.approx(100)
    assert scores["rouge-l"]["value"] == 1.0
    assert scores["length"]["value"] == 5.5  # the family, o, k; each flag letter, 白, 日, the mark and three letters
    assert parse(scores["chrf"]["signature"])["data"].startswith(f"{name}#")


def test_the_table_too(gantlet, capsys):
    Path("samples.txt").write_text("白日 👧\n\n")
    assert main(["score", "samples.txt", "--references", "references.txt", "--metrics", "bleu-2,distinct-2"]) == 0
    out, error = capsys.readouterr()
    assert error == ""
    assert re.search(r"^bleu-2 +0\.0000 ", out)
    assert main(["score", "samples.txt", "--references", "references.txt", "--metrics", "copied,nope"]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
