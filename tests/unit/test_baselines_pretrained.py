"""GPT from a checkpoint: text in and out by its own tokenizer, exact likelihoods, fine-tuning, saving."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save_file

from baselines.base import Generator, NotTractable, TextGenerator
from baselines.pretrained import PretrainedGenerator, kept
from tasks.base import Corpus, Ragged
from tests.checkpoints import make_checkpoint
from tests.fakes import FakeRun
from tests.fresh import fresh_seed
from tests.unit.test_baselines_gpt import CORPORA, tiny

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow  # the library alone takes seconds to import


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("tiny"), list("hgfedcba"))


def loaded(checkpoint: Path, corpus: Corpus = CORPORA["free"], **settings: Any) -> PretrainedGenerator:
    generator = tiny(checkpoint=str(checkpoint), **settings).build(corpus)
    assert isinstance(generator, PretrainedGenerator)
    generator.double()
    return generator


def text_log_prob(generator: PretrainedGenerator, ids: list[int]) -> float:
    """Of one text in the model's tokens, nothing padded and nothing cached."""
    with torch.no_grad():
        logits = generator.model(input_ids=torch.tensor([[generator.bos, *ids[:-1]]])).logits[0]
    return float(logits.log_softmax(-1)[range(len(ids)), ids].sum())


@pytest.mark.parametrize("bos", [False, True])
def test_text_log_probs_are_those_of_each_text_alone(tmp_path: Path, bos: bool) -> None:
    generator = loaded(make_checkpoint(tmp_path, list("hgfedcba"), bos=bos))
    assert isinstance(generator, TextGenerator)
    assert isinstance(generator, Generator)
    assert (generator.bos, generator.eos) == (2 if bos else 0, 0)
    texts = ["a b c", "h", "", "a zebra c d e f g", "c b a"]
    sums, tokens = generator.text_log_probs(texts)
    assert sums.dtype == np.float64
    assert tokens.dtype == np.int64
    assert tokens.tolist() == [4, 2, 1, 8, 4]
    for text, found in zip(texts, sums, strict=True):
        ids = [*generator.tokenizer(text, add_special_tokens=False)["input_ids"], generator.eos]
        assert found == pytest.approx(text_log_prob(generator, ids), abs=1e-10)
    order = [3, 1, 4, 0, 2]
    np.testing.assert_allclose(generator.text_log_probs([texts[i] for i in order])[0], sums[order], atol=1e-12)
    empty = generator.text_log_probs([])
    assert [len(part) for part in empty] == [0, 0]


def test_text_beyond_the_context_is_cut(checkpoint: Path) -> None:
    generator = loaded(checkpoint)
    sums, tokens = generator.text_log_probs(["a b c d e f g h a b c d e f", "a b c d e f g h a b c d"])
    assert tokens.tolist() == [12, 12]
    ids = generator.tokenizer("a b c d e f g h a b c d", add_special_tokens=False)["input_ids"]
    np.testing.assert_allclose(sums, [text_log_prob(generator, ids)] * 2, atol=1e-10)


def test_probabilities_of_all_first_tokens_add_up(checkpoint: Path) -> None:
    generator = loaded(checkpoint)
    first = generator.log_probs(Ragged.from_lists([[i] for i in range(10)]))
    assert np.exp(first).sum() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_cached_samples_are_those_of_recomputed_prefixes(checkpoint: Path, temperature: float) -> None:
    generator = loaded(checkpoint, max_tokens=10)
    texts = generator.sample_texts(30, temperature=temperature, rng=torch.Generator().manual_seed(fresh_seed()))
    uniforms = torch.rand(30, 10, generator=torch.Generator().manual_seed(fresh_seed()))
    lengths = set()
    for text, row in zip(texts, uniforms, strict=True):
        ids = [generator.bos]
        while len(ids) <= 10:
            with torch.no_grad():
                logits = generator.model(input_ids=torch.tensor([ids])).logits[0, -1] / temperature
            ids.append(min(int((logits.softmax(0).cumsum(0) <= row[len(ids) - 1]).sum()), 9))
            if ids[-1] == generator.eos:
                break
        lengths.add(len(ids))
        assert text == generator.tokenizer.decode([i for i in ids if i > 0])
    assert len(lengths) > 1


def test_rows_of_older_caches_can_be_picked_too() -> None:
    layers = tuple(tuple(torch.rand(4, 2, 3, 5) for _ in range(2)) for _ in range(3))
    for before, after in zip(layers, kept(layers, torch.tensor([3, 1])), strict=True):
        assert all(torch.equal(part[[3, 1]], kept) for part, kept in zip(before, after, strict=True))


def test_samples_can_be_had_in_the_tasks_tokens(checkpoint: Path) -> None:
    for kind, corpus in CORPORA.items():
        generator = loaded(checkpoint, corpus)
        texts = generator.sample_texts(40, temperature=1.0, rng=torch.Generator().manual_seed(3))
        assert not any("<end>" in text for text in texts)
        ids = generator.sample(40, temperature=1.0, rng=torch.Generator().manual_seed(3))
        limit = corpus.fixed_length or corpus.max_target_length
        assert [text.split() for text in corpus.decode(ids)] == [text.split()[:limit] for text in texts]
        assert ids.lengths.max() <= limit
        ended = [row[-1] == 0 for row in (ids[i] for i in range(40)) if len(row)]
        assert any(ended) == (kind == "free")


def test_what_is_not_tractable_says_why(checkpoint: Path) -> None:
    generator = loaded(checkpoint)
    with pytest.raises(NotTractable, match="not over the task's"):
        generator.token_log_probs(CORPORA["free"].splits["test"].targets)
    with pytest.raises(NotTractable, match="sources"):
        generator.generate(CORPORA["free"].splits["test"].targets, decoding=None, rng=None)  # type: ignore[arg-type]


def test_the_unit_is_the_tokenizers(tmp_path: Path, checkpoint: Path) -> None:
    same = make_checkpoint(tmp_path / checkpoint.name, list("hgfedcba"), seed=5)
    other = make_checkpoint(tmp_path / "other" / checkpoint.name, list("abcdefgh"))
    units = [loaded(path).token_unit for path in (checkpoint, same, other)]
    assert units[0] == units[1] != units[2]
    assert units[0].startswith(f"{checkpoint.name}:")
    assert str(checkpoint) not in units[0]


def test_texts_may_be_as_long_as_the_longest_of_train(checkpoint: Path) -> None:
    corpus = CORPORA["free"]
    longest = max(len(example.target.split()) for example in corpus.splits["train"].examples)
    assert loaded(checkpoint).max_tokens == longest + 1
    assert loaded(checkpoint, max_tokens=5).max_tokens == 5
    assert loaded(checkpoint, max_tokens=500).max_tokens == 12


def test_tied_weights_are_saved_once_and_stay_tied(checkpoint: Path, tmp_path: Path) -> None:
    one, other = loaded(checkpoint), loaded(checkpoint)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(torch.randn_like(parameter))
    assert one.model.lm_head.weight is one.model.transformer.wte.weight
    assert sum(value.numel() for value in one.state_dict().values()) == sum(p.numel() for p in one.parameters())
    save_file(one.state_dict(), tmp_path / "weights.safetensors")  # refuses tensors that share memory
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert other.model.lm_head.weight is other.model.transformer.wte.weight
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, other.get_parameter(name))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({})


def test_zero_shot_leaves_the_checkpoint_as_it_is(checkpoint: Path) -> None:
    run = FakeRun()
    generator = tiny(checkpoint=str(checkpoint), fine_tune=False).fit(CORPORA["free"], run)
    fresh = tiny(checkpoint=str(checkpoint)).build(CORPORA["free"])
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in generator.state_dict().items())
    assert not run.saved.log


def test_fine_tuning_learns_the_texts_of_train(checkpoint: Path) -> None:
    corpus, run = CORPORA["free"], FakeRun(save=False)
    valid = [example.target for example in corpus.splits["valid"].examples]
    start = loaded(checkpoint, corpus)
    before = nats_per_token(start.text_log_probs(valid))
    generator = tiny(checkpoint=str(checkpoint), tuning={"epochs": 4, "learning_rate": 3e-2}).fit(corpus, run)
    after = nats_per_token(generator.text_log_probs(valid))
    assert after < 0.75 * before
    assert [line["stage"] for line in run.saved.log] == ["fine-tune"] * 4
    assert after == pytest.approx(min(line["valid_nll"] for line in run.saved.log), rel=1e-5)


def nats_per_token(found: tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]) -> float:
    return -float(found[0].sum() / found[1].sum())


def test_padding_of_texts_gives_no_loss_and_no_gradient(checkpoint: Path) -> None:
    generator = loaded(checkpoint).eval()
    targets = generator.encode(["a b c d e", "h", "c d"])
    gradients = []
    for parts in ([targets], [targets.take([i]) for i in range(3)]):
        generator.zero_grad()
        loss = torch.stack([generator.loss(part) for part in parts]).sum()
        loss.backward()
        gradients.append((loss.item(), [p.grad.clone() for p in generator.parameters() if p.grad is not None]))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-10)
    for one, other in zip(gradients[0][1], gradients[1][1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


def test_half_precision_checkpoints_are_trained_in_single(tmp_path: Path) -> None:
    generator = tiny(checkpoint=str(make_checkpoint(tmp_path, list("ab"), dtype=torch.bfloat16))).build(CORPORA["free"])
    assert {parameter.dtype for parameter in generator.parameters()} == {torch.float32}


def test_a_local_checkpoint_needs_no_network_and_no_global_randomness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one that lacks weights, which the library draws."""
    checkpoint = make_checkpoint(tmp_path, list("ab"))
    weights = load_file(tmp_path / "model.safetensors")
    del weights["transformer.wpe.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    wanted: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: wanted.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: wanted.append(a))
    before = torch.get_rng_state()
    loaded(checkpoint)
    assert torch.equal(before, torch.get_rng_state())
    assert not wanted


def test_a_tokenizer_without_an_end_is_refused(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = type(transformers.AutoTokenizer.from_pretrained(checkpoint))
    monkeypatch.setattr(cls, "eos_token_id", None, raising=False)
    with pytest.raises(ValueError, match="no end-of-text token"):
        loaded(checkpoint)
