"""Run directories with samples that no model drew, for tests of what shows samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.config import CellSpec
from bench.registry import make_task
from bench.report.collect import collect
from bench.store import RunStore
from tasks.base import Corpus
from tasks.opening import open_source

LIMIT = 40  # training sentences
Sets = Mapping[tuple[str, str, str], Sequence[str]]  # (stage, split, decoding): texts

HOSTILE = [
    "</script><script>alert(1)</script>",
    '<img src=x onerror="alert(2)">',
    "<!-- & &amp; &#60; \"quoted\" 'single' `tick` ${x} {{ y }}",
    "a line\u2028another\u2029third",
    "turned \u202eright to left\u202c and \u0639\u0631\u0628\u064a",
    "a NUL \x00, a bell \x07, an escape \x1b[31m",
    "wide" * 3000,
    "",
    "   ",
    "spring\n  moon\nlow",
    "春眠不覺曉\n處處聞啼鳥",
    "astral 😀 words 𠀀 here",
    "javascript:alert(3) ]]> \\u003c \\",
]


@cache
def corpus(task: str, limit: int | None = LIMIT) -> Corpus:
    """An embedded corpus, cut short."""
    made = make_task(task, {})
    return made.load(open_source("embedded"), limit)


def spec_of(task: str, baseline: str, seed: int = 0, **fields: Any) -> CellSpec:
    made = make_task(task, {})
    base: dict[str, Any] = {
        "task": task,
        "task_version": made.version,
        "task_options": made.options.model_dump(mode="json"),
        "fingerprint": corpus(task).fingerprint,
        "baseline": baseline,
        "baseline_version": 1,
        "config": {},
        "seed": seed,
        "budget": "smoke",
        "data": "embedded",
        "limit": LIMIT,
    }
    return CellSpec(**(base | fields))


def add_cell(
    store: RunStore, spec: CellSpec, sets: Sets, skipped: Sequence[tuple[str, str, str, str]] = (), **about: Any
) -> Path:
    """A cell that has drawn `sets`; a conditional task's sources are those of its split, in order."""
    loaded = corpus(spec.task)
    folder = store.cell(spec).path
    described = {"data": f"{spec.task}.v1/embedded#{spec.fingerprint[:8]}", "origin": "embedded", "kind": loaded.kind}
    described |= {"primary": "bleu-2", "adversarial": spec.baseline == "seqgan", "track": "scratch", **about}
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "cell.json", {"schema_version": 1, "spec": spec.model_dump(mode="json"), **described})
    lines, listed = [], []
    for (stage, split, decoding), texts in sets.items():
        listed.append({"stage": stage, "split": split, "decoding": decoding, "samples": len(texts)})
        for place, text in enumerate(texts):
            record: dict[str, Any] = {
                "stage": stage,
                "split": split,
                "decoding": decoding,
                "index": place,
                "text": text,
            }
            if described["kind"] == "conditional":
                example = loaded.splits["test"].examples[place]
                record |= {"source": list(example.source), "references": list(example.references or (example.target,))}
            lines.append(json.dumps(record) + "\n")
    (folder / "samples.jsonl").write_text("".join(lines))
    keys = ("stage", "split", "decoding", "reason")
    left_out = [dict(zip(keys, one, strict=True)) for one in skipped]
    _write(folder / "samples.json", {"drawing_key": "", "seconds": 0, "sets": listed, "skipped": left_out})
    return folder


def _write(path: Path, value: Any) -> None:
    """Without waiting for the disk, as `bench.store` does."""
    path.write_text(json.dumps(value))


def free_sets(
    texts: Sequence[str], temperatures: Sequence[float] = (0.7, 1.0)
) -> dict[tuple[str, str, str], list[str]]:
    """The same texts at each temperature, each told apart by its end."""
    return {("final", "test", f"sample@{t:g}"): [f"{text} at {t:g}" for text in texts] for t in temperatures}


def write_pages(store: RunStore, **options: Any) -> list[Path]:
    """The sample pages of the run, with the files that they need, below `report`."""
    from bench.report.browser import write_sample_pages
    from bench.report.site.render import write_assets

    write_assets(store.path / "report")
    nav = [("index.html", "Leaderboard"), ("samples/captions.html", "captions")]
    return write_sample_pages(store, collect(store), store.path / "report", nav, **options)


def data_files(page: Path) -> list[dict[str, Any]]:
    """What the page's scripts hand over, in the order of their numbers."""
    found = []
    paths = sorted((page.parent / page.stem).glob("*.js"), key=lambda path: int(path.stem))
    for number, path in enumerate(paths):
        head, tail = f"gantletSamples({number},", ");\n"
        text = path.read_text(encoding="utf-8")
        assert text.startswith(head)
        assert text.endswith(tail)
        found.append(json.loads(text[len(head) : -len(tail)]))
    return found


def page_data(page: Path) -> dict[str, Any]:
    """What the page's script knows before it loads a file."""
    text = page.read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text.split('id="sample-data">')[1].split("</script>")[0])
    return found
