"""LSTM-GAN: an LSTM that writes from a latent code against an LSTM that reads.

No paper fixes this method; `docs/methods/lstm_gan.md` is its definition. Both ways past the discrete tokens are here:
a Gumbel-softmax with straight-through gradient, and REINFORCE with the discriminator's opinion of the whole text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from baselines.base import Baseline, BaselineConfig, Run
from baselines.nets.lstm_discriminator import LSTMDiscriminator
from baselines.nets.z_lstm import Prior, draw_latent
from baselines.training.descent import descend
from baselines.training.gumbel import Schedule, anneal, gumbel_softmax
from baselines.training.latent import LatentGenerator, latent_net, pretrain_from_prior, prior_spec
from baselines.training.mle import MLE_BUDGETS, MLEConfig
from baselines.training.policy_gradient import RewardBaseline, policy_gradient_step, without_dropout
from baselines.training.relaxed import Relaxed, unroll
from baselines.training.rollout import sample_with_states
from baselines.training.saving import players_state, set_players
from tasks.base import Corpus


class ReaderConfig(BaselineConfig):
    """The LSTM discriminator: all ours."""

    embedding: PositiveInt = 64
    hidden: PositiveInt = 128
    layers: PositiveInt = 1
    learning_rate: PositiveFloat = 1e-4


class LSTMGANConfig(BaselineConfig):
    """All constants are ours, most of them as SeqGAN's code has them for the same role."""

    estimator: Literal["gumbel", "reinforce"] = "gumbel"
    mle: MLEConfig = MLEConfig()  # the generator and its pre-training, each text with a code drawn from the prior
    latent: PositiveInt = 64
    prior: Prior = "normal"
    discriminator: ReaderConfig = ReaderConfig()
    d_pretrain_steps: int = Field(default=200, ge=0)  # batches
    rounds: int = Field(default=1000, ge=0)  # at most
    g_steps: PositiveInt = 1
    d_steps: int = Field(default=5, ge=0)  # batches
    batch: PositiveInt = 64
    learning_rate: PositiveFloat = 1e-4  # of the generator
    clip: PositiveFloat = 5.0
    temperature_start: PositiveFloat = 1.0  # gumbel: from here ...
    temperature: PositiveFloat = 0.1  # ... to here
    schedule: Schedule = "exp"
    baseline_decay: float = Field(default=0.9, ge=0, lt=1)  # reinforce: of the mean reward's moving average
    # Training ends when the figure has been below `stop_below` for `stop_rounds` rounds running: "loss" is the
    # generator's, -log D(generated); "accuracy" is how far D's accuracy is from 1/2, on either side.
    stop: Literal["loss", "accuracy", "never"] = "loss"
    stop_below: PositiveFloat = 0.1
    stop_rounds: PositiveInt = 10


# Sizes for one CPU thread: the pre-training is MLE's with a smaller network and fewer epochs.
_ADVERSARIAL: dict[str, dict[str, Any]] = {
    "smoke": {
        "latent": 16,
        "discriminator": {"embedding": 32, "hidden": 32, "learning_rate": 2e-3},
        "d_pretrain_steps": 20,
        "rounds": 20,
        "d_steps": 2,
        "batch": 32,
        "learning_rate": 1e-3,
    },
    "small": {
        "mle": {"net": {"embedding": 192, "hidden": 192}, "epochs": 6},
        "latent": 32,
        "discriminator": {"learning_rate": 1e-3},
        "d_pretrain_steps": 100,
        "rounds": 150,
        "d_steps": 2,
        "learning_rate": 3e-4,
    },
    "small/oracle": {"mle": {"net": {"embedding": 32, "hidden": 32}, "epochs": 20}, "learning_rate": 1e-3},
    "paper": {},
}


def _with_mle(key: str) -> dict[str, Any]:
    own = dict(_ADVERSARIAL.get(key, {}))
    mle = dict(MLE_BUDGETS.get(key, {}))
    changes = own.pop("mle", {})
    net = {**mle.get("net", {}), **changes.get("net", {})}
    return {**own, "mle": {**mle, **changes, **({"net": net} if net else {})}}


BUDGETS = {key: _with_mle(key) for key in {**MLE_BUDGETS, **_ADVERSARIAL} if "/" not in key or key.endswith("oracle")}


@dataclass
class Progress:
    """How far training is."""

    pretrain_steps: int = 0  # of the discriminator
    rounds: int = 0
    calm: int = 0  # rounds running in which the stopping figure was below its threshold


class LSTMGAN(Baseline):
    name: ClassVar[str] = "lstm_gan"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "LSTM with a latent code against an LSTM, by straight-through Gumbel-softmax"
    source: ClassVar[str] = "no canonical paper: docs/methods/lstm_gan.md defines it"
    adversarial: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = LSTMGANConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return None if corpus.kind == "free" else "LSTM-GAN's generator reads a latent code and no source"

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return prior_spec(corpus, self.config.mle, self.config.latent, self.config.prior)

    def build(self, corpus: Corpus) -> LatentGenerator:
        net = latent_net(corpus, self.config.mle.net, self.config.latent)
        return LatentGenerator(net, corpus, self.config.prior)

    def fit(self, corpus: Corpus, run: Run) -> LatentGenerator:
        config: LSTMGANConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.load_state_dict(pretrain_from_prior(corpus, config.mle, config.latent, config.prior, run))
        game = Game(corpus, config, generator, run)
        done = game.restore(run.resume())
        if done.pretrain_steps == done.rounds == 0:
            run.snapshot("pretrain", generator)

        while done.pretrain_steps < config.d_pretrain_steps:
            figures = game.discriminator_step()
            done.pretrain_steps += 1
            run.log("discriminator", done.pretrain_steps, **figures)
            run.progress("discriminator", done.pretrain_steps, config.d_pretrain_steps, **figures)
            run.checkpoint(lambda: game.state(done))

        while done.rounds < config.rounds and not stopped(done, config):
            figures = {}
            for _ in range(config.g_steps):
                if config.estimator == "gumbel":
                    figures |= game.gumbel_step(_temperature(done.rounds, config))
                else:
                    figures |= game.reinforce_step()
            for _ in range(config.d_steps):
                figures |= game.discriminator_step()
            done.rounds += 1
            watch(done, figures, config)
            run.log("adversarial", done.rounds, **figures, calm=done.calm)
            run.progress("adversarial", done.rounds, config.rounds, reward=figures["reward"])
            run.checkpoint(lambda: game.state(done))
        return generator


class LSTMGANReinforceConfig(LSTMGANConfig):
    estimator: Literal["gumbel", "reinforce"] = "reinforce"


class LSTMGANReinforce(LSTMGAN):
    """The same with the other estimator, so that both have rows of their own."""

    name: ClassVar[str] = "lstm_gan_reinforce"
    summary: ClassVar[str] = "LSTM with a latent code against an LSTM, by REINFORCE"
    Config: ClassVar[type[BaselineConfig]] = LSTMGANReinforceConfig


def _temperature(rounds: int, config: LSTMGANConfig) -> float:
    return anneal(rounds, config.rounds, config.temperature_start, config.temperature, config.schedule)


def watch(done: Progress, figures: Mapping[str, float], config: LSTMGANConfig) -> None:
    """Counts the rounds in which training looked finished, or begins anew."""
    if config.stop == "loss":
        figure = figures["g_loss"]
    elif config.stop == "accuracy" and "d_accuracy" in figures:
        figure = abs(figures["d_accuracy"] - 0.5)
    else:
        return
    done.calm = done.calm + 1 if figure < config.stop_below else 0


def stopped(done: Progress, config: LSTMGANConfig) -> bool:
    return config.stop != "never" and done.calm >= config.stop_rounds


class Game:
    """Generator and discriminator, with their optimisers."""

    def __init__(self, corpus: Corpus, config: LSTMGANConfig, generator: LatentGenerator, run: Run) -> None:
        self.corpus, self.config, self.generator, self.run = corpus, config, generator, run
        self.net = generator.net
        sizes, vocab = config.discriminator, corpus.vocab
        with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream
            self.discriminator = LSTMDiscriminator(
                vocab.n_inputs, vocab.pad, sizes.embedding, sizes.hidden, sizes.layers
            )
        self.discriminator.initialise(run.rng("discriminator weights"))
        self.discriminator.to(run.device).train()  # without dropout; cuDNN has gradients in this mode alone
        self.g_optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, fused=True)
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), sizes.learning_rate, fused=True)
        self.baseline = RewardBaseline("moving_average", config.baseline_decay)

    def write(self, temperature: float) -> Relaxed:
        """Texts by straight-through Gumbel-softmax: their tokens are draws from softmax(logits) at any temperature."""
        rng, device = self.run.rng("gumbel"), self.run.device

        def draw(logits: Tensor) -> Tensor:
            uniforms = torch.rand(logits.shape, generator=rng).to(device, non_blocking=True)
            return gumbel_softmax(logits, temperature, uniforms)

        return unroll(self.net, self._codes(), draw, self.generator.limits, self.corpus.vocab.pad, hard=True)

    def gumbel_step(self, temperature: float) -> dict[str, float]:
        """One step down -log D of texts that the gradient goes through."""
        table = self.discriminator.embedding.weight[: self.corpus.vocab.size]
        with without_dropout(self.net):
            written = self.write(temperature)
            log_odds = self.discriminator.judge(written.embed(table), written.lengths)
            loss = -F.logsigmoid(log_odds).mean()
            gradient = descend(self.g_optimizer, loss, self.net, self.config.clip)
        figures = {"g_loss": loss, "reward": log_odds.sigmoid().mean(), "gradient": gradient}
        return {name: float(figure.detach()) for name, figure in figures.items()} | {"temperature": temperature}

    def reinforce_step(self) -> dict[str, float]:
        """One step up the expected D(text): each token is weighed by the reward of its whole text."""
        z, tokens = self.sample()
        emitted = tokens != self.corpus.vocab.pad
        with torch.no_grad():
            log_odds = self.discriminator(tokens)
        rewards = log_odds.sigmoid().unsqueeze(1)
        advantages = self.baseline.advantage(rewards, torch.ones_like(rewards)) * emitted
        inputs = torch.cat([torch.full_like(tokens[:, :1], self.corpus.vocab.bos), tokens[:, :-1]], 1)
        with without_dropout(self.net):
            figures = policy_gradient_step(
                self.net,
                self.g_optimizer,
                self.net(inputs, (z,)),
                tokens,
                advantages,
                emitted,
                scale="sequence",
                clip=self.config.clip,
            )
        figures |= {"g_loss": -F.logsigmoid(log_odds).mean(), "reward": rewards.mean()}
        return {name: float(figure) for name, figure in figures.items()}

    def discriminator_step(self) -> dict[str, float]:
        """One step on as many lines of train as fresh samples; the mean of both classes' cross-entropies."""
        train, pad = self.corpus.splits["train"].targets, self.corpus.vocab.pad
        rows = torch.randint(len(train), (self.config.batch,), generator=self.run.rng("lines")).numpy()
        real = torch.from_numpy(train.take(rows).padded(pad)).to(self.run.device)
        on_real, on_fake = self.discriminator(real), self.discriminator(self.sample()[1])
        loss = -(F.logsigmoid(on_real).mean() + F.logsigmoid(-on_fake).mean()) / 2
        accuracy = ((on_real > 0).double().mean() + (on_fake <= 0).double().mean()) / 2
        descend(self.d_optimizer, loss, self.discriminator, self.config.clip)
        return {"d_loss": float(loss.detach()), "d_accuracy": float(accuracy)}

    @torch.no_grad()
    def sample(self) -> tuple[Tensor, Tensor]:
        """Codes [batch, latent] and a text from each, tokens [batch, time], `pad` after `</s>`."""
        z, limits = self._codes(), self.generator.limits
        uniforms = torch.rand(len(z), limits.max_length, generator=self.run.rng("negatives")).to(self.run.device)
        self.net.eval()
        pad = self.corpus.vocab.pad
        with self.net.fixed_weights():
            drawn = sample_with_states(self.net, (z,), uniforms, bos=limits.bos, pad=pad, eos=limits.eos)
        return z, drawn.tokens

    def state(self, done: Progress) -> dict[str, Any]:
        """Everything between two rounds."""
        return {
            "progress": vars(done),
            **players_state(self),
            "baseline": self.baseline.value,
        }

    def restore(self, saved: Mapping[str, Any] | None) -> Progress:
        """Puts back what `state` gave; a fresh start without it."""
        if saved is None:
            return Progress()
        set_players(self, saved)
        self.baseline.value = saved["baseline"]
        return Progress(**saved["progress"])

    def _codes(self) -> Tensor:
        z = draw_latent(self.config.batch, self.config.latent, self.config.prior, self.run.rng("latent"))
        return z.to(self.run.device, non_blocking=True)
