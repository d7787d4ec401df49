"""Blanks in texts: where they are, how they are filled, and the generator that fills them for a user."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from baselines.nets.base import AutoregressiveNet, Memory
from baselines.nets.infilling import InfillingNet
from baselines.neural import NeuralGenerator, evaluating
from baselines.sampling import draw
from baselines.training.loss import log_probs
from tasks.base import Corpus, Ragged

MaskKind = Literal["contiguous", "random"]
Blanks = npt.NDArray[np.bool_]


def choose_blanks(lengths: Tensor, rate: float, kind: MaskKind, rng: torch.Generator) -> Tensor:
    """Which places are blank: [batch, longest], on the CPU, never behind a text's end.

    Of each text of `lengths` [batch] the share `rate`, rounded to whole places (at least one where the rate isn't 0):
    side by side from a random place on, or anywhere.
    """
    lengths = lengths.cpu()
    place = torch.arange(int(lengths.max()))
    counts = (rate * lengths.double() + 0.5).long()
    if rate > 0:
        counts = counts.clamp(min=1).minimum(lengths)
    if kind == "contiguous":
        room = lengths - counts + 1
        start = (torch.rand(len(lengths), generator=rng, dtype=torch.float64) * room).long().minimum(room - 1)[:, None]
        return (place >= start) & (place < start + counts[:, None])
    keys = torch.rand(len(lengths), len(place), generator=rng).masked_fill(place >= lengths[:, None], 2.0)
    return keys.argsort(1).argsort(1) < counts[:, None]


@torch.no_grad()
def fill(
    net: AutoregressiveNet,
    memory: Memory,
    given: Tensor,
    blanks: Tensor,
    uniforms: Tensor,
    *,
    bos: int,
    temperature: float = 1.0,
    eos: int | None = None,
    last: Tensor | None = None,
) -> Tensor:
    """Texts with a token drawn at each blank, from left to right; everywhere else what is given stays.

    Args:
        memory: what the encoder read of the texts with blanks.
        given: [batch, time]; its tokens at blanks are not read.
        blanks: [batch, time].
        uniforms: [batch, time], their random numbers.
        eos: this token is not drawn but where `last` [batch, time] allows it; None: no token is kept out.
    """
    tokens = []
    token = torch.full_like(given[:, 0], bos)
    state = net.initial_state(len(given), memory)
    with net.fixed_weights():
        for t in range(given.shape[1]):
            features, state = net.step(token, state, memory)
            logits = net.output(features) / temperature
            if eos is not None and last is not None:
                logits[:, eos] = logits[:, eos].masked_fill(~last[:, t], float("-inf"))
            drawn = draw(logits, uniforms[:, t : t + 1]).squeeze(1)
            token = torch.where(blanks[:, t], drawn, given[:, t])
            tokens.append(token)
    return torch.stack(tokens, 1)


class InfillingGenerator(NeuralGenerator):
    """A generator that also fills blanks in a given text (`baselines.base.Infiller`).

    As a free generator it writes with everything blank; its likelihood is the exact p(y | everything blank).
    """

    net: InfillingNet

    def __init__(self, net: InfillingNet, corpus: Corpus, batch: int = 1024) -> None:
        super().__init__(net, corpus, batch)

    def infill(self, tokens: Ragged, blanks: Blanks, *, temperature: float = 1.0, rng: torch.Generator) -> Ragged:
        """The texts with their blanks filled; given tokens and all lengths stay exactly as they are.

        `</s>` is drawn at a text's last place alone: elsewhere it would cut off what is given. What a text gets doesn't
        depend on the texts beside it.
        """
        _check(tokens, blanks)
        uniforms = torch.rand(len(tokens), int(tokens.lengths.max(initial=0)), generator=rng)
        order = np.argsort(tokens.lengths, kind="stable")
        parts = []
        with evaluating(self.net):
            for start in range(0, len(order), 256):
                rows = order[start : start + 256]
                some, marks = tokens.take(rows), _marks(tokens, blanks).take(rows)
                parts.append(self._fill(some, marks, uniforms[rows], temperature))
        return Ragged.concatenate(parts).take(np.argsort(order, kind="stable"))

    def fill_log_probs(self, tokens: Ragged, blanks: Blanks) -> npt.NDArray[np.float64]:
        """Natural log-probability, at temperature 1, of what stands at each blank, given the tokens before it and those
        not blank; in the order of `tokens.flat[blanks]`. Any token may be drawn, `</s>` too."""
        _check(tokens, blanks)
        parts = [np.zeros(0)]
        with evaluating(self.net):
            for start in range(0, len(tokens), 256):
                rows = np.arange(start, min(start + 256, len(tokens)))
                some, marks = tokens.take(rows), _marks(tokens, blanks).take(rows)
                batch = self.collator.batch(some, None, self.device)
                where = self._places(marks)
                features = self.net(batch.inputs, self._read(some, batch.targets, where))
                parts.append(log_probs(features[where], self.net.output, batch.targets[where]).double().cpu().numpy())
        return np.concatenate(parts)

    def _fill(self, tokens: Ragged, marks: Ragged, uniforms: Tensor, temperature: float) -> Ragged:
        width = int(tokens.lengths.max(initial=0))
        if width == 0:
            return tokens
        given = torch.from_numpy(tokens.padded(self.collator.target_pad)).to(self.device)
        where = self._places(marks)
        last = torch.arange(width) == torch.from_numpy(tokens.lengths - 1)[:, None]
        filled = fill(
            self.net,
            self._read(tokens, given, where),
            given,
            where,
            uniforms[:, :width].to(self.device),
            bos=self.limits.bos,
            temperature=temperature,
            eos=self.limits.eos,
            last=last.to(self.device),
        )
        return Ragged.from_padded(filled.cpu().numpy(), tokens.lengths)

    def _places(self, marks: Ragged) -> Tensor:
        return torch.from_numpy(marks.padded(0) == 1).to(self.device)

    def _read(self, tokens: Ragged, padded: Tensor, blanks: Tensor) -> Memory:
        lengths = torch.from_numpy(tokens.lengths).to(self.device)
        return self.net.encode(padded.masked_fill(blanks, self.net.blank_id), lengths)


def _marks(tokens: Ragged, blanks: Blanks) -> Ragged:
    return Ragged(blanks.astype(np.int32), tokens.offsets)


def _check(tokens: Ragged, blanks: Blanks) -> None:
    if blanks.shape != tokens.flat.shape or blanks.dtype != np.bool_:
        raise ValueError(f"a truth value for each token: {blanks.shape} {blanks.dtype}, {tokens.flat.shape} tokens")
