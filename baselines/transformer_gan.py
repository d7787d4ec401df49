"""Transformer-GAN: a Transformer writes, a Transformer that reads source and candidate together judges.

No paper has this name and these parts: it is a definition of this suite's, of parts that have papers. The writer
learns by policy gradient with the self-critical baseline of Rennie et al. (2017), mixed with maximum likelihood, from
scratch or from a checkpoint. What it is made of, and why the variant found in teaching material can't be trained, is
told in `docs/methods/transformer_gan.md`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from baselines.base import Baseline, BaselineConfig, Run, State
from baselines.nets.pair_transformer import PairTransformer
from baselines.neural import NeuralGenerator, build_net, evaluating, lacks
from baselines.pretrained_pairs import PairTuningConfig, PretrainedPairs, fine_tune
from baselines.training.descent import descend
from baselines.training.mle import (
    TRANSFORMER_BUDGETS,
    TransformerMLEConfig,
    over_pretraining,
    pretrain,
    pretraining_spec,
)
from baselines.training.pairs import Pairs
from baselines.training.policy_gradient import RewardBaseline
from baselines.training.saving import moments, set_moments
from baselines.training.writers import CheckpointTokens, OwnTokens, Writing
from tasks.base import Corpus, Ragged

Reward = Literal["probability", "log_odds"]
Compared = Literal["self_critical", "moving_average", "none"]


class PairTransformerConfig(BaselineConfig):
    """The discriminator; sizes are ours."""

    width: PositiveInt = 256
    layers: PositiveInt = 4
    heads: PositiveInt = 4
    dropout: float = Field(default=0.1, ge=0, lt=1)  # BERT's

    @model_validator(mode="after")
    def _divisible(self) -> PairTransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"discriminator: a width of {self.width} can't be shared by {self.heads} heads")
        return self


class TransformerGANConfig(BaselineConfig):
    """There is no paper and no official code. "code" is ruotianluo/self-critical.pytorch, a third party's."""

    mle: TransformerMLEConfig = TransformerMLEConfig()  # the generator and its pre-training, those of `transformer`
    checkpoint: str | None = None  # in its place: a local folder, or a name on the hub, as "facebook/bart-large"
    revision: str | None = None  # of the checkpoint on the hub
    fine_tune: bool = True  # the checkpoint, by maximum likelihood, before the game
    tuning: PairTuningConfig = PairTuningConfig()
    max_tokens: PositiveInt | None = None  # of the checkpoint's, at most in an answer; None: the longest of train
    discriminator: PairTransformerConfig = PairTransformerConfig()
    batch: PositiveInt = 64  # ours
    clip: PositiveFloat = 1.0  # ours; of either player's gradient

    d_pretrain_steps: int = Field(default=2000, ge=0)  # ours

    steps: int = Field(default=10_000, ge=0)  # ours
    mle_share: float = Field(default=0.5, ge=0, le=1)  # of the mini-batches: as told of Wu et al. 2017 (1704.06933)
    mle_weight: NonNegativeFloat = 1.0  # of the loss of such a mini-batch; ours
    reward: Reward = "probability"  # of being real, of the whole candidate; or its log-odds
    baseline: Compared = "self_critical"  # Rennie et al. 2017, eq. 9: the reward of the greedy output
    baseline_decay: float = Field(default=0.9, ge=0, lt=1)  # ours; read with baseline = "moving_average" alone
    learning_rate: PositiveFloat = 5e-5  # code: Adam(5e-5) once the reward is in use
    d_steps: int = Field(default=1, ge=0)  # ours: a step of D after each of G's
    d_rate: PositiveFloat = 1e-4  # ours: Adam

    select: Literal["last", "valid"] = "last"  # "valid": best valid NLL among looks
    log_every: PositiveInt = 10  # steps between lines of the training curve
    valid_every: PositiveInt = 500  # steps between looks at valid
    valid_rows: PositiveInt = 500  # the first of valid, looked at


_ADVERSARIAL: dict[str, dict[str, Any]] = {
    "smoke": {
        "discriminator": {"width": 32, "layers": 1, "heads": 4, "dropout": 0.0},
        "batch": 32,
        "d_pretrain_steps": 30,
        "d_rate": 2e-3,
        "steps": 20,
        "learning_rate": 3e-4,
        "valid_every": 10,
        "valid_rows": 200,
    },
    "smoke/summarization": {"batch": 16},
    "small": {
        "discriminator": {"width": 64, "layers": 2, "heads": 4, "dropout": 0.1},
        "d_pretrain_steps": 600,
        "d_rate": 1e-3,
        "steps": 100,
        "learning_rate": 1e-4,
        "valid_every": 50,
    },
    "small/summarization": {"batch": 16, "d_pretrain_steps": 100, "steps": 50, "valid_every": 25},
    "small/dialogue": {"batch": 32, "d_pretrain_steps": 150, "steps": 60, "valid_every": 30},
    "paper": {},
}
BUDGETS = over_pretraining(_ADVERSARIAL, TRANSFORMER_BUDGETS)


@dataclass
class Progress:
    """How far training is; with both players, their optimisers and the random streams all that must not be lost."""

    d_pretrain_steps: int = 0
    steps: int = 0
    latest: dict[str, float] = field(default_factory=dict)  # figures of the last step of each kind
    best: float = math.inf  # valid NLL, nats per token, where the best look decides
    best_weights: State = field(default_factory=dict)


class TransformerGAN(Baseline):
    name: ClassVar[str] = "transformer_gan"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Transformer by self-critical policy gradient against a Transformer that reads the pair"
    source: ClassVar[str] = "no paper: Rennie et al. 2017 (arXiv 1612.00563), Wu et al. 2017 (arXiv 1704.06933)"
    adversarial: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = TransformerGANConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        if corpus.source_vocab is None:
            return "its discriminator reads a source with each candidate: it needs sources"
        return lacks(corpus, self.config.mle.net)

    def track(self) -> str:
        return "scratch" if self.config.checkpoint is None else "pretrained"

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        config: TransformerGANConfig = self.config
        if config.checkpoint is None:
            return pretraining_spec(corpus, config.mle)
        if not config.fine_tune:
            return None
        which = {"checkpoint": config.checkpoint, "revision": config.revision}
        return {"method": "fine_tune", "version": 1, **which, **config.tuning.model_dump(mode="json")}

    def build(self, corpus: Corpus) -> NeuralGenerator | PretrainedPairs:
        config: TransformerGANConfig = self.config
        if config.checkpoint is None:
            return NeuralGenerator(build_net(corpus, config.mle.net), corpus)
        return PretrainedPairs(corpus, config.checkpoint, config.revision, config.max_tokens)

    def start(self, corpus: Corpus, run: Run) -> Writing:
        """G, pre-trained by maximum likelihood."""
        config: TransformerGANConfig = self.config
        generator = self.build(corpus).to(run.device)
        if isinstance(generator, NeuralGenerator):
            generator.net.load_state_dict(pretrain(corpus, config.mle, run))
            return OwnTokens(generator, corpus)
        spec = self.pretraining(corpus)
        if spec is not None:
            tune = partial(fine_tune, generator, corpus, config.tuning)
            generator.load_state_dict(run.pretrained(spec, lambda own: dict(tune(own).state_dict())))
        return CheckpointTokens(generator, corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator | PretrainedPairs:
        config: TransformerGANConfig = self.config
        game = Game(config, self.start(corpus, run), run)
        done = game.restore(run.resume())
        if done.d_pretrain_steps == done.steps == 0:
            run.snapshot("pretrain", game.generator)

        while done.d_pretrain_steps < config.d_pretrain_steps:  # D is pre-trained
            figures = game.discriminator_step()
            done.d_pretrain_steps += 1
            if done.d_pretrain_steps % config.log_every == 0 or done.d_pretrain_steps == config.d_pretrain_steps:
                run.log("discriminator", done.d_pretrain_steps, **figures)
            run.progress("discriminator", done.d_pretrain_steps, config.d_pretrain_steps, **figures)
            run.checkpoint(lambda: game.state(done))

        while done.steps < config.steps:  # both learn in turn
            figures = game.likelihood_step() if game.likelihood_is_next() else game.policy_step()
            for _ in range(config.d_steps):
                figures |= game.discriminator_step()
            done.steps += 1
            done.latest |= figures
            look = {}
            if done.steps % config.valid_every == 0 or done.steps == config.steps:
                look = game.look_at_valid(done)
            if look or done.steps % config.log_every == 0:
                run.log("adversarial", done.steps, **done.latest, **look)
            run.progress("adversarial", done.steps, config.steps, **figures)
            run.checkpoint(lambda: game.state(done))

        return game.chosen(done)


class Game:
    """G and D, with their optimisers and the pairs that they learn from.

    All that passes between the two are ids one way and rewards, plain numbers, the other: no gradient can.
    """

    def __init__(self, config: TransformerGANConfig, writing: Writing, run: Run) -> None:
        self.config, self.writing, self.run = config, writing, run
        self.generator, self.net, self.train = writing.generator, writing.net, writing.corpus.splits["train"]
        self.discriminator = build_discriminator(writing, config.discriminator, run.rng("discriminator weights"))
        self.discriminator.to(run.device).eval()
        self.g_optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, fused=True)
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), config.d_rate, fused=True)
        self.average = RewardBaseline("moving_average", config.baseline_decay)
        self.pairs = self.policy_pairs = Pairs(writing.corpus, run, config.batch, "pairs")
        if config.baseline != "self_critical":  # of lines of one length all would be above an average, or all below
            self.policy_pairs = Pairs(writing.corpus, run, config.batch, "policy pairs", alike=False)
        self.d_pairs = Pairs(writing.corpus, run, config.batch, "discriminator pairs", alike=False)

    def likelihood_is_next(self) -> bool:
        return float(torch.rand((), generator=self.run.rng("mixture"))) < self.config.mle_share

    def likelihood_step(self) -> dict[str, float]:
        """Teacher forcing, with dropout as in the pre-training."""
        sources, targets = self.draw(self.pairs)
        weight, clip = self.config.mle_weight, self.config.clip
        nll = self.writing.likelihood_step(self.g_optimizer, sources, targets, weight=weight, clip=clip)
        return {"train_nll": float(nll)}

    def policy_step(self) -> dict[str, float]:
        """One step up E[R(x, y)]: every token of a sample is weighed with how much better the whole was than another's
        worth, by default what G writes greedily for the same source."""
        sources, _ = self.draw(self.policy_pairs)
        wanted = self.config.baseline == "self_critical"
        sampled, greedy = self.writing.write(sources, self.run.rng("samples"), greedily=wanted)
        rewards = self.rewards(sources, sampled)
        figures = {"reward": rewards.mean(), "length": torch.tensor(sampled.lengths.mean())}
        worth = rewards
        if greedy is not None:
            compared = self.rewards(sources, greedy)
            worth = rewards - compared
            figures["greedy_reward"] = compared.mean()
        elif self.config.baseline == "moving_average":
            worth = self.average.advantage(rewards[:, None], torch.ones_like(rewards[:, None]))[:, 0]
        figures |= self.writing.policy_step(self.g_optimizer, sources, sampled, worth, clip=self.config.clip)
        return {name: float(figure) for name, figure in figures.items()}

    def rewards(self, sources: Ragged, candidates: Ragged) -> Tensor:
        """What D says of each whole candidate, given its source [batch]; without D's dropout, without gradient."""
        with evaluating(self.discriminator):
            logits = self.opinions(sources, candidates)
        return logits.sigmoid() if self.config.reward == "probability" else logits

    def discriminator_step(self) -> dict[str, float]:
        """D learns from pairs of train, and from the same sources with what G, as it is now, samples for them."""
        sources, targets = self.draw(self.d_pairs)
        sampled, _ = self.writing.write(sources, self.run.rng("negatives"), greedily=False)
        self.discriminator.train()
        real, fake = self.opinions(sources, targets), self.opinions(sources, sampled)
        loss = (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2  # -log D(x, y) - log(1 - D(x, y'))
        descend(self.d_optimizer, loss, self.discriminator, self.config.clip)
        self.discriminator.eval()
        right = torch.cat([real > 0, fake <= 0]).float().mean()
        return {"d_loss": float(loss.detach()), "d_accuracy": float(right)}

    def opinions(self, sources: Ragged, candidates: Ragged) -> Tensor:
        """D's log-odds of "real" [batch]."""
        found: Tensor = self.discriminator(*self.padded(sources), *self.padded(candidates))
        return found

    def padded(self, rows: Ragged) -> tuple[Tensor, Tensor]:
        """Ids [batch, time], at least one place wide, and lengths [batch]; D reads nothing behind a row's end."""
        ids = rows.padded(0, max(1, int(rows.lengths.max(initial=0))))
        return tuple(torch.from_numpy(part).to(self.run.device) for part in (ids, rows.lengths))  # type: ignore[return-value]

    def draw(self, pairs: Pairs) -> tuple[Ragged, Ragged]:
        """The next sources and their targets."""
        rows = pairs.rows()
        assert self.train.sources is not None
        return self.train.sources.take(rows), self.train.targets.take(rows)

    def look_at_valid(self, done: Progress) -> dict[str, float]:
        nll = self.writing.valid_nll(self.config.valid_rows)
        if self.config.select == "valid" and nll < done.best:
            done.best, done.best_weights = nll, copy.deepcopy(dict(self.generator.state_dict()))
        return {"valid_nll": nll}

    def chosen(self, done: Progress) -> NeuralGenerator | PretrainedPairs:
        """The generator as it is now, or as it was at the best look where that is asked for."""
        if done.best_weights:
            self.generator.load_state_dict(done.best_weights)
        generator: NeuralGenerator | PretrainedPairs = self.generator
        return generator

    def state(self, done: Progress) -> dict[str, Any]:
        """Everything between two steps."""
        return {
            "progress": vars(done),
            "generator": dict(self.generator.state_dict()),
            "discriminator": self.discriminator.state_dict(),
            "g_moments": moments(self.net, self.g_optimizer),
            "d_moments": moments(self.discriminator, self.d_optimizer),
            "average": self.average.value,
            "pairs": self.pairs.state(),
            "policy_pairs": self.policy_pairs.state(),
            "d_pairs": self.d_pairs.state(),
        }

    def restore(self, saved: Mapping[str, Any] | None) -> Progress:
        """Puts back what `state` gave; a fresh start without it."""
        if saved is None:
            return Progress()
        self.generator.load_state_dict(saved["generator"])
        self.discriminator.load_state_dict(saved["discriminator"])
        set_moments(self.net, self.g_optimizer, saved["g_moments"])
        set_moments(self.discriminator, self.d_optimizer, saved["d_moments"])
        self.average.value = saved["average"]
        self.pairs.restore(saved["pairs"])
        self.policy_pairs.restore(saved["policy_pairs"])
        self.d_pairs.restore(saved["d_pairs"])
        return Progress(**saved["progress"])


def build_discriminator(writing: Writing, config: PairTransformerConfig, rng: torch.Generator) -> PairTransformer:
    """D for the tokens that G writes in; its embeddings are its own."""
    with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream, which dropout uses
        net = PairTransformer(
            *writing.vocabularies,
            max_source=writing.longest[0],
            max_target=writing.longest[1],
            **config.model_dump(),
        )
    net.initialise(rng)
    return net
