"""Samples in files with fields: every way of writing them gives the same texts, and every mistake one line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cli import main
from bench.errors import UserError
from bench.outside.given import Columns, read_given, read_texts
from tests.fresh import fresh_seed

TEXTS = st.lists(st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=12), min_size=1, max_size=6)


def written(texts: list[str], form: str, field: str) -> bytes:
    if form == "jsonl":
        return "".join(json.dumps({field: text}) + "\n" for text in texts).encode()
    if form == "json":
        return json.dumps([{field: text} for text in texts], ensure_ascii=False, indent=1).encode()
    out = io.StringIO(newline="")
    rows = csv.writer(out, delimiter="\t" if form == "tsv" else ",", quoting=csv.QUOTE_ALL)
    rows.writerows([["other", field], *(["x", text] for text in texts)])
    return out.getvalue().encode()


def read(folder: Path, name: str, content: bytes, columns: Columns | None = None, **how):
    (folder / name).write_bytes(content)
    return read_given(folder / name, columns or Columns(), **how)


@settings(max_examples=40, deadline=None)
@given(TEXTS, st.sampled_from(["jsonl", "json", "csv", "tsv"]), st.booleans(), st.booleans())
def test_texts_come_back_whole(tmp_path_factory, texts, form, packed, marked):
    """Line breaks, quotes, delimiters and marks inside a text are its own."""
    content = (b"\xef\xbb\xbf" if marked else b"") + written(texts, form, "generated")
    folder = tmp_path_factory.getbasetemp()
    name, content = (f"x.{form}.gz", gzip.compress(content)) if packed else (f"x.{form}", content)
    assert read(folder, name, content).texts == texts


def test_which_field_is_read(tmp_path):
    row = {"id": 0, "prediction": "p", "output": "o", "generated": "g", "text": "t"}
    for name in ("text", "generated", "output", "prediction"):
        assert read(tmp_path, "x.jsonl", json.dumps(row).encode()).texts == [row.pop(name)]
    with pytest.raises(UserError, match=r"x.jsonl line 1: no field is named text, generated, output or prediction "
                                        r"\(the row has: id\). Say which it is: --text-field NAME"):  # fmt: skip
        read(tmp_path, "x.jsonl", json.dumps(row).encode())
    assert read(tmp_path, "x.jsonl", b'{"mine": "m"}', Columns(text="mine")).texts == ["m"]


def test_a_list_of_texts(tmp_path):
    assert read(tmp_path, "x.json", b'["a", "b\\nc"]').texts == ["a", "b\nc"]
    assert read(tmp_path, "x.jsonl", b'"a"\n\n"b"\n').texts == ["a", "b"]
    assert read_given(["a", "b"], Columns()).texts == ["a", "b"]
    for wrong, said in ((["a", 3], "item 1: int, not text"), ("one text", "give a list of texts")):
        with pytest.raises(UserError, match=said):
            read_given(wrong, Columns())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl", b'{"text": "a"}\n{"caption": "b", "id": 1}\n',
         'x.jsonl line 2: no field "text" (the row has: caption, id). Rename it, or pass --text-field NAME'),
        ("x.jsonl", b'{"text": "a"}\n\n{"text": null}\n', 'x.jsonl line 3: field "text" is null, not text'),
        ("x.jsonl", b'{"text": ["a"]}\n', 'line 1: field "text" is a list, not text'),
        ("x.jsonl", b'{"text": "a"}\n{"text": "b"\n', "x.jsonl line 2: not JSON ("),
        ("x.jsonl", b'[1, 2]\n', "x.jsonl line 1: a list, neither text nor an object"),
        ("x.jsonl", b'{"text": "\\ud800"}\n', "half of a surrogate pair"),
        ("x.jsonl", b'{"text": "a"}\n{"text": "\xff"}\n', "x.jsonl line 2: not UTF-8 (byte 11)"),
        ("x.jsonl", '{"text": "a"}\n'.encode("utf-16"), "UTF-16 or UTF-32"),
        ("x.jsonl", b"[" * 100_000, "x.jsonl line 1: "),
        ("x.json", b'{"samples": ["a"]}', "x.json is an object with samples, not a list"),
        ("x.json", b'["a", 4]', "x.json item 2: a number, neither text nor"),
        ("x.csv", b"id,caption\n1,a\n", "the row has: id, caption). Say which it is: --text-field id"),
        ("x.csv", b"text,id\na,1\nb\n", "x.csv line 3: 1 cells, and 2 columns"),
        ("x.csv", b'text\n"a\n', "x.csv line 2: unexpected end of data"),
        ("x.csv", b"text;id\na;1\n", "seem to be parted by semicolons, not commas"),
        ("x.tsv", b"text,id\na,1\n", "seem to be parted by commas, not tabs"),
        ("x.csv", b"text,text\na,b\n", 'two columns are named "text"'),
        ("x.txt", b'{"text": "a"}\n', "x.txt line 1 is a JSON object: pass --format jsonl"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path, name, content, said):
    with pytest.raises(UserError) as told:
        read(tmp_path, name, content)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_lines_have_no_fields(tmp_path):
    with pytest.raises(UserError, match=r"--text-field: .*x\.txt is lines of text without fields"):
        read(tmp_path, "x.txt", b"a\n", Columns(text="text"))
    assert read(tmp_path, "x.txt", b'{"text": "a"}\n', form="txt").texts == ['{"text": "a"}']
    assert read(tmp_path, "x.txt", b'{"text": "a"}\n', form="jsonl").texts == ["a"]
    with pytest.raises(UserError, match='no format "xml"'):
        read(tmp_path, "x.txt", b"a\n", form="xml")


def numbered(numbers, field="id"):
    return "".join(json.dumps({field: number, "text": f"t{number}"}) + "\n" for number in numbers).encode()


def test_rows_are_put_in_the_order_of_their_numbers(tmp_path):
    rng = random.Random(fresh_seed())
    for start in (0, 1):
        numbers = list(range(start, start + 20))
        rng.shuffle(numbers)
        for form in (numbers, list(map(str, numbers))):
            texts = read(tmp_path, "x.jsonl", numbered(form)).in_order(20).texts
            assert texts == [f"t{number}" for number in range(start, start + 20)]
    given = read(tmp_path, "x.jsonl", numbered([2, 0, 1]), Columns(number="none"))
    assert given.in_order(3).texts == ["t2", "t0", "t1"]
    given = read(tmp_path, "x.jsonl", numbered(["b", "a"]))  # names are no numbers, so they say no order
    assert given.in_order(2).texts == ["tb", "ta"]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([0, 1, 1], "x.jsonl line 3: number 1 stands twice (also in "),
        ([0, 1, 4], "numbered 0 to 2, one for each source; missing: 2; unknown: 4"),
        ([0, 1], "missing: 2."),
        ([0, 1, 2, 3], "unknown: 3."),
        ([5, 6, 7], "numbered 1 to 3, one for each source; missing: 1, 2, 3; unknown: 5, 6, 7"),
    ],
)
def test_numbers_that_do_not_fit(tmp_path, numbers, said):
    with pytest.raises(UserError) as told:
        read(tmp_path, "x.jsonl", numbered(numbers)).in_order(3)
    assert said in str(told.value)


def test_a_field_that_is_asked_for_has_to_hold_numbers(tmp_path):
    with pytest.raises(UserError, match='line 1: field "key" is no whole number'):
        read(tmp_path, "x.jsonl", numbered(["a"], "key"), Columns(number="key"))


OUR_OWN = [
    {"stage": stage, "split": split, "decoding": decoding, "index": 0, "text": f"{stage} {split} {decoding}"}
    for stage in ("pretrain", "final") for split in ("test", "test_2") for decoding in ("greedy", "beam5@1")
]  # fmt: skip


def test_the_samples_of_a_cell(tmp_path):
    content = "".join(json.dumps(row) + "\n" for row in OUR_OWN).encode()
    given = read(tmp_path, "samples.jsonl", content, decoding="greedy")
    assert (given.texts, given.decoding) == (["final test greedy"], "greedy")
    for decoding, said in ((None, "several decodings; it has: greedy, beam5@1. Choose one: --decoding greedy"),
                           ("beam4", 'no samples of decoding "beam4"; it has: greedy, beam5@1')):  # fmt: skip
        with pytest.raises(UserError) as told:
            read(tmp_path, "samples.jsonl", content, decoding=decoding)
        assert said in str(told.value)
    alone = b"".join(json.dumps(row).encode() + b"\n" for row in OUR_OWN if row["decoding"] == "greedy")
    assert read(tmp_path, "samples.jsonl", alone).decoding == "greedy"


def test_a_line_break_in_a_line_of_text(tmp_path):
    """As the verb `sample` prints it; only where the references have such."""
    given = read(tmp_path, "x.txt", "白日 / 依山\na/b\n".encode())
    assert given.like(["x\ny"]).texts == ["白日\n依山", "a/b"]
    assert given.like(["x y"]).texts == ["白日 / 依山", "a/b"]
    assert read(tmp_path, "x.json", b'["a / b"]').like(["x\ny"]).texts == ["a / b"]


def test_references_of_several_kinds(tmp_path):
    (tmp_path / "refs.jsonl").write_text('{"references": ["a", "b"]}\n{"references": "c"}\n')
    assert read_texts(tmp_path / "refs.jsonl", ("references",), None, "--x") == [("a", "b"), ("c",)]
    (tmp_path / "refs.jsonl").write_text('{"references": []}\n')
    with pytest.raises(UserError, match='line 1: field "references" is an empty list'):
        read_texts(tmp_path / "refs.jsonl", ("references",), None, "--x")


@pytest.fixture
def gantlet(tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder: the scores by name, or the line of the error."""
    monkeypatch.chdir(tmp_path)

    def run(*words, stdin=None):
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(["score", *words, "--json"])
        out, error = capsys.readouterr()
        return error if code else {each["metric"]: each for each in json.loads(out)}

    return run


def test_however_it_is_written_it_scores_the_same(gantlet):
    texts = ["a cat sat", "the dog, it ran", 'say "no"']
    Path("refs.txt").write_text("a cat sat on it\nthe dog ran\n")
    Path("x.txt").write_text("\n".join(texts))
    against = ("--references", "refs.txt", "--metrics", "bleu-2,self-bleu-2,length")
    plain = gantlet("x.txt", *against)
    for form in ("jsonl", "json", "csv", "tsv"):
        content = written(texts, form, "text")
        Path(f"x.{form}").write_bytes(content)
        assert gantlet(f"x.{form}", *against) == plain
        assert gantlet("-", "--format", form, *against, stdin=content) == plain
    assert gantlet("-", *against, stdin=b"\n".join(text.encode() for text in texts)) == plain
    assert gantlet("-", *against, stdin=b"") == "error: stdin is empty: there is nothing to score.\n"


def test_one_file_with_its_own_references(gantlet):
    rows = [("a cat", ["a cat", "the cat"], "un chat"), ("the dog", "the dog", "le chien"), ("x", "y z", "quoi")]
    lines = [json.dumps({"text": text, "refs": refs, "src": src}) for text, refs, src in rows]
    Path("x.jsonl").write_text("\n".join(lines))
    own = gantlet("x.jsonl", "--references-field", "refs")
    assert own["chrf"]["value"] > 20
    assert own["sacrebleu"]["signature"].split("|data:")[1].startswith("x.jsonl:refs#")
    assert "novel-1" in gantlet("x.jsonl", "--references-field", "refs", "--sources-field", "src")
    Path("best.txt").write_text("a cat\nthe dog\nx\n")  # the same pairs in files of their own
    Path("refs.jsonl").write_text("\n".join(json.dumps({"references": refs}) for _, refs, _ in rows))
    apart = gantlet("best.txt", "--references", "refs.jsonl", "--paired")
    assert {name: each["value"] for name, each in apart.items()} == {name: each["value"] for name, each in own.items()}
    Path("x.jsonl").write_text("\n".join(line.replace("a cat", "the cat") for line in lines))
    other = gantlet("x.jsonl", "--references-field", "refs")
    assert other["sacrebleu"]["signature"] != own["sacrebleu"]["signature"], "other references, another measurement"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("x.txt", "--task", "poetry", "--references", "x.txt"), "--task poetry has references of its own"),
        (("x.txt", "--references", "x.txt", "--as", "mine"), "--as is for --into RUN"),
        (("x.txt", "--references", "x.txt", "--overwrite"), "--overwrite is for --into RUN"),
        (("x.txt", "--into", "nowhere"), "--into RUN needs --as NAME"),
        (("x.txt", "--into", "nowhere", "--as", "a"), "nowhere is not a run directory (it has no cells/)"),
        (("x.txt", "--into", "nowhere", "--as", "a", "--data", "x"), "--data goes against --into nowhere"),
        (("x.txt", "--references", "x.txt", "-n", "3"), "-n is for --hf"),
        (("x.txt", "--hf", "x"), "score takes samples (x.txt) or --hf x, not both"),
        (("--hf", "x", "--references", "x.txt"), "--references goes against --hf"),
        (("--hf", "x", "--text-field", "a"), "--text-field goes against --hf"),
        (("--hf", "x"), "--hf needs --task NAME"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together(gantlet, words, said):
    Path("x.txt").write_text("a\n")
    told = gantlet(*words)
    assert told.startswith("error: ")
    assert said in told
    assert told.count("\n") == 1
