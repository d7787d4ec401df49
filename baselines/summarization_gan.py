"""Adversarial summarization (Xu, Cao, Jia, Liu and Tan 2018, ICTAI, doi 10.1109/ICTAI.2018.00045): a reconstruction.

The paper's "ATRNNs": a generator with attention in encoder and decoder learns by policy gradient to pass for a person
before a "Triple-RNNs" discriminator. Nothing but the abstract was found, so the equations, the schedule and every
constant here are ours, or SeqGAN's where it says so; `docs/methods/summarization_gan.md` marks each choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from baselines.base import Baseline, BaselineConfig, Run
from baselines.decoding import sample
from baselines.nets.attention import AttentionSeq2Seq
from baselines.nets.base import Memory
from baselines.nets.triple_rnn import TripleRNN
from baselines.neural import NeuralGenerator, build_net, evaluating
from baselines.training.batches import Batch
from baselines.training.descent import descend
from baselines.training.mle import DualAttentionConfig, over_pretraining, pretrain, pretraining_spec
from baselines.training.pairs import Pairs, likelihood_step
from baselines.training.policy_gradient import BaselineKind
from baselines.training.rollout import Rollouts, Sampled
from baselines.training.sequence_policy import AdversarialPolicy, PolicyConfig, Progress
from tasks.base import Corpus


class TripleConfig(BaselineConfig):
    """The discriminator; its word tables are as wide as the generator's. All ours."""

    hidden: PositiveInt = 256  # units of each of its three GRUs
    learning_rate: PositiveFloat = 1e-3  # Adam
    clip: PositiveFloat = 5.0  # of the gradient's global norm


class SummarizationGANConfig(PolicyConfig):
    """Rollouts and the policy gradient are SeqGAN's (`PolicyConfig`) but for what is named here; "ours" is ours."""

    mle: DualAttentionConfig = DualAttentionConfig()  # the generator and its pre-training, shared with its MLE row
    discriminator: TripleConfig = TripleConfig()
    rollout_every: PositiveInt = 1  # SeqGAN: every prefix is rolled out; k: only those of k, 2k, ... tokens
    baseline: BaselineKind = "moving_average"  # ours; SeqGAN: none
    learning_rate: PositiveFloat = 1e-4  # ours: SeqGAN's 0.01 is for 32 hidden units
    mle_steps: int = Field(default=1, ge=0)  # ours: steps of teacher forcing after each of the policy gradient
    d_pretrain_steps: int = Field(default=1000, ge=0)  # ours: batches
    rounds: int = Field(default=1000, ge=0)  # ours
    d_steps: int = Field(default=5, ge=0)  # SeqGAN's 5 for each step of G; of one batch each, which is ours


# Sized for one CPU thread. With articles of 400 words a rollout costs most where it attends to them, so that only some
# prefixes are rolled out.
_ADVERSARIAL: dict[str, dict[str, Any]] = {
    "smoke": {
        "discriminator": {"hidden": 32, "learning_rate": 3e-3},
        "rollouts": 2,
        "rollout_every": 3,
        "learning_rate": 3e-4,
        "d_pretrain_steps": 20,
        "rounds": 6,
        "d_steps": 2,
        "batch": 16,
        "valid_rows": 200,
    },
    "small": {
        "discriminator": {"hidden": 128},
        "rollouts": 4,
        "rollout_every": 2,
        "learning_rate": 3e-4,
        "d_pretrain_steps": 100,
        "rounds": 30,
        "d_steps": 2,
        "valid_every": 10,
    },
    "small/summarization": {"batch": 32, "rollout_every": 3, "rounds": 15},
    "paper": {"rollout_every": 4},
}
BUDGETS = over_pretraining(_ADVERSARIAL)


class SummarizationGAN(Baseline):
    name: ClassVar[str] = "summarization_gan"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "reconstruction of ATRNNs: dual attention, rollouts judged by a triple-RNN discriminator"
    source: ClassVar[str] = "Xu et al. 2018, doi 10.1109/ICTAI.2018.00045 (a reconstruction)"
    adversarial: ClassVar[bool] = True
    Config: ClassVar[type[BaselineConfig]] = SummarizationGANConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        if corpus.source_vocab is None:
            return "its discriminator compares a summary with its article, and there is none"
        if (corpus.fixed_length or corpus.max_target_length) < 2:
            return "targets of one token leave nothing to roll out"
        return None

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.mle.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        config: SummarizationGANConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.load_state_dict(pretrain(corpus, config.mle, run))  # G is pre-trained by maximum likelihood
        game = Game(corpus, config, generator, run)
        done = game.restore(run.resume())
        if done.pretrain_steps == done.rounds == 0:
            run.snapshot("pretrain", generator)

        while done.pretrain_steps < config.d_pretrain_steps:  # D learns to tell people from this G
            figures = game.discriminator_step()
            done.pretrain_steps += 1
            run.log("discriminator", done.pretrain_steps, **figures)
            run.progress("discriminator", done.pretrain_steps, config.d_pretrain_steps, **figures)
            run.checkpoint(lambda: game.state(done))

        while done.rounds < config.rounds:
            figures = {}
            for _ in range(config.g_steps):
                figures |= game.generator_step()
                for _ in range(config.mle_steps):
                    figures |= game.likelihood_step()
            for _ in range(config.d_steps):
                figures |= game.discriminator_step()
            game.follow()
            done.rounds += 1
            if done.rounds % config.valid_every == 0 or done.rounds == config.rounds:
                figures |= game.look_at_valid(done)
            run.log("adversarial", done.rounds, **figures)
            run.progress("adversarial", done.rounds, config.rounds, reward=figures["reward"])
            run.checkpoint(lambda: game.state(done))

        return game.chosen(done)


class Game(AdversarialPolicy):
    """Generator and discriminator with their optimisers, and the pairs of train that teacher forcing goes through."""

    config: SummarizationGANConfig

    def __init__(self, corpus: Corpus, config: SummarizationGANConfig, generator: NeuralGenerator, run: Run) -> None:
        super().__init__(corpus, config, generator, run)
        self.every = config.rollout_every
        self.discriminator = build_discriminator(corpus, config.discriminator, generator, run.rng("discriminator"))
        self.discriminator.to(run.device)
        rate = config.discriminator.learning_rate
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), rate, fused=True)
        self.pairs = Pairs(corpus, run, config.batch)

    def judge(self, sampled: Sampled, rolled: Rollouts, sources: Tensor | None) -> tuple[Tensor, Tensor]:
        """D's probability that a person wrote each; an article is read once for all that is made of it."""
        assert sources is not None, "checked by `supports`"
        assert self.generator.collator.source_pad is not None, "checked by `supports`"
        read = self.discriminator.read(sources, (sources != self.generator.collator.source_pad).sum(1))
        values = self.discriminator.judge_many(read, rolled.owners, rolled.tokens).sigmoid()
        everyone = torch.arange(len(sampled.tokens), device=sources.device)
        return values, self.discriminator.judge_many(read, everyone, sampled.tokens).sigmoid()

    def learn(self, sampled: Sampled, rewards: Tensor, sources: tuple[Tensor, Tensor] | None) -> dict[str, float]:
        """As ever, without the places that no summary reaches: attention to an article is made for each place."""
        longest = int(sampled.lengths.max())
        states = tuple(part[:longest] for part in sampled.states)
        written = Sampled(sampled.tokens[:, :longest], sampled.lengths, sampled.features[:longest], states)
        return super().learn(written, rewards[:, :longest], sources)

    def likelihood_step(self) -> dict[str, float]:
        """G's step of teacher forcing on pairs of train, with dropout as in the pre-training."""
        nll = likelihood_step(self.net, self.g_optimizer, self.pairs.draw(), clip=self.config.clip)
        return {"train_nll": float(nll)}

    def discriminator_step(self) -> dict[str, float]:
        """D's step on pairs of train, and on the same articles with summaries that G, as it is now, writes."""
        batch = self._random_pairs("positives")
        loss, right = discriminator_loss(self.discriminator, batch, self.write(batch))
        descend(self.d_optimizer, loss, self.discriminator, self.config.discriminator.clip)
        return {"d_loss": float(loss.detach()), "d_accuracy": float(right)}

    def write(self, batch: Batch) -> Tensor:
        """Fresh samples [batch, time] of G for the batch's articles, without dropout."""
        assert batch.sources is not None, "checked by `supports`"
        limits = self.generator.limits
        uniforms = torch.rand(len(batch.targets), limits.max_length, generator=self.run.rng("negatives"))
        with evaluating(self.net):
            drawn = sample(self.net, self.net.encode(*batch.sources), uniforms, limits)
        return torch.from_numpy(drawn.padded(self.corpus.vocab.pad)).to(self.run.device)

    def state(self, done: Progress) -> dict[str, Any]:
        return super().state(done) | {"pairs": self.pairs.state()}

    def load_state(self, saved: Mapping[str, Any]) -> None:
        super().load_state(saved)
        self.pairs.restore(saved["pairs"])

    def _rows_at_once(self, memory: Memory, lengths: Tensor) -> int:
        """As many times more as there are fewer rollouts."""
        return super()._rows_at_once(memory, lengths) * self.every


def build_discriminator(
    corpus: Corpus, config: TripleConfig, generator: NeuralGenerator, rng: torch.Generator
) -> TripleRNN:
    """D for a corpus, on the CPU; its word tables begin as copies of those that the generator has now."""
    net = generator.net
    assert isinstance(net, AttentionSeq2Seq), "the architecture is no option"
    words = torch.arange(corpus.vocab.n_inputs, device=generator.device)
    with torch.no_grad():
        tables = (net.encoder.embedding.weight.cpu().clone(), net.embed(words).cpu())
    with torch.random.fork_rng(devices=[]):  # PyTorch draws first weights from its global stream, which dropout uses
        discriminator = TripleRNN(*tables, corpus.vocab.pad, config.hidden)
    discriminator.initialise(rng)
    return discriminator


def discriminator_loss(net: TripleRNN, batch: Batch, written: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy over both halves, and D's accuracy.

    Args:
        batch: articles, read once for both, with the summaries of people.
        written: the machine's of the same articles [batch, time].
    """
    assert batch.sources is not None, "checked by `supports`"
    read = net.read(*batch.sources)
    human, machine = net.judge(read, batch.targets), net.judge(read, written)
    loss = (F.softplus(-human).mean() + F.softplus(machine).mean()) / 2
    return loss, (torch.cat([human, -machine]) > 0).to(loss.dtype).mean()
