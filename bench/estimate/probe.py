"""One cell probed: its training by `Meter`, generation and scoring on shares that grow. Writes no file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from baselines.base import Generator
from baselines.decoding import Limits
from bench import generation
from bench.cell import Prepared, prepare
from bench.config import CellSpec
from bench.estimate.proberun import Pretrained, ProbeRun
from bench.estimate.profile import Profile
from bench.scoring import Likelihood, SampleSet, score_everything
from tasks.base import Corpus, Split

ENOUGH, MOST = 0.6, 3.0  # seconds of drawing from which the rest can be told, where it grows with the number; or at all
FIRST, TIMES = 16, 4  # samples of the first try, and how many times more each further one takes
LENGTHS = 10.0  # the share of lengths is believed up to so many times
GROWS = 2.5  # so many times the seconds for TIMES the samples: from there on each costs what it will

Drawn = tuple[list[SampleSet], list[Likelihood]]


@dataclass
class Known:
    """What probes of one process find out for one another.

    Attributes:
        corpora: by fingerprint.
        scoring: seconds of the first scoring and of each further item, by what is scored.
    """

    device: torch.device
    corpora: dict[str, Corpus] = field(default_factory=dict)
    pretrainings: dict[str, Pretrained] = field(default_factory=dict)
    scoring: dict[str, tuple[float, float]] = field(default_factory=dict)


def probe(
    spec: CellSpec, known: Known, limit: float, tell: Callable[[Profile], None], alive: Callable[[], None]
) -> Profile:
    """Seconds of a cell's parts but its start.

    Args:
        limit: of its training, and of each shared pre-training; drawing and scoring end by themselves.
        tell: hears what is known already, in case that this process is ended before the rest.
        alive: is called when a part of it is over.
    """
    wall, processor = time.monotonic(), time.process_time()
    prepared = prepare(spec, known.corpora.get(spec.fingerprint))
    known.corpora[spec.fingerprint] = prepared.corpus
    profile, generator, stages = Profile("probed", unknown="drawing and scoring were not reached"), None, ["final"]
    if prepared.baseline is not None:
        if prepared.baseline.supports(prepared.corpus) is not None:
            return Profile("probed")
        run = ProbeRun(spec.config, known.device, limit, known.pretrainings, alive)
        fit = prepared.baseline.fit
        trained, seconds = run.through(lambda: fit(prepared.corpus, run))
        profile = replace(profile, fit=seconds, shared=tuple(run.used.values()))
        stages += run.stages
        tell(profile if not run.unfinished else replace(profile, unknown=run.unfinished))
        generator = trained or _untrained(prepared, known.device)
        profile = replace(profile, unknown=run.unfinished)
    generate, score = _drawn_and_scored(prepared, generator, stages, known)
    busy = (time.process_time() - processor) / max(1e-6, time.monotonic() - wall)
    unknown = "" if prepared.baseline is None else profile.unknown
    return replace(profile, generate=generate, score=score, unknown=unknown, busy=round(min(1.0, busy), 3))


def _untrained(prepared: Prepared, device: torch.device) -> Generator:
    assert prepared.baseline is not None
    generator = prepared.baseline.build(prepared.corpus)
    return generator.to(device) if isinstance(generator, torch.nn.Module) else generator


def _drawn_and_scored(
    prepared: Prepared, generator: Generator | None, stages: Sequence[str], known: Known
) -> tuple[float, float]:
    corpus, spec = prepared.corpus, prepared.spec
    end_like_targets(generator, corpus)
    samples, lines = _sizes(corpus, spec)
    tried: list[tuple[int, float, float]] = []  # samples, seconds of drawing them, of their likelihoods
    sets: list[Drawn] = []
    n = min(FIRST, samples)
    _draw(prepared, generator, stages, min(4, n))  # the first draw pays for what later ones find ready
    once = 0.0
    while True:
        drawn, drawing, likelihood = _draw(prepared, generator, stages, n)
        if tried and drawing > TIMES * tried[-1][1]:  # something was made ready only now, as a dictionary of rare words
            began = drawing
            drawn, drawing, likelihood = _draw(prepared, generator, stages, n)
            once += max(0.0, began - drawing)
        tried.append((n, drawing, likelihood))
        sets.append(drawn)
        if n >= samples or _enough([seconds + more for _, seconds, more in tried]):
            break
        n = min(n * TIMES, samples)
    generate = extended([(size, seconds) for size, seconds, _ in tried], samples) * length_share(corpus, sets[-1][0])
    generate += once
    generate += extended([(size, seconds) for size, _, seconds in tried], lines) if lines else 0.0
    return generate, _scored(prepared, sets, [size for size, *_ in tried], samples, known)


def end_like_targets(generator: Generator | None, corpus: Corpus) -> None:
    """Bounds what is drawn by the length that nine of ten targets keep within.

    A model trained for seconds may not have learned to end, and its beam search goes on to the last.
    """
    limits = getattr(generator, "limits", None)
    if generator is not None and isinstance(limits, Limits) and corpus.fixed_length is None:
        usual = int(np.ceil(np.quantile(corpus.splits["test"].targets.lengths, 0.9)))
        generator.limits = replace(limits, max_length=min(limits.max_length, usual))  # type: ignore[attr-defined]


def length_share(corpus: Corpus, drawn: Sequence[SampleSet]) -> float:
    """Tokens of the targets for each token drawn, 1 at most.

    A model trained for seconds that hasn't learned to end writes more than it will. Of one that ends at once nothing
    follows: a beam search takes its time all the same.
    """
    known = [(one.ids, corpus.splits[one.split].targets) for one in drawn if one.ids is not None]
    own = sum(len(ids.flat) for ids, _ in known)
    theirs = sum(len(ids) * float(targets.lengths.mean()) for ids, targets in known)
    return min(max(theirs / own, 1 / LENGTHS), 1.0) if own and theirs else 1.0


def _enough(seconds: Sequence[float]) -> bool:
    """Whether the last try took long enough for the rest to be told: methods that draw many at once start out dear."""
    if len(seconds) > 1 and seconds[-1] > ENOUGH and seconds[-1] >= GROWS * seconds[-2]:
        return True
    return seconds[-1] > MOST


def _sizes(corpus: Corpus, spec: CellSpec) -> tuple[int, int]:
    """How many samples a decoding draws, and how many lines have their likelihood taken; of all test splits."""
    lines = sum(len(corpus.splits[name]) for name in generation.test_splits(corpus))
    return (generation.sample_count(corpus, spec.samples), lines) if corpus.kind == "free" else (lines, lines)


def _draw(prepared: Prepared, generator: Generator | None, stages: Sequence[str], n: int) -> tuple[Drawn, float, float]:
    """The first `n` of everything that the cell draws, with the seconds of samples and of likelihoods."""
    began, spec = time.monotonic(), prepared.spec.model_copy(update={"samples": n})
    corpus = first(prepared.corpus, n)
    if generator is None:
        drawn = generation.reference_row(spec.baseline, corpus, spec)
        return drawn, time.monotonic() - began, 0.0
    sets: list[SampleSet] = []
    exact: list[Likelihood] = []
    drawing = 0.0
    for stage in stages:
        before = time.monotonic()
        sets += generation.draw(prepared.task, corpus, spec, generator, stage, lambda *_: None)[0]
        drawing += time.monotonic() - before
        exact += generation.likelihoods(corpus, generator, stage)
    return (sets, exact), drawing, time.monotonic() - began - drawing


def _scored(prepared: Prepared, sets: Sequence[Drawn], sizes: Sequence[int], samples: int, known: Known) -> float:
    """Seconds of scoring all: the first share pays for the references, two sizes tell what an item takes."""
    layout = str([prepared.spec.task, *((one.stage, one.split, one.decoding) for one in sets[0][0])])
    if layout not in known.scoring:
        few, many = (0, len(sets) - 1) if len(sets) > 1 else (0, 0)
        begun, again, more = (_score(prepared, sets[place], sizes[place]) for place in (few, few, many))
        item = max(0.0, more - again) / (sizes[many] - sizes[few]) if many != few else again / sizes[few]
        known.scoring[layout] = begun - item * sizes[few], item
    fixed, item = known.scoring[layout]
    return max(0.0, fixed + item * samples)


def _score(prepared: Prepared, drawn: Drawn, n: int) -> float:
    began = time.monotonic()
    corpus = prepared.corpus if prepared.corpus.kind == "free" else first(prepared.corpus, n)
    exact = [replace(one, sums=one.sums[:n], tokens=one.tokens[:n]) for one in drawn[1]]
    score_everything(prepared.task, corpus, drawn[0], exact, prepared.spec)
    return time.monotonic() - began


def first(corpus: Corpus, n: int) -> Corpus:
    """The corpus with the first `n` lines of its test splits."""
    tests = generation.test_splits(corpus)
    splits = {name: cut(split, n) if name in tests else split for name, split in corpus.splits.items()}
    return replace(corpus, splits=splits)


def cut(split: Split, n: int) -> Split:
    rows = np.arange(min(n, len(split)))
    sources = None if split.sources is None else split.sources.take(rows)
    return Split(split.examples[: len(rows)], split.targets.take(rows), sources)


def extended(tried: Sequence[tuple[int, float]], n: int) -> float:
    """Seconds of `n`, from those of the sizes tried: along the line through the last two, or in proportion."""
    size, seconds = tried[-1]
    if n <= size:
        return seconds * n / size
    if len(tried) > 1 and seconds > tried[-2][1] and size > tried[-2][0]:
        return seconds + (n - size) * (seconds - tried[-2][1]) / (size - tried[-2][0])
    return seconds * n / size
