"""What a run is asked to do: a `Grid` from TOML and flags, and the `CellSpec`s it unfolds to."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from baselines.merging import merge
from bench.errors import NoSuchGrid, UserError, complaint

GRIDS = Path(__file__).parent / "grids"
MAX_SAMPLES = 10_000  # protocol gantlet-1: free tasks, at most
SWEEP = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)  # temperatures of the frontier, protocol gantlet-1


class Grid(BaseModel):
    """One run: which cells, on what data, how.

    Attributes:
        data: `embedded`, `hub`, or a folder or file; None: `GANTLET_DATA` if set, else embedded.
        settings: by name of a task, a baseline, or `task/baseline`: what differs from the presets.
        samples: free tasks: at most this many samples are drawn and scored.
        temperatures: free tasks: the final model is also sampled at each, for the quality-diversity frontier.
        references: add the rows `real` and `shuffled` (oracle: `uniform`) to free tasks.
        plugins: files of your own methods, tasks and metrics; the latter are scored on every task.
        metrics: scored beside those that each task has.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "run"
    tasks: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ("mle", "seqgan")
    seeds: tuple[int, ...] = (0, 1)
    budget: Literal["smoke", "small", "paper"] | None = None
    data: str | None = None
    fields: dict[str, str] = {}
    settings: dict[str, dict[str, Any]] = {}
    samples: int = MAX_SAMPLES
    limit: int | None = None
    decodings: tuple[str, ...] = ()
    temperatures: tuple[float, ...] = SWEEP
    references: bool = True
    plugins: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    allow_overlap: bool = False

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_of_seeds(cls, value: Any) -> Any:
        return tuple(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("temperatures")
    @classmethod
    def _above_zero(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        wrong = next((item for item in value if not 0 < item < float("inf")), None)
        if wrong is not None:
            raise ValueError(f"{wrong:g} is no temperature: give numbers above 0")
        return tuple(sorted(value))

    @field_validator("seeds", "tasks", "baselines", "temperatures", "metrics")
    @classmethod
    def _not_twice(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        twice = sorted({item for item in value if value.count(item) > 1})
        if twice:
            raise ValueError(f"{twice[0]} stands twice")
        return value


# of a cell's spec, what doesn't decide the model: where the data lies, what is drawn, and names of other things in it
INDECISIVE = {"data", "fields", "plugins", "samples", "decodings", "temperatures", "metrics", "budget", "limit"}


class CellSpec(BaseModel):
    """All that one cell needs, resolved: a process anywhere can run it from this alone.

    `baseline` may be a reference row's name (`real`, `shuffled`, `uniform`), which trains nothing.

    Attributes:
        plugins: files that a process needs to run it; `plugin_hash` is of those that decide the model.
        metrics: those beside the task's: name -> hash of the file that defines it, "" of an installed one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    task_version: int
    task_options: dict[str, Any]
    fingerprint: str
    baseline: str
    baseline_version: int
    config: dict[str, Any]
    seed: int
    budget: str
    data: str
    fields: dict[str, str] = {}
    limit: int | None = None
    allow_overlap: bool = False
    plugins: tuple[str, ...] = ()
    plugin_hash: str = ""
    samples: int = MAX_SAMPLES
    decodings: tuple[str, ...] = ()
    temperatures: tuple[float, ...] = ()
    metrics: dict[str, str] = {}

    @property
    def key(self) -> str:
        """Hash of what decides the trained model; where the data lies and how it is scored don't."""
        return content_hash(self.model_dump(exclude=INDECISIVE))

    @property
    def scoring_key(self) -> str:
        """Hash of what decides the values: the samples, and what is measured beside the task's own metrics."""
        return content_hash([self.drawing_key, self.metrics]) if self.metrics else self.drawing_key

    @property
    def drawing_key(self) -> str:
        """Hash of what decides the samples drawn from the model."""
        drawn: dict[str, Any] = {"samples": self.samples, "decodings": list(self.decodings)}
        if self.temperatures:
            drawn["temperatures"] = list(self.temperatures)
        return content_hash(drawn)

    @property
    def config_hash(self) -> str:
        return content_hash(self.config)[:8]

    @property
    def slug(self) -> str:
        """`poetry.seqgan.s0`: what people read."""
        return f"{self.task}.{self.baseline}.s{self.seed}"

    @property
    def directory(self) -> str:
        return f"{self.slug}.{self.key[:8]}"


@dataclass(frozen=True)
class Settings:
    """How cells are run on this machine; nothing here is part of a cell's key."""

    device: str = "auto"
    threads: int = 1
    deterministic: bool = False
    checkpoint_every: float = 60.0
    tensorboard: bool = False


def content_hash(value: Any) -> str:
    """sha256 of canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_grid(path: str | Path, overrides: Mapping[str, Any]) -> Grid:
    """A grid from a TOML file (or the name of one that comes with the suite), with flags laid over it.

    Raises:
        UserError: no such file, bad TOML, unknown or ill-typed keys.
    """
    file = Path(path)
    if not file.suffix and not file.exists():
        file = GRIDS / f"{path}.toml"
    if not file.is_file():
        known = ", ".join(sorted(grid.stem for grid in GRIDS.glob("*.toml")))
        raise NoSuchGrid(f"no grid file {path}. Give a TOML file, or one of: {known}.")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file}: {error}.") from None
    settings = settings_of(content.pop("set", {}), str(file))
    return make_grid({"name": file.stem, **content, "settings": settings}, overrides, str(file))


def make_grid(content: Mapping[str, Any], overrides: Mapping[str, Any], where: str) -> Grid:
    """A grid from a mapping, with flags laid over it; errors name `where`."""
    merged = {**content, **{key: value for key, value in overrides.items() if value is not None and key != "settings"}}
    merged["settings"] = merge(content.get("settings", {}), overrides.get("settings") or {})
    try:
        return Grid(**merged)
    except ValidationError as error:
        raise complaint(error, where, [*Grid.model_fields, "set"]) from None


def settings_of(table: Any, where: str) -> dict[str, dict[str, Any]]:
    """The `[set.NAME]` tables of a grid file."""
    if not isinstance(table, Mapping) or not all(isinstance(value, Mapping) for value in table.values()):
        raise UserError(f'{where}: [set] holds tables, as [set.seqgan] or [set."poetry/seqgan"] with keys below.')
    return {name: dict(values) for name, values in table.items()}


def parse_settings(pairs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`seqgan.rollouts=32`, `poetry/seqgan.pretrain.epochs=3`: a value is read as TOML, else taken as a string."""
    out: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        name, *keys = path.split(".")
        if not equals or not keys or not name or not all(keys):
            raise UserError(f'--set "{pair}" is not NAME.KEY=VALUE, as seqgan.rollouts=32.')
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        for key in reversed(keys):
            value = {key: value}
        out = merge(out, {name: value})
    return out


def fields_of(pairs: Sequence[str]) -> dict[str, str]:
    """`--field` pairs: our name of a field to theirs."""
    out = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise UserError(f'--field "{pair}" is not OURS=THEIRS, as text=caption.')
        out[ours] = theirs
    return out
