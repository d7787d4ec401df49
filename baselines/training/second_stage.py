"""What methods share that train a pre-trained generator further on pairs: batches, safe points, looks at valid.

A look decodes some sources of valid, greedily unless a method trains another decoding, and takes the mean sentence BLEU
of what comes out; the weights of the best look are kept, as sequence-level methods choose their model.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from baselines.base import BaselineConfig, Decoding, Run, State
from baselines.nets.base import AutoregressiveNet
from baselines.neural import NeuralGenerator
from baselines.training.mle import MLEConfig
from baselines.training.pair_bleu import PairBleu, Smoothing
from baselines.training.pairs import Pairs
from baselines.training.saving import moments, set_moments
from baselines.training.valid import valid_nll
from tasks.base import Corpus


class SecondStageConfig(BaselineConfig):
    """Constants of every second stage on pairs; each method gives them its own defaults, with their sources."""

    mle: MLEConfig = MLEConfig()  # the generator and its pre-training, shared with every other method
    epochs: PositiveInt = 1  # passes over train ...
    steps: int | None = Field(default=None, ge=0)  # ... or so many steps
    batch: PositiveInt = 64  # sources a step
    learning_rate: PositiveFloat = 1e-4
    clip: PositiveFloat = 1.0  # of the gradient's global norm
    smoothing: Smoothing = "add_one"  # of sentence BLEU
    select: Literal["last", "valid"] = "valid"  # the generator kept: the last, or that of the best look at valid
    valid_every: PositiveInt = 500  # steps between looks
    valid_rows: PositiveInt = 500  # the first of valid, looked at


@dataclass
class Done:
    """How far the stage is."""

    step: int = 0
    best: float = -math.inf  # mean sentence BLEU of greedy output, at the best look
    best_weights: State = field(default_factory=dict)


class SecondStage:
    """A generator that learns on, its optimiser, and the pairs that it learns from.

    Methods add their step to it, and to `state` and `load_state` what else must outlive an interruption.

    Attributes:
        bleu: sentence BLEU of ids against targets, as the methods are rewarded.
        decoding: of the output that is looked at; greedy unless a method says otherwise.
    """

    def __init__(
        self, corpus: Corpus, config: SecondStageConfig, generator: NeuralGenerator, run: Run, stage: str
    ) -> None:
        self.corpus, self.settings, self.generator, self.run, self.stage = corpus, config, generator, run, stage
        self.net: AutoregressiveNet = generator.net
        self.pairs = Pairs(corpus, run, config.batch)
        self.optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, fused=True)
        self.bleu = PairBleu(corpus.vocab.size, corpus.vocab.eos, smoothing=config.smoothing, unk=corpus.vocab.unk)
        self.decoding = Decoding("greedy")
        self.done = Done()

    @property
    def passes(self) -> int:
        """Steps in one pass over train."""
        return -(-len(self.pairs.train) // self.settings.batch)

    @property
    def total(self) -> int:
        """Steps of the whole stage."""
        return self.settings.epochs * self.passes if self.settings.steps is None else self.settings.steps

    def end_step(self, figures: Mapping[str, Tensor | float], watch: str, preparing: str | None = None) -> None:
        """Counts a step, looks at valid where it is time, logs, and offers a safe point.

        Args:
            watch: the figure that a person watching sees.
            preparing: the stage's name in the log where the generator is left as it is; valid isn't looked at then.
        """
        done, stage = self.done, preparing or self.stage
        done.step += 1
        told = {name: float(figure) for name, figure in figures.items()}
        if preparing is None and (done.step % self.settings.valid_every == 0 or done.step == self.total):
            told |= self.look_at_valid()
        self.run.log(stage, done.step, **told)
        self.run.progress(stage, done.step, self.total, **{watch: told[watch]})
        self.run.checkpoint(self.state)

    def look_at_valid(self) -> dict[str, float]:
        """Mean BLEU of the output, and nats per token, on the first rows of valid; keeps the best weights."""
        valid = self.corpus.splits["valid"]
        assert valid.sources is not None, "a task without sources has no pairs"
        rows = np.arange(min(self.settings.valid_rows, len(valid)))
        drawn = self.generator.generate(valid.sources.take(rows), decoding=self.decoding, rng=self.run.rng("greedy"))
        pad = self.corpus.vocab.pad
        tokens, gold = (torch.from_numpy(part.padded(pad)) for part in (drawn, valid.targets.take(rows)))
        bleu = float(self.bleu(tokens, gold).mean())
        if self.settings.select == "valid" and bleu > self.done.best:
            self.done.best, self.done.best_weights = bleu, copy.deepcopy(self.net.state_dict())
        return {"valid_bleu": bleu, "valid_nll": valid_nll(self.generator, self.corpus, self.settings.valid_rows)}

    def chosen(self) -> NeuralGenerator:
        """The generator as it is now, or as it was at the best look where that is asked for."""
        if self.settings.select == "valid" and self.done.best_weights:
            self.net.load_state_dict(self.done.best_weights)
        return self.generator

    def uniforms(self, *shape: int) -> Tensor:
        """From the CPU's stream, so that draws don't depend on the device."""
        return torch.rand(*shape, generator=self.run.rng("samples")).to(self.run.device)

    def state(self) -> dict[str, Any]:
        """Everything between two steps."""
        return {
            "done": vars(self.done),
            "net": self.net.state_dict(),
            "moments": moments(self.net, self.optimizer),
            "pairs": self.pairs.state(),
        }

    def load_state(self, saved: Mapping[str, Any]) -> None:
        """Puts back what `state` gave."""
        self.done = Done(**saved["done"])
        self.net.load_state_dict(saved["net"])
        set_moments(self.net, self.optimizer, saved["moments"])
        self.pairs.restore(saved["pairs"])

    def resume(self) -> bool:
        """Whether there was a state to go on from."""
        saved = self.run.resume()
        if saved is not None:
            self.load_state(saved)
        return saved is not None


def without_pairs(corpus: Corpus) -> str | None:
    """Why a method on pairs can't be trained on this corpus."""
    if corpus.source_vocab is None:
        return "its reward compares each output with the target of its own source; this task has no sources"
    if corpus.max_target_length < 2:
        return "targets of one token leave no sequence to learn from"
    return None
