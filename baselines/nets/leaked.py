"""A language model that reads what a discriminator makes of its own unfinished text (Guo et al. 2018, section 3).

A manager reads the leaked features of each prefix and sets a goal, a direction in their space; a worker reads tokens,
and the goals of the last steps decide how its output is weighed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.base import Memory, State
from baselines.nets.cnn_prefixes import PrefixFeatures
from baselines.nets.lstm import Init, LSTMStack, RecurrentNet, initialise


class LeakedLM(RecurrentNet):
    """p(y_t | y_<t), exact while the discriminator's features are fixed: goals depend on the prefix alone.

    The paper's worker gives O_t [vocab, goal size], linear in its hidden state h, and logits O_t w_t for a direction
    w_t. Written out, logits are linear in the products of h and w_t (and in w_t, for O_t's bias), so those are the
    features of an ordinary output layer, and O_t is never made.

    Args:
        embedding, hidden: of the worker; the manager's LSTM has the same hidden size.
        leak: the discriminator's features; shared with it, and no part of what this network's optimisers change.
        goal_size: of w_t (k in the paper).
        horizon: how many goals are added up, and how far ahead a goal looks, in tokens (c).
        readout: the worker's hidden state is brought to this size before O_t; None: O_t reads it as it is.
        unit_direction: w_t has length 1.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding: int,
        hidden: int,
        leak: PrefixFeatures,
        goal_size: int,
        horizon: int,
        readout: int | None = None,
        unit_direction: bool = True,
    ) -> None:
        super().__init__(vocab_size, embedding, ((readout or hidden) + 1) * goal_size, 0.0, False)
        self.output.bias.requires_grad_(False).zero_()
        self.leak, self.horizon, self.unit_direction = leak, horizon, unit_direction
        self.manager = LSTMStack(leak.size, hidden)
        self.goal = nn.Linear(hidden, leak.size)
        self.blend = nn.Linear(leak.size, goal_size, bias=False)  # W_psi
        self.lstm = LSTMStack(embedding, hidden)
        self.readout = nn.Identity() if readout is None else nn.Linear(hidden, readout, bias=False)

    def manager_parameters(self) -> list[nn.Parameter]:
        return [*self.manager.parameters(), *self.goal.parameters()]

    def worker_parameters(self) -> list[nn.Parameter]:
        parts = (self.embedding, self.lstm, self.readout, self.blend, self.output)
        return [parameter for part in parts for parameter in part.parameters() if parameter.requires_grad]

    def initialise(self, scheme: Init, scale: float, rng: torch.Generator) -> None:
        """As all LSTMs here; the output layer has no bias. The leaked features' weights are drawn as well: do it first.

        `normal` is the official code's.
        """
        initialise(self, scheme, scale, rng)
        with torch.no_grad():
            self.output.bias.zero_()

    def goals(self, leaked: Tensor) -> Tensor:
        """Manager: features of prefixes 0, 1, ... [batch, time, size] -> goals of length 1 [batch, time, size]."""
        hidden = self.manager.unroll(leaked, self.manager.zeros(len(leaked)))
        return F.normalize(self.goal(hidden), dim=-1)

    def work(self, inputs: Tensor, goals: Tensor) -> Tensor:
        """Worker: inputs [batch, time] from `bos` on, goals [batch, time, size] -> features [batch, time, features]."""
        parts = self.blend(goals)
        total = parts
        for back in range(1, min(self.horizon, parts.shape[1])):
            total = total + F.pad(parts[:, :-back], (0, 0, back, 0))
        hidden = self.lstm.unroll(self.embed(inputs), self.lstm.zeros(len(inputs)))
        return self._combine(hidden, total)

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:  # noqa: ARG002 - a free model has no memory
        return self.work(inputs, self.goals(self.leak(inputs[:, 1:])).detach())

    def initial_state(self, batch: int, memory: Memory = ()) -> State:  # noqa: ARG002
        recent = self.blend.weight.new_zeros(batch, self.horizon, len(self.blend.weight))
        return (*self.lstm.zeros(batch), *self.manager.zeros(batch), recent, *self.leak.begin(batch))

    def step(self, tokens: Tensor, state: State, memory: Memory = ()) -> tuple[Tensor, State]:  # noqa: ARG002
        worker, manager, recent, (best, seen, count) = state[:2], state[2:4], state[4], state[5:]
        leaked, read = self.leak.extend(tokens, (best, seen, count))
        manager = self.manager.advance(self.manager.input_gates(leaked), manager)
        goal = F.normalize(self.goal(manager[0]), dim=-1).detach()
        recent = torch.cat([recent[:, 1:], self.blend(goal).unsqueeze(1)], 1)
        worker = self.lstm.advance(self.token_gates(tokens), worker)
        return self._combine(worker[0], recent.sum(1)), (*worker, *manager, recent, *read)

    def _combine(self, hidden: Tensor, total: Tensor) -> Tensor:
        """hidden [..., hidden], summed goals [..., goal size] -> features: all products, and the direction itself."""
        direction = F.normalize(total, dim=-1) if self.unit_direction else total
        products = self.readout(hidden).unsqueeze(-1) * direction.unsqueeze(-2)
        return torch.cat([products.flatten(-2), direction], -1)
