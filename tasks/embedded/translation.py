"""English to French by a synchronous grammar: both sides grow from the same tree, so that all agreement is right.

It has gender and number, adjectives before and after the noun, elision and contraction, six persons and four tenses,
negation, object pronouns, questions, modals, comparison, existence, commands and compound sentences, some of which
hold a pronoun whose gender follows from its antecedent. Where English leaves open what French must say, validation and
test rows carry all the translations in `refs`, the row's own `tgt` first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

from tasks.embedded import french_words as words
from tasks.embedded.clauses import (
    COUNTED,
    MODALS,
    OWNED,
    PRONOUNS,
    action_clause,
    same_person,
    someone,
    spot,
    third_person,
    where,
)
from tasks.embedded.english import plural
from tasks.embedded.french import AVOIR, ETRE, Adjective, Noun, Verb, joined
from tasks.embedded.grammar import SIZES, Draw, Row, Splits, capitalised, deal
from tasks.embedded.phrases import (
    Clause,
    Name,
    NounPhrase,
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

Realise = Callable[[Reading], str]
Sentence = tuple[str, Realise]


def statement(draw: Draw) -> Sentence:
    clause = action_clause(draw)
    return clause.en() + ".", lambda reading: clause.fr(reading) + "."


def dated(draw: Draw) -> Sentence:
    """The time stands in front."""
    tense = draw.of("past", "future")
    clause = action_clause(draw, tense=tense)
    while clause.adjunct[0] or (clause.negation and clause.negation[0] != "not"):
        clause = action_clause(draw, tense=tense)
    en, fr = draw.one(words.WHEN[tense])
    return f"{en}, {clause.en()}.", lambda reading: f"{fr}, {clause.fr(reading)}."


def modal(draw: Draw) -> Sentence:
    tense = draw.of("present", "present", "past")
    first = action_clause(draw, tense="future")
    verb = draw.one(MODALS)
    negation = words.NEGATIONS[0] if draw.chance(0.3) and not (tense == "past" and verb[0] == "must") else None
    time = (
        ("", "") if tense == "past" or first.adjunct[0] in {each[0] for each in words.WHEN["future"]} else first.adjunct
    )
    clause = Clause(first.subject, first.action, tense, first.object, first.to, negation, None, time, verb)
    return clause.en() + ".", lambda reading: clause.fr(reading) + "."


def asked_about(draw: Draw) -> Subject:
    """Anybody but the speaker, who seldom asks what they do themselves."""
    subject = someone(draw)
    return PRONOUNS[1] if subject == PRONOUNS[0] else subject


def question(draw: Draw) -> Sentence:
    clause = action_clause(draw, asked_about(draw), told=False)
    if draw.chance(0.25):
        clause = Clause(clause.subject, clause.action, "present", clause.object, clause.to, modal=draw.one(MODALS))
    return clause.question_en() + "?", lambda reading: clause.question_fr(reading) + " ?"


def asked(draw: Draw) -> Sentence:
    """Why, when and where."""
    tense = draw.of("past", "future")
    en, fr = draw.of(("why", "pourquoi"), ("when", "quand"))
    clause = action_clause(draw, asked_about(draw), tense, told=False)
    while clause.adjunct[0] in {each[0] for each in words.WHEN[tense]} and clause.adjunct[0]:
        clause = action_clause(draw, asked_about(draw), tense, told=False)
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
    tense, negated = draw.of("present", "present", "past", "future"), draw.chance(0.25)
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
    tense = draw.of("present", "present", "past")
    en, fr = draw.one(words.HAVING)

    def realise(reading: Reading) -> str:
        verb = AVOIR.conjugated("imperfect" if tense == "past" else "present", subject.person(reading))
        return f"{subject.fr(reading)} {f'ne {verb} pas' if negated else verb} {fr}."

    return f"{subject.en()} {_be_en(subject, tense, negated)} {en}.", realise


def located(draw: Draw) -> Sentence:
    tense, negated = draw.of("present", "past"), draw.chance(0.2)
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
    tense, negated = draw.of("present", "past"), draw.chance(0.25)
    nouns = draw.of(words.SMALL, words.SMALL, words.FOOD, words.PEOPLE)
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
    while same_person(subject, other) or _same_noun(subject, other):
        subject, other = someone(draw), someone(draw)
    than_en = other.object_en() if isinstance(other, Pronoun) else other.en()
    en, fr, adjective_en = draw.of(
        ("than", "plus", more), ("as", "aussi", f"as {plain}"), ("as", "pas aussi", f"as {plain}")
    )
    negated = fr == "pas aussi"

    def realise(reading: Reading) -> str:
        agreed = adjective.agree(subject.feminine(reading), is_plural(subject, reading))
        than = other.stressed_fr(reading) if isinstance(other, Pronoun) else other.fr(reading)
        is_fr = _be_fr(subject, "present", reading, negated)
        return f"{subject.fr(reading)} {is_fr} {fr.removeprefix('pas ')} {agreed} que {than}."

    return f"{subject.en()} {_be_en(subject, 'present', negated)} {adjective_en} {en} {than_en}.", realise


def _same_noun(one: Subject, other: Subject) -> bool:
    if isinstance(one, NounPhrase) and isinstance(other, NounPhrase):
        return one.noun is other.noun
    return one == other


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
    en, fr = draw.of(("think", words.THINK), ("know", words.KNOW), ("say", words.SAY))
    subject = someone(draw, pronouns=0.6)
    clause = action_clause(draw)
    if isinstance(subject, Pronoun) and subject == clause.subject:
        subject = Name(*draw.one(words.NAMES))
    verb = en if does(subject) == "do" else plural(en)

    def realise(reading: Reading) -> str:
        return f"{subject.fr(reading)} {fr.conjugated('present', subject.person(reading))} que {clause.fr(reading)}."

    return f"{subject.en()} {verb} that {clause.en()}.", realise


def because(draw: Draw) -> Sentence:
    tense = draw.of("past", "future")
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
    ("look for", "find", AND), ("buy", "sell", AND), ("break", "repair", BUT), ("choose", "buy", AND),
    ("hide", "find", AND), ("buy", "forget", BUT), ("look at", "draw", AND), ("prepare", "eat", AND),
    ("wash", "break", BUT), ("take", "lose", BUT),
)  # fmt: skip
KINDS: tuple[Callable[[Draw], Sentence], ...] = (
    statement, statement, statement, dated, modal, question, question, asked, described, described, having, located,
    where_is, existing, compared, command, believed, because, carried, carried,
)  # fmt: skip


def finished(text: str) -> str:
    """French with elisions, one space between words, and a capital letter."""
    return capitalised(joined(" ".join(text.split()).replace(" .", ".").replace(" ,", ",")))


def pair(draw: Draw) -> Sentence:
    """An English sentence of 4 to 14 words, and its French under a reading."""
    while True:
        en, realise = draw.one(KINDS)(draw)
        if SHORTEST <= en.count(" ") + 1 <= LONGEST:
            return capitalised(en), partial(_written, realise)


def _written(realise: Realise, reading: Reading) -> str:
    return finished(realise(reading))


def build() -> Splits:
    """All splits; the English of a row stands nowhere else."""

    def example(draw: Draw, split: str) -> tuple[str, Row]:
        src, realise = pair(draw)
        tgt = realise(Reading(draw=draw))
        row: Row = {"src": src, "tgt": tgt}
        if split != "train":
            row["refs"] = list(dict.fromkeys([tgt, *all_readings(realise)]))
        return src, row

    return deal(example, SEED, {**SIZES, "train": 4000})
