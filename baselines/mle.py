"""Maximum likelihood: the baseline that every other method has to beat, and starts from.

`mle` is the row of the generator that all methods share. The other rows are further encoder-decoders, trained alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import PositiveInt

from baselines.base import Baseline, BaselineConfig, Run
from baselines.merging import merge
from baselines.nets.attention import Cell
from baselines.nets.transformer import MISSING, available
from baselines.neural import NetConfig, NeuralGenerator, build_net, lacks
from baselines.pretrained_pairs import PairTuningConfig, PretrainedPairs, fine_tune
from baselines.training.mle import (
    MLE_BUDGETS,
    MLE_VERSION,
    TRANSFORMER_BUDGETS,
    DualAttentionConfig,
    MLEConfig,
    TransformerMLEConfig,
    conditional_budgets,
    pretrain,
    pretraining_spec,
)
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

    def supports(self, corpus: Corpus) -> str | None:
        return lacks(corpus, self.config.net)

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config)

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        generator = self.build(corpus)
        generator.net.load_state_dict(pretrain(corpus, self.config, run))
        return generator.to(run.device)


class EncoderDecoder(MLE):
    """A row of its own for an encoder-decoder that isn't the one of `mle`."""

    def supports(self, corpus: Corpus) -> str | None:
        if corpus.source_vocab is None:
            return "an encoder-decoder needs sources; without them it would be the language model of mle"
        return super().supports(corpus)


class RNNSearchNet(NetConfig):
    architecture: Literal["rnnsearch"] = "rnnsearch"
    cell: Cell = "gru"
    input_feeding: bool = True


class RNNSearchConfig(MLEConfig):
    net: RNNSearchNet = RNNSearchNet()


class RNNSearch(EncoderDecoder):
    name: ClassVar[str] = "rnnsearch"
    summary: ClassVar[str] = "bidirectional GRU encoder, GRU decoder that reads an additive attention's context"
    source: ClassVar[str] = "Bahdanau, Cho and Bengio 2015, arXiv 1409.0473"
    Config: ClassVar[type[BaselineConfig]] = RNNSearchConfig
    # Bahdanau's order at every size: input feeding costs a loop over the target's words.
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = conditional_budgets({})


class PointerGeneratorNet(NetConfig):
    architecture: Literal["rnnsearch"] = "rnnsearch"
    copy_source: Literal[True] = True


class PointerGeneratorConfig(MLEConfig):
    net: PointerGeneratorNet = PointerGeneratorNet()


class PointerGenerator(EncoderDecoder):
    name: ClassVar[str] = "pointer_generator"
    summary: ClassVar[str] = "the encoder-decoder of mle, which can also copy words of the source"
    source: ClassVar[str] = "See, Liu and Manning 2017, arXiv 1704.04368 (without coverage)"
    Config: ClassVar[type[BaselineConfig]] = PointerGeneratorConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = conditional_budgets({})


class LSTMSeq2SeqNet(NetConfig):
    architecture: Literal["seq2seq"] = "seq2seq"
    reverse_source: bool = True  # section 3.3


class LSTMSeq2SeqConfig(MLEConfig):
    net: LSTMSeq2SeqNet = LSTMSeq2SeqNet()


class LSTMSeq2Seq(EncoderDecoder):
    name: ClassVar[str] = "lstm_seq2seq"
    summary: ClassVar[str] = "LSTM encoder-decoder without attention, source reversed"
    source: ClassVar[str] = "Sutskever, Vinyals and Le 2014, arXiv 1409.3215"
    Config: ClassVar[type[BaselineConfig]] = LSTMSeq2SeqConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = conditional_budgets(
        {
            # section 3.4: 4 layers of 1000, embeddings of 1000, U(-0.08, 0.08), batch 128, clip 5
            "paper/conditional": {
                "net": {"embedding": 1000, "hidden": 1000, "layers": 4, "readout": 1000}
                | {"init": "uniform", "init_scale": 0.08},
                "batch": 128,
                "clip": 5.0,
            },
        }
    )


class CNNSeq2SeqNet(NetConfig):
    architecture: Literal["cnn"] = "cnn"
    window: PositiveInt = 5


class CNNSeq2SeqConfig(MLEConfig):
    net: CNNSeq2SeqNet = CNNSeq2SeqNet()


class CNNSeq2Seq(EncoderDecoder):
    name: ClassVar[str] = "cnn_seq2seq"
    summary: ClassVar[str] = "convolutional attentive encoder, LSTM decoder (the generator of MIXER)"
    source: ClassVar[str] = "Ranzato et al. 2016, arXiv 1511.06732; encoder: Rush, Chopra and Weston 2015"
    Config: ClassVar[type[BaselineConfig]] = CNNSeq2SeqConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = conditional_budgets(
        {
            # unscaled, from N(0, 0.5) and without feeding, attention hardly learns in the steps that there are
            "small/conditional": {"net": {"input_feeding": True, "scale_scores": True, "init_scale": 0.1}},
            # 256 hidden units, from memory
            "paper/conditional": {"net": {"embedding": 256, "hidden": 256, "readout": 256}, "batch": 32},
        }
    )


class DualAttentionRow(EncoderDecoder):
    name: ClassVar[str] = "dual_attention"
    summary: ClassVar[str] = "GRU encoder-decoder, each attending to its own states too (a reconstruction)"
    source: ClassVar[str] = "Xu et al. 2018, doi 10.1109/ICTAI.2018.00045 (the generator; a reconstruction)"
    Config: ClassVar[type[BaselineConfig]] = DualAttentionConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = conditional_budgets({})


class DBAMNet(NetConfig):
    architecture: Literal["dbam"] = "dbam"


class DBAMConfig(MLEConfig):
    net: DBAMNet = DBAMNet()


class DBAMRow(EncoderDecoder):
    name: ClassVar[str] = "dbam"
    summary: ClassVar[str] = "encoder-decoder with an attention layer for each half of the source (our reading)"
    source: ClassVar[str] = "named in teaching material alone; no paper could be found"
    Config: ClassVar[type[BaselineConfig]] = DBAMConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = conditional_budgets({})


class TransformerConfig(TransformerMLEConfig):
    """From scratch, or from a checkpoint: of `TransformerMLEConfig` then nothing is read."""

    checkpoint: str | None = None  # a local folder, or a name on the hub, as "facebook/bart-large"
    revision: str | None = None  # of the checkpoint on the hub
    fine_tune: bool = True  # False: the checkpoint as it is (zero-shot)
    tuning: PairTuningConfig = PairTuningConfig()
    max_tokens: PositiveInt | None = None  # of the checkpoint's, at most in an answer; None: the longest of train


class Transformer(EncoderDecoder):
    """From scratch it models the task's own tokens; a checkpoint brings its tokenizer, in a track of its own."""

    name: ClassVar[str] = "transformer"
    summary: ClassVar[str] = "Transformer encoder-decoder (BART's shape), from scratch"
    source: ClassVar[str] = "Vaswani et al. 2017, arXiv 1706.03762; Lewis et al. 2020, arXiv 1910.13461"
    Config: ClassVar[type[BaselineConfig]] = TransformerConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = merge(
        TRANSFORMER_BUDGETS, {"smoke/conditional": {"tuning": {"epochs": 1, "warmup": 20}}}
    )

    def track(self) -> str:
        return "scratch" if self.config.checkpoint is None else "pretrained"

    def supports(self, corpus: Corpus) -> str | None:
        if self.config.checkpoint is not None and corpus.source_vocab is not None:
            return None if available() else MISSING
        return super().supports(corpus)

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return super().pretraining(corpus) if self.config.checkpoint is None else None

    def build(self, corpus: Corpus) -> NeuralGenerator | PretrainedPairs:  # type: ignore[override]
        config: TransformerConfig = self.config
        if config.checkpoint is None:
            return super().build(corpus)
        return PretrainedPairs(corpus, config.checkpoint, config.revision, config.max_tokens)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator | PretrainedPairs:  # type: ignore[override]
        generator = self.build(corpus)
        if isinstance(generator, NeuralGenerator):
            return super().fit(corpus, run)
        if self.config.fine_tune:
            return fine_tune(generator, corpus, self.config.tuning, run)
        return generator.to(run.device)
