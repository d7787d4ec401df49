"""Words of the source in the output's distribution: pointer-generator networks (See, Liu and Manning 2017).

arXiv 1704.04368, section 2.2: p(w) = g P(w) + (1 - g) sum of the attention to the places where w stands in the source.
The paper widens the vocabulary by the words of each source. Here the distribution stays one over the target vocabulary,
so that its likelihood can be compared with any other network's: a source word that the target vocabulary lacks counts
for `<unk>`. Which word it was can be read off the attention (decoding `/replace-unk`).

Attention to what can't be copied, the `</s>` of a source or a separator, goes to generating: with e the attention to
such places, P has the share g + (1 - g) e. So all is defined where a source has no words, nothing is divided by an
attention that may be 0, and a decoder that has nothing to copy has a place to look at.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.attention import AttentionSeq2Seq, AttentiveDecoder
from baselines.nets.base import Memory
from baselines.nets.cnn_encoder import ConvSeq2Seq
from baselines.nets.dbam import DBAM
from baselines.nets.dual_attention import DualAttention
from baselines.precision import whole
from tasks.base import Vocabulary

NOTHING = -1  # the id of a place that is not copied


class Shares(NamedTuple):
    """How the probability is shared out, before P is known.

    Attributes:
        generated: [...], of P.
        copied: [..., source time], of the token at each place; with `generated` they sum to 1.
        tokens: [..., source time], which tokens these are; any, where nothing is copied.
    """

    generated: Tensor
    copied: Tensor
    tokens: Tensor


class CopyOutput(nn.Linear):
    """Gives log-probabilities instead of logits; weight and bias are those of P.

    It reads rows [readout | gate's logit | attention to each place | target id of each place, as a number], so that
    whatever keeps, picks and repeats features keeps what is copied with them. Ids are exact up to 2^24 in float32.

    Attributes:
        forbidden: a token that gets no probability; the others are then to be normalised anew.
    """

    forbidden: int | None = None

    def forward(self, rows: Tensor) -> Tensor:
        """rows [..., readout + 1 + 2 source time] -> log-probabilities [..., vocab], none below float's smallest."""
        found = torch.softmax(F.linear(self.readout(rows), self.weight, self.bias), -1)
        found = self.mixed(found, self.shares(rows))
        found = found.clamp_min(torch.finfo(found.dtype).tiny).log()
        if self.forbidden is not None:
            found[..., self.forbidden] = float("-inf")
        return found

    def readout(self, rows: Tensor) -> Tensor:
        """The part of the rows that P depends on."""
        return rows[..., : self.in_features]

    def shares(self, rows: Tensor) -> Shares:
        gate, places = rows[..., self.in_features], rows[..., self.in_features + 1 :]
        attention, tokens = places.chunk(2, -1)
        tokens = tokens.detach().long()
        words = tokens != NOTHING
        copying = torch.sigmoid(-gate)
        generated = torch.sigmoid(gate) + copying * attention.masked_fill(words, 0.0).sum(-1)
        copied = copying.unsqueeze(-1) * attention.masked_fill(~words, 0.0)
        return Shares(generated.clamp_min(torch.finfo(generated.dtype).tiny), copied, tokens.clamp(min=0))

    @staticmethod
    def mixed(probabilities: Tensor, shares: Shares) -> Tensor:
        """P [..., vocab] -> the whole distribution."""
        return (probabilities * shares.generated.unsqueeze(-1)).scatter_add(-1, shares.tokens, shares.copied)

    def of_targets(self, rows: Tensor, targets: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        """log p of one token a row, with gradient by all but P, and which part of p is P's.

        Args:
            rows: [rows, ...].
            targets: [rows].
            generated: [rows], log P of the targets, a constant.

        Returns:
            log p [rows], and g P / p [rows], without gradient.
        """
        shares = self.shares(rows)
        own = shares.generated.log() + generated
        copied = (shares.copied * (shares.tokens == targets.unsqueeze(1))).sum(1)
        # log's gradient at 0 is infinite: where nothing is copied it isn't asked for
        both = torch.logaddexp(own, copied.clamp_min(torch.finfo(copied.dtype).tiny).log())
        found = torch.where(copied > 0, both, own)
        return found, (own - found).detach().exp()


class Copying(AttentiveDecoder):
    """An attentive decoder whose output can copy; comes before the network's own class.

    `copy_from` has to be called once. A memory has the target ids of the source's places as its last part.

    Attributes:
        gate: state and context -> logit of g. The paper's reads the decoder's input besides, which the state has read.
        copies: [source ids], the target id of each, or NOTHING.
    """

    output: CopyOutput
    gate: nn.Linear
    copies: Tensor
    _found: tuple[Tensor, Tensor] | None = None  # what `attend` leaves for the features made right after it

    def copy_from(self, copies: Tensor) -> None:
        self.output = CopyOutput(self.output.in_features, self.vocab_size)
        self.gate = nn.Linear(self.readout.in_features, 1)
        self.register_buffer("copies", copies, persistent=False)  # the corpus knows it

    def encode(self, sources: Tensor, lengths: Tensor) -> Memory:
        inside = torch.arange(sources.shape[1], device=sources.device) < lengths[:, None]
        return (*super().encode(sources, lengths), self.copies[sources].masked_fill(~inside, NOTHING))

    def attend(self, hidden: Tensor, memory: Memory) -> Tensor:
        with self._noting() as notes:
            context = super().attend(hidden, memory[:-1])  # type: ignore[safe-super]  # a mixin: the next class has it
        self._found = self.noted(notes[0]), memory[-1]
        return context

    def _features(self, *parts: Tensor) -> Tensor:
        assert self._found is not None, "no attention came before"
        (weights, tokens), self._found = self._found, None  # weights [batch, time, places], tokens [batch, places]
        weights = whole(weights)  # in fewer bits ids would not be exact
        tokens = tokens.unsqueeze(1).expand_as(weights).to(weights.dtype)
        where = (*parts[0].shape[:-1], -1)  # a single step may have no dimension for time
        found = [super()._features(*parts), self.gate(torch.cat(parts, -1)), weights.reshape(where)]
        return torch.cat([*found, tokens.reshape(where)], -1)


class CopyingAttentionSeq2Seq(Copying, AttentionSeq2Seq):
    pass


class CopyingConvSeq2Seq(Copying, ConvSeq2Seq):
    pass


class CopyingDualAttention(Copying, DualAttention):
    pass


class CopyingDBAM(Copying, DBAM):
    pass


KINDS: dict[type[AttentiveDecoder], type[Copying]] = {
    AttentionSeq2Seq: CopyingAttentionSeq2Seq,
    ConvSeq2Seq: CopyingConvSeq2Seq,
    DualAttention: CopyingDualAttention,
    DBAM: CopyingDBAM,
}


def copied_ids(source: Vocabulary, target: Vocabulary, separator: int | None) -> Tensor:
    """What each source id is copied as [ids that a source may have]: the target id of the same token, else `<unk>`.

    An unknown word of the source is taken to be unknown to the target too: its id doesn't tell which word it is.
    """
    assert target.unk is not None, "a target vocabulary of text has <unk>"
    places = {token: place for place, token in enumerate(target.tokens)}
    found = [places.get(token, target.unk) for token in source.tokens]
    found += [NOTHING] * (source.n_inputs - source.size)  # `bos` and `pad`
    for token in (source.eos, separator):
        if token is not None:
            found[token] = NOTHING
    return torch.tensor(found)
