"""The gate on made-up seeds whose truth is known: alarms where nothing changed, power, and the seeds it asks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.comparing.evidence import over_seeds
from bench.comparing.table import Options, Results, compare_results
from bench.stats import holm, seeds_needed
from tests.score_rows import row

ROOT = Path(__file__).parents[2]
TABLES = 300


def alarms(seeds, shift=0.0, tolerance=0.0, metrics=4, paired=True):
    """Share of tables in which any metric is called worse, at 5 %; `shift` in standard deviations of a seed."""
    rng = np.random.default_rng([seeds, metrics, paired])
    found = 0
    for _ in range(TABLES):
        base, new = rng.normal(size=(metrics, seeds)), rng.normal(size=(metrics, seeds)) + shift
        first = 0 if paired else 100  # other seeds: Welch's test
        every = [over_seeds(dict(enumerate(a)), dict(enumerate(b, first))) for a, b in zip(base, new, strict=True)]
        adjusted = holm([each.p_beyond(tolerance) for each in every])
        found += any(p < 0.05 and each.difference > 0 for p, each in zip(adjusted, every, strict=True))
    return found / TABLES


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_where_nothing_changed_alarms_are_rare(seeds, paired):
    # one side of 5 %, and four standard errors
    assert alarms(seeds, paired=paired) < 0.025 + 4 * (0.025 * 0.975 / TABLES) ** 0.5


def test_a_change_just_as_large_as_the_tolerance_is_no_alarm():
    assert alarms(5, shift=1.0, tolerance=1.0) < 0.06


def test_power_grows_with_seeds():
    found = [alarms(seeds, shift=2.0, metrics=1) for seeds in (3, 5, 10)]
    assert found[0] + 0.1 < found[1] < found[2]
    assert found[2] > 0.95


def asked_for(loss, seeds):
    """By a comparison that saw this loss with a standard deviation of 1."""
    spread = np.linspace(-1, 1, seeds)
    new = spread / spread.std(ddof=1) - loss
    rows = [[row(seed=i, value=float(v), higher_is_better=True) for i, v in enumerate(values)]
            for values in (np.zeros(seeds), new)]  # fmt: skip
    (found,) = compare_results(Results("a", rows[0]), Results("b", rows[1]), Options()).findings
    return found.needed


@pytest.mark.parametrize("loss", [0.4, 0.7, 1.0])
def test_the_number_asked_for_is_enough(loss):
    needed = asked_for(loss, 4)
    assert needed == seeds_needed(loss, 1.0)
    found = alarms_of_one(needed, loss)
    assert 0.8 - 4 * (0.16 / TABLES) ** 0.5 < found < 0.93


def alarms_of_one(seeds, loss):
    rng = np.random.default_rng(seeds)
    draws = rng.normal(-loss, 1.0, (TABLES, seeds))
    every = [over_seeds(dict.fromkeys(range(seeds), 0.0), dict(enumerate(values))) for values in draws]
    return np.mean([each.p_beyond(0) < 0.05 and each.difference < 0 for each in every])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_script_that_prints_the_figures_of_the_page():
    script = ROOT / "docs" / "examples" / "ci" / "how_often.py"
    ended = subprocess.run([sys.executable, script, "--tables", "5"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("\n| ") == 11 - 1  # the first line has no line feed before it
