"""Colours and shapes: a method looks the same everywhere, and every reader can tell it from the others."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from bench.report.charts import palette
from bench.report.charts.parts import Specs
from tests import score_rows
from tests.chart_rows import NAMES, charts_of


@pytest.fixture(scope="module")
def specs() -> Specs:
    """Altair takes its time: what it builds is shared by the tests of this file, as by the tasks of a run."""
    return Specs(NAMES)


def test_a_methods_look_is_the_same_in_every_chart_and_task_and_like_no_others(tmp_path: Path, specs: Specs) -> None:
    rows = [*score_rows.poetry(), *score_rows.translation()]
    assert palette.labels_of(rows)[:2] == ("mle", "seqgan")
    assert set(palette.labels_of(rows)) <= set(NAMES)
    domains = set()
    for task in ("poetry", "translation"):
        for chart in charts_of(rows, tmp_path, specs, task).values():
            for layer in chart.spec["layer"]:
                scale = layer["encoding"].get("color", {}).get("scale", {})
                if layer["encoding"].get("color", {}).get("field") == "method":
                    domains.add(tuple(scale["domain"]))
    assert domains == {NAMES}
    many = [f"m{i}" for i in range(64)]
    looks = set(zip(palette.color_range(many), palette.shape_range(many), strict=True))
    assert len(looks) == 64
    dashed = zip(palette.color_range(many[:24]), map(tuple, palette.dash_range(many[:24])), strict=True)
    assert len(set(dashed)) == 24


def linear(color: str) -> np.ndarray:
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ np.clip(rgb, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira and Fernandes 2009, severity 1: protanopia and deuteranopia
SIGHTS = (
    np.eye(3),
    np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
)


@pytest.mark.parametrize(("colors", "paper"), [(palette.LIGHT, "#fcfcfa"), (palette.DARK, "#15181c")])
def test_colours_stand_out_from_the_page_and_from_each_other_for_colour_blind_readers_too(
    colors: tuple[str, ...], paper: str
) -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    for color in colors:
        one, two = sorted((linear(color) @ weights, linear(paper) @ weights))
        assert (two + 0.05) / (one + 0.05) >= 3, color
    for sight, (one, two) in itertools.product(SIGHTS, itertools.combinations(colors, 2)):
        assert np.linalg.norm(lab(sight @ linear(one)) - lab(sight @ linear(two))) > 15, (one, two)
