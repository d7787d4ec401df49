"""Metrics on bare text, as in `score(Material(samples, references), ["bleu-4", "self-bleu-4"])`."""

from metrics.base import LogProbs, Material, Metric, MetricError, Score, Workspace
from metrics.scoring import BUILTIN, KNOWN, add, human, metric, reduce, score

__all__ = [
    "BUILTIN",
    "KNOWN",
    "LogProbs",
    "Material",
    "Metric",
    "MetricError",
    "Score",
    "Workspace",
    "add",
    "human",
    "metric",
    "reduce",
    "score",
]
