"""Training by maximum likelihood with matrix products in bfloat16: it is the same training, but for rounding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import baselines
from baselines.gpt import GPT
from baselines.merging import merge
from baselines.mle import MLE, Transformer
from baselines.nets import attention
from baselines.nets.transformer import available
from baselines.neural import build_net, initialise_net
from baselines.precision import products_in
from baselines.training.batches import Collator
from baselines.training.loss import cross_entropy
from baselines.training.mle import MLEConfig
from tests.checkpoints import make_checkpoint, make_pair_checkpoint
from tests.conformance.methods import LETTERS, cls, method, supports
from tests.fakes import FakeRun
from tests.toys import conditional_corpus, free_corpus

CPU = torch.device("cpu")
NET: dict[str, Any] = {"embedding": 16, "hidden": 16, "encoder": 16, "attention": 16, "readout": 16}
NETS: dict[str, dict[str, Any]] = {
    "free": {},
    "rnnsearch": {},
    "rnnsearch-gru": {"cell": "gru", "input_feeding": True},
    "seq2seq": {"architecture": "seq2seq"},
    "cnn": {"architecture": "cnn", "input_feeding": True},
    "dual_attention": {"architecture": "dual_attention"},
    "dbam": {"architecture": "dbam"},
    "transformer": {"architecture": "transformer", "layers": 2, "heads": 4},
    "copying": {"copy_source": True},
}


def loss_and_gradient(name: str, precision: Any, device: torch.device = CPU) -> tuple[float, Tensor]:
    corpus = free_corpus() if name == "free" else conditional_corpus()
    config = MLEConfig.model_validate({"net": {**NET, **NETS[name]}})
    net = build_net(corpus, config.net)
    initialise_net(net, config.net, torch.Generator().manual_seed(0))
    net.to(device)
    train, rows = corpus.splits["train"], list(range(32))
    sources = None if train.sources is None else train.sources.take(rows)
    batch = Collator.of(corpus).batch(train.targets.take(rows), sources, device)
    with products_in(precision, device):
        memory = () if batch.sources is None else net.encode(*batch.sources)
        loss = cross_entropy(net(batch.inputs, memory)[batch.inside], net.output, batch.targets[batch.inside])
    torch.autograd.backward(loss)
    assert {parameter.grad.dtype for parameter in net.parameters() if parameter.grad is not None} == {torch.float32}
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in net.parameters()]
    return loss.item(), torch.cat([gradient.flatten() for gradient in gradients])


def check_rounding(name: str, device: torch.device) -> None:
    if name == "transformer" and not available():
        pytest.skip("needs transformers")
    loss, gradient = loss_and_gradient(name, "float32", device)
    near, rounded = loss_and_gradient(name, "bfloat16", device)
    assert near != loss, "nothing was rounded: the products are float32's"
    assert near == pytest.approx(loss, rel=2e-3)
    assert torch.cosine_similarity(gradient, rounded, dim=0) > 0.999
    assert rounded.norm() / gradient.norm() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", NETS)
def test_loss_and_gradient_of_every_network_are_those_of_float32_but_for_rounding(name: str) -> None:
    check_rounding(name, CPU)


@pytest.mark.parametrize("name", ["rnnsearch", "rnnsearch-gru", "dual_attention", "dbam", "copying"])
def test_attention_computed_again_for_the_gradient_has_the_same_precision(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, gradient = loss_and_gradient(name, "bfloat16")
    monkeypatch.setattr(attention, "NUMBERS", 1)
    again, found = loss_and_gradient(name, "bfloat16")
    assert again == pytest.approx(loss, rel=2e-3)
    assert torch.cosine_similarity(gradient, found, dim=0) > 0.999


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_sums_in_float32_whatever_the_type_of_the_products(smoothing: float) -> None:
    """Many tokens and words: sums in bfloat16, with their eight bits, would be far away."""
    features = torch.randn(1500, 24, requires_grad=True)
    output, targets = nn.Linear(24, 700), torch.randint(700, (1500,))
    with products_in("bfloat16", CPU):
        ours = cross_entropy(features, output, targets, label_smoothing=smoothing)
    exact = F.cross_entropy(output.double()(features.double()), targets, reduction="sum", label_smoothing=smoothing)
    assert ours.dtype == torch.float32
    assert ours.item() == pytest.approx(exact.item(), rel=1e-4)
    (found,) = torch.autograd.grad(ours, features, retain_graph=True)
    (wanted,) = torch.autograd.grad(exact, features)
    assert torch.cosine_similarity(found.flatten(), wanted.flatten(), dim=0) > 0.9999


def test_without_autocast_nothing_changes() -> None:
    features, output, targets = torch.randn(40, 8), nn.Linear(8, 30), torch.randint(30, (40,))
    plain = cross_entropy(features, output, targets)
    with products_in("float32", CPU):
        assert cross_entropy(features, output, targets).equal(plain)


MLE_INSIDE = sorted(name for name in baselines.BUILTIN if "mle" in cls(name).Config.model_fields)
OWN_STEPS = {"scheduled_sampling"}


@pytest.mark.parametrize("name", [name for name in MLE_INSIDE if name not in OWN_STEPS])
def test_methods_upon_a_pretraining_take_it_from_there(name: str) -> None:
    kind = next(kind for kind in ("varied", "pairs") if supports(name, kind))
    small = method(name)
    settings = merge(small.config.model_dump(), {"mle": {"precision": "bfloat16"}})
    made = type(small)(small.Config.model_validate(settings))
    model = made.fit(LETTERS[kind], FakeRun(save=False))
    assert {value.dtype for value in model.state_dict().values() if value.is_floating_point()} == {torch.float32}
    spec = made.pretraining(LETTERS[kind])
    assert spec != small.pretraining(LETTERS[kind]), "weights of either precision would be taken for the other's"


def test_it_learns_as_well() -> None:
    corpus, found = conditional_corpus(), {}
    for precision in ("float32", "bfloat16"):
        config = MLE.Config.model_validate({"net": NET, "epochs": 6, "learning_rate": 1e-2, "precision": precision})
        model = MLE(config).fit(corpus, FakeRun(save=False))
        test = corpus.splits["test"]
        found[precision] = -float(model.token_log_probs(test.targets, test.sources).mean())
    assert found["bfloat16"] != found["float32"]
    assert found["bfloat16"] == pytest.approx(found["float32"], rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "pairs"])
def test_checkpoints_are_fine_tuned_in_it(kind: str, tmp_path: Path) -> None:
    if not available():
        pytest.skip("needs transformers")
    corpus = free_corpus() if kind == "text" else conditional_corpus(60)
    letters = [*"abcdefghABCDEFGH"]
    folder = str(make_checkpoint(tmp_path, letters) if kind == "text" else make_pair_checkpoint(tmp_path, letters))
    found = []
    for precision in ("float32", "bfloat16"):
        tuning = {"epochs": 2, "batch": 16, "learning_rate": 1e-2, "warmup": 3, "clip": 1.0, "precision": precision}
        row = GPT if kind == "text" else Transformer
        model: Any = row(row.Config.model_validate({"checkpoint": folder, "tuning": tuning})).fit(corpus, FakeRun())
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        found.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert not found[0].equal(found[1])
    assert torch.cosine_similarity(found[0], found[1], dim=0) > 0.99


def test_stored_results_keep_their_keys() -> None:
    for config in (MLE.Config(), Transformer.Config(), GPT.Config()):
        assert "precision" not in str(config.model_dump())
    assert MLE.Config(precision="bfloat16").model_dump()["precision"] == "bfloat16"


def test_who_trains_step_by_step_refuses_it() -> None:
    for name in OWN_STEPS:
        with pytest.raises(ValueError, match="float32 alone"):
            cls(name).Config.model_validate({"mle": {"precision": "bfloat16"}})
