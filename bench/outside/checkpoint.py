"""A checkpoint in the format of `transformers`, sampled and scored as it is under a task's protocol.

The model is the one of the rows `gpt` and `transformer` with `fine_tune` off; what is added here is where it comes
from, what is refused, and its likelihood in the task's unit.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baselines.nets.transformer import MISSING, available, library
from bench import generation
from bench.cell import Prepared, prepare
from bench.config import MAX_SAMPLES, SWEEP, CellSpec
from bench.env import choose_device, device_name
from bench.errors import UserError
from bench.outside.external import (
    Added,
    External,
    Place,
    check_free,
    checked,
    commit_external,
    external_spec,
    file_scores,
    reference_of,
    spec_of,
    values_of,
)
from bench.registry import baseline_registry
from bench.scoring import Likelihood
from tasks.base import Corpus, Split, Task
from tasks.opening import open_source

ROWS = {"free": "gpt", "conditional": "transformer"}  # the method whose generator reads such a checkpoint
FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")  # no pickles, no programs
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
Tell = generation.Tell


@dataclass(frozen=True)
class Checkpoint:
    """Where it lies, and what says which one it is."""

    folder: Path
    name: str
    revision: str
    digest: str

    @property
    def facts(self) -> dict[str, str]:
        return {"checkpoint": self.name, "revision": self.revision, "sha256": self.digest}


@dataclass(frozen=True)
class Data:
    """A task and its data, where no run says which."""

    task: Task
    source: str
    fields: Mapping[str, str]
    allow_overlap: bool = False


def score_checkpoint(
    asked: str,
    data: Data | None,
    place: Place | None,
    *,
    task: str | None = None,
    decoding: str | None = None,
    samples: int = MAX_SAMPLES,
    seed: int = 0,
    device: str = "auto",
    tell: Tell = lambda *_: None,
) -> Added:
    """Samples the checkpoint, takes its exact likelihood of the test text, scores both, and adds a row if asked.

    Args:
        asked: a folder, or a name on the hub with or without `@revision`.
        data: the task, where no `place` says which.
        place: the run that the row goes to; its protocol stands.

    Raises:
        UserError: no such checkpoint, one that can't be read safely, or one of another kind than the task wants.
    """
    if place is not None:
        base = prepare(reference_of(spec_of(place.store, task)))
    elif data is not None:
        base = _opened(data, min(samples, MAX_SAMPLES), seed)
    else:
        raise UserError("--hf needs --task NAME to say what is to be generated, or --into RUN.")
    found = resolve(asked)
    check(found, base.corpus.kind)
    chosen = (checked(decoding, base.corpus.kind),) if decoding else base.spec.decodings
    name, seed = (place.name, place.seed) if place is not None else (found.name, seed)
    spec = external_spec(base.spec, name, seed, {"external": "checkpoint", **found.facts}, chosen)
    if place is not None:
        check_free(place, spec)
    prepared, began = Prepared(spec, base.task, base.corpus, External()), time.monotonic()
    generator, on = load(found, base.corpus, device)
    sets, skipped = generation.draw(base.task, base.corpus, spec, generator, "final", tell)
    tell("likelihood", 0, 1)
    splits = base.corpus.splits
    exact = [likelihood(base.corpus, generator, name, splits[name]) for name in generation.test_splits(base.corpus)]
    seconds = time.monotonic() - began
    notes = [note for one in exact if one.split == "test" for note in _about(one, generator, splits["test"])]
    if place is None:
        return Added(file_scores(values_of(prepared, sets, exact), prepared), None, notes)
    weights = sum(value.numel() for value in generator.state_dict().values())
    facts = {**found.facts, "parameters": weights, "device": on, "tokens": generator.token_unit}
    return commit_external(prepared, place, sets, exact, facts, notes, skipped, seconds)


def _opened(data: Data, samples: int, seed: int) -> Prepared:
    task = data.task
    corpus = task.load(open_source(data.source, fields=dict(data.fields)), allow_overlap=data.allow_overlap)
    spec = CellSpec(
        task=task.name,
        task_version=task.version,
        task_options=task.options.model_dump(mode="json"),
        fingerprint=corpus.fingerprint,
        baseline="real",
        baseline_version=1,
        config={},
        seed=seed,
        budget="",
        data=data.source,
        fields=dict(data.fields),
        allow_overlap=data.allow_overlap,
        samples=samples,
        temperatures=SWEEP if corpus.kind == "free" else (),
    )
    return Prepared(spec, task, corpus, None)


def resolve(asked: str) -> Checkpoint:
    """The folder, or what the hub has under that name: fetched without pickles and programs, at one revision.

    Raises:
        UserError: it is in neither place, or the hub can't be reached.
    """
    if not available():
        raise UserError(f"--hf {MISSING}.")
    folder = Path(asked).expanduser()
    if folder.is_dir():
        return Checkpoint(folder, folder.resolve().name, "", _digest(folder))
    name, _, revision = asked.partition("@")
    if folder.exists() or not HUB_ID.fullmatch(name) or name.startswith("."):
        raise UserError(f"--hf {asked}: no such folder.")
    fetched = _fetched(name, revision or None, asked)
    return Checkpoint(fetched, name, fetched.name, _digest(fetched))


def _fetched(name: str, revision: str | None, asked: str) -> Path:
    hub: Any = importlib.import_module("huggingface_hub")
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except Exception as error:
        kind = type(error).__name__
        if kind == "RepositoryNotFoundError":
            raise UserError(f"--hf {asked}: neither a folder here nor a public model on the hub.") from None
        if kind == "RevisionNotFoundError":
            raise UserError(f'--hf {asked}: "{name}" on the hub has no revision "{revision}".') from None
        if kind == "GatedRepoError":
            raise UserError(
                f"--hf {asked}: the hub gives it only to who agreed to its terms; fetch it there."
            ) from None
        raise UserError(
            f"--hf {asked}: neither a folder here nor in the hub's cache, and the hub can't be reached ({kind}). "
            f"Fetch it where there is a network (hf download {name}) and give its folder."
        ) from None


def check(found: Checkpoint, kind: str) -> None:
    """Nothing of it is run as a program, and it is of the kind that the task wants.

    Raises:
        UserError: it has pickled weights alone, brings code of its own, or is no model.
    """
    config = _json(found, "config.json")
    if not any(found.folder.glob("*.safetensors")):
        pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in found.folder.glob(pattern))
        what = f"its weights are pickles ({pickles[0]}), which can run any program" if pickles else "it has no weights"
        raise UserError(
            f"--hf {found.name}: {what}; *.safetensors are read alone. "
            "Where you trust it, load it and save it again: save_pretrained writes them."
        )
    foreign = "auto_map" in config and config.get("model_type") not in library().CONFIG_MAPPING
    if foreign or "auto_map" in _json(found, "tokenizer_config.json", {}):
        raise UserError(f"--hf {found.name}: it brings code of its own (auto_map), which is not run here.")
    pairs = bool(config.get("is_encoder_decoder"))
    if pairs and kind == "free":
        raise UserError(f"--hf {found.name}: an encoder-decoder, and the task has no sources; give a causal model.")
    if not pairs and kind == "conditional":
        raise UserError(f"--hf {found.name}: no encoder-decoder, and the task has sources to be read by one.")


def _json(found: Checkpoint, name: str, without: Any = None) -> dict[str, Any]:
    path = found.folder / name
    if not path.is_file() and without is not None:
        return dict(without)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = "it has none" if isinstance(error, FileNotFoundError) else f"it can't be read ({error})"
        raise UserError(f"--hf {found.name}: no model without {name}, and {reason}.") from None
    return content if isinstance(content, dict) else {}


def load(found: Checkpoint, corpus: Corpus, device: str) -> tuple[Any, str]:
    """The generator of the row that reads such a checkpoint, untouched by training, and the device's name.

    Raises:
        UserError: `transformers` is not there, or can't read it.
    """
    method = baseline_registry()[ROWS[corpus.kind]]
    baseline = method(method.Config(checkpoint=str(found.folder), fine_tune=False))
    reason = baseline.supports(corpus)
    if reason is not None:
        raise UserError(f"--hf {found.name}: {reason}.")
    on, bars = choose_device(device), library().utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        generator = baseline.build(corpus)
    except Exception as error:
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"--hf {found.name} can't be loaded: {told.rstrip('.')}.") from None
    finally:
        if shown:
            bars.enable_progress_bar()
    return generator.to(on), device_name(on)


def likelihood(corpus: Corpus, generator: Any, name: str, split: Split) -> Likelihood:
    """Exact log-probabilities of whole texts, over as many tokens as the task cuts them into.

    So they are nats per token of the task, whatever tokens the checkpoint has. The signature names the checkpoint's,
    since one string may be cut in several ways, of which it hears one.
    """
    texts = [example.target for example in split.examples]
    encode = generator.encode if split.sources is None else generator.encode_targets
    own = encode(texts)
    cut = sum(row[-1] != generator.eos for row in (own[place] for place in range(len(own))))
    if cut:
        reason = f"{cut} of {len(texts)} texts are longer than the {generator.context} tokens that it reads"
        return Likelihood("final", name, reason=reason)
    sources = () if split.sources is None else ([example.source for example in split.examples],)
    sums, _ = generator.text_log_probs(texts, *sources)
    return Likelihood("final", name, sums, task_tokens(corpus, texts), unit=f"tokens of the task by {_unit(generator)}")


def task_tokens(corpus: Corpus, texts: list[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How many tokens the task counts in each whole text, its end mark where it has one."""
    end = corpus.vocab.eos is not None and corpus.fixed_length is None
    return np.array([len(corpus.target_codec.encode(text)) + end for text in texts], dtype=np.int64)


def _about(one: Likelihood, generator: Any, split: Split) -> list[str]:
    if one.reason or not one.tokens.sum():
        return []
    texts = [example.target for example in split.examples]
    own = (generator.encode if split.sources is None else generator.encode_targets)(texts).lengths
    nats = -float(one.sums.sum())
    return [
        f"nll-test: {nats / one.tokens.sum():.4f} nats per token of the task ({int(one.tokens.sum())} of them), "
        f"{nats / own.sum():.4f} per token of its own ({int(own.sum())})"
    ]


def _unit(generator: Any) -> str:
    """Of the tokenizer, whatever the folder is called."""
    return str(generator.token_unit).rpartition(":")[2]


def _digest(folder: Path) -> str:
    """Over the names and the content of its files."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in FILES for path in folder.glob(pattern) if path.is_file()}):
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
