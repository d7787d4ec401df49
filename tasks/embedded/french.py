"""French morphology for the translation grammar: words with their forms, agreement, elision and contraction.

Facts of the language as any school grammar has them. Persons are numbered 0 to 5: je, tu, il or elle, nous, vous, ils
or elles.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# First letters before which a word elides; the lexicon has no aspirated h and no word such as `oui` or `onze`.
ELIDING = "aeiouyhâàéèêîôûœAEIOUHÉÊ"
_ELISION = re.compile(rf"\b([jldnmts])(?:e|(?<=l)a) (?=[{ELIDING}])")
_QUE = re.compile(rf"\b(parce qu|qu)e (?=[{ELIDING}])")
_CONTRACTION = re.compile(r"\b(de|à) (les?) ")


@dataclass(frozen=True)
class Noun:
    """A noun in both languages; `mass` nouns are not counted."""

    en: str
    en_plural: str
    fr: str
    fr_plural: str
    feminine: bool
    tags: frozenset[str]

    @property
    def mass(self) -> bool:
        return not self.en_plural


@dataclass(frozen=True)
class Adjective:
    """An adjective in both languages; `forms` are masculine, feminine, and both plurals."""

    en: str
    forms: tuple[str, str, str, str]
    before: str  # masculine singular before a vowel
    leads: bool  # stands before its noun
    tags: frozenset[str]

    def agree(self, feminine: bool, many: bool) -> str:
        return self.forms[2 * many + feminine]


@dataclass(frozen=True)
class Verb:
    """A French verb: six present forms, past participle, auxiliary, stem of the future, stem of the imperfect."""

    infinitive: str
    present: tuple[str, ...]
    participle: str
    etre: bool
    future: str
    imperfect: str

    def conjugated(self, tense: str, person: int) -> str:
        if tense == "present":
            return self.present[person]
        if tense == "future":
            return self.future + ("ai", "as", "a", "ons", "ez", "ont")[person]
        ending = ("ais", "ais", "ait", "ions", "iez", "aient")[person]
        stem = self.imperfect
        return (stem[:-1] if stem.endswith("ge") and ending[0] == "i" else stem) + ending

    def agreed_participle(self, feminine: bool, many: bool) -> str:
        many = many and not (self.participle.endswith("s") and not feminine)
        return self.participle + "e" * feminine + "s" * many


def adjective(en: str, masculine: str, feminine: str, tags: str, before: str = "", leads: bool = False) -> Adjective:
    plural = masculine if masculine.endswith(("s", "x")) else masculine + ("x" if masculine.endswith("eau") else "s")
    forms = (masculine, feminine, plural, feminine + "s")
    return Adjective(en, forms, before or masculine, leads, frozenset(tags.split()))


def regular(infinitive: str, etre: bool = False) -> Verb:
    """A verb in -er, with the changes of spelling of -ger, -yer and the like of `acheter`."""
    stem = infinitive[:-2]
    strong = stem  # before a silent e
    if stem.endswith(("oy", "uy")):
        strong = stem[:-1] + "i"
    elif infinitive == "acheter":
        strong = "achèt"
    soft = stem + "e" if stem.endswith("g") else stem
    present = (strong + "e", strong + "es", strong + "e", soft + "ons", stem + "ez", strong + "ent")
    return Verb(infinitive, present, stem + "é", etre, strong + "er", soft)


def irregular(infinitive: str, present: str, participle: str, future: str, etre: bool = False) -> Verb:
    """A verb whose six present forms are listed; the imperfect is built on the fourth."""
    forms = tuple(present.split())
    return Verb(infinitive, forms, participle, etre, future, forms[3].removesuffix("ons"))


ETRE = Verb("être", ("suis", "es", "est", "sommes", "êtes", "sont"), "été", False, "ser", "ét")
AVOIR = Verb("avoir", ("ai", "as", "a", "avons", "avez", "ont"), "eu", False, "aur", "av")
SUBJECTS = ("je", "tu", "il", "nous", "vous", "ils")


_OF = {("le", True): "du ", ("les", True): "des ", ("le", False): "au ", ("les", False): "aux "}


def joined(words: str) -> str:
    """Elides, then contracts, a phrase: `de le ami` -> `de l'ami`, `de le chat` -> `du chat`."""
    text = _QUE.sub(r"\1'", words)
    text = _ELISION.sub(r"\1'", text)
    return _CONTRACTION.sub(lambda found: _OF[found[2], found[1] == "de"], text)
