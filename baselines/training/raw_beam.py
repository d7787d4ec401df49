"""Beam search on scores that are no probabilities: a prefix is worth what its last token scored, not a sum.

That is how beam-search optimisation ranks prefixes (Wiseman and Rush 2016, arXiv 1606.02960, as the authors' code has
it): the score of a token is read off a state that knows the whole prefix, and nothing makes the scores of two prefixes
comparable but training.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from baselines.decoding import Limits
from baselines.nets.base import AutoregressiveNet, Memory, pick
from baselines.sampling import chunk_rows
from tasks.base import Ragged

NEVER = float("-inf")

Ending = Literal["top", "best"]


class RawBeam:
    """`size` prefixes of each source.

    Attributes:
        ids: [batch, size, time], their tokens so far.
        scores: [batch, size], of their last tokens; minus infinity where there is no prefix.
    """

    def __init__(self, net: AutoregressiveNet, batch: int, size: int, time: int) -> None:
        self.net, self.size = net, size
        weight = net.output.weight
        self.ids = torch.zeros(batch, size, time, dtype=torch.int64, device=weight.device)
        self.scores = torch.full((batch, size), NEVER, dtype=weight.dtype, device=weight.device)
        self.scores[:, 0] = 0.0  # all begin alike: one of them is enough

    def candidates(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The best continuations of each source's prefixes, twice as many as there are prefixes, best first.

        Args:
            features: [batch * size, features] after each prefix.

        Returns:
            Scores, which prefix each comes from, and tokens: [batch, candidates].
        """
        found, tokens = top_scores(self.net, features, min(2 * self.size, self.net.vocab_size))
        each = tokens.shape[1]
        found = found.view(-1, self.size, each).masked_fill(self.scores.isinf().unsqueeze(2), NEVER).flatten(1)
        scores, place = found.topk(min(2 * self.size, found.shape[1]), sorted=True)
        return scores, place // each, tokens.view(len(found), -1).gather(1, place)

    def extended(self, parents: Tensor, tokens: Tensor, time: int) -> Tensor:
        """Prefixes `parents` [batch, n] with a token each [batch, n] at place `time`: [batch, n, time]."""
        ids = self.ids.gather(1, parents.unsqueeze(2).expand(-1, -1, self.ids.shape[2]))
        ids[:, :, time] = tokens
        return ids

    def keep(self, scores: Tensor, parents: Tensor, tokens: Tensor, time: int) -> tuple[Tensor, Tensor]:
        """Goes on with the best of the candidates; minus infinity for those that can't.

        Returns:
            The tokens to read next [batch * size], and the rows that the prefixes come from [batch * size].
        """
        self.scores, place = scores.topk(self.size, sorted=True)
        parents, tokens = parents.gather(1, place), tokens.gather(1, place)
        self.ids = self.extended(parents, tokens, time)
        first = self.size * torch.arange(len(scores), device=scores.device).unsqueeze(1)
        return tokens.flatten(), (parents + first).flatten()


@torch.no_grad()
def raw_beam_search(
    net: AutoregressiveNet, memory: Memory, batch: int, limits: Limits, size: int, ending: Ending = "top"
) -> Ragged:
    """A search ends with `</s>`, or at the length limit with the prefix that scores most there.

    Args:
        ending: `top`: as soon as `</s>` scores more than all other continuations of all prefixes, which is what
            training asks of a target's end; `best`: when `size` prefixes have ended that were among the best, and the
            one whose end scored most is taken, though nothing has made ends at different places comparable.
    """
    beam, quota = RawBeam(net, batch, size, limits.max_length), 1 if ending == "top" else size
    device = beam.ids.device
    repeat = torch.arange(batch, device=device).repeat_interleave(size)
    state, memory = pick(net.initial_state(batch, memory), repeat), pick(memory, repeat)
    tokens = torch.full_like(repeat, limits.bos)
    best = beam.scores.new_full((batch,), NEVER)
    result, lengths = torch.zeros_like(beam.ids[:, 0]), torch.full_like(repeat[:batch], limits.max_length)
    ended = torch.zeros_like(lengths)
    with net.fixed_weights():
        for time in range(limits.max_length):
            features, state = net.step(tokens, state, memory)
            scores, parents, words = beam.candidates(features)
            ends = words == limits.eos if limits.eos is not None else torch.zeros_like(words, dtype=torch.bool)
            counted = ends[:, :quota] & (ended < quota).unsqueeze(1)
            if time + 1 == limits.max_length:  # what has not ended by itself ends here
                counted[:, 0] |= (ended == 0) & ~counted.any(1)
            value, place = scores[:, :quota].masked_fill(~counted, NEVER).max(1, keepdim=True)
            better = value.squeeze(1) > best
            found = beam.extended(parents.gather(1, place), words.gather(1, place), time).squeeze(1)
            result = torch.where(better.unsqueeze(1), found, result)
            lengths, best = torch.where(better, time + 1, lengths), torch.maximum(best, value.squeeze(1))
            ended = ended + (counted & scores[:, :quota].isfinite()).sum(1)
            if device.type == "cpu" and bool((ended >= quota).all()):  # a GPU isn't asked: it would wait
                break
            tokens, rows = beam.keep(scores.masked_fill(ends, NEVER), parents, words, time)
            state = pick(state, rows)
    return Ragged.from_padded(result.cpu().numpy(), lengths.cpu().numpy())


@torch.no_grad()
def top_scores(net: AutoregressiveNet, features: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k tokens of highest score: features [rows, features] -> scores and ids [rows, k], best first."""
    found = [net.output(part).topk(k) for part in torch.split(features, chunk_rows(net.vocab_size, features.device))]
    return torch.cat([scores for scores, _ in found]), torch.cat([tokens for _, tokens in found])
