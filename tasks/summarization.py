"""Summaries: CNN/DailyMail's layout (`article`, `highlights`), with free sets of one-line summaries at hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from tasks.base import Corpus, DataError, Example, Provenance, Row, Source, Task, TaskOptions
from tasks.checks import optional_texts_of, text_of, texts_of
from tasks.encoding import Side
from tasks.loading import Plan, load
from tasks.text import Tokeniser, make_tokeniser

TAG = "TAGNUM"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class SummarizationOptions(TaskOptions):
    """Lengths count `</s>`; longer articles are cut at the end (their start says most), and counted.

    400 article and 100 summary tokens are See et al. 2017 (section 5). Titles and one-line summaries end sooner.

    Attributes:
        tokenizer: `auto` is characters for Chinese and words otherwise.
        wikinews: adds `test_wikinews`, news articles and headlines, as a further test.
        digits: `tag` makes every number, which is a maximal run of digits with single inner points or commas
            (`1,234.5`), the token `TAGNUM`, parted from its neighbours by blanks: in articles, summaries and
            references, so that all scores are those of tagged text. It stays in capitals whatever `lower` says, but
            for `bpe`, that learns its own pieces of it. Metrics by characters see its six letters.
    """

    set: Literal["arxiv", "scitldr", "csl_zh", "cnndm"] = "arxiv"
    tokenizer: Literal["auto", "word", "char", "bpe"] = "auto"
    lower: bool = True
    max_article_tokens: int = Field(400, ge=2)
    max_tokens: int = Field(100, ge=2)
    max_article_vocab: int = Field(20000, ge=300)
    max_vocab: int = Field(12000, ge=300)
    min_count: int = Field(2, ge=1)
    wikinews: bool = False
    digits: Literal["keep", "tag"] = "keep"

    @model_serializer(mode="wrap")
    def _without_what_came_later(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fingerprints and stored results are found by this: `digits` is only told where it changes anything."""
        found: dict[str, Any] = dump(self)
        if self.digits == "keep":
            found.pop("digits", None)
        return found


class Summarization(Task):
    """Article to summary. A summary of several sentences keeps a line for each, as ROUGE-Lsum wants them."""

    name = "summarization"
    version = 1
    kind = "conditional"
    summary = "articles to summaries (arXiv abstracts to titles first)"
    metrics = (
        *("rouge-1", "rouge-2", "rouge-l", "rouge-lsum", "nll-test"),
        *("novel-1", "novel-2", "length", "length-ratio", "unk"),
    )
    primary = "rouge-1"
    # titles coin names: where `<unk>` is the likeliest word, the second likeliest is what a reader can use
    decodings = ("greedy", "beam4", "greedy/no-unk", "beam4/no-unk")
    provenance = Provenance(
        "https://arxiv.org (sum_arxiv), https://github.com/allenai/scitldr, https://github.com/ydli-ai/CSL, "
        "https://en.wikinews.org (sum_wikinews); hub: abisee/cnn_dailymail 3.0.0",
        "arXiv metadata: CC0 1.0; SciTLDR, CSL: Apache-2.0; Wikinews: CC BY 2.5; CNN/DailyMail: see its card",
        "csl_zh is a small part of CSL, cut anew: not comparable with its paper",
    )
    Options = SummarizationOptions
    options: SummarizationOptions

    @property
    def chinese(self) -> bool:
        return self.options.set == "csl_zh"

    @property
    def tokens(self) -> str:
        return "char" if self.chinese else "word-lower"

    def load(self, source: Source, limit: int | None = None, *, allow_overlap: bool = False) -> Corpus:
        options = self.options
        if source.origin == "embedded" and (options.set != "arxiv" or options.wikinews):
            raise DataError("summarization: the embedded corpus is one English set; give --data for others")
        lengths = (options.max_tokens, options.max_article_tokens)
        target, article = (
            Side(
                tokeniser=self._tokeniser(),
                max_tokens=length,
                max_vocab=size,
                min_count=options.min_count,
                lines=lines,
                lower=options.lower,
            )
            for length, size, lines in zip(
                lengths, (options.max_vocab, options.max_article_vocab), (True, False), strict=True
            )
        )
        plan = Plan(
            dataset=f"sum_{options.set}",
            parse=parse if options.digits == "keep" else parse_tagged,
            target=target,
            source=article,
            extra_sets={"test_wikinews": "sum_wikinews"} if options.wikinews else {},
        )
        return load(self, plan, source, limit, allow_overlap=allow_overlap)

    def prepare_source(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        return parts if self.options.digits == "keep" else tuple(map(tagged, parts))

    def _tokeniser(self) -> Tokeniser | None:
        name = self.options.tokenizer
        if name == "auto":
            name = "char" if self.chinese else "word"
        if name == "bpe":
            return None
        plain = make_tokeniser(name, language="en", lower=self.options.lower)
        return plain if self.options.digits == "keep" else Tagged(plain)


@dataclass(frozen=True)
class Tagged:
    """A tokeniser of text without numbers, in which `TAGNUM` is one token as it stands."""

    plain: Tokeniser

    @property
    def name(self) -> str:
        return f"{self.plain.name}-tagnum"

    @property
    def unknown(self) -> str:
        return self.plain.unknown

    def tokenise(self, text: str) -> list[str]:
        first, *others = (self.plain.tokenise(part) for part in text.split(TAG))
        return [*first, *(token for part in others for token in (TAG, *part))]

    def join(self, tokens: Sequence[str]) -> str:
        return self.plain.join(tokens)


def parse(row: Row) -> Example:
    """`highlights` is a text or a list of sentences, one a line; `refs` are other whole summaries of the article."""
    target = "\n".join(
        line.strip() for text in texts_of(row, "highlights") for line in text.splitlines() if line.strip()
    )
    references = optional_texts_of(row, "refs") or (target,)
    return Example(target, (text_of(row, "article"),), references)


def parse_tagged(row: Row) -> Example:
    """The same, with `TAGNUM` for every number."""
    plain = parse(row)
    return Example(tagged(plain.target), tuple(map(tagged, plain.source)), tuple(map(tagged, plain.references)))


def tagged(text: str) -> str:
    """`about 1,234.5% of 10` -> `about TAGNUM % of TAGNUM`: never glued to what stands beside it."""

    def tag(number: re.Match[str]) -> str:
        before, after = text[max(0, number.start() - 1) : number.start()], text[number.end() : number.end() + 1]
        return f"{' ' * bool(before.strip())}{TAG}{' ' * bool(after.strip())}"

    return _NUMBER.sub(tag, text)
