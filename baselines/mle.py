"""Maximum likelihood: the baseline that every other method has to beat, and starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from baselines.base import Baseline, BaselineConfig, Run
from baselines.neural import NeuralGenerator, build_net
from baselines.training.mle import MLE_BUDGETS, MLE_VERSION, MLEConfig, pretrain, pretraining_spec
from tasks.base import Corpus


class MLE(Baseline):
    """Teacher forcing until valid stops improving: an LSTM language model, or an encoder-decoder with attention.

    Its budget is the whole of the shared pre-training, early stopping included; an adversarial method with an equal
    `MLEConfig` goes on from the very same weights.
    """

    name: ClassVar[str] = "mle"
    version: ClassVar[int] = MLE_VERSION
    summary: ClassVar[str] = "maximum likelihood with early stopping (LSTM; encoder-decoder with attention)"
    source: ClassVar[str] = "Bahdanau, Cho and Bengio 2015 (arXiv 1409.0473) for conditional tasks"
    Config: ClassVar[type[BaselineConfig]] = MLEConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = MLE_BUDGETS

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config)

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        generator = self.build(corpus)
        generator.net.load_state_dict(pretrain(corpus, self.config, run))
        return generator.to(run.device)
