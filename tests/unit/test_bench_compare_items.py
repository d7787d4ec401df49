"""`compare` over test items: what is paired, which errors are added up, and how often it errs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.comparing.evidence import item_errors
from bench.comparing.table import Options, compare_results, read, tolerances
from bench.config import CellSpec
from bench.errors import UserError
from bench.generation import write_arrays
from bench.stats import paired_bootstrap
from bench.store import write_json
from metrics.base import ratio
from tests.fresh import fresh_seed
from tests.score_rows import row

METRIC = "rouge-1"
ABOUT = {"task": "translation", "metric": METRIC, "decoding": "greedy", "higher_is_better": True,
         "signature": "rouge-1|dec:greedy|v:1"}  # fmt: skip


def run_directory(path, values, kind="conditional", **more):
    """A run of `mle` with one metric: [seeds, items]."""
    about = {**ABOUT, **more}
    for seed, items in enumerate(values):
        value = row(seed=seed, value=float(np.mean(items)), n=len(items), **about)
        cell = path / "cells" / value.cell
        write_json(cell / "cell.json", {"kind": kind})
        stats = np.stack([items, np.ones_like(items)], axis=1)
        write_arrays(cell / "items.npz", {f"final|test|{about['decoding']}|{about['metric']}": stats})
        write_json(cell / "result.json", {"rows": [value.model_dump(mode="json")]})
    return read(str(path))


def only(first, second, **asked):
    (found,) = compare_results(first, second, Options(**asked)).findings
    return found


@pytest.fixture
def rng():
    return np.random.default_rng(fresh_seed())


def test_one_seed_a_side_is_compared_over_items(tmp_path, rng):
    easy = rng.random(400)
    base = run_directory(tmp_path / "a", [easy])
    new = run_directory(tmp_path / "b", [easy - 0.05 + rng.normal(0, 0.1, 400)])
    found = only(base, new)
    assert (found.evidence.over, found.evidence.items, found.verdict) == ("items", 400, "worse")
    # far narrower than unpaired items would be, whose spread is .29 on both sides
    assert found.evidence.error == pytest.approx(0.1 / math.sqrt(400), rel=0.25)
    apart = only(base, new, over="seeds")
    assert apart.verdict == "can't tell"
    assert math.isnan(apart.interval[0])


def test_the_error_over_items_is_that_of_the_paired_bootstrap(rng):
    first, second = (np.stack([rng.random(300), np.ones(300)], axis=1) for _ in range(2))
    ours = item_errors([first], [second], ratio, np.random.default_rng(1))
    theirs = paired_bootstrap(second, first, ratio, np.random.default_rng(2))
    assert ours.difference == pytest.approx(theirs.error, rel=0.15)
    assert ours.items == 300


def test_seeds_and_items_are_both_held(tmp_path, rng):
    easy = rng.random(200)
    sides = [[easy + rng.normal(shift, 0.2, 200) for shift in rng.normal(0, 0.02, 3)] for _ in range(2)]
    base, new = run_directory(tmp_path / "a", sides[0]), run_directory(tmp_path / "b", sides[1])
    both, seeds, items = (only(base, new, over=over) for over in ("auto", "seeds", "items"))
    assert [each.evidence.over for each in (both, seeds, items)] == ["both", "seeds", "items"]
    assert both.evidence.error == pytest.approx(math.hypot(seeds.evidence.error, items.evidence.error))
    assert both.evidence.df == seeds.evidence.df == 2


def test_a_method_without_chance_is_judged_by_items(tmp_path, rng):
    easy = rng.random(300)
    worse = easy - 0.02 + rng.normal(0, 0.01, 300)
    found = only(run_directory(tmp_path / "a", [easy, easy]), run_directory(tmp_path / "b", [worse, worse]))
    assert (found.evidence.over, found.verdict) == ("items", "worse")


def test_items_that_are_not_the_same_are_not_paired(tmp_path, rng):
    one = run_directory(tmp_path / "a", [rng.random(50)])
    assert only(one, run_directory(tmp_path / "b", [rng.random(49)])).evidence.over == ""
    # sample i of a free task answers nothing: it is no item that another run has too
    free = [run_directory(tmp_path / name, [rng.random(50)], kind="free") for name in "cd"]
    assert only(*free).evidence.over == ""
    # but a likelihood is of the test data
    about = {"metric": "nll-test", "signature": "nll-test|v:1", "higher_is_better": False, "decoding": ""}
    exact = [run_directory(tmp_path / name, [rng.random(50)], kind="free", **about) for name in "ef"]
    assert only(*exact).evidence.over == "items"


def test_a_table_has_no_items(tmp_path, rng):
    from bench.report.longfile import write_results

    one = run_directory(tmp_path / "a", [rng.random(50)])
    write_results(one.rows, tmp_path / "results.csv")
    assert (
        only(read(str(tmp_path / "results.csv")), run_directory(tmp_path / "b", [rng.random(50)])).evidence.over == ""
    )


def test_more_seeds_do_not_mend_too_few_items(tmp_path, rng):
    """The same items are hard for all seeds of the new, so their noise stays however many seeds there are."""
    easy, bias = rng.random(30), rng.normal(0, 0.3, 30)
    bias += 0.02 - bias.mean()
    sides = [
        [easy + rng.normal(0, 1e-3, 30) for _ in range(3)],
        [easy + bias + rng.normal(0, 1e-3, 30) for _ in range(3)],
    ]
    table = compare_results(run_directory(tmp_path / "a", sides[0]), run_directory(tmp_path / "b", sides[1]))
    assert table.findings[0].verdict == "can't tell"
    assert table.findings[0].needed is None
    items = only(run_directory(tmp_path / "c", sides[0][:1]), run_directory(tmp_path / "d", sides[1][:1]))
    assert items.needed > 30


def test_a_broken_file_of_items_is_named(tmp_path, rng):
    base, new = (run_directory(tmp_path / name, [rng.random(30)]) for name in "ab")
    file = next((tmp_path / "b" / "cells").glob("*/items.npz"))
    file.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UserError, match=r"items\.npz can't be read.*run_bench.py score"):
        only(base, new)


def test_a_cell_that_was_begun_and_not_ended_is_lost(tmp_path, rng):
    spec = CellSpec(task="translation", task_version=1, task_options={}, fingerprint="00", baseline="mle",
                    baseline_version=1, config={}, seed=1, budget="smoke", data="embedded")  # fmt: skip
    runs = [rng.random(30), rng.random(30)]
    base = run_directory(tmp_path / "a", runs, config_hash=spec.config_hash)
    run_directory(tmp_path / "b", runs[:1], config_hash=spec.config_hash)
    about = {"spec": spec.model_dump(mode="json"), "data": base.rows[0].data, "origin": "embedded"}
    write_json(tmp_path / "b" / "cells" / spec.directory / "cell.json", {"kind": "conditional", **about})
    table = compare_results(base, read(str(tmp_path / "b")))
    assert [each.verdict for each in table.findings] == ["lost", "same"]
    assert "begun and not ended (seed 1)" in table.findings[0].why
    assert table.exit_code == 1


def test_false_alarms_over_items_stay_near_alpha():
    """Two systems of equal worth on items of their own kind, by a ratio of sums as BLEU's precisions are."""
    rng = np.random.default_rng(7)
    alarms, trials = 0, 200
    for _ in range(trials):
        hard = rng.random(150)
        sides = [np.stack([rng.binomial(12, hard), np.full(150, 12)], axis=1).astype(float) for _ in range(2)]
        errors = item_errors([sides[0]], [sides[1]], ratio, rng)
        difference = ratio(sides[1].sum(axis=0)) - ratio(sides[0].sum(axis=0))
        alarms += abs(difference) > 1.976 * errors.difference  # Student's t with 149 degrees of freedom
    assert 0.01 < alarms / trials < 0.1  # 5 % and three standard errors of 200 trials


def test_a_tolerance_holds_over_items_too(tmp_path, rng):
    easy = rng.random(500)
    base = run_directory(tmp_path / "a", [easy])
    new = run_directory(tmp_path / "b", [easy - 0.01 + rng.normal(0, 0.02, 500)])
    assert only(base, new).verdict == "worse"
    assert only(base, new, tolerances=tolerances(["0.03"])).verdict == "same"
