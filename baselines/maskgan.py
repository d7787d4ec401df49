"""MaskGAN (Fedus, Goodfellow and Dai 2018, arXiv 1801.07736): text by filling in blanks, token by token rewarded.

A language model becomes an in-filling network, is trained to fill blanks by maximum likelihood (MaskMLE), then against
a discriminator that reads the same blanks and judges each token filled in, with a critic as baseline. Where this
differs from paper or official code is told in `docs/methods/maskgan.md`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from baselines.base import Baseline, BaselineConfig, Run, State
from baselines.infilling import InfillingGenerator, MaskKind, choose_blanks, fill
from baselines.nets.base import Memory
from baselines.nets.infilling import InfillingNet, TokenDiscriminator
from baselines.neural import NetConfig
from baselines.training.batches import Rows, bucketed, shifted
from baselines.training.loss import cross_entropy
from baselines.training.mle import MLE_BUDGETS, MLEConfig, pretrain, pretraining_spec
from baselines.training.policy_gradient import Scale, discounted, policy_gradient_step, without_dropout
from baselines.training.saving import moments, players_state, set_moments, set_players
from tasks.base import Corpus, Ragged

SPEC_VERSION = 1  # of MaskMLE: goes up whenever an equal spec and seed would give other weights
EPSILON = 1e-7  # code: model_losses.py, keeps log D finite


class MaskConfig(BaselineConfig):
    """Which places of a training text are blank."""

    kind: MaskKind = "contiguous"  # code: --mask_strategy=contiguous
    rate: float = Field(default=0.5, gt=0, le=1)  # code: --is_present_rate=0.5, the share that is *not* blank
    full_share: float = Field(default=0.5, ge=0, le=1)  # ours: steps on texts all blank, which is how samples are drawn


class MaskMLEConfig(BaselineConfig):
    """Filling blanks by maximum likelihood. "code" is the authors' README and `train_mask_gan.py`."""

    steps: PositiveInt = 100_000  # code: --max_steps
    batch: PositiveInt = 20  # code
    learning_rate: PositiveFloat = 7.4876e-4  # code: gen_learning_rate
    decay: float = Field(default=0.95, gt=0, le=1)  # code: gen_learning_rate_decay; ours: after each interval
    interval: PositiveInt = 2000  # ours: steps between looks at valid; the best look's weights are kept
    clip: PositiveFloat = 10.0  # code


# The in-filling network has the sizes of the language model it starts from. Sizes are the code's; the authors left the
# language model's training out ("instructions WIP"), so it is trained as this suite trains one.
_PAPER_NET = NetConfig(
    embedding=650,  # code: gen_rnn_size
    hidden=650,
    layers=2,  # code: gen_num_layers
    tied=True,  # code: softmax_w is the embedding, transposed
    dropout=0.5,  # ours: Zaremba et al. 2014 at this size
    init="uniform",
    init_scale=0.05,
)


class MaskGANConfig(BaselineConfig):
    """Defaults are those for PTB. "code" is tensorflow/models research/maskgan: its README and `model_losses.py`."""

    mle: MLEConfig = MLEConfig(net=_PAPER_NET, batch=20, learning_rate=7.4876e-4, clip=10.0)
    mask: MaskConfig = MaskConfig()
    maskmle: MaskMLEConfig = MaskMLEConfig()
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
    valid_rows: PositiveInt = 500  # the first of valid, looked at


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


@dataclass(frozen=True)
class Puzzle:
    """Texts with blanks.

    Attributes:
        tokens: [batch, time], solved, padded.
        blanks: [batch, time], never behind a text's end.
        read: m(x) [batch, time] and its lengths [batch]; None: all is blank, and lengths are not told.
    """

    tokens: Tensor
    blanks: Tensor
    read: tuple[Tensor, Tensor] | None

    def memory(self, net: InfillingNet) -> Memory:
        return () if self.read is None else net.encode(*self.read)


def make_puzzle(generator: InfillingGenerator, texts: Ragged, config: MaskConfig, rng: torch.Generator) -> Puzzle:
    """Blanks for training texts: all is blank in some steps, part of each text in the others."""
    padded = torch.from_numpy(texts.padded(generator.collator.target_pad))
    if float(torch.rand((), generator=rng)) < config.full_share:
        return Puzzle(padded.to(generator.device), (padded != generator.collator.target_pad).to(generator.device), None)
    lengths = torch.from_numpy(texts.lengths)
    blanks = choose_blanks(lengths, config.rate, config.kind, rng).to(generator.device)
    tokens = padded.to(generator.device)
    return Puzzle(tokens, blanks, (tokens.masked_fill(blanks, generator.net.blank_id), lengths.to(generator.device)))


def maskmle_spec(corpus: Corpus, config: MaskGANConfig) -> dict[str, Any]:
    """What MaskMLE's weights depend on, besides task, data and seed."""
    settings = config.model_dump(mode="json", include={"mask", "maskmle", "valid_rows"})
    return {"method": "maskmle", "version": SPEC_VERSION, "start": pretraining_spec(corpus, config.mle), **settings}


@dataclass
class Course:
    """How far MaskMLE is."""

    step: int = 0
    order_seed: int = 0  # of the present pass over the data
    best: float = math.inf  # nats per blank, on valid


def train_maskmle(generator: InfillingGenerator, corpus: Corpus, config: MaskGANConfig, run: Run) -> State:
    """Maximum likelihood of what is blank, from the language model on; gives the weights that were best on valid."""
    net, own, train = generator.net, config.maskmle, corpus.splits["train"]
    optimizer = torch.optim.Adam(net.parameters(), own.learning_rate, fused=True)
    passes, batches = -(-len(train) // own.batch), list[Rows]()  # steps in one pass over the data
    course, best, saved = Course(), State(), run.resume()
    if saved is not None:
        course, best = Course(**saved["course"]), saved["best"]
        net.load_state_dict(saved["net"])
        set_moments(net, optimizer, saved["moments"])
    while course.step < own.steps:
        place = course.step % passes
        if place == 0:
            course.order_seed = int(torch.randint(2**62, (), generator=run.rng("order")))
        if place == 0 or not batches:
            batches = bucketed(train.targets, None, own.batch, course.order_seed)
        optimizer.param_groups[0]["lr"] = own.learning_rate * own.decay ** (course.step // own.interval)
        puzzle = make_puzzle(generator, train.targets.take(batches[place]), config.mask, run.rng("blanks"))
        loss = maskmle_step(generator, optimizer, puzzle, own)
        course.step += 1
        if course.step % 20 == 0:
            run.progress("maskmle", course.step, own.steps, nll=float(loss))
        if course.step % own.interval == 0 or course.step == own.steps:
            looks = look_at_valid(generator, corpus, config)
            run.log("maskmle", course.step, train_nll=float(loss), **looks)
            share = config.mask.full_share
            mean = share * looks["valid_nll"] + (1 - share) * looks["fill_nll"]
            if mean < course.best:
                course.best, best = mean, copy.deepcopy(net.state_dict())
        run.checkpoint(partial(_maskmle_state, net, optimizer, course, best))
    return best


def _maskmle_state(net: nn.Module, optimizer: torch.optim.Optimizer, course: Course, best: State) -> dict[str, Any]:
    return {"net": net.state_dict(), "moments": moments(net, optimizer), "course": vars(course), "best": best}


def maskmle_step(
    generator: InfillingGenerator, optimizer: torch.optim.Optimizer, puzzle: Puzzle, config: MaskMLEConfig
) -> Tensor:
    """One update; gives the mean -log p of what is blank, nats."""
    net = generator.net
    net.train()
    features = net(shifted(puzzle.tokens, generator.limits.bos), puzzle.memory(net))[puzzle.blanks]
    loss = cross_entropy(features, net.output, puzzle.tokens[puzzle.blanks]) / len(features)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(net.parameters(), config.clip)
    optimizer.step()
    net.eval()
    return loss.detach()


def look_at_valid(generator: InfillingGenerator, corpus: Corpus, config: MaskGANConfig) -> dict[str, float]:
    """On the first rows of valid, with the same blanks at every look: -log p of a token with all blank, and of a blank
    given the rest, nats; and the share of blanks that a draw fills with the very token that stood there."""
    rng, valid = torch.Generator().manual_seed(0), corpus.splits["valid"]
    texts = valid.targets.take(np.arange(min(config.valid_rows, len(valid))))
    where = choose_blanks(torch.from_numpy(texts.lengths), config.mask.rate, config.mask.kind, rng).numpy()
    blanks = where[np.arange(where.shape[1]) < texts.lengths[:, None]]
    filled = generator.infill(texts, blanks, rng=rng)
    return {
        "valid_nll": -float(generator.token_log_probs(texts).mean()),
        "fill_nll": -float(generator.fill_log_probs(texts, blanks).mean()),
        "fill_accuracy": float((filled.flat == texts.flat)[blanks].mean()),
    }


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
