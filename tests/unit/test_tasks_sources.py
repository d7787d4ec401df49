"""Rows from files, one's own text, embedded data, the hub; and what is said when they cannot be read."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from tasks.base import DataError
from tasks.hub import HubSource
from tasks.opening import open_source
from tasks.sources import EmbeddedSource, FileSource, TextSource, read_rows


def write(path: Path, *rows: object, raw: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = raw if raw is not None else "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def meta(folder: Path, **sums: str) -> None:
    files = [{"file": name.replace("__", "."), "sha256": value} for name, value in sums.items()]
    (folder / "meta.json").write_text(json.dumps({"files": files}))


def test_a_folder_of_sets(tmp_path: Path) -> None:
    write(tmp_path / "speech_obama" / "train.jsonl.gz", {"text": "a"}, {"text": "b"})
    write(tmp_path / "speech_obama" / "test.jsonl", {"text": "c"})
    write(tmp_path / "speech_obama" / "test_more.jsonl", {"text": "d"})
    write(tmp_path / "sum_wikinews" / "test.jsonl.gz", {"article": "x", "highlights": "y"})
    (tmp_path / "notes").mkdir()
    source = open_source(str(tmp_path))
    assert isinstance(source, FileSource)
    assert source.datasets() == ("speech_obama", "sum_wikinews")
    assert source.splits("speech_obama") == ("train", "test", "test_more")
    rows = source.rows("speech_obama", "train")
    assert [row.fields["text"] for row in rows] == ["a", "b"]
    assert rows[1].place == "speech_obama/train.jsonl.gz line 2"
    assert len(source.rows("speech_obama", "train", 1)) == 1
    with pytest.raises(DataError, match=r"no set 'poetry_jueju5' .*there is: speech_obama, sum_wikinews"):
        source.resolve("poetry", "poetry_jueju5")
    with pytest.raises(DataError, match=r"speech_obama: no split 'valid' \(there is: train, test, test_more\)"):
        source.rows("speech_obama", "valid")


def test_hashes_of_meta_are_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "s" / "train.jsonl", {"text": "a"})
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    meta(tmp_path / "s", train__jsonl=right)
    source = FileSource(tmp_path)
    assert len(source.rows("s", "train")) == 1
    meta(tmp_path / "s", train__jsonl="0" * 64)
    with pytest.raises(DataError, match=rf"s/train\.jsonl: sha256 is {right}, meta\.json says {'0' * 64}"):
        source.rows("s", "train")
    (tmp_path / "s" / "meta.json").write_text("{}")
    with pytest.raises(DataError, match=r"meta\.json: expected files"):
        source.rows("s", "train")


def test_a_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "once" / "train.jsonl", {"text": "a"})
    meta(tmp_path / "once", train__jsonl=hashlib.sha256(path.read_bytes()).hexdigest())
    calls, digest = [], hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *args: calls.append(1) or digest(*args))
    for _ in range(3):
        FileSource(tmp_path).rows("once", "train")
    assert len(calls) == 1


def test_bom_and_carriage_returns_are_not_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", raw=b'\xef\xbb\xbf{"text": "one"}\r\n{"text": "two"}\r\n')
    assert [row.fields["text"] for row in read_rows(path, "a")] == ["one", "two"]
    path = write(tmp_path / "a.txt", raw=b"\xef\xbb\xbfone\r\n\r\n  \ntwo")
    rows = read_rows(path, "a.txt")
    assert [(row.fields["text"], row.line) for row in rows] == [("one", 1), ("two", 4)]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"text": "a"}\n{"text": \xff}\n', r"x line 2: not UTF-8 \(byte 9\)"),
        (b'{"text": "a"}\n{"text": \n', r"x line 2: not JSON \(.* at column 10\)"),
        (b'{"text": "a"}\n\n', r"x line 2: empty line"),
        (b'["a"]\n', r"x line 1: a JSON list, not an object"),
    ],
)
def test_broken_lines_are_named(tmp_path: Path, raw: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_rows(write(tmp_path / "x.jsonl", raw=raw), "x")


def test_broken_gzip_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"text": "some words that do not repeat, 1234"}\n' * 50)
    for name, data in (
        ("cut", whole[:-12]),
        ("not", b"no gzip at all"),
        ("mud", whole[:20] + b"\x00\xff" + whole[22:]),
    ):
        path = tmp_path / f"{name}.jsonl.gz"
        path.write_bytes(data)
        with pytest.raises(DataError, match=rf"{name} line \d+: broken gzip"):
            read_rows(path, name)


def test_fields_can_be_called_otherwise(tmp_path: Path) -> None:
    write(tmp_path / "s" / "train.jsonl", {"caption": "a"}, {"text": "b"})
    rows = open_source(str(tmp_path), fields={"text": "caption"}).rows("s", "train")
    assert [row.fields["text"] for row in rows] == ["a", "b"]


def test_one_text_file_is_split_the_same_each_time(tmp_path: Path) -> None:
    lines = [f"line {i % 90}" for i in range(100)]
    path = write(tmp_path / "mine.txt", raw="\n".join(lines).encode())
    source = open_source(str(path))
    assert isinstance(source, TextSource)
    name = source.resolve("speech", "speech_obama")
    assert name == "mine"
    parts = {split: [row.fields["text"] for row in source.rows(name, split)] for split in source.splits(name)}
    assert {split: len(rows) for split, rows in parts.items()} == {"train": 82, "valid": 4, "test": 4}
    assert sorted(text for rows in parts.values() for text in rows) == sorted(set(lines))
    again = TextSource(path)
    assert [row.fields["text"] for row in again.rows(name, "train")] == parts["train"]
    assert "82 / 4 / 4 rows; 10 duplicates dropped" in source.warnings(name)[0]


def test_two_lines_are_too_few_to_split(tmp_path: Path) -> None:
    path = write(tmp_path / "two.txt", raw=b"a\nb\na\n")
    with pytest.raises(DataError, match=r"two\.txt has 2 distinct rows: too few"):
        open_source(str(path)).rows("two", "train")


def test_a_folder_that_is_one_set(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        write(tmp_path / f"{split}.txt", raw=f"{split} text\n".encode())
    source = open_source(str(tmp_path))
    assert source.splits("any") == ("train", "valid", "test")
    assert source.rows("any", "test")[0].fields == {"text": "test text"}
    assert source.warnings("any") == ()


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data at .*/nowhere: give a folder"):
        open_source(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"holds no set"):
        open_source(str(tmp_path))


def test_embedded_sets_are_named_as_tasks() -> None:
    source = open_source()
    assert isinstance(source, EmbeddedSource)
    assert open_source("embedded") == source
    assert source.resolve("speech", "speech_us") == "speech"
    assert source.resolve("poetry", "poetry_jueju7") == "poetry7"
    with pytest.raises(DataError, match="no embedded data for chess"):
        source.resolve("chess", "chess")
    row = source.rows("captions", "train", 1)[0]
    assert row.place == "embedded/captions/train line 1"
    assert row.fields["text"]


def _parquet(folder: Path, rows: list[dict[str, object]]) -> None:
    folder.mkdir(exist_ok=True)
    for split, part in (("train", rows[2:]), ("validation", rows[:1]), ("test", rows[1:2])):
        pd.DataFrame(part).to_parquet(folder / f"{split}-00000-of-00001.parquet")


@pytest.mark.slow
def test_a_hub_set_is_written_through_to_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTLET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    rows = [{"translation": {"en": f"one {i}", "fr": f"un {i}"}} for i in range(6)]
    _parquet(tmp_path / "pairs", rows)
    source = open_source(f"hub:{tmp_path / 'pairs'}")
    assert isinstance(source, HubSource)
    assert source.origin == "hub"
    name = source.resolve("translation", "mt_en_fr")
    assert source.splits(name) == ("train", "valid", "test")
    assert [row.fields for row in source.rows(name, "train")] == [
        {"src": f"one {i}", "tgt": f"un {i}"} for i in range(2, 6)
    ]
    (folder,) = (tmp_path / "cache" / "hub").glob("*/mt_en_fr")
    about = json.loads((folder / "meta.json").read_text())
    assert [entry["rows"] for entry in about["files"]] == [4, 1, 1]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["mt_en_fr"]  # nothing half-made is left
    # From here on the files are enough, and they are checked.
    monkeypatch.setattr("tasks.hub._load", lambda _: pytest.fail("fetched twice"))
    again = open_source(f"hub:{tmp_path / 'pairs'}")
    assert len(again.rows(name, "train")) == 4
    (folder / "train.jsonl.gz").write_bytes(gzip.compress(b'{"src": "x", "tgt": "y"}\n'))
    with pytest.raises(DataError, match=r"mt_en_fr/train\.jsonl\.gz: sha256 is"):
        again.rows(name, "train")


def test_the_first_rows_of_a_large_train_split_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.hub import HubSet

    endless = {"train": ({"article": f"a {i}", "highlights": "h"} for i in range(10**9)), "test": iter(())}
    monkeypatch.setattr("tasks.hub._load", lambda _: endless)
    source = HubSource(HubSet("some/set", None, "abc", max_train=7), cache=tmp_path)
    assert len(source.rows("sum_cnndm", "train")) == 7
    assert source.warnings("sum_cnndm") == ("sum_cnndm: the first 7 rows of train at most are taken from the hub",)


def test_a_hub_set_needs_a_revision() -> None:
    with pytest.raises(DataError, match=r"name the revision, hub:ID@REVISION"):
        open_source("hub:abisee/cnn_dailymail")
    with pytest.raises(DataError, match=r"is not hub:ID\[:CONFIG\]@REVISION"):
        open_source("hub:@")
    source = open_source("hub:abisee/cnn_dailymail:3.0.0@96df5e686bee6baa90b8bee7c28b81fa3fa6223d")
    assert isinstance(source, HubSource)
    assert source.chosen is not None
    assert (source.chosen.id, source.chosen.config) == ("abisee/cnn_dailymail", "3.0.0")


def test_the_hub_has_pinned_sets_for_some_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source("hub")
    assert "sum_cnndm" in source.datasets()
    with pytest.raises(DataError, match=r"poetry: no pinned hub set for 'poetry_jueju5'"):
        source.resolve("poetry", "poetry_jueju5")
    from tasks.hub import CANONICAL

    assert all(len(one.revision or "") == 40 for one in CANONICAL.values())
