"""The encoder-decoders by option: keys of what was stored before stay, each learns, training goes on exactly."""

from __future__ import annotations

import json
import pickle
import random

import numpy as np
import pytest
import torch

from baselines import mle, neural
from baselines.base import Decoding
from baselines.merging import merge
from baselines.mle import (
    MLE,
    CNNSeq2Seq,
    DBAMRow,
    DualAttentionRow,
    LSTMSeq2Seq,
    PointerGenerator,
    RNNSearch,
    Transformer,
)
from baselines.nets.transformer import available
from baselines.neural import NetConfig, build_net
from baselines.training.mle import Course, MLEConfig, _set_rate, pretraining_spec
from tests.conformance.methods import cls as builtin
from tests.fakes import FakeRun, Interrupted, Saved
from tests.toys import conditional_corpus, free_corpus

TINY = {
    "net": {"embedding": 8, "hidden": 8, "encoder": 4, "attention": 6, "readout": 8, "dropout": 0.2, "heads": 2},
    "epochs": 2,
}
ROWS = [RNNSearch, PointerGenerator, LSTMSeq2Seq, CNNSeq2Seq, DualAttentionRow, DBAMRow, Transformer]
with_library = pytest.mark.skipif(not available(), reason="transformers is not installed")
EVERY = [
    pytest.param(row, marks=[with_library, pytest.mark.slow] if row is Transformer else [], id=row.name) for row in ROWS
]

# What the dump had when the first results were stored, each under its hash: nothing may ever be added to it.
OLD_NET = {
    "embedding": 128,
    "hidden": 256,
    "layers": 1,
    "dropout": 0.0,
    "tied": False,
    "init": "glorot",
    "init_scale": 0.5,
    "encoder": 128,
    "attention": 128,
    "readout": 128,
    "input_feeding": False,
}
OLD_MLE = {
    "epochs": 30,
    "interval": None,
    "batch": 64,
    "learning_rate": 2e-3,
    "schedule": "plateau",
    "decay": 0.5,
    "patience": 3,
    "clip": 5.0,
    "label_smoothing": 0.0,
    "valid_rows": 2000,
}
FREE_NET = {k: v for k, v in OLD_NET.items() if k not in ("encoder", "attention", "readout", "input_feeding")}
CHANGED = {"architecture": "cnn", "cell": "gru", "reverse_source": True, "window": 3, "heads": 2}
CHANGED |= {"copy_source": True, "scale_scores": True}


def test_keys_of_what_was_stored_stay():
    assert NetConfig().model_dump(mode="json") == OLD_NET
    assert json.loads(NetConfig().model_dump_json()) == OLD_NET
    assert MLEConfig().model_dump(mode="json") == {"net": OLD_NET, **OLD_MLE}
    assert MLEConfig(warmup=7).model_dump(mode="json") == {"net": OLD_NET, **OLD_MLE, "warmup": 7}
    head = {"method": "mle", "version": 1}
    assert pretraining_spec(conditional_corpus(9), MLEConfig()) == {**head, "net": OLD_NET, **OLD_MLE}
    assert pretraining_spec(free_corpus(9), MLEConfig()) == {**head, "net": FREE_NET, **OLD_MLE}


def test_what_is_set_is_in_the_key_and_comes_back():
    assert set(CHANGED) == set(NetConfig.added), "an option came: say here what else it can be"
    for name, value in CHANGED.items():
        config = NetConfig.model_validate({name: value})
        assert config.model_dump(mode="json") == {**OLD_NET, name: value}
        assert NetConfig.model_validate(config.model_dump(mode="json")) == config
        assert pickle.loads(pickle.dumps(config)) == config
        assert config.model_dump(include={"hidden"}) == {"hidden": 256}
        assert config.model_dump(include={name, "hidden"}) == {"hidden": 256, name: value}
    assert NetConfig().model_dump(include={"cell"}) == {}, "left out is left out: read attributes of added options"


def test_options_of_encoder_decoders_do_not_part_free_trainings():
    plain, other = MLEConfig(), MLEConfig.model_validate({"net": CHANGED})
    assert pretraining_spec(free_corpus(9), plain) == pretraining_spec(free_corpus(9), other)
    assert pretraining_spec(conditional_corpus(9), plain) != pretraining_spec(conditional_corpus(9), other)
    nets = [build_net(free_corpus(9), config.net) for config in (plain, other)]
    shapes = [{name: value.shape for name, value in net.state_dict().items()} for net in nets]
    assert shapes[0] == shapes[1]


def row(cls: type[MLE], **changes: object) -> MLE:
    return cls(cls.Config.model_validate(merge(TINY, changes)))


def test_a_row_and_an_option_of_mle_are_one_training():
    corpus = conditional_corpus(9)
    wanted = {
        "rnnsearch": {"cell": "gru", "input_feeding": True},
        "lstm_seq2seq": {"reverse_source": True},
        "pointer_generator": {"copy_source": True},
    }
    for cls in ROWS:
        own = row(cls)
        option = merge(TINY, {"net": {"architecture": own.config.net.architecture, **wanted.get(cls.name, {})}})
        assert own.pretraining(corpus) == MLE(MLEConfig.model_validate(option)).pretraining(corpus)
        assert cls.Config.model_validate(own.config.model_dump(mode="json")) == own.config
    assert len({json.dumps(row(cls).pretraining(corpus)) for cls in [MLE, *ROWS]}) == 1 + len(ROWS)


@pytest.mark.parametrize("cls", ROWS)
def test_what_a_row_takes(cls, monkeypatch):
    assert "sources" in row(cls).supports(free_corpus(9))
    monkeypatch.setattr(neural, "available", lambda: False)
    reason = row(cls).supports(conditional_corpus(9))
    assert (reason is None) == (cls is not Transformer)
    assert cls is not Transformer or "transformers" in reason
    assert MLE(MLEConfig(net={"architecture": "transformer"})).supports(free_corpus(9)) is None


@pytest.mark.parametrize(
    "name",
    ["tuned_mle", "seqgan", "adversarial_nmt", "dialogue_reinforce", "mmi", "mrt", "mixer", "actor_critic", "bso"],
)
def test_a_method_upon_a_transformer_is_refused_before_it_trains_where_the_library_lacks(name, monkeypatch):
    cls = builtin(name)
    asked = cls(cls.Config(mle={"net": {"architecture": "transformer"}}))
    monkeypatch.setattr(neural, "available", lambda: True)
    assert asked.supports(conditional_corpus(9)) is None
    monkeypatch.setattr(neural, "available", lambda: False)
    assert "transformers" in asked.supports(conditional_corpus(9))
    assert cls().supports(conditional_corpus(9)) is None


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
def test_presets_are_valid_and_can_be_built(cls, budget):
    for task in ("translation", "summarization", "dialogue"):
        settings = cls.Config.model_validate(cls.preset(budget, task, "conditional"))
        if budget == "paper":  # hundreds of MiB
            continue
        before = torch.get_rng_state()
        generator = cls(settings).build(conditional_corpus(4))
        assert torch.equal(before, torch.get_rng_state()), "build used torch's global stream"
        assert generator.net.training


BAHDANAU = {"embedding": 620, "hidden": 1000, "encoder": 1000, "attention": 1000, "readout": 500, "layers": 1}
BAHDANAU |= {"input_feeding": True, "init": "normal", "init_scale": 0.01}
PAPER = {  # the constants that docs/methods/mle.md gives
    RNNSearch: (BAHDANAU | {"cell": "gru"}, {"batch": 80, "clip": 1.0}),
    PointerGenerator: (BAHDANAU | {"cell": "lstm", "copy_source": True}, {"batch": 80, "clip": 1.0}),
    LSTMSeq2Seq: (
        {"embedding": 1000, "hidden": 1000, "layers": 4, "reverse_source": True, "init": "uniform", "init_scale": 0.08},
        {"batch": 128, "clip": 5.0, "schedule": "plateau", "learning_rate": 5e-4},
    ),
    CNNSeq2Seq: (
        {"embedding": 256, "hidden": 256, "window": 5, "input_feeding": True, "scale_scores": False},
        {"batch": 32},
    ),
    Transformer: (
        {"hidden": 512, "layers": 6, "heads": 8, "dropout": 0.1, "init": "normal", "init_scale": 0.02},
        {"learning_rate": 7e-4, "warmup": 4000, "label_smoothing": 0.1, "schedule": "linear"},
    ),
}


@pytest.mark.parametrize("cls", PAPER, ids=lambda cls: cls.name)
@pytest.mark.parametrize("task", ["translation", "summarization", "dialogue"])
def test_the_largest_preset_has_the_papers_constants(cls, task):
    settings = cls.Config.model_validate(cls.preset("paper", task, "conditional"))
    net, training = PAPER[cls]
    assert {name: getattr(settings.net, name) for name in net} == net
    assert {name: getattr(settings, name) for name in training} == training


@pytest.mark.parametrize("cls", EVERY)
def test_interrupted_training_ends_bit_identical(cls):
    corpus = conditional_corpus(100)
    method = row(cls, interval=3, epochs=2, batch=16, warmup=4)
    expected = method.fit(corpus, FakeRun(save=False)).state_dict()
    saved = Saved()
    with pytest.raises(Interrupted):
        method.fit(corpus, FakeRun(saved=saved, stop_at=random.randrange(1, 6)))
    found = method.fit(corpus, FakeRun(saved=saved)).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.slow
@pytest.mark.parametrize("cls", EVERY)
def test_each_learns_to_reverse(cls):
    """Without the source 4.5 tokens cost 3.5 ln 8 + ln 4 nats: 3.5 letters on average, and one of 4 lengths."""
    corpus, test = conditional_corpus(800), conditional_corpus(800).splits["test"]
    net = {"embedding": 24, "hidden": 48, "encoder": 24, "attention": 24, "readout": 24, "dropout": 0.0, "heads": 4}
    settings = {"net": net, "epochs": 6, "batch": 32, "learning_rate": 1e-2, "schedule": "linear"}
    if cls is Transformer:
        settings |= {"net": {**net, "layers": 2}, "learning_rate": 4e-3, "warmup": 40, "epochs": 8}
    method = cls(cls.Config.model_validate(settings))
    before, after = (
        -g.token_log_probs(test.targets, test.sources).mean() for g in (method.build(corpus), _fit(method))
    )
    assert after < before
    assert after < 0.5 * (3.5 * np.log(8) + np.log(4)) / 4.5
    decoding, rng = Decoding.parse("beam3"), torch.Generator().manual_seed(0)
    found = corpus.decode(_fit(method).generate(test.sources, decoding=decoding, rng=rng))
    assert np.mean([a == b.target for a, b in zip(found, test.examples, strict=True)]) > 0.25


_fitted: dict[str, object] = {}


def _fit(method: MLE):
    """Trained once."""
    if method.name not in _fitted:
        _fitted[method.name] = method.fit(conditional_corpus(800), FakeRun(save=False))
    return _fitted[method.name]


def test_warm_up_is_laid_over_the_schedule():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.Adam([weight], lr=1.0)
    rates = {}
    for warmup in (0, 4):
        config = MLEConfig(learning_rate=0.1, schedule="linear", warmup=warmup)
        rates[warmup] = []
        for step in range(10):
            _set_rate(optimiser, config, Course(step=step), 10)
            rates[warmup].append(optimiser.param_groups[0]["lr"])
    assert rates[0] == [0.1 * 1.0 * (1.0 - step / 10) for step in range(10)]
    assert rates[4] == pytest.approx([rate * min(1, (t + 1) / 4) for t, rate in enumerate(rates[0])])
    assert mle.MLE_VERSION == 1, "without warm-up nothing has changed"
