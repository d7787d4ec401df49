"""Maximum likelihood for generators with a loss of their own, as Transformers are trained: AdamW and a rate that falls.

The MLE of the other networks is `training.mle`; here the tokens may be those of a checkpoint's tokenizer.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from baselines.base import Run, State
from baselines.precision import Precision, products_in
from baselines.training.batches import Rows, bucketed
from baselines.training.saving import moments, set_moments
from tasks.base import Ragged

Data = tuple[Ragged, ...]  # (targets,) or (sources, targets), in the generator's tokens


class Settings(Protocol):
    """What a config of this training has; `share` is that of the learning rate which a step of so many takes."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def clip(self) -> float: ...
    @property
    def patience(self) -> int: ...
    @property
    def valid_rows(self) -> int: ...
    @property
    def precision(self) -> Precision: ...
    def share(self, step: int, total: int) -> float: ...


@dataclass
class Course:
    """How far training is: with weights, optimiser and random streams, all that an interruption must not lose."""

    step: int = 0
    order_seed: int = 0  # of the present pass over the data
    best: float = math.inf  # valid NLL, nats per token
    stale: int = 0  # epochs since
    tokens: int = 0  # read in the present pass


def train_text(generator: Any, train: Data, valid: Data, settings: Settings, run: Run, stage: str) -> None:
    """Teacher forcing until valid stops improving; the weights that were best there are put back.

    Args:
        generator: an `nn.Module`, initialised, with `loss(*data)`, the sum over all tokens of -log p, and
            `log_probs(*data)`, those of each token, in nats; moved to the run's device.
        valid: of it, the first `valid_rows` are looked at after each epoch.
    """
    generator.to(run.device).train()
    valid = tuple(part.take(np.arange(min(len(part), settings.valid_rows))) for part in valid)
    passes = -(-len(train[-1]) // settings.batch)  # steps in one pass over the data
    total = settings.epochs * passes
    optimiser = decaying_adam(generator, settings)
    course, loss, best = _start(generator, optimiser, run)
    batches: list[Rows] = []
    while course.step < total and course.stale < settings.patience:
        place = course.step % passes
        if place == 0:
            course.order_seed = int(torch.randint(2**62, (), generator=run.rng("order")))
        if place == 0 or not batches:
            sources = train[0] if len(train) > 1 else None
            batches = bucketed(train[-1], sources, settings.batch, course.order_seed)
        rows = tuple(part.take(batches[place]) for part in train)
        set_rate(optimiser, settings.learning_rate * settings.share(course.step, total))
        loss += training_step(generator, optimiser, rows, settings)
        course.step, course.tokens = course.step + 1, course.tokens + len(rows[-1].flat)
        if course.step % 20 == 0:
            run.progress(stage, course.step, total, nll=float(loss) / course.tokens, tokens=course.tokens)
        if course.step % passes == 0:
            nll = -float(generator.log_probs(*valid).mean())
            train_nll = float(loss) / course.tokens
            run.log(stage, course.step, train_nll=train_nll, valid_nll=nll, tokens=course.tokens)
            course.tokens, course.stale = 0, course.stale + 1
            loss.zero_()
            if nll < course.best:
                course.best, course.stale = nll, 0
                best = copy.deepcopy(dict(generator.state_dict()))
        run.checkpoint(partial(_state, generator, optimiser, course, loss, best))
    generator.load_state_dict(best)


def decaying_adam(net: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019); biases and gains, which have one dimension, do not decay."""
    parameters = list(net.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def training_step(generator: Any, optimiser: torch.optim.Optimizer, rows: Data, settings: Settings) -> Tensor:
    """One update on the mean over the target tokens; gives the sum of their losses, on the device."""
    with products_in(settings.precision, next(generator.parameters()).device):
        loss = generator.loss(*rows)
    optimiser.zero_grad()
    torch.autograd.backward(loss / len(rows[-1].flat))
    nn.utils.clip_grad_norm_(generator.parameters(), settings.clip)
    optimiser.step()
    summed: Tensor = loss.detach().double()
    return summed


def _state(
    generator: nn.Module, optimiser: torch.optim.Optimizer, course: Course, loss: Tensor, best: State
) -> dict[str, Any]:
    """Everything between two steps."""
    figures = {"course": asdict(course), "loss": loss, "best": best}
    return {"generator": generator.state_dict(), "moments": moments(generator, optimiser), **figures}


def _start(generator: nn.Module, optimiser: torch.optim.Optimizer, run: Run) -> tuple[Course, Tensor, State]:
    """Where to go on from: the state saved, put into network and optimiser, or the beginning."""
    saved: Mapping[str, Any] | None = run.resume()
    if saved is None:
        return Course(), torch.zeros((), dtype=torch.float64, device=run.device), {}
    generator.load_state_dict(saved["generator"])
    set_moments(generator, optimiser, saved["moments"])
    best = {name: value.to(run.device) for name, value in saved["best"].items()}
    return Course(**saved["course"]), saved["loss"].to(run.device), best
