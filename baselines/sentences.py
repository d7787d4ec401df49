"""Cuts text into sentences by rules: English and Chinese, no model and nothing to download.

A full stop ends a sentence unless what stands before it says otherwise: a title, an initial, an acronym, an item's
number.
"""

from __future__ import annotations

import re

_MARK = re.compile(r"[.!?。！？]+[\"'”’」』》）)\]]*")
_OPENERS = "\"'“‘「『《（(["
_CHINESE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_NUMBERING = re.compile(r"(?:^|[^\d.])\d{1,2}$")
_ITEM = re.compile(r"[(\[]?(?:\d{1,3}|[A-Za-z]|[ivx]+)[)\]]?")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# never the end of a sentence
_TITLES = _words(
    "mr mrs ms dr prof st gen col sen rep gov lt capt sgt rev hon pres fig figs eq eqs sec secs ref refs thm def tab "
    "vs cf approx ca resp viz jan feb mar apr aug sept oct nov dec e.g i.e"
)
# the end of one only before a word that begins sentences
_MAYBE = _words("al etc inc ltd co corp jr sr dept univ est")
# never the end of one before a number
_COUNTED = _words("no nos vol vols p pp ch chap art app par")
_STARTERS = _words(
    "a an the this that these those we our i you he she it its they their there here his her in on at by to for from "
    "with as if when while since after before although though however moreover furthermore finally first second then "
    "thus therefore hence and but or so also both each many most some such what who how why where yet not no"
)


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, in order, without blanks around them. A line break always parts two."""
    found = []
    lower = text == text.lower()
    for line in text.splitlines():
        start = 0
        for mark in _MARK.finditer(line):
            if _is_end(line[start : mark.start()], mark.group(), line[mark.end() :], lower):
                found.append(line[start : mark.end()])
                start = mark.end()
        found.append(line[start:])
    return [sentence.strip() for sentence in found if sentence.strip()]


def is_chinese(character: str) -> bool:
    """Chinese or Japanese writing, full-width marks included."""
    return bool(_CHINESE.match(character))


def _is_end(before: str, mark: str, after: str, lower: bool) -> bool:
    """Whether a sentence that began with `before` ends at `mark`.

    Args:
        lower: the whole text is in small letters, so that a capital is no condition of a beginning.
    """
    if not after.strip():
        return True
    if any(character in "。！？" for character in mark):
        return True
    if is_chinese(after[0]) or is_chinese(before[-1:]):
        return not _NUMBERING.search(before)  # "2.采用" is an item of a list, "0.05.结论" an end
    if not after[0].isspace():
        return False
    following = after.lstrip().lstrip(_OPENERS)[:1]
    if following.islower() and not lower:
        return False
    if "!" in mark or "?" in mark:
        return True
    return not _belongs(before, after, following)


def _belongs(before: str, after: str, following: str) -> bool:
    """The full stop belongs to the word before it, and the sentence goes on."""
    if not any(map(str.isalnum, before)) or _ITEM.fullmatch(before.strip()):
        return True
    if before[-1].isspace():  # the text was cut into tokens: an abbreviation keeps its full stop
        return False
    word = before.split()[-1].lstrip(_OPENERS).lower()
    if word in _TITLES or (word in _COUNTED and following.isdigit()):
        return True
    initial = len(word) == 1 and word.isalpha()
    if initial or word in _MAYBE or _ACRONYM.fullmatch(word):
        return after.split()[0].strip(_OPENERS + ",;:").lower() not in _STARTERS
    return False
