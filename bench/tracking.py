"""Where training curves go: a JSONL file always, TensorBoard beside it by flag.

A record is one flat mapping: `stage`, `step`, `seconds`, and the figures of that step. The file is the truth; whatever
else is shown can be made from it again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bench.errors import UserError

Record = Mapping[str, Any]
NOT_CURVES = ("stage", "step", "seconds")


class Tracker(Protocol):
    """Takes the records of a training curve, in order."""

    def log(self, record: Record) -> None: ...

    def truncate_to(self, n_records: int) -> None:
        """Forgets what came after the first `n_records`: training goes on from a checkpoint that is that old."""
        ...

    def close(self) -> None:
        """May be called more than once."""
        ...


class JsonlTracker:
    """One JSON object a line. Each record is one write, so that a killed process tears the last line at most."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._mend()

    def log(self, record: Record) -> None:
        line = json.dumps({key: _plain(value) for key, value in record.items()}, ensure_ascii=False, allow_nan=False)
        self._file.write(line.encode() + b"\n")

    def truncate_to(self, n_records: int) -> None:
        """Keeps the first `n_records`, or all where there are fewer."""
        if n_records < 0:
            raise ValueError(f"can't keep {n_records} records")
        with self._path.open("rb") as file:
            for _ in range(n_records):
                if not file.readline():
                    break
            keep = file.tell()
        self._file.truncate(keep)

    def close(self) -> None:
        self._file.close()

    def _mend(self) -> None:
        """A torn last line would swallow the next record: it goes; a whole one that lacks its end of line gets it."""
        content = self._path.read_bytes()
        tail = content[content.rfind(b"\n") + 1 :]
        if not tail:
            return
        if _parse(tail) is None:
            self._file.truncate(len(content) - len(tail))
        else:
            self._file.write(b"\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """All whole records; a torn last line is left out.

    Raises:
        UserError: the file is missing, or a line before the last is no record.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}); is this the folder of a cell?") from None
    records = []
    for number, line in enumerate(lines, start=1):
        record = _parse(line)
        if record is not None:
            records.append(record)
        elif line and number < len(lines):
            raise UserError(f"{path} line {number} is not a JSON object; delete that line to read the others.")
    return records


class TensorBoardTracker:
    """Curves as TensorBoard scalars, `stage/figure` by step.

    Args:
        directory: for its event files, and nothing else.
        log: the JSONL file of the same curve, from which the curve is drawn again when training goes back to a
            checkpoint; `log.jsonl` beside `directory` if not given.

    Raises:
        UserError: TensorBoard isn't installed.
    """

    def __init__(self, directory: Path, log: Path | None = None) -> None:
        self._directory = directory
        self._log = log if log is not None else directory.parent / "log.jsonl"
        self._writer = _summary_writer(directory)

    def log(self, record: Record) -> None:
        stage, step = str(record["stage"]), int(record["step"])
        for name, value in record.items():
            if name not in NOT_CURVES and isinstance(value, int | float):
                self._writer.add_scalar(f"{stage}/{name}", value, step)
        self._writer.flush()

    def truncate_to(self, n_records: int) -> None:
        """Event files can't be cut, so they are written anew. The JSONL file must have been cut before."""
        self._writer.close()
        for events in self._directory.glob("events.out.tfevents.*"):
            events.unlink()
        self._writer = _summary_writer(self._directory)
        for record in (read_log(self._log) if self._log.exists() else [])[:n_records]:
            self.log(record)

    def close(self) -> None:
        self._writer.close()


class MultiTracker:
    """Hands everything to several trackers, in order; the JSONL one goes first."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)

    def log(self, record: Record) -> None:
        for tracker in self._trackers:
            tracker.log(record)

    def truncate_to(self, n_records: int) -> None:
        for tracker in self._trackers:
            tracker.truncate_to(n_records)

    def close(self) -> None:
        for tracker in self._trackers:
            tracker.close()


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: null stands for them."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _summary_writer(directory: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError(
            'TensorBoard is not installed: pip install "gantlet[tensorboard]", or leave the flag out.'
        ) from None
    return SummaryWriter(log_dir=str(directory))
