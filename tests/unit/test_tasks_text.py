"""Tokenisers, vocabularies, codecs; Moses words against sacremoses itself."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacremoses import MosesTokenizer

from tasks.base import DataError, Vocabulary
from tasks.moses import MosesWords
from tasks.text import (
    BREAK,
    Blanks,
    Characters,
    Codec,
    Verses,
    Words,
    build_vocabulary,
    make_tokeniser,
    subword_vocabulary,
    train_subwords,
)

_RIMS = """it's dogs' 'tis Mr. Dr. U.S. No. no 12 3.5 5,300 5, ,5 (see) "so" end. end.) ... .. a.b. l’ami qu'il
aujourd'hui $5 50% e-mail --- & < > [x] `q' foo@bar.com http://a.b/c ; : ? ! - ' , . é É ß œuvre 中文 «oui» „ja“
z.B. M. 1."""
_PIECES = st.sampled_from(_RIMS.split())
_TEXTS = st.one_of(st.lists(_PIECES, max_size=12).map(" ".join), st.text(max_size=40))


_MOSES = {language: (MosesWords(language), MosesTokenizer(language)) for language in ("en", "fr", "de")}


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "fr", "de"])
@settings(max_examples=250, deadline=None)
@given(text=_TEXTS)
def test_moses_words_are_those_of_sacremoses(language: str, text: str) -> None:
    words, reference = _MOSES[language]
    assert words.tokenise(text) == reference.tokenize(text, escape=False)
    assert words.tokenise(text) == reference.tokenize(text, escape=False)  # now from what was remembered


@pytest.mark.parametrize(
    ("language", "text", "tokens"),
    [
        ("en", "Don't stop, Mr. Smith!", ["Don", "'t", "stop", ",", "Mr.", "Smith", "!"]),
        ("fr", "L'eau, c'est la vie.", ["L'", "eau", ",", "c'", "est", "la", "vie", "."]),
        ("de", "Er kam z.B. um 5 Uhr.", ["Er", "kam", "z.B.", "um", "5", "Uhr", "."]),
    ],
)
def test_words_come_apart_and_together(language: str, text: str, tokens: list[str]) -> None:
    words = Words(language)
    assert words.tokenise(text) == tokens
    assert words.join(tokens) == text


def test_a_curly_apostrophe_comes_back_without_blanks() -> None:
    words = Words("fr")
    assert words.join(words.tokenise("Sait-il que tu l’aimes ?")) == "Sait-il que tu l’aimes ?"


def test_lower_case_is_part_of_the_name() -> None:
    assert Words("en", lower=True).tokenise("The End") == ["the", "end"]
    assert len({Words("en").name, Words("en", True).name, Words("fr").name, Characters().name, Blanks().name}) == 5


@given(st.text(max_size=60))
def test_characters_lose_white_space_only(text: str) -> None:
    characters = Characters()
    assert characters.join(characters.tokenise(text)) == "".join(text.split())


@given(st.text(alphabet=st.characters(exclude_categories=["Z", "C"]), min_size=20, max_size=20))
def test_a_poem_comes_back_in_its_lines(text: str) -> None:
    poem = "\n".join(text[i : i + 5] for i in range(0, 20, 5))
    verses = Verses(width=5)
    assert verses.join(verses.tokenise(poem)) == poem


def test_there_is_no_tokeniser_of_another_name() -> None:
    with pytest.raises(DataError, match=r"no tokeniser 'moses': there are word, char, space"):
        make_tokeniser("moses")


@given(st.lists(st.lists(st.sampled_from("abcdefg"), max_size=8), max_size=8), st.integers(2, 9), st.integers(1, 3))
def test_a_vocabulary_is_the_most_frequent_then_the_first(lines: list[list[str]], size: int, least: int) -> None:
    vocab = build_vocabulary(lines, max_size=size, min_count=least)
    counts = Counter(token for line in lines for token in line)
    wanted = sorted((t for t in counts if counts[t] >= least), key=lambda t: (-counts[t], t))[: size - 2]
    assert vocab.tokens == ("</s>", "<unk>", *wanted)
    assert (vocab.eos, vocab.unk, vocab.size) == (0, 1, len(wanted) + 2)


def test_specials_in_the_text_stay_text() -> None:
    vocab = build_vocabulary([["</s>", "<unk>", BREAK, "a"]], extra=(BREAK,))
    codec = Codec(vocab, Blanks(), separator=2)
    assert vocab.tokens == ("</s>", "<unk>", BREAK, "a")
    assert codec.encode(f"a </s> {BREAK} <unk>") == [3, 1, 1, 1]


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5).map(" ".join), min_size=1, max_size=4)
)
def test_lines_of_a_text_come_back(lines: list[str]) -> None:
    codec = Codec(build_vocabulary([["a", "b", "c"]], extra=(BREAK,)), Blanks(), separator=2)
    text = "\n".join(lines)
    assert codec.decode([*codec.encode(text), 0, 3]) == text


def test_decoding_stops_at_the_end_and_marks_the_unknown() -> None:
    codec = Codec(build_vocabulary([list("春江花月")]), Characters())
    ids = codec.encode("春X月")
    assert ids[1] == 1
    assert codec.decode([*ids, 0, 3, 4]) == "春〓月"
    for outside in (codec.vocab.bos, codec.vocab.pad, -1):
        with pytest.raises(ValueError, match=r"not in the vocabulary \(0 \.\. 5\)"):
            codec.decode([outside])


def test_marks_of_unknown_words_stay_words() -> None:
    words = Words("fr", unknown="〓")
    assert words.join(["le", "〓", "〓", ",", "〓", "."]) == "le 〓 〓, 〓."
    assert Words("fr").join(["le", "<unk>", "<unk>", "."]) == "le <unk> <unk>."


def test_a_vocabulary_without_unknown_refuses_them() -> None:
    codec = Codec(Vocabulary(("0", "1"), eos=None, unk=None), Blanks())
    assert codec.encode("1 0 1") == [1, 0, 1]
    assert codec.decode([0, 1, 0]) == "0 1 0"
    with pytest.raises(ValueError, match="'2' is not in the vocabulary"):
        codec.encode("0 2")


_BPE = train_subwords(["the lower the newest", "le plus bas, l'été", "春江潮水連海平"] * 3, 400, 2)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_subwords_give_every_text_back(text: str) -> None:
    codec = Codec(subword_vocabulary(_BPE), _BPE)
    ids = codec.encode(text)
    assert codec.vocab.unk not in ids
    assert codec.decode(ids) == text


@pytest.mark.slow
def test_subwords_learn_the_same_in_another_process() -> None:
    script = (
        "from tasks.text import train_subwords;"
        "print(train_subwords(['the lower the newest', \"le plus bas, l'été\", '春江潮水連海平'] * 3, 400, 2).name)"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        assert done.stdout.strip() == _BPE.name


def test_subwords_without_their_library_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def missing(name: str, *args: object, **kwargs: object) -> object:
        if name == "tokenizers":
            raise ImportError(name)
        return found(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DataError, match=r"pip install 'gantlet\[subword\]'"):
        train_subwords(["a"], 300)
