"""Probes made before on this machine, one small file each in the folder of caches; safe to delete."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path

from bench import __version__
from bench.config import CellSpec, Settings, content_hash
from bench.estimate.history import here, likeness
from bench.estimate.profile import QUIET, Profile
from bench.store import write_json
from tasks.cache import cache_folder

KEPT = 30 * 24 * 3600.0  # seconds until a probe is made anew ...
KEPT_DISTURBED = 3600.0  # ... and one that other programs disturbed, which tells of that time alone
FORMAT = 3


def place(spec: CellSpec, settings: Settings, workers: int) -> Path:
    """The file for a cell's likes, on this machine with these versions and as many cells at a time."""
    machine = [platform.node(), os.cpu_count(), here(settings), settings.device, settings.deterministic, workers]
    return cache_folder() / "probes" / f"{content_hash([FORMAT, __version__, machine, likeness(spec)])[:24]}.json"


def stored(spec: CellSpec, settings: Settings, workers: int, now: float | None = None) -> Profile | None:
    """The probe made before, if it is not too old and can be read."""
    path = place(spec, settings, workers)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found, age = Profile.of(content["profile"]), (time.time() if now is None else now) - content["made"]
        return found if 0 <= age < (KEPT if found.busy >= QUIET else KEPT_DISTURBED) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store(spec: CellSpec, profile: Profile, settings: Settings, workers: int) -> None:
    """Keeps a probe; a folder that can't be written to is no mistake."""
    try:
        write_json(
            place(spec, settings, workers), {"made": time.time(), "cell": spec.slug, "profile": profile.as_dict()}
        )
    except (OSError, ValueError):
        return
