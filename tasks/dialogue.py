"""Open-domain chat: the turns so far to the next turn."""

from __future__ import annotations

from pydantic import Field

from tasks.base import Corpus, DataError, Example, Provenance, Row, Source, Task, TaskOptions
from tasks.checks import optional_texts_of, text_of, texts_of
from tasks.encoding import Side
from tasks.loading import Plan, load
from tasks.text import Words


class DialogueOptions(TaskOptions):
    """Lengths count `</s>`. Of a long context the last turns and words are kept; long responses are cut."""

    lower: bool = True
    max_turns: int = Field(3, ge=1)
    max_context_tokens: int = Field(80, ge=2)
    max_tokens: int = Field(40, ge=2)
    max_vocab: int = Field(15000, ge=3)
    min_count: int = Field(2, ge=1)


class Dialogue(Task):
    """Context to response; turns are parted by a token of their own."""

    name = "dialogue"
    version = 1
    kind = "conditional"
    summary = "chat: earlier turns to the next one"
    metrics = (
        *("bleu-2", "bleu-4", "distinct-1", "distinct-2", "nll-test"),
        *("adver-suc", "adver-human-human", "adver-machine-machine", "adver-human-random", "adver-machine-random"),
        *("adver-ere", "length", "unk"),
    )
    primary = "adver-suc"
    decodings = ("greedy", "sample@1")
    provenance = Provenance(
        "https://github.com/jfainberg/self_dialogue_corpus (set dialogue_selfdialogue)",
        "BSD-3-Clause",
        "each chat was written by one person for both sides (Fainberg et al. 2018); not film dialogue",
    )
    Options = DialogueOptions
    options: DialogueOptions

    @property
    def tokens(self) -> str:
        return "word-lower"

    def prepare_source(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        if len(parts) > self.options.max_turns:
            raise DataError(
                f"{len(parts)} turns; the last {self.options.max_turns} are read: leave out those before them"
            )
        return tuple(" ".join(turn.split()) for turn in parts)

    def load(self, source: Source, limit: int | None = None, *, allow_overlap: bool = False) -> Corpus:
        options = self.options
        words = Words("en", options.lower)
        target = Side(
            tokeniser=words,
            max_tokens=options.max_tokens,
            max_vocab=options.max_vocab,
            min_count=options.min_count,
        )
        context = Side(
            tokeniser=words,
            max_tokens=options.max_context_tokens,
            max_vocab=options.max_vocab,
            min_count=options.min_count,
            keep="end",
            lines=True,
            max_lines=options.max_turns,
        )
        plan = Plan("dialogue_selfdialogue", parse, target, context)
        return load(self, plan, source, limit, allow_overlap=allow_overlap)


def parse(row: Row) -> Example:
    """`context` is a list of turns, oldest first, or one turn; a turn is one line."""
    response = text_of(row, "response")
    turns = tuple(" ".join(turn.split()) for turn in texts_of(row, "context"))
    return Example(response, turns, optional_texts_of(row, "refs") or (response,))
