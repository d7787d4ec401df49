"""What the verbs do, in the order a person sees it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import __version__
from bench.config import GRIDS, Grid, Settings, fields_of, make_grid, parse_settings, read_grid
from bench.errors import UserError
from bench.plan import PlannedCell, TaskPlan, check_names, resolve_budget, resolve_data
from bench.registry import baseline_registry, load_plugin, make_task, task_registry
from bench.store import RunStore, difference, write_json

RUNS = Path("results/runs")
FLAGS = (
    "tasks", "baselines", "seeds", "budget", "data", "plugins", "samples", "decodings", "temperatures", "limit",
    "allow_overlap",
)  # fmt: skip


def run_verb(asked: argparse.Namespace) -> int:
    """Plans the grid, runs what is not done, writes and prints the tables."""
    from bench.engines.local import LocalEngine, plan, warm_up
    from bench.env import choose_device
    from bench.progress import make_progress

    grid = grid_of(asked)
    check_names(grid)
    warm_up(asked.threads)
    if asked.device != "auto":
        choose_device(asked.device)
    workers = asked.workers or default_workers(asked.device, asked.threads)
    store = RunStore(Path(asked.out) if asked.out else RUNS / grid.name)
    plans = plan(grid, grid.tasks, workers)
    cells = [cell for task in plans for cell in task.cells]
    describe_plan(grid, plans, asked, workers)
    check_versions(store, cells, asked.overwrite)
    done = [cell for cell in cells if store.cell(cell.spec).is_done(cell.spec)]
    todo = [cell for cell in cells if cell not in done]
    if done:
        print(f"{len(done)} cells are done already; {len(todo)} to do", flush=True)
    if asked.dry_run:
        for cell in cells:
            print(f" {'done ' if cell in done else 'to do'}  {cell.spec.directory}")
        return 0
    write_json(store.path / "grid.json", {"version": __version__, "grid": grid.model_dump(mode="json")})
    settings = Settings(asked.device, asked.threads, asked.deterministic, asked.checkpoint_every, asked.tensorboard)
    with make_progress(asked.progress, sys.stderr) as progress:
        engine = LocalEngine(store, settings, workers, progress)
        with stopping(engine):
            began = time.monotonic()
            progress.start(len(todo))
            statuses = Counter(done=len(done))
            for ended in engine.run(todo):
                statuses[ended.status] += 1
                progress.cell_ended(ended.cell.spec.slug, ended.status, ended.seconds, ended.reason)
    print_tables(store, [cell.spec.directory for cell in cells])
    return last_words(statuses, len(cells), time.monotonic() - began)


def grid_of(asked: argparse.Namespace) -> Grid:
    """The grid of a `run`: a file or the quickstart, with the flags over it."""
    given = {name: getattr(asked, name) for name in FLAGS}
    given |= {"settings": parse_settings(asked.settings), "fields": fields_of(asked.fields) or None}
    own = [name for plugin in asked.plugins or () for name in load_plugin(plugin)]
    if asked.baselines is None and (own or asked.against):
        given["baselines"] = tuple(dict.fromkeys([*own, *(asked.against or ("mle",))]))
    if asked.grid:
        return read_grid(asked.grid, given)
    if asked.tasks is None and asked.data is None:
        return read_grid("quickstart", given)
    names = asked.tasks or tuple(task_registry().names)
    return make_grid({"name": "run", "tasks": names}, given, "the flags")


def default_workers(device: str, threads: int) -> int:
    """On CPU a cell for every `threads` cores; on a GPU one at a time."""
    if device.startswith("cuda") or (device == "auto" and _sees_cuda()):
        return 1
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, available // threads)


def _sees_cuda() -> bool:
    return bool(shutil.which("nvidia-smi")) or Path("/dev/nvidia0").exists()


def describe_plan(grid: Grid, plans: Sequence[TaskPlan], asked: argparse.Namespace, workers: int) -> None:
    """The first lines: what will run, on what, and what is noteworthy about the data."""
    cells = sum(len(plan.cells) for plan in plans)
    print(
        f"gantlet {__version__} | {asked.device}, {workers} at a time, {asked.threads} thread each | "
        f"grid {grid.name}: {len(plans)} tasks, {len(grid.baselines)} methods, {len(grid.seeds)} seeds = {cells} cells"
        f" | budget {resolve_budget(grid)} | data {resolve_data(grid)}"
    )
    for plan in plans:
        for warning in plan.warnings:
            print(f"warning: {plan.task}: {warning}")
    sys.stdout.flush()


def check_versions(store: RunStore, cells: Sequence[PlannedCell], overwrite: Sequence[str] | None) -> None:
    """Refuses to put cells made under other settings beside new ones; with --overwrite, removes them.

    Raises:
        UserError: names what differs.
    """
    for cell in cells:
        for old in store.other_versions(cell.spec):
            spec = old.spec
            if overwrite is not None and ("all" in overwrite or cell.spec.baseline in overwrite):
                store.remove(old)
            elif spec is not None:
                raise UserError(
                    f"{store.path} was made with {difference(spec, cell.spec)}: values would not be comparable. "
                    f"Choose another --out, or --overwrite {cell.spec.baseline} to do those cells again."
                )


@contextmanager
def stopping(engine: Any) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) stops cleanly, the second at once."""

    def once(number: int, _: Any) -> None:
        print("\nstopping: cells save themselves (again Ctrl-C: stop at once)", file=sys.stderr, flush=True)
        engine.stop()
        signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, once) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def print_tables(store: RunStore, directories: Sequence[str] | None = None) -> None:
    """Writes results.csv and the leaderboards, and prints the short tables."""
    from bench.report.collect import collect
    from bench.report.samples import write_samples
    from bench.report.tables import terminal, write_tables

    rows = collect(store, directories)
    if not rows:
        print("no cell has ended yet: no tables.")
        return
    write_samples(store, directories)
    paths = write_tables(rows, store.path, heading=store.path.name)
    print(terminal(rows, width=shutil.get_terminal_size((100, 24)).columns))
    print(f"tables   {paths.leaderboard_md}  {paths.leaderboard_csv}")
    print(f"values   {paths.results}")
    print(f"samples  {store.path / 'samples'}/*.txt to read, {store.cells_path}/*/samples.jsonl whole")


def last_words(statuses: Counter[str], total: int, seconds: float) -> int:
    """One line on how it went, and the exit code."""
    counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()) if count)
    print(f"{counts} of {total} cells in {seconds:.0f} s")
    if statuses["interrupted"] or sum(statuses.values()) < total:
        print("stopped before the end; the same command goes on from here")
        return 130
    return 1 if statuses["failed"] or statuses["diverged"] else 0


def list_verb(asked: argparse.Namespace) -> int:
    """Prints what there is."""
    import metrics

    what = asked.what
    if what in (None, "tasks"):
        print("tasks")
        for name in task_registry().names:
            task = task_registry()[name]
            print(f"  {name:14} {task.kind:12} {task.summary}  [{task.primary}]")
    if what in (None, "baselines"):
        print("baselines")
        registry = baseline_registry(asked.plugins or ())
        for name in registry.names:
            print(f"  {name:14} {registry[name].summary}")
    if what in (None, "metrics"):
        print("metrics")
        for name in metrics.BUILTIN:
            metric = metrics.metric(name)
            direction = {True: "higher is better", False: "lower is better", None: "nearer to real is better"}
            print(f"  {name:14} {direction[metric.higher_is_better]:26} {metric.summary}")
    if what in (None, "grids"):
        print("grids")
        for path in sorted(GRIDS.glob("*.toml")):
            grid = read_grid(path, {})
            print(f"  {path.stem:14} {len(grid.tasks)} tasks x {', '.join(grid.baselines)} x {len(grid.seeds)} seeds")
    if what in (None, "data"):
        from tasks.opening import open_source

        source = open_source(resolve_data(Grid(data=asked.data)))
        print(f"data ({source.origin})")
        for name in source.datasets():
            print(f"  {name:24} {', '.join(source.splits(name))}")
    return 0


def report_verb(asked: argparse.Namespace) -> int:
    """Each run's tables anew, or with --reported the papers' numbers beside its own."""
    for run in asked.runs:
        if asked.reported:
            print_reported(Path(run))
            continue
        store = RunStore(Path(run))
        if not store.cells_path.is_dir():
            raise UserError(f"{run} is not a run directory (it has no cells/).")
        print_tables(store)
    return 0


def print_reported(run: Path) -> None:
    """Writes `reported.md` and `reported.csv` beside the leaderboard, and prints the same.

    Raises:
        UserError: no run directory, and none with a results.csv.
    """
    from bench.report import reported

    if not run.is_dir() or not ((run / "cells").is_dir() or (run / "results.csv").is_file()):
        raise UserError(f"{run} is not a run directory (it has neither cells/ nor results.csv).")
    rows, numbers = rows_of_run(str(run)), reported.read_reported()
    found = reported.pairs(rows, numbers)
    if not found:
        print(f"{run}: {reported.nothing(rows, numbers)}")
        return
    page, table = reported.write_reported(found, numbers, run)
    print(reported.text(found, numbers))
    print(f"\nreported {page}  {table}")


def sample_verb(asked: argparse.Namespace) -> int:
    """Prints one text a line."""
    from baselines.base import Decoding
    from bench.sampling import Speaker

    try:
        decoding = Decoding.parse(asked.decoding or ("greedy" if asked.sources else "sample"))
    except ValueError as error:
        raise UserError(f"--decoding: {error}.") from None
    if asked.sources and asked.fill:
        raise UserError("--sources and --fill don't go together: one asks for answers, the other for a text's rest.")
    speaker = Speaker(Path(asked.cell), asked.stage, asked.device)
    if asked.sources:
        from bench.scorefile import read_lines

        found = speaker.answers(read_lines(Path(asked.sources)), decoding, asked.seed)
    elif asked.fill:
        found = speaker.filled(asked.fill, asked.n, decoding, asked.seed)
    else:
        found = speaker.samples(asked.n, decoding, asked.seed)
    for text in found:
        print(text.replace("\n", " / "))
    return 0


def compare_verb(asked: argparse.Namespace) -> int:
    """The methods of one run against those of another, or two methods of one run; 1: something is worse."""
    from bench.compare import findings, lines, methods, sides

    base = rows_of_run(asked.base)
    new = rows_of_run(asked.new) if asked.new else base
    if not asked.new and not (asked.method and asked.to):
        raise UserError("compare needs two runs, or one run with --method NAME --to NAME.")
    pairs = [(asked.to or name, name) for name in ((asked.method,) if asked.method else methods(new))]
    shared = [pair for pair in pairs if pair[0] in methods(base)] if asked.new and not asked.method else pairs
    if not shared:
        raise UserError(f"{asked.base} and {asked.new} have no method in common; name two with --method and --to.")
    verdicts: Counter[str] = Counter()
    for first, second in shared:
        found = findings(sides(base, first), sides(new, second))
        print(f"{second} of {asked.new or asked.base} against {first} of {asked.base}")
        print("\n".join(f"  {line}" for line in lines(found)) or "  no value in common")
        verdicts.update(each.verdict for each in found)
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))
    if verdicts["worse"] or verdicts["further from real"]:
        return 1
    return 2 if verdicts["not comparable"] or not verdicts else 0


def rows_of_run(path: str) -> list[Any]:
    """The values of a run directory, or of a results.csv.

    Raises:
        UserError: neither, or without a value.
    """
    from bench.report.collect import collect
    from bench.report.longfile import read_results

    place = Path(path)
    if (place / "cells").is_dir():
        rows = collect(RunStore(place))
    else:
        rows = read_results(place / "results.csv" if place.is_dir() else place)
    if not rows:
        raise UserError(f"{path} has no values yet.")
    return rows


def score_verb(asked: argparse.Namespace) -> int:
    """Scores a file of samples, or all cells of a run anew; or only says how scoring is done."""
    if asked.samples is None:
        return explain_protocol(asked)
    path = Path(asked.samples)
    try:
        is_run, is_cell, is_file = (path / "cells").is_dir(), (path / "cell.json").is_file(), path.is_file()
    except OSError as error:  # a name that no file can have
        raise UserError(f"{path}: {error.strerror}.") from None
    if is_run:
        return rescore(RunStore(path))
    if is_cell:
        return rescore(RunStore(path.parents[1]), only=path.name)
    if not is_file:
        raise UserError(f"{path}: no such file or run directory.")
    from bench.scorefile import explained, score_file

    scores = score_file(
        path,
        task=_task_of(asked),
        data=resolve_data(Grid(data=asked.data)),
        fields=fields_of(asked.fields),
        allow_overlap=bool(asked.allow_overlap),
        references=Path(asked.references) if asked.references else None,
        sources=Path(asked.sources) if asked.sources else None,
        real=Path(asked.real) if asked.real else None,
        train=Path(asked.train) if asked.train else None,
        paired=asked.paired,
        names=asked.metrics,
        tokens=asked.tokens,
        protocol_name=asked.protocol,
        device=asked.device,
        workers=asked.workers,
    )
    if asked.json:
        print(json.dumps([score.as_dict() for score in scores], indent=1, ensure_ascii=False))
        return 0
    width = max(len(score.score.metric) for score in scores)
    for score in scores:
        print(score.line(width))
        if asked.explain:
            print("\n".join(f"  {line}" for line in explained(score.score)[1:]))
    return 0


def explain_protocol(asked: argparse.Namespace) -> int:
    """`score --explain` without samples."""
    from bench.scorefile import PAIRED, POOL, explain

    if not asked.explain:
        raise UserError("score needs a file of samples or a run directory; or --explain alone, to read how it is done.")
    task = _task_of(asked)
    names = asked.metrics or (task.metrics if task else PAIRED if asked.paired else POOL)
    paired = task.kind == "conditional" if task else asked.paired
    print("\n".join(explain(asked.protocol, names, paired)))
    return 0


def _task_of(asked: argparse.Namespace) -> Any:
    return make_task(asked.task, parse_settings(asked.settings).get(asked.task, {})) if asked.task else None


def rescore(store: RunStore, only: str | None = None) -> int:
    """Every finished cell of a run (or one of them) is scored anew from its samples; nothing is trained."""
    from bench.cell import commit, prepare

    drawn = [cell for cell in store.cells() if cell.file("samples.json").exists() and only in (None, cell.path.name)]
    if not drawn:
        raise UserError(f"{only or store.path} has no samples yet; run its grid first.")
    corpora: dict[str, Any] = {}
    for cell in drawn:
        spec = cell.spec
        assert spec is not None, "cell.json is written before samples"
        with cell.locked() as mine:
            if not mine:
                raise UserError(f"{cell.path} is being worked on by another run; wait for it.")
            prepared = prepare(spec, corpora.get(spec.fingerprint))
            commit(prepared, cell, Settings())
        corpora = {spec.fingerprint: prepared.corpus}  # cells stand in the order of their tasks
        print(f"scored {cell.path.name}", flush=True)
    print_tables(store)
    print(f"{len(drawn)} cells scored anew")
    return 0
