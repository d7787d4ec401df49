"""The embedded corpora as data: the same everywhere, distinct, apart, of sensible size, and not solved by a bigram."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tasks.base import DataError
from tasks.embedded import DATASETS, HASHES, SPLITS, content_hash, rows
from tasks.embedded.__main__ import main
from tasks.embedded.grammar import Draw, deal
from tests.unit.embedded_judges import keeps_the_rules, one_scene, one_topic

ROOT = Path(__file__).resolve().parents[2]
FREE = ("poetry", "poetry7", "speech", "captions")
# Distinct tokens over all splits; below it would be too easy, above too sparse for a few thousand rows.
VOCABULARY = {
    "poetry": (250, 450),
    "poetry7": (250, 450),
    "speech": (400, 900),
    "translation": (600, 2200),
    "summarization": (500, 2500),
    "dialogue": (300, 900),
    "captions": (300, 600),
}


def source(row: dict) -> str:
    """What must not stand in two splits: the text, or the source."""
    for field in ("text", "src", "article"):
        if field in row:
            return row[field]
    return "\n".join(row["context"])


def written(row: dict) -> str:
    """What a model learns to write."""
    if "highlights" in row:
        return " ".join(row["highlights"])
    return row.get("text") or row.get("tgt") or row["response"]


def tokens(dataset: str, text: str) -> list[str]:
    return list(text) if dataset.startswith("poetry") else re.findall(r"\w+|[^\w\s]", text)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", DATASETS)
def test_content_is_the_published_one(dataset: str) -> None:
    assert content_hash(dataset) == HASHES[dataset]


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_content_does_not_depend_on_the_process(hash_seed: str) -> None:
    code = "import json, tasks.embedded as e; print(json.dumps({d: e.content_hash(d) for d in e.DATASETS}))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(found.stdout) == dict(HASHES)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", DATASETS)
def test_sizes_fields_and_distinctness(dataset: str) -> None:
    splits = {split: rows(dataset, split) for split in SPLITS}
    assert len(splits["train"]) in (3000, 4000)
    assert len(splits["valid"]) == 400
    assert len(splits["test"]) == 500
    sources = [source(row) for split in SPLITS for row in splits[split]]
    assert len(set(sources)) == len(sources)
    for split in SPLITS:
        for row in splits[split]:
            texts = itertools.chain.from_iterable(v if isinstance(v, list) else [v] for v in row.values())
            assert all(text and text == text.strip() and "  " not in text for text in texts), row
            assert ("refs" in row) == (dataset == "translation" and split != "train")


@pytest.mark.parametrize("dataset", DATASETS)
def test_vocabulary_is_neither_tiny_nor_sparse(dataset: str) -> None:
    train = Counter(
        token for row in rows(dataset, "train") for token in tokens(dataset, f"{source(row)} {written(row)}")
    )
    low, high = VOCABULARY[dataset]
    assert low <= len(train) <= high
    test = [token for row in rows(dataset, "test") for token in tokens(dataset, f"{source(row)} {written(row)}")]
    unknown = sum(token not in train for token in test) / len(test)
    assert unknown < 0.03


def test_rows_belong_to_the_caller() -> None:
    rows("dialogue", "test")[0]["context"].append("more")
    rows("speech", "test")[0]["text"] = ""
    assert content_hash("dialogue") == HASHES["dialogue"]
    assert rows("speech", "test")[0]["text"]


@pytest.mark.parametrize(("dataset", "split"), [("sonnets", "train"), ("speech", "dev")])
def test_unknown_names_are_told(dataset: str, split: str) -> None:
    with pytest.raises(DataError, match="there are"):
        rows(dataset, split)


def test_a_grammar_that_runs_dry_is_refused() -> None:
    with pytest.raises(RuntimeError, match="only 3 of 5"):
        deal(lambda draw, split: (str(draw.between(1, 3)), {"text": "x"}), 0, {"train": 5})


def test_draws_are_uniform_and_samples_without_repetition() -> None:
    draw = Draw(7)
    counts = Counter(draw.between(2, 5) for _ in range(8000))
    assert sorted(counts) == [2, 3, 4, 5]
    chi2 = sum((count - 2000) ** 2 / 2000 for count in counts.values())
    assert chi2 < 16.3  # 0.1 % point of chi-square with 3 degrees of freedom
    orders = Counter(tuple(draw.shuffled("abc")) for _ in range(6000))
    assert len(orders) == 6
    assert sum((count - 1000) ** 2 / 1000 for count in orders.values()) < 20.5
    assert all(len(set(draw.some(range(5), 4))) == 4 for _ in range(100))


def ngram_nats(train: Iterable[list[str]], test: Iterable[list[str]], order: int) -> float:
    """Nats per token of an add-k model whose k is the best of several on the test rows: a bound in its favour."""
    pad = ["<s>"] * (order - 1)
    train, test = [[*pad, *row, "</s>"] for row in train], [[*pad, *row, "</s>"] for row in test]
    grams = Counter(tuple(row[i - order + 1 : i + 1]) for row in train for i in range(order - 1, len(row)))
    contexts = Counter()
    for gram, count in grams.items():
        contexts[gram[:-1]] += count
    size = len({row[i] for row in train + test for i in range(order - 1, len(row))})
    places = [tuple(row[i - order + 1 : i + 1]) for row in test for i in range(order - 1, len(row))]

    def nats(k: float) -> float:
        return -sum(math.log((grams[g] + k) / (contexts[g[:-1]] + k * size)) for g in places) / len(places)

    return min(nats(10.0**-e) for e in range(4))


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["speech", "captions"])
def test_longer_memory_pays(dataset: str) -> None:
    """More context predicts held-out text much better: a bigram model does not solve the task, a trigram nears it."""
    train = [tokens(dataset, row["text"]) for row in rows(dataset, "train")]
    test = [tokens(dataset, row["text"]) for row in rows(dataset, "test")]
    one, two, three = (ngram_nats(train, test, order) for order in (1, 2, 3))
    assert two < one - 1.0
    assert three < two - 0.05


@pytest.mark.slow
@pytest.mark.parametrize("dataset", FREE)
def test_bigrams_cannot_make_the_rows(dataset: str) -> None:
    """Text drawn from the bigrams of train is locally right everywhere, and globally never a row of the grammar."""
    cut = list if dataset.startswith("poetry") else str.split
    text = [cut(row["text"]) for row in rows(dataset, "train")]
    lengths = Counter(map(len, text))
    assert all(well_formed(dataset, row, lengths) for row in text[:1000])
    following: dict[str, list[str]] = {}
    for row in text:
        for one, two in itertools.pairwise(["<s>", *row, "</s>"]):
            following.setdefault(one, []).append(two)
    draw = Draw(11)
    odd = 0
    for _ in range(300):
        word, made = "<s>", []
        while (word := draw.one(following[word])) != "</s>" and len(made) < 200:
            made.append(word)
        odd += not well_formed(dataset, made, lengths)
    assert odd > 150


def well_formed(dataset: str, made: list[str], lengths: Counter[int]) -> bool:
    if dataset.startswith("poetry"):
        return keeps_the_rules("".join(made), 5 if dataset == "poetry" else 7)
    judge = one_topic if dataset == "speech" else one_scene
    return len(made) in lengths and judge(" ".join(made))


@pytest.mark.parametrize("dataset", ["translation", "summarization", "dialogue"])
def test_targets_are_not_to_be_had_from_memory(dataset: str) -> None:
    """Few test targets stand in train, and no target is the answer to a noticeable share of the sources."""
    train = Counter(written(row) for row in rows(dataset, "train"))
    test = [written(row) for row in rows(dataset, "test")]
    assert sum(text in train for text in test) / len(test) < {"dialogue": 0.5}.get(dataset, 0.12)
    assert max(train.values()) / train.total() < 0.01


def test_command_prints_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["poetry", "test", "-n", "2"]) == 0
    poems = capsys.readouterr().out.strip().split("\n\n")
    assert poems == [row["text"] for row in rows("poetry", "test")[:2]]
    assert main(["dialogue", "valid", "-n", "3", "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == rows("dialogue", "valid")[:3]
    assert main(["nothing"]) == 2
    assert "poetry7" in capsys.readouterr().err


def test_documentation_shows_what_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "embedded.md").read_text(encoding="utf-8")
    for dataset in DATASETS:
        assert HASHES[dataset] in page
        main([dataset, "test"])
        assert f"$ python -m tasks.embedded {dataset} test\n{capsys.readouterr().out}" in page
