"""The scores of Texygen's published samples: every row of the golden table, and of every compatibility protocol."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import pytest

from metrics import Material, Workspace
from metrics.bleu import Bleu
from metrics.diversity import Copied, Unique
from metrics.protocols import PROTOCOLS
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
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.skipif(
        not rows(), reason=f"golden vectors are not at {folder()}; set GANTLET_DATA to the folder beside them"
    ),
]


# BLEU-2 / BLEU-5 of mle, seq and leakgan: what other code bases give for the same samples, to three digits; the
# Self-BLEU of `relgan` is 1 by construction
PRINTED = {
    ("texygen-table", "bleu"): ((0.731, 0.189), (0.746, 0.180), (0.746, 0.230)),
    ("texygen-table", "self-bleu"): ((0.916, 0.409), (0.951, 0.490), (0.966, 0.780)),
    ("texygen-fast", "bleu"): ((0.516, 0.097), (0.519, 0.090), (0.549, 0.117)),
    ("texygen-fast", "self-bleu"): ((0.701, 0.189), (0.785, 0.210), (0.828, 0.498)),
    ("textgan-pytorch", "bleu"): ((0.718, 0.177), (0.753, 0.167), (0.753, 0.230)),
    ("textgan-pytorch", "self-bleu"): ((0.916, 0.416), (0.952, 0.465), (0.969, 0.793)),
    ("relgan", "bleu"): ((0.730, 0.176), (0.750, 0.170), (0.756, 0.231)),
    ("relgan", "self-bleu"): ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0)),
    ("leakgan", "bleu"): ((0.727, 0.077), (0.745, 0.062), (0.744, 0.100)),
    ("leakgan-nltk-3.2", "bleu"): ((0.734, 0.582), (0.748, 0.605), (0.748, 0.591)),
    ("textbox", "bleu"): ((0.592, 0.043), (0.611, 0.038), (0.617, 0.061)),
}
TOLERANCE = {name: 0.002 if name in ("textgan-pytorch", "relgan", "leakgan") else 0.0006 for name, _ in PRINTED}


def read(name):
    with gzip.open(folder() / f"{name}.txt.gz", "rt", encoding="utf-8") as lines:
        return [line for line in lines if line.strip()]


@pytest.fixture(scope="module")
def workspace():
    """One workspace for each set of samples and number of references, so that a table's rows share their counting."""
    kept = {}

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


def test_every_protocol_has_its_figures():
    assert {name for name, _ in PRINTED} == set(PROTOCOLS)
    assert {(each.name, part.family) for each in PROTOCOLS.values() for part in each.parts} == set(PRINTED)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("place", range(3), ids=("mle", "seq", "leakgan"))
def test_protocol(name, place):
    material = Material(read(("mle", "seq", "leakgan")[place]), references=read("test_coco"))
    wanted = [metric for metric in PROTOCOLS[name].names if metric.endswith(("-2", "-5"))]
    values = {score.metric: score.value for score in PROTOCOLS[name].score(material, wanted)}
    for family in ("bleu", "self-bleu"):
        if (name, family) in PRINTED:
            got = values[f"{family}-2"], values[f"{family}-5"]
            assert got == pytest.approx(PRINTED[name, family][place], abs=TOLERANCE[name])
