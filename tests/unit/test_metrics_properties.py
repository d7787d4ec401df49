"""What holds for every metric, whatever the texts: each registered name is tried, and has a row in `tests/promises.py`.

`GANTLET_FUZZ=20` looks at twenty times as many examples.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import time
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.checks.texts import hostile, shuffled
from metrics import BUILTIN, LogProbs, Material, MetricError, Score, Workspace, metric, reduce, score
from metrics.self_bleu import self_matches
from metrics.signature import parse
from tests.promises import ANY_TEXT, PROMISES, WORDS, lines, materials, mauve_stands_in, promise

EXAMPLES = int(os.environ.get("GANTLET_FUZZ", "1"))
SELF = [f"self-bleu-{n}" for n in range(2, 6)]
LIST_FIELDS = ("samples", "references", "references_by_item", "train", "sources", "sweep", "real")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures(mauve_stands_in.__name__)]
every_name = pytest.mark.parametrize("name", BUILTIN)


def tried(name: str, texts: st.SearchStrategy[str], check: Callable[[Material, np.random.Generator], None]) -> None:
    """Calls `check` with materials drawn from these texts, as many as the metric's price allows."""
    least = promise(name).least
    by_item = "references_by_item" in metric(name).needs
    kinds = st.just(False) if by_item else st.booleans()
    examples = 1 if least > 200 else 2 if least > 2 else 6

    # a failure is shown as it was drawn, within seconds; a longer search also looks for a smaller one
    phases = [Phase.generate, *([Phase.shrink] if EXAMPLES > 1 and least == 2 else [])]

    @settings(
        max_examples=examples * EXAMPLES,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(kinds.flatmap(lambda pool: materials(texts, least, pool)), st.integers(0, 2**32 - 1))
    def run(material: Material, seed: int) -> None:
        check(material, np.random.default_rng(seed))

    run()


def scored(name: str, texts: Material | Workspace) -> Score:
    """With every warning an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = metric(name).score(texts)
    assert math.isnan(result.value) == bool(result.reason)
    assert math.isfinite(result.value) or result.reason
    return result


def items(name: str, material: Material) -> int:
    """How many rows of statistics there must be."""
    field = promise(name).items
    if field == "references_by_item":
        own = material.references_by_item
        return len(material.references or ()) if own is None else sum(map(len, own))
    of = getattr(material, field)
    return len(of.sums if hasattr(of, "sums") else of)


def test_every_metric_has_its_row():
    assert set(PROMISES) == set(BUILTIN), "give a new metric a row in tests/promises.py, and take out what is gone"


@every_name
def test_equal_and_different_texts_give_the_extremes(name):
    own = metric(name)
    reached = []
    for texts, value, why in promise(name).extremes:
        result = scored(name, texts(promise(name).size))
        assert result.reason == ""
        assert result.value == pytest.approx(value, rel=1e-9, abs=promise(name).within), why
        reached.append(value)
    good = own.direction(Material(["a"], references_by_item=[["a"]]))
    if good is not None and not promise(name).controls:
        assert own.limits[int(good)] in reached, "the good end of its limits is not among its extremes"


@every_name
def test_value_and_statistics(name):
    def check(material, rng):
        before = ascii(material)
        result = scored(name, material)
        assert ascii(material) == before, "what it was given has changed"
        assert (result.metric, parse(result.signature)["metric"]) == (name, name)
        if result.reason:
            return
        low, high = metric(name).limits
        assert low - 1e-9 <= result.value <= high + 1e-9
        assert result.n == items(name, material)
        if result.stats is not None:
            assert len(result.stats) == result.n
            assert np.isfinite(result.stats).all()
            assert reduce(name, result.stats.sum(axis=0)) == pytest.approx(result.value, rel=1e-12, abs=1e-12)

    tried(name, WORDS, check)


@every_name
def test_the_order_of_items_does_not_matter(name):
    def check(material, rng):
        turned, order = shuffled(material, rng)
        one, other = scored(name, material), scored(name, turned)
        assert other.value == pytest.approx(one.value, rel=1e-9, abs=1e-12, nan_ok=True)
        assert (other.signature, other.reason, other.n) == (one.signature, one.reason, one.n)
        if one.stats is not None and promise(name).items != "references_by_item":
            assert other.stats == pytest.approx(one.stats[order], rel=1e-9, abs=1e-9)

    tried(name, WORDS, check)


@every_name
def test_any_text_gives_a_number_or_a_reason(name):
    for tokens in ("word-lower", "word", "char", "space")[:: 1 if promise(name).least == 2 else 2]:
        scored(name, dataclasses.replace(hostile(promise(name).least), tokens=tokens))

    def check(material, rng):
        scored(name, material)

    tried(name, ANY_TEXT, check)


@functools.cache
def very_long(tokens: str, count: int, length: int) -> Workspace:
    """One line of so many characters among others; shared, so that each is cut once."""
    half = length // 2
    line = ("word " * half)[:half] + "白" * half if tokens == "char" else ("word, " * half)[:half] + "y" * half
    texts = [line, *lines("abcde", count - 1)]
    own = [[text] for text in texts]
    return Workspace(
        Material(texts, texts[::-1], own[::-1], texts, tokens, sources=own, sweep={"1": texts}, real=texts)
    )


@every_name
@pytest.mark.parametrize("tokens", ["word-lower", "char"])
def test_very_long_lines(name, tokens):
    """4,000 characters where time is the product of two lengths, as that of a longest common subsequence."""
    length = 200_000 if tokens == "word-lower" else 50_000
    work = very_long(tokens, promise(name).least, length if promise(name).linear else 4000)
    began = time.process_time()
    result = scored(name, work)
    assert time.process_time() - began < 60
    assert math.isfinite(result.value) or metric(name).needs & {"log_probs", "oracle_log_probs"}


@every_name
def test_what_is_absent_or_empty_has_a_reason(name):
    """Each kind of text left out, or empty, in turn; a material that can't be is refused."""
    texts = ["a b", "", "a"]
    whole = Material(texts, texts, [texts] * 3, texts, sources=[texts] * 3, sweep={"1": texts}, real=texts)
    for field in LIST_FIELDS:
        for nothing in (None, {} if field == "sweep" else ()):
            if field == "samples" and nothing is None:
                continue
            if field in ("references_by_item", "sources") and nothing == ():
                with pytest.raises(MetricError, match="3 samples, but"):
                    dataclasses.replace(whole, **{field: nothing})
                continue
            lacking = dataclasses.replace(whole, **{field: nothing})
            result = scored(name, lacking)
            if field in metric(name).needs:
                assert result.reason
                assert result.n == 0
    for empty in ("references_by_item", "sources"):
        scored(name, dataclasses.replace(whole, **{empty: [[], ["a"], [""]]}))
    blank = Material([""] * 3, [""], [[""]] * 3, [""], sources=[[""]] * 3, sweep={"1": [""] * 3}, real=[""] * 3)
    scored(name, blank)
    scored(name, Material())


@every_name
def test_what_the_signature_does_not_name_changes_nothing(name):
    """Of texts that a metric can do without, it takes none, or its signature shows it."""
    count = promise(name).least
    words = [f"{('the', 'a', 'my')[i % 3]} {('cat', 'dog')[i % 2]} sat {i % 9} ." for i in range(3 * count)]
    samples, own, pool = words[:count], words[count + 1 : 2 * count + 1], words[2 * count :]
    whole = Material(
        samples=samples,
        references=pool,
        references_by_item=[[text] for text in own],
        train=pool[1:],
        log_probs=LogProbs(np.array([-3.0, -1.0]), np.array([2, 1]), "abc"),
        oracle_log_probs=LogProbs(np.array([-5.0]), np.array([2]), "def"),
        sources=[[text, f"{i}"] for i, text in enumerate(own)],
        sweep={"1": samples[::-1]},
        real=own,
    )
    result = scored(name, whole)
    assert result.reason == ""
    spare = {each.name for each in dataclasses.fields(Material)} - {"tokens", "protocol"} - metric(name).needs
    apart = spare & {"samples", "references", "references_by_item", "train", "sources"}
    for left_out in [*({field} for field in apart), spare - apart]:
        nothing = {field: () if field == "samples" else None for field in left_out}
        lacking = dataclasses.replace(whole, **nothing)
        if metric(name).signature(lacking) == result.signature and not metric(name).missing(lacking):
            assert scored(name, lacking).value == pytest.approx(result.value, rel=1e-9, abs=1e-12), left_out


@settings(max_examples=40 * EXAMPLES, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=6), st.data())
def test_a_duplicate_never_raises_diversity(samples, data):
    names = [name for name in PROMISES if promise(name).diversity]
    more = [*samples, data.draw(st.sampled_from(samples))]
    before, after = (score(Material(texts, tokens="space"), names) for texts in (samples, more))
    for one, other in zip(before, after, strict=True):
        assert one.reason == other.reason
        assert one.reason or other.value <= one.value + 1e-12, one.metric


@settings(max_examples=40 * EXAMPLES, deadline=None)
@given(st.lists(WORDS, min_size=2, max_size=6), st.data())
def test_a_duplicate_and_self_bleu(samples, data):
    """Nothing changes for the other samples, since they had the sample among their references already.

    The sample and its copy now match wholly: 1 for n tokens or more, so that then the mean never falls. A sample of
    fewer tokens has less than 1 by smoothing even beside its copy, and can lower the mean.
    """
    chosen = data.draw(st.integers(0, len(samples) - 1))
    more = [*samples, samples[chosen]]
    work = [Workspace(Material(texts, tokens="space")) for texts in (samples, more)]
    before, after = (each.shared(self_matches) for each in work)
    others = [i for i in range(len(samples)) if i != chosen]
    assert np.array_equal(after.counts[others], before.counts[others])
    assert np.array_equal(after.closest[others], before.closest[others])
    length = len(samples[chosen].split())
    for place in (chosen, len(samples)):
        assert after.counts[place].tolist() == [max(length - k, 0) for k in range(after.counts.shape[1])]
        assert after.closest[place] == length
    for n, old, new in zip(range(2, 6), *(score(each.material, SELF) for each in work), strict=True):
        if length >= n:
            assert new.stats[[chosen, -1], 0] == pytest.approx([1.0, 1.0])
            assert new.value >= old.value - 1e-12


def test_a_duplicate_of_an_empty_sample_lowers_self_bleu():
    """As the mean is defined: why the property above asks for n tokens."""
    values = [
        score(Material(texts), ["self-bleu-2"])[0].value for texts in (["a b", "a b", ""], ["a b", "a b", "", ""])
    ]
    assert values == pytest.approx([2 / 3, 1 / 2])
