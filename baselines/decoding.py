"""The one place where text is drawn from a network: greedy, ancestral sampling, batched beam search.

Works for any `AutoregressiveNet`, free or conditional, on the device of its weights. Rows that have ended drop out of
the batch. All is deterministic given the uniforms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from baselines.base import CannotDecode
from baselines.nets.base import AutoregressiveNet, Memory, State, pick
from baselines.sampling import TokenSampler, chunk_rows
from tasks.base import Ragged

Choose = Callable[[Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class Limits:
    """Where a sequence begins and ends: after `eos`, or at `max_length` tokens; without `eos` always there."""

    bos: int
    eos: int | None
    max_length: int


def sample(
    net: AutoregressiveNet, memory: Memory, uniforms: Tensor, limits: Limits, temperature: float = 1.0
) -> Ragged:
    """Ancestral sampling; `uniforms` [batch, max_length] are its random numbers, left unused behind a row's end."""
    uniforms = uniforms.to(net.output.weight.device, non_blocking=True)
    draw = TokenSampler(net.output, temperature)

    def choose(features: Tensor, rows: Tensor, time: int) -> Tensor:
        return draw(features, uniforms[rows, time, None]).squeeze(1)

    return _unroll(net, memory, len(uniforms), limits, choose)


def greedy(net: AutoregressiveNet, memory: Memory, batch: int, limits: Limits) -> Ragged:
    """The most probable token at each step."""

    def choose(features: Tensor, rows: Tensor, time: int) -> Tensor:  # noqa: ARG001
        return _top_log_probs(net, features, 1)[1].squeeze(1)

    return _unroll(net, memory, batch, limits, choose)


@torch.no_grad()
def _unroll(net: AutoregressiveNet, memory: Memory, batch: int, limits: Limits, choose: Choose) -> Ragged:
    """Steps through time; `choose` gets features [rows, features], which rows these are, and the time."""
    device = net.output.weight.device
    ids = torch.zeros(batch, limits.max_length, dtype=torch.int64, device=device)
    rows = torch.arange(batch, device=device)
    tokens = torch.full_like(rows, limits.bos)
    going = torch.ones_like(rows, dtype=torch.bool)
    state = net.initial_state(batch, memory)
    with net.fixed_weights():
        for time in range(limits.max_length):
            features, state = net.step(tokens, state, memory)
            tokens = choose(features, rows, time)
            ids[rows, time] = tokens
            if limits.eos is None:
                continue
            going &= tokens != limits.eos
            # Asking how many are left makes a GPU wait, so it is asked less often there.
            if device.type == "cpu" or time % 8 == 7:
                left = int(going.sum())
                if left == 0:
                    break
                if left < 0.8 * len(rows):
                    keep = going.nonzero().squeeze(1)
                    rows, tokens, going = rows[keep], tokens[keep], going[keep]
                    state, memory = pick(state, keep), pick(memory, keep)
    return _cut(ids, limits)


def _cut(ids: Tensor, limits: Limits) -> Ragged:
    """ids [batch, time], each row up to and with its first `eos`."""
    ends = torch.full(ids.shape[:1], limits.max_length, device=ids.device)
    if limits.eos is not None:
        ended = ids == limits.eos
        # `_unroll` leaves 0 behind the place where the last row ended, which may be `eos`; the first one counts.
        ends = torch.where(ended.any(1), ended.int().argmax(1) + 1, ends)
    return Ragged.from_padded(ids.cpu().numpy(), ends.cpu().numpy())


@dataclass(frozen=True)
class Coverage:
    """Adds weight * sum_i log(min(sum_j p_ij, 1)) to the score of ended hypotheses (Wu et al., 2016, section 7).

    p_ij is the attention of the j-th token, `</s>` counted, to the i-th source word: a source whose words were all
    attended to loses nothing.

    Attributes:
        words: [batch, source time], which places of a source are words to cover.
    """

    weight: float
    words: Tensor


@torch.no_grad()
def beam_search(
    net: AutoregressiveNet,
    memory: Memory,
    batch: int,
    limits: Limits,
    size: int,
    length_penalty: float = 1.0,
    coverage: Coverage | None = None,
) -> Ragged:
    """The best ended hypothesis of each source, by log-probability / length ** length_penalty, and coverage if asked.

    A hypothesis ends when `eos` is among the `size` best continuations, or at the length limit. The search for a source
    is over when `size` hypotheses have ended, or when none still going can overtake the best ended one. Which go on is
    decided by log-probability: they have one length, and what they don't cover yet they may still cover.

    Raises:
        CannotDecode: coverage of a network without attention.
    """
    device = net.output.weight.device
    beams = _Beams(batch, size, limits, length_penalty, device)
    repeat = torch.arange(batch, device=device).repeat_interleave(size)
    state, memory = pick(net.initial_state(batch, memory), repeat), pick(memory, repeat)
    covered = None if coverage is None else _Covered.nothing(coverage, repeat)
    tokens = torch.full_like(repeat, limits.bos)
    with net.fixed_weights():
        for time in range(limits.max_length):
            if covered is None:
                features, state = net.step(tokens, state, memory)
            else:
                features, state = covered.step(net, tokens, state, memory)
            # Twice the beam: at most `size` of them are `eos`, so `size` can go on.
            found = _top_log_probs(net, features, min(2 * size, net.vocab_size))
            tokens, rows = beams.extend(*found, time, None if covered is None else covered.score())
            if device.type == "cpu" or time % 4 == 3:
                kept = beams.drop_ended()
                if kept is not None:
                    places = (kept[:, None] * size + torch.arange(size, device=device)).flatten()
                    tokens, rows, memory = tokens[places], rows[places], pick(memory, places)
                if len(tokens) == 0:
                    break
            state = pick(state, rows)
            covered = None if covered is None else covered.pick(rows)
    return Ragged.from_padded(beams.result.cpu().numpy(), beams.lengths.cpu().numpy())


@dataclass
class _Covered:
    """How much attention each source word [rows, source time] has had from each hypothesis."""

    weight: float
    words: Tensor
    sums: Tensor

    @classmethod
    def nothing(cls, coverage: Coverage, rows: Tensor) -> _Covered:
        words = coverage.words[rows]
        return cls(coverage.weight, words, torch.zeros(words.shape, device=words.device))

    def step(self, net: AutoregressiveNet, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """A step of the network whose attention is added up."""
        found = net.step_with_weights(tokens, state, memory)
        if found is None:
            raise CannotDecode("coverage needs attention to the source, and this network has none")
        features, state, weights = found
        self.sums = self.sums + weights
        return features, state

    def score(self) -> Tensor:
        """What coverage adds to the score of each hypothesis [rows], were it to end with the next token."""
        # A word that got no attention in float32 counts as the smallest that float32 has, or nothing could be ranked.
        attended = self.sums.clamp(torch.finfo(self.sums.dtype).tiny, 1.0)
        return self.weight * attended.log().masked_fill(~self.words, 0.0).sum(1)

    def pick(self, rows: Tensor) -> _Covered:
        words, sums = pick((self.words, self.sums), rows)
        return _Covered(self.weight, words, sums)


class _Beams:
    """Hypotheses of the sources still searched (dimension 0), and the best that have ended of all sources."""

    def __init__(self, batch: int, size: int, limits: Limits, length_penalty: float, device: torch.device) -> None:
        self.size, self.limits, self.length_penalty = size, limits, length_penalty
        self.source = torch.arange(batch, device=device)
        self.ids = torch.zeros(batch, size, limits.max_length, dtype=torch.int64, device=device)
        self.scores = torch.full((batch, size), float("-inf"), device=device)  # sums of log-probabilities
        self.scores[:, 0] = 0.0  # all beams begin alike: one of them is enough
        self.ended = torch.zeros_like(self.source)  # how many hypotheses have
        self.best = torch.full((batch,), float("-inf"), device=device)  # normalised score of the best of them
        self.over = torch.zeros_like(self.source, dtype=torch.bool)
        self.result = torch.zeros(batch, limits.max_length, dtype=torch.int64, device=device)
        self.lengths = torch.full((batch,), limits.max_length, device=device)

    def extend(
        self, log_probs: Tensor, tokens: Tensor, time: int, bonus: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Makes each hypothesis longer by a token.

        Args:
            log_probs, tokens: [sources * size, candidates], the best continuations of each hypothesis.
            bonus: [sources * size], at most 0: added to the normalised score of what ends here.

        Returns:
            The tokens to read next [sources * size], and the rows that the hypotheses come from [sources * size].
        """
        n, candidates = len(self.source), tokens.shape[1]
        totals = (self.scores.unsqueeze(2) + log_probs.view(n, self.size, candidates)).flatten(1)
        scores, place = totals.topk(min(2 * self.size, totals.shape[1]), sorted=True)
        parents, tokens = place // candidates, tokens.view(n, -1).gather(1, place)
        self._end(parents, tokens, scores, time, None if bonus is None else bonus.view(n, self.size))
        if self.limits.eos is not None:
            scores = scores.masked_fill(tokens == self.limits.eos, float("-inf"))
        self.scores, place = scores.topk(self.size, sorted=True)
        parents, tokens = parents.gather(1, place), tokens.gather(1, place)
        self.ids = self.ids.gather(1, parents.unsqueeze(2).expand_as(self.ids))
        self.ids[:, :, time] = tokens
        self._judge(time)
        rows = parents + self.size * torch.arange(n, device=parents.device).unsqueeze(1)
        return tokens.flatten(), rows.flatten()

    def drop_ended(self) -> Tensor | None:
        """Forgets the sources whose search is over; gives the places of those kept, or None if too few are over."""
        left = len(self.over) - int(self.over.sum())
        if left > 0.8 * len(self.over):
            return None
        keep = (~self.over).nonzero().squeeze(1)
        self.source, self.ids, self.scores, self.ended, self.best, self.over = pick(
            (self.source, self.ids, self.scores, self.ended, self.best, self.over), keep
        )
        return keep

    def _end(self, parents: Tensor, tokens: Tensor, scores: Tensor, time: int, bonus: Tensor | None) -> None:
        """Keeps the best of the hypotheses that end here, if it is better than those ended before."""
        tokens, scores = tokens[:, : self.size], scores[:, : self.size]
        ends = scores.isfinite() & ~self.over.unsqueeze(1)
        if time + 1 < self.limits.max_length:
            ends &= tokens == self.limits.eos if self.limits.eos is not None else False
        values = scores / (time + 1) ** self.length_penalty
        if bonus is not None:
            values = values + bonus.gather(1, parents[:, : self.size])
        value, place = values.masked_fill(~ends, float("-inf")).max(1)
        place = place.unsqueeze(1)
        ids = self.ids[torch.arange(len(parents), device=parents.device), parents.gather(1, place).squeeze(1)]
        ids[:, time] = tokens.gather(1, place).squeeze(1)
        better = value > self.best
        self.result[self.source] = torch.where(better.unsqueeze(1), ids, self.result[self.source])
        self.lengths[self.source] = torch.where(better, time + 1, self.lengths[self.source])
        self.best = torch.maximum(self.best, value)
        self.ended = self.ended + ends.sum(1)

    def _judge(self, time: int) -> None:
        # A sum of log-probabilities only falls, so the kindest that may happen to the leader is to end, adding nothing,
        # where the length counts most in its favour, with all covered.
        length = self.limits.max_length if self.length_penalty > 0 else time + 2
        beaten = self.best >= self.scores[:, 0] / length**self.length_penalty
        self.over = self.over | beaten | (self.ended >= self.size)


def _top_log_probs(net: AutoregressiveNet, features: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k most probable tokens: features [rows, features] -> log-probabilities and ids [rows, k], best first."""
    parts = []
    for part in torch.split(features, chunk_rows(net.vocab_size, features.device)):
        logits = net.output(part)
        top, tokens = logits.topk(k, sorted=True)
        parts.append((top - logits.logsumexp(1, keepdim=True), tokens))
    return torch.cat([top for top, _ in parts]), torch.cat([tokens for _, tokens in parts])


@dataclass(frozen=True)
class Candidates:
    """What may answer some sources: the texts, whose each is, and its log-probability [candidates]."""

    ids: Ragged
    owner: npt.NDArray[np.int64]
    log_probs: npt.NDArray[np.float64]


@torch.no_grad()
def n_best(net: AutoregressiveNet, memory: Memory, batch: int, limits: Limits, size: int) -> Candidates:
    """The `size` most probable of all ended hypotheses that a beam search of that width meets.

    A hypothesis ends with `eos`, or at the length limit. A source's search ends when no hypothesis still going can get
    onto its list: a sum of log-probabilities only falls.

    Returns:
        By source and best first. A source may have fewer than `size`, where there are no more.
    """
    device, time_limit = net.output.weight.device, limits.max_length
    repeat = torch.arange(batch, device=device).repeat_interleave(size)
    state, memory = pick(net.initial_state(batch, memory), repeat), pick(memory, repeat)
    lists = _Lists(batch, size, time_limit, net.output.weight)
    tokens = torch.full_like(repeat, limits.bos)
    with net.fixed_weights():
        for time in range(time_limit):
            features, state = net.step(tokens, state, memory)
            log_probs, words = _top_log_probs(net, features, min(2 * size, net.vocab_size))
            tokens, rows = lists.extend(log_probs, words, time, limits.eos)
            state = pick(state, rows)
            if device.type == "cpu" or time % 4 == 3:  # on a GPU each look waits for it
                over = lists.over()
                if over.all():
                    break
                if over.float().mean() > 0.2:
                    rows = lists.forget(over)
                    state, memory, tokens = pick(state, rows), pick(memory, rows), tokens[rows]
    there = lists.worth.isfinite()
    found = Ragged.from_padded(lists.ids[there].cpu().numpy(), lists.lengths[there].cpu().numpy())
    return Candidates(found, there.nonzero()[:, 0].cpu().numpy(), lists.worth[there].double().cpu().numpy())


class _Lists:
    """The best that have ended of all sources, best first; and the hypotheses of the sources still searched."""

    def __init__(self, batch: int, size: int, time_limit: int, like: Tensor) -> None:
        """`like`: of the device and the precision of log-probabilities."""
        device = like.device
        self.ids = torch.zeros(batch, size, time_limit, dtype=torch.int64, device=device)
        self.worth = like.new_full((batch, size), float("-inf"))  # sums of log-probabilities
        self.lengths = torch.zeros(batch, size, dtype=torch.int64, device=device)
        self._source = torch.arange(batch, device=device)
        self._going, self._scores = self.ids.clone(), self.worth.clone()
        self._scores[:, 0] = 0.0  # all beams begin alike: one of them is enough

    def extend(self, log_probs: Tensor, words: Tensor, time: int, eos: int | None) -> tuple[Tensor, Tensor]:
        """Makes each hypothesis longer by a token, as `_Beams.extend`, and lists those that end with it."""
        n, size = self._scores.shape
        totals = (self._scores.unsqueeze(2) + log_probs.view(n, size, -1)).flatten(1)
        found, place = totals.topk(min(2 * size, totals.shape[1]), sorted=True)
        parents, words = place // log_probs.shape[1], words.view(n, -1).gather(1, place)
        longer = _rows_of(self._going, parents)
        longer[:, :, time] = words
        ends = (words == eos) if eos is not None else torch.zeros_like(words, dtype=torch.bool)
        ends = ends | (time + 1 == self.ids.shape[2])
        worth = torch.cat([self.worth[self._source], found.masked_fill(~ends, float("-inf"))], 1)
        lengths = torch.cat([self.lengths[self._source], torch.full_like(words, time + 1)], 1)
        worth, kept = worth.topk(size, sorted=True)
        self.ids[self._source] = _rows_of(torch.cat([self.ids[self._source], longer], 1), kept)
        self.worth[self._source], self.lengths[self._source] = worth, lengths.gather(1, kept)
        self._scores, going = found.masked_fill(ends, float("-inf")).topk(size, sorted=True)
        self._going = _rows_of(longer, going)
        rows = parents.gather(1, going) + size * torch.arange(n, device=words.device).unsqueeze(1)
        return words.gather(1, going).flatten(), rows.flatten()

    def over(self) -> Tensor:
        """Of each source still searched whether its list is whole."""
        return self.worth[self._source, -1] >= self._scores[:, 0]

    def forget(self, over: Tensor) -> Tensor:
        """Searches no more for the sources named; gives the rows of hypotheses that are left."""
        keep = (~over).nonzero().squeeze(1)
        self._source, self._going, self._scores = pick((self._source, self._going, self._scores), keep)
        size = self._scores.shape[1]
        return (keep.unsqueeze(1) * size + torch.arange(size, device=keep.device)).flatten()


def _rows_of(ids: Tensor, places: Tensor) -> Tensor:
    """ids [batch, n, time] at places [batch, m] -> [batch, m, time]."""
    return ids.gather(1, places.unsqueeze(2).expand(-1, -1, ids.shape[2]))
