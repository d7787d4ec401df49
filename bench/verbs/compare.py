"""`compare`: what is asked on the command line, and where the answer goes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UserError

if TYPE_CHECKING:
    from bench.comparing.table import Options


def compare_verb(asked: argparse.Namespace) -> int:
    """Sets the new results against the base. 0: nothing is worse, 1: something is, 2: not the same measurement."""
    from bench.comparing.as_json import as_json
    from bench.comparing.as_junit import junit
    from bench.comparing.as_markdown import markdown
    from bench.comparing.as_text import text
    from bench.comparing.saying import first_refusal
    from bench.comparing.table import compare_results, read

    base, new = _sides(asked)
    first = read(base)
    compared = compare_results(first, first if new == base else read(new), _options(asked))
    writers = {"markdown": markdown, "json": as_json, "junit": junit}
    for form, write in writers.items():
        for path in getattr(asked, form):
            _write(Path(path), write(compared))
    print(text(compared, asked.all) if asked.format == "text" else writers[asked.format](compared), end="")
    if compared.exit_code == 2 and not compared.compared and compared.counts.get("not comparable"):
        raise UserError(first_refusal(compared))
    return compared.exit_code


def _sides(asked: argparse.Namespace) -> tuple[str, str]:
    """Which is the base and which the new."""
    if asked.reference is not None:
        if len(asked.runs) != 1:
            raise UserError(f"compare --reference {asked.reference} takes one run beside it, not {len(asked.runs)}.")
        return asked.reference, asked.runs[0]
    if len(asked.runs) > 2:
        raise UserError(f"compare takes two runs, not {len(asked.runs)}: the base, and then the new one.")
    if len(asked.runs) == 1 and not (asked.method and asked.to):
        raise UserError(
            "compare needs two runs, or one run with --reference DIR, or one run with --method NAME --to NAME."
        )
    if asked.to and not asked.method:
        raise UserError(f"--to {asked.to} needs --method NAME, the method that is compared with it.")
    return asked.runs[0], asked.runs[-1]


def _options(asked: argparse.Namespace) -> Options:
    from bench.comparing.table import Options, tolerances

    return Options(
        method=asked.method or "",
        to=asked.to or "",
        tasks=asked.tasks or (),
        metrics=asked.metrics or (),
        primary_only=asked.primary_only,
        frontier=asked.frontier,
        tolerances=tolerances(asked.tolerance, asked.tolerances),
        alpha=asked.alpha,
        over=asked.over,
        strict=asked.strict,
    )


def _write(path: Path, content: str) -> None:
    from bench.store import write_text

    try:
        write_text(path, content)
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}.") from None
    print(f"wrote {path}", file=sys.stderr)
