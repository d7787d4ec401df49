"""Compatibility protocols: what an older code base would have printed for the same file of samples.

A protocol says which of the samples are scored, against what, and how an order without a match is treated. Each is a
set of BLEU and Self-BLEU values of orders 2 to 5 on NLTK's lower-cased words, empty lines left out. The figures that
each must give for published samples are pinned in `tests/golden`. The suite's own protocol, `gantlet-1`, is not here:
it is what the metrics do when nothing else is asked for.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from metrics.base import Material, Metric, MetricError, Score, Workspace
from metrics.bleu import Bleu, Smoothing, Weights
from metrics.self_bleu import SelfBleu

ORDERS = range(2, 6)
TOKENS = "nltk-lower"
DEFAULT = "gantlet-1"

# what a sample is compared with: the references; the other samples that are scored; all samples of the file that are
# not scored; or all samples of the file, itself among them
Against = Literal["references", "others", "rest", "file"]


@dataclass(frozen=True)
class Part:
    """One family of values.

    Attributes:
        family: `bleu` or `self-bleu`, as the values are named.
        against: see `Against`.
        first, last: only so many of the samples are scored, from that end; all where both are None.
        references: only the first so many.
    """

    family: Literal["bleu", "self-bleu"]
    against: Against = "references"
    first: int | None = None
    last: int | None = None
    references: int | None = None
    smoothing: Smoothing = "m1"
    weights: Weights = "uniform"

    def chosen(self, samples: Sequence[str]) -> slice:
        """Which of the samples are scored."""
        if self.last is not None:
            return slice(max(0, len(samples) - self.last), len(samples))
        return slice(0, len(samples) if self.first is None else self.first)

    def metric(self, name: str) -> Metric:
        if self.against == "others":
            return SelfBleu(name, self.smoothing)
        return PoolBleu(name, self.against, self.smoothing, self.weights)

    def material(self, whole: Material) -> Material:
        """The samples that are scored, and what stands for references."""
        where = self.chosen(whole.samples)
        samples = list(whole.samples[where])
        if self.against == "references":
            pool = whole.references[: self.references] if whole.references is not None else None
        elif self.against == "file":
            pool = whole.samples
        else:
            pool = [*whole.samples[: where.start], *whole.samples[where.stop :]]
        return dataclasses.replace(whole, samples=samples, references=pool, train=None)


class PoolBleu(Bleu):
    """BLEU whose pool may be the samples' own file; the signature says so."""

    def __init__(self, name: str, against: Against, smoothing: Smoothing, weights: Weights) -> None:
        super().__init__(name, smoothing, weights)
        self.against = against

    def missing(self, material: Material) -> str:
        if self.against == "rest" and material.samples and not material.references:
            return "all samples of the file are scored, so that none is left to compare them with"
        return super().missing(material)

    def fields(self, material: Material) -> dict[str, str]:
        count = len(material.references or ())
        name = {"rest": f"{count}-rest", "file": f"{count}-with-self"}.get(self.against, str(count))
        return {**super().fields(material), "refs": name}


@dataclass(frozen=True)
class Protocol:
    """A named way to score.

    Attributes:
        says: in words, what is done.
        source: whose code does it, or which paper; what it is good for.
    """

    name: str
    says: str
    source: str
    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{part.family}-{n}" for part in self.parts for n in ORDERS)

    def score(self, material: Material, names: Sequence[str] | None = None, device: str | None = None) -> list[Score]:
        """All values of the protocol, or those named; n-grams are counted on `device` (None: by NumPy).

        Raises:
            MetricError: a name that it doesn't have; or references by item, which it doesn't know.
        """
        wrong = next((name for name in names or () if name not in self.names), None)
        if wrong is not None:
            raise MetricError(f'protocol {self.name} has no metric "{wrong}"; it has {", ".join(self.names)}')
        if material.references_by_item is not None:
            raise MetricError(f"protocol {self.name} compares with one pool of references, not with each item's own")
        whole = self._read(material)
        scores = []
        for part in self.parts:
            work = Workspace(part.material(whole), device=device)
            wanted = [f"{part.family}-{n}" for n in ORDERS if names is None or f"{part.family}-{n}" in names]
            scores += [part.metric(name).score(work) for name in wanted]
        return scores

    def _read(self, material: Material) -> Material:
        """The texts as those code bases read them: without empty lines."""
        samples = [text for text in material.samples if text.strip()]
        references = material.references
        kept = None if references is None else [text for text in references if text.strip()]
        mark = {**material.protocol, "protocol": self.name}
        return dataclasses.replace(material, samples=samples, references=kept, tokens=TOKENS, protocol=mark)


def protocol(name: str) -> Protocol:
    """The compatibility protocol of that name.

    Raises:
        MetricError: unknown name.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    known = [DEFAULT, *PROTOCOLS]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    raise MetricError(f'no protocol "{name}": {hint}')


_ALL = (
    Protocol(
        "texygen-table",
        "All samples against all references; Self-BLEU of each sample against all the others.",
        "the tables printed by Texygen (Zhu et al. 2018); also what GansFallingShort and fast-bleu compute",
        (Part("bleu"), Part("self-bleu", "others")),
    ),
    Protocol(
        "texygen-fast",
        "All samples against the first 500 references; Self-BLEU of the first 500 samples, each against the other 499.",
        "Texygen's code as it is shipped (is_fast=True)",
        (Part("bleu", references=500), Part("self-bleu", "others", first=500)),
    ),
    Protocol(
        "textgan-pytorch",
        "The first 200 samples against all references; Self-BLEU of the last 200 samples against the rest of the file.",
        "TextGAN-PyTorch, which draws 200 samples for BLEU and another 200 to compare with all generated ones",
        (Part("bleu", first=200), Part("self-bleu", "rest", last=200)),
    ),
    Protocol(
        "relgan",
        "The first 100 samples against all references; Self-BLEU against all samples of the file, itself among them, "
        "which gives 1 always.",
        "RelGAN's code",
        (Part("bleu", first=100), Part("self-bleu", "file", first=100)),
    ),
    Protocol(
        "leakgan",
        "The first 2,000 samples against all references, without smoothing: an order without a match gives 0.",
        "LeakGAN's code under a current NLTK (which draws its 2,000 at random; here the first)",
        (Part("bleu", first=2000, smoothing="none"),),
    ),
    Protocol(
        "leakgan-nltk-3.2",
        "All samples against all references, without smoothing, as NLTK up to 3.2.5 had it: an order without a match "
        "is left out and the other weights stay 1/n, so BLEU-5 can exceed BLEU-4.",
        "papers of LeakGAN's time",
        (Part("bleu", smoothing="nltk-3.2"),),
    ),
    Protocol(
        "textbox",
        "All samples against all references; each order alone, not the mean over orders 1..n.",
        "TextBox, which gives NLTK one-hot weights",
        (Part("bleu", weights="single"),),
    ),
)
PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({each.name: each for each in _ALL})
