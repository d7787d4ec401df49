"""ROUGE-1, -2, -L and -Lsum F1 by the library rouge-score (Lin 2004), from 0 to 1.

Only the scores of single items are the library's; the mean is ours, since its own aggregator draws from NumPy's global
generator and reports a bootstrap median.

Many items can be shared out to processes. Each is a fresh interpreter: unlike forked ones it can't inherit the locks of
somebody's threads, unlike `multiprocessing`'s it does not run the caller's script again, and it may be started from any
process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer, Tokenizer

from metrics import texts
from metrics.base import Floats, Material, MeanMetric, Workspace
from metrics.tokenize import canonical, characters

TYPES = {"rouge-1": "rouge1", "rouge-2": "rouge2", "rouge-l": "rougeL", "rouge-lsum": "rougeLsum"}
ENOUGH = 2_000  # items; fewer take no longer than a process needs to start
# NLTK, which has the stemmer, spends a second on importing SciPy where there is one, for what is not used here
CHILD = "import sys; sys.modules['scipy'] = None; from metrics.rouge import answer; answer()"


class CharacterTokenizer(Tokenizer):  # type: ignore[misc]
    """For Chinese: rouge-score's own tokens are runs of a-z and 0-9, so two equal Chinese lines would score 0."""

    def tokenize(self, text: str) -> list[str]:
        return characters(text.lower())


class RememberingTokenizer(Tokenizer):  # type: ignore[misc]
    """Cuts each text once for all types: stemming costs more than ROUGE-1 and -2 together."""

    def __init__(self, inner: Tokenizer) -> None:
        self._inner = inner
        self._known: dict[str, list[str]] = {}

    def tokenize(self, text: str) -> list[str]:
        if text not in self._known:
            self._known[text] = self._inner.tokenize(text)
        return self._known[text]


def rouge_tokenizer(work: Workspace) -> Tokenizer:
    """The tokens of the material's texts, cut once."""
    return _tokenizer(canonical(work.material.tokens) == "char")


def from_processes(work: Workspace) -> Mapping[str, Floats]:
    """Values [items] of all ROUGE asked for, by name; nothing where this process had better do it alone."""
    names = [name for name in work.asked if name in TYPES]
    items = list(zip(work.material.samples, work.material.references_by_item or (), strict=True))
    workers = min(work.workers, _cores())
    if workers < 2 or not names or len(items) <= ENOUGH:
        return {}
    by_character = canonical(work.material.tokens) == "char"
    tasks = [json.dumps([names, by_character, items[start::workers]]) for start in range(workers)]
    values = np.empty((len(names), len(items)))
    try:
        with ThreadPoolExecutor(workers) as threads:
            for start, part in enumerate(threads.map(_ask_process, tasks)):
                values[:, start::workers] = part
    except (OSError, ValueError, subprocess.SubprocessError):  # not started, killed: the values are found all the same
        return {}
    return dict(zip(names, values, strict=True))


class Rouge(MeanMetric):
    """`rouge-1`, `rouge-2`, `rouge-l` (the text as one sequence), `rouge-lsum` (its lines as sentences)."""

    higher_is_better = True
    needs = frozenset({"samples", "references_by_item"})
    summary = "ROUGE F1 by rouge-score, 0-1"
    source = "Lin 2004, by the library rouge-score"
    blind = "truth, fluency, repetition; letters with accents separate words"

    def missing(self, material: Material) -> str:
        return super().missing(material) or texts.unanswered(material)

    def values(self, work: Workspace) -> Floats:
        """F1; where an item has several references, that of the one with the highest (rouge-score's `score_multi`)."""
        found = work.shared(from_processes)
        if self.name in found:
            return found[self.name]
        items = list(zip(work.material.samples, work.material.references_by_item or (), strict=True))
        return np.array(_scores([self.name], work.shared(rouge_tokenizer), items)[0])

    def fields(self, material: Material) -> dict[str, str]:
        by_character = canonical(material.tokens) == "char"
        return {
            "hyps": str(len(material.samples)),
            "refs": texts.reference_field(material),
            "multi": "max",
            "f": "1",
            "agg": "item-mean",
            "tok": "char-lower" if by_character else "rouge-score",
            "stem": "no" if by_character else "porter",
        }


def _tokenizer(by_character: bool) -> Tokenizer:
    """Characters for tasks that are scored on them; else rouge-score's own, with the Porter stemmer."""
    return RememberingTokenizer(CharacterTokenizer() if by_character else DefaultTokenizer(use_stemmer=True))


def _scores(
    names: Sequence[str], tokenizer: Tokenizer, items: Sequence[tuple[str, Sequence[str]]]
) -> list[list[float]]:
    """F1 [names, items] of (sample, its references)."""
    kinds = [TYPES[name] for name in names]
    scorer = RougeScorer(kinds, tokenizer=tokenizer)
    found = [scorer.score_multi(list(answers), sample) for sample, answers in items]
    return [[scores[kind].fmeasure for scores in found] for kind in kinds]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ask_process(task: str) -> list[list[float]]:
    command = [sys.executable, "-P", "-c", CHILD]
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, input=task, env=path, capture_output=True, text=True, check=True)
    scores: list[list[float]] = json.loads(done.stdout)
    return scores


def answer() -> None:
    """What a process does: a task from standard input, the scores to standard output."""
    names, by_character, items = json.load(sys.stdin)
    json.dump(_scores(names, _tokenizer(by_character), items), sys.stdout)
