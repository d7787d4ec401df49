"""Regulated quatrains in traditional Chinese: four lines of five or seven characters.

A poem keeps the tone pattern of its form (level and oblique characters in their places), rhymes its second and fourth
line (sometimes the first too) within one rhyme of the Pingshui tables, repeats no character except in doubled words,
and stays in one scene: a season, a setting and an hour. Lines one and two are often parallel: one shape, other words.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import product

from tasks.embedded import poetry_words as words
from tasks.embedded.grammar import Draw, Row, Splits, deal

SEEDS = {5: 5101, 7: 5102}
SEASONS, SETTINGS, HOURS = "春夏秋冬", "江山村", "晝暮夜"

RHYME = {character: rhyme for rhyme, group in words.LEVEL.items() for character in group}
OBLIQUE = frozenset(words.OBLIQUE)
KINDS = tuple(words.SUBJECTS)
LONGINGS = tuple(words.LONGINGS)
SHAPES = ("act", "act", "state", "state", "doubled")
# Places for boats and streams.
AFLOAT = frozenset("水江溪渚浦渡塘波洲沙岸海川河潭池島橋汀")
SCENELESS = (
    {f"act.{kind}": verbs.split() for kind, verbs in words.ACTS.items()}
    | {f"state.{kind}": states.split() for kind, states in words.STATES.items()}
    | {f"doubled.{kind}": doubled.split() for kind, doubled in words.DOUBLED.items()}
    | {f"long.{verbs}": list(verbs) for verbs in LONGINGS}
    | {f"longed.{verbs}": objects.split() for verbs, objects in words.LONGINGS.items()}
)

# The four lines of five; L is level, O oblique, lower case: either. B and D can carry the rhyme.
PATTERNS = {"A": "oOLLO", "B": "LLOOL", "C": "lLLOO", "D": "oOOLL"}
# Seven characters: two more in front, of the class opposite to the second of the five.
PREFIXES = {"A": "lL", "B": "oO", "C": "oO", "D": "lL"}
FORMS = ("ABCD", "CDAB", "DBCD", "BDAB")

Slots = tuple[tuple[str, int], ...]
TRIES = 16
REDRAWS = 4


def tone(character: str) -> str:
    """`L` or `O`.

    Raises:
        KeyError: a character that is not in the tables.
    """
    if character in RHYME:
        return "L"
    if character in OBLIQUE:
        return "O"
    raise KeyError(character)


def fits(text: str, pattern: str) -> bool:
    """Whether the tones of `text` are those of `pattern`, lower case being free."""
    return all(want.islower() or tone(character) == want for character, want in zip(text, pattern, strict=True))


Index = dict[tuple[str, str], tuple[str, ...]]


def _index(roles: dict[str, list[str]]) -> Index:
    """Words by role and exact tones, as `("subject.bird", "LO")`."""
    index: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for role, entries in roles.items():
        for word in dict.fromkeys(entries):
            index[role, "".join(map(tone, word))].append(word)
    return {key: tuple(found) for key, found in index.items()}


@cache
def _parsed(table: str) -> tuple[tuple[frozenset[str], tuple[str, ...]], ...]:
    lines = (line.split() for line in table.strip().splitlines())
    return tuple((frozenset(mark.strip("-")), tuple(found)) for mark, *found in lines)


def _tagged(table: str, tags: str) -> list[str]:
    return [word for marks, found in _parsed(table) if marks.issubset(tags) for word in found]


@cache
def _scene(tags: str) -> Index:
    """The words of one season, setting and hour; without tags, those that fit everywhere."""
    if not tags:
        return _index(SCENELESS)
    places, locales = _tagged(words.PLACES, tags), _tagged(words.LOCALES, tags)
    roles = {"place": places, "locale": locales}
    roles["place.afloat"] = [place for place in places if AFLOAT.intersection(place)]
    roles["locale.afloat"] = [locale for locale in locales if AFLOAT.intersection(locale)]
    roles |= {"opening": _tagged(words.OPENINGS, tags), "asker": _tagged(words.ASKERS, tags)}
    return _index(roles | {f"subject.{kind}": _tagged(words.SUBJECTS[kind], tags) for kind in KINDS})


@cache
def _fitting(tags: str, role: str, pattern: str, rhyme: str) -> tuple[str, ...]:
    """The words for a place in a line; with a `rhyme`, those that end in it."""
    scene = _scene(tags)
    exact = ("".join(tones) for tones in product(*("LO" if want.islower() else want for want in pattern)))
    found = [word for tones in exact for word in scene.get((role, tones), ())]
    return tuple(word for word in found if RHYME[word[-1]] == rhyme) if rhyme else tuple(found)


@cache
def _slots(shape: str, kind: str, width: int) -> Slots:
    """Roles of a line with their lengths."""
    where = ".afloat" if kind in ("boat", "water") else ""
    five: dict[str, Slots] = {
        "act": ((f"subject.{kind}", 2), (f"act.{kind}", 1), (f"place{where}", 2)),
        "state": ((f"subject.{kind}", 2), (f"locale{where}", 2), (f"state.{kind}", 1)),
        "doubled": ((f"subject.{kind}", 2), (f"doubled.{kind}", 2), (f"state.{kind}", 1)),
        "closing": (("asker", 2), (f"long.{kind}", 1), (f"longed.{kind}", 2)),
    }
    return (("opening", 2), *five[shape]) if width == 7 else five[shape]


def _line(draw: Draw, tags: str, slots: Slots, pattern: str, rhyme: str, used: set[str]) -> str:
    """One line, or nothing when no words fit; filled from its end, where a rhyme leaves the fewest words."""
    text, end = "", len(pattern)
    for role, length in reversed(slots):
        where = "" if role in SCENELESS else tags
        options = _fitting(where, role, pattern[end - length : end], "" if text else rhyme)
        if not options:
            return ""
        for _ in range(REDRAWS):
            word = draw.one(options)
            if used.isdisjoint(word) and word[0] not in text and word[-1] not in text:
                break
        else:
            return ""
        text, end = word + text, end - length
    return text


@cache
def _longings(pattern: str, rhyme: str) -> tuple[str, ...]:
    """The verbs of thought with an object in the rhyme."""
    return tuple(verbs for verbs in LONGINGS if _fitting("", f"longed.{verbs}", pattern, rhyme))


def _attempt(draw: Draw, width: int) -> list[str]:
    """The lines of a poem; fewer than four when the words ran out."""
    tags = draw.one(SEASONS) + draw.one(SETTINGS) + draw.one(HOURS)
    form = draw.one(FORMS[:2] if draw.chance(0.7) else FORMS[2:])
    parallel, closing = draw.chance(0.5), draw.chance(0.75)
    rhyme, shape = "", ""
    kinds, used, lines = set[str](), set[str](), list[str]()
    for number, name in enumerate(form):
        pattern = (PREFIXES[name] if width == 7 else "") + PATTERNS[name]
        carries = name in "BD"
        longings = _longings(pattern[-2:], rhyme) if number == 3 and closing else ()
        for _ in range(TRIES):
            if longings:
                shape, kind = "closing", draw.one(longings)
            else:
                shape = shape if number == 1 and parallel else draw.one(SHAPES)
                kind = draw.one(KINDS)
            if kind in kinds:
                continue
            line = _line(draw, tags, _slots(shape, kind, width), pattern, rhyme * carries, used)
            if line:
                break
        else:
            return lines
        rhyme = RHYME[line[-1]] if carries else rhyme
        kinds.add(kind)
        used.update(line)
        lines.append(line)
    return lines


def poem(draw: Draw, width: int) -> str:
    """A quatrain of `width` (5 or 7) characters a line; attempts that run out of words are thrown away."""
    while True:
        lines = _attempt(draw, width)
        if len(lines) == 4:
            return "\n".join(lines)


def build(width: int) -> Splits:
    """All splits of the quatrains with `width` characters a line."""

    def example(draw: Draw, split: str) -> tuple[str, Row]:  # noqa: ARG001
        text = poem(draw, width)
        return text, {"text": text}

    return deal(example, SEEDS[width])
