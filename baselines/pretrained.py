"""A checkpoint of any causal language model with its own tokenizer, as a generator of text.

Its tokens are not the task's: text is what goes in and out, and likelihoods are told with the unit they are counted in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Decoding, NotTractable
from baselines.nets.base import pick
from baselines.nets.transformer import library
from baselines.neural import evaluating
from baselines.precision import whole
from baselines.sampling import draw
from tasks.base import Corpus, Ragged

CONTEXT = 1024  # tokens, where a checkpoint doesn't say how many it can read
LOGITS = 1 << 26  # worked on at once in scoring: 256 MB of float32
CACHE = 1 << 26  # numbers of keys and values that sampling holds at once


class SavedOnce(nn.Module):
    """Tied weights are saved once, and stay tied when they are loaded."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Every weight once: tied ones under the first of their names."""
        state = super().state_dict(*args, **kwargs)
        prefix = kwargs.get("prefix", "")
        for alias in self._aliases():
            state.pop(prefix + alias, None)
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Loads what `state_dict` gave, into tied weights by all their names: they stay one tensor."""
        tied = {alias: state_dict[name] for alias, name in self._aliases().items() if name in state_dict}
        return super().load_state_dict({**state_dict, **tied}, *args, **kwargs)

    def _aliases(self) -> dict[str, str]:
        """Further names of tied weights, with their first one."""
        first: dict[int, str] = {}
        aliases = {}
        for name, parameter in self.named_parameters(remove_duplicate=False):
            if first.setdefault(id(parameter), name) != name:
                aliases[name] = first[id(parameter)]
        return aliases


class PretrainedGenerator(SavedOnce):
    """Implements `TextGenerator`: texts begin after the tokenizer's `bos` (else its `eos`) and end in its `eos`.

    As a `Generator` it samples in the task's tokens, by way of the text; it has no likelihood of them.

    Attributes:
        token_unit: name and hash of the tokenizer; likelihoods in different units can't be compared.
        max_tokens: how many tokens a text may have, `eos` included: of the longest text of train, unless set.
    """

    def __init__(
        self, corpus: Corpus, checkpoint: str, revision: str | None = None, max_tokens: int | None = None
    ) -> None:
        """Reads the checkpoint: a local folder, or a name on the hub (the one thing here that may use the network)."""
        super().__init__()
        source = {} if revision is None else {"revision": revision}
        tokenizer = library().AutoTokenizer.from_pretrained(checkpoint, **source)
        with torch.random.fork_rng(devices=[]):  # weights that a checkpoint lacks are drawn from the global stream
            model = library().AutoModelForCausalLM.from_pretrained(checkpoint, **source)
        self.model: Any = model.to(torch.float32)  # some are stored in half precision, which training does not stand
        self.corpus, self.tokenizer, self.eos = corpus, tokenizer, tokenizer.eos_token_id
        if self.eos is None:
            raise ValueError(f'the tokenizer of "{checkpoint}" has no end-of-text token, so its texts would not end')
        self.bos = self.eos if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        self.context = int(getattr(model.config, "max_position_embeddings", None) or CONTEXT)
        self.token_unit = f"{Path(checkpoint).name}:{fingerprint(tokenizer)[:8]}"
        self.max_tokens = min(max_tokens or self._longest(), self.context)

    def sample_texts(self, n: int, *, temperature: float = 1.0, rng: torch.Generator) -> list[str]:
        """`n` texts by ancestral sampling, each on one line: a run of white space becomes one space."""
        uniforms = torch.rand(n, self.max_tokens, generator=rng)
        with evaluating(self.model):
            parts = [self._sample(part, temperature) for part in torch.split(uniforms, self._rows_of_cache())]
        ids = Ragged.concatenate(parts)
        rows = [ids[i].tolist() for i in range(n)]
        decode = self.tokenizer.decode  # row by row: the name of the call for many has changed
        texts = [decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False) for row in rows]
        return [" ".join(text.split()) for text in texts]

    def text_log_probs(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Natural log-probability of each text and its end, and over how many tokens (the end is one).

        Of a text longer than the model can read, the first `context` tokens count.
        """
        targets = self.encode(texts)
        running = np.concatenate([[0.0], np.cumsum(self.log_probs(targets))])
        return running[targets.offsets[1:]] - running[targets.offsets[:-1]], targets.lengths

    def encode(self, texts: Sequence[str]) -> Ragged:
        """Texts in the model's tokens, each up to and with `eos`, or cut at what the model can read."""
        found = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"] if texts else []
        return Ragged.from_lists([[*ids, self.eos][: self.context] for ids in found])

    def loss(self, targets: Ragged) -> Tensor:
        """Sum over all tokens of -log p, in nats, with gradient."""
        return self._losses(targets).sum()

    def log_probs(self, targets: Ragged) -> npt.NDArray[np.float64]:
        """Natural log-probability of each token, aligned with `targets.flat`."""
        order = np.argsort(targets.lengths, kind="stable")
        size = max(1, LOGITS // (self.model.config.vocab_size * int(targets.lengths.max(initial=1))))
        places = Ragged(np.arange(len(targets.flat), dtype=np.int32), targets.offsets)
        found = np.zeros(len(targets.flat))
        with evaluating(self.model):
            for start in range(0, len(order), size):
                rows = order[start : start + size]
                found[places.take(rows).flat] = -self._losses(targets.take(rows)).double().cpu().numpy()
        return found

    def sample(self, n: int, *, temperature: float = 1.0, rng: torch.Generator) -> Ragged:
        """The texts in the task's tokens: words it doesn't know become `<unk>`, what is too long is cut."""
        corpus = self.corpus
        end = [] if corpus.fixed_length or corpus.vocab.eos is None else [corpus.vocab.eos]
        limit = corpus.fixed_length or corpus.max_target_length
        texts = self.sample_texts(n, temperature=temperature, rng=rng)
        return Ragged.from_lists([[*corpus.target_codec.encode(text), *end][:limit] for text in texts])

    def generate(self, sources: Ragged, *, decoding: Decoding, rng: torch.Generator) -> Ragged:  # noqa: ARG002
        raise NotTractable("a language model reads no sources")

    def token_log_probs(self, targets: Ragged, sources: Ragged | None = None) -> npt.NDArray[np.float64]:  # noqa: ARG002
        raise NotTractable(f"its likelihood is over the tokens of {self.token_unit}, not over the task's")

    def _sample(self, uniforms: Tensor, temperature: float) -> Ragged:
        """One text a row of uniforms [batch, time]; rows that have ended drop out of the batch."""
        uniforms = uniforms.to(self.model.device)
        ids = torch.full(uniforms.shape, self.eos, device=uniforms.device)
        rows = torch.arange(len(ids), device=ids.device)
        tokens, cache = torch.full_like(rows, self.bos), None
        for time in range(self.max_tokens):
            seen = torch.ones(len(rows), time + 1, dtype=torch.int64, device=ids.device)
            out = self.model(input_ids=tokens[:, None], attention_mask=seen, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            tokens = draw(out.logits[:, -1] / temperature, uniforms[rows, time, None]).squeeze(1)
            ids[rows, time] = tokens
            if ids.device.type == "cpu" or time % 8 == 7:  # asking how many are left makes a GPU wait
                going = (ids[rows, : time + 1] != self.eos).all(1)
                left = int(going.sum())
                if left == 0:
                    break
                if left < 0.8 * len(rows):
                    keep = going.nonzero().squeeze(1)
                    rows, tokens = rows[keep], tokens[keep]
                    cache = kept(cache, keep)
        ended = ids == self.eos
        lengths = torch.where(ended.any(1), ended.int().argmax(1) + 1, self.max_tokens)
        return Ragged.from_padded(ids.cpu().numpy(), lengths.cpu().numpy())

    def _losses(self, targets: Ragged) -> Tensor:
        """-log p of each token, in nats, aligned with `targets.flat`."""
        padded = torch.from_numpy(targets.padded(self.eos)).to(self.model.device)
        lengths = torch.from_numpy(targets.lengths).to(padded.device)
        inside = torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
        inputs = torch.cat([torch.full_like(padded[:, :1], self.bos), padded[:, :-1]], 1)
        logits = self.model(input_ids=inputs, attention_mask=inside.long(), use_cache=False).logits
        return F.cross_entropy(whole(logits[inside]), padded[inside], reduction="none")

    def _longest(self) -> int:
        texts = [example.target for example in self.corpus.splits["train"].examples]
        return int(self.encode(texts).lengths.max(initial=1))

    def _rows_of_cache(self) -> int:
        config = self.model.config
        numbers = 2 * int(config.num_hidden_layers) * int(config.hidden_size) * self.max_tokens
        return max(1, min(1024, CACHE // numbers))


def kept(cache: Any, rows: Tensor) -> Any:
    """The named rows of a model's cache; before version 5 some models give tuples of keys and values by layer."""
    if isinstance(cache, tuple):
        return tuple(pick(layer, rows) for layer in cache)
    cache.reorder_cache(rows)
    return cache


def fingerprint(tokenizer: Any) -> str:
    """sha256 over all that decides how text is cut, as far as the tokenizer tells it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    ends = f"{tokenizer.bos_token_id} {tokenizer.eos_token_id}"
    return hashlib.sha256(f"{ends}\n{rules}".encode()).hexdigest()
