"""What is wrong with what was found, and what to do about it: problems that stop the quickstart first."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.doctor.datasets import DataSet
from bench.doctor.machine import Machine
from bench.doctor.packages import Package, satisfies

PYTHON = ">=3.11"
DISK_LEAST, DISK_LOW = (
    200 * 2**20,
    5 * 2**30,
)  # bytes: the quickstart writes some 100 MB, a grid of all methods gigabytes
MEMORY_A_CELL = 600 * 2**20  # bytes of a small cell's process
OLD_PROCESSORS = ("DEFAULT", "NO AVX")  # what torch calls a processor without AVX2


@dataclass(frozen=True)
class Problem:
    """One line: what, and the remedy. `stops`: the quickstart can't run."""

    text: str
    remedy: str
    stops: bool = False


def problems(machine: Machine, packages: Sequence[Package], device: str, workers: int, threads: int) -> list[Problem]:
    """All that was found, the worst first."""
    found = [
        *_python(machine),
        *_torch(machine, packages, device),
        *_packages(packages),
        *_disk(machine),
        *_processor(machine, workers, threads),
        *_memory(machine, workers),
        *_threading(machine),
    ]
    return sorted(found, key=lambda problem: not problem.stops)


def _python(machine: Machine) -> list[Problem]:
    if satisfies(machine.python, PYTHON):
        return []
    return [Problem(f"Python is {machine.python}", "install Python 3.11 or newer and make its environment anew", True)]


def _torch(machine: Machine, packages: Sequence[Package], device: str) -> list[Problem]:
    torch = machine.torch
    wanted = next((package.wanted for package in packages if package.name == "torch"), "")
    if torch.error:
        text = f"torch can't be imported ({torch.error})"
        return [Problem(text, f'pip install "torch{wanted}", or use the environment that has it', True)]
    found = []
    if wanted and not satisfies(torch.version, wanted):
        text = f"torch is {torch.version}, the program needs {wanted}"
        found.append(Problem(text, f'pip install "torch{wanted}"', True))
    if device.startswith("cuda") and not torch.devices:
        found.append(Problem(f"--device {device}, but {torch.no_cuda}", "--device cpu, or a build with CUDA", True))
    elif not torch.devices and (torch.cuda_build or shutil.which("nvidia-smi")):
        remedy = "install a driver that this build supports, or a build of torch for the driver that is there"
        found.append(Problem(f"a GPU or a CUDA build is there, but {torch.no_cuda}", remedy))
    if torch.capability in OLD_PROCESSORS:
        found.append(Problem("the processor has no AVX2: training is several times slower", "use another machine"))
    return found


def _packages(packages: Sequence[Package]) -> list[Problem]:
    found = []
    for package in packages:
        if package.name != "torch" and not package.fits:
            what = f"{package.name} is {package.installed}" if package.installed else f"{package.name} is missing"
            needs = f"{package.name}{package.wanted}"
            found.append(Problem(f"{what}, the program needs {needs}", f'pip install "{needs}"', True))
    return found


def _disk(machine: Machine) -> list[Problem]:
    found = []
    if not machine.disk_writable:
        found.append(Problem(f"{machine.disk} can't be written to", "choose another run directory with --out", True))
    if machine.disk_free is not None and machine.disk_free < DISK_LOW:
        text = f"{size(machine.disk_free)} are free at {machine.disk}"
        stops = machine.disk_free < DISK_LEAST
        remedy = "free some, or choose another disk with --out; a grid of all methods writes gigabytes"
        found.append(Problem(text, remedy, stops))
    return found


def _processor(machine: Machine, workers: int, threads: int) -> list[Problem]:
    found: list[Problem] = []
    cores = machine.cores
    if machine.torch.devices:
        return found
    if cores < 2:
        found.append(
            Problem(f"{cores:g} core can be used: cells run one after the other", "a grid takes twice the time")
        )
    if machine.cores_cgroup is not None and workers * threads > max(1, math.ceil(machine.cores_cgroup)):
        text = f"the container may use {machine.cores_cgroup:g} cores, and {workers} cells at a time are planned"
        found.append(Problem(text, f"--workers {max(1, int(machine.cores_cgroup))}"))
    elif workers * threads > max(1, machine.cores_affinity or machine.cores_there):
        text = f"{workers} cells at a time with {threads} threads each are more than {cores:g} cores"
        found.append(Problem(text, f"--workers {max(1, int(cores // threads))}"))
    if machine.load is not None and machine.load > 0.5 * cores + 0.5:
        text = f"other programs are at work (load {machine.load:.1f} on {cores:g} cores)"
        found.append(Problem(text, "wait for them, or expect runs to take longer; estimates are made beside them"))
    return found


def _memory(machine: Machine, workers: int) -> list[Problem]:
    usable = machine.memory_usable
    if usable is None or usable >= workers * MEMORY_A_CELL:
        return []
    text = f"{size(usable)} of memory are free; {workers} cells at a time take {size(workers * MEMORY_A_CELL)} or more"
    fits = usable // MEMORY_A_CELL
    if fits:
        return [Problem(text, f"--workers {fits}, or end other programs")]
    return [Problem(text, "end other programs, or use a machine with more", True)]


def _threading(machine: Machine) -> list[Problem]:
    found = []
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        value = machine.variables.get(name)
        if value is None:
            continue
        if not value.isdigit() or int(value) < 1:
            found.append(Problem(f"{name} is {value!r}, which is no number of threads", f"unset {name}"))
        elif int(value) > max(1, math.ceil(machine.cores)):
            text = f"{name} is {value}, more than the {machine.cores:g} cores"
            found.append(Problem(text, f"unset {name}: a cell sets its own threads (--threads)"))
    kinds = {name.split(".")[0].split("-")[0] for name in machine.openmp}
    if len(kinds) > 1:
        text = f"two OpenMP runtimes are loaded ({', '.join(machine.openmp)}): they may block or slow one another"
        found.append(Problem(text, "install torch and NumPy from one place (pip or conda, not both)"))
    return found


def data_problems(sets: Sequence[DataSet], data: str, from_variable: bool) -> list[Problem]:
    """Of data that is named and not there, or damaged; none of them stops the quickstart, whose data are embedded."""
    named = f"GANTLET_DATA={data}" if from_variable else f"--data {data}"
    if not data.startswith(("embedded", "hub")) and not Path(data).exists():
        remedy = "unset it, or name" if from_variable else "name"
        return [Problem(f"{named}: no such file or folder", f"{remedy} a folder of sets (docs/data.md)")]
    found = []
    for one in sets:
        for file in one.files:
            if file.wrong:
                what, _, remedy = file.wrong.partition(": ")
                found.append(Problem(f"{one.name}/{file.file}: {what}", remedy or "fetch the file again"))
    return found


def size(count: float) -> str:
    """`1.4 GB`."""
    for name in ("bytes", "kB", "MB", "GB"):
        if count < 1024 or name == "GB":
            return f"{count:.0f} {name}" if count >= 10 or name == "bytes" else f"{count:.1f} {name}"
        count /= 1024
    raise AssertionError("GB is the last")
