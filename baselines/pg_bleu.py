"""PG-BLEU, a control of the SeqGAN paper (Yu et al. 2017, arXiv 1609.05473): policy gradient with BLEU as the reward.

The generator, its start, its rollouts and its steps are SeqGAN's; where SeqGAN asks a discriminator, this asks how well
a sequence matches the training lines. What is different here is told in `docs/methods/pg_bleu.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, PositiveInt
from torch import Tensor

from baselines.base import Baseline, BaselineConfig, Run
from baselines.neural import NeuralGenerator, build_net
from baselines.training.bleu_reward import BleuReward
from baselines.training.mle import MLEConfig, over_pretraining, pretrain, pretraining_spec
from baselines.training.rollout import Rollouts, Sampled
from baselines.training.sequence_policy import PolicyConfig, SequencePolicy
from tasks.base import Corpus


class PGBleuConfig(PolicyConfig):
    """The paper gives the control no constants of its own: defaults are SeqGAN's, as `PolicyConfig` has them."""

    mle: MLEConfig = MLEConfig()  # the generator and its pre-training, shared with every other method
    rounds: int = Field(default=200, ge=0)  # of `g_steps` steps: as many as SeqGAN takes
    orders: int = Field(default=4, ge=1, le=5)  # BLEU's longest n-grams, equal weights; the paper doesn't say for this
    references: PositiveInt | None = None  # evenly spaced lines of train; None: all of them


# As SeqGAN's presets: as many steps, rollouts and sequences. `small` takes a smaller rate for text, where BLEU differs
# more between rollouts than a discriminator's opinion does and a dozen steps at 1e-3 halve the entropy of speeches
# (docs/methods/pg_bleu.md). Poems are rewarded with BLEU-2, which the paper scores them by.
_POLICY: dict[str, dict[str, Any]] = {
    "smoke": {"rounds": 6, "batch": 32, "rollouts": 4, "learning_rate": 1e-3, "valid_rows": 200},
    "smoke/poetry": {"orders": 2},
    "smoke/oracle": {"learning_rate": 0.01},
    "small": {"rounds": 25, "rollouts": 8, "learning_rate": 3e-4},
    "small/poetry": {"orders": 2},
    "small/oracle": {"rounds": 20, "rollouts": 16, "learning_rate": 0.01},
    "paper": {},
    "paper/poetry": {"orders": 2},
}
BUDGETS = over_pretraining(_POLICY)


class PGBleu(Baseline):
    name: ClassVar[str] = "pg_bleu"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "policy gradient with rollouts, rewarded with BLEU against the training text"
    source: ClassVar[str] = "a control in Yu et al. 2017, arXiv 1609.05473"
    Config: ClassVar[type[BaselineConfig]] = PGBleuConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        if corpus.kind != "free":
            return "its reward, BLEU against all training text, doesn't depend on the source"
        if (corpus.fixed_length or corpus.max_target_length) < 2:
            return "targets of one token leave nothing to roll out"
        return None

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> NeuralGenerator:
        return NeuralGenerator(build_net(corpus, self.config.mle.net), corpus)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        """Algorithm 1 of the SeqGAN paper without its lines for the discriminator."""
        config: PGBleuConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.load_state_dict(pretrain(corpus, config.mle, run))  # lines 1, 2
        climber = Climber(corpus, config, generator, run)  # line 3
        done = climber.restore(run.resume())
        if done.rounds == 0:
            run.snapshot("pretrain", generator)

        while done.rounds < config.rounds:  # line 6
            figures: dict[str, float] = {}
            for _ in range(config.g_steps):  # lines 7 to 10
                figures |= climber.generator_step()
            climber.follow()  # line 14
            done.rounds += 1
            if done.rounds % config.valid_every == 0 or done.rounds == config.rounds:
                figures |= climber.look_at_valid(done)
            run.log("policy", done.rounds, **figures)
            run.progress("policy", done.rounds, config.rounds, reward=figures["reward"])
            run.checkpoint(lambda: climber.state(done))

        return climber.chosen(done)


class Climber(SequencePolicy):
    """Generator and rollout policy, judged by BLEU."""

    config: PGBleuConfig

    def __init__(self, corpus: Corpus, config: PGBleuConfig, generator: NeuralGenerator, run: Run) -> None:
        super().__init__(corpus, config, generator, run)
        train = corpus.splits["train"].targets
        count = min(config.references or len(train), len(train))
        references = train.take(np.arange(count) * len(train) // count)
        vocab, eos = corpus.vocab.size, generator.limits.eos
        self.bleu = BleuReward(references, vocab=vocab, eos=eos, orders=config.orders, device=run.device)

    def judge(self, sampled: Sampled, rolled: Rollouts, sources: Tensor | None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """BLEU of each."""
        kind = self.net.output.weight.dtype
        return self.bleu(rolled.tokens).to(kind), self.bleu(sampled.tokens).to(kind)
