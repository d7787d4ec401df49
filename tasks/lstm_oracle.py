"""An LSTM with fixed random weights, as a distribution that is known exactly (Yu et al. 2017, section 4.1).

Weights and draws must be the same on every machine. So random numbers come from the raw stream of PCG64, which numpy
keeps stable (its `normal` it does not), and weights are rounded to multiples of 2^-16, out of reach of the last bits in
which platforms' logarithms differ. The LSTM runs in float64. The output layer, which takes all the time, runs in
float32, and once more in float64 for the few draws that lie too near the border of two tokens to be sure of.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from tasks.base import Ragged

Floats = npt.NDArray[np.float64]
_BLOCK = 50  # tokens whose probabilities are summed first, so that sums stay exact enough in float32
_ROWS = 32  # rows of logits at once: what fits the cache beside the output layer
_UNSURE = 1e-5  # share of the probability; float32 errors stay under a fifth of it
_START = 0  # SeqGAN starts every sequence from token 0


def uniforms(seed: tuple[int, ...], count: int) -> Floats:
    """Numbers in (0, 1) from the raw stream of PCG64: the middles of 2^53 equal steps."""
    raw = np.random.PCG64(list(seed)).random_raw(count)
    return ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normals(seed: tuple[int, ...], count: int) -> npt.NDArray[np.float32]:
    """Standard normal numbers by Box and Muller (1958), rounded to multiples of 2^-16."""
    pairs = uniforms(seed, 2 * ((count + 1) // 2)).reshape(2, -1)
    radius, angle = np.sqrt(-2.0 * np.log(pairs[0])), 2.0 * math.pi * pairs[1]
    values = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
    return (np.round(values * 2.0**16) * 2.0**-16).astype(np.float32)


@dataclass(frozen=True)
class LSTMOracle:
    """Vocabulary `size`, embedding and state of `width`; every parameter, biases too, is drawn from N(0, 1)."""

    size: int = 5000
    width: int = 32
    seed: int = 20170904

    @cached_property
    def weights(self) -> dict[str, torch.Tensor]:
        """By name, in the order in which they are drawn; gates stand as input, forget, output, candidate."""
        n, v = self.width, self.size
        shapes = {
            "embedding": (v, n),
            "input": (n, 4 * n),
            "recurrent": (n, 4 * n),
            "bias": (4 * n,),
            "output": (n, v),
            "output_bias": (v,),
        }
        flat = normals((self.seed,), sum(math.prod(shape) for shape in shapes.values()))
        parts, start = {}, 0
        for name, shape in shapes.items():
            parts[name] = torch.from_numpy(flat[start : start + math.prod(shape)].reshape(shape))
            start += math.prod(shape)
        return parts

    @cached_property
    def hash(self) -> str:
        """sha256 over all weights as little-endian float32, in their order."""
        digest = hashlib.sha256()
        for weight in self.weights.values():
            digest.update(weight.numpy().astype("<f4").tobytes())
        return digest.hexdigest()

    def log_probs(self, targets: Ragged) -> Floats:
        """Natural log-probability of each token of `targets`, aligned with `targets.flat`; right to 1e-5."""
        if len(targets.flat) and not 0 <= int(targets.flat.min()) <= int(targets.flat.max()) < self.size:
            raise ValueError(f"a token is outside the oracle's vocabulary (0 .. {self.size - 1})")
        ids = torch.from_numpy(targets.padded(_START))  # [batch, time]
        inside = torch.arange(ids.shape[1]) < torch.from_numpy(targets.lengths)[:, None]
        states = torch.empty(*ids.shape, self.width, dtype=torch.float64)  # [batch, time, width]
        state = self._first(len(ids))
        for t in range(ids.shape[1]):
            state = self._advance(ids[:, t - 1] if t else torch.full((len(ids),), _START), state)
            states[:, t] = state[0]
        return self._scores(states[inside], ids[inside]).numpy()

    def sample(self, n: int, rng: torch.Generator, length: int = 20) -> Ragged:
        """`n` sequences of `length` tokens."""
        draws = torch.rand(n, length, generator=rng, dtype=torch.float64, device=rng.device).cpu()
        return self.draw(draws.numpy())[0]

    def draw(self, places: Floats) -> tuple[Ragged, Floats]:
        """Sequences by inverse distribution function, and the log-probability of each of their tokens.

        Args:
            places: [batch, time], numbers in (0, 1).
        """
        batch, length = places.shape
        ids = torch.empty(batch, length, dtype=torch.long)
        scores = torch.empty(batch, length, dtype=torch.float64)
        state, last = self._first(batch), torch.full((batch,), _START)
        for t in range(length):
            state = self._advance(last, state)
            where = torch.from_numpy(np.ascontiguousarray(places[:, t]))
            ids[:, t], scores[:, t] = self._pick(state[0], where)
            last = ids[:, t]
        lengths = np.full(batch, length)
        return Ragged.from_padded(ids.numpy(), lengths), scores.numpy()

    def _first(self, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        zeros = torch.zeros(batch, self.width, dtype=torch.float64)
        return zeros, zeros

    def _advance(
        self, ids: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        hidden, cell = state
        gates = self._read[ids] + hidden @ self._recurrent  # [batch, 4 * width]
        enter, forget, leave, candidate = gates.chunk(4, dim=1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
        return torch.sigmoid(leave) * torch.tanh(cell), cell

    @cached_property
    def _read(self) -> torch.Tensor:
        """What a token adds to the gates: [vocab, 4 * width]."""
        w = {name: weight.double() for name, weight in self.weights.items()}
        return w["embedding"] @ w["input"] + w["bias"]

    @cached_property
    def _recurrent(self) -> torch.Tensor:
        return self.weights["recurrent"].double()

    @cached_property
    def _output(self) -> torch.Tensor:
        """Output layer with its bias as a last row, padded to whole blocks: [width + 1, blocks * block]."""
        layer = torch.cat([self.weights["output"], self.weights["output_bias"][None]])
        filler = torch.zeros(self.width + 1, -self.size % _BLOCK)
        filler[-1] = -torch.inf
        return torch.cat([layer, filler], dim=1)

    @cached_property
    def _output64(self) -> torch.Tensor:
        return self._output.double()

    @cached_property
    def _blocks64(self) -> torch.Tensor:
        """The output layer cut into blocks of tokens: [blocks, width + 1, block]."""
        return self._output64.view(self.width + 1, -1, _BLOCK).transpose(0, 1).contiguous()

    def _block_sums(self, hidden: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Sums of exp(logit) over blocks of tokens: [rows, blocks].

        No maximum is taken off first: |hidden| < 1 keeps logits under about 45, and exp(88) is still a float32.
        """
        states = _with_one(hidden).to(output.dtype)
        sums = torch.empty(len(states), output.shape[1] // _BLOCK, dtype=output.dtype)
        logits = torch.empty(_ROWS, output.shape[1], dtype=output.dtype)
        for start in range(0, len(states), _ROWS):
            rows = states[start : start + _ROWS]
            weights = torch.mm(rows, output, out=logits[: len(rows)]).exp_()
            torch.sum(weights.view(len(rows), -1, _BLOCK), 2, out=sums[start : start + _ROWS])
        return sums

    def _scores(self, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """log p of `ids` [rows] after `hidden` [rows, width]; the token's own logit in float64."""
        own = (hidden * self.weights["output"].T[ids]).sum(1) + self.weights["output_bias"][ids]
        return own - self._block_sums(hidden, self._output).double().sum(1).log()

    def _pick(self, hidden: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ids, scores, margin = self._invert(hidden, self._block_sums(hidden, self._output), places)
        unsure = margin < _UNSURE
        if bool(unsure.any()):
            exact = self._block_sums(hidden[unsure], self._output64)
            ids[unsure], scores[unsure], _ = self._invert(hidden[unsure], exact, places[unsure])
        return ids, scores

    def _invert(
        self, hidden: torch.Tensor, sums: torch.Tensor, places: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tokens at `places` of the distribution, their log p, and the distance of `places` from the next token."""
        rows = torch.arange(len(sums))
        upto = sums.double().cumsum(1)  # [batch, blocks]
        total = upto[:, -1]
        aim = places * total
        block = torch.searchsorted(upto, aim[:, None], right=True)[:, 0].clamp_(max=upto.shape[1] - 1)
        before = torch.where(block > 0, upto[rows, (block - 1).clamp(min=0)], 0.0)
        weights = torch.bmm(_with_one(hidden)[:, None], self._blocks64[block])[:, 0].exp_()  # [batch, block]
        inner = weights.cumsum(1) + before[:, None]
        place = torch.searchsorted(inner, aim[:, None], right=True)[:, 0].clamp_(max=_BLOCK - 1)
        ids = (block * _BLOCK + place).clamp_(max=self.size - 1)
        upper = inner[rows, place]
        lower = torch.where(place > 0, inner[rows, (place - 1).clamp(min=0)], before)
        margin = torch.minimum(aim - lower, upper - aim) / total
        return ids, (weights[rows, ids - block * _BLOCK] / total).log(), margin


def _with_one(hidden: torch.Tensor) -> torch.Tensor:
    """A last column of ones, for the bias."""
    return torch.cat([hidden, torch.ones(len(hidden), 1, dtype=hidden.dtype)], dim=1)
