"""Filling blanks by maximum likelihood: MaskMLE, the stage before MaskGAN's game (Fedus et al. 2018, 1801.07736)."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from baselines.base import BaselineConfig, Run, State
from baselines.infilling import InfillingGenerator, MaskKind, choose_blanks
from baselines.nets.base import Memory
from baselines.nets.infilling import InfillingNet
from baselines.neural import NetConfig
from baselines.training.batches import Rows, bucketed, shifted
from baselines.training.loss import cross_entropy
from baselines.training.mle import MLEConfig, pretraining_spec
from baselines.training.saving import moments, set_moments
from tasks.base import Corpus, Ragged

SPEC_VERSION = 1  # of MaskMLE: goes up whenever an equal spec and seed would give other weights


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


class MaskMLESettings(BaselineConfig):
    """The language model that in-filling starts from, the blanks, and their training."""

    mle: MLEConfig = MLEConfig(net=_PAPER_NET, batch=20, learning_rate=7.4876e-4, clip=10.0)
    mask: MaskConfig = MaskConfig()
    maskmle: MaskMLEConfig = MaskMLEConfig()
    valid_rows: PositiveInt = 500  # the first of valid, looked at


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


def maskmle_spec(corpus: Corpus, config: MaskMLESettings) -> dict[str, Any]:
    """What MaskMLE's weights depend on, besides task, data and seed."""
    settings = config.model_dump(mode="json", include={"mask", "maskmle", "valid_rows"})
    return {"method": "maskmle", "version": SPEC_VERSION, "start": pretraining_spec(corpus, config.mle), **settings}


@dataclass
class Course:
    """How far MaskMLE is."""

    step: int = 0
    order_seed: int = 0  # of the present pass over the data
    best: float = math.inf  # nats per blank, on valid


def train_maskmle(generator: InfillingGenerator, corpus: Corpus, config: MaskMLESettings, run: Run) -> State:
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


def look_at_valid(generator: InfillingGenerator, corpus: Corpus, config: MaskMLESettings) -> dict[str, float]:
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
