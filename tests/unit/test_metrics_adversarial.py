"""The evaluator of replies: what it must see, what it must not, and that nothing leaks from training into testing."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from metrics import Material, Workspace, reduce, score
from metrics.adversarial import _judged
from metrics.dialogues import dialogues
from metrics.evaluator import FOLDS, RARE, cross_fitted_errors
from metrics.reply_features import features
from tests.fresh import fresh_seed

NAMES = [
    "adver-suc",
    "adver-human-human",
    "adver-machine-machine",
    "adver-human-random",
    "adver-machine-random",
    "adver-ere",
]
TOPICS = 6


def about(topic, rng):
    """A reply to a turn about a topic: its own words, not the turn's."""
    said = rng.choice(["yes", "well", "no", "i think"])
    return f"{said} {rng.choice(['a', 'b', 'c'])}{topic} {rng.choice(['d', 'e', 'f'])}{topic} w{rng.integers(40)}"


def talk(n, rng):
    """Sources, topics and human replies."""
    topics = rng.integers(TOPICS, size=n)
    sources = [[f"hello {i}", f"what of t{topic} then q{i} ?"] for i, topic in enumerate(topics)]
    return sources, topics, [about(topic, rng) for topic in topics]


def material(sources, human, machine, **more):
    return Material(machine, references_by_item=[[text] for text in human], sources=sources, tokens="space", **more)


@pytest.fixture
def rng():
    return np.random.default_rng(fresh_seed())


def value(name, given):
    (result,) = score(given, [name])
    assert result.reason == ""
    return result.value


@pytest.mark.slow
def test_bad_replies_are_found_out(rng):
    sources, _, human = talk(400, rng)
    for machine in (["yes , i see"] * 400, [f"w{rng.integers(40)} " * 5 for _ in human], [""] * 400):
        assert value("adver-suc", material(sources, human, machine)) < 0.02
        assert value("adver-machine-random", material(sources, human, machine)) > 0.98


@pytest.mark.slow
def test_replies_as_humans_give_them_are_not(rng):
    sources, topics, human = talk(800, rng)
    given = material(sources, human, [about(topic, rng) for topic in topics])
    # 1,600 judgements at 0.5 have a standard deviation of 0.0125
    assert value("adver-suc", given) == pytest.approx(0.5, abs=0.07)
    assert value("adver-human-human", given) == pytest.approx(0.5, abs=0.09)
    assert value("adver-machine-machine", given) == pytest.approx(0.5, abs=0.09)
    assert value("adver-ere", given) < 0.2


@pytest.mark.slow
def test_right_words_in_the_wrong_place_are_seen(rng):
    """Nothing in these replies alone tells: only whether they fit."""
    sources, topics, human = talk(800, rng)
    wrong = [about((topic + rng.integers(1, TOPICS)) % TOPICS, rng) for topic in topics]
    assert value("adver-suc", material(sources, human, wrong)) < 0.35
    fitting = material(sources, human, [about(topic, rng) for topic in topics])
    assert value("adver-human-random", fitting) < 0.35
    assert value("adver-machine-random", fitting) > 0.65
    anything = material(sources, human, [about(rng.integers(TOPICS), rng) for _ in topics])
    assert value("adver-machine-random", anything) == pytest.approx(0.5, abs=0.1)


def test_a_copy_of_the_human_reply_is_half_an_error(rng):
    sources, _, human = talk(120, rng)
    machine = human[:60] + ["yes , i see"] * 60
    (result,) = score(material(sources, human, machine), ["adver-suc"])
    assert result.stats[:60].tolist() == [[1, 2]] * 60
    assert value("adver-suc", material(sources, human, human)) == 0.5


def test_the_same_pair_in_many_items_gives_nothing_away(rng):
    """Replies that differ by chance alone, each pair in five items: memory would tell them all, judgement none."""
    sources = [[f"q{i} {rng.integers(9)}"] for i in range(200)] * 5
    human, machine = ([" ".join(f"w{w}" for w in rng.integers(99, size=6)) for _ in range(200)] * 5 for _ in range(2))
    given = material(sources, human, machine)
    assert value("adver-suc", given) == pytest.approx(0.5, abs=0.15)
    # the same judge, dealt without regard to source and text, remembers
    work = Workspace(given)
    items, kinds = np.tile(np.arange(1000), 2), np.repeat([True, False], 1000)
    shown = features(work.shared(dialogues), items, np.arange(2000))
    careless = cross_fitted_errors(shown, kinds, rng.integers(FOLDS, size=1000)[items], np.arange(2000))
    assert careless.mean() < 0.1


def test_a_text_said_once_of_each_kind_does_not_mislead(rng):
    """Human replies dealt out again at random: whoever remembers a text takes it for the other kind, always."""
    human = [" ".join(f"w{w}" for w in rng.integers(300, size=8)) for _ in range(600)]
    sources = [[f"q{i}"] for i in range(600)]
    given = material(sources, human, [human[i] for i in rng.permutation(600)])
    assert value("adver-suc", given) == pytest.approx(0.5, abs=0.08)
    work = Workspace(given)
    items, kinds = np.tile(np.arange(600), 2), np.repeat([True, False], 600)
    shown = features(work.shared(dialogues), items, np.arange(1200))
    fold = work.shared(dialogues).fold[items]
    assert cross_fitted_errors(shown, kinds, fold, np.arange(1200)).mean() > 0.65


def test_order_of_the_items_is_nothing(rng):
    sources, topics, human = talk(300, rng)
    sources[5], human[5] = sources[4], human[4]
    machine = [about(rng.integers(TOPICS), rng) for _ in topics]
    order = rng.permutation(300)
    one = score(material(sources, human, machine), NAMES)
    again = score(material(sources, human, machine), NAMES)
    other = score(material(*([part[i] for i in order] for part in (sources, human, machine))), NAMES)
    for a, b, c in zip(one, again, other, strict=True):
        assert np.array_equal(a.stats, b.stats)
        assert c.value == pytest.approx(a.value, abs=1e-9)
        assert np.array_equal(a.stats[order], c.stats)


def test_items_of_one_dialogue_are_dealt_together():
    turns = ["how are you", "fine thanks", "and you", "not bad", "good", "bye"]
    sources = [turns[:i] for i in range(1, 6)] + [["other"], ["other"], ["third"]]
    human = [*turns[1:], "x", "y", "z"]
    given = Workspace(material(sources, human, ["m"] * 8)).shared(dialogues)
    assert len(set(given.group[:5].tolist())) == 1
    assert given.group[5] == given.group[6]
    assert len(set(given.group.tolist())) == 3
    # what everybody says links nobody
    many = [[f"s{i}", "hi", "hello"] for i in range(RARE + 1)]
    assert len(set(Workspace(material(many, ["x"] * 6, ["m"] * 6)).shared(dialogues).group.tolist())) == RARE + 1


def test_partners_are_of_the_same_fold_and_of_another_dialogue(rng):
    sources, _, human = talk(200, rng)
    sources[:30] = [["same"]] * 30
    given = Workspace(material(sources, human, human)).shared(dialogues)
    who = np.arange(200)
    assert (given.partner >= 0).all()
    assert (given.fold[given.partner] == given.fold[who]).all()
    assert (given.group[given.partner] != given.group[who]).all()
    assert len(set(given.partner[30:].tolist())) > 150  # hardly any reply is used twice
    assert set(given.fold.tolist()) == set(range(FOLDS))
    assert 0.3 < given.coin.mean() < 0.7
    alone = Workspace(material([["same"]] * 9, human[:9], human[:9])).shared(dialogues)
    assert (alone.partner == -1).all()
    assert _judged(alone, np.arange(0), np.arange(0), np.ones(0, np.bool_)).tolist() == [[0, 0]] * 9


def test_reliability_is_made_of_the_controls(rng):
    sources, topics, human = talk(150, rng)
    given = material(sources, human, [about(topic, rng) for topic in topics])
    results = {result.metric: result for result in score(given, NAMES)}
    deviations = [
        abs(results["adver-human-human"].value - 0.5),
        abs(results["adver-machine-machine"].value - 0.5),
        results["adver-human-random"].value,
    ]
    assert results["adver-ere"].value == pytest.approx(np.mean(deviations))
    for name, result in results.items():
        assert result.n == len(result.stats) == 150
        assert reduce(name, result.stats.sum(axis=0)) == pytest.approx(result.value)
        draws = np.stack([result.stats[rng.integers(150, size=150)].sum(axis=0) for _ in range(3)])
        assert reduce(name, draws).shape == (3,)
    assert results["adver-machine-random"].stats[:, 0].sum() / 300 == pytest.approx(
        1 - results["adver-machine-random"].value
    )


def test_reasons(rng):
    sources, _, human = talk(120, rng)

    def reasons(given):
        results = score(given, NAMES)
        assert all(math.isnan(result.value) for result in results)
        return {result.reason for result in results}

    assert reasons(material(sources[:99], human[:99], human[:99])) == {"99 items: an evaluator needs 100 or more"}
    assert reasons(Material(human, references_by_item=[[text] for text in human])) == {"no sources given"}
    assert reasons(Material(human, sources=sources)) == {"no references by item given"}
    assert reasons(Material(human, sources=sources, references_by_item=[[]] * 120)) == {"item 0 has no reference"}
    assert reasons(material([["same"]] * 120, human, human)) == {
        "fewer than 20 different dialogues: nothing to train an evaluator on"
    }
    assert reasons(material([], [], [])) == {"references by item: empty"}


def test_chinese_and_empty_texts():
    sources = [[] if i % 9 == 0 else ["", f"你喜欢第{i}个吗"] if i % 7 else [f"{i}", ""] for i in range(150)]
    human = ["" if i % 11 == 0 else f"我喜欢{i}" for i in range(150)]
    given = Material(["不知道"] * 150, references_by_item=[[text] for text in human], sources=sources, tokens="char")
    results = {result.metric: result.value for result in score(given, NAMES)}
    assert results["adver-suc"] < 0.1
    assert all(math.isfinite(each) for each in results.values())


def test_signature_and_global_generators(rng):
    sources, _, human = talk(100, rng)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002 - the global state is what is tested
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    (result,) = score(material(sources, human, human), ["adver-suc"])
    assert before == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    expected = "adver-suc|hyps:100|refs:first|eval:logistic|feat:reply12+pairs8+form|l2:2|folds:5|rare:5|tok:space|v:2"
    assert result.signature == expected


def test_awkward_lines(rng):
    sources, _, human = talk(110, rng)
    awkward = ["\ud800 lone surrogate", "a\rb\r\nc", "\ufeffbom", "\x00nul", "a" * 5000]
    machine = [awkward[i % 5] for i in range(110)]
    given = material([[*source, awkward[i % 5]] for i, source in enumerate(sources)], human, machine)
    assert all(math.isfinite(result.value) for result in score(given, NAMES))
