"""Still pictures for papers, from the very specifications that the page draws; nothing is loaded from anywhere."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.report.charts.model import Chart, Record
from bench.report.charts.parts import DATA
from bench.report.charts.runtime import VEGA_LITE
from bench.report.site.render import file_name
from bench.store import write_atomically, write_text

WIDTH, LEAST_CELL = 640, 30
SCALE = 2.0  # pixels of a PNG for each of the drawing's


def write_stills(charts: Iterable[Chart], directory: Path, prefix: str = "", every: bool = False) -> list[Path]:
    """Writes `<prefix><name>.svg`, `.png` and `.csv` of the charts; of those that aren't stills the CSV alone.

    Args:
        charts: as `task_charts` gives them.
        directory: made if it isn't there.
        prefix: of the files' names, as "poetry.".
        every: pictures of all charts.
    """
    written = []
    data: set[int] = set()
    for chart in charts:
        stem = still_name(chart, prefix)
        if id(chart.records) not in data or chart.still or every:
            data.add(id(chart.records))
            write_text(directory / f"{stem}.csv", records_csv(chart.records))
            written.append(directory / f"{stem}.csv")
        if chart.still or every:
            svg = still_svg(chart.spec)
            write_text(directory / f"{stem}.svg", svg)
            write_bytes(directory / f"{stem}.png", svg_to_png(svg))
            written += [directory / f"{stem}.svg", directory / f"{stem}.png"]
    return written


def write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda part: part.write_bytes(content))


def still_name(chart: Chart, prefix: str) -> str:
    return file_name(prefix + chart.name)


def still_svg(spec: dict[str, Any]) -> str:
    """The specification at a fixed width, as SVG."""
    import vl_convert

    made: str = vl_convert.vegalite_to_svg(sized(spec), vl_version=VEGA_LITE, allowed_base_urls=[])
    return clean_svg(made)


def svg_to_png(svg: str) -> bytes:
    import vl_convert

    made: bytes = vl_convert.svg_to_png(svg, scale=SCALE)
    return made


def sized(spec: dict[str, Any]) -> dict[str, Any]:
    """A page's chart takes the width of its column; a picture, or a notebook's, needs one of its own."""
    against = {record["against"] for record in spec["datasets"][DATA] if "against" in record}
    width = LEAST_CELL * len(against) if against else WIDTH
    return {**spec, "width": width, "title": titled(spec["title"])}


def titled(title: Any) -> Any:
    """Without characters that XML can't hold."""
    return clean_svg(title) if isinstance(title, str) else title


def clean_svg(text: str) -> str:
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]", "\ufffd", text)


def records_csv(records: Sequence[Record]) -> str:
    """All columns that a record has, in the order of their first use; None is empty."""
    columns = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode("utf-8", "replace").decode()
