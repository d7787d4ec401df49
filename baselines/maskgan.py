"""MaskGAN (Fedus, Goodfellow and Dai 2018, arXiv 1801.07736): text by filling in blanks, token by token rewarded.

A language model becomes an in-filling network, is trained to fill blanks by maximum likelihood (MaskMLE), then against
a discriminator that reads the same blanks and judges each token filled in, with a critic as baseline. Where this
differs from paper or official code is told in `docs/methods/maskgan.md`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from baselines.base import Baseline, BaselineConfig, Run, State
from baselines.infilling import InfillingGenerator, fill
from baselines.nets.infilling import InfillingNet, TokenDiscriminator
from baselines.neural import NetConfig
from baselines.training.batches import shifted
from baselines.training.maskmle import MaskMLESettings, Puzzle, look_at_valid, make_puzzle, maskmle_spec, train_maskmle
from baselines.training.mle import MLE_BUDGETS, pretrain, pretraining_spec
from baselines.training.policy_gradient import Scale, discounted, policy_gradient_step, without_dropout
from baselines.training.saving import moments, players_state, set_moments, set_players
from tasks.base import Corpus

EPSILON = 1e-7  # code: model_losses.py, keeps log D finite


class MaskGANConfig(MaskMLESettings):
    """Defaults are those for PTB. "code" is tensorflow/models research/maskgan: its README and `model_losses.py`."""

    d_pretrain_steps: NonNegativeInt = 0  # of D and critic; code: none that its README asks for
    rounds: NonNegativeInt = 100_000  # code: --max_steps
    d_steps: PositiveInt = 2  # code: dis_train_iterations, to one step of G
    batch: PositiveInt = 128  # code
    learning_rate: PositiveFloat = 3.8877e-5  # code: gen_learning_rate
    d_learning_rate: PositiveFloat = 5e-4  # code: dis_learning_rate
    critic_learning_rate: PositiveFloat = 5.1761e-7  # code
    d_dropout: float = Field(default=1 - 0.71940, ge=0, lt=1)  # code: 1 - dis_vd_keep_prob
    gamma: float = Field(default=0.89072, ge=0, le=1)  # code: rl_discount_rate
    advantage_clip: PositiveFloat = 5.0  # code: --advantage_clipping
    clip: PositiveFloat = 10.0  # code
    scale: Scale = "sequence"  # ours: summed over time, mean over the batch; "sum" is the code's
    log_every: PositiveInt = 10  # rounds between lines of the log
    valid_every: PositiveInt = 1000  # rounds between looks at valid


# The smaller schedules keep the paper's shape with fewer steps and larger rates. D and critic get some steps before the
# game: with rewards below 0 throughout, a critic that knows nothing tells G to end its texts early.
_SMALL: dict[str, Any] = {
    "maskmle": {"steps": 300, "batch": 64, "learning_rate": 3e-3, "decay": 0.7, "interval": 100, "clip": 5.0},
    "d_pretrain_steps": 20,
    "rounds": 50,
    "batch": 64,
    "learning_rate": 1e-4,
    "d_learning_rate": 1e-3,
    "critic_learning_rate": 1e-2,
    "clip": 5.0,
    "valid_every": 25,
}
_SMOKE: dict[str, Any] = {
    **_SMALL,
    "maskmle": {"steps": 60, "batch": 32, "learning_rate": 3e-3, "decay": 0.7, "interval": 20, "clip": 5.0},
    "d_pretrain_steps": 6,
    "rounds": 15,
    "batch": 32,
    "log_every": 3,
    "valid_every": 5,
    "valid_rows": 100,
}
_ORACLE: dict[str, Any] = {
    "maskmle": {"learning_rate": 1e-2},
    "learning_rate": 1e-3,
    "d_learning_rate": 5e-3,
    "critic_learning_rate": 5e-2,
}
_ADVERSARIAL: dict[str, dict[str, Any]] = {
    "smoke": _SMOKE,
    "smoke/oracle": _ORACLE,
    "small": _SMALL,
    "small/oracle": {
        **_ORACLE,
        "maskmle": {"steps": 1500, "interval": 250, "learning_rate": 1e-2},
        "d_pretrain_steps": 40,
        "rounds": 400,
        "valid_every": 100,
    },
    "small/poetry": {"maskmle": {"steps": 600, "interval": 150}, "rounds": 150, "valid_every": 50},
    "small/captions": {"maskmle": {"steps": 400}, "rounds": 80, "valid_every": 40},
}
BUDGETS: dict[str, dict[str, Any]] = {
    key: {**_ADVERSARIAL.get(key, {}), "mle": MLE_BUDGETS.get(key, {})}
    for key in {**MLE_BUDGETS, **_ADVERSARIAL}
    if not key.startswith("paper")
} | {"paper": {}}


class MaskGAN(Baseline):
    name: ClassVar[str] = "maskgan"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "fills blanks; each token rewarded by a discriminator that reads the blanks, with a critic"
    source: ClassVar[str] = "Fedus et al. 2018, arXiv 1801.07736"
    adversarial: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = MaskGANConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        if corpus.kind == "conditional":
            return "fills blanks in a text of its own; it reads no source"
        return None

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> InfillingGenerator:
        return InfillingGenerator(build_body(corpus, self.config.mle.net, self.config.mle.net.dropout), corpus)

    def fit(self, corpus: Corpus, run: Run) -> InfillingGenerator:
        """Language model, then MaskMLE, then the game; the first two are kept as stages of their own."""
        config: MaskGANConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.start_from(pretrain(corpus, config.mle, run))
        language_model = copy.deepcopy(generator.net.state_dict())
        spec = maskmle_spec(corpus, config)
        generator.net.load_state_dict(run.pretrained(spec, lambda own: train_maskmle(generator, corpus, config, own)))

        game = Game(corpus, config, generator, run)
        done = game.restore(run.resume())
        if done.d_steps == 0:
            self._keep_stages(generator, language_model, run)

        while done.d_steps < config.d_pretrain_steps:
            figures = game.discriminator_step() | {"critic_loss": float(game.critic_step()[2]["critic_loss"])}
            done.d_steps += 1
            run.progress("discriminator", done.d_steps, config.d_pretrain_steps, **figures)
            if done.d_steps % config.log_every == 0 or done.d_steps == config.d_pretrain_steps:
                run.log("discriminator", done.d_steps, **figures)
            run.checkpoint(lambda: game.state(done))

        while done.rounds < config.rounds:
            figures = {}
            for _ in range(config.d_steps):
                figures |= game.discriminator_step()
                done.d_steps += 1
            figures |= game.generator_step()
            done.rounds += 1
            if done.rounds % config.valid_every == 0 or done.rounds == config.rounds:
                figures |= look_at_valid(generator, corpus, config)
            if done.rounds % config.log_every == 0 or "valid_nll" in figures:
                run.log("adversarial", done.rounds, **figures)
            run.progress("adversarial", done.rounds, config.rounds, reward=figures["reward"])
            run.checkpoint(lambda: game.state(done))
        return generator

    def _keep_stages(self, generator: InfillingGenerator, language_model: State, run: Run) -> None:
        """The language model as a generator (the in-filling network has its very likelihood), and MaskMLE."""
        maskmle = copy.deepcopy(generator.net.state_dict())
        generator.net.load_state_dict(language_model)
        run.snapshot("pretrain", generator)
        generator.net.load_state_dict(maskmle)
        run.snapshot("maskmle", generator)


def build_body(corpus: Corpus, config: NetConfig, dropout: float) -> InfillingNet:
    """The network of generator and discriminator; its weights are not yet those of a seed."""
    sizes = config.model_dump(include={"embedding", "hidden", "layers", "tied"})
    longest = corpus.fixed_length or corpus.max_target_length
    with torch.random.fork_rng(devices=[]):
        return InfillingNet(corpus.vocab.size, longest, dropout=dropout, **sizes)


def discriminator_loss(
    real_logits: Tensor, real_blanks: Tensor, fake_logits: Tensor, fake_blanks: Tensor
) -> tuple[Tensor, Tensor]:
    """Sigmoid cross-entropy on blanks alone, real and filled in weighing the same; and the accuracy there.

    All [batch, time]; log-odds of "real".
    """
    real, fake = real_logits[real_blanks], fake_logits[fake_blanks]
    loss = (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
    accuracy = ((real > 0).double().mean() + (fake <= 0).double().mean()) / 2
    return loss, accuracy.detach()


def rewards_and_returns(logits: Tensor, blanks: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """r_t = log(D_t + 1e-7) and R_t = sum of gamma^(s - t) r_s over blanks s >= t; [batch, time], 0 elsewhere."""
    rewards = torch.log(torch.sigmoid(logits) + EPSILON).masked_fill(~blanks, 0.0)
    return rewards, discounted(rewards, blanks, gamma)


def clipped_advantages(returns: Tensor, values: Tensor, blanks: Tensor, clip: float) -> Tensor:
    """R_t - V_t within [-clip, clip]; 0 where no blank is."""
    return (returns - values).clamp(-clip, clip).masked_fill(~blanks, 0.0)


@dataclass
class Progress:
    """How far the game is; with weights, moments and random streams all that an interruption must not lose."""

    d_steps: int = 0  # of the discriminator, those before the game counted too
    rounds: int = 0


class Game:
    """Generator, discriminator and critic, with their optimisers."""

    def __init__(self, corpus: Corpus, config: MaskGANConfig, generator: InfillingGenerator, run: Run) -> None:
        self.corpus, self.config, self.generator, self.run = corpus, config, generator, run
        self.net = generator.net
        body = build_body(corpus, config.mle.net, config.d_dropout)
        body.load_state_dict(self.net.state_dict())  # code: the discriminator too starts from MaskMLE
        with torch.random.fork_rng(devices=[]):
            self.discriminator = TokenDiscriminator(body).to(run.device).eval()
        critic = self.discriminator.value
        judge = [*self.discriminator.body.parameters(), *self.discriminator.judge.parameters()]
        self.g_optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, fused=True)
        self.d_optimizer = torch.optim.Adam(judge, config.d_learning_rate, fused=True)
        self.critic_optimizer = torch.optim.Adam(critic.parameters(), config.critic_learning_rate, fused=True)

    def discriminator_step(self) -> dict[str, float]:
        """One step on the blanks of training texts, as they were and as the generator fills them."""
        real = self._puzzle()
        fake = self.solve(real)
        judge, bos = self.discriminator, self.generator.limits.bos
        judge.train()
        memory = real.memory(judge.body)
        real_logits, fake_logits = (judge.logits(judge.read(side.tokens, bos, memory)) for side in (real, fake))
        loss, accuracy = discriminator_loss(real_logits, real.blanks, fake_logits, fake.blanks)
        self.d_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.d_optimizer.param_groups[0]["params"], self.config.clip)
        self.d_optimizer.step()
        judge.eval()
        return {"d_loss": float(loss.detach()), "d_accuracy": float(accuracy)}

    def critic_step(self) -> tuple[Puzzle, Tensor, dict[str, Tensor]]:
        """Fresh fills, judged; the critic's V_t moves towards R_t (squared error on blanks), its head alone.

        Returns:
            The fills, their advantages by the critic as it was before [batch, time], and figures.
        """
        config, judge = self.config, self.discriminator
        filled = self.solve(self._puzzle())
        with torch.no_grad():
            features = judge.read(filled.tokens, self.generator.limits.bos, filled.memory(judge.body))
            rewards, returns = rewards_and_returns(judge.logits(features), filled.blanks, config.gamma)
        values = judge.values(features, filled.read is None)
        advantages = clipped_advantages(returns, values.detach(), filled.blanks, config.advantage_clip)
        loss = F.mse_loss(values[filled.blanks], returns[filled.blanks])
        self.critic_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.critic_optimizer.step()
        count = filled.blanks.sum()
        figures = {"reward": rewards.sum() / count, "advantage": advantages.sum() / count}
        return filled, advantages, {**figures, "critic_loss": loss.detach(), "blanks": count / len(rewards)}

    def generator_step(self) -> dict[str, float]:
        """One step of policy gradient on what the generator filled in."""
        net = self.net
        filled, advantages, figures = self.critic_step()
        with without_dropout(net):
            features = net(shifted(filled.tokens, self.generator.limits.bos), filled.memory(net))
            figures |= policy_gradient_step(
                net,
                self.g_optimizer,
                features,
                filled.tokens,
                advantages,
                filled.blanks,
                scale=self.config.scale,
                clip=self.config.clip,
            )
        net.eval()
        return {name: float(figure) for name, figure in figures.items()}

    @torch.no_grad()
    def solve(self, puzzle: Puzzle) -> Puzzle:
        """The same blanks, filled by the generator; where all is blank, texts of lengths of its own."""
        generator, rng = self.generator, self.run.rng("fills")
        if puzzle.read is None:
            texts = generator.sample(len(puzzle.tokens), temperature=1.0, rng=rng)
            tokens = torch.from_numpy(texts.padded(self.corpus.vocab.pad)).to(self.run.device)
            return Puzzle(tokens, tokens != self.corpus.vocab.pad, None)
        self.net.eval()
        uniforms = torch.rand(puzzle.tokens.shape, generator=rng).to(self.run.device)
        memory, bos = puzzle.memory(self.net), generator.limits.bos
        tokens = fill(self.net, memory, puzzle.tokens, puzzle.blanks, uniforms, bos=bos)
        return Puzzle(tokens, puzzle.blanks, puzzle.read)

    def _critic_step(self, values: Tensor, returns: Tensor) -> Tensor:
        """Moves V_t towards R_t, both [blanks]; of the discriminator only the value's head moves."""
        loss = F.mse_loss(values, returns)
        self.critic_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.critic_optimizer.step()
        return loss.detach()

    def _puzzle(self) -> Puzzle:
        """Random training texts with fresh blanks."""
        train = self.corpus.splits["train"].targets
        rows = torch.randint(len(train), (self.config.batch,), generator=self.run.rng("texts")).numpy()
        return make_puzzle(self.generator, train.take(rows), self.config.mask, self.run.rng("blanks"))

    def state(self, done: Progress) -> dict[str, Any]:
        """Everything between two rounds, or two steps of the discriminator before them."""
        return {
            "progress": vars(done),
            **players_state(self),
            "critic_moments": moments(self.discriminator, self.critic_optimizer),
        }

    def restore(self, saved: Mapping[str, Any] | None) -> Progress:
        """Puts back what `state` gave; a fresh start without it."""
        if saved is None:
            return Progress()
        set_players(self, saved)
        set_moments(self.discriminator, self.critic_optimizer, saved["critic_moments"])
        return Progress(**saved["progress"])
