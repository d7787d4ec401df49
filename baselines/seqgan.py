"""SeqGAN (Yu, Zhang, Wang and Yu 2017, arXiv 1609.05473): policy gradient against a CNN discriminator.

The generator is rewarded for every token with the discriminator's mean opinion of Monte-Carlo completions. `SeqGAN.fit`
reads like the paper's Algorithm 1; where this differs from paper or official code is told in `docs/methods/seqgan.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, PositiveInt
from torch import Tensor

from baselines.base import Baseline, BaselineConfig, Run
from baselines.nets.cnn_rollouts import rollout_probabilities
from baselines.neural import NeuralGenerator, build_net, lacks
from baselines.training.discriminator import (
    DiscriminatorConfig,
    build_discriminator,
    discriminator_optimizer,
    discriminator_step,
)
from baselines.training.mle import MLEConfig, over_pretraining, pretrain, pretraining_spec
from baselines.training.rollout import Rollouts, Sampled
from baselines.training.sequence_policy import AdversarialPolicy, PolicyConfig
from tasks.base import Corpus


class SeqGANConfig(PolicyConfig):
    """Defaults are the paper's. "code" is `sequence_gan.py` of the authors' repository, LantaoYu/SeqGAN.

    Rollouts, rates and the policy gradient's other constants are those of `PolicyConfig`.
    """

    mle: MLEConfig = MLEConfig()  # the generator and its pre-training, shared with every other method
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    d_pretrain_steps: int = Field(default=50, ge=0)  # code: 50 times fresh negatives ...
    d_pretrain_epochs: PositiveInt = 3  # ... and 3 epochs on them
    rounds: int = Field(default=200, ge=0)  # as the schedule is reported; code: TOTAL_BATCH = 800
    d_steps: int = Field(default=5, ge=0)  # paper, section 4.3 and figure 3d: g = 1, d = 5, k = 3 is the steadiest
    d_epochs: PositiveInt = 3  # k
    samples: PositiveInt = 10_000  # code: generated_num, fresh negatives of a d-step; never more than train has lines


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
BUDGETS = over_pretraining(_ADVERSARIAL)


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
        return lacks(corpus, self.config.mle.net)

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

        return game.chosen(done)


class Game(AdversarialPolicy):
    """Generator and rollout policy, and the discriminator that judges them, with their optimisers."""

    config: SeqGANConfig

    def __init__(self, corpus: Corpus, config: SeqGANConfig, generator: NeuralGenerator, run: Run) -> None:
        super().__init__(corpus, config, generator, run)  # line 3
        self.discriminator = build_discriminator(corpus, config.discriminator, run.rng("discriminator weights"))
        self.discriminator.to(run.device).eval()
        self.d_optimizer = discriminator_optimizer(self.discriminator, config.discriminator)

    def judge(self, sampled: Sampled, rolled: Rollouts, sources: Tensor | None) -> tuple[Tensor, Tensor]:
        """D's probability that each is real."""
        n = self.config.rollouts
        values = rollout_probabilities(self.discriminator, sampled.tokens, rolled.tokens, rolled.items, n, sources)
        return values, self.discriminator(sampled.tokens, sources).sigmoid()

    def discriminator_step(self, epochs: int) -> dict[str, float]:
        """Some epochs on fresh negatives and as many lines of train."""
        config, players = self.config, (self.generator, self.corpus, self.run)
        judge = (self.discriminator, self.d_optimizer, config.discriminator)
        return discriminator_step(*judge, *players, samples=config.samples, epochs=epochs)
