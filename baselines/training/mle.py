"""Maximum likelihood with teacher forcing, stopped early: a baseline, and where adversarial methods start from."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from baselines.base import Run, State
from baselines.grown import GrownConfig
from baselines.merging import merge
from baselines.nets.base import AutoregressiveNet
from baselines.neural import CONDITIONAL, NetConfig, NeuralGenerator, build_net, initialise_net
from baselines.precision import BEFORE, Precision, products_in
from baselines.training.batches import Collator, Rows, bucketed
from baselines.training.loss import cross_entropy
from baselines.training.valid import valid_nll
from tasks.base import Corpus, Split

MLE_VERSION = 1  # goes up whenever an equal config and seed would give other weights
STAGE = "pretrain"


class MLEConfig(GrownConfig):
    """Generator and optimisation. An *interval* lies between two looks at valid: an epoch, or `interval` steps."""

    added: ClassVar[Mapping[str, Any]] = {"warmup": 0, **BEFORE}

    net: NetConfig = NetConfig()
    epochs: PositiveInt = 30  # at most; in intervals where `interval` is set
    interval: PositiveInt | None = None
    batch: PositiveInt = 64
    learning_rate: PositiveFloat = 2e-3
    schedule: Literal["constant", "plateau", "linear"] = "plateau"
    decay: PositiveFloat = 0.5  # plateau: the rate is multiplied by this after an interval without improvement
    patience: PositiveInt = 3  # intervals without improvement, then training ends
    clip: PositiveFloat = 5.0  # of the gradient's global norm
    label_smoothing: NonNegativeFloat = Field(default=0.0, lt=1.0)
    valid_rows: PositiveInt = 2000  # the first of valid, looked at after each interval
    warmup: NonNegativeInt = 0  # steps in which the rate rises linearly from 0, whatever the schedule then makes of it
    precision: Precision = "float32"  # of matrix products in training; "bfloat16" is meant for GPUs

    @model_validator(mode="after")
    def _copies_are_not_smoothed(self) -> Self:
        if self.label_smoothing and self.net.copy_source:
            raise ValueError("label_smoothing is not offered with net.copy_source")
        return self


class DualAttentionNet(NetConfig):
    """The generator of the adversarial summarizer; `mle`'s row of that name has it too."""

    architecture: Literal["dual_attention"] = "dual_attention"


class DualAttentionConfig(MLEConfig):
    net: DualAttentionNet = DualAttentionNet()


class TransformerNet(NetConfig):
    """The generator of the adversarial Transformer; `mle`'s row of that name has it too."""

    architecture: Literal["transformer"] = "transformer"


class TransformerMLEConfig(MLEConfig):
    net: TransformerNet = TransformerNet()


# SeqGAN's generator and its training (Yu et al., 2017; constants from the authors' code): N(0, 0.1), Adam 0.01, clip 5.
_SEQGAN_NET = {"embedding": 32, "hidden": 32, "init": "normal", "init_scale": 0.1}
_SEQGAN = {"net": _SEQGAN_NET, "batch": 64, "learning_rate": 1e-2, "schedule": "constant", "clip": 5.0}

# RNNSearch's sizes and clipping (Bahdanau et al., 2015, appendices A and B); Adam stands in for Adadelta.
_RNNSEARCH_NET: dict[str, Any] = {"embedding": 620, "hidden": 1000, "encoder": 1000, "attention": 1000, "readout": 500}
_RNNSEARCH_NET |= {"input_feeding": True, "init": "normal", "init_scale": 0.01}

# Sized for one CPU thread: `smoke` a few seconds on the embedded corpora, `small` 2 to 20 minutes on the real ones.
MLE_BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "net": {"embedding": 64, "hidden": 64, "tied": True},
        "epochs": 8,
        "learning_rate": 1e-2,
        "schedule": "linear",
    },
    "smoke/conditional": {
        "net": {"encoder": 32, "attention": 32, "readout": 64},
        "epochs": 10,
        "learning_rate": 1.5e-2,
    },
    "smoke/translation": {"epochs": 8},
    "smoke/dialogue": {"epochs": 8},
    "smoke/summarization": {"epochs": 6},
    "smoke/oracle": {**_SEQGAN, "net": {**_SEQGAN_NET, "tied": False}, "epochs": 6},
    "small": {
        "net": {"embedding": 256, "hidden": 256, "tied": True, "dropout": 0.4},
        "epochs": 10,
        "learning_rate": 3e-3,
        "schedule": "linear",
    },
    "small/poetry": {"net": {"embedding": 192, "hidden": 192, "dropout": 0.3}, "epochs": 8},
    "small/oracle": {**_SEQGAN, "net": {**_SEQGAN_NET, "tied": False, "dropout": 0.0}, "epochs": 20},
    "small/conditional": {
        "net": {"embedding": 128, "hidden": 256, "encoder": 128, "attention": 128, "readout": 128, "dropout": 0.1},
        "learning_rate": 3e-3,
    },
    "small/translation": {"epochs": 10, "interval": 500},
    "small/summarization": {"net": {"attention": 64}, "batch": 32, "epochs": 5, "interval": 310},
    "small/dialogue": {"epochs": 4, "interval": 300},
    "paper": {**_SEQGAN, "epochs": 120, "patience": 120},
    "paper/conditional": {
        "net": _RNNSEARCH_NET,
        "epochs": 30,
        "patience": 4,
        "batch": 80,
        "learning_rate": 5e-4,
        "schedule": "plateau",
        "clip": 1.0,
    },
}


def conditional_budgets(changes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The presets of `mle` for conditional tasks, with these laid over them; what has no key of a task is laid over
    the general ones."""
    return {key: merge(MLE_BUDGETS.get(key, {}), changes.get(key, {})) for key in {**MLE_BUDGETS, **changes}}


def over_pretraining(
    changes: Mapping[str, Mapping[str, Any]], pretraining: Mapping[str, Mapping[str, Any]] = MLE_BUDGETS
) -> dict[str, dict[str, Any]]:
    """A method's presets with those of the pre-training that it starts from, as its option `mle`."""
    keys = {**pretraining, **changes}
    return {key: {**changes.get(key, {}), "mle": pretraining.get(key, {})} for key in keys}


TRANSFORMER_BUDGETS = conditional_budgets(
    {
        "smoke/conditional": {
            "net": {"hidden": 64, "layers": 2, "heads": 4},
            "learning_rate": 4e-3,
            "warmup": 60,
        },
        "small/conditional": {
            "net": {"hidden": 128, "layers": 3, "heads": 4, "dropout": 0.1},
            "learning_rate": 1e-3,
            "warmup": 400,
            "clip": 1.0,
        },
        # the base model of Vaswani et al., table 3; 7e-4 is the peak of their formula at its width and warm-up
        "paper/conditional": {
            "net": {"hidden": 512, "layers": 6, "heads": 8, "dropout": 0.1, "init": "normal", "init_scale": 0.02},
            "learning_rate": 7e-4,
            "warmup": 4000,
            "label_smoothing": 0.1,
            "schedule": "linear",
        },
    }
)


@dataclass
class Course:
    """How far training is: with weights, optimiser and random streams, all that an interruption must not lose."""

    step: int = 0
    order_seed: int = 0  # of the present pass over the data
    best: float = math.inf  # valid NLL, nats per token
    stale: int = 0  # intervals since
    scale: float = 1.0  # of the learning rate, by plateaus


def pretrain(corpus: Corpus, config: MLEConfig, run: Run) -> State:
    """The network's weights after maximum likelihood, shared by all methods that ask with an equal config.

    Returns:
        A state dict for `build_net(corpus, config.net)`.
    """

    def train(own: Run) -> State:
        net = build_net(corpus, config.net)
        initialise_net(net, config.net, own.rng("init"))
        return train_mle(net.to(own.device), corpus, config, own)

    return run.pretrained(pretraining_spec(corpus, config), train)


def pretraining_spec(corpus: Corpus, config: MLEConfig) -> dict[str, Any]:
    """What the pre-trained weights depend on, besides task, data and seed."""
    settings = config.model_dump(mode="json", include=set(MLEConfig.model_fields))  # what a row adds is not read here
    if corpus.kind == "free":  # sizes that a free network does not have can't set two checkpoints apart
        for name in CONDITIONAL:
            settings["net"].pop(name, None)
    return {"method": "mle", "version": MLE_VERSION, **settings}


def train_mle(net: AutoregressiveNet, corpus: Corpus, config: MLEConfig, run: Run) -> State:
    """Trains in place until valid stops improving or the budget is spent.

    Args:
        net: on `run.device`, initialised.

    Returns:
        The weights that were best on valid.
    """
    train = corpus.splits["train"]
    passes = -(-len(train) // config.batch)  # steps in one pass over the data
    interval = config.interval or passes
    total = config.epochs * interval
    optimiser = torch.optim.Adam(net.parameters(), lr=config.learning_rate, fused=True)
    course, tally, best = _start(net, optimiser, run)
    collator, batches = Collator.of(corpus), list[Rows]()
    net.train()
    while course.step < total and course.stale < config.patience:
        place = course.step % passes
        if place == 0:
            course.order_seed = int(torch.randint(2**62, (), generator=run.rng("order")))
        if place == 0 or not batches:
            batches = bucketed(train.targets, train.sources, config.batch, course.order_seed)
        _set_rate(optimiser, config, course, total)
        tally += _step(net, optimiser, train, batches[place], collator, config)
        course.step += 1
        if course.step % 20 == 0:
            run.progress(STAGE, course.step, total, nll=float(tally[0] / tally[1]), tokens=float(tally[1]))
        if course.step % interval == 0:
            nll = valid_nll(NeuralGenerator(net, corpus), corpus, config.valid_rows)
            train_nll, tokens = float(tally[0] / tally[1]), float(tally[1])
            run.log(STAGE, course.step, train_nll=train_nll, valid_nll=nll, tokens=tokens)
            tally.zero_()
            if _improved(course, nll, config):
                best = copy.deepcopy(net.state_dict())
        run.checkpoint(partial(_state, net, optimiser, course, tally, best))
    return best


def _step(
    net: AutoregressiveNet, optimiser: torch.optim.Adam, split: Split, rows: Rows, collator: Collator, config: MLEConfig
) -> Tensor:
    """One update on the named rows; gives the loss summed over tokens and the number of tokens [2], on the device."""
    sources = None if split.sources is None else split.sources.take(rows)
    device = net.output.weight.device
    batch = collator.batch(split.targets.take(rows), sources, device)
    with products_in(config.precision, device):
        memory = () if batch.sources is None else net.encode(*batch.sources)
        features = net(batch.inputs, memory)[batch.inside]
        loss = cross_entropy(features, net.output, batch.targets[batch.inside], label_smoothing=config.label_smoothing)
    optimiser.zero_grad()
    torch.autograd.backward(loss / len(features))
    nn.utils.clip_grad_norm_(net.parameters(), config.clip)
    optimiser.step()
    return torch.stack([loss.detach().double(), torch.full_like(loss, len(features), dtype=torch.float64)])


def _improved(course: Course, nll: float, config: MLEConfig) -> bool:
    """Whether this is the best so far; otherwise patience shrinks, and so does the rate where the schedule says so."""
    if nll < course.best:
        course.best, course.stale = nll, 0
        return True
    course.stale += 1
    if config.schedule == "plateau":
        course.scale *= config.decay
    return False


def _set_rate(optimiser: torch.optim.Adam, config: MLEConfig, course: Course, total: int) -> None:
    left = 1.0 - course.step / total if config.schedule == "linear" else 1.0
    if course.step < config.warmup:
        left *= (course.step + 1) / config.warmup
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate * course.scale * left


def _state(net: nn.Module, optimiser: torch.optim.Adam, course: Course, tally: Tensor, best: State) -> dict[str, Any]:
    moments = [optimiser.state[parameter] for parameter in net.parameters()]
    return {"net": net.state_dict(), "moments": moments, "course": asdict(course), "tally": tally, "best": best}


def _start(net: nn.Module, optimiser: torch.optim.Adam, run: Run) -> tuple[Course, Tensor, State]:
    """Where to go on from: the state saved, put into network and optimiser, or the beginning."""
    saved = run.resume()
    if saved is None:
        return Course(), torch.zeros(2, dtype=torch.float64, device=run.device), {}
    net.load_state_dict(saved["net"])
    for parameter, moments in zip(net.parameters(), saved["moments"], strict=True):
        optimiser.state[parameter] = {name: value.to(run.device) for name, value in moments.items()}
    best = {name: value.to(run.device) for name, value in saved["best"].items()}
    return Course(**saved["course"]), saved["tally"].to(run.device), best
