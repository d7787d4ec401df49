"""How often the gate cries wolf, and how often it sees a wolf: `compare` on made-up results whose truth is known.

    python docs/examples/ci/how_often.py            # the tables of docs/ci-gate.md, a few minutes
    python docs/examples/ci/how_often.py --tables 50

Each made-up table is one method with ten metrics on a task; a metric's values are normal over seeds with a standard
deviation of .01, of which half the variance is shared by the base and the new run at the same seed, as with one order
of data. "Alarm" is exit code 1: anything in the table called worse.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from bench.comparing.table import Compared, Options, Results, compare_results, tolerances
from bench.schema import ScoreRow

SPREAD = 0.01
METRICS = 10


def row(metric: int, seed: int, value: float) -> ScoreRow:
    """A finished value of a metric of which higher is better."""
    name = f"metric-{metric}"
    return ScoreRow(
        task="task", task_version=1, data="task.v1/made-up", origin="synthetic", baseline="method", config_hash="0",
        seed=seed, stage="final", split="test", decoding="", metric=name, value=value, ci_low=math.nan,
        ci_high=math.nan, n=1000, higher_is_better=True, primary=metric == 0, signature=f"{name}|v:1", status="done",
        reason="", train_seconds=1.0, device="cpu", peak_memory_mb=1.0, parameters=1, cell=f"task.method.s{seed}.0",
    )  # fmt: skip


def table(rng: np.random.Generator, seeds: int, loss: float, options: Options) -> Compared:
    """One comparison; `loss` is how much worse the first metric truly became, in standard deviations."""
    shared = rng.normal(0, math.sqrt(0.5), (METRICS, seeds))
    base, new = (0.5 + SPREAD * (shared + rng.normal(0, math.sqrt(0.5), (METRICS, seeds))) for _ in range(2))
    new[0] -= loss * SPREAD
    sides = [
        Results(name, [row(metric, seed, float(values[metric, seed])) for metric in range(METRICS)
                       for seed in range(seeds)])
        for name, values in (("base", base), ("new", new))
    ]  # fmt: skip
    return compare_results(*sides, options)


def share(rng: np.random.Generator, tables: int, seeds: int, loss: float, options: Options) -> float:
    return statistics.mean(table(rng, seeds, loss, options).exit_code == 1 for _ in range(tables))


def asked_for(loss: float, seeds: int) -> int:
    """How many seeds a comparison asks for that saw just this loss with just the true spread."""
    spread = np.linspace(-1, 1, seeds)
    new = -loss * SPREAD + SPREAD * spread / spread.std(ddof=1)
    sides = [
        Results(name, [row(0, seed, float(value)) for seed, value in enumerate(values)])
        for name, values in (("base", np.zeros(seeds)), ("new", new))
    ]
    needed = compare_results(*sides, Options()).findings[0].needed
    assert needed is not None, "so little can't be told with so few seeds"
    return needed


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    flags.add_argument("--tables", type=int, default=400, help="comparisons a figure (default 400)")
    flags.add_argument("--seed", type=int, default=0)
    asked = flags.parse_args()
    rng = np.random.default_rng(asked.seed)
    one = tolerances([str(SPREAD)])
    print("| seeds | nothing changed | the same, tolerance 1 sd | 2 sd lost | 4 sd lost | 4 sd lost, tolerance 1 sd |")
    print("| --: | --: | --: | --: | --: | --: |")
    for seeds in (2, 3, 5, 10):
        cells = [
            share(rng, asked.tables, seeds, loss, Options(tolerances=tolerances() if free else one))
            for loss, free in ((0, True), (0, False), (2, True), (4, True), (4, False))
        ]
        print(f"| {seeds} | {' | '.join(f'{100 * cell:.1f} %' for cell in cells)} |")
    print("\n| loss | seen with | seeds asked for | found with as many |")
    print("| --: | --: | --: | --: |")
    for loss, seen in ((1.5, 3), (1.0, 4), (0.7, 5)):
        needed = asked_for(loss, seen)
        found = share(rng, asked.tables, needed, loss, Options(metrics=["metric-0"]))
        print(f"| {loss:g} sd | {seen} seeds | {needed} | {100 * found:.0f} % |")


if __name__ == "__main__":
    main()
