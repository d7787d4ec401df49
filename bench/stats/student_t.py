"""Student's t: its distribution, its quantiles, and how likely a test at a level finds a difference that is there."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np

_NORMAL = NormalDist()
_NEARLY_NORMAL = 1e6  # degrees of freedom from which t and the normal agree to six digits


def t_two_sided(t: float, df: float) -> float:
    """P(|T| >= |t|) under Student's t with `df` degrees of freedom (Abramowitz and Stegun 26.7.1)."""
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(df / 2, 0.5, df / (df + t * t), t * t / (df + t * t))


def t_cdf(t: float, df: float) -> float:
    tail = t_two_sided(t, df) / 2
    return tail if t < 0 else 1 - tail


def t_quantile(p: float, df: float) -> float:
    """The t below which a share `p` of Student's t lies.

    Newton from 0 on the upper tail, which is convex there: every step stays below the root, so none can run away.
    """
    if not 0 < p < 1 or df <= 0:
        raise ValueError(f"a quantile needs 0 < p < 1 and df > 0, not p={p}, df={df}")
    if p < 0.5:
        return -t_quantile(1 - p, df)
    tail, t = 1 - p, 0.0
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    for _ in range(500):
        density = math.exp(log_scale - (df + 1) / 2 * math.log1p(t * t / df))
        step = (t_two_sided(t, df) / 2 - tail) / density
        t += step
        if abs(step) <= 1e-14 * max(1.0, t):
            break
    return t


def t_power(shift: float, df: float, alpha: float = 0.05) -> float:
    """How often a two-sided t-test at `alpha` rejects where the true difference is `shift` standard errors.

    P(|Z + shift| > c S) with the critical value c and S^2 the ratio of the estimated to the true variance, chi-squared
    by its degrees of freedom: the normal probability given S, averaged over S by quadrature (the noncentral t of
    Johnson, Kotz and Balakrishnan, 1995, chapter 31).
    """
    if df > _NEARLY_NORMAL:
        critical = _NORMAL.inv_cdf(1 - alpha / 2)
        return _NORMAL.cdf(shift - critical) + _NORMAL.cdf(-shift - critical)
    critical = t_quantile(1 - alpha / 2, df)
    log_scale = math.log(2) + df / 2 * math.log(df / 2) - math.lgamma(df / 2)
    power = 0.0
    for s, width in _nodes(abs(shift), df, critical):
        density = math.exp(log_scale + (df - 1) * math.log(s) - df * s * s / 2)
        power += width * density * (_NORMAL.cdf(shift - critical * s) + _NORMAL.cdf(-shift - critical * s))
    return min(1.0, power)


def _nodes(shift: float, df: float, critical: float) -> list[tuple[float, float]]:
    """Places and weights of a Gauss-Legendre rule for S, dense where the normal probabilities fall from 1 to 0."""
    reach = 10 / math.sqrt(2 * df)  # S is near 1, with about this tenth as its spread
    low, high = max(0.0, 1 - reach), 1 + reach
    falls = (8 / critical, (shift - 8) / critical, shift / critical, (shift + 8) / critical)
    edges = sorted({low, 1.0, high, *(edge for edge in falls if low < edge < high)})
    at, weight = np.polynomial.legendre.leggauss(48)
    pairs = []
    for start, end in pairwise(edges):
        half = (end - start) / 2
        pairs += list(zip((start + half * (at + 1)).tolist(), (half * weight).tolist(), strict=True))
    return pairs


def _incomplete_beta(a: float, b: float, x: float, y: float) -> float:
    """Regularised I_x(a, b) with y = 1 - x given apart, so that neither end loses digits."""
    if x <= 0:
        return 0.0
    if y <= 0:
        return 1.0
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(y)
    front = math.exp(scale)
    # the fraction converges fast on one side of the mean only; the other side is its mirror image
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, y) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Continued fraction of the incomplete beta (Abramowitz and Stegun 26.5.8), by the modified Lentz method."""
    tiny = 1e-300
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1), tiny)
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d, tiny)
            c = _not_zero(1 + term / c, tiny)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _not_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
