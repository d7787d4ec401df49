"""Metrics on bare text, as in `score(Material(samples, references), ["bleu-4", "self-bleu-4"])`."""

from metrics.base import LogProbs, Material, Metric, MetricError, Score, Workspace
from metrics.scoring import BUILTIN, metric, reduce, score

__all__ = [
    "BUILTIN",
    "LogProbs",
    "Material",
    "Metric",
    "MetricError",
    "Score",
    "Workspace",
    "metric",
    "reduce",
    "score",
]
