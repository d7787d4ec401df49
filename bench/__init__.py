"""The harness: grids of cells are trained, scored and tabulated, with files between the stages.

`from bench import run, score, compare, load_results` gives the commands as functions on pandas tables.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import compare, load_results, run, score

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "load_results", "run", "score"]


def __getattr__(name: str) -> Any:
    """The functions, with what they need (pandas) imported when they are first asked for."""
    if name in __all__:
        return getattr(importlib.import_module("bench.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
