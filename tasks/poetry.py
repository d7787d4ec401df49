"""Classical Chinese quatrains (jueju) of five or seven characters a line: SeqGAN's first real task."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Literal

from pydantic import Field

from tasks.base import FREE_TEXT, Corpus, DataError, Example, Provenance, Row, Source, Task, TaskOptions
from tasks.checks import text_of
from tasks.encoding import Side
from tasks.loading import Plan, load
from tasks.text import Verses

_BREAKS = re.compile(r"[\s/|，。、；：？！,.;:?!]+")


class PoetryOptions(TaskOptions):
    """`min_count` 2 leaves characters seen once in train to `<unk>`, printed as a geta mark."""

    chars: Literal[5, 7] = 5
    max_vocab: int = Field(4000, ge=3)
    min_count: int = Field(2, ge=1)


class Poetry(Task):
    """A poem is 20 or 28 characters, line breaks left out, as in SeqGAN (Yu et al. 2017, section 4.2)."""

    name = "poetry"
    version = 1
    kind = "free"
    summary = "Chinese quatrains, character by character"
    metrics = FREE_TEXT
    primary = "bleu-2"
    decodings = ("sample@1",)
    provenance = Provenance(
        "https://github.com/chinese-poetry/chinese-poetry (sets poetry_jueju5, poetry_jueju7)",
        "poems: public domain; collection: MIT",
        "SeqGAN and Texygen used 16,394 five-character quatrains in simplified characters, cut from longer poems too",
    )
    Options = PoetryOptions
    options: PoetryOptions

    @property
    def tokens(self) -> str:
        return "char"

    def load(self, source: Source, limit: int | None = None, *, allow_overlap: bool = False) -> Corpus:
        options = self.options
        side = Side(
            tokeniser=Verses(width=options.chars),
            max_tokens=4 * options.chars,
            max_vocab=options.max_vocab,
            min_count=options.min_count,
        )
        plan = Plan(f"poetry_jueju{options.chars}", self.parse, side, fixed_length=side.max_tokens)
        corpus = load(self, plan, source, limit, allow_overlap=allow_overlap)
        return replace(corpus, warnings=(*corpus.warnings, *_rare(corpus)))

    def parse(self, row: Row) -> Example:
        """The poem as four lines; lines may be parted by line breaks, slashes or punctuation."""
        lines = [line for line in _BREAKS.split(text_of(row, "text")) if line]
        width = self.options.chars
        if [len(line) for line in lines] != [width] * 4:
            found = "+".join(str(len(line)) for line in lines)
            raise DataError(
                f'{row.place}: field "text" is not four lines of {width} characters (it has {found}). '
                "Remove the row, or choose the other form: --set poetry.chars=5 or 7"
            )
        return Example("\n".join(lines))


def _rare(corpus: Corpus) -> list[str]:
    """How many different characters the vocabulary leaves out, which per-token counts do not say."""
    known = set(corpus.vocab.tokens)
    seen = Counter(char for row in corpus.splits["train"].examples for char in row.target if char != "\n")
    rare = sum(1 for char in seen if char not in known)
    return (
        [f"{rare} of {len(seen)} characters of train are too rare for the vocabulary and print as 〓"] if rare else []
    )
