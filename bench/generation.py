"""Samples and likelihoods of a trained model, or of the table's reference rows; and their files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from baselines.base import CannotDecode, Decoding, Generator, NotTractable, Replacer, TextGenerator, Writer
from bench.config import CellSpec
from bench.scoring import Likelihood, SampleSet, per_item
from bench.seeding import seed_for
from bench.store import read_json, write_atomically, write_json
from tasks.base import Corpus, Ragged, Split, Task

REFERENCE_ROWS = ("real", "shuffled", "uniform")
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Skipped:
    """A set of samples that the generator couldn't draw, and why."""

    stage: str
    split: str
    decoding: str
    reason: str


def sample_count(corpus: Corpus, wanted: int) -> int:
    """Free tasks: how many samples, so that the real row (valid text) and all methods have one size."""
    sizes = [len(corpus.splits["test"])]
    if corpus.oracle is None:
        sizes.append(len(corpus.splits["valid"]))
    return min(wanted, *sizes)


def test_splits(corpus: Corpus) -> list[str]:
    return [name for name in corpus.splits if name == "test" or name.startswith("test_")]


def draw(
    task: Task, corpus: Corpus, spec: CellSpec, generator: Generator, stage: str, tell: Tell
) -> tuple[list[SampleSet], list[Skipped]]:
    """All sample sets of a stage: free tasks by temperature (all of them at the end), conditional ones by decoding.

    Returns:
        The sets, and those that the generator couldn't draw.
    """
    decodings = [Decoding.parse(text) for text in (spec.decodings or task.decodings)]
    if corpus.kind == "free":
        swept = [Decoding.parse(f"sample@{temperature:g}") for temperature in spec.temperatures]
        wanted = [*decodings, *(swept if stage == "final" else ())]
        jobs = [("test", decoding) for decoding in dict.fromkeys(wanted) if decoding.method == "sample"]
    else:
        splits = test_splits(corpus) if stage == "final" else ["test"]
        jobs = [(split, decoding) for split in splits for decoding in decodings]
    sets: list[SampleSet] = []
    skipped: list[Skipped] = []
    for place, (split, decoding) in enumerate(jobs):
        tell(f"generating {decoding}", place, len(jobs))
        rng = torch.Generator().manual_seed(seed_for(f"sample/{split}/{decoding}", spec.task, spec.seed))
        try:
            found = _replaced(corpus, generator, split, decoding, sets) or _generated(
                corpus, spec, generator, split, decoding, rng
            )
        except CannotDecode as reason:
            told = str(reason) or "the method can't decode so"
            skipped.append(Skipped(stage, split, str(decoding), told))
        else:
            sets.append(SampleSet(stage, split, str(decoding), *found))
    return sets, skipped


def _replaced(
    corpus: Corpus, generator: Generator, split: str, decoding: Decoding, sets: Sequence[SampleSet]
) -> tuple[Sequence[str], Ragged] | None:
    """What was drawn already with `<unk>` in it, now with that replaced; None where there is no such set."""
    if not decoding.replace or decoding.method == "sample" or not isinstance(generator, Replacer):
        return None
    plain = str(replace(decoding, replace=False))
    ids = next((one.ids for one in sets if (one.split, one.decoding) == (split, plain)), None)
    if ids is None:
        return None
    texts = [example.source for example in corpus.splits[split].examples]
    return generator.replaced(ids, _sources(corpus.splits[split]), texts), ids


def _generated(
    corpus: Corpus, spec: CellSpec, generator: Generator, split: str, decoding: Decoding, rng: torch.Generator
) -> tuple[Sequence[str], Ragged | None]:
    """Texts, and their ids where the generator speaks in the corpus' vocabulary."""
    if corpus.kind == "conditional":
        texts = [example.source for example in corpus.splits[split].examples]
        return answers(corpus, generator, _sources(corpus.splits[split]), texts, decoding, rng)
    n = sample_count(corpus, spec.samples)
    if isinstance(generator, TextGenerator):
        return generator.sample_texts(n, temperature=decoding.temperature, rng=rng), None
    ids = generator.sample(n, temperature=decoding.temperature, rng=rng)
    return corpus.decode(ids), ids


def answers(
    corpus: Corpus,
    generator: Generator,
    sources: Ragged,
    texts: Sequence[tuple[str, ...]],
    decoding: Decoding,
    rng: torch.Generator,
) -> tuple[Sequence[str], Ragged | None]:
    """One text a source and its ids, where they exist.

    Args:
        texts: the sources as people read them; a `Writer` may want them.
    """
    if isinstance(generator, Writer):
        return generator.write(sources, texts, decoding=decoding, rng=rng)
    ids = generator.generate(sources, decoding=decoding, rng=rng)
    return corpus.decode(ids), ids


def likelihoods(corpus: Corpus, generator: Generator, stage: str) -> list[Likelihood]:
    """Of the test split's targets (and of extra test sets at the end), or why there are none."""
    found = []
    for name in test_splits(corpus) if stage == "final" else ["test"]:
        split = corpus.splits[name]
        if isinstance(generator, TextGenerator):
            measured = _text_log_probs(generator, split)
            found.append(Likelihood(stage, name, *measured, unit=generator.token_unit))
            continue
        try:
            flat = generator.token_log_probs(split.targets, split.sources)
        except NotTractable as reason:
            found.append(Likelihood(stage, name, reason=str(reason) or "the model has no exact likelihood"))
            continue
        sums = per_item(flat, split.targets, corpus.vocab.hash)
        found.append(Likelihood(stage, name, sums.sums, sums.tokens))
    return found


def _text_log_probs(generator: TextGenerator, split: Split) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    targets = [example.target for example in split.examples]
    if split.sources is None:
        return generator.text_log_probs(targets)
    return generator.text_log_probs(targets, [example.source for example in split.examples])


def reference_row(name: str, corpus: Corpus, spec: CellSpec) -> tuple[list[SampleSet], list[Likelihood]]:
    """Rows that no method made: `real` text, and a floor (`shuffled` tokens, or `uniform` ones for an oracle)."""
    n = sample_count(corpus, spec.samples)
    seed = seed_for(f"reference/{name}", spec.task, spec.seed)
    test = corpus.splits["test"].targets
    if corpus.oracle is not None:
        if name == "real":
            ids = corpus.oracle.sample(n, torch.Generator().manual_seed(seed))
            known = per_item(corpus.oracle.log_probs(test), test, corpus.vocab.hash)
        else:
            ids = uniform(corpus, n, np.random.default_rng(seed))
            flat = np.full(len(test.flat), -np.log(corpus.vocab.size))
            known = per_item(flat, test, corpus.vocab.hash)
        exact = [Likelihood("final", "test", known.sums, known.tokens)]
        return [SampleSet("final", "test", "sample@1", corpus.decode(ids), ids)], exact
    if name == "real":
        texts = [example.target for example in corpus.splits["valid"].examples[:n]]
        return [SampleSet("final", "test", "", texts)], []
    ids = shuffled(corpus, n, np.random.default_rng(seed))
    return [SampleSet("final", "test", "", corpus.decode(ids), ids)], []


def shuffled(corpus: Corpus, n: int, rng: np.random.Generator) -> Ragged:
    """Training lines with their tokens dealt out anew over all of them: right words and lengths, no order."""
    train = corpus.splits["train"].targets
    chosen = train.take(rng.permutation(len(train))[:n])
    flat = chosen.flat.copy()
    words = flat != corpus.vocab.eos if corpus.vocab.eos is not None else np.ones(len(flat), bool)
    flat[words] = rng.permutation(flat[words])
    return Ragged(flat, chosen.offsets)


def uniform(corpus: Corpus, n: int, rng: np.random.Generator) -> Ragged:
    length = corpus.fixed_length or corpus.max_target_length
    ids = rng.integers(0, corpus.vocab.size, size=(n, length))
    return Ragged.from_padded(ids, np.full(n, length))


def counts_of(samples: SampleSet, corpus: Corpus) -> dict[str, int]:
    """What a reader must know of the samples: how many, cut by the length limit, empty, unknown words."""
    counts = {"samples": len(samples.texts), "empty": sum(not text.strip() for text in samples.texts)}
    if samples.ids is not None:
        vocab = corpus.vocab
        if vocab.unk is not None:
            counts["unk"] = int((samples.ids.flat == vocab.unk).sum())
        if vocab.eos is not None and corpus.fixed_length is None:
            ended = np.zeros(len(samples.ids), bool)
            rows = np.repeat(np.arange(len(samples.ids)), samples.ids.lengths)
            ended[rows[samples.ids.flat == vocab.eos]] = True
            counts["cut_at_limit"] = int((~ended).sum())
    return counts


def write_samples(
    folder: Path,
    sets: Sequence[SampleSet],
    exact: Sequence[Likelihood],
    corpus: Corpus,
    spec: CellSpec,
    seconds: float,
    skipped: Sequence[Skipped] = (),
) -> None:
    """`samples.jsonl`, `likelihood.npz`, and last `samples.json`, which says that both are whole."""
    lines = io.StringIO()
    for samples in sets:
        examples = corpus.splits[samples.split].examples if corpus.kind == "conditional" else ()
        for place, text in enumerate(samples.texts):
            record: dict[str, Any] = {"stage": samples.stage, "split": samples.split, "decoding": samples.decoding}
            record |= {"index": place, "text": text}
            if examples:
                example = examples[place]
                record |= {"source": list(example.source), "references": list(example.references or (example.target,))}
            if samples.ids is not None:
                record["ids"] = samples.ids[place].tolist()
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
    write_atomically(folder / "samples.jsonl", lambda part: part.write_text(lines.getvalue(), encoding="utf-8"))
    arrays: dict[str, Any] = {f"{one.stage}|{one.split}|sums": one.sums for one in exact}
    arrays |= {f"{one.stage}|{one.split}|tokens": one.tokens for one in exact}
    write_arrays(folder / "likelihood.npz", arrays)
    about = {
        "drawing_key": spec.drawing_key,
        "seconds": round(seconds, 3),
        "sets": [
            {"stage": one.stage, "split": one.split, "decoding": one.decoding, **counts_of(one, corpus)} for one in sets
        ],
        "likelihoods": [
            {"stage": one.stage, "split": one.split, "reason": one.reason, "unit": one.unit} for one in exact
        ],
        "skipped": [asdict(one) for one in skipped],
    }
    write_json(folder / "samples.json", about)


def read_samples(folder: Path) -> tuple[list[SampleSet], list[Likelihood]] | None:
    """What `write_samples` wrote; None when it never ended."""
    about = read_json(folder / "samples.json")
    if about is None:
        return None
    records: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    with (folder / "samples.jsonl").open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            records.setdefault((record["stage"], record["split"], record["decoding"]), []).append(record)
    sets = []
    for one in about["sets"]:
        key = (one["stage"], one["split"], one["decoding"])
        rows = records.get(key, [])
        ids = Ragged.from_lists(row["ids"] for row in rows) if rows and "ids" in rows[0] else None
        sets.append(SampleSet(*key, [row["text"] for row in rows], ids))
    with np.load(folder / "likelihood.npz") as arrays:
        exact = [
            Likelihood(
                one["stage"],
                one["split"],
                arrays[f"{one['stage']}|{one['split']}|sums"],
                arrays[f"{one['stage']}|{one['split']}|tokens"],
                one["reason"],
                one.get("unit", ""),
            )
            for one in about["likelihoods"]
        ]
    return sets, exact


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)

    write_atomically(path, write)


def _sources(split: Split) -> Ragged:
    assert split.sources is not None, "a conditional split has sources"
    return split.sources
