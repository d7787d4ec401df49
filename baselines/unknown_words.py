"""What to write where a network emits `<unk>`: the translation, or else a copy, of the source word it looked at.

Jean et al. (2015), "On using very large target vocabulary for neural machine translation", section 3.3; the idea is
that of Luong et al. (2015), "Addressing the rare word problem in neural machine translation". The dictionary is learned
from the training text by IBM model 1, not from the network's attention: for words outside of the vocabulary, which are
what it is for, the network has seen `<unk>` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from baselines.training.alignment import dictionary
from tasks.base import Corpus, Ids, Ragged, Split

Weights = npt.NDArray[np.float32]
# Of rows of targets and sources: each row's place and its attention weights [tokens, source tokens or more].
Align = Callable[[Ragged, Ragged], Iterator[tuple[int, Weights]]]

_BREAK = "\n"  # a break between lines is a token, but no word


class UnknownWords:
    """Replaces the `<unk>` of generated text; the dictionary is learned when it is first needed."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    @cached_property
    def dictionary(self) -> dict[str, str]:
        """The likeliest target word of each word that the training sources have, as the text spells it."""
        train = self.corpus.splits["train"]
        return dictionary(*self._train_words(train))

    def decode(self, ids: Ragged, sources: Ragged, texts: Sequence[tuple[str, ...]], align: Align) -> list[str]:
        """Texts of generated ids with their `<unk>` replaced.

        Args:
            sources, texts: what the texts were generated from, as ids and as people read it.
        """
        lacking = np.repeat(np.arange(len(ids)), ids.lengths)[ids.flat == self.corpus.vocab.unk]
        rows = np.unique(lacking)
        written: dict[int, str] = {}
        for place, weights in align(ids.take(rows), sources.take(rows)) if len(rows) else ():
            row = int(rows[place])
            words = self.words_of(sources[row], texts[row])
            unknown = self._replacements(ids[row], weights, words)
            written[row] = self.corpus.target_codec.decode(ids[row], unknown)
        decode = self.corpus.target_codec.decode
        return [written[row] if row in written else decode(ids[row]) for row in range(len(ids))]

    def words_of(self, source: Ids, text: tuple[str, ...]) -> list[str]:
        """The tokens behind a source's ids, one an id but for the `</s>` at its end.

        A source that was too long has lost one of its ends, `Corpus.source_keep` says which.

        Raises:
            ValueError: the ids are not those of the text.
        """
        codec = self.corpus.source_codec
        assert codec is not None, "a corpus of free text has no sources"
        whole = _BREAK.join(text)
        tokens, ids = codec.tokens(whole), codec.encode(whole)
        lost = len(ids) - (len(source) - 1)
        start = lost if self.corpus.source_keep == "end" else 0
        end = start + len(source) - 1
        if lost < 0 or len(tokens) != len(ids) or ids[start:end] != source[:-1].tolist():
            raise ValueError(f"the ids of a source are not those of its text, {whole[:60]!r}: its words can't be named")
        return tokens[start:end]

    def _replacements(self, ids: Ids, weights: Weights, words: Sequence[str]) -> list[str] | None:
        """A word for each `<unk>` of a text; None where the source has no words."""
        places = np.array([place for place, word in enumerate(words) if word != _BREAK], np.int64)
        if len(places) == 0:
            return None
        unknown = weights[: len(ids)][ids == self.corpus.vocab.unk]
        chosen = places[unknown[:, places].argmax(1)]
        return [self.dictionary.get(words[place], words[place]) for place in chosen]

    def _train_words(self, train: Split) -> tuple[list[list[str]], list[list[str]]]:
        source, target = self.corpus.source_codec, self.corpus.target_codec
        assert source is not None, "a corpus of free text has no sources"
        return (
            [[word for word in source.tokens(_BREAK.join(e.source)) if word != _BREAK] for e in train.examples],
            [[word for word in target.tokens(e.target) if word != _BREAK] for e in train.examples],
        )
