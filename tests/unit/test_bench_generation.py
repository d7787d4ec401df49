"""Sample counts, reference rows, sample files, and how values get their protocol and interval."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import CannotDecode, NotTractable
from bench import generation
from bench.config import CellSpec
from bench.scoring import Likelihood, SampleSet, decoding_field, per_item, score_everything
from metrics.signature import differences
from tasks.base import Ragged
from tests.toys import conditional_corpus, free_corpus
from tests.unit.test_bench_config import SPEC

FREE, PAIRS = free_corpus(), conditional_corpus()


class FakeTask:
    name, version, tokens, primary = "toy", 1, "space", "bleu-2"

    def __init__(self, metrics: tuple[str, ...], decodings: tuple[str, ...]) -> None:
        self.metrics, self.decodings = metrics, decodings


class FakeGenerator:
    """Gives back training lines, some with their words in disorder, and remembers what it was asked."""

    def __init__(self, corpus: Any, tractable: bool = True) -> None:
        self.corpus, self.tractable, self.asked = corpus, tractable, []

    def sample(self, n: int, *, temperature: float, rng: torch.Generator) -> Ragged:
        self.asked.append((n, temperature, rng.initial_seed()))
        return generation.shuffled(self.corpus, n, np.random.default_rng(0))

    def generate(self, sources: Ragged, *, decoding: Any, rng: torch.Generator) -> Ragged:
        self.asked.append((len(sources), str(decoding), rng.initial_seed()))
        return self.corpus.splits["train"].targets.take(np.arange(len(sources)))

    def token_log_probs(self, targets: Ragged, sources: Ragged | None = None) -> np.ndarray:
        if not self.tractable:
            raise NotTractable("no likelihood here")
        return np.full(len(targets.flat), -math.log(7))


class FakeTextGenerator(FakeGenerator):
    """Speaks and hears text: two tokens of its own a word."""

    token_unit = "halves.v1"

    def sample_texts(self, n: int, *, temperature: float, rng: torch.Generator) -> list[str]:
        return [f"text {i}" for i in range(n)]

    def text_log_probs(self, texts: Any) -> tuple[np.ndarray, np.ndarray]:
        counts = np.array([2 * len(text.split()) for text in texts])
        return -0.5 * counts, counts

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: Any) -> None: ...


def spec(**values: Any) -> CellSpec:
    return SPEC.model_copy(update=values)


def draw(
    corpus: Any, metrics: tuple[str, ...], decodings: tuple[str, ...], **values: Any
) -> tuple[Any, list[SampleSet]]:
    generator = FakeGenerator(corpus)
    task = FakeTask(metrics, decodings)
    sets, skipped = generation.draw(task, corpus, spec(**values), generator, "final", lambda *_: None)
    assert skipped == []
    return generator, sets


def test_free_samples_are_as_many_as_the_smaller_held_out_split() -> None:
    short = dataclasses.replace(FREE.splits["valid"], targets=FREE.splits["valid"].targets.take(np.arange(30)))
    corpus = dataclasses.replace(FREE, splits={**FREE.splits, "valid": short})
    assert generation.sample_count(corpus, 10_000) == 30
    assert generation.sample_count(corpus, 7) == 7
    generator, sets = draw(corpus, (), ("sample@1", "sample@0.7", "greedy"))
    assert [(one.decoding, len(one.texts)) for one in sets] == [("sample@1", 30), ("sample@0.7", 30)]
    assert [asked[1] for asked in generator.asked] == [1.0, 0.7]


def test_the_samples_seed_depends_on_task_seed_and_decoding_but_not_on_the_method() -> None:
    seeds = {
        (baseline, seed): draw(FREE, (), ("sample@1",), baseline=baseline, seed=seed)[0].asked[0][2]
        for baseline in ("mle", "seqgan")
        for seed in (0, 1)
    }
    assert seeds["mle", 0] == seeds["seqgan", 0] != seeds["mle", 1]


def test_conditional_samples_answer_every_source_of_every_test_set_at_the_end() -> None:
    corpus = dataclasses.replace(PAIRS, splits={**PAIRS.splits, "test_other": PAIRS.splits["valid"]})
    _, sets = draw(corpus, (), ("greedy", "beam3"))
    assert [(one.split, one.decoding) for one in sets] == [
        ("test", "greedy"),
        ("test", "beam3@1"),
        ("test_other", "greedy"),
        ("test_other", "beam3@1"),
    ]


class FakeWriter(FakeGenerator):
    """Answers with its source's text; can't draw beams."""

    def write(
        self, sources: Ragged, texts: Any, *, decoding: Any, rng: torch.Generator
    ) -> tuple[list[str], Ragged | None]:
        if decoding.method == "beam":
            raise CannotDecode("no beams here")
        self.asked.append((len(sources), str(decoding), rng.initial_seed()))
        return [" ".join(text) for text in texts], None

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: Any) -> None: ...


def test_a_writer_is_given_the_sources_text_and_what_it_cannot_do_is_kept(tmp_path: Path) -> None:
    task = FakeTask(("distinct-1", "length"), ("greedy", "beam3", "greedy/replace-unk"))
    generator = FakeWriter(PAIRS, tractable=False)
    sets, skipped = generation.draw(task, PAIRS, spec(), generator, "final", lambda *_: None)
    test = PAIRS.splits["test"].examples
    assert [one.decoding for one in sets] == ["greedy", "greedy/replace-unk"]
    for one in sets:
        assert one.texts == [" ".join(example.source) for example in test]
        assert one.ids is None
    assert skipped == [generation.Skipped("final", "test", "beam3@1", "no beams here")]
    assert generator.asked[0][2] != generator.asked[1][2]
    exact = generation.likelihoods(PAIRS, generator, "final")
    generation.write_samples(tmp_path, sets, exact, PAIRS, spec(), 1.0, skipped)
    about = json.loads((tmp_path / "samples.json").read_text())
    assert about["skipped"] == [{"stage": "final", "split": "test", "decoding": "beam3@1", "reason": "no beams here"}]
    stored = generation.read_samples(tmp_path)
    assert stored is not None
    values = score_everything(task, PAIRS, *stored, spec())
    assert {value.decoding for value in values} == {"greedy", "greedy/replace-unk"}
    fields = {value.decoding: value.score.signature for value in values if value.score.metric == "distinct-1"}
    assert "|dec:greedy/replace-unk|" in fields["greedy/replace-unk"]
    assert "|dec:greedy|" in fields["greedy"]


def test_free_samples_that_cannot_be_drawn_are_kept_in_mind_too() -> None:
    class Hot(FakeGenerator):
        def sample(self, n: int, *, temperature: float, rng: torch.Generator) -> Ragged:
            if temperature > 1:
                raise CannotDecode
            return super().sample(n, temperature=temperature, rng=rng)

    task = FakeTask(("distinct-1",), ("sample@1.5", "sample@1"))
    sets, skipped = generation.draw(task, FREE, spec(temperatures=()), Hot(FREE), "final", lambda *_: None)
    assert [one.decoding for one in sets] == ["sample@1"]
    assert [(one.decoding, one.reason) for one in skipped] == [("sample@1.5", "the method can't decode so")]


def test_likelihood_of_text_is_asked_for_with_the_sources_where_there_are_some() -> None:
    class Asked(FakeTextGenerator):
        def text_log_probs(self, texts: Any, sources: Any = None) -> tuple[np.ndarray, np.ndarray]:
            self.asked.append(sources)
            return super().text_log_probs(texts)

    for corpus in (FREE, PAIRS):
        generator = Asked(corpus)
        generation.likelihoods(corpus, generator, "final")
        examples = corpus.splits["test"].examples
        assert generator.asked == [[example.source for example in examples] if corpus is PAIRS else None]


def test_shuffled_keeps_words_and_lengths_and_loses_the_order() -> None:
    rows = generation.shuffled(FREE, 100, np.random.default_rng(0))
    again = generation.shuffled(FREE, 100, np.random.default_rng(0))
    train = FREE.splits["train"].targets
    assert np.array_equal(rows.flat, again.flat)
    assert all(row[-1] == FREE.vocab.eos for row in (rows[i] for i in range(100)))
    rng = np.random.default_rng(0)
    chosen = train.take(rng.permutation(len(train))[:100])
    assert Counter(rows.flat.tolist()) == Counter(chosen.flat.tolist())
    assert not np.array_equal(rows.flat, chosen.flat)


def test_the_real_row_is_the_text_itself() -> None:
    sets, exact = generation.reference_row("real", FREE, spec())
    assert exact == []
    assert list(sets[0].texts) == [example.target for example in FREE.splits["valid"].examples]


def test_files_give_back_what_was_written(tmp_path: Path) -> None:
    ids = PAIRS.splits["test"].targets
    texts = ["\u2028 odd \r line", "", *PAIRS.decode(ids)[2:]]
    sets = [SampleSet("final", "test", "greedy", texts, ids)]
    exact = [
        Likelihood("final", "test", np.array([-1.5, -2.0]), np.array([3, 4])),
        Likelihood("pretrain", "test", reason="none"),
    ]
    generation.write_samples(tmp_path, sets, exact, PAIRS, spec(), 1.0)
    stored = generation.read_samples(tmp_path)
    assert stored is not None
    assert list(stored[0][0].texts) == texts
    assert stored[0][0].ids is not None
    assert np.array_equal(stored[0][0].ids.flat, ids.flat)
    assert np.array_equal(stored[1][0].sums, exact[0].sums)
    assert stored[1][1].reason == "none"
    (tmp_path / "samples.json").unlink()  # the last file is missing: the stage never ended
    assert generation.read_samples(tmp_path) is None


def test_counts_tell_cut_unknown_and_empty() -> None:
    ids = Ragged.from_lists([[2, 3, 0], [2, 1, 1], [0]])
    counts = generation.counts_of(SampleSet("final", "test", "sample@1", ["a b", "a", " "], ids), FREE)
    assert counts == {"samples": 3, "empty": 1, "unk": 2, "cut_at_limit": 1}


def test_sums_by_item_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(1)
    targets = Ragged.from_lists([[1] * n for n in (3, 0, 1, 5)])
    flat = rng.normal(size=9)
    found = per_item(flat, targets, "hash")
    expected = [flat[targets.offsets[i] : targets.offsets[i + 1]].sum() for i in range(4)]
    assert found.sums == pytest.approx(expected)
    assert found.tokens.tolist() == [3, 0, 1, 5]


def test_values_carry_protocol_and_interval_and_reasons() -> None:
    task = FakeTask(("bleu-2", "distinct-1", "nll-test"), ("sample@0.7",))
    generator, sets = draw(FREE, task.metrics, task.decodings)
    exact = generation.likelihoods(FREE, generator, "final")
    values = {value.score.metric: value for value in score_everything(task, FREE, sets, exact, spec())}
    assert values["nll-test"].score.value == pytest.approx(math.log(7))
    assert values["nll-test"].decoding == ""
    assert "|T:" not in values["nll-test"].score.signature
    bleu = values["bleu-2"]
    assert "|T:0.7|" in bleu.score.signature
    assert FREE.label in bleu.score.signature
    assert bleu.low < bleu.score.value < bleu.high
    assert math.isnan(values["distinct-1"].low)
    dumb = generation.likelihoods(FREE, FakeGenerator(FREE, tractable=False), "final")
    (value,) = score_everything(task, FREE, [], dumb, spec())
    assert math.isnan(value.score.value)
    assert value.score.reason == "no likelihood here"


def test_a_sweep_gives_the_frontier_once_and_its_axes_at_each_temperature() -> None:
    task = FakeTask(("bleu-2", "self-bleu-2", "distinct-1", "frontier-distance-2"), ("sample@1",))
    swept = spec(temperatures=(0.5, 1.0, 1.5))
    sets, _ = generation.draw(task, FREE, swept, FakeGenerator(FREE), "final", lambda *_: None)
    assert [one.decoding for one in sets] == ["sample@1", "sample@0.5", "sample@1.5"]
    before, _ = generation.draw(task, FREE, swept, FakeGenerator(FREE), "pretrain", lambda *_: None)
    assert [one.decoding for one in before] == ["sample@1"]
    found = [(v.decoding, v.score.metric) for v in score_everything(task, FREE, [*before, *sets], [], swept)]
    assert found.count(("sample@1", "distinct-1")) == 2
    assert found.count(("sample@0.5", "bleu-2")) == found.count(("sample@1.5", "self-bleu-2")) == 1
    assert ("sample@0.5", "distinct-1") not in found
    (frontier,) = (v for v in score_everything(task, FREE, sets, [], swept) if v.score.metric == "frontier-distance-2")
    assert "|T:0.5,1,1.5|" in frontier.score.signature
    assert frontier.decoding == ""
    assert frontier.low <= frontier.high
    asked = {v.decoding for v in score_everything(task, FREE, sets, [], spec(decodings=("sample@0.5",)))
             if v.score.metric == "distinct-1"}  # fmt: skip
    assert asked == {"sample@0.5"}


def test_real_text_has_no_curve_and_the_floor_one_point() -> None:
    task = FakeTask(("bleu-2", "frontier-distance-2"), ("sample@1",))
    for name, expected in (("real", 0), ("shuffled", 1)):
        row = spec(baseline=name)
        sets, _ = generation.reference_row(name, FREE, row)
        values = [v for v in score_everything(task, FREE, sets, [], row) if v.score.metric == "frontier-distance-2"]
        assert len(values) == expected
        assert all("|T:" not in v.score.signature for v in values)


def test_decoding_fields() -> None:
    assert decoding_field("") == {}
    assert decoding_field("sample@0.8") == {"T": "0.8"}
    assert decoding_field("beam5") == {"dec": "beam5@1"}
    assert decoding_field("beam5/replace-unk/cov0.2") == {"dec": "beam5@1/replace-unk/cov0.2"}
    assert decoding_field("sample/replace-unk") == {"dec": "sample@1/replace-unk"}


def test_a_generator_of_text_is_asked_for_text(tmp_path: Path) -> None:
    task = FakeTask(("bleu-2", "nll-test"), ("sample@1",))
    spec = SPEC.model_copy(update={"temperatures": (), "samples": 5})
    generator = FakeTextGenerator(FREE)
    sets, _ = generation.draw(task, FREE, spec, generator, "final", lambda *_: None)
    exact = generation.likelihoods(FREE, generator, "final")
    assert list(sets[0].texts) == [f"text {i}" for i in range(5)]
    generation.write_samples(tmp_path, sets, exact, FREE, spec, 0.0)
    stored = generation.read_samples(tmp_path)
    assert stored is not None
    values = {value.score.metric: value.score for value in score_everything(task, FREE, *stored, spec)}
    assert values["nll-test"].value == pytest.approx(0.5)
    other = dataclasses.replace(exact[0], unit="halves.v2")
    changed = score_everything(task, FREE, [], [other], spec)[-1].score
    assert differences(changed.signature, values["nll-test"].signature).keys() == {"vocab"}
    (plain,) = generation.likelihoods(FREE, FakeGenerator(FREE), "final")
    assert plain.unit == ""
