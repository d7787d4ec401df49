"""Rows from elsewhere: scored as a run's own rows are, marked, never in place of one; and checkpoints as they are."""

from __future__ import annotations

import csv
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.cell import run_cell
from bench.cli import main
from bench.config import Settings, make_grid
from bench.errors import UserError
from bench.plan import plan_task
from bench.store import RunStore, read_json
from tests.checkpoints import make_checkpoint, make_pair_checkpoint
from tests.fresh import fresh_seed

WORDS = list("abcdefgh")


def trained(store: RunStore, task: str, baseline: str, data: str, **more: object) -> None:
    content = {"name": "t", "tasks": (task,), "baselines": (baseline,), "seeds": (0,), "budget": "smoke", "data": data}
    grid = make_grid(content, {"limit": 40, "temperatures": (0.8, 1.0), **more}, "a test")
    for cell in plan_task(grid, task).cells:
        ended = run_cell(cell.spec, store, Settings(device="cpu"), lambda *_: None, lambda: False)
        assert ended == {"status": "done", "reason": ""}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(fresh_seed())
    texts = {" ".join(rng.choices(WORDS, k=rng.randrange(3, 9))) for _ in range(300)}
    path = tmp_path_factory.mktemp("data") / "lines.txt"
    path.write_text("\n".join(sorted(texts)) + "\n")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, lines: Path) -> Path:
    """A run with a task of each kind."""
    store = RunStore(tmp_path_factory.mktemp("run") / "mine")
    trained(store, "speech", "ngram", str(lines))
    trained(store, "dialogue", "retrieval", "embedded")
    return store.path


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def cell_of(run: Path, name: str) -> Path:
    (found,) = run.glob(f"cells/{name}.*")
    return found


def texts_of(run: Path, name: str, decoding: str) -> list[str]:
    rows = map(json.loads, (cell_of(run, name) / "samples.jsonl").read_text().splitlines())
    return [row["text"] for row in rows if (row["stage"], row["decoding"]) == ("final", decoding)]


def values_of(folder: Path, decoding: str) -> dict[str, tuple[object, ...]]:
    rows = read_json(folder / "result.json")["rows"]
    return {
        row["metric"]: tuple(row[name] for name in ("value", "ci_low", "ci_high", "n", "signature", "status"))
        for row in rows
        if row["stage"] == "final" and row["split"] == "test" and row["decoding"] == decoding
    }


def add(run: Path, samples: Path, *words: str) -> int:
    return main(["score", str(samples), "--into", str(run), *words])


@pytest.mark.parametrize(
    ("task", "method", "decoding"), [("speech", "ngram", "sample@1"), ("dialogue", "retrieval", "greedy")]
)
def test_a_trained_cells_own_samples_score_the_same_as_a_row_from_elsewhere(run, tmp_path, task, method, decoding):
    """Number for number, with equal signatures: so an external row stands in the same columns as the run's own."""
    samples = tmp_path / "theirs.jsonl"
    texts = texts_of(run, f"{task}.{method}.s0", decoding)
    samples.write_text("".join(json.dumps({"output": text}) + "\n" for text in texts))
    before = {path: path.read_bytes() for path in (run / "cells").rglob("*") if path.is_file()}
    assert add(run, samples, "--task", task, "--as", "theirs") == 0
    theirs = cell_of(run, f"{task}.theirs.s0")
    own = values_of(cell_of(run, f"{task}.{method}.s0"), decoding)
    assert values_of(theirs, decoding) == own
    assert len(own) > 4
    assert {path: path.read_bytes() for path in before} == before, "nothing of the run's own was touched"
    names = {path.name for path in theirs.iterdir() if not path.name.startswith(".")}
    assert names == {"cell.json", "samples.jsonl", "samples.json", "likelihood.npz", "items.npz", "result.json"}
    about = read_json(theirs / "cell.json")
    assert (about["track"], about["external"]["samples"]) == ("external", len(texts))
    rows = list(csv.DictReader((run / "results.csv").open()))
    assert {row["track"] for row in rows if row["baseline"] == "theirs"} == {"external"}
    nll = next(row for row in rows if row["baseline"] == "theirs" and row["metric"] == "nll-test")
    assert (nll["value"], nll["status"], nll["reason"]) == ("", "missing", "samples alone have no likelihood of the "
                                                            "test text")  # fmt: skip
    curve = {row["reason"] for row in rows if row["baseline"] == "theirs" and row["metric"].startswith("frontier")}
    assert curve == ({"samples of one decoding are no curve over temperatures"} if task == "speech" else set())
    board = (run / "leaderboard.md").read_text()
    assert "external" in board
    assert "theirs" in board


def test_token_numbers_are_heard_by_the_oracle(tmp_path, capsys):
    store = RunStore(tmp_path / "run")
    trained(store, "oracle", "ngram", "embedded", limit=30, settings={"oracle": {"vocab": 50}}, references=False)
    texts = texts_of(store.path, "oracle.ngram.s0", "sample@1")
    samples = tmp_path / "x.txt"
    samples.write_text("\n".join(texts))
    assert add(store.path, samples, "--as", "theirs") == 0, "a run of one task needs no --task"
    own = values_of(cell_of(store.path, "oracle.ngram.s0"), "sample@1")
    assert values_of(cell_of(store.path, "oracle.theirs.s0"), "sample@1") == own
    assert own["nll-oracle"][0] > 0
    for wrong in (" ".join(["7"] * 19), " ".join(["50"] * 20), "a b"):
        samples.write_text("\n".join([texts[0], wrong]))
        capsys.readouterr()
        assert add(store.path, samples, "--as", "other") == 2
        assert "sample 2: not 20 token numbers from 0 to 49" in capsys.readouterr().err


def test_samples_of_a_cell_bring_their_decoding(run, tmp_path, capsys):
    assert add(run, cell_of(run, "speech.ngram.s0") / "samples.jsonl", "--task", "speech", "--as", "again",
               "--decoding", "sample@0.8") == 0  # fmt: skip
    assert values_of(cell_of(run, "speech.again.s0"), "sample@0.8").keys() >= {"bleu-2", "unique"}
    assert "taken as drawn" not in capsys.readouterr().out
    texts = tmp_path / "x.txt"
    texts.write_text("\n".join(texts_of(run, "speech.ngram.s0", "sample@1")))
    assert add(run, texts, "--task", "speech", "--as", "plain") == 0
    assert "note     taken as drawn by sample@1, the task's own way" in capsys.readouterr().out


def test_it_is_replaced_only_when_that_is_asked_for(run, tmp_path, capsys):
    samples = tmp_path / "x.txt"
    samples.write_text("a b c\n" * 40)
    assert add(run, samples, "--task", "speech", "--as", "mine") == 0
    folder = cell_of(run, "speech.mine.s0")
    before = (folder / "result.json").read_bytes()
    samples.write_text("a b d\n" * 40)
    capsys.readouterr()
    assert add(run, samples, "--task", "speech", "--as", "mine") == 2
    assert f"has a row mine of speech, seed 0 ({folder.name})" in capsys.readouterr().err
    assert (folder / "result.json").read_bytes() == before
    assert add(run, samples, "--task", "speech", "--as", "mine", "--overwrite") == 0
    assert texts_of(run, "speech.mine.s0", "sample@1")[0] == "a b d"
    assert add(run, samples, "--task", "speech", "--as", "mine", "--decoding", "sample@0.9") == 2, "one row a seed"
    assert add(run, samples, "--task", "speech", "--as", "mine", "--seed", "1") == 0
    rows = list(csv.DictReader((run / "results.csv").open()))
    mine = [row for row in rows if row["baseline"] == "mine" and row["metric"] == "bleu-2"]
    assert sorted(row["seed"] for row in mine) == ["0", "1"]
    assert len({row["config_hash"] for row in mine}) == 1, "several seeds are one line"


def test_how_many_samples_are_scored(run, tmp_path, capsys):
    samples = tmp_path / "x.txt"
    own = texts_of(run, "speech.ngram.s0", "sample@1")
    samples.write_text("\n".join([*own, *own]))
    assert add(run, samples, "--task", "speech", "--as", "many") == 0
    assert f"the first {len(own)} of {2 * len(own)} samples" in capsys.readouterr().out
    assert texts_of(run, "speech.many.s0", "sample@1") == own
    samples.write_text("\n".join(own[:-3]))
    assert add(run, samples, "--task", "speech", "--as", "few") == 0
    assert "their signatures differ" in " ".join(capsys.readouterr().out.split())
    assert f"hyps:{len(own) - 3}|" in values_of(cell_of(run, "speech.few.s0"), "sample@1")["bleu-2"][4]


def test_a_row_is_scored_anew_with_the_others(run, tmp_path):
    samples = tmp_path / "x.txt"
    samples.write_text("\n".join(texts_of(run, "speech.ngram.s0", "sample@1")))
    assert add(run, samples, "--task", "speech", "--as", "mine") == 0
    folder = cell_of(run, "speech.mine.s0")
    rows = read_json(folder / "result.json")["rows"]
    (folder / "result.json").unlink()
    assert main(["score", str(run)]) == 0
    assert read_json(folder / "result.json")["rows"] == rows


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--as", "mine"), "has dialogue, speech: say which with --task"),
        (("--as", "mine", "--task", "poetry"), 'has no cells of "poetry". '),
        (("--as", "ngram", "--task", "speech"), '"ngram" is the name of a method or a reference row'),
        (("--as", "real", "--task", "speech"), '"real" is the name of a method or a reference row'),
        (("--as", "../x", "--task", "speech"), '"../x" is no name for a row'),
        (("--as", "a.s0", "--task", "speech"), '"a.s0" is no name for a row'),
        (("--as", "mine", "--task", "speech", "--decoding", "greedy"), "free text is drawn by sample"),
        (("--as", "mine", "--task", "dialogue", "--decoding", "bean5"), 'decoding "bean5" is none of'),
        (("--as", "mine", "--task", "dialogue"), "has 2 lines, dialogue's test split"),
        (("--as", "mine", "--task", "speech", "--metrics", "bleu-2"), "--metrics goes against --into"),
    ],
)
def test_what_is_refused(run, tmp_path, capsys, words, said):
    samples = tmp_path / "x.txt"
    samples.write_text("a\nb\n")
    before = sorted((run / "cells").iterdir())
    assert add(run, samples, *words) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert sorted((run / "cells").iterdir()) == before


def test_an_empty_file_and_a_table_alone(run, tmp_path, capsys):
    samples = tmp_path / "x.txt"
    samples.write_text("")
    assert add(run, samples, "--task", "speech", "--as", "mine") == 2
    assert "x.txt is empty" in capsys.readouterr().err
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "results.csv").write_text("x\n")
    assert add(tmp_path / "table", samples, "--as", "mine") == 2
    assert "it has a results.csv but no cells/" in capsys.readouterr().err


def test_rows_in_any_order(run, tmp_path):
    """Numbers put them in the order of the sources."""
    texts = texts_of(run, "dialogue.retrieval.s0", "greedy")
    places = list(range(len(texts)))
    random.Random(fresh_seed()).shuffle(places)
    samples = tmp_path / "x.csv"
    with samples.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "prediction"], *([place + 1, texts[place]] for place in places)])
    assert add(run, samples, "--task", "dialogue", "--as", "mine") == 0
    assert texts_of(run, "dialogue.mine.s0", "greedy") == texts


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("hf") / "tiny", WORDS)


@pytest.mark.slow
def test_a_checkpoint_is_the_row_gpt_without_fine_tuning(run, lines, checkpoint, capsys):
    """The same samples at every temperature, so the same values and curve; its NLL is of the same text."""
    settings = {"gpt": {"checkpoint": str(checkpoint), "fine_tune": False}}
    trained(RunStore(run), "speech", "gpt", str(lines), settings=settings, references=False)
    assert main(["score", "--hf", str(checkpoint), "--into", str(run), "--task", "speech", "--as", "tiny"]) == 0
    told = capsys.readouterr()
    gpt, tiny = cell_of(run, "speech.gpt.s0"), cell_of(run, "speech.tiny.s0")
    assert (tiny / "samples.jsonl").read_text() == (gpt / "samples.jsonl").read_text()
    for decoding in ("sample@1", "sample@0.8"):
        assert values_of(tiny, decoding) == values_of(gpt, decoding)
    theirs, own = values_of(gpt, ""), values_of(tiny, "")
    assert own["frontier-area-2"] == theirs["frontier-area-2"]
    with np.load(tiny / "likelihood.npz") as mine, np.load(gpt / "likelihood.npz") as other:
        assert np.array_equal(mine["final|test|sums"], other["final|test|sums"])
        tokens = mine["final|test|tokens"]
    with np.load(cell_of(run, "speech.ngram.s0") / "likelihood.npz") as ours:
        assert np.array_equal(tokens, ours["final|test|tokens"]), "nats per token of the task, as the others' are"
    nll = own["nll-test"][0]
    assert nll == pytest.approx(-np.load(tiny / "likelihood.npz")["final|test|sums"].sum() / tokens.sum())
    texts = read_json(tiny / "cell.json")["rows"]["test"]
    assert len(tokens) == texts
    assert own["nll-test"][4] != theirs["nll-test"][4], "another unit, another measurement"
    facts = read_json(tiny / "cell.json")["external"]
    assert (facts["checkpoint"], facts["parameters"] > 0, len(facts["sha256"])) == ("tiny", True, 64)
    assert f"note     nll-test: {nll:.4f} nats per token of the task ({tokens.sum()} of them)" in told.out


@pytest.mark.slow
def test_a_checkpoint_without_a_run(lines, checkpoint, tmp_path, capsys):
    words = ("--hf", str(checkpoint), "--task", "speech", "--data", str(lines), "-n", "12", "--json")
    assert main(["score", *words, "--metrics", "bleu-2,nll-test,frontier-distance-2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["metric"], each["decoding"]) for each in found] == [
        ("bleu-2", "sample@1"), ("nll-test", ""), ("frontier-distance-2", "")]  # fmt: skip
    assert all(each["value"] is not None for each in found)
    assert "|hyps:12|" in found[0]["signature"]


@pytest.mark.slow
def test_an_encoder_decoder_answers_the_sources(run, tmp_path, capsys):
    pairs = make_pair_checkpoint(tmp_path / "pair", ["i", "you", "the", "a", "is"])
    words = ("--hf", str(pairs), "--into", str(run), "--task", "dialogue", "--as", "pair", "--decoding", "greedy")
    assert main(["score", *words]) == 0
    folder = cell_of(run, "dialogue.pair.s0")
    assert values_of(folder, "greedy").keys() == values_of(cell_of(run, "dialogue.retrieval.s0"), "greedy").keys()
    nll = next(row for row in read_json(folder / "result.json")["rows"] if row["metric"] == "nll-test")
    cut = nll["reason"].endswith("are longer than the 12 tokens that it reads")
    assert cut != (nll["value"] is not None), "exact, or not told"


def broken(checkpoint: Path, folder: Path, **change: object) -> Path:
    shutil.copytree(checkpoint, folder)
    for name, content in change.items():
        path = folder / name.replace("__", ".")
        if content is None:
            path.unlink()
        else:
            path.write_text(str(content))
    return folder


@pytest.mark.slow
def test_checkpoints_that_are_refused(lines, checkpoint, tmp_path, capsys):
    config = json.loads((checkpoint / "config.json").read_text())
    auto = json.dumps({**config, "model_type": "mine", "auto_map": {"AutoModelForCausalLM": "mine.Model"}})
    bart = json.dumps({**config, "is_encoder_decoder": True})
    for change, said in (
        ({"model__safetensors": None, "pytorch_model__bin": "x"}, "its weights are pickles (pytorch_model.bin)"),
        ({"model__safetensors": None}, "it has no weights"),
        ({"config__json": None}, "no model without config.json, and it has none"),
        ({"config__json": "{"}, "no model without config.json, and it can't be read"),
        ({"config__json": auto}, "it brings code of its own (auto_map), which is not run here"),
        ({"config__json": bart}, "an encoder-decoder, and the task has no sources"),
        ({"model__safetensors": "x"}, "can't be loaded: "),
    ):
        folder = broken(checkpoint, tmp_path / str(len(list(tmp_path.iterdir()))), **change)
        assert main(["score", "--hf", str(folder), "--task", "speech", "--data", str(lines)]) == 2
        told = capsys.readouterr().err
        assert said in told
        assert told.count("\n") == 1
    assert main(["score", "--hf", str(checkpoint), "--task", "dialogue", "--data", "embedded"]) == 2
    assert "no encoder-decoder, and the task has sources" in capsys.readouterr().err


def test_names_on_the_hub(lines, monkeypatch, tmp_path, capsys):
    """Fetched without pickles and programs; what can't be fetched is one line."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked = []

    def fetch(name, revision, allow_patterns):
        asked.append((name, revision, allow_patterns))
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert main(["score", "--hf", "some/model@v2", "--task", "speech", "--data", str(lines)]) == 2
    told = capsys.readouterr().err
    assert "--hf some/model@v2: neither a folder here nor in the hub's cache, and the hub can't be reached" in told
    assert told.count("\n") == 1
    ((name, revision, patterns),) = asked
    assert (name, revision) == ("some/model", "v2")
    assert not any(word in " ".join(patterns) for word in (".bin", ".py", ".pt", "*.*"))
    for wrong in ("./nowhere", "a/b/c", str(tmp_path / "none")):
        assert main(["score", "--hf", wrong, "--task", "speech", "--data", str(lines)]) == 2
        assert "no such folder" in capsys.readouterr().err
    assert len(asked) == 1


def test_a_name_has_to_be_one(run):
    from bench.outside.external import Place

    for name in ("mine", "GPT-2_tuned", "模型", "a+b"):
        assert Place(run, name).name == name
    for name in ("", " ", "a b", "-x", ".x", "x/y", "x\n", "a" * 61):
        with pytest.raises(UserError, match="is no name for a row"):
            Place(run, name)
