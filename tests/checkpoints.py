"""Checkpoints made on the spot, for tests of pre-trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def make_pair_checkpoint(folder: Path, words: list[str], seed: int = 0, dtype: Any = None) -> Path:
    """A BART of a few weights with a tokenizer of words; like BART's own, it puts both of its tokens around a text."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokens = ["<s>", "<pad>", "</s>", "<unk>", *words]
    splitter = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    splitter.pre_tokenizer = pre_tokenizers.Whitespace()
    splitter.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    own = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=splitter, **own).save_pretrained(folder)
    both = {"layers": 2, "attention_heads": 2, "ffn_dim": 16}
    sizes = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in both.items()}
    config = transformers.BartConfig(vocab_size=len(tokens), d_model=8, max_position_embeddings=12, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.BartForConditionalGeneration(config)
        for parameter in model.parameters():
            parameter.data.add_(0.3 * torch.randn_like(parameter))
    model.to(dtype or torch.float32).save_pretrained(folder)
    return folder


def make_checkpoint(folder: Path, words: list[str], seed: int = 0, bos: bool = False, dtype: Any = None) -> Path:
    """A GPT-2 of a few weights with a tokenizer of words, as `save_pretrained` leaves them."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokens = ["<end>", "<unk>", *(["<begin>"] if bos else []), *words]
    splitter = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    splitter.pre_tokenizer = pre_tokenizers.Whitespace()
    begin = {"bos_token": "<begin>"} if bos else {}
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=splitter, eos_token="<end>", **begin)
    wrapped.save_pretrained(folder)
    config = transformers.GPT2Config(
        vocab_size=len(tokens), n_positions=12, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.GPT2LMHeadModel(config)
        for parameter in model.parameters():
            parameter.data.add_(0.3 * torch.randn_like(parameter))
    model.to(dtype or torch.float32).save_pretrained(folder)
    return folder
