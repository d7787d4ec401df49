"""NNLM (Bengio, Ducharme, Vincent and Jauvin 2003): a feed-forward network over the last n - 1 tokens.

The first neural language model, between the n-gram model (the same context, counted) and the LSTM (all of the context).
Trained as MLE is: teacher forcing, early stopping on valid. See `docs/methods/nnlm.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt

from baselines.base import Baseline, BaselineConfig, Run
from baselines.nets.feedforward import FeedForwardLanguageModel
from baselines.neural import NeuralGenerator
from baselines.training.mle import MLEConfig, train_mle
from tasks.base import Corpus


class NNLMConfig(BaselineConfig):
    """Sizes are those of the paper's network without a trigram model beside it; from memory, not checked (docs)."""

    order: int = Field(default=5, ge=2)  # paper: n = 5 on Brown, 6 on AP News
    embedding: PositiveInt = 60  # paper: m = 30, 60 on Brown, 100 on AP News
    hidden: PositiveInt = 50  # paper: h = 50, 100 on Brown, 60 on AP News
    direct: bool = True  # paper: helps or harms by corpus; with h = 50 it has them
    dropout: float = Field(default=0.0, ge=0, lt=1)  # paper: none; ours stands in for its weight decay of 1e-4
    epochs: PositiveInt = 20  # paper: 10 to 20 until convergence
    batch: PositiveInt = 64  # paper: 1, plain gradient descent
    learning_rate: PositiveFloat = 1e-3  # Adam; paper: 1e-3 / (1 + 1e-8 t), plain gradient descent
    schedule: Literal["constant", "plateau", "linear"] = "constant"
    patience: PositiveInt = 3  # epochs without improvement on valid; paper: early stopping
    clip: PositiveFloat = 5.0  # ours: of the gradient's global norm

    @property
    def training(self) -> MLEConfig:
        """As the shared training reads it; of its network nothing is read."""
        names = {"epochs", "batch", "learning_rate", "schedule", "patience", "clip"}
        return MLEConfig(**self.model_dump(include=names))


class NNLM(Baseline):
    name: ClassVar[str] = "nnlm"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "feed-forward network over the last n - 1 tokens, maximum likelihood"
    source: ClassVar[str] = "Bengio et al. 2003 (JMLR 3:1137-1155)"
    Config: ClassVar[type[BaselineConfig]] = NNLMConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"embedding": 32, "hidden": 64, "direct": False, "epochs": 6, "learning_rate": 1e-2}
        | {"schedule": "linear"},
        "small": {"embedding": 128, "hidden": 256, "direct": False, "dropout": 0.4, "epochs": 10}
        | {"learning_rate": 3e-3, "schedule": "linear"},
        "small/oracle": {"embedding": 32, "hidden": 32, "dropout": 0.0, "epochs": 20, "learning_rate": 1e-2},
        "paper": {},
    }

    def supports(self, corpus: Corpus) -> str | None:
        return None if corpus.kind == "free" else "a feed-forward language model reads no source"

    def build(self, corpus: Corpus) -> NeuralGenerator:
        config: NNLMConfig = self.config
        sizes = config.model_dump(include={"order", "embedding", "hidden", "direct", "dropout"})
        with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream
            net = FeedForwardLanguageModel(corpus.vocab.size, **sizes)
        return NeuralGenerator(net, corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        generator = self.build(corpus)
        net = generator.net
        assert isinstance(net, FeedForwardLanguageModel)
        net.initialise(run.rng("init"))
        generator.to(run.device)
        net.load_state_dict(train_mle(net, corpus, self.config.training, run))
        return generator
