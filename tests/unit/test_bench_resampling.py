"""Paired tests over items against sacreBLEU's own, scipy, every possible swap, and simulation."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest
from scipy import stats as reference

import metrics
from bench import stats
from metrics import Material, score
from tests.fresh import fresh_seed

WORDS = ["the", "a", "cat", "dog", "sat", "on", "mat", "was", "there", "or", "not", "it", "is"]
LIBRARIES = {"sacrebleu": BLEU, "chrf": CHRF}


def ratio(sums):
    return sums[..., 0] / sums[..., 1]


def items(values):
    return np.stack([values, np.ones(len(values))], axis=1)


def two_systems(seed, n=80, worse=0.12):
    """References and two systems that change their words, the second `worse` more often."""
    rng = random.Random(seed)

    def changed(line, share):
        return " ".join(rng.choice(WORDS) if rng.random() < share else word for word in line.split())

    answers = [" ".join(rng.choices(WORDS, k=rng.randrange(5, 18))) for _ in range(n)]
    return answers, [changed(line, 0.35) for line in answers], [changed(line, 0.35 + worse) for line in answers]


def statistics(name, samples, answers):
    (result,) = score(Material(samples, references_by_item=[(line,) for line in answers]), [name])
    return result.stats


def librarys(kind, name, texts, resamples, seed, monkeypatch):
    """sacreBLEU's results of both systems, drawn from `default_rng(seed)` for the test."""
    answers, first, second = texts
    monkeypatch.setenv("SACREBLEU_SEED", str(seed))
    test = PairedTest(
        [("first", first), ("second", second)], {name: LIBRARIES[name]()}, [answers], kind, n_samples=resamples
    )
    _, results = test()
    return next(value for key, value in results.items() if key != "System")


def drawn_seed():
    return 1 + fresh_seed() % (2**31 - 1)  # 0 means "no seed" to sacreBLEU


@pytest.mark.parametrize("name", ["sacrebleu", "chrf"])
@pytest.mark.parametrize("worse", [0.0, 0.05, 0.15])
def test_paired_bootstrap_is_sacrebleus(name, worse, monkeypatch):
    seed, texts = drawn_seed(), two_systems(fresh_seed(), worse=worse)
    theirs = librarys("bs", name, texts, 300, seed, monkeypatch)
    answers, first, second = texts
    a, b = statistics(name, first, answers), statistics(name, second, answers)
    reduce = metrics.metric(name).reduce
    ours = stats.paired_bootstrap(a, b, reduce, np.random.default_rng(seed), resamples=300)
    assert ours.difference == pytest.approx(theirs[0].score - theirs[1].score, abs=1e-9)
    assert ours.p == pytest.approx(theirs[1].p_value, abs=1e-12)  # the same stream, so the same resamples
    assert ours.n == 80
    other = stats.paired_bootstrap(a, b, reduce, np.random.default_rng(seed + 1), resamples=300)
    assert abs(other.p - ours.p) <= 6 * math.sqrt(0.25 * 2 / 300)


@pytest.mark.parametrize("name", ["sacrebleu", "chrf"])
@pytest.mark.parametrize("worse", [0.0, 0.05, 0.15])
def test_approximate_randomisation_is_sacrebleus(name, worse, monkeypatch):
    seed, texts = drawn_seed(), two_systems(fresh_seed() + 1, worse=worse)
    theirs = librarys("ar", name, texts, 400, seed, monkeypatch)
    answers, first, second = texts
    a, b = statistics(name, first, answers), statistics(name, second, answers)
    reduce = metrics.metric(name).reduce
    ours = stats.approximate_randomisation(a, b, reduce, np.random.default_rng(seed), trials=400, resamples=0)
    assert ours.difference == pytest.approx(theirs[0].score - theirs[1].score, abs=1e-9)
    assert ours.p == pytest.approx(theirs[1].p_value, abs=1e-12)
    assert math.isnan(ours.low)
    assert math.isnan(ours.smallest_difference())


@pytest.mark.parametrize("name", ["sacrebleu", "chrf"])
def test_interval_of_a_difference_is_that_of_resampled_texts(name):
    answers, first, second = two_systems(fresh_seed() + 2, n=30)
    a, b = statistics(name, first, answers), statistics(name, second, answers)
    ours = stats.paired_bootstrap(a, b, metrics.metric(name).reduce, np.random.default_rng(4), resamples=40)
    differences = []
    for row in np.random.default_rng(4).integers(0, 30, size=(40, 30)):
        drawn = [[answers[i] for i in row]]
        one, two = ([texts[i] for i in row] for texts in (first, second))
        library = LIBRARIES[name]
        differences.append(library().corpus_score(one, drawn).score - library().corpus_score(two, drawn).score)
    assert (ours.low, ours.high) == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])), abs=1e-9)
    assert ours.error == pytest.approx(np.std(differences), abs=1e-9)


def test_interval_of_a_difference_is_scipys():
    rng = np.random.default_rng(fresh_seed())
    a = rng.normal(1, 1, size=200)
    b = a + rng.normal(0.1, 0.5, size=200)
    ours = stats.paired_bootstrap(items(a), items(b), ratio, rng, resamples=4000)
    theirs = reference.bootstrap(
        (a, b),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        paired=True,
        n_resamples=4000,
        method="percentile",
        rng=rng,
    )
    width = ours.high - ours.low
    expected = theirs.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=0.15 * width)
    assert ours.error == pytest.approx(theirs.standard_error, rel=0.15)
    assert ours.error == pytest.approx(np.std(a - b) / math.sqrt(200), rel=0.15)


def test_randomisation_approaches_the_exact_test_over_all_swaps():
    rng = np.random.default_rng(fresh_seed())
    n, trials = 9, 20_000
    a = np.stack([rng.integers(0, 6, size=n), rng.integers(5, 9, size=n)], axis=1).astype(float)  # many ties
    b = np.stack([rng.integers(0, 6, size=n), rng.integers(5, 9, size=n)], axis=1).astype(float)
    seen = abs(ratio(a.sum(axis=0)) - ratio(b.sum(axis=0)))
    reached = 0
    for swaps in itertools.product([False, True], repeat=n):
        mask = np.array(swaps)[:, None]
        one, two = np.where(mask, b, a).sum(axis=0), np.where(mask, a, b).sum(axis=0)
        reached += abs(ratio(one) - ratio(two)) >= seen - 1e-12
    ours = stats.approximate_randomisation(a, b, ratio, rng, trials=trials, resamples=0)
    exact = reached / 2**n
    assert ours.p == pytest.approx(exact, abs=6 * math.sqrt(exact * (1 - exact) / trials) + 2 / trials)


def test_randomisation_of_means_is_scipys_permutation_test():
    rng = np.random.default_rng(fresh_seed())
    a = rng.normal(0, 1, size=12)
    b = a + rng.normal(0.3, 0.6, size=12)
    exact = reference.permutation_test(
        (a, b), lambda x, y, axis: np.abs((x - y).mean(axis=axis)), permutation_type="samples", vectorized=True,
        n_resamples=math.inf, alternative="greater",
    ).pvalue  # fmt: skip
    ours = stats.approximate_randomisation(items(a), items(b), ratio, rng, trials=20_000, resamples=0)
    assert ours.p == pytest.approx(exact, abs=6 * math.sqrt(exact * (1 - exact) / 20_000) + 2 / 20_000)


def test_ties_of_fractions_that_round_are_ties():
    rng = np.random.default_rng(fresh_seed())
    for _ in range(15):
        whole = rng.integers(0, 4, size=(2, 60)).astype(float)  # their sums are exact, those of tenths are not
        for test in (stats.approximate_randomisation, stats.paired_bootstrap):
            p = [test(items(a), items(b), ratio, np.random.default_rng(1), 500).p for a, b in (whole, whole / 10)]
            assert p[0] == p[1]


def test_a_system_compared_with_itself_is_not_different(monkeypatch):
    answers, first, _ = two_systems(3, n=20)
    own = statistics("chrf", first, answers)
    reduce = metrics.metric("chrf").reduce
    for test in (stats.paired_bootstrap, stats.approximate_randomisation):
        same = test(own, own, reduce, np.random.default_rng(0), 50)
        assert (same.difference, same.low, same.high, same.p, same.error) == (0.0, 0.0, 0.0, 1.0, 0.0)
        nothing = test(items(np.zeros(20)), items(np.zeros(20)), ratio, np.random.default_rng(0), 50)
        assert (nothing.difference, nothing.p) == (0.0, 1.0)
    theirs = librarys("ar", "chrf", (answers, first, first), 50, 7, monkeypatch)
    assert theirs[1].p_value == pytest.approx(1 / 51)  # where we depart from the library, and why


@pytest.mark.slow
def test_tests_hold_their_level_and_sacrebleus_bootstrap_has_one_tail():
    rng = np.random.default_rng(fresh_seed())
    sets, rejected = 400, np.zeros(3)
    for _ in range(sets):
        base = rng.normal(size=60)
        a, b = items(base + rng.normal(0, 0.7, size=60)), items(base + rng.normal(0, 0.7, size=60))
        p = [
            stats.approximate_randomisation(a, b, ratio, rng, 200, resamples=0).p,
            stats.paired_bootstrap(a, b, ratio, rng, 200, two_sided=True).p,
            stats.paired_bootstrap(a, b, ratio, rng, 200).p,
        ]
        rejected += np.array(p) <= 0.1
    exact, both_tails, one_tail = rejected / sets
    assert 0.03 <= exact <= 0.18
    assert 0.03 <= both_tails <= 0.20
    assert one_tail > both_tails + 0.02  # ~0.2: the docstring says so


def test_interval_of_a_difference_covers_the_truth():
    rng = np.random.default_rng(fresh_seed())
    covered = 0
    for _ in range(300):
        lengths = rng.integers(5, 20, size=60)
        hard = rng.uniform(0.3, 0.6, size=60)
        a = np.stack([rng.binomial(lengths, hard + 0.1), lengths], axis=1).astype(float)
        b = np.stack([rng.binomial(lengths, hard), lengths], axis=1).astype(float)
        found = stats.paired_bootstrap(a, b, ratio, rng, resamples=300)
        covered += found.low <= 0.1 <= found.high
    assert 0.87 <= covered / 300 <= 0.995


def test_smallest_difference_is_what_the_test_finds_so_often():
    rng = np.random.default_rng(fresh_seed())
    base = rng.normal(size=(2, 400))
    spread = stats.paired_bootstrap(items(base[0]), items(base[1]), ratio, rng)
    assert spread.error == pytest.approx(math.sqrt(2 / 400), rel=0.2)
    quantile = reference.norm.ppf
    for alpha, power in ((0.05, 0.5), (0.05, 0.8), (0.01, 0.9)):
        smallest = spread.smallest_difference(alpha, power)
        assert smallest == pytest.approx((quantile(1 - alpha / 2) + quantile(power)) * spread.error)
    truth = (quantile(0.975) + quantile(0.8)) * math.sqrt(2 / 400)
    found = 0
    for _ in range(300):
        a, b = items(rng.normal(truth, 1, size=400)), items(rng.normal(0, 1, size=400))
        found += stats.paired_bootstrap(a, b, ratio, rng, 150, two_sided=True).p <= 0.05
    assert 0.66 <= found / 300 <= 0.92


def test_order_of_the_systems_turns_the_sign_only():
    rng = np.random.default_rng(fresh_seed())
    a, b = items(rng.normal(size=50)), items(rng.normal(0.3, 1, size=50))
    for test in (stats.paired_bootstrap, stats.approximate_randomisation):
        one = test(a, b, ratio, np.random.default_rng(1), 200)
        other = test(b, a, ratio, np.random.default_rng(1), 200)
        assert other.p == one.p
        assert (other.difference, other.low, other.high) == pytest.approx((-one.difference, -one.high, -one.low))


def test_swaps_in_several_blocks_are_still_fair_coins():
    n = 700_000  # more than half of what is drawn at once: a block a trial
    sums = stats.approximate_randomisation(
        items(np.ones(n)), items(np.zeros(n)), ratio, np.random.default_rng(fresh_seed()), trials=3, resamples=2
    )
    assert sums.difference == 1.0
    assert sums.p == 0.25


@pytest.mark.parametrize("test", [stats.paired_bootstrap, stats.approximate_randomisation])
def test_without_items_there_is_nothing_to_say(test):
    rng = np.random.default_rng(0)
    for few, difference in ((np.zeros((0, 2)), math.nan), (np.array([[3.0, 4.0]]), 0.0)):
        found = test(few, few, ratio, rng)
        assert found.difference == pytest.approx(difference, nan_ok=True)
        assert all(math.isnan(x) for x in (found.p, found.low, found.high, found.error, found.smallest_difference()))
        assert found.n == len(few)
    with pytest.raises(ValueError, match="of the same items"):
        test(np.ones((3, 2)), np.ones((4, 2)), ratio, rng)
    with pytest.raises(ValueError, match="of the same items"):
        test(np.ones(3), np.ones(3), ratio, rng)


def test_undefined_values():
    rng = np.random.default_rng(0)
    a, b = np.array([[1.0, 0.0], [1.0, 2.0], [2.0, 2.0]]), np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 2.0]])
    with np.errstate(all="ignore"):
        some = stats.paired_bootstrap(a, b, ratio, rng)  # 1 resample in 27 has nothing to divide by
        assert math.isfinite(some.low)
        assert 0 < some.p <= 1
        for test in (stats.paired_bootstrap, stats.approximate_randomisation):
            none = test(a * [1, 0], b, ratio, rng)
            assert all(math.isnan(x) for x in (none.difference, none.p, none.low, none.error))
        # a swap of item 0 leaves the first system nothing to divide by: half of the trials count against a difference
        c, d = np.array([[9.0, 1.0], [0.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        assert stats.approximate_randomisation(c, d, ratio, rng, 400, resamples=0).p > 0.4
