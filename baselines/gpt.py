"""GPT: an autoregressive Transformer language model, trained from scratch, or a checkpoint that is fine-tuned.

Radford et al. 2018 ("Improving Language Understanding by Generative Pre-Training") and 2019 ("Language Models are
Unsupervised Multitask Learners"), by way of `transformers`. From scratch it models the task's own tokens like every
other method; with a checkpoint it brings its own tokenizer and what it read before, and stands in a track of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from baselines.base import Baseline, BaselineConfig, Run
from baselines.grown import GrownConfig
from baselines.nets.transformer import MISSING, TransformerLanguageModel, available, initialise
from baselines.neural import NeuralGenerator
from baselines.precision import BEFORE, Precision
from baselines.pretrained import PretrainedGenerator
from baselines.training.loss import cross_entropy
from baselines.training.tuning import train_text
from tasks.base import Corpus, Ragged, Split

CACHE = 1 << 26  # numbers of keys and values that sampling holds at once: 256 MB of float32


class TrainingConfig(GrownConfig):
    """Maximum likelihood with early stopping. "GPT-1" is section 4.1 of Radford et al. 2018, "Model specifications"."""

    added: ClassVar[Mapping[str, Any]] = BEFORE

    epochs: PositiveInt = 100  # GPT-1; at most
    batch: PositiveInt = 64  # GPT-1, of 512 tokens each; here of one text each
    learning_rate: PositiveFloat = 2.5e-4  # GPT-1: the highest
    warmup: NonNegativeInt = 2000  # GPT-1: updates in which the rate rises linearly from 0
    schedule: Literal["cosine", "linear"] = "cosine"  # GPT-1: then falls to 0 on a cosine
    weight_decay: NonNegativeFloat = 0.01  # GPT-1: of all weights but biases and gains, apart from the gradient
    clip: PositiveFloat = 1.0  # of the gradient's global norm; ours: GPT-1 names none
    patience: PositiveInt = 10  # epochs without improvement on valid, then training ends; ours
    valid_rows: PositiveInt = 2000  # the first of valid, looked at after each epoch
    precision: Precision = "float32"  # of matrix products in training; "bfloat16" is meant for GPUs

    def share(self, step: int, total: int) -> float:
        """Of the rate: up linearly from 0, then down to 0 at the last step."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, total - self.warmup)
        return 1 - done if self.schedule == "linear" else 0.5 + 0.5 * math.cos(math.pi * done)


class TuningConfig(TrainingConfig):
    """The same for a checkpoint; constants of GPT-1's fine-tuning, section 4.1, "Fine-tuning details"."""

    epochs: PositiveInt = 3
    batch: PositiveInt = 32
    learning_rate: PositiveFloat = 6.25e-5
    warmup: NonNegativeInt = 20  # ours; GPT-1: over 0.2% of training, which is a step or two here
    schedule: Literal["cosine", "linear"] = "linear"
    patience: PositiveInt = 1


class GPTConfig(BaselineConfig):
    """Defaults are the smallest GPT-2 (Radford et al. 2019, table 2) with the training of GPT-1."""

    layers: PositiveInt = 12
    heads: PositiveInt = 12
    width: PositiveInt = 768
    dropout: float = Field(default=0.1, ge=0, lt=1)  # GPT-1: residual, embedding and attention dropout
    training: TrainingConfig = TrainingConfig()
    checkpoint: str | None = None  # a local folder, or a name on the hub, as "gpt2"; then the sizes above aren't read
    revision: str | None = None  # of the checkpoint on the hub
    fine_tune: bool = True  # False: the checkpoint as it is (zero-shot)
    tuning: TuningConfig = TuningConfig()
    max_tokens: PositiveInt | None = None  # of the checkpoint's, at most in a text; None: the longest text of train

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> GPTConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


# As many epochs as one CPU thread has time for in about five minutes; a larger rate than the paper's, as smaller models
# and shorter trainings take.
BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "layers": 2,
        "heads": 2,
        "width": 64,
        "dropout": 0.0,
        "training": {"epochs": 3, "learning_rate": 5e-3, "warmup": 20, "batch": 32},
        "tuning": {"epochs": 1},
    },
    "small": {
        "layers": 3,
        "heads": 3,
        "width": 192,
        "dropout": 0.2,
        "training": {"epochs": 8, "learning_rate": 2e-3, "warmup": 100, "patience": 3},
    },
    "small/poetry": {"training": {"epochs": 4}},
    "small/captions": {"training": {"epochs": 10}},
    "small/oracle": {"training": {"epochs": 5}},
    "paper": {},
}


class LanguageModel(NeuralGenerator):
    """The generator from scratch: the task's tokens, the network of `nets.transformer`."""

    net: TransformerLanguageModel

    def loss(self, targets: Ragged) -> Tensor:
        """Sum over all tokens of -log p, in nats, with gradient; padding gives none."""
        batch = self.collator.batch(targets, None, self.device)
        features = self.net(batch.inputs)[batch.inside]
        return cross_entropy(features, self.net.output, batch.targets[batch.inside])

    def log_probs(self, targets: Ragged) -> np.ndarray[Any, np.dtype[np.float64]]:
        return self.token_log_probs(targets)


class GPT(Baseline):
    name: ClassVar[str] = "gpt"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Transformer language model (GPT-2), from scratch or from a checkpoint"
    source: ClassVar[str] = "Radford et al. 2018 and 2019 (OpenAI reports)"
    Config: ClassVar[type[BaselineConfig]] = GPTConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def track(self) -> str:
        return "scratch" if self.config.checkpoint is None else "pretrained"

    def supports(self, corpus: Corpus) -> str | None:
        if corpus.kind != "free":
            return "a language model reads no sources"
        if self.config.checkpoint is not None and corpus.oracle is not None:
            return "the oracle's tokens are no text that a checkpoint could know"
        return None if available() else MISSING

    def build(self, corpus: Corpus) -> LanguageModel | PretrainedGenerator:
        config: GPTConfig = self.config
        if config.checkpoint is not None:
            return PretrainedGenerator(corpus, config.checkpoint, config.revision, config.max_tokens)
        places = (corpus.fixed_length or corpus.max_target_length) + 1  # `bos` and every token
        with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream
            sizes = (config.width, config.layers, config.heads, config.dropout)
            net = TransformerLanguageModel(corpus.vocab.size, places, *sizes)
        rows = CACHE // (2 * config.layers * config.width * places)
        return LanguageModel(net, corpus, batch=max(1, min(1024, rows)))

    def fit(self, corpus: Corpus, run: Run) -> LanguageModel | PretrainedGenerator:
        config: GPTConfig = self.config
        generator = self.build(corpus)
        if isinstance(generator, LanguageModel):
            settings, stage = config.training, "train"
            initialise(generator.net, run.rng("init"))
        else:
            settings, stage = config.tuning, "fine-tune"
            if not config.fine_tune:
                return generator.to(run.device)
        train, valid = (_targets(generator, corpus.splits[name]) for name in ("train", "valid"))
        train_text(generator, (train,), (valid,), settings, run, stage)
        return generator


def _targets(generator: LanguageModel | PretrainedGenerator, split: Split) -> Ragged:
    """The split in the tokens that the generator models."""
    if isinstance(generator, LanguageModel):
        return split.targets
    return generator.encode([example.target for example in split.examples])
