"""The verb `score`: samples from elsewhere, a checkpoint, or a finished run, without any training."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.config import Grid, Settings, fields_of, parse_settings
from bench.errors import UserError, did_you_mean
from bench.plan import resolve_data
from bench.registry import know_metrics, make_task
from bench.store import RunStore

if TYPE_CHECKING:
    from bench.outside.external import Added, Place
    from bench.outside.scorefile import FileScore

# flags that say what to score against: a run, or a task, that says so itself takes none of them
AGAINST = ("references", "sources", "real", "train", "paired", "tokens")
OF_FILES = ("format", "text_field", "references_field", "sources_field", "id_field")
OF_ITS_OWN = ("data", "fields", "settings", "metrics", "n", "references_field", "sources_field")  # a run has these


def score_verb(asked: argparse.Namespace) -> int:
    """Scores samples or a checkpoint, or all cells of a run anew; or only says how scoring is done."""
    know_metrics(asked.plugins or ())
    if asked.samples is None and asked.hf is None:
        return explain_protocol(asked)
    check_flags(asked)
    if asked.hf is not None:
        return _show(asked, _of_checkpoint(asked))
    path = Path(asked.samples)
    found = kind_of(path)
    if found != "file" and asked.into is not None:
        raise UserError(f"--into takes samples, and {path} is a {found}: give the samples.jsonl of a cell.")
    if found == "run":
        return rescore(RunStore(path))
    if found == "cell":
        return rescore(RunStore(path.parents[1]), only=path.name)
    if asked.into is not None:
        return _show(asked, _into_a_run(asked, path))
    return show_scores(asked, _of_file(asked, path))


def kind_of(path: Path) -> str:
    """`run`, `cell` or `file`; `-` is standard input.

    Raises:
        UserError: there is nothing.
    """
    if str(path) == "-":
        return "file"
    try:
        is_run, is_cell, is_file = (path / "cells").is_dir(), (path / "cell.json").is_file(), path.is_file()
        is_file = is_file or path.is_fifo()  # as of <(...) in a shell
    except OSError as error:  # a name that no file can have
        raise UserError(f"{path}: {error.strerror}.") from None
    if not (is_run or is_cell or is_file):
        raise UserError(f"{path}: no such file or run directory.")
    return "run" if is_run else "cell" if is_cell else "file"


def check_flags(asked: argparse.Namespace) -> None:
    """Flags that would not be read are refused.

    Raises:
        UserError: names the first of them.
    """
    given = [flag for flag in AGAINST if getattr(asked, flag)]
    given += ["protocol"] * (asked.protocol != "gantlet-1")
    if asked.hf is not None and asked.samples is not None:
        raise UserError(f"score takes samples ({asked.samples}) or --hf {asked.hf}, not both.")
    if asked.hf is not None:
        given += [flag for flag in OF_FILES if getattr(asked, flag)]
        if given:
            flag = _flag(given[0])
            raise UserError(f"{flag} goes against --hf, which is sampled and scored under the task's protocol.")
    elif asked.n is not None:
        raise UserError("-n is for --hf: of samples that are there, all are scored.")
    if asked.into is not None:
        if asked.name is None:
            raise UserError("--into RUN needs --as NAME: what the row shall be called.")
        also = [*given, *(flag for flag in OF_ITS_OWN if getattr(asked, flag))]
        if also:
            raise UserError(f"{_flag(also[0])} goes against --into {asked.into}, whose own protocol and data stand.")
    elif asked.name is not None or asked.overwrite:
        raise UserError(f"--{'as' if asked.name is not None else 'overwrite'} is for --into RUN, which adds a row.")


def _flag(name: str) -> str:
    """As it is written on the command line."""
    return {"fields": "--field", "settings": "--set", "n": "-n"}.get(name, f"--{name.replace('_', '-')}")


def _of_file(asked: argparse.Namespace, path: Path) -> list[FileScore]:
    from bench.outside.given import Columns
    from bench.outside.scorefile import score_file

    return score_file(
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
        columns=Columns(asked.text_field, asked.references_field, asked.sources_field, asked.id_field),
        form=asked.format,
        decoding=asked.decoding,
    )


def _into_a_run(asked: argparse.Namespace, path: Path) -> Added:
    from bench.outside.external import add_samples
    from bench.outside.given import Columns, read_given

    columns = Columns(text=asked.text_field, number=asked.id_field)
    return add_samples(_place(asked), asked.task, read_given(path, columns, asked.format, asked.decoding))


def _of_checkpoint(asked: argparse.Namespace) -> Added:
    from bench.config import MAX_SAMPLES
    from bench.outside.checkpoint import Data, score_checkpoint

    place, task = (_place(asked), None) if asked.into is not None else (None, _task_of(asked))
    data = None
    if task is not None:
        source, fields = resolve_data(Grid(data=asked.data)), fields_of(asked.fields)
        data = Data(task, source, fields, bool(asked.allow_overlap))
    return score_checkpoint(
        asked.hf,
        data,
        place,
        task=asked.task,
        decoding=asked.decoding,
        samples=asked.n or MAX_SAMPLES,
        seed=asked.seed,
        device=asked.device or "auto",
        tell=_tell,
    )


def _tell(what: str, done: int, total: int) -> None:
    print(f"{what} ({done + 1} of {total})" if total > 1 else what, file=sys.stderr, flush=True)


def _place(asked: argparse.Namespace) -> Place:
    from bench.outside.external import Place

    return Place(Path(asked.into), asked.name, asked.seed, asked.overwrite)


def _show(asked: argparse.Namespace, added: Added) -> int:
    """The scores, what is to be known of them, and the run's tables with the new row."""
    from bench.verbs.run import print_tables

    show_scores(asked, chosen_of(added.scores, asked.metrics))
    said = sys.stderr if asked.json else sys.stdout
    for note in added.notes:
        print(f"note     {note}", file=said)
    if added.cell is None:
        return 0
    if asked.json:
        refresh(RunStore(Path(asked.into)))
    else:
        print_tables(RunStore(Path(asked.into)))
    print(f"row      {added.cell}", file=said)
    return 0


def refresh(store: RunStore) -> None:
    """Writes the run's tables, and prints nothing."""
    from bench.report.collect import collect
    from bench.report.samples import write_samples
    from bench.report.tables import write_tables

    write_samples(store)
    write_tables(collect(store), store.path, heading=store.path.name)


def show_scores(asked: argparse.Namespace, scores: Sequence[FileScore]) -> int:
    """As a table, or as JSON."""
    from bench.outside.scorefile import explained

    if asked.json:
        print(json.dumps([score.as_dict() for score in scores], indent=1, ensure_ascii=False))
        return 0
    width = max(len(score.score.metric) for score in scores)
    for score in scores:
        print(score.line(width))
        if asked.explain:
            print("\n".join(f"  {line}" for line in explained(score.score)[1:]))
    return 0


def chosen_of(scores: Sequence[FileScore], names: Sequence[str] | None) -> list[FileScore]:
    """Those of the named metrics, in that order.

    Raises:
        UserError: the task has no such metric.
    """
    if names is None:
        return list(scores)
    known = {score.score.metric for score in scores}
    for name in names:
        if name not in known:
            raise UserError(f'the scores have no metric "{name}".{did_you_mean(name, known)}')
    return [score for name in names for score in scores if score.score.metric == name]


def explain_protocol(asked: argparse.Namespace) -> int:
    """`score --explain` without samples."""
    from bench.outside.scorefile import PAIRED, POOL, explain

    if not asked.explain:
        raise UserError(
            "score needs a file of samples or a run directory, or --hf; or --explain alone, to read how it is done."
        )
    task = _task_of(asked)
    names = asked.metrics or (task.metrics if task else PAIRED if asked.paired else POOL)
    paired = task.kind == "conditional" if task else asked.paired
    print("\n".join(explain(asked.protocol, names, paired)))
    return 0


def _task_of(asked: argparse.Namespace) -> Any:
    if asked.task is None:
        return None
    return make_task(asked.task, parse_settings(asked.settings).get(asked.task, {}), asked.plugins or ())


def rescore(store: RunStore, only: str | None = None) -> int:
    """Every finished cell of a run (or one of them) is scored anew from its samples; nothing is trained."""
    from bench.verbs.run import print_tables

    count = 0
    for name in rescored(store, only):
        count += 1
        print(f"scored {name}", flush=True)
    print_tables(store)
    print(f"{count} cells scored anew")
    return 0


def rescored(store: RunStore, only: str | None = None) -> Any:
    """Scores the cells, and gives their names as they are done.

    Raises:
        UserError: there are no samples yet, or another run works on a cell.
    """
    from bench.cell import commit, prepare
    from bench.outside.external import is_external, prepare_again, rescore_external

    drawn = [cell for cell in store.cells() if cell.file("samples.json").exists() and only in (None, cell.path.name)]
    if not drawn:
        raise UserError(f"{only or store.path} has no samples yet; run its grid first.")
    corpora: dict[str, Any] = {}
    for cell in drawn:
        spec, external = cell.spec, is_external(cell)
        assert spec is not None, "cell.json is written before samples"
        with cell.locked() as mine:
            if not mine:
                raise UserError(f"{cell.path} is being worked on by another run; wait for it.")
            prepared = (prepare_again if external else prepare)(spec, corpora.get(spec.fingerprint))
            if external:
                rescore_external(prepared, cell)
            else:
                commit(prepared, cell, Settings())
        corpora = {spec.fingerprint: prepared.corpus}  # cells stand in the order of their tasks
        yield cell.path.name
