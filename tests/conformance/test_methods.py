"""What every built-in method of free text promises, whatever it does inside: one set of checks for all of them.

Each method is trained with the `TINY` settings of its own test file, on free corpora of a few letters: one whose lines
end where they like, and one of fixed length.
"""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import baselines
from bench.context import save_weights
from tasks.base import Corpus, Ragged
from tests.conformance.methods import CORPORA, equal_weights, home, log_probs, method, same, supports, trained
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed

KINDS = ("varied", "fixed")
METHODS = [name for name in sorted(baselines.BUILTIN) if supports(name, "varied")]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*enable_nested_tensor")]


def draw(generator: Any, n: int, seed: int = 5, temperature: float = 1.0) -> Ragged:
    drawn: Ragged = generator.sample(n, temperature=temperature, rng=torch.Generator().manual_seed(seed))
    return drawn


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", METHODS)
def test_samples_are_whole_sequences_of_the_vocabulary(name: str, kind: str) -> None:
    corpus = CORPORA[kind]
    drawn = draw(trained(name, kind)[0], 300)
    assert len(drawn) == 300
    assert drawn.flat.min() >= 0
    assert drawn.flat.max() < corpus.vocab.size
    for i in range(300):
        ids = drawn[i].tolist()
        if corpus.fixed_length:
            assert len(ids) == corpus.fixed_length
        else:
            assert 1 <= len(ids) <= corpus.max_target_length
            assert corpus.vocab.eos not in ids[:-1]
            assert ids[-1] == corpus.vocab.eos or len(ids) == corpus.max_target_length
    assert len(draw(trained(name, kind)[0], 0)) == 0


@pytest.mark.parametrize("name", METHODS)
def test_a_seed_decides_the_samples_and_temperature_their_variety(name: str) -> None:
    generator, _ = trained(name, "varied")
    before = torch.get_rng_state()
    first, again, other = draw(generator, 300), draw(generator, 300), draw(generator, 300, seed=6)
    assert same(first, again)
    assert not same(first, other)
    assert torch.equal(before, torch.get_rng_state()), "sampling used torch's global stream"
    fixed, _ = trained(name, "fixed")
    cold, plain = (len({tuple(ids) for ids in draw(fixed, 300, temperature=t)}) for t in (0.001, 1.0))
    assert cold < plain


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", METHODS)
def test_likelihoods_of_all_sequences_sum_to_one(name: str, kind: str) -> None:
    corpus, size = CORPORA[kind], CORPORA[kind].vocab.size
    generator, _ = trained(name, kind)
    if corpus.fixed_length:
        every = [list(ids) for ids in itertools.product(range(size), repeat=corpus.fixed_length)]
        found = log_probs(generator, Ragged.from_lists(every)).reshape(len(every), -1).sum(1)
        assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-4)
    else:  # after each of some beginnings, the next token is one of all
        rng = np.random.default_rng(fresh_seed())
        for length in (0, 1, 3):
            start = rng.integers(1, size, length).tolist()
            targets = Ragged.from_lists([[*start, token] for token in range(size)])
            found = log_probs(generator, targets).reshape(size, -1)[:, -1]
            assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_likelihood_is_that_of_the_samples(name: str) -> None:
    """Over many samples -log p has the mean and the spread that the exact distribution gives it."""
    generator, _ = trained(name, "fixed")
    size, length = CORPORA["fixed"].vocab.size, 4
    every = [list(ids) for ids in itertools.product(range(size), repeat=length)]
    log_p = log_probs(generator, Ragged.from_lists(every)).reshape(-1, length).sum(1)
    drawn = draw(generator, 6000, seed=fresh_seed())
    places = drawn.flat.reshape(-1, length).astype(np.int64) @ size ** np.arange(length - 1, -1, -1)
    counts, expected = np.bincount(places, minlength=size**length), 6000 * np.exp(log_p)
    common = expected >= 5
    pooled = np.append(expected[common], expected[~common].sum())
    seen = np.append(counts[common], counts[~common].sum())
    keep = pooled > 1e-9
    statistic = ((seen - pooled)[keep] ** 2 / pooled[keep]).sum()
    freedom = int(keep.sum()) - 1
    assert statistic < freedom + 6 * np.sqrt(2 * freedom) + 20, (statistic, freedom)


@pytest.mark.parametrize("name", METHODS)
def test_likelihood_depends_on_no_neighbour(name: str) -> None:
    generator, _ = trained(name, "varied")
    targets = CORPORA["varied"].splits["test"].targets
    together = log_probs(generator, targets)
    assert together.shape == targets.flat.shape
    assert (together <= 0).all()
    for i in (0, 3, len(targets) - 1):
        alone = log_probs(generator, targets.take(np.array([i])))
        part = together[targets.offsets[i] : targets.offsets[i + 1]]
        np.testing.assert_allclose(alone, part, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", METHODS)
def test_saved_and_loaded_it_is_the_same_model(name: str, kind: str, tmp_path: Path) -> None:
    generator, _ = trained(name, kind)
    save_weights(tmp_path / "weights.safetensors", generator)
    before = torch.get_rng_state()
    loaded: Any = method(name).build(CORPORA[kind])
    assert torch.equal(before, torch.get_rng_state()), "build used torch's global stream"
    loaded.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert same(draw(generator, 100), draw(loaded, 100))
    targets = CORPORA[kind].splits["test"].targets
    np.testing.assert_allclose(log_probs(generator, targets), log_probs(loaded, targets), atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_training_repeats_and_goes_on_after_an_interruption(name: str) -> None:
    corpus = CORPORA["varied"]
    generator, run = trained(name, "varied")
    numbers = np.random.get_state()[1].tolist()  # noqa: NPY002 - the global state must not move
    assert equal_weights(generator, method(name).fit(corpus, FakeRun(save=False)))
    rng = np.random.default_rng(fresh_seed())
    for place in rng.integers(1, run.safe_points + 1, size=2) if run.safe_points else ():
        saved = Saved()
        with pytest.raises(Interrupted):
            method(name).fit(corpus, FakeRun(saved=saved, stop_at=int(place), save=False))
        assert equal_weights(generator, method(name).fit(corpus, FakeRun(saved=saved))), f"stopped at {place}"
    assert np.random.get_state()[1].tolist() == numbers  # noqa: NPY002


@pytest.mark.parametrize("name", METHODS)
def test_what_the_harness_reads_of_a_method(name: str) -> None:
    made = method(name)
    assert made.name == name
    assert made.summary
    assert made.source
    assert pickle.loads(pickle.dumps(made.config)) == made.config
    assert made.track() == "scratch"
    for budget in ("smoke", "small", "paper"):
        for task in ("poetry", "speech", "captions", "oracle"):
            made.Config.model_validate(made.preset(budget, task, "free"))
    reason = made.supports(CORPORA["pairs"])
    assert reason is None or len(reason) > 10
    if made.adversarial:
        run = trained(name, "varied")[1]
        assert set(run.saved.snapshots), "no stage before the adversarial one was kept"
        assert any("pretrain" not in line["stage"] for line in run.saved.log)


@pytest.mark.parametrize("name", sorted(baselines.BUILTIN))
def test_it_has_a_page(name: str) -> None:
    root = Path(__file__).parents[2]
    page = root / "docs" / "methods" / f"{home(name)}.md"
    assert page.is_file()
    heads = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert any("| ours" in line for line in heads), "paper | official code | ours | why"


def test_a_corpus_of_letters_is_what_it_says() -> None:
    for kind in KINDS:
        corpus = CORPORA[kind]
        assert isinstance(corpus, Corpus)
        assert corpus.vocab.size == 6
