"""`python -m tasks.embedded NAME [SPLIT] [-n N] [--json]`: prints rows of an embedded corpus."""

from __future__ import annotations

import argparse
import json
import sys

from tasks.base import DataError
from tasks.embedded import DATASETS, SPLITS, rows
from tasks.embedded.grammar import Row


def shown(row: Row) -> str:
    """A row for reading: its fields on lines of their own when there are several."""
    if set(row) == {"text"}:
        return str(row["text"])
    lines = []
    for field, value in row.items():
        if isinstance(value, list):
            lines += [f"{field:>10}  {item}" for item in value]
        else:
            lines.append(f"{field:>10}  {value}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tasks.embedded", description="Print rows of an embedded corpus.")
    parser.add_argument("name", help=", ".join(DATASETS))
    parser.add_argument("split", nargs="?", default="train", help=", ".join(SPLITS))
    parser.add_argument("-n", type=int, default=5, help="how many rows (default 5; 0: all)")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of text")
    given = parser.parse_args(arguments)
    try:
        found = rows(given.name, given.split)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = found[: given.n] if given.n > 0 else found
    if given.json:
        print("\n".join(json.dumps(row, ensure_ascii=False) for row in found))
    else:
        gap = "\n" if set(found[0]) == {"text"} and "\n" not in str(found[0]["text"]) else "\n\n"
        print(gap.join(shown(row) for row in found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
