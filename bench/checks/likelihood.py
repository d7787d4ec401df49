"""What a method promises of its likelihoods: probabilities, of just what is drawn, of each sequence alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.core import Blocked, Check, CheckFailed, NotApplicable
from bench.checks.trial import PAIRS, TRIED, Trial
from tasks.base import Ragged

DRAWN = 6000  # texts whose frequencies are held against exact probabilities
FIRST = 3  # tokens looked at where lines end where they like


def probabilities_sum_to_one(trial: Trial, kind: str) -> str | None:
    """The probabilities of all that can come next, or of all sequences of a fixed length, sum to 1."""
    corpus, size = trial.corpus(kind), trial.corpus(kind).vocab.size
    where = trial.place("generator", "token_log_probs")
    remedy = "give natural logarithms of a softmax over all that can be emitted (</s> too, bos and pad not), at "
    remedy += "temperature 1, with dropout off"
    if corpus.fixed_length:
        every = [list(ids) for ids in itertools.product(range(size), repeat=corpus.fixed_length)]
        total = float(np.exp(_log_probs_of(trial, kind, every)).sum())
        if not abs(total - 1) < 1e-4:
            raise CheckFailed(f"the probabilities of all {len(every)} lines sum to {total:.6g}", where, remedy)
        return None
    for length in (0, 1, 3):
        start = trial.rng.integers(1, size, length).tolist()
        row = int(trial.rng.integers(len(corpus.splits["test"])))
        found = _flat(trial, kind, [[*start, token] for token in range(size)], row).reshape(size, -1)[:, -1]
        total = float(np.exp(found).sum())
        if not abs(total - 1) < 1e-4:
            text = corpus.target_codec.decode(start) or "the beginning"
            raise CheckFailed(f'after "{text}" the probabilities of all tokens sum to {total:.6g}', where, remedy)
    return None


def sampling_agrees_with_log_probabilities(trial: Trial, kind: str) -> str | None:
    """Thousands of texts are drawn as often as `token_log_probs` says: every line of a tiny vocabulary is counted.

    Pearson's chi-square, rare lines taken together. A right method has a value of about the number of lines, and passes
    below six standard deviations and 20 more: it practically never fails.
    """
    corpus, generator = trial.corpus(kind), trial.generator(kind)
    size, length = corpus.vocab.size, corpus.fixed_length or FIRST
    lines = _all_lines(size, length, None if corpus.fixed_length else corpus.vocab.eos)
    seed = int(trial.rng.integers(2**31))
    targets, sources = trial.test(kind)  # first of all: is there a likelihood?
    trial.log_probs(generator, targets.take([0]), None if sources is None else sources.take([0]))
    rows = [int(trial.rng.integers(len(corpus.splits["test"])))] if kind in PAIRS else [None]
    worst = ""
    for row in rows:
        log_p = _log_probs_of(trial, kind, lines, row)
        if row is None:
            drawn = trial.draw(generator, DRAWN, seed)
        elif not trial.method.decodes:
            raise NotApplicable("it has one answer for a source, however it is decoded")
        elif trial.method.chooses:
            raise NotApplicable("it chooses among candidates: its answers don't follow the likelihood")
        else:
            drawn = trial.answers(kind, generator, "sample@1", seed, rows=np.full(DRAWN, row))
        places = {tuple(line): i for i, line in enumerate(lines)}
        counts = np.zeros(len(lines))
        for i in range(len(drawn)):
            place = places.get(tuple(drawn[i][:length].tolist()))
            if place is None:
                raise Blocked("what is drawn is no whole sequence: see the checks of that name")
            counts[place] += 1
        worst = _chi_square(counts, DRAWN * np.exp(log_p))
        if worst:
            most = int(np.argmax(np.abs(counts - DRAWN * np.exp(log_p))))
            text = " ".join(corpus.vocab.tokens[i] for i in lines[most])
            told = f'"{text}" came {counts[most]:.0f} times where {DRAWN * np.exp(log_p[most]):.1f} are expected'
            raise CheckFailed(
                f"{DRAWN} texts drawn at temperature 1 are not those of token_log_probs on {kind} ({worst}); {told}",
                trial.place("generator", "sample" if row is None else "generate"),
                "let both read one distribution: look for a temperature that one of them has, dropout left on "
                "(model.eval()), inputs shifted by one, a token masked in one of them, an end that is not counted",
            )
    return None


def _all_lines(size: int, length: int, eos: int | None) -> list[list[int]]:
    """Every beginning of this length, and what ends before."""
    if eos is None:
        return [list(ids) for ids in itertools.product(range(size), repeat=length)]
    words = [i for i in range(size) if i != eos]
    ended = [[*ids, eos] for n in range(length - 1) for ids in itertools.product(words, repeat=n)]
    return ended + [[*ids, last] for ids in itertools.product(words, repeat=length - 1) for last in range(size)]


def _chi_square(counts: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> str:
    """Empty where the counts are as expected, else the test's value and its bound in words."""
    common = expected >= 5
    pooled = np.append(expected[common], expected[~common].sum())
    seen = np.append(counts[common], counts[~common].sum())
    keep = pooled > 1e-9
    if seen[~keep].any():
        return f"{seen[~keep].sum():.0f} of them have probability 0"
    statistic = float(((seen - pooled)[keep] ** 2 / pooled[keep]).sum())
    freedom = int(keep.sum()) - 1
    bound = freedom + 6 * np.sqrt(2 * freedom) + 20
    return "" if statistic < bound else f"chi-square {statistic:.0f}, bound {bound:.0f}"


def padding_is_never_counted(trial: Trial, kind: str) -> str | None:
    """There is one log-probability for each token and none for padding, and no neighbour in a batch changes it."""
    generator, (targets, sources) = trial.generator(kind), trial.test(kind)
    together = trial.log_probs(generator, targets, sources)
    where = trial.place("generator", "token_log_probs")
    if together.shape != targets.flat.shape:
        raise CheckFailed(
            f"{' x '.join(map(str, together.shape)) or 'one number'} log-probabilities for {len(targets.flat)} tokens "
            f"in {len(targets)} lines of at most {int(targets.lengths.max())}",
            where,
            "give one a token, end to end as in targets.flat: drop those of padding with the mask `batch.inside`",
        )
    wrong = together[~(together <= 0)]  # NaN too
    if len(wrong):
        raise CheckFailed(f"a log-probability is {wrong[0]}", where, "give natural logarithms of probabilities: <= 0")
    for i in (0, 3, len(targets) - 1):
        row = np.array([i])
        alone = trial.log_probs(generator, targets.take(row), None if sources is None else sources.take(row))
        part = together[targets.offsets[i] : targets.offsets[i + 1]]
        if alone.shape != part.shape or not np.allclose(alone, part, rtol=1e-7, atol=1e-5):
            raise CheckFailed(
                f"line {i} of {kind} has other log-probabilities alone ({alone.sum():.4f} in all) than in a batch with "
                f"longer lines ({part.sum():.4f})",
                where,
                "let padding reach no sum, mean, attention or normalisation over the batch; model.eval() first",
            )
    return None


def likelihood_depends_on_the_source(trial: Trial, kind: str) -> str | None:
    """The same answers have other log-probabilities beside other sources."""
    generator, (targets, sources) = trial.generator(kind), trial.test(kind)
    assert sources is not None, "a corpus of pairs"
    others = sources.take(np.roll(np.arange(len(sources)), 1))
    mine, theirs = (trial.log_probs(generator, targets, each) for each in (sources, others))
    if mine.shape == theirs.shape and np.allclose(mine, theirs, rtol=1e-7, atol=1e-6):
        raise CheckFailed(
            "answers have the same log-probabilities whatever their sources",
            trial.place("generator", "token_log_probs"),
            "read `sources` in token_log_probs and in generate; or let supports() refuse corpora with sources",
        )
    return None


def _flat(trial: Trial, kind: str, lines: Sequence[Sequence[int]], row: int | None) -> Any:
    """Log-probabilities of tokens, all beside one source."""
    _, sources = trial.test(kind)
    beside = None if sources is None or row is None else sources.take(np.full(len(lines), row))
    found = trial.log_probs(trial.generator(kind), Ragged.from_lists(lines), beside)
    total = sum(map(len, lines))
    if found.shape != (total,):
        raise Blocked(f"{found.size} log-probabilities for {total} tokens: see padding-is-never-counted")
    return found


def _log_probs_of(trial: Trial, kind: str, lines: Sequence[Sequence[int]], row: int | None = None) -> Any:
    """Log-probability of each line."""
    flat = _flat(trial, kind, lines, row)
    starts = np.cumsum([0, *(len(line) for line in lines[:-1])])
    return np.add.reduceat(flat, starts)  # no difference of sums: -inf may stand in one of them


CHECKS = (
    Check(probabilities_sum_to_one, TRIED),
    Check(sampling_agrees_with_log_probabilities, TRIED),
    Check(padding_is_never_counted, ("varied", "pairs")),
    Check(likelihood_depends_on_the_source, PAIRS),
)
