"""RelGAN (Nie, Narodytska and Patel 2019, ICLR): relational memory, Gumbel-softmax, many embeddings, relativistic loss.

The generator's samples stay differentiable: the discriminator reads softmax(beta (logits + Gumbel noise)) instead of
tokens, and beta, the inverse temperature, grows from 1. Where this differs from paper or official code is told in
`docs/methods/relgan.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from baselines.base import Baseline, BaselineConfig, Run, State
from baselines.decoding import Limits
from baselines.nets.base import AutoregressiveNet
from baselines.nets.multi_embedding import MultiEmbeddingDiscriminator
from baselines.nets.relational import RelationalLanguageModel, initialise
from baselines.neural import NeuralGenerator
from baselines.training.descent import descend
from baselines.training.gumbel import Schedule, anneal, gumbel_softmax
from baselines.training.mle import MLE_VERSION, MLEConfig, train_mle
from baselines.training.saving import players_state, set_players
from baselines.training.valid import valid_nll
from tasks.base import Corpus

TINY = 1e-30  # weights and gradients below it are taken for 0


class RelationalConfig(BaselineConfig):
    """The generator. "code" is `run.py` and `coco_relgan.py` of the authors' repository, weilinie/RelGAN."""

    embedding: PositiveInt = 32  # code: gen-emb-dim
    slots: PositiveInt = 1  # code: mem-slots
    heads: PositiveInt = 2  # code: num-heads
    head_size: PositiveInt = 256  # code: head-size of the COCO and oracle scripts (512 in run.py)
    key_size: PositiveInt | None = None  # code: as the head size


class ViewsConfig(BaselineConfig):
    """The discriminator and its optimiser. "code" is `rmc_vanilla.py` and `coco_relgan.py`."""

    embedding: PositiveInt = 64  # code: dis-emb-dim, of all representations together
    representations: PositiveInt = 64  # code: num-rep
    widths: tuple[PositiveInt, ...] = (2, 3, 4, 5)  # code: filter_sizes
    filters: tuple[PositiveInt, ...] = (300, 300, 300, 300)  # code: num_filters
    readout: PositiveInt = 100  # code: fc
    dropout: float = Field(default=0.25, ge=0, lt=1)  # code: dropout_keep_prob = 0.75, for both players' steps
    learning_rate: PositiveFloat = 1e-4  # code: d-lr


class RelGANConfig(BaselineConfig):
    """Defaults are those of the authors' COCO script, `coco_relgan.py` ("code")."""

    generator: RelationalConfig = RelationalConfig()
    # Code: 150 epochs, Adam 1e-2, batch 64, clip 5. `mle.net` is not read: the network is `generator`'s.
    mle: MLEConfig = MLEConfig(epochs=150, patience=150, batch=64, learning_rate=1e-2, schedule="constant", clip=5.0)
    discriminator: ViewsConfig = ViewsConfig()
    rounds: int = Field(default=2000, ge=0)  # code: nadv-steps
    g_steps: PositiveInt = 1  # code: gsteps
    d_steps: int = Field(default=5, ge=0)  # code: dsteps
    batch: PositiveInt = 64  # code: batch-size
    learning_rate: PositiveFloat = 1e-4  # code: gadv-lr
    clip: PositiveFloat = 5.0  # code: grad_clip, of either side
    inverse_temperature: PositiveFloat = 100.0  # paper, code: the largest beta, 100 or 1000
    schedule: Schedule = "exp"  # code: adapt
    anneal_rounds: PositiveInt | None = 5000  # code: N of get_fixed_temperature, however many rounds; None: `rounds`
    valid_every: PositiveInt = 50  # rounds between looks at valid
    valid_rows: PositiveInt = 500  # the first of valid, looked at


# Sizes for one CPU thread (docs/methods/relgan.md): few rounds, so both players' rates are larger and beta goes its way
# within the rounds there are.
_SMALL: dict[str, Any] = {
    "generator": {"embedding": 64, "head_size": 64},
    "mle": {"epochs": 8, "patience": 3, "learning_rate": 2e-3, "schedule": "linear"},
    "discriminator": {"representations": 16, "filters": (50, 50, 50, 50), "learning_rate": 3e-4},
    "rounds": 80,
    "d_steps": 2,
    "learning_rate": 3e-4,
    "anneal_rounds": None,
    "valid_every": 10,
}
_SMOKE: dict[str, Any] = {
    "generator": {"embedding": 32, "head_size": 32},
    "mle": {"epochs": 4, "batch": 128, "learning_rate": 1e-2, "schedule": "linear"},
    "discriminator": {
        "embedding": 32,
        "representations": 8,
        "filters": (16, 16, 16, 16),
        "readout": 32,
        "learning_rate": 1e-3,
    },
    "rounds": 10,
    "d_steps": 2,
    "batch": 32,
    "learning_rate": 1e-3,
    "anneal_rounds": None,
    "valid_every": 5,
    "valid_rows": 200,
}
BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": _SMOKE,
    "smoke/oracle": {"generator": {"head_size": 16}, "mle": {"epochs": 1}},
    "small": _SMALL,
    "small/poetry": {"mle": {"epochs": 5}},
    "paper": {},
    "paper/oracle": {"rounds": 3000},  # code: oracle_relgan.py
}


class RelGAN(Baseline):
    name: ClassVar[str] = "relgan"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "relational memory and Gumbel-softmax against a relativistic discriminator"
    source: ClassVar[str] = "Nie, Narodytska and Patel 2019, ICLR"
    adversarial: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = RelGANConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return None if corpus.kind == "free" else "RelGAN's generator reads no source"

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:  # noqa: ARG002
        """What the pre-trained weights depend on: this network is no other method's, so neither is its checkpoint."""
        config: RelGANConfig = self.config
        return {
            "method": "mle of a relational memory",
            "version": MLE_VERSION,
            "generator": config.generator.model_dump(mode="json"),
            **config.mle.model_dump(mode="json", exclude={"net"}),
        }

    def build(self, corpus: Corpus) -> NeuralGenerator:
        with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream
            net = RelationalLanguageModel(corpus.vocab.size, **self.config.generator.model_dump())
        return NeuralGenerator(net, corpus)

    def pretrain(self, corpus: Corpus, run: Run) -> State:
        """Maximum likelihood, best on valid."""

        def train(own: Run) -> State:
            net = self.build(corpus).net
            assert isinstance(net, RelationalLanguageModel)
            initialise(net, own.rng("init"))
            return train_mle(net.to(own.device), corpus, self.config.mle, own)

        spec = self.pretraining(corpus)
        assert spec is not None
        return run.pretrained(spec, train)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        config: RelGANConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.load_state_dict(self.pretrain(corpus, run))
        game = Game(corpus, config, generator, run)
        done = game.restore(run.resume())
        if done == 0:
            run.snapshot("pretrain", generator)

        while done < config.rounds:
            beta = inverse_temperature(config, done)
            figures = {"inverse_temperature": beta}
            for _ in range(config.g_steps):
                figures |= game.generator_step(beta)
            for _ in range(config.d_steps):
                figures |= game.discriminator_step(beta)
            done += 1
            if done % config.valid_every == 0 or done == config.rounds:
                figures["valid_nll"] = valid_nll(generator, corpus, config.valid_rows)
            run.log("adversarial", done, **figures)
            run.progress("adversarial", done, config.rounds, g_loss=figures["g_loss"])
            run.checkpoint(partial(game.state, done))
        return generator


def inverse_temperature(config: RelGANConfig, done: int) -> float:
    """beta of the round after `done` rounds: 1 at first, `inverse_temperature` after `anneal_rounds`."""
    steps = config.rounds - 1 if config.anneal_rounds is None else config.anneal_rounds
    return anneal(done, steps + 1, 1.0, config.inverse_temperature, config.schedule)


def relativistic_loss(better: Tensor, worse: Tensor) -> Tensor:
    """Mean -log sigmoid(better - worse), of two equally shaped log-odds (Jolicoeur-Martineau 2018, RSGAN).

    D minimises it with (real, fake), G with (fake, real).
    """
    return F.softplus(worse - better).mean()


@dataclass(frozen=True)
class Relaxed:
    """Samples that gradients flow through.

    Attributes:
        weights: [batch, time, vocab], sum 1 at each place, 0 after a sequence's end.
        tokens: [batch, time], the draws themselves: each the largest weight; what the generator read next.
        lengths: [batch], `</s>` included.
    """

    weights: Tensor
    tokens: Tensor
    lengths: Tensor


def relaxed_sample(net: AutoregressiveNet, batch: int, limits: Limits, beta: float, rng: torch.Generator) -> Relaxed:
    """Draws tokens by the Gumbel-max trick, so from softmax(logits) at any beta, and keeps the softened draws.

    The next step reads the token, as in the official code: gradients reach earlier steps through the memory alone.
    One number is taken from `rng`, which seeds the noise: how many steps there are leaves the stream alone.
    """
    device = net.output.weight.device
    noise = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=rng)))
    state = net.initial_state(batch, ())
    token = torch.full((batch,), limits.bos, device=device)
    going = torch.ones_like(token, dtype=torch.bool)
    weights, tokens, alive = [], [], []
    for _ in range(limits.max_length):
        feature, state = net.step(token, state, ())
        uniforms = torch.rand(batch, net.vocab_size, generator=noise).to(device, non_blocking=True)
        logits = net.output(feature)
        if logits.requires_grad:
            logits.register_hook(_flush)
        soft = _flush(gumbel_softmax(logits, 1 / beta, uniforms))
        token = soft.detach().argmax(1)
        weights.append(soft if limits.eos is None else soft * going.unsqueeze(1))
        tokens.append(token)
        alive.append(going)
        if limits.eos is not None:
            going = going & (token != limits.eos)
            if device.type == "cpu" and not going.any():  # asking would make a GPU wait
                break
    return Relaxed(torch.stack(weights, 1), torch.stack(tokens, 1), torch.stack(alive, 1).sum(1))


def _flush(numbers: Tensor) -> Tensor:
    """The same with 0 for what is next to nothing.

    A softmax at a large beta is full of subnormal numbers, and so is its gradient: a CPU multiplies them many times
    slower than others.
    """
    return F.hardshrink(numbers, TINY)


class Game:
    """Both players with their optimisers."""

    def __init__(self, corpus: Corpus, config: RelGANConfig, generator: NeuralGenerator, run: Run) -> None:
        self.corpus, self.config, self.generator, self.run = corpus, config, generator, run
        self.net = generator.net
        sizes = config.discriminator.model_dump(exclude={"learning_rate"})
        with torch.random.fork_rng(devices=[]):  # as in `build`
            self.discriminator = MultiEmbeddingDiscriminator(corpus.vocab.size, **sizes)
        self.discriminator.initialise(run.rng("discriminator weights"))
        self.discriminator.to(run.device).train()
        self.g_optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, fused=True)
        self.d_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), config.discriminator.learning_rate, fused=True
        )

    def generator_step(self, beta: float) -> dict[str, float]:
        """One update of G: each fake shall look more real than the real line beside it."""
        fake = self.fake(beta)
        self.discriminator.requires_grad_(False)
        loss = relativistic_loss(self.discriminator(fake.weights, fake.lengths), self.discriminator(*self.real()))
        gradient = descend(self.g_optimizer, loss, self.net, self.config.clip)
        self.discriminator.requires_grad_(True)
        with torch.no_grad():
            peak = fake.weights.amax(2).sum() / fake.lengths.sum()  # 1: as good as one-hot
            figures = {"g_loss": loss, "g_gradient": gradient, "peak": peak, "length": fake.lengths.double().mean()}
            return {name: float(figure.detach()) for name, figure in figures.items()}

    def discriminator_step(self, beta: float) -> dict[str, float]:
        """One update of D on fresh samples and as many lines of train."""
        with torch.no_grad():
            fake = self.fake(beta)
        real_odds = self.discriminator(*self.real())
        fake_odds = self.discriminator(fake.weights, fake.lengths)
        loss = relativistic_loss(real_odds, fake_odds)
        gradient = descend(self.d_optimizer, loss, self.discriminator, self.config.clip)
        right = (real_odds.detach() > fake_odds.detach()).double().mean()
        figures = {"d_loss": loss, "d_gradient": gradient, "d_accuracy": right}
        return {name: float(figure.detach()) for name, figure in figures.items()}

    def fake(self, beta: float) -> Relaxed:
        return relaxed_sample(self.net, self.config.batch, self.generator.limits, beta, self.run.rng("gumbel"))

    def real(self) -> tuple[Tensor, Tensor]:
        """Random lines of train: tokens [batch, time] and lengths [batch]."""
        train = self.corpus.splits["train"].targets
        rows = torch.randint(len(train), (self.config.batch,), generator=self.run.rng("real")).numpy()
        lines, device = train.take(rows), self.run.device
        return torch.from_numpy(lines.padded(self.corpus.vocab.pad)).to(device), torch.tensor(lines.lengths).to(device)

    def state(self, done: int) -> dict[str, Any]:
        """Everything between two rounds."""
        return {
            "rounds": done,
            **players_state(self),
        }

    def restore(self, saved: Mapping[str, Any] | None) -> int:
        """Puts back what `state` gave; how many rounds are done."""
        if saved is None:
            return 0
        set_players(self, saved)
        return int(saved["rounds"])
