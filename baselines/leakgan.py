"""LeakGAN (Guo, Lu, Cai, Zhang, Yu and Wang 2018, arXiv 1709.08624): the discriminator leaks its features to G.

A manager reads the discriminator's features of the unfinished text and sets goals in their space; a worker writes
tokens and is rewarded for moving the features along. `LeakGAN.fit` reads like the paper's Algorithm 1; where this
differs from paper or official code is told in `docs/methods/leakgan.md`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from baselines.base import Baseline, BaselineConfig, Run, State
from baselines.nets.cnn import ConvDiscriminator
from baselines.nets.cnn_prefixes import PrefixFeatures
from baselines.nets.cnn_rollouts import rollout_probabilities
from baselines.nets.leaked import LeakedLM
from baselines.nets.lstm import Init
from baselines.neural import NeuralGenerator
from baselines.training.batches import bucketed, shifted
from baselines.training.discriminator import (
    DiscriminatorConfig,
    build_discriminator,
    discriminator_optimizer,
    discriminator_step,
)
from baselines.training.goals import goal_ends, goal_progress, intrinsic_rewards, rescaled_by_rank
from baselines.training.loss import cross_entropy
from baselines.training.rollout import Sampled, roll_out, sample_with_states, spread
from baselines.training.saving import moments, set_moments
from baselines.training.valid import valid_nll
from tasks.base import Corpus


class LeakDiscriminatorConfig(DiscriminatorConfig):
    """SeqGAN's CNN, as this method's authors train it."""

    lr: float = Field(default=5e-5, gt=0)  # code: Adam(5e-5)
    keep: float = Field(default=1.0, gt=0, le=1)  # code: dis_dropout_keep_prob
    l2: float = Field(default=0.0, ge=0)  # code: Main.py defines 0.2 and never hands it on
    highway: bool = True  # code: the features leaked are those behind the highway layer; False: there is none


class LeakGANConfig(BaselineConfig):
    """Defaults are those of the synthetic task at length 20. "code" is the authors' repository, CR-Gjx/LeakGAN."""

    embedding: PositiveInt = 32  # code: EMB_DIM
    hidden: PositiveInt = 32  # code: HIDDEN_DIM, of worker and manager
    readout: PositiveInt | None = None  # ours: a bottleneck before O_t; paper and code have none
    goal_size: PositiveInt = 16  # code: GOAL_SIZE (k)
    horizon: PositiveInt = 4  # paper: c = 4; code: STEP_SIZE
    unit_direction: bool = True  # code: w_t is normalised; the paper's equation does not say so
    init: Init = "normal"  # code: N(0, 0.1) for all of G
    init_scale: PositiveFloat = 0.1
    discriminator: LeakDiscriminatorConfig = LeakDiscriminatorConfig()
    batch: PositiveInt = 64  # code: BATCH_SIZE
    learning_rate: PositiveFloat = 1.5e-3  # code: Adam(0.0015), constant (its decay is defined and never used)
    adversarial_rate: PositiveFloat = 1.5e-3  # the same in the code, with moments of its own
    clip: PositiveFloat = 5.0  # code: grad_clip, for manager and worker apart
    # pre-training: `interleave` times some d-steps and then some epochs of MLE
    interleave: PositiveInt = 10  # code: range(10)
    d_pretrain_steps: int = Field(default=5, ge=0)  # code: 5 times fresh negatives ...
    d_pretrain_epochs: PositiveInt = 3  # ... and 3 epochs on them
    mle_epochs: PositiveInt = 8  # code: PRE_EPOCH_NUM / 10
    epoch_steps: PositiveInt | None = None  # None: all of train is an epoch; code for COCO: a twentieth of it
    # adversarial training: one step of manager and worker a round
    rounds: int = Field(default=800, ge=0)  # code: TOTAL_BATCH
    d_steps: int = Field(default=5, ge=0)
    d_epochs: PositiveInt = 3
    mle_every: PositiveInt = 15  # code for COCO: an epoch of MLE every 15 rounds
    samples: PositiveInt = 10_000  # code: generated_num, fresh negatives of a d-step; never more than train has lines
    negatives_temperature: PositiveFloat = 1.0  # code: 1/1.5, its evaluation's; D then judges another policy than G's
    rollouts: PositiveInt = 4  # code: get_reward(..., 4, ...)
    rollout_every: PositiveInt = 4  # code: only prefixes of 4, 8, ... tokens; 1: of every length
    delta: NonNegativeFloat = 16.0  # code: redistribution
    valid_every: PositiveInt = 10  # rounds between looks at valid
    valid_rows: PositiveInt = 500  # the first of valid, looked at

    @model_validator(mode="after")
    def _goals_end_at_rollouts(self) -> LeakGANConfig:
        if self.horizon % self.rollout_every:
            raise ValueError("leakgan: horizon must be a multiple of rollout_every, a goal ends where a rollout begins")
        return self


# What the weights depend on after pre-training: equal values share one pre-training.
_PRETRAINING = {"embedding", "hidden", "readout", "goal_size", "horizon", "unit_direction", "batch"}
_PRETRAINING |= {"discriminator", "learning_rate", "clip", "interleave", "d_pretrain_steps", "d_pretrain_epochs"}
_PRETRAINING |= {"init", "init_scale", "mle_epochs", "epoch_steps", "samples", "negatives_temperature", "valid_rows"}

_WIDE = {"embedding": 256, "widths": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 32)}
_WIDE |= {"filters": (100, 200, 200, 200, 200, 100, 100, 100, 100, 100, 160, 160, 160)}
_COCO: dict[str, Any] = {  # the authors' settings for COCO, which the paper's news are near in kind
    "embedding": 128,
    "hidden": 128,
    "discriminator": _WIDE,
    "learning_rate": 1e-3,
    "adversarial_rate": 1e-3,
    "mle_epochs": 15,
}
# Smaller budgets keep the schedule's shape. Every token costs (readout + 1) * goal_size * vocabulary multiplications in
# the output layer, so that is what is cut; the worker behind the bottleneck may be larger than the paper's then.
_SMALL: dict[str, Any] = {
    "embedding": 128,
    "hidden": 128,
    "readout": 32,
    "goal_size": 8,
    "discriminator": {"filters": (25, 50, 50, 50, 50, 25, 25, 25, 25, 25, 40, 40), "lr": 3e-4},
    "init": "glorot",
    "init_scale": 0.5,
    "learning_rate": 1e-2,
    "adversarial_rate": 1e-3,
    "interleave": 4,
    "d_pretrain_steps": 1,
    "d_pretrain_epochs": 2,
    "mle_epochs": 2,
    "epoch_steps": 70,
    "rounds": 20,
    "d_steps": 1,
    "d_epochs": 1,
    "mle_every": 10,
    "samples": 1000,
}
_SMOKE: dict[str, Any] = {
    "embedding": 48,
    "hidden": 48,
    "readout": 16,
    "goal_size": 8,
    "discriminator": {"embedding": 32, "widths": (1, 2, 3, 4, 5), "filters": (16,) * 5, "lr": 2e-3},
    "learning_rate": 1e-2,
    "adversarial_rate": 1e-3,
    "interleave": 2,
    "d_pretrain_steps": 1,
    "d_pretrain_epochs": 1,
    "mle_epochs": 2,
    "rounds": 4,
    "d_steps": 1,
    "d_epochs": 1,
    "mle_every": 3,
    "samples": 256,
    "batch": 32,
    "rollouts": 2,
    "valid_rows": 200,
}
BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": _SMOKE,
    "smoke/oracle": {"embedding": 32, "hidden": 32, "learning_rate": 5e-3, "epoch_steps": 50},
    "small": _SMALL,
    "small/oracle": {"embedding": 32, "hidden": 32, "readout": None},
    "small/speech": {"epoch_steps": 45},
    "paper": {},
    "paper/captions": {**_COCO, "epoch_steps": 62},  # 80,000 lines / 20 / 64, whatever train's size
    "paper/speech": _COCO,
}


@dataclass
class Progress:
    """How far a stage is; with weights, moments and random streams all that an interruption must not lose."""

    rounds: int = 0
    d_steps: int = 0  # of this round of pre-training
    epochs: int = 0  # of MLE: of this round of pre-training, or of all adversarial training
    step: int = 0  # within an epoch of MLE that is under way
    order_seed: int = 0  # of it
    tally: list[Tensor] = field(default_factory=list)  # of it: summed -log p, tokens, summed cosines
    best: float = math.inf  # valid NLL, nats per token
    best_weights: State = field(default_factory=dict)


class LeakGAN(Baseline):
    name: ClassVar[str] = "leakgan"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "manager and worker that read the discriminator's features of the unfinished text"
    source: ClassVar[str] = "Guo et al. 2018, arXiv 1709.08624"
    adversarial: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = LeakGANConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS
    decodings: ClassVar[tuple[str, ...]] = ("sample@0.666667",)  # code: logits times 1.5 wherever it evaluates

    def supports(self, corpus: Corpus) -> str | None:
        if corpus.kind != "free":
            return "the discriminator leaks features of the text alone: there is no place for a source"
        if (corpus.fixed_length or corpus.max_target_length) < 2:
            return "targets of one token leave nothing to roll out"
        return None

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any]:  # noqa: ARG002
        settings = self.config.model_dump(mode="json", include=_PRETRAINING)
        return {"method": self.name, "version": self.version, **settings}

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return self.networks(corpus)[0]

    def networks(self, corpus: Corpus) -> tuple[NeuralGenerator, ConvDiscriminator]:
        """Generator and discriminator, untrained; the discriminator's features are in both."""
        config: LeakGANConfig = self.config
        highway = config.discriminator.highway
        with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream
            discriminator = build_discriminator(corpus, config.discriminator, torch.Generator(), highway=highway)
            limit = corpus.fixed_length or corpus.max_target_length
            net = LeakedLM(
                corpus.vocab.size,
                config.embedding,
                config.hidden,
                PrefixFeatures(discriminator.target, discriminator.highway, limit),
                config.goal_size,
                config.horizon,
                config.readout,
                config.unit_direction,
            )
        return NeuralGenerator(net, corpus), discriminator

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        """Algorithm 1 of the paper: pre-training, then adversarial training interleaved with maximum likelihood."""
        config: LeakGANConfig = self.config
        game = Game(corpus, config, *self.networks(corpus), run)
        game.load(run.pretrained(self.pretraining(corpus), lambda own: self.pretrain(corpus, own)))
        done = game.restore(run.resume())
        if done.rounds == 0:
            run.snapshot("pretrain", game.generator)
        while done.rounds < config.rounds:
            while done.epochs < done.rounds // config.mle_every:
                figures = game.mle_epoch(done)
                run.log("mle", done.epochs, **figures)
            figures = game.generator_step()
            for _ in range(config.d_steps):
                figures |= game.discriminator_step(config.d_epochs)
            done.rounds += 1
            if done.rounds % config.valid_every == 0 or done.rounds == config.rounds:
                figures["valid_nll"] = game.look_at_valid()
            run.log("adversarial", done.rounds, **figures)
            run.progress("adversarial", done.rounds, config.rounds, reward=figures["reward"])
            run.checkpoint(lambda: game.state(done))
        return game.generator

    def pretrain(self, corpus: Corpus, run: Run) -> State:
        """Discriminator and generator in turns, so that goals live in features that mean something.

        Returns:
            The weights of both after the round whose valid NLL was best.
        """
        config: LeakGANConfig = self.config
        game = Game(corpus, config, *self.networks(corpus), run)
        game.initialise()
        done = game.restore(run.resume())
        while done.rounds < config.interleave:
            run.progress("pretrain", done.rounds, config.interleave)
            while done.d_steps < config.d_pretrain_steps:
                figures = game.discriminator_step(config.d_pretrain_epochs)
                done.d_steps += 1
                run.log("discriminator", done.rounds * config.d_pretrain_steps + done.d_steps, **figures)
                run.checkpoint(lambda: game.state(done))
            while done.epochs < config.mle_epochs:
                figures = game.mle_epoch(done)
                run.log("mle", done.rounds * config.mle_epochs + done.epochs, **figures)
            nll = game.look_at_valid()
            done.rounds, done.d_steps, done.epochs = done.rounds + 1, 0, 0
            run.log("pretrain", done.rounds, valid_nll=nll)
            run.progress("pretrain", done.rounds, config.interleave, valid_nll=nll)
            if nll < done.best:
                done.best, done.best_weights = nll, copy.deepcopy(game.weights())
            run.checkpoint(lambda: game.state(done))
        return done.best_weights


class Game:
    """Generator and discriminator with their optimisers."""

    def __init__(
        self,
        corpus: Corpus,
        config: LeakGANConfig,
        generator: NeuralGenerator,
        discriminator: ConvDiscriminator,
        run: Run,
    ) -> None:
        self.corpus, self.config, self.run = corpus, config, run
        self.generator, self.discriminator = generator.to(run.device), discriminator.to(run.device).eval()
        assert isinstance(generator.net, LeakedLM)
        self.net = generator.net.eval()
        self.parts = self.net.worker_parameters(), self.net.manager_parameters()
        learned = [parameter for part in self.parts for parameter in part]
        self.teacher = torch.optim.Adam(learned, config.learning_rate, fused=True)
        self.player = torch.optim.Adam(learned, config.adversarial_rate, fused=True)
        self.d_optimizer = discriminator_optimizer(discriminator, config.discriminator)

    def initialise(self) -> None:
        self.net.initialise(self.config.init, self.config.init_scale, self.run.rng("init"))
        self.discriminator.initialise(self.run.rng("discriminator weights"))

    def mle_epoch(self, done: Progress) -> dict[str, float]:
        """Worker: maximum likelihood; manager: goals that the features of real text follow."""
        train, config = self.corpus.splits["train"], self.config
        if done.step == 0:
            done.order_seed = int(torch.randint(2**62, (), generator=self.run.rng("order")))
            done.tally = [torch.zeros((), dtype=torch.float64, device=self.run.device) for _ in range(3)]
        batches = bucketed(train.targets, None, config.batch, done.order_seed)[: config.epoch_steps]
        self.run.progress("mle", done.step, len(batches), round=done.rounds + 1)
        while done.step < len(batches):
            found = self.mle_step(train.targets.take(batches[done.step]).padded(self.corpus.vocab.pad))
            done.tally = [old.to(new.device) + new for old, new in zip(done.tally, found, strict=True)]
            done.step += 1
            self.run.progress("mle", done.step, len(batches), round=done.rounds + 1)
            self.run.checkpoint(lambda: self.state(done))
        loss, tokens, cosine = (float(part) for part in done.tally)
        done.step, done.epochs = 0, done.epochs + 1
        return {"nll": loss / tokens, "cosine": cosine / tokens}

    def mle_step(self, targets: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[Tensor, Tensor, Tensor]:
        """One update on real text [batch, time]; gives the summed -log p, the tokens and the summed cosines."""
        net, tokens = self.net, torch.from_numpy(targets).to(self.run.device)
        inside = tokens != self.corpus.vocab.pad
        leaked = net.leak(tokens)
        goals = net.goals(leaked[:, :-1])
        ends = goal_ends(inside.sum(1), tokens.shape[1], self.config.horizon)
        cosine = (goal_progress(leaked, goals, ends) * inside).sum()
        features = net.work(shifted(tokens, self.corpus.vocab.bos), goals.detach())[inside]
        loss, count = cross_entropy(features, net.output, tokens[inside]), inside.sum()
        self._step(self.teacher, loss / count, -cosine / count)
        return loss.detach(), count, cosine.detach()

    def generator_step(self) -> dict[str, float]:
        """One step of policy gradient for manager and worker on a fresh batch."""
        config, net = self.config, self.net
        with torch.no_grad(), net.fixed_weights():
            uniforms = self._uniforms(self._time)
            sampled = sample_with_states(net, (), uniforms, **self._ends)
            scores = self.scores(sampled)
        tokens = sampled.tokens
        emitted = tokens != self.corpus.vocab.pad
        leaked = net.leak(tokens)
        goals = net.goals(leaked[:, :-1])
        ends = goal_ends(sampled.lengths, self._time, config.horizon)
        judged = emitted & (torch.arange(self._time, device=tokens.device) % config.rollout_every == 0)
        values = rescaled_by_rank(scores.gather(1, (ends - 1).clamp(min=0)), judged, config.delta)
        progress = goal_progress(leaked, goals, ends)
        manager_loss = -(values * progress).sum() / judged.sum()
        rewards = intrinsic_rewards(leaked, goals.detach(), config.horizon) * emitted
        weights = rewards[emitted] / emitted.sum()
        features = net.work(shifted(tokens, self.corpus.vocab.bos), goals.detach())[emitted]
        worker_loss = cross_entropy(features, net.output, tokens[emitted], weights)
        self._step(self.player, worker_loss, manager_loss)
        figures = {
            "worker_loss": worker_loss.detach(),
            "manager_loss": manager_loss.detach(),
            "intrinsic": weights.sum(),
            "cosine": (progress.detach() * judged).sum() / judged.sum(),
            "reward": scores.gather(1, (sampled.lengths - 1).unsqueeze(1)).mean(),  # D of the whole sequences
            "length": sampled.lengths.double().mean(),
        }
        return {name: float(figure) for name, figure in figures.items()}

    @torch.no_grad()
    def scores(self, sampled: Sampled) -> Tensor:
        """D's mean over the rollouts of prefixes of 1 .. time tokens [batch, time], at the end D of the whole.

        0 after the end, and for prefixes that no goal ends with.
        """
        n = self.config.rollouts
        uniforms = self._uniforms(self._time - 1, n, self._time).transpose(0, 1)  # [prefix, batch, rollout, time]
        pad, eos, every = self.corpus.vocab.pad, self.generator.limits.eos, self.config.rollout_every
        rolled = roll_out(self.net, (), sampled, uniforms, pad=pad, eos=eos, every=every)
        values = rollout_probabilities(self.discriminator, sampled.tokens, rolled.tokens, rolled.items, n)
        final = self.discriminator(sampled.tokens).sigmoid()
        return spread(values, rolled, final, sampled.lengths, self._time)

    def discriminator_step(self, epochs: int) -> dict[str, float]:
        """Some epochs on fresh negatives and as many lines of train."""
        config, players = self.config, (self.generator, self.corpus, self.run)
        judge = (self.discriminator, self.d_optimizer, config.discriminator)
        temperature = config.negatives_temperature
        return discriminator_step(*judge, *players, samples=config.samples, epochs=epochs, temperature=temperature)

    def look_at_valid(self) -> float:
        return valid_nll(self.generator, self.corpus, self.config.valid_rows)

    def weights(self) -> State:
        """Of both networks, each tensor once: the discriminator's features are among the generator's."""
        output = self.discriminator.output.state_dict()
        return {**self.net.state_dict(), **{f"judge.{name}": part for name, part in output.items()}}

    def load(self, weights: State) -> None:
        judge = {name.removeprefix("judge."): part for name, part in weights.items() if name.startswith("judge.")}
        self.discriminator.output.load_state_dict(judge)
        self.net.load_state_dict({name: part for name, part in weights.items() if not name.startswith("judge.")})

    def state(self, done: Progress) -> dict[str, Any]:
        """Everything between two steps."""
        return {
            "progress": vars(done),
            "weights": self.weights(),
            "teacher": moments(self.net, self.teacher),
            "player": moments(self.net, self.player),
            "d_moments": moments(self.discriminator, self.d_optimizer),
        }

    def restore(self, saved: Mapping[str, Any] | None) -> Progress:
        """Puts back what `state` gave; a fresh start without it."""
        if saved is None:
            return Progress()
        self.load(saved["weights"])
        set_moments(self.net, self.teacher, saved["teacher"])
        set_moments(self.net, self.player, saved["player"])
        set_moments(self.discriminator, self.d_optimizer, saved["d_moments"])
        return Progress(**saved["progress"])

    def _step(self, optimizer: torch.optim.Optimizer, worker_loss: Tensor, manager_loss: Tensor) -> None:
        """Both losses at once: neither reaches the other's parameters, since the worker reads goals as constants."""
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward([worker_loss, manager_loss])
        for part in self.parts:
            nn.utils.clip_grad_norm_(part, self.config.clip)
        optimizer.step()

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
