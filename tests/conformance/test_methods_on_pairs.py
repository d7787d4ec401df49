"""What every built-in method on (source, target) pairs promises: one set of checks for all of them.

Each is trained on a toy corpus whose answer is the source reversed, in capitals.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import baselines
from baselines.base import CannotDecode, Decoding, Writer
from bench.context import save_weights
from tasks.base import Ragged
from tests.conformance.methods import CORPORA, equal_weights, log_probs, method, same, supports, trained
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed

CORPUS = CORPORA["pairs"]
TEST = CORPUS.splits["test"]
SOURCES = TEST.sources if TEST.sources is not None else Ragged.from_lists([])
METHODS = [name for name in sorted(baselines.BUILTIN) if supports(name, "pairs")]
DECODINGS = ("greedy", "sample@1", "beam3")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*enable_nested_tensor")]


def answers(name_or_generator: Any, decoding: str, seed: int = 5, rows: Any = None) -> Ragged:
    generator = trained(name_or_generator, "pairs")[0] if isinstance(name_or_generator, str) else name_or_generator
    rng = torch.Generator().manual_seed(seed)
    sources = SOURCES if rows is None else SOURCES.take(np.asarray(rows))
    try:
        found: Ragged = generator.generate(sources, decoding=Decoding.parse(decoding), rng=rng)
    except CannotDecode as told:
        reason = str(told)
    else:
        return found
    assert len(reason) > 10, "a reader is told why"
    pytest.skip(reason)


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("name", METHODS)
def test_an_answer_a_source_in_order_each_a_whole_sequence(name: str, decoding: str) -> None:
    found = answers(name, decoding)
    assert len(found) == len(SOURCES)
    assert found.flat.min() >= 0
    assert found.flat.max() < CORPUS.vocab.size
    for i in range(len(found)):
        ids = found[i].tolist()
        assert 1 <= len(ids) <= CORPUS.max_target_length
        assert CORPUS.vocab.eos not in ids[:-1]
        assert ids[-1] == CORPUS.vocab.eos or len(ids) == CORPUS.max_target_length
    if decoding != "sample@1":  # what a source gets depends on it alone
        order = np.random.default_rng(fresh_seed()).permutation(len(SOURCES))
        assert same(answers(name, decoding, rows=order), found.take(order))
    assert len(answers(name, decoding, rows=np.zeros(0, np.int64))) == 0


@pytest.mark.parametrize("name", METHODS)
def test_a_seed_decides_what_is_drawn(name: str) -> None:
    before = torch.get_rng_state()
    first = answers(name, "sample@1")
    assert same(first, answers(name, "sample@1"))
    if method(name).decodes:
        assert not same(first, answers(name, "sample@1", seed=6))
    assert torch.equal(before, torch.get_rng_state()), "decoding used torch's global stream"


@pytest.mark.parametrize("name", METHODS)
def test_a_writer_gives_its_ids_as_text(name: str) -> None:
    generator = trained(name, "pairs")[0]
    if not isinstance(generator, Writer):
        pytest.skip("answers in ids alone")
    texts = [example.source for example in TEST.examples]
    rng, decoding = torch.Generator().manual_seed(5), Decoding.parse("greedy")
    written, ids = generator.write(SOURCES, texts, decoding=decoding, rng=rng)
    assert len(written) == len(SOURCES)
    if ids is not None:
        assert written == CORPUS.decode(ids)


@pytest.mark.parametrize("name", METHODS)
def test_the_next_token_is_one_of_all_whatever_the_source(name: str) -> None:
    generator, size = trained(name, "pairs")[0], CORPUS.vocab.size
    rng = np.random.default_rng(fresh_seed())
    for length in (0, 1, 3):
        start = rng.integers(1, size, length).tolist()
        source = int(rng.integers(len(SOURCES)))
        targets = Ragged.from_lists([[*start, token] for token in range(size)])
        sources = SOURCES.take(np.full(size, source))
        found = log_probs(generator, targets, sources).reshape(size, -1)[:, -1]
        assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_likelihood_depends_on_its_own_source_and_on_no_neighbour(name: str) -> None:
    generator = trained(name, "pairs")[0]
    targets = TEST.targets
    together = log_probs(generator, targets, SOURCES)
    assert together.shape == targets.flat.shape
    assert (together <= 0).all()
    for i in (0, 3, len(targets) - 1):
        row = np.array([i])
        alone = log_probs(generator, targets.take(row), SOURCES.take(row))
        np.testing.assert_allclose(alone, together[targets.offsets[i] : targets.offsets[i + 1]], atol=1e-5)
    others = SOURCES.take(np.roll(np.arange(len(SOURCES)), 1))
    assert not np.allclose(log_probs(generator, targets, others), together, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_saved_and_loaded_it_is_the_same_model(name: str, tmp_path: Path) -> None:
    generator, _ = trained(name, "pairs")
    save_weights(tmp_path / "weights.safetensors", generator)
    before = torch.get_rng_state()
    loaded: Any = method(name).build(CORPUS)
    assert torch.equal(before, torch.get_rng_state()), "build used torch's global stream"
    loaded.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    for decoding in ("greedy", "sample@1"):
        assert same(answers(generator, decoding), answers(loaded, decoding))


@pytest.mark.parametrize("name", METHODS)
def test_training_repeats_and_goes_on_after_an_interruption(name: str) -> None:
    generator, run = trained(name, "pairs")
    assert equal_weights(generator, method(name).fit(CORPUS, FakeRun(save=False)))
    rng = np.random.default_rng(fresh_seed())
    for place in rng.integers(1, run.safe_points + 1, size=2) if run.safe_points else ():
        saved = Saved()
        with pytest.raises(Interrupted):
            method(name).fit(CORPUS, FakeRun(saved=saved, stop_at=int(place), save=False))
        assert equal_weights(generator, method(name).fit(CORPUS, FakeRun(saved=saved))), f"stopped at {place}"


@pytest.mark.parametrize("name", METHODS)
def test_what_the_harness_reads_of_a_method(name: str) -> None:
    made = method(name)
    assert made.name == name
    assert made.summary
    assert made.source
    assert pickle.loads(pickle.dumps(made.config)) == made.config
    assert made.track() == "scratch"
    for budget in ("smoke", "small", "paper"):
        for task in ("translation", "summarization", "dialogue"):
            made.Config.model_validate(made.preset(budget, task, "conditional"))
    reason = made.supports(CORPORA["varied"])
    assert reason is None or len(reason) > 10
    if made.adversarial:
        run = trained(name, "pairs")[1]
        assert set(run.saved.snapshots), "no stage before the adversarial one was kept"
        assert any("pretrain" not in line["stage"] for line in run.saved.log)
