"""Beam-search optimisation: where the search along the target goes wrong, and what is pulled apart."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.base import CannotDecode, Decoding
from baselines.bso import BSO, BeamLearner, BSOConfig, Violations
from baselines.decoding import Limits
from baselines.merging import merge
from baselines.mrt import MRT, MRTConfig
from baselines.nets.lstm import initialise
from baselines.training.batches import Batch, shifted
from baselines.training.raw_beam import RawBeam, raw_beam_search
from tasks.base import Corpus, Ragged
from tests.fakes import FakeRun
from tests.fresh import fresh_seed
from tests.toys import conditional_corpus

TINY: dict[str, Any] = {
    "mle": {
        "net": {"embedding": 8, "hidden": 8, "encoder": 6, "attention": 6, "readout": 8, "dropout": 0.2},
        "epochs": 1,
    },
    "steps": 4,
    "beam_steps": 2,
    "batch": 8,
    "valid_every": 2,
    "valid_rows": 10,
}
CORPUS = conditional_corpus(64)


def tiny(**settings: Any) -> BSO:
    return BSO(BSOConfig.model_validate(merge(TINY, settings)))


def learner(seed: int = 0, corpus: Corpus = CORPUS, scale: float = 1.0, **settings: Any) -> BeamLearner:
    """With weights of about `scale`: small ones make margins narrow and violations many."""
    method = tiny(**settings)
    generator = method.build(corpus)
    initialise(generator.net, "uniform", scale, torch.Generator().manual_seed(seed))
    generator.net.eval()
    return BeamLearner(corpus, method.config, generator, FakeRun(seed))


def scores_after(some: BeamLearner, memory: Any, prefix: list[int]) -> Tensor:
    """What the output layer gives every token after a prefix [vocab], with gradient, from the first token on."""
    inputs = torch.tensor([[CORPUS.vocab.bos, *prefix]])
    found: Tensor = some.net.output(some.net(inputs, memory)[0, -1])
    return found


@dataclasses.dataclass
class Wrong:
    time: int
    start: int
    prefix: list[int]
    margin: Tensor


def searched(some: BeamLearner, memory: Any, gold: list[int], width: int) -> list[Wrong]:
    """The search along one target, prefix by prefix: the definition."""
    found, beam, start = [], [[]], 0
    for t, token in enumerate(gold):
        ranked: list[tuple[Tensor, list[int]]] = []
        for prefix in beam:
            values = scores_after(some, memory, prefix)
            ranked += [(values[w], [*prefix, w]) for w in range(CORPUS.vocab.size)]
        ranked.sort(key=lambda pair: -float(pair[0].detach()))
        aim = scores_after(some, memory, gold[:t])[token]
        if t + 1 == len(gold):
            value, prefix = next(pair for pair in ranked if pair[1] != gold)
        else:
            value, prefix = ranked[width - 1] if len(ranked) >= width else (torch.tensor(float("-inf")), [])
        margin = 1 - aim + value
        if float(margin.detach()) > 0:
            found.append(Wrong(t, start, prefix, margin))
            beam, start = [gold[: t + 1]], t + 1
        else:
            beam = [prefix for _, prefix in ranked if prefix[-1] != CORPUS.vocab.eos][:width]
    return found


def found_by(some: BeamLearner, batch: Batch, width: int) -> Violations:
    with torch.no_grad():
        memory = some.net.encode(*batch.sources)
        features, states = some._along(batch.inputs, memory)
        logits = some.net.output(features)
        gold = logits.gather(2, batch.targets.clamp(max=logits.shape[2] - 1).unsqueeze(2)).squeeze(2)
        return some.search(batch, memory, states, gold, width)


@pytest.mark.parametrize(("width", "scale"), [(1, 1.0), (2, 3.0), (3, 1.0), (5, 3.0)])
def test_the_search_and_its_step_are_those_of_the_definition(width: int, scale: float) -> None:
    """Violations, costs, loss and gradient against one source at a time with whole prefixes, in float64."""
    some = learner(fresh_seed(), scale=scale, batch=4)
    some.net.double()
    batch, pad = some.pairs.draw(), CORPUS.vocab.pad
    found = found_by(some, batch, width)
    loss = torch.zeros((), dtype=torch.double)
    count = 0
    for i in range(4):
        gold = batch.targets[i][batch.inside[i]].tolist()
        memory = some.net.encode(batch.sources[0][i : i + 1], batch.sources[1][i : i + 1])
        expected = searched(some, memory, gold, width)
        assert found.places[i].nonzero().squeeze(1).tolist() == [wrong.time for wrong in expected]
        for wrong in expected:
            stretch = slice(wrong.start, wrong.time + 1)
            assert found.wrong[i, stretch].tolist() == wrong.prefix[stretch]
            assert bool(found.begins[i, wrong.start])
            theirs, ours = wrong.prefix[stretch], gold[stretch]
            cost = 0.0 if theirs == ours else 1 - float(some.bleu(torch.tensor([theirs]), torch.tensor([ours])))
            assert float(found.cost[i, wrong.time]) == pytest.approx(cost, abs=1e-9)
            loss = loss + cost * wrong.margin / 4
        count += len(expected)
    begun = found.begins.clone()
    begun[:, 0] = False
    assert torch.equal(begun[:, 1:], found.places[:, :-1])
    assert (found.wrong[~batch.inside] == pad).all()

    start = {name: value.clone() for name, value in some.net.state_dict().items()}
    figures = some.step(batch, width)
    assert float(figures["violations"]) == pytest.approx(count / 4)
    assert float(figures["loss"]) == pytest.approx(float(loss.detach()), abs=1e-9)
    gradients = [None if weight.grad is None else weight.grad.clone() for weight in some.net.parameters()]
    if count:
        some.net.load_state_dict(start)
        some.net.zero_grad()
        again = torch.zeros((), dtype=torch.double)  # once more at these weights: the step moved them
        for i in range(4):
            gold = batch.targets[i][batch.inside[i]].tolist()
            memory = some.net.encode(batch.sources[0][i : i + 1], batch.sources[1][i : i + 1])
            for wrong in searched(some, memory, gold, width):
                again = again + found.cost[i, wrong.time] * wrong.margin / 4
        again.backward()
        nn.utils.clip_grad_norm_(some.net.parameters(), some.config.clip)
        for weight, gradient in zip(some.net.parameters(), gradients, strict=True):
            torch.testing.assert_close(gradient, weight.grad, rtol=1e-6, atol=1e-11)


def test_a_wide_margin_gives_no_violation_and_no_gradient() -> None:
    some = learner(fresh_seed())
    batch, plain = some.pairs.draw(), some.search
    assert found_by(some, batch, 2).places.any()
    some.search = lambda b, m, s, gold, k: plain(b, m, s, gold + 1e6, k)  # type: ignore[method-assign]
    figures = some.step(batch, 2)
    assert float(figures["violations"]) == float(figures["loss"]) == 0
    assert all((weight.grad == 0).all() for weight in some.net.parameters())


def test_prefixes_that_ended_do_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """`</s>` scores most everywhere, and no violation ever begins the search anew."""
    some, plain, kept = learner(fresh_seed()), RawBeam.keep, []
    with torch.no_grad():
        some.net.output.bias[CORPUS.vocab.eos] += 100
    monkeypatch.setattr(RawBeam, "keep", lambda self, *a: (plain(self, *a), kept.append((self, a[3])))[0])
    batch, search = some.pairs.draw(), some.search
    some.search = lambda b, m, s, gold, k: search(b, m, s, gold + 1e6, k)  # type: ignore[method-assign]
    some.step(batch, 3)
    (beam, time) = kept[-1]
    assert len(kept) == time + 1 == batch.targets.shape[1] - 1
    assert (beam.ids[beam.scores.isfinite()][:, : time + 1] != CORPUS.vocab.eos).all()


def test_the_first_of_a_tie_with_the_target_itself_costs_nothing() -> None:
    some = learner(fresh_seed(), scale=1e-3)  # all scores about equal: a beam of 1 is violated everywhere
    batch = some.pairs.draw()
    found = found_by(some, batch, 1)
    assert torch.equal(found.places, batch.inside)
    same = found.wrong == batch.targets
    before_end = batch.inside & ~(torch.arange(batch.targets.shape[1]) == batch.inside.sum(1, keepdim=True) - 1)
    assert (found.cost[same & before_end] == 0).all()
    assert not (same & batch.inside & ~before_end).any(), "at the end the offender is any but the target"
    assert (found.cost[~same & batch.inside] == 1).all()


def test_without_a_scale_every_violation_costs_one() -> None:
    some = learner(fresh_seed(), cost_scale=0.0)
    found = found_by(some, some.pairs.draw(), 3)
    assert torch.equal(found.cost, found.places.float())


def test_padding_gives_no_gradient() -> None:
    found = []
    for wide in (0, 3):
        some = learner(5)
        some.net.double()
        batch, pad = some.pairs.draw(), CORPUS.vocab.pad
        targets = nn.functional.pad(batch.targets, (0, wide), value=pad)
        some.step(Batch(shifted(targets, CORPUS.vocab.bos), targets, targets != pad, batch.sources), 3)
        found.append(some.net.state_dict())
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name], rtol=0, atol=1e-9)


@pytest.mark.parametrize("ending", ["top", "best"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_raw_beams_are_those_of_the_definition(size: int, ending: Any) -> None:
    """One source at a time with whole prefixes, ranked by their last token's score."""
    some = learner(fresh_seed(), scale=2.0)
    some.net.double()
    batch, eos = some.pairs.draw(), CORPUS.vocab.eos
    limits, quota = Limits(CORPUS.vocab.bos, eos, 4), 1 if ending == "top" else size
    drawn = raw_beam_search(some.net, some.net.encode(*batch.sources), 8, limits, size, ending)
    with torch.no_grad():
        for i in range(8):
            memory = some.net.encode(batch.sources[0][i : i + 1], batch.sources[1][i : i + 1])
            beam: list[list[int]] = [[]]
            ended: list[tuple[float, list[int]]] = []
            for t in range(4):
                values = [(scores_after(some, memory, prefix).tolist(), prefix) for prefix in beam]
                ranked = sorted(((v, [*p, w]) for vs, p in values for w, v in enumerate(vs)), key=lambda x: -x[0])
                if len(ended) < quota:
                    ended += [pair for pair in ranked[:quota] if pair[1][-1] == eos]
                if t == 3 and not ended:
                    ended = ranked[:1]
                beam = [p for _, p in ranked if p[-1] != eos][:size]
            assert drawn[i].tolist() == max(ended, key=lambda x: x[0])[1]


def test_beams_of_the_start_are_ranked_by_probability_and_those_of_the_end_by_scores() -> None:
    run = FakeRun()
    method = tiny()
    generator = method.fit(CORPUS, run)
    start = method.build(CORPUS)
    start.load_state_dict(run.saved.snapshots["pretrain"])
    assert (int(start.raw), int(generator.raw)) == (0, 1)
    sources, rng = CORPUS.splits["test"].sources, torch.Generator()

    def drawn(of: Any, how: str) -> list[list[int]]:
        found: Ragged = of.generate(sources, decoding=Decoding.parse(how), rng=rng.manual_seed(3))
        return [found[i].tolist() for i in range(len(found))]

    plain = MRT(MRTConfig.model_validate({"mle": method.config.mle.model_dump()})).build(CORPUS)
    plain.net.load_state_dict(start.net.state_dict())
    assert drawn(start, "beam3") == drawn(plain, "beam3")
    plain.net.load_state_dict(generator.net.state_dict())
    for how in ("greedy", "sample"):
        assert drawn(generator, how) == drawn(plain, how)
    assert drawn(generator, "beam3") != drawn(plain, "beam3")
    assert drawn(generator, "beam3@0.2") == drawn(generator, "beam3"), "scores aren't sums: no length to normalise by"
    assert drawn(generator, "beam1") == drawn(generator, "greedy")
    with pytest.raises(CannotDecode, match="raw scores"):
        drawn(generator, "beam3/cov0.2")


def test_the_beam_grows_with_the_steps() -> None:
    run = FakeRun()
    generator = tiny().fit(CORPUS, run)
    assert [line["beam"] for line in run.saved.log if line["stage"] == "bso"] == [2, 2, 3, 3]
    assert tiny(max_beam=2).config.max_beam == 2
    whole = BeamLearner(CORPUS, tiny(beam_steps=None, beam_epochs=2, steps=None).config, generator, FakeRun())
    whole.done.step = 5 * 8
    assert (whole.width, whole.total) == (4, 13 * 8)
    whole.done.step = 10**6
    assert whole.width == 6


def test_a_look_goes_by_the_beam_that_is_trained() -> None:
    method = tiny(max_beam=4, valid_rows=1000)
    generator = method.build(CORPUS)
    initialise(generator.net, "uniform", 1.0, torch.Generator().manual_seed(3))
    generator.raw.fill_(1)
    learner = BeamLearner(CORPUS, method.config, generator, FakeRun())
    valid = CORPUS.splits["valid"]
    bleu = {}
    for how in ("greedy", "beam3"):
        drawn = generator.generate(valid.sources, decoding=Decoding.parse(how), rng=torch.Generator())
        tokens, gold = (torch.from_numpy(part.padded(CORPUS.vocab.pad)) for part in (drawn, valid.targets))
        bleu[how] = float(learner.bleu(tokens, gold).mean())
    assert bleu["greedy"] != bleu["beam3"]
    assert learner.look_at_valid()["valid_bleu"] == pytest.approx(bleu["beam3"])
