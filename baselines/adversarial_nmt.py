"""Adversarial neural machine translation (Wu et al. 2017, arXiv 1704.06933; ACML 2018).

A translator learns by policy gradient to pass for a human before a 2-d CNN that reads the grid of source by target
words; every other mini-batch or so it is taught by maximum likelihood. There is no official code: where this differs
from the paper, and what the best-known public code gets wrong, is told in `docs/methods/adversarial_nmt.md`.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from baselines.base import Baseline, BaselineConfig, Run, State
from baselines.decoding import greedy, sample
from baselines.nets.grid_cnn import Activation, GridCNN
from baselines.neural import NeuralGenerator, build_net, evaluating, lacks
from baselines.training.batches import Batch, Rows, bucketed
from baselines.training.mle import MLE_BUDGETS, MLEConfig, pretrain, pretraining_spec
from baselines.training.pairs import Pairs, likelihood_step
from baselines.training.policy_gradient import BaselineKind, RewardBaseline, policy_gradient_step, without_dropout
from baselines.training.saving import moments, players_state, set_moments, set_players
from baselines.training.valid import valid_nll
from tasks.base import Corpus, Split

Optimizer = Literal["adam", "nesterov", "rmsprop", "sgd"]
Reward = Literal["minus_log_fake", "log_real"]


class GridConfig(BaselineConfig):
    """The discriminator. "code" is the public wangyirui/Adversarial-NMT, a third party's (`discriminator2.py`)."""

    filters: tuple[PositiveInt, PositiveInt] = (512, 256)  # code; 3x3 windows and pools of 2x2 are the paper's
    hidden: tuple[PositiveInt, PositiveInt] = (20, 20)  # code
    activation: Activation = "relu"  # code; a reader's notes say that the paper's is the sigmoid
    dropout: float = Field(default=0.5, ge=0, lt=1)  # code: before both hidden layers
    # Word tables. "frozen": the generator's as pre-trained ("as Wu et al. do", says the code); "tuned": these to begin
    # with; "own": drawn from U(-0.1, 0.1) as in the code, of width `embedding`.
    embeddings: Literal["frozen", "tuned", "own"] = "frozen"
    embedding: PositiveInt = 1000  # code; read with "own" alone


class AdversarialNMTConfig(BaselineConfig):
    """Defaults are the paper's, or where it was not at hand the public code's ("code", as above). "ours": neither."""

    mle: MLEConfig = MLEConfig()  # the generator and its pre-training, shared with every other method
    discriminator: GridConfig = GridConfig()
    batch: PositiveInt = 32  # code: --joint-batch-size of its script
    clip: PositiveFloat = 1.0  # code: --clip-norm of its script; of either player's gradient

    # What D tells from the data: "sample", as the reward is given for samples (ours); "greedy": the generator's
    # likeliest words, far easier to tell (code: those of beam search before the joint training, greedy ones in it).
    negatives: Literal["sample", "greedy"] = "sample"
    d_accuracy: float = Field(default=0.82, ge=0, le=1)  # code: D's pre-training ends at this accuracy ...
    d_pretrain_steps: PositiveInt = 20_000  # ... or after as many steps: ours
    d_pretrain_optimizer: Optimizer = "rmsprop"  # code
    d_pretrain_rate: PositiveFloat = 1e-4  # code
    held_out: PositiveInt = 1000  # ours: lines of train, at most a tenth of it, that D never learns from
    check_every: PositiveInt = 500  # ours: steps between looks at them

    steps: int = Field(default=80_000, ge=0)  # ours: as long as the first rate lasts
    mle_share: float = Field(default=0.5, ge=0, le=1)  # code, "as Wu et al. do": of the mini-batches
    reward: Reward = "minus_log_fake"  # paper: -log(1 - D); the other is log D
    baseline: BaselineKind = "moving_average"  # paper
    baseline_decay: float = Field(default=0.9, ge=0, lt=1)  # ours
    optimizer: Optimizer = "sgd"  # code
    learning_rate: PositiveFloat = 1e-3  # code
    d_steps: int = Field(default=1, ge=0)  # code: a step of D after each of G's
    d_optimizer: Optimizer = "nesterov"  # code: momentum 0.9
    d_rate: PositiveFloat = 1e-3  # ours
    halve_every: PositiveInt = 80_000  # code: both rates, in steps

    select: Literal["last", "valid"] = "last"  # "valid": best valid NLL among looks
    log_every: PositiveInt = 10  # steps between lines of the training curve
    valid_every: PositiveInt = 1000  # steps between looks at valid
    valid_rows: PositiveInt = 500  # the first of valid, looked at


# Plain SGD at the public code's rate needs tens of thousands of steps. Where there are hundreds, Adam takes its place,
# at a rate that a pre-trained generator survives, and the discriminator is smaller and learns faster.
_QUICK: dict[str, Any] = {
    "optimizer": "adam",
    "d_pretrain_optimizer": "adam",
    "d_optimizer": "adam",
    "d_pretrain_rate": 1e-3,
    "d_rate": 3e-4,
    "clip": 5.0,
    "learning_rate": 1e-4,
}
_ADVERSARIAL: dict[str, dict[str, Any]] = {
    "smoke": {
        **_QUICK,
        "discriminator": {"filters": (32, 32), "hidden": (32, 32), "dropout": 0.2},
        "d_pretrain_steps": 24,
        "held_out": 100,
        "check_every": 12,
        "steps": 24,
        "learning_rate": 3e-4,
        "valid_every": 12,
        "valid_rows": 200,
    },
    "smoke/summarization": {"batch": 16},
    "small": {
        **_QUICK,
        "discriminator": {"filters": (64, 64), "hidden": (32, 32), "dropout": 0.2},
        "batch": 64,
        "d_pretrain_steps": 600,
        "held_out": 500,
        "check_every": 50,
        "steps": 300,
        "valid_every": 50,
    },
    "small/summarization": {"batch": 32, "d_pretrain_steps": 200, "check_every": 25, "held_out": 200, "steps": 120},
    "small/dialogue": {"d_pretrain_steps": 200, "steps": 150},
    "paper": {},
}
BUDGETS = {
    key: {**_ADVERSARIAL.get(key, {}), "mle": MLE_BUDGETS.get(key, {})}
    for key in {**MLE_BUDGETS, **_ADVERSARIAL}
    if key.partition("/")[2] in ("", "conditional", "translation", "summarization", "dialogue")
}


@dataclass
class Progress:
    """How far training is; with both players, their optimisers and the random streams all that must not be lost."""

    d_pretrain_steps: int = 0
    ready: bool = False  # the discriminator's pre-training is over
    steps: int = 0
    latest: dict[str, float] = field(default_factory=dict)  # figures of the last step of each kind
    best: float = math.inf  # valid NLL, nats per token, where the best look decides
    best_weights: State = field(default_factory=dict)


class AdversarialNMT(Baseline):
    name: ClassVar[str] = "adversarial_nmt"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "policy gradient against a 2-d CNN over the grid of source by target words, half MLE"
    source: ClassVar[str] = "Wu et al. 2017, arXiv 1704.06933"
    adversarial: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = AdversarialNMTConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        if corpus.source_vocab is None:
            return "its discriminator reads a grid of source by target words: it needs a source"
        if len(corpus.splits["train"]) < 2:
            return "one line of train leaves none to measure the discriminator on"
        return lacks(corpus, self.config.mle.net)

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.mle.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        config: AdversarialNMTConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.load_state_dict(pretrain(corpus, config.mle, run))  # G is pre-trained by maximum likelihood
        game = Game(corpus, config, generator, run)
        done = game.restore(run.resume())
        if done.d_pretrain_steps == 0:
            run.snapshot("pretrain", generator)

        while not done.ready:  # D is pre-trained to an accuracy
            figures = game.discriminator_step(game.d_pretrain_optimizer)
            done.d_pretrain_steps += 1
            over = done.d_pretrain_steps == config.d_pretrain_steps
            if over or done.d_pretrain_steps % config.check_every == 0:
                figures |= game.look_at_held_out()
                done.ready = over or figures["held_out_accuracy"] >= config.d_accuracy
                game.baseline.value = figures["held_out_reward"]  # so that no batch is in its own baseline
                run.log("discriminator", done.d_pretrain_steps, **figures)
            run.progress("discriminator", done.d_pretrain_steps, config.d_pretrain_steps, **figures)
            run.checkpoint(lambda: game.state(done))

        while done.steps < config.steps:  # both are trained together
            game.set_rates(done.steps)
            figures = game.likelihood_step() if game.likelihood_is_next() else game.policy_step()
            for _ in range(config.d_steps):
                figures |= game.discriminator_step(game.d_optimizer)
            done.steps += 1
            done.latest |= figures
            look = {}
            if done.steps % config.valid_every == 0 or done.steps == config.steps:
                look = game.look_at_held_out() | game.look_at_valid(done)
            if look or done.steps % config.log_every == 0:
                run.log("adversarial", done.steps, **done.latest, **look)
            run.progress("adversarial", done.steps, config.steps, **figures)
            run.checkpoint(lambda: game.state(done))

        return game.chosen(done)


class Game:
    """The translator G and the discriminator D, with their optimisers and the batches that they learn from."""

    def __init__(self, corpus: Corpus, config: AdversarialNMTConfig, generator: NeuralGenerator, run: Run) -> None:
        self.corpus, self.config, self.generator, self.run = corpus, config, generator, run
        self.net = generator.net
        self.discriminator = build_discriminator(corpus, config.discriminator, generator, run.rng("discriminator"))
        self.discriminator.to(run.device).eval()
        self.g_optimizer = make_optimizer(config.optimizer, self.net, config.learning_rate)
        self.d_pretrain_optimizer = make_optimizer(
            config.d_pretrain_optimizer, self.discriminator, config.d_pretrain_rate
        )
        self.d_optimizer = make_optimizer(config.d_optimizer, self.discriminator, config.d_rate)
        self.baseline = RewardBaseline(config.baseline, config.baseline_decay)
        taught, held_out = split_train(corpus, config.held_out)
        self.pairs = Pairs(corpus, run, config.batch, "pairs")
        # rewards depend on the length: batches of one length each would learn from it, with one baseline for all
        self.policy_pairs = Pairs(corpus, run, config.batch, "policy pairs", alike=False)
        self.d_pairs = Pairs(taught, run, config.batch, "discriminator pairs", alike=False)
        self.held_out = Pairs(held_out, run, config.batch, "held out")

    def likelihood_is_next(self) -> bool:
        return float(torch.rand((), generator=self.run.rng("mixture"))) < self.config.mle_share

    def likelihood_step(self) -> dict[str, float]:
        """Teacher forcing, with dropout as in the pre-training."""
        nll = likelihood_step(self.net, self.g_optimizer, self.pairs.draw(), clip=self.config.clip)
        return {"train_nll": float(nll)}

    def policy_step(self) -> dict[str, float]:
        """One step up E[R(x, y')], y' from G: every token of a sentence is weighed with what the whole is worth."""
        sources = self.policy_pairs.draw().sources
        assert sources is not None
        drawn = self.sample(sources)
        with evaluating(self.discriminator):
            logits = self.discriminator(*sources, drawn.targets, drawn.inside.sum(1))
        rewards = reward(logits, self.config.reward)
        worth = self.baseline.advantage(rewards.unsqueeze(1), torch.ones_like(rewards).unsqueeze(1))
        with without_dropout(self.net):
            figures = policy_gradient_step(
                self.net,
                self.g_optimizer,
                self.net(drawn.inputs, self.net.encode(*sources)),
                drawn.targets,
                worth.expand(drawn.targets.shape),
                drawn.inside,
                scale="sequence",
                clip=self.config.clip,
            )
        figures |= {"reward": rewards.mean(), "opinion": logits.sigmoid().mean()}
        figures["length"] = drawn.inside.sum() / len(rewards)
        return {name: float(figure) for name, figure in figures.items()}

    def discriminator_step(self, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """D learns from pairs of train, and from the same sources with translations of G as it is now."""
        batch = self.d_pairs.draw()
        assert batch.sources is not None
        negatives = self.negatives(batch.sources)
        self.discriminator.train()
        real, fake = self.opinions(batch, negatives)
        loss = (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2  # -log D(x, y) - log(1 - D(x, y'))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.discriminator.parameters(), self.config.clip)
        optimizer.step()
        self.discriminator.eval()
        return {"d_loss": float(loss.detach()), "d_accuracy": float(right(real, fake).mean())}

    def look_at_held_out(self) -> dict[str, float]:
        """D's accuracy on pairs it has not learnt from and on fresh translations, and the mean reward of samples."""
        accuracies, rewards = [], []
        for rows in ordered(self.held_out):
            batch = self.held_out.collate(rows)
            assert batch.sources is not None
            with evaluating(self.discriminator):
                real, of_samples = self.opinions(batch, self.sample(batch.sources))
                fake = of_samples
                if self.config.negatives != "sample":
                    _, fake = self.opinions(batch, self.negatives(batch.sources))
            accuracies.append(right(real, fake))
            rewards.append(reward(of_samples, self.config.reward))
        accuracy, mean = torch.cat(accuracies).mean(), torch.cat(rewards).mean()
        return {"held_out_accuracy": float(accuracy), "held_out_reward": float(mean)}

    def opinions(self, batch: Batch, drawn: Batch) -> tuple[Tensor, Tensor]:
        """D's log-odds of "human" for the data's targets and for drawn ones, of the same sources: [batch] each."""
        assert batch.sources is not None
        read, lengths = self.discriminator.read_sources(*batch.sources), batch.sources[1]
        real = self.discriminator.judge(read, lengths, batch.targets, batch.inside.sum(1))
        return real, self.discriminator.judge(read, lengths, drawn.targets, drawn.inside.sum(1))

    def negatives(self, sources: tuple[Tensor, Tensor]) -> Batch:
        """Fresh translations for D to tell from the data's."""
        if self.config.negatives == "sample":
            return self.sample(sources)
        with evaluating(self.net):
            likeliest = greedy(self.net, self.net.encode(*sources), len(sources[0]), self.generator.limits)
        return self.generator.collator.batch(likeliest, None, self.run.device)

    def sample(self, sources: tuple[Tensor, Tensor]) -> Batch:
        """Fresh translations by G as it is now, without dropout."""
        limits = self.generator.limits
        uniforms = torch.rand(len(sources[0]), limits.max_length, generator=self.run.rng("samples"))
        with evaluating(self.net):
            drawn = sample(self.net, self.net.encode(*sources), uniforms, limits)
        return self.generator.collator.batch(drawn, None, self.run.device)

    def set_rates(self, steps: int) -> None:
        scale = 0.5 ** (steps // self.config.halve_every)
        for optimizer, rate in ((self.g_optimizer, self.config.learning_rate), (self.d_optimizer, self.config.d_rate)):
            for group in optimizer.param_groups:
                group["lr"] = rate * scale

    def look_at_valid(self, done: Progress) -> dict[str, float]:
        nll = valid_nll(self.generator, self.corpus, self.config.valid_rows)
        if self.config.select == "valid" and nll < done.best:
            done.best, done.best_weights = nll, copy.deepcopy(self.net.state_dict())
        return {"valid_nll": nll}

    def chosen(self, done: Progress) -> NeuralGenerator:
        """The generator as it is now, or as it was at the best look where that is asked for."""
        if done.best_weights:
            self.net.load_state_dict(done.best_weights)
        return self.generator

    def state(self, done: Progress) -> dict[str, Any]:
        """Everything between two steps."""
        return players_state(self) | {
            "progress": vars(done),
            "d_pretrain_moments": moments(self.discriminator, self.d_pretrain_optimizer),
            "baseline": self.baseline.value,
            "pairs": self.pairs.state(),
            "policy_pairs": self.policy_pairs.state(),
            "d_pairs": self.d_pairs.state(),
        }

    def restore(self, saved: Mapping[str, Any] | None) -> Progress:
        """Puts back what `state` gave; a fresh start without it."""
        if saved is None:
            return Progress()
        set_players(self, saved)
        set_moments(self.discriminator, self.d_pretrain_optimizer, saved["d_pretrain_moments"])
        self.baseline.value = saved["baseline"]
        self.pairs.restore(saved["pairs"])
        self.policy_pairs.restore(saved["policy_pairs"])
        self.d_pairs.restore(saved["d_pairs"])
        return Progress(**saved["progress"])


def reward(logits: Tensor, kind: Reward) -> Tensor:
    """What translations are worth, from D's log-odds of "human" [batch]: the more human, the more."""
    return F.softplus(logits) if kind == "minus_log_fake" else F.logsigmoid(logits)


def right(real: Tensor, fake: Tensor) -> Tensor:
    """Whether D is right [2 batch], 1.0 or 0.0, given its log-odds for data and for translations."""
    return torch.cat([real > 0, fake <= 0]).float()


def make_optimizer(kind: Optimizer, net: nn.Module, rate: float) -> torch.optim.Optimizer:
    weights = [parameter for parameter in net.parameters() if parameter.requires_grad]
    match kind:
        case "adam":
            return torch.optim.Adam(weights, rate, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(weights, rate)
        case "nesterov":
            return torch.optim.SGD(weights, rate, momentum=0.9, nesterov=True)
        case "sgd":
            return torch.optim.SGD(weights, rate)


def build_discriminator(
    corpus: Corpus, config: GridConfig, generator: NeuralGenerator, rng: torch.Generator
) -> GridCNN:
    """D for a corpus; its words' tables are its own, or copies of those that the generator has now."""
    assert corpus.source_vocab is not None
    if config.embeddings == "own":
        sizes = (corpus.source_vocab.n_inputs, corpus.vocab.n_inputs)
        tables = tuple(torch.empty(size, config.embedding).uniform_(-0.1, 0.1, generator=rng) for size in sizes)
    else:
        tables = word_tables(generator.net, corpus)
    sources = corpus.splits["train"].sources
    assert sources is not None
    source, target = (nn.Embedding(len(table), table.shape[1], _weight=table) for table in tables)
    net = GridCNN(
        source,
        target,
        filters=config.filters,
        hidden=config.hidden,
        max_source=corpus.max_source_length or int(sources.lengths.max(initial=1)),
        max_target=corpus.fixed_length or corpus.max_target_length,
        activation=config.activation,
        dropout=config.dropout,
    )
    net.initialise(rng)
    for table in (net.sources, net.targets):
        table.requires_grad_(config.embeddings != "frozen")
    return net


def word_tables(net: nn.Module, corpus: Corpus) -> tuple[Tensor, Tensor]:
    """The generator's embeddings of source words and of target words, each by its own table: copies, on the CPU.

    Raises:
        ValueError: the generator has no such tables.
    """
    encoder = getattr(net, "encoder", None)  # not every architecture has its source's words there
    source = getattr(encoder, "embedding", getattr(net, "source_embedding", None))
    embed = getattr(net, "embed", None)
    if not isinstance(source, nn.Embedding) or embed is None:
        raise ValueError(f'{type(net).__name__} has no word tables to share: set discriminator.embeddings to "own"')
    words = torch.arange(corpus.vocab.n_inputs, device=source.weight.device)
    with torch.no_grad():
        return source.weight.detach().cpu().clone(), embed(words).cpu().clone()


def split_train(corpus: Corpus, held_out: int) -> tuple[Corpus, Corpus]:
    """The corpus with the lines of train that D learns from, and with evenly spaced ones it is measured on."""
    train = corpus.splits["train"]
    count = max(1, min(held_out, len(train) // 10))
    measured = np.zeros(len(train), np.bool_)
    measured[np.arange(count) * len(train) // count] = True
    return _with_train(corpus, ~measured), _with_train(corpus, measured)


def _with_train(corpus: Corpus, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> Corpus:
    train, rows = corpus.splits["train"], np.flatnonzero(chosen)
    assert train.sources is not None
    split = Split((), train.targets.take(rows), train.sources.take(rows))
    return dataclasses.replace(corpus, splits={"train": split})


def ordered(pairs: Pairs) -> list[Rows]:
    """All lines once, in batches of about equal length, in an order that is always the same."""
    return bucketed(pairs.train.targets, pairs.train.sources, pairs.batch, 0)
