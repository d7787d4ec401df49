"""How metrics cut text into tokens, by name.

A number depends on this as much as on its formula, so a name stands for one fixed rule and goes into the signature.

- `nltk-lower` (also `word-lower`): NLTK's word tokeniser on the stripped, lower-cased line.
- `nltk` (also `word`): the same, cased.
- `char`: one token a character, white space dropped, for Chinese.
- `space`: split at white space, for text that is tokenised already.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable

from metrics.base import MetricError

Cut = Callable[[str], list[str]]

NAMES = ("nltk-lower", "nltk", "char", "space")
ALIASES = {"word-lower": "nltk-lower", "word": "nltk"}
ZERO_WIDTH_JOINER = "\u200d"

# NLTK's tokeniser runs some thirty substitutions. On a line of ASCII words, commas and one full stop, all of them
# together only set commas and the stop apart; such lines are most of a corpus of captions, and cost a twentieth so
PLAIN = re.compile(r"[A-Za-z0-9]+(?:(?: ?,)? [A-Za-z0-9]+)*(?: ?\.)?")
CONTRACTIONS = frozenset({"cannot", "gimme", "gonna", "gotta", "lemme", "wanna"})  # words that NLTK cuts in two


def canonical(name: str) -> str:
    """The name that signatures use: two names of one rule must not look like two measurements.

    Raises:
        MetricError: unknown name.
    """
    found = ALIASES.get(name, name)
    if found in NAMES:
        return found
    known = [*NAMES, *ALIASES]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    raise MetricError(f'no tokeniser "{name}" for metrics: {hint}')


def tokenizer(name: str) -> Cut:
    """The function that cuts one text; text without a token gives an empty list.

    Raises:
        MetricError: unknown name.
    """
    found = canonical(name)
    if found == "char":
        return characters
    if found == "space":
        return str.split
    return _nltk(lower=found == "nltk-lower")


def characters(text: str) -> list[str]:
    """One token a character as a reader counts them.

    Text is brought to NFC, so that the two ways of writing one character are equal; a mark that NFC can't compose, a
    variation selector, or what a zero-width joiner joins, stays with the character before it.
    """
    plain = "".join(unicodedata.normalize("NFC", text).split())
    if plain.isascii():
        return list(plain)
    tokens: list[str] = []
    for character in plain:
        if tokens and (_is_mark(character) or tokens[-1].endswith(ZERO_WIDTH_JOINER)):
            tokens[-1] += character
        else:
            tokens.append(character)
    return tokens


def _is_mark(character: str) -> bool:
    return character == ZERO_WIDTH_JOINER or unicodedata.category(character).startswith("M")


def _nltk(*, lower: bool) -> Cut:
    # the class itself and not `word_tokenize`: that would first split sentences, with a model that has to be downloaded
    from nltk.tokenize.destructive import NLTKWordTokenizer

    cut = NLTKWordTokenizer().tokenize

    def words(text: str) -> list[str]:
        line = text.strip().lower() if lower else text.strip()
        if PLAIN.fullmatch(line):
            tokens = line.replace(",", " ,").replace(".", " .").split()
            if CONTRACTIONS.isdisjoint(tokens if lower else map(str.lower, tokens)):
                return tokens
        return list(cut(line))

    return words
