"""Scores a bare file of samples: against a task's test data, or against a file of references."""

from __future__ import annotations

import codecs
import dataclasses
import gzip
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import metrics
from bench.errors import UserError
from bench.seeding import seed_for
from bench.stats import bootstrap_interval
from metrics.base import Material, Score
from metrics.explain import about, in_words
from metrics.protocols import DEFAULT, protocol
from tasks.base import Task
from tasks.opening import open_source

POOL = (
    *("bleu-2", "bleu-3", "bleu-4", "bleu-5", "self-bleu-2", "self-bleu-3", "self-bleu-4", "self-bleu-5"),
    *("distinct-1", "distinct-2", "unique", "copied", "longest-copy", "copied-share-4"),
    *("frechet", "reverse-lm", "forward-lm", "ms-jaccard-4", "length", "length-distance", "unk"),
)
PAIRED = (
    *("sacrebleu", "chrf", "rouge-1", "rouge-2", "rouge-l", "rouge-lsum", "bleu-2", "bleu-4"),
    *("distinct-1", "distinct-2", "length", "length-ratio", "unk"),
)
FRONTIER = ("frontier-distance-2", "frontier-area-2", "frontier-distance-4", "frontier-area-4")
WITH_SOURCES = ("novel-1", "novel-2", "novel-3", "adver-suc", "adver-human-random", "adver-machine-random", "adver-ere")
FROM_A_MODEL = {"log_probs", "oracle_log_probs", "sweep"}  # a file of samples can't have these


@dataclass(frozen=True)
class FileScore:
    """A score with its interval over items; `real` is what as much real text has, where there was some to score."""

    score: Score
    low: float
    high: float
    real: float = float("nan")

    def line(self, name: int) -> str:
        """For a terminal; `name` is how wide the names are."""
        score = self.score
        if score.reason:
            return f"{score.metric:{name}} -        {score.reason}   {score.signature}"
        interval = f"[{self.low:.4f}, {self.high:.4f}]" if np.isfinite(self.low) else ""
        real = f"real {self.real:<8.4f} " if np.isfinite(self.real) else ""
        return f"{score.metric:{name}} {score.value:<8.4f} {interval:20} {real}{score.signature}"

    def as_dict(self) -> dict[str, Any]:
        number = {"value": self.score.value, "ci_low": self.low, "ci_high": self.high, "real": self.real}
        finite = {key: value if np.isfinite(value) else None for key, value in number.items()}
        rest = {"n": self.score.n, "signature": self.score.signature, "reason": self.score.reason}
        return {"metric": self.score.metric, **finite, **rest}


def explain(protocol_name: str, names: Sequence[str], paired: bool) -> list[str]:
    """A protocol in words before anything is scored: what is done, and what each metric measures and can't see."""
    if protocol_name == DEFAULT:
        lines = [
            f"protocol {DEFAULT}: the suite's own; all samples, held-out references, empty samples count as samples"
        ]
    else:
        known = protocol(protocol_name)
        names, paired = known.names, False
        lines = [f"protocol {known.name}: {known.says}", f"  as in: {known.source}"]
        lines.append("  tokens: NLTK's words of the lower-cased line; empty lines are left out on both sides")
    material = Material(references_by_item=() if paired else None)
    families: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        each = metrics.metric(name)
        families.setdefault(tuple(about(each, each.direction(material))), []).append(name)
    for facts, members in families.items():
        lines += [", ".join(members), *(f"  {fact}" for fact in facts)]
    return lines


def explained(score: Score) -> list[str]:
    """What one number measures, in words: the metric, and then each field of its signature."""
    facts = about(metrics.metric(score.metric), score.higher_is_better)
    return [score.metric, *(f"  {line}" for line in [*facts, *in_words(score.signature)])]


def read_lines(path: Path) -> list[str]:
    """The file's lines (of a `.gz`, those inside); a byte-order mark and carriage returns at line ends go.

    Raises:
        UserError: not there, broken, or not UTF-8 with line feeds (the line and its byte are named).
    """
    content = _content(path).removeprefix(codecs.BOM_UTF8)
    _refuse_other_text(content, path)
    lines = []
    for number, raw in enumerate(content.split(b"\n"), 1):
        try:
            lines.append(raw.decode("utf-8").removesuffix("\r"))
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path} line {number}: not UTF-8 (byte {error.start + 1}). Convert it, as with iconv."
            ) from None
    return lines[:-1] if lines and not lines[-1] else lines


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is not a whole gzip file ({error}). Fetch or make it again.") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}.") from None


def _refuse_other_text(content: bytes, path: Path) -> None:
    """What could be read as UTF-8 lines, and would be scored as something that nobody wrote."""
    if content.startswith(b"\x1f\x8b"):
        raise UserError(f"{path} line 1: gzip, not text (byte 1). Unpack it, or name it {path.name}.gz.")
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
    if content.startswith(marks) or 4 * content.count(0) > len(content):  # in UTF-16, half of plain English is zeros
        at = 0 if content.startswith(marks) else content.index(0)
        line, byte = content.count(b"\n", 0, at) + 1, at - content.rfind(b"\n", 0, at)
        raise UserError(
            f"{path} line {line}: UTF-16 or UTF-32, not UTF-8 (byte {byte}). Convert it, as with iconv -f UTF-16."
        )
    if b"\n" not in content and b"\r" in content[:-1]:
        raise UserError(
            f"{path} line 1: a carriage return (byte {content.index(13) + 1}), and no line feed in all the file. "
            "Where they end lines, convert them, as with tr '\\r' '\\n'."
        )


def score_file(
    samples: Path,
    *,
    task: Task | None,
    data: str,
    fields: Mapping[str, str],
    allow_overlap: bool,
    references: Path | None,
    sources: Path | None,
    real: Path | None,
    train: Path | None,
    paired: bool,
    names: Sequence[str] | None,
    tokens: str | None,
    protocol_name: str = DEFAULT,
    device: str | None = None,
    workers: int = 1,
) -> list[FileScore]:
    """Scores the file's lines; see `score --help` for what the arguments mean.

    Raises:
        UserError: nothing to score against, or counts that don't fit.
    """
    compatible = None if protocol_name == DEFAULT else protocol(protocol_name)
    if compatible is not None and tokens is not None:
        raise UserError(f"--tokens {tokens} goes against --protocol {protocol_name}, which has tokens of its own.")
    texts = read_lines(samples)
    if not texts:
        raise UserError(f"{samples} is empty: there is nothing to score.")
    if task is not None:
        material, wanted = _against_task(texts, samples, task, data, fields, allow_overlap)
    elif references is not None:
        material, wanted = _against_file(texts, samples, references, sources, paired)
    else:
        raise UserError("score needs --task NAME or --references FILE to score against.")
    if tokens is not None:
        material = dataclasses.replace(material, tokens=tokens)
    if train is not None:
        material = dataclasses.replace(material, train=read_lines(train))

    def scored(each: Material) -> list[Score]:
        if compatible is not None:
            return compatible.score(each, names, device)
        return metrics.score(each, list(names or wanted), device=device, workers=workers)

    scores = [_with_interval(score) for score in scored(material)]
    if real is None:
        return scores
    if material.references_by_item is not None:
        raise UserError("--real is for free text: against own references, higher is better.")
    same = _as_many(read_lines(real), real, len(texts))
    measured = scored(dataclasses.replace(material, samples=same))
    beside = [dataclasses.replace(mine, real=its.value) for mine, its in zip(scores, measured, strict=True)]
    if compatible is not None or names is not None:
        return beside
    # one file is one point of the plane, whatever temperature it was drawn at
    point = dataclasses.replace(material, sweep={"": texts}, real=same)
    return beside + [_with_interval(score) for score in metrics.score(point, FRONTIER)]


def _as_many(lines: list[str], path: Path, count: int) -> list[str]:
    """Real text is scored in as many lines as the samples, since most values depend on how many there are."""
    if len(lines) < count:
        raise UserError(f"--real {path} has {len(lines)} lines, fewer than the {count} samples: score fewer samples.")
    return lines[:count]


def _against_task(
    texts: list[str], path: Path, task: Task, data: str, fields: Mapping[str, str], allow_overlap: bool
) -> tuple[Material, Sequence[str]]:
    corpus = task.load(open_source(data, fields=dict(fields)), allow_overlap=allow_overlap)
    test = corpus.splits["test"].examples
    protocol = {"data": corpus.label, "split": "test"}
    wanted = [name for name in task.metrics if not metrics.metric(name).needs & FROM_A_MODEL]
    train = [example.target for example in corpus.splits["train"].examples]
    if corpus.kind == "free":
        pool = [example.target for example in test]
        return Material(texts, references=pool, train=train, tokens=task.tokens, protocol=protocol), wanted
    if len(texts) != len(test):
        raise UserError(
            f"{path} has {len(texts)} lines, {task.name}'s test split {len(test)}: line i must answer source i."
        )
    answers = [example.references or (example.target,) for example in test]
    sources = [example.source for example in test]
    return Material(
        texts, references_by_item=answers, train=train, tokens=task.tokens, sources=sources, protocol=protocol
    ), wanted


def _against_file(
    texts: list[str], path: Path, references: Path, sources: Path | None, paired: bool
) -> tuple[Material, Sequence[str]]:
    lines = read_lines(references)
    if not paired:
        if sources is not None:
            raise UserError("--sources needs --paired: line i of each file belongs to sample i.")
        return Material(texts, references=lines, protocol=named(references)), POOL
    answered = read_lines(sources) if sources is not None else None
    for other, count in ((references, len(lines)), (sources, len(answered or texts))):
        if count != len(texts):
            raise UserError(f"{path} has {len(texts)} lines and {other} {count}: --paired needs one each.")
    material = Material(
        texts,
        references_by_item=[(line,) for line in lines],
        sources=None if answered is None else [(line,) for line in answered],
        protocol=named(references),
    )
    return material, PAIRED if answered is None else (*PAIRED, *WITH_SOURCES)


def named(references: Path) -> dict[str, str]:
    """References of equal number are not the same references: their name and hash go into the signature."""
    name = references.name.encode("utf-8", "backslashreplace").decode()
    return {"data": f"{name}#{hashlib.sha256(references.read_bytes()).hexdigest()[:8]}"}


def _with_interval(score: Score) -> FileScore:
    if score.stats is None or not np.isfinite(score.value):
        return FileScore(score, float("nan"), float("nan"))
    rng = np.random.default_rng(seed_for(f"bootstrap/{score.metric}", "score", 0))
    return FileScore(score, *bootstrap_interval(score.stats, metrics.metric(score.metric).reduce, rng))
