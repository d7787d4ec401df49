"""Speech, captions, summarization and dialogue of the embedded corpora: topics, agreement, facts, contexts."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tasks.embedded import SPLITS, rows
from tasks.embedded.english import ing, participle, past, plural, third
from tasks.embedded.grammar import listed, with_article
from tests.unit.embedded_judges import agrees, scenes_of, topics_of

NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}


def every(dataset: str) -> list[dict]:
    return [row for split in SPLITS for row in rows(dataset, split)]


def test_speech_keeps_to_one_topic_and_length() -> None:
    lengths = Counter()
    for row in every("speech"):
        text = row["text"]
        assert topics_of(text), text
        lengths[text.count(" ") + 1] += 1
        assert text[0].isupper()
        assert text.endswith(".")
    assert min(lengths) >= 8
    assert max(lengths) <= 30
    assert len(lengths) >= 18


def test_speech_agreement_and_anaphora() -> None:
    relative = 0
    for row in every("speech"):
        text = row["text"]
        one = re.search(r"\b(?:[Ee]very|[Ee]ach of our) [\w ]+? who (\w+)", text)
        if one:
            assert one[1].endswith("s"), text
            relative += 1
        modals = re.findall(r"\bwe (will|must|can|should) (?!not)", text.lower())
        if text.lower().count(" we ") + text.lower().startswith("we ") == len(modals) > 1:
            assert len(set(modals)) == 1, text
    assert relative > 60


@pytest.mark.slow
def test_captions_are_in_the_file_style_and_agree() -> None:
    for row in every("captions"):
        text = row["text"]
        assert re.fullmatch(r"[a-z]+(?: (?:[a-z]+|,))* \.", text), text
        assert scenes_of(text), text
        assert agrees(text), text
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text), text
        alone = not re.search(r"\b(?:watching|looking at|next to|picture of)\b", text)
        if alone and re.match(r"(?:there is )?an? (?:\w+ )?(?:man|boy)\b", text):
            assert not re.search(r"\b(?:her|their)\b", text), text
    lengths = [row["text"].count(" ") for row in every("captions")]
    assert min(lengths) >= 4
    assert max(lengths) <= 25


@pytest.mark.parametrize(
    ("made", "right"),
    [
        (plural("policewoman"), "policewomen"), (plural("box"), "boxes"), (plural("puppy"), "puppies"),
        (plural("goose"), "geese"), (plural("fire truck"), "fire trucks"), (third("stand with"), "stands with"),
        (third("carry"), "carries"), (third("go out"), "goes out"), (ing("cut"), "cutting"), (ing("ride"), "riding"),
        (ing("lie"), "lying"), (ing("see"), "seeing"), (past("stop"), "stopped"), (past("carry"), "carried"),
        (past("look for"), "looked for"), (participle("stand with"), "stood with"), (participle("break"), "broken"),
        (with_article("old man"), "an old man"), (listed(["a", "b", "c"]), "a, b and c"), (listed(["a"]), "a"),
    ],
)  # fmt: skip
def test_english_forms(made: str, right: str) -> None:
    assert made == right


def facts(text: str) -> set[str]:
    """Numbers and capitalised words inside sentences: who, where, when, how many."""
    inner = re.sub(r"(^|[.] )\w+", " ", text)
    return set(re.findall(r"\d[\d,-]*\d|\d|\b[A-Z]\w+", inner))


@pytest.mark.slow
def test_articles_and_highlights() -> None:
    places = Counter()
    for row in every("summarization"):
        article, highlights = row["article"], row["highlights"]
        sentences = re.findall(r"[^.]+\.", article)
        assert 4 <= len(sentences) <= 8, article
        assert 50 <= article.count(" ") + 1 <= 110
        assert 1 <= len(highlights) <= 3
        assert all(sentence.endswith(".") and sentence not in article for sentence in highlights), row
        for sentence in highlights:
            assert facts(sentence) <= facts(" " + article) | set(re.findall(r"\w+", article)), row
        main = max(range(len(sentences)), key=lambda i: len(facts("x " + sentences[i]) & facts("x " + highlights[0])))
        places[main] += 1
    assert len(places) >= 3
    assert places.most_common(1)[0][1] < 0.7 * len(every("summarization"))


def test_highlights_need_selecting() -> None:
    """The first sentence alone is often the wrong one: most articles have numbers that the highlights leave out."""
    traps = sum(
        len(set(re.findall(r"\d+", row["article"])) - set(re.findall(r"\d+", " ".join(row["highlights"])))) >= 2
        for row in rows("summarization", "test")
    )
    assert traps > 350


def test_contexts_have_one_to_four_turns_and_matter() -> None:
    turns = Counter()
    carried = 0
    for row in every("dialogue"):
        context, response = row["context"], row["response"]
        turns[len(context)] += 1
        assert 1 <= len(context) <= 4
        assert all(turn[-1] in ".?" and turn[0].isupper() for turn in (*context, response)), row
        assert len(set(context)) == len(context)
        slots = facts("x " + response) | set(re.findall(r"\b(?:left|right|vegan|red|blue|green|\d+)\b", response))
        carried += bool(slots & set(re.findall(r"\w+", " ".join(context))))
    assert set(turns) == {1, 2, 3, 4}
    assert carried > 0.45 * len(every("dialogue"))


def test_dialogues_count_right() -> None:
    bought = parties = 0
    for row in every("dialogue"):
        context, response = " ".join(row["context"]), row["response"]
        total = re.match(r"(\w+) tickets to \w+ make (\d+) dollars", response)
        price = re.search(r"(\d+) dollars", context)
        if total and price:
            assert int(total[2]) == NUMBERS[total[1].lower()] * int(price[1]), row
            bought += 1
        more = re.match(r"(\w+) more, because (\w+) of the (\w+)", response)
        if more:
            count = {"one": 1, **NUMBERS}
            assert count[more[1].lower()] == count[more[3]] - count[more[2]], row
            parties += 1
    assert min(bought, parties) > 20


def test_dialogues_confirm_and_correct() -> None:
    seen = Counter()
    for row in every("dialogue"):
        context, response = row["context"], row["response"]
        heard = re.match(r"So I turn (left|right) at the", context[-1])
        if heard and len(context) > 1:
            told = re.search(r"turn (left|right)", context[-2].lower())
            assert told
            assert response.startswith("Yes" if told[1] == heard[1] else "No"), row
            seen[response[:2]] += 1
    assert len(seen) == 2
