"""Transformer language model in the shape of GPT-2: layers and weights from `transformers`, steps of our own.

Teacher forcing runs the library's `GPT2Model`. A step calls the same submodules by the names that their weights have in
every GPT-2 checkpoint, which outlast the library's cache classes, and keeps keys and values in tensors of a fixed size,
so that rows can be picked, stacked and joined like any other state.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.base import AutoregressiveNet, Memory, State

MISSING = 'needs the extra [transformers]: pip install -e ".[transformers]"'
INIT_STD = 0.02  # GPT-2's code: N(0, 0.02), which transformers calls initializer_range


def available() -> bool:
    """Whether `transformers` is installed; nothing is imported to find out."""
    return importlib.util.find_spec("transformers") is not None


def library() -> Any:
    """The module `transformers`, imported when first needed: it takes seconds, and most methods do without."""
    if not available():
        raise ModuleNotFoundError(f"this {MISSING}")
    return importlib.import_module("transformers")


class CachingNet(AutoregressiveNet):
    """What the Transformers share: tied embeddings, and keys and values in tensors of a fixed size.

    A state is the position of the next token [batch], then keys and values of each layer
    [batch, heads, max_length, width / heads], of which the places before the position count. Inside `fixed_weights()`
    a step writes into the tensors of the state it is given, so each state there can be read on from once; rows picked
    from it are copies.
    """

    max_length: int
    width: int
    heads: int
    embedding: nn.Embedding  # of `bos` and `pad` alone: tokens that can be emitted share the output layer's rows
    _write_in_place: bool = False

    def embed(self, tokens: Tensor) -> Tensor:
        """tokens [...] -> embeddings [..., width], without positions."""
        words = F.embedding(tokens.clamp(max=self.vocab_size - 1), self.output.weight)
        special = F.embedding((tokens - self.vocab_size).clamp(min=0), self.embedding.weight)
        return torch.where((tokens < self.vocab_size).unsqueeze(-1), words, special)

    def empty_state(self, batch: int, layers: int) -> State:
        shape = (batch, self.heads, self.max_length, self.width // self.heads)
        caches = [self.output.weight.new_zeros(shape) for _ in range(2 * layers)]
        return (torch.zeros(batch, dtype=torch.int64, device=self.output.weight.device), *caches)

    @contextmanager
    def fixed_weights(self) -> Iterator[None]:
        outer = self._write_in_place
        self._write_in_place = True
        try:
            yield
        finally:
            self._write_in_place = outer

    def _mask(self, position: Tensor) -> Tensor:
        """Which places count [batch, 1, 1, places]; on a CPU without those that no row has reached.

        On a GPU looking would make it wait.
        """
        places = int(position.max()) + 1 if position.device.type == "cpu" and len(position) else self.max_length
        return (torch.arange(places, device=position.device) <= position[:, None])[:, None, None]

    def _write(self, cache: Tensor, fresh: Tensor, position: Tensor) -> Tensor:
        """The cache [batch, heads, max_length, size] with fresh [batch, heads, 1, size] at each row's position."""
        index = position[:, None, None, None].expand_as(fresh)
        if self._write_in_place and not torch.is_grad_enabled():
            return cache.scatter_(2, index, fresh)
        return cache.scatter(2, index, fresh)


class TransformerLanguageModel(CachingNet):
    """p(y_t | y_<t): GPT-2 (pre-norm, learned positions, GELU) over the corpus' own vocabulary, embeddings tied.

    Args:
        max_length: how many tokens it can read, `bos` included.
        width, layers, heads: sizes; the inner layers are four times as wide.
        dropout: on embeddings, on attention weights and after each half of a layer.
    """

    def __init__(
        self, vocab_size: int, max_length: int, width: int, layers: int, heads: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        gpt2 = library()
        rates = dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), dropout)
        sizes = {"n_positions": max_length, "n_embd": width, "n_layer": layers, "n_head": heads, "vocab_size": 1}
        own = {"bos_token_id": 0, "eos_token_id": 0, "use_cache": False}
        # the same tanh approximation as the default "gelu_new", in one pass instead of eight
        config = gpt2.GPT2Config(activation_function="gelu_pytorch_tanh", **own, **sizes, **rates)
        self.vocab_size, self.max_length, self.width, self.heads = vocab_size, max_length, width, heads
        self.transformer: Any = gpt2.GPT2Model(config)
        self.transformer.wte = nn.Identity()  # it is given embeddings: its own would count `bos` and `pad` as words
        self.embedding = nn.Embedding(2, width)
        self.output = nn.Linear(width, vocab_size)

    def initial_state(self, batch: int, memory: Memory = ()) -> State:  # noqa: ARG002 - a free model has no memory
        return self.empty_state(batch, len(self.transformer.h))

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:  # noqa: ARG002
        # Padding stands behind the text and nothing looks ahead, so that no place inside attends to it.
        features: Tensor = self.transformer(inputs_embeds=self.embed(inputs), use_cache=False).last_hidden_state
        return features

    def step(self, tokens: Tensor, state: State, memory: Memory = ()) -> tuple[Tensor, State]:  # noqa: ARG002
        position, caches = state[0], list(state[1:])
        body = self.transformer
        mask = self._mask(position)
        x = body.drop(self.embed(tokens) + body.wpe(position))
        for layer, block in enumerate(body.h):
            query, key, value = block.attn.c_attn(block.ln_1(x)).view(len(x), 3, self.heads, 1, -1).unbind(1)
            keys = caches[2 * layer] = self._write(caches[2 * layer], key, position)
            values = caches[2 * layer + 1] = self._write(caches[2 * layer + 1], value, position)
            x = x + self._attend(block.attn, query, keys, values, mask)
            x = x + block.mlp(block.ln_2(x))
        return body.ln_f(x), (position + 1, *caches)

    def _attend(self, attention: Any, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """One query a row [batch, heads, 1, size] over the places that the mask [batch, 1, 1, places] lets it see."""
        places = mask.shape[-1]
        rate = attention.attn_dropout.p if self.training else 0.0
        seen = F.scaled_dot_product_attention(query, keys[:, :, :places], values[:, :, :places], mask, rate)
        out: Tensor = attention.resid_dropout(attention.c_proj(seen.flatten(1)))
        return out


def initialise(net: TransformerLanguageModel, rng: torch.Generator) -> None:
    """Draws all weights anew as GPT-2 does, on the CPU (so that they don't depend on the device), by name.

    N(0, 0.02), what adds to the residual stream divided by the root of the number of additions (Radford et al. 2019,
    section 2.3); biases 0, gains 1.
    """
    additions = 2 * len(net.transformer.h)
    with torch.no_grad():
        for name, parameter in sorted(net.named_parameters()):
            fresh = torch.zeros(parameter.shape)
            if parameter.dim() > 1:
                std = INIT_STD * (additions**-0.5 if name.endswith("c_proj.weight") else 1.0)
                fresh.normal_(0.0, std, generator=rng)
            elif ".ln_" in name and name.endswith("weight"):
                fresh.fill_(1.0)
            parameter.copy_(fresh)
