"""BSO (Wiseman and Rush 2016, arXiv 1606.02960): beam-search optimisation, a margin between the target and the beam.

A beam search runs along the target. Where the target's prefix doesn't score at least 1 more than the beam's last, the
two are pulled apart and the search begins anew from the target. Scores are the output layer's, with no softmax. Where
this differs from paper and code is told in `docs/methods/bso.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from baselines.base import Baseline, BaselineConfig, CannotDecode, Decoding, Run
from baselines.nets.base import AutoregressiveNet, Memory, State, pick
from baselines.neural import NeuralGenerator, build_net, copies, lacks
from baselines.training.batches import Batch
from baselines.training.mle import MLEConfig, over_pretraining, pretrain, pretraining_spec
from baselines.training.policy_gradient import without_dropout
from baselines.training.raw_beam import NEVER, Ending, RawBeam, raw_beam_search
from baselines.training.second_stage import SecondStage, SecondStageConfig, without_pairs
from tasks.base import Corpus, Ragged


class BSOConfig(SecondStageConfig):
    """Defaults are those of the authors' code ("code": harvardnlp/BSO, `bso_train.lua`).

    [M] is from memory, not checked against the paper.
    """

    mle: MLEConfig = MLEConfig()
    beam: PositiveInt = 2  # code: beam_size, at first
    max_beam: PositiveInt = 6  # [M] for translation; code's default is 11
    beam_epochs: PositiveInt = 2  # code: epochs_per_beam_size, then the beam is wider by 1 ...
    beam_steps: PositiveInt | None = None  # ... or so many steps
    cost_scale: float = Field(default=1.0, ge=0)  # code: mt_delt_multiple, of 1 - BLEU; 0: every violation costs 1
    ending: Ending = "top"  # ours, of a beam search; code: "best", which makes beams worse (docs/methods/bso.md)
    epochs: PositiveInt = 13  # code
    batch: PositiveInt = 64  # [M]
    learning_rate: PositiveFloat = 1e-4  # ours, with Adam; code: SGD at 0.01, or Adagrad
    clip: PositiveFloat = 5.0  # code: max_grad_norm


_STAGE: dict[str, dict[str, Any]] = {
    "smoke": {
        "steps": 30,
        "beam_steps": 10,
        "max_beam": 4,
        "batch": 32,
        "learning_rate": 1e-3,
        "valid_every": 10,
        "valid_rows": 100,
    },
    "small": {
        "steps": 350,
        "beam_steps": 70,
        "batch": 32,
        "learning_rate": 3e-4,
        "valid_every": 50,
        "valid_rows": 300,
    },
    "small/summarization": {"batch": 16, "steps": 250, "beam_steps": 50},
    "small/dialogue": {"batch": 16, "steps": 250, "beam_steps": 50},
    "paper": {},
}
BUDGETS = over_pretraining(_STAGE)


class BSO(Baseline):
    name: ClassVar[str] = "bso"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "beam-search optimisation: a margin between the target's prefix and the beam's last"
    source: ClassVar[str] = "Wiseman and Rush 2016, arXiv 1606.02960"
    Config: ClassVar[type[BaselineConfig]] = BSOConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def supports(self, corpus: Corpus) -> str | None:
        return without_pairs(corpus) or lacks(corpus, self.config.mle.net) or copies(self.config.mle.net)

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus: Corpus) -> RawGenerator:
        return RawGenerator(build_net(corpus, self.config.mle.net), corpus, self.config.ending)

    def fit(self, corpus: Corpus, run: Run) -> NeuralGenerator:
        config: BSOConfig = self.config
        generator = self.build(corpus).to(run.device)
        generator.net.load_state_dict(pretrain(corpus, config.mle, run))
        learner = BeamLearner(corpus, config, generator, run)
        if not learner.resume():
            run.snapshot("pretrain", generator)
        generator.raw.fill_(1)  # from here on the output layer gives scores

        while learner.done.step < learner.total:
            width = learner.width
            figures = learner.step(learner.pairs.draw(), width)
            learner.end_step({"beam": width, **figures}, watch="loss")
        return learner.chosen()


class RawGenerator(NeuralGenerator):
    """Decodes beams by raw scores once it was trained for them.

    Attributes:
        raw: 0 for the pre-trained weights, whose scores are logits of a softmax, 1 after. It is saved with them.
        ending: when a search of raw scores is over.
    """

    raw: Tensor

    def __init__(self, net: AutoregressiveNet, corpus: Corpus, ending: Ending) -> None:
        super().__init__(net, corpus)
        self.ending = ending
        self.register_buffer("raw", torch.zeros((), dtype=torch.int64))

    def _decode(self, sources: Ragged, decoding: Decoding, uniforms: Tensor | None) -> Ragged:
        if decoding.method != "beam" or not int(self.raw):
            return super()._decode(sources, decoding, uniforms)
        if decoding.coverage:
            raise CannotDecode("coverage is added to a log-probability, and beams here are ranked by raw scores")
        memory, size = self._encode(sources), decoding.beam_size
        return raw_beam_search(self.net, memory, len(sources), self.limits, size, self.ending)


@dataclass(frozen=True)
class Violations:
    """Where a beam search along the targets went wrong.

    Attributes:
        places: [batch, time], True where the margin was violated.
        wrong: [batch, time], the tokens of the violating prefixes since the search last began anew.
        begins: [batch, time], True where it began anew, from the target's prefix.
        cost: [batch, time], 1 - BLEU of the violating stretch against the target's, where the margin was violated.
    """

    places: Tensor
    wrong: Tensor
    begins: Tensor
    cost: Tensor


class BeamLearner(SecondStage):
    def __init__(self, corpus: Corpus, config: BSOConfig, generator: NeuralGenerator, run: Run) -> None:
        super().__init__(corpus, config, generator, run, stage="bso")
        self.config = config
        # a look goes by what is trained: the beam that the paper decodes with, of the training's width less 1
        self.decoding = Decoding("beam", beam_size=max(1, config.max_beam - 1))

    @property
    def width(self) -> int:
        """Of the beam, by the steps done."""
        config = self.config
        return min(
            config.max_beam, config.beam + self.done.step // (config.beam_steps or config.beam_epochs * self.passes)
        )

    def step(self, batch: Batch, width: int) -> dict[str, Tensor]:
        """One step down sum_t cost_t (1 - f(target's token) + f(violating token)), the mean over the batch."""
        net = self.net
        assert batch.sources is not None
        with without_dropout(net):
            memory = net.encode(*batch.sources)
            features, states = self._along(batch.inputs, memory)
            gold = token_scores(net, features, batch.targets)
            found = self.search(batch, memory, states, gold.detach(), width)
            astray = self._astray(batch, memory, states, found)
            margins = 1 - gold + token_scores(net, astray, found.wrong)
            loss = torch.where(found.places, found.cost * margins, 0.0).sum() / len(gold)
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
        gradient = nn.utils.clip_grad_norm_(net.parameters(), self.config.clip)
        self.optimizer.step()
        count = found.places.sum()
        figures = {"loss": loss.detach(), "violations": count / len(gold), "gradient": gradient}
        return figures | {"cost": found.cost.sum() / count.clamp(min=1)}

    def _along(self, inputs: Tensor, memory: Memory) -> tuple[Tensor, list[State]]:
        """Teacher forcing with gradient: features [batch, time, features], and the state behind each token read."""
        state, features, states = self.net.initial_state(len(inputs), memory), [], []
        for token in inputs.unbind(1):
            feature, state = self.net.step(token, state, memory)
            features.append(feature)
            states.append(state)
        return torch.stack(features, 1), states

    def _astray(self, batch: Batch, memory: Memory, states: list[State], found: Violations) -> Tensor:
        """Features [batch, time, features] along the violating prefixes, with gradient.

        They branch off the target's states where the search began anew, so all of them together are one pass, and what
        they share with the target is gone through once.
        """
        state, features = self.net.initial_state(len(batch.inputs), memory), []
        for t, given in enumerate(batch.inputs.unbind(1)):
            token = given
            if t > 0:
                anew = found.begins[:, t]
                token = torch.where(anew, given, found.wrong[:, t - 1])
                state = _where(anew, states[t - 1], state)
            feature, state = self.net.step(token, state, memory)
            features.append(feature)
        return torch.stack(features, 1)

    @torch.no_grad()
    def search(self, batch: Batch, memory: Memory, states: list[State], gold: Tensor, width: int) -> Violations:
        """Beam search along the targets, begun anew from the target's prefix after each violation.

        Before the end the target has to score 1 more than the beam's last; at the end, more than any other.

        Args:
            states: of the target's prefixes; gold: [batch, time], scores of the target's tokens.
        """
        targets, lengths, eos = batch.targets, batch.inside.sum(1), self.generator.limits.eos
        size, time = targets.shape
        repeat = torch.arange(size, device=targets.device).repeat_interleave(width)
        wide, beam = pick(memory, repeat), RawBeam(self.net, size, width, time)
        places, begins = torch.zeros_like(batch.inside), torch.zeros_like(batch.inside)
        wrong, start, starts = torch.full_like(targets, self.corpus.vocab.pad), torch.zeros_like(lengths), []
        state, tokens = (
            pick(self.net.initial_state(size, memory), repeat),
            batch.inputs[:, :1].expand(-1, width).flatten(),
        )
        begins[:, 0] = True
        for t in range(time):
            features, state = self.net.step(tokens, state, wide)
            scores, parents, words = beam.candidates(features)
            longer = beam.extended(parents, words, t)
            itself = (longer == targets.unsqueeze(1))[:, :, : t + 1].all(2)  # the target's prefix among the candidates
            rank = torch.where(lengths == t + 1, (~itself).int().argmax(1), width - 1).unsqueeze(1)
            violated = (t < lengths) & (1 - gold[:, t] + scores.gather(1, rank).squeeze(1) > 0)
            place = torch.arange(time, device=targets.device)
            stretch = violated.unsqueeze(1) & (place >= start.unsqueeze(1)) & (place <= t)
            offender = longer.gather(1, rank.unsqueeze(2).expand(-1, -1, time)).squeeze(1)
            wrong = torch.where(stretch, offender, wrong)
            places[:, t] = violated
            starts.append(start)
            start = torch.where(violated, t + 1, start)
            if t + 1 < time:
                begins[:, t + 1] = violated
                scores = scores.masked_fill(words == eos, NEVER) if eos is not None else scores
                tokens, rows = beam.keep(scores, parents, words, t)
                state = _where(violated[repeat], pick(states[t], repeat), pick(state, rows))
                tokens = torch.where(violated[repeat], targets[repeat, t], tokens)
                self._begin_anew(beam, violated, targets, t)
        return Violations(places, wrong, begins, self._costs(places, wrong, targets, torch.stack(starts, 1)))

    def _begin_anew(self, beam: RawBeam, violated: Tensor, targets: Tensor, time: int) -> None:
        """Where the margin was violated the target's prefix, up to and with place `time`, is the only one."""
        prefix = torch.where(torch.arange(targets.shape[1], device=targets.device) <= time, targets, 0)
        beam.ids = torch.where(violated.view(-1, 1, 1), prefix.unsqueeze(1), beam.ids)
        alone = torch.full_like(beam.scores, NEVER)
        alone[:, 0] = 0.0
        beam.scores = torch.where(violated.unsqueeze(1), alone, beam.scores)

    def _costs(self, places: Tensor, wrong: Tensor, targets: Tensor, starts: Tensor) -> Tensor:
        """1 - BLEU of each violating stretch, times `cost_scale`; 0 where it is the target's own."""
        kind = self.net.output.weight.dtype
        if not self.config.cost_scale:
            return places.to(kind)
        row, last = places.nonzero().unbind(1)
        place = torch.arange(targets.shape[1], device=targets.device)
        stretch = (place >= starts[row, last].unsqueeze(1)) & (place <= last.unsqueeze(1))
        pad = self.corpus.vocab.pad
        theirs, ours = (torch.where(stretch, ids[row], pad) for ids in (wrong, targets))
        cost = torch.where((theirs == ours).all(1), 0.0, 1 - self.bleu(theirs, ours))
        costs = torch.zeros(places.shape, dtype=kind, device=places.device)
        costs[row, last] = self.config.cost_scale * cost.to(kind)
        return costs


def token_scores(net: AutoregressiveNet, features: Tensor, tokens: Tensor) -> Tensor:
    """What the output layer gives each token: features [batch, time, features], tokens [batch, time]; of padding,
    nothing that means anything."""
    tokens = tokens.clamp(max=net.vocab_size - 1)
    found: Tensor = (features * net.output.weight[tokens]).sum(2) + net.output.bias[tokens]
    return found


def _where(rows: Tensor, left: State, right: State) -> State:
    """States of `left` in the rows [batch] that are True, of `right` elsewhere."""
    return tuple(torch.where(rows.view(-1, *(1,) * (a.dim() - 1)), a, b) for a, b in zip(left, right, strict=True))
