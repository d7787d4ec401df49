"""Adversarial dialogue generation (Li, Monroe, Shi, Jean, Ritter and Jurafsky 2017, arXiv 1701.06547).

A generator of responses is rewarded with a hierarchical discriminator's belief that a person wrote them. Three rows
differ in what a token is rewarded with: `dialogue_reinforce`, `dialogue_regs_mc` and `dialogue_regs_partial`.
`DialogueGAN.fit` reads like the paper's algorithm; where this differs from it is told in
`docs/methods/dialogue_gan.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from baselines.base import Baseline, BaselineConfig, Decoding, Run
from baselines.nets.base import AutoregressiveNet, Memory
from baselines.nets.hierarchical import HierarchicalDiscriminator
from baselines.nets.lstm import RecurrentNet
from baselines.neural import NeuralGenerator, build_net, lacks
from baselines.training.batches import Batch, shifted
from baselines.training.descent import descend
from baselines.training.mle import MLEConfig, over_pretraining, pretrain, pretraining_spec
from baselines.training.pairs import likelihood_step
from baselines.training.policy_gradient import policy_gradient_step, without_dropout
from baselines.training.rollout import Rollouts, Sampled, sample_with_states
from baselines.training.sequence_policy import AdversarialPolicy, PolicyConfig, Progress
from tasks.base import Corpus

Reward = Literal["reinforce", "regs_mc", "regs_partial"]


class TurnsConfig(BaselineConfig):
    """The hierarchical discriminator. "code" is the authors' repository, jiweil/Neural-Dialogue-Generation."""

    embedding: PositiveInt = 512  # code
    hidden: PositiveInt = 512  # code: of both LSTMs, one layer each
    learning_rate: PositiveFloat = 1e-3  # ours, with Adam; code: SGD at 0.01
    clip: PositiveFloat = 5.0  # ours: the code's for the generator


class DialogueConfig(PolicyConfig):
    """Constants of all three rows; "code" as above. `g_steps` 1 and `batch` 64 are the code's and the base class's."""

    mle: MLEConfig = MLEConfig()  # the generator and its pre-training, shared with every other method
    discriminator: TurnsConfig = TurnsConfig()
    # reinforce: one reward a response, D of the whole. regs_mc: each token's is the mean of D over completions of the
    # response so far. regs_partial: D, trained on unfinished responses, judges the response so far itself.
    reward: Reward = "reinforce"
    rollouts: PositiveInt = 5  # paper and code: N of regs_mc
    reward_scale: NonNegativeFloat = 0.5  # code: Timeslr; 0 for a control: the teacher alone moves G
    critic: bool = True  # the baseline is a linear function of the source; without it, `baseline` says which
    critic_rate: PositiveFloat = 5e-4  # code; SGD, ours: Adam moves all of a sum's weights at once and overshoots
    teacher_forcing: bool = True  # the algorithm: after each step of G, one on the human response with reward 1
    learning_rate: PositiveFloat = 1e-4  # ours, with Adam; code: SGD at 1, from its own pre-training by SGD
    d_pretrain_steps: int = Field(default=1000, ge=0)  # ours, batches; code: 6 passes over fixed samples
    rounds: int = Field(default=2000, ge=0)  # ours: paper and code name no end (code: a report each 2000)
    d_steps: int = Field(default=5, ge=0)  # code: dSteps, batches


# Sized for one CPU thread. With rollouts a step of G costs seven times as much, so `regs_mc` takes fewer.
_ADVERSARIAL: dict[str, dict[str, Any]] = {
    "smoke": {
        "discriminator": {"embedding": 32, "hidden": 32, "learning_rate": 3e-3},
        "d_pretrain_steps": 20,
        "rounds": 6,
        "d_steps": 2,
        "batch": 32,
        "learning_rate": 1e-3,
        "valid_rows": 200,
    },
    "small": {
        "discriminator": {"embedding": 64, "hidden": 128},
        "d_pretrain_steps": 100,
        "rounds": 50,
        "d_steps": 2,
        "learning_rate": 3e-4,
        "valid_every": 25,
    },
    "smoke/summarization": {"batch": 16},
    "small/summarization": {"batch": 32},
    "paper": {},
}
_ROLLED = _ADVERSARIAL | {
    "small": {**_ADVERSARIAL["small"], "rounds": 15, "valid_every": 15},
    "small/summarization": {**_ADVERSARIAL["small/summarization"], "rounds": 8},
}


class DialogueGAN(Baseline):
    """What the rows share; each is this with another `reward`."""

    version: ClassVar[int] = 1
    source: ClassVar[str] = "Li et al. 2017, arXiv 1701.06547"
    adversarial: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = DialogueConfig

    def supports(self, corpus: Corpus) -> str | None:
        if corpus.source_vocab is None:
            return "its discriminator judges a response by its context, and there is none"
        if (corpus.fixed_length or corpus.max_target_length) < 2:
            return "targets of one token leave nothing to complete"
        return lacks(corpus, self.config.mle.net)

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.mle.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        """The paper's algorithm: pre-train G, pre-train D, then D's steps and G's in turn."""
        config: DialogueConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.load_state_dict(pretrain(corpus, config.mle, run))
        game = Game(corpus, config, generator, run)
        done = game.restore(run.resume())
        if done.pretrain_steps == done.rounds == 0:
            run.snapshot("pretrain", generator)

        while done.pretrain_steps < config.d_pretrain_steps:
            figures = game.discriminator_step()
            done.pretrain_steps += 1
            run.log("discriminator", done.pretrain_steps, **figures)
            run.progress("discriminator", done.pretrain_steps, config.d_pretrain_steps, **figures)
            run.checkpoint(lambda: game.state(done))

        while done.rounds < config.rounds:
            figures = {}
            for _ in range(config.d_steps):
                figures |= game.discriminator_step()
            for _ in range(config.g_steps):
                figures |= game.generator_step()
                if config.teacher_forcing:
                    figures |= game.teacher_forcing_step()
            game.follow()
            done.rounds += 1
            if done.rounds % config.valid_every == 0 or done.rounds == config.rounds:
                figures |= game.look_at_valid(done)
            run.log("adversarial", done.rounds, **figures)
            run.progress("adversarial", done.rounds, config.rounds, reward=figures["reward"])
            run.checkpoint(lambda: game.state(done))

        return game.chosen(done)


class ReinforceConfig(DialogueConfig):
    reward: Literal["reinforce"] = "reinforce"


class DialogueReinforce(DialogueGAN):
    name: ClassVar[str] = "dialogue_reinforce"
    summary: ClassVar[str] = "policy gradient, one reward a response from a hierarchical discriminator"
    Config: ClassVar[type[BaselineConfig]] = ReinforceConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = over_pretraining(_ADVERSARIAL)


class RegsMCConfig(DialogueConfig):
    reward: Literal["regs_mc"] = "regs_mc"


class DialogueRegsMC(DialogueGAN):
    name: ClassVar[str] = "dialogue_regs_mc"
    summary: ClassVar[str] = "policy gradient, a reward every token from Monte-Carlo completions"
    Config: ClassVar[type[BaselineConfig]] = RegsMCConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = over_pretraining(_ROLLED)


class RegsPartialConfig(DialogueConfig):
    reward: Literal["regs_partial"] = "regs_partial"


class DialogueRegsPartial(DialogueGAN):
    name: ClassVar[str] = "dialogue_regs_partial"
    summary: ClassVar[str] = "policy gradient, a reward every token from a discriminator of unfinished responses"
    Config: ClassVar[type[BaselineConfig]] = RegsPartialConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = over_pretraining(_ADVERSARIAL)


class Critic(nn.Module):
    """b(x): the reward to expect for a source, linear in what the decoder starts from.

    Its bias starts as the first batch's mean reward (ours): else all rewards are above the baseline for a long while.
    """

    started: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(()))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def forward(self, sources: Tensor) -> Tensor:
        """Source vectors [batch, width] -> [batch]."""
        return sources @ self.weight + self.bias

    @torch.no_grad()
    def start(self, mean: Tensor) -> None:
        self.bias.copy_(torch.where(self.started, self.bias, mean))
        self.started.fill_(True)


class Game(AdversarialPolicy):
    """Generator, discriminator and critic with their optimisers."""

    config: DialogueConfig
    discriminator: HierarchicalDiscriminator

    def __init__(self, corpus: Corpus, config: DialogueConfig, generator: NeuralGenerator, run: Run) -> None:
        super().__init__(corpus, config, generator, run)
        self.discriminator = build_discriminator(corpus, config.discriminator, run.rng("discriminator weights"))
        self.discriminator.to(run.device)
        rate = config.discriminator.learning_rate
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), rate, fused=True)
        self.critic = Critic(self.net.lstm.hidden_size if isinstance(self.net, RecurrentNet) else 1).to(run.device)
        self.c_optimizer = torch.optim.SGD(self.critic.parameters(), config.critic_rate)  # keeps no moments
        self.human: Batch  # the pairs (x, y) of train whose sources the last step of G answered

    def discriminator_step(self) -> dict[str, float]:
        """One step on fresh pairs: a context with its human response, and with one that G writes now."""
        config, train, pad = self.config, self.corpus.splits["train"], self.corpus.vocab.pad
        rows = self._random_rows("positives")
        assert train.sources is not None, "checked by `supports`"
        chosen, human = train.sources.take(rows), train.targets.take(rows)
        machine = self.generator.generate(chosen, decoding=Decoding("sample"), rng=self.run.rng("negatives"))
        width = int(max(human.lengths.max(), machine.lengths.max()))
        responses = torch.cat([torch.from_numpy(part.padded(pad, width)) for part in (human, machine)])
        if config.reward == "regs_partial":
            responses = random_prefixes(responses, pad, self.run.rng("prefixes"))
        sources = self.generator.collator.sources(chosen, self.run.device)[0]
        figures = discriminator_loss(self.discriminator, sources, responses.to(self.run.device))
        descend(self.d_optimizer, figures["d_loss"], self.discriminator, config.discriminator.clip)
        return {name: float(figure.detach()) for name, figure in figures.items()}

    def generator_step(self) -> dict[str, float]:
        """One step of policy gradient on responses that G writes to a batch of contexts, and one of the critic."""
        config, net, pad = self.config, self.net, self.corpus.vocab.pad
        sources = self._source_batch()
        net.eval()
        with torch.no_grad(), net.fixed_weights():
            memory = net.encode(*sources)
            vectors = source_vectors(net, memory, len(sources[0]))  # constants: the critic has no way back to G
            sampled = sample_with_states(net, memory, self._uniforms(self._time), **self._ends)
        emitted = sampled.tokens != pad
        rewards = self.rewards(sampled, memory, sources) * emitted
        advantages = self._advantages(rewards, emitted, vectors)
        with without_dropout(net):
            features = net(shifted(sampled.tokens, self.corpus.vocab.bos), net.encode(*sources))
            figures = policy_gradient_step(
                net,
                self.g_optimizer,
                features,
                sampled.tokens,  # what G wrote; the human response is the teacher's business
                config.reward_scale * advantages,
                emitted,
                scale=config.scale,
                clip=config.clip,
            )
        net.eval()
        if config.critic:
            figures["critic_loss"] = self._critic_step(rewards, emitted, vectors)
        figures["reward"] = rewards.sum() / emitted.sum()
        figures["length"] = sampled.lengths.double().mean()
        return {name: float(figure) for name, figure in figures.items()}

    def teacher_forcing_step(self) -> dict[str, float]:
        """G's step on the human responses to the same contexts, each of reward 1."""
        nll = likelihood_step(self.net, self.g_optimizer, self.human, clip=self.config.clip)
        return {"human_nll": float(nll)}

    @torch.no_grad()
    def rewards(self, sampled: Sampled, memory: Memory, sources: tuple[Tensor, Tensor] | None) -> Tensor:
        """P(human), as each token earns it [batch, time]; what stands behind an end does not count."""
        assert sources is not None, "checked by `supports`"
        if self.config.reward == "regs_mc":
            return super().rewards(sampled, memory, sources)
        context = self.discriminator.read_context(sources[0])
        if self.config.reward == "regs_partial":
            return self.discriminator.judge_prefixes(context, sampled.tokens).sigmoid()
        return self.discriminator.judge(context, sampled.tokens).sigmoid().unsqueeze(1).expand(sampled.tokens.shape)

    def judge(self, sampled: Sampled, rolled: Rollouts, sources: Tensor | None) -> tuple[Tensor, Tensor]:
        """P(human) of each; a context is read once for all that is made of it."""
        assert sources is not None, "checked by `supports`"
        context = self.discriminator.read_context(sources)
        values = self.discriminator.judge_many(context, rolled.owners, rolled.tokens).sigmoid()
        return values, self.discriminator.judge(context, sampled.tokens).sigmoid()

    def _advantages(self, rewards: Tensor, emitted: Tensor, vectors: Tensor) -> Tensor:
        """Rewards less what was to be expected [batch, time]."""
        if not self.config.critic:
            return self.baseline.advantage(rewards, emitted)
        self.critic.start(rewards.sum() / emitted.sum())
        with torch.no_grad():
            expected: Tensor = self.critic(vectors).unsqueeze(1)
            return (rewards - expected) * emitted

    def _critic_step(self, rewards: Tensor, emitted: Tensor, vectors: Tensor) -> Tensor:
        """Down the squared error of b(x), a response's mean over its tokens; `vectors` have no way back to G."""
        error = ((self.critic(vectors).unsqueeze(1) - rewards) * emitted).square()
        loss: Tensor = (error.sum(1) / emitted.sum(1)).mean()
        self.c_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.c_optimizer.step()
        return loss.detach()

    def _source_batch(self) -> tuple[Tensor, Tensor]:
        self.human = self._random_pairs("sources")
        assert self.human.sources is not None
        return self.human.sources

    def state(self, done: Progress) -> dict[str, Any]:
        return super().state(done) | {"critic": self.critic.state_dict()}

    def load_state(self, saved: Mapping[str, Any]) -> None:
        super().load_state(saved)
        self.critic.load_state_dict(saved["critic"])


def build_discriminator(corpus: Corpus, config: TurnsConfig, rng: torch.Generator) -> HierarchicalDiscriminator:
    """The network for a corpus of pairs, its weights drawn from `rng`."""
    assert corpus.source_codec is not None, "checked by `supports`"
    source, target = corpus.source_codec.vocab, corpus.vocab
    with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream, which dropout uses
        net = HierarchicalDiscriminator(
            source.n_inputs,
            source.pad,
            corpus.source_codec.separator,
            target.n_inputs,
            target.pad,
            config.embedding,
            config.hidden,
        )
    net.initialise(rng)
    return net


@torch.no_grad()
def source_vectors(net: AutoregressiveNet, memory: Memory, batch: int) -> Tensor:
    """What the critic knows of the sources [batch, width]: the output part of the decoder's first state.

    Where that doesn't depend on the source (a Transformer has none, the convolutional encoder's is 0), the critic is
    a learned constant.
    """
    if isinstance(net, RecurrentNet):
        return net.first_output(batch, memory)
    return net.output.weight.new_ones(batch, 1)


def discriminator_loss(net: HierarchicalDiscriminator, sources: Tensor, responses: Tensor) -> dict[str, Tensor]:
    """Mean cross-entropy, and accuracy, over both halves.

    Args:
        sources: [batch, source time], read once for both.
        responses: [2 batch, time]: a human response to each context, then a machine's to each.
    """
    h, c = net.read_context(sources)
    logits = net.judge((h.repeat(2, 1), c.repeat(2, 1)), responses)
    human = (torch.arange(len(responses), device=logits.device) < len(sources)).to(logits.dtype)
    right = ((logits > 0) == (human > 0)).to(logits.dtype).mean()
    return {"d_loss": F.binary_cross_entropy_with_logits(logits, human), "d_accuracy": right.detach()}


def random_prefixes(tokens: Tensor, pad: int, rng: torch.Generator) -> Tensor:
    """Of each row [batch, time] one beginning, its length even over 1 .. the row's own; `pad` behind it."""
    lengths = (tokens != pad).sum(1)
    kept = (torch.rand(len(tokens), generator=rng) * lengths).long() + 1
    return tokens.masked_fill(torch.arange(tokens.shape[1]) >= kept.unsqueeze(1), pad)
