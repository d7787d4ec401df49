"""GPT: the cached step against the whole and against plain formulas, and training."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.decoding import Limits, greedy, sample
from baselines.gpt import GPT, GPTConfig, LanguageModel, TrainingConfig
from baselines.merging import merge
from baselines.nets import transformer
from baselines.nets.base import pick
from baselines.nets.transformer import TransformerLanguageModel, initialise
from baselines.neural import NeuralGenerator
from baselines.training.tuning import decaying_adam, set_rate
from tasks.base import Ragged
from tests.checkpoints import make_checkpoint
from tests.fakes import FakeRun, Interrupted, Saved
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus, free_corpus

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow  # the library alone takes seconds to import

TINY: dict[str, Any] = {
    "layers": 2,
    "heads": 2,
    "width": 8,
    "dropout": 0.2,
    "training": {"epochs": 2, "batch": 16, "learning_rate": 1e-2, "warmup": 3},
    "tuning": {"epochs": 2, "batch": 16, "learning_rate": 1e-2, "warmup": 3},
}
CORPORA = {"free": free_corpus(60), "fixed": free_corpus(60, fixed_length=5)}
VOCAB, PLACES = 11, 9


def tiny(**settings: Any) -> GPT:
    return GPT(GPTConfig.model_validate(merge(TINY, settings)))


def rough_net(seed: int, vocab: int = VOCAB, places: int = PLACES, layers: int = 3) -> TransformerLanguageModel:
    """In float64, in evaluation mode, with every weight, gain and bias far from where it starts."""
    net = TransformerLanguageModel(vocab, places, 12, layers, 2, dropout=0.3).double().eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            gain = ".ln_" in name and name.endswith("weight")
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64) + gain)
    return net


def rough_ids(seed: int, rows: int = 6, places: int = PLACES) -> Tensor:
    ids = torch.randint(VOCAB, (rows, places), generator=torch.Generator().manual_seed(seed + 1))
    ids[:, 0] = VOCAB
    return ids


def reference_log_probs(net: TransformerLanguageModel, ids: list[int]) -> Tensor:
    """GPT-2 as its report has it, one sequence, in formulas: log-probabilities of the next token [time, vocab]."""
    w = {name.removeprefix("transformer."): value for name, value in net.state_dict().items()}
    table = torch.cat([w["output.weight"], w["embedding.weight"]])

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]

    def product(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = table[ids] + w["wpe.weight"][: len(ids)]
    size = net.width // net.heads
    for layer in range(len(net.transformer.h)):
        h = f"h.{layer}"
        q, k, v = product(norm(x, f"{h}.ln_1"), f"{h}.attn.c_attn").split(net.width, -1)
        seen = []
        for head in range(net.heads):
            part = slice(head * size, (head + 1) * size)
            scores = q[:, part] @ k[:, part].T / math.sqrt(size)
            future = torch.ones_like(scores).triu(1).bool()
            seen.append(scores.masked_fill(future, -math.inf).softmax(-1) @ v[:, part])
        x = x + product(torch.cat(seen, -1), f"{h}.attn.c_proj")
        inner = product(norm(x, f"{h}.ln_2"), f"{h}.mlp.c_fc")
        gelu = 0.5 * inner * (1 + torch.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
        x = x + product(gelu, f"{h}.mlp.c_proj")
    return (norm(x, "ln_f") @ w["output.weight"].T + w["output.bias"]).log_softmax(-1)


def run_steps(net: TransformerLanguageModel, ids: Tensor) -> Tensor:
    state, features = net.initial_state(len(ids), ()), []
    for tokens in ids.unbind(1):
        feature, state = net.step(tokens, state, ())
        features.append(feature)
    return torch.stack(features, 1)


# the network


def test_the_network_is_gpt_2() -> None:
    net, ids = rough_net(fresh_seed()), rough_ids(fresh_seed())
    found = net.output(net(ids)).log_softmax(-1)
    for row, line in zip(found, ids.tolist(), strict=True):
        torch.testing.assert_close(row, reference_log_probs(net, line), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("fixed", [False, True])
def test_steps_with_a_cache_equal_the_whole(fixed: bool) -> None:
    net, ids = rough_net(fresh_seed()), rough_ids(fresh_seed())
    with torch.no_grad():
        whole = net(ids)
        if fixed:
            with net.fixed_weights():
                steps = run_steps(net, ids)
        else:
            steps = run_steps(net, ids)
    torch.testing.assert_close(steps, whole, rtol=1e-10, atol=1e-10)


def test_gradients_through_steps_equal_those_through_the_whole() -> None:
    net, ids = rough_net(fresh_seed()), rough_ids(fresh_seed())
    weight = torch.randn(12, dtype=torch.float64)
    gradients = []
    for features in (net(ids), run_steps(net, ids)):
        net.zero_grad()
        (features @ weight).sum().backward()
        gradients.append([None if p.grad is None else p.grad.clone() for p in net.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_states_of_different_positions_can_be_joined() -> None:
    """Rows that are dropped, repeated and reordered, and rows that began later, go on as if alone."""
    net, ids = rough_net(fresh_seed()), rough_ids(fresh_seed())
    with torch.no_grad(), net.fixed_weights():
        whole = net(ids)
        early, late = net.initial_state(6, ()), net.initial_state(6, ())
        for t in range(5):
            _, early = net.step(ids[:, t], early, ())
        for t in range(2):
            _, late = net.step(ids[:, t], late, ())
        first, second = torch.tensor([4, 1, 1, 5]), torch.tensor([0, 4, 3])
        state = tuple(torch.cat(p) for p in zip(pick(early, first), pick(late, second), strict=True))
        rows, places = torch.cat([first, second]), torch.tensor([5] * 4 + [2] * 3)
        for _ in range(3):
            features, state = net.step(ids[rows, places], state, ())
            torch.testing.assert_close(features, whole[rows, places], rtol=1e-10, atol=1e-10)
            places = places + 1


def test_a_state_can_be_read_on_from_twice() -> None:
    net, ids = rough_net(fresh_seed()), rough_ids(fresh_seed())
    with torch.no_grad():
        _, state = net.step(ids[:, 0], net.initial_state(6, ()), ())
        first, after_first = net.step(ids[:, 1], state, ())
        again, _ = net.step(ids[:, 1], state, ())
        assert torch.equal(first, again)
        net.step(ids[:, 2], state, ())
        further, _ = net.step(ids[:, 3], after_first, ())
        torch.testing.assert_close(further, net(ids[:, [0, 1, 3]])[:, 2], rtol=1e-10, atol=1e-10)


def test_states_after_every_token_can_be_gone_on_from() -> None:
    net, ids = rough_net(fresh_seed()), rough_ids(fresh_seed())
    with torch.no_grad(), net.fixed_weights():
        whole = net(ids)
        features, states = net.states(ids[:, :6], ())
        torch.testing.assert_close(features, whole[:, :6], rtol=1e-10, atol=1e-10)
        for t in (0, 2, 4):
            then = tuple(part[t] for part in states)
            found, _ = net.step(ids[:, t + 1], pick(then, torch.arange(6)), ())
            torch.testing.assert_close(found, whole[:, t + 1], rtol=1e-10, atol=1e-10)


def test_rows_that_end_do_not_change_the_others() -> None:
    """Samples and greedy text of a batch are those of each row alone, token by token, without a cache."""
    limits = Limits(VOCAB, 0, PLACES)
    uniforms = torch.rand(24, PLACES, generator=torch.Generator().manual_seed(fresh_seed()), dtype=torch.float64)
    for offset in range(50):  # one of rough weights may never say the end, or say it at once
        net = rough_net(fresh_seed() + offset)
        together = sample(net, (), uniforms, limits)
        if len(set(together.lengths.tolist())) > 1:
            break
    assert len(set(together.lengths.tolist())) > 1
    for row in range(24):
        ids = [VOCAB]
        for t in range(PLACES):
            cdf = reference_log_probs(net, ids)[-1].exp().cumsum(0)
            ids.append(min(int((cdf <= uniforms[row, t]).sum()), VOCAB - 1))
            if ids[-1] == 0:
                break
        assert together[row].tolist() == ids[1:]
    assert len(greedy(net, (), 3, limits)) == 3


def test_padding_is_never_attended_to_or_scored() -> None:
    corpus, net = CORPORA["free"], rough_net(fresh_seed(), CORPORA["free"].vocab.size)
    generator = LanguageModel(net, corpus)
    targets = corpus.splits["train"].targets
    assert len(set(targets.lengths.tolist())) > 1
    gradients = []
    for batches in ([targets], [targets.take([i]) for i in range(len(targets))]):
        net.zero_grad()
        loss = torch.stack([generator.loss(part) for part in batches]).sum()
        loss.backward()
        gradients.append((loss.item(), [p.grad.clone() for p in net.parameters() if p.grad is not None]))
    (one, ours), (other, alone) = gradients
    assert one == pytest.approx(other, rel=1e-10)
    for a, b in zip(ours, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)
    assert net.embedding.weight.grad is not None
    assert torch.equal(net.embedding.weight.grad[1], torch.zeros(12, dtype=torch.float64))  # the row of `pad`


@pytest.mark.parametrize("kind", CORPORA)
def test_log_probs_and_loss_are_those_of_the_formulas(kind: str) -> None:
    corpus = CORPORA[kind]
    net = rough_net(fresh_seed(), corpus.vocab.size)
    generator, targets = LanguageModel(net, corpus), corpus.splits["test"].targets
    found, start = generator.token_log_probs(targets), 0
    for row in range(len(targets)):
        ids = targets[row].tolist()
        expected = reference_log_probs(net, [corpus.vocab.bos, *ids[:-1]])[range(len(ids)), ids]
        np.testing.assert_allclose(found[start : start + len(ids)], expected, atol=1e-9)
        start += len(ids)
    assert generator.loss(targets).item() == pytest.approx(-found.sum(), rel=1e-9)


@pytest.mark.parametrize("kind", CORPORA)
def test_there_are_places_for_the_longest_text(kind: str) -> None:
    corpus = dataclasses.replace(CORPORA[kind], max_target_length=CORPORA[kind].fixed_length or 20)
    generator = tiny().build(corpus)
    longest = corpus.max_target_length
    assert len(generator.token_log_probs(Ragged.from_lists([[2] * longest]))) == longest
    with torch.no_grad():
        assert generator.net(torch.full((1, longest + 1), 3)).shape == (1, longest + 1, 8)


def test_first_weights_are_gpt_2s_and_the_seeds() -> None:
    net = TransformerLanguageModel(500, 9, 64, 4, 4)
    initialise(net, torch.Generator().manual_seed(1))
    weights = dict(net.named_parameters())
    assert weights["transformer.h.0.mlp.c_fc.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert weights["transformer.h.2.attn.c_proj.weight"].std().item() == pytest.approx(0.02 / math.sqrt(8), rel=0.05)
    assert weights["output.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert weights["transformer.ln_f.weight"].mean().item() == 1
    assert all(not value.any() for name, value in weights.items() if name.endswith("bias"))
    twin = TransformerLanguageModel(500, 9, 64, 4, 4)
    initialise(twin, torch.Generator().manual_seed(1))
    assert all(torch.equal(value, weights[name]) for name, value in twin.named_parameters())
    assert not any(value.data_ptr() == 0 for value in net.state_dict().values())


def test_building_touches_no_network_and_nothing_global(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: wanted.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: wanted.append(a))
    before = (torch.get_rng_state(), dict(os.environ), torch.get_default_dtype(), transformers.logging.get_verbosity())
    tiny().build(CORPORA["free"])
    after = (torch.get_rng_state(), dict(os.environ), torch.get_default_dtype(), transformers.logging.get_verbosity())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert not wanted


@pytest.mark.slow
def test_the_module_imports_without_transformers() -> None:
    code = (
        "import sys; sys.modules['transformers'] = None; import baselines.gpt as g; g.GPT().preset('small', 'a', 'b')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


def test_without_transformers_the_table_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tiny().supports(CORPORA["free"]) is None
    monkeypatch.setattr(transformer.importlib.util, "find_spec", lambda name: None)
    assert "[transformers]" in (tiny().supports(CORPORA["free"]) or "")
    with pytest.raises(ModuleNotFoundError, match=r"extra \[transformers\]: pip install"):
        tiny().build(CORPORA["free"])


def test_dropout_is_for_training_alone() -> None:
    corpus = CORPORA["free"]
    generator = tiny(dropout=0.5).fit(corpus, FakeRun(save=False))
    generator.train()
    targets = corpus.splits["test"].targets
    assert np.array_equal(generator.token_log_probs(targets), generator.token_log_probs(targets))
    draws = [generator.sample(20, rng=torch.Generator().manual_seed(0)).flat for _ in range(2)]
    assert np.array_equal(*draws)
    assert generator.net.training
    assert generator.loss(targets).item() != generator.loss(targets).item()


# training


def test_rates_rise_and_fall() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([parameter], lr=7.0)
    rates = {}
    for schedule in ("cosine", "linear"):
        settings = TrainingConfig(learning_rate=2.0, warmup=4, schedule=schedule)
        rates[schedule] = []
        for step in range(13):
            set_rate(optimiser, settings.learning_rate * settings.share(step, 12))
            rates[schedule].append(optimiser.param_groups[0]["lr"])
    assert rates["linear"] == pytest.approx([0.5, 1, 1.5, 2, 2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.25, 0])
    cosine = [1 + math.cos(math.pi * k / 8) for k in range(9)]
    assert rates["cosine"] == pytest.approx([0.5, 1, 1.5, 2, *cosine], abs=1e-12)


def test_gains_and_biases_do_not_decay() -> None:
    net = tiny().build(CORPORA["free"]).net
    decayed, kept = decaying_adam(net, TrainingConfig(weight_decay=0.3)).param_groups
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.3, 0.0)
    assert all(name.endswith("bias") or ".ln_" in name for name in (names[id(p)] for p in kept["params"]))
    assert all(name.endswith("weight") and ".ln_" not in name for name in (names[id(p)] for p in decayed["params"]))
    assert len(decayed["params"]) + len(kept["params"]) == len(names)


def test_only_dropout_draws_from_the_global_stream() -> None:
    ends = []
    for seed in (1, 2):
        run = FakeRun(save=False)
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        ends.append(tiny(dropout=0.0).fit(CORPORA["free"], run).state_dict())
        assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_training_never_reads_test_and_valid_only_to_choose() -> None:
    corpus = CORPORA["free"]
    other = free_corpus(60, seed=7)
    without_test = dataclasses.replace(corpus, splits={**corpus.splits, "test": other.splits["test"]})
    first, second = (tiny().fit(c, FakeRun(save=False)).state_dict() for c in (corpus, without_test))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_weights_best_on_valid_are_kept_and_training_stops() -> None:
    corpus, run = CORPORA["free"], FakeRun(save=False)
    generator = tiny(training={"epochs": 30, "learning_rate": 0.5, "warmup": 0, "patience": 2}).fit(corpus, run)
    looks = [line["valid_nll"] for line in run.saved.log]
    best = looks.index(min(looks))
    assert len(looks) == best + 3 < 30
    assert -generator.token_log_probs(corpus.splits["valid"].targets).mean() == pytest.approx(min(looks), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*CORPORA, "checkpoint"])
def test_interrupted_anywhere_it_ends_the_same_to_the_bit(kind: str, tmp_path: Path) -> None:
    corpus = CORPORA.get(kind, CORPORA["free"])
    settings = {"checkpoint": str(make_checkpoint(tmp_path, list("hgfedcba")))} if kind == "checkpoint" else {}
    whole = FakeRun(save=False)
    expected = tiny(**settings).fit(corpus, whole).state_dict()
    assert whole.safe_points == 8
    for place in (3, 6):
        saved = Saved()
        with pytest.raises(Interrupted):
            tiny(**settings).fit(corpus, FakeRun(saved=saved, stop_at=place, save=False))
        resumed = tiny(**settings).fit(corpus, FakeRun(saved=saved, save=False)).state_dict()
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), place
        assert saved.log == whole.saved.log


def test_which_corpora_and_which_track() -> None:
    assert tiny().supports(CORPORA["fixed"]) is None
    assert "sources" in (tiny().supports(conditional_corpus(20)) or "")
    assert "oracle" in (tiny(checkpoint="x").supports(dataclasses.replace(CORPORA["fixed"], oracle=object())) or "")
    assert (tiny().track(), tiny(checkpoint="x").track()) == ("scratch", "pretrained")


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
@pytest.mark.parametrize("task", ["oracle", "poetry", "speech", "captions"])
def test_presets_are_whole_configs(budget: str, task: str) -> None:
    config = GPTConfig.model_validate(GPT.preset(budget, task, "free"))
    assert config.checkpoint is None
    assert config.tuning.learning_rate == 6.25e-5  # a preset that names one constant of it leaves the others


def test_heads_share_the_width() -> None:
    with pytest.raises(ValueError, match="width 10 is not a multiple of heads 3"):
        GPTConfig(width=10, heads=3)


@pytest.mark.slow
def test_it_learns() -> None:
    """Ascending runs with a random start and one of four lengths: all there is to know is ln 8 + ln 4 nats a text."""
    corpus, run = free_corpus(400), FakeRun(save=False)
    settings = {"epochs": 12, "batch": 16, "learning_rate": 1e-2, "warmup": 20}
    generator = tiny(width=24, dropout=0.0, training=settings).fit(corpus, run)
    valid = corpus.splits["valid"].targets
    entropy = math.log(8 * 4) * len(valid) / len(valid.flat)
    looks = [line["valid_nll"] for line in run.saved.log]
    assert looks[0] > 1.5 * entropy
    assert entropy - 0.05 < -generator.token_log_probs(valid).mean() < 1.15 * entropy
    texts = corpus.decode(generator.sample(200, rng=torch.Generator().manual_seed(1)))
    letters = [[ord(letter) - 97 for letter in text.split() if len(letter) == 1] for text in texts]
    right = [all((b - a) % 8 == 1 for a, b in itertools.pairwise(line)) for line in letters]
    assert np.mean(right) > 0.85  # by chance less than 0.01


def test_sampling_and_scoring_are_those_of_every_network() -> None:
    """Sampling and scoring are everybody's: no part of them is this method's own."""
    generator = tiny().build(CORPORA["free"])
    assert isinstance(generator, NeuralGenerator)
    assert {name for name in vars(LanguageModel) if not name.startswith("__")} == {"loss", "log_probs"}
