"""Translation: English to French first, German to English and to French by option."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from tasks.base import Corpus, DataError, Example, Provenance, Row, Source, Task, TaskOptions
from tasks.checks import optional_texts_of, text_of
from tasks.encoding import Side
from tasks.loading import Plan, load
from tasks.text import GETA, Words

# A sentence has more subwords than words, and what is longer is cut where it is translated.
_LONGEST = {"word": 50, "bpe": 100}


class TranslationOptions(TaskOptions):
    """Lengths count `</s>`. Train pairs with a longer side are dropped and counted; evaluation rows never are.

    Attributes:
        max_source_tokens, max_tokens: of source and target; None: 50 words, or 100 subwords.
        extra_tests: further test splits of the set, as `test_ntrex,test_flores101`.
    """

    pair: Literal["en-fr", "de-en", "de-fr"] = "en-fr"
    tokenizer: Literal["word", "bpe"] = "word"
    lower: bool = False
    max_source_tokens: int | None = Field(None, ge=2)
    max_tokens: int | None = Field(None, ge=2)
    max_vocab: int = Field(16000, ge=300)
    min_count: int = Field(2, ge=1)
    extra_tests: tuple[str, ...] = ()

    @field_validator("extra_tests", mode="before")
    @classmethod
    def _from_commas(cls, value: Any) -> Any:
        return tuple(name for name in value.split(",") if name) if isinstance(value, str) else value


class Translation(Task):
    """Sentence to sentence; scored on detokenised text against all references of a source.

    An unknown word is printed as one mark (version 1: `<unk>`, which counted for three words in sacreBLEU).
    """

    name = "translation"
    version = 2
    kind = "conditional"
    summary = "sentences, English to French (de-en, de-fr by option)"
    metrics = ("sacrebleu", "chrf", "nll-test", "distinct-1", "distinct-2", "length-ratio", "unk")
    primary = "sacrebleu"
    decodings = ("greedy", "beam5", "beam5/replace-unk")
    provenance = Provenance(
        "https://tatoeba.org, as packed by https://www.manythings.org/anki (sets mt_en_fr, mt_de_en, mt_de_fr); "
        "hub: wmt/wmt14",
        "Tatoeba: CC BY 2.0 FR; test_ntrex, test_flores101: CC BY-SA 4.0; test_tico19: CC0 1.0",
        "short, simple sentences; the extra tests are news, encyclopedia and medicine",
    )
    Options = TranslationOptions
    options: TranslationOptions

    @property
    def tokens(self) -> str:
        return "word-lower"

    def load(self, source: Source, limit: int | None = None, *, allow_overlap: bool = False) -> Corpus:
        options = self.options
        if source.origin == "embedded" and (options.pair != "en-fr" or options.extra_tests):
            raise DataError(
                "translation: the embedded corpus has en-fr only, and no extra tests; give --data for others"
            )
        theirs, ours = options.pair.split("-")
        plan = Plan(
            dataset=f"mt_{theirs}_{ours}",
            parse=parse,
            target=self._side(ours, options.max_tokens),
            source=self._side(theirs, options.max_source_tokens),
            extra_splits=options.extra_tests,
        )
        return load(self, plan, source, limit, allow_overlap=allow_overlap)

    def _side(self, language: str, max_tokens: int | None) -> Side:
        options = self.options
        return Side(
            tokeniser=Words(language, options.lower, GETA) if options.tokenizer == "word" else None,
            max_tokens=max_tokens or _LONGEST[options.tokenizer],
            max_vocab=options.max_vocab,
            min_count=options.min_count,
            long="drop",
            lower=options.lower,
        )


def parse(row: Row) -> Example:
    """`refs` are all accepted translations, `tgt` among them; rows without it have the one."""
    target = text_of(row, "tgt")
    references = optional_texts_of(row, "refs") or (target,)
    return Example(target, (text_of(row, "src"),), references)
