"""The transformer from a checkpoint: text in and out by its own tokenizer, exact likelihoods, fine-tuning, saving."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from baselines.base import CannotDecode, Decoding, Generator, NotTractable, TextGenerator, Writer
from baselines.merging import merge
from baselines.mle import Transformer, TransformerConfig
from baselines.pretrained_pairs import PretrainedPairs, _Reader
from tasks.base import Corpus, Ragged
from tests.checkpoints import make_pair_checkpoint
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow  # the library alone takes seconds to import

TUNING = {"epochs": 2, "batch": 16, "learning_rate": 1e-2, "warmup": 3, "clip": 1.0}
CORPUS = conditional_corpus(60)
LETTERS = [*"abcdefgh", *"ABCDEFGH"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pair_checkpoint(tmp_path_factory.mktemp("tiny"), LETTERS)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a local folder needs no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def method(checkpoint: Path, **settings: Any) -> Transformer:
    return Transformer(
        TransformerConfig.model_validate(merge({"checkpoint": str(checkpoint), "tuning": TUNING}, settings))
    )


def loaded(checkpoint: Path, corpus: Corpus = CORPUS, **settings: Any) -> PretrainedPairs:
    generator = method(checkpoint, **settings).build(corpus)
    assert isinstance(generator, PretrainedPairs)
    generator.double().eval()
    return generator


def next_log_probs(generator: PretrainedPairs, source: tuple[str, ...], ids: list[int]) -> Tensor:
    """Of each next token after the start and the given ones [1 + len(ids), vocab]; nothing padded, nothing cached."""
    read = generator.tokenizer("\n".join(source), return_tensors="pt")["input_ids"]
    inputs = torch.tensor([[generator.start, *ids]])
    with torch.no_grad():
        return generator.model(input_ids=read, decoder_input_ids=inputs, use_cache=False).logits[0].log_softmax(-1)


def decoded(generator: PretrainedPairs, sources: list[tuple[str, ...]], decoding: str, seed: int = 3) -> list[str]:
    rng = torch.Generator().manual_seed(seed)
    texts, ids = generator.write(
        Ragged.from_lists([[]] * len(sources)), sources, decoding=Decoding.parse(decoding), rng=rng
    )
    assert ids is None
    return texts


SOURCES = [("a b c",), ("h",), ("b b a d e f g h",), ("c",), ("d a",)]


def test_it_is_what_the_harness_asks_for(checkpoint: Path) -> None:
    generator = loaded(checkpoint)
    assert isinstance(generator, TextGenerator)
    assert isinstance(generator, Writer)
    assert isinstance(generator, Generator)
    made = method(checkpoint)
    assert made.track() == "pretrained"
    assert made.pretraining(CORPUS) is None
    assert made.supports(CORPUS) is None
    assert made.supports(free_corpus(9)) is not None
    assert Transformer().track() == "scratch"
    with pytest.raises(NotTractable, match="tokens of"):
        generator.token_log_probs(CORPUS.splits["test"].targets, CORPUS.splits["test"].sources)


def test_log_probs_are_those_of_each_pair_alone(checkpoint: Path) -> None:
    generator = loaded(checkpoint)
    texts = ["C B A", "H", "", "A zebra D", "D C"]
    sums, tokens = generator.text_log_probs(texts, SOURCES)
    assert tokens.tolist() == [5, 3, 2, 5, 4]  # <s>, words, </s>
    for text, source, found in zip(texts, SOURCES, sums, strict=True):
        ids = generator.tokenizer(text)["input_ids"]
        expected = next_log_probs(generator, source, ids[:-1])[range(len(ids)), ids].sum()
        assert found == pytest.approx(float(expected), abs=1e-10)
    order = [3, 1, 4, 0, 2]
    again, _ = generator.text_log_probs([texts[i] for i in order], [SOURCES[i] for i in order])
    np.testing.assert_allclose(again, sums[order], atol=1e-12)
    assert [part.tolist() for part in generator.text_log_probs([], [])] == [[], []]


def test_the_readers_steps_are_its_teacher_forcing(checkpoint: Path) -> None:
    generator = loaded(checkpoint)
    ids, seen = generator._padded(generator.encode_sources(SOURCES))
    inputs = torch.randint(5, 12, (len(ids), 4), generator=torch.Generator().manual_seed(fresh_seed()))
    inputs[:, 0] = generator.start
    reader = _Reader(generator.model, unknown=generator.tokenizer.unk_token_id)
    with torch.no_grad():
        memory = (generator.model.get_encoder()(input_ids=ids, attention_mask=seen.long()).last_hidden_state, seen)
        at_once, state, steps = reader(inputs, memory), reader.initial_state(len(ids), memory), []
        for tokens in inputs.unbind(1):
            logits, state = reader.step(tokens, state, memory)
            steps.append(logits)
    assert bool((at_once[..., generator.tokenizer.unk_token_id] == float("-inf")).all())
    torch.testing.assert_close(torch.stack(steps, 1), at_once, atol=1e-5, rtol=1e-5)


def test_what_the_model_cannot_read_is_cut(checkpoint: Path) -> None:
    generator = loaded(checkpoint)
    long = " ".join(LETTERS)
    _, tokens = generator.text_log_probs([long], [(long,)])
    assert tokens.tolist() == [12]
    read = generator.encode_sources([(long,)])[0].tolist()
    assert read == [0, *range(4, 14), 2], "the beginning of a text is read"
    generator.side = "left"
    read = generator.encode_sources([("a b c", long)])[0].tolist()
    assert read == [0, *range(10, 20), 2], "the end of a conversation is read"
    assert loaded(checkpoint, max_tokens=500).max_tokens == 12


def test_greedy_takes_the_likeliest_token(checkpoint: Path) -> None:
    generator = loaded(checkpoint)
    for source, found in zip(SOURCES, decoded(generator, SOURCES, "greedy"), strict=True):
        ids: list[int] = []
        while len(ids) < generator.max_tokens and (not ids or ids[-1] != generator.eos):
            ids.append(int(next_log_probs(generator, source, ids)[-1].argmax()))
        assert found == generator._text(ids)


def test_a_wide_beam_finds_the_likeliest_answer_of_all(tmp_path: Path) -> None:
    generator = loaded(make_pair_checkpoint(tmp_path, list("aB"), seed=fresh_seed() % 1000), max_tokens=3)
    sources = [("a",), ("a a a",)]
    found = decoded(generator, sources, "beam250@0")
    for source, text in zip(sources, found, strict=True):
        scores = {}
        for length in (1, 2, 3):
            for ids in itertools.product(range(6), repeat=length):
                ended = ids[-1] == generator.eos
                if generator.eos in ids[:-1] or not (ended or length == 3):
                    continue
                table = next_log_probs(generator, source, list(ids[:-1]))
                scores[ids] = float(table[range(length), ids].sum())
        best = sorted(scores, key=scores.__getitem__)[-1]
        assert text == generator._text(list(best))


@pytest.mark.parametrize("temperature", ["1", "0.7"])
def test_samples_are_picked_by_their_own_random_numbers(checkpoint: Path, temperature: str) -> None:
    generator, seed = loaded(checkpoint), fresh_seed()
    found = decoded(generator, SOURCES, f"sample@{temperature}", seed)
    uniforms = torch.rand(len(SOURCES), generator.max_tokens, generator=torch.Generator().manual_seed(seed))
    for row, (source, text) in enumerate(zip(SOURCES, found, strict=True)):
        ids: list[int] = []
        while len(ids) < generator.max_tokens and (not ids or ids[-1] != generator.eos):
            sums = (next_log_probs(generator, source, ids)[-1] / float(temperature)).softmax(-1).cumsum(-1)
            ids.append(int((sums <= float(uniforms[row, len(ids)])).sum()))
        assert text == generator._text(ids)


def test_decoding_leaves_the_global_stream_alone_and_says_what_it_cannot(checkpoint: Path) -> None:
    generator = loaded(checkpoint)
    before = torch.get_rng_state()
    decoded(generator, SOURCES, "sample@1")
    decoded(generator, SOURCES, "beam3")
    assert torch.equal(before, torch.get_rng_state())
    with torch.no_grad():
        generator.model.final_logits_bias[0, 3] = 50.0
    assert "<unk>" not in " ".join(decoded(generator, SOURCES, "beam3/no-unk"))
    assert generator._text([3, 4]) == "a", "what is unknown is not text"
    with pytest.raises(CannotDecode, match="unknown"):
        decoded(generator, SOURCES, "greedy/replace-unk")


def test_answers_in_the_tasks_own_tokens(checkpoint: Path) -> None:
    generator, split = loaded(checkpoint), CORPUS.splits["test"]
    rng = torch.Generator().manual_seed(0)
    assert split.sources is not None
    found = generator.generate(split.sources, decoding=Decoding.parse("greedy"), rng=rng)
    assert len(found) == len(split)
    assert found.lengths.max() <= CORPUS.max_target_length
    assert found.flat.max() < CORPUS.vocab.size


def test_a_unit_is_a_tokenizer(checkpoint: Path, tmp_path: Path) -> None:
    same = make_pair_checkpoint(tmp_path / checkpoint.name, LETTERS, seed=4)
    other = make_pair_checkpoint(tmp_path / "other" / checkpoint.name, LETTERS[::-1])
    units = [loaded(path).token_unit for path in (checkpoint, same, other)]
    assert units[0] == units[1] != units[2]


def test_tied_weights_are_saved_once_and_stay_tied(checkpoint: Path, tmp_path: Path) -> None:
    one, other = loaded(checkpoint), loaded(checkpoint)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(torch.randn_like(parameter))
    save_file(one.state_dict(), tmp_path / "weights.safetensors")  # refuses tensors that share memory
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert other.model.lm_head.weight is other.model.get_input_embeddings().weight
    assert decoded(one, SOURCES, "beam3") == decoded(other, SOURCES, "beam3")
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, other.get_parameter(name))


def test_zero_shot_leaves_the_checkpoint_as_it_is(checkpoint: Path) -> None:
    run = FakeRun()
    generator = method(checkpoint, fine_tune=False).fit(CORPUS, run)
    fresh = method(checkpoint).build(CORPUS)
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in generator.state_dict().items())
    assert not run.saved.log


def test_fine_tuning_learns_the_pairs_of_train(checkpoint: Path) -> None:
    run, valid = FakeRun(save=False), CORPUS.splits["valid"].examples
    texts, sources = [example.target for example in valid], [example.source for example in valid]
    sums, tokens = loaded(checkpoint).text_log_probs(texts, sources)
    generator = method(checkpoint, tuning={"epochs": 4, "learning_rate": 3e-2}).fit(CORPUS, run)
    after, _ = generator.text_log_probs(texts, sources)
    assert after.sum() > 0.75 * sums.sum()
    assert [line["stage"] for line in run.saved.log] == ["fine-tune"] * len(run.saved.log)
    assert -after.sum() / tokens.sum() == pytest.approx(min(line["valid_nll"] for line in run.saved.log), rel=1e-5)


def test_interrupted_fine_tuning_ends_bit_identical(checkpoint: Path) -> None:
    made = method(checkpoint)
    expected = made.fit(CORPUS, FakeRun(save=False)).state_dict()
    saved = Saved()
    with pytest.raises(Interrupted):
        made.fit(CORPUS, FakeRun(saved=saved, stop_at=1 + fresh_seed() % 6))
    found = made.fit(CORPUS, FakeRun(saved=saved)).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_padding_gives_no_loss_and_no_gradient(checkpoint: Path) -> None:
    generator = loaded(checkpoint)
    sources, targets = generator.encode_sources(SOURCES), generator.encode_targets(["A B C", "", "H", "D E", "A"])
    gradients = []
    for parts in ([np.arange(5)], [np.array([i]) for i in range(5)]):
        generator.zero_grad()
        loss = torch.stack([generator.loss(sources.take(part), targets.take(part)) for part in parts]).sum()
        loss.backward()
        gradients.append((loss.item(), [p.grad.clone() for p in generator.parameters() if p.grad is not None]))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-10)
    for one, other in zip(gradients[0][1], gradients[1][1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


def test_half_precision_checkpoints_are_trained_in_single(tmp_path: Path) -> None:
    generator = method(make_pair_checkpoint(tmp_path, LETTERS, dtype=torch.bfloat16)).build(CORPUS)
    assert {parameter.dtype for parameter in generator.parameters()} == {torch.float32}
