"""Probes in processes of their own, as many at a time as cells will run, so that they slow one another alike."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from bench.config import CellSpec, Settings
from bench.engines.local import context, death
from bench.estimate.profile import HARD, SLOWED, Profile

GRACE = 15.0  # seconds beyond the limit of its training that a probe has to draw and score


@dataclass
class Job:
    """A process that probes some cells of one task, one after the other."""

    specs: list[CellSpec]
    process: Any
    pipe: Connection
    launched: float
    start: float = 0.0
    place: int = -1
    since: float = field(default_factory=time.monotonic)


def job_lists(specs: Sequence[CellSpec], workers: int) -> list[list[CellSpec]]:
    """Cells by task, since those share data and pre-training; a task's are dealt out where workers would be idle."""
    tasks: dict[str, list[CellSpec]] = {}
    for spec in specs:
        tasks.setdefault(spec.fingerprint, []).append(spec)
    hands = -(-workers // max(1, len(tasks)))
    return [part for own in tasks.values() for start in range(hands) if (part := own[start::hands])]


def probe_all(
    specs: Sequence[CellSpec],
    settings: Settings,
    workers: int,
    limit: float,
    found: Callable[[CellSpec, Profile], None],
) -> None:
    """Probes each cell; `found` hears what is known of it, the last word last.

    With fewer cells than workers the same are probed several times at once, so that none runs alone.
    """
    mp, waiting = context(), job_lists(specs, workers)
    beside = [list(part) for part in waiting] if waiting else []
    running: list[Job] = []
    shadows: list[Job] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(mp, waiting.pop(0), settings, limit))
            while beside and len(running) + len(shadows) < workers:
                shadows.append(_start(mp, beside[len(shadows) % len(beside)], settings, limit))
            wait([job.pipe for job in (*running, *shadows)], timeout=0.2)
            shadows = [job for job in shadows if _drained(job)]
            for job in list(running):
                left = _hear(job, limit, found)
                if left is not None:
                    running.remove(job)
                    if left:
                        waiting.append(left)
    finally:
        for job in (*running, *shadows):
            job.process.kill()


def _start(mp: Any, specs: list[CellSpec], settings: Settings, limit: float) -> Job:
    ours, theirs = mp.Pipe()
    process = mp.Process(target=probe_job, args=(theirs, specs, settings, limit), daemon=False)
    launched = time.monotonic()
    process.start()
    theirs.close()
    return Job(specs, process, ours, launched)


def _drained(job: Job) -> bool:
    """Throws away what a job says; False when it has ended."""
    try:
        while job.pipe.poll():
            job.pipe.recv()
    except (EOFError, OSError):
        job.process.join()
        return False
    return True


def _hear(job: Job, limit: float, found: Callable[[CellSpec, Profile], None]) -> list[CellSpec] | None:
    """Reads what a job sent; None while it works, else the cells that it leaves (after one that ended it)."""
    try:
        while job.pipe.poll():
            kind, content = job.pipe.recv()
            job.since = time.monotonic()
            if kind == "ready":
                job.start = time.monotonic() - job.launched
            elif kind == "begin":
                job.place = content
            elif kind == "profile":
                found(job.specs[job.place], replace(Profile.of(content), start=job.start))
    except (EOFError, OSError):
        job.process.join()
        if job.process.exitcode == 0:
            return []
        found(job.specs[max(0, job.place)], Profile("unknown", unknown=death(job.process.exitcode)))
        return job.specs[max(0, job.place) + 1 :]
    most = SLOWED * (HARD * limit + GRACE)  # what hangs, or a single step longer than all patience
    if job.place >= 0 and time.monotonic() - job.since > most:
        job.process.kill()
        job.process.join()
        over = f"its probe was not over in {most:.0f} s"
        found(job.specs[job.place], Profile("unknown", unknown=over))
        return job.specs[job.place + 1 :]
    return None


def probe_job(connection: Connection, specs: Sequence[CellSpec], settings: Settings, limit: float) -> None:
    """The far end: loads the data, then sends ("begin", place) and ("profile", ...) for each cell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from bench.cell import prepare
    from bench.env import choose_device, prepare_process
    from bench.estimate.probe import Known, probe

    prepare_process(settings.threads, settings.deterministic)
    known = Known(choose_device(settings.device))
    known.corpora[specs[0].fingerprint] = prepare(specs[0]).corpus
    with contextlib.suppress(BrokenPipeError, OSError):
        connection.send(("ready", None))
        for place, spec in enumerate(specs):
            connection.send(("begin", place))
            try:
                found = probe(
                    spec,
                    known,
                    limit,
                    tell=lambda part: connection.send(("profile", part.as_dict())),
                    alive=lambda: connection.send(("alive", None)),
                )
            except Exception as error:
                found = Profile("unknown", unknown=f"{type(error).__name__}: {error}".splitlines()[0])
            connection.send(("profile", found.as_dict()))
    connection.close()
