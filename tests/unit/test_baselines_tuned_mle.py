"""The search: what is tried, by what it is judged, that a trial is trained once, and that sizes travel with weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import Decoding, Diverged
from baselines.merging import merge
from baselines.mle import MLE
from baselines.training.mle import MLE_BUDGETS, MLEConfig, pretraining_spec
from baselines.tuned_mle import ResizedGenerator, TunedMLE, TunedMLEConfig, draw_settings
from tests.fakes import FakeRun, Interrupted, Saved
from tests.toys import conditional_corpus, free_corpus

TINY: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 8, "hidden": 8, "encoder": 6, "attention": 6, "readout": 8, "dropout": 0.2},
        "epochs": 2,
        "learning_rate": 1e-2,
    },
    "trials": 3,
    "heat": 0.5,
}
CORPORA = {"free": free_corpus(60), "fixed": free_corpus(60, fixed_length=5), "conditional": conditional_corpus(60)}


def tiny(**settings: Any) -> TunedMLE:
    return TunedMLE(TunedMLEConfig.model_validate(merge(TINY, settings)))


def lines(run: FakeRun, stage: str) -> list[dict[str, Any]]:
    return [line for line in run.saved.log if line["stage"] == stage]


def test_settings_are_the_presets_and_distinct_ones_around_it() -> None:
    config = tiny(trials=50).config
    found = draw_settings(config, torch.Generator().manual_seed(3))
    assert found == draw_settings(config, torch.Generator().manual_seed(3))
    assert found != draw_settings(config, torch.Generator().manual_seed(4))
    assert found[0] == config.mle
    assert len(set(found)) == len(found) == 50
    for one in found:
        assert one.net.hidden == one.net.embedding in (4, 6, 8, 12, 16)  # one width for all sizes
        assert 0 <= one.net.dropout <= 0.4
        assert 0.3 < one.learning_rate / config.mle.learning_rate < 3.1
        same = {"net": config.mle.net, "learning_rate": config.mle.learning_rate}
        assert one.model_copy(update=same) == config.mle  # nothing else is searched
    for part in (lambda one: one.net.hidden, lambda one: one.net.dropout, lambda one: one.learning_rate):
        assert len({part(one) for one in found}) == 5


def test_there_are_no_more_trials_than_settings() -> None:
    config = tiny(widths=(1.0,), dropouts=(0.0, 0.1), rates=(1.0,), trials=9).config
    assert len(draw_settings(config, torch.Generator())) == 2
    assert draw_settings(tiny(trials=1).config, torch.Generator()) == [tiny().config.mle]


def test_the_first_trial_is_the_shared_checkpoint() -> None:
    corpus, run = CORPORA["free"], FakeRun()
    method = tiny(trials=1)
    tuned = method.fit(corpus, run)
    assert run.saved.trainings == 1
    mle = MLE(method.config.mle).fit(corpus, run)
    assert run.saved.trainings == 1
    assert all(torch.equal(tuned.state_dict()[name], value) for name, value in mle.state_dict().items())
    assert method.pretraining(corpus) == pretraining_spec(corpus, method.config.mle)


@pytest.mark.parametrize(("heat", "trials", "trainings"), [(1.0, 4, 4), (0.5, 4, 3 + 2), (0.5, 2, 2)])
def test_only_the_best_of_the_heat_is_trained_in_full(heat: float, trials: int, trainings: int) -> None:
    run = FakeRun(save=False)
    generator = tiny(heat=heat, trials=trials).fit(CORPORA["free"], run)
    assert run.saved.trainings == trainings
    heats, finals = lines(run, "heat"), lines(run, "search")
    if heats:
        assert [line["step"] for line in heats] == [1, 2, 3]
        assert {line["epochs"] for line in heats} == {1}
        best = min(heats, key=lambda line: line["valid_nll"])["step"]
        assert [line["step"] for line in finals] == [0, best]
    else:
        assert [line["step"] for line in finals] == list(range(trials))
    assert {line["epochs"] for line in finals} == {2}
    kept = -generator.token_log_probs(CORPORA["free"].splits["valid"].targets).mean()
    assert kept == pytest.approx(min(line["valid_nll"] for line in finals), rel=1e-9)
    assert {"embedding", "hidden", "dropout", "learning_rate"} <= set(finals[0])


@pytest.mark.parametrize("kind", CORPORA)
def test_a_network_of_another_size_is_made_anew_from_its_weights(kind: str) -> None:
    corpus = CORPORA[kind]
    method = tiny(widths=(0.5, 2.0), dropouts=(0.0,), rates=(3.0,), trials=3)
    trained = method.fit(corpus, FakeRun(save=False))
    assert trained.net.output.weight.shape[1] == 16
    loaded = method.build(corpus)
    assert loaded.net.output.weight.shape[1] == 8
    before = torch.get_rng_state()
    loaded.load_state_dict({name: value.clone() for name, value in trained.state_dict().items()})
    assert torch.equal(before, torch.get_rng_state())
    test = corpus.splits["test"]
    assert np.array_equal(
        loaded.token_log_probs(test.targets, test.sources), trained.token_log_probs(test.targets, test.sources)
    )
    draws = []
    for one in (loaded, trained):
        rng = torch.Generator().manual_seed(0)
        if test.sources is None:
            draws.append(one.sample(20, rng=rng))
        else:
            draws.append(one.generate(test.sources, decoding=Decoding("sample"), rng=rng))
    assert np.array_equal(draws[0].flat, draws[1].flat)


def test_weights_of_a_size_that_was_not_searched_are_refused() -> None:
    stranger = tiny(mle={"net": {"hidden": 9}}).build(CORPORA["free"])
    with pytest.raises(RuntimeError, match="size mismatch"):
        tiny().build(CORPORA["free"]).load_state_dict(stranger.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["free", "conditional"])
def test_interrupted_anywhere_it_ends_the_same_and_trains_nothing_twice(kind: str) -> None:
    corpus, whole = CORPORA[kind], FakeRun(save=False)
    expected = tiny().fit(corpus, whole).state_dict()
    for place in (1, whole.safe_points // 2, whole.safe_points):
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny().fit(corpus, FakeRun(saved=saved, stop_at=place, save=False))
        saved.log.clear()  # as a run begins its log anew that has no state of its own
        resumed = tiny().fit(corpus, FakeRun(saved=saved, save=False)).state_dict()
        assert expected.keys() == resumed.keys()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert saved.trainings == whole.saved.trainings
        assert saved.log == whole.saved.log


def test_the_search_never_reads_test() -> None:
    corpus = CORPORA["free"]
    changed = dataclasses.replace(corpus, splits={**corpus.splits, "test": free_corpus(60, seed=7).splits["test"]})
    first, second = (tiny().fit(c, FakeRun()).state_dict() for c in (corpus, changed))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("heat", [0.5, 1.0])
def test_a_trial_that_diverges_is_lost_and_the_search_goes_on(heat: float) -> None:
    corpus, run = CORPORA["free"], FakeRun(save=False)
    tuned = tiny(heat=heat, rates=(1e38,), mle={"clip": 1e30}).fit(corpus, run)
    assert any("diverged" in line for line in run.saved.log)
    preset = MLE(tiny(mle={"clip": 1e30}).config.mle).fit(corpus, run)
    assert all(torch.equal(tuned.state_dict()[name], value) for name, value in preset.state_dict().items())


def test_where_the_preset_diverges_so_does_the_run() -> None:
    with pytest.raises(Diverged):
        tiny(mle={"learning_rate": 1e38, "clip": 1e30}).fit(CORPORA["free"], FakeRun(save=False))


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize(
    ("task", "kind"),
    [("oracle", "free"), ("poetry", "free"), ("speech", "free"), ("captions", "free")]
    + [(task, "conditional") for task in ("translation", "summarization", "dialogue")],
)
def test_presets_are_valid_and_tied_networks_stay_tied(budget: str, task: str, kind: str) -> None:
    config = TunedMLEConfig.model_validate(TunedMLE.preset(budget, task, kind))
    mle: dict[str, Any] = {}
    for key in (budget, f"{budget}/{kind}", f"{budget}/{task}"):
        mle = merge(mle, MLE_BUDGETS.get(key, {}))
    assert config.mle == MLEConfig.model_validate(mle)
    for one in draw_settings(config, torch.Generator().manual_seed(0)):
        if one.net.tied:
            assert one.net.embedding == (one.net.hidden if kind == "free" else one.net.readout)
    assert config.trials == (3 if budget == "smoke" else 4)


@pytest.mark.slow
def test_it_beats_a_preset_that_learns_too_slowly() -> None:
    """On test, which the search did not see."""
    corpus, run = free_corpus(400), FakeRun(save=False)
    settings = {
        "mle": {"net": {"embedding": 16, "hidden": 16}, "epochs": 4, "learning_rate": 1e-3},
        "rates": (0.3, 1.0, 10.0),
        "trials": 6,
        "heat": 0.5,
    }
    method = TunedMLE(TunedMLEConfig.model_validate(settings))
    tuned, plain = method.fit(corpus, run), MLE(method.config.mle).fit(corpus, run)
    test = corpus.splits["test"].targets
    assert isinstance(tuned, ResizedGenerator)
    assert tuned.token_log_probs(test).mean() > plain.token_log_probs(test).mean() + 0.3
