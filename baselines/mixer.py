"""MIXER (Ranzato, Chopra, Auli and Zaremba 2016, arXiv 1511.06732): cross-entropy first, REINFORCE for the last tokens.

A target's first s tokens are learnt by teacher forcing; what follows is sampled and rewarded, at its end, with BLEU. s
shrinks by `delta` from stage to stage until whole sequences are sampled. A linear regression on the decoder's features
foretells the reward and is taken from it. Where this differs from paper and code is told in `docs/methods/mixer.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from baselines.base import Baseline, BaselineConfig, Run
from baselines.nets.base import AutoregressiveNet, Memory
from baselines.neural import NeuralGenerator, build_net, lacks
from baselines.sampling import TokenSampler
from baselines.training.batches import Batch, shifted
from baselines.training.loss import cross_entropy
from baselines.training.mle import MLEConfig, over_pretraining, pretrain, pretraining_spec
from baselines.training.policy_gradient import without_dropout
from baselines.training.saving import moments, set_moments
from baselines.training.second_stage import SecondStage, SecondStageConfig, without_pairs
from tasks.base import Corpus


class MixerConfig(SecondStageConfig):
    """Defaults are those of the authors' code for translation ("code": facebookarchive/MIXER, `main.lua`)."""

    mle: MLEConfig = MLEConfig()  # code: 25 epochs of cross-entropy first; here the shared pre-training
    delta: PositiveInt = 3  # code: deltasteps, the tokens that a stage samples more than the one before
    stage_epochs: PositiveInt = 5  # code: nepochs, passes over train in a stage ...
    stage_steps: PositiveInt | None = None  # ... or so many steps
    epochs: PositiveInt = 40  # code: 8 stages; the last goes on for up to 100
    horizon: PositiveInt | None = None  # T: each target's own length; code: 25 for all
    xent_weight: float = Field(default=0.5, ge=0, le=1)  # code: set_xent_weight(0.5), and REINFORCE has the rest
    batch: PositiveInt = 32  # code: bsz
    learning_rate: PositiveFloat = 1e-4  # ours, with Adam; code: SGD at 0.2
    clip: PositiveFloat = 10.0  # code: gparamclip
    baseline_learning_rate: PositiveFloat = 1e-3  # ours, with Adam; code: the generator's, its gradient times 0.01


_STAGE: dict[str, dict[str, Any]] = {
    "smoke": {
        "steps": 60,
        "stage_steps": 12,
        "learning_rate": 1e-3,
        "baseline_learning_rate": 1e-2,
        "valid_every": 15,
        "valid_rows": 100,
    },
    "small": {
        "steps": 600,
        "stage_steps": 100,
        "batch": 64,
        "learning_rate": 3e-4,
        "valid_every": 100,
        "valid_rows": 300,
    },
    "small/summarization": {"batch": 16},
    "small/dialogue": {"batch": 32, "steps": 450, "stage_steps": 75},
    "paper": {},
}
BUDGETS = over_pretraining(_STAGE)


class Mixer(Baseline):
    name: ClassVar[str] = "mixer"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "cross-entropy for the first tokens, REINFORCE on sentence BLEU for the last, ever more"
    source: ClassVar[str] = "Ranzato et al. 2016, arXiv 1511.06732"
    Config: ClassVar[type[BaselineConfig]] = MixerConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return without_pairs(corpus) or lacks(corpus, self.config.mle.net)

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.mle.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        """The paper's MIXER algorithm after its first stage, which is the shared pre-training."""
        config: MixerConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.load_state_dict(pretrain(corpus, config.mle, run))
        learner = MixedLearner(corpus, config, generator, run)
        if not learner.resume():
            run.snapshot("pretrain", generator)

        while learner.done.step < learner.total:
            tail = config.delta * learner.stage_number  # how many of the last tokens are sampled
            figures = learner.step(learner.pairs.draw(), tail)
            learner.end_step({"tail": tail, **figures}, watch="reward")
        return learner.chosen()


class MixedLearner(SecondStage):
    """The generator, and the regression that foretells its reward.

    Attributes:
        expected: the baseline, features -> reward. Its loss moves it alone, never the generator.
    """

    def __init__(self, corpus: Corpus, config: MixerConfig, generator: NeuralGenerator, run: Run) -> None:
        super().__init__(corpus, config, generator, run, stage="mixer")
        self.config = config
        with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream
            self.expected = nn.Linear(generator.net.output.in_features, 1).to(run.device)
        nn.init.zeros_(self.expected.weight)
        nn.init.constant_(self.expected.bias, 0.01)  # code: weight 0, bias 0.01
        self.expected_optimizer = torch.optim.Adam(self.expected.parameters(), config.baseline_learning_rate)

    @property
    def stage_number(self) -> int:
        """1, 2, ... by the steps done."""
        config = self.config
        return 1 + self.done.step // (config.stage_steps or config.stage_epochs * self.passes)

    def step(self, batch: Batch, tail: int) -> dict[str, Tensor]:
        """One step on a batch whose last `tail` tokens are sampled."""
        net, config, pad = self.net, self.config, self.corpus.vocab.pad
        horizon = (
            batch.inside.sum(1) if config.horizon is None else torch.full_like(batch.targets[:, 0], config.horizon)
        )
        forced = (horizon - tail).clamp(min=0)
        tokens = self.sampled(batch, forced)
        reward = self.bleu(tokens, batch.targets).to(net.output.weight.dtype)
        inside = tokens != pad
        given = inside & (torch.arange(tokens.shape[1], device=tokens.device) < forced.unsqueeze(1))
        assert batch.sources is not None
        with without_dropout(net):
            features = net(shifted(tokens, self.corpus.vocab.bos), net.encode(*batch.sources))
            foretold, error = self.foretell(features.detach(), reward, inside & ~given)
            worth = (1 - config.xent_weight) * (reward.unsqueeze(1) - foretold)
            weights = torch.where(given, config.xent_weight, worth) / len(tokens)
            loss = cross_entropy(features[inside], net.output, tokens[inside], weights[inside])
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
        gradient = nn.utils.clip_grad_norm_(net.parameters(), config.clip)
        self.optimizer.step()
        share = (inside & ~given).sum() / inside.sum()
        return {"reward": reward.mean(), "sampled": share, "error": error, "loss": loss.detach(), "gradient": gradient}

    @torch.no_grad()
    def sampled(self, batch: Batch, forced: Tensor) -> Tensor:
        """The targets' first `forced` [batch] tokens and what the generator draws after them: [batch, time]."""
        limits, vocab = self.generator.limits, self.corpus.vocab
        assert batch.sources is not None
        self.net.eval()
        memory = self.net.encode(*batch.sources)
        uniforms = self.uniforms(len(forced), limits.max_length)
        return draw_after(
            self.net, memory, batch.targets, forced, uniforms, bos=vocab.bos, pad=vocab.pad, eos=limits.eos
        )

    def foretell(self, features: Tensor, reward: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor]:
        """The expected reward [batch, time] as it was foretold, then a step of the regression towards the true one.

        Args:
            features: [batch, time, features], without a graph; reward: [batch]; sampled: [batch, time].

        Returns:
            What was foretold, a constant, and its mean squared error where tokens were sampled.
        """
        features = features[..., : self.expected.in_features]  # a row that copies goes on with the source's places
        foretold = self.expected(features).squeeze(2)
        error = ((foretold - reward.unsqueeze(1)).square() * sampled).sum() / sampled.sum().clamp(min=1)
        self.expected_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(error)
        self.expected_optimizer.step()
        return foretold.detach(), error.detach()

    def state(self) -> dict[str, Any]:
        own = {
            "expected": self.expected.state_dict(),
            "expected_moments": moments(self.expected, self.expected_optimizer),
        }
        return super().state() | own

    def load_state(self, saved: Mapping[str, Any]) -> None:
        super().load_state(saved)
        self.expected.load_state_dict(saved["expected"])
        set_moments(self.expected, self.expected_optimizer, saved["expected_moments"])


def draw_after(
    net: AutoregressiveNet,
    memory: Memory,
    targets: Tensor,
    forced: Tensor,
    uniforms: Tensor,
    *,
    bos: int,
    pad: int,
    eos: int | None,
) -> Tensor:
    """Sequences that begin with a target's first tokens and go on as the network does.

    Args:
        targets: [batch, target time], padded.
        forced: [batch], how many tokens are the target's; one that is forced to its end has no others.
        uniforms: [batch, time], the random numbers of the draws; `time` is the most that is emitted.

    Returns:
        [batch, at most time], `pad` after `</s>`.
    """
    draw = TokenSampler(net.output)
    state = net.initial_state(len(targets), memory)
    token = torch.full_like(forced, bos)
    ended = torch.zeros_like(forced, dtype=torch.bool)
    free = int(forced.min())  # before it nothing is drawn
    tokens = []
    for t in range(uniforms.shape[1]):
        feature, state = net.step(token, state, memory)
        given = targets[:, t] if t < targets.shape[1] else torch.full_like(token, pad)
        token = given
        if t >= free:
            token = torch.where(t < forced, given, draw(feature, uniforms[:, t : t + 1]).squeeze(1))
        token = token.masked_fill(ended, pad)
        tokens.append(token)
        ended = ended | (token == eos) if eos is not None else ended
        if token.device.type == "cpu" and bool(ended.all()):  # a GPU isn't asked: it would wait
            break
    return torch.stack(tokens, 1)
