"""The quality-diversity frontier over temperatures (Caccia et al. 2020, Language GANs Falling Short).

One temperature trades quality for diversity, so one point of a model says little: a method is its whole curve, and so
is the language model it is compared with. A point is (BLEU-n against held-out text, Self-BLEU-n); real text of the same
size is a point of the same plane. Two numbers say where a curve lies:

- distance: how near the curve, as a line through its points in the order of temperature, comes to the real point;
- area: the share of the real point's quality and diversity that the curve dominates at once. With quality q = BLEU and
  diversity d = 1 - Self-BLEU, both cut at the real text's (more than real is no gain), it is the area of all (q', d')
  with q' <= q and d' <= d for some point of the curve (the hypervolume of Zitzler and Thiele 1999), over that of the
  real point.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from metrics.base import Floats, Material, Metric, Workspace
from metrics.bleu import reference_matches, sentence_bleu
from metrics.ngrams import Matches
from metrics.self_bleu import self_matches
from metrics.tokenize import canonical


class Frontier(Metric):
    """What the two have in common: per item (BLEU, Self-BLEU) of the real text and of each temperature, and 1.

    Row i holds the i-th real text and the i-th sample of every temperature. These have nothing to do with each other,
    so that drawing rows anew draws each set anew.
    """

    needs = frozenset({"sweep", "real", "references"})
    source = "Caccia et al. 2020; one point a temperature"
    blind = "anything beyond n words; what lies between the temperatures; sense"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.n = int(name.rpartition("-")[2])

    def missing(self, material: Material) -> str:
        found = super().missing(material)
        if found:
            return found
        sizes = {len(texts) for texts in self._sets(material)}
        if len(sizes) > 1:
            return f"real text and samples differ in number ({', '.join(map(str, sorted(sizes)))})"
        return "one sample has no others" if sizes == {1} else ""

    def _sets(self, material: Material) -> list[list[str]]:
        """Real text first."""
        assert material.real is not None, "`needs` asks for it"
        assert material.sweep is not None, "`needs` asks for it"
        return [list(material.real), *(list(texts) for texts in material.sweep.values())]

    def per_item(self, work: Workspace) -> Floats:
        pairs = work.shared(all_matches)
        columns = [sentence_bleu(matches, self.n) for pair in pairs for matches in pair]
        return np.stack([*columns, np.ones(len(columns[0]))], axis=1)

    def fields(self, material: Material) -> dict[str, str]:
        sweep = material.sweep or {}
        temperatures = ",".join(sweep)
        return {
            "n": str(self.n),
            "axes": "bleu,self-bleu",
            **({"T": temperatures} if temperatures else {}),
            "hyps": str(max(map(len, sweep.values()), default=0)),
            "refs": str(len(material.references or ())),
            "real": str(len(material.real or ())),
            "smooth": "m1",
            "tok": canonical(material.tokens),
        }


class FrontierDistance(Frontier):
    """`frontier-distance-n`: from the real point to the nearest point of the curve."""

    higher_is_better = False
    summary = "distance of the curve over temperatures from real text in the plane of BLEU and Self-BLEU"
    limits = (0.0, float(np.sqrt(2)))

    def reduce(self, sums: Floats) -> Floats:
        real, curve = _points(sums)
        return distance(curve, real)


class FrontierArea(Frontier):
    """`frontier-area-n`: 1 where one temperature has at least the real text's quality and its diversity at once."""

    higher_is_better = True
    summary = "share of real text's quality and diversity that the curve over temperatures dominates at once"

    def reduce(self, sums: Floats) -> Floats:
        real, curve = _points(sums)
        return area(curve, real)

    def undefined(self, work: Workspace) -> str:  # noqa: ARG002
        return "real text has BLEU 0 or Self-BLEU 1, so that there is nothing to have a share of"


def all_matches(work: Workspace) -> list[tuple[Matches, Matches]]:
    """For the real text, then for each temperature: matches with the references, and with one another."""
    material = work.material
    sets = [material.real or (), *(material.sweep or {}).values()]
    found = []
    for texts in sets:
        # the pool is what the signature names: items' own references and sources belong to other samples
        pooled = dataclasses.replace(material, samples=texts, train=None, references_by_item=None, sources=None)
        own = work.beside(pooled)
        found.append((reference_matches(own), self_matches(own)))
    return found


def distance(curve: Floats, real: Floats) -> Floats:
    """Smallest Euclidean distance of `real` [..., 2] from the line through the points of `curve` [..., points, 2]."""
    nearest = np.linalg.norm(curve - real[..., None, :], axis=-1).min(axis=-1)
    start, along = curve[..., :-1, :], np.diff(curve, axis=-2)
    length = (along**2).sum(axis=-1)
    inner = ((real[..., None, :] - start) * along).sum(axis=-1)
    place = np.divide(inner, length, out=np.zeros_like(inner), where=length > 0).clip(0, 1)
    gaps = np.linalg.norm(start + place[..., None] * along - real[..., None, :], axis=-1)
    best: Floats = np.minimum(nearest, gaps.min(axis=-1, initial=np.inf))
    return best


def area(curve: Floats, real: Floats) -> Floats:
    """What `curve` [..., points, 2] of (BLEU, Self-BLEU) dominates of the rectangle under `real` [..., 2], 0 to 1."""
    quality = np.minimum(curve[..., 0], real[..., None, 0])
    diversity = np.minimum(1 - curve[..., 1], 1 - real[..., None, 1])
    falling = np.argsort(-quality, axis=-1, kind="stable")
    quality = np.take_along_axis(quality, falling, axis=-1)
    reached = np.maximum.accumulate(np.take_along_axis(diversity, falling, axis=-1), axis=-1)
    steps = -np.diff(quality, axis=-1, append=0.0)
    whole = real[..., 0] * (1 - real[..., 1])
    dominated = (steps * reached).sum(axis=-1)
    share: Floats = np.divide(dominated, whole, out=np.full_like(whole, np.nan), where=whole > 0)
    return share


def _points(sums: Floats) -> tuple[Floats, Floats]:
    """The real point [..., 2] and the curve's [..., temperatures, 2], from sums [..., 2 + 2 temperatures + 1]."""
    sums = np.asarray(sums, np.float64)
    means = sums[..., :-1] / sums[..., -1:]
    points = means.reshape(*means.shape[:-1], -1, 2)
    return points[..., 0, :], points[..., 1:, :]
