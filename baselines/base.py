"""What a baseline is given, what it gives back, and what it may count on.

A baseline writes no file, reads no argv and computes no metric: it trains a generator on a corpus, telling the `Run` it
is handed how it goes and where it can be interrupted.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict

from baselines.merging import merge
from tasks.base import Corpus, Ragged

Budget = Literal["smoke", "small", "paper"]
State = dict[str, torch.Tensor]


class Diverged(Exception):
    """Training left the finite numbers; the cell is counted as a failed run, with this message as its reason."""


class BaselineConfig(BaseModel):
    """Constants of a method, each with its source in a comment. Frozen; unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Decoding:
    """How text is drawn from a model: `greedy`, `sample` (at a temperature) or `beam` (with length normalisation).

    The score of a beam hypothesis is its log-probability over `length ** length_penalty` (`</s>` counted). With
    `unknown` False the token `<unk>` is never emitted: its probability is 0 and the others' are scaled up. With
    `replace` an emitted `<unk>` becomes a word: the translation, or else a copy, of the source word it is aligned with
    (`baselines.unknown_words`). `coverage` is the weight of the coverage penalty in a beam hypothesis' score
    (`decoding.beam_search`).
    """

    method: Literal["greedy", "sample", "beam"] = "sample"
    temperature: float = 1.0
    beam_size: int = 1
    length_penalty: float = 1.0
    unknown: bool = True
    replace: bool = False
    coverage: float = 0.0

    def __post_init__(self) -> None:
        if self.replace and not self.unknown:
            raise ValueError("no-unk and replace-unk exclude one another: without <unk> there is nothing to replace")
        if self.coverage != 0 and not (self.method == "beam" and 0 < self.coverage < math.inf):
            raise ValueError(f"coverage {self.coverage:g}: a positive weight, for beam search alone")

    @classmethod
    def parse(cls, text: str) -> Decoding:
        """From `greedy`, `sample`, `sample@0.8`, `beam5`, `beam5@0.6` (the length penalty).

        One of `/no-unk` and `/replace-unk` may follow, and after it, for beams, `/cov0.2` (the weight of coverage).
        """
        try:
            return cls._parsed(*text.split("/"))
        except ValueError:
            raise ValueError(
                f'decoding "{text}" is none of: greedy, sample, sample@TEMPERATURE, beamN, beamN@PENALTY, '
                "each with or without /no-unk or /replace-unk behind it, and behind that for beams /covWEIGHT"
            ) from None

    @classmethod
    def _parsed(cls, name: str, *options: str) -> Decoding:
        """The decoding so written, or any `ValueError`."""
        head, _, tail = name.partition("@")
        left = list(options)
        chosen: dict[str, Any] = {}
        if left and left[0] in ("no-unk", "replace-unk"):
            chosen = {"unknown": False} if left.pop(0) == "no-unk" else {"replace": True}
        if left and left[0].startswith("cov"):
            chosen["coverage"] = float(left.pop(0)[3:])
            if chosen["coverage"] == 0:
                raise ValueError("no coverage is written by leaving it out")
        if left:
            raise ValueError(left[0])
        if head == "greedy" and not tail:
            return cls("greedy", **chosen)
        if head == "sample" and float(tail or 1.0) > 0:
            return cls("sample", float(tail or 1.0), **chosen)
        if head.startswith("beam") and int(head[4:]) >= 1 and math.isfinite(float(tail or 1.0)):
            return cls("beam", beam_size=int(head[4:]), length_penalty=float(tail or 1.0), **chosen)
        raise ValueError(name)

    def __str__(self) -> str:
        names = {"greedy": "greedy", "sample": f"sample@{self.temperature:g}"}
        name = names.get(self.method, f"beam{self.beam_size}@{self.length_penalty:g}")
        unknown = "/replace-unk" if self.replace else "" if self.unknown else "/no-unk"
        return name + unknown + (f"/cov{self.coverage:g}" if self.coverage else "")


class CannotDecode(Exception):
    """This generator can't draw text so, with the reason; the set of samples is left out and the reason is kept."""


class NotTractable(Exception):
    """This generator has no exact likelihood; NLL is reported as not computable, with this reason."""


@runtime_checkable
class Generator(Protocol):
    """What training gives back, and all that scoring needs. A `torch.nn.Module` has the last two already.

    Emitted sequences end in `</s>` where one was emitted; one without was stopped by the length limit.
    """

    def sample(self, n: int, *, temperature: float, rng: torch.Generator) -> Ragged:
        """Free tasks: `n` sequences by ancestral sampling."""
        ...

    def generate(self, sources: Ragged, *, decoding: Decoding, rng: torch.Generator) -> Ragged:
        """Conditional tasks: one sequence a source, in the sources' order.

        Raises:
            CannotDecode: the generator can't draw text so.
        """
        ...

    def token_log_probs(self, targets: Ragged, sources: Ragged | None = None) -> npt.NDArray[np.float64]:
        """Natural log-probability of each target token at temperature 1, aligned with `targets.flat`.

        Raises:
            NotTractable: the model has no exact likelihood.
        """
        ...

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...


@runtime_checkable
class Infiller(Protocol):
    """What a generator that fills blanks in a given text offers besides."""

    def infill(
        self, tokens: Ragged, blanks: npt.NDArray[np.bool_], *, temperature: float, rng: torch.Generator
    ) -> Ragged:
        """The texts with their blanks filled; given tokens and all lengths stay exactly as they are.

        Args:
            tokens: what stands at a blank is never read.
            blanks: aligned with `tokens.flat`, True where a token is to be drawn.
        """
        ...


@runtime_checkable
class TextGenerator(Protocol):
    """A generator with a tokenizer of its own: text is what it gives and what it is asked about.

    One for conditional tasks alone gives text by `Writer.write`; its `sample_texts` is never called.

    Attributes:
        token_unit: name and hash of its tokenizer, the unit in which its likelihoods are counted: part of their
            signature, since those of other units can't be compared.
    """

    token_unit: str

    def sample_texts(self, n: int, *, temperature: float, rng: torch.Generator) -> list[str]:
        """`n` texts by ancestral sampling."""
        ...

    def text_log_probs(
        self, texts: Sequence[str], sources: Sequence[tuple[str, ...]] | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Of each text, its end included: the natural log-probability at temperature 1, and the number of tokens.

        Args:
            sources: what each text is written from (`Example.source`); given for conditional tasks alone.

        Returns:
            Sums [n], in nats, and tokens [n].
        """
        ...


@runtime_checkable
class Writer(Protocol):
    """What a generator offers besides that answers sources in text, since its words may be none of the vocabulary's."""

    def write(
        self, sources: Ragged, texts: Sequence[tuple[str, ...]], *, decoding: Decoding, rng: torch.Generator
    ) -> tuple[list[str], Ragged | None]:
        """Conditional tasks: one text a source, in the sources' order, and its ids where they exist.

        Args:
            sources: as ids.
            texts: the same as people read them (`Example.source`): turns, or one text.

        Raises:
            CannotDecode: the generator can't draw text so.
        """
        ...


@runtime_checkable
class Replacer(Protocol):
    """What a `Writer` offers besides, where what it has generated need not be generated again to be rid of `<unk>`."""

    def replaced(self, ids: Ragged, sources: Ragged, texts: Sequence[tuple[str, ...]]) -> list[str]:
        """Texts of the ids that it gave for these sources, unknown words replaced: `write` with `decoding.replace`.

        Raises:
            CannotDecode: it can replace nothing.
        """
        ...


class Run(Protocol):
    """What `fit` is handed: the cell's device, seeds, log and safe points."""

    device: torch.device

    def rng(self, purpose: str) -> torch.Generator:
        """The CPU random stream of a purpose, seeded by (task, seed, purpose); the same object at each call.

        The states of all streams (and torch's global one, which dropout uses) are part of every checkpoint.
        """
        ...

    def log(self, stage: str, step: int, **figures: float) -> None:
        """One line of the training curve.

        `tokens` are target tokens learned from since the stage's last line, from which the line gets their rate.

        Raises:
            Diverged: a figure is not finite.
        """
        ...

    def progress(self, stage: str, done: int, total: int, **figures: float) -> None:
        """What a person watching sees; cheap enough for every step. `tokens` as in `log`.

        A stage told of at 0 first (rounds of pre-training) may hold others (epochs), told of before its end.
        """
        ...

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """A safe point: `state()` (tensors, numbers, strings, lists and dicts of them) is called and saved if a save is
        due, and a wish to stop is honoured here. Call it often, at points from which `fit` can go on exactly."""
        ...

    def resume(self) -> dict[str, Any] | None:
        """The state last saved, with the random streams set back to it; None on a fresh start."""
        ...

    def pretrained(self, spec: Mapping[str, Any], train: Callable[[Run], State]) -> State:
        """The weights that `train` gives, computed once for all cells of this (task, data, seed) with an equal `spec`.

        `train` gets a run of its own with its own streams, log and safe points, so that its result depends on `spec`
        and the seed alone.
        """
        ...

    def snapshot(self, stage: str, generator: Generator) -> None:
        """Keeps the weights as they are now, to be scored as `stage` beside the final ones (`pretrain`)."""
        ...


class Baseline(ABC):
    """A method: configuration, `build` and `fit`.

    Attributes:
        version: goes up whenever the same config and seed would give another result.
        adversarial: trains against a discriminator; its table row shows the pre-training scores beside the final.
        decodings: besides those of the task: how the method's own publication draws text. Free tasks: samples alone.
        decodes: False where the method has one text for a source, however it is decoded: it stands in the table of the
            task's first decoding alone.
        chooses: True where answers are chosen among candidates, so that they don't follow `token_log_probs`.
        budgets: presets of `Config` by budget; a key `small/translation` or `small/conditional` refines `small`.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    summary: ClassVar[str] = ""
    source: ClassVar[str] = ""
    adversarial: ClassVar[bool] = False
    decodings: ClassVar[tuple[str, ...]] = ()
    decodes: ClassVar[bool] = True
    chooses: ClassVar[bool] = False
    Config: ClassVar[type[BaselineConfig]] = BaselineConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(self, config: BaselineConfig | None = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    @classmethod
    def preset(cls, budget: str, task: str, kind: str) -> dict[str, Any]:
        """The budget's settings for a task: general first, then those of the kind, then those of the task."""
        merged: dict[str, Any] = {}
        for key in (budget, f"{budget}/{kind}", f"{budget}/{task}"):
            merged = merge(merged, cls.budgets.get(key, {}))
        return merged

    def supports(self, corpus: Corpus) -> str | None:  # noqa: ARG002 - the default takes every corpus
        """None, or the reason why this method can't be trained on this corpus; the table shows it."""
        return None

    def track(self) -> str:
        """`scratch`, or `pretrained` where the model comes with what it learnt from other data.

        Rows of different tracks never share a ranking.
        """
        return "scratch"

    def pretraining(self, corpus: Corpus) -> Mapping[str, Any] | None:  # noqa: ARG002
        """The spec this method will ask `Run.pretrained` for, if any, so that a scheduler can run it once first."""
        return None

    @abstractmethod
    def build(self, corpus: Corpus) -> Generator:
        """The generator, untrained, in the shape that `fit` gives back, so that saved weights can be loaded."""

    @abstractmethod
    def fit(self, corpus: Corpus, run: Run) -> Generator:
        """Trains. Must go on from `run.resume()` when that gives a state, and end as if never interrupted."""
