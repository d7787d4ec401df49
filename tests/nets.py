"""What every encoder-decoder network promises, as checks for the test file of each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from baselines.decoding import Limits, greedy, sample
from baselines.nets.base import AutoregressiveNet, Memory, pick
from baselines.training.rollout import roll_out, sample_with_states
from tests.fresh import fresh_seed

VOCAB, SOURCES, ROWS, WIDE, TIME = 23, 17, 6, 8, 7
EOS, BOS, PAD = 0, VOCAB, VOCAB + 1

Make = Callable[[float], AutoregressiveNet]  # from a rate of dropout


def stream() -> torch.Generator:
    return torch.Generator().manual_seed(fresh_seed())


def rough(net: AutoregressiveNet, rng: torch.Generator) -> AutoregressiveNet:
    """In float64, in evaluation mode, every weight far from where it starts."""
    net = net.double().eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            gain = "norm" in name and name.endswith("weight")
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64) + gain)
    return net


def some_sources(rng: torch.Generator, rows: int = ROWS) -> tuple[Tensor, Tensor]:
    """Of 1 to WIDE tokens, the first row the widest, the last of one token."""
    lengths = torch.randint(1, WIDE + 1, (rows,), generator=rng)
    lengths[0], lengths[-1] = WIDE, 1 if rows > 1 else WIDE
    return torch.randint(SOURCES, (rows, WIDE), generator=rng), lengths


def some_inputs(rng: torch.Generator, rows: int = ROWS) -> Tensor:
    inputs = torch.randint(VOCAB, (rows, TIME), generator=rng)
    inputs[:, 0] = BOS
    return inputs


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def check_steps(make: Make) -> None:
    """A step equals teacher forcing, also with fixed weights; states are [time, batch, ...] of constant shape."""
    rng = stream()
    net, inputs = rough(make(0.3), rng), some_inputs(rng)
    with torch.no_grad():
        memory = net.encode(*some_sources(rng))
        forced = net(inputs, memory)
        stepped, states = net.states(inputs, memory)
        with net.fixed_weights():
            fixed, _ = net.states(inputs, memory)
        start = net.initial_state(ROWS, memory)
    assert forced.shape == (ROWS, TIME, net.output.in_features)
    assert [part.shape for part in states] == [(TIME, *part.shape) for part in start]
    assert all(len(part) == ROWS for part in (*start, *memory))
    close(stepped, forced)
    close(fixed, forced)


def check_gradients(make: Make) -> None:
    """Steps have the gradients of teacher forcing, and every weight gets one."""
    rng = stream()
    net, inputs, batch = rough(make(0.0), rng), some_inputs(rng), some_sources(rng)
    found: list[dict[str, Tensor]] = []
    for forward in (net.forward, lambda inputs, memory: net.states(inputs, memory)[0]):
        net.zero_grad()
        features = forward(inputs, net.encode(*batch))
        net.output(features).log_softmax(-1).square().mean().backward()
        found.append({name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None})
    missing = {name for name, _ in net.named_parameters()} - found[0].keys()
    assert not missing, f"no gradient reaches {missing}"
    for name, gradient in found[0].items():
        close(found[1][name], gradient)
        assert gradient.abs().max() > 1e-12 or name.endswith(NO_MATTER), f"no gradient reaches {name}"


NO_MATTER = ("k_proj.bias",)  # the same for all keys of a query, so that a softmax does not see it


def check_padding(make: Make) -> None:
    """Neither what stands behind a source's end, nor how wide the batch is, nor who else is in it, has an influence."""
    rng = stream()
    net, inputs, (batch, lengths) = rough(make(0.3), rng), some_inputs(rng), some_sources(rng)
    other = torch.randint(SOURCES, batch.shape, generator=rng)
    garbage = torch.where(torch.arange(WIDE) >= lengths[:, None], other, batch)
    wide = torch.cat([batch, other[:, :5]], 1)
    with torch.no_grad():
        expected = net(inputs, net.encode(batch, lengths))
        for padded in (garbage, wide):
            close(net(inputs, net.encode(padded, lengths)), expected)
        for row in range(ROWS):
            alone = net.encode(batch[row : row + 1, : lengths[row]], lengths[row : row + 1])
            close(net(inputs[row : row + 1], alone)[0], expected[row])
        longer = torch.cat([inputs[:, :4], torch.full((ROWS, 3), PAD)], 1)
        close(net(longer, net.encode(batch, lengths))[:, :4], expected[:, :4])


def check_every_source_token(make: Make) -> None:
    """Each is seen, and so is their order."""
    rng = stream()
    net, inputs, (batch, lengths) = rough(make(0.0), rng), some_inputs(rng, 1), some_sources(rng, 1)
    batch = torch.randperm(SOURCES, generator=rng)[None, :WIDE]
    with torch.no_grad():
        expected = net(inputs, net.encode(batch, lengths))
        for place in range(WIDE):
            changed = batch.clone()
            changed[0, place] = (changed[0, place] + 1) % SOURCES
            assert (net(inputs, net.encode(changed, lengths)) - expected).abs().max() > 1e-9, place
        assert (net(inputs, net.encode(batch.flip(1), lengths)) - expected).abs().max() > 1e-9


def check_an_empty_source(make: Make) -> None:
    net = rough(make(0.0), stream())
    memory = net.encode(torch.full((2, 3), SOURCES - 1), torch.tensor([0, 2]))
    assert net(torch.zeros(2, 4, dtype=torch.int64), memory).isfinite().all()


def check_rollouts(make: Make) -> None:
    """Rollouts that start from kept states are those that greedy reading of the whole prefix gives."""
    rng = stream()
    net, n = rough(make(0.3), rng), 2
    with torch.no_grad(), net.fixed_weights():
        memory = net.encode(*some_sources(rng))
        uniforms = torch.rand(ROWS, TIME, generator=rng, dtype=torch.float64)
        sampled = sample_with_states(net, memory, uniforms, bos=BOS, pad=PAD, eos=EOS)
        draws = torch.rand(TIME - 1, ROWS, n, TIME, generator=rng, dtype=torch.float64)
        rolled = roll_out(net, memory, sampled, draws, pad=PAD, eos=EOS)
    row = 0
    for t, chosen in enumerate(rolled.items, 1):
        for item in chosen.tolist():
            for i in range(n):
                _check_rollout(net, pick(memory, torch.tensor([item])), rolled.tokens[row], t, draws[t - 1, item, i])
                row += 1
    assert row == len(rolled.tokens)


def _check_rollout(net: AutoregressiveNet, memory: Memory, tokens: Tensor, start: int, uniforms: Tensor) -> None:
    """Each token behind the prefix is the one that its random number picks, read from the whole text before it."""
    ids = tokens[tokens != PAD]
    with torch.no_grad():
        inputs = torch.cat([torch.tensor([BOS]), ids[:-1]])[None]
        sums = net.output(net(inputs, memory)[0]).softmax(-1).cumsum(-1)
    for s in range(start, len(ids)):
        token = int(ids[s])
        below = float(sums[s, token - 1]) if token else 0.0
        assert below - 1e-6 <= float(uniforms[s]) <= float(sums[s, token]) + 1e-6


def check_decoding(make: Make) -> None:
    """Sampling drops rows that have ended; the text that is left does not depend on its neighbours."""
    rng = stream()
    net, limits = rough(make(0.3), rng), Limits(BOS, EOS, TIME)
    uniforms = torch.rand(ROWS, TIME, generator=rng, dtype=torch.float64)
    with torch.no_grad():
        memory = net.encode(*some_sources(rng))
        together, best = sample(net, memory, uniforms, limits), greedy(net, memory, ROWS, limits)
        for row in range(ROWS):
            own = pick(memory, torch.tensor([row]))
            alone = sample(net, own, uniforms[row : row + 1], limits)
            assert alone[0].tolist() == together[row].tolist()
            assert greedy(net, own, 1, limits)[0].tolist() == best[row].tolist()


def check_alignments(make: Make) -> None:
    """Attention to the source: sums to 1 over its own words, 0 on padding, the same from steps and from the whole."""
    rng = stream()
    net, inputs, (batch, lengths) = rough(make(0.3), rng), some_inputs(rng), some_sources(rng)
    with torch.no_grad():
        memory = net.encode(batch, lengths)
        weights = net.alignments(inputs, memory)
        assert weights is not None
        assert weights.shape == (ROWS, TIME, WIDE)
        close(weights.sum(-1), torch.ones(ROWS, TIME, dtype=torch.float64))
        assert (weights * (torch.arange(WIDE) >= lengths[:, None, None])).abs().max() == 0
        state = net.initial_state(ROWS, memory)
        for t, tokens in enumerate(inputs.unbind(1)):
            stepped = net.step_with_weights(tokens, state, memory)
            assert stepped is not None
            features, state, found = stepped
            close(found, weights[:, t])
        close(features, net(inputs, memory)[:, -1])


ALL = (
    *(check_steps, check_gradients, check_padding, check_every_source_token),
    *(check_an_empty_source, check_rollouts, check_decoding),
)
ATTENTIVE = (*ALL, check_alignments)
