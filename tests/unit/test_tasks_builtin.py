"""Every task on its embedded data: what all of them promise."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks import BUILTIN
from tasks.base import Task
from tasks.opening import open_source

ROOT = Path(__file__).parents[2]


def task(name: str) -> Task:
    module, attribute = BUILTIN[name].split(":")
    made: Task = getattr(importlib.import_module(module), attribute)()
    return made


@pytest.mark.parametrize("name", BUILTIN)
def test_a_task_says_what_it_is(name: str) -> None:
    it = task(name)
    assert it.name == name
    assert it.version >= 1
    assert it.primary in it.metrics
    assert it.summary
    assert it.provenance.source
    assert it.provenance.licence
    assert it.decodings
    assert it.tokens in ("char", "word-lower", "space")


@pytest.mark.parametrize(
    ("name", "primary", "decodings"),
    [
        ("translation", "sacrebleu", ("greedy", "beam5", "beam5/replace-unk")),
        ("summarization", "rouge-1", ("greedy", "beam4", "greedy/no-unk", "beam4/no-unk")),
        ("dialogue", "adver-suc", ("greedy", "sample@1")),
    ],
)
def test_what_ranks_a_task_and_which_decodings_are_its_rows(
    name: str, primary: str, decodings: tuple[str, ...]
) -> None:
    it = task(name)
    assert (it.primary, it.decodings) == (primary, decodings)
    if name == "dialogue":  # its main metric is read beside these
        assert {"adver-human-random", "adver-machine-random", "adver-ere"} <= set(it.metrics)


@pytest.mark.parametrize("name", BUILTIN)
def test_a_corpus_keeps_its_promises(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTLET_CACHE", str(tmp_path))
    corpus = task(name).load(open_source(), 200)
    assert {"train", "valid", "test"} <= set(corpus.splits)
    assert corpus.dataset == "embedded" or name == "oracle"
    for split_name, split in corpus.splits.items():
        counts = corpus.counts[split_name]
        assert len(split) == len(split.examples) == counts["rows"]
        assert split.targets.flat.min() >= 0
        assert split.targets.flat.max() < corpus.vocab.size
        assert split.targets.lengths.max() <= corpus.max_target_length
        if corpus.fixed_length:
            assert set(split.targets.lengths) == {corpus.fixed_length}
            assert corpus.vocab.eos is None or corpus.vocab.eos not in split.targets.flat
        else:
            ended = split.targets.flat[split.targets.offsets[1:] - 1] == corpus.vocab.eos
            assert int(np.count_nonzero(~ended)) == counts["truncated_targets"]
        assert (split.sources is None) == (corpus.kind == "free")
        if split.sources is not None and corpus.source_vocab is not None and corpus.max_source_length is not None:
            assert split.sources.flat.max() < corpus.source_vocab.size
            assert split.sources.lengths.max() <= corpus.max_source_length
            assert (split.sources.flat[split.sources.offsets[1:] - 1] == corpus.source_vocab.eos).all()
            assert all(example.references for example in split.examples)


@pytest.mark.slow
def test_fingerprints_do_not_depend_on_the_process(tmp_path: Path) -> None:
    script = (
        "from tasks.opening import open_source; import importlib; from tasks import BUILTIN\n"
        "for spec in BUILTIN.values():\n"
        "    module, name = spec.split(':')\n"
        "    print(getattr(importlib.import_module(module), name)().load(open_source(), 50).fingerprint)"
    )
    seen = set()
    for seed in ("0", "1", "12345"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "GANTLET_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env, cwd=ROOT
        )
        seen.add(done.stdout)
    assert len(seen) == 1
    assert len(seen.pop().split()) == len(BUILTIN)
    # And again in this process, twice.
    first, second = (task("speech").load(open_source(), 50).fingerprint for _ in range(2))
    assert first == second
