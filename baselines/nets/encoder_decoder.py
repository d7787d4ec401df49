"""Transformer encoder-decoder in the shape of BART: layers and weights from `transformers`, steps of our own.

The library's encoder reads the source. The decoder's layers are called by the names that their weights have in every
BART checkpoint, for teacher forcing and for single steps by the same code, with keys and values in tensors of a fixed
size: `nets.transformer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.base import Memory, State
from baselines.nets.lstm import Init
from baselines.nets.transformer import CachingNet, library


class TransformerSeq2Seq(CachingNet):
    """p(y_t | y_<t, x): BART (post-norm, learned positions, GELU; Lewis et al., 2020) over the corpus' vocabularies.

    The target's embedding and the output layer are one; the source's words have an embedding of their own.

    Args:
        source_size: rows of the source embedding (`Vocabulary.n_inputs`).
        max_source_length: tokens that the encoder can read; what stands behind is left out.
        max_length: tokens that the decoder can read, `bos` included.
        width, layers, heads: sizes of encoder and decoder; the inner layers are four times as wide.
        dropout: on embeddings, on attention weights and after each part of a layer.
    """

    _notes: list[Tensor] | None = None

    def __init__(
        self,
        source_size: int,
        vocab_size: int,
        max_source_length: int,
        max_length: int,
        width: int,
        layers: int,
        heads: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        both = {"layers": layers, "attention_heads": heads, "ffn_dim": 4 * width}
        sizes = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in both.items()}
        sizes |= {"d_model": width, "max_position_embeddings": max(max_source_length, max_length), "vocab_size": 1}
        rates = {"dropout": dropout, "attention_dropout": dropout, "activation_dropout": 0.0}
        names = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
        own = {**dict.fromkeys(names, 0), "forced_eos_token_id": None, "use_cache": False}
        self.vocab_size, self.max_length, self.width, self.heads = vocab_size, max_length, width, heads
        self.max_source_length = max_source_length
        self.bart: Any = library().BartModel(library().BartConfig(**sizes, **rates, **own))
        for part in (self.bart, self.bart.encoder, self.bart.decoder):  # they are given embeddings
            setattr(part, "shared" if part is self.bart else "embed_tokens", nn.Identity())
        self.source_embedding = nn.Embedding(source_size, width)
        self.embedding = nn.Embedding(2, width)
        self.output = nn.Linear(width, vocab_size)

    def encode(self, sources: Tensor, lengths: Tensor) -> Memory:
        """Which places count [batch, time], then keys and values of each layer [batch, heads, time, width / heads]."""
        sources = sources[:, : self.max_source_length]
        lengths = lengths.clamp(min=1)  # an empty source is read as one padding token: attention needs a place
        inside = torch.arange(sources.shape[1], device=sources.device) < lengths[:, None]
        embedded = self.source_embedding(sources)
        read = self.bart.encoder(inputs_embeds=embedded, attention_mask=inside.long()).last_hidden_state
        across = [layer.encoder_attn for layer in self.bart.decoder.layers]
        parts = (part for attention in across for part in (attention.k_proj(read), attention.v_proj(read)))
        return (inside, *(self._split(part) for part in parts))

    def initial_state(self, batch: int, memory: Memory) -> State:  # noqa: ARG002
        return self.empty_state(batch, len(self.bart.decoder.layers))

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        body, inside = self.bart.decoder, memory[0][:, None, None]
        x = self._begin(inputs, torch.arange(inputs.shape[1], device=inputs.device))
        for number, layer in enumerate(body.layers):
            own = layer.self_attn
            query, key, value = (self._split(project(x)) for project in (own.q_proj, own.k_proj, own.v_proj))
            seen = F.scaled_dot_product_attention(query, key, value, dropout_p=self._rate(own), is_causal=True)
            x = self._add(layer, x, own, seen, layer.self_attn_layer_norm)
            x = self._read_source(layer, x, memory[1 + 2 * number], memory[2 + 2 * number], inside)
            x = self._transform(layer, x)
        return x

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        position, caches = state[0], list(state[1:])
        inside, mask = memory[0][:, None, None], self._mask(position)
        places = mask.shape[-1]
        x = self._begin(tokens[:, None], position[:, None])
        for number, layer in enumerate(self.bart.decoder.layers):
            own, at = layer.self_attn, 2 * number
            query, key, value = (self._split(project(x)) for project in (own.q_proj, own.k_proj, own.v_proj))
            keys = caches[at] = self._write(caches[at], key, position)
            values = caches[at + 1] = self._write(caches[at + 1], value, position)
            rate = self._rate(own)
            seen = F.scaled_dot_product_attention(query, keys[:, :, :places], values[:, :, :places], mask, rate)
            x = self._add(layer, x, own, seen, layer.self_attn_layer_norm)
            x = self._read_source(layer, x, memory[1 + at], memory[2 + at], inside)
            x = self._transform(layer, x)
        return x.squeeze(1), (position + 1, *caches)

    def step_with_weights(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """The weights are the mean over heads and layers."""
        with self._noting() as notes:
            features, state = self.step(tokens, state, memory)
        return features, state, torch.stack(notes).mean(0).squeeze(1)

    def alignments(self, inputs: Tensor, memory: Memory) -> Tensor:
        with self._noting() as notes:
            self(inputs, memory)
        return torch.stack(notes).mean(0)

    @contextmanager
    def _noting(self) -> Iterator[list[Tensor]]:
        """Inside, each layer's attention to the source [batch, time, source time] is kept."""
        outer, self._notes = self._notes, []
        try:
            yield self._notes
        finally:
            self._notes = outer

    def _begin(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Words and places [batch, time] -> what the first layer reads [batch, time, width]."""
        body = self.bart.decoder
        table = body.embed_positions.weight
        unused = len(table) - body.max_target_positions  # BART's first rows stand for no place
        x = body.layernorm_embedding(self.embed(tokens) + F.embedding(places + unused, table))
        return F.dropout(x, body.dropout, self.training)

    def _read_source(self, layer: Any, x: Tensor, keys: Tensor, values: Tensor, inside: Tensor) -> Tensor:
        attention = layer.encoder_attn
        query = self._split(attention.q_proj(x))
        if self._notes is not None:  # the fused call keeps its weights to itself
            scores = query @ keys.transpose(2, 3) / query.shape[-1] ** 0.5
            self._notes.append(scores.masked_fill(~inside, float("-inf")).softmax(-1).mean(1))
        seen = F.scaled_dot_product_attention(query, keys, values, inside, self._rate(attention))
        return self._add(layer, x, attention, seen, layer.encoder_attn_layer_norm)

    def _transform(self, layer: Any, x: Tensor) -> Tensor:
        inner = layer.fc2(layer.activation_fn(layer.fc1(x)))
        out: Tensor = layer.final_layer_norm(x + F.dropout(inner, layer.dropout, self.training))
        return out

    def _add(self, layer: Any, x: Tensor, attention: Any, seen: Tensor, norm: Any) -> Tensor:
        """What all heads saw [batch, heads, time, size], laid on x."""
        new = attention.out_proj(seen.transpose(1, 2).flatten(2))
        out: Tensor = norm(x + F.dropout(new, layer.dropout, self.training))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """[batch, time, width] -> [batch, heads, time, width / heads]."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def _rate(self, attention: Any) -> float:
        return float(attention.dropout) if self.training else 0.0


def initialise(net: TransformerSeq2Seq, scheme: Init, scale: float, rng: torch.Generator) -> None:
    """Draws all weights anew, on the CPU (so that they don't depend on the device), in the order of their names.

    `glorot`: matrices uniform as in Glorot and Bengio (2010), words and places from N(0, 1 / sqrt(width)).
    `normal`: N(0, scale), which BART has with 0.02; at a width below its 1024 attention then starts nearly even.
    `uniform`: U(-scale, scale). Biases 0 and gains 1 with all of them.
    """
    with torch.no_grad():
        for name, parameter in sorted(net.named_parameters()):
            fresh = torch.zeros(parameter.shape)
            if parameter.dim() == 1:
                fresh.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
            elif scheme == "normal":
                fresh.normal_(0.0, scale, generator=rng)
            elif scheme == "uniform":
                fresh.uniform_(-scale, scale, generator=rng)
            elif "embed" in name or name == "output.weight":
                fresh.normal_(0.0, net.width**-0.5, generator=rng)
            else:
                nn.init.xavier_uniform_(fresh, generator=rng)
            parameter.copy_(fresh)
