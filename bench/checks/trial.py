"""A method on trial: made with small settings, trained once on each toy corpus that it supports."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from baselines.base import Baseline, CannotDecode, Decoding, NotTractable, TextGenerator, Writer
from baselines.merging import merge
from bench.checks.core import Blocked, CheckFailed, NotApplicable, TooSlow, called_at, crash, place_of
from bench.checks.fakerun import FakeRun, Saved
from bench.checks.toys import conditional_corpus, counting_corpus, free_corpus
from bench.checks.watch import Seen, content, watching, with_watched_test
from bench.errors import UserError
from bench.registry import validated
from tasks.base import Corpus, Ragged

# A few letters, so that all that can be said can be counted. `varied`: lines end where they like; `fixed`: after 4.
CORPORA: Mapping[str, Callable[[], Corpus]] = {
    "varied": partial(free_corpus, 60, words=4),
    "fixed": partial(free_corpus, 60, words=4, fixed_length=4),
    "pairs": partial(conditional_corpus, 60, words=4),
    "lesson": partial(free_corpus, 400),
    "paired-lesson": partial(counting_corpus, 400),
}
FREE, PAIRS, TRIED = ("varied", "fixed"), ("pairs",), ("varied", "fixed", "pairs")
LIKE = {"lesson": "varied", "paired-lesson": "pairs"}  # supported where these are
FITS = 9  # trainings that a whole check comes to, on one corpus, about


@dataclass(frozen=True)
class Trained:
    """What a training came to."""

    generator: Any
    run: FakeRun
    seen: Seen
    changed: bool  # the corpus is no longer what it was
    seconds: float


class Trial:
    """A method with the settings it is tried with; what is trained is kept, and nobody may change it.

    Args:
        settings: over its presets `smoke` and `check`, or alone where `presets` is False.
        seed: of what is drawn at random by the checks.
        seconds: of processor time that all checks may take, or else `TooSlow`.
    """

    def __init__(
        self,
        method: type[Baseline],
        settings: Mapping[str, Any] | None = None,
        *,
        presets: bool = True,
        seed: int = 0,
        seconds: float = math.inf,
    ) -> None:
        self.method, self.settings, self.presets, self.seconds = method, dict(settings or {}), presets, seconds
        self.rng = np.random.default_rng(seed)
        self.file = inspect.getsourcefile(method) or ""
        self._corpora: dict[str, Corpus] = {}
        self._trained: dict[str, Trained | CheckFailed] = {}
        self._reasons: dict[str, str | CheckFailed | None] = {}

    @property
    def name(self) -> str:
        return str(getattr(self.method, "name", self.method.__name__))

    def corpus(self, kind: str) -> Corpus:
        """A toy corpus for the checks' own use."""
        if kind not in self._corpora:
            self._corpora[kind] = CORPORA[kind]()
        return self._corpora[kind]

    def test(self, kind: str) -> tuple[Ragged, Ragged | None]:
        """Targets of the test split, and their sources."""
        split = self.corpus(kind).splits["test"]
        return split.targets, split.sources

    def make(self, kind: str) -> Baseline:
        """The method for that corpus, untrained."""
        corpus = self.corpus(kind)
        presets: dict[str, Any] = {}
        for budget in ("smoke", "check") if self.presets else ():
            presets = merge(presets, self.method.preset(budget, corpus.task, corpus.kind))
        config: Any = validated(self.method.Config, merge(presets, self.settings), self.name)
        return self.method(config)

    def reason(self, kind: str) -> str | None:
        """What `supports` says of a corpus; a failure where that raises."""
        kind = LIKE.get(kind, kind)
        if kind not in self._reasons:
            try:
                self._reasons[kind] = self.make(kind).supports(self.corpus(kind))
            except UserError:
                raise
            except Exception as error:
                self._reasons[kind] = crash(error, "supports() gives None or a reason", self.file)
        found = self._reasons[kind]
        if isinstance(found, CheckFailed):
            raise found
        return found

    def kinds(self, wanted: Sequence[str]) -> list[str]:
        """Those of the corpora that the method supports."""
        return [kind for kind in wanted if self.reason(kind) is None]

    def run(self, seed: int = 0, saved: Saved | None = None, stop_at: int | None = None, save: bool = False) -> FakeRun:
        """A run with this trial's limit of time."""
        return FakeRun(seed, saved, stop_at, save, self.seconds / FITS)

    def fit(self, kind: str, run: FakeRun) -> Trained:
        """Trains anew, on a corpus of its own, and looks at what happens beside it.

        Raises:
            TooSlow: says which settings would help.
        """
        corpus, reads = CORPORA[kind](), list[str]()
        before, began = content(corpus), time.process_time()
        try:
            with watching(self.file) as seen:
                generator = self.make(kind).fit(with_watched_test(corpus, reads, self.file), run)
        except TooSlow as slow:
            raise TooSlow(self._too_slow(kind, str(slow))) from None
        seconds = time.process_time() - began
        seen.read_test = list(reads)  # those to come are a generator's that holds the corpus
        if seconds > run.seconds:
            raise TooSlow(self._too_slow(kind, f"one training took {seconds:.1f} s"))
        return Trained(generator, run, seen, content(corpus) != before, seconds)

    def trained(self, kind: str) -> Trained:
        """The model that most checks look at.

        Raises:
            Blocked: training fails; `supports-is-honest` says how.
        """
        if kind not in self._trained:
            try:
                trained = self.fit(kind, self.run())
                self._probe(kind, trained.generator)
                self._trained[kind] = trained
            except UserError:
                raise
            except Exception as error:
                self._trained[kind] = crash(error, "a corpus that supports() takes can be trained on", self.file)
        found = self._trained[kind]
        if isinstance(found, CheckFailed):
            raise Blocked(f"no trained model on {kind}: {found.what}") from found
        return found

    def generator(self, kind: str) -> Any:
        return self.trained(kind).generator

    def weights(self, kind: str) -> dict[str, torch.Tensor]:
        return dict(self.generator(kind).state_dict())

    def _probe(self, kind: str, generator: Any) -> None:
        """A corpus that is supported can be drawn for: one text, by any of the ways there are."""
        rng, corpus = torch.Generator().manual_seed(0), self.corpus(kind)
        if isinstance(generator, TextGenerator) and corpus.kind == "free":
            generator.sample_texts(1, temperature=1.0, rng=rng)
        elif corpus.kind == "free":
            generator.sample(1, temperature=1.0, rng=rng)
        else:
            for decoding in ("greedy", "sample@1", "beam3"):
                try:
                    self.answer(kind, generator, decoding, rows=[0])
                except CannotDecode:
                    continue
                break

    def answer(
        self, kind: str, generator: Any, decoding: str, seed: int = 5, rows: Any = None
    ) -> Ragged | list[str] | None:
        """Answers to the test split's sources, or to some of them: ids, or text of a writer that has none."""
        split, rng = self.corpus(kind).splits["test"], torch.Generator().manual_seed(seed)
        assert split.sources is not None, "asked for corpora of pairs alone"
        order = np.arange(len(split)) if rows is None else np.asarray(rows, np.int64)
        sources, how = split.sources.take(order), Decoding.parse(decoding)
        if isinstance(generator, Writer) and not hasattr(generator, "generate"):
            texts = [split.examples[int(i)].source for i in order]
            written, ids = generator.write(sources, texts, decoding=how, rng=rng)
            return written if ids is None else ids
        found: Ragged = generator.generate(sources, decoding=how, rng=rng)
        return found

    def answers(self, kind: str, generator: Any, decoding: str, seed: int = 5, rows: Any = None) -> Any:
        """As `answer`; what can't be decoded is not applicable."""
        try:
            return self.answer(kind, generator, decoding, seed, rows)
        except CannotDecode as told:
            raise NotApplicable(f"{decoding}: {in_words(str(told), 'CannotDecode', 10)}") from None

    def draw(self, generator: Any, n: int, seed: int = 5, temperature: float = 1.0) -> Any:
        """Free corpora: ids, or texts where the generator has a tokenizer of its own."""
        rng = torch.Generator().manual_seed(seed)
        if isinstance(generator, TextGenerator):
            return generator.sample_texts(n, temperature=temperature, rng=rng)
        return generator.sample(n, temperature=temperature, rng=rng)

    def drawn(self, kind: str, generator: Any, seed: int = 5, n: int = 300) -> Any:
        """Something drawn at random from a generator, on whichever corpus."""
        if self.corpus(kind).kind == "free":
            return self.draw(generator, n, seed)
        return self.answers(kind, generator, "sample@1", seed)

    def log_probs(self, generator: Any, targets: Ragged, sources: Ragged | None = None) -> Any:
        """Of each token; not applicable where there is none and the reason is in words."""
        if isinstance(generator, TextGenerator):
            raise NotApplicable("it counts likelihood in tokens of its own tokenizer")
        try:
            return np.asarray(generator.token_log_probs(targets, sources))
        except NotTractable as told:
            raise NotApplicable(in_words(str(told), "NotTractable", 20)) from None

    def _too_slow(self, kind: str, what: str) -> str:
        small = [f"--set {self.name}.{name}=..." for name, info in self.method.Config.model_fields.items()
                 if info.annotation is int and any(word in name for word in ("step", "epoch", "round"))]  # fmt: skip
        which = " ".join(small[:2]) or f"--set {self.name}.KEY=VALUE"
        return (
            f"{self.name} on the toy corpus {kind}: {what}, too slow for {self.seconds:.0f} s in all. "
            f"Give {which} for less training, a preset `check` in `budgets`, or --seconds for more time."
        )

    def place(self, *names: str) -> str:
        """Where a part of the method stands: of the class, or (`generator.sample`) of its generator."""
        owner: Any = self.method
        if names and names[0] == "generator":
            names, owner = names[1:], type(next(t for t in self._trained.values() if isinstance(t, Trained)).generator)
        return place_of(getattr(owner, names[0], owner) if names else owner)


def in_words(reason: str, name: str, least: int) -> str:
    """A reason that the table can show.

    Raises:
        CheckFailed: it is too short to be one.
    """
    if len(reason) > least:
        return reason
    raise CheckFailed(
        f'{name} was raised with "{reason}": no reason that a reader would understand',
        called_at(),
        f"the table shows it: say in words why, as {name}('one text is looked up: it is no distribution')",
    )
