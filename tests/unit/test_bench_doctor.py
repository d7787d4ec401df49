"""The doctor's facts, what it makes of them, and the data sets that it finds."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.doctor import datasets, machine, packages
from bench.doctor.machine import Machine, Torch
from bench.doctor.packages import Package, satisfies
from bench.doctor.problems import MEMORY_A_CELL, Problem, data_problems, problems, size
from bench.doctor.wording import data_lines, extra_lines, machine_lines, problem_lines
from tasks.base import DataError

TORCH = Package("torch", ">=2.11", "2.13.0+cpu")
GOOD = Machine(
    python="3.11.7",
    executable="/usr/bin/python3",
    platform="Linux",
    processor="a processor",
    cores=4.0,
    cores_there=4,
    cores_affinity=4,
    cores_cgroup=None,
    load=0.1,
    memory=16 * 2**30,
    memory_free=12 * 2**30,
    memory_cgroup=None,
    disk="/data",
    disk_free=50 * 2**30,
    disk_writable=True,
    torch=Torch("2.13.0+cpu", "", 4, "mkl", "AVX2", "", "this build of torch has no CUDA"),
)


def found(changed: dict[str, Any], device: str = "auto", workers: int = 2, threads: int = 1) -> list[Problem]:
    return problems(replace(GOOD, **changed), [TORCH], device, workers, threads)


def test_a_sound_machine_has_no_problem() -> None:
    assert problem_lines(found({}, workers=4)) == ["problems   none"]


@pytest.mark.parametrize(
    ("changed", "stops", "said", "remedy"),
    [
        ({"python": "3.10.2"}, True, "Python is 3.10.2", "3.11"),
        ({"torch": Torch(error="OSError: libgomp")}, True, "OSError: libgomp", 'pip install "torch>=2.11"'),
        ({"torch": replace(GOOD.torch, version="2.9.1")}, True, "torch is 2.9.1", 'pip install "torch>=2.11"'),
        ({"torch": replace(GOOD.torch, capability="DEFAULT")}, False, "no AVX2", "another machine"),
        ({"torch": replace(GOOD.torch, cuda_build="13.0", no_cuda="no driver")}, False, "no driver", "driver"),
        ({"disk_writable": False}, True, "/data can't be written to", "--out"),
        ({"disk_free": 100 * 2**20}, True, "100 MB are free at /data", "--out"),
        ({"disk_free": 2 * 2**30}, False, "2.0 GB are free", "--out"),
        ({"cores": 1.0, "cores_affinity": 1}, False, "1 core can be used", ""),
        ({"cores_cgroup": 1.0, "cores": 1.0}, False, "the container may use 1 cores", "--workers 1"),
        ({"cores": 1.0, "cores_affinity": 1}, False, "more than 1 cores", "--workers 1"),
        ({"load": 9.0}, False, "load 9.0 on 4 cores", "wait"),
        ({"memory_free": MEMORY_A_CELL + 1}, False, "2 cells at a time take", "--workers 1"),
        ({"memory_cgroup": MEMORY_A_CELL // 2}, True, "of memory are free", "end other programs"),
        ({"variables": {"OMP_NUM_THREADS": "64"}}, False, "OMP_NUM_THREADS is 64", "unset OMP_NUM_THREADS"),
        ({"variables": {"OMP_NUM_THREADS": "two"}}, False, "no number of threads", "unset OMP_NUM_THREADS"),
        ({"openmp": ("libgomp.so.1", "libiomp5.so")}, False, "two OpenMP runtimes", "one place"),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(changed: dict[str, Any], stops: bool, said: str, remedy: str) -> None:
    told = [problem for problem in found(changed) if said in problem.text]
    assert len(told) == 1, found(changed)
    assert told[0].stops is stops
    assert remedy in told[0].remedy
    assert told[0].remedy


def test_what_stops_comes_first() -> None:
    told = found({"load": 9.0, "disk_writable": False, "variables": {"OMP_NUM_THREADS": "64"}})
    assert [problem.stops for problem in told] == [True, False, False]
    lines = problem_lines(told)
    assert lines[1].startswith("  stops the quickstart: ")
    assert lines[2].startswith("    do: ")


def test_cuda_that_is_asked_for_must_be_there() -> None:
    (problem,) = found({}, device="cuda")
    assert problem.stops
    assert "no CUDA" in problem.text
    device = machine.Device("A GPU", 80 * 2**30, 70 * 2**30, "9.0", True)
    with_gpu = replace(GOOD.torch, cuda_build="13.0", devices=(device,), no_cuda="")
    assert found({"torch": with_gpu}, device="cuda", workers=1) == []
    assert any("cuda:0   A GPU, 70 GB of 80 GB free" in line for line in machine_lines(replace(GOOD, torch=with_gpu)))


def test_a_single_openmp_runtime_in_two_files_is_no_problem() -> None:
    maps = (
        "7f r-xp 0 1 2  /x/libgomp.so.1\n7f r-xp 0 1 2  /y/libgomp-a34b3233.so.1\n7f r 0 1 2  /y/libm.so.6\n7f r 0 0\n"
    )
    assert machine.openmp_runtimes(maps) == ("libgomp-a34b3233.so.1", "libgomp.so.1")
    assert found({"openmp": machine.openmp_runtimes(maps)}) == []


def test_limits_of_containers_are_read_in_both_versions(tmp_path: Path) -> None:
    assert machine.cgroup_cores(tmp_path) is None
    assert machine.cgroup_memory(tmp_path) is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    assert machine.cgroup_cores(tmp_path) == 1.5
    assert machine.cgroup_memory(tmp_path) == 600_000
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.cgroup_cores(tmp_path) is None
    assert machine.cgroup_memory(tmp_path) is None
    old = tmp_path / "v1"
    (old / "cpu").mkdir(parents=True)
    (old / "memory").mkdir()
    (old / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (old / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (old / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert machine.cgroup_cores(old) is None
    assert machine.cgroup_memory(old) is None
    (old / "cpu" / "cpu.cfs_quota_us").write_text("200000\n")
    assert machine.cgroup_cores(old) == 2.0


def test_looking_finds_this_machine(tmp_path: Path) -> None:
    import torch

    here = machine.look(tmp_path / "not" / "yet")
    assert here.torch.version == torch.__version__
    assert here.disk == str(tmp_path)
    assert here.disk_writable
    assert here.cores >= 1
    assert here.memory is None or here.memory > 2**28
    assert len(machine_lines(here)) >= 7


@pytest.mark.parametrize(
    ("installed", "wanted", "fits"),
    [
        ("2.13.0+cpu", ">=2.11", True),
        ("2.9.1", ">=2.11", False),
        ("2.11", ">=2.11", True),
        ("2.11.0", ">=2.11", True),
        ("3.0", ">=2.4,<3", False),
        ("2.99.9", "<3,>=2.4", True),
        ("1.5.2", "==1.5", True),
        ("2.0.0rc1", ">=2.0", True),
        ("0.1", "", True),
    ],
)
def test_versions_are_numbers_and_not_text(installed: str, wanted: str, fits: bool) -> None:
    assert satisfies(installed, wanted) is fits


def test_extras_say_what_they_give_and_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text(
        '[project]\ndependencies = ["numpy>=1", "no-such-package>=2"]\n[project.optional-dependencies]\n'
        'mauve = ["no-such-metric>=0.4", "numpy>=999"]\nodd = ["numpy>=1"]\ndev = ["gantlet[mauve]", "numpy"]\n'
    )
    lines = packages.requirements(project)
    monkeypatch.setattr(packages, "requirements", lambda: lines)
    assert [one.name for one in packages.missing(packages.needed())] == ["no-such-package"]
    mauve, odd, dev = packages.extras()
    assert (mauve.there, odd.there, dev.there) == (False, True, True)
    assert mauve.lacking[0] == "no-such-metric"
    assert mauve.lacking[1].startswith("numpy >=999 (here: ")
    text = "\n".join(extra_lines([mauve, odd, dev]))
    assert 'pip install "gantlet[mauve]"' in text
    assert "the metrics mauve" in text
    wrong = problems(GOOD, packages.needed(), "auto", 2, 1)
    assert [problem.stops for problem in wrong] == [True]
    assert 'pip install "no-such-package>=2"' in wrong[0].remedy


def test_every_extra_of_this_project_is_explained() -> None:
    names = {one.name for one in packages.extras()}
    assert {"hub", "transformers", "mauve"} <= names
    assert packages.missing(packages.needed()) == []


def write_set(folder: Path, files: dict[str, int], **listed: str) -> None:
    """Splits of so many rows, and a meta.json that lists hashes (right ones, or those given)."""
    folder.mkdir(parents=True)
    entries = []
    for split, rows in files.items():
        path = folder / f"{split}.jsonl.gz"
        path.write_bytes(gzip.compress(b"".join(b'{"text": "row %d"}\n' % number for number in range(rows)), mtime=0))
        digest = listed.get(split, hashlib.sha256(path.read_bytes()).hexdigest())
        entries.append({"file": path.name, "rows": rows, "sha256": digest})
    (folder / "meta.json").write_text(json.dumps({"files": entries}))


def test_sets_are_found_with_rows_hashes_and_the_tasks_they_serve(tmp_path: Path) -> None:
    write_set(tmp_path / "caption_coco", {"train": 7, "valid": 2, "test": 3})
    write_set(tmp_path / "mt_de_en", {"train": 5, "test": 1})
    write_set(tmp_path / "unheard_of", {"test": 1})
    sets = {one.name: one for one in datasets.look(str(tmp_path), False, print)}
    assert [(file.split, file.rows) for file in sets["caption_coco"].files] == [("train", 7), ("valid", 2), ("test", 3)]
    assert sets["caption_coco"].tasks == ("captions",)
    assert sets["mt_de_en"].tasks == ("translation (pair=de-en)",)
    assert sets["unheard_of"].tasks == ()
    assert all(one.hash for one in sets.values())
    lacking = {one.task for one in datasets.lacking(list(sets.values()), datasets.wanted_sets())}
    assert lacking == {"poetry", "speech", "translation", "summarization", "dialogue"}
    text = "\n".join(data_lines(str(tmp_path), list(sets.values()), datasets.wanted_sets()[:1]))
    assert "CC BY 4.0" in text
    assert "train 7, valid 2, test 3" in text
    before = sets["caption_coco"].hash
    (tmp_path / "caption_coco" / "meta.json").unlink()
    assert datasets.look(str(tmp_path), False, print)[0].hash == before  # of the content alone
    (tmp_path / "caption_coco" / "valid.jsonl.gz").write_bytes(gzip.compress(b'{"text": "another"}\n'))
    assert datasets.look(str(tmp_path), False, print)[0].hash != before


def test_quick_reads_no_file(tmp_path: Path) -> None:
    write_set(tmp_path / "caption_coco", {"train": 7, "test": 3})
    (tmp_path / "caption_coco" / "train.jsonl.gz").write_bytes(b"broken")
    (one,) = datasets.look(str(tmp_path), True, print)
    assert one.hash is None
    assert [(file.rows, file.sha256, file.wrong) for file in one.files] == [(7, None, ""), (3, None, "")]


def test_damaged_files_are_named_with_a_remedy(tmp_path: Path) -> None:
    write_set(tmp_path / "caption_coco", {"train": 7, "test": 3}, test="0" * 64)
    (tmp_path / "caption_coco" / "train.jsonl.gz").write_bytes(b"broken")
    sets = datasets.look(str(tmp_path), False, print)
    told = data_problems(sets, str(tmp_path), from_variable=False)
    assert [problem.text.split(":")[0] for problem in told] == [
        "caption_coco/train.jsonl.gz", "caption_coco/test.jsonl.gz",
    ]  # fmt: skip
    assert "can't be read" in told[0].text
    assert "meta.json" in told[1].text
    assert all(problem.remedy and not problem.stops for problem in told)


def test_data_that_is_named_and_not_there() -> None:
    (told,) = data_problems([], "/no/such/folder", from_variable=True)
    assert "GANTLET_DATA=/no/such/folder" in told.text
    assert "unset" in told.remedy
    (told,) = data_problems([], "/no/such/folder", from_variable=False)
    assert "--data /no/such/folder" in told.text
    assert data_problems([], "embedded", from_variable=False) == []


def test_ones_own_text_serves_any_task(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a b\n\nc d\ne f\n")
    (one,) = datasets.look(str(tmp_path / "mine.txt"), False, print)
    assert (one.name, one.files[0].rows) == ("mine", 3)
    assert "speech" in one.tasks
    with pytest.raises(DataError):
        datasets.look(str(tmp_path / "nothing"), False, print)


def test_tasks_are_asked_for_their_sets() -> None:
    wanted = {(one.words, one.dataset) for one in datasets.wanted_sets()}
    assert {
        ("captions", "caption_coco"),
        ("translation", "mt_en_fr"),
        ("translation (pair=de-fr)", "mt_de_fr"),
        ("poetry (chars=7)", "poetry_jueju7"),
        ("summarization (set=csl_zh)", "sum_csl_zh"),
    } <= wanted


def test_sizes_in_words() -> None:
    assert [size(count) for count in (12, 2048, 1.5 * 2**20, 100 * 2**20, 3000 * 2**30)] == [
        "12 bytes", "2.0 kB", "1.5 MB", "100 MB", "3000 GB",
    ]  # fmt: skip
