"""A discriminator of dialogues (Li et al. 2017): an LSTM reads each turn's words, a second one the turns.

A turn is its words and the mark that ends it (separator or `</s>`), so that no turn is without a token. The response is
the last turn. What stands behind a turn, a context or a response is never read.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from baselines.nets.base import State
from baselines.nets.lstm import LSTMStack

ROWS = 2048  # responses read at once where many share a context: what bounds the memory


class HierarchicalDiscriminator(nn.Module):
    """log-odds that a person wrote the response: one logit, equal to a softmax of two by their difference.

    Args:
        source_inputs, target_inputs: ids that are read, padding included; contexts and responses have vocabularies of
            their own, so they have embeddings of their own too. Both LSTMs are shared.
        source_pad, target_pad: the ids of padding.
        separator: the source's id between two turns; None where a source is one turn.
        embedding, hidden: sizes; a turn's vector and a context's have `hidden` numbers.
    """

    def __init__(
        self,
        source_inputs: int,
        source_pad: int,
        separator: int | None,
        target_inputs: int,
        target_pad: int,
        embedding: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.source_pad, self.separator, self.target_pad = source_pad, separator, target_pad
        self.source_embedding = nn.Embedding(source_inputs, embedding, padding_idx=source_pad)
        self.target_embedding = nn.Embedding(target_inputs, embedding, padding_idx=target_pad)
        self.words = LSTMStack(embedding, hidden)
        self.turns = LSTMStack(hidden, hidden)
        self.output = nn.Linear(hidden, 1)

    def initialise(self, rng: torch.Generator) -> None:
        """Embeddings N(0, 0.5), matrices as in Glorot and Bengio (2010), biases 0, a forget gate's 1."""
        with torch.no_grad():
            for name, parameter in sorted(self.named_parameters()):
                if "embedding" in name:
                    parameter.normal_(0, 0.5, generator=rng)
                    parameter[self.source_pad if name.startswith("source") else self.target_pad] = 0
                elif "bias" in name:
                    parameter.zero_()
                    if "bias_ih" in name:
                        parameter.view(4, -1)[1] = 1.0
                else:
                    rows = len(parameter) // 4 if "weight_" in name else len(parameter)
                    bound = (6 / (rows + parameter.shape[1])) ** 0.5
                    parameter.uniform_(-bound, bound, generator=rng)

    def forward(self, sources: Tensor, responses: Tensor) -> Tensor:
        """sources [batch, source time], responses [batch, time], padded -> log-odds [batch]."""
        return self.judge(self.read_context(sources), responses)

    def read_context(self, sources: Tensor) -> State:
        """sources [batch, source time], padded -> the turns' LSTM (h, c) [batch, hidden] after the last turn.

        An empty source is one turn of one padding token.
        """
        turns, owner, order = split_turns(sources, self.source_pad, self.separator)
        vectors = self._vectors(self.source_embedding, turns, self.source_pad)
        count = torch.bincount(owner, minlength=len(sources)).cpu()
        table = vectors.new_zeros(len(sources), int(count.max()), vectors.shape[1])
        table = table.index_put((owner, order), vectors)
        _, (h, c) = self.turns(pack_padded_sequence(table, count, batch_first=True, enforce_sorted=False))
        return h[-1], c[-1]

    def judge(self, context: State, responses: Tensor) -> Tensor:
        """A context a response, each [rows, hidden]; responses [rows, time], padded -> log-odds [rows]."""
        return self._score(context, self._vectors(self.target_embedding, responses, self.target_pad))

    def judge_many(self, context: State, owner: Tensor, responses: Tensor) -> Tensor:
        """Responses [rows, time] of which many share a context: `owner` [rows] is each one's -> log-odds [rows].

        Read in parts, for memory; gradients are not wanted here.
        """
        if len(owner) == 0:
            return context[0].new_zeros(0)
        parts = []
        for rows in torch.split(torch.arange(len(owner), device=owner.device), ROWS):
            h, c = (part[owner[rows]] for part in context)
            parts.append(self.judge((h, c), responses[rows]))
        return torch.cat(parts)

    def judge_prefixes(self, context: State, responses: Tensor) -> Tensor:
        """Of each response [batch, time] every beginning y_1..y_t -> log-odds [batch, time].

        Places of padding get numbers that no caller should count.
        """
        embedded = self.target_embedding(responses)
        vectors = self.words.unroll(embedded, self.words.zeros(len(responses)))
        time = responses.shape[1]
        h, c = (part.repeat_interleave(time, 0) for part in context)
        return self._score((h, c), vectors.flatten(0, 1)).view(-1, time)

    def _score(self, context: State, response: Tensor) -> Tensor:
        """The response's vector [rows, hidden] is the last turn."""
        scores: Tensor = self.output(self.turns.advance(self.turns.input_gates(response), context)[-2])
        return scores.squeeze(1)

    def _vectors(self, embedding: nn.Embedding, ids: Tensor, pad: int) -> Tensor:
        """ids [rows, time], padded -> the words' LSTM after each row's last token [rows, hidden]."""
        lengths = (ids != pad).sum(1).clamp(min=1).cpu()
        packed = pack_padded_sequence(ids, lengths, batch_first=True, enforce_sorted=False)
        read = PackedSequence(
            embedding(packed.data), packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices
        )
        last: Tensor = self.words(read)[1][0][-1]
        return last


def split_turns(sources: Tensor, pad: int, separator: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Takes contexts apart, all at once.

    A turn reaches up to and with its separator, the last one to the end of the source.

    Args:
        sources: [batch, time], `pad` after the end.
        separator: None: each source is one turn.

    Returns:
        The turns [turns, time of the longest], padded, in order; whose each is [turns]; its number there [turns].
    """
    place = torch.arange(sources.shape[1], device=sources.device)
    inside = sources != pad
    inside[:, 0] = True  # so that an empty source has a turn
    marks = (sources == separator) & inside if separator is not None else torch.zeros_like(inside)
    number = marks.cumsum(1) - marks.long()  # [batch, time] separators before a token
    first = torch.cat([inside[:, :1], inside[:, 1:] & marks[:, :-1]], 1)  # [batch, time] a turn begins here
    owner = first.nonzero()[:, 0]
    start = first.nonzero()[:, 1]
    order = number[first]
    row = (first.flatten().cumsum(0) - 1).view_as(first)[inside]  # [tokens] the turn that each token is in
    column = place.expand_as(sources)[inside] - start[row]
    width = int(column.max()) + 1
    turns = torch.full((len(owner), width), pad, dtype=sources.dtype, device=sources.device)
    turns[row, column] = sources[inside]
    return turns, owner, order
