"""News articles of 4 to 8 sentences with highlights that tell the main event in other words.

The main event stands in a varying place among details and sentences about other events; a second highlight is due
exactly when the article tells the story's further point.
"""

from __future__ import annotations

from tasks.embedded.grammar import Draw, Row, Splits, deal
from tasks.embedded.news import STORIES

SEED = 5501
SHORTEST, LONGEST = 50, 110  # words of an article


def article(draw: Draw) -> tuple[str, list[str]]:
    """An article with its highlights."""
    while True:
        story = draw.one(STORIES)(draw)
        highlights = [story.summary]
        told = draw.some(story.details, draw.between(1, 3))
        if draw.chance(0.6):
            told.append(story.point)
            highlights.append(story.point_summary)
        others = draw.some(story.others, draw.between(1, 3))
        first = draw.some(others, draw.between(0, min(2, len(others))))
        rest = [each for each in others if each not in first] + told
        text = " ".join([*first, story.main, *draw.shuffled(rest)])
        sentences = len(first) + 1 + len(rest)
        if 4 <= sentences <= 8 and SHORTEST <= text.count(" ") + 1 <= LONGEST:
            return text, highlights


def build() -> Splits:
    """All splits."""

    def example(draw: Draw, split: str) -> tuple[str, Row]:  # noqa: ARG001
        text, highlights = article(draw)
        return text, {"article": text, "highlights": highlights}

    return deal(example, SEED)
