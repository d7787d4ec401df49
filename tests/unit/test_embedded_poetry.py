"""Every embedded quatrain keeps its rules: characters, tones, rhyme, no repetition.

The rules themselves are in `embedded_judges`, written out a second time.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tasks.embedded import SPLITS, poetry_words, rows
from tasks.embedded.poetry import tone
from tests.unit.embedded_judges import FORMS, keeps_the_rules, lines_of, matches, rhyme

# Characters whose class is beyond doubt, as a check of the table itself: entering, departing and rising tones, and
# level ones that modern Mandarin would let one take for oblique or the other way round.
KNOWN_OBLIQUE = "白石竹月雪落客日夕出獨葉碧綠鶴笛色屋入夜路樹雁渡外照影寺水雨遠鳥柳草老"
KNOWN_LEVEL = "山河天風雲花春秋江聽" + "流舟樓心人年西南東空聞看思"
RHYMING = ("東風空中", "微飛歸衣", "山間還關", "流舟樓秋", "心深林音", "清城聲行", "長鄉光香", "人春身新", "家花斜涯")


def without_doubled(text: str) -> str:
    return "".join(one for one, two in zip(text, text[1:] + " ", strict=True) if one != two)


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "width"), [("poetry", 5), ("poetry7", 7)])
def test_every_poem_keeps_the_rules(dataset: str, width: int) -> None:
    for split in SPLITS:
        for row in rows(dataset, split):
            assert keeps_the_rules(row["text"], width), row["text"]
            counts = Counter(without_doubled(row["text"].replace("\n", "")))
            assert counts.most_common(1)[0][1] == 1, row["text"]


def test_the_judge_sees_broken_rules() -> None:
    good = rows("poetry", "test")[0]["text"]
    lines = lines_of(good)
    assert keeps_the_rules(good, 5)
    assert not keeps_the_rules("\n".join([lines[1], lines[0], *lines[2:]]), 5)
    assert not keeps_the_rules(
        "\n".join([*lines[:3], lines[3][:4] + ("山" if rhyme(lines[3][-1]) != "刪" else "風")]), 5
    )
    assert not keeps_the_rules("\n".join(lines[:3]), 5)


def test_tone_tables() -> None:
    assert all(tone(character) == "O" for character in KNOWN_OBLIQUE)
    assert all(tone(character) == "L" for character in KNOWN_LEVEL if character in "".join(poetry_words.LEVEL.values()))
    for group in RHYMING:
        assert len({rhyme(character) for character in group if rhyme(character)}) == 1
    level = "".join(poetry_words.LEVEL.values())
    assert len(level) == len(set(level))
    assert len(poetry_words.OBLIQUE) == len(set(poetry_words.OBLIQUE))
    assert not set(level) & set(poetry_words.OBLIQUE)
    assert 250 <= len(level) + len(poetry_words.OBLIQUE) <= 420
    with pytest.raises(KeyError):
        tone("x")


def test_every_form_and_many_rhymes_occur() -> None:
    poems = [lines_of(row["text"]) for row in rows("poetry", "train")]
    forms = Counter(next(i for i, form in enumerate(FORMS) if all(map(matches, poem, form))) for poem in poems)
    assert set(forms) == {0, 1, 2, 3}
    rhymes = Counter(rhyme(poem[3][-1]) for poem in poems)
    assert len(rhymes) >= 12
    assert rhymes.most_common(1)[0][1] < 0.25 * len(poems)


def test_scenes_are_kept() -> None:
    """A poem never has two seasons, and never sun and moon."""
    seasons = {"春": "春杏桃", "秋": "秋菊楓", "冬": "雪梅冬"}
    for row in rows("poetry", "train"):
        found = {season for season, marks in seasons.items() if set(marks) & set(row["text"])}
        assert len(found) <= 1, row["text"]
        assert not ("夕陽" in row["text"] and "明月" in row["text"])
