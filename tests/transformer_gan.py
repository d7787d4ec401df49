"""A small Transformer-GAN, for the tests of its game and for those with the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from baselines.merging import merge
from baselines.nets.base import AutoregressiveNet
from baselines.transformer_gan import Game, TransformerGAN, TransformerGANConfig
from tests.toys import conditional_corpus

SETTINGS: dict[str, Any] = {
    "mle": {"net": {"hidden": 8, "layers": 1, "heads": 2, "dropout": 0.2}, "epochs": 1},
    "discriminator": {"width": 8, "layers": 1, "heads": 2, "dropout": 0.2},
    "batch": 8,
    "d_pretrain_steps": 2,
    "steps": 4,
    "log_every": 1,
    "valid_every": 3,
    "learning_rate": 0.05,
    "d_rate": 0.01,
}
CORPUS = conditional_corpus(60)


def tiny(kind: type[TransformerGAN] = TransformerGAN, **settings: Any) -> TransformerGAN:
    return kind(TransformerGANConfig.model_validate(merge(SETTINGS, settings)))


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def row(ids: Any) -> tuple[Tensor, Tensor]:
    """One row without padding, and its length."""
    return torch.as_tensor(ids, dtype=torch.int64)[None], torch.tensor([len(ids)])


def log_prob(net: AutoregressiveNet, source: Any, ids: list[int]) -> Tensor:
    inputs = torch.tensor([[CORPUS.vocab.bos, *ids[:-1]]])
    log_probs = net.output(net(inputs, net.encode(*row(source)))).log_softmax(-1)
    return log_probs[0].gather(1, torch.tensor(ids)[:, None]).sum()


def weights_after(step: Callable[[Game], object], make: Callable[[], Game]) -> list[dict[str, Tensor]]:
    """The generator's weights after a step, for two states of torch's global stream, which dropout draws from."""
    after = []
    for seed in (1, 2):
        game = make()
        torch.manual_seed(seed)
        step(game)
        after.append(dict(game.net.state_dict()))
    return after
