"""TextGAN (Zhang et al. 2017, arXiv 1706.03850): adversarial feature matching.

The generator writes a text from a latent code, taking at each place a soft argmax; it makes the features of its texts
as like those of real texts as a kernel can tell (MMD), and the discriminator makes them as unlike. Where this differs
from paper or official code is told in `docs/methods/textgan.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from baselines.base import Baseline, BaselineConfig, Run
from baselines.nets.soft_cnn import MatchingDiscriminator, TanhFeatures
from baselines.nets.z_lstm import draw_latent
from baselines.training.descent import descend
from baselines.training.gumbel import Schedule, anneal
from baselines.training.latent import (
    LatentGenerator,
    Words,
    autoencoder_spec,
    latent_net,
    part,
    pretrain_autoencoder,
    pretrain_from_prior,
    prior_spec,
)
from baselines.training.matching import squared_mmd
from baselines.training.mle import MLEConfig
from baselines.training.policy_gradient import without_dropout
from baselines.training.relaxed import Relaxed, unroll
from baselines.training.saving import players_state, set_players
from tasks.base import Corpus


class FeaturesConfig(BaselineConfig):
    """The discriminator. "code" is `theano/textGAN.py` of the authors' repository, dreasysnail/textGAN_public."""

    embedding: PositiveInt = 300  # code: n_x
    widths: tuple[PositiveInt, ...] = (3, 4, 5)  # paper, code: filter_hs
    filters: tuple[PositiveInt, ...] = (300, 300, 300)  # paper, code: feature_maps
    hidden: PositiveInt = 200  # code: n_h2_d, between features and the judgement
    recovery: PositiveInt = 900  # code: n_h2, between features and the code found again

    @model_validator(mode="after")
    def _aligned(self) -> FeaturesConfig:
        if not self.widths or len(self.widths) != len(self.filters):
            raise ValueError("discriminator: widths and filters must have the same length, at least 1")
        return self


# code: hidden 500, embedding 300 (there one matrix with the output layer, a linear layer between), batch 256
_PAPER_MLE: dict[str, Any] = {"net": {"embedding": 300, "hidden": 500}, "batch": 256}


class TextGANConfig(BaselineConfig):
    """Defaults are the paper's, and where it is silent those of the authors' Theano code ("code")."""

    mle: MLEConfig = MLEConfig.model_validate(_PAPER_MLE)  # the generator and its pre-training
    start: Literal["autoencoder", "mle"] = "autoencoder"  # code: it loads the weights of a trained autoencoder
    latent: PositiveInt = 900  # code: n_gan, drawn from U(-1, 1)
    discriminator: FeaturesConfig = FeaturesConfig()
    epochs: PositiveInt = 16  # code: max_epochs, passes over train
    rounds: int | None = Field(default=None, ge=0)  # ours: so many rounds instead
    d_pretrain_steps: int = Field(default=0, ge=0)  # ours; code: loads features of an autoencoder, as we do
    g_steps: PositiveInt = 1  # code: dg_ratio (the TensorFlow version: 10 to a step of D)
    d_steps: int = Field(default=1, ge=0)
    batch: int = Field(default=256, ge=2)  # code: batch_size
    g_learning_rate: PositiveFloat = 5e-5  # code: lr_g
    d_learning_rate: PositiveFloat = 1e-4  # code: lr_d
    clip: PositiveFloat = 5.0  # ours, of either side's gradient
    sigma: PositiveFloat = 20.0  # code: sigma_range, of the kernel on 900 features
    lambda_mmd: float = Field(default=1e-3, ge=0)  # paper lambda_m, code: lambda_fm
    lambda_code: float = Field(default=1e-3, ge=0)  # paper lambda_r, code: lambda_recon
    smoothing: float = Field(default=0.01, ge=0, lt=0.5)  # code: label_smoothing, D's opinion lies in [s, 1 - s]
    sharpness_start: PositiveFloat = 1000.0
    sharpness: PositiveFloat = 1000.0  # paper, code: L of the soft argmax, constant
    schedule: Schedule = "exp"  # from sharpness_start to sharpness
    words: Words = "argmax"  # paper: a text is a function of z; "sample": tokens from softmax(logits / temperature)


# Sizes for one CPU thread. The shape is kept with fewer features (sigma follows the root of their number), fewer rounds
# and, since they are few, larger rates and a soft argmax that starts softer, where it has a gradient.
_SMALL: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 128, "hidden": 192},
        "batch": 64,
        "epochs": 6,
        "learning_rate": 3e-3,
        "schedule": "linear",
    },
    "latent": 64,
    "discriminator": {"embedding": 64, "filters": (100, 100, 100), "hidden": 100, "recovery": 100},
    "rounds": 100,
    "batch": 64,
    "g_learning_rate": 3e-4,
    "d_learning_rate": 3e-4,
    "sigma": 11.5,
    "sharpness_start": 3.0,
    "sharpness": 100.0,
}
_SMOKE: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 32, "hidden": 64},
        "batch": 32,
        "epochs": 6,
        "learning_rate": 1e-2,
        "schedule": "linear",
    },
    "latent": 16,
    "discriminator": {"embedding": 32, "filters": (16, 16, 16), "hidden": 32, "recovery": 32},
    "rounds": 10,
    "batch": 32,
    "g_learning_rate": 1e-3,
    "d_learning_rate": 1e-3,
    "sigma": 4.6,
    "sharpness_start": 3.0,
    "sharpness": 100.0,
}
BUDGETS: dict[str, dict[str, Any]] = {"smoke": _SMOKE, "small": _SMALL, "paper": {"mle": _PAPER_MLE}}


@dataclass
class Progress:
    """How far training is."""

    pretrain_steps: int = 0  # of the discriminator
    rounds: int = 0


class TextGAN(Baseline):
    name: ClassVar[str] = "textgan"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "a latent code, a soft argmax, and features matched by a kernel (MMD)"
    source: ClassVar[str] = "Zhang et al. 2017, arXiv 1706.03850"
    adversarial: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = TextGANConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return None if corpus.kind == "free" else "TextGAN's generator reads a latent code and no source"

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        config: TextGANConfig = self.config
        if config.start == "mle":
            return prior_spec(corpus, config.mle, config.latent, "uniform")
        sizes = config.discriminator.model_dump(mode="json", include={"embedding", "widths", "filters"})
        return autoencoder_spec(corpus, config.mle, config.latent, "uniform", sizes)

    def build(self, corpus: Corpus) -> LatentGenerator:
        net = latent_net(corpus, self.config.mle.net, self.config.latent)
        return LatentGenerator(net, corpus, "uniform", self.config.words)

    def fit(self, corpus: Corpus, run: Run) -> LatentGenerator:
        config: TextGANConfig = self.config
        generator = self.build(corpus).to(run.device)
        game = Game(corpus, config, generator, run)
        if config.start == "mle":
            weights = pretrain_from_prior(corpus, config.mle, config.latent, "uniform", run)
            generator.net.load_state_dict(weights)
        else:
            features, spec = build_features(corpus, config.discriminator), self.pretraining(corpus) or {}
            weights = pretrain_autoencoder(corpus, config.mle, config.latent, "uniform", features, spec, run)
            generator.net.load_state_dict(part(weights, "decoder"))
            game.discriminator.features.load_state_dict(part(weights, "encoder"))
        done = game.restore(run.resume())
        if done.pretrain_steps == done.rounds == 0:
            run.snapshot("pretrain", generator)

        while done.pretrain_steps < config.d_pretrain_steps:
            figures = game.discriminator_step(*game.draw(), config.sharpness_start)
            done.pretrain_steps += 1
            run.log("discriminator", done.pretrain_steps, **figures)
            run.progress("discriminator", done.pretrain_steps, config.d_pretrain_steps, **figures)
            run.checkpoint(lambda: game.state(done))

        rounds = game.rounds
        while done.rounds < rounds:
            sharpness = anneal(done.rounds, rounds, config.sharpness_start, config.sharpness, config.schedule)
            figures = {"sharpness": sharpness}
            for _ in range(config.g_steps):  # the generator brings MMD^2 down ...
                figures |= game.generator_step(*game.draw(), sharpness)
            for _ in range(config.d_steps):  # ... the discriminator up, and tells real from generated, and finds z
                figures |= game.discriminator_step(*game.draw(), sharpness)
            done.rounds += 1
            run.log("adversarial", done.rounds, **figures)
            run.progress("adversarial", done.rounds, rounds, mmd=figures["mmd"])
            run.checkpoint(lambda: game.state(done))
        return generator


def build_features(corpus: Corpus, config: FeaturesConfig) -> TanhFeatures:
    """The CNN, whose weights are not yet those of a seed; no filter is wider than the longest text."""
    limit = corpus.fixed_length or corpus.max_target_length
    widths = tuple(min(width, limit) for width in config.widths)
    fixed = corpus.fixed_length is not None
    vocab = corpus.vocab
    with torch.random.fork_rng(devices=[]):
        return TanhFeatures(
            vocab.n_inputs, vocab.pad, config.embedding, widths, config.filters, variable_length=not fixed
        )


def discriminator_losses(
    discriminator: MatchingDiscriminator, real: Tensor, fake: Tensor, z: Tensor, config: TextGANConfig
) -> dict[str, Tensor]:
    """`d_loss`, which D minimises, and its parts: L_GAN - lambda_m MMD^2 + lambda_r |z - found z|.

    real, fake: features [batch, filters]; z: codes [batch, latent] of the fakes.
    """
    on_real, on_fake = discriminator.log_odds(real), discriminator.log_odds(fake)
    gan = -(log_opinion(on_real, config.smoothing).mean() + log_opinion(-on_fake, config.smoothing).mean())
    mmd = squared_mmd(fake, real, config.sigma)
    code = torch.linalg.vector_norm(z - discriminator.code(fake), dim=1).mean()
    loss = gan - config.lambda_mmd * mmd + config.lambda_code * code
    accuracy = ((on_real > 0).double().mean() + (on_fake <= 0).double().mean()) / 2
    return {"d_loss": loss, "gan": gan, "d_mmd": mmd, "code": code, "d_accuracy": accuracy}


def log_opinion(log_odds: Tensor, smoothing: float) -> Tensor:
    """log of sigmoid(log odds), brought into [smoothing, 1 - smoothing]."""
    if smoothing == 0:
        return F.logsigmoid(log_odds)
    return torch.log(torch.sigmoid(log_odds) * (1 - 2 * smoothing) + smoothing)


class Game:
    """Generator and discriminator, with their optimisers."""

    def __init__(self, corpus: Corpus, config: TextGANConfig, generator: LatentGenerator, run: Run) -> None:
        self.corpus, self.config, self.generator, self.run = corpus, config, generator, run
        self.net = generator.net
        sizes = config.discriminator
        features = build_features(corpus, sizes)
        with torch.random.fork_rng(devices=[]):
            self.discriminator = MatchingDiscriminator(features, sizes.hidden, sizes.recovery, config.latent)
        self.discriminator.initialise(run.rng("discriminator weights"))
        self.discriminator.to(run.device)
        self.g_optimizer = torch.optim.Adam(self.net.parameters(), config.g_learning_rate, fused=True)
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), config.d_learning_rate, fused=True)

    @property
    def rounds(self) -> int:
        """Of the adversarial stage: as said, or as many as `epochs` passes over train have batches."""
        passes = -(-len(self.corpus.splits["train"]) // self.config.batch)
        return self.config.epochs * passes if self.config.rounds is None else self.config.rounds

    def draw(self) -> tuple[Tensor, Tensor]:
        """Random lines of train [batch, time] and codes [batch, latent]."""
        train, count = self.corpus.splits["train"].targets, self.config.batch
        rows = torch.randint(len(train), (count,), generator=self.run.rng("lines")).numpy()
        real = torch.from_numpy(train.take(rows).padded(self.corpus.vocab.pad))
        z = draw_latent(count, self.config.latent, "uniform", self.run.rng("latent"))
        return real.to(self.run.device, non_blocking=True), z.to(self.run.device, non_blocking=True)

    def write(self, z: Tensor, sharpness: float) -> Relaxed:
        """Texts by soft argmax."""

        def soft_argmax(logits: Tensor) -> Tensor:
            return F.softmax(logits * sharpness, 1)

        return unroll(self.net, z, soft_argmax, self.generator.limits, self.corpus.vocab.pad, hard=False)

    def features(self, written: Relaxed) -> Tensor:
        """D's features [batch, filters] of generated texts."""
        cnn = self.discriminator.features
        return cnn.pool(written.embed(cnn.embedding.weight[: self.corpus.vocab.size]), written.lengths)

    def generator_step(self, real: Tensor, z: Tensor, sharpness: float) -> dict[str, float]:
        """One step down MMD^2 between the features of real and generated texts."""
        with without_dropout(self.net):
            written = self.write(z, sharpness)
            with torch.no_grad():
                target = self.discriminator.features(real)
            mmd = squared_mmd(self.features(written), target, self.config.sigma)
            gradient = descend(self.g_optimizer, mmd, self.net, self.config.clip)
        figures = {"mmd": mmd.detach(), "gradient": gradient, "length": written.lengths.double().mean()}
        return {name: float(figure) for name, figure in figures.items()}

    def discriminator_step(self, real: Tensor, z: Tensor, sharpness: float) -> dict[str, float]:
        """One step of the discriminator on as many real as generated texts."""
        self.net.eval()
        with torch.no_grad():
            written = self.write(z, sharpness)
        found = self.discriminator.features(real), self.features(written)
        figures = discriminator_losses(self.discriminator, *found, z, self.config)
        descend(self.d_optimizer, figures["d_loss"], self.discriminator, self.config.clip)
        return {name: float(figure.detach()) for name, figure in figures.items()}

    def state(self, done: Progress) -> dict[str, Any]:
        """Everything between two rounds."""
        return {
            "progress": vars(done),
            **players_state(self),
        }

    def restore(self, saved: Mapping[str, Any] | None) -> Progress:
        """Puts back what `state` gave; a fresh start without it."""
        if saved is None:
            return Progress()
        set_players(self, saved)
        return Progress(**saved["progress"])
