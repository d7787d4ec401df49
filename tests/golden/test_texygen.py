"""The scores of Texygen's published samples: every row of the golden table under the protocol that it names."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import pytest

from metrics import Material, Workspace
from metrics.bleu import Bleu
from metrics.diversity import Copied, Unique
from metrics.self_bleu import SelfBleu


def folder() -> Path:
    data = Path(os.environ.get("GANTLET_DATA") or Path(__file__).parents[3] / "shared" / "data")
    return data.parent / "golden" / "texygen"


def rows() -> list[dict[str, str]]:
    table = folder() / "expected.csv"
    if not table.is_file():
        return []
    with table.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not rows(), reason=f"golden vectors are not at {folder()}; set GANTLET_DATA to the folder beside them"
    ),
]


@pytest.fixture(scope="module")
def workspace():
    """One workspace for each set of samples and number of references, so that a table's rows share their counting."""
    kept = {}

    def read(name):
        with gzip.open(folder() / f"{name}.txt.gz", "rt", encoding="utf-8") as lines:
            return [line for line in lines if line.strip()]

    def make(samples, references):
        if (samples, references) not in kept:
            pool, train = read("test_coco")[:references], read("image_coco")
            chosen = train if samples == "real" else read(samples)
            kept[samples, references] = Workspace(Material(chosen, pool, train=train, tokens="nltk-lower"))
        return kept[samples, references]

    return make


@pytest.mark.parametrize(
    "row", rows(), ids=lambda r: "-".join(filter(None, (r["samples"], r["protocol"], r["metric"], r["n"])))
)
def test_row(row, workspace):
    metric = {
        ("texygen-table", "bleu"): lambda: Bleu(f"bleu-{row['n']}"),
        ("texygen-fast", "bleu"): lambda: Bleu(f"bleu-{row['n']}"),
        ("unsmoothed-10k", "bleu"): lambda: Bleu(f"bleu-{row['n']}", smoothing="none"),
        ("texygen-table", "self-bleu"): lambda: SelfBleu(f"self-bleu-{row['n']}"),
        ("", "unique"): lambda: Unique("unique"),
        ("", "copied_from_train"): lambda: Copied("copied"),
    }[row["protocol"], row["metric"]]()
    score = metric.score(workspace(row["samples"], 500 if row["protocol"] == "texygen-fast" else 10_000))
    if row["protocol"]:
        # the table has four digits, so a right value is within half of the last one
        assert score.value == pytest.approx(float(row["computed"]), abs=5.1e-5)
    else:
        assert round(score.value * score.n) == int(row["computed"])
    if row["published"]:
        assert score.value == pytest.approx(float(row["published"]), abs=0.0016)
