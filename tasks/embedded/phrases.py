"""Noun phrases and clauses in English and French at once, for the translation grammar.

English is fixed when a phrase is made; French is realised under a `Reading`. A person is a number from 0 to 5 (I, you,
he or she or it, we, you, they); French `you` is 1 or 4 by the reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tasks.embedded import french_words as words
from tasks.embedded.english import ing, past, third
from tasks.embedded.french import AVOIR, ELIDING, ETRE, Adjective, Noun, Verb
from tasks.embedded.grammar import Draw, with_article
from tasks.embedded.readings import Reading

OBJECT_EN = ("me", "you", "him", "us", "you", "them")
POSSESSIVE_EN = ("my", "your", "his", "our", "your", "their")
# By possessor: before a masculine, before a feminine, before a plural.
POSSESSIVE_FR = (
    ("mon", "ma", "mes"), ("ton", "ta", "tes"), ("son", "sa", "ses"),
    ("notre", "notre", "nos"), ("votre", "votre", "vos"), ("leur", "leur", "leurs"),
)  # fmt: skip
STRESSED = ("moi", "toi", "lui", "nous", "vous", "eux")


@dataclass(frozen=True)
class NounPhrase:
    """Determiner, adjectives, noun.

    `determiner` is `the`, `a`, `some` (plural or mass), `this`, a count (`two|deux`) or a possessor's person (`"0"`);
    `her` says that possessor 2 is a woman, which only English shows.
    """

    noun: Noun
    determiner: str
    many: bool = False
    lead: Adjective | None = None
    trail: Adjective | None = None
    her: bool = False

    person_en = 2

    def en(self, negated: bool = False) -> str:
        adjectives = "".join(f"{each.en} " for each in (self.lead, self.trail) if each)
        text = adjectives + (self.noun.en_plural if self.many else self.noun.en)
        if self.determiner == "a":
            return with_article(text)
        if self.determiner == "some":
            return f"{'any' if negated else 'some'} {text}"
        if self.determiner == "this":
            return f"{'these' if self.many else 'this'} {text}"
        if self.determiner.isdigit():
            return f"{self._owner_en()} {text}"
        return f"{self.determiner.split('|')[0]} {text}"

    def _owner_en(self) -> str:
        return "her" if self.her and self.determiner == "2" else POSSESSIVE_EN[int(self.determiner)]

    def feminine(self, reading: Reading) -> bool:  # noqa: ARG002
        return self.noun.feminine

    def person(self, reading: Reading) -> int:  # noqa: ARG002
        return 5 if self.many else 2

    def fr(self, reading: Reading, negated: bool = False) -> str:
        """With `negated`, `un`, `des` and `du` become `de`."""
        noun = self.noun.fr_plural if self.many else self.noun.fr
        if self.lead:
            lead = self.lead.agree(self.noun.feminine, self.many)
            bare = not self.many and not self.noun.feminine and noun[0] in ELIDING
            noun = f"{self.lead.before if bare else lead} {noun}"
        if self.trail:
            noun = f"{noun} {self.trail.agree(self.noun.feminine, self.many)}"
        return f"{self._article(noun[0] in ELIDING, reading, negated)} {noun}"

    def _article(self, vowel: bool, reading: Reading, negated: bool) -> str:
        kind, feminine = self.determiner, self.noun.feminine
        definite = "les" if self.many else "la" if feminine else "le"
        if kind == "the":
            return definite
        if kind in ("a", "some") and negated:
            return "de"
        if kind == "a":
            return "une" if feminine else "un"
        if kind == "some" and self.many:
            return "de" if self.lead else "des"
        if kind == "some":
            return f"de {definite}"
        if kind == "this":
            return "ces" if self.many else "cette" if feminine else "cet" if vowel else "ce"
        if "|" in kind:
            return kind.split("|")[1]
        owner = int(kind)
        if owner == 1 and reading.polite:
            owner = 4
        return POSSESSIVE_FR[owner][2 if self.many else int(feminine and not vowel)]

    def pronoun(self) -> Pronoun:
        """The pronoun that stands for it, with its French gender known."""
        gender: str = ""
        if self.noun.tags & {"male", "female"} and not self.many:
            gender = "female" if "female" in self.noun.tags else "male"
        return Pronoun(5 if self.many else 2, gender or "thing", self.noun.feminine)


@dataclass(frozen=True)
class Name:
    """A person's name; the same in both languages."""

    name: str
    woman: bool

    person_en = 2
    many = False

    def en(self, negated: bool = False) -> str:  # noqa: ARG002
        return self.name

    def feminine(self, reading: Reading) -> bool:  # noqa: ARG002
        return self.woman

    def person(self, reading: Reading) -> int:  # noqa: ARG002
        return 2

    def fr(self, reading: Reading, negated: bool = False) -> str:  # noqa: ARG002
        return self.name

    def pronoun(self) -> Pronoun:
        return Pronoun(2, "female" if self.woman else "male", self.woman)


@dataclass(frozen=True)
class Pronoun:
    """A personal pronoun; `is_feminine` None leaves the gender to the reading."""

    person_en: int
    gender: str = "thing"  # of person 2 in English: male, female, thing
    is_feminine: bool | None = None

    @property
    def many(self) -> bool:
        return self.person_en in (3, 5)

    def en(self, negated: bool = False) -> str:  # noqa: ARG002
        if self.person_en == 2:
            return {"male": "he", "female": "she", "thing": "it"}[self.gender]
        return ("I", "you", "", "we", "you", "they")[self.person_en]

    def object_en(self) -> str:
        if self.person_en == 2:
            return {"male": "him", "female": "her", "thing": "it"}[self.gender]
        return OBJECT_EN[self.person_en]

    def feminine(self, reading: Reading) -> bool:
        if self.is_feminine is not None:
            return self.is_feminine
        if self.person_en == 2 and self.gender != "thing":
            return self.gender == "female"
        return reading.feminine(str(self.person_en))

    def person(self, reading: Reading) -> int:
        return 4 if self.person_en == 1 and reading.polite else self.person_en

    def plural_fr(self, reading: Reading) -> bool:
        """Whether what agrees with it is plural; the polite `vous` may be one or more."""
        if self.person_en == 1:
            return reading.polite and reading.pick("many you", (False, True))
        return self.many

    def fr(self, reading: Reading, negated: bool = False) -> str:  # noqa: ARG002
        person = self.person(reading)
        if person in (2, 5):
            return ("elle" if self.feminine(reading) else "il") + "s" * (person == 5)
        return ("je", "tu", "", "nous", "vous")[person]

    def direct_fr(self, reading: Reading) -> str:
        if self.person_en == 2:
            return "la" if self.feminine(reading) else "le"
        return ("me", "te", "", "nous", "vous", "les")[self.person(reading)]

    def indirect_fr(self, reading: Reading) -> str:
        return ("me", "te", "lui", "nous", "vous", "leur")[self.person(reading)]

    def stressed_fr(self, reading: Reading) -> str:
        person = self.person(reading)
        if person in (2, 5) and self.feminine(reading):
            return "elle" if person == 2 else "elles"
        return STRESSED[person]


Subject = NounPhrase | Name | Pronoun
Object = NounPhrase | Name | Pronoun


def is_plural(subject: Subject, reading: Reading) -> bool:
    """Whether French participles and adjectives agree in the plural with it."""
    return subject.plural_fr(reading) if isinstance(subject, Pronoun) else subject.many


def be(subject: Subject, tense: str) -> str:
    """English `be`, agreeing."""
    if tense == "future":
        return "will be"
    many = subject.many or subject.person_en == 1
    if tense == "past":
        return "were" if many else "was"
    return "am" if subject.person_en == 0 else "are" if many else "is"


def does(subject: Subject) -> str:
    return "do" if subject.many or subject.person_en in (0, 1) else "does"


@dataclass(frozen=True)
class Clause:
    """Subject, verb, objects, adverb, negation, adjunct - in one of the tenses present, progressive, past, future.

    `modal` is (English present, English past, French verb) with tense present or past. `to` is an indirect object.
    """

    subject: Subject
    action: words.Action
    tense: str
    object: Object | None = None
    to: Object | None = None
    negation: tuple[str, str] | None = None
    adverb: tuple[str, str] | None = None
    adjunct: tuple[str, str] = ("", "")
    modal: tuple[str, str, Verb] | None = None

    # English

    def _rest_en(self) -> str:
        parts = []
        if isinstance(self.object, Pronoun):
            parts.append(self.object.object_en())
        elif self.object:
            parts.append(self.object.en(self.negation is not None))
        if self.to:
            parts.append("to " + (self.to.object_en() if isinstance(self.to, Pronoun) else self.to.en()))
        return " ".join([*parts, self.adjunct[0]]).strip()

    def _modal_en(self) -> str:
        """`wants to see`, `did not want to see`, `cannot see`."""
        assert self.modal
        now, then, _ = self.modal
        verb = self.action.en
        if self.negation is None:
            finite = then if self.tense == "past" else third(now) if now == "want to" and self._is_third() else now
            return f"{finite} {verb}"
        if now == "want to":
            helper = "did" if self.tense == "past" else does(self.subject)
            return f"{helper} not {now} {verb}"
        finite = f"{then} not" if self.tense == "past" else "cannot" if now == "can" else f"{now} not"
        return f"{finite} {verb}"

    def _is_third(self) -> bool:
        return does(self.subject) == "does"

    def _verb_en(self) -> str:
        verb, no = self.action.en, self.negation[0] if self.negation else ""
        often = f"{self.adverb[0]} " if self.adverb else ""
        if self.modal:
            return self._modal_en()
        if self.tense == "progressive":
            return " ".join(f"{be(self.subject, 'present')} {no} {ing(verb)}".split())
        if self.tense == "future":
            return " ".join(f"will {no} {often}{verb}".split())
        if no == "not":
            return f"{'did' if self.tense == 'past' else does(self.subject)} not {verb}"
        form = past(verb) if self.tense == "past" else third(verb) if self._is_third() else verb
        return " ".join(f"{no} {often}{form}".split())

    def en(self) -> str:
        return f"{self.subject.en()} {self._verb_en()} {self._rest_en()}".strip()

    def question_en(self, asked: str = "") -> str:
        """A question, without its mark; `asked` is a question word in front."""
        who, verb, rest = self.subject.en(), self.action.en, self._rest_en()
        no = self.negation[0] if self.negation else ""
        if self.modal:
            now = self.modal[0]
            first, verb = (does(self.subject), f"{now} {verb}") if now == "want to" else (now, verb)
        elif self.tense == "progressive":
            first, verb = be(self.subject, "present"), ing(verb)
        else:
            first = {"past": "did", "future": "will"}.get(self.tense) or does(self.subject)
        return " ".join(f"{asked} {first} {who} {no} {verb} {rest}".split())

    # French

    def _clitics(self, reading: Reading) -> str:
        """Pronoun objects in their order: me te nous vous, then le la les, then lui leur."""
        direct = self.object.direct_fr(reading) if isinstance(self.object, Pronoun) else ""
        indirect = self.to.indirect_fr(reading) if isinstance(self.to, Pronoun) else ""
        if indirect in ("lui", "leur"):
            direct, indirect = indirect, direct
        return f"{indirect} {direct}"

    def _participle(self, reading: Reading) -> str:
        verb = self.action.fr
        if verb.etre:
            return verb.agreed_participle(self.subject.feminine(reading), is_plural(self.subject, reading))
        if isinstance(self.object, Pronoun):
            return verb.agreed_participle(self.object.feminine(reading), is_plural(self.object, reading))
        return verb.participle

    def _finite(self, person: int) -> str:
        """The conjugated verb: the verb itself, its auxiliary, or the modal."""
        if self.modal:
            return self.modal[2].conjugated("imperfect" if self.tense == "past" else "present", person)
        if self.tense == "past":
            return (ETRE if self.action.fr.etre else AVOIR).conjugated("present", person)
        return self.action.fr.conjugated("future" if self.tense == "future" else "present", person)

    def _rest_fr(self, reading: Reading) -> str:
        parts = []
        if self.object and not isinstance(self.object, Pronoun):
            parts.append(self.object.fr(reading, self.negation is not None))
        if self.to and not isinstance(self.to, Pronoun):
            parts.append("à " + self.to.fr(reading))
        return " ".join([*parts, self.adjunct[1]])

    def _predicate(self, reading: Reading, inverted: str = "") -> str:
        """All but the subject; `inverted` is a pronoun to hang on the conjugated verb."""
        finite, clitics = self._finite(self.subject.person(reading)), self._clitics(reading)
        if inverted:
            finite += ("-t-" if finite[-1] in "ae" and inverted[0] in "ie" else "-") + inverted
        before, after = ("ne", self.negation[1]) if self.negation else ("", "")
        often = self.adverb[1] if self.adverb else ""
        rest = self._rest_fr(reading)
        if self.modal:
            return f"{before} {finite} {after} {clitics} {self.action.fr.infinitive} {rest}"
        participle = self._participle(reading) if self.tense == "past" else ""
        return f"{before} {clitics} {finite} {after} {often} {participle} {rest}"

    def fr(self, reading: Reading) -> str:
        return f"{self.subject.fr(reading)} {self._predicate(reading)}"

    def question_fr(self, reading: Reading, asked: str = "") -> str:
        """By `est-ce que`, or by turning subject and verb round (not after `je`); without its mark."""
        subject = self.subject.fr(reading)
        turned = self.subject.person(reading) != 0 and reading.pick("question", (False, True))
        if not turned:
            return f"{asked} est-ce que {subject} {self._predicate(reading)}"
        if isinstance(self.subject, Pronoun):
            return f"{asked} {self._predicate(reading, subject)}"
        return f"{asked} {subject} {self._predicate(reading, self.subject.pronoun().fr(reading))}"


@cache
def adjectives(noun: Noun, leads: bool) -> tuple[Adjective, ...]:
    """Those that go with the noun, before it (`leads`) or after."""
    fitting = (each for each in words.ADJECTIVES if each.leads == leads and not each.tags.isdisjoint(noun.tags))
    return tuple(each for each in fitting if not (noun.mass and each.en == "small"))


def noun_phrase(draw: Draw, nouns: tuple[Noun, ...], determiners: tuple[str, ...], plain: float = 0.6) -> NounPhrase:
    """A phrase with a noun of `nouns`, a determiner that fits it, and perhaps one or two adjectives."""
    noun, determiner = draw.one(nouns), draw.one(determiners)
    if "kin" in noun.tags and not determiner.isdigit():
        determiner = draw.one("01235")
    many = False
    if noun.mass:
        determiner = determiner if determiner in ("the", "some", "this") else "some"
    elif "|" in determiner or determiner == "some":
        many = True
    elif determiner != "a" and "one" not in noun.tags:
        many = draw.chance(0.3)
    lead = trail = None
    if not draw.chance(plain):
        leads, trails = adjectives(noun, True), adjectives(noun, False)
        lead = draw.one(leads) if leads and draw.chance(0.55) else None
        trail = draw.one(trails) if trails and (lead is None or draw.chance(0.15)) else None
        if lead and lead.en in ("good", "bad"):
            trail = None
    return NounPhrase(noun, determiner, many, lead, trail, her=draw.chance(0.5))
