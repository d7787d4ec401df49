"""`run --dry-run`: what would be done and how long it would take; and the word on it after a real run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.config import Settings
from bench.estimate.grid import Estimate, estimate, known_before, probed, to_probe
from bench.estimate.profile import HARD
from bench.estimate.wording import cell_line, summary
from bench.plan import PlannedCell
from bench.store import RunStore

LIMIT = 12.0  # seconds of training that a probe may take


def grid_estimate(
    store: RunStore, todo: Sequence[PlannedCell], settings: Settings, workers: int, limit: float = LIMIT
) -> Estimate:
    """From what ran or was probed before; what is not known by that is probed now, unless `limit` is 0."""
    known = known_before(store, todo, settings, workers)
    specs = to_probe(todo, known) if limit > 0 else []
    if specs:
        each = f"{limit:g} to {HARD * limit:g} s at most for each and its pre-training"
        _tell(f"probing {len(specs)} kinds of cell for the time that they take, {each} (Ctrl-C: no more of it)")
        known |= probed(specs, settings, workers, limit, _tell)
    return estimate(store, todo, workers, known)


def show_dry_run(
    store: RunStore,
    cells: Sequence[PlannedCell],
    todo: Sequence[PlannedCell],
    settings: Settings,
    workers: int,
    limit: float = LIMIT,
) -> None:
    """Prints every cell, with the time that those to do will take, and the total."""
    found = grid_estimate(store, todo, settings, workers, limit)
    lines = {one.cell.spec.directory: cell_line(one) for one in found.cells}
    width = max(len(cell.spec.directory) for cell in cells) if cells else 0
    for cell in cells:
        name = cell.spec.directory
        print(f" to do  {name:{width}}  {lines[name]}" if name in lines else f" done   {name}")
    print("\n".join(summary(found)))


def foreseen(store: RunStore, todo: Sequence[PlannedCell], settings: Settings, workers: int) -> float | None:
    """Seconds, where all is known already from earlier cells and probes; None otherwise. Probes nothing."""
    found = estimate(store, todo, workers, known_before(store, todo, settings, workers))
    return None if found.unknown or not found.cells else found.seconds


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
