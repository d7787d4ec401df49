"""MLE with a small search: what maximum likelihood gives for the tuning that an adversarial method gets.

A GAN at its best settings against an MLE at its first ones shows what tuning is worth, not what the GAN is. So some
settings around the preset are tried here, and what is best on valid is kept; see `docs/methods/tuned_mle.md`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from baselines.base import Baseline, BaselineConfig, Diverged, Run
from baselines.neural import NetConfig, NeuralGenerator, build_net, lacks
from baselines.training.mle import MLEConfig, over_pretraining, pretrain, pretraining_spec
from baselines.training.valid import valid_nll
from tasks.base import Corpus


class TunedMLEConfig(BaselineConfig):
    """What is tried. The lists are ours, and every combination of their entries is as likely."""

    mle: MLEConfig = MLEConfig()  # the preset, which is trial 0: the checkpoint shared with every other method
    trials: PositiveInt = 4  # the preset's included: as many settings as were tried for each adversarial method
    heat: float = Field(default=1.0, gt=0, le=1)  # below 1: the others run this share of the epochs, the best goes on
    widths: tuple[PositiveFloat, ...] = (0.5, 0.75, 1.0, 1.5, 2.0)  # times all sizes
    dropouts: tuple[float, ...] = (-0.2, -0.1, 0.0, 0.1, 0.2)  # added to the preset's ...
    largest_dropout: NonNegativeFloat = Field(default=0.7, lt=1)  # ... and kept from 0 to this
    rates: tuple[PositiveFloat, ...] = (1 / 3, 0.5, 1.0, 2.0, 3.0)  # times the learning rate


# `small` keeps to about three times the time of MLE: heats of a quarter, and no network much larger than the preset's.
_SEARCH: dict[str, dict[str, Any]] = {
    "smoke": {"trials": 3, "heat": 0.25},
    "small": {"heat": 0.25, "widths": (0.5, 0.75, 1.0, 1.5)},
    "small/oracle": {"widths": (0.5, 1.0, 1.5, 2.0)},
    "paper": {},
}
BUDGETS = over_pretraining(_SEARCH)


class TunedMLE(Baseline):
    name: ClassVar[str] = "tuned_mle"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "MLE after a small search over size, dropout and learning rate on valid"
    source: ClassVar[str] = "a control; for the need of it see Semeniuta et al. 2018, arXiv 1806.04936"
    Config: ClassVar[type[BaselineConfig]] = TunedMLEConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return lacks(corpus, self.config.mle.net)

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> ResizedGenerator:
        config: TunedMLEConfig = self.config
        return ResizedGenerator(corpus, [config.mle.net, *(widened(config.mle.net, width) for width in config.widths)])

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        """The preset in full, the others in a heat, the best of them in full; of those in full the best on valid.

        A trial is one shared pre-training, so what was trained is never trained again; all else takes no time.
        """
        config: TunedMLEConfig = self.config
        settings = draw_settings(config, run.rng("search"))
        preset, *others = range(len(settings))
        if config.heat < 1 and len(others) > 1:
            short = [shortened(one, config.heat) for one in settings]
            heats = [self.trial(corpus, short[number], number, "heat", run)[0] for number in others]
            others = [others[heats.index(min(heats))]]
        finals = [self.trial(corpus, settings[number], number, "search", run) for number in (preset, *others)]
        return min(finals, key=lambda final: final[0])[1]

    def trial(
        self, corpus: Corpus, config: MLEConfig, number: int, stage: str, run: Run
    ) -> tuple[float, NeuralGenerator]:
        """Valid NLL (nats a token; infinite where training diverged) and the generator after training."""
        figures = {"embedding": config.net.embedding, "hidden": config.net.hidden, "dropout": config.net.dropout}
        figures |= {"learning_rate": config.learning_rate, "epochs": config.epochs}
        generator = self.build(corpus)
        try:
            weights = pretrain(corpus, config, run)
        except Diverged:
            if number == 0:  # then so does MLE
                raise
            run.log(stage, number, **figures, diverged=1.0)
            return math.inf, generator
        generator.load_state_dict({f"net.{name}": value for name, value in weights.items()})
        nll = valid_nll(generator.to(run.device), corpus, config.valid_rows)
        run.log(stage, number, **figures, valid_nll=nll)
        run.progress(stage, number + 1, self.config.trials, valid_nll=nll)
        return nll, generator


class ResizedGenerator(NeuralGenerator):
    """Its network's size is found by training: loading weights makes the network anew in the size that they have."""

    def __init__(self, corpus: Corpus, sizes: Sequence[NetConfig]) -> None:
        """`sizes`: those that the network may have; it starts in the first."""
        super().__init__(build_net(corpus, sizes[0]), corpus)
        self.corpus, self.sizes = corpus, sizes

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        wanted = {name: value.shape for name, value in state_dict.items()}
        for size in self.sizes:
            net = build_net(self.corpus, size)
            if {f"net.{name}": value.shape for name, value in net.state_dict().items()} == wanted:
                self.net = net.to(self.device)
                break
        return super().load_state_dict(state_dict, strict, assign)


def draw_settings(config: TunedMLEConfig, rng: torch.Generator) -> list[MLEConfig]:
    """The preset, and `trials - 1` others of the combinations; fewer where there are fewer."""
    every = [
        config.mle.model_copy(
            update={
                "net": widened(config.mle.net, width).model_copy(
                    update={"dropout": min(max(config.mle.net.dropout + dropout, 0.0), config.largest_dropout)}
                ),
                "learning_rate": config.mle.learning_rate * rate,
            }
        )
        for width, dropout, rate in itertools.product(config.widths, config.dropouts, config.rates)
    ]
    order = torch.randperm(len(every), generator=rng).tolist()
    distinct = dict.fromkeys([config.mle, *(every[place] for place in order)])
    return list(distinct)[: config.trials]


def widened(net: NetConfig, width: float) -> NetConfig:
    sizes = ("embedding", "hidden", "encoder", "attention", "readout")
    return net.model_copy(update={name: max(1, round(getattr(net, name) * width)) for name in sizes})


def shortened(config: MLEConfig, share: float) -> MLEConfig:
    return config.model_copy(update={"epochs": max(1, round(config.epochs * share))})
