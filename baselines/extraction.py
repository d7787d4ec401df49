"""What the summarizers share that copy sentences of an article: whom they serve, and how long a summary may be."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import PositiveInt

from baselines.base import BaselineConfig
from tasks.base import Corpus, TextCodec

_CHINESE = r"\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
_PIECE = re.compile(rf"[{_CHINESE}]|[^\s{_CHINESE}]+")


class ExtractConfig(BaselineConfig):
    """The length of a summary: so many sentences, and of them no more than `max_tokens` tokens.

    Tokens are those of the targets' codec. `train` is the mean length of the training summaries.
    """

    sentences: PositiveInt = 3  # See et al. 2017, section 5.2: the article's first three
    max_tokens: PositiveInt | Literal["train"] | None = None  # None: whole sentences


# References of the task's free sets are titles, or one line: three sentences would be ten times as long. So `smoke` and
# `small` write as much as people do; `paper` is the rule of the publication.
EXTRACT_BUDGETS = {
    "smoke": {"max_tokens": "train"},
    "small": {"max_tokens": "train"},
    "paper": {},
}


def reason_against(corpus: Corpus) -> str | None:
    """Why no sentence of the source can be an answer; None where it can."""
    if corpus.kind == "free":
        return "it copies sentences of a source, and this task has none"
    if corpus.task == "translation":
        return "it copies sentences of the source, which is in another language"
    if any(len(example.source) != 1 for example in corpus.splits["train"].examples):
        return "it copies sentences of one article, and these sources are turns of a dialogue"
    return None


def token_limit(corpus: Corpus, config: ExtractConfig) -> int | None:
    """`max_tokens` as a number."""
    if config.max_tokens != "train":
        return config.max_tokens
    targets, eos = corpus.splits["train"].targets, corpus.vocab.eos
    ends = 0 if eos is None else int((targets.flat == eos).sum())
    return max(1, round((len(targets.flat) - ends) / max(1, len(targets))))


def count_tokens(text: str, codec: TextCodec) -> int:
    return len(codec.encode(text))


def shortened(text: str, most: int, codec: TextCodec) -> str:
    """The longest beginning of whole words (Chinese: characters) that has at most `most` tokens, a word at least."""
    if count_tokens(text, codec) <= most:
        return text
    used = end = 0
    for piece in _PIECE.finditer(text):
        used += count_tokens(piece.group(), codec)
        if used > most and end:
            break
        end = piece.end()
    return text[:end]
