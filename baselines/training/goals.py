"""What LeakGAN's manager and worker are rewarded with (Guo et al. 2018, section 3): directions, ranks of scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def goal_ends(lengths: Tensor, time: int, horizon: int) -> Tensor:
    """Length of the prefix in which a goal ends that is set after t = 0 .. time - 1 tokens: [batch, time].

    That is t + horizon, or the sequence's end where this comes first.
    """
    return torch.minimum(torch.arange(time, device=lengths.device) + horizon, lengths.unsqueeze(1))


def goal_progress(leaked: Tensor, goals: Tensor, ends: Tensor) -> Tensor:
    """Cosine of each goal and the way that the features went until its end: [batch, time].

    A goal under which no feature changes gets 0, and so does one set after the sequence's end.

    Args:
        leaked: features of the prefixes of 0 .. time tokens [batch, time + 1, size].
        goals: [batch, time, size], of length 1.
        ends: `goal_ends`.
    """
    later = leaked.gather(1, ends.unsqueeze(2).expand_as(goals))
    return (F.normalize(later - leaked[:, :-1], dim=2) * goals).sum(2)


def intrinsic_rewards(leaked: Tensor, goals: Tensor, horizon: int) -> Tensor:
    """The worker's reward for each token [batch, time]: mean cosine of the last goals and the way gone under each.

    Token t (from 1) takes the features to f_t; its reward is the mean of cos(f_t - f_(t-i), g_(t-i)) over i = 1 ..
    horizon, as far as the sequence reaches back. Arguments as in `goal_progress`.
    """
    time = goals.shape[1]
    total = goals.new_zeros(goals.shape[:2])
    for back in range(1, min(horizon, time) + 1):
        way = F.normalize(leaked[:, back:] - leaked[:, :-back], dim=2)
        total[:, back - 1 :] += (way * goals[:, : time + 1 - back]).sum(2)
    return total / torch.arange(1, time + 1, device=goals.device).clamp(max=horizon)


def rescaled_by_rank(scores: Tensor, present: Tensor, delta: float) -> Tensor:
    """Bootstrapped rescaled activation: sigmoid(delta * (0.5 - rank / count)) within each column; absent places give 0.

    The highest score has rank 1; equal scores share their mean rank. So only the order of a column counts.

    Args:
        scores, present: [batch, columns]: what is ranked, and which places take part.
    """
    compared = present.unsqueeze(0) & present.unsqueeze(1)  # [one, other, columns]
    above = (scores.unsqueeze(0) > scores.unsqueeze(1)) & compared
    equal = (scores.unsqueeze(0) == scores.unsqueeze(1)) & compared  # itself too
    rank = above.sum(1) + (equal.sum(1).to(scores.dtype) + 1) / 2
    count = present.sum(0).clamp(min=1)
    return torch.sigmoid(delta * (0.5 - rank / count)) * present
