"""Numbers as one token: what becomes of text, ids and fingerprints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.registry import make_task
from tasks.opening import open_source
from tasks.summarization import TAG, Summarization, SummarizationOptions, tagged
from tasks.text import Characters, Words
from tests.unit.test_tasks_loading import Memory

# of the embedded set, from before there was the option
FINGERPRINT = "0f8dfe7f5f5e347f74bd681641102401fe396973390800383b56242a2106553e"
OLD_OPTIONS = {
    "set": "arxiv",
    "tokenizer": "auto",
    "lower": True,
    "max_article_tokens": 400,
    "max_tokens": 100,
    "max_article_vocab": 20000,
    "max_vocab": 12000,
    "min_count": 2,
    "wikinews": False,
}
SETS = {
    "train": [
        {"article": "In 2019 , 3.5% of 1,234.5 cats (9) slept .", "highlights": ["12 Cats Slept .", "No 7 did ."]},
        {"article": "In 20 years , 4% slept .", "highlights": ["Some Cats Slept in 1999 ."]},
    ],
    "valid": [{"article": "No dogs .", "highlights": "1 dog", "refs": ["10 dogs", "a dog"]}],
    "test": [{"article": "COVID-19", "highlights": "v2.0b"}],
}


def loaded(**options: Any) -> Any:
    return Summarization(SummarizationOptions(min_count=1, **options)).load(Memory({"sum_arxiv": SETS}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", "TAGNUM"),
        ("no numbers , here .", "no numbers , here ."),
        ("about 1,234.5% of 10", "about TAGNUM % of TAGNUM"),
        ("3.5.", "TAGNUM ."),
        ("1, 2,", "TAGNUM , TAGNUM ,"),
        ("1..2", "TAGNUM .. TAGNUM"),
        ("a1b 22\n33", "a TAGNUM b TAGNUM\nTAGNUM"),
        ("2020年3月", "TAGNUM 年 TAGNUM 月"),
        ("\u0663\u0664 \uff12\uff10", "TAGNUM TAGNUM"),
        ("", ""),
    ],
)
def test_every_number_becomes_a_word_of_its_own(text: str, expected: str) -> None:
    assert tagged(text) == expected
    assert tagged(expected) == expected


def test_articles_summaries_and_references_are_tagged_alike() -> None:
    corpus = loaded(digits="tag")
    train = corpus.splits["train"].examples[0]
    assert train.source == ("In TAGNUM , TAGNUM % of TAGNUM cats ( TAGNUM ) slept .",)
    assert train.target == "TAGNUM Cats Slept .\nNo TAGNUM did ."
    assert train.references == (train.target,)
    valid = corpus.splits["valid"].examples[0]
    assert (valid.target, valid.references) == ("TAGNUM dog", ("TAGNUM dogs", "a dog"))
    for vocab in (corpus.vocab, corpus.source_vocab):
        assert vocab.tokens.count(TAG) == 1
        assert not any(character.isdigit() for token in vocab.tokens for character in token)
    tokens = [corpus.vocab.tokens[i] for i in corpus.splits["train"].targets[0]]
    assert tokens == [TAG, "cats", "slept", ".", "<br>", "no", TAG, "did", ".", "</s>"]
    assert corpus.decode(corpus.splits["train"].targets)[0] == "TAGNUM cats slept.\nno TAGNUM did."


@pytest.mark.parametrize("lower", [True, False])
def test_it_is_one_token_of_words_and_of_characters(lower: bool) -> None:
    task = Summarization(SummarizationOptions(digits="tag", lower=lower))
    cut = task._tokeniser()
    assert cut is not None
    assert cut.name == f"{Words(lower=lower).name}-tagnum"
    assert cut.tokenise("TAGNUM Cats , TAGNUM") == [TAG, "cats" if lower else "Cats", ",", TAG]
    assert cut.join([TAG, "cats", ",", TAG]) == "TAGNUM cats, TAGNUM"
    assert cut.tokenise("") == []
    chinese = Summarization(SummarizationOptions(set="csl_zh", digits="tag", lower=lower))._tokeniser()
    assert chinese is not None
    assert chinese.tokenise("TAGNUM 年A") == [TAG, "年", "a" if lower else "A"]
    assert chinese.unknown == Characters().unknown


def test_subwords_learn_from_tagged_text() -> None:
    pytest.importorskip("tokenizers")
    corpus = loaded(digits="tag", tokenizer="bpe", max_vocab=300, max_article_vocab=300)
    assert corpus.decode(corpus.splits["train"].targets)[0].startswith("tagnum cats")


def test_without_it_everything_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of options, fingerprints and with them all stored results."""
    monkeypatch.setenv("GANTLET_CACHE", str(tmp_path))
    assert SummarizationOptions().model_dump(mode="json") == OLD_OPTIONS
    assert list(SummarizationOptions().model_dump()) == list(OLD_OPTIONS)
    assert Summarization().load(open_source()).fingerprint == FINGERPRINT
    assert loaded().fingerprint == loaded(digits="keep").fingerprint
    plain = loaded().splits["train"].examples[0]
    assert plain.source == (SETS["train"][0]["article"],)


def test_with_it_the_fingerprint_is_another_and_options_go_there_and_back() -> None:
    assert loaded(digits="tag").fingerprint != loaded().fingerprint
    options = SummarizationOptions(digits="tag")
    assert options.model_dump(mode="json") == {**OLD_OPTIONS, "digits": "tag"}
    for kept in (options, SummarizationOptions()):
        assert make_task("summarization", kept.model_dump(mode="json")).options == kept


def test_the_slides_truncation_is_an_option_too() -> None:
    long = {"article": " ".join(["word"] * 500), "highlights": "a title"}
    sets = {"train": [long, {**long, "highlights": "b"}], "valid": [SETS["valid"][0]], "test": [SETS["test"][0]]}
    corpus = Summarization(SummarizationOptions(max_article_tokens=350, digits="tag")).load(Memory({"sum_arxiv": sets}))
    sources = corpus.splits["train"].sources
    assert sources is not None
    assert sources.lengths.tolist() == [350, 350]
    assert corpus.max_source_length == 350
