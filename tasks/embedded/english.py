"""English verb and noun forms for the grammars: rules of spelling, and the exceptions among the words used."""

from __future__ import annotations

from functools import cache

VOWELS = "aeiou"

# base: (past, past participle)
IRREGULAR_VERBS = {
    "be": ("was", "been"), "begin": ("began", "begun"), "break": ("broke", "broken"), "draw": ("drew", "drawn"),
    "forget": ("forgot", "forgotten"), "lend": ("lent", "lent"), "swim": ("swam", "swum"), "bring": ("brought",
    "brought"), "build": ("built", "built"),
    "buy": ("bought", "bought"), "choose": ("chose", "chosen"), "come": ("came", "come"), "cut": ("cut", "cut"),
    "do": ("did", "done"), "drink": ("drank", "drunk"), "drive": ("drove", "driven"), "eat": ("ate", "eaten"),
    "fall": ("fell", "fallen"), "feed": ("fed", "fed"), "fight": ("fought", "fought"), "find": ("found", "found"),
    "fly": ("flew", "flown"), "get": ("got", "got"), "give": ("gave", "given"), "go": ("went", "gone"),
    "grow": ("grew", "grown"), "have": ("had", "had"), "hide": ("hid", "hidden"), "hold": ("held", "held"),
    "keep": ("kept", "kept"), "know": ("knew", "known"), "lead": ("led", "led"), "leave": ("left", "left"),
    "lose": ("lost", "lost"), "make": ("made", "made"), "meet": ("met", "met"), "pay": ("paid", "paid"),
    "put": ("put", "put"), "read": ("read", "read"), "rebuild": ("rebuilt", "rebuilt"), "ride": ("rode", "ridden"),
    "run": ("ran", "run"), "say": ("said", "said"), "see": ("saw", "seen"), "sell": ("sold", "sold"),
    "send": ("sent", "sent"), "sing": ("sang", "sung"), "sit": ("sat", "sat"), "sleep": ("slept", "slept"),
    "stand": ("stood", "stood"), "take": ("took", "taken"), "teach": ("taught", "taught"), "tell": ("told", "told"),
    "think": ("thought", "thought"), "understand": ("understood", "understood"), "win": ("won", "won"),
    "write": ("wrote", "written"),
}  # fmt: skip
IRREGULAR_PLURALS = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "sheep": "sheep", "knife": "knives",
    "loaf": "loaves", "shelf": "shelves", "fireman": "firemen", "policeman": "policemen", "skis": "skis",
    "policewoman": "policewomen", "life": "lives", "goose": "geese",
}  # fmt: skip
DOUBLING = {
    "cut",
    "get",
    "put",
    "run",
    "sit",
    "win",
    "stop",
    "plan",
    "chat",
    "begin",
    "hug",
    "jog",
    "swim",
    "nap",
    "forget",
}


def _sibilant_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh", "o")):
        return word + "es"
    if word.endswith("y") and word[-2] not in VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def plural(noun: str) -> str:
    """Of the last word of `noun` ("fire truck" -> "fire trucks")."""
    *first, head = noun.split(" ")
    if head in {"photo", "piano", "taco", "avocado"}:
        return " ".join([*first, head + "s"])
    return " ".join([*first, IRREGULAR_PLURALS.get(head) or _sibilant_s(head)])


@cache
def third(verb: str) -> str:
    """`stand with` -> `stands with`."""
    head, _, rest = verb.partition(" ")
    form = {"be": "is", "have": "has"}.get(head) or _sibilant_s(head)
    return f"{form} {rest}" if rest else form


@cache
def ing(verb: str) -> str:
    """`make` -> `making`, `cut` -> `cutting`, `stand with` -> `standing with`."""
    head, _, rest = verb.partition(" ")
    if head in DOUBLING:
        form = head + head[-1] + "ing"
    elif head.endswith("ie"):
        form = head[:-2] + "ying"
    elif head.endswith("e") and not head.endswith(("ee", "be", "oe")):
        form = head[:-1] + "ing"
    else:
        form = head + "ing"
    return f"{form} {rest}" if rest else form


def _regular_past(head: str) -> str:
    if head.endswith("e"):
        return head + "d"
    if head.endswith("y") and head[-2] not in VOWELS:
        return head[:-1] + "ied"
    return head + (head[-1] if head in DOUBLING else "") + "ed"


@cache
def past(verb: str) -> str:
    head, _, rest = verb.partition(" ")
    form = IRREGULAR_VERBS[head][0] if head in IRREGULAR_VERBS else _regular_past(head)
    return f"{form} {rest}" if rest else form


@cache
def participle(verb: str) -> str:
    """The past participle."""
    head, _, rest = verb.partition(" ")
    form = IRREGULAR_VERBS[head][1] if head in IRREGULAR_VERBS else _regular_past(head)
    return f"{form} {rest}" if rest else form
