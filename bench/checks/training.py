"""What a method promises of its training: that it repeats, goes on exactly, and does nothing beside it."""

from __future__ import annotations

import contextlib
import pickle

import torch

from bench.checks.core import Blocked, Check, CheckFailed, NotApplicable
from bench.checks.fakerun import Interrupted, Saved, spec_key
from bench.checks.trial import FREE, TRIED, Trained, Trial
from bench.checks.watch import watching

TWO = ("varied", "pairs")


def supports_is_honest(trial: Trial) -> str | None:
    """What `supports` takes can be trained on and drawn from; what it refuses has a reason in words."""
    reasons = {kind: trial.reason(kind) for kind in TRIED}
    where = trial.place("supports")
    for kind, reason in reasons.items():
        if reason is not None and not (isinstance(reason, str) and len(reason) > 10):
            raise CheckFailed(
                f"supports() gave {reason!r} for the corpus {kind}",
                where,
                "give None, or the reason why not in words: it becomes a row of the table",
            )
        if trial.make(kind).supports(trial.corpus(kind)) != reason:
            raise CheckFailed(
                f"supports() answers otherwise when asked again about the corpus {kind}",
                where,
                "let it depend on the corpus and the config alone",
            )
    taken = [kind for kind, reason in reasons.items() if reason is None]
    for kind in taken:
        try:
            trial.trained(kind)
        except Blocked as blocked:
            cause = blocked.__cause__
            assert isinstance(cause, CheckFailed)
            raise CheckFailed(
                f"supports() takes the corpus {kind}, but there {cause.what}",
                cause.where,
                "mend it, or let supports() return the reason why such a corpus can't be trained on",
            ) from None
    for kind, reason in reasons.items():
        if reason is not None and (not taken or (kind in FREE and set(taken) & set(FREE))) and _works(trial, kind):
            raise CheckFailed(
                f'supports() refuses the corpus {kind} ("{reason}"), yet training and drawing work there',
                where,
                "return None for such a corpus, or say what goes wrong with it",
            )
    told = "; ".join(f"refuses {kind}: {reason}" for kind, reason in reasons.items() if reason is not None)
    if not taken:
        raise NotApplicable(told)
    return told


def _works(trial: Trial, kind: str) -> bool:
    try:
        trial.trained(kind)
    except Blocked:
        return False
    return True


def training_repeats(trial: Trial, kind: str) -> str | None:
    """The same seed gives the same weights."""
    first, again = trial.trained(kind), trial.fit(kind, trial.run())
    different = unequal(first, again)
    if different:
        raise CheckFailed(
            f"trained twice with one seed on {kind}, {different} differs",
            trial.place("fit"),
            'take every random number from run.rng("purpose"), and let nothing hang on the clock, on the order of a '
            "set, or on what an earlier fit left behind",
        )
    return None


def another_seed_gives_another_model(trial: Trial, kind: str) -> str | None:
    """What is trained by an optimiser has other weights with another seed."""
    if kind == "pairs" and trial.kinds(("varied",)):
        return None  # once is enough
    first = trial.trained(kind)
    if not first.seen.optimiser_steps:
        raise NotApplicable("no optimiser takes a step: it counts, or looks up")
    if unequal(first, trial.fit(kind, trial.run(seed=1))):
        return None
    raise CheckFailed(
        f"seeds 0 and 1 give the very same weights on {kind}: the interval over seeds would be of width 0",
        trial.place("fit"),
        'draw first weights, order and noise with generator=run.rng("purpose"), and never seed by a constant',
    )


def resume_equals_uninterrupted(trial: Trial, kind: str) -> str | None:
    """Stopped at a safe point and gone on, it ends with the weights of a training that was never stopped."""
    whole = trial.trained(kind)
    points, shared = whole.run.safe_points, whole.run.shared_safe_points
    if not points:
        if len(whole.run.saved.log) > 1:
            raise CheckFailed(
                f"fit logs {len(whole.run.saved.log)} steps and has no safe point: a stopped run would begin anew",
                trial.place("fit"),
                "call run.checkpoint(lambda: state) at every step, and begin with run.resume()",
            )
        raise NotApplicable("no safe point: what is interrupted begins anew")
    places = {int(trial.rng.integers(1, points + 1))}
    own = points - shared
    if own:  # in the middle of what is the method's own
        places.add(min(points, shared + 1 + own // 4 + int(trial.rng.integers(max(1, own // 2)))))
    for place in sorted(places):
        _goes_on(trial, kind, whole, place)
    return f"stopped at {' and '.join(map(str, sorted(places)))} of {points} safe points on {kind}"


def _goes_on(trial: Trial, kind: str, whole: Trained, place: int) -> None:
    where = trial.place("fit")
    saved = Saved()
    try:
        trial.fit(kind, trial.run(saved=saved, stop_at=place))
    except Interrupted:
        pass
    else:
        raise CheckFailed(
            f"asked to stop at safe point {place}, fit ended as if nothing had been asked",
            where,
            "let what run.checkpoint raises pass: no bare `except` around it",
        )
    try:
        resumed = trial.fit(kind, trial.run(saved=saved, save=True))
    except pickle.UnpicklingError as error:
        raise CheckFailed(
            f"the state given to run.checkpoint can't be read again: {str(error).splitlines()[0]}",
            where,
            "let it be tensors, numbers, strings, lists and dicts of them",
        ) from None
    different = unequal(whole, resumed)
    if different:
        raise CheckFailed(
            f"stopped at safe point {place} of {whole.run.safe_points} on {kind} and gone on, {different} differs "
            "from a training never stopped",
            where,
            "put all that the rest of training reads into the state: weights of every part, optimisers, schedulers, "
            "the step; and load all of it from run.resume()",
        )


def unequal(one: Trained, other: Trained) -> str:
    """Names the first weight that differs; empty where all are equal."""
    left, right = one.generator.state_dict(), other.generator.state_dict()
    if left.keys() != right.keys():
        return f"the set of weights ({', '.join(sorted(left.keys() ^ right.keys()))})"
    return next((f"the weight {name}" for name in left if not torch.equal(left[name], right[name])), "")


def leaves_the_corpus_as_it_was(trial: Trial, kind: str) -> str | None:
    """Training changes nothing in the corpus, which others train on and score against."""
    if trial.trained(kind).changed:
        raise CheckFailed(
            f"after fit the corpus {kind} is not what it was",
            trial.place("fit"),
            "work on a copy: train.targets.flat.copy(), sorted(rows) and not rows.sort()",
        )
    return None


def never_reads_the_test_split(trial: Trial, kind: str) -> str | None:
    """`build` and `fit` read train, and valid to stop by; nothing of test."""
    trained = trial.trained(kind)
    if trained.seen.read_test:
        raise CheckFailed(
            'the split "test" is read while training',
            trained.seen.read_test[0],
            'read corpus.splits["train"], and corpus.splits["valid"] to stop or to choose by',
        )
    return None


def writes_no_file(trial: Trial, kind: str) -> str | None:
    """Training opens no file for writing: the harness keeps weights, log and state."""
    written = trial.trained(kind).seen.written
    if written:
        raise CheckFailed(
            f"fit wrote {written[0][0]}",
            written[0][1],
            "give figures to run.log, state to run.checkpoint, weights to run.snapshot: they find their files",
        )
    return None


def leaves_global_random_state_alone(trial: Trial, kind: str) -> str | None:
    """Training draws nothing from `random` or `numpy.random`; drawing and building nothing from torch's stream either.

    The state of torch's own stream, which dropout reads, is saved with a checkpoint while `fit` runs; no other is.
    """
    trained = trial.trained(kind)
    remedy = (
        "make a stream of its own: run.rng(purpose) in fit, the given `rng` when drawing; numpy.random.default_rng "
    )
    remedy += "can be seeded by a number drawn from it"
    if trained.seen.moved:
        raise CheckFailed(f"fit draws from the global stream of {trained.seen.moved[0]}", trial.place("fit"), remedy)
    targets, sources = trial.test(kind)

    def likelihood() -> None:
        with contextlib.suppress(NotApplicable):
            trial.log_probs(trained.generator, targets, sources)

    def drawing() -> None:
        with contextlib.suppress(NotApplicable):
            trial.drawn(kind, trained.generator, n=20)

    for what, act in {
        "build": lambda: trial.make(kind).build(trial.corpus(kind)),
        "drawing": drawing,
        "token_log_probs": likelihood,
    }.items():
        before = torch.get_rng_state()
        with watching(trial.file) as seen:
            act()
        moved = [*seen.moved, *(["torch"] if not torch.equal(before, torch.get_rng_state()) else [])]
        torch.set_rng_state(before)
        if moved:
            place = trial.place("build") if what == "build" else trial.place("generator")
            more = "; build may stand in `with torch.random.fork_rng(devices=[]):`" if what == "build" else ""
            raise CheckFailed(f"{what} draws from the global stream of {moved[0]}", place, remedy + more)
    return None


def announces_its_pretraining(trial: Trial, kind: str) -> str | None:
    """The spec that `pretraining` names is one that `fit` asks for, so that it is trained once, before all others."""
    spec = trial.make(kind).pretraining(trial.corpus(kind))
    asked = trial.trained(kind).run.saved.pretrained
    if spec is None:
        if asked:
            return "fit asks for shared pre-training that pretraining() doesn't name: cells may train it side by side"
        raise NotApplicable("no shared pre-training")
    if spec_key(spec) not in asked:
        raise CheckFailed(
            f"pretraining() names a spec on {kind} that fit never asks run.pretrained for",
            trial.place("pretraining"),
            "give the very same spec to both, as pretraining_spec(corpus, self.config.mle)",
        )
    return None


def keeps_the_stage_before_the_adversarial(trial: Trial, kind: str) -> str | None:
    """An adversarial method keeps its model as it was before, so that the table shows what that stage gave."""
    if not trial.method.adversarial:
        raise NotApplicable("not adversarial")
    run = trial.trained(kind).run
    if not run.saved.snapshots:
        raise CheckFailed(
            "adversarial, and no stage before it was kept",
            trial.place("fit"),
            'call run.snapshot("pretrain", generator) before the adversarial stage; without one, adversarial = False',
        )
    if not any("pretrain" not in line["stage"] for line in run.saved.log):
        raise CheckFailed(
            "the adversarial stage logs nothing",
            trial.place("fit"),
            'call run.log("adversarial", step, loss=...) at its steps',
        )
    for stage, state in run.saved.snapshots.items():
        built = trial.make(kind).build(trial.corpus(kind))
        try:
            built.load_state_dict(state)
        except Exception as error:
            raise CheckFailed(
                f"the weights kept as {stage} can't be loaded: {str(error).splitlines()[0]}",
                trial.place("build"),
                "let build() give the generator in the shape that fit() snapshots and returns",
            ) from None
    return None


CHECKS = (
    Check(supports_is_honest),
    Check(training_repeats, TWO),
    Check(another_seed_gives_another_model, ("varied", "pairs")),
    Check(resume_equals_uninterrupted, TWO),
    Check(leaves_the_corpus_as_it_was, TRIED),
    Check(never_reads_the_test_split, TRIED),
    Check(writes_no_file, TRIED),
    Check(leaves_global_random_state_alone, TRIED),
    Check(announces_its_pretraining, TWO),
    Check(keeps_the_stage_before_the_adversarial, TWO),
)
