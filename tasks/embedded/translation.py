"""English to French by a synchronous grammar: both sides grow from the same tree, so that all agreement is right.

It has gender and number, adjectives before and after the noun, elision and contraction, six persons and four tenses,
negation, object pronouns, questions, modals, comparison, existence, commands and compound sentences, some of which
hold a pronoun whose gender follows from its antecedent. Where English leaves open what French must say, validation and
test rows carry all the translations in `refs`, the row's own `tgt` first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from tasks.embedded import french_words as words
from tasks.embedded.english import plural
from tasks.embedded.french import AVOIR, ETRE, Adjective, Noun, Verb, joined
from tasks.embedded.grammar import SIZES, Draw, Row, Splits, capitalised, deal
from tasks.embedded.phrases import (
    Clause,
    Name,
    NounPhrase,
    Object,
    Pronoun,
    Subject,
    adjectives,
    be,
    does,
    is_plural,
    noun_phrase,
)
from tasks.embedded.readings import Reading, all_readings

SEED = 5401
SHORTEST, LONGEST = 4, 14  # words of English
MOST_REFERENCES = 8

Realise = Callable[[Reading], str]
Sentence = tuple[str, Realise]

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
    ("near", "près de", words.PLACES), ("behind", "derrière", words.BUILDINGS), ("in front of", "devant", words.BUILDINGS)
)  # fmt: skip
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
    tense = tense or draw.one(("present", "progressive", "past", "past", "future"))
    negation = _negation(draw, tense) if told else None
    adjunct = _time(draw, tense, negation)
    kind = draw.one(("object", "object", "object", "pronoun", "pronoun", "give", "stay", "leave", "go"))
    adverb = None
    if told and not negation and tense == "present" and not adjunct[0] and draw.chance(0.4):
        adverb = draw.one(words.OFTEN)
    if kind in ("object", "pronoun"):
        return _transitive(draw, Clause(subject, draw.one(words.TRANSITIVE), tense, None, None, negation, adverb, adjunct), kind)
    if kind == "give":
        return _giving(draw, subject, tense, negation, adjunct)
    if kind == "leave":
        return Clause(subject, draw.one(words.LEAVING), tense, None, None, negation, adverb, adjunct)
    if kind == "go":
        action = draw.one((words.GO, words.STAY))
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
        thing = draw.one((Pronoun(2), Pronoun(5)))
    if same_person(clause.subject, thing):
        thing = Pronoun(2, "male")
    return Clause(clause.subject, clause.action, clause.tense, thing, None, clause.negation, clause.adverb, clause.adjunct)


def _giving(draw: Draw, subject: Subject, tense: str, negation: tuple[str, str] | None, adjunct: tuple[str, str]) -> Clause:
    action = draw.one(words.GIVING)
    receiver: Object = draw.one(PRONOUNS) if draw.chance(0.6) else third_person(draw)
    if same_person(subject, receiver):
        receiver = Pronoun(2, "female")
    if draw.chance(0.35):
        thing: Object = draw.one((Pronoun(2), Pronoun(5)))
    else:
        thing = noun_phrase(draw, action.objects, ("the", "a", "this", *OWNED), plain=0.75)
    return Clause(subject, action, tense, thing, receiver, negation, None, adjunct)


def statement(draw: Draw) -> Sentence:
    clause = action_clause(draw)
    return clause.en() + ".", lambda reading: clause.fr(reading) + "."


def dated(draw: Draw) -> Sentence:
    """The time stands in front."""
    tense = draw.one(("past", "future"))
    clause = action_clause(draw, tense=tense)
    while clause.adjunct[0] or (clause.negation and clause.negation[0] != "not"):
        clause = action_clause(draw, tense=tense)
    en, fr = draw.one(words.WHEN[tense])
    return f"{en}, {clause.en()}.", lambda reading: f"{fr}, {clause.fr(reading)}."


def modal(draw: Draw) -> Sentence:
    tense = draw.one(("present", "present", "past"))
    first = action_clause(draw, tense="future")
    verb = draw.one(MODALS)
    negation = words.NEGATIONS[0] if draw.chance(0.3) and not (tense == "past" and verb[0] == "must") else None
    time = ("", "") if tense == "past" or first.adjunct[0] in {each[0] for each in words.WHEN["future"]} else first.adjunct
    clause = Clause(first.subject, first.action, tense, first.object, first.to, negation, None, time, verb)
    return clause.en() + ".", lambda reading: clause.fr(reading) + "."


def question(draw: Draw) -> Sentence:
    clause = action_clause(draw, told=False)
    if draw.chance(0.25):
        clause = Clause(clause.subject, clause.action, "present", clause.object, clause.to, modal=draw.one(MODALS))
    return clause.question_en() + "?", lambda reading: clause.question_fr(reading) + " ?"


def asked(draw: Draw) -> Sentence:
    """Why, when and where."""
    tense = draw.one(("past", "future"))
    en, fr = draw.one((("why", "pourquoi"), ("when", "quand")))
    clause = action_clause(draw, tense=tense, told=False)
    while clause.adjunct[0] in {each[0] for each in words.WHEN[tense]} and clause.adjunct[0]:
        clause = action_clause(draw, tense=tense, told=False)
    return clause.question_en(en) + "?", lambda reading: clause.question_fr(reading, fr) + " ?"


def _be_fr(subject: Subject, tense: str, reading: Reading, negated: bool) -> str:
    fr_tense = {"past": "imperfect"}.get(tense, tense)
    verb = ETRE.conjugated(fr_tense, subject.person(reading))
    return f"ne {verb} pas" if negated else verb


def _be_en(subject: Subject, tense: str, negated: bool) -> str:
    if tense == "future" and negated:
        return "will not be"
    return be(subject, tense) + (" not" if negated else "")


def described(draw: Draw) -> Sentence:
    """Somebody or something is such."""
    tense, negated = draw.one(("present", "present", "past", "future")), draw.chance(0.25)
    subject, adjective = _described(draw, tense)
    very = ("very ", "très ") if draw.chance(0.35) and not negated and adjective.en not in words.ABSOLUTE else ("", "")
    en = f"{subject.en()} {_be_en(subject, tense, negated)} {very[0]}{adjective.en}"
    return en + ".", lambda reading: f"{_description(reading, subject, tense, negated, very[1], adjective)}."


def _described(draw: Draw, tense: str) -> tuple[Subject, Adjective]:
    if tense == "future" or draw.chance(0.5):
        return someone(draw), draw.one(words.MOODS)
    nouns = words.THINGS + words.ANIMALS + words.PLACES
    subject = noun_phrase(draw, nouns, ("the", "the", "this"), plain=1.0)
    if "place" not in subject.noun.tags and draw.chance(0.6):
        subject = replace(subject, determiner=draw.one(OWNED))
    return subject, draw.one(adjectives(subject.noun, True) + adjectives(subject.noun, False))


def _description(reading: Reading, subject: Subject, tense: str, negated: bool, very: str, adjective: Adjective) -> str:
    agreed = adjective.agree(subject.feminine(reading), is_plural(subject, reading))
    return f"{subject.fr(reading)} {_be_fr(subject, tense, reading, negated)} {very}{agreed}"


def having(draw: Draw) -> Sentence:
    """Hunger, thirst, right: `be` in English, `avoir` in French."""
    subject, negated = someone(draw), draw.chance(0.3)
    tense = draw.one(("present", "present", "past"))
    en, fr = draw.one(words.HAVING)

    def realise(reading: Reading) -> str:
        verb = AVOIR.conjugated("imperfect" if tense == "past" else "present", subject.person(reading))
        return f"{subject.fr(reading)} {f'ne {verb} pas' if negated else verb} {fr}."

    return f"{subject.en()} {_be_en(subject, tense, negated)} {en}.", realise


def located(draw: Draw) -> Sentence:
    tense, negated = draw.one(("present", "past")), draw.chance(0.2)
    if draw.chance(0.5):
        subject: Subject = someone(draw)
        place = where(draw)
    else:
        thing = noun_phrase(draw, words.SMALL, ("the", "the", *OWNED), plain=0.6)
        subject, place = thing, spot(draw, thing.noun)

    def realise(reading: Reading) -> str:
        return f"{subject.fr(reading)} {_be_fr(subject, tense, reading, negated)} {place[1]}."

    return f"{subject.en()} {_be_en(subject, tense, negated)} {place[0]}.", realise


def where_is(draw: Draw) -> Sentence:
    places = draw.chance(0.3)
    nouns, determiners = (words.PLACES, ("the",)) if places else (words.SMALL + words.KIN, ("the", *OWNED))
    subject = noun_phrase(draw, nouns, determiners, plain=0.6)
    if draw.chance(0.3):
        tense, forms = "past", ("était", "étaient")
    else:
        tense, forms = "present", ("est", "sont")
    en = f"where {be(subject, tense)} {subject.en()}?"
    return en, lambda reading: f"où {forms[subject.many]} {subject.fr(reading)} ?"


def existing(draw: Draw) -> Sentence:
    tense, negated = draw.one(("present", "past")), draw.chance(0.25)
    nouns = draw.one((words.SMALL, words.SMALL, words.FOOD, words.PEOPLE))
    thing = noun_phrase(draw, nouns, ("a",) if negated else ("a", "some", *COUNTED))
    place = where(draw) if nouns is words.PEOPLE else spot(draw, thing.noun)
    many = thing.many
    is_not = {"present": ("is", "are"), "past": ("was", "were")}[tense][many] + (" not" if negated else "")
    verb = {"present": "a", "past": "avait"}[tense]

    def realise(reading: Reading) -> str:
        verb_group = f"il ne y {verb} pas" if negated else f"il y {verb}"
        return f"{verb_group} {thing.fr(reading, negated)} {place[1]}."

    return f"there {is_not} {thing.en(negated)} {place[0]}.", realise


def compared(draw: Draw) -> Sentence:
    more, plain, adjective = draw.one(words.COMPARED)
    subject, other = someone(draw), someone(draw)
    while same_person(subject, other) or subject == other:
        subject, other = someone(draw), someone(draw)
    than_en = other.object_en() if isinstance(other, Pronoun) else other.en()
    en, fr, adjective_en = draw.one((("than", "plus", more), ("as", "aussi", f"as {plain}"), ("as", "pas aussi", f"as {plain}")))
    negated = fr == "pas aussi"

    def realise(reading: Reading) -> str:
        agreed = adjective.agree(subject.feminine(reading), is_plural(subject, reading))
        than = other.stressed_fr(reading) if isinstance(other, Pronoun) else other.fr(reading)
        return f"{subject.fr(reading)} {_be_fr(subject, 'present', reading, negated)} {fr.removeprefix('pas ')} {agreed} que {than}."

    return f"{subject.en()} {_be_en(subject, 'present', negated)} {adjective_en} {en} {than_en}.", realise


def command(draw: Draw) -> Sentence:
    """An order to `you`, or `let us`; polite ones say please in the register of the verb."""
    action = draw.one([each for each in words.TRANSITIVE if each.en not in ("lose", "see", "drive", "find")])
    thing = noun_phrase(draw, action.objects, ("the", "the", "this", "0", "3"), plain=0.65)
    together, negated, please = draw.chance(0.25), draw.chance(0.3), draw.chance(0.35)

    def realise(reading: Reading) -> str:
        form = imperative(action.fr, 3 if together else 4 if reading.polite else 1)
        text = f"{f'ne {form} pas' if negated else form} {thing.fr(reading)}"
        if please and not together:
            text += f", s'il {'vous' if reading.polite else 'te'} plaît"
        return text + "."

    start = "let us " + "not " * negated if together else "do not " * negated
    return f"{start}{action.en} {thing.en()}{', please' if please and not together else ''}.", realise


def imperative(verb: Verb, person: int) -> str:
    """The form of person 1, 3 or 4; the second singular in -es loses its s."""
    form = verb.present[person]
    return form[:-1] if person == 1 and form.endswith("es") else form


def believed(draw: Draw) -> Sentence:
    """Somebody thinks, knows or says that something is so."""
    en, fr = draw.one((("think", words.THINK), ("know", words.KNOW), ("say", words.SAY)))
    subject = someone(draw, pronouns=0.6)
    clause = action_clause(draw)
    if isinstance(subject, Pronoun) and subject == clause.subject:
        subject = Name(*draw.one(words.NAMES))
    verb = en if does(subject) == "do" else plural(en)

    def realise(reading: Reading) -> str:
        return f"{subject.fr(reading)} {fr.conjugated('present', subject.person(reading))} que {clause.fr(reading)}."

    return f"{subject.en()} {verb} that {clause.en()}.", realise


def because(draw: Draw) -> Sentence:
    tense = draw.one(("past", "future"))
    clause = action_clause(draw, tense=tense)
    subject = clause.subject if isinstance(clause.subject, Pronoun) else clause.subject.pronoun()
    mood = draw.one(words.MOODS)
    state = "past" if tense == "past" else "present"

    def realise(reading: Reading) -> str:
        return f"{clause.fr(reading)} parce que {_description(reading, subject, state, False, '', mood)}."

    return f"{clause.en()} because {subject.en()} {be(subject, state)} {mood.en}.", realise


def carried(draw: Draw) -> Sentence:
    """Two clauses; the second one's object is a pronoun for the first one's, and has its gender."""
    subject = third_person(draw) if draw.chance(0.6) else draw.one(PRONOUNS[:3])
    first_en, second_en, link = draw.one(PAIRS)
    first, second = ACTIONS[first_en], ACTIONS[second_en]
    thing = noun_phrase(draw, _taken_by_both(first, second), ("the", "a", "this", *OWNED), plain=0.7)
    head = Clause(subject, first, "past", thing)
    again = subject if isinstance(subject, Pronoun) else subject.pronoun()
    negation = None
    if draw.chance(0.4):
        link, negation = BUT, words.NEGATIONS[0]
    tail = Clause(again, second, "past", thing.pronoun(), None, negation)

    def realise(reading: Reading) -> str:
        return f"{head.fr(reading)}{link[2]} {link[1]} {tail.fr(reading)}."

    return f"{head.en()}{link[2]} {link[0]} {tail.en()}.", realise


@cache
def _taken_by_both(first: words.Action, second: words.Action) -> tuple[Noun, ...]:
    return tuple(noun for noun in first.objects if noun in second.objects)


ACTIONS = {each.en: each for each in words.TRANSITIVE}
AND, BUT = ("and", "et", ""), ("but", "mais", ",")
# What was done, what was done then (or not), and the link that makes sense when it was.
PAIRS = (
    ("find", "keep", AND), ("lose", "find", BUT), ("buy", "eat", AND), ("buy", "read", AND), ("open", "close", AND),
    ("look for", "find", BUT), ("buy", "sell", AND), ("break", "repair", BUT), ("choose", "buy", AND), ("hide", "find", BUT),
    ("buy", "forget", BUT), ("look at", "draw", AND), ("prepare", "eat", AND), ("wash", "break", BUT), ("take", "lose", BUT),
)  # fmt: skip
KINDS: tuple[Callable[[Draw], Sentence], ...] = (
    statement, statement, statement, dated, modal, question, question, asked, described, described, having, located,
    where_is, existing, compared, command, believed, because, carried, carried,
)  # fmt: skip


def finished(text: str) -> str:
    """French with elisions, one space between words, and a capital letter."""
    return capitalised(joined(" ".join(text.split()).replace(" .", ".").replace(" ,", ",")))


def pair(draw: Draw) -> tuple[str, Realise]:
    """An English sentence of 4 to 14 words, and its French under a reading."""
    while True:
        en, realise = draw.one(KINDS)(draw)
        if SHORTEST <= en.count(" ") + 1 <= LONGEST:
            return capitalised(en), lambda reading: finished(realise(reading))


def build() -> Splits:
    """All splits; the English of a row stands nowhere else."""

    def example(draw: Draw, split: str) -> tuple[str, Row]:
        src, realise = pair(draw)
        tgt = realise(Reading(draw=draw))
        row: Row = {"src": src, "tgt": tgt}
        if split != "train":
            row["refs"] = list(dict.fromkeys([tgt, *all_readings(realise)]))[:MOST_REFERENCES]
        return src, row

    return deal(example, SEED, {**SIZES, "train": 4000})
