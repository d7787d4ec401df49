"""From a network to the `Generator` that scoring asks for: batches, order, devices, modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from baselines.base import CannotDecode, Decoding
from baselines.decoding import Coverage, Limits, beam_search, greedy, sample
from baselines.grown import GrownConfig
from baselines.nets import encoder_decoder
from baselines.nets.attention import AttentionSeq2Seq, AttentiveDecoder, Cell
from baselines.nets.base import AutoregressiveNet, Memory
from baselines.nets.cnn_encoder import ConvSeq2Seq
from baselines.nets.copying import KINDS, Copying, CopyOutput, copied_ids
from baselines.nets.dbam import DBAM
from baselines.nets.dual_attention import DualAttention
from baselines.nets.encoder_decoder import TransformerSeq2Seq
from baselines.nets.lstm import Init, LSTMLanguageModel, RecurrentNet, initialise
from baselines.nets.seq2seq import Seq2Seq
from baselines.nets.transformer import MISSING, available
from baselines.training.batches import Collator
from baselines.training.loss import log_probs
from baselines.unknown_words import UnknownWords
from tasks.base import Corpus, Ragged

Architecture = Literal["rnnsearch", "seq2seq", "cnn", "dual_attention", "dbam", "transformer"]


class NetConfig(GrownConfig):
    """The generator that all methods share. What `CONDITIONAL` names is read for conditional tasks alone.

    Free tasks have an LSTM language model. Of the encoder-decoders each reads what it has: docs/methods/mle.md.
    """

    added: ClassVar[Mapping[str, Any]] = {
        "architecture": "rnnsearch",
        "cell": "lstm",
        "reverse_source": False,
        "window": 5,
        "heads": 4,
        "copy_source": False,
        "scale_scores": False,
    }

    embedding: PositiveInt = 128
    hidden: PositiveInt = 256
    layers: PositiveInt = 1
    dropout: NonNegativeFloat = 0.0
    tied: bool = False  # target embedding and output layer are one matrix
    init: Init = "glorot"
    init_scale: PositiveFloat = 0.5
    encoder: PositiveInt = 128  # hidden units of each direction
    attention: PositiveInt = 128
    readout: PositiveInt = 128
    input_feeding: bool = False  # rnnsearch, cnn: the decoder reads the context that its previous state found
    architecture: Architecture = "rnnsearch"
    cell: Cell = "lstm"  # rnnsearch: of encoder and decoder
    reverse_source: bool = False  # seq2seq: the source is read from its end
    window: PositiveInt = 5  # cnn: source words that a key is made of
    scale_scores: bool = False  # cnn: dot products are divided by the root of the width (Vaswani et al. 2017, eq. 1)
    heads: PositiveInt = 4  # transformer
    copy_source: bool = False  # rnnsearch, cnn, dual_attention, dbam: a pointer-generator's output

    @model_validator(mode="after")
    def _copies_by_attention(self) -> Self:
        if self.copy_source and self.architecture in ("seq2seq", "transformer"):
            raise ValueError(f"copy_source needs an attentive decoder, and {self.architecture} is none of those")
        return self


LONGEST = 512  # tokens of a source, where the corpus sets no limit
CONDITIONAL = (*("encoder", "attention", "readout", "input_feeding"), *NetConfig.added)


def build_net(corpus: Corpus, config: NetConfig) -> AutoregressiveNet:
    """The network for the corpus: a language model, or an encoder-decoder where there are sources.

    Its weights are not yet those of a seed: call `initialise_net`.
    """
    sizes = config.model_dump(include={"embedding", "hidden", "layers", "dropout", "tied"})
    with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream, which dropout uses
        if corpus.source_vocab is None:
            return LSTMLanguageModel(corpus.vocab.size, **sizes)
        net = _encoder_decoder(corpus, corpus.source_vocab.n_inputs, config, sizes)
        if isinstance(net, Copying):
            separator = corpus.source_codec.separator if corpus.source_codec else None
            net.copy_from(copied_ids(corpus.source_vocab, corpus.vocab, separator))
        return net


def _encoder_decoder(corpus: Corpus, words: int, config: NetConfig, sizes: dict[str, Any]) -> AutoregressiveNet:
    """`words`: of sources."""
    vocabularies = (words, corpus.vocab.size)
    source, target = corpus.max_source_length or LONGEST, corpus.max_target_length + 1  # tokens read, `bos` is one
    readout = {**sizes, "readout": config.readout}
    attention = {**readout, "encoder": config.encoder, "attention": config.attention}

    def kind(plain: type[AttentiveDecoder]) -> Callable[..., AutoregressiveNet]:
        return KINDS[plain] if config.copy_source else plain

    match config.architecture:
        case "rnnsearch":
            return kind(AttentionSeq2Seq)(
                *vocabularies, **attention, input_feeding=config.input_feeding, cell=config.cell
            )
        case "seq2seq":
            return Seq2Seq(*vocabularies, **readout, reverse_source=config.reverse_source)
        case "cnn":
            attending = {"input_feeding": config.input_feeding, "scale_scores": config.scale_scores}
            return kind(ConvSeq2Seq)(*vocabularies, source, **readout, window=config.window, **attending)
        case "dual_attention":
            return kind(DualAttention)(*vocabularies, target, **attention)
        case "dbam":
            return kind(DBAM)(*vocabularies, **attention)
        case "transformer":
            heads, rate = config.heads, config.dropout
            return TransformerSeq2Seq(*vocabularies, source, target, config.hidden, config.layers, heads, rate)


def initialise_net(net: AutoregressiveNet, config: NetConfig, rng: torch.Generator) -> None:
    """Draws all weights anew, on the CPU (so that they don't depend on the device), in the order of their names."""
    if isinstance(net, TransformerSeq2Seq):
        encoder_decoder.initialise(net, config.init, config.init_scale, rng)
    else:
        assert isinstance(net, RecurrentNet)
        initialise(net, config.init, config.init_scale, rng)


def lacks(corpus: Corpus, config: NetConfig) -> str | None:
    """None, or what `build_net` would need for this and has not; for `Baseline.supports`."""
    if corpus.source_vocab is not None and config.architecture == "transformer" and not available():
        return MISSING
    return None


def copies(config: NetConfig) -> str | None:
    """None, or why a method that works on logits can't have this generator; for `Baseline.supports`."""
    if config.copy_source:
        return "it works on the logits of a softmax, and with net.copy_source the output is none"
    return None


class NeuralGenerator(nn.Module):
    """A `Generator` made of an `AutoregressiveNet` and what it needs to know of the corpus.

    Leaves the network's mode (training or not) as it was; computes no gradient; runs where the weights are.
    """

    def __init__(self, net: AutoregressiveNet, corpus: Corpus, batch: int = 1024) -> None:
        super().__init__()
        self.net, self.batch = net, batch
        eos = None if corpus.fixed_length else corpus.vocab.eos
        self.limits = Limits(corpus.vocab.bos, eos, corpus.fixed_length or corpus.max_target_length)
        self.unknown = corpus.vocab.unk
        self.corpus, self.unknown_words = corpus, UnknownWords(corpus)
        self.collator = Collator.of(corpus)

    @property
    def device(self) -> torch.device:
        return self.net.output.weight.device

    def sample(self, n: int, *, temperature: float = 1.0, rng: torch.Generator) -> Ragged:
        if n == 0:
            return Ragged.from_lists([])
        uniforms = torch.rand(n, self.limits.max_length, generator=rng)
        with evaluating(self.net):
            parts = [sample(self.net, (), part, self.limits, temperature) for part in torch.split(uniforms, self.batch)]
        return Ragged.concatenate(parts)

    def generate(self, sources: Ragged, *, decoding: Decoding, rng: torch.Generator) -> Ragged:
        """As the protocol says; `decoding.replace` has no effect on ids, since what replaces a word may have none."""
        uniforms = None
        if decoding.method == "sample":  # drawn for all at once: what a source gets doesn't depend on the batches
            uniforms = torch.rand(len(sources), self.limits.max_length, generator=rng)
        size = max(1, self.batch // (4 * decoding.beam_size))
        order = np.argsort(sources.lengths, kind="stable")
        parts = []
        forbidden = None if decoding.unknown else self.unknown
        with evaluating(self.net), never(self.net, forbidden):
            for start in range(0, len(order), size):
                rows = order[start : start + size]
                drawn = None if uniforms is None else uniforms[rows]
                parts.append(self._decode(sources.take(rows), decoding, drawn))
        return Ragged.concatenate(parts).take(np.argsort(order, kind="stable"))

    def write(
        self, sources: Ragged, texts: Sequence[tuple[str, ...]], *, decoding: Decoding, rng: torch.Generator
    ) -> tuple[list[str], Ragged | None]:
        """`generate`, as text; with `decoding.replace` the unknown words are replaced in the text, not in the ids."""
        if decoding.replace:
            self._check_attention(sources)
        ids = self.generate(sources, decoding=decoding, rng=rng)
        return self.replaced(ids, sources, texts) if decoding.replace else self.corpus.decode(ids), ids

    def replaced(self, ids: Ragged, sources: Ragged, texts: Sequence[tuple[str, ...]]) -> list[str]:
        self._check_attention(sources)
        return self.unknown_words.decode(ids, sources, texts, self._alignments)

    def token_log_probs(self, targets: Ragged, sources: Ragged | None = None) -> npt.NDArray[np.float64]:
        order = np.argsort(targets.lengths, kind="stable")
        out = np.zeros(len(targets.flat), np.float64)
        with evaluating(self.net):
            for start in range(0, len(order), 256):
                rows = order[start : start + 256]
                found = self._score(targets.take(rows), None if sources is None else sources.take(rows))
                lengths = targets.lengths[rows]
                shift = np.repeat(targets.offsets[rows] - np.cumsum(lengths) + lengths, lengths)
                out[shift + np.arange(lengths.sum())] = found
        return out

    def _encode(self, sources: Ragged | None) -> Memory:
        if sources is None:
            return ()
        return self.net.encode(*self.collator.sources(sources, self.device))

    def _decode(self, sources: Ragged, decoding: Decoding, uniforms: Tensor | None) -> Ragged:
        padded, lengths = self.collator.sources(sources, self.device)
        memory, batch = self.net.encode(padded, lengths), len(sources)
        if uniforms is not None:
            return sample(self.net, memory, uniforms, self.limits, decoding.temperature)
        if decoding.method == "greedy":
            return greedy(self.net, memory, batch, self.limits)
        coverage = None
        if decoding.coverage:  # of all tokens but the `</s>` that ends a source
            words = torch.arange(padded.shape[1], device=self.device) < lengths[:, None] - 1
            coverage = Coverage(decoding.coverage, words)
        beam = (decoding.beam_size, decoding.length_penalty, coverage)
        return beam_search(self.net, memory, batch, self.limits, *beam)

    def _check_attention(self, sources: Ragged) -> None:
        """Whether this network has attention doesn't depend on what it is given: one source and one step tell."""
        if len(sources) == 0:
            return
        bos = torch.full((1, 1), self.limits.bos, device=self.device)
        with evaluating(self.net):
            if self.net.alignments(bos, self._encode(sources.take([0]))) is None:
                raise CannotDecode("replace-unk needs attention to the source, and this network has none")

    def _alignments(self, targets: Ragged, sources: Ragged) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Each row's place and its attention weights [tokens or more, source tokens or more], long sources first."""
        order = np.argsort(-sources.lengths, kind="stable")
        time, start = int(targets.lengths.max(initial=1)), 0
        while start < len(order):
            # At most so many (token, source token) places at a time; attention holds a vector for each.
            size = max(1, 2**17 // (time * max(1, int(sources.lengths[order[start]]))))
            rows = order[start : start + size]
            with evaluating(self.net):
                batch = self.collator.batch(targets.take(rows), None, self.device)
                weights = self.net.alignments(batch.inputs, self._encode(sources.take(rows)))
            assert weights is not None, "`write` asked before"
            yield from zip(rows.tolist(), weights.float().cpu().numpy(), strict=True)
            start += size

    def _score(self, targets: Ragged, sources: Ragged | None) -> npt.NDArray[np.float64]:
        """Log-probabilities of all tokens of the batch, aligned with `targets.flat`."""
        batch = self.collator.batch(targets, None, self.device)
        features = self.net(batch.inputs, self._encode(sources))
        return log_probs(features[batch.inside], self.net.output, batch.targets[batch.inside]).double().cpu().numpy()


@contextmanager
def never(net: AutoregressiveNet, token: int | None) -> Iterator[None]:
    """The token has probability 0 inside; None forbids nothing."""
    if token is None:
        yield
        return
    if isinstance(net.output, CopyOutput):  # it could be copied whatever its bias is
        outer, net.output.forbidden = net.output.forbidden, token
        try:
            yield
        finally:
            net.output.forbidden = outer
        return
    kept = net.output.bias.data[token].clone()
    net.output.bias.data[token] = float("-inf")
    try:
        yield
    finally:
        net.output.bias.data[token] = kept


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """No dropout and no gradient inside; the mode is set back afterwards."""
    training = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        net.train(training)
