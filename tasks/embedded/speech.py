"""Sentences as a president might say them: one topic each, agreement across clauses, and figures of speech.

The topic is drawn first and gives all of a sentence's people, places, goods and burdens; modals are repeated through
an anaphora, verbs agree with subjects that stand far from them, and no phrase is used twice in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable

from tasks.embedded import speech_words as words
from tasks.embedded.english import ing, participle, third
from tasks.embedded.grammar import Draw, Row, Splits, capitalised, deal, listed

SEED = 5201
SHORTEST, LONGEST = 8, 30  # words


class Speech:
    """One sentence in the making: a topic, and what of it is still unused."""

    def __init__(self, draw: Draw) -> None:
        topic = words.TOPICS[draw.one(TOPIC_NAMES)]
        self.draw = draw
        self._people = iter(draw.shuffled(topic.people))
        self._nouns = {
            words.ON_PLACES: iter(draw.shuffled(topic.places)),
            words.ON_GOODS: iter(draw.shuffled(topic.goods)),
            words.ON_BURDENS: iter(draw.shuffled(topic.burdens)),
        }
        self._deeds = iter(draw.shuffled(topic.deeds))
        self._verbs: set[str] = set()

    def good(self) -> str:
        return next(self._nouns[words.ON_GOODS])

    def burden(self) -> str:
        return next(self._nouns[words.ON_BURDENS])

    def person(self) -> tuple[str, str]:
        return next(self._people)

    def crowd(self) -> str:
        """A plural subject."""
        many = self.person()[1]
        return self.draw.of(f"our {many}", f"the {many} of {self.draw.one(words.STATES)}", f"{many} across America")

    def each(self) -> str:
        """A singular subject; the plural noun inside it must not catch the verb."""
        one, many = self.person()
        return self.draw.of(f"every {one}", f"each of our {many}", f"every {one} in {self.draw.one(words.STATES)}")

    def deed(self) -> str:
        """A verb phrase in its base form: the topic's own, or a verb with one of its nouns."""
        if self.draw.chance(0.4):
            return next(self._deeds)
        verbs = self.draw.of(words.ON_PEOPLE, words.ON_PLACES, words.ON_GOODS, words.ON_BURDENS)
        verb = self.draw.one([verb for verb in verbs if verb not in self._verbs])
        self._verbs.add(verb)
        if verbs is words.ON_PEOPLE:
            return f"{verb} our {self.person()[1]}"
        noun = next(self._nouns[verbs])
        if verbs is words.ON_PLACES:
            return f"{verb} {self.draw.of('new', 'better') if verb == 'build' else 'our'} {noun}"
        return f"{verb} {noun}"

    def sacrifice(self) -> str:
        return self.draw.one(words.SACRIFICES)


def anaphora(s: Speech) -> str:
    modal = s.draw.one(words.MODALS)
    clauses = [f"we {modal} {s.deed()}" for _ in range(s.draw.between(2, 4))]
    return s.draw.of(f"{listed(clauses)}.", f"{', '.join(clauses)}.", f"together, {listed(clauses)}.")


def refusal(s: Speech) -> str:
    modal = s.draw.of("cannot", "will not", "must not")
    yes = {"cannot": "can", "will not": "will", "must not": "must"}[modal]
    return f"we {modal} accept {s.burden()}, and we {modal} turn our backs on {s.crowd()}; we {yes} {s.deed()}."


def request(s: Speech) -> str:
    hearer = s.draw.of("Congress", "this Congress", "every governor", "both parties", "the American people")
    return (
        f"that is why I am asking {hearer} to {s.deed()} and to {s.deed()}{s.draw.of('', ' this year', ' right now')}."
    )


def deserving(s: Speech) -> str:
    verb, deserve = s.sacrifice(), s.draw.of("deserve", "depend on", "believe in", "care about")
    if s.draw.chance(0.5):
        return f"{s.each()} who {third(verb)} {third(deserve)} {s.good()}."
    return f"{s.crowd()} who {verb} {deserve} {s.good()}{s.draw.of('', ', and so do their children', ' too')}."


def doubters(s: Speech) -> str:
    where = s.draw.of(f"in {s.draw.one(words.CITIES)}", f"in {s.draw.one(words.STATES)}", "all across this country")
    return (
        f"there are those who say that we cannot {s.deed()}, but I have met {s.person()[1]} {where} who "
        f"{s.sacrifice()} every day."
    )


def condition(s: Speech) -> str:
    result = s.draw.of("will have a fair shot", "will do the rest", "will lead the way", "will never be forgotten")
    return f"if we {s.deed()} and {s.deed()}, then {s.draw.of(s.crowd, s.each)()} {result}."


def record(s: Speech) -> str:
    done = [participle(s.deed()) for _ in range(2)]
    rest = s.draw.of(
        f"but {s.burden()} is still with us",
        f"but too many {s.person()[1]} are still waiting",
        "but our work is not done",
    )
    return f"over the last {s.draw.one(words.SPANS)} years, we have {done[0]} and we have {done[1]}, {rest}."


def neither(s: Speech) -> str:
    first, second = s.draw.some(("government", "Congress", "Washington", "the market", "a president", "business"), 2)
    return f"neither {first} nor {second} can {s.deed()} alone, and none of us can {s.deed()} without {s.crowd()}."


def journey(s: Speech) -> str:
    first, second = s.draw.some(words.CITIES, 2)
    return f"from {first} to {second}, {s.person()[1]} are {ing(s.deed())}, and {s.good()} is within our reach."


def ask(s: Speech) -> str:
    many, good = s.person()[1], s.good()
    return (
        f"ask the {many} of {s.draw.one(words.CITIES)} what {good} means to them, and they will tell you "
        f"that it is worth fighting for."
    )


def not_but(s: Speech) -> str:
    good, burden = s.good(), s.burden()
    first, second = s.draw.of((good, burden), (burden, good))
    verb = s.draw.of("define", "shape", "decide")
    if first == burden:
        return f"it is not {first} that {third(verb)} who we are; it is {second}, and {s.each()} {third('know')} it."
    return (
        f"no one should have to choose between {first} and a paycheck, and no {s.person()[0]} should "
        f"have to fear {second}."
    )


def remember(s: Speech) -> str:
    one, place = s.person()[0], s.draw.one(words.CITIES)
    who = one if one.startswith("young") else f"{s.draw.of('retired', 'proud', 'quiet')} {one}"
    return f"I think of a {who} in {place} who {third(s.sacrifice())} despite {s.burden()}."


def let_us(s: Speech) -> str:
    opening = s.draw.of("so let us", "tonight, let us", "let us")
    return f"{opening} {s.deed()}, let us {s.deed()}, and let us never forget {s.crowd()} who {s.sacrifice()}."


def moment(s: Speech) -> str:
    what = s.draw.of("moment", "generation", "year", "nation")
    relative = "when we finally" if what in ("moment", "year") else "that will finally"
    return f"this is the {what} {relative} {s.deed()}, and this is the {what} {relative} {s.deed()}."


def contrast(s: Speech) -> str:
    years, good = s.draw.one(words.SPANS), s.good()
    now = s.draw.of("stronger than ever", "within our reach", "on the ballot", "a promise kept")
    return (
        f"{years} years ago, {good} was out of reach for {s.person()[1]}; today, because you chose to "
        f"{s.deed()}, it is {now}."
    )


def why(s: Speech) -> str:
    who, verb = s.person(), s.sacrifice()
    return (
        f"when {s.burden()} grows, "
        f"{s.draw.of(f'the {who[0]} who {third(verb)} pays', f'the {who[1]} who {verb} pay')} the price."
    )


FIGURES: tuple[Callable[[Speech], str], ...] = (
    anaphora, anaphora, refusal, request, deserving, doubters, condition, record, neither, journey, ask, not_but,
    remember,
    let_us, moment, contrast, why,
)  # fmt: skip
TOPIC_NAMES = tuple(words.TOPICS)
ADDRESSES = ("my fellow Americans, ", "and ", "but ", "you see, ", "so ")


def sentence(draw: Draw) -> str:
    """One sentence of 8 to 30 words."""
    while True:
        figure = draw.one(FIGURES)
        text = figure(Speech(draw))
        if draw.chance(0.15) and not text.startswith(("so ", "together", "tonight")):
            text = draw.one(ADDRESSES) + text
        if SHORTEST <= text.count(" ") + 1 <= LONGEST:
            return capitalised(text)


def build() -> Splits:
    """All splits."""

    def example(draw: Draw, split: str) -> tuple[str, Row]:  # noqa: ARG001
        text = sentence(draw)
        return text, {"text": text}

    return deal(example, SEED)
