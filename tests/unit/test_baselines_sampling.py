"""Drawing tokens: the right distribution, and no invalid token at the edges."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from baselines.sampling import TokenSampler, draw
from tests.fresh import fresh_seed


def chi_square_p(ids: torch.Tensor, probabilities: torch.Tensor) -> float:
    """Tokens expected fewer than 10 times are counted together."""
    expected = (probabilities.double() / probabilities.double().sum()) * ids.numel()
    seen = torch.bincount(ids.flatten(), minlength=len(expected)).double()
    rare = expected < 10
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    seen = torch.cat([seen[~rare], seen[rare].sum()[None]])
    kept = expected > 0
    assert (seen[~kept] == 0).all()
    return float(stats.chisquare(seen[kept].numpy(), expected[kept].numpy()).pvalue)


@pytest.mark.parametrize("vocab", [1, 2, 3, 17, 100, 1003])
def test_draws_follow_the_distribution(vocab):
    rng = torch.Generator().manual_seed(vocab)
    logits = 2 * torch.randn(3, vocab, generator=rng)
    if vocab > 3:
        logits[:, 1::7] = float("-inf")
    ids = draw(logits, torch.rand(3, 60_000, generator=rng))
    assert ids.shape == (3, 60_000)
    for row in range(3):
        assert vocab == 1 or chi_square_p(ids[row], logits[row].softmax(0)) > 1e-4


def test_sampler_gives_the_draws_of_its_layer():
    rng = torch.Generator()
    rng.manual_seed(fresh_seed())
    for vocab, temperature in ((7, 1.0), (50, 0.5), (1234, 1.7)):
        output = nn.Linear(9, vocab)
        features, uniforms = torch.randn(700, 9, generator=rng), torch.rand(700, 4, generator=rng)
        probabilities = (output(features).double() / temperature).softmax(1)
        ids = TokenSampler(output, temperature)(features, uniforms)
        # The CDF is that of blocks of tokens in order, so the draw is where the plain CDF passes the uniform.
        cdf = torch.cat([torch.zeros(700, 1), probabilities.cumsum(1)], 1)
        assert (cdf.gather(1, ids) <= uniforms + 1e-5).all()
        assert (cdf.gather(1, ids + 1) >= uniforms - 1e-5).all()


@pytest.mark.parametrize("vocab", [2, 15, 16, 17, 4999])
def test_edges_give_tokens_that_can_be_drawn(vocab):
    below_one = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0)).item()
    uniforms = torch.tensor([[0.0, below_one, 1.0, 0.5]]).expand(4, -1)
    logits = torch.randn(4, vocab)
    logits[0, : vocab // 2] = float("-inf")
    logits[1, vocab // 2 :] = float("-inf")
    logits[2, 0], logits[2, 1:] = 0.0, -200.0
    logits[3] = float("-inf")
    logits[3, vocab - 1] = -1e4
    ids = draw(logits, uniforms)
    assert ((ids >= 0) & (ids < vocab)).all()
    assert torch.gather(logits, 1, ids).isfinite().all()
    assert (ids[2] == 0).all()
    assert (ids[3] == vocab - 1).all()


def test_no_uniform_gives_an_invalid_token():
    """Float32 sums of blocks and of tokens differ in their last bits; a fine grid of uniforms meets every seam."""
    logits = torch.randn(2, 300) * 4
    logits[:, 290:] = float("-inf")
    ids = draw(logits, torch.linspace(0, 1, 400_001).expand(2, -1))
    assert int(ids.min()) >= 0
    assert int(ids.max()) < 290
    assert (ids.diff(dim=1) >= 0).float().mean() > 0.999


def test_draws_of_a_row_are_those_of_its_uniforms_alone():
    logits, uniforms = torch.randn(5, 40), torch.rand(5, 8)
    together = draw(logits, uniforms)
    for row in range(5):
        for place in range(8):
            assert draw(logits[row, None], uniforms[row, place, None, None]).item() == together[row, place]


def test_not_a_number_gives_a_valid_id():
    """A diverged network is told by its figures; drawing from it must not end in an index error."""
    ids = draw(torch.full((2, 30), float("nan")), torch.rand(2, 3))
    assert ((ids >= 0) & (ids < 30)).all()
