"""Text to token ids and back: vocabularies, tokenisers by name, and the `Codec` that joins the two.

A tokeniser cuts a text into tokens and joins tokens into a text; a codec adds the vocabulary. Neither adds `<s>` or
`</s>`: that is the loader's work.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Protocol

from tasks.base import DataError, Vocabulary
from tasks.moses import MosesWords

EOS, UNK, BREAK = "</s>", "<unk>", "<br>"
GETA = "\u3013"  # the mark that Chinese and Japanese print puts for a character it lacks


class Tokeniser(Protocol):
    """How one side's text is cut. `name` says everything that can change a token, so it can stand in a fingerprint."""

    @property
    def name(self) -> str: ...

    @property
    def unknown(self) -> str:
        """What an unknown token is printed as."""
        ...

    def tokenise(self, text: str) -> list[str]: ...

    def join(self, tokens: Sequence[str]) -> str: ...


@dataclass(frozen=True)
class Words:
    """Moses words of one language (library sacremoses), not escaped; joining is Moses detokenisation.

    Attributes:
        unknown: `<unk>`, or a mark that no tokeniser of a metric cuts: 13a and NLTK make three words of `<unk>`.
    """

    language: str = "en"
    lower: bool = False
    unknown: str = UNK

    @property
    def name(self) -> str:
        return f"word-{self.language}{'-lower' if self.lower else ''}"

    @cached_property
    def _moses(self) -> MosesWords:
        return MosesWords(self.language)

    def tokenise(self, text: str) -> list[str]:
        return self._moses.tokenise(text.lower() if self.lower else text)

    def join(self, tokens: Sequence[str]) -> str:
        if self.unknown == UNK:
            return self._moses.join(tokens)
        # Moses sets two marks of Chinese print side by side without a blank, where each stands for a word.
        spelled = [UNK if token == self.unknown else token for token in tokens]
        return self._moses.join(spelled).replace(UNK, self.unknown)


@dataclass(frozen=True)
class Characters:
    """One token a character, white space dropped: for Chinese."""

    lower: bool = False
    unknown: str = GETA

    @property
    def name(self) -> str:
        return f"char{'-lower' if self.lower else ''}"

    def tokenise(self, text: str) -> list[str]:
        return list("".join((text.lower() if self.lower else text).split()))

    def join(self, tokens: Sequence[str]) -> str:
        return "".join(tokens)


@dataclass(frozen=True)
class Verses(Characters):
    """Characters of a poem of equal lines; joining sets `width` characters a line. Line breaks are not tokens."""

    width: int = 5

    @property
    def name(self) -> str:
        return f"verse{self.width}"

    def join(self, tokens: Sequence[str]) -> str:
        return "\n".join("".join(tokens[i : i + self.width]) for i in range(0, len(tokens), self.width))


@dataclass(frozen=True)
class Blanks:
    """Tokens as the text has them, parted by white space: for text that was tokenised before."""

    lower: bool = False
    unknown: str = UNK

    @property
    def name(self) -> str:
        return f"space{'-lower' if self.lower else ''}"

    def tokenise(self, text: str) -> list[str]:
        return (text.lower() if self.lower else text).split()

    def join(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens)


@dataclass(frozen=True)
class Subwords:
    """Byte-level BPE; every text comes back exactly. `model` is the library's JSON, so it can be hashed and stored."""

    model: str
    lower: bool = False
    unknown: str = UNK

    @property
    def name(self) -> str:
        return f"bpe-{hashlib.sha256(self.model.encode()).hexdigest()[:16]}{'-lower' if self.lower else ''}"

    @cached_property
    def _bpe(self) -> Any:
        return _tokenizers().Tokenizer.from_str(self.model)

    def tokens(self) -> tuple[str, ...]:
        """All subwords, in the model's order."""
        places: Mapping[str, int] = self._bpe.get_vocab()
        return tuple(sorted(places, key=places.__getitem__))

    def tokenise(self, text: str) -> list[str]:
        return list(self._bpe.encode(text.lower() if self.lower else text).tokens)

    def join(self, tokens: Sequence[str]) -> str:
        return str(self._bpe.decoder.decode(list(tokens)))


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise DataError("subwords (bpe) need the library `tokenizers`: pip install 'gantlet[subword]'") from error
    return tokenizers


def train_subwords(texts: Iterable[str], max_size: int, min_count: int = 2, lower: bool = False) -> Subwords:
    """Learns byte-level BPE (Sennrich et al. 2016; bytes as in GPT-2) from `texts`, which must be training text only.

    Args:
        max_size: subwords at most, the 256 bytes included.
        min_count: pairs seen less often are not merged.
    """
    library = _tokenizers()
    from tokenizers import decoders, models, pre_tokenizers, trainers

    bpe = library.Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=max_size,
        min_frequency=min_count,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[],
        show_progress=False,
    )
    bpe.train_from_iterator((text.lower() if lower else text for text in texts), trainer)
    return Subwords(bpe.to_str(), lower)


def make_tokeniser(name: str, *, language: str = "en", lower: bool = False) -> Tokeniser:
    """A tokeniser that needs no training, by name: `word`, `char` or `space`."""
    match name:
        case "word":
            return Words(language, lower)
        case "char":
            return Characters(lower)
        case "space":
            return Blanks(lower)
    raise DataError(f"no tokeniser {name!r}: there are word, char, space, and (learned from the text) bpe")


def build_vocabulary(
    lines: Iterable[Sequence[str]], max_size: int | None = None, min_count: int = 1, extra: Sequence[str] = ()
) -> Vocabulary:
    """The vocabulary of tokenised training text; see `vocabulary_of`."""
    return vocabulary_of(Counter(chain.from_iterable(lines)), max_size, min_count, extra)


def vocabulary_of(
    counts: Mapping[str, int], max_size: int | None = None, min_count: int = 1, extra: Sequence[str] = ()
) -> Vocabulary:
    """The most frequent tokens, `</s>` and `<unk>` first, then `extra`; ties in order of code points.

    Args:
        counts: how often each token stands in the training text.
        max_size: size of the whole vocabulary at most, specials included.
        min_count: rarer tokens are left out.
    """
    specials = (EOS, UNK, *extra)
    kept = [(-n, token) for token, n in counts.items() if n >= min_count and token not in specials]
    room = len(kept) if max_size is None else max(0, max_size - len(specials))
    return Vocabulary((*specials, *(token for _, token in heapq.nsmallest(room, kept))))


def subword_vocabulary(subwords: Subwords, extra: Sequence[str] = ()) -> Vocabulary:
    """All subwords of a model after the specials. Bytes cover every text, so `<unk>` never arises."""
    return Vocabulary((EOS, UNK, *extra, *subwords.tokens()))


@dataclass(frozen=True)
class Codec:
    """Text to ids and back.

    A token of the text that happens to be spelled as a special (`</s>`, say) is unknown, never the special itself.

    Attributes:
        separator: id of the token that stands between the lines of a text (turns of a dialogue, sentences of a
            summary); None where line breaks are white space like any other.
    """

    vocab: Vocabulary
    tokeniser: Tokeniser
    separator: int | None = None

    @cached_property
    def _ids(self) -> dict[str, int]:
        specials = {self.vocab.eos, self.vocab.unk, self.separator}
        return {token: i for i, token in enumerate(self.vocab.tokens) if i not in specials}

    @property
    def hash(self) -> str:
        text = f"{self.tokeniser.name}\n{self.separator}\n{self.vocab.hash}"
        return hashlib.sha256(text.encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, with neither `<s>` nor `</s>`."""
        if self.separator is None:
            return self.ids(self.tokeniser.tokenise(text))
        first, *others = (self.ids(self.tokeniser.tokenise(line)) for line in text.split("\n"))
        for line in others:
            first += [self.separator, *line]
        return first

    def tokens(self, text: str) -> list[str]:
        """What `encode(text)` numbers, one token an id, those it doesn't know too; a break between lines is `"\\n"`."""
        if self.separator is None:
            return self.tokeniser.tokenise(text)
        first, *others = (self.tokeniser.tokenise(line) for line in text.split("\n"))
        return [*first, *(token for line in others for token in ("\n", *line))]

    def ids(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens; unknown ones become `<unk>`, or a `ValueError` where the vocabulary has none."""
        places, unk = self._ids, self.vocab.unk
        if unk is not None:
            return [places.get(token, unk) for token in tokens]
        try:
            return [places[token] for token in tokens]
        except KeyError as error:
            raise ValueError(f"token {error.args[0]!r} is not in the vocabulary, which has no <unk>") from None

    def decode(self, ids: Iterable[int], unknown: Sequence[str] | None = None) -> str:
        """Text of `ids` up to the first `</s>`.

        Args:
            unknown: the token that stands for each `<unk>`, in order; without it each is printed as the tokeniser's
                mark. As many as there are.
        """
        vocab = self.vocab
        words = None if unknown is None else deque(unknown)
        lines: list[list[str]] = [[]]
        for i in map(int, ids):
            if i == vocab.eos:
                break
            if not 0 <= i < vocab.size:
                raise ValueError(f"token id {i} is not in the vocabulary (0 .. {vocab.size - 1})")
            if i == self.separator:
                lines.append([])
            elif i != vocab.unk:
                lines[-1].append(vocab.tokens[i])
            elif words is None:
                lines[-1].append(self.tokeniser.unknown)
            elif words:
                lines[-1].append(words.popleft())
            else:
                raise ValueError(f"more {UNK} than the {len(unknown or ())} words for them")
        if words:
            raise ValueError(f"{len(words)} words more than there are {UNK}")
        return "\n".join(self.tokeniser.join(line) for line in lines)
