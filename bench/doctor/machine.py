"""Facts of the machine: processor, memory, disk, and torch with what it can use; None where one can't be known."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES"),
    *("GANTLET_DATA", "GANTLET_CACHE", "KMP_DUPLICATE_LIB_OK"),
)
CGROUP = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60  # bytes; version 1 of cgroups writes a number like this for no limit


@dataclass(frozen=True)
class Device:
    """A CUDA device; memory in bytes."""

    name: str
    total: int
    free: int
    capability: str
    bf16: bool


@dataclass(frozen=True)
class Torch:
    """The torch of this interpreter; `error` is why it can't be imported, `no_cuda` why it sees no CUDA device."""

    version: str = ""
    error: str = ""
    threads: int = 0
    blas: str = ""
    capability: str = ""  # of the CPU, as AVX2
    cuda_build: str = ""
    no_cuda: str = ""
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True)
class Machine:
    """All that was found. Sizes are in bytes.

    Attributes:
        cores: what this process may use: the least of the machine's, the affinity's and the cgroup's.
        openmp: OpenMP runtimes loaded with torch and NumPy, by file name.
    """

    python: str
    executable: str
    platform: str
    processor: str
    cores: float
    cores_there: int
    cores_affinity: int | None
    cores_cgroup: float | None
    load: float | None
    memory: int | None
    memory_free: int | None
    memory_cgroup: int | None
    disk: str
    disk_free: int | None
    disk_writable: bool
    torch: Torch
    openmp: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def memory_usable(self) -> int | None:
        """Free memory, or what the cgroup leaves of it."""
        known = [size for size in (self.memory_free, self.memory_cgroup) if size is not None]
        return min(known) if known else None


def look(place: Path) -> Machine:
    """Looks at everything; `place` is where results will be written."""
    torch = look_at_torch()
    there = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    limit = cgroup_cores(CGROUP)
    total, free = memory()
    disk = nearest(place)
    return Machine(
        python=platform.python_version(),
        executable=sys.executable,
        platform=platform.platform(),
        processor=processor_name(),
        cores=min(float(there), float(affinity or there), limit or float(there)),
        cores_there=there,
        cores_affinity=affinity,
        cores_cgroup=limit,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        memory=total,
        memory_free=free,
        memory_cgroup=cgroup_memory(CGROUP),
        disk=str(disk),
        disk_free=_disk_free(disk),
        disk_writable=os.access(disk, os.W_OK),
        torch=torch,
        openmp=openmp_runtimes(_read(Path("/proc/self/maps")) or ""),
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
    )


def look_at_torch() -> Torch:
    """Imports torch, and says why where that fails."""
    try:
        import torch
    except Exception as error:  # a broken build raises OSError, ImportError and others
        return Torch(error=f"{type(error).__name__}: {error}".splitlines()[0])
    shown = torch.__config__.show()
    blas = next((part.split("=")[1] for part in shown.replace("\n", ",").split(",") if "BLAS_INFO=" in part), "")
    capability = str(torch.backends.cpu.get_cpu_capability())
    devices, why = _cuda(torch)
    return Torch(
        version=str(torch.__version__),
        threads=torch.get_num_threads(),
        blas=blas,
        capability=capability,
        cuda_build=str(torch.version.cuda or torch.version.hip or ""),
        no_cuda=why,
        devices=devices,
    )


def _cuda(torch: Any) -> tuple[tuple[Device, ...], str]:
    if not (torch.version.cuda or torch.version.hip):
        return (), "this build of torch has no CUDA"
    try:
        torch.zeros(1, device="cuda")
        count = torch.cuda.device_count()
        return tuple(_device(torch, place) for place in range(count)), ""
    except Exception as error:
        driver = "" if shutil.which("nvidia-smi") else "; no NVIDIA driver was found"
        return (), f"{str(error).strip().splitlines()[0]}{driver}"


def _device(torch: Any, place: int) -> Device:
    free, total = torch.cuda.mem_get_info(place)
    major, minor = torch.cuda.get_device_capability(place)
    bf16 = bool(major >= 8 or torch.version.hip)
    return Device(torch.cuda.get_device_name(place), int(total), int(free), f"{major}.{minor}", bf16)


def processor_name() -> str:
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory() -> tuple[int | None, int | None]:
    """Total and available, in bytes."""
    found: dict[str, int] = {}
    for line in (_read(Path("/proc/meminfo")) or "").splitlines():
        name, _, value = line.partition(":")
        if value.strip().endswith(" kB"):
            found[name] = int(value.split()[0]) * 1024
    if "MemTotal" in found:
        return found["MemTotal"], found.get("MemAvailable", found.get("MemFree"))
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    return None, None


def cgroup_cores(root: Path) -> float | None:
    """The processor limit of a container, in cores; of either version of cgroups."""
    quota = (_read(root / "cpu.max") or "").split()
    if not quota:
        quota = [(_read(root / "cpu" / name) or "").strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
    with suppress(ValueError, IndexError, ZeroDivisionError):
        cores = float(quota[0]) / float(quota[1])
        return cores if cores > 0 else None
    return None


def cgroup_memory(root: Path) -> int | None:
    """The memory limit of a container less what it uses, in bytes."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(ValueError):
            most = int((_read(root / limit) or "").strip())
            if most < UNLIMITED:
                return max(0, most - int((_read(root / used) or "0").strip()))
    return None


def openmp_runtimes(maps: str) -> tuple[str, ...]:
    """OpenMP runtimes among the files that a process has mapped."""
    files = {line.split()[-1] for line in maps.splitlines() if "/" in line}
    names = {Path(file).name for file in files if Path(file).name.startswith(("libgomp", "libiomp5", "libomp"))}
    return tuple(sorted(names))


def nearest(place: Path) -> Path:
    """The folder itself, or the first above it that exists."""
    found = place.expanduser().absolute()
    while not found.exists() and found != found.parent:
        found = found.parent
    return found


def _disk_free(place: Path) -> int | None:
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
