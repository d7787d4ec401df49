"""Text from a trained cell: what is asked for, and what is refused."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from baselines.base import Decoding, Infiller
from bench.cell import run_cell
from bench.cli import main
from bench.config import Settings, make_grid
from bench.errors import UserError
from bench.plan import plan_task
from bench.registry import make_task
from bench.sampling import Speaker, with_blanks
from bench.store import RunStore, read_json
from tasks.sources import EmbeddedSource
from tests.toys import free_corpus
from tests.unit.test_baselines_adversarial_nmt import TINY as ADVERSARIAL
from tests.unit.test_baselines_maskgan import TINY

MLE = {"epochs": 1, "net": {"embedding": 8, "hidden": 8, "encoder": 4, "attention": 4, "readout": 8, "tied": False}}
SAMPLE, GREEDY = Decoding(), Decoding("greedy")


def trained(
    out: Path, task: str, baseline: str, data: str, settings: dict[str, Any], more: dict[str, Any] | None = None
) -> Path:
    grid = make_grid(
        {"name": "t", "tasks": (task,), "baselines": (baseline,), "seeds": (0,), "budget": "smoke", "data": data},
        {"settings": {baseline: settings, **(more or {})}, "limit": 60, "references": False, "temperatures": ()},
        "a test",
    )
    store = RunStore(out)
    (cell,) = plan_task(grid, task).cells
    ended = run_cell(cell.spec, store, Settings(), lambda *_: None, lambda: False)
    assert ended == {"status": "done", "reason": ""}
    return store.cell(cell.spec).path


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "lines.txt"
    rng = random.Random(1)
    lines = {" ".join(rng.choices("abcdefgh", k=rng.randrange(3, 9))) for _ in range(400)}
    path.write_text("\n".join(sorted(lines)) + "\n")
    return path


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory, words: Path) -> Path:
    return trained(tmp_path_factory.mktemp("mle"), "speech", "mle", str(words), MLE)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory, words: Path) -> Path:
    return trained(tmp_path_factory.mktemp("maskgan"), "speech", "maskgan", str(words), TINY)


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("pairs"), "dialogue", "mle", "embedded", MLE)


def test_samples_repeat_with_their_seed(free: Path) -> None:
    speaker = Speaker(free)
    first = speaker.samples(20, SAMPLE, 3)
    assert len(first) == 20
    assert first == Speaker(free).samples(20, SAMPLE, 3)
    assert first != speaker.samples(20, SAMPLE, 4)
    assert set(" ".join(first).split()) <= {*"abcdefgh", "<unk>"}


def test_answers_are_in_the_order_of_their_sources(answering: Path) -> None:
    speaker = Speaker(answering)
    sources = ["hello .\thow are you ?", "what is your name ?"]
    both = speaker.answers(sources, GREEDY, 0)
    assert [speaker.answers([source], GREEDY, 0)[0] for source in sources] == both
    with pytest.raises(UserError, match=r"source 2 has \d+ tokens"):
        speaker.answers(["hello", "word " * 500], GREEDY, 0)


@pytest.mark.parametrize(("task", "settings"), [("dialogue", {}), ("summarization", {"digits": "tag"})])
def test_a_source_as_people_have_it_is_answered_as_the_cell_did(
    tmp_path: Path, task: str, settings: dict[str, Any]
) -> None:
    """Turns and numbers are made into what training read."""
    path = trained(tmp_path, task, "mle", "embedded", MLE, {task: settings})
    rows = [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]
    scored = [row["text"] for row in rows if (row["split"], row["decoding"]) == ("test", "greedy")]
    plain = make_task(task, {}).load(EmbeddedSource(), 60).splits["test"].examples
    assert any(re.search(r"\d", part) for row in plain for part in row.source) or not settings
    mine = [i for i, row in enumerate(plain) if len(row.source) <= 3]
    asked = ["\t".join(plain[i].source) for i in mine]
    assert Speaker(path).answers(asked, GREEDY, 0) == [scored[i] for i in mine]


@pytest.mark.parametrize(("baseline", "own"), [("mle", MLE), ("adversarial_nmt", ADVERSARIAL)])
def test_a_corpus_in_subwords_is_learnt_from_and_answered(tmp_path: Path, baseline: str, own: dict[str, Any]) -> None:
    """No word is unknown, texts are words again, and what a decoding makes of `<unk>` changes nothing."""
    subwords = {"tokenizer": "bpe", "max_vocab": 400}
    path = trained(tmp_path, "translation", baseline, "embedded", own, {"translation": subwords})
    rows = [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]
    texts: dict[str, list[str]] = {}
    for row in rows:
        if (row["stage"], row["split"]) == ("final", "test"):
            texts.setdefault(row["decoding"], []).append(row["text"])
    assert texts["beam5@1"] == texts["beam5@1/replace-unk"]
    assert "〓" not in "".join(texts["greedy"])
    found = {(row["metric"], row["decoding"]): row["value"] for row in read_json(path / "result.json")["rows"]}
    assert found["unk", "greedy"] == 0.0
    assert found["sacrebleu", "greedy"] >= 0.0
    corpus = make_task("translation", subwords).load(EmbeddedSource(), 60)
    assert [corpus.decode(corpus.splits["test"].targets)[i] for i in range(5)] == [
        row.target for row in corpus.splits["test"].examples[:5]
    ]
    sources = [row.source[0] for row in corpus.splits["test"].examples]
    assert Speaker(path).answers(sources, GREEDY, 0) == texts["greedy"]


def test_more_turns_than_are_read_are_refused(answering: Path) -> None:
    with pytest.raises(UserError, match="source 2 has 4 turns; the last 3 are read: leave out those before them"):
        Speaker(answering).answers(["hello", "a\tb\tc\td"], GREEDY, 0)


def test_blanks_are_filled_and_the_rest_is_kept(masked: Path) -> None:
    speaker = Speaker(masked)
    assert isinstance(speaker.generator, Infiller)
    found = speaker.filled("a ___ c ___", 30, SAMPLE, 1)
    assert len(found) == 30
    assert len(set(found)) > 1
    assert all(text.split()[0] == "a" and text.split()[2] == "c" for text in found if len(text.split()) > 2)


def test_blanks_of_a_text() -> None:
    varied, fixed = free_corpus(60), free_corpus(60, fixed_length=4)
    ids, blanks = with_blanks("a ___ c", varied)
    assert [ids[0], ids[2], ids[3]] == [*varied.target_codec.encode("a c"), varied.vocab.eos]
    assert blanks.tolist() == [False, True, False, False]
    assert with_blanks("___ ___ c d", fixed)[1].tolist() == [True, True, False, False]
    for text, corpus, told in (
        ("a b", varied, "no blank"),
        ("a ___ c", fixed, "every text of toy_free has 4"),
        ("___ " * 9, varied, "at most 8"),
    ):
        with pytest.raises(UserError, match=told):
            with_blanks(text, corpus)


def test_what_cannot_be_asked(free: Path, answering: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {
        (str(tmp_path),): "is not a cell",
        (str(free), "--stage", "pretrain"): 'no stage "pretrain"; it kept final',
        (str(free), "--fill", "a ___"): "MaskGAN does",
        (str(free), "--decoding", "beam3"): "free text is drawn by sample",
        (str(free), "--decoding", "bean"): "is none of",
        (str(answering),): "give them with --sources",
        (str(free), "--sources", str(tmp_path / "none.txt")): "none.txt",
    }
    for words, told in asked.items():
        assert main(["sample", *words]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert error.startswith("error: ")
        assert len(error.splitlines()) == 1
    assert main(["sample", str(free), "-n", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
