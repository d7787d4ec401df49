"""What a method promises of what is drawn from it: whole sequences, decided by seed, temperature and source."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from baselines.base import Decoding, Writer
from bench.checks.core import Check, CheckFailed, NotApplicable
from bench.checks.trial import FREE, PAIRS, TRIED, Trial
from tasks.base import Corpus, Ragged

DECODINGS = ("greedy", "sample@1", "beam3")


def same(one: Any, other: Any) -> bool:
    """Ids or texts, all equal."""
    if isinstance(one, Ragged) and isinstance(other, Ragged):
        return np.array_equal(one.flat, other.flat) and np.array_equal(one.offsets, other.offsets)
    return bool(one == other)


def whole(found: Any, count: int, corpus: Corpus, what: str, where: str) -> None:
    """Fails unless these are `count` whole sequences of the vocabulary, or as many texts."""
    if isinstance(found, list):
        if len(found) != count or not all(isinstance(text, str) for text in found):
            raise CheckFailed(f"{what}: {len(found)} texts for {count} asked", where, "give one text for each")
        return
    if not isinstance(found, Ragged):
        raise CheckFailed(
            f"{what} gives a {type(found).__name__}, not a tasks.base.Ragged",
            where,
            "Ragged.from_lists(ids) or Ragged.from_padded(ids, lengths) makes one",
        )
    if len(found) != count:
        raise CheckFailed(f"{what} gives {len(found)} sequences for {count} asked", where, "give as many as are asked")
    if len(found.flat) and not 0 <= int(found.flat.min()) <= int(found.flat.max()) < corpus.vocab.size:
        raise CheckFailed(
            f"{what} gives ids from {found.flat.min()} to {found.flat.max()}; a model can emit 0 to "
            f"{corpus.vocab.size - 1} (after them come bos {corpus.vocab.bos} and pad {corpus.vocab.pad})",
            where,
            "give the output layer vocab.size units, so that bos and pad are never drawn; cut what is padded",
        )
    for i in range(count):
        told = _wrong(found[i].tolist(), corpus)
        if told:
            remedy = "end a sequence with its first </s>, and cut it at corpus.max_target_length (or fixed_length)"
            raise CheckFailed(f"{what}: sequence {i} {told}: {found[i].tolist()}", where, remedy)


def _wrong(ids: list[int], corpus: Corpus) -> str:
    """What is wrong with the shape of one sequence."""
    if corpus.fixed_length:
        return "" if len(ids) == corpus.fixed_length else f"has {len(ids)} tokens, not {corpus.fixed_length}"
    if not 1 <= len(ids) <= corpus.max_target_length:
        return f"has {len(ids)} tokens; there are 1 to {corpus.max_target_length}, </s> counted"
    if corpus.vocab.eos in ids[:-1]:
        return "goes on after </s>"
    if ids[-1] != corpus.vocab.eos and len(ids) != corpus.max_target_length:
        return "ends before the length limit without </s>"
    return ""


def samples_are_whole_sequences(trial: Trial, kind: str) -> str | None:
    """`sample(n)` gives n sequences of ids that a model can emit, each ending in `</s>` or at the length limit."""
    generator = trial.generator(kind)
    for count in (300, 1, 0):
        found = trial.draw(generator, count)
        whole(found, count, trial.corpus(kind), f"sample({count}) on {kind}", trial.place("generator", "sample"))
    return None


def answers_are_whole_sequences(trial: Trial, kind: str) -> str | None:
    """`generate` gives an answer a source, each ending in `</s>` or at the length limit, by every decoding it has."""
    generator, corpus, notes = trial.generator(kind), trial.corpus(kind), []
    where, count = trial.place("generator", "generate"), len(corpus.splits["test"])
    for decoding in DECODINGS:
        try:
            whole(trial.answers(kind, generator, decoding), count, corpus, f"generate by {decoding}", where)
            nothing = trial.answers(kind, generator, decoding, rows=[])
            whole(nothing, 0, corpus, f"generate by {decoding} for no source", where)
        except NotApplicable as reason:
            notes.append(f"can't decode by {reason}")
    if len(notes) == len(DECODINGS):
        raise NotApplicable("; ".join(notes))
    return "; ".join(notes)


def answers_follow_their_sources(trial: Trial, kind: str) -> str | None:
    """Greedy and beam answers stand in the sources' order and depend on their own source alone, not on neighbours."""
    generator, told = trial.generator(kind), []
    order = trial.rng.permutation(len(trial.corpus(kind).splits["test"]))
    for decoding in ("greedy", "beam3"):
        try:
            first, turned = (trial.answers(kind, generator, decoding, rows=rows) for rows in (None, order))
        except NotApplicable as reason:
            told.append(str(reason))
            continue
        dealt = first.take(order) if isinstance(first, Ragged) else [first[i] for i in order]
        if not same(turned, dealt):
            raise CheckFailed(
                f"the same sources in another order get other answers by {decoding}",
                trial.place("generator", "generate"),
                "give answers in the sources' order; let padding and neighbours in a batch change nothing",
            )
    if len(told) == 2:
        raise NotApplicable("; ".join(told))
    return None


def a_seed_decides_what_is_drawn(trial: Trial, kind: str) -> str | None:
    """The same `rng` draws the same again, and another one draws something else."""
    generator = trial.generator(kind)
    first = trial.drawn(kind, generator)
    where = trial.place("generator", "sample" if kind in FREE else "generate")
    remedy = "draw with generator=rng, the one that is given, as torch.multinomial(p, 1, generator=rng)"
    if not same(first, trial.drawn(kind, generator)):
        raise CheckFailed("drawn twice with the same rng, the texts differ", where, remedy)
    if trial.method.decodes and same(first, trial.drawn(kind, generator, seed=6)):
        raise CheckFailed("another rng draws the very same texts", where, remedy)
    return None


def temperature_decides_variety(trial: Trial, kind: str) -> str | None:
    """Near temperature 0 there are fewer different samples than at 1."""
    generator = trial.generator(kind)

    def variety(temperature: float) -> int:
        drawn = trial.draw(generator, 300, temperature=temperature)
        return len({tuple(drawn[i]) for i in range(300)})

    cold, plain = variety(0.001), variety(1.0)
    if cold >= plain:
        raise CheckFailed(
            f"of 300 samples {cold} differ at temperature 0.001 and {plain} at 1: the frontier would be one point",
            trial.place("generator", "sample"),
            "divide the logits by `temperature` before the softmax",
        )
    return None


def a_writer_gives_its_ids_as_text(trial: Trial, kind: str) -> str | None:
    """Where a generator gives both text and ids, the text is that of the ids."""
    generator, corpus = trial.generator(kind), trial.corpus(kind)
    if not isinstance(generator, Writer):
        raise NotApplicable("answers in ids alone")
    split, rng = corpus.splits["test"], torch.Generator().manual_seed(5)
    assert split.sources is not None, "a corpus of pairs"
    texts = [example.source for example in split.examples]
    written, ids = generator.write(split.sources, texts, decoding=Decoding.parse("greedy"), rng=rng)
    where = trial.place("generator", "write")
    whole(list(written), len(split), corpus, "write", where)
    if ids is not None and list(written) != corpus.decode(ids):
        raise CheckFailed("the text that write gives is not that of its ids", where, "give corpus.decode(ids), or None")
    return None


def saved_and_loaded_is_the_same(trial: Trial, kind: str) -> str | None:
    """Weights saved as safetensors and loaded into what `build` gives draw the same texts with the same likelihood."""
    from safetensors.torch import load_file

    from bench.context import save_weights

    generator, where = trial.generator(kind), trial.place("build")
    remedy = "let build() give the shape that fit() returns, and state_dict() hold every tensor that drawing reads: "
    remedy += "nn.Parameter or register_buffer, not plain attributes"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        try:
            save_weights(path, generator)
            loaded: Any = trial.make(kind).build(trial.corpus(kind))
            loaded.load_state_dict(load_file(path))
        except Exception as error:
            told = " ".join(str(error).split())
            raise CheckFailed(f"weights of {kind} can't be saved and loaded: {told}", where, remedy) from None
    if not _drawn_alike(trial, kind, generator, loaded):
        raise CheckFailed(f"saved and loaded, the model of {kind} draws other texts", where, remedy)
    try:
        targets, sources = trial.test(kind)
        one, other = (trial.log_probs(each, targets, sources) for each in (generator, loaded))
    except NotApplicable:
        return None
    if one.shape != other.shape or not np.allclose(one, other, rtol=1e-7, atol=1e-6):
        raise CheckFailed(f"saved and loaded, the model of {kind} has other log-probabilities", where, remedy)
    return None


def _drawn_alike(trial: Trial, kind: str, one: Any, other: Any) -> bool:
    if trial.corpus(kind).kind == "free":
        return same(trial.draw(one, 100), trial.draw(other, 100))
    for decoding in DECODINGS[:2]:
        try:
            found = trial.answers(kind, one, decoding)
        except NotApplicable:
            continue
        if not same(found, trial.answers(kind, other, decoding)):
            return False
    return True


CHECKS = (
    Check(samples_are_whole_sequences, FREE),
    Check(answers_are_whole_sequences, PAIRS),
    Check(answers_follow_their_sources, PAIRS),
    Check(a_seed_decides_what_is_drawn, ("varied", "pairs")),
    Check(temperature_decides_variety, ("fixed",)),
    Check(a_writer_gives_its_ids_as_text, PAIRS),
    Check(saved_and_loaded_is_the_same, TRIED),
)
