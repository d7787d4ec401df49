"""The machine a cell runs on: device, threads, determinism, memory, versions."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from bench import __version__
from bench.errors import UserError

if TYPE_CHECKING:
    import torch

PACKAGES = (
    *("torch", "numpy", "sacrebleu", "rouge-score", "nltk", "sacremoses", "pandas", "safetensors"),
    *("tokenizers", "transformers"),
)


def choose_device(wanted: str) -> torch.device:
    """`auto` takes CUDA where it works.

    Raises:
        UserError: `cuda` was asked for and isn't there.
    """
    import torch

    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {wanted}: this torch ({torch.__version__}) sees no CUDA device. Use --device cpu.")
    return torch.device(wanted)


def prepare_process(threads: int, deterministic: bool) -> None:
    """Sets threads and, if asked, the deterministic mode; before any CUDA work."""
    import torch

    torch.set_num_threads(threads)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS and cuDNN RNNs read it when CUDA starts
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False


@contextmanager
def smallest_as_zero() -> Iterator[None]:
    """While training: numbers too small for a float's full precision (subnormal ones) count as 0 on this thread.

    A soft argmax is full of them while it sharpens, and a CPU takes ten times as long over it. Scores are taken
    outside: their arithmetic is IEEE's.
    """
    import torch

    before = float(torch.tensor([torch.finfo(torch.float32).tiny]) * 0.5) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def peak_memory_mb(device: torch.device) -> float:
    """Of this process so far: GPU memory on CUDA, else resident memory."""
    if device.type == "cuda":
        import torch

        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return "cpu"


def commit() -> str:
    """Of the checkout this code runs from, with `+` when it has changes; empty outside a checkout."""
    here = str(Path(__file__).parents[1])
    try:
        found = subprocess.run(
            ["git", "-C", here, "describe", "--always", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def environment(threads: int, deterministic: bool) -> dict[str, str]:
    """Versions and settings that go with every result."""
    found = {"gantlet": __version__, "commit": commit()}
    found |= {"python": platform.python_version(), "platform": platform.platform(), "threads": str(threads)}
    found["deterministic"] = str(deterministic).lower()
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
