"""Summaries: CNN/DailyMail's layout (`article`, `highlights`), with free sets of one-line summaries at hand."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.base import Corpus, DataError, Example, Provenance, Row, Source, Task, TaskOptions
from tasks.checks import optional_texts_of, text_of, texts_of
from tasks.encoding import Side
from tasks.loading import Plan, load
from tasks.text import Tokeniser, make_tokeniser


class SummarizationOptions(TaskOptions):
    """Lengths count `</s>`; longer articles are cut at the end (their start says most), and counted.

    400 article and 100 summary tokens are See et al. 2017 (section 5). Titles and one-line summaries end sooner.

    Attributes:
        tokenizer: `auto` is characters for Chinese and words otherwise.
        wikinews: adds `test_wikinews`, news articles and headlines, as a further test.
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
            parse=parse,
            target=target,
            source=article,
            extra_sets={"test_wikinews": "sum_wikinews"} if options.wikinews else {},
        )
        return load(self, plan, source, limit, allow_overlap=allow_overlap)

    def _tokeniser(self) -> Tokeniser | None:
        name = self.options.tokenizer
        if name == "auto":
            name = "char" if self.chinese else "word"
        return None if name == "bpe" else make_tokeniser(name, language="en", lower=self.options.lower)


def parse(row: Row) -> Example:
    """`highlights` is a text or a list of sentences, one a line; `refs` are other whole summaries of the article."""
    target = "\n".join(
        line.strip() for text in texts_of(row, "highlights") for line in text.splitlines() if line.strip()
    )
    references = optional_texts_of(row, "refs") or (target,)
    return Example(target, (text_of(row, "article"),), references)
