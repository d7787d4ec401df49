"""Adversarial success of replies, and the examinations of its evaluator (Li et al. 2017, arXiv 1701.06547, section 4).

An evaluator is trained to tell two kinds of replies apart, given what they answer, and tested on items that it has not
seen. Its error rate on human and machine replies is the machine's success: 0.5 where they can't be told apart. An
evaluator that is no good finds 0.5 too, whatever the replies, so that success counts only beside what the same
evaluator does where the answer is known. Whose evaluator it is decides the number: the paper's is a neural network,
this one a logistic regression on words (`metrics/evaluator.py`, `metrics/reply_features.py`); they can't be compared.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metrics import texts
from metrics.base import Floats, Material, Metric, Workspace, ratio
from metrics.dialogues import Dialogues, dialogues
from metrics.evaluator import FOLDS, L2, RARE, cross_fitted_errors
from metrics.ngrams import Bools, Ints
from metrics.reply_features import WORDS, features
from metrics.tokenize import canonical

MIN_ITEMS = 100  # with fewer there is nothing to learn from, and an error near 0.5 would say only that
MIN_GROUPS = 20  # the same for items that are all about the same few sources

Scenario = Callable[[Workspace], Floats]


def human_machine(work: Workspace) -> Floats:
    """(errors, judged) of each item [items, 2]: human replies against the machine's."""
    talk = work.shared(dialogues)
    return _examined(talk, _humans(talk), _machines(talk))


def human_human(work: Workspace) -> Floats:
    """Human replies, each of which a coin calls one kind or the other."""
    talk = work.shared(dialogues)
    return _by_coin(talk, _humans(talk))


def machine_machine(work: Workspace) -> Floats:
    """The machine's replies, each of which a coin calls one kind or the other."""
    talk = work.shared(dialogues)
    return _by_coin(talk, _machines(talk))


def human_random(work: Workspace) -> Floats:
    """Human replies against human replies to something else."""
    talk = work.shared(dialogues)
    return _examined(talk, _humans(talk), talk.partner)


def machine_random(work: Workspace) -> Floats:
    """The machine's replies against human replies to something else."""
    talk = work.shared(dialogues)
    return _examined(talk, _machines(talk), talk.partner)


def _humans(talk: Dialogues) -> Ints:
    return np.arange(len(talk))


def _machines(talk: Dialogues) -> Ints:
    return np.arange(len(talk)) + len(talk)


def _by_coin(talk: Dialogues, replies: Ints) -> Floats:
    return _judged(talk, np.arange(len(talk)), replies, talk.coin[replies])


def _examined(talk: Dialogues, one: Ints, other: Ints) -> Floats:
    """Every item judged twice: with its reply of the one kind, and with that of the other (-1: it has none)."""
    item = np.flatnonzero(other >= 0)
    kinds = np.repeat([True, False], len(item))
    return _judged(talk, np.concatenate([item, item]), np.concatenate([one[item], other[item]]), kinds)


def _judged(talk: Dialogues, item: Ints, reply: Ints, kinds: Bools) -> Floats:
    if len(np.unique(talk.group)) < MIN_GROUPS:
        return np.zeros((len(talk), 2))
    shown = features(talk, item, reply)
    said = np.unique(talk.replies.row_keys(), return_inverse=True)[1][reply]
    errors = cross_fitted_errors(shown, kinds, talk.fold[item], said)
    count = len(talk)
    return np.stack([np.bincount(item, errors, count), np.bincount(item, minlength=count)], axis=1).astype(np.float64)


class Adversarial(Metric):
    """`adver-...`: error, or accuracy, of the evaluator in one scenario; statistics (errors, judged) an item."""

    version = 2  # 1: the evaluator stopped before its minimum, wherever its machine's sums led it
    needs = frozenset({"samples", "sources", "references_by_item"})
    source = "Li et al. 2017, section 4; the evaluator is this suite's"
    blind = "what a logistic regression on words can't see: sense, truth, contradiction; read it with adver-ere"
    scenario: Scenario

    def missing(self, material: Material) -> str:
        few = f"{len(material.samples)} items: an evaluator needs {MIN_ITEMS} or more"
        own = few if len(material.samples) < MIN_ITEMS else ""
        return super().missing(material) or texts.unanswered(material) or own

    def per_item(self, work: Workspace) -> Floats:
        return work.shared(type(self).scenario)

    def reduce(self, sums: Floats) -> Floats:
        return ratio(sums)

    def undefined(self, work: Workspace) -> str:  # noqa: ARG002
        return f"fewer than {MIN_GROUPS} different dialogues: nothing to train an evaluator on"

    def fields(self, material: Material) -> dict[str, str]:
        return {
            "hyps": str(len(material.samples)),
            "refs": "first",
            "eval": "logistic",
            "feat": f"reply12+pairs{WORDS}+form",
            "l2": f"{L2:g}",
            "folds": str(FOLDS),
            "rare": str(RARE),
            "tok": canonical(material.tokens),
        }


class AdverSuc(Adversarial):
    """`adver-suc`: 1 - accuracy on human against machine replies; 0.5 is all a machine can reach by being human-like.

    A reply that is the human one, word for word, has an error of 0.5: of the two equal judgements one is wrong.
    """

    summary = "error of an evaluator that tells human from machine replies; 0.5: it can't"
    human = 0.5
    scenario = staticmethod(human_machine)


class HumanHuman(Adversarial):
    """`adver-human-human`: a control that must be near 0.5."""

    summary = "control: error of the evaluator on human replies named by coin; should be 0.5"
    scenario = staticmethod(human_human)


class MachineMachine(Adversarial):
    """`adver-machine-machine`: a control that must be near 0.5."""

    summary = "control: error of the evaluator on machine replies named by coin; should be 0.5"
    scenario = staticmethod(machine_machine)


class HumanRandom(Adversarial):
    """`adver-human-random`: a control: how well the evaluator sees that a reply fits what it answers."""

    summary = "control: error of the evaluator on human replies against human replies to something else; should be 0"
    scenario = staticmethod(human_random)


class MachineRandom(Adversarial):
    """`adver-machine-random`: the *accuracy* that the paper reports, so that random talk is not taken for success.

    No end of it is good: a machine that fits what it answers is told from random human talk, but so is one that says
    the same to everything.
    """

    summary = "accuracy of the evaluator on machine replies against random human ones; low: as good as random"
    scenario = staticmethod(machine_random)

    def reduce(self, sums: Floats) -> Floats:
        return 1.0 - ratio(sums)


class Reliability(Adversarial):
    """`adver-ere`: evaluator reliability error, the mean distance of its error from what it should be.

    Over human-human (0.5), machine-machine (0.5) and human-random (0), of equal weight. Machine-random is not among
    them, since nobody knows what its error should be. It says how far the evaluator is to be trusted; it ranks no
    method.
    """

    summary = "evaluator reliability error: mean distance of its errors from what they should be in the controls"
    limits = (0.0, 2.0 / 3.0)
    examinations = ((human_human, 0.5), (machine_machine, 0.5), (human_random, 0.0))

    def per_item(self, work: Workspace) -> Floats:
        return np.concatenate([work.shared(scenario) for scenario, _ in self.examinations], axis=1)

    def reduce(self, sums: Floats) -> Floats:
        of = [np.abs(ratio(sums[..., 2 * i : 2 * i + 2]) - gold) for i, (_, gold) in enumerate(self.examinations)]
        return np.asarray(np.mean(of, axis=0))
