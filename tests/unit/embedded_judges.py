"""Judges of the embedded corpora's text, written a second time so that no grammar is its own judge."""

from __future__ import annotations

import re

from tasks.embedded import poetry_words
from tasks.embedded.captions import DISHES, SCENES, SETTINGS, VEHICLES
from tasks.embedded.poetry import tone
from tasks.embedded.speech_words import TOPICS

# The four regulated forms with five characters a line; `*` is free.
FORMS = (
    ("*仄平平仄", "平平仄仄平", "*平平仄仄", "*仄仄平平"),
    ("*平平仄仄", "*仄仄平平", "*仄平平仄", "平平仄仄平"),
    ("*仄仄平平", "平平仄仄平", "*平平仄仄", "*仄仄平平"),
    ("平平仄仄平", "*仄仄平平", "*仄平平仄", "平平仄仄平"),
)


def lines_of(text: str) -> list[str]:
    return text.split("\n")


def matches(line: str, pattern: str) -> bool:
    classes = {"平": "L", "仄": "O"}
    return all(mark == "*" or tone(character) == classes[mark] for character, mark in zip(line, pattern, strict=True))


def widened(pattern: str) -> str:
    """Seven characters: two more in front, the second of the other class than that of the five."""
    return ("*仄" if pattern[1] == "平" else "*平") + pattern


def rhyme(character: str) -> str:
    return next((name for name, group in poetry_words.LEVEL.items() if character in group), "")


def keeps_the_rules(text: str, width: int) -> bool:
    lines = lines_of(text)
    if len(lines) != 4 or any(len(line) != width for line in lines):
        return False
    for form in FORMS:
        patterns = [pattern if width == 5 else widened(pattern) for pattern in form]
        if all(matches(line, pattern) for line, pattern in zip(lines, patterns, strict=True)):
            carrying = [line[-1] for line, pattern in zip(lines, form, strict=True) if pattern[-1] == "平"]
            return len({rhyme(character) for character in carrying}) == 1 and len(set(carrying)) == len(carrying)
    return False


def _phrases_of_topics() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, topic in TOPICS.items():
        nouns = [many for _, many in topic.people] + [one for one, _ in topic.people]
        for phrase in (*topic.places, *topic.goods, *topic.burdens, *nouns):
            found.setdefault(phrase.lower(), set()).add(name)
    return found


TOPIC_PHRASES = _phrases_of_topics()


def topics_of(text: str) -> set[str]:
    """The topics that all of a sentence's people, places, goods and burdens share; the longest phrase counts."""
    shared = set(TOPICS)
    rest = f" {re.sub('[.,;]', ' ', text).lower()} "
    for phrase in sorted(TOPIC_PHRASES, key=len, reverse=True):
        if f" {phrase} " in rest:
            shared &= TOPIC_PHRASES[phrase]
            rest = rest.replace(f" {phrase} ", "  ")
    return shared


def one_topic(text: str) -> bool:
    return bool(topics_of(text)) and text.endswith(".")


def _opened(phrase: str) -> re.Pattern[str]:
    """An action or a place as a pattern: possessives and the number of marked nouns left open."""
    text = re.sub(r"[{\[](.+?)[}\]]", r"(?:an? )?\1\\w*", phrase.replace("their", "(?:his|her|their)"))
    return re.compile(rf"\b{text}\b")


# Agents who give their scene away and are not looked on by people of another.
_TELLING = "surfer skier snowboarder chef cyclist skateboarder student zookeeper farmer pilot traveler passenger"
TELLING = set(_TELLING.split()) | {"elephant", "giraffe", "zebra", "cow", "seagull"}


def _phrases_of_scenes() -> list[tuple[re.Pattern[str], set[int]]]:
    found: dict[str, set[int]] = {}
    for number, scene in enumerate(SCENES):
        agents = [f"[{agent}]" for agent in (*scene.people, *scene.animals) if agent in TELLING]
        for phrase in (*scene.acts, *scene.animal_acts, *scene.places, *agents):
            found.setdefault(phrase, set()).add(number)
    return [(_opened(phrase), owners) for phrase, owners in found.items()]


SCENE_PHRASES = _phrases_of_scenes()


def scenes_of(text: str) -> set[int]:
    """The scenes that a caption's actions and places share."""
    shared = set(range(len(SCENES)))
    for pattern, owners in SCENE_PHRASES:
        if pattern.search(text):
            shared &= owners
    return shared


PLURAL_COUNT = r"\b(?:two|three|four|several|many)\b"


def agrees(text: str) -> bool:
    """Number in a caption: counts, `there is` or `there are`, and a singular form of be right after a plural."""
    if re.match(r"there is (?:two|three|four|several|many|a group|a couple)\b", text):
        return False
    if re.match(r"there are (?!two|three|four|several|many|a group|a couple)", text):
        return False
    counted = re.search(PLURAL_COUNT + r" (?:[a-z]+ ){1,3}?(is|are)\b", text)
    return not (counted and counted[1] == "is")


THINGS = r"an? [a-z ]+?(?: , an? [a-z ]+?)*(?: and an? [a-z ]+?)?"
ROOMS = "|".join(place for place, _ in SETTINGS)
BOARDS = "|".join(place for place, _ in DISHES)
LISTING = re.compile(
    rf"an? \w+ (?:{ROOMS}) (?:with|that has|filled with|featuring) {THINGS} \."
    rf"|a (?:\w+ )?(?:{BOARDS}) (?:topped with|holding|with) {THINGS} \."
    rf"|{THINGS} (?:on|sitting on|on top of) a (?:\w+ )?(?:{BOARDS}) \."
)
ACTS = [_opened(act) for act in sorted({act for scene in SCENES for act in (*scene.acts, *scene.animal_acts)})]
ACTS += [_opened(act) for _, acts in VEHICLES for act in acts.split(", ")]


def tells(text: str) -> bool:
    """A caption either has one action or lists what is in a room or on a table."""
    return bool(LISTING.fullmatch(text)) != (sum(bool(act.search(text)) for act in ACTS) == 1)


def one_scene(text: str) -> bool:
    return tells(text) and bool(scenes_of(text)) and agrees(text) and text.count(" .") == 1
