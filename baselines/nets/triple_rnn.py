"""A discriminator of three recurrent networks over source and candidate: a reconstruction.

Xu et al.'s adversarial summarizer (ICTAI 2018) has a "Triple-RNNs discriminator" whose equations were not found. Here
one GRU reads the source, one the candidate, and one the candidate's words, each with what it attends to in the source
(Luong et al., 2015, section 3.1, "general"). What the three end with is joined and gives one log-odds.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from baselines.nets.attention import along_time, softmax_inside
from baselines.nets.gru import GRUStack

PLACES = 1 << 26  # numbers of source states that candidates of shared sources may hold at once: 256 MB of float32


class Read(NamedTuple):
    """Sources that were read.

    Attributes:
        states: [batch, source time, hidden], after each token.
        inside: [batch, source time], which of them count.
        last: [batch, hidden], the one after the last token.
    """

    states: Tensor
    inside: Tensor
    last: Tensor

    def take(self, rows: Tensor) -> Read:
        """The named sources."""
        return Read(self.states[rows], self.inside[rows], self.last[rows])


class TripleRNN(nn.Module):
    """log-odds that a person wrote the candidate. What stands behind a source or a candidate is never counted.

    Args:
        sources, targets: word tables [words, embedding], padding included; they are trained on.
        target_pad: the id of padding.
        hidden: units of each GRU.
    """

    def __init__(self, sources: Tensor, targets: Tensor, target_pad: int, hidden: int) -> None:
        super().__init__()
        self.target_pad = target_pad
        self.sources, self.targets = (nn.Embedding(len(own), own.shape[1], _weight=own) for own in (sources, targets))
        self.reader = GRUStack(sources.shape[1], hidden)
        self.listener = GRUStack(targets.shape[1], hidden)
        self.comparer = GRUStack(targets.shape[1] + hidden, hidden)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.output = nn.Linear(3 * hidden, 1)

    def initialise(self, rng: torch.Generator) -> None:
        """Matrices as in Glorot and Bengio (2010), each gate one of its own; biases 0. Word tables are left alone."""
        with torch.no_grad():
            for name, parameter in sorted(self.named_parameters()):
                if name.startswith(("sources", "targets")):
                    continue
                if "bias" in name:
                    parameter.zero_()
                    continue
                rows = len(parameter) // (3 if "_l0" in name else 1)
                bound = (6 / (rows + parameter.shape[1])) ** 0.5
                parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=rng))

    def forward(self, sources: Tensor, lengths: Tensor, candidates: Tensor) -> Tensor:
        """sources [batch, source time], lengths [batch], candidates [batch, time], padded -> log-odds [batch]."""
        return self.judge(self.read(sources, lengths), candidates)

    def read(self, sources: Tensor, lengths: Tensor) -> Read:
        """Sources [batch, source time], padded; lengths [batch]. An empty source is one token of padding."""
        lengths = lengths.clamp(min=1)
        states = self.reader.unroll(self.sources(sources), self.reader.zeros(len(sources)))
        inside = torch.arange(sources.shape[1], device=sources.device) < lengths[:, None]
        return Read(states, inside, at_end(states, lengths))

    def judge(self, read: Read, candidates: Tensor) -> Tensor:
        """A source a candidate; candidates [rows, time], padded -> log-odds [rows]."""
        lengths, words = self._lengths(candidates), self.targets(candidates)
        heard = self.listener.unroll(words, self.listener.zeros(len(words)))
        scores = torch.bmm(self.query(heard), read.states.transpose(1, 2)) / heard.shape[-1] ** 0.5
        contexts = torch.bmm(softmax_inside(scores, read.inside.unsqueeze(1)), read.states)
        compared = self.comparer.unroll(torch.cat([words, contexts], -1), self.comparer.zeros(len(words)))
        ends = torch.cat([read.last, at_end(heard, lengths), at_end(compared, lengths)], -1)
        logits: Tensor = self.output(ends)
        return logits.squeeze(1)

    def judge_many(self, read: Read, owners: Tensor, candidates: Tensor) -> Tensor:
        """Candidates [rows, time] of which many share a source: `owners` [rows] is each one's -> log-odds [rows].

        Read in parts of about equal length, for memory and for speed; gradients are not wanted here.
        """
        if len(owners) == 0:
            return read.last.new_zeros(0)
        lengths, order = self._lengths(candidates).sort(stable=True)
        size = max(1, PLACES // read.states[0].numel())
        widths = lengths[size - 1 :: size].tolist()  # of all parts but a last one that is not full
        parts = []
        for k, rows in enumerate(torch.split(order, size)):
            width = widths[k] if k < len(widths) else int(lengths[-1])
            parts.append(self.judge(read.take(owners[rows]), candidates[rows, :width]))
        return torch.empty_like(torch.cat(parts)).index_copy_(0, order, torch.cat(parts))

    def _lengths(self, candidates: Tensor) -> Tensor:
        return (candidates != self.target_pad).sum(1).clamp(min=1)


def at_end(states: Tensor, lengths: Tensor) -> Tensor:
    """states [batch, time, width], lengths [batch] -> the state of each row's last token [batch, width]."""
    return along_time(states, (lengths - 1).unsqueeze(1)).squeeze(1)
