"""What a judge is shown of a reply in its context, as a sparse matrix. Features are exact, not hashed.

Every choice that is made from the data (which features are kept, which words are rare) looks at all the examples alike
and never at their labels: a choice that favoured one kind would give it away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.base import Floats
from metrics.dialogues import Dialogues
from metrics.evaluator import Sparse
from metrics.ngrams import Bools, Ints, Sentences

HELD = 5  # a feature of fewer examples is left out: on real chat this moved errors by 0.001 and halved the time
WORDS = 8  # of the answered turn and of the reply, the rarest: these are paired
RECURS = 3  # a word in fewer of the examples is not paired
COMMON = 0.05  # a word in more of the replies than this share is no sign that a reply keeps to the subject
STEPS = np.array([1, 2, 3, 4, 5, 7, 9, 12, 15, 19, 24, 30, 40, 60])  # where a length begins to count as another


def features(talk: Dialogues, item: Ints, reply: Ints) -> Sparse:
    """One row an example.

    Words of the reply, and neighbouring ones; pairs of a word of the answered turn and one of the reply, among the
    rarest `WORDS` of each; the turn's first and last word with the reply's first; and the reply's form: length,
    repeats, and how much of what is not common it shares with the turn, and with the turns before. Each of the first
    three kinds has length 1 together. A feature of fewer than `HELD` examples is dropped.

    Args:
        item: [examples] in whose context.
        reply: [examples] which of `talk.replies`.
    """
    texts = [_take(talk.replies, reply), _take(talk.last, item), _take(talk.earlier, item)]
    size = max(int(text.flat.max(initial=0)) for text in texts) + 1
    said, last, earlier = (_Types.of(text, size) for text in texts)
    blocks = [
        _unit(said.rows, said.tokens),
        _unit(*_neighbours(texts[0], size)),
        _unit(*_pairs(last, said)),
        *_openings(texts[1], texts[0], size),
        *(_plain(kind) for kind in _form(texts[0], said, last, earlier)),
    ]
    rows = np.concatenate([block[0] for block in blocks])
    keys = np.concatenate([(kind << 48) + block[1] for kind, block in enumerate(blocks)])
    values = np.concatenate([block[2] for block in blocks])
    found = np.unique_inverse(keys)
    kept = np.bincount(found.inverse_indices) >= HELD
    here = kept[found.inverse_indices]
    column = (np.cumsum(kept) - 1)[found.inverse_indices]
    return Sparse(rows[here], column[here], values[here], len(reply), int(kept.sum()))


_Block = tuple[Ints, Ints, Floats]  # rows, keys, values


@dataclass(frozen=True)
class _Types:
    """The different tokens of each text, ordered by text, then token; tokens are below `size`."""

    rows: Ints
    tokens: Ints
    texts: int
    size: int

    @classmethod
    def of(cls, text: Sentences, size: int) -> _Types:
        row = np.repeat(np.arange(len(text)), text.lengths)
        different = np.unique(row * size + text.flat)
        return cls(different // size, different % size, len(text), size)

    @property
    def holders(self) -> Ints:
        """In how many texts each token is [size]."""
        return np.bincount(self.tokens, minlength=self.size)

    def shared(self, other: _Types) -> Bools:
        """Which of these the same text of the other side has too."""
        return np.isin(self.rows * self.size + self.tokens, other.rows * other.size + other.tokens)

    def rarest(self) -> Ints:
        """The `WORDS` rarest tokens of each text that recur [texts, WORDS]; -1 where there are fewer."""
        holders = self.holders[self.tokens]
        order = np.lexsort((self.tokens, holders, self.rows))
        order = order[holders[order] >= RECURS]
        rows = self.rows[order]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        chosen = np.full((self.texts, WORDS), -1, np.int64)
        chosen[rows[place < WORDS], place[place < WORDS]] = self.tokens[order][place < WORDS]
        return chosen


def _take(texts: Sentences, which: Ints) -> Sentences:
    lengths = texts.lengths[which]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    places = np.repeat(texts.offsets[which] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return Sentences(texts.flat[places], offsets)


def _unit(rows: Ints, keys: Ints) -> _Block:
    """All equal within a row, of length 1 together."""
    return rows, keys, 1.0 / np.sqrt(np.bincount(rows)[rows])


def _plain(keys: Ints) -> _Block:
    """One feature a row."""
    return np.arange(len(keys)), keys, np.ones(len(keys))


def _neighbours(text: Sentences, size: int) -> tuple[Ints, Ints]:
    """Two words next to each other, the start and the end of the text being words too; each once a text."""
    lengths = text.lengths + 1
    ends = np.cumsum(lengths) - 1
    left, right = np.full(int(lengths.sum()), size), np.full(int(lengths.sum()), size)
    right[np.delete(np.arange(len(right)), ends)] = text.flat
    left[np.delete(np.arange(len(left)), ends - lengths + 1)] = text.flat
    row = np.repeat(np.arange(len(text)), lengths)
    found = np.unique((row * (size + 1) + left) * (size + 1) + right)
    return found // (size + 1) ** 2, found % (size + 1) ** 2


def _pairs(turn: _Types, said: _Types) -> tuple[Ints, Ints]:
    """Each of the turn's rarest words with each of the reply's."""
    one, other = turn.rarest()[:, :, None], said.rarest()[:, None, :]
    row, i, j = np.nonzero((one >= 0) & (other >= 0))
    return row, one[row, i, 0] * said.size + other[row, 0, j]


def _openings(turn: Sentences, said: Sentences, size: int) -> list[_Block]:
    """How the turn begins and how it ends, each with how the reply begins; `size` stands for no word."""
    start = _token(said, said.offsets[:-1], size)
    begins, ends = _token(turn, turn.offsets[:-1], size), _token(turn, turn.offsets[1:] - 1, size)
    return [_plain(begins * (size + 1) + start), _plain(ends * (size + 1) + start)]


def _token(text: Sentences, where: Ints, none: int) -> Ints:
    held = np.append(text.flat, none)
    return np.where(text.lengths > 0, held[where.clip(0, len(text.flat))], none).astype(np.int64)


def _form(text: Sentences, said: _Types, last: _Types, earlier: _Types) -> list[Ints]:
    """What the reply is like apart from its words, each in a few classes; first the class that all are in."""
    count = len(text)
    different = np.bincount(said.rows, minlength=count)
    uncommon = said.holders[said.tokens] <= COMMON * count
    telling = np.bincount(said.rows[uncommon], minlength=count)
    near, far = (np.bincount(said.rows[uncommon & said.shared(o)], minlength=count) for o in (last, earlier))
    return [
        np.zeros(count, np.int64),
        np.searchsorted(STEPS, text.lengths, side="right"),
        (text.lengths - different).clip(max=4),
        near.clip(max=4),
        far.clip(max=4),
        np.ceil(4 * near / np.maximum(telling, 1)).astype(np.int64),
    ]
