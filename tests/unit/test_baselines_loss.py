"""The chunked cross-entropy against PyTorch's, in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from baselines.sampling import CACHE_ELEMENTS
from baselines.training import loss as module
from baselines.training.loss import MIN_ROWS, cross_entropy, log_probs


@pytest.fixture(params=[1, 7, 64])
def chunked(request, monkeypatch):
    """Chunks of few rows, so that there are many: the floor of 128 rows is for speed alone."""
    monkeypatch.setattr(module, "MIN_ROWS", 1)
    monkeypatch.setattr(module, "COLUMNS", 5)
    monkeypatch.setattr(module, "chunk_rows", lambda *_: request.param)


def problem(dtype=torch.float64):
    tokens, features, vocab = (int(torch.randint(low, high, ())) for low, high in ((20, 90), (3, 20), (5, 60)))
    output = nn.Linear(features, vocab, dtype=dtype)
    x = 3 * torch.randn(tokens, features, dtype=dtype)
    return x.requires_grad_(), output, torch.randint(vocab, (tokens,)), torch.randn(tokens, dtype=dtype)


def gradients(value, x, output):
    return torch.autograd.grad(2.5 * value, [x, output.weight, output.bias])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.usefixtures("chunked")
def test_equals_pytorch_with_gradients(smoothing):
    x, output, targets, weights = problem()
    for given in (None, weights):
        ours = cross_entropy(x, output, targets, given, smoothing)
        single = F.cross_entropy(output(x), targets, reduction="none", label_smoothing=smoothing)
        theirs = (single if given is None else single * given).sum()
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
        for a, b in zip(gradients(ours, x, output), gradients(theirs, x, output), strict=True):
            assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_float32_and_far_logits():
    x, output, targets, _ = problem(torch.float32)
    with torch.no_grad():
        output.weight.mul_(200)
    ours = cross_entropy(x, output, targets)
    theirs = F.cross_entropy(output.double()(x.double()), targets, reduction="sum")
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_gradients_pass_through_a_shared_layer():
    """A tied embedding and the loss both give the output layer's weight a gradient."""
    _, output, targets, _ = problem()
    tokens = torch.randint(output.out_features, targets.shape)
    ours = cross_entropy(F.embedding(tokens, output.weight), output, targets)
    theirs = F.cross_entropy(output(F.embedding(tokens, output.weight)), targets, reduction="sum")
    for a, b in zip(*(torch.autograd.grad(v, list(output.parameters())) for v in (ours, theirs)), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_without_gradients_the_value_is_the_same():
    x, output, targets, _ = problem()
    with torch.no_grad():
        assert float(cross_entropy(x, output, targets)) == pytest.approx(
            float(F.cross_entropy(output(x), targets, reduction="sum")), rel=1e-12
        )


@pytest.mark.usefixtures("chunked")
def test_log_probs_of_targets():
    x, output, targets, _ = problem()
    expected = output(x).log_softmax(-1).gather(1, targets[:, None]).squeeze(1)
    assert torch.allclose(log_probs(x, output, targets), expected, rtol=1e-12, atol=1e-12)
    assert log_probs(x[:0], output, targets[:0]).shape == (0,)


@pytest.mark.usefixtures("chunked")
def test_log_probs_where_exp_leaves_the_range_of_float32():
    """Rows far above, far below and in between, against float64."""
    x, output, targets, _ = problem(torch.float32)
    with torch.no_grad():
        output.bias.fill_(1.0)
        shift = torch.tensor([0.0, 300.0, -300.0]).repeat(len(x))[: len(x), None]
        x = torch.cat([x, shift], 1)
        output.weight = nn.Parameter(torch.cat([output.weight, torch.ones(output.out_features, 1)], 1))
        expected = F.linear(x.double(), output.weight.double(), output.bias.double()).log_softmax(1)
        found = log_probs(x, output, targets)
    assert found.isfinite().all()
    assert torch.allclose(found.double(), expected.gather(1, targets[:, None]).squeeze(1), atol=1e-3)


class Watch(TorchDispatchMode):
    """Sizes of all tensors that are made."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.sizes += [part.numel() for part in tree_leaves(result) if isinstance(part, torch.Tensor)]
        return result


def test_log_probs_never_hold_all_logits():
    """Nothing of [tokens, vocab] is made: the largest tensor on the way is a block."""
    output, features, targets = nn.Linear(4, 3000), torch.randn(2000, 4), torch.randint(3000, (2000,))
    with Watch() as seen:
        log_probs(features, output, targets)
    assert 4 * 2000 < max(seen.sizes) <= CACHE_ELEMENTS < 2000 * 3000


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_training_never_holds_all_logits(smoothing):
    """Neither on the way to the loss nor for the gradients; what autograd keeps is of the size of both matrices."""
    output, features = nn.Linear(4, 3000), torch.randn(2000, 4, requires_grad=True)
    kept = []
    watched = torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x)
    with watched, Watch() as seen:
        loss = cross_entropy(features, output, torch.randint(3000, (2000,)), label_smoothing=smoothing)
        loss.backward()
    assert features.grad is not None
    assert output.weight.grad is not None
    assert max(seen.sizes) <= max(MIN_ROWS * 3000, CACHE_ELEMENTS) < 2000 * 3000
    assert sum(kept) <= 2 * (2000 * 4 + 3000 * 5)
