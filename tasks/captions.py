"""Image captions of MS COCO, without the images: the set of Texygen, LeakGAN and RelGAN."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.base import FREE_TEXT, Corpus, Example, Provenance, Row, Source, Task, TaskOptions
from tasks.checks import text_of
from tasks.encoding import Side
from tasks.loading import Plan, load
from tasks.text import make_tokeniser


class CaptionsOptions(TaskOptions):
    """`word` parts a full stop from its word, as Texygen's own files do; `space` takes the tokens as the file has them.

    In the set at hand most captions end in a full stop without a blank, so with `space` they end in one of thousands
    of words-with-a-stop. Where the file has the blank, the two give the same tokens.
    """

    tokenizer: Literal["word", "space"] = "word"
    max_tokens: int = Field(32, ge=2)
    max_vocab: int = Field(8000, ge=3)
    min_count: int = Field(1, ge=1)


class Captions(Task):
    """Lower-case captions, word by word; 32 tokens at most (Guo et al. 2018 use length 32)."""

    name = "captions"
    version = 1
    kind = "free"
    summary = "image captions (COCO), without the images"
    metrics = FREE_TEXT
    primary = "bleu-2"
    decodings = ("sample@1",)
    provenance = Provenance(
        "https://github.com/geek-ai/Texygen data/image_coco.txt, data/testdata/test_coco.txt (set caption_coco)",
        "captions: CC BY 4.0 (MS COCO); Texygen: MIT",
        "duplicates and captions shared by train and test are taken out, so it is not Texygen's set line for line",
    )
    Options = CaptionsOptions
    options: CaptionsOptions

    @property
    def tokens(self) -> str:
        return "word-lower"

    def load(self, source: Source, limit: int | None = None, *, allow_overlap: bool = False) -> Corpus:
        options = self.options
        side = Side(
            tokeniser=make_tokeniser(options.tokenizer, lower=True),
            max_tokens=options.max_tokens,
            max_vocab=options.max_vocab,
            min_count=options.min_count,
        )
        return load(self, Plan("caption_coco", parse, side), source, limit, allow_overlap=allow_overlap)


def parse(row: Row) -> Example:
    return Example(text_of(row, "text"))
