"""What methods with a latent code share: their generator, and two ways to start it from the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from baselines.base import NotTractable, Run, State
from baselines.decoding import greedy, sample
from baselines.nets.lstm import initialise
from baselines.nets.soft_cnn import TanhFeatures
from baselines.nets.z_lstm import Autoencoder, FromPrior, LatentLSTM, Prior, draw_latent
from baselines.neural import NetConfig, NeuralGenerator
from baselines.training.mle import MLEConfig, pretraining_spec, train_mle
from tasks.base import Corpus, Ragged

LATENT_VERSION = 1  # goes up whenever an equal spec and seed would give other weights
Words = Literal["sample", "argmax"]


def latent_net(corpus: Corpus, config: NetConfig, latent: int) -> LatentLSTM:
    """The generator's network, whose weights are not yet those of a seed."""
    sizes = config.model_dump(include={"embedding", "hidden", "layers", "dropout", "tied"})
    with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream
        return LatentLSTM(corpus.vocab.size, latent, **sizes)


class LatentGenerator(NeuralGenerator):
    """z from the prior, then a text from z.

    Args:
        words: "sample": tokens from softmax(logits / temperature) given z; "argmax": the text is a function of z, and
            the temperature multiplies z: below 1 codes come from nearer to the prior's middle, with less variety.
    """

    net: LatentLSTM

    def __init__(self, net: LatentLSTM, corpus: Corpus, prior: Prior, words: Words = "sample") -> None:
        super().__init__(net, corpus)
        self.prior, self.words = prior, words

    def sample(self, n: int, *, temperature: float = 1.0, rng: torch.Generator) -> Ragged:
        codes = draw_latent(n, self.net.latent, self.prior, rng)
        uniforms = torch.rand(n, self.limits.max_length, generator=rng)
        training = self.net.training
        self.net.eval()
        try:
            with torch.no_grad():
                parts = [
                    self._write(z.to(self.device), part, temperature)
                    for z, part in zip(torch.split(codes, self.batch), torch.split(uniforms, self.batch), strict=True)
                ]
        finally:
            self.net.train(training)
        return Ragged.concatenate(parts)

    def _write(self, z: torch.Tensor, uniforms: torch.Tensor, temperature: float) -> Ragged:
        if self.words == "argmax":
            return greedy(self.net, (z * temperature,), len(z), self.limits)
        return sample(self.net, (z,), uniforms, self.limits, temperature)

    def token_log_probs(self, targets: Ragged, sources: Ragged | None = None) -> npt.NDArray[np.float64]:  # noqa: ARG002
        raise NotTractable("the probability of a text is an integral over the latent code, which has no closed form")


def prior_spec(corpus: Corpus, config: MLEConfig, latent: int, prior: Prior) -> dict[str, Any]:
    """What `pretrain_from_prior`'s weights depend on, besides task, data and seed."""
    own = {"method": "mle with codes from the prior", "latent": latent, "prior": prior}
    return {**pretraining_spec(corpus, config), **own, "latent_version": LATENT_VERSION}


def pretrain_from_prior(corpus: Corpus, config: MLEConfig, latent: int, prior: Prior, run: Run) -> State:
    """A `LatentLSTM`'s weights after maximum likelihood, each text with a code drawn for it from the prior.

    The codes carry nothing about the text, so the network learns a language model and not to mind them.
    """

    def train(own: Run) -> State:
        net = latent_net(corpus, config.net, latent)
        initialise(net, config.net.init, config.net.init_scale, own.rng("init"))
        wrapped = FromPrior(net, prior, own.rng("latent")).to(own.device)
        return part(train_mle(wrapped, corpus, config, own), "decoder")

    return run.pretrained(prior_spec(corpus, config, latent, prior), train)


def autoencoder_spec(
    corpus: Corpus, config: MLEConfig, latent: int, prior: Prior, encoder: Mapping[str, Any]
) -> dict[str, Any]:
    """What `pretrain_autoencoder`'s weights depend on; `encoder` are its sizes."""
    own = {"method": "autoencoder", "latent": latent, "prior": prior, "encoder": dict(encoder)}
    return {**pretraining_spec(corpus, config), **own, "latent_version": LATENT_VERSION}


def pretrain_autoencoder(
    corpus: Corpus,
    config: MLEConfig,
    latent: int,
    prior: Prior,
    encoder: TanhFeatures,
    spec: Mapping[str, Any],
    run: Run,
) -> State:
    """Weights of an autoencoder's parts, named `decoder.` (a `LatentLSTM`) and `encoder.` (`TanhFeatures`)."""

    def train(own: Run) -> State:
        net = latent_net(corpus, config.net, latent)
        initialise(net, config.net.init, config.net.init_scale, own.rng("init"))
        with torch.random.fork_rng(devices=[]):
            whole = Autoencoder(encoder, net, prior)
        encoder.initialise(own.rng("encoder"))
        with torch.no_grad():
            torch.nn.init.xavier_uniform_(whole.code.weight, generator=own.rng("encoder"))
            whole.code.bias.zero_()
        weights = train_mle(whole.to(own.device), _mirrored(corpus), config, own)
        return {name: value for name, value in weights.items() if name.startswith(("decoder.", "encoder."))}

    return run.pretrained(spec, train)


def part(weights: State, name: str) -> State:
    """The weights of one part, under the names they have in it."""
    return {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}


def _mirrored(corpus: Corpus) -> Corpus:
    """Every target is its own source."""
    splits = {name: dataclasses.replace(split, sources=split.targets) for name, split in corpus.splits.items()}
    return dataclasses.replace(corpus, splits=splits, source_codec=corpus.target_codec)
