"""MMI-bidi (Li, Galley, Brockett, Gao and Dolan 2016, arXiv 1510.03055): candidates reranked by what they tell.

A response that fits everything says nothing of what it answers. Candidates under p(T|S) are put in order by
log p(T|S) + lambda log p(S|T) + gamma |T|, with a second network for p(S|T). The row is a way of decoding MLE's model:
its training is likelihood twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import NonNegativeFloat, PositiveInt

from baselines.base import Baseline, BaselineConfig, CannotDecode, Decoding, Run, State
from baselines.decoding import Candidates, n_best
from baselines.merging import merge
from baselines.neural import NeuralGenerator, build_net, evaluating, initialise_net, lacks, never
from baselines.training.mle import MLE_BUDGETS, MLEConfig, pretrain, pretraining_spec, train_mle
from tasks.base import Corpus, Ragged, Split


class MMIConfig(BaselineConfig):
    """Defaults are the paper's as far as known; "from memory" is not checked against its text."""

    mle: MLEConfig = MLEConfig()  # p(T|S), shared with every other method
    backward: MLEConfig = MLEConfig()  # p(S|T)
    # What S is for p(S|T): `message`, the last turn, which T answers; `source`, all of it. The same without turns.
    given: Literal["message", "source"] = "message"
    given_tokens: PositiveInt | None = None  # at most the first so many of them; None: all
    candidates: Literal["beam", "sample"] = "beam"  # paper: N-best list of a beam search
    size: PositiveInt = 200  # from memory: N
    backward_weight: NonNegativeFloat = 0.5  # lambda, from memory; the paper tunes lambda and gamma by MERT
    length_weight: float = 0.0  # gamma, a token of T, `</s>` counted


# p(S|T) is trained as p(T|S) is, `small` for fewer steps; of a long document only the beginning is to be told.
_RERANKING: dict[str, dict[str, Any]] = {
    "smoke": {"size": 5, "given_tokens": 20},
    "small": {"size": 10},
    "small/translation": {"backward": {"epochs": 2, "interval": 350}},
    "small/dialogue": {"backward": {"epochs": 2}},
    "small/summarization": {"backward": {"epochs": 2}, "given_tokens": 30},
    "paper": {},
}


def _budgets() -> dict[str, dict[str, Any]]:
    """The presets, with MLE's for both networks."""
    both = {key: {"mle": settings, "backward": settings} for key, settings in MLE_BUDGETS.items()}
    return {key: merge(both.get(key, {}), _RERANKING.get(key, {})) for key in {**both, **_RERANKING}}


class MMI(Baseline):
    name: ClassVar[str] = "mmi"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "maximum likelihood; candidates reranked by how well they tell their source"
    source: ClassVar[str] = "MMI-bidi of Li et al. 2016, arXiv 1510.03055"
    chooses: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = MMIConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = _budgets()

    def supports(self, corpus: Corpus) -> str | None:
        if corpus.source_vocab is None:
            return "it reranks by p(source | target): this task has no sources"
        return lacks(corpus, self.config.mle.net)

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> Reranker:
        return Reranker(corpus, self.config)

    def fit(self, corpus: Corpus, run: Run) -> Reranker:
        generator = self.build(corpus)
        generator.net.load_state_dict(pretrain(corpus, self.config.mle, run))
        generator.inverse.net.load_state_dict(pretrain_backward(corpus, self.config, run))
        return generator.to(run.device)


class Reranker(NeuralGenerator):
    """p(T|S), which is its likelihood too, and `inverse`, p(S|T), which chooses among its candidates."""

    def __init__(self, corpus: Corpus, config: MMIConfig) -> None:
        super().__init__(build_net(corpus, config.mle.net), corpus)
        turned = swapped(corpus, config)
        self.inverse = NeuralGenerator(build_net(turned, config.backward.net), turned)
        self.config = config
        self.separator = corpus.source_codec.separator if corpus.source_codec else None

    def generate(self, sources: Ragged, *, decoding: Decoding, rng: torch.Generator) -> Ragged:
        """Of each source's candidates the one of highest score.

        What the candidates are: of `sample@T`, `size` samples at that temperature; of `beamN`, the N-best list of a
        beam of N, whatever its length penalty; of `greedy`, the method's own: `size` as `candidates` says, samples at
        T = 1.
        """
        if len(sources) == 0:
            return Ragged.from_lists([])
        listed = self._candidates(sources, decoding, rng)
        scores = self.scores(listed.ids, sources.take(listed.owner), listed.log_probs)
        return listed.ids.take(best_of(scores, listed.owner))

    def scores(self, candidates: Ragged, sources: Ragged, forward: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """log p(T|S) + lambda log p(S|T) + gamma |T| of each candidate, for the source in the same place.

        Args:
            forward: log p(T|S) [candidates].
        """
        config = self.config
        told = given(sources, self.separator, config)
        backward = _sums(self.inverse.token_log_probs(told, candidates), told)
        total: npt.NDArray[np.float64] = forward + config.backward_weight * backward
        return total + config.length_weight * candidates.lengths

    def _candidates(self, sources: Ragged, decoding: Decoding, rng: torch.Generator) -> Candidates:
        """Candidates in any order, each with the log-probability that the model itself gives it."""
        config = self.config
        if decoding.coverage:
            raise CannotDecode("candidates are ranked by a score of the method's own, without coverage")
        if decoding.method == "sample" or (decoding.method == "greedy" and config.candidates == "sample"):
            owner = np.repeat(np.arange(len(sources)), config.size)
            temperature = decoding.temperature if decoding.method == "sample" else 1.0
            plain = Decoding("sample", temperature, unknown=decoding.unknown)
            ids = super().generate(sources.take(owner), decoding=plain, rng=rng)
        else:
            size = config.size if decoding.method == "greedy" else decoding.beam_size
            listed = self._lists(sources, size, unknown=decoding.unknown)
            if decoding.unknown:
                return listed
            ids, owner = listed.ids, listed.owner  # the search knew them with `<unk>` out of the way
        return Candidates(ids, owner, _sums(self.token_log_probs(ids, sources.take(owner)), ids))

    def _lists(self, sources: Ragged, size: int, *, unknown: bool) -> Candidates:
        """The N-best lists, found for some sources of about equal length at a time."""
        order, step = np.argsort(sources.lengths, kind="stable"), max(1, self.batch // (4 * size))
        lists, owners, sums = [], [], []
        with evaluating(self.net), never(self.net, None if unknown else self.unknown):
            for start in range(0, len(order), step):
                rows = order[start : start + step]
                memory = self.net.encode(*self.collator.sources(sources.take(rows), self.device))
                listed = n_best(self.net, memory, len(rows), self.limits, size)
                lists.append(listed.ids)
                owners.append(rows[listed.owner])
                sums.append(listed.log_probs)
        return Candidates(Ragged.concatenate(lists), np.concatenate(owners), np.concatenate(sums))


def pretrain_backward(corpus: Corpus, config: MMIConfig, run: Run) -> State:
    """The weights of p(S|T) after maximum likelihood on swapped pairs, shared by all that ask for the same."""
    turned = swapped(corpus, config)

    def train(own: Run) -> State:
        net = build_net(turned, config.backward.net)
        initialise_net(net, config.backward.net, own.rng("init"))
        return train_mle(net.to(own.device), turned, config.backward, own)

    spec = {**pretraining_spec(turned, config.backward), "method": "mle of swapped pairs"}
    return run.pretrained(spec | config.model_dump(include={"given", "given_tokens"}), train)


def swapped(corpus: Corpus, config: MMIConfig) -> Corpus:
    """Train and valid the other way round: what is given as targets, the targets as sources."""
    assert corpus.source_codec is not None, "checked by `supports`"
    separator, splits = corpus.source_codec.separator, {}
    for name in ("train", "valid"):
        split = corpus.splits[name]
        assert split.sources is not None, "checked by `supports`"
        splits[name] = Split((), given(split.sources, separator, config), split.targets)
    return dataclasses.replace(
        corpus,
        splits=splits,
        target_codec=corpus.source_codec,
        source_codec=corpus.target_codec,
        max_target_length=max(1, *(int(split.targets.lengths.max(initial=1)) for split in splits.values())),
        max_source_length=corpus.max_target_length,
        fixed_length=None,
    )


def given(sources: Ragged, separator: int | None, config: MMIConfig) -> Ragged:
    """The part of each source that p(S|T) is asked about."""
    start, end = sources.offsets[:-1], sources.offsets[1:]
    if separator is not None and config.given == "message" and len(sources.flat):
        marks = np.where(sources.flat == separator, np.arange(len(sources.flat)), -1)
        last = np.maximum.accumulate(marks)[np.maximum(end - 1, 0)]  # the separator before a source's end, if there is
        start = np.minimum(np.maximum(start, last + 1), end)
    lengths = end - start
    if config.given_tokens is not None:
        lengths = np.minimum(lengths, config.given_tokens)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    places = np.repeat(start - offsets[:-1], lengths) + np.arange(offsets[-1])
    return Ragged(sources.flat[places], offsets)


def best_of(scores: npt.NDArray[np.float64], owner: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.integer[Any]]:
    """The place of the highest score of each owner 0, 1, ..., all of which have one; of equal ones the first."""
    order = np.lexsort((-scores, owner))
    return order[np.searchsorted(owner[order], np.arange(owner.max() + 1))]


def _sums(values: npt.NDArray[np.float64], of: Ragged) -> npt.NDArray[np.float64]:
    """Of each sequence's values the sum."""
    owner = np.repeat(np.arange(len(of)), of.lengths)
    return np.asarray(np.bincount(owner, values, len(of)), np.float64)
