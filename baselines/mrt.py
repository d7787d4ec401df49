"""MRT (Shen et al. 2016, arXiv 1512.02433): minimum risk training, the expected loss over a sampled set of outputs.

For each source some outputs are sampled, the target is put with them, doubles are taken out, and what is left shares
one distribution Q, proportional to p ** alpha. The loss is the mean of -BLEU under Q, and its gradient is exact. Where
this differs from the paper is told in `docs/methods/mrt.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from baselines.base import Baseline, BaselineConfig, Run
from baselines.decoding import sample
from baselines.nets.base import pick
from baselines.neural import NeuralGenerator, build_net, lacks
from baselines.training.batches import Batch, shifted
from baselines.training.loss import cross_entropy, log_probs
from baselines.training.mle import MLEConfig, over_pretraining, pretrain, pretraining_spec
from baselines.training.policy_gradient import without_dropout
from baselines.training.second_stage import SecondStage, SecondStageConfig, without_pairs
from tasks.base import Corpus

MEMORY = 1 << 25  # numbers that the attention over all candidates of some sources may hold at once: 128 MB of float32


class MRTConfig(SecondStageConfig):
    """Defaults are the paper's where it tells them; [M] is from memory, not checked against the paper."""

    mle: MLEConfig = MLEConfig()
    samples: PositiveInt = 100  # |S|, the candidates drawn for a source, doubles counted [M]
    alpha: PositiveFloat = 5e-3  # sharpness of Q [M]; fairseq's criterion after the paper has the same
    batch: PositiveInt = 80  # the paper's MLE batch [M]; of MRT it isn't told
    epochs: PositiveInt = 1  # ours: the paper stops by valid BLEU
    learning_rate: PositiveFloat = 1e-4  # ours, with Adam


_STAGE: dict[str, dict[str, Any]] = {
    "smoke": {
        "steps": 15,
        "batch": 16,
        "samples": 12,
        "learning_rate": 1e-3,
        "valid_every": 5,
        "valid_rows": 100,
    },
    "small": {"steps": 120, "batch": 16, "samples": 20, "learning_rate": 3e-4, "valid_every": 30, "valid_rows": 300},
    "small/summarization": {"batch": 8, "samples": 16},
    "small/dialogue": {"batch": 8, "samples": 10},
    "paper": {},
}
BUDGETS = over_pretraining(_STAGE)


class MRT(Baseline):
    name: ClassVar[str] = "mrt"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "minimum risk training: expected sentence BLEU over sampled candidates"
    source: ClassVar[str] = "Shen et al. 2016, arXiv 1512.02433"
    Config: ClassVar[type[BaselineConfig]] = MRTConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return without_pairs(corpus) or lacks(corpus, self.config.mle.net)

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.mle.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        config: MRTConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.load_state_dict(pretrain(corpus, config.mle, run))
        learner = RiskMinimiser(corpus, config, generator, run)
        if not learner.resume():
            run.snapshot("pretrain", generator)

        while learner.done.step < learner.total:
            figures = learner.step(learner.pairs.draw())
            learner.end_step(figures, watch="risk")
        return learner.chosen()


@dataclass(frozen=True)
class Candidates:
    """The distinct outputs of some sources, one row each.

    Attributes:
        tokens: [rows, time], padded.
        owner: [rows], the source of each.
        delta: [rows], what each costs: -BLEU against the target of its source.
    """

    tokens: Tensor
    owner: Tensor
    delta: Tensor


class RiskMinimiser(SecondStage):
    def __init__(self, corpus: Corpus, config: MRTConfig, generator: NeuralGenerator, run: Run) -> None:
        super().__init__(corpus, config, generator, run, stage="mrt")
        self.config = config

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step down the mean risk of the batch's sources."""
        self.optimizer.zero_grad(set_to_none=True)
        uniforms = self.uniforms(len(batch.targets), self.config.samples, self.generator.limits.max_length)
        parts = []
        for some, draws in self._split(batch, uniforms):
            candidates = self.candidates(some, draws)
            risk = self.risk_gradient(some, candidates, scale=1 / len(batch.targets))
            parts.append(
                torch.stack([risk, -candidates.delta.sum(), candidates.delta.new_tensor(len(candidates.delta))])
            )
        gradient = nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip)
        self.optimizer.step()
        risk, bleu, count = torch.stack(parts).sum(0)
        sources = len(batch.targets)
        return {"risk": risk / sources, "bleu": bleu / count, "distinct": count / sources, "gradient": gradient}

    @torch.no_grad()
    def candidates(self, batch: Batch, uniforms: Tensor) -> Candidates:
        """S(x) of every source: its target and what is sampled for it, each once.

        Args:
            uniforms: [batch, samples, time], the random numbers of the samples.
        """
        net, pad, (n, samples) = self.net, self.corpus.vocab.pad, uniforms.shape[:2]
        assert batch.sources is not None
        everyone = torch.arange(n, device=uniforms.device)
        net.eval()
        memory = pick(net.encode(*batch.sources), everyone.repeat_interleave(samples))
        drawn = sample(net, memory, uniforms.flatten(0, 1), self.generator.limits).padded(pad)
        together = _side_by_side(batch.targets, torch.from_numpy(drawn).to(uniforms.device).view(n, samples, -1), pad)
        owner, place = _first_of_equals(together).nonzero().unbind(1)
        tokens = together[owner, place]
        return Candidates(tokens, owner, -self.bleu(tokens, batch.targets[owner]))

    def risk_gradient(self, batch: Batch, candidates: Candidates, scale: float = 1.0) -> Tensor:
        """Adds the gradient of `scale` times the summed risk to the weights'; gives the sum itself.

        The risk of a source is sum_y Q(y) Delta(y) with Q the softmax of alpha log p over its candidates, so its
        gradient is sum_y alpha Q(y) (Delta(y) - risk) d log p(y): one weight for all tokens of a candidate.
        """
        pad, net = self.corpus.vocab.pad, self.net
        inside = candidates.tokens != pad
        assert batch.sources is not None
        with without_dropout(net):
            memory = pick(net.encode(*batch.sources), candidates.owner)
            features = net(shifted(candidates.tokens, self.corpus.vocab.bos), memory)[inside]
            targets, row = candidates.tokens[inside], inside.nonzero()[:, 0]
            each = log_probs(features.detach(), net.output, targets)
            total = each.new_zeros(len(inside), dtype=torch.float64).index_add_(0, row, each.double())
            weights, risks = risk_weights(
                total, candidates.delta, candidates.owner, len(batch.targets), self.config.alpha
            )
            # the loss of each token is -log p, so that a weight's sign turns
            loss = cross_entropy(features, net.output, targets, (-scale * weights).to(each.dtype)[row])
            torch.autograd.backward(loss)
        return risks.sum()

    def _split(self, batch: Batch, uniforms: Tensor) -> Iterator[tuple[Batch, Tensor]]:
        """Some sources at a time: attention over all candidates of all of them would be large."""
        assert batch.sources is not None
        sources, lengths = batch.sources
        time = self.generator.limits.max_length
        width = self.config.mle.net.attention + 2 * self.config.mle.net.encoder
        numbers = (self.config.samples + 1) * sources.shape[1] * (width + time * self.config.mle.net.attention)
        for rows in torch.split(torch.arange(len(lengths), device=lengths.device), max(1, MEMORY // numbers)):
            some = Batch(batch.inputs[rows], batch.targets[rows], batch.inside[rows], (sources[rows], lengths[rows]))
            yield some, uniforms[rows]


def risk_weights(log_p: Tensor, delta: Tensor, owner: Tensor, sources: int, alpha: float) -> tuple[Tensor, Tensor]:
    """The derivative of the summed risk by each candidate's log-probability [rows], and the risks [sources].

    Args:
        log_p: [rows], in nats; delta: [rows]; owner: [rows], which source each belongs to.
    """
    sharp = alpha * log_p
    top = sharp.new_full((sources,), float("-inf")).scatter_reduce_(0, owner, sharp, "amax")
    mass = (sharp - top[owner]).exp()
    q = mass / mass.new_zeros(sources).index_add_(0, owner, mass)[owner]
    risks = q.new_zeros(sources).index_add_(0, owner, q * delta)
    return alpha * q * (delta - risks[owner]), risks


def _side_by_side(targets: Tensor, drawn: Tensor, pad: int) -> Tensor:
    """targets [batch, time] before drawn [batch, samples, time'] -> [batch, 1 + samples, the longer time]."""
    time = max(targets.shape[1], drawn.shape[2])
    wide = [nn.functional.pad(part, (0, time - part.shape[-1]), value=pad) for part in (targets.unsqueeze(1), drawn)]
    return torch.cat(wide, 1)


def _first_of_equals(rows: Tensor) -> Tensor:
    """Which candidates [batch, n, time] are like none before them: [batch, n]."""
    same = rows.new_ones(len(rows), rows.shape[1], rows.shape[1], dtype=torch.bool)
    for token in rows.unbind(2):
        same &= token.unsqueeze(2) == token.unsqueeze(1)
    return ~same.tril(-1).any(2)
