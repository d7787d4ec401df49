"""Talks of a few turns, and the verdict on a response by a reading one by one: for tests of who judges dialogues."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.dialogue_gan import TurnsConfig, build_discriminator
from baselines.nets.hierarchical import HierarchicalDiscriminator
from tasks.base import Corpus, Example, Ragged, Split
from tests.fresh import fresh_seed
from tests.toys import ToyCodec, conditional_corpus, vocabulary

BREAK = 2


def talk(n: int = 60, seed: int = 0, words: int = 6) -> Corpus:
    """Contexts of 1 to 3 turns of 0 to 3 letters; the response is the last letter before it, in capitals, and `.`."""
    rng = np.random.default_rng(seed)
    letters = [chr(97 + i) for i in range(words)]
    source = ToyCodec(vocabulary(["<br>", *letters]), separator=BREAK)
    target = ToyCodec(vocabulary([*map(str.upper, letters), "."]))

    def split(count: int) -> Split:
        contexts, responses = [], []
        for _ in range(count):
            turns = [rng.integers(3, 3 + words, rng.integers(0, 4)).tolist() for _ in range(rng.integers(1, 4))]
            turns[-1] = turns[-1] or [3]
            contexts.append([i for k, turn in enumerate(turns) for i in ([BREAK] * (k > 0) + turn)] + [0])
            responses.append([turns[-1][-1] - 1, 2 + words, 0])
        examples = tuple(Example("", ()) for _ in range(count))
        return Split(examples, Ragged.from_lists(responses), Ragged.from_lists(contexts))

    splits = {"train": split(n), "valid": split(20), "test": split(20)}
    plain = conditional_corpus(8)
    return dataclasses.replace(
        plain, splits=splits, source_codec=source, target_codec=target, max_source_length=12, max_target_length=6
    )


CORPORA = {"talk": talk(), "plain": conditional_corpus(60)}


def roughen(net: HierarchicalDiscriminator, seed: int) -> HierarchicalDiscriminator:
    """In float64, every weight far from where it starts."""
    net.double()
    with torch.no_grad():
        for i, parameter in enumerate(net.parameters()):
            parameter.uniform_(-1, 1, generator=torch.Generator().manual_seed(seed + i))
    net.source_embedding.weight.data[net.source_pad] = 0
    net.target_embedding.weight.data[net.target_pad] = 0
    return net


def discriminator(corpus: Corpus) -> HierarchicalDiscriminator:
    net = build_discriminator(corpus, TurnsConfig(embedding=6, hidden=6), torch.Generator())
    return roughen(net, fresh_seed())


def cell(lstm: Any, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step of an LSTM, from the textbook."""
    gates = lstm.weight_ih_l0 @ x + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ h + lstm.bias_hh_l0
    i, f, g, o = gates.chunk(4)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def verdict(net: HierarchicalDiscriminator, source: list[int], response: list[int]) -> Tensor:
    """The log-odds of one pair, its turns read one by one; nothing is padded."""
    turns: list[list[int]] = [[]]
    for token in source:
        turns[-1].append(token)
        if token == net.separator:
            turns.append([])
    turns = [turn for turn in turns if turn]
    zero = net.output.weight.new_zeros(net.words.hidden_size)
    outer, outer_c = zero, zero
    tables = [net.source_embedding] * len(turns) + [net.target_embedding]
    for table, turn in zip(tables, [*turns, response], strict=True):
        h, c = zero, zero
        for token in turn:
            h, c = cell(net.words, table.weight[token], h, c)
        outer, outer_c = cell(net.turns, h, outer, outer_c)
    return net.output.weight[0] @ outer + net.output.bias[0]


def padded(rows: list[list[int]], pad: int, more: int = 0) -> Tensor:
    width = max(map(len, rows)) + more
    return torch.tensor([row + [pad] * (width - len(row)) for row in rows])


def random_pairs(corpus: Corpus, n: int) -> tuple[list[list[int]], list[list[int]]]:
    """Contexts with empty turns, long ones and many; responses with and without an end."""
    rng = np.random.default_rng(fresh_seed())
    assert corpus.source_vocab is not None
    contexts = [[*rng.integers(1, corpus.source_vocab.size, rng.integers(0, 12)).tolist(), 0] for _ in range(n - 1)]
    contexts.append([BREAK, BREAK, 3, BREAK, 4, 5, BREAK, 0])
    responses = [rng.integers(1, corpus.vocab.size, rng.integers(1, 6)).tolist() for _ in range(n)]
    return contexts, [[*row, 0] if i % 2 else row for i, row in enumerate(responses)]
