"""Cross-entropy from features, in chunks: logits of [tokens, vocab] never exist whole, nor wait for backward.

The gradients are found in the forward pass, chunk by chunk, while the chunk's logits are still in the cache. Under
`torch.autocast` the matrix products are in its type, and all else is in float32.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.copying import CopyOutput
from baselines.precision import whole
from baselines.sampling import chunk_rows

MIN_ROWS = 128  # a chunk of fewer rows spends its time reading the weight matrix, whatever the cache would like
COLUMNS = 1024  # of the vocabulary, at once, where there is no backward
SAFE_MASS = 1e30  # a sum of exp from 1/1e30 to 1e30 has lost nothing to overflow or underflow in float32


def cross_entropy(
    features: Tensor, output: nn.Linear, targets: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Sum over tokens of -log p(target), in nats; with `weights`, each token's part times its weight.

    Args:
        features: [tokens, features].
        output: the output layer.
        targets: [tokens].
        weights: [tokens], constants (rewards, for a policy gradient); None is 1 each.
        label_smoothing: this share of the target's probability is spread evenly over the vocabulary.
    """
    kind = features.device.type
    products = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    with torch.autocast(kind, enabled=False):
        features = whole(features)
        if weights is None:
            weights = features.new_ones(len(targets))
        if isinstance(output, CopyOutput):
            if label_smoothing:
                raise ValueError("labels are not smoothed where the output copies")
            return _copying_cross_entropy(features, output, targets, weights, products)
        return _softmax_cross_entropy(features, output, targets, weights, label_smoothing, products)


@torch.no_grad()
def log_probs(features: Tensor, output: nn.Linear, targets: Tensor) -> Tensor:
    """Natural log-probability of each target: features [tokens, features], targets [tokens] -> [tokens]."""
    if isinstance(output, CopyOutput):
        generated = _softmax_log_probs(output.readout(features), output.weight, output.bias, targets)
        return output.of_targets(features, targets, generated)[0].clamp_(max=0)
    return _softmax_log_probs(features, output.weight, output.bias, targets)


def _softmax_log_probs(features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Blocks of some tokens by some of the vocabulary: a block is multiplied, and its exp summed, within the cache."""
    aim = (features * weight[targets]).sum(1) + bias[targets]
    mass = torch.zeros_like(aim)
    size = chunk_rows(COLUMNS, features.device)
    memory = features.new_empty(min(size, len(features)) * min(COLUMNS, len(weight)))
    for x, total in zip(torch.split(features, size), torch.split(mass, size), strict=True):
        for part, shift in zip(torch.split(weight, COLUMNS), torch.split(bias, COLUMNS), strict=True):
            block = memory[: len(x) * len(part)].view(len(x), len(part))
            total += torch.addmm(shift, x, part.t(), out=block).exp_().sum(1)
    found: Tensor = aim - mass.log()
    # that was exp as it is, without the largest logit taken off: where it left the range of float32, with it
    lost = (~((mass > 1 / SAFE_MASS) & (mass < SAFE_MASS))).nonzero().squeeze(1)
    for rows in torch.split(lost, chunk_rows(len(weight), features.device)):
        found[rows] = aim[rows] - F.linear(features[rows], weight, bias).logsumexp(1)
    return found.clamp_(max=0)  # the two parts are rounded apart


def _softmax_cross_entropy(
    features: Tensor,
    output: nn.Linear,
    targets: Tensor,
    weights: Tensor,
    smoothing: float,
    products: torch.dtype | None,
) -> Tensor:
    arguments = (features, output.weight, output.bias, targets, weights, smoothing, products)
    loss: Tensor = _CrossEntropy.apply(*arguments)  # type: ignore[no-untyped-call, unused-ignore]
    return loss


def _copying_cross_entropy(
    features: Tensor, output: CopyOutput, targets: Tensor, weights: Tensor, products: torch.dtype | None
) -> Tensor:
    """With p = g P + c, d log p = (g P / p) d log P + what g and c add.

    So the softmax's part of the gradient is that of a cross-entropy with other weights, and stays in chunks.
    """
    readout = output.readout(features)
    with torch.no_grad():
        generated = _softmax_log_probs(readout, output.weight, output.bias, targets)
    found, part = output.of_targets(features, targets, generated)
    own = _softmax_cross_entropy(readout, output, targets, weights * part, 0.0, products)
    return (own - own.detach()) - (weights * found).sum()  # of `own` the gradient alone is wanted


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        weights: Tensor,
        smoothing: float,
        products: torch.dtype | None,
    ) -> Tensor:
        """`products`: the type of the matrix products; None is that of the features."""
        wants = any(ctx.needs_input_grad)
        total = features.new_zeros(())
        grad_features = torch.empty_like(features)
        # One more column than the weight has: the bias is the weight of a feature that is always 1.
        grad_layer = weight.new_zeros(weight.shape[0], weight.shape[1] + 1)
        size = max(MIN_ROWS, chunk_rows(weight.shape[0], features.device))
        matrix = weight if products is None else weight.to(products)
        for start in range(0, len(targets), size):
            chunk = slice(start, start + size)
            x, y, w = features[chunk], targets[chunk, None], weights[chunk, None]
            logits = torch.addmm(bias, x, weight.t()) if products is None else x.to(products) @ matrix.t() + bias
            loss, unnormalised, mass = _chunk(logits, y, smoothing)
            total += loss @ w.squeeze(1)
            if wants:
                # d loss / d logits is `unnormalised / mass`; the small matrices are divided instead of the large one.
                scale = w / mass
                scaled = torch.cat([x * scale, scale], 1)
                if products is None:
                    torch.mul(unnormalised @ weight, scale, out=grad_features[chunk])
                    grad_layer.addmm_(unnormalised.t(), scaled)
                else:
                    unnormalised = unnormalised.to(products)
                    torch.mul(unnormalised @ matrix, scale, out=grad_features[chunk])
                    grad_layer += unnormalised.t() @ scaled.to(products)
        ctx.save_for_backward(grad_features, grad_layer)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_features, grad_layer = ctx.saved_tensors
        return grad_features * grad, grad_layer[:, :-1] * grad, grad_layer[:, -1] * grad, *(None,) * 4


def _chunk(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor, Tensor]:
    """Losses [rows]; the logits' gradient before division by the mass [rows, vocab]; the mass [rows, 1].

    Works in the logits' memory.
    """
    top = logits.amax(1, keepdim=True)
    aim = logits.gather(1, targets)
    if smoothing:
        aim = (1 - smoothing) * aim + smoothing * logits.mean(1, keepdim=True)
    exponents = logits.sub_(top).exp_()
    mass = exponents.sum(1, keepdim=True)
    loss = top + mass.log() - aim
    exponents.scatter_add_(1, targets, (smoothing - 1) * mass)
    if smoothing:
        exponents.sub_(mass * (smoothing / logits.shape[1]))
    return loss.squeeze(1), exponents, mass
