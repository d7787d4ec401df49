"""Scheduled sampling (Bengio, Vinyals, Jaitly and Shazeer 2015, arXiv 1506.03099).

Teacher forcing whose inputs are, more and more as training goes on, the model's own samples in place of the true
tokens; what is to be predicted stays the true token. As a baseline of SeqGAN (Yu et al. 2017) it is trained from
scratch. The objective is improper (Huszar 2015, arXiv 1511.05101): its optimum is not the data's distribution. See
`docs/methods/scheduled_sampling.md`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator
from torch import Tensor, nn

from baselines.base import Baseline, BaselineConfig, Run, State
from baselines.nets.base import AutoregressiveNet
from baselines.nets.lstm import initialise
from baselines.neural import NeuralGenerator, build_net
from baselines.sampling import draw
from baselines.training.batches import Rows, bucketed
from baselines.training.loss import cross_entropy
from baselines.training.mle import MLE_BUDGETS, MLEConfig
from baselines.training.saving import moments, set_moments
from tasks.base import Corpus


class ScheduledSamplingConfig(BaselineConfig):
    """Defaults are SeqGAN's baseline of this name. i counts epochs or steps, from 0; epsilon is at least `floor`."""

    mle: MLEConfig = MLEConfig(**MLE_BUDGETS["paper"])  # generator and optimisation; `patience` is not read
    decay: Literal["linear", "exponential", "inverse_sigmoid"] = "linear"  # the three of the paper's section 2.4
    start: float = Field(default=1.0, ge=0, le=1)  # linear: epsilon = start - slope i
    slope: NonNegativeFloat = 0.002  # SeqGAN's paper: omega decreases by 0.002 every epoch
    k: PositiveFloat = 0.98  # exponential: k ** i, k < 1; inverse sigmoid: k / (k + exp(i / k)), k >= 1. Ours
    floor: float = Field(default=0.0, ge=0, le=1)  # the paper's smallest epsilon of the linear decay
    unit: Literal["epoch", "step"] = "epoch"  # SeqGAN: epochs; Bengio et al.: mini-batches
    select: Literal["last", "valid"] = "last"  # "valid": the epoch with the best valid NLL, which this objective harms

    def epsilon(self, i: int) -> float:
        """The probability of reading the true token."""
        match self.decay:
            case "linear":
                value = self.start - self.slope * i
            case "exponential":
                value = self.k**i
            case "inverse_sigmoid":
                value = self.k / (self.k + math.exp(min(i / self.k, 700.0)))
        return max(self.floor, value)

    @model_validator(mode="after")
    def _check(self) -> ScheduledSamplingConfig:
        if self.mle.precision != "float32":
            raise ValueError("mle.precision: scheduled sampling trains step by step, in float32 alone")
        if self.decay == "exponential" and self.k >= 1:
            raise ValueError("exponential decay needs k < 1")
        if self.decay == "inverse_sigmoid" and self.k < 1:
            raise ValueError("inverse sigmoid decay needs k >= 1")
        if self.mle.schedule == "plateau":
            raise ValueError("valid NLL gets worse as epsilon falls, so it can't steer the rate: no schedule plateau")
        return self


# The MLE row's networks and rates. Its small budgets have few epochs, in which 0.002 an epoch would be nothing: there
# epsilon falls to about a half.
_MIXING: dict[str, dict[str, Any]] = {
    "smoke": {"slope": 0.07},
    "smoke/oracle": {"slope": 0.1},
    "small": {"slope": 0.06},
    "small/oracle": {"slope": 0.025},
    "paper": {},
}
BUDGETS = {
    key: {**_MIXING.get(key, {}), "mle": MLE_BUDGETS.get(key, {})}
    for key in {**MLE_BUDGETS, **_MIXING}
    if key.partition("/")[2] in ("", "oracle", "poetry", "speech", "captions")
}


@dataclass
class Progress:
    """How far training is."""

    step: int = 0
    order_seed: int = 0  # of the present epoch
    best: float = math.inf  # valid NLL, nats per token, where it decides
    best_weights: State = field(default_factory=dict)


class ScheduledSampling(Baseline):
    name: ClassVar[str] = "scheduled_sampling"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "maximum likelihood on inputs mixed with the model's own samples"
    source: ClassVar[str] = "Bengio et al. 2015, arXiv 1506.03099; schedule of Yu et al. 2017"
    Config: ClassVar[type[BaselineConfig]] = ScheduledSamplingConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return None if corpus.kind == "free" else "scheduled sampling is only made for free tasks here"

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.mle.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        """The paper's section 2.3: for every token of every mini-batch a coin, of which epsilon falls."""
        config: ScheduledSamplingConfig = self.config
        course = Course(corpus, config, self.build(corpus), run)
        done = course.restore(run.resume())
        total = config.mle.epochs * course.steps_per_epoch
        while done.step < total:
            epoch = done.step // course.steps_per_epoch
            epsilon = config.epsilon(epoch if config.unit == "epoch" else done.step)
            course.step(course.rows(done), epsilon, rate_left=1.0 - done.step / total)
            done.step += 1
            if done.step % 20 == 0:
                run.progress("train", done.step, total, nll=course.train_nll, epsilon=epsilon)
            if done.step % course.steps_per_epoch == 0:
                figures = {"train_nll": course.train_nll, "valid_nll": course.look_at_valid(done), "epsilon": epsilon}
                run.log("train", done.step, **figures)
                course.tally.zero_()
            run.checkpoint(lambda: course.state(done))
        if config.select == "valid":
            course.net.load_state_dict(done.best_weights)
        return course.generator


class Course:
    """The network with its optimiser, and the data in their order."""

    def __init__(self, corpus: Corpus, config: ScheduledSamplingConfig, generator: NeuralGenerator, run: Run) -> None:
        self.corpus, self.config, self.generator, self.run = corpus, config, generator, run
        net = generator.net
        initialise(net, config.mle.net.init, config.mle.net.init_scale, run.rng("init"))  # type: ignore[arg-type]
        self.net: AutoregressiveNet = net.to(run.device).train()
        self.optimizer = torch.optim.Adam(net.parameters(), config.mle.learning_rate, fused=True)
        self.train = corpus.splits["train"].targets
        self.steps_per_epoch = config.mle.interval or -(-len(self.train) // config.mle.batch)
        self.tally = torch.zeros(2, dtype=torch.float64, device=run.device)  # loss of this epoch, tokens
        self.batches: list[Rows] = []

    def rows(self, done: Progress) -> Rows:
        """The next batch: all lines once, shuffled anew for each pass."""
        passes = -(-len(self.train) // self.config.mle.batch)
        place = done.step % passes
        if place == 0:
            done.order_seed = int(torch.randint(2**62, (), generator=self.run.rng("order")))
        if place == 0 or not self.batches:
            self.batches = bucketed(self.train, None, self.config.mle.batch, done.order_seed)
        return self.batches[place]

    def step(self, rows: Rows, epsilon: float, rate_left: float) -> None:
        """One update on the named lines.

        First the inputs are drawn, without gradient; then the loss on them is that of teacher forcing. No gradient goes
        through the samples in the paper either, so this is its gradient, in one call of the LSTM.
        """
        mle, targets = self.config.mle, self.train.take(rows)
        batch = self.generator.collator.batch(targets, None, self.run.device)
        lengths = torch.from_numpy(targets.lengths)
        inputs = mix(self.net, batch.inputs, lengths, epsilon, self.generator.limits.eos, self.run.rng("mixing"))
        features = self.net(inputs)[batch.inside]
        loss = cross_entropy(
            features, self.net.output, batch.targets[batch.inside], label_smoothing=mle.label_smoothing
        )
        for group in self.optimizer.param_groups:
            group["lr"] = mle.learning_rate * (rate_left if mle.schedule == "linear" else 1.0)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss / len(features))
        nn.utils.clip_grad_norm_(self.net.parameters(), mle.clip)
        self.optimizer.step()
        self.tally += torch.stack([loss.detach().double(), torch.full_like(loss, len(features), dtype=torch.float64)])

    @property
    def train_nll(self) -> float:
        """Nats per token of the epoch so far, on mixed inputs."""
        return float(self.tally[0] / self.tally[1])

    def look_at_valid(self, done: Progress) -> float:
        """NLL on the first rows of valid, in nats per token, all inputs true."""
        valid = self.corpus.splits["valid"].targets
        rows = np.arange(min(len(valid), self.config.mle.valid_rows))
        nll = -float(self.generator.token_log_probs(valid.take(rows)).mean())
        if self.config.select == "valid" and nll < done.best:
            done.best, done.best_weights = nll, copy.deepcopy(self.net.state_dict())
        return nll

    def state(self, done: Progress) -> dict[str, Any]:
        """Everything between two steps."""
        return {
            "progress": vars(done),
            "net": self.net.state_dict(),
            "moments": moments(self.net, self.optimizer),
            "tally": self.tally,
        }

    def restore(self, saved: Mapping[str, Any] | None) -> Progress:
        """Puts back what `state` gave; a fresh start without it."""
        if saved is None:
            return Progress()
        self.net.load_state_dict(saved["net"])
        set_moments(self.net, self.optimizer, saved["moments"])
        self.tally = saved["tally"].to(self.run.device)
        return Progress(**saved["progress"])


@torch.no_grad()
def mix(
    net: AutoregressiveNet, inputs: Tensor, lengths: Tensor, epsilon: float, eos: int | None, rng: torch.Generator
) -> Tensor:
    """Inputs of which each token but `bos` is left true with probability `epsilon`, and else drawn from the model.

    The model's prediction in that place is made from the inputs before it as they are then, drawn ones among them, and
    without dropout, as when text is generated. A drawn `</s>` is not read, for nothing follows it in generation: the
    true token stays.

    Args:
        inputs: [batch, time], `bos` and the true tokens but the last, padded.
        lengths: [batch] on the CPU; inputs from there on count for nothing and stay.
        rng: on the CPU; a coin and a uniform for each place, whatever comes of them. Not used where `epsilon` is 1.

    Returns:
        [batch, time].
    """
    if epsilon >= 1:
        return inputs
    coins, uniforms = torch.rand(2, *inputs.shape, generator=rng)
    time = torch.arange(inputs.shape[1])
    replaced = (coins >= epsilon) & (time > 0) & (time < lengths[:, None])
    last = int((replaced.any(0) * time).max())  # on the CPU, as is all that says which rows: a GPU needn't wait
    mixed, uniforms = inputs.clone(), uniforms.to(inputs.device)
    training, state = net.training, net.initial_state(len(inputs), ())
    net.eval()
    for place in range(1, last + 1):
        features, state = net.step(mixed[:, place - 1], state, ())
        rows = replaced[:, place].nonzero().squeeze(1).to(inputs.device, non_blocking=True)
        if len(rows):
            drawn = draw(net.output(features[rows]), uniforms[rows, place, None]).squeeze(1)
            mixed[rows, place] = drawn if eos is None else torch.where(drawn == eos, mixed[rows, place], drawn)
    net.train(training)
    return mixed
