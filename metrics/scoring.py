"""Metrics by name, and the scoring of one material by many of them."""

from __future__ import annotations

import difflib
import importlib
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from metrics.base import Floats, Material, Metric, MetricError, Score, Workspace

# name -> "module:factory"; the factory is called with the name, so that one of them can serve a family
BUILTIN: Mapping[str, str] = MappingProxyType(
    {
        **{f"bleu-{n}": "metrics.bleu:Bleu" for n in range(2, 6)},
        **{f"self-bleu-{n}": "metrics.self_bleu:SelfBleu" for n in range(2, 6)},
        **{f"frontier-area-{n}": "metrics.frontier:FrontierArea" for n in range(2, 6)},
        **{f"frontier-distance-{n}": "metrics.frontier:FrontierDistance" for n in range(2, 6)},
        "sacrebleu": "metrics.sacre:SacreBleu",
        "chrf": "metrics.sacre:Chrf",
        "rouge-1": "metrics.rouge:Rouge",
        "rouge-2": "metrics.rouge:Rouge",
        "rouge-l": "metrics.rouge:Rouge",
        "rouge-lsum": "metrics.rouge:Rouge",
        "nll-test": "metrics.likelihood:Nll",
        "ppl-test": "metrics.likelihood:Perplexity",
        "nll-oracle": "metrics.likelihood:NllOracle",
        "distinct-1": "metrics.diversity:Distinct",
        "distinct-2": "metrics.diversity:Distinct",
        "unique": "metrics.diversity:Unique",
        "copied": "metrics.diversity:Copied",
        "length": "metrics.lengths:Length",
        "length-ratio": "metrics.lengths:LengthRatio",
        "empty": "metrics.lengths:Empty",
        "unk": "metrics.lengths:Unknown",
        "length-distance": "metrics.lengths:LengthDistance",
        "longest-copy": "metrics.novelty:LongestCopy",
        "copied-share-4": "metrics.novelty:CopiedShare",
        "copied-share-8": "metrics.novelty:CopiedShare",
        **{f"novel-{n}": "metrics.novelty:Novel" for n in range(1, 4)},
        **{f"ms-jaccard-{n}": "metrics.jaccard:MsJaccard" for n in range(2, 6)},
        "frechet": "metrics.frechet:Frechet",
        "mauve": "metrics.mauve:Mauve",
        "reverse-lm": "metrics.reverse_lm:ReverseLm",
        "forward-lm": "metrics.reverse_lm:ForwardLm",
        "adver-suc": "metrics.adversarial:AdverSuc",
        "adver-human-human": "metrics.adversarial:HumanHuman",
        "adver-machine-machine": "metrics.adversarial:MachineMachine",
        "adver-human-random": "metrics.adversarial:HumanRandom",
        "adver-machine-random": "metrics.adversarial:MachineRandom",
        "adver-ere": "metrics.adversarial:Reliability",
    }
)


_known: dict[str, str] = dict(BUILTIN)
KNOWN: Mapping[str, str] = MappingProxyType(_known)  # what is built in, and what was added in this process


def add(places: Mapping[str, str]) -> None:
    """Makes metrics of other modules known by name in this process; one that was added before goes for a new one.

    Args:
        places: name -> `module:class`.

    Raises:
        MetricError: a name that a metric of ours has.
    """
    taken = next((name for name in places if name in BUILTIN), None)
    if taken is not None:
        raise MetricError(f'the metric name "{taken}" is taken; give yours another `name`.')
    _known.update(places)


def metric(name: str, registry: Mapping[str, str] = KNOWN) -> Metric:
    """The metric of that name; its module is imported now and not before.

    What follows an `@` in a name is for the factory, as the encoder in `frechet@hashed`; it gets the whole name.

    Args:
        registry: name -> `module:class`; `add` makes one of your own known everywhere.

    Raises:
        MetricError: no such metric, or an entry that leads nowhere; something after an `@` that the metric can't use.
    """
    entry = name if name in registry else name.partition("@")[0]
    if entry not in registry:
        near = difflib.get_close_matches(entry, registry, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(registry)}"
        raise MetricError(f'no metric "{name}": {hint}')
    module, _, attribute = registry[entry].partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
        # a class that can use it says what it takes
        if entry != name and not getattr(factory, "takes", ""):
            raise MetricError(f'metric "{entry}" takes nothing after an @: "{name}"')
        made = factory(name)
    except (ImportError, AttributeError) as error:
        raise MetricError(f'metric "{name}" is registered as {registry[entry]}, not loadable: {error}') from error
    if not isinstance(made, Metric):
        raise MetricError(
            f'metric "{name}": {registry[entry]} gives a {type(made).__name__}, not a metrics.base.Metric'
        )
    return made


def human(name: str) -> float:
    """What text by people has by the metric's definition; NaN where that has to be measured or isn't known."""
    try:
        return metric(name).human
    except MetricError:  # of another's results, whose metrics are not here
        return math.nan


def score(
    material: Material,
    names: Sequence[str],
    registry: Mapping[str, str] = KNOWN,
    *,
    device: str | None = None,
    workers: int = 1,
) -> list[Score]:
    """One score a name, in the order asked; what several of them need is computed once.

    Args:
        device: where n-grams are counted, as torch names it (`cuda`); None is NumPy. The values are the same.
        workers: processes that ROUGE of many items may use. The values are the same.

    Raises:
        MetricError: an unknown name (before anything is computed), an unknown tokeniser, or no such device.
    """
    metrics = [metric(name, registry) for name in names]
    work = Workspace(material, names, device=device, workers=workers)
    return [each.score(work) for each in metrics]


def reduce(name: str, sums: Floats, registry: Mapping[str, str] = KNOWN) -> Floats:
    """Values [...] of a metric from sums [..., k] of `Score.stats` over any resample of items.

    Raises:
        MetricError: unknown name, or a metric whose scores have no statistics.
    """
    return metric(name, registry).reduce(sums)
