"""From a network to the `Generator` that scoring asks for: batches, order, devices, modes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from baselines.base import BaselineConfig, Decoding
from baselines.decoding import Limits, beam_search, greedy, sample
from baselines.nets.attention import AttentionSeq2Seq
from baselines.nets.base import AutoregressiveNet, Memory
from baselines.nets.lstm import Init, LSTMLanguageModel, RecurrentNet
from baselines.training.batches import Collator
from baselines.training.loss import log_probs
from tasks.base import Corpus, Ragged


class NetConfig(BaselineConfig):
    """Sizes of the generator that all methods share; the last four are read for conditional tasks alone."""

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
    input_feeding: bool = False


def build_net(corpus: Corpus, config: NetConfig) -> RecurrentNet:
    """The network for the corpus: a language model, or an encoder-decoder where there are sources.

    Its weights are not yet those of a seed: call `nets.lstm.initialise`.
    """
    sizes = config.model_dump(include={"embedding", "hidden", "layers", "dropout", "tied"})
    with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream, which dropout uses
        if corpus.source_vocab is None:
            return LSTMLanguageModel(corpus.vocab.size, **sizes)
        sizes |= config.model_dump(include={"encoder", "attention", "readout", "input_feeding"})
        return AttentionSeq2Seq(corpus.source_vocab.n_inputs, corpus.vocab.size, **sizes)


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
        uniforms = None
        if decoding.method == "sample":  # drawn for all at once: what a source gets doesn't depend on the batches
            uniforms = torch.rand(len(sources), self.limits.max_length, generator=rng)
        size = max(1, self.batch // (4 * decoding.beam_size))
        order = np.argsort(sources.lengths, kind="stable")
        parts = []
        forbidden = None if decoding.unknown else self.unknown
        with evaluating(self.net), _never(self.net, forbidden):
            for start in range(0, len(order), size):
                rows = order[start : start + size]
                memory = self._encode(sources.take(rows))
                parts.append(self._decode(memory, len(rows), decoding, None if uniforms is None else uniforms[rows]))
        return Ragged.concatenate(parts).take(np.argsort(order, kind="stable"))

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

    def _decode(self, memory: Memory, batch: int, decoding: Decoding, uniforms: Tensor | None) -> Ragged:
        if uniforms is not None:
            return sample(self.net, memory, uniforms, self.limits, decoding.temperature)
        if decoding.method == "greedy":
            return greedy(self.net, memory, batch, self.limits)
        return beam_search(self.net, memory, batch, self.limits, decoding.beam_size, decoding.length_penalty)

    def _score(self, targets: Ragged, sources: Ragged | None) -> npt.NDArray[np.float64]:
        """Log-probabilities of all tokens of the batch, aligned with `targets.flat`."""
        batch = self.collator.batch(targets, None, self.device)
        features = self.net(batch.inputs, self._encode(sources))
        return log_probs(features[batch.inside], self.net.output, batch.targets[batch.inside]).double().cpu().numpy()


@contextmanager
def _never(net: AutoregressiveNet, token: int | None) -> Iterator[None]:
    """The token has probability 0 inside; None forbids nothing."""
    if token is None:
        yield
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
