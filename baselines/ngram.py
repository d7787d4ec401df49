"""An n-gram language model: interpolated modified Kneser-Ney, the baseline that no network had a part in.

Kneser and Ney 1995; Chen and Goodman 1999. Training counts; likelihood is exact. The formulas are in
`metrics/kneser_ney.py`; what is told here is how corpora meet that model, and how text is drawn from it fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import PositiveInt

from baselines.base import Baseline, BaselineConfig, Decoding, Run
from metrics.kneser_ney import Ends, Floats, KneserNey, Level, train
from metrics.ngrams import Ints, Sentences
from tasks.base import Corpus, Ragged

STATES = 1024  # different histories worked on at once: bounds memory, since a common word has thousands of followers


class NgramConfig(BaselineConfig):
    """The discounts are estimated from the counts, so nothing else is to be chosen; no n-gram is pruned."""

    order: PositiveInt = 5  # ours: best on valid, or within 0.002 nats of it, where 2 to 6 were tried (docs)


class Ngram(Baseline):
    name: ClassVar[str] = "ngram"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "n-gram model, interpolated modified Kneser-Ney"
    source: ClassVar[str] = "Chen and Goodman 1999 (Computer Speech and Language 13)"
    Config: ClassVar[type[BaselineConfig]] = NgramConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {}, "small": {}, "paper": {}}

    def supports(self, corpus: Corpus) -> str | None:
        return None if corpus.kind == "free" else "an n-gram model reads no source"

    def build(self, corpus: Corpus) -> NgramGenerator:
        return NgramGenerator(corpus)

    def fit(self, corpus: Corpus, run: Run) -> NgramGenerator:
        generator, saved = self.build(corpus), run.resume()
        if saved is not None:
            generator.load_state_dict(saved)
            return generator
        generator.learn(corpus.splits["train"].targets, self.config.order)
        nll = -float(generator.token_log_probs(corpus.splits["valid"].targets).mean())
        grams = sum(len(level.keys) for level in generator.model.levels)
        run.log("count", 1, valid_nll=nll, grams=grams)
        run.progress("count", 1, 1, nll=nll)
        run.checkpoint(generator.state_dict)
        return generator


class NgramGenerator:
    """The model with the ids of a corpus.

    The model counts its words from 0 and has `</s>` after them. So the ids behind the corpus's `</s>` move down by one.
    Where lengths are fixed there is no `</s>`, and its probability is 0.
    """

    def __init__(self, corpus: Corpus) -> None:
        vocab, eos = corpus.vocab, corpus.vocab.eos
        ids = np.arange(vocab.size)
        self.to_corpus = ids if eos is None else np.append(ids[ids != eos], eos)
        self.to_model = np.argsort(self.to_corpus)
        self.eos = None if corpus.fixed_length else eos
        self.max_length = corpus.fixed_length or corpus.max_target_length
        ends: Ends = "none" if self.eos is None else "given"
        self.model = KneserNey(vocab.size - (eos is not None), (), ends)

    def learn(self, targets: Ragged, order: int) -> None:
        self.model = train(self._sentences(targets), self.model.words, order, self.model.ends)

    def sample(self, n: int, *, temperature: float = 1.0, rng: torch.Generator) -> Ragged:
        uniforms = torch.rand(n, self.max_length, generator=rng, dtype=torch.float64).numpy()
        sampler = Sampler(self.model, temperature)
        ids, lengths = np.zeros((n, self.max_length), np.int64), np.full(n, self.max_length)
        rows, histories = np.arange(n), self.model.beginnings(n)
        for time in range(self.max_length):
            tokens = sampler(histories, uniforms[rows, time])
            ids[rows, time] = self.to_corpus[tokens]
            ended = tokens == self.model.words
            lengths[rows[ended]] = time + 1
            rows, histories = rows[~ended], self.model.read(histories[~ended], tokens[~ended])
        return Ragged.from_padded(ids, lengths)

    def generate(self, sources: Ragged, *, decoding: Decoding, rng: torch.Generator) -> Ragged:  # noqa: ARG002
        raise ValueError("an n-gram model reads no source: `supports` refuses conditional tasks")

    def token_log_probs(
        self,
        targets: Ragged,
        sources: Ragged | None = None,  # noqa: ARG002 - a free model reads none
    ) -> npt.NDArray[np.float64]:
        return self.model.log_probs(self._sentences(targets))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Each order's arrays; sizes are those of the data, so that `build` can't know them."""
        return {
            f"{order}.{name}": torch.from_numpy(getattr(level, name))
            for order, level in enumerate(self.model.levels, start=1)
            for name in ("keys", "mass", "back")
        }

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> None:
        def array(order: int, name: str) -> npt.NDArray[Any]:
            return state_dict[f"{order}.{name}"].detach().cpu().numpy().copy()

        orders = range(1, len(state_dict) // 3 + 1)
        levels = tuple(Level(array(k, "keys"), array(k, "mass"), array(k, "back")) for k in orders)
        self.model = replace(self.model, levels=levels)

    def _sentences(self, targets: Ragged) -> Sentences:
        return Sentences(self.to_model[targets.flat].astype(np.int32), targets.offsets)


class Sampler:
    """Draws the next token of many histories at once from P ** (1 / temperature), without making P for every word.

    A word that was never seen after the last token h has P(w) = B P_1(w), with one B for all such words: the product of
    the weights of the lower orders. So only the words seen after h (which hold those seen after longer histories) are
    worked out one by one; all others are one part of P_1, whose CDF is made once, with gaps where the seen words are.
    One uniform decides both; equal histories share the work.
    """

    def __init__(self, model: KneserNey, temperature: float) -> None:
        self.model, self.exponent = model, 1.0 / temperature
        nowhere = np.full((1, max(1, len(model.levels))), -1, np.int64)
        nowhere[:, 0] = 0
        self.unigram = model.distributions(nowhere)[0]
        self.most = float(self.unigram.max())
        flat = (self.unigram / self.most) ** self.exponent
        self.scale = float(flat.sum())
        self.tempered = flat / self.scale
        self.cdf = np.append(0.0, np.cumsum(self.tempered))  # of the words before each
        self.endings = _bigrams_at_the_end(model)

    def __call__(self, histories: Ints, uniforms: Floats) -> Ints:
        """histories [rows, order], uniforms [rows] -> tokens [rows], in the model's numbers."""
        deepest = (histories >= 0).sum(1) - 1  # what was seen follows what of it was seen: the longest says all
        names = histories[np.arange(len(histories)), deepest] * histories.shape[1] + deepest
        _, first, state = np.unique(names, return_index=True, return_inverse=True)
        rows = np.argsort(state, kind="stable")
        tokens = np.zeros(len(histories), np.int64)
        for start in range(0, len(first), STATES):
            some = rows[slice(*np.searchsorted(state[rows], [start, start + STATES]))]
            tokens[some] = self._draw(histories[first[start : start + STATES]], state[some] - start, uniforms[some])
        return tokens

    def _draw(self, states: Ints, state: Ints, uniforms: Floats) -> Ints:
        """One token a row [rows], whose history is number `state` [rows] of `states` [states, order]."""
        token, begin, weight, rest = self._weights(states)
        # Sums over the seen words before each place; a state's words are begin[state] .. begin[state + 1] - 1.
        seen = np.append(0.0, np.cumsum(weight))
        gaps = np.append(0.0, np.cumsum(self.tempered[token]))
        low, high = begin[state], begin[state + 1]
        seen_mass = seen[high] - seen[low]
        rest_mass = rest[state] * (1.0 - gaps[high] + gaps[low]).clip(min=0.0)
        target = uniforms * (seen_mass + rest_mass)
        drawn = np.zeros(len(state), np.int64)

        known = (target < seen_mass) | (rest_mass == 0)
        place = np.searchsorted(seen, seen[low] + target, side="right") - 1
        drawn[known] = token[np.clip(place[known], low[known], high[known] - 1)]

        low, high, state = low[~known], high[~known], state[~known]
        target = (target[~known] - seen_mass[~known]) / rest[state]
        owner = np.repeat(np.arange(len(states)), np.diff(begin))
        free = self.cdf[token] - (gaps[:-1] - gaps[begin[owner]])  # unseen mass before each seen word: ascending
        passed = np.searchsorted(owner + free, state + target, side="right")
        target += gaps[np.clip(passed, low, high)] - gaps[low]
        drawn[~known] = np.searchsorted(self.cdf, target, side="right").clip(max=self.model.symbols) - 1
        return drawn

    def _weights(self, states: Ints) -> tuple[Ints, Ints, Floats, Floats]:
        """What each state's next token is drawn by, up to a factor for each state.

        Returns:
            The words seen after the states' last tokens, state by state [seen]; where each state's begin [states + 1];
            the words' weights [seen]; and what multiplies `tempered` for all other words [states].
        """
        words, levels = self.model.words, self.model.levels[1:]
        factor = np.ones(len(states))  # B
        if not levels:
            return np.zeros(0, np.int64), np.zeros(len(states) + 1, np.int64), np.zeros(0), factor
        with_one = np.flatnonzero(states[:, 1] >= 0)
        gram, owner = levels[0].followers(states[with_one, 1], words)
        owner = with_one[owner]
        begin = np.searchsorted(owner, np.arange(len(states) + 1))
        token = levels[0].keys[gram] % (words + 2)
        filled = np.flatnonzero(np.diff(begin))
        shift = np.zeros(len(states), np.int64)  # from a bigram's number to its place here
        shift[filled] = begin[filled] - gram[begin[filled]]
        chance = self.unigram[token]
        for order, (level, ending) in enumerate(zip(levels, self.endings, strict=True), start=1):
            rows = np.flatnonzero(states[:, order] >= 0)
            back = np.ones(len(states))
            back[rows] = level.back[states[rows, order]]
            chance, factor = chance * back[owner], factor * back
            gram, at = level.followers(states[rows, order], words)
            chance[ending[gram] + shift[rows[at]]] += level.mass[gram]
        top = factor * self.most  # over the most probable word, so that no power leaves the range of floats
        top[filled] = np.maximum(top[filled], np.maximum.reduceat(chance, begin[filled]) if len(filled) else 0.0)
        weight = (chance / top[owner]) ** self.exponent
        return token, begin, weight, (factor * self.most / top) ** self.exponent * self.scale


def _bigrams_at_the_end(model: KneserNey) -> list[Ints]:
    """For orders 2, 3, ...: the number of the bigram that each gram ends with."""
    endings: list[Ints] = []
    shorter = np.zeros(len(model.levels[0].keys) if model.levels else 0, np.int64)  # a gram without its first token
    for below, level in zip(model.levels, model.levels[1:], strict=False):
        history, token = np.divmod(level.keys, model.words + 2)
        shorter = np.searchsorted(below.keys, shorter[history] * (model.words + 2) + token)
        endings.append(endings[-1][shorter] if endings else np.arange(len(level.keys)))
    return endings
