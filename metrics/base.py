"""What a metric is given and gives back.

A metric is pure: text (or log-probabilities) in, one row of sufficient statistics an item out, and a reduction of their
sum to the value. So any interval or paired test is a resample and a sum. No metric holds state, draws random numbers,
downloads, or knows a model. A value that can't be computed is NaN with a reason, never 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
import numpy.typing as npt

from metrics.signature import join

Floats = npt.NDArray[np.float64]
Shared = TypeVar("Shared")


class MetricError(Exception):
    """Something that can't be scored as asked; one line with the remedy. Shown without a traceback."""


@dataclass(frozen=True)
class LogProbs:
    """Per item: the sum of the natural log-probabilities of its tokens, and how many tokens that is (padding never).

    Attributes:
        vocabulary: hash of the vocabulary, or of the oracle; over different ones, likelihoods can't be compared.
        split: which texts were scored.
    """

    sums: Floats
    tokens: npt.NDArray[np.int64]
    vocabulary: str
    split: str = "test"

    def __post_init__(self) -> None:
        if len(self.sums) != len(self.tokens):
            raise MetricError(f"log-probabilities of {len(self.sums)} items, but token counts of {len(self.tokens)}")


@dataclass(frozen=True)
class Material:
    """All that can be scored; a metric takes what it needs.

    Attributes:
        samples: generated texts, one an item.
        references: free tasks: the pool, the same for every item. Conditional tasks: see `references_by_item`.
        references_by_item: conditional tasks: the accepted answers of each item; goes before `references`.
        train: training texts (targets), for novelty.
        tokens: how text is cut into tokens: a name that `metrics.tokenize.tokenizer` knows.
        log_probs: of the *test targets* under the model.
        oracle_log_probs: of the *samples* under the oracle.
        sources: conditional tasks: what each item answers, as one or more texts (turns of a dialogue; an article).
        sweep: free tasks: samples by temperature, as many at each, as {"0.7": [...], "1": [...]}.
        real: free tasks: held-out text that is not among the references, as many as there are samples.
        protocol: signature fields that every score of these samples carries, in order, as {"T": "1", "data": "..."}.

    Raises:
        MetricError: samples and references that don't belong together.
    """

    samples: Sequence[str] = ()
    references: Sequence[str] | None = None
    references_by_item: Sequence[Sequence[str]] | None = None
    train: Sequence[str] | None = None
    tokens: str = "word-lower"
    log_probs: LogProbs | None = None
    oracle_log_probs: LogProbs | None = None
    sources: Sequence[Sequence[str]] | None = None
    sweep: Mapping[str, Sequence[str]] | None = None
    real: Sequence[str] | None = None
    protocol: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("samples", "references", "references_by_item", "train", "real"):
            if isinstance(getattr(self, name), str):
                raise MetricError(f"{name} is one text where a list of texts is asked: put it in a list")
        for name, what in (("references_by_item", "references"), ("sources", "sources")):
            items = getattr(self, name)
            if items is None:
                continue
            if self.samples and len(items) != len(self.samples):
                raise MetricError(
                    f"{len(self.samples)} samples, but {what} for {len(items)} items: "
                    "the same place in both must be the same item"
                )
            wrong = next((i for i, item in enumerate(items) if isinstance(item, str)), None)
            if wrong is not None:
                raise MetricError(f"{name}[{wrong}] is one text where a list of texts is asked: put it in a list")


class Workspace:
    """One material, and what its metrics have in common: each such thing is computed when first asked for.

    It lives as long as one scoring; nothing outlasts it. Where and by how many processes a value is found is no part of
    the material, since it can't change the value.

    Attributes:
        asked: the metrics it is made for, where that is known: what a family can find at one go.
        device: where n-grams are counted, as torch names it; None is NumPy.
        workers: processes that a slow metric may use.
    """

    def __init__(
        self, material: Material, asked: Sequence[str] = (), *, device: str | None = None, workers: int = 1
    ) -> None:
        self.material = material
        self.asked, self.device, self.workers = tuple(asked), device, workers
        self._kept: dict[Callable[..., Any], Any] = {}

    def beside(self, material: Material) -> Workspace:
        """A workspace for other material, on the same device and with as many processes."""
        return Workspace(material, device=self.device, workers=self.workers)

    def shared(self, compute: Callable[[Workspace], Shared]) -> Shared:
        """What `compute(self)` gives, computed once."""
        if compute not in self._kept:
            self._kept[compute] = compute(self)
        return cast(Shared, self._kept[compute])


@dataclass(frozen=True)
class Score:
    """One number with everything that says what it measures.

    Attributes:
        n: items it was computed from.
        higher_is_better: None where neither end is good and the distance to real text counts.
        stats: [items, k] sufficient statistics, or None where the value is not a function of sums over items.
        reason: why the value is NaN, else empty.
    """

    metric: str
    value: float
    n: int
    higher_is_better: bool | None
    signature: str
    stats: Floats | None = None
    reason: str = ""


class Metric(ABC):
    """One metric, or one member of a family that differs by n-gram order; each member gives its own `Score`.

    Attributes:
        name: as the registry and the tables have it, as `bleu-2`.
        higher_is_better: None where neither end is good and the distance to real text counts.
        version: goes up whenever a value would change; it stands in the signature.
        needs: the fields of `Material` it can't do without.
        summary: what the value is, in a few words.
        limits: smallest and largest value there can be.
        human: of text by people, where neither end is good and the definition says it; NaN where it has to be measured.
        unit: of the value; empty for a plain ratio.
        source: who defined it.
        blind: what it can't see.
    """

    version: ClassVar[int] = 1
    higher_is_better: ClassVar[bool | None] = None
    needs: ClassVar[frozenset[str]] = frozenset({"samples"})
    summary: ClassVar[str] = ""
    limits: ClassVar[tuple[float, float]] = (0.0, 1.0)
    human: ClassVar[float] = math.nan
    unit: ClassVar[str] = ""
    source: ClassVar[str] = ""
    blind: ClassVar[str] = ""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def per_item(self, work: Workspace) -> Floats:
        """Sufficient statistics [items, k]."""

    @abstractmethod
    def reduce(self, sums: Floats) -> Floats:
        """Values [...] from sums of statistics [..., k]."""

    @abstractmethod
    def fields(self, material: Material) -> dict[str, str]:
        """The metric's own signature fields, in order."""

    def direction(self, material: Material) -> bool | None:  # noqa: ARG002 - some metrics' depends on the material
        """`higher_is_better` for this material."""
        return self.higher_is_better

    def score(self, work: Workspace | Material) -> Score:
        """The value with its signature; NaN with a reason where something needed is missing."""
        work = work if isinstance(work, Workspace) else Workspace(work)
        missing = self.missing(work.material)
        if missing:
            return self._score(work, float("nan"), 0, None, missing)
        stats = self.per_item(work)
        value = float(self.reduce(stats.sum(axis=0)))
        reason = "" if np.isfinite(value) else self.undefined(work)
        return self._score(work, value, len(stats), stats, reason)

    def missing(self, material: Material) -> str:
        """What `needs` asks for and the material lacks, in words; empty if nothing."""
        for need in sorted(self.needs):
            value = getattr(material, need)
            if value is None:
                return f"no {need.replace('_', ' ')} given"
            if isinstance(value, Sequence | Mapping) and len(value) == 0:
                return f"{need.replace('_', ' ')}: empty"
        return ""

    def undefined(self, work: Workspace) -> str:  # noqa: ARG002 - some metrics can say more
        """Why a computed value is not a number."""
        return "undefined for this input"

    def signature(self, material: Material) -> str:
        """`name|key:value|...|v:1`, in the manner of sacreBLEU."""
        return join(self.name, {**self.fields(material), **material.protocol, "v": str(self.version)})

    def _score(self, work: Workspace, value: float, n: int, stats: Floats | None, reason: str) -> Score:
        material = work.material
        value = float("nan") if reason else value
        return Score(self.name, value, n, self.direction(material), self.signature(material), stats, reason)


class MeanMetric(Metric):
    """A metric that is the plain mean of one value an item; its statistics are (value, 1)."""

    @abstractmethod
    def values(self, work: Workspace) -> Floats:
        """One value an item: [items]."""

    def per_item(self, work: Workspace) -> Floats:
        values = self.values(work)
        return np.stack([values, np.ones_like(values)], axis=1)

    def reduce(self, sums: Floats) -> Floats:
        return ratio(sums)


class WholeMetric(Metric):
    """A metric of the whole set of samples that no sum over items gives: no statistics, no interval over items."""

    @abstractmethod
    def value(self, work: Workspace) -> float:
        """The value; NaN where it is undefined (`undefined` says why)."""

    def per_item(self, work: Workspace) -> Floats:  # noqa: ARG002
        raise MetricError(f"{self.name} is a property of the whole set of samples: it has no value an item")

    def reduce(self, sums: Floats) -> Floats:  # noqa: ARG002
        raise MetricError(f"{self.name} is a property of the whole set of samples: no sum over items gives it")

    def score(self, work: Workspace | Material) -> Score:
        work = work if isinstance(work, Workspace) else Workspace(work)
        missing = self.missing(work.material)
        if missing:
            return self._score(work, float("nan"), 0, None, missing)
        value = self.value(work)
        reason = "" if np.isfinite(value) else self.undefined(work)
        return self._score(work, value, len(work.material.samples), None, reason)


def ratio(sums: Floats) -> Floats:
    """First statistic over second, [..., 2] -> [...]; NaN where there is nothing to divide by."""
    top, bottom = np.asarray(sums, dtype=np.float64)[..., 0], np.asarray(sums, dtype=np.float64)[..., 1]
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)
