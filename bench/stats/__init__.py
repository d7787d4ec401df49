"""Intervals and comparisons: over test items by resampling, over seeds by Student's t or by resampling.

Two variances are kept apart. How far a value would move with other test items is asked of one run's per-item
statistics (`resampling.py`); how far it would move with another seed is asked of several runs: by Student's t in
`comparison.py`, by resampling in `aggregates.py`. Random numbers come from the generator that is passed in; no global
state is read or changed.
"""

from bench.stats.aggregates import (
    Improvement,
    hierarchical_bootstrap,
    interquartile_mean,
    interquartile_means,
    probability_of_improvement,
    stratified_bootstrap,
    with_diverged,
)
from bench.stats.comparison import Comparison, compare, holm, mean_interval, paired, seeds_needed, welch
from bench.stats.resampling import (
    Floats,
    ItemComparison,
    approximate_randomisation,
    bootstrap_interval,
    paired_bootstrap,
)
from bench.stats.student_t import t_cdf, t_power, t_quantile, t_two_sided

__all__ = [
    "Comparison",
    "Floats",
    "Improvement",
    "ItemComparison",
    "approximate_randomisation",
    "bootstrap_interval",
    "compare",
    "hierarchical_bootstrap",
    "holm",
    "interquartile_mean",
    "interquartile_means",
    "mean_interval",
    "paired",
    "paired_bootstrap",
    "probability_of_improvement",
    "seeds_needed",
    "stratified_bootstrap",
    "t_cdf",
    "t_power",
    "t_quantile",
    "t_two_sided",
    "welch",
    "with_diverged",
]
