"""Maximum mean discrepancy (Gretton et al. 2012): how far two samples' distributions are apart, by a kernel."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_mmd(x: Tensor, y: Tensor, sigma: float) -> Tensor:
    """The biased estimate of MMD^2 with the kernel exp(-|a - b|^2 / (2 sigma^2)): at least 0, and 0 for equal samples.

    Args:
        x, y: [rows, features] and [other rows, features].
    """
    both = torch.cat([x, y])
    squares = both.square().sum(1)
    distances = (squares.unsqueeze(1) + squares - 2 * both @ both.t()).clamp(min=0)
    kernel = torch.exp(distances / (-2 * sigma**2))
    n = len(x)
    between: Tensor = kernel[:n, n:].mean()
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * between
