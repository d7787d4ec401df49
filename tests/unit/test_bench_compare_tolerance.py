"""Tolerances: which key holds, what a file may say, and what is refused."""

from __future__ import annotations

import pytest

from bench.comparing.table import Options, Results, compare_results, tolerances
from bench.errors import UserError
from tests.score_rows import row


def test_the_most_specific_key_holds():
    found = tolerances(["0.1", "bleu-2=0.2", "poetry:bleu-2=0.3", "poetry.mle:bleu-2=0.4", "speech:default=0.5"])
    assert found.of("poetry", "mle", "bleu-2", 1.0) == 0.4
    assert found.of("poetry", "seqgan", "bleu-2", 1.0) == 0.3
    assert found.of("captions", "mle", "bleu-2", 1.0) == 0.2
    assert found.of("speech", "mle", "chrf", 1.0) == 0.5
    assert found.of("captions", "mle", "chrf", 1.0) == 0.1
    assert tolerances().of("captions", "mle", "chrf", 1.0) == 0.0


def test_a_share_is_of_the_base_whatever_its_sign():
    found = tolerances(["2%", "chrf=0.5 %"])
    assert found.of("a", "b", "c", -3.0) == pytest.approx(0.06)
    assert found.of("a", "b", "chrf", 50.0) == pytest.approx(0.25)


def test_a_file_may_be_flat_or_have_tables_and_flags_go_before_it(tmp_path):
    file = tmp_path / "t.toml"
    file.write_text(
        'default = 0.005\nbleu-2 = "1%"\n"captions:chrf" = 2\n[poetry]\nbleu-2 = 0.02\n[poetry.seqgan]\nunk = 0.03\n'
    )
    found = tolerances(["bleu-2=0.5"], str(file))
    assert {key: str(amount) for key, amount in found.amounts.items()} == {
        "default": "0.005", "bleu-2": "0.5", "captions:chrf": "2", "poetry:bleu-2": "0.02", "poetry.seqgan:unk": "0.03",
    }  # fmt: skip


@pytest.mark.parametrize("flag", ["x", "bleu-2=", "-1", "nan", "inf", "bleu-2=-0.1", "a:b:c=1", "=1", "1e-3%%"])
def test_flags_that_make_no_sense(flag):
    with pytest.raises(UserError, match="--tolerance"):
        tolerances([flag])


@pytest.mark.parametrize(
    ("content", "said"),
    [("default = ", "t.toml"), ("default = true", "no amount"), ("default = [1]", "no amount"),
     ("[a.b.c]\nd = 1", "no deeper"), ('default = "much"', "no amount"), ('"a:b:c" = 1', "a key is METRIC")],
)  # fmt: skip
def test_files_that_make_no_sense(tmp_path, content, said):
    (tmp_path / "t.toml").write_text(content)
    with pytest.raises(UserError, match=said):
        tolerances([], str(tmp_path / "t.toml"))


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match=r"none\.toml"):
        tolerances([], str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("key", "said"),
    [("bleu-22", 'no metric "bleu-22". Did you mean bleu-2?'),
     ("poerty:bleu-2", 'no task "poerty". Did you mean poetry?'),
     ("poetry.mlee:bleu-2", 'no method "mlee". Did you mean mle?')],
)  # fmt: skip
def test_names_that_are_not_known(key, said):
    side = Results("a", [row()])
    with pytest.raises(UserError) as raised:
        compare_results(side, side, Options(tolerances=tolerances([f"{key}=1"])))
    assert said in str(raised.value)


def test_one_file_serves_runs_that_have_only_some_of_its_names():
    side = Results("a", [row()])
    known = tolerances(["translation.rnnsearch:sacrebleu=0.5"])  # of the suite, and not in this comparison
    assert compare_results(side, side, Options(tolerances=known)).exit_code == 0
