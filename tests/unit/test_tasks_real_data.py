"""Every real set, where it is at hand: it loads, nothing overlaps, and text survives tokens and back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from sacremoses import MosesTokenizer

from tasks.base import Corpus, Task
from tasks.captions import Captions
from tasks.dialogue import Dialogue
from tasks.moses import MosesWords
from tasks.opening import open_source
from tasks.poetry import Poetry, PoetryOptions
from tasks.speech import Speech, SpeechOptions
from tasks.summarization import Summarization, SummarizationOptions
from tasks.translation import Translation, TranslationOptions

pytestmark = [pytest.mark.data, pytest.mark.slow]

_EXTRA = ("test_ntrex", "test_flores101")
_TASKS: dict[str, Task] = {
    "poetry_jueju5": Poetry(),
    "poetry_jueju7": Poetry(PoetryOptions(chars=7)),
    "speech_obama": Speech(),
    "speech_us": Speech(SpeechOptions(dataset="speech_us")),
    "caption_coco": Captions(),
    "mt_en_fr": Translation(TranslationOptions(extra_tests=(*_EXTRA, "test_tico19"))),
    "mt_de_en": Translation(TranslationOptions(pair="de-en", extra_tests=_EXTRA)),
    "mt_de_fr": Translation(TranslationOptions(pair="de-fr", extra_tests=_EXTRA)),
    "sum_arxiv": Summarization(SummarizationOptions(wikinews=True)),
    "sum_scitldr": Summarization(SummarizationOptions(set="scitldr")),
    "sum_csl_zh": Summarization(SummarizationOptions(set="csl_zh")),
    "dialogue_selfdialogue": Dialogue(),
}


def _expected_rows(root: Path, name: str) -> dict[str, int]:
    files = json.loads((root / name / "meta.json").read_text())["files"]
    return {entry["file"].split(".")[0]: entry["rows"] for entry in files}


@pytest.mark.parametrize("name", _TASKS)
def test_a_real_set_loads(data_root: Path, name: str) -> None:
    corpus = _TASKS[name].load(open_source(str(data_root)))
    rows = _expected_rows(data_root, name)
    for split, counts in corpus.counts.items():
        if split in rows:
            assert counts["rows"] + counts.get("dropped_long", 0) == rows[split]
    assert corpus.dataset == name
    assert not any("also in" in warning for warning in corpus.warnings)
    assert _unknown(corpus, "train") < 0.08


def _unknown(corpus: Corpus, split: str) -> float:
    counts = corpus.counts[split]
    return counts["unknown_target_tokens"] / counts["target_tokens"]


def _texts(root: Path, name: str, key: str, count: int) -> list[str]:
    with gzip.open(root / name / "train.jsonl.gz", "rt", encoding="utf-8") as file:
        rows: list[dict[str, Any]] = [json.loads(line) for _, line in zip(range(count), file, strict=False)]
    return [row[key] for row in rows]


@pytest.mark.parametrize(
    ("name", "key", "language", "back"),
    [
        ("mt_en_fr", "src", "en", 0.94),
        ("mt_en_fr", "tgt", "fr", 0.95),
        ("mt_de_en", "src", "de", 0.95),
        ("speech_us", "text", "en", 0.97),
        ("caption_coco", "text", "en", 0.98),
        ("dialogue_selfdialogue", "response", "en", 0.95),
        ("sum_arxiv", "article", "en", 0.70),
    ],
)
def test_words_of_real_text(data_root: Path, name: str, key: str, language: str, back: float) -> None:
    texts = _texts(data_root, name, key, 1500)
    words, reference = MosesWords(language), MosesTokenizer(language)
    cut = [words.tokenise(text) for text in texts]
    assert cut == [reference.tokenize(text, escape=False) for text in texts]
    same = sum(words.join(tokens) == " ".join(text.split()) for tokens, text in zip(cut, texts, strict=True))
    assert same / len(texts) > back


def test_subwords_give_real_text_back(data_root: Path) -> None:
    task = Translation(TranslationOptions(tokenizer="bpe", max_tokens=200, max_source_tokens=200))
    corpus = task.load(open_source(str(data_root)), 3000)
    for split in corpus.splits.values():
        assert corpus.decode(split.targets) == [example.target for example in split.examples]
