"""A convolutional discriminator's features of every prefix of a sequence, whole or growing token by token.

The feature of a prefix is what `ConvFeatures` gives for it as a sequence of its own: a window counts when it lies
wholly inside the prefix, and the first one always, with zeros after the prefix's end. So a new token touches one window
of each width: the one that ends with it, or, while the prefix is shorter than the width, the first.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.cnn import ConvFeatures

State = tuple[Tensor, Tensor, Tensor]


class PrefixFeatures(nn.Module):
    """Features of prefixes. They are constants to whoever asks: no gradient goes back to the discriminator.

    Args:
        features: the discriminator's own, not a copy: they change as it learns.
        head: what the discriminator does to them before its output layer (a highway layer, or nothing).
        limit: the most tokens that `extend` may be given after the begin mark.
    """

    reach: Tensor
    offset: Tensor
    width: Tensor

    def __init__(self, features: ConvFeatures, head: nn.Module, limit: int) -> None:
        super().__init__()
        self.features, self.head = features, head
        widths = torch.tensor(features.widths)
        places = torch.cat([torch.arange(width) for width in features.widths])
        self.room = 1 + max(limit, *features.widths)
        # for each place in a window of each width, side by side: the window's width, the place
        self.register_buffer("reach", widths.repeat_interleave(widths), persistent=False)
        self.register_buffer("offset", places, persistent=False)
        self.register_buffer("width", widths.repeat_interleave(torch.tensor(features.counts)), persistent=False)

    @property
    def size(self) -> int:
        return self.features.size

    @torch.no_grad()
    def forward(self, tokens: Tensor) -> Tensor:
        """tokens [batch, time], padded after the end -> features [batch, time + 1, size]: place t is of t tokens.

        After its end a sequence keeps its features.
        """
        net, (batch, time) = self.features, tokens.shape
        embedded, lengths = net.read(tokens)
        best = embedded.new_zeros(batch, time + 1, net.size)
        for i, part in enumerate(torch.split(best, list(net.counts), 2)):
            width = net.widths[i]
            unfinished = min(width - 1, time)
            part[:, 1 : unfinished + 1] = _first_window(net, embedded[:, :unfinished], i)
            if time >= width:
                whole = net.responses(embedded, lengths, i)[:, : time - width + 1]
                part[:, width:] = whole.cummax(1).values
        found: Tensor = self.head(F.relu(best.add_(net.bias), inplace=True))
        return found

    def begin(self, batch: int) -> State:
        """The state before the begin mark is read: largest responses, tokens read, how many."""
        weight = self.features.bias
        seen = torch.full((batch, self.room), self.features.pad, device=weight.device)
        return weight.new_zeros(batch, self.size), seen, seen.new_zeros(batch)

    @torch.no_grad()
    def extend(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Reads one token a row, the begin mark first: tokens [batch] -> features [batch, size], the next state."""
        net, (best, seen, count) = self.features, state
        seen = seen.scatter(1, count.unsqueeze(1), tokens.unsqueeze(1))
        length = count.unsqueeze(1)  # of the prefix, without the begin mark that `seen` starts with
        window = seen.gather(1, 1 + (length - self.reach).clamp_(min=0) + self.offset)
        embedded = F.embedding(window, net.embedding.weight).flatten(1)
        pieces = torch.split(embedded, [weight.shape[0] for weight in net.weights], 1)
        responses = torch.cat([piece @ weight for piece, weight in zip(pieces, net.weights, strict=True)], 1)
        # until a prefix is longer than the window, its first window takes the place of what it was
        best = torch.maximum(responses, torch.where(length > self.width, best, responses))
        return self.head(F.relu(best + net.bias, inplace=True)), (best, seen, count + 1)


def _first_window(net: ConvFeatures, embedded: Tensor, index: int) -> Tensor:
    """What the first window gives when only its first 1, 2, ... tokens are there: [batch, places, filters]."""
    places, size = embedded.shape[1:]
    columns = net.weights[index].view(net.widths[index], size, -1)[:places]
    return torch.bmm(embedded.transpose(0, 1), columns).cumsum(0).transpose(0, 1)
