"""The folder for what can be made again: fetched sets, drawn sequences. Safe to delete at any time, never required."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """`$GANTLET_CACHE`, or the platform's folder for caches."""
    if chosen := os.environ.get("GANTLET_CACHE"):
        return Path(chosen).expanduser()
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "gantlet"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "gantlet"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "gantlet"
