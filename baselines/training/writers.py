"""A generator that learns from what it writes for sources, whichever tokens it works with.

Methods see sources, targets and samples as rows of ids, in the tokens of the generator: those of the task, or those of
a checkpoint's own tokenizer.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from baselines.base import Decoding
from baselines.decoding import greedy, sample
from baselines.neural import LONGEST, NeuralGenerator, evaluating
from baselines.pretrained_pairs import PretrainedPairs
from baselines.training.descent import descend
from baselines.training.pairs import likelihood_step
from baselines.training.policy_gradient import policy_gradient_step, without_dropout
from baselines.training.valid import valid_nll
from tasks.base import Corpus, Ragged, Split


class Writing(Protocol):
    """What a game asks of its generator.

    Attributes:
        generator: what training gives back.
        net: what has the weights that learn.
        corpus: its train split has sources and targets in the generator's tokens.
        vocabularies: how many ids sources and targets may have.
        longest: how many tokens of a source, and of a target, can be read.
    """

    generator: Any
    net: Any
    corpus: Corpus
    vocabularies: tuple[int, int]
    longest: tuple[int, int]

    def write(self, sources: Ragged, rng: torch.Generator, *, greedily: bool) -> tuple[Ragged, Ragged | None]:
        """For each source a sample at temperature 1, and with `greedily` also the greedy text; without dropout."""
        ...

    def policy_step(
        self, optimizer: torch.optim.Optimizer, sources: Ragged, sampled: Ragged, worth: Tensor, *, clip: float
    ) -> dict[str, Tensor]:
        """One step up the mean over rows of worth * sum_t log p(y_t | y_<t, x), without dropout.

        Args:
            worth: [rows], constants.

        Returns:
            loss, gradient (its norm before clipping) and entropy (mean -log p of the sampled tokens, nats).
        """
        ...

    def likelihood_step(
        self, optimizer: torch.optim.Optimizer, sources: Ragged, targets: Ragged, *, weight: float, clip: float
    ) -> Tensor:
        """The same with a worth of `weight` each, and with dropout; gives nats per token."""
        ...

    def valid_nll(self, rows: int) -> float:
        """Nats per token, in the generator's tokens, on the first `rows` of valid."""
        ...


class OwnTokens:
    """Implements `Writing` for a network over the task's own vocabularies."""

    def __init__(self, generator: NeuralGenerator, corpus: Corpus) -> None:
        assert corpus.source_vocab is not None, "a task without sources has no pairs"
        self.generator, self.net, self.corpus = generator, generator.net, corpus
        self.vocabularies = (corpus.source_vocab.n_inputs, corpus.vocab.n_inputs)
        self.longest = (corpus.max_source_length or LONGEST, generator.limits.max_length)

    def write(self, sources: Ragged, rng: torch.Generator, *, greedily: bool) -> tuple[Ragged, Ragged | None]:
        net, limits = self.generator.net, self.generator.limits
        uniforms = torch.rand(len(sources), limits.max_length, generator=rng)
        with evaluating(net):
            memory = net.encode(*self.generator.collator.sources(sources, self.generator.device))
            drawn = sample(net, memory, uniforms, limits)
            return drawn, greedy(net, memory, len(sources), limits) if greedily else None

    def policy_step(
        self, optimizer: torch.optim.Optimizer, sources: Ragged, sampled: Ragged, worth: Tensor, *, clip: float
    ) -> dict[str, Tensor]:
        net, batch = self.generator.net, self.generator.collator.batch(sampled, sources, self.generator.device)
        assert batch.sources is not None
        with without_dropout(net):  # the gradient is that of the policy that sampled
            return policy_gradient_step(
                net,
                optimizer,
                net(batch.inputs, net.encode(*batch.sources)),
                batch.targets,
                worth[:, None].expand(batch.targets.shape),
                batch.inside,
                scale="sequence",
                clip=clip,
            )

    def likelihood_step(
        self, optimizer: torch.optim.Optimizer, sources: Ragged, targets: Ragged, *, weight: float, clip: float
    ) -> Tensor:
        batch = self.generator.collator.batch(targets, sources, self.generator.device)
        return likelihood_step(self.generator.net, optimizer, batch, clip=clip, weight=weight)

    def valid_nll(self, rows: int) -> float:
        return valid_nll(self.generator, self.corpus, rows)


class CheckpointTokens:
    """Implements `Writing` for a checkpoint, in the tokens of its tokenizer."""

    def __init__(self, generator: PretrainedPairs, corpus: Corpus) -> None:
        self.generator, self.net = generator, generator.model
        splits = {name: self._encoded(corpus.splits[name]) for name in ("train", "valid")}
        self.corpus = dataclasses.replace(corpus, splits=splits)
        self.vocabularies = (generator.model.config.vocab_size,) * 2
        self.longest = (generator.context,) * 2

    def write(self, sources: Ragged, rng: torch.Generator, *, greedily: bool) -> tuple[Ragged, Ragged | None]:
        sampled = self.generator.answers(sources, decoding=Decoding("sample"), rng=rng)
        return sampled, self.generator.answers(sources, decoding=Decoding("greedy"), rng=rng) if greedily else None

    def policy_step(
        self, optimizer: torch.optim.Optimizer, sources: Ragged, sampled: Ragged, worth: Tensor, *, clip: float
    ) -> dict[str, Tensor]:
        with without_dropout(self.net):
            losses = self.generator.losses(sources, sampled)
            rows = torch.from_numpy(sampled.lengths).to(worth.device)
            loss = (losses * worth.repeat_interleave(rows)).sum() / len(sampled)
            gradient = descend(optimizer, loss, self.net, clip)
        return {"loss": loss.detach(), "gradient": gradient, "entropy": losses.detach().mean()}

    def likelihood_step(
        self, optimizer: torch.optim.Optimizer, sources: Ragged, targets: Ragged, *, weight: float, clip: float
    ) -> Tensor:
        training = self.net.training
        self.net.train()
        loss = self.generator.loss(sources, targets)
        descend(optimizer, weight * loss / len(targets), self.net, clip)
        self.net.train(training)
        return loss.detach() / len(targets.flat)

    def valid_nll(self, rows: int) -> float:
        valid = self.corpus.splits["valid"]
        chosen = np.arange(min(rows, len(valid)))
        assert valid.sources is not None
        return -float(self.generator.log_probs(valid.sources.take(chosen), valid.targets.take(chosen)).mean())

    def _encoded(self, split: Split) -> Split:
        sources = self.generator.encode_sources([example.source for example in split.examples])
        return Split((), self.generator.encode_targets([example.target for example in split.examples]), sources)
