"""Each check of a task, and of a metric, catches what it is for."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import metrics
import tasks
from bench.checks.finding import Found, find, found_of
from bench.checks.subjects import Subject
from bench.errors import UserError
from bench.plugins import import_file
from metrics.base import Material, MeanMetric, WholeMetric
from tasks.base import Example, Provenance, Task, TaskOptions
from tasks.checks import text_of
from tasks.encoding import Side
from tasks.loading import Plan, load
from tasks.text import make_tokeniser
from tests.fresh import fresh_seed

WORDS = ("red", "green", "blue", "old", "new", "sea", "hill", "boat")


class Colours(Task):
    """A task of one's own, as short as can be."""

    name, version, kind, summary = "colours", 1, "free", "lines of colours"
    metrics: ClassVar[tuple[str, ...]] = ("bleu-2", "distinct-1")
    primary = "bleu-2"
    decodings = ("sample@1",)
    provenance = Provenance("made in a test", "none needed")
    tokens = "space"

    def load(self, source, limit=None, *, allow_overlap=False):
        side = Side(tokeniser=make_tokeniser("space"), max_tokens=12, max_vocab=100, min_count=1)
        return load(self, Plan("colours", self.parse, side), source, limit, allow_overlap=allow_overlap)

    def parse(self, row):
        return Example(text_of(row, "text"))


class Overlooks(Colours):
    def load(self, source, limit=None, *, allow_overlap=False):
        return super().load(source, limit, allow_overlap=True)


class Blames(Colours):
    def parse(self, row):
        return Example(str(row.fields["text"]))


class AsksForMuch(Colours):
    metrics = ("bleu-2", "sacrebleau")


class WrongKindOfMetric(Colours):
    metrics = ("bleu-2", "novel-1")


class NoPrimary(Colours):
    primary = "chrf"


class BeamsFreeText(Colours):
    decodings = ("beam5",)


class IgnoresLimit(Colours):
    def load(self, source, limit=None, *, allow_overlap=False):
        return super().load(source, None, allow_overlap=allow_overlap)


class OtherHash(Colours):
    def load(self, source, limit=None, *, allow_overlap=False):
        import dataclasses

        made = super().load(source, limit, allow_overlap=allow_overlap)
        print_ = str(hash(made.splits["train"].examples[0].target + str(limit)))
        return dataclasses.replace(made, fingerprint=print_)


class Unfrozen(Colours):
    class Options(TaskOptions, frozen=False):
        pass


class NoSummary(Colours):
    summary = ""


BROKEN_TASKS = [
    (Overlooks, "overlap-is-refused", "raise DataError unless allow_overlap"),
    (Blames, "errors-name-file-line-and-field", r"KeyError: 'text'.*without .*train\.txt, line 3"),
    (AsksForMuch, "metrics-exist", "did you mean sacrebleu"),
    (WrongKindOfMetric, "metrics-exist", "novel-1 needs sources, which a free task has not"),
    (NoPrimary, "metrics-exist", "primary 'chrf' is none of its metrics"),
    (BeamsFreeText, "decodings-can-be-read", "can't be drawn by beam5"),
    (IgnoresLimit, "limit-takes-the-first-rows", "limit 20 gives"),
    pytest.param(OtherHash, "fingerprint-is-stable", "never hash", marks=pytest.mark.slow, id="OtherHash"),
    (Unfrozen, "options-survive-json", "subclass tasks.base.TaskOptions"),
    (NoSummary, "is-described", "summary is ''"),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = random.Random(fresh_seed())
    for split, count in (("train", 80), ("valid", 25), ("test", 25)):
        lines = {" ".join(rng.choices(WORDS, k=5)) + f" {split}" for _ in range(count)}
        (tmp_path / f"{split}.txt").write_text("\n".join(sorted(lines)) + "\n")
    return tmp_path


def failing(thing: Any, skip: tuple[str, ...] = (), **options: Any) -> dict[str, str]:
    subject = Subject.of(thing, skip=skip, **options)
    found = [subject.outcome(check) for check in subject.checks()]
    return {each.name: " ".join(map(str, each.failures)).replace("\n", " ") for each in found if each.status == "FAIL"}


@pytest.mark.parametrize(
    ("task", "name", "said"),
    BROKEN_TASKS,
    ids=[None if hasattr(case, "marks") else case[0].__name__ for case in BROKEN_TASKS],
)
def test_a_broken_task_fails_just_the_check_for_it(task: type, name: str, said: str, data: Path) -> None:
    skip = () if name == "fingerprint-is-stable" else ("fingerprint-is-stable",)  # which starts processes
    slow = {"limit-takes-the-first-rows", "fingerprint-is-stable"}
    found = failing(task, skip, data=str(data))
    assert set(found) - slow == {name} - slow
    assert re.search(said, found[name]), found[name]


@pytest.mark.slow
def test_a_right_task_keeps_every_promise_and_says_what_its_data_lack(data: Path) -> None:
    assert failing(Colours, data=str(data)) == {}
    with pytest.raises(UserError, match=r"no embedded data for colours.*--data"):
        failing(Colours)
    with pytest.raises(UserError, match="no setting"):
        failing(Colours, settings={"charz": 5}, data=str(data))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(tasks.BUILTIN))
def test_every_task_of_the_suite_keeps_its_promises(name: str) -> None:
    assert failing(name, ("fingerprint-is-stable",)) == {}


class Vowels(MeanMetric):
    """A metric of one's own."""

    higher_is_better = True
    summary = "share of texts with an a in it"

    name = "vowels"

    def values(self, work):
        return np.array([("a" in text) for text in work.material.samples], dtype=np.float64)

    def fields(self, material):
        return {"hyps": str(len(material.samples))}


class Lucky(Vowels):
    def values(self, work):
        return np.minimum(1.0, super().values(work) + 0.0 * random.random())


class ByPlace(Vowels):
    def values(self, work):
        return super().values(work) * np.linspace(0.0, 1.0, len(work.material.samples))


class SortsItsTexts(Vowels):
    def values(self, work):
        work.material.samples.sort()
        return super().values(work)


class TooLarge(Vowels):
    limits = (0.0, 0.1)


class Superhuman(Vowels):
    human = 1.5


class LooksAside(Vowels):
    """Its value hangs on references that its signature doesn't name."""

    def values(self, work):
        return super().values(work) * (0.5 if work.material.references else 1.0)


class Zero(WholeMetric):
    """0 for nothing."""

    name, summary, needs = "zero", "texts", frozenset({"references"})
    limits = (0.0, 1e9)

    def score(self, work):
        material = work if isinstance(work, Material) else work.material
        return self._score_of(material)

    def _score_of(self, material):
        from metrics.base import Workspace

        return self._score(Workspace(material), float(len(material.references or ())), 0, None, "")

    def value(self, work):
        return 0.0

    def fields(self, material):
        return {"refs": str(len(material.references or ()))}


class NoSum(Vowels):
    def reduce(self, sums):
        return np.asarray(sums)[0] / np.asarray(sums)[1]


class Fragile(Vowels):
    def values(self, work):
        return np.array([text.encode() != b"" for text in work.material.samples], dtype=np.float64)


class Unnamed(Vowels):
    def signature(self, material):
        return "vowels|v:1"


class Odd(Vowels):
    summary = ""


BROKEN_METRICS = [
    (Lucky, "leaves-random-state-and-files-alone", "global stream of random"),
    (ByPlace, "order-does-not-matter", "never on its place|give row i for sample i"),
    (SortsItsTexts, "leaves-the-texts-as-they-were", "work on copies"),
    (TooLarge, "values-stay-within-limits", "mend `limits`"),
    (LooksAside, "signature-names-what-counts", "without references the value is .* under the same signature"),
    (Zero, "what-is-absent-has-a-reason", r"of no references it makes 0\.0 of 0 items|of nothing at all it makes"),
    (NoSum, "value-is-a-sum-over-items", "take statistics from the last axis"),
    (Fragile, "any-text-gives-a-number-or-a-reason", "UnicodeEncodeError"),
    (Unnamed, "signature-names-what-counts", "lacks v|lacks data"),
    (Odd, "is-described", "summary is empty"),
    (Superhuman, "is-described", r"human is 1\.5; limits are 0\.0 and 1\.0"),
]


@pytest.mark.parametrize(("metric", "name", "said"), BROKEN_METRICS, ids=[case[0].__name__ for case in BROKEN_METRICS])
def test_a_broken_metric_fails_just_the_check_for_it(metric: type, name: str, said: str) -> None:
    found = failing(metric, ("it-repeats",))
    also = {"values-stay-within-limits", "order-does-not-matter"} if metric in (Fragile, SortsItsTexts) else set()
    assert set(found) - also == {name}, found
    assert re.search(said, found[name]), found[name]


@pytest.mark.slow
@pytest.mark.parametrize("others", [0, 1], ids=["its name is its own", "another file has its name"])
def test_a_value_that_hangs_on_the_order_of_a_set_does_not_repeat(tmp_path: Path, others: int) -> None:
    file = tmp_path / "hangs.py"
    for i in range(others):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / file.name).write_text("nothing = 0\n")
        import_file(tmp_path / str(i) / file.name)
    file.write_text(
        "import numpy as np\nfrom metrics.base import MeanMetric\n\n\n"
        "class First(MeanMetric):\n    name, summary = 'first', 'length of some word'\n    limits = (0.0, 99.0)\n\n"
        "    def values(self, work):\n"
        "        words = {word for text in work.material.samples for word in text.split()}\n"
        "        return np.full(len(work.material.samples), float(sum(map(ord, next(iter(words))))) % 97)\n\n"
        "    def fields(self, material):\n        return {}\n"
    )
    (found,) = find(str(file))
    assert isinstance(found, Found)
    assert found.kind == "metric"
    subject = Subject(found, {}, only=("it-repeats",))
    (outcome,) = [subject.outcome(check) for check in subject.checks()]
    assert outcome.status == "FAIL"
    assert "PYTHONHASHSEED" in str(outcome.failures[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(metrics.BUILTIN) - {"mauve"}))
def test_every_metric_of_the_suite_keeps_its_promises(name: str) -> None:
    assert failing(name, ("it-repeats",)) == {}


def test_a_right_metric_keeps_every_promise() -> None:
    assert failing(Vowels, ("it-repeats",)) == {}


def test_what_is_asked_for_is_found_or_named(tmp_path: Path) -> None:
    assert found_of("mle").kind == "method"
    assert found_of("poetry").kind == "task"
    assert found_of("frechet@hashed").kind == "metric"
    for name, said in (("poerty", "Did you mean poetry"), ("bleu2", "Did you mean bleu-2"), ("qqqq", "list")):
        with pytest.raises(UserError, match=said):
            find(name)
    with pytest.raises(UserError, match='no task "mle"'):
        find("mle", kind="task")
    both = tmp_path / "both.py"
    both.write_text(
        "from tasks.base import Task\nfrom metrics.base import MeanMetric\n\n\n"
        "class Mine(MeanMetric):\n    name = 'mle'\n    def values(self, work): ...\n    def fields(self, m): ...\n"
    )
    with pytest.raises(UserError, match="a method and a metric: say which with --kind method"):
        find("mle", [str(both)])
    with pytest.raises(UserError, match=r"no class Mien .*Did you mean Mine"):
        find(f"{both}:Mien")
    with pytest.raises(UserError, match="holds no task"):
        find(str(both), kind="task")
