"""What a last stage did, seed by seed: no word that one seed gainsays, and none that the figures don't show."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bench.report.stages import MIXED, SAME, Stages, _word, stages_of
from bench.schema import ScoreRow
from tests.fresh import fresh_seed
from tests.score_rows import NAN, cell, poetry, reference, row
from tests.tables import render, the_table

GAN: dict[str, Any] = {"config_hash": "c0ffee00"}


def told(rows: list[ScoreRow]) -> dict[str, dict[str, str]]:
    """By method (its first word) and column (its first word): what the cell says."""
    found = stages_of(the_table(rows))
    assert isinstance(found, Stages)
    heads = [head.split(" ")[0] for head in found.heads]
    return {row[0].split(" ")[0]: dict(zip(heads[1:], row[1:], strict=True)) for row in found.rows}


def area(baseline: str, seed: int, value: float, **fields: Any) -> ScoreRow:
    about = {"metric": "frontier-area-2", "primary": False, "higher_is_better": True, "signature": "frontier|n:2|v:1"}
    return row(baseline=baseline, seed=seed, value=value, **about, **fields)


def test_values_stand_seed_by_seed_with_what_all_seeds_say():
    rows = poetry()
    found = told(rows)
    assert list(found) == ["seqgan"]  # mle has one stage, the others none
    # the third seed diverged: it has no final value, and is in neither list
    assert found["seqgan"]["BLEU-2"] == ".470, .474 → .522, .518 (nearer)"  # real: .512
    assert found["seqgan"]["Self-BLEU-2"] == ".474, .478 → .533, .537 (farther)"  # real: .498
    assert found["seqgan"]["NLL-test"] == "3.211, 3.215 → 3.344, 3.352 (worse)"
    assert "BLEU-3" not in found["seqgan"]  # neither an axis nor one of those told beside them
    heads = stages_of(the_table(rows)).heads  # type: ignore[union-attr]
    assert heads == ("method", "BLEU-2 (real .512)", "Self-BLEU-2 (real .498)", "NLL-test (↓)")


def test_a_word_needs_all_seeds_and_figures_that_differ():
    assert _word([1.0, 2.0], [2.0, 3.0], 3, True, NAN) == "better"
    assert _word([1.0, 2.0], [2.0, 3.0], 3, False, NAN) == "worse"
    assert _word([1.0, 2.0], [2.0, 1.0], 3, True, NAN) == MIXED
    assert _word([1.0, 2.0], [2.0, 2.0], 3, True, NAN) == MIXED
    assert _word([0.0551, 0.0541], [0.0553, 0.0544], 3, False, NAN) == SAME
    assert _word([0.5], [0.6], 3, None, NAN) == ""  # no real text to be near to
    assert _word([0.4], [0.6], 3, None, 0.5) == SAME  # as far on the other side
    draw = random.Random(fresh_seed())
    for _ in range(200):
        real, before = draw.random(), [draw.random() for _ in range(3)]
        after = [real + 0.5 * (value - real) for value in before]
        if min(abs(value - real) for value in before) > 0.01:
            assert _word(before, after, 6, None, real) == "nearer"
            assert _word(after, before, 6, None, real) == "farther"


def test_of_three_stages_the_word_is_of_the_last_step():
    rows = reference("real", 0.5, 0.5)
    for seed in (0, 1):
        for stage, bleu in (("pretrain", 0.40), ("maskmle", 0.52), ("final", 0.46)):
            rows += cell("maskgan", seed, bleu, 0.5, 3.0, stage=stage, **GAN)
    found = stages_of(the_table(rows))
    assert found is not None
    assert found.rows[0][0] == "maskgan (pre-trained → MaskMLE → final)"
    assert found.rows[0][1] == ".400, .400 → .520, .520 → .460, .460 (farther)"


def test_the_frontier_is_held_against_tuned_mle_where_there_is_one():
    rows = poetry()
    rows += [area("mle", seed, 0.90) for seed in (0, 1, 2)]
    rows += [area("seqgan", seed, value, **GAN) for seed, value in enumerate((0.91, 0.92))]
    assert told(rows)["seqgan"]["area"] == ".910, .920 against .900, .900 (better)"
    for seed in (0, 1):
        rows += cell("tuned_mle", seed, 0.48, 0.48, 3.2, config_hash="77")
        rows.append(area("tuned_mle", seed, (0.95, 0.915)[seed], config_hash="77"))
    assert told(rows)["seqgan"]["area"] == ".910, .920 against .950, .915 (mixed)"
    found = stages_of(the_table(rows))
    assert found is not None
    assert found.heads[-1] == "area of the frontier, against tuned_mle"
    assert "tuned_mle" in found.notes[-1]
    others = [each for each in rows if not (each.baseline == "tuned_mle" and each.seed < 2 and "area" in each.metric)]
    others += [area("tuned_mle", 9, 0.9, config_hash="77")]  # of a seed that seqgan does not have
    found = stages_of(the_table(others))
    assert found is not None
    assert len(found.heads) == 4


def test_what_two_seeds_are_worth_is_said():
    found = stages_of(the_table(poetry()))
    assert found is not None
    assert "2 seeds agree by chance in one case of 2" in found.notes[0]
    found = stages_of(the_table([each for each in poetry() if each.seed == 0]))
    assert found is not None
    assert "by chance" not in found.notes[0]
    assert "one seed always agrees" in found.notes[0]
    rows = poetry()  # a second method with five seeds: what is said holds for the row with two as well
    for stage, bleu in (("pretrain", 0.40), ("final", 0.46)):
        rows += [each for seed in range(5) for each in cell("maskgan", seed, bleu, 0.5, 3.0, stage=stage, **GAN)]
    found = stages_of(the_table(rows))
    assert found is not None
    assert "2 seeds agree by chance in one case of 2" in found.notes[0]


def test_text_drawn_otherwise_is_told_of_in_its_own_table():
    rows = []
    for stage, gain in (("pretrain", 0.0), ("final", 1.0)):
        for baseline, decodings in (("mrt", ("greedy", "beam5")), ("seqgan", ("greedy",))):
            about: dict[str, Any] = {"task": "translation", "baseline": baseline, "stage": stage}
            for decoding in decodings:
                bleu = {"metric": "sacrebleu", "higher_is_better": True, "signature": f"sacrebleu|dec:{decoding}|v:1"}
                rows.append(row(**about, **bleu, decoding=decoding, value=20 + gain))
            nll = {"metric": "nll-test", "higher_is_better": False, "primary": False, "signature": "nll-test|v:1"}
            rows.append(row(**about, **nll, decoding="", value=3 - gain))
    greedy, beam = render(rows).split("**test, beam5")
    assert "| mrt (pre-trained → final) | 20.00 → 21.00 (better) | 3.000 → 2.000 (better) |" in greedy
    assert "| seqgan (pre-trained → final) |" in greedy
    assert "| mrt (pre-trained → final) |" in beam
    assert "| seqgan (pre-trained → final) |" not in beam


def test_without_an_earlier_stage_there_is_no_such_table():
    rows = [each for each in poetry() if each.stage == "final"]
    assert stages_of(the_table(rows)) is None
    assert "seed by seed" not in render(rows)


@pytest.mark.parametrize("name", ["a|b", "<script>", "*x*"])
def test_names_are_text(name):
    rows = [each.model_copy(update={"baseline": name}) if each.baseline == "seqgan" else each for each in poetry()]
    row_of_it = next(line for line in render(rows).splitlines() if "pre-trained →" in line)
    assert name not in row_of_it.replace("\\", "") or "\\" in row_of_it
    assert row_of_it.replace("\\|", "").count("|") == 5
