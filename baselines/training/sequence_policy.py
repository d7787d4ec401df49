"""A generator that learns from the worth of whole sequences: the generator's half of SeqGAN's Algorithm 1.

It samples a batch, completes every prefix by Monte-Carlo rollouts, has them judged, and takes a step up the policy
gradient. Who judges is the method's business: a discriminator, or a metric. Yu, Zhang, Wang and Yu 2017 (1609.05473).
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from baselines.base import BaselineConfig, Run, State
from baselines.nets.base import AutoregressiveNet, Memory, pick
from baselines.neural import NeuralGenerator
from baselines.training.batches import Batch, Rows, shifted
from baselines.training.policy_gradient import (
    BaselineKind,
    RewardBaseline,
    Scale,
    policy_gradient_step,
    without_dropout,
)
from baselines.training.rollout import Rollouts, Sampled, carried_back, roll_out, sample_with_states, spread
from baselines.training.saving import moments, set_moments
from baselines.training.valid import valid_nll
from tasks.base import Corpus

MEMORY = 1 << 26  # numbers of encoder memory that rollouts may hold at once: 256 MB of float32


class PolicyConfig(BaselineConfig):
    """Defaults are SeqGAN's paper's. "code" is `sequence_gan.py` of the authors' repository, LantaoYu/SeqGAN."""

    g_steps: PositiveInt = 1  # paper, section 4.3 and figure 3d: g = 1, d = 5, k = 3 is the steadiest
    batch: PositiveInt = 64  # code: BATCH_SIZE
    rollouts: PositiveInt = 16  # code: rollout.get_reward(sess, samples, 16, discriminator)
    learning_rate: PositiveFloat = 0.01  # code: Adam(0.01) for the policy gradient as for MLE
    clip: PositiveFloat = 5.0  # code: grad_clip
    scale: Scale = "sequence"  # paper, eq. 6: expectation over sequences; the code sums over the batch too ("sum")
    baseline: BaselineKind = "none"  # paper and code have none
    baseline_decay: float = Field(default=0.9, ge=0, lt=1)  # ours; read with baseline = "moving_average" alone
    rollout_decay: float = Field(default=0.0, ge=0, lt=1)  # paper: beta <- theta; the code means 0.8
    select: Literal["last", "valid"] = "last"  # paper: the last generator; "valid": best valid NLL among looks
    valid_every: PositiveInt = 5  # rounds between looks at valid
    valid_rows: PositiveInt = 500  # the first of valid, looked at


@dataclass
class Progress:
    """How far training is; with weights, moments and random streams all that an interruption must not lose."""

    rounds: int = 0
    best: float = math.inf  # valid NLL, nats per token, where the best look decides
    best_weights: State = field(default_factory=dict)


class SequencePolicy(ABC):
    """The generator theta and its rollout policy beta, with the generator's optimiser.

    Attributes:
        config: the method's own, which adds to these constants.
        net: theta.
        policy: beta; `net` itself where the two are the same at every rollout.
        every: only prefixes whose length is a multiple of it are rolled out.
    """

    config: PolicyConfig
    every: int = 1

    def __init__(self, corpus: Corpus, config: PolicyConfig, generator: NeuralGenerator, run: Run) -> None:
        self.corpus, self.config, self.generator, self.run = corpus, config, generator, run
        self.net: AutoregressiveNet = generator.net
        # Within a round beta stays behind theta; with one g-step and no lag both are the same at every rollout.
        self.same_policy = config.g_steps == 1 and config.rollout_decay == 0
        self.policy: AutoregressiveNet = self.net if self.same_policy else copy.deepcopy(self.net).eval()
        self.g_optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, fused=True)
        self.baseline = RewardBaseline(config.baseline, config.baseline_decay)

    @abstractmethod
    def judge(self, sampled: Sampled, rolled: Rollouts, sources: Tensor | None) -> tuple[Tensor, Tensor]:
        """The worth of every rollout [rows], in their order, and of every sampled sequence [batch]; no gradient."""

    def generator_step(self) -> dict[str, float]:
        """One step of policy gradient on a fresh batch."""
        net, sources = self.net, self._source_batch()
        net.eval()
        with torch.no_grad(), net.fixed_weights():
            memory = net.encode(*sources) if sources else ()
            sampled = sample_with_states(net, memory, self._uniforms(self._time), **self._ends)
        return self.learn(sampled, self.rewards(sampled, memory, sources), sources)

    def learn(self, sampled: Sampled, rewards: Tensor, sources: tuple[Tensor, Tensor] | None) -> dict[str, float]:
        """The step on what was sampled, given Q(t) [batch, time]."""
        config, net = self.config, self.net
        emitted = sampled.tokens != self.corpus.vocab.pad
        with without_dropout(net):
            features = net(shifted(sampled.tokens, self.corpus.vocab.bos), net.encode(*sources) if sources else ())
            figures = policy_gradient_step(
                net,
                self.g_optimizer,
                features,
                sampled.tokens,
                self.baseline.advantage(rewards, emitted),
                emitted,
                scale=config.scale,
                clip=config.clip,
            )
        net.eval()
        figures["reward"] = (rewards * emitted).sum() / emitted.sum()
        figures["length"] = sampled.lengths.double().mean()
        return {name: float(figure) for name, figure in figures.items()}

    @torch.no_grad()
    def rewards(self, sampled: Sampled, memory: Memory, sources: tuple[Tensor, Tensor] | None) -> Tensor:
        """Q(t) [batch, time] of eq. 4: the judge's mean over rollouts before the end, its word on the whole at the end,
        0 after it."""
        pad, n = self.corpus.vocab.pad, self.config.rollouts
        uniforms = self._uniforms(self._time - 1, n, self._time)  # [batch, prefix, rollout, time]
        with self.policy.fixed_weights():
            if not self.same_policy:  # the states must be those of the policy that goes on from them
                memory = self.policy.encode(*sources) if sources else ()
                features, states = self.policy.states(shifted(sampled.tokens, self.corpus.vocab.bos), memory)
                sampled = Sampled(sampled.tokens, sampled.lengths, features.transpose(0, 1), states)
            everyone = torch.arange(len(sampled.tokens), device=self.run.device)
            parts = []
            for rows in torch.split(everyone, self._rows_at_once(memory, sampled.lengths)):
                some, read = sampled.take(rows), sources[0][rows] if sources else None
                draws, eos = uniforms[rows].transpose(0, 1), self.generator.limits.eos
                rolled = roll_out(self.policy, pick(memory, rows), some, draws, pad=pad, eos=eos, every=self.every)
                values, final = self.judge(some, rolled, read)
                known = spread(values, rolled, final, some.lengths, self._time)
                parts.append(carried_back(known, some.lengths, self.every))
        return torch.cat(parts)

    def follow(self) -> None:
        """beta <- theta, or part of the way."""
        if not self.same_policy:
            with torch.no_grad():
                for behind, ahead in zip(self.policy.parameters(), self.net.parameters(), strict=True):
                    behind.lerp_(ahead, 1 - self.config.rollout_decay)

    def look_at_valid(self, done: Progress) -> dict[str, float]:
        nll = valid_nll(self.generator, self.corpus, self.config.valid_rows)
        if self.config.select == "valid" and nll < done.best:
            done.best, done.best_weights = nll, copy.deepcopy(self.net.state_dict())
        return {"valid_nll": nll}

    def chosen(self, done: Progress) -> NeuralGenerator:
        """The generator as it is now, or as it was at the best look where that is asked for."""
        if self.config.select == "valid" and done.best_weights:
            self.net.load_state_dict(done.best_weights)
        return self.generator

    def state(self, done: Progress) -> dict[str, Any]:
        """Everything between two rounds."""
        return {
            "progress": vars(done),
            "net": self.net.state_dict(),
            "policy": {} if self.same_policy else self.policy.state_dict(),
            "g_moments": moments(self.net, self.g_optimizer),
            "baseline": self.baseline.value,
        }

    def restore(self, saved: Mapping[str, Any] | None) -> Progress:
        """Puts back what `state` gave; a fresh start without it."""
        if saved is None:
            return Progress()
        self.load_state(saved)
        return Progress(**saved["progress"])

    def load_state(self, saved: Mapping[str, Any]) -> None:
        """Puts back networks, optimiser and baseline."""
        self.net.load_state_dict(saved["net"])
        if not self.same_policy:
            self.policy.load_state_dict(saved["policy"])
        set_moments(self.net, self.g_optimizer, saved["g_moments"])
        self.baseline.value = saved["baseline"]

    @property
    def _time(self) -> int:
        return self.generator.limits.max_length

    @property
    def _ends(self) -> dict[str, Any]:
        limits = self.generator.limits
        return {"bos": limits.bos, "eos": limits.eos, "pad": self.corpus.vocab.pad}

    def _uniforms(self, *shape: int) -> Tensor:
        """[batch, *shape], from the CPU's stream, so that draws don't depend on the device."""
        return torch.rand(self.config.batch, *shape, generator=self.run.rng("rollouts")).to(self.run.device)

    def _source_batch(self) -> tuple[Tensor, Tensor] | None:
        """Sources [batch, source time] and lengths of random training lines; None for a free task."""
        sources = self.corpus.splits["train"].sources
        if sources is None:
            return None
        return self.generator.collator.sources(sources.take(self._random_rows("sources")), self.run.device)

    def _random_rows(self, purpose: str) -> Rows:
        """Which lines of train [batch], at random: a batch of `Pairs` has one length, which would tell a discriminator
        what is real."""
        count = len(self.corpus.splits["train"])
        return torch.randint(count, (self.config.batch,), generator=self.run.rng(purpose)).numpy()

    def _random_pairs(self, purpose: str) -> Batch:
        """Such lines with their sources, as tensors."""
        train, rows = self.corpus.splits["train"], self._random_rows(purpose)
        assert train.sources is not None, "checked by `supports`"
        return self.generator.collator.batch(train.targets.take(rows), train.sources.take(rows), self.run.device)

    def _rows_at_once(self, memory: Memory, lengths: Tensor) -> int:
        """How many items are rolled out together: each rollout under way holds a copy of its encoder memory."""
        if not memory:
            return self.config.batch
        numbers = sum(part[0].numel() for part in memory) * self.config.rollouts
        return max(1, int(MEMORY // (numbers * float(lengths.double().mean()))))


@dataclass
class GameProgress(Progress):
    pretrain_steps: int = 0  # of the discriminator


class AdversarialPolicy(SequencePolicy):
    """A policy and the discriminator that judges it, which learns too: methods make it, and say how it learns."""

    discriminator: Any  # a module of the method's own kind
    d_optimizer: torch.optim.Optimizer

    def state(self, done: Progress) -> dict[str, Any]:
        """Everything between two rounds, or two steps of the discriminator's pre-training."""
        return super().state(done) | {
            "discriminator": self.discriminator.state_dict(),
            "d_moments": moments(self.discriminator, self.d_optimizer),
        }

    def restore(self, saved: Mapping[str, Any] | None) -> GameProgress:
        """Puts back what `state` gave; a fresh start without it."""
        if saved is None:
            return GameProgress()
        self.load_state(saved)
        return GameProgress(**saved["progress"])

    def load_state(self, saved: Mapping[str, Any]) -> None:
        super().load_state(saved)
        self.discriminator.load_state_dict(saved["discriminator"])
        set_moments(self.discriminator, self.d_optimizer, saved["d_moments"])
