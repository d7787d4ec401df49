"""Sampling that keeps its states, and Monte-Carlo rollouts of all prefixes as one batch (Yu et al. 2017, section 3.1).

The states of a sampled sequence are kept after every token, so that no prefix is ever run a second time, and the first
tokens of a prefix's rollouts share one distribution. At a time step all rollouts that are under way advance together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.nets.base import AutoregressiveNet, Memory, State, pick
from baselines.sampling import TokenSampler


@dataclass(frozen=True)
class Sampled:
    """Sequences with the network's inner life at each step.

    Attributes:
        tokens: [batch, time], `pad` after `</s>`.
        lengths: [batch], `</s>` included.
        features: [time, batch, features]: place t predicts token t (from 0).
        states: each [time, batch, ...], in step with `features`.
    """

    tokens: Tensor
    lengths: Tensor
    features: Tensor
    states: State

    def take(self, rows: Tensor) -> Sampled:
        """The named sequences."""
        states = tuple(part[:, rows] for part in self.states)
        return Sampled(self.tokens[rows], self.lengths[rows], self.features[:, rows], states)


@dataclass(frozen=True)
class Rollouts:
    """Completions of every prefix that has a continuation.

    Attributes:
        tokens: [rows, time], prefix included, `pad` after `</s>`; rows ordered by (prefix length, item, rollout).
            No wider than the longest of them.
        items: for prefix lengths 1, 2, ... the items longer than that.
        n: rollouts of each prefix.
    """

    tokens: Tensor
    items: tuple[Tensor, ...]
    n: int

    @property
    def owners(self) -> Tensor:
        """[rows] the item that each row completes."""
        none = torch.zeros(0, dtype=torch.long, device=self.tokens.device)
        return torch.cat([none, *(chosen.repeat_interleave(self.n) for chosen in self.items)])


@torch.no_grad()
def sample_with_states(
    net: AutoregressiveNet, memory: Memory, uniforms: Tensor, *, bos: int, pad: int, eos: int | None
) -> Sampled:
    """One sequence a row of `uniforms` [batch, time], of at most `time` tokens.

    Token t of row b is the one whose cumulative probability first exceeds `uniforms[b, t]`.
    """
    batch, time = uniforms.shape
    draw = TokenSampler(net.output)
    state = net.initial_state(batch, memory)
    token = uniforms.new_full((batch,), bos, dtype=torch.long)
    ended = torch.zeros_like(token, dtype=torch.bool)
    tokens, features, states = [], [], []
    for t in range(time):
        feature, state = net.step(token, state, memory)
        token = draw(feature, uniforms[:, t : t + 1]).squeeze(1).masked_fill(ended, pad)
        tokens.append(token)
        features.append(feature)
        states.append(state)
        if eos is not None:
            ended = ended | (token == eos)
    drawn = torch.stack(tokens, 1)
    kept = tuple(torch.stack(parts) for parts in zip(*states, strict=True))
    return Sampled(drawn, (drawn != pad).sum(1), torch.stack(features), kept)


@torch.no_grad()
def roll_out(
    net: AutoregressiveNet,
    memory: Memory,
    sampled: Sampled,
    uniforms: Tensor,
    *,
    pad: int,
    eos: int | None,
    every: int = 1,
) -> Rollouts:
    """Completes every prefix y_1..y_t, 1 <= t < length, of every sequence n times.

    Args:
        memory: the encoder's, one row a sequence: it is reused, never computed again.
        sampled: features and states of the rollout policy after each token.
        uniforms: [time - 1, batch, n, time]; `[t - 1, b, i, s]` draws the token at place s of rollout i of prefix t.
        every: only prefixes whose length is a multiple of it; the others have no items.
    """
    time, n = uniforms.shape[3], uniforms.shape[2]
    draw = TokenSampler(net.output)
    items = alive(sampled.lengths, time, always=eos is None, every=every)
    owner = torch.cat([chosen.repeat_interleave(n) for chosen in items])  # [rows] the item each rollout belongs to
    draws = torch.cat([uniforms[t][chosen].flatten(0, 1) for t, chosen in enumerate(items)])  # [rows, time]
    tokens = _prefixes(sampled.tokens, items, n, pad)
    live = owner[:0]  # the rollouts under way
    state: State = ()
    features = sampled.features[0][:0]
    started = 0
    for s in range(1, time):
        fresh = items[s - 1]
        if len(fresh) + len(live) == 0:
            continue
        first = draw(sampled.features[s][fresh], draws[started : started + len(fresh) * n, s].view(-1, n))
        token = first.flatten()
        if len(live):
            token = torch.cat([draw(features, draws[live, s : s + 1]).squeeze(1), token])
        live = torch.cat([live, torch.arange(started, started + len(fresh) * n, device=live.device)])
        started += len(fresh) * n
        tokens[live, s] = token
        if s == time - 1:
            break
        begun = tuple(part[s][fresh].repeat_interleave(n, 0) for part in sampled.states)
        state = tuple(torch.cat(parts) for parts in zip(state, begun, strict=True)) if state else begun
        if eos is not None:
            going = (token != eos).nonzero().squeeze(1)
            live, token, state = live[going], token[going], pick(state, going)
        features, state = net.step(token, state, pick(memory, owner[live]))
    return _narrow(Rollouts(tokens, items, n), pad) if eos is not None else Rollouts(tokens, items, n)


def _narrow(rollouts: Rollouts, pad: int) -> Rollouts:
    """Without the places, and the prefix lengths, that no rollout reaches."""
    longest = int((rollouts.tokens != pad).sum(1).max()) if len(rollouts.tokens) else 1
    return Rollouts(rollouts.tokens[:, :longest], rollouts.items[: longest - 1], rollouts.n)


def alive(lengths: Tensor, time: int, *, always: bool, every: int = 1) -> tuple[Tensor, ...]:
    """For prefix lengths 1 .. time - 1 the items that are longer; `always`: all of them, known without looking.

    Lengths that are no multiple of `every` have none.
    """
    everyone = torch.arange(len(lengths), device=lengths.device)
    none = everyone[:0]
    return tuple((everyone if always else everyone[lengths > t]) if t % every == 0 else none for t in range(1, time))


def _prefixes(tokens: Tensor, items: tuple[Tensor, ...], n: int, pad: int) -> Tensor:
    """Each prefix n times, `pad` after it: [rows, time]."""
    parts = []
    for t, chosen in enumerate(items, 1):
        part = tokens[chosen].repeat_interleave(n, 0)
        part[:, t:] = pad
        parts.append(part)
    return torch.cat(parts)


def spread(values: Tensor, rollouts: Rollouts, final: Tensor, lengths: Tensor, time: int) -> Tensor:
    """Q(t) [batch, time]: the mean of `values` [rows] over a prefix's rollouts, and at the end `final` [batch].

    Places after a sequence's end are 0.
    """
    rewards = final.new_zeros(len(final), time)
    done = 0
    for t, chosen in enumerate(rollouts.items):
        count = len(chosen) * rollouts.n
        rewards[chosen, t] = values[done : done + count].view(-1, rollouts.n).mean(1)
        done += count
    return rewards.scatter_(1, (lengths - 1).unsqueeze(1), final.unsqueeze(1))


def carried_back(rewards: Tensor, lengths: Tensor, every: int) -> Tensor:
    """Q(t) [batch, time] where only prefixes of `every`, 2 `every`, ... tokens were rolled out.

    A token before one of those places gets what is there, the last ones what the whole is worth: both are expectations
    over what follows the token, of which part was sampled already. What stands at an earlier place would not depend on
    the token.

    Args:
        rewards: Q(t) at those places and at each sequence's end; what stands elsewhere is not read.
        lengths: [batch].
    """
    if every == 1:
        return rewards
    place = torch.arange(rewards.shape[1], device=rewards.device).expand_as(rewards)
    last = (lengths - 1).unsqueeze(1)
    known = ((place // every + 1) * every - 1).minimum(last)
    return torch.where(place <= last, rewards.gather(1, known), 0.0)
