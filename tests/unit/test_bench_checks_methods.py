"""Each check of a method catches what it is for: one small method, broken in one place at a time."""

from __future__ import annotations

import contextlib
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import Field

from baselines.base import BaselineConfig, CannotDecode, NotTractable
from bench.checks.core import TooSlow
from bench.checks.methods import CHECKS, outcome
from bench.checks.trial import Trial
from bench.plugins import load_things
from tasks.base import Ragged
from tests.fresh import fresh_seed

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "my_method_repo" / "my_method.py"
MyMethod: Any = load_things(str(EXAMPLE)).methods["my_method"]
Bigrams: Any = sys.modules[MyMethod.__module__].Bigrams
STEPS = {"steps": 30}


def with_net(net: type) -> type:
    """The method, with another generator."""

    class Other(MyMethod):  # type: ignore[misc]
        def build(self, corpus):
            return net(corpus)

    return Other


class GoesOn(Bigrams):
    """Ids after the end."""

    def sample(self, n, *, temperature, rng):
        drawn = super().sample(n, temperature=temperature, rng=rng)
        if self.corpus.fixed_length:
            return drawn
        return Ragged.from_lists([[*drawn[i].tolist(), 2][: self.corpus.max_target_length] for i in range(len(drawn))])


class OneStream(Bigrams):
    """Ignores the rng that it is given."""

    def sample(self, n, *, temperature, rng):
        return super().sample(n, temperature=temperature, rng=torch.Generator().manual_seed(3))


class Lukewarm(Bigrams):
    """Samples at its own temperature."""

    def sample(self, n, *, temperature, rng):
        return super().sample(n, temperature=0.8 * temperature, rng=rng)


class NoTemperature(Bigrams):
    def sample(self, n, *, temperature, rng):
        return super().sample(n, temperature=1.0, rng=rng)


class CountsPadding(Bigrams):
    """A log-probability for each place of a padded batch."""

    def token_log_probs(self, targets, sources=None):
        lengths, flat = targets.lengths, super().token_log_probs(targets)
        padded = np.zeros((len(targets), int(lengths.max(initial=0))))
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = flat
        return padded.reshape(-1)


class NoProbabilities(Bigrams):
    def token_log_probs(self, targets, sources=None):
        return super().token_log_probs(targets) - 0.2


class DrawsCarelessly(Bigrams):
    def sample(self, n, *, temperature, rng):
        np.random.random()  # noqa: NPY002
        return super().sample(n, temperature=temperature, rng=rng)


class Forgetful(Bigrams):
    """A tensor that drawing reads and no state dict holds."""

    bonus = None

    def __getattr__(self, name):
        found = super().__getattr__(name)
        return found + self.bonus if name == "logits" and self.bonus is not None else found


class Forgets(MyMethod):  # type: ignore[misc]
    def build(self, corpus):
        return Forgetful(corpus)

    def fit(self, corpus, run):
        model = super().fit(corpus, run)
        model.bonus = torch.linspace(0.0, 2.0, corpus.vocab.size)
        return model


class SameForAllSeeds(MyMethod):  # type: ignore[misc]
    def fit(self, corpus, run):
        streams: dict[str, torch.Generator] = {}
        run.rng = lambda purpose: streams.setdefault(purpose, torch.Generator().manual_seed(0))
        resume, streams_of = run.resume, run._streams
        run.resume = lambda: [resume(), streams.update(streams_of)][0]
        run._streams = streams
        return super().fit(corpus, run)


class Unrepeatable(MyMethod):  # type: ignore[misc]
    def fit(self, corpus, run):
        model = super().fit(corpus, run)
        model.logits.data[0, 0] += time.perf_counter() % 1
        return model


class NewOptimiser(MyMethod):  # type: ignore[misc]
    """Goes on with the weights, but with an optimiser that has forgotten its moments."""

    def fit(self, corpus, run):
        resume = run.resume

        def state():
            found = resume()
            if found:
                found["optimiser"]["state"] = {}
            return found

        run.resume = state
        return super().fit(corpus, run)


class Deaf(MyMethod):  # type: ignore[misc]
    """Doesn't stop when asked to."""

    def fit(self, corpus, run):
        checkpoint = run.checkpoint

        def swallowed(state):
            with contextlib.suppress(Exception):
                checkpoint(state)

        run.checkpoint = swallowed
        return super().fit(corpus, run)


class NoSafePoint(MyMethod):  # type: ignore[misc]
    def fit(self, corpus, run):
        run.checkpoint = lambda state: None
        return super().fit(corpus, run)


class StrangeState(MyMethod):  # type: ignore[misc]
    def fit(self, corpus, run):
        checkpoint = run.checkpoint
        run.checkpoint = lambda state: checkpoint(lambda: {**state(), "path": Path()})
        return super().fit(corpus, run)


class TakesAll(MyMethod):  # type: ignore[misc]
    """Says that it can read sources, and can't."""

    def supports(self, corpus):
        return None

    def build(self, corpus):
        if corpus.kind == "conditional":
            raise NotImplementedError("no sources yet")
        return super().build(corpus)


class Shy(MyMethod):  # type: ignore[misc]
    def supports(self, corpus):
        return "nothing is good enough for it"


class Wordless(MyMethod):  # type: ignore[misc]
    def supports(self, corpus):
        return None if corpus.kind == "free" else ""


class ReadsNoSource(MyMethod):  # type: ignore[misc]
    """Answers whatever the source is."""

    def supports(self, corpus):
        return None

    def build(self, corpus):
        class Answers(Bigrams):
            def generate(self, sources, *, decoding, rng):
                if decoding.method != "sample":
                    raise CannotDecode("it can only be sampled from")
                return self.sample(len(sources), temperature=decoding.temperature, rng=rng)

        return Answers(corpus)


class Unpicklable(MyMethod):  # type: ignore[misc]
    class Config(MyMethod.Config):
        schedule: Any = Field(default=lambda step: 1.0)


class Lenient(MyMethod):  # type: ignore[misc]
    class Config(MyMethod.Config, extra="ignore"):
        pass


class Vandal(MyMethod):  # type: ignore[misc]
    def fit(self, corpus, run):
        corpus.splits["valid"].targets.flat[:5] = 2
        return super().fit(corpus, run)


class Scribe(MyMethod):  # type: ignore[misc]
    def fit(self, corpus, run):
        with open(__file__ + ".log", "a") as file:
            file.write("")
        Path(__file__ + ".log").unlink()
        return super().fit(corpus, run)


class Careless(MyMethod):  # type: ignore[misc]
    def fit(self, corpus, run):
        random.random()
        return super().fit(corpus, run)


class Cheat(MyMethod):  # type: ignore[misc]
    def fit(self, corpus, run):
        assert corpus.splits["test"].targets.flat.max() > 0
        return super().fit(corpus, run)


class NoStage(MyMethod):  # type: ignore[misc]
    adversarial = True


class Announcer(MyMethod):  # type: ignore[misc]
    def pretraining(self, corpus):
        return {"never": "asked for"}


class Nameless(MyMethod):  # type: ignore[misc]
    name = "My Method"


class Typo(MyMethod):  # type: ignore[misc]
    budgets = {**MyMethod.budgets, "small": {"stepz": 3}}


class NoDecoding(MyMethod):  # type: ignore[misc]
    decodings = ("beams5",)


class LearnsNothing(MyMethod):  # type: ignore[misc]
    class Config(BaselineConfig):
        steps: int = 300
        batch: int = 64
        learning_rate: float = 0.0


BROKEN = [
    (with_net(GoesOn), {"samples-are-whole-sequences"}, r"goes on after </s>"),
    (with_net(OneStream), {"a-seed-decides-what-is-drawn"}, r"another rng draws the very same"),
    (with_net(Lukewarm), {"sampling-agrees-with-log-probabilities"}, r"chi-square \d+, bound .*look for a temperature"),
    (with_net(NoTemperature), {"temperature-decides-variety"}, r"divide the logits by `temperature`"),
    (with_net(CountsPadding), {"padding-is-never-counted"}, r"drop those of padding"),
    (with_net(NoProbabilities), {"probabilities-sum-to-one", "sampling-agrees-with-log-probabilities"}, r"sum to 0\."),
    (with_net(DrawsCarelessly), {"leaves-global-random-state-alone"}, r"drawing draws .*numpy\.random"),
    (Forgets, {"saved-and-loaded-is-the-same"}, r"hold every tensor that drawing reads"),
    (SameForAllSeeds, {"another-seed-gives-another-model"}, r"seeds 0 and 1 give the very same weights"),
    (Unrepeatable, {"training-repeats", "resume-equals-uninterrupted"}, r"one seed on varied, the weight logits"),
    (NewOptimiser, {"resume-equals-uninterrupted"}, r"the weight logits differs.*optimisers"),
    (Deaf, {"resume-equals-uninterrupted"}, r"as if nothing had been asked"),
    (NoSafePoint, {"resume-equals-uninterrupted"}, r"logs 30 steps and has no safe point"),
    (StrangeState, {"resume-equals-uninterrupted"}, r"can't be read again"),
    (TakesAll, {"supports-is-honest"}, r"takes the corpus pairs, but there NotImplementedError: no sources yet"),
    (Shy, {"supports-is-honest"}, r"refuses the corpus varied .* yet training and drawing work"),
    (Wordless, {"supports-is-honest"}, r"supports\(\) gave ''"),
    (ReadsNoSource, {"likelihood-depends-on-the-source"}, r"whatever their sources"),
    (Unpicklable, {"config-survives-pickle-and-json"}, r"can't be pickled.*chosen by its name"),
    (Lenient, {"config-refuses-typos-and-changes"}, r"a setting that it doesn't have"),
    (Vandal, {"leaves-the-corpus-as-it-was"}, r"is not what it was"),
    (Scribe, {"writes-no-file"}, r"fit wrote .*test_bench_checks_methods\.py\.log"),
    (Careless, {"leaves-global-random-state-alone"}, r"global stream of random"),
    (Cheat, {"never-reads-the-test-split"}, r"test_bench_checks_methods\.py:\d+ \(fit\)"),
    (NoStage, {"keeps-the-stage-before-the-adversarial"}, r'run\.snapshot\("pretrain"'),
    (Announcer, {"announces-its-pretraining"}, r"never asks run\.pretrained"),
    (Nameless, {"is-described"}, r"can't name cells"),
    (Typo, {"presets-are-valid"}, r"small for oracle .*Did you mean steps"),
    (NoDecoding, {"decodings-can-be-read"}, r'"beams5"'),
    (LearnsNothing, {"learns-a-toy-corpus"}, r"no better than untrained"),
]


class Echo(torch.nn.Module):
    """Answers a source with its own letters."""

    def __init__(self, corpus):
        super().__init__()
        self.corpus = corpus
        self.register_buffer("nothing", torch.zeros(1))

    def generate(self, sources, *, decoding, rng):
        if decoding.method != "greedy":
            raise CannotDecode("it has one answer for a source")
        return sources

    def token_log_probs(self, targets, sources=None):
        raise NotTractable("it says the source again, which is no distribution")


class NoEnd(Echo):
    def generate(self, sources, *, decoding, rng):
        found = super().generate(sources, decoding=decoding, rng=rng)
        return Ragged.from_lists([found[i][:-1].tolist() for i in range(len(found))])


class Turned(Echo):
    """Answers from the last source to the first."""

    def generate(self, sources, *, decoding, rng):
        return super().generate(sources, decoding=decoding, rng=rng).take(np.arange(len(sources))[::-1])


class OtherText(Echo):
    def write(self, sources, texts, *, decoding, rng):
        return ["A"] * len(sources), self.generate(sources, decoding=decoding, rng=rng)


def echo(net: type) -> type:
    class Echoes(MyMethod):  # type: ignore[misc]
        def supports(self, corpus):
            return "it answers sources" if corpus.kind == "free" else None

        def build(self, corpus):
            return net(corpus)

        def fit(self, corpus, run):
            return self.build(corpus)

    return Echoes


ON_PAIRS = [
    (Echo, set(), ""),
    (NoEnd, {"answers-are-whole-sequences"}, "ends before the length limit without </s>"),
    (Turned, {"answers-follow-their-sources"}, "in another order get other answers by greedy"),
    (OtherText, {"a-writer-gives-its-ids-as-text"}, "is not that of its ids"),
]


@pytest.mark.parametrize(("net", "names", "said"), ON_PAIRS, ids=[case[0].__name__ for case in ON_PAIRS])
def test_a_method_broken_on_pairs_fails_just_the_check_for_it(net: type, names: set[str], said: str) -> None:
    found = failures(echo(net), fresh_seed())
    assert set(found) == names, found
    assert said in " ".join(found.values())


def failures(method: type, seed: int) -> dict[str, str]:
    """Names of the checks that fail, with what they say."""
    trial = Trial(method, STEPS, seed=seed)
    found = [outcome(check, trial) for check in CHECKS]
    return {each.name: " ".join(map(str, each.failures)) for each in found if each.status == "FAIL"}


@pytest.mark.slow
@pytest.mark.parametrize(("method", "names", "said"), BROKEN, ids=[f"{i}-{b[2][:20]}" for i, b in enumerate(BROKEN)])
def test_a_broken_method_fails_just_the_check_for_it(method: type, names: set[str], said: str) -> None:
    found = failures(method, fresh_seed())
    assert set(found) == names, found
    told = " ".join(found.values()).replace("\n", " ")
    assert re.search(said, told), told
    assert all("where: " in text and "to do: " in text for text in found.values())


def test_a_right_method_keeps_every_promise() -> None:
    assert failures(MyMethod, fresh_seed()) == {}


def test_each_check_has_a_broken_method() -> None:
    assert {check.name for check in CHECKS} == {name for _, names, _ in (*BROKEN, *ON_PAIRS) for name in names}


def test_each_check_says_what_it_promises() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(30 < len(check.promise) < 300 for check in CHECKS)


def test_what_takes_too_long_says_which_settings_help() -> None:
    trial = Trial(MyMethod, {"steps": 100_000}, seconds=0.5)
    with pytest.raises(TooSlow, match=r"too slow for 0 s in all\. Give --set my_method\.steps=\.\.\."):
        trial.trained("varied")
