"""Negative log-likelihood in nats per token: of test text under the model, and of samples under the oracle.

Sum over all tokens divided by their number, so a long text weighs as much as its tokens. The counts come with the sums,
so that padding can't be counted.
"""

from __future__ import annotations

import numpy as np

from metrics.base import Floats, LogProbs, Material, Metric, Workspace, ratio


class Nll(Metric):
    """`nll-test`: how likely the model finds held-out text (`</s>` counts as a token, and the vocabulary's `<unk>`)."""

    higher_is_better = False
    needs = frozenset({"log_probs"})
    summary = "negative log-likelihood of the test text, nats per token"
    limits = (0.0, float("inf"))
    unit = "nats/token"
    source = "Shannon 1948; Bengio et al. 2003"
    blind = "what the model generates; text outside the vocabulary, which counts as the unknown word"

    def log_probs(self, material: Material) -> LogProbs | None:
        return material.log_probs

    def missing(self, material: Material) -> str:
        given = self.log_probs(material)
        return super().missing(material) or ("" if given is not None and len(given.sums) else "no items")

    def per_item(self, work: Workspace) -> Floats:
        given = self.log_probs(work.material)
        assert given is not None  # `missing` has asked
        return np.stack([-np.asarray(given.sums, np.float64), np.asarray(given.tokens, np.float64)], axis=1)

    def reduce(self, sums: Floats) -> Floats:
        return ratio(sums)

    def undefined(self, work: Workspace) -> str:
        total, tokens = self.per_item(work).sum(axis=0)
        if tokens == 0:
            return "no tokens"
        if np.isnan(total):
            return "a log-probability is not a number"
        return "infinite: some text has probability 0"

    def fields(self, material: Material) -> dict[str, str]:
        given = self.log_probs(material)
        if given is None:
            return {"unit": "nats/token"}
        return {
            "unit": "nats/token",
            "split": given.split,
            "items": str(len(given.sums)),
            "tokens": str(int(np.sum(given.tokens))),
            "vocab": given.vocabulary[:8],
        }


class Perplexity(Nll):
    """`ppl-test`: exp of `nll-test`."""

    summary = "perplexity of the test text"
    limits = (1.0, float("inf"))
    unit = ""

    def reduce(self, sums: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(ratio(sums)))

    def fields(self, material: Material) -> dict[str, str]:
        return {**super().fields(material), "unit": "perplexity"}


class NllOracle(Nll):
    """`nll-oracle`: how likely the oracle finds the samples; below the oracle's entropy it means lost diversity."""

    needs = frozenset({"oracle_log_probs"})
    summary = "negative log-likelihood of the samples under the oracle, nats per token"
    source = "Yu et al. 2017, synthetic data experiments"
    blind = "diversity: repeating the likeliest sequence beats the oracle's own entropy"

    def log_probs(self, material: Material) -> LogProbs | None:
        return material.oracle_log_probs

    def fields(self, material: Material) -> dict[str, str]:
        own = super().fields(material)
        hash_ = own.pop("vocab", "")
        own.pop("split", "")
        own.pop("tokens", "")  # of the model's making: the length of its samples is no part of the protocol
        return {**own, "oracle": hash_} if hash_ else own
