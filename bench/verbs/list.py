"""The verb `list`: what there is."""

from __future__ import annotations

import argparse

from bench.config import GRIDS, Grid, read_grid
from bench.plan import resolve_data
from bench.registry import baseline_registry, know_metrics, task_registry


def list_verb(asked: argparse.Namespace) -> int:
    """Prints what there is."""
    import metrics

    what, plugins = asked.what, asked.plugins or ()
    if what in (None, "tasks"):
        print("tasks")
        tasks = task_registry(plugins)
        for name in tasks.names:
            task = tasks[name]
            print(f"  {name:14} {task.kind:12} {task.summary}  [{task.primary}]")
    if what in (None, "baselines"):
        print("baselines")
        registry = baseline_registry(plugins)
        for name in registry.names:
            print(f"  {name:14} {registry[name].summary}")
    if what in (None, "metrics"):
        print("metrics")
        know_metrics(plugins)
        for name in metrics.KNOWN:
            metric = metrics.metric(name)
            direction = {True: "higher is better", False: "lower is better", None: "nearer to real is better"}
            print(f"  {name:14} {direction[metric.higher_is_better]:26} {metric.summary}")
    if what in (None, "grids"):
        print("grids")
        for path in sorted(GRIDS.glob("*.toml")):
            grid = read_grid(path, {})
            print(f"  {path.stem:14} {len(grid.tasks)} tasks x {', '.join(grid.baselines)} x {len(grid.seeds)} seeds")
    if what in (None, "data"):
        from tasks.opening import open_source

        source = open_source(resolve_data(Grid(data=asked.data)))
        print(f"data ({source.origin})")
        for name in source.datasets():
            print(f"  {name:24} {', '.join(source.splits(name))}")
    return 0
