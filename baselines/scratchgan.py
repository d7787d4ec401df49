"""ScratchGAN (de Masson d'Autume, Rosca, Rae and Mohamed 2019, arXiv 1905.09922): a language GAN with no pre-training.

REINFORCE with a reward for every token, from a discriminator that reads like a language model; large batches, a short
horizon and a moving baseline keep the gradient's variance down. Where this differs from paper or official code is told
in `docs/methods/scratchgan.md`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from baselines.base import Baseline, BaselineConfig, Run
from baselines.nets.lstm import RecurrentNet, initialise
from baselines.nets.token_discriminator import TokenDiscriminator
from baselines.neural import NetConfig, NeuralGenerator, build_net
from baselines.training.batches import shifted
from baselines.training.policy_gradient import RewardBaseline, discounted, policy_gradient_step, without_dropout
from baselines.training.rollout import sample_with_states
from baselines.training.saving import players_state, set_players
from baselines.training.valid import valid_nll
from tasks.base import Corpus


class ReaderConfig(BaselineConfig):
    """The discriminator and its optimiser. "code" is `train.py` of deepmind-research/scratchgan, the authors'."""

    embedding: PositiveInt = 364  # code: 300 of GloVe and 64 that are trained; ours are all trained
    hidden: PositiveInt = 512  # code: disc_feature_size
    positions: int = Field(default=8, ge=0)  # code: position_dim
    dropout: float = Field(default=0.1, ge=0, lt=1)  # code: disc_dropout, on the embedding table
    l2: NonNegativeFloat = 1e-6  # code: l2_disc, of half the squared norm of all its weights
    scale: PositiveFloat = 0.3836  # code: GLOVE_STD, first deviation of an embedding
    learning_rate: PositiveFloat = 9.38e-3  # code: disc_lr
    beta1: float = Field(default=0.5, ge=0, lt=1)  # code: disc_beta1


class ScratchGANConfig(BaselineConfig):
    """Defaults are the official code's ("code": `train.py`), which are the paper's EMNLP settings."""

    net: NetConfig = NetConfig(embedding=512, hidden=512, layers=2, tied=True)  # code: 2 layers of 512, tied
    discriminator: ReaderConfig = ReaderConfig()
    steps: int = Field(default=200_000, ge=0)  # code: num_steps
    d_steps: PositiveInt = 1  # code: num_disc_updates
    g_steps: PositiveInt = 1  # code: num_gen_updates
    batch: PositiveInt = 512  # code: batch_size
    learning_rate: PositiveFloat = 9.59e-5  # code: gen_lr
    beta1: float = Field(default=0.5, ge=0, lt=1)  # code: gen_beta1
    gamma: float = Field(default=0.23, ge=0, le=1)  # code: gamma
    baseline_decay: float = Field(default=0.08, ge=0, lt=1)  # code: baseline_decay, what the average keeps of the past
    clip: PositiveFloat | None = None  # code: the gradient is not clipped
    log_every: PositiveInt = 10  # steps between lines of the training curve
    valid_every: PositiveInt = 1000  # steps between looks at valid; code: export_every
    valid_rows: PositiveInt = 500  # the first of valid, looked at


# One CPU thread can't give a GAN from scratch the steps that it needs (docs/methods/scratchgan.md): small networks,
# small batches and larger rates, to see at least its beginning.
_SMALL: dict[str, Any] = {
    "net": {"embedding": 128, "hidden": 128, "layers": 1},
    "discriminator": {"embedding": 64, "hidden": 128, "learning_rate": 2e-3},
    "steps": 500,
    "batch": 64,
    "learning_rate": 1e-3,
    "valid_every": 50,
}
_SMOKE: dict[str, Any] = {
    "net": {"embedding": 64, "hidden": 64, "layers": 1},
    "discriminator": {"embedding": 32, "hidden": 64, "learning_rate": 2e-3},
    "steps": 60,
    "batch": 64,
    "learning_rate": 2e-3,
    "valid_every": 20,
    "valid_rows": 200,
}
BUDGETS: dict[str, dict[str, Any]] = {"smoke": _SMOKE, "small": _SMALL, "paper": {}}


class ScratchGAN(Baseline):
    name: ClassVar[str] = "scratchgan"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "policy gradient from scratch, rewarded token by token by a recurrent discriminator"
    source: ClassVar[str] = "de Masson d'Autume et al. 2019, arXiv 1905.09922"
    adversarial: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = ScratchGANConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return None if corpus.kind == "free" else "ScratchGAN's generator reads no source"

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        config: ScratchGANConfig = self.config
        generator = self.build(corpus)
        assert isinstance(generator.net, RecurrentNet)
        initialise(generator.net, config.net.init, config.net.init_scale, run.rng("init"))
        game = Game(corpus, config, generator.to(run.device), run)
        done = game.restore(run.resume())
        if done == 0:
            run.snapshot("untrained", generator)

        while done < config.steps:
            figures: dict[str, float] = {}
            for _ in range(config.d_steps):
                figures |= game.discriminator_step()
            for _ in range(config.g_steps):
                figures |= game.generator_step()
            done += 1
            last = done == config.steps
            if done % config.valid_every == 0 or last:
                figures["valid_nll"] = valid_nll(generator, corpus, config.valid_rows)
            if done % config.log_every == 0 or "valid_nll" in figures:
                run.log("adversarial", done, **figures)
            run.progress("adversarial", done, config.steps, reward=figures["reward"])
            run.checkpoint(partial(game.state, done))
        return generator


class Game:
    """Both players with their optimisers."""

    def __init__(self, corpus: Corpus, config: ScratchGANConfig, generator: NeuralGenerator, run: Run) -> None:
        self.corpus, self.config, self.generator, self.run = corpus, config, generator, run
        self.net, reader, vocab = generator.net, config.discriminator, corpus.vocab
        with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream
            self.discriminator = TokenDiscriminator(
                vocab.n_inputs,
                vocab.pad,
                reader.embedding,
                reader.hidden,
                reader.positions,
                generator.limits.max_length,
                reader.dropout,
            )
        self.discriminator.initialise(run.rng("discriminator weights"), reader.scale)
        self.discriminator.to(run.device).eval()
        self.g_optimizer = torch.optim.Adam(
            self.net.parameters(), config.learning_rate, (config.beta1, 0.999), fused=True
        )
        # Adam's `weight_decay` adds l2 * weight to the gradient: that of l2 / 2 times the squared norm.
        self.d_optimizer = torch.optim.Adam(
            self.discriminator.parameters(),
            reader.learning_rate,
            (reader.beta1, 0.999),
            weight_decay=reader.l2,
            fused=True,
        )
        self.baseline = RewardBaseline("moving_average", config.baseline_decay)

    def discriminator_step(self) -> dict[str, float]:
        """One update of D: every token of real lines is real, every token of fresh samples is not."""
        real, fake = self.real(), self.fake()
        width = max(real.shape[1], fake.shape[1])
        tokens = torch.cat([F.pad(part, (0, width - part.shape[1]), value=self._pad) for part in (real, fake)])
        self.discriminator.train()
        odds = self.discriminator(tokens)
        self.discriminator.eval()
        loss = discriminator_loss(odds, tokens != self._pad)
        self.d_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.d_optimizer.step()
        opinion, inside = odds.detach().sigmoid(), tokens != self._pad
        means = [(part * mask).sum() / mask.sum() for part, mask in zip(opinion.chunk(2), inside.chunk(2), strict=True)]
        figures = {"d_loss": loss.detach(), "d_real": means[0], "d_fake": means[1]}
        return {name: float(figure) for name, figure in figures.items()}

    def generator_step(self) -> dict[str, float]:
        """One step of policy gradient on fresh samples."""
        config, tokens = self.config, self.fake()
        emitted = tokens != self._pad
        rewards = self.rewards(tokens)
        advantages = self.baseline.advantage(discounted(rewards, emitted, config.gamma), emitted)
        with without_dropout(self.net):
            figures = policy_gradient_step(
                self.net,
                self.g_optimizer,
                self.net(shifted(tokens, self.corpus.vocab.bos)),
                tokens,
                advantages,
                emitted,
                scale="sequence",
                clip=config.clip or math.inf,
            )
        self.net.eval()
        figures["reward"] = rewards.sum() / emitted.sum()
        figures["length"] = emitted.sum(1).double().mean()
        return {name: float(figure) for name, figure in figures.items()}

    @torch.no_grad()
    def rewards(self, tokens: Tensor) -> Tensor:
        """r_t = 2 D(y_t | y_<t) - 1, of each token [batch, time]; 0 after the end."""
        opinion: Tensor = self.discriminator(tokens).sigmoid()
        return (2 * opinion - 1) * (tokens != self._pad)

    def fake(self) -> Tensor:
        """Fresh samples [batch, time], `pad` after the end, from the policy without its dropout."""
        limits, batch = self.generator.limits, self.config.batch
        uniforms = torch.rand(batch, limits.max_length, generator=self.run.rng("samples")).to(self.run.device)
        # A table of all tokens' gates pays when more tokens are drawn than there are.
        table = self.net.fixed_weights() if uniforms.numel() > self.net.vocab_size else nullcontext()
        self.net.eval()
        with table:
            return sample_with_states(self.net, (), uniforms, bos=limits.bos, pad=self._pad, eos=limits.eos).tokens

    def real(self) -> Tensor:
        """Random lines of train [batch, time], `pad` after the end."""
        train = self.corpus.splits["train"].targets
        rows = torch.randint(len(train), (self.config.batch,), generator=self.run.rng("real")).numpy()
        return torch.from_numpy(train.take(rows).padded(self._pad)).to(self.run.device)

    def state(self, done: int) -> dict[str, Any]:
        """Everything between two steps."""
        return {
            "steps": done,
            **players_state(self),
            "baseline": self.baseline.value,
        }

    def restore(self, saved: Mapping[str, Any] | None) -> int:
        """Puts back what `state` gave; how many steps are done."""
        if saved is None:
            return 0
        set_players(self, saved)
        self.baseline.value = saved["baseline"]
        return int(saved["steps"])

    @property
    def _pad(self) -> int:
        return self.corpus.vocab.pad


def discriminator_loss(odds: Tensor, inside: Tensor) -> Tensor:
    """Half the mean cross-entropy over the real tokens and half that over the generated.

    Args:
        odds: log-odds of "real" [2 batch, time], the first half of the rows real.
        inside: [2 batch, time]; other places count neither as loss nor as tokens.
    """
    halves = []
    for part, mask, sign in zip(odds.chunk(2), inside.chunk(2), (-1.0, 1.0), strict=True):
        halves.append((F.softplus(sign * part) * mask).sum() / mask.sum())
    return (halves[0] + halves[1]) / 2
