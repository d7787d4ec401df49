"""Decoding and likelihood against brute force over every sequence of a tiny vocabulary."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from baselines.base import Decoding, Generator
from baselines.decoding import Coverage, Limits, beam_search, greedy, sample
from baselines.nets.attention import AttentionSeq2Seq
from baselines.nets.lstm import LSTMLanguageModel, initialise
from baselines.neural import NeuralGenerator
from tasks.base import Ragged
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus

EOS = 0


def tiny_free(vocab: int, scale: float = 0.9) -> LSTMLanguageModel:
    net = LSTMLanguageModel(vocab, 4, 6)
    rng = torch.Generator()
    rng.manual_seed(fresh_seed())
    initialise(net, "normal", scale, rng)
    return net.eval()


def tiny_conditional(vocab: int, input_feeding: bool = False, number: int = 0) -> AttentionSeq2Seq:
    net = AttentionSeq2Seq(9, vocab, 4, 6, encoder=3, attention=4, readout=5, input_feeding=input_feeding)
    rng = torch.Generator()
    rng.manual_seed(fresh_seed() + number)
    initialise(net, "normal", 0.8, rng)
    return net.eval()


def every_sequence(vocab: int, limits: Limits) -> list[list[int]]:
    """All that can be emitted: up to and with the first `eos`, or of full length."""
    if limits.eos is None:
        return [list(ids) for ids in itertools.product(range(vocab), repeat=limits.max_length)]
    words = [i for i in range(vocab) if i != limits.eos]
    ended = [[*ids, limits.eos] for n in range(limits.max_length) for ids in itertools.product(words, repeat=n)]
    return ended + [list(ids) for ids in itertools.product(words, repeat=limits.max_length)]


@torch.no_grad()
def log_prob(net, ids: list[int], bos: int, memory=()) -> float:
    inputs = torch.tensor([[bos, *ids[:-1]]])
    log_probs = net.output(net(inputs, memory)).double().log_softmax(-1)[0]
    return float(log_probs[torch.arange(len(ids)), torch.tensor(ids)].sum())


def one(memory, row: int):
    return tuple(part[row : row + 1] for part in memory)


@pytest.mark.slow
@pytest.mark.parametrize("eos", [EOS, None])
@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 1.7])
def test_a_wide_beam_finds_the_best_sequence(eos, penalty):
    vocab, limits = 4, Limits(bos=4, eos=eos, max_length=4 if eos is not None else 3)
    for _ in range(3):
        net = tiny_free(vocab)
        sequences = every_sequence(vocab, limits)
        scores = [log_prob(net, ids, 4) / len(ids) ** penalty for ids in sequences]
        found = beam_search(net, (), 1, limits, 128, penalty)[0].tolist()
        assert found in sequences
        assert scores[sequences.index(found)] == pytest.approx(max(scores), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("input_feeding", [False, True])
def test_a_wide_beam_finds_each_sources_best(input_feeding):
    vocab, limits = 4, Limits(bos=4, eos=EOS, max_length=4)
    net = tiny_conditional(vocab, input_feeding)
    with torch.no_grad():
        memory = net.encode(torch.randint(9, (4, 5)), torch.randint(1, 6, (4,)))
    found = beam_search(net, memory, 4, limits, 128, 1.0)
    sequences = every_sequence(vocab, limits)
    for row in range(4):
        scores = [log_prob(net, ids, 4, one(memory, row)) / len(ids) for ids in sequences]
        assert scores[sequences.index(found[row].tolist())] == pytest.approx(max(scores), abs=1e-5)


@torch.no_grad()
def coverage_of(net, ids: list[int], bos: int, memory, weight: float, length: int) -> float:
    """Wu et al. (2016), section 7, by its formula, over the `length` first source tokens."""
    weights = net.alignments(torch.tensor([[bos, *ids[:-1]]]), memory)[0].double()
    return weight * sum(math.log(min(float(weights[:, i].sum()), 1.0)) for i in range(length))


@pytest.mark.slow
@pytest.mark.parametrize("input_feeding", [False, True])
def test_a_wide_beam_finds_the_best_covered(input_feeding):
    """A network that likes to end at once, and a weight so large that what is best is another than without."""
    vocab, limits = 4, Limits(bos=4, eos=EOS, max_length=4)
    lengths = torch.tensor([5, 3, 1])
    coverage = Coverage(2.0, torch.arange(5) < lengths[:, None] - 1)
    for number in range(200):
        net = tiny_conditional(vocab, input_feeding, number)
        net.output.bias.data[EOS] += 2.0
        with torch.no_grad():
            memory = net.encode(torch.randint(9, (3, 5)), lengths)
        plain, found = (beam_search(net, memory, 3, limits, 128, 1.0, asked) for asked in (None, coverage))
        if plain[0].tolist() != found[0].tolist():
            break
    else:
        pytest.fail("coverage changed nothing")
    assert plain[2].tolist() == found[2].tolist()  # no words, nothing to cover
    sequences = every_sequence(vocab, limits)
    for row in range(2):
        own, length = one(memory, row), int(lengths[row]) - 1
        scores = [
            log_prob(net, ids, 4, own) / len(ids) + coverage_of(net, ids, 4, own, 2.0, length) for ids in sequences
        ]
        assert scores[sequences.index(found[row].tolist())] == pytest.approx(max(scores), abs=1e-5)


def slow_beam(net, memory, limits: Limits, size: int, penalty: float, weight: float = 0, words: int = 0) -> list[int]:
    """Beam search of one source, written plainly: hypotheses are lists, each scored from its beginning."""
    going, best, ended = [([], 0.0)], (-math.inf, []), 0
    for time in range(limits.max_length):
        candidates = []
        for ids, _ in going:
            for token in range(net.vocab_size):
                candidates.append(([*ids, token], log_prob(net, [*ids, token], limits.bos, memory)))
        candidates.sort(key=lambda pair: -pair[1])
        for ids, score in candidates[:size]:
            if ids[-1] == limits.eos or time + 1 == limits.max_length:
                bonus = coverage_of(net, ids, limits.bos, memory, weight, words)
                best = max(best, (score / len(ids) ** penalty + bonus, ids))
                ended += 1
        going = [pair for pair in candidates if pair[0][-1] != limits.eos][:size]
        if ended >= size or best[0] >= going[0][1] / limits.max_length**penalty:
            break
    return best[1]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_beams_equal_a_plain_search(size, penalty):
    limits = Limits(bos=5, eos=EOS, max_length=6)
    net = tiny_conditional(5)
    with torch.no_grad():
        memory = net.encode(torch.randint(9, (6, 4)), torch.randint(1, 5, (6,)))
    found = beam_search(net, memory, 6, limits, size, penalty)
    for row in range(6):
        assert found[row].tolist() == slow_beam(net, one(memory, row), limits, size, penalty)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_beams_with_coverage_equal_a_plain_search(size, penalty):
    limits = Limits(bos=5, eos=EOS, max_length=6)
    net = tiny_conditional(5, input_feeding=size % 2 == 0)
    net.output.bias.data[EOS] += 2.0
    lengths = torch.randint(1, 5, (6,))
    with torch.no_grad():
        memory = net.encode(torch.randint(9, (6, 4)), lengths)
    words = torch.arange(4) < lengths[:, None] - 1
    found = beam_search(net, memory, 6, limits, size, penalty, Coverage(1.5, words))
    for row in range(6):
        expected = slow_beam(net, one(memory, row), limits, size, penalty, 1.5, int(lengths[row]) - 1)
        assert found[row].tolist() == expected


def test_the_end_of_a_source_is_no_word_to_cover():
    net = tiny_conditional(6)
    net.output.bias.data[EOS] += 2.0
    corpus = corpus_of("conditional", 6, 6)
    generator = NeuralGenerator(net, corpus)
    sources = Ragged.from_lists([[2, 3, 4, 5, 0], [0], [3, 0], [4, 4, 3, 0]])
    found = generator.generate(sources, decoding=Decoding.parse("beam3/cov1.5"), rng=torch.Generator())
    for row in range(4):
        source = torch.from_numpy(sources[row].astype(np.int64))[None]
        memory = net.encode(source, torch.tensor([source.shape[1]]))
        expected = slow_beam(net, memory, generator.limits, 3, 1.0, 1.5, source.shape[1] - 1)
        assert found[row].tolist() == expected


def test_what_gets_no_attention_costs_much_and_still_leaves_a_text():
    net = tiny_conditional(5)
    net.score.weight.data.fill_(1e30)  # all attention goes to one place; the others' underflows
    generator = NeuralGenerator(net, corpus_of("conditional", 5, 6))
    sources = Ragged.from_lists([[2, 3, 4, 0], [0], [3, 0]])
    rng = torch.Generator()
    found = generator.generate(sources, decoding=Decoding.parse("beam3/cov0.2"), rng=rng)
    plain = generator.generate(sources, decoding=Decoding.parse("beam3"), rng=rng)
    for row in range(3):
        ids = found[row].tolist()
        assert ids[-1] == EOS or len(ids) == 6
        assert EOS not in ids[:-1]
    assert found[1].tolist() == plain[1].tolist()


@pytest.mark.parametrize("eos", [EOS, None])
def test_greedy_is_a_beam_of_one_and_a_plain_argmax(eos):
    limits = Limits(bos=8, eos=eos, max_length=9)
    net = tiny_conditional(8)
    with torch.no_grad():
        memory = net.encode(torch.randint(9, (40, 4)), torch.randint(1, 5, (40,)))
        found = greedy(net, memory, 40, limits)
        beamed = beam_search(net, memory, 40, limits, 1)
        for row in range(40):
            ids: list[int] = []
            while len(ids) < 9 and not (ids and ids[-1] == eos):
                features = net(torch.tensor([[8, *ids]]), one(memory, row))
                ids.append(int(net.output(features[0, -1]).argmax()))
            assert found[row].tolist() == ids == beamed[row].tolist()


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_samples_follow_the_models_distribution(temperature):
    limits, net, n = Limits(bos=3, eos=EOS, max_length=3), tiny_free(3), 40_000
    rng = torch.Generator().manual_seed(3)
    drawn = sample(net, (), torch.rand(n, 3, generator=rng), limits, temperature)
    seen = {tuple(ids): 0 for ids in every_sequence(3, limits)}
    for i in range(n):
        seen[tuple(drawn[i].tolist())] += 1
    chi_square = 0.0
    for ids, count in seen.items():
        expected = n * probability(net, list(ids), temperature)
        chi_square += (count - expected) ** 2 / expected
    assert chi_square < 2 * len(seen) + 40  # mean: sequences - 1; this far out has probability below 1e-6


@torch.no_grad()
def probability(net, ids: list[int], temperature: float) -> float:
    logits = net.output(net(torch.tensor([[net.vocab_size, *ids[:-1]]])))[0].double() / temperature
    return float(logits.softmax(-1)[torch.arange(len(ids)), torch.tensor(ids)].prod())


def corpus_of(kind: str, vocab: int, length: int, fixed: bool = False):
    corpus = free_corpus(20, words=vocab - 2) if kind == "free" else conditional_corpus(20, words=vocab - 2)
    return dataclasses.replace(corpus, max_target_length=length, fixed_length=length if fixed else None)


@pytest.mark.parametrize("fixed", [False, True])
def test_probabilities_of_all_sequences_sum_to_one(fixed):
    corpus = corpus_of("free", 4, 4, fixed)
    generator = NeuralGenerator(tiny_free(4), corpus)
    assert isinstance(generator, Generator)
    everything = Ragged.from_lists(every_sequence(4, generator.limits))
    log_probs = generator.token_log_probs(everything)
    sums = np.add.reduceat(log_probs, everything.offsets[:-1])
    assert log_probs.dtype == np.float64
    assert math.fsum(np.exp(sums)) == pytest.approx(1.0, abs=1e-5)


def test_token_log_probs_are_aligned_with_targets():
    corpus = conditional_corpus(300, words=7)
    net = AttentionSeq2Seq(11, 9, 6, 8, encoder=4, attention=4, readout=6)
    generator = NeuralGenerator(net.eval(), corpus)
    split = corpus.splits["train"]
    found = generator.token_log_probs(split.targets, split.sources)
    for row in np.random.default_rng(fresh_seed()).integers(0, 300, 20):
        source = torch.from_numpy(split.sources[row].astype(np.int64))[None]
        memory = net.encode(source, torch.tensor([source.shape[1]]))
        ids = split.targets[row].tolist()
        part = found[split.targets.offsets[row] : split.targets.offsets[row + 1]]
        assert part.sum() == pytest.approx(log_prob(net, ids, corpus.vocab.bos, memory), abs=1e-4)


@pytest.mark.parametrize("decoding", ["greedy", "sample@0.9", "beam3@0.6", "beam3/cov0.7"])
def test_generation_depends_on_neither_batches_nor_order(decoding):
    corpus = conditional_corpus(50, words=7)
    net = AttentionSeq2Seq(11, 9, 6, 8, encoder=4, attention=4, readout=6)
    initialise(net, "normal", 0.6, torch.Generator().manual_seed(1))
    sources = corpus.splits["train"].sources
    results = []
    for batch in (1, 40, 1024):
        net.train()
        generator = NeuralGenerator(net, corpus, batch=batch)
        rng = torch.Generator().manual_seed(7)
        results.append(generator.generate(sources, decoding=Decoding.parse(decoding), rng=rng))
        assert net.training
    assert all(np.array_equal(results[0].flat, other.flat) for other in results[1:])
    assert all(np.array_equal(results[0].offsets, other.offsets) for other in results[1:])


@pytest.mark.parametrize("decoding", ["greedy", "sample@0.9", "beam3@0.6"])
def test_unknown_words_can_be_left_out(decoding):
    """`<unk>` made the likeliest word everywhere: it is all that comes, and with `/no-unk` the second choice does."""
    corpus = conditional_corpus(50, words=7)
    net = AttentionSeq2Seq(11, 9, 6, 8, encoder=4, attention=4, readout=6)
    initialise(net, "normal", 0.6, torch.Generator().manual_seed(fresh_seed()))
    net.output.bias.data[corpus.vocab.eos] = -30.0
    plain = net.output.bias.detach().clone()
    net.output.bias.data[corpus.vocab.unk] = 30.0
    generator, sources = NeuralGenerator(net, corpus), corpus.splits["train"].sources
    before = net.output.bias.detach().clone()

    def generate(text):
        rng = torch.Generator().manual_seed(7)
        return generator.generate(sources, decoding=Decoding.parse(text), rng=rng)

    assert (generate(decoding).flat == corpus.vocab.unk).all()
    without = generate(f"{decoding}/no-unk")
    assert torch.equal(net.output.bias, before)  # put back
    assert (without.flat != corpus.vocab.unk).all()
    net.output.bias.data[:] = plain
    net.output.bias.data[corpus.vocab.unk] = -200.0  # all that `<unk>` can be without being impossible
    assert np.array_equal(without.flat, generate(decoding).flat)


@pytest.mark.parametrize("name", ["greedy", "sample@0.8", "sample@1", "beam5@0.6", "beam1@0"])
@pytest.mark.parametrize("unknown", ["", "/no-unk", "/replace-unk"])
@pytest.mark.parametrize("coverage", ["", "/cov0.2"])
def test_a_decoding_is_its_text(name, unknown, coverage):
    if coverage and not name.startswith("beam"):
        with pytest.raises(ValueError, match="is none of"):
            Decoding.parse(name + unknown + coverage)
        return
    decoding = Decoding.parse(name + unknown + coverage)
    assert str(decoding) == name + unknown + coverage
    assert (decoding.unknown, decoding.replace) == (unknown != "/no-unk", unknown == "/replace-unk")
    assert decoding.coverage == (0.2 if coverage else 0)


def test_what_a_decoding_leaves_out():
    assert Decoding.parse("beam5/replace-unk") == Decoding("beam", beam_size=5, replace=True)
    assert str(Decoding.parse("beam5/cov1e-1")) == "beam5@1/cov0.1"
    for wrong in ({"unknown": False, "replace": True}, {"coverage": 0.2}):
        with pytest.raises(ValueError, match=r"exclude one another|beam search alone"):
            Decoding(**wrong)


WRONG = (
    *("greedy/", "greedy/unk", "beam0", "sample@0", "top", "sample/no-unk@2", "", "beam5@nan", "beam5/no-unk/"),
    *("beam5/no-unk/replace-unk", "beam5/cov", "beam5/cov0", "beam5/cov-1", "beam5/covinf", "beam5/covnan"),
    *("beam5/cov0.2/no-unk", "beam5/cov0.2/cov0.2", "beam5/replace-unk/replace-unk"),
)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_decoding_is_refused(text):
    with pytest.raises(ValueError, match="is none of"):
        Decoding.parse(text)


def test_samples_end_where_they_should():
    rng = torch.Generator().manual_seed(0)
    varied = NeuralGenerator(tiny_free(10, 0.3), corpus_of("free", 10, 6), batch=64)
    drawn = varied.sample(500, temperature=1.0, rng=rng)
    assert len(drawn) == 500
    for i in range(500):
        ids = drawn[i].tolist()
        assert (ids[-1] == EOS and EOS not in ids[:-1]) or (len(ids) == 6 and EOS not in ids)
    fixed = NeuralGenerator(tiny_free(10, 0.3), corpus_of("free", 10, 6, fixed=True))
    assert fixed.sample(50, temperature=1.0, rng=rng).lengths.tolist() == [6] * 50
    assert len(fixed.sample(0, temperature=1.0, rng=rng)) == 0


def test_samples_are_those_of_the_seed():
    generator = NeuralGenerator(tiny_free(10, 0.3), corpus_of("free", 10, 6))
    first, second, other = (
        generator.sample(200, temperature=1.0, rng=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.flat, second.flat)
    assert not np.array_equal(first.flat[:50], other.flat[:50])
