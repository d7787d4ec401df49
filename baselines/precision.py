"""The type of matrix products in training by maximum likelihood. Weights, sums, scores and decoding are float32."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]
BEFORE = {"precision": "float32"}  # what was trained before there was the choice


def products_in(precision: Precision, device: torch.device) -> torch.autocast:
    """Within it the forward pass's products are of that type, and so are those of the backward pass it leads to."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def whole(values: torch.Tensor) -> torch.Tensor:
    """In float32 where they have fewer bits, and as they are where they have more."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
