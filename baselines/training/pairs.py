"""Batches of training pairs without end, and a step of teacher forcing: what methods on pairs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.base import Run
from baselines.nets.base import AutoregressiveNet
from baselines.training.batches import Batch, Collator, Rows, bucketed
from baselines.training.loss import cross_entropy
from baselines.training.policy_gradient import without_dropout
from tasks.base import Corpus


class Pairs:
    """Batches of train without end: pass after pass in a seeded order.

    Its place is part of a method's checkpoint: `state` gives it, `restore` puts it back.

    Args:
        run: its stream `purpose` orders the passes.
        alike: the lines of a batch are of about equal length, which wastes the least. Not for a discriminator: among
            people's lines of one length and samples of all lengths it would learn the length of that batch, and the
            opposite from the next.
    """

    def __init__(self, corpus: Corpus, run: Run, batch: int, purpose: str = "pairs", *, alike: bool = True) -> None:
        self.train, self.run, self.batch, self.purpose = corpus.splits["train"], run, batch, purpose
        self.alike = alike
        self.collator = Collator.of(corpus)
        self._order_seed, self._place = 0, 0
        self._batches: list[Rows] = []

    def rows(self) -> Rows:
        """Which lines of train come next."""
        passes = -(-len(self.train) // self.batch)
        if self._place % passes == 0:
            self._order_seed = int(torch.randint(2**62, (), generator=self.run.rng(self.purpose)))
            self._batches = []
        if not self._batches:
            self._batches = self._cut()
        rows = self._batches[self._place % passes]
        self._place += 1
        return rows

    def _cut(self) -> list[Rows]:
        """All rows once, by the order of this pass."""
        if self.alike:
            return bucketed(self.train.targets, self.train.sources, self.batch, self._order_seed)
        order = np.random.default_rng(self._order_seed).permutation(len(self.train))
        return [order[start : start + self.batch] for start in range(0, len(order), self.batch)]

    def collate(self, rows: Rows) -> Batch:
        """The lines as tensors on the run's device."""
        sources = None if self.train.sources is None else self.train.sources.take(rows)
        return self.collator.batch(self.train.targets.take(rows), sources, self.run.device)

    def draw(self) -> Batch:
        """The next batch."""
        return self.collate(self.rows())

    def state(self) -> dict[str, int]:
        return {"order_seed": self._order_seed, "place": self._place}

    def restore(self, saved: Mapping[str, Any]) -> None:
        self._order_seed, self._place, self._batches = int(saved["order_seed"]), int(saved["place"]), []


def likelihood_step(
    net: AutoregressiveNet,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    *,
    clip: float,
    weight: float = 1.0,
    dropout: bool = True,
) -> Tensor:
    """One step of teacher forcing: up the mean over the batch's sequences of sum_t log p(y_t | y_<t, x).

    The scale is that of `policy_gradient_step` with `scale="sequence"`, so that with reward 1 on the data's own target
    the two are the same step.

    Args:
        clip: largest global norm of the gradient.
        weight: of the loss, before clipping.
        dropout: False for the policy as it is when it samples.

    Returns:
        Nats per token of the batch, still on the device.
    """
    if not dropout:
        with without_dropout(net):
            return likelihood_step(net, optimizer, batch, clip=clip, weight=weight)
    training = net.training
    net.train()
    memory = () if batch.sources is None else net.encode(*batch.sources)
    features = net(batch.inputs, memory)[batch.inside]
    loss = cross_entropy(features, net.output, batch.targets[batch.inside])
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(weight * loss / len(batch.targets))
    nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimizer.step()
    net.train(training)
    return loss.detach() / len(features)
