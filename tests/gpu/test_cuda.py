"""On a CUDA device: the same numbers as on the CPU, and training that runs there. Skipped where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import baselines
from baselines.base import Decoding, NotTractable
from baselines.mle import MLE
from baselines.seqgan import SeqGAN
from tasks.base import Corpus, Ragged
from tests.conformance.methods import LETTERS, method, supports
from tests.fakes import FakeRun
from tests.toys import conditional_corpus, free_corpus
from tests.unit.test_baselines_precision import NETS, check_rounding

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
CORPORA = {"free": free_corpus(), "conditional": conditional_corpus()}
NET: dict[str, Any] = {"embedding": 16, "hidden": 32, "encoder": 16, "attention": 16, "readout": 16}
MLE_SETTINGS = {"net": NET, "epochs": 3}


def cuda_run() -> FakeRun:
    run = FakeRun(save=False)
    run.device = torch.device("cuda")
    return run


def pretrained_on_cuda(run: FakeRun) -> FakeRun:
    """`FakeRun.pretrained` makes runs on the CPU; here they go to the GPU too."""
    inner = run.pretrained

    def moved(spec: Any, train: Any) -> Any:
        def on_cuda(child: FakeRun) -> Any:
            child.device = run.device
            return train(child)

        return inner(spec, on_cuda)

    run.pretrained = moved  # type: ignore[method-assign]
    return run


@pytest.mark.parametrize("kind", ["free", "conditional"])
def test_a_model_trained_on_the_gpu_has_the_same_likelihood_and_samples_on_the_cpu(kind: str) -> None:
    corpus = CORPORA[kind]
    baseline = MLE(MLE.Config(**MLE_SETTINGS))
    model = baseline.fit(corpus, pretrained_on_cuda(cuda_run()))
    assert model.device.type == "cuda"
    test = corpus.splits["test"]
    on_gpu = model.token_log_probs(test.targets, test.sources)
    rng = torch.Generator().manual_seed(1)
    if test.sources is None:
        drawn = model.sample(50, temperature=1.0, rng=rng)
    else:
        drawn = model.generate(test.sources, decoding=Decoding("greedy"), rng=rng)
    model.cpu()
    on_cpu = model.token_log_probs(test.targets, test.sources)
    assert np.abs(on_gpu - on_cpu).max() < 1e-3
    rng = torch.Generator().manual_seed(1)
    if test.sources is None:
        again = model.sample(50, temperature=1.0, rng=rng)
    else:
        again = model.generate(test.sources, decoding=Decoding("greedy"), rng=rng)
    same = sum(drawn[i].tolist() == again[i].tolist() for i in range(len(drawn)))
    assert same >= 0.95 * len(drawn)  # rounding may tip a draw that lies on an edge


@pytest.mark.parametrize("name", NETS)
def test_training_in_bfloat16_is_that_in_float32_but_for_rounding(name: str) -> None:
    check_rounding(name, torch.device("cuda"))


@pytest.mark.parametrize("kind", ["free", "conditional"])
def test_seqgan_runs_on_the_gpu(kind: str) -> None:
    discriminator = {"widths": (1, 2, 3), "filters": (8, 8, 8), "source_widths": (1, 2), "source_filters": (8, 8)}
    settings = {"mle": MLE_SETTINGS, "discriminator": discriminator, "rounds": 2, "d_pretrain_steps": 2, "samples": 64}
    run = pretrained_on_cuda(cuda_run())
    model = SeqGAN(SeqGAN.Config(**settings, d_steps=1, d_epochs=1, rollouts=4, learning_rate=1e-3)).fit(
        CORPORA[kind], run
    )
    assert model.device.type == "cuda"
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


CASES = [(name, kind) for name in sorted(baselines.BUILTIN) for kind in ("varied", "pairs") if supports(name, kind)]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_method_trains_on_the_gpu_and_is_the_same_model_on_the_cpu(name: str, kind: str) -> None:
    corpus = LETTERS[kind]
    baseline, run = method(name), pretrained_on_cuda(cuda_run())
    if not isinstance(baseline.build(corpus), torch.nn.Module):
        pytest.skip("it has no network")
    model: Any = baseline.fit(corpus, run)
    assert next(model.parameters()).device.type == "cuda"
    on_gpu, drawn = likelihood(model, corpus), draw(model, corpus)
    model.cpu()
    again = draw(model, corpus)
    assert (drawn.lengths == again.lengths).mean() > 0.9  # a draw at the edge of two tokens may fall either way
    if on_gpu is not None:
        np.testing.assert_allclose(likelihood(model, corpus), on_gpu, atol=1e-3)


def likelihood(model: Any, corpus: Corpus) -> Any:
    test = corpus.splits["test"]
    try:
        return model.token_log_probs(test.targets, test.sources)
    except NotTractable:
        return None


def draw(model: Any, corpus: Corpus) -> Ragged:
    rng, sources = torch.Generator().manual_seed(1), corpus.splits["test"].sources
    if sources is None:
        drawn: Ragged = model.sample(50, temperature=1.0, rng=rng)
    else:
        drawn = model.generate(sources, decoding=Decoding("sample"), rng=rng)
    return drawn
