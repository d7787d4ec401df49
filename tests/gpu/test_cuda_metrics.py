"""n-grams counted on a CUDA device are those that NumPy counts. Skipped where there is none."""

from __future__ import annotations

import pytest
import torch

from tests.unit.test_metrics_ngrams_torch import check_on

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_matches_are_numpys() -> None:
    check_on("cuda")
