"""Blanks, the networks that read them, and filling them: what is given, what is read, and with which probability."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.base import Infiller
from baselines.infilling import MaskKind, choose_blanks, fill
from baselines.nets.infilling import InfillingNet, TokenDiscriminator, VariationalDropout
from baselines.nets.lstm import LSTMLanguageModel, initialise
from baselines.training.batches import shifted
from baselines.training.policy_gradient import without_dropout
from tasks.base import Ragged
from tests.unit.test_baselines_maskgan import CORPORA, fresh_rng, random_generator

VOCAB, BOS, PAD, BLANK = 9, 9, 10, 11


def random_net(layers: int = 1, dropout: float = 0.0, tied: bool = False, rng: torch.Generator | None = None) -> Any:
    net = InfillingNet(VOCAB, 6, 5, 5, layers, dropout, tied).double()
    rng = rng or fresh_rng()
    with torch.no_grad():
        for _, parameter in sorted(net.named_parameters()):
            parameter.normal_(0.0, 0.7, generator=rng)
    return net.eval()


def some_texts(net: InfillingNet, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """tokens, m(x), lengths, blanks of three texts of lengths 6, 3, 5."""
    lengths = torch.tensor([6, 3, 5])
    tokens = torch.randint(VOCAB, (3, 6), generator=rng).masked_fill(torch.arange(6) >= lengths[:, None], PAD)
    blanks = choose_blanks(lengths, 0.5, "random", rng)
    return tokens, tokens.masked_fill(blanks, net.blank_id), lengths, blanks


@pytest.mark.parametrize("kind", ["contiguous", "random"])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.73, 1.0])
def test_blanks_have_exactly_the_length_asked_for(kind: MaskKind, rate: float) -> None:
    rng = fresh_rng()
    lengths = torch.randint(1, 30, (200,), generator=rng)
    blanks = choose_blanks(lengths, rate, kind, rng)
    inside = torch.arange(blanks.shape[1]) < lengths[:, None]
    assert not (blanks & ~inside).any(), "padding is never blank"
    expected = [math.floor(rate * n + 0.5) for n in lengths.tolist()]
    assert blanks.sum(1).tolist() == [max(n, 1) if rate > 0 else 0 for n in expected]
    if kind == "contiguous":
        steps = (blanks[:, 1:] != blanks[:, :-1]).sum(1) + blanks[:, 0].long() + blanks[:, -1].long()
        assert (steps <= 2).all()
    if rate == 1.0:
        assert torch.equal(blanks, inside)


@pytest.mark.parametrize("kind", ["contiguous", "random"])
def test_blanks_come_everywhere(kind: MaskKind) -> None:
    """First and last place too; every start is as likely as any other."""
    blanks = choose_blanks(torch.full((4000,), 5), 0.4, kind, torch.Generator().manual_seed(0))
    share = blanks.double().mean(0)
    expected = torch.tensor([0.25, 0.5, 0.5, 0.5, 0.25] if kind == "contiguous" else [0.4] * 5).double()
    torch.testing.assert_close(share, expected, atol=0.035, rtol=0)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_it_starts_as_the_language_model_to_the_last_probability(tied: bool, layers: int) -> None:
    language_model = LSTMLanguageModel(VOCAB, 6, 6, layers, tied=tied)
    initialise(language_model, "normal", 0.5, fresh_rng())
    net = InfillingNet(VOCAB, 6, 6, 6, layers, tied=tied)
    net.start_from(language_model.state_dict())
    tokens, read, lengths, _ = some_texts(net, fresh_rng())
    for memory in ((), net.encode(read, lengths)):
        torch.testing.assert_close(net(shifted(tokens, BOS), memory), language_model(shifted(tokens, BOS)))
    assert torch.equal(net.encoder.weight_hh_l0, language_model.lstm.weight_hh_l0)
    with pytest.raises(ValueError, match="language model"):
        net.start_from({"lstm.weight_ih_l0": language_model.lstm.weight_ih_l0})


@pytest.mark.parametrize("given", [False, True])
def test_step_by_step_equals_teacher_forcing(given: bool) -> None:
    net, rng = random_net(2), fresh_rng()
    tokens, read, lengths, _ = some_texts(net, rng)
    memory = net.encode(read, lengths) if given else ()
    whole = net(shifted(tokens, BOS), memory)
    torch.testing.assert_close(net.states(shifted(tokens, BOS), memory)[0], whole)
    with torch.no_grad(), net.fixed_weights():
        torch.testing.assert_close(net.states(shifted(tokens, BOS), memory)[0], whole)


def test_nothing_given_is_reading_blanks_alone_whatever_the_length() -> None:
    """The shared memory equals one read for every row; it has the corpus's length, not that of the row."""
    net = random_net(tied=True)
    tokens = torch.randint(VOCAB, (4, 3), generator=fresh_rng())
    memory = net.encode(torch.full((4, 6), BLANK), torch.full((4,), 6))
    torch.testing.assert_close(net(shifted(tokens, BOS), ()), net(shifted(tokens, BOS), memory))


def test_fixed_weights_hold_inside_only() -> None:
    net = random_net()
    tokens = torch.randint(VOCAB, (2, 3), generator=fresh_rng())
    with net.fixed_weights():
        pass
    with torch.no_grad():
        net.blank.add_(1.0)
        torch.testing.assert_close(net.states(tokens, ())[0], net(tokens, ()))


def test_padding_of_what_is_read_has_no_influence() -> None:
    net, rng = random_net(2), fresh_rng()
    tokens, read, lengths, _ = some_texts(net, rng)
    wider = torch.cat([read, torch.full((3, 4), PAD)], 1)
    torch.testing.assert_close(net(tokens, net.encode(read, lengths)), net(tokens, net.encode(wider, lengths)))
    other = read.masked_fill(torch.arange(6) >= lengths[:, None], 3)
    torch.testing.assert_close(net(tokens, net.encode(read, lengths)), net(tokens, net.encode(other, lengths)))


def test_the_decoder_reads_what_stands_behind_a_blank() -> None:
    net = random_net()
    read = torch.tensor([[1, BLANK, BLANK, 4]])
    other = torch.tensor([[1, BLANK, BLANK, 5]])
    lengths, inputs = torch.tensor([4]), torch.tensor([[BOS, 1]])
    first, second = (net(inputs, net.encode(x, lengths)) for x in (read, other))
    assert not torch.allclose(first[:, 1], second[:, 1])


def test_variational_dropout_keeps_its_mask_over_time() -> None:
    torch.manual_seed(0)
    layer = VariationalDropout(0.5)
    dropped = layer(torch.ones(64, 7, 5))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(dropped[:1].expand_as(dropped), dropped)
    with without_dropout(layer):
        assert torch.equal(layer(torch.ones(2, 3, 4)), torch.ones(2, 3, 4))
    assert torch.equal(layer.eval()(torch.ones(2, 3, 4)), torch.ones(2, 3, 4))


def random_judge(rng: torch.Generator) -> TokenDiscriminator:
    judge = TokenDiscriminator(random_net(rng=rng)).double().eval()
    with torch.no_grad():
        for parameter in (*judge.judge.parameters(), *judge.value.parameters()):
            parameter.normal_(generator=rng)
    return judge


def test_the_discriminator_reads_the_context_with_its_blanks() -> None:
    """The same filled text is judged otherwise when other places were blank, and when other words were given later."""
    judge = random_judge(fresh_rng())
    tokens, lengths = torch.tensor([[1, 2, 3, 4]]), torch.tensor([4])
    found = [
        judge.logits(judge.read(tokens, BOS, judge.body.encode(torch.tensor([read]), lengths)))
        for read in ([1, BLANK, 3, 4], [1, BLANK, BLANK, 4], [1, BLANK, 3, 7])
    ]
    assert not torch.allclose(found[0][:, 1], found[1][:, 1])
    assert not torch.allclose(found[0][:, 1], found[2][:, 1])


def test_log_odds_see_the_token_and_values_only_those_before_it() -> None:
    judge = random_judge(fresh_rng())
    tokens, other = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[1, 2, 7, 4]])
    memory = judge.body.encode(torch.tensor([[1, BLANK, BLANK, 4]]), torch.tensor([4]))
    first, second = (judge.read(x, BOS, memory) for x in (tokens, other))
    same = judge.logits(first) == judge.logits(second)
    assert same[0].tolist() == [True, True, False, False]
    same = judge.values(first, False) == judge.values(second, False)
    assert same[0].tolist() == [True, True, True, False]


def test_the_value_gives_no_gradient_to_what_it_reads() -> None:
    judge = random_judge(fresh_rng())
    judge.values(judge.read(torch.tensor([[1, 2, 3]]), BOS, ()), True).sum().backward()
    assert {name for name, part in judge.named_parameters() if part.grad is not None} == {"value.weight", "value.bias"}


@pytest.mark.parametrize("kind", ["contiguous", "random"])
@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("name", CORPORA)
def test_given_tokens_are_never_changed(name: str, kind: MaskKind, rate: float) -> None:
    corpus = CORPORA[name]
    generator, rng = random_generator(corpus), fresh_rng()
    assert isinstance(generator, Infiller)
    texts = corpus.splits["train"].targets
    where = choose_blanks(torch.from_numpy(texts.lengths), rate, kind, rng).numpy()
    blanks = where[np.arange(where.shape[1]) < texts.lengths[:, None]]
    filled = generator.infill(texts, blanks, temperature=1.0, rng=rng)
    assert np.array_equal(filled.offsets, texts.offsets)
    assert filled.flat.dtype == texts.flat.dtype
    assert np.array_equal(filled.flat[~blanks], texts.flat[~blanks])
    assert (filled.flat >= 0).all()
    assert (filled.flat < corpus.vocab.size).all()
    if rate == 0.0:
        assert np.array_equal(filled.flat, texts.flat)
    else:
        assert (filled.flat[blanks] != texts.flat[blanks]).mean() > 0.3
    if corpus.fixed_length is None:
        last = np.zeros_like(blanks)
        last[texts.offsets[1:] - 1] = True
        assert (filled.flat[blanks & ~last] != corpus.vocab.eos).all()


def test_what_stands_at_a_blank_is_not_read() -> None:
    corpus = CORPORA["free"]
    generator, texts = random_generator(corpus), corpus.splits["valid"].targets
    blanks = np.arange(len(texts.flat)) % 3 == 1
    other = Ragged(np.where(blanks, 5, texts.flat).astype(np.int32), texts.offsets)
    first, second = (
        generator.infill(x, blanks, temperature=1.0, rng=torch.Generator().manual_seed(1)) for x in (texts, other)
    )
    assert np.array_equal(first.flat, second.flat)


def test_a_fill_does_not_depend_on_the_texts_beside_it() -> None:
    corpus = CORPORA["free"]
    generator, texts = random_generator(corpus), corpus.splits["train"].targets
    blanks = np.arange(len(texts.flat)) % 2 == 1
    whole = generator.infill(texts, blanks, temperature=1.0, rng=torch.Generator().manual_seed(1))
    width = int(texts.lengths.max())
    uniforms = torch.rand(len(texts), width, generator=torch.Generator().manual_seed(1))
    row = int(np.argmin(texts.lengths))
    marks = Ragged(blanks.astype(np.int32), texts.offsets).take([row])
    alone = generator._fill(texts.take([row]), marks, uniforms[[row]], 1.0)
    assert np.array_equal(alone.flat, whole[row])


def test_empty_texts_and_no_texts_can_be_filled() -> None:
    generator = random_generator(CORPORA["free"])
    for rows in ([], [[]], [[], [2, 3], []]):
        texts = Ragged.from_lists(rows)
        filled = generator.infill(texts, np.ones(len(texts.flat), bool), temperature=1.0, rng=torch.Generator())
        assert filled.lengths.tolist() == [len(row) for row in rows]


def test_blanks_must_be_aligned_with_the_tokens() -> None:
    generator, texts = random_generator(CORPORA["free"]), Ragged.from_lists([[2, 3, 0]])
    for blanks in (np.ones(2, bool), np.ones(3, np.int64)):
        with pytest.raises(ValueError, match="for each token"):
            generator.infill(texts, blanks, temperature=1.0, rng=torch.Generator())


def test_fills_have_the_probabilities_of_the_network() -> None:
    """Frequencies of 6000 fills of two blanks against exact conditional probabilities, at temperature 0.7."""
    generator = random_generator(CORPORA["fixed"], 0.6)
    net, heat, n = generator.net, 0.7, 6000
    texts = Ragged.from_lists([[2, 3, 4, 5, 6]] * n)
    blanks = np.tile([False, True, False, True, False], n)
    filled = generator.infill(texts, blanks, temperature=heat, rng=fresh_rng()).padded(0)
    memory = net.encode(torch.tensor([[2, net.blank_id, 4, net.blank_id, 6]]), torch.tensor([5]))
    size, bos = CORPORA["fixed"].vocab.size, CORPORA["fixed"].vocab.bos
    inputs = torch.tensor([[bos, 2, token, 4] for token in range(size)])
    with torch.no_grad():
        logits = net.output(net(inputs, tuple(part.expand(size, *part.shape[1:]) for part in memory))) / heat
    first, second = torch.softmax(logits[0, 1], -1), torch.softmax(logits[:, 3], -1)
    expected = (first[:, None] * second).numpy()
    seen = np.zeros((size, size))
    np.add.at(seen, (filled[:, 1], filled[:, 3]), 1 / n)
    assert np.abs(seen - expected).sum() < 4 * np.sqrt(expected * (1 - expected) / n).sum()
    marked = texts.take([0])
    found = generator.fill_log_probs(marked, blanks[:5])
    with torch.no_grad():
        told = torch.log_softmax(logits * heat, -1)
    assert found == pytest.approx([float(told[0, 1, 3]), float(told[3, 3, 5])], abs=1e-5)


def test_the_likelihood_is_that_of_writing_with_all_blank() -> None:
    corpus = CORPORA["free"]
    generator, texts = random_generator(corpus), corpus.splits["valid"].targets
    found = generator.token_log_probs(texts)
    net = generator.net
    for row in (0, 3):
        tokens = torch.tensor(texts[row].astype(np.int64))[None]
        blanks = torch.full((1, corpus.max_target_length), net.blank_id)
        with torch.no_grad():
            memory = net.encode(blanks, torch.tensor([corpus.max_target_length]))
            logits = net.output(net(shifted(tokens, corpus.vocab.bos), memory))
        expected = torch.log_softmax(logits, -1).gather(2, tokens[..., None])[0, :, 0]
        assert found[texts.offsets[row] : texts.offsets[row + 1]] == pytest.approx(expected.numpy(), abs=1e-5)


def test_fill_keeps_padding_and_can_write_the_end_in_training() -> None:
    net, rng = random_net(), fresh_rng()
    tokens, read, lengths, blanks = some_texts(net, rng)
    with torch.no_grad():
        net.output.bias[0] = 100.0
    uniforms = torch.rand(3, 6, generator=rng)
    filled = fill(net, net.encode(read, lengths), tokens, blanks, uniforms, bos=BOS)
    assert torch.equal(filled, tokens.masked_fill(blanks, 0))
