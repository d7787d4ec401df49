"""The output that copies words of the source: its distribution by brute force, its gradient, and that it helps."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.actor_critic import ActorCritic, ActorCriticConfig
from baselines.base import Decoding
from baselines.bso import BSO, BSOConfig
from baselines.decoding import Limits, beam_search, greedy, sample
from baselines.mixer import Mixer
from baselines.mle import MLE, PointerGenerator
from baselines.nets.base import pick
from baselines.nets.copying import KINDS, NOTHING, Copying, CopyOutput, copied_ids
from baselines.nets.dual_attention import DualAttention
from baselines.neural import NetConfig, build_net, initialise_net, never
from baselines.pg_bleu import PGBleu
from baselines.sampling import TokenSampler
from baselines.training import loss as loss_module
from baselines.training.loss import cross_entropy, log_probs
from baselines.training.mle import MLEConfig
from tasks.base import Corpus, Example, Ragged, Split, Vocabulary
from tests import nets
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import ToyCodec, _corpus, conditional_corpus, vocabulary
from tests.unit import test_baselines_mixer, test_baselines_pg_bleu

TINY = {"net": {"embedding": 8, "hidden": 8, "encoder": 4, "attention": 6, "readout": 8, "dropout": 0.2}, "epochs": 2}
VOCAB, WIDE, READOUT = 13, 6, 5


def some_rows(rng: torch.Generator, rows: int = 40, least: float = 0.0) -> Tensor:
    """Attention of `least` at many places, words twice, places that aren't copied, sources without any word."""
    attention = torch.rand(rows, WIDE, generator=rng, dtype=torch.float64)
    attention[torch.rand(rows, WIDE, generator=rng) < 0.3] = least
    attention[:, 0] += 1e-3
    tokens = torch.randint(NOTHING, 5, (rows, WIDE), generator=rng)
    tokens[0] = NOTHING
    readout, gate = (2 * torch.randn(rows, n, generator=rng, dtype=torch.float64) for n in (READOUT, 1))
    return torch.cat([readout, gate, attention / attention.sum(1, keepdim=True), tokens.double()], 1)


def some_output(rng: torch.Generator) -> CopyOutput:
    output = CopyOutput(READOUT, VOCAB, dtype=torch.float64)
    with torch.no_grad():
        for parameter in output.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng, dtype=torch.float64))
    return output


def by_hand(output: CopyOutput, row: Tensor) -> Tensor:
    """The distribution over the vocabulary, place by place."""
    gate = 1 / (1 + torch.exp(-row[READOUT]))
    generated = torch.softmax(output.weight @ row[:READOUT] + output.bias, 0)
    attention, tokens = row[READOUT + 1 : READOUT + 1 + WIDE], row[READOUT + 1 + WIDE :].long().tolist()
    found = gate * generated
    for place, token in enumerate(tokens):
        share = (1 - gate) * attention[place]
        if token == NOTHING:
            found = found + share * generated
        else:
            found = found + share * torch.eye(VOCAB, dtype=torch.float64)[token]
    return found


def test_the_distribution_is_what_the_loop_gives():
    rng = nets.stream()
    output, rows = some_output(rng), some_rows(rng)
    expected = torch.stack([by_hand(output, row) for row in rows])
    nets.close(output(rows).exp(), expected)
    nets.close(expected.sum(1), torch.ones(len(rows), dtype=torch.float64))
    nets.close(output(rows.view(5, 8, -1)), output(rows).view(5, 8, -1))
    for token in range(VOCAB):
        nets.close(log_probs(rows, output, torch.full((len(rows),), token)).exp(), expected[:, token])


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_loss_and_gradient_are_those_of_the_loop(chunk, monkeypatch):
    monkeypatch.setattr(loss_module, "MIN_ROWS", 1)
    monkeypatch.setattr(loss_module, "COLUMNS", 5)
    monkeypatch.setattr(loss_module, "chunk_rows", lambda *_: chunk)
    rng = nets.stream()
    # an attention of exactly 0 comes out of a softmax that gives it no gradient whatever is asked of it here
    output, rows = some_output(rng), some_rows(rng, least=1e-3)
    targets = torch.randint(VOCAB, (len(rows),), generator=rng)
    targets[::2] = torch.randint(5, (len(rows) // 2,), generator=rng)  # those that may be copied, often
    weights = torch.randn(len(rows), generator=rng, dtype=torch.float64)
    rows.requires_grad_()
    single = -torch.stack([by_hand(output, row)[target].log() for row, target in zip(rows, targets, strict=True)])
    for given in (None, weights):
        ours = cross_entropy(rows, output, targets, given)
        theirs = (single if given is None else single * given).sum()
        nets.close(ours, theirs)
        every = [rows, output.weight, output.bias]
        found, expected = (torch.autograd.grad(2.5 * x, every, retain_graph=True) for x in (ours, theirs))
        for a, b in zip(found, expected, strict=True):
            nets.close(a, b)


def test_gradient_of_all_log_probabilities():
    rng = nets.stream()
    output, rows = some_output(rng), some_rows(rng).requires_grad_()
    wanted = torch.randn(len(rows), VOCAB, generator=rng, dtype=torch.float64)
    ours, theirs = output(rows), torch.stack([by_hand(output, row) for row in rows]).log()
    every = [rows, output.weight, output.bias]
    for a, b in zip(*(torch.autograd.grad((x * wanted).sum(), every) for x in (ours, theirs)), strict=True):
        nets.close(a, b)


def test_extreme_gates_and_logits_stay_finite():
    rng = nets.stream()
    output, rows = some_output(rng).float(), some_rows(rng).float()
    rows[:, READOUT] = torch.tensor([-300.0, 300.0, -60.0, 60.0]).repeat(10)
    with torch.no_grad():
        output.weight.mul_(300)
    rows.requires_grad_()
    targets = torch.randint(VOCAB, (len(rows),), generator=rng)
    loss = cross_entropy(rows, output, targets)
    gradients = torch.autograd.grad(loss, [rows, output.weight, output.bias])
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert output(rows).isfinite().all()
    torch.testing.assert_close(output(rows).exp().sum(1), torch.ones(len(rows)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.4, 1.7])
@pytest.mark.parametrize("forbidden", [None, 2])
def test_draws_follow_the_distribution(temperature, forbidden):
    """With n equal steps of uniforms each token is drawn n p times, and two more or less."""
    rng = nets.stream()
    output, rows, n = some_output(rng), some_rows(rng, 20), 3000
    output.forbidden = forbidden
    expected = torch.stack([by_hand(output, row) for row in rows]).detach()
    if forbidden is not None:
        expected[:, forbidden] = 0
    expected = expected ** (1 / temperature)
    expected /= expected.sum(1, keepdim=True)
    uniforms = ((torch.arange(n, dtype=torch.float64) + 0.5) / n).expand(len(rows), -1)
    drawn = TokenSampler(output, temperature)(rows, uniforms)
    counts = torch.stack([(drawn == token).sum(1) for token in range(VOCAB)], 1)
    assert (counts - n * expected).abs().max() <= 2
    assert forbidden is None or not (drawn == forbidden).any()


def make(kind: type[Copying]):
    def built(dropout: float) -> Copying:
        sizes = {"readout": 12}
        if kind is not KINDS[_conv()]:
            sizes |= {"encoder": 5, "attention": 7}
        lengths = {DualAttention: (nets.TIME + 1,), _conv(): (nets.WIDE + 5,)}.get(kind.__mro__[2], ())
        net = kind(nets.SOURCES, nets.VOCAB, *lengths, 12, 11, 1, dropout, True, **sizes)
        copies = torch.randint(1, 6, (nets.SOURCES,), generator=torch.Generator().manual_seed(fresh_seed()))
        copies[0] = NOTHING
        net.copy_from(copies)
        return net

    return built


def _conv() -> type:
    return next(plain for plain in KINDS if plain.__name__ == "ConvSeq2Seq")


CHECKS = [nets.check_gradients, nets.check_an_empty_source, nets.check_rollouts, nets.check_decoding]


@pytest.mark.parametrize("check", [*CHECKS, nets.check_alignments], ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
def test_promises(kind, check):
    check(make(kind))


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
def test_steps_are_teacher_forcing_and_rows_hold_what_is_copied(kind):
    rng = nets.stream()
    net, inputs = nets.rough(make(kind)(0.3), rng), nets.some_inputs(rng)
    sources, lengths = nets.some_sources(rng)
    with torch.no_grad():
        memory = net.encode(sources, lengths)
        forced, (stepped, _) = net(inputs, memory), net.states(inputs, memory)
        weights = net.alignments(inputs, memory)
    assert forced.shape == (nets.ROWS, nets.TIME, 12 + 1 + 2 * nets.WIDE)
    nets.close(stepped, forced)
    nets.close(forced[..., 13 : 13 + nets.WIDE], weights)
    for row in range(nets.ROWS):
        ids = [int(net.copies[s]) if place < lengths[row] else NOTHING for place, s in enumerate(sources[row])]
        assert forced[row, :, 13 + nets.WIDE :].tolist() == [ids] * nets.TIME
    assert copy.deepcopy(net)._found is None, "what is kept between calls would hold a graph"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
def test_padding_of_sources_has_no_influence(kind):
    rng = nets.stream()
    net, inputs, (batch, lengths) = nets.rough(make(kind)(0.3), rng), nets.some_inputs(rng), nets.some_sources(rng)
    other = torch.randint(nets.SOURCES, batch.shape, generator=rng)
    garbage = torch.where(torch.arange(nets.WIDE) >= lengths[:, None], other, batch)
    with torch.no_grad():
        expected = net.output(net(inputs, net.encode(batch, lengths)))
        for padded in (garbage, torch.cat([batch, other[:, :5]], 1)):
            nets.close(net.output(net(inputs, net.encode(padded, lengths))), expected)
        for row in range(nets.ROWS):
            own = slice(row, row + 1)
            alone = net.encode(batch[own, : lengths[row]], lengths[own])
            nets.close(net.output(net(inputs[own], alone))[0], expected[row])
    nets.close(expected.exp().sum(-1), torch.ones(nets.ROWS, nets.TIME, dtype=torch.float64))


def test_what_each_source_word_is_copied_as():
    source, target = Vocabulary(("</s>", "<unk>", "<br>", "a", "b", "c")), Vocabulary(("</s>", "<unk>", "c", "x", "a"))
    assert copied_ids(source, target, 2).tolist() == [NOTHING, 1, NOTHING, 4, 1, 2, NOTHING, NOTHING]
    assert copied_ids(source, target, None).tolist() == [NOTHING, 1, 1, 4, 1, 2, NOTHING, NOTHING]


def tiny(vocab: int = 4) -> Copying:
    net = KINDS[next(iter(KINDS))](9, vocab, 4, 6, encoder=3, attention=4, readout=5)
    rng = nets.stream()
    net.copy_from(torch.randint(NOTHING, vocab, (9,), generator=rng))
    return nets.rough(net, rng)


def score(net: Copying, ids: tuple[int, ...], memory, forbidden: int | None) -> float:
    """Of a sequence, by the distribution with that token taken out and the rest scaled up."""
    with torch.no_grad():
        found = net.output(net(torch.tensor([[net.vocab_size, *ids[:-1]]]), memory)[0]).exp()
    if forbidden is not None:
        found[:, forbidden] = 0
        found /= found.sum(1, keepdim=True)
    return float(found[torch.arange(len(ids)), list(ids)].log().sum()) / len(ids)


@pytest.mark.parametrize("forbidden", [None, 1])
def test_a_wide_beam_finds_each_sources_best(forbidden):
    net, limits = tiny(), Limits(bos=4, eos=0, max_length=3)
    with torch.no_grad():
        rng = nets.stream()
        memory = net.encode(torch.randint(9, (3, 5), generator=rng), torch.randint(1, 6, (3,), generator=rng))
    with never(net, forbidden):
        found, first = beam_search(net, memory, 3, limits, 64), greedy(net, memory, 3, limits)
    assert net.output.forbidden is None
    whole = [ids for n in (1, 2, 3) for ids in itertools.product(range(4), repeat=n)]
    whole = [ids for ids in whole if 0 not in ids[:-1] and (ids[-1] == 0 or len(ids) == 3) and forbidden not in ids]
    for row in range(3):
        own = pick(memory, torch.tensor([row]))
        scores = {ids: score(net, ids, own, forbidden) for ids in whole}
        assert scores[tuple(found[row].tolist())] == pytest.approx(max(scores.values()), abs=1e-5)
        assert forbidden not in first[row].tolist()


def test_what_is_never_said_is_not_copied_either():
    """All is copied, and most places have the token that is forbidden."""
    net = tiny()
    with torch.no_grad():
        net.gate.bias.fill_(-50.0)
        net.copies.fill_(1)
        net.copies[0] = 2
        memory = net.encode(torch.tensor([[4, 0, 5, 6]]), torch.tensor([4]))
        limits, uniforms = Limits(4, 0, 3), torch.linspace(0.1, 0.9, 3, dtype=torch.float64)[None]
        assert 1 in greedy(net, memory, 1, limits)[0].tolist()
        with never(net, 1):
            for found in (
                *(greedy(net, memory, 1, limits), sample(net, memory, uniforms, limits)),
                beam_search(net, memory, 1, limits, 3),
            ):
                assert found[0].tolist() == [2, 2, 2]
        assert 1 in greedy(net, memory, 1, limits)[0].tolist()


def test_a_config_that_can_not_copy_is_told_why():
    for architecture in ("seq2seq", "transformer"):
        with pytest.raises(ValueError, match="copy_source needs an attentive decoder"):
            NetConfig(architecture=architecture, copy_source=True)
    with pytest.raises(ValueError, match="label_smoothing is not offered"):
        MLEConfig(net={"copy_source": True}, label_smoothing=0.1)
    rng = nets.stream()
    with pytest.raises(ValueError, match="not smoothed"):
        cross_entropy(some_rows(rng), some_output(rng), torch.zeros(40, dtype=torch.int64), label_smoothing=0.1)
    mle = {"net": {"copy_source": True}}
    for method in (BSO(BSOConfig(mle=mle)), ActorCritic(ActorCriticConfig(mle=mle))):
        assert "copy_source" in method.supports(conditional_corpus(9))


@pytest.mark.parametrize("architecture", ["rnnsearch", "cnn", "dual_attention", "dbam"])
def test_every_attentive_architecture_has_it_and_weights_keep_their_names(architecture):
    corpus, plain = conditional_corpus(9), NetConfig(architecture=architecture, tied=True, embedding=8, readout=8)
    config = NetConfig.model_validate(plain.model_dump() | {"copy_source": True})
    before = torch.get_rng_state()
    made = build_net(corpus, config)
    assert torch.equal(before, torch.get_rng_state()), "build used torch's global stream"
    assert isinstance(made, Copying)
    assert set(made.state_dict()) == {*build_net(corpus, plain).state_dict(), "gate.weight", "gate.bias"}
    initialise_net(made, config, torch.Generator().manual_seed(0))
    assert pickle.loads(pickle.dumps(made)).copies.tolist() == made.copies.tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("cls", "home"), [(PGBleu, test_baselines_pg_bleu), (Mixer, test_baselines_mixer)])
def test_second_stages_take_it(cls, home):
    settings = copy.deepcopy(home.TINY)
    settings["mle"]["net"]["copy_source"] = True
    corpus = conditional_corpus(60, words=4)
    run = FakeRun(save=False)
    generator = cls(cls.Config.model_validate(settings)).fit(corpus, run)
    assert isinstance(generator.net, Copying)
    moved = run.saved.snapshots["pretrain"]
    assert any(not torch.equal(moved[name], value) for name, value in generator.state_dict().items() if "gate" in name)


def test_interrupted_training_ends_bit_identical():
    corpus = conditional_corpus(100)
    method = PointerGenerator(PointerGenerator.Config.model_validate({**TINY, "interval": 3, "batch": 16}))
    expected = method.fit(corpus, FakeRun(save=False)).state_dict()
    saved = Saved()
    with pytest.raises(Interrupted):
        method.fit(corpus, FakeRun(saved=saved, stop_at=random.randrange(1, 6)))
    found = method.fit(corpus, FakeRun(saved=saved)).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def rare_words(n: int = 500, words: int = 400) -> Corpus:
    """The answer is a source's second and third word; each is met a few times, some are in no vocabulary."""
    rng = random.Random(4)
    names = [f"w{i}" for i in range(words)]
    codec = ToyCodec(vocabulary(names[: words * 9 // 10]))

    def split(count: int) -> Split:
        texts = [[rng.choice(names) for _ in range(4)] for _ in range(count)]
        examples = tuple(Example(" ".join(t[1:3]), (" ".join(t),), (" ".join(t[1:3]),)) for t in texts)
        return Split(
            examples,
            Ragged.from_lists([[*codec.encode(e.target), 0] for e in examples]),
            Ragged.from_lists([[*codec.encode(e.source[0]), 0] for e in examples]),
        )

    splits = {"train": split(n), "valid": split(n // 4), "test": split(n // 4)}
    return dataclasses.replace(_corpus("conditional", codec, codec, splits, None), max_target_length=4)


@pytest.mark.slow
def test_words_too_rare_to_be_learned_are_copied():
    corpus = rare_words()
    test, texts = corpus.splits["test"], [example.source for example in corpus.splits["test"].examples]
    net = {"embedding": 24, "hidden": 32, "encoder": 24, "attention": 24, "readout": 24, "tied": True}
    settings = {"net": net, "epochs": 15, "batch": 32, "learning_rate": 1e-2, "schedule": "linear"}
    nll, right = {}, {}
    for cls in (MLE, PointerGenerator):
        generator = cls(cls.Config.model_validate(settings)).fit(corpus, FakeRun(save=False))
        nll[cls] = -generator.token_log_probs(test.targets, test.sources).mean()
        decoding, rng = Decoding.parse("greedy/replace-unk"), torch.Generator()
        written, _ = generator.write(test.sources, texts, decoding=decoding, rng=rng)
        right[cls] = np.mean([a == b.target for a, b in zip(written, test.examples, strict=True)])
    assert nll[PointerGenerator] < 0.5 * nll[MLE]
    assert right[PointerGenerator] > 0.5 > right[MLE]
