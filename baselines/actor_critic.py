"""Actor-critic for sequences (Bahdanau et al. 2017, arXiv 1607.07086): a critic that has seen the target trains the
generator.

The actor is the generator. The critic reads the target, then what the actor has written so far, and foretells for every
next token how much BLEU is still to come; temporal differences train it. `ActorCritic.fit` reads like the paper's
algorithms 1 and 2; where this differs from paper and code is told in `docs/methods/actor_critic.md`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from baselines.base import Baseline, BaselineConfig, Run
from baselines.nets.attention import AttentionSeq2Seq
from baselines.nets.base import AutoregressiveNet
from baselines.nets.lstm import initialise
from baselines.neural import NeuralGenerator, build_net, copies, lacks
from baselines.training.action_values import chosen_values, expected_value_sum, expected_values, value_spread
from baselines.training.batches import Batch, shifted
from baselines.training.loss import cross_entropy
from baselines.training.mle import MLEConfig, over_pretraining, pretrain, pretraining_spec
from baselines.training.policy_gradient import without_dropout
from baselines.training.rollout import sample_with_states
from baselines.training.saving import moments, set_moments
from baselines.training.second_stage import SecondStage, SecondStageConfig, without_pairs
from tasks.base import Corpus


class CriticConfig(BaselineConfig):
    """An encoder-decoder as the generator is; code: dim 256."""

    embedding: PositiveInt = 256
    hidden: PositiveInt = 256
    encoder: PositiveInt = 256
    attention: PositiveInt = 256
    readout: PositiveInt = 256


class ActorCriticConfig(SecondStageConfig):
    """Defaults are those of the authors' code on IWSLT'14 ("code": rizar/actor-critic-public, `exp/ted/configs`).

    [M] is from memory, not checked against the paper.
    """

    mle: MLEConfig = MLEConfig()
    critic: CriticConfig = CriticConfig()
    critic_epochs: PositiveInt = 10  # code: critic_pretraining, num_epochs, with the actor held fixed ...
    critic_steps: int | None = Field(default=None, ge=0)  # ... or so many steps
    critic_pretrain_rate: PositiveFloat = 1e-3  # code: scale, Adam
    critic_learning_rate: PositiveFloat = 1e-4  # code: scale of the main stage, for both
    learning_rate: PositiveFloat = 1e-4
    epochs: PositiveInt = 30  # code: main, num_epochs
    batch: PositiveInt = 32  # code: batch_size
    gamma_actor: float = Field(default=1e-3, gt=0, le=1)  # code: catching_up_coof, of the delayed actor ...
    gamma_critic: float = Field(default=1e-3, gt=0, le=1)  # ... and of the target critic
    lambda_c: float = Field(default=1e-3, ge=0)  # code: value_penalty, of the spread of Q over actions
    lambda_ll: float = Field(default=0.1, ge=0)  # [M]: of the target's log-likelihood
    extra: int = Field(default=3, ge=0)  # code: extra_generation_steps, tokens sampled at most beyond the target's


_STAGE: dict[str, dict[str, Any]] = {
    "smoke": {
        "critic": {"embedding": 32, "hidden": 32, "encoder": 32, "attention": 32, "readout": 32},
        "critic_steps": 30,
        "steps": 20,
        "critic_pretrain_rate": 5e-3,
        "critic_learning_rate": 2e-3,
        "learning_rate": 5e-4,
        "gamma_actor": 0.1,
        "gamma_critic": 0.1,
        "valid_every": 10,
        "valid_rows": 100,
    },
    "small": {
        "critic": {"embedding": 128, "hidden": 128, "encoder": 128, "attention": 64, "readout": 128},
        "critic_steps": 250,
        "steps": 200,
        "critic_pretrain_rate": 2e-3,
        "critic_learning_rate": 5e-4,
        "learning_rate": 1e-4,
        "gamma_actor": 0.02,
        "gamma_critic": 0.02,
        "valid_every": 50,
        "valid_rows": 300,
    },
    "small/summarization": {"batch": 16},
    "small/dialogue": {"batch": 16, "critic_steps": 200, "steps": 150},
    "paper": {},
}
BUDGETS = over_pretraining(_STAGE)


class ActorCritic(Baseline):
    name: ClassVar[str] = "actor_critic"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = (
        "a critic that reads the target foretells BLEU for every next token and trains the generator"
    )
    source: ClassVar[str] = "Bahdanau et al. 2017, arXiv 1607.07086"
    Config: ClassVar[type[BaselineConfig]] = ActorCriticConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return without_pairs(corpus) or lacks(corpus, self.config.mle.net) or copies(self.config.mle.net)

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.mle.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        """Algorithm 2 of the paper; its second and third line are algorithm 1 without and with the actor's update."""
        config: ActorCriticConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.load_state_dict(pretrain(corpus, config.mle, run))
        players = Players(corpus, config, generator, run)
        if not players.resume():
            run.snapshot("pretrain", generator)

        while players.done.step < players.critic_total:
            figures = players.step(players.pairs.draw(), actor=False)
            players.end_step(figures, watch="td_error", preparing="critic")

        while players.done.step < players.total:
            figures = players.step(players.pairs.draw(), actor=True)
            players.end_step(figures, watch="reward")
        return players.chosen()


class Players(SecondStage):
    """Actor and critic, and the delayed copies of both that the critic's aims come from.

    Attributes:
        net: the actor, p; slow_net: p'.
        critic: Q, an encoder-decoder from targets to targets whose outputs are values; slow_critic: Q'.
    """

    def __init__(self, corpus: Corpus, config: ActorCriticConfig, generator: NeuralGenerator, run: Run) -> None:
        super().__init__(corpus, config, generator, run, stage="actor_critic")
        self.config = config
        self.critic = build_critic(corpus, config.critic, run.rng("critic weights")).to(run.device)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), config.critic_pretrain_rate, fused=True)
        self.slow_net = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.slow_critic = copy.deepcopy(self.critic).eval().requires_grad_(False)

    @property
    def critic_total(self) -> int:
        """Steps of the critic alone, before the actor's."""
        config = self.config
        return config.critic_epochs * self.passes if config.critic_steps is None else config.critic_steps

    @property
    def total(self) -> int:
        return self.critic_total + super().total

    def step(self, batch: Batch, *, actor: bool) -> dict[str, Tensor]:
        """Algorithm 1, lines 3 to 8; without `actor` it stays as it is."""
        config, bos, pad = self.config, self.corpus.vocab.bos, self.corpus.vocab.pad
        tokens = self.sampled(batch)  # line 4
        inside = tokens != pad
        inputs, actions = shifted(tokens, bos), tokens[inside]
        aims, reward = self.aims(batch, tokens, inside)  # line 5
        judged = self.critic(inputs, self._read(self.critic, batch))[inside]
        errors = (chosen_values(judged, self.critic.output, actions) - aims).square().sum()
        spread = value_spread(judged, self.critic.output)
        figures = {"reward": reward.mean(), "td_error": errors.detach() / len(actions)}
        figures["spread"] = spread.detach() / len(actions)
        if actor:  # line 7 before line 6: both gradients are taken at the same weights
            figures |= self._actor_step(batch, inputs, inside, judged.detach())
        rate = config.critic_learning_rate if actor else config.critic_pretrain_rate
        self._critic_step((errors + config.lambda_c * spread) / len(tokens), rate)  # line 6
        self.follow()  # line 8
        return figures

    @torch.no_grad()
    def sampled(self, batch: Batch) -> Tensor:
        """Outputs of the delayed actor [batch, time], at most `extra` tokens longer than the batch's longest target."""
        assert batch.sources is not None
        limits = self.generator.limits
        time = min(limits.max_length, batch.targets.shape[1] + self.config.extra)
        uniforms, net = self.uniforms(len(batch.targets), time), self.slow_net
        drawn = sample_with_states(
            net, net.encode(*batch.sources), uniforms, bos=limits.bos, pad=self.corpus.vocab.pad, eos=limits.eos
        )
        return drawn.tokens

    @torch.no_grad()
    def aims(self, batch: Batch, tokens: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """What Q of each token emitted should be: q_t = r_t + sum_a p'(a) Q'(a) after it; behind the last, r_t alone.

        The reward r_t is how much token t adds to the smoothed BLEU of what stands so far.

        Returns:
            Aims [tokens emitted] and the BLEU of the whole outputs [batch].
        """
        assert batch.sources is not None
        bleu = self.bleu.prefixes(tokens, batch.targets)
        rewards = bleu.diff(dim=1, prepend=torch.zeros_like(bleu[:, :1]))
        inputs = shifted(tokens, self.corpus.vocab.bos)
        features = self.slow_net(inputs, self.slow_net.encode(*batch.sources))[inside]
        judged = self.slow_critic(inputs, self._read(self.slow_critic, batch))[inside]
        values = features.new_zeros(tokens.shape[0], tokens.shape[1] + 1)
        values[:, :-1][inside] = expected_values(features, self.slow_net.output, judged, self.slow_critic.output)
        return (rewards + values[:, 1:])[inside].to(features.dtype), bleu[:, -1]

    def follow(self) -> None:
        """The delayed copies go some of the way."""
        with torch.no_grad():
            for slow, fast, gamma in (
                (self.slow_net, self.net, self.config.gamma_actor),
                (self.slow_critic, self.critic, self.config.gamma_critic),
            ):
                for behind, ahead in zip(slow.parameters(), fast.parameters(), strict=True):
                    behind.lerp_(ahead, gamma)

    def _actor_step(self, batch: Batch, inputs: Tensor, inside: Tensor, judged: Tensor) -> dict[str, Tensor]:
        """Up sum_t sum_a p(a) Q(a) and lambda_LL times the target's log-likelihood, both means over the batch."""
        net, config = self.net, self.config
        assert batch.sources is not None
        with without_dropout(net):
            memory = net.encode(*batch.sources)
            expected = expected_value_sum(net(inputs, memory)[inside], net.output, judged, self.critic.output)
            loss = -expected
            if config.lambda_ll:
                features = net(batch.inputs, memory)[batch.inside]
                loss = loss + config.lambda_ll * cross_entropy(features, net.output, batch.targets[batch.inside])
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss / len(inputs))
        gradient = nn.utils.clip_grad_norm_(net.parameters(), config.clip)
        self.optimizer.step()
        return {"expected": expected.detach() / inside.sum(), "gradient": gradient}

    def _critic_step(self, loss: Tensor, rate: float) -> None:
        self.critic_optimizer.param_groups[0]["lr"] = rate
        self.critic_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.critic.parameters(), self.config.clip)
        self.critic_optimizer.step()

    def _read(self, critic: AutoregressiveNet, batch: Batch) -> tuple[Tensor, ...]:
        """The critic's memory of the targets."""
        return critic.encode(batch.targets, batch.inside.sum(1))

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "critic": self.critic.state_dict(),
            "slow_net": self.slow_net.state_dict(),
            "slow_critic": self.slow_critic.state_dict(),
            "critic_moments": moments(self.critic, self.critic_optimizer),
        }

    def load_state(self, saved: Mapping[str, Any]) -> None:
        super().load_state(saved)
        for name in ("critic", "slow_net", "slow_critic"):
            getattr(self, name).load_state_dict(saved[name])
        set_moments(self.critic, self.critic_optimizer, saved["critic_moments"])


def build_critic(corpus: Corpus, config: CriticConfig, rng: torch.Generator) -> AttentionSeq2Seq:
    """From the target's tokens to a value for each token of the vocabulary; at first all values are 0."""
    with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream, which dropout uses
        critic = AttentionSeq2Seq(corpus.vocab.n_inputs, corpus.vocab.size, **config.model_dump())
    initialise(critic, "glorot", 0.5, rng)
    nn.init.zeros_(critic.output.weight)
    return critic
