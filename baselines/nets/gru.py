"""Gated recurrent units (Cho et al., 2014) that can also go one step at a time: the interface of `LSTMStack`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.base import State


class GRUStack(nn.GRU):
    """`nn.GRU` (batch first). A state is h of each layer, [batch, hidden].

    In PyTorch's cell the reset gate acts on the product with the recurrent matrix, in Cho et al.'s on what it is
    multiplied with; the two learn alike, and the first is one product for all three gates.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor

    def __init__(self, input_size: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__(input_size, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)

    def zeros(self, batch: int) -> State:
        return (self.weight_hh_l0.new_zeros(batch, self.hidden_size),) * self.num_layers

    def top(self, state: State) -> Tensor:
        """The output [batch, hidden] of a state."""
        return state[-1]

    def start(self, values: Tensor) -> State:
        """A first state from values [batch, layers * hidden] of any size."""
        return torch.tanh(values).chunk(self.num_layers, -1)

    def unroll(self, inputs: Tensor, state: State) -> Tensor:
        """inputs [batch, time, in] -> top layer's outputs [batch, time, hidden]."""
        outputs: Tensor = self(inputs, torch.stack(state))[0]
        return outputs

    def input_gates(self, inputs: Tensor, start: int = 0) -> Tensor:
        """What inputs [..., part of in] from column `start` on add to the gates [..., 3 hidden] of the lowest layer.

        The input's bias is added with the part that starts at column 0.
        """
        weight = self.weight_ih_l0[:, start : start + inputs.shape[-1]]
        return F.linear(inputs, weight, self.bias_ih_l0 if start == 0 else None)

    def advance(self, gates: Tensor, state: State) -> State:
        """One step, from the input's part of the lowest layer's gates [batch, 3 hidden]."""
        new: list[Tensor] = []
        for layer, h in enumerate(state):
            if layer > 0:
                below = F.dropout(new[-1], self.dropout, self.training)
                gates = F.linear(below, getattr(self, f"weight_ih_l{layer}"), getattr(self, f"bias_ih_l{layer}"))
            own = F.linear(h, getattr(self, f"weight_hh_l{layer}"), getattr(self, f"bias_hh_l{layer}"))
            new.append(self._cell(gates, own, h))
        return tuple(new)

    def _cell(self, gates: Tensor, own: Tensor, h: Tensor) -> Tensor:
        two = 2 * self.hidden_size
        reset, update = torch.sigmoid(gates[:, :two] + own[:, :two]).chunk(2, -1)
        candidate = torch.tanh(torch.addcmul(gates[:, two:], reset, own[:, two:]))
        return torch.lerp(candidate, h, update)
