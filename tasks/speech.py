"""Sentences of presidential addresses: SeqGAN's second real task (Obama's speeches)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.base import FREE_TEXT, Corpus, Example, Provenance, Row, Source, Task, TaskOptions
from tasks.checks import text_of
from tasks.encoding import Side
from tasks.loading import Plan, load
from tasks.text import Words


class SpeechOptions(TaskOptions):
    """`max_tokens` counts `</s>`; `long` says what becomes of longer sentences of train (others are always cut)."""

    dataset: Literal["speech_obama", "speech_us"] = "speech_obama"
    lower: bool = True
    max_tokens: int = Field(40, ge=2)
    long: Literal["cut", "drop"] = "cut"
    max_vocab: int = Field(8000, ge=3)
    min_count: int = Field(2, ge=1)


class Speech(Task):
    """Word by word, with Moses tokens."""

    name = "speech"
    version = 1
    kind = "free"
    summary = "sentences of US presidents' addresses"
    metrics = FREE_TEXT
    primary = "bleu-2"
    decodings = ("sample@1",)
    provenance = Provenance(
        "https://github.com/kfogel/presidential-speeches (sets speech_obama, speech_us)",
        "public domain",
        "SeqGAN used 11,092 paragraphs of github.com/samim23/obama-rnn: not the same data",
    )
    Options = SpeechOptions
    options: SpeechOptions

    @property
    def tokens(self) -> str:
        return "word-lower"

    def load(self, source: Source, limit: int | None = None, *, allow_overlap: bool = False) -> Corpus:
        options = self.options
        side = Side(
            tokeniser=Words("en", options.lower),
            max_tokens=options.max_tokens,
            max_vocab=options.max_vocab,
            min_count=options.min_count,
            long=options.long,
        )
        return load(self, Plan(options.dataset, parse, side), source, limit, allow_overlap=allow_overlap)


def parse(row: Row) -> Example:
    return Example(text_of(row, "text"))
