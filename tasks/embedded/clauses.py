"""Who does what to whom, where and when: clauses drawn at random, for the translation grammar."""

from __future__ import annotations

from tasks.embedded import french_words as words
from tasks.embedded.french import Noun, joined
from tasks.embedded.grammar import Draw
from tasks.embedded.phrases import Clause, Name, NounPhrase, Object, Pronoun, Subject, noun_phrase
from tasks.embedded.readings import Reading

COUNTED = tuple(f"{en}|{fr}" for en, fr in words.COUNTS)
OWNED = ("0", "1", "2", "3", "5")
PRONOUNS = (
    Pronoun(0), Pronoun(1), Pronoun(2, "male"), Pronoun(2, "female"), Pronoun(3), Pronoun(5),
)  # fmt: skip
MODALS = (
    ("want to", "wanted to", words.WANT),
    ("can", "could", words.CAN),
    ("must", "had to", words.MUST),
)
Place = tuple[str, str, Noun]  # English, French, the noun in it
ALL_DETERMINERS = ("the", "the", "a", "a", "some", "this", *OWNED, *COUNTED[:2])


def someone(draw: Draw, pronouns: float = 0.5) -> Subject:
    """A person: pronoun, name, or noun phrase."""
    if draw.chance(pronouns):
        return draw.one(PRONOUNS)
    if draw.chance(0.3):
        return Name(*draw.one(words.NAMES))
    if draw.chance(0.5):
        return noun_phrase(draw, words.KIN, OWNED, plain=1.0)
    return noun_phrase(draw, words.PEOPLE, ("the", "the", "the", "this", "a"), plain=0.65)


def third_person(draw: Draw) -> Name | NounPhrase:
    who = someone(draw, pronouns=0.0)
    assert not isinstance(who, Pronoun)
    return who


def same_person(one: Subject, other: Object | None) -> bool:
    """Whether an object would be the subject itself, which needs a reflexive."""
    if other is None or not isinstance(other, Pronoun):
        return False
    if not isinstance(one, Pronoun):
        return False
    return {one.person_en, other.person_en} in ({0}, {1}, {3}, {0, 3})


def _places(*kinds: tuple[str, str, tuple[Noun, ...]]) -> tuple[Place, ...]:
    return tuple(
        (f"{en} the {noun.en}", joined(f"{fr} {NounPhrase(noun, 'the').fr(Reading())}"), noun)
        for en, fr, nouns in kinds
        for noun in nouns
    )


AT_PLACES = _places(("at", "à", words.AT))
TO_PLACES = _places(("to", "à", words.AT))
IN_PLACES = _places(("in", "dans", words.INSIDE))
NEAR_PLACES = _places(
    ("near", "près de", words.PLACES),
    ("behind", "derrière", words.BUILDINGS),
    ("in front of", "devant", words.BUILDINGS),
)
SPOTS = _places(
    ("on", "sur", words.TOPS), ("under", "sous", words.TOPS), ("behind", "derrière", words.TOPS),
    ("near", "près de", words.TOPS), ("in", "dans", words.HOLDERS), ("in", "dans", words.INSIDE),
)  # fmt: skip


def where(draw: Draw) -> Place:
    """A place where people do things."""
    return draw.one(AT_PLACES if draw.chance(0.45) else IN_PLACES if draw.chance(0.6) else NEAR_PLACES)


def spot(draw: Draw, thing: Noun) -> Place:
    """A place where a thing or an animal is; not itself."""
    place = draw.one(SPOTS)
    while place[2] is thing:
        place = draw.one(SPOTS)
    return place


def _negation(draw: Draw, tense: str) -> tuple[str, str] | None:
    if not draw.chance(0.3):
        return None
    if tense == "progressive":
        return words.NEGATIONS[0]
    return draw.one(words.NEGATIONS[:3] if tense == "past" else words.NEGATIONS)


def _time(draw: Draw, tense: str, negation: tuple[str, str] | None) -> tuple[str, str]:
    """An adverbial of time, or nothing; with never and no longer it would contradict."""
    if not draw.chance(0.4) or (negation and negation[0] != "not"):
        return "", ""
    return draw.one(words.WHEN[tense])


def action_clause(draw: Draw, subject: Subject | None = None, tense: str = "", told: bool = True) -> Clause:
    """A clause with a transitive, giving, staying or leaving verb; a question is not `told` and takes no negation."""
    subject = subject or someone(draw)
    tense = tense or draw.of("present", "progressive", "past", "past", "future")
    negation = _negation(draw, tense) if told else None
    adjunct = _time(draw, tense, negation)
    kind = draw.of("object", "object", "object", "pronoun", "pronoun", "give", "stay", "leave", "go")
    adverb = None
    if told and not negation and tense == "present" and not adjunct[0] and draw.chance(0.4):
        adverb = draw.one(words.OFTEN)
    if kind in ("object", "pronoun"):
        return _transitive(
            draw, Clause(subject, draw.one(words.TRANSITIVE), tense, None, None, negation, adverb, adjunct), kind
        )
    if kind == "give":
        return _giving(draw, subject, tense, negation, adjunct)
    if kind == "leave":
        return Clause(subject, draw.one(words.LEAVING), tense, None, None, negation, adverb, adjunct)
    if kind == "go":
        action = draw.of(words.GO, words.STAY)
        place = draw.one(TO_PLACES if action is words.GO else AT_PLACES)
        return Clause(subject, action, tense, None, None, negation, adverb, _both(place, adjunct))
    return Clause(subject, draw.one(words.STAYING), tense, None, None, negation, adverb, _both(where(draw), adjunct))


def _both(first: Place, second: tuple[str, str]) -> tuple[str, str]:
    return f"{first[0]} {second[0]}".strip(), f"{first[1]} {second[1]}".strip()


def _transitive(draw: Draw, clause: Clause, kind: str) -> Clause:
    human = any(noun.tags & {"kin", "person"} for noun in clause.action.objects)
    if kind == "object":
        thing: Object = noun_phrase(draw, clause.action.objects, ALL_DETERMINERS)
    elif human:
        thing = draw.one(PRONOUNS)
    else:
        thing = draw.of(Pronoun(2), Pronoun(5))
    if same_person(clause.subject, thing):
        thing = Pronoun(2, "male")
    return Clause(
        clause.subject, clause.action, clause.tense, thing, None, clause.negation, clause.adverb, clause.adjunct
    )


def _giving(
    draw: Draw, subject: Subject, tense: str, negation: tuple[str, str] | None, adjunct: tuple[str, str]
) -> Clause:
    action = draw.one(words.GIVING)
    receiver: Object = draw.one(PRONOUNS) if draw.chance(0.6) else third_person(draw)
    if same_person(subject, receiver):
        receiver = Pronoun(2, "female")
    if draw.chance(0.35):
        thing: Object = draw.of(Pronoun(2), Pronoun(5))
    else:
        thing = noun_phrase(draw, action.objects, ("the", "a", "this", *OWNED), plain=0.75)
    return Clause(subject, action, tense, thing, receiver, negation, None, adjunct)
