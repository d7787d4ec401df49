"""SeqGAN (Yu, Zhang, Wang and Yu 2017, arXiv 1609.05473): policy gradient against a CNN discriminator.

The generator is rewarded for every token with the discriminator's mean opinion of Monte-Carlo completions. `SeqGAN.fit`
reads like the paper's Algorithm 1; where this differs from paper or official code is told in `docs/methods/seqgan.md`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from baselines.base import Baseline, BaselineConfig, Decoding, Run, State
from baselines.nets.base import AutoregressiveNet, Memory, pick
from baselines.nets.cnn_rollouts import rollout_probabilities
from baselines.neural import NeuralGenerator, build_net
from baselines.training.discriminator import (
    DiscriminatorConfig,
    build_discriminator,
    discriminator_epoch,
    discriminator_optimizer,
)
from baselines.training.mle import MLE_BUDGETS, MLEConfig, pretrain, pretraining_spec
from baselines.training.policy_gradient import (
    BaselineKind,
    RewardBaseline,
    Scale,
    policy_gradient_step,
    without_dropout,
)
from baselines.training.rollout import Sampled, roll_out, sample_with_states, spread
from baselines.training.saving import moments, set_moments
from tasks.base import Corpus

MEMORY = 1 << 26  # numbers of encoder memory that rollouts may hold at once: 256 MB of float32


class SeqGANConfig(BaselineConfig):
    """Defaults are the paper's. "code" is `sequence_gan.py` of the authors' repository, LantaoYu/SeqGAN."""

    mle: MLEConfig = MLEConfig()  # the generator and its pre-training, shared with every other method
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    d_pretrain_steps: int = Field(default=50, ge=0)  # code: 50 times fresh negatives ...
    d_pretrain_epochs: PositiveInt = 3  # ... and 3 epochs on them
    rounds: int = Field(default=200, ge=0)  # as the schedule is reported; code: TOTAL_BATCH = 800
    g_steps: PositiveInt = 1  # paper, section 4.3 and figure 3d: g = 1, d = 5, k = 3 is the steadiest
    d_steps: int = Field(default=5, ge=0)
    d_epochs: PositiveInt = 3  # k
    samples: PositiveInt = 10_000  # code: generated_num, fresh negatives of a d-step; never more than train has lines
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


# The paper's schedule is the default. The smaller ones keep its shape with fewer and smaller steps: a quarter of the
# filters, a discriminator that learns faster since it learns for less long, and, for generators larger than the paper's
# 32 units, a smaller rate: Adam moves every weight by about the rate at each step, which the paper's small network
# survives and a larger, longer trained one does not (docs/methods/seqgan.md).
_QUARTER = {"filters": (25, 50, 50, 50, 50, 25, 25, 25, 25, 25, 40, 40), "source_filters": (25,) * 5, "lr": 3e-4}
_SMALL: dict[str, Any] = {
    "discriminator": _QUARTER,
    "d_pretrain_steps": 8,
    "rounds": 25,
    "d_steps": 1,
    "samples": 1000,
    "rollouts": 8,
    "learning_rate": 1e-3,
}
_SMOKE: dict[str, Any] = {
    "discriminator": {
        "embedding": 32,
        "widths": (1, 2, 3, 4, 5),
        "filters": (16,) * 5,
        "source_filters": (16,) * 5,
        "lr": 2e-3,
    },
    "d_pretrain_steps": 3,
    "d_pretrain_epochs": 2,
    "rounds": 6,
    "d_steps": 1,
    "d_epochs": 2,
    "samples": 256,
    "batch": 32,
    "rollouts": 4,
    "learning_rate": 1e-3,
    "valid_rows": 200,
}
_ADVERSARIAL: dict[str, dict[str, Any]] = {
    "smoke": _SMOKE,
    "smoke/oracle": {"learning_rate": 0.01},
    "smoke/summarization": {"batch": 16, "samples": 128},
    "small": _SMALL,
    "small/oracle": {"discriminator": {**_QUARTER, "lr": 1e-4}, "rounds": 20, "rollouts": 16, "learning_rate": 0.01},
    "small/conditional": {"rollouts": 4, "rounds": 10},
    "small/translation": {"rounds": 30},
    "small/summarization": {"batch": 32},
    "paper": {},
    "paper/conditional": {"learning_rate": 1e-4},
}
BUDGETS = {
    key: {**_ADVERSARIAL.get(key, {}), "mle": MLE_BUDGETS.get(key, {})} for key in {**MLE_BUDGETS, **_ADVERSARIAL}
}


@dataclass
class Progress:
    """How far training is; with weights, moments and random streams all that an interruption must not lose."""

    pretrain_steps: int = 0  # of the discriminator
    rounds: int = 0
    best: float = math.inf  # valid NLL, nats per token, where the best look decides
    best_weights: State = field(default_factory=dict)


class SeqGAN(Baseline):
    name: ClassVar[str] = "seqgan"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "policy gradient with Monte-Carlo rollouts against a CNN discriminator"
    source: ClassVar[str] = "Yu et al. 2017, arXiv 1609.05473"
    adversarial: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = SeqGANConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        if (corpus.fixed_length or corpus.max_target_length) < 2:
            return "targets of one token leave nothing to roll out"
        return None

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.mle.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        """Algorithm 1 of the paper, with its line numbers."""
        config: SeqGANConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.load_state_dict(pretrain(corpus, config.mle, run))  # lines 1, 2
        game = Game(corpus, config, generator, run)
        done = game.restore(run.resume())
        if done.pretrain_steps == done.rounds == 0:
            run.snapshot("pretrain", generator)

        while done.pretrain_steps < config.d_pretrain_steps:  # lines 4, 5
            figures = game.discriminator_step(config.d_pretrain_epochs)
            done.pretrain_steps += 1
            run.log("discriminator", done.pretrain_steps, **figures)
            run.progress("discriminator", done.pretrain_steps, config.d_pretrain_steps, **figures)
            run.checkpoint(lambda: game.state(done))

        while done.rounds < config.rounds:  # line 6
            figures = {}
            for _ in range(config.g_steps):  # lines 7 to 10
                figures |= game.generator_step()
            for _ in range(config.d_steps):  # lines 11 to 13
                figures |= game.discriminator_step(config.d_epochs)
            game.follow()  # line 14
            done.rounds += 1
            if done.rounds % config.valid_every == 0 or done.rounds == config.rounds:
                figures |= game.look_at_valid(done)
            run.log("adversarial", done.rounds, **figures)
            run.progress("adversarial", done.rounds, config.rounds, reward=figures["reward"])
            run.checkpoint(lambda: game.state(done))

        if config.select == "valid" and done.best_weights:
            generator.net.load_state_dict(done.best_weights)
        return generator


class Game:
    """Generator, discriminator and rollout policy, with their optimisers."""

    def __init__(self, corpus: Corpus, config: SeqGANConfig, generator: NeuralGenerator, run: Run) -> None:
        self.corpus, self.config, self.generator, self.run = corpus, config, generator, run
        self.net: AutoregressiveNet = generator.net
        # Within a round beta stays behind theta; with one g-step and no lag both are the same at every rollout.
        self.same_policy = config.g_steps == 1 and config.rollout_decay == 0
        self.policy: AutoregressiveNet = self.net if self.same_policy else copy.deepcopy(self.net)  # line 3
        self.discriminator = build_discriminator(corpus, config.discriminator, run.rng("discriminator weights"))
        self.discriminator.to(run.device).eval()
        self.g_optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, fused=True)
        self.d_optimizer = discriminator_optimizer(self.discriminator, config.discriminator)
        self.baseline = RewardBaseline(config.baseline, config.baseline_decay)

    def generator_step(self) -> dict[str, float]:
        """One step of policy gradient on a fresh batch."""
        config, net, pad = self.config, self.net, self.corpus.vocab.pad
        sources = self._source_batch()
        net.eval()
        with torch.no_grad(), net.fixed_weights():
            memory = net.encode(*sources) if sources else ()
            sampled = sample_with_states(net, memory, self._uniforms(self._time), **self._ends)
        rewards = self.rewards(sampled, memory, sources)
        emitted = sampled.tokens != pad
        with without_dropout(net):
            features = net(self._inputs(sampled.tokens), net.encode(*sources) if sources else ())
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
        """Q(t) [batch, time] of eq. 4: D's mean over rollouts before the end, D itself at the end, 0 after it."""
        pad, n = self.corpus.vocab.pad, self.config.rollouts
        uniforms = self._uniforms(self._time - 1, n, self._time)  # [batch, prefix, rollout, time]
        with self.policy.fixed_weights():
            if not self.same_policy:  # the states must be those of the policy that goes on from them
                memory = self.policy.encode(*sources) if sources else ()
                features, states = self.policy.states(self._inputs(sampled.tokens), memory)
                sampled = Sampled(sampled.tokens, sampled.lengths, features.transpose(0, 1), states)
            everyone = torch.arange(len(sampled.tokens), device=self.run.device)
            parts = []
            for rows in torch.split(everyone, self._rows_at_once(memory, sampled.lengths)):
                some, read = sampled.take(rows), sources[0][rows] if sources else None
                draws, eos = uniforms[rows].transpose(0, 1), self.generator.limits.eos
                rolled = roll_out(self.policy, pick(memory, rows), some, draws, pad=pad, eos=eos)
                values = rollout_probabilities(self.discriminator, some.tokens, rolled.tokens, rolled.items, n, read)
                final = self.discriminator(some.tokens, read).sigmoid()
                parts.append(spread(values, rolled, final, some.lengths, self._time))
        return torch.cat(parts)

    def discriminator_step(self, epochs: int) -> dict[str, float]:
        """Some epochs on fresh negatives and as many lines of train, drawn anew."""
        train = self.corpus.splits["train"]
        count = min(self.config.samples, len(train))
        rows = torch.randperm(len(train), generator=self.run.rng("positives"))[:count].numpy()
        rng, sources = self.run.rng("negatives"), None
        if train.sources is None:
            fake = self.generator.sample(count, temperature=1.0, rng=rng)
        else:
            chosen = train.sources.take(rows)
            fake = self.generator.generate(chosen, decoding=Decoding("sample"), rng=rng)
            sources = self.generator.collator.sources(chosen, self.run.device)[0]
        real, pad = train.targets.take(rows), self.corpus.vocab.pad
        width = int(max(real.lengths.max(), fake.lengths.max()))
        positives, negatives = (torch.from_numpy(part.padded(pad, width)).to(self.run.device) for part in (real, fake))
        for _ in range(epochs):
            loss, accuracy = discriminator_epoch(
                self.discriminator,
                self.d_optimizer,
                positives,
                negatives,
                sources,
                self.config.discriminator,
                self.run.rng("discriminator order"),
            )
        return {"d_loss": float(loss), "d_accuracy": float(accuracy)}

    def follow(self) -> None:
        """beta <- theta, or part of the way."""
        if not self.same_policy:
            with torch.no_grad():
                for behind, ahead in zip(self.policy.parameters(), self.net.parameters(), strict=True):
                    behind.lerp_(ahead, 1 - self.config.rollout_decay)

    def look_at_valid(self, done: Progress) -> dict[str, float]:
        valid = self.corpus.splits["valid"]
        rows = np.arange(min(self.config.valid_rows, len(valid)))
        sources = None if valid.sources is None else valid.sources.take(rows)
        nll = -float(self.generator.token_log_probs(valid.targets.take(rows), sources).mean())
        if self.config.select == "valid" and nll < done.best:
            done.best, done.best_weights = nll, copy.deepcopy(self.net.state_dict())
        return {"valid_nll": nll}

    def state(self, done: Progress) -> dict[str, Any]:
        """Everything between two rounds, or two steps of the discriminator's pre-training."""
        return {
            "progress": vars(done),
            "net": self.net.state_dict(),
            "policy": {} if self.same_policy else self.policy.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "g_moments": moments(self.net, self.g_optimizer),
            "d_moments": moments(self.discriminator, self.d_optimizer),
            "baseline": self.baseline.value,
        }

    def restore(self, saved: Mapping[str, Any] | None) -> Progress:
        """Puts back what `state` gave; a fresh start without it."""
        if saved is None:
            return Progress()
        self.net.load_state_dict(saved["net"])
        if not self.same_policy:
            self.policy.load_state_dict(saved["policy"])
        self.discriminator.load_state_dict(saved["discriminator"])
        set_moments(self.net, self.g_optimizer, saved["g_moments"])
        set_moments(self.discriminator, self.d_optimizer, saved["d_moments"])
        self.baseline.value = saved["baseline"]
        return Progress(**saved["progress"])

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

    def _inputs(self, tokens: Tensor) -> Tensor:
        """What is read to predict each token [batch, time]: `bos`, then the tokens but the last."""
        return torch.cat([torch.full_like(tokens[:, :1], self.corpus.vocab.bos), tokens[:, :-1]], 1)

    def _source_batch(self) -> tuple[Tensor, Tensor] | None:
        """Sources [batch, source time] and lengths of random training lines; None for a free task."""
        sources = self.corpus.splits["train"].sources
        if sources is None:
            return None
        rows = torch.randint(len(sources), (self.config.batch,), generator=self.run.rng("sources"))
        return self.generator.collator.sources(sources.take(rows.numpy()), self.run.device)

    def _rows_at_once(self, memory: Memory, lengths: Tensor) -> int:
        """How many items are rolled out together: each rollout under way holds a copy of its encoder memory."""
        if not memory:
            return self.config.batch
        numbers = sum(part[0].numel() for part in memory) * self.config.rollouts
        return max(1, int(MEMORY // (numbers * float(lengths.double().mean()))))
