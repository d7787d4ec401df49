"""A checkpoint of any encoder-decoder with its own tokenizer, fine-tuned on pairs: text in, text out.

Its tokens are not the task's: sources are read as the text they are, answers are given as text, and likelihoods are
told with the unit they are counted in.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from baselines.base import CannotDecode, Decoding, NotTractable, Run
from baselines.decoding import Limits, beam_search, greedy
from baselines.grown import GrownConfig
from baselines.nets.base import AutoregressiveNet, Memory
from baselines.nets.base import State as NetState
from baselines.nets.transformer import library
from baselines.neural import evaluating
from baselines.precision import BEFORE, Precision, whole
from baselines.pretrained import SavedOnce, fingerprint, kept
from baselines.sampling import draw
from baselines.training.tuning import train_text
from tasks.base import Corpus, Ragged, Split

CONTEXT = 512  # tokens, where a checkpoint doesn't say how many it can read
LOGITS = 1 << 26  # worked on at once in scoring: 256 MB of float32
CACHE = 1 << 26  # numbers of keys and values that decoding holds at once


class PairTuningConfig(GrownConfig):
    """Fine-tuning by maximum likelihood; the constants of BART's code for summarization where not said otherwise."""

    added: ClassVar[Mapping[str, Any]] = BEFORE

    epochs: PositiveInt = 3  # ours
    batch: PositiveInt = 32
    learning_rate: PositiveFloat = 3e-5
    warmup: NonNegativeInt = 500  # steps in which the rate rises linearly from 0; then it falls linearly to 0
    weight_decay: float = 0.01
    clip: PositiveFloat = 0.1  # of the gradient's global norm
    patience: PositiveInt = 1  # epochs without improvement on valid, then training ends; ours
    valid_rows: PositiveInt = 2000  # the first of valid, looked at after each epoch
    precision: Precision = "float32"  # of matrix products in training; "bfloat16" is meant for GPUs

    def share(self, step: int, total: int) -> float:
        """Of the rate: up linearly from 0, then down to 0 at the last step."""
        warmup = min(self.warmup, total // 2)
        return (step + 1) / warmup if step < warmup else 1 - (step - warmup) / max(1, total - warmup)


class PretrainedPairs(SavedOnce):
    """Implements `TextGenerator` and `Writer`; targets are what the tokenizer makes of a target, up to its `eos`.

    As a `Generator` it answers in the task's tokens, by way of the text; it has no likelihood of them.

    Attributes:
        token_unit: name and hash of the tokenizer; likelihoods in different units can't be compared.
        max_tokens: how many tokens an answer may have, `eos` included: of the longest target of train, unless set.
    """

    def __init__(
        self, corpus: Corpus, checkpoint: str, revision: str | None = None, max_tokens: int | None = None
    ) -> None:
        """Reads the checkpoint: a local folder, or a name on the hub (the one thing here that may use the network)."""
        super().__init__()
        source = {} if revision is None else {"revision": revision}
        tokenizer = library().AutoTokenizer.from_pretrained(checkpoint, **source)
        with torch.random.fork_rng(devices=[]):  # weights that a checkpoint lacks are drawn from the global stream
            model = library().AutoModelForSeq2SeqLM.from_pretrained(checkpoint, **source)
        self.model: Any = model.to(torch.float32)  # some are stored in half precision, which training does not stand
        self.corpus, self.tokenizer = corpus, tokenizer
        self.eos, self.start = tokenizer.eos_token_id, model.config.decoder_start_token_id
        if self.eos is None or self.start is None:
            raise ValueError(f'"{checkpoint}" does not say with which token an answer begins, or with which it ends')
        self.pad = self.eos if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self.context = int(getattr(model.config, "max_position_embeddings", None) or CONTEXT)
        # of a conversation that is too long, its end is read: what is answered stands there
        turns = any(len(example.source) > 1 for example in corpus.splits["train"].examples[:100])
        self.side = "left" if turns else "right"
        self.token_unit = f"{Path(checkpoint).name}:{fingerprint(tokenizer)[:8]}"
        self.max_tokens = min(max_tokens or self._longest(), self.context)

    def write(
        self,
        sources: Ragged,  # noqa: ARG002 - it reads the text
        texts: Sequence[tuple[str, ...]],
        *,
        decoding: Decoding,
        rng: torch.Generator,
    ) -> tuple[list[str], Ragged | None]:
        """One answer a source, on one line: a run of white space becomes one space."""
        if decoding.coverage:
            raise CannotDecode("coverage is not told by a checkpoint's attention")
        if decoding.replace:
            raise CannotDecode("its tokenizer has no unknown words that could be replaced")
        ids = self.answers(self.encode_sources(texts), decoding=decoding, rng=rng)
        return [self._text(ids[i].tolist()) for i in range(len(ids))], None

    def answers(self, sources: Ragged, *, decoding: Decoding, rng: torch.Generator) -> Ragged:
        """One answer a source, both in the model's tokens, each up to and with `eos`, or cut at `max_tokens`."""
        order = np.argsort(sources.lengths, kind="stable")
        uniforms = torch.rand(len(sources), self.max_tokens, generator=rng)  # what one gets depends on no neighbour
        size = max(1, self._rows_of_cache() // decoding.beam_size)
        parts = []
        with evaluating(self.model):
            for start in range(0, len(order), size):
                rows = order[start : start + size]
                parts.append(self._decode(sources.take(rows), decoding, uniforms[rows]))
        return Ragged.concatenate(parts).take(np.argsort(order, kind="stable"))

    def text_log_probs(
        self, texts: Sequence[str], sources: Sequence[tuple[str, ...]] | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Natural log-probability of each text and its end, and over how many tokens (the end is one).

        Of a text longer than the model can read, the first `context` tokens count.
        """
        assert sources is not None, "an encoder-decoder has sources"
        targets = self.encode_targets(texts)
        running = np.concatenate([[0.0], np.cumsum(self.log_probs(self.encode_sources(sources), targets))])
        return running[targets.offsets[1:]] - running[targets.offsets[:-1]], targets.lengths

    def encode_sources(self, sources: Sequence[tuple[str, ...]]) -> Ragged:
        """Sources in the model's tokens, turns on lines of their own, cut at what the model can read."""
        if not sources:
            return Ragged.from_lists([])
        self.tokenizer.truncation_side = self.side
        texts = ["\n".join(source) for source in sources]
        found = self.tokenizer(texts, truncation=True, max_length=self.context, verbose=False)["input_ids"]
        return Ragged.from_lists([ids or [self.eos] for ids in found])

    def encode_targets(self, texts: Sequence[str]) -> Ragged:
        """Targets in the model's tokens, each up to and with `eos`, or cut at what the model can read."""
        found = self.tokenizer(text_target=list(texts), verbose=False)["input_ids"] if texts else []
        whole = [ids if ids and ids[-1] == self.eos else [*ids, self.eos] for ids in found]
        return Ragged.from_lists([ids[: self.context] for ids in whole])

    def loss(self, sources: Ragged, targets: Ragged) -> Tensor:
        """Sum over all tokens of -log p, in nats, with gradient."""
        return self.losses(sources, targets).sum()

    def log_probs(self, sources: Ragged, targets: Ragged) -> npt.NDArray[np.float64]:
        """Natural log-probability of each token, aligned with `targets.flat`."""
        order = np.lexsort((sources.lengths, targets.lengths))
        size = max(1, LOGITS // (self.model.config.vocab_size * int(targets.lengths.max(initial=1))))
        places = Ragged(np.arange(len(targets.flat), dtype=np.int32), targets.offsets)
        found = np.zeros(len(targets.flat))
        with evaluating(self.model):
            for start in range(0, len(order), size):
                rows = order[start : start + size]
                losses = self.losses(sources.take(rows), targets.take(rows))
                found[places.take(rows).flat] = -losses.double().cpu().numpy()
        return found

    def generate(self, sources: Ragged, *, decoding: Decoding, rng: torch.Generator) -> Ragged:
        """The answers in the task's tokens: words it doesn't know become `<unk>`, what is too long is cut."""
        corpus = self.corpus
        assert corpus.source_codec is not None, "a conditional corpus has a source codec"
        read = [tuple(corpus.source_codec.decode(sources[i]).split("\n")) for i in range(len(sources))]
        texts, _ = self.write(sources, read, decoding=decoding, rng=rng)
        end = [] if corpus.vocab.eos is None else [corpus.vocab.eos]
        cut = corpus.max_target_length
        return Ragged.from_lists([[*corpus.target_codec.encode(text), *end][:cut] for text in texts])

    def token_log_probs(self, targets: Ragged, sources: Ragged | None = None) -> npt.NDArray[np.float64]:  # noqa: ARG002
        raise NotTractable(f"its likelihood is over the tokens of {self.token_unit}, not over the task's")

    def sample(self, n: int, *, temperature: float, rng: torch.Generator) -> Ragged:  # noqa: ARG002
        raise ValueError("an encoder-decoder has no samples without sources")

    def sample_texts(self, n: int, *, temperature: float, rng: torch.Generator) -> list[str]:  # noqa: ARG002
        raise ValueError("an encoder-decoder has no samples without sources")

    def _decode(self, sources: Ragged, decoding: Decoding, uniforms: Tensor) -> Ragged:
        ids, seen = self._padded(sources)
        hidden = self.model.get_encoder()(input_ids=ids, attention_mask=seen.long()).last_hidden_state
        unknown = None if decoding.unknown else self.tokenizer.unk_token_id
        reader, memory = _Reader(self.model, unknown), (hidden, seen)
        limits = Limits(self.start, self.eos, self.max_tokens)
        if decoding.method == "greedy":
            return greedy(reader, memory, len(ids), limits)
        if decoding.method == "beam":
            return beam_search(reader, memory, len(ids), limits, decoding.beam_size, decoding.length_penalty)
        return self._sample(reader, memory, uniforms.to(ids.device), decoding.temperature)

    def _sample(self, reader: _Reader, memory: Memory, uniforms: Tensor, temperature: float) -> Ragged:
        state = reader.initial_state(len(uniforms), memory)
        tokens, drawn = torch.full_like(state[0], self.start), []
        ended = torch.zeros_like(tokens, dtype=torch.bool)
        for time in range(self.max_tokens):
            logits, state = reader.step(tokens, state, memory)
            tokens = draw(logits / temperature, uniforms[:, time : time + 1]).squeeze(1)
            drawn.append(tokens)
            ended = ended | (tokens == self.eos)
            if (tokens.device.type == "cpu" or time % 8 == 7) and bool(ended.all()):  # asking makes a GPU wait
                break
        ids = torch.stack(drawn, 1)
        first = (ids == self.eos).int().argmax(1) + 1
        return Ragged.from_padded(ids.cpu().numpy(), torch.where(ended, first, ids.shape[1]).cpu().numpy())

    def losses(self, sources: Ragged, targets: Ragged) -> Tensor:
        """-log p of each token, in nats, aligned with `targets.flat`, with gradient."""
        read, seen = self._padded(sources)
        padded, inside = self._padded(targets)
        inputs = torch.cat([torch.full_like(padded[:, :1], self.start), padded[:, :-1]], 1)
        logits = self.model(
            input_ids=read, attention_mask=seen.long(), decoder_input_ids=inputs, use_cache=False
        ).logits
        return F.cross_entropy(whole(logits[inside]), padded[inside], reduction="none")

    def _padded(self, rows: Ragged) -> tuple[Tensor, Tensor]:
        """Ids [batch, time], and which of them count."""
        ids = torch.from_numpy(rows.padded(self.pad)).to(self.model.device)
        lengths = torch.from_numpy(rows.lengths).to(ids.device)
        return ids, torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]

    def _text(self, ids: list[int]) -> str:
        # row by row: the name of the call for many has changed
        text = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return " ".join(text.split())

    def _longest(self) -> int:
        texts = [example.target for example in self.corpus.splits["train"].examples]
        return int(self.encode_targets(texts).lengths.max(initial=1))

    def _rows_of_cache(self) -> int:
        config = self.model.config
        layers = int(getattr(config, "decoder_layers", None) or config.num_hidden_layers)
        numbers = 2 * layers * int(config.hidden_size) * (self.max_tokens + (self.corpus.max_source_length or CONTEXT))
        return max(1, min(256, CACHE // numbers))


class _Reader(AutoregressiveNet):
    """A checkpoint as the decoders of `baselines.decoding` want a network; its features are the logits themselves.

    The library keeps keys and values in objects of its own, which change from version to version: a state is only the
    number of each row in the batch of the step before, by which the object is reordered. So states are read on from in
    the order in which they come, each once.
    """

    def __init__(self, model: Any, unknown: int | None) -> None:
        super().__init__()
        self._lent = (model,)  # not a part of this: neither moved nor saved with it
        self.unknown, self.vocab_size = unknown, int(model.config.vocab_size)
        self.output: Any = _Identity(model.device)
        self.cache: Any = None

    def initial_state(self, batch: int, memory: Memory) -> NetState:  # noqa: ARG002
        self.cache = None
        return (torch.arange(batch, device=self.output.weight.device),)

    def step(self, tokens: Tensor, state: NetState, memory: Memory) -> tuple[Tensor, NetState]:
        if self.cache is not None:
            self.cache = kept(self.cache, state[0])
        logits, self.cache = self._read(tokens[:, None], memory, past_key_values=self.cache, use_cache=True)
        return logits[:, -1], (torch.arange(len(tokens), device=tokens.device),)

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        return self._read(inputs, memory, use_cache=False)[0]

    def _read(self, tokens: Tensor, memory: Memory, **caching: Any) -> tuple[Tensor, Any]:
        """tokens [batch, time] -> logits [batch, time, vocab], and the library's cache."""
        outputs = importlib.import_module("transformers.modeling_outputs").BaseModelOutput(last_hidden_state=memory[0])
        seen = memory[1].long()
        out = self._lent[0](encoder_outputs=outputs, attention_mask=seen, decoder_input_ids=tokens, **caching)
        logits = out.logits.float()
        if self.unknown is not None:
            logits[..., self.unknown] = float("-inf")
        return logits, out.past_key_values


class _Identity(nn.Module):
    """Where an output layer is asked for and there is nothing left to do; its weight says on which device."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.weight = torch.zeros(0, device=device)

    def forward(self, x: Tensor) -> Tensor:
        return x


def fine_tune(generator: PretrainedPairs, corpus: Corpus, settings: PairTuningConfig, run: Run) -> PretrainedPairs:
    """Teacher forcing on train until valid stops improving; the weights that were best there are kept."""
    train, valid = (_pairs(generator, corpus.splits[name]) for name in ("train", "valid"))
    train_text(generator, train, valid, settings, run, "fine-tune")
    return generator


def _pairs(generator: PretrainedPairs, split: Split) -> tuple[Ragged, Ragged]:
    """Sources and targets in the model's tokens."""
    sources = generator.encode_sources([example.source for example in split.examples])
    return sources, generator.encode_targets([example.target for example in split.examples])
