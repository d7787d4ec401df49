"""Tokenisers against NLTK, and the rules that this project made itself."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nltk.tokenize import NLTKWordTokenizer

from metrics import MetricError
from metrics.tokenize import CONTRACTIONS, canonical, tokenizer

# words, the ones NLTK cuts in two, and all the signs its rules look for, glued together at random
SIGNS = ", . ... - -- ' \" n't 's ` `` '' ? ! : ; ( ) _ 'tis d'ye \u2014 \u00e9 U.S. 3.5 can not"
piece = st.sampled_from(
    ["a", "Dog", "x1", "3", " ", "  ", " .", " ,", "\n", "\r", "\t", *SIGNS.split(), *sorted(CONTRACTIONS)]
)


@pytest.mark.slow
@settings(deadline=None, max_examples=500)
@given(st.lists(piece, max_size=12).map("".join))
@example("a dog, a cat , and 2 more words .")
@example("Gonna go.")
@example("I wanna")
@example("a ,b")
@example("a, b.")
@example(".")
def test_words_are_nltks(text):
    cut = NLTKWordTokenizer().tokenize
    assert tokenizer("nltk-lower")(text) == cut(text.strip().lower())
    assert tokenizer("nltk")(text) == cut(text.strip())


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(["Ab", "b9", "cannot", "WANNA", "I"]), max_size=8), st.data())
def test_plain_lines_are_cut_as_nltk_cuts_them(words, data):
    """Such lines don't go through NLTK, so they get a test of their own."""
    joints = data.draw(st.lists(st.sampled_from([" ", ", ", " , "]), min_size=len(words), max_size=len(words)))
    end = data.draw(st.sampled_from(["", ".", " ."]))
    line = "".join(joint + word for joint, word in zip(joints, words, strict=True)).strip(" ,") + end
    assert tokenizer("nltk")(line) == NLTKWordTokenizer().tokenize(line)
    assert tokenizer("nltk-lower")(line) == NLTKWordTokenizer().tokenize(line.lower())


@settings(deadline=None)
@given(st.text())
def test_characters_lose_nothing_but_white_space(text):
    tokens = tokenizer("char")(text)
    assert "".join(tokens) == "".join(unicodedata.normalize("NFC", text).split())
    assert all(tokens)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("白日 依山盡\n黃河入海流", list("白日依山盡黃河入海流")),
        ("", []),
        (" \r\n\t\u3000", []),
        ("e\u0301t", ["\u00e9", "t"]),  # composed by NFC
        ("q\u0323\u0307y", ["q\u0323\u0307", "y"]),  # no composed form: the marks stay with their letter
        ("\u0301a", ["\u0301", "a"]),  # a mark with nothing before it
        ("葛\U000e0100城", ["葛\U000e0100", "城"]),  # a variation selector
        ("\U00020000a", ["\U00020000", "a"]),
        ("\U0001f469\u200d\U0001f52ca", ["\U0001f469\u200d\U0001f52c", "a"]),
        ("ab c", ["a", "b", "c"]),
    ],
)
def test_characters_by_hand(text, tokens):
    assert tokenizer("char")(text) == tokens


def test_space():
    assert tokenizer("space")(" a\tB\r\nc. ") == ["a", "B", "c."]


def test_two_names_of_one_rule_have_one_signature():
    assert canonical("word-lower") == canonical("nltk-lower") == "nltk-lower"
    assert canonical("word") == canonical("nltk") == "nltk"


def test_unknown_name():
    with pytest.raises(MetricError, match='no tokeniser "chr" for metrics: did you mean char'):
        tokenizer("chr")
    with pytest.raises(MetricError, match="known: nltk-lower, nltk, char"):
        tokenizer("zzzzz")


@pytest.mark.parametrize("name", ["nltk-lower", "nltk", "char", "space"])
def test_very_long_lines(name):
    assert len(tokenizer(name)("word, " * 20_000 + "\r'" * 2_000)) >= 20_000
